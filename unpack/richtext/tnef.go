package richtext

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/mailcode"
	"github.com/showcause/showcause/unpack"
)

const ambiguousTNEF = showcause.Ambiguous + ".tnef.checksum"

// Attributes of a message ([MS-OXTNEF] 2.1.3.3); the rest of them are small or say nothing.
const (
	tnefBody       = 0x0002800c
	tnefTitle      = 0x00018010
	tnefData       = 0x0006800f
	tnefPicture    = 0x00068011
	tnefBegin      = 0x00069002 // of an attachment
	tnefProperties = 0x00069003
	tnefAttachment = 0x00069005 // its properties
)

// Properties ([MS-OXPROPS]).
const (
	tnefCompressed = 0x1009 // RTF
	tnefObject     = 0x3701 // what is attached
	tnefShortName  = 0x3704
	tnefLongName   = 0x3707
)

// tnefSmall is the length in bytes below which properties are no children.
const tnefSmall = 32

// TNEF reads what Outlook sends as winmail.dat ([MS-OXTNEF]): attachments with their names,
// "tnef.file", messages and objects among them, RTF that is compressed, "tnef.rtf", and the text,
// pages and other properties of 32 bytes and more, "tnef.property", called by their numbers. What is behind the last
// attribute is "tnef.rest". Sums that are wrong are noted; readers differ in what they do then.
//
//	u32 0x223e9f78, u16 key
//	attributes: u8 level (1 message, 2 attachment), u32 number, u32 length, the data, u16 sum of its bytes
func TNEF() unpack.Format {
	return unpack.Format{
		Name:  "tnef",
		Match: func(p *unpack.Probe) bool { return bytes.HasPrefix(p.Head, []byte("\x78\x9f\x3e\x22")) },
		Walk:  tnefWalk,
	}
}

// tnef is a message that is read.
type tnef struct {
	src      showcause.Source
	out      *unpack.Out
	attached []unpack.Span // of the attachment that is read
	title    string
	short    string
	long     string
	wrong    bool // a sum was
}

func tnefWalk(src showcause.Source, out *unpack.Out) {
	m := &tnef{src: src, out: out}
	at := int64(6)
	if src.Size() < at {
		out.Gap(showcause.Corrupt, src.Size(), -1)
	}
	for at < src.Size() {
		head, _ := bound.ReadAt(src, at, min(9, src.Size()-at), 9)
		if !out.Work(4) {
			return
		}
		if len(head) < 9 || head[0] < 1 || head[0] > 2 {
			if !out.Work((src.Size()-at)/64 + 1) {
				return
			}
			if _, content := bound.SkipZeros(src, at); content && string(head) != "\n" && string(head) != "\r\n" {
				out.Gap(showcause.Corrupt, at, src.Size()-at)
			}
			break
		}
		id, n := le.Uint32(head[1:]), int64(le.Uint32(head[5:]))
		if !m.attribute(id, at+9, n) {
			return
		}
		if !bound.In(at+9, n+2, src.Size()) {
			out.Gap(showcause.Corrupt, src.Size(), at+9+n+2-src.Size())
			at = src.Size()
			break
		}
		if !m.sum(at+9, n) {
			return
		}
		at += 9 + n + 2
	}
	if m.flush() {
		out.Tail(src, at, "tnef.rest")
	}
}

// attribute takes the n bytes of an attribute at off.
func (m *tnef) attribute(id uint32, off, n int64) bool {
	n = min(n, m.src.Size()-off)
	switch id {
	case tnefBegin:
		return m.flush()
	case tnefTitle:
		b, _ := bound.ReadAt(m.src, off, min(n, unpack.MaxName), unpack.MaxName)
		m.title, _, _ = strings.Cut(string(b), "\x00")
	case tnefData:
		return m.attach(off, n)
	case tnefBody:
		return m.out.Section(m.src, "tnef.property", "body", off, n)
	case tnefPicture:
		return m.out.Section(m.src, "tnef.property", "picture", off, n)
	case tnefProperties, tnefAttachment:
		return m.properties(off, off+n)
	}
	return true
}

// maxTNEFParts is how many parts of one attachment wait for its name.
const maxTNEFParts = 64

func (m *tnef) attach(off, n int64) bool {
	m.attached = append(m.attached, unpack.Span{From: off, To: off + n})
	return len(m.attached) < maxTNEFParts || m.flush()
}

// flush gives the attachment that was read.
func (m *tnef) flush() bool {
	name := m.long
	for _, n := range []string{m.title, m.short} {
		if name == "" {
			name = n
		}
	}
	for _, s := range m.attached {
		if !m.out.Section(m.src, "tnef.file", name, s.From, s.To-s.From) {
			return false
		}
	}
	m.attached, m.title, m.short, m.long = m.attached[:0], "", "", ""
	return true
}

