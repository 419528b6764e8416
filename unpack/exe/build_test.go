package exe

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
)

// fill makes n bytes of which any eight are found in one place only.
func fill(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 17))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32()>>9) | 0x80 // no zero, and none of the bytes that marks are made of
	}
	return b
}

type secSpec struct {
	name                   string
	vsize, va, rsize, rptr uint32
	flags                  uint32
}

type peSpec struct {
	size           int
	lfanew         uint32
	wide           bool
	entry          uint32
	salign, falign uint32
	header         uint32
	optSize        int // beyond what the directories need
	ndirs          uint32
	count          int // NumberOfSections where it is a lie
	flags          uint16
	subsystem      uint16
	secs           []secSpec
	dirs           map[int][2]uint32
	seed           uint64
}

func plainPE() peSpec {
	return peSpec{
		size: 0x1000, lfanew: 0x80, entry: 0x1010, salign: 0x1000, falign: 0x200, header: 0x400, ndirs: 16, flags: 0x102, subsystem: 3,
		secs: []secSpec{{".text", 0x1f0, 0x1000, 0x200, 0x400, 0x60000020}, {".data", 0x400, 0x2000, 0x400, 0x600, 0xc0000040}},
	}
}

// build writes the file.
func (s peSpec) build() []byte {
	b := fill(s.size, s.seed)
	clear(b[:min(int(s.lfanew)+24+300+40*len(s.secs), len(b))])
	put := func(off int, v any) {
		var w []byte
		switch v := v.(type) {
		case uint16:
			w = le.AppendUint16(nil, v)
		case uint32:
			w = le.AppendUint32(nil, v)
		case string:
			w = []byte(v)
		}
		if off < len(b) {
			copy(b[off:], w)
		}
	}
	put(0, "MZ")
	put(60, s.lfanew)
	h := int(s.lfanew)
	put(h, "PE\x00\x00")
	put(h+4, uint16(0x14c))
	n := len(s.secs)
	if s.count != 0 {
		n = s.count
	}
	put(h+6, uint16(n))
	fixed := 96
	magic := uint16(0x10b)
	if s.wide {
		fixed, magic = 112, 0x20b
		put(h+4, uint16(0x8664))
	}
	opt := fixed + 8*int(min(s.ndirs, 16)) + s.optSize
	put(h+20, uint16(opt))
	put(h+22, s.flags)
	o := h + 24
	put(o, magic)
	put(o+16, s.entry)
	put(o+32, s.salign)
	put(o+36, s.falign)
	put(o+56, uint32(0x8000))
	put(o+60, s.header)
	put(o+68, s.subsystem)
	put(o+fixed-4, s.ndirs)
	for i, d := range s.dirs {
		put(o+fixed+8*i, d[0])
		put(o+fixed+8*i+4, d[1])
	}
	t := o + opt
	for i, c := range s.secs {
		put(t+40*i, c.name)
		put(t+40*i+8, c.vsize)
		put(t+40*i+12, c.va)
		put(t+40*i+16, c.rsize)
		put(t+40*i+20, c.rptr)
		put(t+40*i+36, c.flags)
	}
	return b
}

// randomPE makes a PE file that is wrong in ways that matter for offsets.
func randomPE(r *rand.Rand) peSpec {
	s := plainPE()
	s.seed = r.Uint64()
	s.size = 0xc00 + r.IntN(0x3000)
	pick := func(v ...uint32) uint32 { return v[r.IntN(len(v))] }
	s.salign = pick(0x1000, 0x1000, 0x1000, 0x2000, 0x200, 0, 0x10, 0x30)
	s.falign = pick(0x200, 0x200, 0x200, 0x1000, 0x400, 0x10, 1, 0, 0x180)
	s.header = pick(0x400, 0x400, 0x200, 0x1000, 0x401, 0)
	s.wide = r.IntN(4) == 0
	s.ndirs = pick(16, 16, 16, 0, 2, 3, 20)
	s.optSize = int(pick(0, 0, 0, 8))
	if r.IntN(8) == 0 {
		s.flags |= 0x2000
	}
	s.subsystem = uint16(pick(2, 3, 1))
	s.secs = nil
	va := uint32(0x1000)
	for range 1 + r.IntN(5) {
		c := secSpec{name: ".s" + string(rune('a'+r.IntN(26))), va: va, vsize: uint32(r.IntN(0x1800)), flags: 0x60000020}
		c.rsize, c.rptr = uint32(r.IntN(0x1200)), uint32(0x300+r.IntN(0x2800))
		if r.IntN(2) == 0 {
			c.rsize, c.rptr = c.rsize&^0x1ff, c.rptr&^0x1ff
		}
		switch r.IntN(24) {
		case 0:
			c.rsize = 0
		case 1:
			c.rsize = pick(0xffffffff, 0x7fffffff, 0x80000000, 0xfffff001)
		case 2:
			c.rptr = pick(0xffffffff, 0x7fffffff, 0x10000, 0, 0x10)
		case 3:
			c.va = pick(0, 0x80000000, 0x1000, va+0x123)
		case 4:
			c.vsize = pick(0, 0xffffffff, 0x7fffffff)
		}
		s.secs = append(s.secs, c)
		va += 0x1000 * (1 + uint32(r.IntN(2)))
	}
	s.entry = uint32(r.IntN(int(va)))
	if r.IntN(3) > 0 {
		s.entry = s.secs[0].va + uint32(r.IntN(0x100))
	}
	if r.IntN(30) == 0 {
		s.count = int(pick(0, 96, 97, 65535))
	}
	return s
}

