package fields

import (
	"math"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/pe"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// The kinds of imports that are asked for.
const (
	importStandard = 1
	importDelayed  = 2
)

// function is a function of the module, nil if there is none of that name.
func (m *peModule) function(name string) module.Function {
	switch name {
	case "calculate_checksum":
		return m.checksum
	case "imphash":
		return func([]module.Value) module.Value { return module.TextValue(m.f.ImportHash()) }
	case "section_index":
		return m.sectionIndex
	case "exports":
		return m.exports
	case "exports_index":
		return m.exportsIndex
	case "imports":
		return m.importsFunction
	case "import_rva":
		return func(a []module.Value) module.Value { return m.importRVA(m.f.Imports, a) }
	case "delayed_import_rva":
		return func(a []module.Value) module.Value { return m.importRVA(m.f.Delayed, a) }
	case "locale":
		return func(a []module.Value) module.Value { return m.language(a, 0xFFFF) }
	case "language":
		return func(a []module.Value) module.Value { return m.language(a, 0xFF) }
	case "is_dll":
		return m.isDLL
	case "is_32bit":
		return func([]module.Value) module.Value {
			return flag(m.d, m.f.Magic == 0x10b || m.yara4() && !m.f.Is64())
		}
	case "is_64bit":
		return func([]module.Value) module.Value { return flag(m.d, m.f.Is64()) }
	case "rva_to_offset":
		return m.rvaToOffset
	}
	return nil
}

// defined is a function that is undefined for a file that is none of PE, and where
// an argument is undefined. YARA-X answers some questions of such files.
func (m *peModule) defined(name string, f module.Function) module.Function {
	return func(a []module.Value) module.Value {
		for _, v := range a {
			if !v.Defined() {
				return module.Value{}
			}
		}
		defer m.l.peGaps(m.f)
		if m.f.ok {
			return f(a)
		}
		if m.yara4() {
			return module.Value{}
		}
		switch name {
		case "exports", "locale", "language":
			return flag(m.d, false)
		case "imports":
			return imported(m.d, a, 0)
		}
		return module.Value{}
	}
}

// checksum reads the whole file.
func (m *peModule) checksum([]module.Value) module.Value {
	if m.l.h.Read != nil && !m.l.h.Read(m.l.in.Size()) {
		m.l.gap(showcause.LimitWork)
		return module.Value{}
	}
	return numberIf(m.f.ComputeChecksum())
}

func (m *peModule) isDLL([]module.Value) module.Value {
	if m.yara4() {
		return number(m.f.Characteristics & 0x2000)
	}
	return flag(m.d, m.f.Characteristics&0x2000 != 0)
}

func (m *peModule) rvaToOffset(a []module.Value) module.Value {
	if len(a) != 1 || a[0].Int < 0 && !m.yara4() {
		return module.Value{}
	}
	return numberIf(m.f.Offset(uint64(a[0].Int)))
}

// sectionIndex is the number of a section by its name, or by a file offset in it.
func (m *peModule) sectionIndex(a []module.Value) module.Value {
	if len(a) != 1 {
		return module.Value{}
	}
	for i := range m.f.Sections {
		s := &m.f.Sections[i]
		end := int64(s.RawOffset) + int64(s.RawSize)
		if !m.yara4() {
			end = min(end, math.MaxUint32)
		}
		if a[0].Kind == module.String && m.nameOf(s) == a[0].Text ||
			a[0].Kind == module.Int && a[0].Int >= int64(s.RawOffset) && a[0].Int < end {
			return number(i)
		}
	}
	return module.Value{}
}

// nameOf is a section's name as section_index compares it: in YARA 4 up to a zero.
func (m *peModule) nameOf(s *pe.Section) string {
	if m.yara4() {
		for i := range len(s.Name) {
			if s.Name[i] == 0 {
				return s.Name[:i]
			}
		}
	}
	return s.Name
}

// export is the index of the first function that is exported under a name, one
// that an expression matches, or a number; -1 if there is none.
func (m *peModule) export(a []module.Value) int {
	e := m.f.Exports()
	if len(a) != 1 || e == nil {
		return -1
	}
	w, ok := m.l.want(a[0], m.d)
	if !ok {
		return -1
	}
	defer m.l.exhausted(&w)
	if m.yara4() && w.kind == module.Int && (w.number == 0 || w.number > int64(len(e.Functions))) {
		return -1
	}
	for i := range e.Functions {
		x := &e.Functions[i]
		if w.kind == module.Int {
			if int64(x.Ordinal) == w.number {
				return i
			}
			continue
		}
		if x.Named && m.l.work(1) && w.in(x.Name, true) {
			return i
		}
	}
	return -1
}

func (m *peModule) exports(a []module.Value) module.Value { return flag(m.d, m.export(a) >= 0) }

func (m *peModule) exportsIndex(a []module.Value) module.Value {
	i := m.export(a)
	return numberIf(int64(i), i >= 0)
}

// importsFunction has eight forms: with the kinds of imports or without, a DLL, and
// of it a function, a number, or all.
func (m *peModule) importsFunction(a []module.Value) module.Value {
	kinds := int64(importStandard)
	if len(a) > 0 && a[0].Kind == module.Int {
		kinds, a = a[0].Int, a[1:]
	}
	if len(a) != 1 && len(a) != 2 {
		return module.Value{}
	}
	n := int64(0)
	if kinds&importStandard != 0 {
		n += m.countImports(m.f.Imports(), a)
	}
	if kinds&importDelayed != 0 {
		n += m.countImports(m.f.Delayed(), a)
	}
	return imported(m.d, a, n)
}

// imported is what a form of imports says where n functions were found: their
// number, or whether there are some.
func imported(d source.Dialect, a []module.Value, n int64) module.Value {
	if len(a) > 0 && a[0].Kind == module.Int {
		a = a[1:]
	}
	if len(a) == 1 || len(a) == 2 && a[1].Kind == module.Regexp {
		return number(n)
	}
	return flag(d, n > 0)
}

// countImports counts the functions that are asked for.
func (m *peModule) countImports(imports []pe.Import, a []module.Value) int64 {
	dll, ok := m.l.want(a[0], m.d)
	if !ok {
		return 0
	}
	var fn want
	if len(a) > 1 {
		if fn, ok = m.l.want(a[1], m.d); !ok {
			return 0
		}
	}
	defer m.l.exhausted(&dll)
	defer m.l.exhausted(&fn)
	n := int64(0)
	for i := range imports {
		if !m.l.work(1) || !dll.in(imports[i].Library, !m.yara4()) {
			continue
		}
		if len(a) == 1 {
			n += int64(len(imports[i].Functions))
			continue
		}
		for j := range imports[i].Functions {
			f := &imports[i].Functions[j]
			if fn.kind == module.Int && f.ByOrdinal && int64(f.Ordinal) == fn.number ||
				fn.kind != module.Int && fn.in(f.Name, !m.yara4()) {
				n++
			}
		}
	}
	return n
}

// importRVA is where the address of an imported function is put.
func (m *peModule) importRVA(read func() []pe.Import, a []module.Value) module.Value {
	if len(a) != 2 {
		return module.Value{}
	}
	for _, i := range read() {
		if !sameText(i.Library, a[0].Text) {
			continue
		}
		for _, f := range i.Functions {
			if a[1].Kind == module.String && sameText(f.Name, a[1].Text) ||
				a[1].Kind == module.Int && f.ByOrdinal && int64(f.Ordinal) == a[1].Int {
				return numberIf(int64(f.RVA), f.RVA != 0 || !m.yara4())
			}
		}
	}
	return module.Value{}
}

// language tells whether a resource has a language, in the bits of mask.
func (m *peModule) language(a []module.Value, mask int64) module.Value {
	r := m.f.Resources()
	if len(a) != 1 {
		return module.Value{}
	}
	if r == nil {
		return flag(m.d, false)
	}
	for i := range r.List {
		id := r.List[i].Language
		if id.Known && !id.Text() && int64(id.Number)&mask == a[0].Int {
			return flag(m.d, true)
		}
	}
	return flag(m.d, false)
}
