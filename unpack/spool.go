package unpack

import (
	"cmp"
	"errors"
	"io"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/literal"
)

// File is scratch space for a child too large for memory.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
}

// inMemory is the size in bytes up to which a child is held in memory, and
// inMemoryAll that of all that are held at a time: a child lives while what is
// in it is read, so that there is one for each step of a trail.
const (
	inMemory    = 16 << 20
	inMemoryAll = 64 << 20
)

// errFull says that a spool has taken all that it may.
var errFull = errors.New("spool: full")

// spool holds the bytes of one child: in memory up to inMemory, then in
// scratch space, where stretches of zeros are left as holes.
type spool struct {
	budget *Budget
	mem    []byte
	file   File
	n      int64
	holes  []Span // of the file, the long ones
	thin   bool   // zeros raise the limit; see freeZeros
}

// most is the limit of the bytes: that of one layer, or what is left of the input's.
func (s *spool) most() int64 {
	room, _ := s.budget.room()
	return min(room, s.budget.Limits.FileSize)
}

// fill reads r to its end (nil), to the limit (errFull, when r has more), or to r's error.
func (s *spool) fill(r io.Reader, limit int64) error {
	s.mem = s.budget.take()
	for {
		if len(s.mem) == cap(s.mem) {
			grown := s.budget.grow(s.mem)
			if grown == nil {
				return s.spill(r, limit)
			}
			s.mem = grown
		}
		n, err := s.read(r, s.mem[len(s.mem):cap(s.mem)], limit)
		s.mem = s.mem[:len(s.mem)+n]
		if err != nil {
			return clean(err)
		}
	}
}

// read fills p from r and counts, but for bytes past the limit: a byte past it gives errFull.
func (s *spool) read(r io.Reader, p []byte, limit int64) (int, error) {
	if left := limit - s.n; int64(len(p)) > left {
		p = p[:left]
		if left == 0 {
			var one [1]byte
			n, err := readFull(r, one[:])
			if n > 0 {
				err = errFull
			}
			return 0, err
		}
	}
	n, err := readFull(r, p)
	s.n += int64(n)
	return n, err
}

// readFull is io.ReadFull but for its error, which is always r's own.
func readFull(r io.Reader, p []byte) (n int, err error) {
	for idle := 0; n < len(p) && err == nil; {
		var m int
		m, err = r.Read(p[n:])
		n += m
		if m > 0 {
			idle = 0
		} else if idle++; idle > 100 && err == nil {
			err = io.ErrNoProgress
		}
	}
	if n == len(p) && err == io.EOF {
		err = nil // the next call says so again
	}
	return n, err
}

func clean(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

func (s *spool) spill(r io.Reader, limit int64) error {
	if s.budget.Spill == nil {
		return clean(s.refuse(r))
	}
	f, err := s.budget.Spill()
	if err != nil {
		return clean(s.refuse(r))
	}
	if _, err := f.WriteAt(s.mem, 0); err != nil {
		f.Close()
		return Fail(showcause.LimitSpill) // what is in memory is still scanned
	}
	s.file = f
	buf := s.mem[:min(cap(s.mem), 1<<20)]
	defer func() { // the file has it all
		s.budget.give(s.mem)
		s.mem = nil
	}()
	for {
		at := s.n
		n, err := s.read(r, buf, limit)
		if !bound.IsZero(buf[:n]) {
			if _, werr := f.WriteAt(buf[:n], at); werr != nil {
				s.n = at
				return Fail(showcause.LimitSpill)
			}
		} else if n > 0 {
			s.hole(at, int64(n))
			if s.thin {
				s.budget.zeros = min(s.budget.zeros+int64(n), freeZeros)
				limit = s.most()
			}
		}
		if err != nil {
			return clean(err)
		}
	}
}

// hole notes n zeros at at that are not written.
func (s *spool) hole(at, n int64) {
	if k := len(s.holes) - 1; k >= 0 && s.holes[k].To == at {
		s.holes[k].To += n
		return
	}
	s.holes = append(s.holes, Span{at, at + n})
}

// refuse ends a child for which there is no scratch space, unless it ends here anyway.
func (s *spool) refuse(r io.Reader) error {
	var one [1]byte
	if n, err := readFull(r, one[:]); n == 0 {
		return err
	}
	return Fail(showcause.LimitSpill)
}

func (s *spool) source() showcause.Source {
	if s.file == nil {
		return showcause.Bytes(s.mem)
	}
	return &spilled{s.file, s.n, s.holes}
}

func (s *spool) close() {
	if s.file != nil {
		s.file.Close()
	}
	s.budget.give(s.mem)
	s.mem = nil
}

// spilled is the content of a scratch file of n bytes; what was never written is zeros.
type spilled struct {
	f     io.ReaderAt
	n     int64
	holes []Span
}

// Zeros returns how many bytes from off on are known to be zeros, without reading
// them.
func Zeros(src showcause.Source, off int64) int64 {
	s, ok := src.(*spilled)
	if !ok {
		return 0
	}
	i, ok := slices.BinarySearchFunc(s.holes, off, func(h Span, v int64) int { return cmp.Compare(h.From, v) })
	if !ok {
		i--
	}
	if i < 0 || off >= s.holes[i].To {
		return 0
	}
	return min(s.holes[i].To, s.n) - off
}

func (s *spilled) Size() int64 { return s.n }

func (s *spilled) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= s.n {
		return 0, io.EOF
	}
	var end error
	if left := s.n - off; int64(len(p)) > left {
		p, end = p[:left], io.EOF
	}
	n, err := len(p), error(nil)
	if Zeros(s, off) >= int64(len(p)) {
		clear(p)
	} else {
		n, err = s.f.ReadAt(p, off)
	}
	if err == io.EOF {
		clear(p[n:])
		n, err = len(p), nil
	}
	if err == nil {
		err = end
	}
	return n, err
}

