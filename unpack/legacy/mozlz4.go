package legacy

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// mozReach is how far back a match may begin, bytes.
const mozReach = 64 << 10

var mozMagic = []byte("mozLz40\x00")

// Mozilla reads what Firefox and Thunderbird write as .mozlz4, .jsonlz4 and .baklz4
// (mozilla-central, toolkit/components/lz4): a magic, the size of the content (4 bytes,
// little-endian), one LZ4 block. The child is "mozlz4.stream"; what stands behind the block's
// last sequence, which gives the last of that size, is "mozlz4.rest".
func Mozilla() unpack.Format {
	return unpack.Format{
		Name:  "mozlz4",
		Match: func(p *unpack.Probe) bool { return bytes.HasPrefix(p.Head, mozMagic) },
		Walk: func(src showcause.Source, out *unpack.Out) {
			r := &mozRun{in: newInput(src, 0), size: -1}
			if out.Work(1<<14) && out.Child(unpack.Child{Op: "mozlz4.stream", Size: -1, Reader: r}) && r.err == io.EOF {
				out.Tail(src, r.in.at(), "mozlz4.rest")
			}
		},
	}
}

// mozRun decodes the block by pieces: what is kept of it is what a match may reach.
type mozRun struct {
	in    *input
	size  int64 // declared; -1 before the header is read
	n     int64 // bytes that came out
	win   []byte
	out0  int // first byte of win that is not read yet
	token byte
	lits  int64 // literals still to come
	match int64 // bytes of the match still to come
	dist  int
	err   error // comes when win is read
}

// Read implements io.Reader.
func (m *mozRun) Read(p []byte) (int, error) {
	for m.out0 == len(m.win) {
		if m.err != nil {
			m.win, m.out0 = nil, 0
			return 0, m.err
		}
		if over := len(m.win) - mozReach; over >= mozReach {
			m.win = m.win[:copy(m.win, m.win[over:])]
		}
		m.out0 = len(m.win)
		for m.err == nil && len(m.win)-m.out0 < mozReach {
			m.err = m.step(mozReach - (len(m.win) - m.out0))
		}
		m.n += int64(len(m.win) - m.out0)
		if m.err == io.EOF && m.n != m.size {
			m.err = unpack.Fail(showcause.Corrupt)
		}
	}
	n := copy(p, m.win[m.out0:])
	m.out0 += n
	return n, nil
}

// step goes on by some of the literals or of the match, at most room bytes, or by a token.
func (m *mozRun) step(room int) (err error) {
	switch {
	case m.size < 0:
		var h [12]byte
		if _, err = io.ReadFull(m.in, h[:]); err != nil {
			err = bound.CutShort(err)
		} else {
			m.size = int64(binary.LittleEndian.Uint32(h[8:]))
			err = m.sequence()
		}
	case m.lits > 0:
		at, n := len(m.win), int(min(m.lits, int64(room)))
		m.win = append(m.win, make([]byte, n)...)
		n, err = io.ReadFull(m.in, m.win[at:])
		m.win = m.win[:at+n]
		m.lits -= int64(n)
		err = bound.CutShort(err)
	case m.match > 0:
		n := min(int(min(m.match, int64(room))), m.dist)
		from := len(m.win) - m.dist
		m.win = append(m.win, m.win[from:from+n]...)
		m.match -= int64(n)
	case m.dist > 0:
		m.dist = 0
		err = m.sequence()
	case m.n+int64(len(m.win)-m.out0) == m.size:
		err = io.EOF
	default:
		err = m.back()
	}
	return err
}

// sequence reads a token and the number of its literals.
func (m *mozRun) sequence() (err error) {
	if m.token, err = m.in.ReadByte(); err != nil {
		return bound.CutShort(err)
	}
	m.lits, err = m.number(int64(m.token >> 4))
	return err
}

// back reads what a match is, which the last sequence has none of.
func (m *mozRun) back() error {
	var d [2]byte
	switch n, err := io.ReadFull(m.in, d[:]); {
	case n == 0:
		return err
	case err != nil:
		return io.ErrUnexpectedEOF
	}
	m.dist = int(binary.LittleEndian.Uint16(d[:]))
	if m.dist == 0 || m.dist > len(m.win) {
		return errData
	}
	n, err := m.number(int64(m.token & 15))
	m.match = n + 4
	return err
}

// number reads the rest of a number whose first four bits are n.
func (m *mozRun) number(n int64) (int64, error) {
	if n < 15 {
		return n, nil
	}
	for n < 1<<40 {
		c, err := m.in.ReadByte()
		if err != nil {
			return n, bound.CutShort(err)
		}
		if n += int64(c); c < 255 {
			return n, nil
		}
	}
	return n, errData
}
