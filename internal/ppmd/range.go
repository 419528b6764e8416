package ppmd

import "io"

// coder is the range decoder.
type coder struct {
	rar              bool // that of RAR and of zip, without carries
	r                io.ByteReader
	low, code, width uint32
	err              error
}

// Range begins 7z's range decoder, which reads bytes as it needs them.
func (m *coder) Range(r io.ByteReader) error {
	m.rar, m.r, m.err = false, r, nil
	m.low, m.code, m.width = 0, 0, 0xffffffff
	if m.byte() != 0 && m.err == nil {
		m.err = ErrData
	}
	for range 4 {
		m.code = m.code<<8 | m.byte()
	}
	return m.err
}

// RangeRAR begins the range decoder of RAR and of zip.
func (m *coder) RangeRAR(r io.ByteReader) error {
	m.rar, m.r, m.err = true, r, nil
	m.low, m.code, m.width = 0, 0, 0xffffffff
	for range 4 {
		m.code = m.code<<8 | m.byte()
	}
	return m.err
}

func (m *coder) byte() uint32 {
	c, err := m.r.ReadByte()
	if err != nil && m.err == nil {
		if m.err = err; err == io.EOF {
			m.err = io.ErrUnexpectedEOF
		}
	}
	return uint32(c)
}

// threshold returns which of total parts of the range the code is in.
func (m *coder) threshold(total int) (int, bool) {
	if total <= 0 || m.width < uint32(total) {
		m.err = ErrData
		return 0, false
	}
	m.width /= uint32(total)
	return int((m.code - m.low) / m.width), true
}

// decode takes the parts from start on.
func (m *coder) decode(start, size int) {
	if m.rar {
		m.low += uint32(start) * m.width
	} else {
		m.code -= uint32(start) * m.width
	}
	m.width *= uint32(size)
	m.normalize()
}

// bit decodes a bit that is 0 with the probability p of binScale.
func (m *coder) bit(p uint32) int {
	bound := m.width >> (intBits + periodBits) * p
	if m.rar {
		if m.width>>(intBits+periodBits) == 0 {
			m.err = ErrData
			return 0
		}
		if m.code-m.low < bound {
			m.width = bound
			m.normalize()
			return 0
		}
		m.low += bound
		m.width = m.width >> (intBits + periodBits) * (binScale - p)
		m.normalize()
		return 1
	}
	if m.code < bound {
		m.width = bound
		m.normalize()
		return 0
	}
	m.code -= bound
	m.width -= bound
	m.normalize()
	return 1
}

func (m *coder) normalize() {
	if !m.rar {
		for m.width < 1<<24 && m.err == nil {
			m.code = m.code<<8 | m.byte()
			m.width <<= 8
		}
		return
	}
	for m.err == nil {
		if (m.low ^ (m.low + m.width)) >= 1<<24 {
			if m.width >= 1<<15 {
				return
			}
			m.width = -m.low & (1<<15 - 1)
		}
		m.code = m.code<<8 | m.byte()
		m.width <<= 8
		m.low <<= 8
	}
}

// Finished tells whether 7z's coder is where an encoder leaves it.
func (m *coder) Finished() bool { return m.code == 0 }