// smallest is the length in bytes of a buffer that was never grown.
const smallest = 64 << 10

// Scratch is memory that goes from one input's Budget to the next's. It changes
// nothing but how much is allocated. The zero value works.
type Scratch struct {
	free [][]byte // of the smallest length: how long a buffer is has to follow from the input
	hits []literal.Hit
}

func (s *Scratch) pop() []byte {
	n := len(s.free) - 1
	if n < 0 {
		return nil
	}
	m := s.free[n]
	s.free = s.free[:n]
	return m[:0]
}

// Reuse has b, which is new, allocate from s; s must not be used by another Budget
// before Release.
func (b *Budget) Reuse(s *Scratch) { b.scratch = s }

// Release gives the memory of b back. No layer of it is read any more.
func (b *Budget) Release() {
	for _, m := range b.free {
		if cap(m) == smallest && len(b.scratch.free) < 4 {
			b.scratch.free = append(b.scratch.free, m)
		}
	}
	b.free, b.scratch = nil, &Scratch{}
}

// take returns an empty buffer: the smallest that was used before, or a small new one.
func (b *Budget) take() []byte {
	m := b.reuse(0)
	if m == nil {
		m = b.scratch.pop()
	}
	if m == nil {
		m = make([]byte, 0, smallest)
	}
	b.held += int64(cap(m))
	return m
}

// reuse takes the smallest free buffer larger than n bytes from the list, nil if there is none.
func (b *Budget) reuse(n int) []byte {
	best := -1
	for i, m := range b.free {
		if cap(m) > n && (best < 0 || cap(m) < cap(b.free[best])) {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	m := b.free[best]
	b.free = slices.Delete(b.free, best, best+1)
	return m[:0]
}

// grow returns a larger buffer with the bytes of m, which is given back, or nil
// if one buffer or all of them together would take too much.
func (b *Budget) grow(m []byte) []byte {
	want := min(4*cap(m), inMemory)
	if want <= cap(m) || b.held-int64(cap(m))+inMemory > inMemoryAll {
		return nil
	}
	grown := b.reuse(cap(m))
	if grown == nil {
		grown = make([]byte, 0, want)
	}
	grown = append(grown, m...)
	b.held += int64(cap(grown))
	b.give(m)
	return grown
}

// give returns a buffer. Some are kept, as long as all together are not too much.
func (b *Budget) give(m []byte) {
	if cap(m) == 0 {
		return
	}
	b.held -= int64(cap(m))
	all := b.held + int64(cap(m))
	for _, f := range b.free {
		all += int64(cap(f))
	}
	if len(b.free) < 4 && all <= inMemoryAll {
		b.free = append(b.free, m)
	}
}
