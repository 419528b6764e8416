package cabinet

import (
	"errors"
	"io"

	"github.com/showcause/showcause/internal/codec"
)

// errQuantum is the error for a block that is not what it should be.
var errQuantum = errors.New("quantum: invalid data")

// quantum decodes Quantum (D. Stafford), which has no published specification;
// the models, the order in which they are sorted and the bits of the coder are
// those that libmspack's qtmd.c documents. Each block of a cabinet is a frame:
// the arithmetic coder begins anew in it, the models and the window go on.
type quantum struct {
	bits uint
	win  []byte
	pos  int
	n    int64

	low, high, code uint16
	in              *codec.Bits

	selector qModel
	literal  [4]qModel
	slots    [3]qModel // of matches of 3, 4 and more bytes
	length   qModel
}

// qModel is an adaptive model: symbols with cumulative frequencies, descending.
type qModel struct {
	syms []qSym
	left int // updates until it is sorted
}

type qSym struct{ sym, cum uint16 }

func (m *qModel) init(start, n int) {
	m.left = 4
	m.syms = make([]qSym, n+1)
	for i := range m.syms {
		m.syms[i] = qSym{uint16(start + i), uint16(n - i)}
	}
}

func newQuantum(bits uint) *quantum {
	q := &quantum{bits: bits}
	q.selector.init(0, 7)
	for i := range q.literal {
		q.literal[i].init(64*i, 64)
	}
	n := int(2 * bits)
	q.slots[0].init(0, min(n, 24))
	q.slots[1].init(0, min(n, 36))
	q.slots[2].init(0, n)
	q.length.init(0, 27)
	return q
}

// block decodes one block of n bytes and returns them; what it has when it
// fails is returned too.
func (q *quantum) block(r io.ByteReader, n int, out []byte) ([]byte, error) {
	q.in = codec.NewBits(r)
	q.low, q.high, q.code = 0, 0xffff, uint16(q.in.Take(16))
	for len(out) < n {
		var err error
		if out, err = q.symbol(out, n); err != nil {
			return out, err
		}
		// The coder looks two bytes ahead at most; what it needs, is there.
		if q.in.Err() != nil && q.in.Beyond() > 32 {
			return out, io.ErrUnexpectedEOF
		}
	}
	return out, nil
}

func (q *quantum) symbol(out []byte, n int) ([]byte, error) {
	sel := q.decode(&q.selector)
	if sel < 4 {
		return q.put(out, byte(q.decode(&q.literal[sel]))), nil
	}
	size := sel - 1
	if sel == 6 {
		base, extra := qLength(q.decode(&q.length))
		size = base + 5 + int(q.in.Take(extra))
	}
	slot := q.decode(&q.slots[sel-4])
	base, extra := qPosition(slot)
	off := base + int(q.in.Take(extra)) + 1
	if size > n-len(out) || int64(off) > q.n || off > 1<<q.bits {
		return out, errQuantum
	}
	for range size {
		from := q.pos - off
		if from < 0 {
			from += len(q.win)
		}
		out = q.put(out, q.win[from])
	}
	return out, nil
}

// put adds a byte to the window, which grows with what comes out.
func (q *quantum) put(out []byte, c byte) []byte {
	if q.pos == len(q.win) {
		if len(q.win) < 1<<q.bits {
			w := make([]byte, min(max(4*len(q.win), 1<<10), 1<<q.bits))
			copy(w, q.win)
			q.win = w
		} else {
			q.pos = 0
		}
	}
	q.win[q.pos] = c
	q.pos++
	q.n++
	return append(out, c)
}

// qPosition returns the first offset of a slot and its number of extra bits.
func qPosition(slot int) (base int, extra uint) {
	if slot < 4 {
		return slot, 0
	}
	extra = uint(slot/2 - 1)
	return (2 | slot&1) << extra, extra
}

// qLength returns the same for lengths.
func qLength(slot int) (base int, extra uint) {
	switch {
	case slot < 6:
		return slot, 0
	case slot == 26:
		return 254, 0
	}
	extra = uint(slot-2) / 4
	return (4+(slot-2)%4)<<extra - 2, extra
}

// decode reads one symbol and adapts the model.
func (q *quantum) decode(m *qModel) int {
	width := uint32(q.high-q.low) + 1
	total := uint32(m.syms[0].cum)
	f := uint16(((uint32(q.code-q.low)+1)*total - 1) / width)
	i := 1
	for i < len(m.syms)-1 && m.syms[i].cum > f {
		i++
	}
	s := m.syms[i-1]
	q.high = q.low + uint16(uint32(s.cum)*width/total) - 1
	q.low += uint16(uint32(m.syms[i].cum) * width / total)
	for j := range i {
		m.syms[j].cum += 8
	}
	if m.syms[0].cum > 3800 {
		m.update()
	}
	for {
		if (q.low^q.high)&0x8000 != 0 {
			if q.low&0x4000 == 0 || q.high&0x4000 != 0 {
				break
			}
			q.code ^= 0x4000
			q.low &= 0x3fff
			q.high |= 0x4000
		}
		q.low <<= 1
		q.high = q.high<<1 | 1
		q.code = q.code<<1 | uint16(q.in.Take(1))
	}
	return int(s.sym)
}

// update halves the frequencies, and now and then sorts the symbols by them.
func (m *qModel) update() {
	n := len(m.syms) - 1
	if m.left--; m.left > 0 {
		for i := n - 1; i >= 0; i-- {
			m.syms[i].cum >>= 1
			if m.syms[i].cum <= m.syms[i+1].cum {
				m.syms[i].cum = m.syms[i+1].cum + 1
			}
		}
		return
	}
	m.left = 50
	for i := range n {
		m.syms[i].cum = (m.syms[i].cum - m.syms[i+1].cum + 1) >> 1
	}
	// A selection sort that swaps at once: not stable, and the order counts.
	for i := range n - 1 {
		for j := i + 1; j < n; j++ {
			if m.syms[i].cum < m.syms[j].cum {
				m.syms[i], m.syms[j] = m.syms[j], m.syms[i]
			}
		}
	}
	for i := n - 1; i >= 0; i-- {
		m.syms[i].cum += m.syms[i+1].cum
	}
}
