package dex

import "unicode/utf8"

// Items are the tables as YARA-X shows them: entries that name something that is
// not there are left out, and what is after them moves up.
type Items struct {
	f       *File
	OK      bool     // the header and all tables are there
	strings []uint32 // offsets
	types   []uint32 // indexes of strings
	protos  [][3]uint32
	fields  [][2]uint32
	methods [][2]uint32
	classes [][4]uint32 // class, flags, super class, source file
}

// StringItem is a string; Size is its length in UTF-16.
type StringItem struct {
	Size  uint32
	Value string // UTF-8
}

// ProtoItem is the prototype of a method.
type ProtoItem struct {
	Shorty, Return StringItem
	Params         []StringItem
}

// Items reads the tables. They follow each other behind the header, whatever the
// header says of where they are.
func (f *File) Items() *Items {
	if f.items != nil {
		return f.items
	}
	t := &Items{f: f}
	f.items = t
	const forward, backward = 0x12345678, 0x78563412
	if f.HeaderSize != 112 || f.Endian != forward && f.Endian != backward || f.Types.Size > 0xffff || f.Protos.Size > 0xffff {
		return t
	}
	at := int64(112)
	if f.Version >= 41 {
		at += 8
	}
	ok := f.p.Has(0, at)
	each := func(table Table, words int, keep func(e []uint32)) {
		if table.Offset == 0 || !ok {
			return
		}
		size := 4 * int64(words)
		if ok = f.p.Has(at, int64(table.Size)*size); ok && table.Size > maxTable {
			f.p.Cut()
			ok = false
		}
		if !ok {
			return
		}
		for range table.Size {
			e := f.words(at, words)
			if e == nil {
				ok = false
				return
			}
			keep(e)
			at += size
		}
	}
	low, high := func(v uint32) int { return int(v & 0xffff) }, func(v uint32) int { return int(v >> 16) }
	each(f.Strings, 1, func(e []uint32) {
		if size, n := f.uleb(int64(e[0])); n != 0 && f.p.Has(int64(e[0])+n, int64(size)) {
			t.strings = append(t.strings, e[0])
		}
	})
	each(f.Types, 1, func(e []uint32) {
		if int64(e[0]) < int64(len(t.strings)) {
			t.types = append(t.types, e[0])
		}
	})
	each(f.Protos, 3, func(e []uint32) {
		if int64(e[0]) < int64(len(t.strings)) && int64(e[1]) < int64(len(t.types)) {
			t.protos = append(t.protos, [3]uint32(e))
		}
	})
	each(f.Fields, 2, func(e []uint32) {
		if low(e[0]) < len(t.types) && high(e[0]) < len(t.types) && int64(e[1]) < int64(len(t.strings)) {
			t.fields = append(t.fields, [2]uint32(e))
		}
	})
	each(f.Methods, 2, func(e []uint32) {
		if low(e[0]) < len(t.types) && high(e[0]) < len(t.protos) && int64(e[1]) < int64(len(t.strings)) {
			t.methods = append(t.methods, [2]uint32(e))
		}
	})
	each(f.Classes, 8, func(e []uint32) {
		if int64(e[0]) < int64(len(t.types)) {
			t.classes = append(t.classes, [4]uint32{e[0], e[1], e[2], e[4]})
		}
	})
	if t.OK = ok; !ok {
		*t = Items{f: f}
	}
	return t
}

// Len are the lengths of the tables.
func (t *Items) Len() (strings, types, protos, fields, methods, classes int) {
	return len(t.strings), len(t.types), len(t.protos), len(t.fields), len(t.methods), len(t.classes)
}

// String is string i, which there must be.
func (t *Items) String(i int) StringItem {
	at := int64(t.strings[i])
	size, n := t.f.uleb(at)
	if size > maxString {
		t.f.p.Cut()
		return StringItem{Size: size}
	}
	return StringItem{size, modified(t.f.p.Bytes(at+n, int64(size)))}
}

// Type is type i, which there must be.
func (t *Items) Type(i int) StringItem { return t.String(int(t.types[i])) }

// Proto is prototype i, which there must be.
func (t *Items) Proto(i int) ProtoItem {
	e := t.protos[i]
	p := ProtoItem{Shorty: t.String(int(e[0])), Return: t.Type(int(e[1]))}
	n := t.f.words(int64(e[2]), 1)
	if e[2] == 0 || n == nil || !t.f.p.Has(int64(e[2])+4, 2*int64(n[0])) {
		return p
	}
	if n[0] > 0xffff {
		t.f.p.Cut()
		return p
	}
	// A type list has indexes of 16 bits; YARA-X reads them as 32, and finds what
	// it should not.
	for k := range int64(n[0]) {
		if b := t.f.p.Bytes(int64(e[2])+4+2*k, 2); b != nil {
			if idx := int(b[0]) | int(b[1])<<8; idx < len(t.types) {
				p.Params = append(p.Params, t.Type(idx))
			}
		}
	}
	return p
}

// Field is the class, the type and the name of field i, which there must be.
func (t *Items) Field(i int) (class, kind, name StringItem) {
	e := t.fields[i]
	return t.Type(int(e[0] & 0xffff)), t.Type(int(e[0] >> 16)), t.String(int(e[1]))
}

// Method is the class, the number of the prototype and the name of method i, which
// there must be.
func (t *Items) Method(i int) (class StringItem, proto int, name StringItem) {
	e := t.methods[i]
	return t.Type(int(e[0] & 0xffff)), int(e[0] >> 16), t.String(int(e[1]))
}

// Class is the class, its flags, its super class and its source file, nil where it
// has none.
func (t *Items) Class(i int) (class StringItem, flags uint32, super, source *StringItem) {
	e := t.classes[i]
	if int64(e[2]) < int64(len(t.types)) {
		s := t.Type(int(e[2]))
		super = &s
	}
	if int64(e[3]) < int64(len(t.strings)) {
		s := t.String(int(e[3]))
		source = &s
	}
	return t.Type(int(e[0])), e[1], super, source
}

// modified decodes Modified UTF-8, in which zero has two bytes and what is outside
// the first plane is a pair of surrogates of three bytes each.
func modified(b []byte) string {
	var out []byte
	for i := 0; i < len(b); {
		c, n := modifiedRune(b[i:])
		if c >= 0xd800 && c < 0xdc00 {
			if low, m := modifiedRune(b[i+n:]); low >= 0xdc00 && low < 0xe000 {
				c, n = 0x10000+(c-0xd800)<<10+(low-0xdc00), n+m
			}
		}
		out = utf8.AppendRune(out, c) // U+FFFD for a lone surrogate
		i += n
	}
	return string(out)
}

// modifiedRune decodes one unit of UTF-16, U+FFFD of one byte if there is none.
func modifiedRune(b []byte) (rune, int) {
	tail := func(i int) bool { return i < len(b) && b[i]&0xc0 == 0x80 }
	switch {
	case len(b) == 0:
		return utf8.RuneError, 0
	case b[0] < 0x80:
		return rune(b[0]), 1
	case b[0]&0xe0 == 0xc0 && tail(1):
		return rune(b[0]&0x1f)<<6 | rune(b[1]&0x3f), 2
	case b[0]&0xf0 == 0xe0 && tail(1) && tail(2):
		return rune(b[0]&0xf)<<12 | rune(b[1]&0x3f)<<6 | rune(b[2]&0x3f), 3
	}
	return utf8.RuneError, 1
}