// versionResource makes a resource section of one version resource at va,
// with the given strings.
func versionResource(va uint32, kv [][2]string) []byte {
	wide := func(s string) []byte { return []byte(utf16z(s)) }
	pad := func(b []byte) []byte {
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
		return b
	}
	block := func(valLen, typ uint16, key string, value []byte, kids ...[]byte) []byte {
		b := le.AppendUint16(nil, 0)
		b = le.AppendUint16(b, valLen)
		b = le.AppendUint16(b, typ)
		b = pad(append(b, wide(key)...))
		b = append(b, value...)
		for _, k := range kids {
			b = append(pad(b), k...)
		}
		le.PutUint16(b, uint16(len(b)))
		return b
	}
	var strs [][]byte
	for _, s := range kv {
		v := wide(s[1])
		if s[1] == "" {
			v = nil
		}
		strs = append(strs, block(uint16(len(v)/2), 1, s[0], v))
	}
	table := block(0, 1, "040904b0", nil, strs...)
	sfi := block(0, 1, "StringFileInfo", nil, table)
	vfi := block(0, 1, "VarFileInfo", nil, block(4, 0, "Translation", []byte{9, 4, 0xb0, 4}))
	fixed := make([]byte, 0x34)
	le.PutUint32(fixed, 0xfeef04bd)
	info := block(0x34, 0, "VS_VERSION_INFO", fixed, vfi, sfi)
	dir := func(id, off uint32) []byte {
		b := make([]byte, 16)
		le.PutUint16(b[14:], 1)
		b = le.AppendUint32(b, id)
		return le.AppendUint32(b, off)
	}
	b := dir(16, 1<<31|24)
	b = append(b, dir(1, 1<<31|48)...)
	b = append(b, dir(0x409, 72)...)
	b = le.AppendUint32(b, va+88)
	b = le.AppendUint32(b, uint32(len(info)))
	b = append(b, make([]byte, 8)...)
	return append(b, info...)
}

func peWithVersion(kv [][2]string) []byte {
	s := plainPE()
	s.secs[1] = secSpec{".rsrc", 0x800, 0x2000, 0x800, 0x600, 0x40000040}
	s.dirs = map[int][2]uint32{2: {0x2000, 0x800}}
	b := s.build()
	copy(b[0x600:], versionResource(0x2000, kv))
	return b
}

var someStrings = [][2]string{{"CompanyName", "Example Org"}, {"Empty", ""}, {"FileVersion", "1.2.3"}, {"OriginalFilename", "a.exe"}}

type elfSpec struct {
	wide, big  bool
	phnum      int
	shnum      int
	shentsize  int
	entry      uint64
	size       int
	seed       uint64
	vaddr, off uint64
	secs       [][2]uint64 // offset, size
}

func plainELF(wide, big bool) elfSpec {
	s := elfSpec{wide: wide, big: big, phnum: 2, shnum: 3, entry: 0x400123, size: 0x2000, vaddr: 0x400000, secs: [][2]uint64{{0, 0}, {0x200, 0x100}, {0x900, 0x333}}}
	s.shentsize = 40
	if wide {
		s.shentsize = 64
	}
	return s
}

