package plant

import "bytes"

const (
	peAlign   = 0x200
	peSection = 0x1000
)

// pe writes a PE32 file (Microsoft, "PE Format"): contiguous sections after
// the headers, and a version resource in the last where it is asked for.
func (g *gen) pe(m *image, size int) (*canvas, error) {
	n := len(m.sizes)
	opt := m.lfanew + 24
	table := opt + 224
	header := (table + 40*n + peAlign - 1) &^ (peAlign - 1)
	var res *resource
	if len(m.vi) > 0 {
		res = newResource(m.vi)
		if len(res.data) > 60000 {
			return nil, TooLarge
		}
		m.sizes[n-1] = max(m.sizes[n-1], (len(res.data)+peAlign)&^(peAlign-1))
	}
	offs, entry, err := m.settle(header, peAlign)
	if err != nil {
		return nil, err
	}
	c := g.canvas(max(size, offs[n-1]+m.sizes[n-1]))
	dos := make([]byte, m.lfanew)
	copy(dos, "MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff")
	c.soft(0, dos)
	c.header(0, []byte("MZ"))
	c.header(60, le.AppendUint32(nil, uint32(m.lfanew)))
	coff := []byte("PE\x00\x00\x4c\x01")
	coff = le.AppendUint16(coff, uint16(n))
	c.header(m.lfanew, coff)
	c.soft(m.lfanew+8, make([]byte, 12))
	c.header(m.lfanew+20, []byte{224, 0})
	c.soft(m.lfanew+22, []byte{2, 1})
	va, rva := uint32((header+peSection-1)&^(peSection-1)), uint32(0)
	var secs []byte
	resVA := uint32(0)
	for i := range n {
		name := make([]byte, 8)
		copy(name, []string{".text", ".data", ".rdata", ".bss", ".aux"}[i%5])
		secs = append(secs, name...)
		if i == m.entrySec {
			rva = va + uint32(m.entryOff)
		}
		if i == n-1 {
			resVA = va
		}
		for _, v := range []uint32{uint32(m.sizes[i]), va, uint32(m.sizes[i]), uint32(offs[i]), 0, 0, 0, 0x60000020} {
			secs = le.AppendUint32(secs, v)
		}
		va += uint32((m.sizes[i] + peSection - 1) &^ (peSection - 1))
	}
	_ = entry
	c.optional(opt, header, rva, va)
	c.header(table, secs)
	c.soft(table+len(secs), make([]byte, header-table-len(secs)))
	if res != nil {
		dir := le.AppendUint32(nil, resVA)
		c.header(opt+96+16, le.AppendUint32(dir, uint32(len(res.data))))
		res.moveTo(resVA)
		c.header(offs[n-1], res.data)
		for i, at := range res.keys {
			c.vi = append(c.vi, offs[n-1]+at)
			for j := range m.vi[i].data {
				c.mask[offs[n-1]+at+j] = 0
			}
		}
	}
	return c, nil
}

// optional writes the optional header at opt.
func (c *canvas) optional(opt, header int, entry, image uint32) {
	b := make([]byte, 224)
	le.PutUint16(b, 0x10b)
	for at, v := range map[int]uint32{
		16: entry, 20: peSection, 28: 0x400000, 32: peSection, 36: peAlign, 40: 4, 48: 4, 56: image, 60: uint32(header),
		68: 2, 72: 0x100000, 76: 0x1000, 80: 0x100000, 84: 0x1000, 92: 16,
	} {
		le.PutUint32(b[at:], v)
	}
	c.soft(opt, b)
	for _, r := range [][2]int{{0, 2}, {16, 20}, {32, 40}, {60, 64}, {68, 70}, {92, 96}, {96 + 16, 96 + 24}} {
		c.header(opt+r[0], b[r[0]:r[1]])
	}
}

// resource is a resource section of one version resource.
type resource struct {
	data []byte
	keys []int // where the strings' keys begin
}

// The fixed places in a resource: three directories of one entry, and the data
// entry.
const (
	resEntry = 72
	resInfo  = 88
)

func (r *resource) moveTo(va uint32) { le.PutUint32(r.data[resEntry:], va+resInfo) }

// newResource makes a version resource with one string for each item, whose
// body is the string from its key on (Microsoft, "VS_VERSIONINFO structure").
func newResource(items []*item) *resource {
	var strs [][]byte
	for _, it := range items {
		b := []byte{0, 0, 4, 0, 1, 0}
		for i, v := range it.data {
			if it.mask[i] == 0 {
				v = 'a' * byte(1-i%2)
			}
			b = append(b, v)
		}
		if len(it.data)%2 == 1 {
			b = append(b, 0)
		}
		strs = append(strs, pad4(append(b, "\x00\x00\x00\x00v\x00a\x00l\x00u\x00e\x00\x00\x00"...)))
	}
	for _, s := range strs {
		le.PutUint16(s, uint16(len(s)))
	}
	head := func(valLen, typ uint16, key string) []byte {
		b := le.AppendUint16([]byte{0, 0}, valLen)
		b = append(le.AppendUint16(b, typ), wide(key)...)
		return pad4(append(b, 0, 0))
	}
	table := head(0, 1, "040904b0")
	var keys []int
	for _, s := range strs {
		keys = append(keys, len(table)+6)
		table = append(table, s...)
	}
	le.PutUint16(table, uint16(len(table)))
	info := head(0x34, 0, "VS_VERSION_INFO")
	fixed := make([]byte, 0x34)
	le.PutUint32(fixed, 0xfeef04bd)
	info = append(info, fixed...)
	sfi := head(0, 1, "StringFileInfo")
	at := len(info) + len(sfi)
	sfi = append(sfi, table...)
	le.PutUint16(sfi, uint16(len(sfi)))
	info = append(info, sfi...)
	le.PutUint16(info, uint16(len(info)))
	r := &resource{}
	dir := func(id, off uint32) {
		b := make([]byte, 16)
		le.PutUint16(b[14:], 1)
		r.data = append(r.data, le.AppendUint32(le.AppendUint32(b, id), off)...)
	}
	dir(16, 1<<31|24)
	dir(1, 1<<31|48)
	dir(0x409, resEntry)
	r.data = le.AppendUint32(r.data, 0)
	r.data = le.AppendUint32(r.data, uint32(len(info)))
	r.data = append(r.data, make([]byte, 8)...)
	r.data = append(r.data, info...)
	for _, k := range keys {
		r.keys = append(r.keys, resInfo+at+k)
	}
	return r
}

func wide(s string) []byte {
	var b bytes.Buffer
	for i := range len(s) {
		b.WriteByte(s[i])
		b.WriteByte(0)
	}
	return b.Bytes()
}

func pad4(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}