// sum holds the bytes of an attribute against their sum.
func (m *tnef) sum(off, n int64) bool {
	if m.wrong {
		return true
	}
	sum := uint16(0)
	const step = 64 << 10
	for at := off; at < off+n; at += step {
		b, err := bound.ReadAt(m.src, at, min(step, off+n-at), step)
		if !m.out.Work(int64(len(b))/16 + 1) {
			return false
		}
		if err != nil {
			return true // and whoever reads the child says so
		}
		for _, c := range b {
			sum += uint16(c)
		}
	}
	if b, _ := bound.ReadAt(m.src, off+n, 2, 2); len(b) == 2 && le.Uint16(b) != sum {
		m.wrong = true
		m.out.Gap(ambiguousTNEF, off, n)
	}
	return true
}

// properties reads a list of them ([MS-OXTNEF] 2.1.3.4):
//
//	u32 count; each u16 type, u16 number, from 0x8000 on a name; values
func (m *tnef) properties(off, end int64) bool {
	p := &tnefList{src: m.src, at: off, end: end}
	count := p.u32()
	for range count {
		if !m.out.Work(2) {
			return false
		}
		kind, id := p.u16(), p.u16()
		if id >= 0x8000 {
			p.skip(16)
			if p.u32() == 0 {
				p.skip(4)
			} else {
				p.padded(int64(p.u32()))
			}
		}
		size := propertySize(kind)
		values := uint32(1)
		if kind&0x1000 != 0 || size == variable {
			values = p.u32()
		}
		if size >= 0 {
			p.skip(size * int64(values))
			values = 0
		}
		for range values {
			n := int64(p.u32())
			from := p.at
			p.padded(n)
			if p.bad {
				break
			}
			if !m.out.Work(1) || !m.property(kind, id, from, n) {
				return false
			}
		}
		if p.bad || size == unknown {
			// What is there may have a type all the same.
			m.out.Gap(showcause.Corrupt, off, end-off)
			return m.out.Section(m.src, "tnef.property", "", off, end-off)
		}
	}
	return true
}

// Sizes of values that are no sizes.
const (
	variable = -1
	unknown  = -2
)

// propertySize is how many bytes a value of a type has ([MS-OXCDATA] 2.11.1), to a multiple of 4.
func propertySize(kind uint16) int64 {
	switch kind &^ 0x1000 {
	case 0, 1:
		return 0
	case 2, 3, 4, 10, 11:
		return 4
	case 5, 6, 7, 0x14, 0x40:
		return 8
	case 0x48:
		return 16
	case 0x0d, 0x1e, 0x1f, 0x102:
		return variable
	}
	return unknown
}

// property takes a value of n bytes.
func (m *tnef) property(kind, id uint16, off, n int64) bool {
	name := func() string {
		b, _ := bound.ReadAt(m.src, off, min(n, 2*unpack.MaxName), 2*unpack.MaxName)
		if kind&^0x1000 == 0x1f {
			return wide(b)
		}
		return strings.TrimRight(string(b), "\x00")
	}
	if kind == 0x0d && n >= 16 { // which interface it has
		off, n = off+16, n-16
	}
	switch {
	case id == tnefShortName:
		m.short = name()
	case id == tnefLongName:
		m.long = name()
	case id == tnefObject:
		return n == 0 || m.attach(off, n)
	case id == tnefCompressed && n >= 16:
		r, err := mailcode.CompressedRTF(bound.Reader(m.src, off, n))
		if err != nil {
			m.out.Gap(showcause.Corrupt, off, n)
			return true
		}
		return m.out.Child(unpack.Child{Op: "tnef.rtf", Size: -1, Reader: r})
	case n >= tnefSmall:
		return m.out.Section(m.src, "tnef.property", fmt.Sprintf("%04x", id), off, n)
	}
	return true
}

// tnefList reads numbers one behind the other.
type tnefList struct {
	src     showcause.Source
	at, end int64
	bad     bool // it does not go on so far
}

func (p *tnefList) skip(n int64) {
	if p.bad = p.bad || n < 0 || n > p.end-p.at; !p.bad {
		p.at += n
	}
}

// padded passes over n bytes, to a multiple of 4. At the end some leave these out.
func (p *tnefList) padded(n int64) {
	p.skip(n)
	p.skip(min((4-n&3)&3, p.end-p.at))
}

func (p *tnefList) number(n int64) uint32 {
	at := p.at
	if p.skip(n); p.bad {
		return 0
	}
	b, err := bound.ReadAt(p.src, at, n, 4)
	if err != nil {
		p.bad = true
		return 0
	}
	var v uint32
	for i, c := range b {
		v |= uint32(c) << (8 * i)
	}
	return v
}

func (p *tnefList) u16() uint16 { return uint16(p.number(2)) }
func (p *tnefList) u32() uint32 { return p.number(4) }
