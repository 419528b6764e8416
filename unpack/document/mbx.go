package document

import (
	"bytes"
	"strconv"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

const (
	mbxMark  = "*mbx*\r\n"
	mbxHead  = 2048 // bytes in front of the first mail
	mbxLine  = 256  // bytes of the line in front of a mail, at most
	mbxDate  = 26   // of these the date: dd-mmm-yyyy hh:mm:ss +zzzz
	mbxRests = 1 << 10
)

// Mbx returns the format of mailboxes of the IMAP server of the University of Washington, which Pine and others write, too:
// each mail, "mbx.message", or with a header line before its bytes if it would not be recognised, "mbx.message.message"; and
// what is in none, "mbx.rest".
//
//	2,048 bytes; of each mail a line "date time zone,length;flags-number" and CR LF, its bytes
//
// Source: M. Crispin, to the list imap-uw, 2006-03-16.
func Mbx() unpack.Format {
	return unpack.Format{Name: "mbx", Match: func(p *unpack.Probe) bool { return bytes.HasPrefix(p.Head, []byte(mbxMark)) }, Walk: mbxWalk}
}

func mbxWalk(src showcause.Source, out *unpack.Out) {
	at := int64(mbxHead)
	if at > src.Size() {
		out.Gap(showcause.Corrupt, src.Size(), -1)
		return
	}
	for rests := 0; at < src.Size(); {
		b, err := bound.ReadAt(src, at, min(mbxLine, src.Size()-at), mbxLine)
		if err != nil || !out.Work(64) {
			return
		}
		n, from, ok := mbxMail(b)
		if !ok { // a repairer looks for the next line that is one
			out.Gap(showcause.Corrupt, at, -1)
			next := mbxNext(src, out, at+1)
			if rests++; rests > mbxRests {
				next = src.Size()
			}
			if !out.Section(src, "mbx.rest", "", at, next-at) {
				return
			}
			at = next
			continue
		}
		if from += at; n > src.Size()-from {
			out.Gap(showcause.Corrupt, src.Size(), n-(src.Size()-from))
			n = src.Size() - from
		}
		op, mail := "mbx.message", bound.Section(src, from, n)
		if !looksMail(bound.Head(mail, unpack.HeadSize), mail) {
			op, mail = op+".message", &joined{[]byte(mailPrefix), mail}
		}
		out.Cover(from, n)
		if n > 0 && !out.Child(unpack.Child{Op: op, Source: mail, Size: mail.Size()}) {
			return
		}
		at = from + n
	}
}

// mbxMail reads the line in front of a mail: how long that is, and where it begins.
func mbxMail(b []byte) (n, from int64, ok bool) {
	line, _, ok := bytes.Cut(b, []byte("\r\n"))
	date, rest, comma := bytes.Cut(line, []byte(","))
	size, flags, semicolon := bytes.Cut(rest, []byte(";"))
	n, err := strconv.ParseInt(string(size), 10, 62)
	ok = ok && comma && semicolon && err == nil && n >= 0 && len(date) == mbxDate && date[2] == '-' && date[6] == '-' && date[14] == ':' && date[17] == ':' && len(flags) >= 12
	return n, int64(len(line) + 2), ok
}

// mbxNext is where the next mail's line stands from off on, the end if nowhere.
func mbxNext(src showcause.Source, out *unpack.Out, off int64) int64 {
	for {
		at, ok := out.Find(src, off, []byte(","), func(b []byte) bool { return len(b) > 16 && b[1] >= '0' && b[1] <= '9' })
		if !ok {
			return src.Size()
		}
		if at -= mbxDate; at >= off-1 { // a mail need not end with a line's end
			b, _ := bound.ReadAt(src, at, min(mbxLine, src.Size()-at), mbxLine)
			if !out.Work(16) {
				return src.Size()
			}
			if _, _, ok := mbxMail(b); ok {
				return at
			}
		}
		off = at + mbxDate + 1
	}
}
