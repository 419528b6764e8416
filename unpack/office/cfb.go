package office

import (
	"bytes"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/cfb"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/extent"
)

const (
	unit     = 64   // bytes; streams begin at multiples of it
	restMost = 1024 // stretches that are given one by one
	slackMax = 64 << 20

	sealedMost = 1 << 10 // streams of one file that may say that it is encrypted
	rtfMost    = 1 << 12

	overlap = showcause.Ambiguous + ".overlap"
)

// CFB reads compound files ([MS-CFB]): each stream is a child, "cfb.stream", named by
// its path; those of presentations that are encrypted are "cfb.encrypted", since nothing can be read of them. Entries that are marked as unused and still say where they were are
// "cfb.deleted", sectors that no stream has, and what stands behind the file, "cfb.rest",
// and what stands in the last sectors of streams behind their ends, together, "cfb.slack".
// Where HWP has four bytes in front of a compound file, that is "cfb.object".
func CFB() unpack.Format {
	return unpack.Format{
		Name:  "cfb",
		Match: func(p *unpack.Probe) bool { return isCompound(p) || isPrefixed(p.Head) },
		Walk:  cfbWalk,
	}
}

// isPrefixed tells a compound file behind four bytes.
func isPrefixed(head []byte) bool {
	return len(head) >= 12 && string(head[4:12]) == magic && string(head[:4]) != magic[:4]
}

func cfbWalk(src showcause.Source, out *unpack.Out) {
	if isPrefixed(bound.Head(src, 12)) {
		out.Section(src, "cfb.object", "", 4, src.Size()-4)
		return
	}
	c := open(src, out)
	if c == nil {
		out.Gap(showcause.Corrupt, 0, -1)
		out.Between(src, 8, src.Size(), "cfb.rest")
		return
	}
	if c.Damaged() || c.broken || c.Short() {
		out.Gap(showcause.Corrupt, 0, -1)
	}
	w := walker{compound: c, books: extent.NewBooks(0, unit, (src.Size()+unit-1)/unit), sector: c.SectorSize()}
	w.locked = c.locked()
	for _, r := range c.Own() {
		w.took(r)
	}
	for i, e := range c.Entries {
		if e.Kind == cfb.Stream && !w.give(i) || !out.Work(16) {
			return
		}
	}
	c.sealed()
	for i, e := range c.Entries {
		if e.Kind == cfb.Unused && e.Size > 0 && e.Name != "" && !w.deleted(i) || !out.Work(1) {
			return
		}
	}
	if w.twice {
		out.Gap(overlap, 0, -1)
	}
	w.rest()
}

// walker gives what is in a compound file.
type walker struct {
	*compound
	books  *extent.Books
	sector int64
	locked map[int]bool // streams of presentations that are encrypted
	twice  bool
	slack  bytes.Buffer
	full   bool  // there was more slack
	over   int64 // bytes that are in more than one stream
	n      int   // children of what is in no stream
}

// took notes a stretch, and tells whether it was nobody's.
func (w *walker) took(r cfb.Stretch) bool {
	w.out.Work(r.Size/unit/64 + 1)
	w.out.Cover(r.At, r.Size)
	return w.books.Mark(r.At/unit, (r.At+r.Size+unit-1)/unit)
}

// give gives a stream and tells whether to go on.
func (w *walker) give(i int) bool {
	e := &w.Entries[i]
	src, runs, whole := w.stream(i)
	at := int64(0)
	if len(runs) > 0 {
		at = runs[0].At
	}
	name := w.attachment(i)
	if name == "" {
		name = w.path(i)
	}
	op := "cfb.stream"
	if w.locked[i] {
		op = "cfb.encrypted"
	}
	if src.Size() > 0 && !w.out.Child(unpack.Child{Op: op, Name: name, Source: src, Size: src.Size()}) {
		return false
	}
	for _, r := range runs {
		if !w.took(r) {
			w.twice = true
			w.over += r.Size
		}
	}
	if !w.within(at) {
		return false
	}
	if n := len(runs); n > 0 {
		w.keep(runs[n-1].At+runs[n-1].Size, unit)
	}
	if !whole {
		missing := int64(min(e.Size, 1<<62)) - src.Size()
		w.out.Gap(showcause.Corrupt, at, missing)
	}
	return true
}

