package engine

import (
	"bytes"
	"errors"
	"io"
	"math"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig/bytecode"
)

// maxRead is how many bytes a program may ask for at once, ClamAV's
// CLI_MAX_ALLOCATION.
const maxRead = 1 << 30

// no is what most functions return when they cannot do it.
const no = math.MaxUint32

// readAt reads the input into b, as far as it goes.
func (m *run) readAt(b []byte, off int64) int {
	if off < 0 || off >= m.input.Size() {
		return 0
	}
	b = b[:min(int64(len(b)), m.input.Size()-off)]
	if !m.Charge(int64(len(b)) / 16) {
		return 0
	}
	n, err := m.input.ReadAt(b, off)
	if n < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		m.Fail(bytecode.Unreadable, "at offset %d: %v", off+int64(n), err)
	}
	return n
}

// peekAt gives up to n bytes of input at off, which are good until the next call.
// Small pieces that follow each other are read at once.
func (m *run) peekAt(off int64, n int) []byte {
	const ahead = 4096
	if off < m.windowAt || off+int64(n) > m.windowAt+int64(len(m.window)) {
		if cap(m.window) < max(n, ahead) {
			m.window = make([]byte, max(n, ahead))
		}
		m.window = m.window[:cap(m.window)]
		m.windowAt = off
		m.window = m.window[:m.readAt(m.window, off)]
	}
	b := m.window[off-m.windowAt:]
	return b[:min(n, len(b))]
}

// read(data, size): bytes from the place in the file, which moves.
func read(m *run, a []uint64) uint64 {
	n := int32(a[1])
	b := m.Resolve(a[0], uint64(uint32(n)), true)
	if b == nil || n < 0 || n > maxRead || m.pos > m.input.Size() {
		return no
	}
	got := m.readAt(b, m.pos)
	m.pos += int64(got)
	return uint64(got)
}

// seek(pos, whence).
func seek(m *run, a []uint64) uint64 {
	off := int64(int32(a[0]))
	switch a[1] {
	case 0:
	case 1:
		off += m.pos
	case 2:
		off += m.input.Size()
	default:
		return no
	}
	if off < 0 || off > m.input.Size() {
		return no
	}
	m.pos = off
	return uint64(off)
}

// file_byteat(offset).
func fileByteAt(m *run, a []uint64) uint64 {
	b := m.peekAt(int64(uint32(a[0])), 1)
	if len(b) == 0 {
		return no
	}
	return uint64(b[0])
}

// file_find(data, len).
func fileFind(m *run, a []uint64) uint64 {
	return m.find(a[0], a[1], m.input.Size())
}

// file_find_limit(data, len, limit).
func fileFindLimit(m *run, a []uint64) uint64 {
	return m.find(a[0], a[1], int64(int32(a[2])))
}

// find looks for bytes from the place in the file on, which does not move.
func (m *run) find(ptr, n uint64, limit int64) uint64 {
	const most, step = 1024, 1 << 16
	what := m.Resolve(ptr, n, false)
	if n == 0 || n > most || limit <= 0 || limit > math.MaxInt32 || what == nil {
		return no
	}
	limit = min(limit, m.input.Size())
	buf := make([]byte, min(max(limit-m.pos, 0), step)+int64(n))
	for off := m.pos; off+int64(n) <= limit && !m.Ended(); {
		b := buf[:min(limit-off, int64(len(buf)))]
		got := m.readAt(b, off)
		if i := bytes.Index(b[:got], what); i >= 0 {
			return uint64(off + int64(i))
		}
		if got < len(b) || off+int64(got) == limit {
			break
		}
		off += int64(got) - int64(n) + 1
	}
	return no
}

// fill_buffer(buffer, len, filled, cursor, fill): what stands behind the cursor
// moves to the front, the rest is read from the file.
func fillBuffer(m *run, a []uint64) uint64 {
	size, filled, pos := uint32(a[1]), uint32(a[2]), uint32(a[3])
	b := m.Resolve(a[0], a[1], true)
	if b == nil || size == 0 || size > maxRead || filled > size {
		return no
	}
	if m.pos >= m.input.Size() {
		return 0
	}
	left := int32(filled - pos)
	if left < 0 || left > 0 && (uint64(pos)+uint64(left) > uint64(size)) {
		return no
	}
	copy(b, b[min(uint64(pos), uint64(size)):][:left])
	to := b[left:]
	if len(to) == 0 {
		return no
	}
	got := m.readAt(to, m.pos)
	m.pos += int64(got)
	if got == 0 {
		return 0
	}
	return uint64(uint32(left) + uint32(got))
}

// read_number(radix): the next number in the file, passing over what is none.
// ClamAV wants 16 bytes to be there.
func readNumber(m *run, a []uint64) uint64 {
	const window = 16
	radix := a[0]
	if radix != 10 && radix != 16 {
		return no
	}
	for {
		b := m.peekAt(m.pos, window)
		if len(b) < window || m.Ended() {
			return no
		}
		for i, c := range b {
			if digit(c) >= int(radix) {
				continue
			}
			if b = m.peekAt(m.pos+int64(i), 4*window); len(b) < window {
				return no
			}
			v, n := parseNumber(b, int(radix))
			m.pos += int64(i + n)
			return uint64(uint32(v))
		}
		if m.pos += window; !m.Charge(1) {
			return no
		}
	}
}

// digit is what a hexadecimal digit stands for, 99 for what is none.
func digit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|32 >= 'a' && c|32 <= 'f':
		return int(c|32-'a') + 10
	}
	return 99
}

// parseNumber reads a number as strtoul does, and says how many bytes it has.
func parseNumber(b []byte, radix int) (v uint64, n int) {
	if radix == 16 && len(b) > 2 && b[0] == '0' && b[1]|32 == 'x' && digit(b[2]) < 16 {
		n = 2
	}
	over := false
	for n < len(b) && digit(b[n]) < radix {
		d := uint64(digit(b[n]))
		over = over || v > (math.MaxUint64-d)/uint64(radix)
		v = v*uint64(radix) + d
		n++
	}
	if over {
		v = math.MaxUint64
	}
	return v, n
}

// write(data, size): to the file that is being made.
func write(m *run, a []uint64) uint64 {
	n := int32(a[1])
	b := m.Resolve(a[0], uint64(uint32(n)), false)
	if b == nil || n < 0 || !m.Allocate(int64(n)) {
		return no
	}
	m.out = append(m.out, b...)
	return uint64(n)
}

// extract_new(id): what was written is a file, the next one begins.
func extractNew(m *run, _ []uint64) uint64 {
	if len(m.out) > 0 {
		m.res.Extracted = append(m.res.Extracted, Extracted{Bytes: m.out})
		m.out = nil
	}
	return 0
}

// input_switch(extracted): from now on, what was written is read, or the file again.
func inputSwitch(m *run, a []uint64) uint64 {
	on := a[0] != 0
	if on == m.switched {
		return 0
	}
	if on && len(m.out) == 0 {
		return no
	}
	m.input = m.ctx.Input
	if on {
		if !m.Allocate(int64(len(m.out))) {
			return no
		}
		m.input = showcause.Bytes(bytes.Clone(m.out))
	}
	m.switched, m.window = on, nil
	m.SetGlobal(bytecode.FileSize, m.size())
	return 0
}
