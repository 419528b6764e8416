package document

import (
	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// Mail returns the format of one mail: RFC 5322 with MIME. Its Ops are
// "mime.7bit", "mime.8bit", "mime.binary", "mime.unknown" (an encoding that
// is not known: the bytes as they stand), "mime.base64",
// "mime.quoted-printable", "mime.uuencode", "mime.yenc", "mime.pkcs7" (the
// content of an opaque S/MIME signature), "mime.charset" (the text of a part in
// UTF-7, UTF-16 or UTF-32, as UTF-8). With ".multipart" or ".message" after it, the
// part is handed over with a header line before its bytes, so that it
// is read as a mail, and offsets are those of the whole.
func Mail() unpack.Format {
	return unpack.Format{
		Name: "mime",
		Match: func(p *unpack.Probe) bool {
			return !opensMbox(p.Head) && readAsMail(p.Head, p.Source, func() filetype.Type { return p.Type })
		},
		Walk: func(src showcause.Source, out *unpack.Out) {
			head := bound.Head(src, unpack.HeadSize)
			if elsewhere(head, src.Size(), out.Covered()) {
				return
			}
			w := &mailWalk{src: src, out: out, given: map[partKey]struct{}{}}
			w.quiet = judgeHead(head) < oddMail
			w.walk()
		},
	}
}

// partKey identifies what was given to out already, over all readings.
type partKey struct {
	start, end int64
	how        uint32
}

// needs says which further readings a pass found to be needed.
type needs struct {
	picks   int  // readings of a multipart's boundary
	lax     bool // any line that may be a delimiter
	any     bool // CR ends lines
	crlf    bool // LF alone ends no line
	undone  bool // more readings than are tried
	unended bool // a multipart that is not closed
}

// mailWalk reads one mail.
type mailWalk struct {
	src   showcause.Source
	out   *unpack.Out
	given map[partKey]struct{}
	noted map[showcause.Code]struct{}
	need  needs
	again bool // this is not the first reading
	fresh bool // this reading gave something new
	done  bool // limits are spent
	quiet bool // it may be no mail at all: that it reads in several ways as one says nothing
	free  [][]byte
}

// policy is one reading of a mail's structure.
type policy struct {
	eol  eolMode
	pick int  // which boundary of several
	lax  bool // every line that any reader could take for a delimiter is one
}

// Steps that a mail costs for being deep inside others. Readings multiply with
// depth: a mail of eight boundaries that holds mails of eight has 64, and each is
// a layer. What is deep is made dear, so that a small tree ends at the limit
// of work and not at that of objects. A mail costs mailSteps times the square
// of its depth, a further reading of it a step for each passBytes bytes and step of depth.
const (
	mailSteps = 256
	passBytes = 2
)

// walk makes one pass for each reading that is needed.
func (w *mailWalk) walk() {
	if d := int64(w.out.Depth()); !w.out.Work(mailSteps * d * d) {
		w.done = true
	}
	modes := []eolMode{eolLF}
	for i := 0; i < len(modes) && !w.done; i++ {
		mode := modes[i]
		w.need = needs{}
		w.pass(policy{eol: mode}, "ambiguous.mime.line-end")
		if mode == eolLF {
			if w.need.any {
				modes = append(modes, eolAny)
			}
			if w.need.crlf {
				modes = append(modes, eolCRLF)
			}
			if w.need.unended {
				w.note("ambiguous.mime.unclosed", 0, w.src.Size())
			}
		}
		for k := 1; k < min(w.need.picks, maxBoundaries) && !w.done; k++ {
			w.pass(policy{eol: mode, pick: k}, "ambiguous.mime.boundary")
		}
		if w.need.lax && !w.done {
			w.pass(policy{eol: mode, lax: true}, "ambiguous.mime.structure")
		}
		if w.need.picks > maxBoundaries || w.need.undone {
			w.note("unsupported.method.mime-readings", 0, w.src.Size())
		}
	}
}

// pass reads the mail once. A pass after the first that gives something new is noted.
func (w *mailWalk) pass(pol policy, code showcause.Code) {
	if w.again && !w.out.Work(w.src.Size()/passBytes*int64(w.out.Depth())) {
		w.done = true
	}
	w.fresh = false
	buf := w.take()
	p := &mailPass{mailWalk: w, pol: pol, in: newLines(w.src, 0, w.src.Size(), pol.eol, buf)}
	p.run()
	w.give(buf)
	if p.in.err != nil && !w.again {
		w.out.Gap(showcause.Unreadable, p.in.end, w.src.Size()-p.in.end)
	}
	if w.again && w.fresh {
		w.note(code, 0, w.src.Size())
	}
	w.again = true
}

// note makes a gap once for each code.
func (w *mailWalk) note(code showcause.Code, off, n int64) {
	if _, ok := w.noted[code]; ok || w.quiet && !code.Unread() {
		return
	}
	if w.noted == nil {
		w.noted = map[showcause.Code]struct{}{}
	}
	w.noted[code] = struct{}{}
	w.out.Gap(code, off, n)
}

// first tells whether a part is given for the first time, and remembers it.
func (w *mailWalk) first(k partKey) bool {
	if _, ok := w.given[k]; ok {
		return false
	}
	w.given[k] = struct{}{}
	w.fresh = true
	return true
}

// child hands a child over.
func (w *mailWalk) child(c unpack.Child) {
	if c.Member = c.Name; c.Member == "" {
		c.Member = "unknown" // ClamAV's word
	}
	if !w.done && !w.out.Child(c) {
		w.done = true
	}
}

// lineSteps is what a line of a mail costs in steps, about.
const lineSteps = 32

// work charges n lines or what costs as much.
func (w *mailWalk) work(n int64) {
	if !w.done && !w.out.Work(lineSteps*n) {
		w.done = true
	}
}

// take returns a buffer of lineBuffer bytes, or of what the source has if that
// is less; give returns it.
func (w *mailWalk) take() []byte {
	if n := len(w.free); n > 0 {
		b := w.free[n-1]
		w.free = w.free[:n-1]
		return b
	}
	return make([]byte, min(max(w.src.Size(), 1<<10), lineBuffer))
}

func (w *mailWalk) give(b []byte) { w.free = append(w.free, b) }

// head returns the first bytes of [start, end), in buf.
func (w *mailWalk) head(start, end int64, buf []byte) []byte {
	n, _ := bound.Reader(w.src, start, end-start).ReadAt(buf[:min(int64(len(buf)), max(end-start, 0))], 0)
	return buf[:max(n, 0)]
}
