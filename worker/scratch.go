package worker

import (
	"errors"
	"io"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause/unpack"
)

var (
	errScratchFull    = errors.New("scratch: full")
	errScratchOverlap = errors.New("scratch: a later region stands behind")
)

// scratch gives regions of one file as the scratch space of children. Children
// nest, so that regions do: a new one begins behind the last. The file is cut
// where the last open region ends, so that what was never written reads as
// zeros and nothing of one input is left for the next.
type scratch struct {
	fd   int
	max  int64 // bytes of the file
	open []*region
}

// align is what regions begin at multiples of, so that holes stay holes.
const align = 4 << 10

// region is a stretch of the scratch from base on.
type region struct {
	s       *scratch
	base, n int64 // n: bytes up to the last that was written
	closed  bool
}

// file opens a region.
func (s *scratch) file() (unpack.File, error) {
	base := int64(0)
	if n := len(s.open); n > 0 {
		last := s.open[n-1]
		base = (last.base + last.n + align - 1) / align * align
	}
	if base >= s.max {
		return nil, errScratchFull
	}
	r := &region{s: s, base: base}
	s.open = append(s.open, r)
	return r, nil
}

// ReadAt implements io.ReaderAt: the region ends behind the last byte that was written.
func (r *region) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 || off >= r.n {
		return 0, io.EOF
	}
	var end error
	if left := r.n - off; int64(len(p)) > left {
		p, end = p[:left], io.EOF
	}
	for n < len(p) {
		m, err := pread(r.s.fd, p[n:], r.base+off+int64(n))
		if err != nil {
			return n, err
		}
		if m == 0 {
			return n, io.ErrUnexpectedEOF
		}
		n += m
	}
	return n, end
}

// WriteAt implements io.WriterAt. It fails where another region stands.
func (r *region) WriteAt(p []byte, off int64) (n int, err error) {
	s := r.s
	if off < 0 || off > s.max-r.base-int64(len(p)) {
		return 0, errScratchFull
	}
	i := slices.Index(s.open, r)
	if r.closed || i < 0 || i+1 < len(s.open) && r.base+off+int64(len(p)) > s.open[i+1].base {
		return 0, errScratchOverlap
	}
	for n < len(p) {
		m, err := unix.Pwrite(s.fd, p[n:], r.base+off+int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return n, err
		}
		n += m
	}
	r.n = max(r.n, off+int64(n))
	return n, nil
}

// Close gives the region back.
func (r *region) Close() error {
	s := r.s
	if r.closed {
		return nil
	}
	r.closed = true
	at := int64(-1)
	for n := len(s.open); n > 0 && s.open[n-1].closed; n-- {
		at = s.open[n-1].base
		s.open = s.open[:n-1]
	}
	if at < 0 {
		return nil
	}
	for {
		if err := unix.Ftruncate(s.fd, at); err != unix.EINTR {
			return err
		}
	}
}

// pread reads at an offset, and again when a signal came between.
func pread(fd int, p []byte, off int64) (int, error) {
	for {
		n, err := unix.Pread(fd, p, off)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}
