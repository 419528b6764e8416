package dex

import "encoding/binary"

// Members are the fields and methods that the classes of a file define, as YARA
// lists them: class by class.
type Members struct {
	Classes []ClassData
	Fields  []Member
	Methods []Member
	Defs    int // definitions of classes that YARA came to
	// FieldTail and MethodTail are the last that did not fit and was not overwritten:
	// YARA shows what it had read, and does not count it.
	FieldTail, MethodTail *Member
	// Complete is false where YARA gave up in the middle and counts neither.
	Complete bool
}

// ClassData is how many members a class has.
type ClassData struct{ Static, Instance, Direct, Virtual uint32 }

// Member is a field or method of a class.
type Member struct {
	Index       uint32 // in the table of fields or methods
	Diff, Flags uint32
	Code        uint32 // offset of a method's code, 0 for none
	First       bool   // a static field or a direct method
}

// Code is the code of a method. Size is the number of its units of 16 bits.
type Code struct {
	Registers, Ins, Outs, Tries uint16
	Debug, Size                 uint32
	Insns                       []byte // nil if they are not all there
}

// Members reads the classes.
func (f *File) Members() *Members {
	if f.members != nil {
		return f.members
	}
	f.members = &Members{}
	if n, ok := f.MapSize(); f.Complete() < 5 || ok && f.MapLen() != int64(n) || !f.p.Has(int64(f.Classes.Offset), int64(f.Classes.Size)*32) {
		return f.members
	}
	f.members.Complete = true
	for i := range int64(f.Classes.Size) {
		c := f.Entry(f.Classes, i, 8)
		f.members.Defs++
		if c != nil && c[6] == 0 {
			continue
		}
		if c == nil || !f.class(int64(c[6])) {
			f.members.Complete = false
			break
		}
	}
	return f.members
}

// class reads the members of a class, false where YARA gives up.
func (f *File) class(at int64) bool {
	m := f.members
	if !f.p.Has(at, 16) {
		return false
	}
	var d ClassData
	for _, field := range []*uint32{&d.Static, &d.Instance, &d.Direct, &d.Virtual} {
		v, n := f.uleb(at)
		if n == 0 {
			return false
		}
		*field, at = v, at+n
	}
	if len(m.Classes) == maxTable {
		f.p.Cut()
		return false
	}
	m.Classes = append(m.Classes, d)
	for i, count := range []uint32{d.Static, d.Instance, d.Direct, d.Virtual} {
		next, ok := f.group(at, count, i)
		if !ok {
			return false
		}
		at = next
	}
	return f.p.Step(1)
}

// group reads the members of one kind: static and instance fields, direct and
// virtual methods. It returns where they end. The first that does not fit ends them. It
// is false where there are too many.
func (f *File) group(at int64, count uint32, kind int) (int64, bool) {
	list, tail, table, words := &f.members.Fields, &f.members.FieldTail, f.Fields, 2
	if kind >= 2 {
		list, tail, table, words = &f.members.Methods, &f.members.MethodTail, f.Methods, 3
	}
	index := uint32(0)
	for range count {
		if !f.p.Has(at, 4*int64(words)) {
			return at, true
		}
		m, next := Member{First: kind%2 == 0}, at
		for _, field := range []*uint32{&m.Diff, &m.Flags, &m.Code}[:words] {
			v, n := f.uleb(next)
			if n == 0 {
				return at, true
			}
			*field, next = v, next+n
		}
		index += m.Diff
		m.Index = index
		if index > maxIndex || index >= table.Size {
			*tail = &m
			return at, true
		}
		if len(*list) == maxTable {
			f.p.Cut()
			return at, false
		}
		*list, *tail = append(*list, m), nil
		at = next
	}
	return at, true
}

// FieldNames are the class, the name and the type of a field, each with whether it
// is there.
func (f *File) FieldNames(m Member) (class, name, proto string, have [3]bool) {
	e := f.Entry(f.Fields, int64(m.Index), 2)
	if e == nil {
		return
	}
	class, have[0] = f.typeName(int64(e[0] & 0xffff))
	name, have[1] = f.at(int64(e[1]))
	proto, have[2] = f.typeName(int64(e[0] >> 16))
	return
}

// MethodNames are the class, the name and the short form of the prototype of a
// method, each with whether it is there.
func (f *File) MethodNames(m Member) (class, name, proto string, have [3]bool) {
	e := f.Entry(f.Methods, int64(m.Index), 2)
	if e == nil {
		return
	}
	class, have[0] = f.typeName(int64(e[0] & 0xffff))
	name, have[1] = f.at(int64(e[1]))
	if p := f.Entry(f.Protos, int64(e[0]>>16), 3); p != nil {
		proto, have[2] = f.at(int64(p[0]))
	}
	return
}

// Code reads the code of a method, false if there is none.
func (f *File) Code(m Member) (c Code, ok bool) {
	b := f.p.Bytes(int64(m.Code), 16)
	if m.Code == 0 || b == nil {
		return c, false
	}
	half := binary.LittleEndian.Uint16
	c = Code{half(b), half(b[2:]), half(b[4:]), half(b[6:]), binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:]), nil}
	at, n := int64(m.Code)+16, 2*int64(c.Size)
	switch {
	case n == 0:
		c.Insns = []byte{}
	case n > maxString && f.p.Has(at, n):
		f.p.Cut()
	default:
		c.Insns = append(c.Insns, f.p.Bytes(at, n)...)
	}
	return c, true
}
