package upx

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"strings"
)

// made is a program to be packed, and how.
type made struct {
	wide    bool
	order   binary.AppendByteOrder
	macho   bool
	method  uint8 // 0 for stored, 15 for deflate
	mark    string
	size    uint32 // that p_info has; the right one if 0
	overlay string
}

func (m made) words(b []byte, v ...uint32) []byte {
	for _, w := range v {
		b = m.order.AppendUint32(b, w)
	}
	return b
}

func (m made) halves(b []byte, v ...uint16) []byte {
	for _, w := range v {
		b = m.order.AppendUint16(b, w)
	}
	return b
}

// address is a number as wide as the class.
func (m made) address(b []byte, v ...uint64) []byte {
	for _, w := range v {
		if m.wide {
			b = m.order.AppendUint64(b, w)
		} else {
			b = m.order.AppendUint32(b, uint32(w))
		}
	}
	return b
}

// elf writes the headers of an ELF file with these segments to load.
func (m made) elf(loads []part) []byte {
	class, order, each, size := byte(1), byte(2), uint16(32), uint64(52)
	if m.wide {
		class, each, size = 2, 56, 64
	}
	if m.order == binary.AppendByteOrder(binary.LittleEndian) {
		order = 1
	}
	b := append([]byte("\x7fELF"), class, order, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = m.words(m.halves(b, 2, 62), 1)
	b = m.words(m.address(b, 0x400100, size, 0), 0)
	b = m.halves(b, uint16(size), each, uint16(len(loads)), 0, 0, 0)
	for _, s := range loads {
		b = m.words(b, segmentLoad)
		if m.wide {
			b = m.words(b, 5)
		}
		b = m.address(b, uint64(s.off), uint64(0x400000+s.off), uint64(0x400000+s.off), uint64(s.size), uint64(s.size))
		if !m.wide {
			b = m.words(b, 5)
		}
		b = m.address(b, 0x1000)
	}
	return b
}

// machO writes those of a Mach-O file.
func (m made) machO(loads []part) []byte {
	magic, each, command := uint32(0xfeedface), 56, uint32(1)
	if m.wide {
		magic, each, command = 0xfeedfacf, 72, 0x19
	}
	b := m.words(nil, magic, 7, 3, 2, uint32(len(loads)), uint32(len(loads)*each), 0)
	if m.wide {
		b = m.words(b, 0)
	}
	for _, s := range loads {
		b = m.words(b, command, uint32(each))
		b = append(b, "__TEXT\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
		b = m.address(b, uint64(s.off), uint64(s.size), uint64(s.off), uint64(s.size))
		b = m.words(b, 7, 5, 0, 0)
	}
	return b
}

func (m made) headers(loads []part) []byte {
	if m.macho {
		return m.machO(loads)
	}
	return m.elf(loads)
}

// original is a program with something in, between and behind its segments.
func (m made) original() ([]byte, []part) {
	loads := []part{{0, 700}, {1024, 3000}, {5000, 900}}
	b := m.headers(loads)
	b = append(b, strings.Repeat("text of the first ", 60)[:700-len(b)]...)
	b = append(b, make([]byte, 324)...)
	b = append(b, strings.Repeat("the second segment ", 200)[:3000]...)
	b = append(b, bytes.Repeat([]byte("between"), 200)[:976]...)
	b = append(b, strings.Repeat("data of the third ", 80)[:900]...)
	return append(b, "sections, and a planted body at the end"...), loads
}

// block writes one.
func (m made) block(b, text []byte) []byte {
	out, method := text, byte(0)
	if m.method == 15 {
		var z bytes.Buffer
		w, _ := flate.NewWriter(&z, 9)
		w.Write(text)
		w.Close()
		if z.Len() < len(text) {
			out, method = z.Bytes(), 15
		}
	}
	return append(append(m.words(b, uint32(len(text)), uint32(len(out))), method, 0, 0, 0), out...)
}

// pack packs what original gives as UPX does.
func (m made) pack() []byte {
	text, loads := m.original()
	head := len(m.headers(loads))
	b := m.headers([]part{{0, 4096}})
	size := uint32(len(text))
	if m.size != 0 {
		size = m.size
	}
	b = m.words(b, 0x12345678)
	b = append(b, m.mark...)
	b = m.halves(b, 400)
	b = append(b, 14, 22)
	info := uint32(len(b))
	b = m.words(b, 0, size, 4096)
	b = m.block(b, text[:head])
	for i, s := range loads {
		from := s.off
		if i == 0 {
			from = int64(head)
		}
		half := (from + s.off + s.size) / 2 // a segment may have several
		b = m.block(b, text[from:half])
		b = m.block(b, text[half:s.off+s.size])
	}
	b = append(b, strings.Repeat("\x90\xe8loader", 50)...)
	for _, s := range between(loads, int64(len(text))) {
		b = m.block(b, text[s.off:s.off+s.size])
	}
	b = m.words(b, 0)
	b = append(append(b, m.mark...), make([]byte, 10)...)
	b = append(append(b, m.mark...), make([]byte, 28)...)
	return append(m.words(b, info), m.overlay...)
}

// variants are programs of each kind.
func variants() map[string]made {
	le, be := binary.AppendByteOrder(binary.LittleEndian), binary.AppendByteOrder(binary.BigEndian)
	return map[string]made{
		"elf64":    {wide: true, order: le, mark: mark, method: 15},
		"elf32":    {order: le, mark: mark, method: 15},
		"elf32 be": {order: be, mark: mark},
		"mach-o":   {wide: true, order: le, macho: true, mark: mark, method: 15},
		"overlay":  {wide: true, order: le, mark: mark, method: 15, overlay: "what stood behind it"},
		"hidden":   {wide: true, order: le, mark: "YTS\x99", method: 15, size: 0xffffffff},
		"no mark":  {order: le, mark: "\x00\x00\x00\x00", method: 15, size: 1},
	}
}
