package plant

import (
	"encoding/binary"
	"math"

	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/rule"
)

var exeTypes = [...]struct {
	magic string
	typ   filetype.Type
}{
	{"MZ", filetype.PE},
	{"\x7fELF", filetype.ELF},
	{"\xfe\xed\xfa", filetype.MachO},
	{"\xce\xfa\xed\xfe", filetype.MachO},
	{"\xcf\xfa\xed\xfe", filetype.MachO},
}

// image is the plan of an executable.
type image struct {
	sizes    []int // of the sections, bytes
	entrySec int   // section with the entry point, and where in it
	entryOff int
	entry    int // where in the file it has to be, -1 for anywhere
	wantsEP  bool
	vi       []*item
	lfanew   int
}

// executable makes a PE, ELF or Mach-O file.
func (g *gen) executable(f *File, t rule.Target) ([]byte, error) {
	f.Carrier = map[rule.Target]string{rule.PE: "pe", rule.ELF: "elf", rule.MachO: "macho"}[t]
	m, err := g.image(t)
	if err != nil {
		return nil, err
	}
	var build func(*image, int) (*canvas, error)
	switch t {
	case rule.PE:
		build = g.pe
	case rule.ELF:
		build = g.elf
	default:
		build = g.macho
	}
	// The first build tells where things stand; then the size is known.
	draft, err := build(m, 1<<16)
	if err != nil {
		return nil, err
	}
	_ = draft
	need, err := g.room(draft, m)
	if err != nil {
		return nil, err
	}
	size, err := g.size(need)
	if err != nil {
		return nil, err
	}
	c, err := build(m, size)
	if err != nil {
		return nil, err
	}
	if c.info = parse(c.data); c.info == nil {
		return nil, InHeader
	}
	entry, sections := c.info.Entry, len(c.info.Sections)
	if err := g.lay(c); err != nil {
		return nil, err
	}
	after := parse(c.data)
	if after == nil || after.Entry != entry || len(after.Sections) != sections {
		return nil, InHeader
	}
	for i, s := range c.info.Sections {
		if after.Sections[i].Offset != s.Offset {
			return nil, InHeader
		}
	}
	return c.data, nil
}

// room returns the size that all bodies need, the ends of the sections being
// known.
func (g *gen) room(c *canvas, m *image) (int, error) {
	need, free := 64, 0
	if c.info = parse(c.data); c.info == nil {
		return 0, InHeader
	}
	for _, s := range c.info.Sections {
		need = max(need, int(s.Offset+s.Size))
	}
	for _, it := range g.items {
		n := len(it.data) + 2*margin
		switch it.anchor.Base {
		case pattern.Anywhere:
			free += n + 8
		case pattern.End, pattern.VersionInfo, pattern.SectionEnd:
		default:
			_, hi, ok := c.starts(it.anchor)
			if !ok {
				return 0, NoSections
			}
			if hi > maxSize {
				return 0, TooLarge
			}
			need = max(need, int(hi)+n+2)
		}
	}
	return need + free + g.rng.IntN(700), nil
}

// image chooses the sections and the entry point.
func (g *gen) image(t rule.Target) (*image, error) {
	lo, hi := 1, 6
	if t != rule.PE {
		lo = 2
	}
	limit := 90
	for _, it := range g.items {
		if b := it.anchor.Base; b == pattern.Section || b == pattern.SectionEnd {
			lo = max(lo, min(it.anchor.Number+1, limit+1))
		}
	}
	hi = max(lo, hi)
	if r := g.r.Guard.Sections; r != nil {
		lo = max(lo, int(min(r.Min, 1000)))
		hi = int(min(r.Max, uint64(max(lo, hi)+3)))
	}
	if lo > hi || lo > limit {
		return nil, NoSections
	}
	n := lo + g.rng.IntN(hi-lo+1)
	m := &image{sizes: make([]int, n), entry: -1, lfanew: []int{0x80, 0xc0, 0xe8, 0x40, 0x100}[g.rng.IntN(5)]}
	for i := range m.sizes {
		m.sizes[i] = 0x200 * (1 + g.rng.IntN(4))
	}
	m.entrySec = g.rng.IntN(n)
	least, most := int64(0), int64(0)
	for _, it := range g.items {
		size := len(it.data) + 2*margin
		a := it.anchor
		switch a.Base {
		case pattern.Entry:
			m.wantsEP = true
			least, most = min(least, a.Offset), max(most, min(a.Offset+a.Shift, maxSize)+int64(size))
		case pattern.SectionEnd:
			m.sizes[a.Number] += size
		case pattern.Section:
			if a.Offset < 1<<16 && g.chance(3, 4) {
				m.sizes[a.Number] = max(m.sizes[a.Number], int(a.Offset)+size)
			}
		case pattern.VersionInfo:
			m.vi = append(m.vi, it)
		case pattern.Start:
			g.lfanew(m, it)
		}
	}
	m.entryOff = int(-least) + g.rng.IntN(0x100)
	m.sizes[m.entrySec] = max(m.sizes[m.entrySec], m.entryOff+int(min(most, 1<<16))+16)
	if r := g.r.Guard.Entry; r != nil {
		m.wantsEP = true
		m.entry = int(min(r.Min, math.MaxInt32))
		if spread := min(r.Max-r.Min, 64); r.Max > r.Min && r.Min > 0x400 {
			m.entry += g.rng.IntN(int(spread) + 1)
		} else if r.Max >= 0x1000 {
			m.entry = max(m.entry, 0x800+g.rng.IntN(0x800))
		}
	}
	sum := 0
	for i := range m.sizes {
		m.sizes[i] = (m.sizes[i] + 0x1ff) &^ 0x1ff
		sum += m.sizes[i]
	}
	if sum > maxSize {
		return nil, TooLarge
	}
	return m, nil
}

