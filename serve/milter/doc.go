// Package milter is the door for mail servers: the protocol by which Sendmail and Postfix
// have mail looked at while its sender still waits (milter, versions 2 to 6; it is written
// down nowhere but in libmilter's include/libmilter/mfdef.h).
//
// Each packet is a length (4 bytes, big-endian), a letter, and the rest. What comes of a
// mail, in order:
//
//	O          what both sides can do
//	C H        client and what it calls itself
//	M R...     sender and recipients; D before any of these has macros
//	L... N     the header, field by field
//	B... E     the body. Here the answer is due
//	A Q K      forget the mail, the connection, the client
//
// The mail is put together again in the queue's Spool as it stood, below one Received field,
// as the server that receives it adds its own only afterwards: so it begins as mail does,
// whatever its first field is.
package milter
