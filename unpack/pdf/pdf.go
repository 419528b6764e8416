// Package pdf reads PDF files (ISO 32000-1 and 32000-2).
//
// Readers of PDF disagree about broken files. Here objects are what stands as
// "N G obj" anywhere in the file, and what its cross-references lead to, of every
// revision: tables, streams, and both in one. Each stream is a child, decoded:
//
//	pdf.stream      a stream
//	pdf.file        an embedded file, by its name
//	pdf.javascript  a script, a stream or a string
//	pdf.xfa         a form, its parts in one
//	pdf.metadata    a stream of metadata
//	pdf.actions     addresses and commands of actions, a line each
//	pdf.strings     strings that do not stand in the file as they are, a line each
//	pdf.rest        data in no object
//
// The name of a stream is its object's number and generation. Where a length, or
// a filter, is said in two ways, each reading is a child.
//
// Encryption by the standard security handler (7.6) is undone with the empty password
// and with those that are tried on archives.
//
// A picture's samples in a format of their own (DCT, JPX, JBIG2, CCITT) are given as
// they are. Pictures in the text of a page are not decoded.
package pdf

import (
	"bytes"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
)

// Format returns the format.
func Format() unpack.Format {
	return unpack.Format{
		Name:  "pdf",
		Match: func(p *unpack.Probe) bool { return p.Is("pdf") || hasEnd(p) },
		Walk:  walk,
	}
}

// hasEnd tells whether a layer ends as a PDF does and has objects: readers open one behind anything, with "%PDF" alone,
// with a header of PostScript and with none (PDF Reference 1.7, appendix H, 3.4.1), and forms (FDF) end so too.
// What another format reads is no such file though it may stand in it, compressed by nothing; nor is what stands in a PDF:
// a stream that does not end has the file's end as well.
func hasEnd(p *unpack.Probe) bool {
	if n := len(p.Trail); p.Type.Hides() || n > 0 && strings.HasPrefix(p.Trail[n-1].Op, "pdf.") {
		return false
	}
	var b [1 << 10]byte
	tail := p.Head[max(len(p.Head)-len(b), 0):]
	if n := p.Source.Size(); n > int64(len(p.Head)) {
		m, _ := p.Source.ReadAt(b[:], max(n-int64(len(b)), 0))
		tail = b[:max(m, 0)]
	}
	i := bytes.LastIndex(tail, []byte("%%EOF"))
	if i < 0 || !bytes.Contains(tail[:i], []byte("startxref")) && !bytes.Contains(tail[:i], []byte("trailer")) {
		return false
	}
	for at := p.Head; ; {
		i := bytes.Index(at, []byte(" obj"))
		if i < 0 {
			return p.Source.Size() > int64(len(p.Head)) // behind more than is looked at
		}
		if i > 0 && at[i-1] >= '0' && at[i-1] <= '9' {
			return true
		}
		at = at[i+len(" obj"):]
	}
}

func walk(src showcause.Source, out *unpack.Out) {
	f := &file{src: src, size: src.Size(), out: out, first: -1, roles: map[int64]role{}, nested: map[int64]bool{}, said: map[showcause.Code]bool{}}
	f.cache, f.room, f.input = map[*stream][]byte{}, 2*f.size+16<<20, 4*f.size+64<<20
	if b, ok := src.(showcause.Bytes); ok {
		f.mem = b
	}
	f.scan()
	if len(f.heads) == 0 && f.first > 0 || f.stop {
		return // text may speak of PDF
	}
	stages := []func(){f.follow, f.outline, f.orphans, f.unlock, f.unpack, f.survey, f.give, f.rest, f.whole}
	for _, stage := range stages {
		if stage(); f.stop {
			return
		}
	}
}

// whole says whether the file is all there.
func (f *file) whole() {
	switch {
	case f.eof == 0, f.beyond, f.last > f.eof:
		f.say(showcause.Corrupt, f.size, -1)
	}
}