// lfanew takes the place of the PE header from a body that has it.
func (g *gen) lfanew(m *image, it *item) {
	a := it.anchor
	if a.Shift > 0 || a.Offset > 60 || a.Offset+int64(len(it.data)) < 64 {
		return
	}
	at := 60 - int(a.Offset)
	v := it.data[at : at+4]
	for i := range 4 {
		if it.mask[at+i] != 0xff {
			return
		}
	}
	if n := le.Uint32(v); n >= 0x40 && n < 0x8000 {
		m.lfanew = int(n)
	}
}

// settle finds the file offset of each section after a header, and the entry
// point's.
func (m *image) settle(header, align int) (offs []int, entry int, err error) {
	if m.entry >= 0 {
		if m.entry < header {
			return nil, 0, NoEntry
		}
		m.entrySec, m.entryOff = 0, m.entry-header
		if m.entryOff > maxSize {
			return nil, 0, TooLarge
		}
		m.sizes[0] = max(m.sizes[0], (m.entryOff+align)/align*align)
	}
	at := header
	for i := range m.sizes {
		offs = append(offs, at)
		at += m.sizes[i]
	}
	return offs, offs[m.entrySec] + m.entryOff, nil
}

// elf writes an ELF header, one segment over the whole file, and the table of
// sections after them (System V ABI, "Object Files").
func (g *gen) elf(m *image, size int) (*canvas, error) {
	wide := len(m.sizes)%2 == 0
	hdr, ph, sh, mach := 52, 32, 40, uint16(3)
	if wide {
		hdr, ph, sh, mach = 64, 56, 64, 62
	}
	n := len(m.sizes)
	offs, entry, err := m.settle((hdr+ph+sh*n+0xff)&^0xff, 0x100)
	if err != nil {
		return nil, err
	}
	c := g.canvas(max(size, offs[n-1]+m.sizes[n-1]))
	b := make([]byte, hdr+ph+sh*n)
	copy(b, "\x7fELF\x01\x01\x01")
	w := func(at32, at64 int, v uint64) {
		if wide {
			le.PutUint64(b[at64:], v)
		} else {
			le.PutUint32(b[at32:], uint32(v))
		}
	}
	const base = 0x400000
	tail := 40
	if wide {
		b[4], tail = 2, 52
	}
	le.PutUint16(b[16:], 2)
	le.PutUint16(b[18:], mach)
	le.PutUint32(b[20:], 1)
	w(24, 24, base+uint64(entry))
	w(28, 32, uint64(hdr))
	w(32, 40, uint64(hdr+ph))
	for i, v := range []int{hdr, ph, 1, sh, n, 0} {
		le.PutUint16(b[tail+2*i:], uint16(v))
	}
	le.PutUint32(b[hdr:], 1)
	w(hdr+8, hdr+16, base)
	w(hdr+16, hdr+32, maxSize)
	w(hdr+20, hdr+40, maxSize)
	for i := range n {
		at := hdr + ph + i*sh
		le.PutUint32(b[at+4:], 1)
		w(at+12, at+16, base+uint64(offs[i]))
		w(at+16, at+24, uint64(offs[i]))
		w(at+20, at+32, uint64(m.sizes[i]))
	}
	c.header(0, b)
	c.soft(7, make([]byte, 9))
	clear(c.mask[7:16])
	return c, nil
}

// macho writes a Mach-O file of one segment, and, where an entry point
// matters, a PowerPC thread (Apple, "OS X ABI Mach-O File Format Reference").
func (g *gen) macho(m *image, size int) (*canvas, error) {
	n := len(m.sizes)
	var o binary.AppendByteOrder = binary.LittleEndian
	cpu, cmds := uint32(7), 1
	total := 28 + 56 + 68*n
	if m.wantsEP {
		o, cpu, cmds = binary.BigEndian, 18, 2
		total += 176
	}
	offs, entry, err := m.settle((total+0xff)&^0xff, 0x100)
	if err != nil {
		return nil, err
	}
	const base = 0x1000
	c := g.canvas(max(size, offs[n-1]+m.sizes[n-1]))
	words := func(b []byte, v ...uint32) []byte {
		for _, x := range v {
			b = o.AppendUint32(b, x)
		}
		return b
	}
	name := func(b []byte, s string) []byte { return append(b, append([]byte(s), make([]byte, 16-len(s))...)...) }
	b := words(nil, 0xfeedface, cpu, 3, 2, uint32(cmds), uint32(total-28), 0)
	b = name(words(b, 1, uint32(56+68*n)), "__TEXT")
	b = words(b, base, maxSize, 0, maxSize, 7, 5, uint32(n), 0)
	for i := range n {
		b = name(name(b, "__text"), "__TEXT")
		b = words(b, base+uint32(offs[i]), uint32(m.sizes[i]), uint32(offs[i]), 2, 0, 0, 0, 0, 0)
	}
	if m.wantsEP {
		b = words(b, 5, 176, 1, 40, base+uint32(entry))
		b = append(b, make([]byte, 156)...)
	}
	c.header(0, b)
	return c, nil
}
