package fields

import (
	"crypto/md5"
	"encoding/hex"

	"github.com/showcause/showcause/binary/elf"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// elf has the fields of module elf.
func (l *Layer) elf(d source.Dialect) getter {
	var f *elf.File
	if l.begins("\x7fELF") {
		f = elf.Parse(l.src, elf.Options{X: x(d), Work: l.charge})
	}
	if f == nil {
		return gets(func(name string) (module.Value, bool) {
			// YARA-X has a hash of no names for whatever is no ELF file.
			if name == "import_md5" && x(d) {
				sum := md5.Sum(nil)
				return constant(module.TextValue(hex.EncodeToString(sum[:]))), true
			}
			return module.Value{}, false
		})
	}
	m := &elfModule{f: f, d: d}
	return l.telling(f.Short, m.field)
}

// constant is a function that has one answer.
func constant(v module.Value) module.Value {
	return function(func([]module.Value) module.Value { return v })
}

type elfModule struct {
	f *elf.File
	d source.Dialect
}

func (m *elfModule) field(name string) (module.Value, bool) {
	f := m.f
	switch name {
	case "type":
		return number(f.Type), true
	case "machine":
		return number(f.Machine), true
	case "osabi":
		return number(f.OSABI), true
	case "entry_point":
		at, ok := f.Entry()
		return numberIf(int64(at), ok), true
	case "number_of_sections":
		return number(f.Sections), true
	case "sh_offset":
		return number(f.SectionOff), true
	case "sh_entry_size":
		return number(f.SectionEnt), true
	case "number_of_segments":
		return number(f.Programs), true
	case "ph_offset":
		return number(f.ProgramOff), true
	case "ph_entry_size":
		return number(f.ProgramEnt), true
	}
	return m.table(name)
}

// table are the arrays, their lengths, and the hashes.
func (m *elfModule) table(name string) (module.Value, bool) {
	f := m.f
	switch name {
	case "sections":
		return array(int64(f.SectionCount()), m.section), true
	case "segments":
		return array(int64(f.SegmentCount()), m.segment), true
	case "dynamic_section_entries":
		return numberIf(int64(len(f.Dynamic())), x(m.d) || f.HasDynamic()), true
	case "dynamic":
		list := f.Dynamic()
		return array(int64(len(list)), func(i int64, name string) module.Value {
			if name == "type" {
				return small(m.d, list[i].Tag)
			}
			return number(list[i].Value)
		}), true
	case "symtab_entries", "dynsym_entries":
		t := f.Symbols(name == "dynsym_entries")
		return numberIf(t.Len(), t != nil || x(m.d) && f.SectionCount() > 0), true
	case "symtab", "dynsym":
		t := f.Symbols(name == "dynsym")
		return array(t.Len(), func(i int64, name string) module.Value { return m.symbol(t, i, name) }), true
	case "telfhash":
		return function(func([]module.Value) module.Value { return textIf(f.Telfhash()) }), true
	case "import_md5":
		return function(func([]module.Value) module.Value { return textIf(f.ImportMD5()) }), true
	}
	return module.Value{}, false
}

func (m *elfModule) section(i int64, field string) module.Value {
	s, ok := m.f.Section(int(i))
	switch {
	case !ok:
		return module.Value{}
	case field == "type":
		return small(m.d, uint64(s.Type))
	case field == "flags":
		return number(s.Flags)
	case field == "address":
		return number(s.Address)
	case field == "size":
		return number(s.Size)
	case field == "offset":
		return number(s.Offset)
	case field == "name" && s.Named:
		return name(m.d, s.Name)
	}
	return module.Value{}
}

func (m *elfModule) segment(i int64, field string) module.Value {
	s, ok := m.f.Segment(int(i))
	if !ok {
		return module.Value{}
	}
	switch field {
	case "type":
		return small(m.d, uint64(s.Type))
	case "flags":
		return number(s.Flags)
	case "offset":
		return number(s.Offset)
	case "virtual_address":
		return number(s.Virtual)
	case "physical_address":
		return number(s.Physical)
	case "file_size":
		return number(s.FileSize)
	case "memory_size":
		return number(s.MemSize)
	case "alignment":
		return number(s.Align)
	}
	return module.Value{}
}

func (m *elfModule) symbol(t *elf.Table, i int64, field string) module.Value {
	s, ok := t.At(i)
	switch {
	case !ok:
		return module.Value{}
	case field == "name" && s.Named:
		return name(m.d, s.Name)
	case field == "value":
		return number(s.Value)
	case field == "size":
		return number(s.Size)
	case field == "type":
		return number(s.Type)
	case field == "bind":
		return number(s.Bind)
	case field == "shndx":
		return number(s.Section)
	case field == "visibility":
		return number(s.Visible)
	}
	return module.Value{}
}
