package sevenzip

import (
	"encoding/binary"
	"io"

	"github.com/showcause/showcause/internal/bound"
)

// bcj2 undoes the filter of 7-Zip for x86 that puts the targets of calls and
// jumps in streams of their own, as absolute addresses, most significant byte
// first. A range coder says of each opcode whether its target was moved.
type bcj2 struct {
	main, call, jump, rc io.ByteReader
	size                 int64 // of the output

	probs       [2 + 256]uint16
	width, code uint32
	begun       bool
	prev        byte
	n           int64
	pending     []byte // of a target
	buf         [4]byte
	err         error
}

func (b *bcj2) begin() error {
	b.begun = true
	for i := range b.probs {
		b.probs[i] = 1024
	}
	b.width = 0xffffffff
	for i := range 5 {
		c, err := b.rc.ReadByte()
		if err != nil {
			return bound.CutShort(err)
		}
		if i == 0 && c != 0 {
			return errHeader
		}
		b.code = b.code<<8 | uint32(c)
	}
	return nil
}

// Read implements io.Reader.
func (b *bcj2) Read(p []byte) (n int, err error) {
	if !b.begun {
		b.err = b.begin()
	}
	for n < len(p) {
		if len(b.pending) > 0 {
			m := copy(p[n:], b.pending)
			b.pending = b.pending[m:]
			n += m
			continue
		}
		if b.err != nil {
			break
		}
		if b.n >= b.size {
			b.err = io.EOF
			break
		}
		c, err := b.main.ReadByte()
		if err != nil {
			b.err = bound.CutShort(err)
			break
		}
		p[n] = c
		n++
		b.n++
		if c&0xfe == 0xe8 || b.prev == 0x0f && c&0xf0 == 0x80 {
			b.err = b.opcode(c)
			continue
		}
		b.prev = c
	}
	if n > 0 {
		return n, nil
	}
	return 0, b.err
}

// opcode reads whether the target behind c was moved, and the target.
func (b *bcj2) opcode(c byte) error {
	p := &b.probs[0]
	switch c {
	case 0xe8:
		p = &b.probs[2+int(b.prev)]
	case 0xe9:
		p = &b.probs[1]
	}
	b.prev = c
	if b.n >= b.size {
		return nil
	}
	if b.width < 1<<24 {
		r, err := b.rc.ReadByte()
		if err != nil {
			return bound.CutShort(err)
		}
		b.width <<= 8
		b.code = b.code<<8 | uint32(r)
	}
	m := b.width >> 11 * uint32(*p)
	if b.code < m {
		b.width = m
		*p += (2048 - *p) >> 5
		return nil
	}
	b.width -= m
	b.code -= m
	*p -= *p >> 5
	from := b.jump
	if c == 0xe8 {
		from = b.call
	}
	for i := range b.buf {
		var err error
		if b.buf[i], err = from.ReadByte(); err != nil {
			return bound.CutShort(err)
		}
	}
	v := binary.BigEndian.Uint32(b.buf[:]) - uint32(b.n+4)
	binary.LittleEndian.PutUint32(b.buf[:], v)
	b.prev = byte(v >> 24)
	b.pending = b.buf[:min(4, b.size-b.n)]
	b.n += int64(len(b.pending))
	return nil
}