func (s elfSpec) build() []byte {
	b := fill(s.size, s.seed)
	var o binary.ByteOrder = binary.LittleEndian
	if s.big {
		o = binary.BigEndian
	}
	const shoff = 0x1000
	hdr, pe, se := 52, 32, 40
	if s.wide {
		hdr, pe, se = 64, 56, 64
	}
	clear(b[:min(hdr+pe*s.phnum, len(b))])
	copy(b, "\x7fELF\x01\x01\x01")
	if s.wide {
		b[4] = 2
	}
	if s.big {
		b[5] = 2
	}
	o.PutUint16(b[16:], 2)
	o.PutUint16(b[18:], 62)
	o.PutUint32(b[20:], 1)
	w := func(at32, at64 int, v uint64) {
		if s.wide {
			o.PutUint64(b[at64:], v)
		} else {
			o.PutUint32(b[at32:], uint32(v))
		}
	}
	w(24, 24, s.entry)
	w(28, 32, uint64(hdr))
	w(32, 40, shoff)
	t := 40
	if s.wide {
		t = 52
	}
	for i, v := range []int{hdr, pe, s.phnum, s.shentsize, s.shnum} {
		o.PutUint16(b[t+2*i:], uint16(v))
	}
	for i := range s.phnum {
		at := hdr + i*pe
		if at+pe > len(b) {
			break
		}
		o.PutUint32(b[at:], 1)
		w(at+4, at+8, s.off+0x200*uint64(i))
		w(at+8, at+16, s.vaddr+0x200000*uint64(i))
		w(at+16, at+32, 0x400)
		w(at+20, at+40, 0x400)
	}
	for i, c := range s.secs {
		at := shoff + i*se
		clear(b[at : at+se])
		o.PutUint32(b[at+4:], 1)
		w(at+16, at+24, c[0])
		w(at+20, at+32, c[1])
	}
	return b
}

// machoSpec is a Mach-O file of one segment and a thread.
type machoSpec struct {
	wide, big bool
	cpu       uint32
	pc        uint64
	align     uint32
	thread    bool
	seed      uint64
}

func (s machoSpec) build() []byte {
	b := fill(0x1800, s.seed)
	var o binary.AppendByteOrder = binary.LittleEndian
	if s.big {
		o = binary.BigEndian
	}
	magic, seg := uint32(0xfeedface), uint32(1)
	if s.wide {
		magic, seg = 0xfeedfacf, 0x19
	}
	w := func(h []byte, v uint64) []byte {
		if s.wide {
			return o.AppendUint64(h, v)
		}
		return o.AppendUint32(h, uint32(v))
	}
	name := func(h []byte, n string) []byte { return append(h, n+strings.Repeat("\x00", 16-len(n))...) }
	var cmds []byte
	c := name(nil, "__TEXT")
	for _, v := range []uint64{0x1000, 0x1000, 0, 0x1000} {
		c = w(c, v)
	}
	for _, v := range []uint32{7, 5, 2, 0} {
		c = o.AppendUint32(c, v)
	}
	for i := range uint64(2) {
		c = name(name(c, "__text"), "__TEXT")
		c = w(c, 0x1400+0x200*i)
		c = w(c, 0x155)
		c = o.AppendUint32(c, uint32(0x400+0x200*i))
		c = o.AppendUint32(c, s.align)
		for range 5 {
			c = o.AppendUint32(c, 0)
		}
		if s.wide {
			c = o.AppendUint32(c, 0)
		}
	}
	cmds = o.AppendUint32(cmds, seg)
	cmds = o.AppendUint32(cmds, uint32(len(c)+8))
	cmds = append(cmds, c...)
	n := uint32(1)
	if s.thread {
		n++
		state := make([]byte, 312)
		switch s.cpu {
		case 7:
			state = state[:64]
			copy(state[40:], o.AppendUint32(nil, uint32(s.pc)))
		case 18:
			state = state[:160]
			copy(state, o.AppendUint32(nil, uint32(s.pc)))
		default:
			copy(state, o.AppendUint64(nil, s.pc))
		}
		cmds = o.AppendUint32(cmds, 5)
		cmds = o.AppendUint32(cmds, uint32(len(state)+16))
		cmds = o.AppendUint32(cmds, 1)
		cmds = o.AppendUint32(cmds, uint32(len(state)/4))
		cmds = append(cmds, state...)
	}
	h := o.AppendUint32(nil, magic)
	for _, v := range []uint32{s.cpu, 0, 2, n, uint32(len(cmds)), 0} {
		h = o.AppendUint32(h, v)
	}
	if s.wide {
		h = o.AppendUint32(h, 0)
	}
	copy(b, append(h, cmds...))
	return b
}