// within tells whether streams over each other are not too much; if so, that is said.
func (w *walker) within(at int64) bool {
	if w.over <= 8*w.src.Size()+64<<20 {
		return true
	}
	w.out.Gap(showcause.LimitWork, at, -1)
	return false
}

// deleted gives what an entry that is not used any more may have had, where no stream
// has it now. What it is not, it gives twice: sectors that are free are read as such too.
func (w *walker) deleted(i int) bool {
	src, runs, _ := w.stream(i)
	for _, r := range runs {
		for u := r.At / unit; u < (r.At+r.Size+unit-1)/unit; u++ {
			if !w.out.Work(1) {
				return false
			}
			if w.books.Has(u) {
				return true
			}
		}
	}
	if w.over += src.Size(); !w.within(0) {
		return false
	}
	return src.Size() == 0 || w.out.Child(unpack.Child{Op: "cfb.deleted", Name: w.path(i), Source: src, Size: src.Size()})
}

// rest gives what is in no stream.
func (w *walker) rest() {
	size := w.src.Size()
	for u := int64(0); u < w.books.Count; u++ {
		if !w.out.Work(1) {
			return
		}
		if w.books.Has(u) {
			continue
		}
		from := u
		for u+1 < w.books.Count && !w.books.Has(u+1) && w.out.Work(1) {
			u++
		}
		if w.n == restMost {
			u = w.books.Count
		}
		if !w.free(from*unit, min((u+1)*unit, size)) {
			return
		}
	}
	if w.full {
		w.out.Gap(showcause.LimitSize, 0, -1)
	}
	if w.slack.Len() > 0 {
		w.out.Child(unpack.Child{Op: "cfb.slack", Source: showcause.Bytes(w.slack.Bytes()), Size: int64(w.slack.Len())})
	}
}

// free gives a stretch that no stream has. It is slack where it goes to the end of a
// sector that a stream begins.
func (w *walker) free(from, to int64) bool {
	end := (from + w.sector - 1) / w.sector * w.sector
	if to <= end {
		w.keep(from, w.sector)
		return true
	}
	slack, _ := bound.ReadAt(w.src, from, end-from, w.sector)
	if len(bytes.Trim(slack, "\x00")) == 0 {
		from = end
	}
	n := int64(0)
	for at := from; at < to; at += n { // what it begins with are sectors of zeros
		b, _ := bound.ReadAt(w.src, at, min(to-at, w.sector), w.sector)
		if !w.out.Work(8) {
			return false
		}
		if n = int64(len(b)); n == 0 || len(bytes.Trim(b, "\x00\xff")) > 0 {
			w.n++
			return w.out.Section(w.src, "cfb.rest", "", at, to-at)
		}
	}
	return true
}

// keep takes what stands from off to the next multiple of size as slack.
func (w *walker) keep(off, size int64) {
	n := (off+size-1)/size*size - off
	b, _ := bound.ReadAt(w.src, off, min(n, max(w.src.Size()-off, 0)), n)
	if len(bytes.Trim(b, "\x00\xff")) == 0 {
		return
	}
	if w.slack.Len() >= slackMax {
		w.full = true
		return
	}
	w.slack.Write(b)
}

// packedOffice is said of drawings of Visio before version 5, and of what is none.
const packedOffice = showcause.Unsupported + ".format.ole2"

// sealed says of documents that they are encrypted in a way that is not opened.
// What Office's own programs encrypt is told where it is opened.
func (c *compound) sealed() {
	for i, e := range c.Entries {
		if e.Kind != cfb.Stream || !c.out.Work(1) {
			continue
		}
		switch {
		case e.Name == "\x09DRMContent" || e.Name == "\x09DRMViewerContent":
			c.out.Gap(showcause.Encrypted, c.at(i), int64(e.Size))
		}
	}
}
