package unpack

import (
	"bytes"
	"errors"
	"io"

	"github.com/showcause/showcause"
)

// File is scratch space for a child too large for memory.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
}

// inMemory is the size in bytes up to which a child is held in memory.
const inMemory = 16 << 20

// errFull says that a spool has taken all that it may.
var errFull = errors.New("spool: full")

// spool holds the bytes of one child: in memory up to inMemory, then in
// scratch space, where stretches of zeros are left as holes.
type spool struct {
	budget *Budget
	mem    []byte
	file   File
	n      int64
}

// fill reads r to its end (nil), to the limit (errFull, when r has more), or to r's error.
func (s *spool) fill(r io.Reader, limit int64) error {
	s.mem = s.budget.take()
	for {
		if len(s.mem) == cap(s.mem) {
			if cap(s.mem) >= inMemory {
				return s.spill(r, limit)
			}
			grown := make([]byte, len(s.mem), min(4*cap(s.mem), inMemory))
			copy(grown, s.mem)
			s.budget.give(s.mem)
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
		return Fail(showcause.LimitSize) // what is in memory is still scanned
	}
	s.file = f
	buf := s.mem[:1<<20]
	for {
		at := s.n
		n, err := s.read(r, buf, limit)
		if !isZero(buf[:n]) {
			if _, werr := f.WriteAt(buf[:n], at); werr != nil {
				s.n = at
				return Fail(showcause.LimitSize)
			}
		}
		if err != nil {
			return clean(err)
		}
	}
}

// refuse ends a child for which there is no scratch space, unless it ends here anyway.
func (s *spool) refuse(r io.Reader) error {
	var one [1]byte
	if n, err := readFull(r, one[:]); n == 0 {
		return err
	}
	return Fail(showcause.LimitSize)
}

func (s *spool) source() showcause.Source {
	if s.file == nil {
		return showcause.Bytes(s.mem)
	}
	return &spilled{s.file, s.n}
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
	f io.ReaderAt
	n int64
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
	n, err := s.f.ReadAt(p, off)
	if err == io.EOF {
		clear(p[n:])
		n, err = len(p), nil
	}
	if err == nil {
		err = end
	}
	return n, err
}

var zeros [4096]byte

func isZero(p []byte) bool {
	for len(p) > len(zeros) {
		if !bytes.Equal(p[:len(zeros)], zeros[:]) {
			return false
		}
		p = p[len(zeros):]
	}
	return bytes.Equal(p, zeros[:len(p)])
}

// take returns an empty buffer, one used before if there is one.
func (b *Budget) take() []byte {
	if n := len(b.free); n > 0 {
		m := b.free[n-1]
		b.free = b.free[:n-1]
		return m[:0]
	}
	return make([]byte, 0, 64<<10)
}

// give returns a buffer. A few are kept.
func (b *Budget) give(m []byte) {
	if len(b.free) < 4 {
		b.free = append(b.free, m)
	}
}
