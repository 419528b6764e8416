package estate

import (
	"encoding/binary"
	"slices"
	"unicode/utf16"
)

var le = binary.LittleEndian

// Key is a key of a registry hive. Values are texts (string) or numbers (uint32).
type Key struct {
	Values map[string]any
	Keys   map[string]*Key
}

// Set sets a value of the key at a path, "\" between names, and makes the keys on the way.
func (k *Key) Set(path, name string, value any) {
	at := k
	for len(path) > 0 {
		part, rest := path, ""
		for i := range path {
			if path[i] == '\\' {
				part, rest = path[:i], path[i+1:]
				break
			}
		}
		if at.Keys == nil {
			at.Keys = map[string]*Key{}
		}
		if at.Keys[part] == nil {
			at.Keys[part] = &Key{}
		}
		at, path = at.Keys[part], rest
	}
	if name == "" {
		return
	}
	if at.Values == nil {
		at.Values = map[string]any{}
	}
	at.Values[name] = value
}

type hive struct{ b []byte }

// cell adds a cell in use and returns its offset from the first bin.
func (h *hive) cell(content []byte) uint32 {
	off := uint32(len(h.b))
	n := (len(content) + 4 + 7) &^ 7
	h.b = le.AppendUint32(h.b, uint32(-int32(n)))
	h.b = append(h.b, content...)
	h.b = append(h.b, make([]byte, n-4-len(content))...)
	return off
}

func wide(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = le.AppendUint16(b, u)
	}
	return b
}

