package fields

import (
	"crypto/sha1"
	"encoding/hex"
	"hash"
	"hash/adler32"
	"io"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/dex"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// dex has the fields of module dex, which the dialects have little in common in. Where
// both are taken, YARA-X's come first.
func (l *Layer) dex(d source.Dialect) getter {
	var f *dex.File
	if l.begins("dex\n") {
		f = dex.Parse(l.src, l.charge)
	}
	m := &dexModule{l: l, d: d, f: f}
	is := f != nil && x(d) && f.Items().OK
	if is {
		m.items = f.Items()
	}
	return l.telling(func() bool { return f != nil && f.Short() }, func(name string) (v module.Value, ok bool) {
		switch {
		case is:
			v, ok = m.new(name)
		case x(d):
			v, ok = noDex(d, name)
		}
		if !ok && d != source.YARAX && f != nil && f.Version <= 39 {
			v, ok = m.old(name)
		}
		return v, ok
	})
}

// noDex is what YARA-X says of a file that is none.
func noDex(d source.Dialect, name string) (module.Value, bool) {
	switch name {
	case "is_dex":
		return flag(d, false), true
	case "contains_string", "contains_method", "contains_class":
		return constant(flag(d, false)), true
	}
	return module.Value{}, false
}

type dexModule struct {
	l     *Layer
	d     source.Dialect
	f     *dex.File
	items *dex.Items
}

// header are the fields of the header.
func (m *dexModule) header(field string) module.Value {
	f := m.f
	field = strings.Replace(field, "_offset", "_off", 1)
	switch field {
	case "magic":
		if x(m.d) {
			return number(0x6465780a)
		}
		return module.TextValue(f.Magic)
	case "version":
		return number(f.Version)
	case "checksum":
		return number(f.Checksum)
	case "signature":
		if x(m.d) {
			return module.TextValue(hex.EncodeToString(f.Signature[:]))
		}
		return module.TextValue(string(f.Signature[:]))
	case "file_size":
		return number(f.FileSize)
	case "header_size":
		return number(f.HeaderSize)
	case "endian_tag":
		return number(f.Endian)
	case "map_off":
		return number(f.MapOffset)
	case "container_size":
		return numberIf(int64(f.Container.Size), f.Version >= 41)
	case "header_off":
		return numberIf(int64(f.Container.Offset), f.Version >= 41)
	}
	for prefix, t := range map[string]dex.Table{
		"link": f.Link, "string_ids": f.Strings, "type_ids": f.Types, "proto_ids": f.Protos, "field_ids": f.Fields,
		"method_ids": f.Methods, "class_defs": f.Classes, "data": f.Data,
	} {
		switch field {
		case prefix + "_size":
			return number(t.Size)
		case prefix + "_off":
			return number(t.Offset)
		}
	}
	return module.Value{}
}

// mapList is the map.
func (m *dexModule) mapList(field string) module.Value {
	switch field {
	case "size":
		n, ok := m.f.MapSize()
		return numberIf(int64(n), ok && (!x(m.d) || m.f.MapLen() == int64(n)))
	case "map_item", "items":
		return array(m.f.MapLen(), func(i int64, field string) module.Value {
			e, ok := m.f.MapItem(i)
			switch {
			case !ok:
			case field == "type":
				return number(e.Type)
			case field == "unused":
				return number(e.Unused)
			case field == "size":
				return number(e.Size)
			case field == "offset":
				return number(e.Offset)
			}
			return module.Value{}
		})
	}
	return module.Value{}
}

// old are the fields of YARA 4.
func (m *dexModule) old(name string) (module.Value, bool) {
	f := m.f
	raw := func(at int, t dex.Table, words int, read func(e []uint32, field string) module.Value) (module.Value, bool) {
		n := int64(t.Size)
		if f.Complete() < at {
			n = 0
		}
		return array(n, func(i int64, field string) module.Value {
			e := f.Entry(t, i, words)
			if e == nil {
				return module.Value{}
			}
			return read(e, field)
		}), true
	}
	switch name {
	case "header":
		return structure(row(m.header)), true
	case "map_list":
		if f.Complete() < 5 {
			return nothing(), true
		}
		return structure(row(m.mapList)), true
	case "string_ids":
		n := int64(f.Strings.Size)
		if f.Complete() < 1 {
			n = 0
		}
		return array(n, m.stringID), true
	case "type_ids":
		return raw(2, f.Types, 1, named("descriptor_idx"))
	case "proto_ids":
		return raw(3, f.Protos, 3, named("shorty_idx", "return_type_idx", "parameters_offset"))
	case "field_ids":
		return raw(4, f.Fields, 2, halves("class_idx", "type_idx", "name_idx"))
	case "method_ids":
		return raw(5, f.Methods, 2, halves("class_idx", "proto_idx", "name_idx"))
	case "class_defs":
		defs := dex.Table{Size: uint32(f.Members().Defs), Offset: f.Classes.Offset}
		return raw(5, defs, 8, named("class_idx", "access_flags", "super_class_idx", "interfaces_offset",
			"source_file_idx", "annotations_offset", "class_data_offset", "static_values_offset"))
	}
	return m.members(name)
}

// named reads numbers by their names.
func named(names ...string) func(e []uint32, field string) module.Value {
	return func(e []uint32, field string) module.Value {
		for i, n := range names {
			if n == field {
				return number(e[i])
			}
		}
		return module.Value{}
	}
}

// halves reads two numbers of 16 bits and one of 32.
func halves(names ...string) func(e []uint32, field string) module.Value {
	return func(e []uint32, field string) module.Value {
		return named(names...)([]uint32{e[0] & 0xffff, e[0] >> 16, e[1]}, field)
	}
}

func (m *dexModule) stringID(i int64, field string) module.Value {
	s, ok := m.f.String(i)
	switch {
	case !ok:
	case field == "offset":
		return number(s.Offset)
	case field == "size":
		return number(s.Size)
	case field == "value":
		return module.TextValue(s.Value)
	}
	return module.Value{}
}

// members are YARA's fields and functions of what classes define.
func (m *dexModule) members(name string) (module.Value, bool) {
	list := m.f.Members()
	switch name {
	case "number_of_fields":
		return numberIf(int64(len(list.Fields)), list.Complete), true
	case "number_of_methods":
		return numberIf(int64(len(list.Methods)), list.Complete), true
	case "class_data_item":
		return array(int64(len(list.Classes)), func(i int64, field string) module.Value {
			c := list.Classes[i]
			return named("static_fields_size", "instance_fields_size", "direct_methods_size", "virtual_methods_size")(
				[]uint32{c.Static, c.Instance, c.Direct, c.Virtual}, field)
		}), true
	case "field":
		all := shown(list.Fields, list.FieldTail)
		return array(int64(len(all)), func(i int64, field string) module.Value {
			return m.member(all[i], field, m.f.FieldNames)
		}), true
	case "method":
		all := shown(list.Methods, list.MethodTail)
		return array(int64(len(all)), func(i int64, field string) module.Value {
			switch {
			case field != "code_item":
				return m.member(all[i], field, m.f.MethodNames)
			case i == int64(len(list.Methods)):
				return nothing()
			}
			return structure(row(func(part string) module.Value { return m.code(all[i], part) }))
		}), true
	case "has_method", "has_class":
		return function(func(a []module.Value) module.Value { return m.has(name == "has_class", a) }), true
	}
	return module.Value{}, false
}

// shown is a list with what YARA shows after it.
func shown(list []dex.Member, tail *dex.Member) []dex.Member {
	if tail == nil {
		return list
	}
	return append(slices.Clone(list), *tail)
}

func (m *dexModule) member(e dex.Member, field string, names func(dex.Member) (string, string, string, [3]bool)) module.Value {
	switch field {
	case "class_name", "name", "proto":
		class, name, proto, have := names(e)
		for i, s := range []string{class, name, proto} {
			if []string{"class_name", "name", "proto"}[i] == field {
				return textIf(s, have[i])
			}
		}
	case "field_idx_diff", "method_idx_diff":
		return number(e.Diff)
	case "access_flags":
		return number(e.Flags)
	case "code_off":
		return number(e.Code)
	case "static", "direct":
		return module.IntValue(module.BoolValue(e.First).Int)
	case "instance", "virtual":
		return module.IntValue(module.BoolValue(!e.First).Int)
	}
	return module.Value{}
}

func (m *dexModule) code(e dex.Member, field string) module.Value {
	c, ok := m.f.Code(e)
	switch {
	case !ok:
	case field == "insns":
		return textIf(string(c.Insns), c.Insns != nil)
	default:
		return named("registers_size", "ins_size", "outs_size", "tries_size", "debug_info_off", "insns_size")(
			[]uint32{uint32(c.Registers), uint32(c.Ins), uint32(c.Outs), uint32(c.Tries), c.Debug, c.Size}, field)
	}
	return module.Value{}
}

// has looks for a method by its name, by its class and name, or for a class that
// has methods. A name that cannot be read is not what is looked for; a class that
// cannot be read bars nothing.
func (m *dexModule) has(class bool, a []module.Value) module.Value {
	list := m.f.Members()
	if !list.Complete {
		return module.Value{}
	}
	var wants []*want
	for _, v := range a {
		w, ok := m.l.want(v, m.d)
		if !ok {
			return module.Value{}
		}
		defer m.l.exhausted(&w)
		wants = append(wants, &w)
	}
	is := func(w *want, s string) bool {
		if w.kind == module.String { // as C compares
			a, _, _ := strings.Cut(w.text, "\x00")
			b, _, _ := strings.Cut(s, "\x00")
			return a == b
		}
		s, _, _ = strings.Cut(s, "\x00")
		return w.in(s, true)
	}
	for _, e := range list.Methods {
		c, n, _, have := m.f.MethodNames(e)
		switch {
		case class:
			if have[0] && is(wants[0], c) {
				return module.IntValue(1)
			}
		case len(wants) == 2 && have[0] && !is(wants[0], c):
		case have[1] && is(wants[len(wants)-1], n):
			return module.IntValue(1)
		}
	}
	return module.IntValue(0)
}

// item is a string of YARA-X.
func (m *dexModule) item(s dex.StringItem) module.Value {
	return structure(module.Tree{"size": number(s.Size), "value": module.TextValue(s.Value)})
}

func (m *dexModule) maybe(s *dex.StringItem) module.Value {
	if s == nil {
		return nothing()
	}
	return m.item(*s)
}

// each is an array of structures with two fields, from strings.
func (m *dexModule) each(n int, at func(i int) dex.StringItem) module.Value {
	return module.Value{Kind: module.Array, Ref: rows{int64(n), func(i int64) module.Value { return m.item(at(int(i))) }}}
}

// new are the fields of YARA-X.
func (m *dexModule) new(name string) (module.Value, bool) {
	strs, types, protos, fields, methods, classes := m.items.Len()
	switch name {
	case "is_dex":
		return flag(m.d, true), true
	case "header":
		return structure(row(m.header)), true
	case "map_list":
		return structure(row(m.mapList)), true
	case "string_items":
		return m.each(strs, m.items.String), true
	case "types":
		return m.each(types, m.items.Type), true
	case "protos":
		return array(int64(protos), func(i int64, field string) module.Value { return m.proto(int(i), field) }), true
	case "fields":
		return array(int64(fields), func(i int64, field string) module.Value {
			class, kind, name := m.items.Field(int(i))
			return module.Tree{"class": m.item(class), "type": m.item(kind), "name": m.item(name)}[field]
		}), true
	case "methods":
		return array(int64(methods), func(i int64, field string) module.Value {
			class, proto, name := m.items.Method(int(i))
			switch field {
			case "class":
				return m.item(class)
			case "name":
				return m.item(name)
			}
			return structure(row(func(part string) module.Value { return m.proto(proto, part) }))
		}), true
	case "classes":
		return array(int64(classes), func(i int64, field string) module.Value {
			class, flags, super, source := m.items.Class(int(i))
			return module.Tree{"class": m.item(class), "access_flags": number(flags), "superclass": m.maybe(super), "source_file": m.maybe(source)}[field]
		}), true
	}
	return m.ask(name, strs, methods, classes)
}

func (m *dexModule) proto(i int, field string) module.Value {
	p := m.items.Proto(i)
	switch field {
	case "shorty":
		return m.item(p.Shorty)
	case "return_type":
		return m.item(p.Return)
	case "parameters_count":
		return number(len(p.Params))
	case "parameters":
		return m.each(len(p.Params), func(k int) dex.StringItem { return p.Params[k] })
	}
	return module.Value{}
}

// ask are the functions of YARA-X.
func (m *dexModule) ask(name string, strs, methods, classes int) (module.Value, bool) {
	contains := func(n int, at func(i int) dex.StringItem) (module.Value, bool) {
		return function(func(a []module.Value) module.Value {
			for i := range n {
				if at(i).Value == a[0].Text {
					return flag(m.d, true)
				}
				if m.f.Short() {
					break
				}
			}
			return flag(m.d, false)
		}), true
	}
	switch name {
	case "contains_string":
		return contains(strs, m.items.String)
	case "contains_method":
		return contains(methods, func(i int) dex.StringItem { _, _, n := m.items.Method(i); return n })
	case "contains_class":
		return contains(classes, func(i int) dex.StringItem { c, _, _, _ := m.items.Class(i); return c })
	case "checksum":
		return function(func([]module.Value) module.Value {
			h := adler32.New()
			ok := m.l.digest(h, 12)
			return numberIf(int64(h.Sum32()), ok)
		}), true
	case "signature":
		return function(func([]module.Value) module.Value {
			h := sha1.New()
			ok := m.l.digest(h, 32)
			return textIf(hex.EncodeToString(h.Sum(nil)), ok)
		}), true
	}
	return module.Value{}, false
}

// digest writes the layer from off on to h, false if it may not be read or cannot.
func (l *Layer) digest(h hash.Hash, off int64) bool {
	n := l.in.Size() - off
	if n < 0 || l.h.Read != nil && !l.h.Read(n) {
		l.gap(showcause.LimitWork)
		return false
	}
	got, err := io.Copy(h, bound.Reader(l.src, off, n))
	return err == nil && got == n
}
