// Package document reads documents: mails (RFC 5322 with MIME, RFC 2045 to
// 2047, 2183, 2231), mailboxes and uuencoded files.
//
// Mail readers disagree over malformed mails. Here every reading that is known
// to be in use is scanned ("union scanning", as recommended by IETF
// draft-chen-email-mime-ambiguity-defense): one more reading of the structure
// is one more pass over the bytes, a part that an earlier reading gave already
// is not given again, and the note "ambiguous.mime.*" is made only where a
// further reading gave something new.
//
// A mail is read in passes over lines with a buffer of fixed size. Its leaves
// are the children; multiparts inside multiparts are followed in the same
// pass, so that the trail of a part is the mail and the part:
//
//	mail.eml            multipart/mixed
//	  #0 mime.7bit        text/plain
//	  invoice.zip         application/zip, Op mime.base64
//	  #2 mime.7bit        message/rfc822: again a mail, read from its own bytes
//
// A part in a character set in which ASCII text does not stand as it is, is
// handed over once more, as UTF-8. One that is not read, as EBCDIC, is the gap
// "unsupported.method.charset".
//
// Not undone: ">From" quoting of mailboxes.
package document
