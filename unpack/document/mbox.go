package document

import (
	"bytes"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// Mbox returns the format of mailboxes in one file (RFC 4155 and its
// relatives): mails, each after a line "From sender date". A child is a mail
// without that line, Op "mbox.message"; one that would not be recognised as a
// mail has a header line before its bytes, Op "mbox.message.message".
func Mbox() unpack.Format {
	return unpack.Format{
		Name:  "mbox",
		Match: func(p *unpack.Probe) bool { return opensMbox(p.Head) },
		Walk: func(src showcause.Source, out *unpack.Out) {
			w := &mailWalk{src: src, out: out, given: map[partKey]struct{}{}}
			w.quiet = !isMbox(bound.Head(src, unpack.HeadSize))
			b := &mboxWalk{mailWalk: w}
			b.walk()
		},
	}
}

var fromWord = []byte("From ")

// isMbox tells whether head starts with a "From " line that is one: it has a
// date, or a mail's header follows.
func isMbox(head []byte) bool {
	b := skipLead(head)
	if !bytes.HasPrefix(b, fromWord) {
		return false
	}
	ln, rest := cutLine(b)
	return fromDate(ln) || isMail(rest)
}

// opensMbox tells whether a layer is read as a mailbox: it starts with "From ".
// Where that line may be prose, the mails behind it are read all the same, as
// readers of mailboxes take any such line for the first mail's.
func opensMbox(head []byte) bool {
	return bytes.HasPrefix(skipLead(head), fromWord) && (isMbox(head) || bytes.IndexByte(head[:min(len(head), 1024)], 0) < 0)
}

// fromDate tells whether a "From " line has a date in it: a time of day or a
// year behind the sender ("Thu Jul 31 13:49:50 2008").
func fromDate(t []byte) bool {
	t = t[min(len(fromWord), len(t)):min(len(t), 512)]
	i := bytes.LastIndexByte(bytes.TrimRight(t, " \t\r"), ' ')
	if i < 0 {
		return false
	}
	for j := 2; j+2 < len(t); j++ {
		if t[j] == ':' && digits(t[j-1:j]) && digits(t[j+1:j+3]) {
			return true
		}
	}
	return false
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// mboxWalk cuts a mailbox. Readers differ over which "From " lines begin a
// mail: those with a date after an empty line, or any that a header follows.
// In a quiet walk, of what may be prose, only what looks like a mail is one.
type mboxWalk struct {
	*mailWalk
	strict int64 // where the mail starts by the first rule
	lax    int64 // by the second
	open   bool  // there was a "From " line
}

func (b *mboxWalk) walk() {
	eol := eolLF
	buf := b.take()
	head := b.head(0, b.src.Size(), buf)
	off := int64(len(head) - len(skipLead(head)))
	if bytes.IndexByte(head, '\n') < 0 && bytes.IndexByte(head, '\r') >= 0 {
		eol = eolAny
	}
	in := newLines(b.src, off, b.src.Size(), eol, buf)
	empty := true
	var from, next int64 = -1, 0 // a "From " line without date or empty line before it
	for n := int64(1); !b.done; n++ {
		ln, ok := in.next()
		if !ok {
			break
		}
		if n&255 == 0 || in.fills > 0 {
			b.work(256 + in.fills>>8)
			in.fills = 0
		}
		if !ln.first {
			continue
		}
		if from >= 0 {
			if name, odd := fieldName(ln.text); name != "" && !odd {
				b.cut(from, next, false)
			}
			from = -1
		}
		if bytes.HasPrefix(ln.text, fromWord) {
			if empty && (!b.open || fromDate(ln.text)) {
				b.cut(ln.off, ln.next, true)
			} else if ln.last {
				from, next = ln.off, ln.next
			}
		}
		empty = len(ln.text) == 0 && ln.last
	}
	b.cut(in.end, in.end, true)
	if in.err != nil {
		b.out.Gap(showcause.Unreadable, in.end, b.src.Size()-in.end)
	}
}

// cut ends a mail at off, where a "From " line stands; the next one starts at
// next. sure says that all readers see it so.
func (b *mboxWalk) cut(off, next int64, sure bool) {
	if b.open && b.lax != b.strict {
		b.note("ambiguous.mbox.from", b.lax, off-b.lax)
		b.message(b.lax, off)
	}
	b.lax = next
	if !sure {
		return
	}
	if b.open {
		b.message(b.strict, off)
	}
	b.strict, b.open = next, true
}

// message hands one mail over.
func (b *mboxWalk) message(start, end int64) {
	if end <= start || b.done {
		return
	}
	buf := b.take()
	head := b.head(start, end, buf)
	op, src := opMessage, bound.Section(b.src, start, end-start)
	known, like := looksMail(head, src), judgeHead(head)
	if !known {
		op, src = op+".message", &joined{[]byte(mailPrefix), src}
	}
	b.give(buf)
	if b.quiet && (!known || like == noMail) {
		return // text, which stands in the layer as it is
	}
	b.child(unpack.Child{Op: op, Source: src, Size: src.Size()})
}

// opMessage is what the Op of a mail in a mailbox begins with.
const opMessage = "mbox.message"

// InMailbox tells whether a layer is a mail out of a mailbox.
func InMailbox(t showcause.Trail) bool {
	return len(t) > 0 && strings.HasPrefix(t[len(t)-1].Op, opMessage)
}
