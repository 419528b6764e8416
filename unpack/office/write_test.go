package office

import (
	"bytes"
	"path"
	"slices"
	"unicode/utf16"

	"github.com/showcause/showcause"
)

// leaf is a stream of a compound file that is built, by its path.
type leaf struct {
	path string
	data []byte
}

// compoundFile writes a compound file; storages are made as paths need them. edit may
// change the directory's entries, of 128 bytes each, before they are written.
func compoundFile(shift int, class string, leaves []leaf, edit func(dir []byte)) []byte {
	size := 1 << shift
	type entry struct {
		name                     string
		kind                     byte
		left, right, child, from uint32
		n                        int
	}
	const none, end = 0xffffffff, 0xfffffffe
	entries := []entry{{name: "Root Entry", kind: 5, left: none, right: none, child: none, from: end}}
	last := map[int]int{} // of a storage's children
	link := func(parent int, e entry) int {
		entries = append(entries, e)
		k := len(entries) - 1
		if l, ok := last[parent]; ok {
			entries[l].right = uint32(k)
		} else {
			entries[parent].child = uint32(k)
		}
		last[parent] = k
		return k
	}
	dirs := map[string]int{".": 0}
	var storage func(p string) int
	storage = func(p string) int {
		if i, ok := dirs[p]; ok {
			return i
		}
		i := link(storage(path.Dir(p)), entry{name: path.Base(p), kind: 1, left: none, right: none, child: none})
		dirs[p] = i
		return i
	}
	var sectors [][]byte
	var fat, minifat []uint32
	var mini []byte
	put := func(b []byte) uint32 {
		if len(b) == 0 {
			return end
		}
		first := uint32(len(sectors))
		for len(b) > 0 {
			s := make([]byte, size)
			b = b[copy(s, b):]
			sectors = append(sectors, s)
			fat = append(fat, uint32(len(sectors)))
		}
		fat[len(fat)-1] = end
		return first
	}
	for _, l := range leaves {
		e := entry{name: path.Base(l.path), kind: 2, left: none, right: none, child: none, n: len(l.data), from: end}
		if len(l.data) >= 4096 {
			e.from = put(l.data)
		} else if len(l.data) > 0 {
			e.from = uint32(len(mini) / 64)
			mini = append(mini, l.data...)
			for len(mini)%64 != 0 {
				mini = append(mini, 0)
			}
			for i := int(e.from) + 1; i <= len(mini)/64; i++ {
				minifat = append(minifat, uint32(i))
			}
			minifat[len(minifat)-1] = end
		}
		link(storage(path.Dir(l.path)), e)
	}
	words := func(list []uint32) (b []byte) {
		for _, v := range list {
			b = le.AppendUint32(b, v)
		}
		return b
	}
	firstMini := uint32(end)
	if len(mini) > 0 {
		entries[0].from, entries[0].n = put(mini), len(mini)
		for len(minifat)%(size/4) != 0 {
			minifat = append(minifat, none)
		}
		firstMini = put(words(minifat))
	}
	var dir []byte
	for _, e := range entries {
		b := make([]byte, 128)
		units := utf16.Encode([]rune(e.name))
		for i, u := range units {
			le.PutUint16(b[2*i:], u)
		}
		le.PutUint16(b[64:], uint16(2*len(units)+2))
		b[66], b[67] = e.kind, 1
		for at, v := range map[int]uint32{68: e.left, 72: e.right, 76: e.child, 116: e.from, 120: uint32(e.n)} {
			le.PutUint32(b[at:], v)
		}
		if e.kind == 5 {
			copy(b[80:96], class)
		}
		dir = append(dir, b...)
	}
	for len(dir)%size != 0 {
		b := make([]byte, 128)
		copy(b[68:], "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
		dir = append(dir, b...)
	}
	if edit != nil {
		edit(dir)
	}
	first := put(dir)
	tables := (len(sectors) + size/4) / (size / 4)
	head := make([]byte, size)
	copy(head, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
	copy(head[24:], "\x3e\x00\x03\x00\xfe\xff\x09\x00\x06\x00")
	if shift == 12 {
		head[26] = 4
	}
	head[30] = byte(shift)
	le.PutUint32(head[44:], uint32(tables))
	le.PutUint32(head[48:], first)
	le.PutUint32(head[56:], 4096)
	le.PutUint32(head[60:], firstMini)
	if firstMini != end {
		le.PutUint32(head[64:], uint32(len(minifat)*4/size))
	}
	le.PutUint32(head[68:], end)
	for i := range 109 {
		v := uint32(none)
		if i < tables {
			v = uint32(len(sectors) + i)
		}
		le.PutUint32(head[76+4*i:], v)
	}
	for range tables {
		fat = append(fat, 0xfffffffd)
	}
	for len(fat)%(size/4) != 0 {
		fat = append(fat, none)
	}
	return slices.Concat(head, bytes.Join(sectors, nil), words(fat))
}

var noLimits showcause.Limits