func sorted[V any](m map[string]V) []string {
	var out []string
	for n := range m {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

func (h *hive) value(name string, v any) uint32 {
	var data []byte
	kind := uint32(1)
	switch v := v.(type) {
	case string:
		data = append(wide(v), 0, 0)
	case uint32:
		kind, data = 4, le.AppendUint32(nil, v)
	case []byte:
		kind, data = 3, v
	}
	size, at := uint32(len(data)), uint32(0)
	switch {
	case len(data) <= 4:
		size |= 0x80000000
		at = le.Uint32(append(slices.Clone(data), 0, 0, 0, 0))
	case len(data) > 16344:
		var list []byte
		n := 0
		for p := range slices.Chunk(data, 16344) {
			list = le.AppendUint32(list, h.cell(p))
			n++
		}
		db := append([]byte("db"), byte(n), byte(n>>8))
		at = h.cell(append(le.AppendUint32(db, h.cell(list)), 0, 0, 0, 0))
	default:
		at = h.cell(data)
	}
	b := le.AppendUint16([]byte("vk"), uint16(len(name)))
	b = le.AppendUint32(b, size)
	b = le.AppendUint32(b, at)
	b = le.AppendUint32(b, kind)
	b = append(b, 1, 0, 0, 0)
	return h.cell(append(b, name...))
}

func (h *hive) key(name string, k *Key, root bool) uint32 {
	var subs, vals []byte
	var children []uint32
	for _, n := range sorted(k.Keys) {
		children = append(children, h.key(n, k.Keys[n], false))
		subs = le.AppendUint32(subs, children[len(children)-1])
		subs = append(subs, 0, 0, 0, 0)
	}
	for _, n := range sorted(k.Values) {
		vals = le.AppendUint32(vals, h.value(n, k.Values[n]))
	}
	b := make([]byte, 76)
	copy(b, "nk")
	flags := uint16(0x20)
	if root {
		flags |= 0x0c
	}
	le.PutUint16(b[2:], flags)
	none := ^uint32(0)
	for _, at := range []int{28, 32, 40, 44, 48} {
		le.PutUint32(b[at:], none)
	}
	le.PutUint32(b[20:], uint32(len(k.Keys)))
	if len(subs) > 0 {
		head := append([]byte("lf"), byte(len(k.Keys)), byte(len(k.Keys)>>8))
		le.PutUint32(b[28:], h.cell(append(head, subs...)))
	}
	le.PutUint32(b[36:], uint32(len(k.Values)))
	if len(vals) > 0 {
		le.PutUint32(b[40:], h.cell(vals))
	}
	le.PutUint16(b[72:], uint16(len(name)))
	at := h.cell(append(b, name...))
	for _, c := range children {
		le.PutUint32(h.b[c+4+16:], at)
	}
	return at
}

// Hive is a registry hive.
func Hive(root *Key) []byte {
	h := &hive{b: make([]byte, 32)}
	at := h.key("ROOT", root, true)
	if rest := (4096-len(h.b)%4096)%4096 + 4096; rest >= 8 { // the rest of the bin is one free cell
		h.b = append(le.AppendUint32(h.b, uint32(rest)), make([]byte, rest-4)...)
	}
	copy(h.b, "hbin")
	le.PutUint32(h.b[8:], uint32(len(h.b)))
	head := make([]byte, 4096)
	copy(head, "regf")
	le.PutUint32(head[4:], 1)
	le.PutUint32(head[8:], 1)
	le.PutUint32(head[20:], 1)
	le.PutUint32(head[24:], 5)
	le.PutUint32(head[32:], 1)
	le.PutUint32(head[36:], at)
	le.PutUint32(head[40:], uint32(len(h.b)))
	sum := uint32(0)
	for i := 0; i < 508; i += 4 {
		sum ^= le.Uint32(head[i:])
	}
	le.PutUint32(head[508:], sum)
	return append(head, h.b...)
}

// PE is a program for Windows with version information, signed by who, nil for nobody.
func PE(who *Person, version ...string) []byte {
	b := pe(version)
	if who == nil {
		return b
	}
	sum := peDigest(b)
	sig := who.authenticode(sum)
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	at := len(b)
	n := (8 + len(sig) + 7) &^ 7
	b = le.AppendUint32(b, uint32(n))
	b = append(b, 0, 2, 2, 0)
	b = append(b, sig...)
	b = append(b, make([]byte, at+n-len(b))...)
	le.PutUint32(b[securityEntry:], uint32(at))
	le.PutUint32(b[securityEntry+4:], uint32(n))
	return b
}

// Places in the headers that pe writes.
const (
	peAt          = 0x80
	optionalAt    = peAt + 24
	checksumAt    = optionalAt + 64
	directoriesAt = optionalAt + 112
	securityEntry = directoriesAt + 8*4
	sectionAt     = 0x400
	sectionRVA    = 0x1000
)

// pe is a file of one section, its resources.
func pe(version []string) []byte {
	res := resources(version)
	size := (len(res) + 0x1ff) &^ 0x1ff
	b := make([]byte, sectionAt+size)
	copy(b, "MZ")
	le.PutUint32(b[0x3c:], peAt)
	copy(b[peAt:], "PE\x00\x00")
	le.PutUint16(b[peAt+4:], 0x8664)
	le.PutUint16(b[peAt+6:], 1)
	le.PutUint16(b[peAt+20:], 240)
	le.PutUint16(b[peAt+22:], 0x22)
	o := b[optionalAt:]
	le.PutUint16(o, 0x20b)
	le.PutUint64(o[24:], 0x140000000)
	le.PutUint32(o[32:], 0x1000)
	le.PutUint32(o[36:], 0x200)
	le.PutUint16(o[40:], 6)
	le.PutUint16(o[48:], 6)
	le.PutUint32(o[56:], uint32(sectionRVA+(size+0xfff)&^0xfff))
	le.PutUint32(o[60:], sectionAt)
	le.PutUint16(o[68:], 3)
	le.PutUint32(o[108:], 16)
	le.PutUint32(b[directoriesAt+8*2:], sectionRVA)
	le.PutUint32(b[directoriesAt+8*2+4:], uint32(len(res)))
	s := b[optionalAt+240:]
	copy(s, ".rsrc")
	le.PutUint32(s[8:], uint32(len(res)))
	le.PutUint32(s[12:], sectionRVA)
	le.PutUint32(s[16:], uint32(size))
	le.PutUint32(s[20:], sectionAt)
	le.PutUint32(s[36:], 0x40000040)
	copy(b[sectionAt:], res)
	return b
}

// resources is a tree of resources with one, of type 16.
func resources(pairs []string) []byte {
	var b []byte
	dir := func(id, to uint32) {
		b = append(b, make([]byte, 12)...)
		b = append(b, 0, 0, 1, 0)
		b = le.AppendUint32(b, id)
		b = le.AppendUint32(b, to)
	}
	dir(16, 0x80000018)
	dir(1, 0x80000030)
	dir(0x409, 0x48)
	info := versionInfo(pairs)
	b = le.AppendUint32(b, sectionRVA+0x58)
	b = le.AppendUint32(b, uint32(len(info)))
	b = append(b, make([]byte, 8)...)
	return append(b, info...)
}

// block is a block of version information: its value, and blocks in it.
func block(name string, text bool, value []byte, in ...[]byte) []byte {
	b := make([]byte, 6)
	b = append(b, wide(name)...)
	b = append(b, 0, 0)
	pad := func() {
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
	}
	pad()
	b = append(b, value...)
	for _, c := range in {
		pad()
		b = append(b, c...)
	}
	n := len(value)
	if text {
		le.PutUint16(b[4:], 1)
		n /= 2
	}
	le.PutUint16(b[2:], uint16(n))
	le.PutUint16(b, uint16(len(b)))
	return b
}

func versionInfo(pairs []string) []byte {
	var list [][]byte
	for i := 0; i+1 < len(pairs); i += 2 {
		list = append(list, block(pairs[i], true, append(wide(pairs[i+1]), 0, 0)))
	}
	fixed := make([]byte, 52)
	le.PutUint32(fixed, 0xfeef04bd)
	return block("VS_VERSION_INFO", false, fixed, block("StringFileInfo", true, nil, block("040904b0", true, nil, list...)))
}
