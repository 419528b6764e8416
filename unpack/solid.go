package unpack

import (
	"hash/crc32"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

// windowsAll is the size in bytes of all windows of decoders that live while
// children are visited: there may be one for each step of a trail.
const windowsAll = 112 << 20

// Hold reserves n bytes for a decoder that lives while children are visited.
// It tells whether there is room; if not, the children are gaps with the code
// limit.memory. Release gives the bytes back.
func (o *Out) Hold(n int64) bool {
	if n < 0 || n > windowsAll-o.budget.windows {
		return false
	}
	o.budget.windows += n
	return true
}

// Release gives back what Hold reserved.
func (o *Out) Release(n int64) { o.budget.windows -= n }

// Solid gives the members of an archive that stand one behind the other in one
// decoded stream. They may be asked for in any order; in the order of the
// stream, it is decoded once.
type Solid struct {
	Out *Out
	// Open begins the stream anew.
	Open func() (io.Reader, error)
	// Cost is the work, in steps, of a byte that is decoded to be passed over.
	Cost int64
	// Window is how many bytes the decoder keeps.
	Window int64

	r    io.Reader
	pos  int64
	err  error // of the stream, at pos
	held bool
}

// Piece is the stretch [Off, Off+Size) of the decoded stream; Size is -1 for up
// to its end.
type Piece struct {
	Off, Size int64
	Summed    bool // CRC is known
	CRC       uint32
	Last      bool // no member comes behind it: the decoder is let go before it is visited
}

// Member gives one member as the child c, whose Reader it sets. It tells
// whether to go on.
func (s *Solid) Member(c Child, p Piece) bool {
	m := &member{s: s, p: p}
	c.Reader = m
	if p.Off != s.pos || s.r == nil {
		m.err = s.seek(p.Off)
	}
	ok := s.Out.Child(c)
	if p.Last || s.err != nil {
		s.Close()
	}
	return ok
}

// Rest tells whether there is more behind off, so that it can be a member too.
func (s *Solid) Rest(off int64) bool {
	if s.seek(off) != nil {
		return false
	}
	var b [1]byte
	if n, _ := readFull(s.r, b[:]); n == 0 {
		return false
	}
	s.pos++
	return true
}

// Close lets go of the decoder.
func (s *Solid) Close() {
	if s.held {
		s.Out.Release(s.Window)
	}
	if c, ok := s.r.(io.Closer); ok {
		c.Close()
	}
	s.r, s.held = nil, false
}

// seek decodes up to off.
func (s *Solid) seek(off int64) error {
	if s.err != nil && off >= s.pos {
		return s.err
	}
	if s.r == nil || off < s.pos {
		s.Close()
		s.pos, s.err = 0, nil
		if s.err = s.open(); s.err != nil {
			return s.err
		}
	}
	var buf []byte
	for s.pos < off {
		if buf == nil {
			buf = make([]byte, min(off-s.pos, 32<<10))
		}
		n, err := readFull(s.r, buf[:min(off-s.pos, int64(len(buf)))])
		s.pos += int64(n)
		if err != nil {
			s.err = bound.CutShort(err)
			return s.err
		}
		if !s.Out.Work(s.Cost * int64(n)) {
			s.err = Fail(showcause.LimitWork)
			return s.err
		}
	}
	return nil
}

func (s *Solid) open() error {
	if !s.Out.Hold(s.Window) {
		return Fail(showcause.LimitMemory)
	}
	s.held = true
	r, err := s.Open()
	if err != nil {
		return err
	}
	s.r = r
	return nil
}

// member reads one member of a Solid.
type member struct {
	s   *Solid
	p   Piece
	n   int64 // bytes that came out
	crc uint32
	err error
}

// Read implements io.Reader.
func (m *member) Read(p []byte) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	if m.p.Size >= 0 {
		if m.n >= m.p.Size {
			m.err = io.EOF
			if m.p.Summed && m.crc != m.p.CRC {
				m.err = Fail(showcause.Corrupt)
			}
			return 0, m.err
		}
		p = p[:min(int64(len(p)), m.p.Size-m.n)]
	}
	n, err := m.s.r.Read(p)
	m.n += int64(n)
	m.s.pos += int64(n)
	if m.p.Summed {
		m.crc = crc32.Update(m.crc, crc32.IEEETable, p[:n])
	}
	if err != nil {
		m.s.err = bound.CutShort(err)
		if m.p.Size >= 0 && m.n < m.p.Size {
			err = m.s.err
		} else if m.n == m.p.Size {
			err = nil // the next call says so
		}
		m.err = err
	}
	return n, err
}

// Close implements io.Closer.
func (m *member) Close() error {
	if m.p.Last {
		m.s.Close()
	}
	return nil
}
