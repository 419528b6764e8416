package macho

import (
	"slices"
	"strings"

	"github.com/showcause/showcause/internal/bound"
)

// lists that are read when asked for
const (
	listExports = iota
	listImports
	listStrings
)

// Strings are the texts in the table of symbol names, in its order, without those
// that are blank.
func (i *Image) Strings() []string {
	if i.done[listStrings] || i.Symtab == nil {
		return i.strings
	}
	i.done[listStrings] = true
	at, size := int64(i.Symtab.StrOff), int64(i.Symtab.StrSize)
	if !i.p.Has(at, size) {
		return nil
	}
	for end := at + size; at < end; {
		text, ended := i.p.Text(at, min(end-at, maxName))
		if strings.TrimSpace(text) != "" {
			if !i.f.keep(text) {
				break
			}
			i.strings = append(i.strings, text)
		}
		if text == "" && !ended {
			break
		}
		if at += int64(len(text)); ended {
			at++
		}
	}
	return i.strings
}

// reader reads a stretch of the image in order.
type reader struct {
	i       *Image
	at, end int64
	bad     bool
}

// stretch returns a reader of n bytes at off, nil if they are not all there.
func (i *Image) stretch(off, n uint32) *reader {
	if n == 0 || !i.p.Has(int64(off), int64(n)) {
		return nil
	}
	return &reader{i: i, at: int64(off), end: int64(off) + int64(n)}
}

// byte reads one byte, 0 past the end.
func (r *reader) byte() byte {
	if r.at >= r.end {
		r.bad = true
		return 0
	}
	b := r.i.p.Bytes(r.at, 1)
	r.at++
	if b == nil {
		r.bad = true
		return 0
	}
	return b[0]
}

// uleb reads a number in base 128, of 64 bits at most.
func (r *reader) uleb() uint64 {
	var v uint64
	for shift := 0; shift < 64; shift += 7 {
		b := r.byte()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	r.bad = true
	return 0
}

// text reads a text that ends in a zero.
func (r *reader) text() string {
	s, ended := r.i.p.Text(r.at, min(r.end-r.at, maxName))
	r.at += int64(len(s)) + 1
	if !ended {
		r.bad = true
	}
	return s
}

// Exports are the names in the trie of exports, deepest branch of the last edge
// first.
func (i *Image) Exports() []string {
	if !i.done[listExports] {
		i.done[listExports] = true
		if d := i.DyldInfo; d != nil {
			i.exports(i.stretch(d[8], d[9]))
		}
		if i.trie != nil {
			i.exports(i.stretch(i.trie.Offset, i.trie.Size))
		}
	}
	return i.lists[listExports]
}

// node is a node of the trie that is to be read.
type node struct {
	at     int64
	parent int // in the list of those that were read; -1: none
	label  string
}

func (i *Image) exports(r *reader) {
	if r == nil {
		return
	}
	base := r.at
	todo, read, seen := []node{{at: base, parent: -1}}, []node(nil), map[int64]bool{}
	for len(todo) > 0 && !r.bad {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[n.at] || n.at >= r.end {
			continue
		}
		seen[n.at] = true
		read = append(read, n)
		r.at = n.at
		size := r.uleb()
		if size > uint64(r.end-r.at) {
			return
		}
		next := r.at + int64(size)
		if size != 0 {
			name := i.name(read, len(read)-1)
			if r.bad || !i.f.keep(name) {
				return
			}
			i.lists[listExports] = append(i.lists[listExports], name)
		}
		r.at = next
		for edges := r.byte(); edges > 0 && !r.bad; edges-- {
			label := r.text()
			off := r.uleb()
			if r.bad || !i.f.keep(label) {
				return
			}
			if off < uint64(r.end-base) {
				todo = append(todo, node{base + int64(off), len(read) - 1, label})
			}
		}
	}
}

// name joins the labels on the way to a node.
func (i *Image) name(read []node, at int) string {
	var labels []string
	total := 0
	for ; at >= 0 && total < maxName && i.p.Step(1); at = read[at].parent {
		labels = append(labels, read[at].label)
		total += len(read[at].label)
	}
	slices.Reverse(labels)
	return strings.Join(labels, "")
}

// Imports are the names that are bound, of the tables of bindings in their order
// (now, lazily, weakly) and then of the chained fixups.
func (i *Image) Imports() []string {
	if i.done[listImports] {
		return i.lists[listImports]
	}
	i.done[listImports] = true
	if d := i.DyldInfo; d != nil {
		for _, at := range []int{2, 6, 4} {
			i.bindings(i.stretch(d[at], d[at+1]))
		}
	}
	if i.fixups != nil {
		i.chained(*i.fixups)
	}
	return i.lists[listImports]
}

func (i *Image) imported(name string) bool {
	if !i.f.keep(name) {
		return false
	}
	i.lists[listImports] = append(i.lists[listImports], name)
	return true
}

// bindings runs through the instructions of a table.
func (i *Image) bindings(r *reader) {
	for r != nil && r.at < r.end && !r.bad {
		switch r.byte() & 0xf0 {
		case 0x20, 0x60, 0x70, 0x80, 0xa0: // one number: ordinal, addend, offset, address
			r.uleb()
		case 0xc0: // count and skip
			r.uleb()
			r.uleb()
		case 0x40:
			if name := r.text(); r.bad || !i.imported(name) {
				return
			}
		}
	}
}

// chained reads the table of imports of chained fixups.
func (i *Image) chained(d Data) {
	if !i.p.Has(int64(d.Offset), int64(d.Size)) {
		return
	}
	h := i.p.Bytes(int64(d.Offset), 28)
	if h == nil || d.Size < 28 {
		return
	}
	imports, names := int64(i.order.Uint32(h[8:])), int64(i.order.Uint32(h[12:]))
	count, format := int64(i.order.Uint32(h[16:])), i.order.Uint32(h[20:])
	size := map[uint32]int64{1: 4, 2: 8, 3: 16}[format]
	if size == 0 || i.order.Uint32(h[24:]) != 0 || !bound.In(imports, count*size, int64(d.Size)) || names >= int64(d.Size) {
		return
	}
	for n := range count {
		at := int64(d.Offset) + imports + n*size
		v, ok := i.p.Uint(i.order, at, int(min(size, 8)))
		name := int64(v >> 32)
		switch format {
		case 1:
			name = int64(v >> 9)
		case 2: // the number and its addend, which is not wanted
			if v, ok = i.p.Uint(i.order, at, 4); ok {
				name = int64(v >> 9)
			}
		}
		if !ok {
			return
		}
		if name >= int64(d.Size)-names {
			continue
		}
		text, ended := i.p.Text(int64(d.Offset)+names+name, min(int64(d.Size)-names-name, maxName))
		if ended && !i.imported(text) || !i.p.Step(1) {
			return
		}
	}
}
