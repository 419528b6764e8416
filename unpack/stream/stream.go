// Package stream reads compressions of one stream of bytes.
package stream

import (
	"bufio"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// input reads a layer in order and knows where it is. A decoder that takes its
// bytes one by one (io.ByteReader) leaves it exactly behind what it used.
type input struct {
	*bufio.Reader
	src showcause.Source
	at  int64 // of the next byte that the bufio.Reader fetches
}

// fetch is what the bufio.Reader of an input reads from.
type fetch struct{ in *input }

func (f fetch) Read(p []byte) (int, error) {
	left := f.in.src.Size() - f.in.at
	if left <= 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), left)]
	n, err := f.in.src.ReadAt(p, f.in.at)
	f.in.at += int64(n)
	if n > 0 {
		err = nil // it comes again with the next call
	} else if err == io.EOF {
		err = io.ErrUnexpectedEOF // shorter than its Size
	}
	return n, err
}

func newInput(src showcause.Source, off int64) *input {
	in := &input{src: src, at: off}
	in.Reader = bufio.NewReaderSize(fetch{in}, 32<<10)
	return in
}

// offset returns where in the layer the next byte stands.
func (in *input) offset() int64 {
	if in.Reader == nil {
		return in.at
	}
	return in.at - int64(in.Buffered())
}

// free lets go of the buffer. The input only knows where it is after that.
func (in *input) free() { in.at, in.Reader = in.offset(), nil }

// full reads len(p) bytes or says io.ErrUnexpectedEOF.
func (in *input) full(p []byte) error {
	_, err := io.ReadFull(in, p)
	return bound.CutShort(err)
}

// run is one or more streams of a compression, joined end to end: what the
// ordinary tool turns into one file.
type run interface {
	io.Reader
	// end returns the offset behind the run once Read gave io.EOF, and else
	// the place where reading stopped.
	end() int64
	// free lets go of the decoder. Read is not called after it.
	free()
	// harmed tells whether damage was noted.
	harmed() bool
	// tell gives the gaps of the parts that damage was noted of.
	tell(out *unpack.Out)
}

// damage is where the parts of a run begin whose checks do not fit. The first
// few stand for all: what they hold was scanned.
type damage struct{ at []int64 }

func (d *damage) note(off int64) {
	if len(d.at) < 16 {
		d.at = append(d.at, off)
	}
}

func (d *damage) harmed() bool { return len(d.at) > 0 }

func (d *damage) tell(out *unpack.Out) {
	for _, off := range d.at {
		out.Gap(showcause.Corrupt, off, -1)
	}
	d.at = nil
}

// streams describes a compression whose runs walkRuns finds.
type streams struct {
	op    string
	magic []byte
	flat  bool  // it is deflate; see unpack.Child
	cost  int64 // steps for each byte that is read only to find the end; at least 2
	// head tells whether a run begins at off; b are the bytes there, at least
	// those of magic, which match.
	head func(b []byte) bool
	open func(off int64) run
	name func(r run) string
	// after is called when a run is done, for what else there is to give.
	after func(r run, start int64) bool
}

// What a run costs in steps, for its decoder and buffers. Ordinary layers have
// one; a flood of later ones is what costs.
const (
	firstRun = 1 << 14
	laterRun = 1 << 16
)

// walkRuns gives each run of a layer as a child. Between and after runs,
// zeros are padding; anything else is a gap, and the next run is looked for.
func walkRuns(src showcause.Source, out *unpack.Out, s streams) {
	for off, cost := int64(0), int64(firstRun); out.Work(cost); cost = laterRun {
		open := func() run { return s.open(off) }
		r := open()
		c := unpack.Child{Op: s.op, Size: -1, Deflate: s.flat}
		if s.name != nil {
			c.Name = s.name(r)
		}
		r, ok := give(out, c, r, open, max(s.cost, 2))
		if !ok {
			return
		}
		r.tell(out)
		if s.after != nil && !s.after(r, off) {
			return
		}
		at := max(r.end(), off+1)
		next, ok := s.next(src, out, at)
		if !ok {
			return
		}
		off = next
	}
}

// decoder is a run, or the one stream that there is.
type decoder interface {
	io.Reader
	free()
}

// give gives what r decodes as the child c. It returns r at its end: what a
// limit of size left is read too, for cost steps a byte, so that the end is
// known. No decoder lives while the child is visited: there may be one for each
// level, with a window of its own. So open makes one anew for what is left.
func give[D decoder](out *unpack.Out, c unpack.Child, r D, open func() D, cost int64) (D, bool) {
	e := &ending{r: r}
	c.Reader = e
	if !out.Child(c) {
		return r, false
	}
	if e.ended {
		return r, true
	}
	r = open()
	e = &ending{r: r}
	defer e.Close()
	buf := make([]byte, 64<<10)
	for !e.ended {
		n, _ := e.Read(buf)
		if !out.Work(cost*int64(n) + 1) {
			return r, false
		}
	}
	return r, true
}

// ending frees a decoder at its end, and remembers whether it came there.
type ending struct {
	r     decoder
	ended bool
	err   error
}

// Read implements io.Reader.
func (e *ending) Read(p []byte) (n int, err error) {
	if e.err == nil {
		if n, e.err = e.r.Read(p); e.err != nil {
			e.ended = true
			e.r.free()
		}
	}
	return n, e.err
}

// Close implements io.Closer.
func (e *ending) Close() error {
	if e.err == nil {
		e.err = io.ErrClosedPipe
		e.r.free()
	}
	return nil
}

// next looks for the run behind at. It tells whether there is one.
func (s *streams) next(src showcause.Source, out *unpack.Out, at int64) (int64, bool) {
	junk, more := bound.SkipZeros(src, at)
	if !more {
		return 0, false
	}
	next, found := out.Find(src, junk, s.magic, s.head)
	if found && next == junk {
		return next, true // another, which its tool does not join to the one before
	}
	return next, out.Lost(src, junk, next, found)
}
