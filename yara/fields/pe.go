package fields

import (
	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/pe"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// peFile is a PE file in one reading, and what was made of it.
type peFile struct {
	*pe.File
	ok   bool
	data [][]byte // of the certificates, once read
}

// peReading is how a dialect reads PE files.
func peReading(d source.Dialect) pe.Reading {
	if d == source.YARA {
		return pe.YARA4
	}
	return pe.YARAX
}

// peOf is the layer as a PE file.
func (l *Layer) peOf(r pe.Reading) *peFile {
	if l.pes[r] == nil {
		src := l.src
		if b := l.in.Read(0, 2); len(b) == 2 && string(b) != "MZ" {
			src = showcause.Bytes(nil) // most layers: no page is read of them
		}
		f, ok := pe.Parse(src, pe.Options{Reading: r, Work: l.work})
		l.pes[r] = &peFile{File: f, ok: ok}
		l.peGaps(l.pes[r])
	}
	return l.pes[r]
}

// peGaps tells of what could not be read.
func (l *Layer) peGaps(f *peFile) {
	if f.Cut() {
		l.gap(showcause.LimitWork)
	}
	if f.Err() != nil {
		l.gap(showcause.Unreadable)
	}
}

// peModule are the fields of module pe.
type peModule struct {
	l *Layer
	d source.Dialect
	f *peFile

	sigs *peSignatures // once read
}

func (l *Layer) pe(d source.Dialect) getter { return &peModule{l: l, d: d, f: l.peOf(peReading(d))} }

// yara4 says whether values are those of YARA 4.
func (m *peModule) yara4() bool { return m.d == source.YARA }

// get finds a field.
func (m *peModule) get(name string) (v module.Value, known bool) {
	defer m.l.peGaps(m.f)
	if name == "is_pe" {
		return flag(m.d, m.f.ok), true
	}
	if f := m.function(name); f != nil {
		return function(m.defined(name, f)), true
	}
	if v, known = m.part(name); known {
		return v, true
	}
	if v, known = m.header(name); known && !m.f.ok {
		return module.Value{}, true
	}
	return v, known
}

// header are the fields of the headers.
func (m *peModule) header(name string) (module.Value, bool) {
	f := m.f
	switch name {
	case "machine":
		return number(f.Machine), true
	case "number_of_sections":
		if !m.yara4() {
			return number(len(f.Sections)), true
		}
		return number(f.NumberOfSections), true
	case "timestamp":
		return number(f.Timestamp), true
	case "pointer_to_symbol_table":
		return number(f.SymbolTable), true
	case "number_of_symbols":
		return number(f.NumberOfSymbols), true
	case "size_of_optional_header":
		return number(f.OptionalSize), true
	case "characteristics":
		return number(f.Characteristics), true
	case "entry_point":
		off, ok := f.Entry()
		if m.yara4() && !ok {
			return number(-1), true
		}
		return numberIf(off, ok), true
	case "entry_point_raw":
		return number(f.EntryPoint), true
	case "image_base":
		return number(f.ImageBase), true
	case "number_of_rva_and_sizes":
		return number(f.NumberOfRVAsAndSizes), true
	case "opthdr_magic":
		return number(f.Magic), true
	case "base_of_data":
		return numberIf(int64(f.BaseOfData), f.Magic != 0 && !f.Is64() || m.yara4() && !f.Is64()), true
	}
	return m.optional(name)
}

// optional are further fields of the optional header.
func (m *peModule) optional(name string) (module.Value, bool) {
	f := m.f
	switch name {
	case "size_of_code":
		return number(f.SizeOfCode), true
	case "size_of_initialized_data":
		return number(f.SizeOfData), true
	case "size_of_uninitialized_data":
		return number(f.SizeOfBSS), true
	case "base_of_code":
		return number(f.BaseOfCode), true
	case "section_alignment":
		return number(f.SectionAlignment), true
	case "file_alignment":
		return number(f.FileAlignment), true
	case "win32_version_value":
		return number(f.Win32Version), true
	case "size_of_image":
		return number(f.SizeOfImage), true
	case "size_of_headers":
		return number(f.SizeOfHeaders), true
	case "checksum":
		return number(f.Checksum), true
	case "subsystem":
		return number(f.Subsystem), true
	case "dll_characteristics":
		return number(f.DLLCharacteristics), true
	case "size_of_stack_reserve":
		return number(f.StackReserve), true
	case "size_of_stack_commit":
		return number(f.StackCommit), true
	case "size_of_heap_reserve":
		return number(f.HeapReserve), true
	case "size_of_heap_commit":
		return number(f.HeapCommit), true
	case "loader_flags":
		return number(f.LoaderFlags), true
	}
	return module.Value{}, false
}

// part are the fields that have parts, and their numbers. Of a file that is none of
// PE they are there and empty.
func (m *peModule) part(name string) (module.Value, bool) {
	f := m.f
	switch name {
	case "linker_version":
		return m.version(f.LinkerVersion, true), true
	case "os_version":
		return m.version(f.OSVersion, true), true
	case "image_version":
		return m.version(f.ImageVersion, true), true
	case "subsystem_version":
		return m.version(f.SubsystemVersion, true), true
	case "data_directories":
		return m.directories(), true
	case "sections":
		return m.sections(), true
	case "overlay":
		if !f.ok {
			return structure(module.Tree{}), true
		}
		off, size := f.Overlay()
		return structure(module.Tree{"offset": number(off), "size": number(size)}), true
	case "rich_signature":
		return m.rich(), true
	case "pdb_path":
		if !f.ok {
			return module.Value{}, true
		}
		return textIf(f.PDBPath()), true
	}
	if v, known := m.resource(name); known {
		return v, true
	}
	if v, known := m.linkage(name); known {
		return v, true
	}
	return m.signed(name)
}

// count is a number of a PE file.
func (m *peModule) count(n int) module.Value { return numberIf(int64(n), m.f.ok) }

// version is a version of two numbers.
func (m *peModule) version(v pe.Version, known bool) module.Value {
	if !m.f.ok || !known {
		return structure(module.Tree{})
	}
	return structure(module.Tree{"major": number(v.Major), "minor": number(v.Minor)})
}

func (m *peModule) directories() module.Value {
	if !m.f.ok {
		return list(nil)
	}
	var out []module.Value
	for _, d := range m.f.Directories() {
		out = append(out, structure(module.Tree{"virtual_address": number(d.Address), "size": number(d.Size)}))
	}
	return list(out)
}

func (m *peModule) sections() module.Value {
	if !m.f.ok {
		return list(nil)
	}
	var out []module.Value
	for i := range m.f.Sections {
		s := &m.f.Sections[i]
		out = append(out, structure(module.Tree{
			"name":                    module.TextValue(s.Name),
			"full_name":               textIf(s.FullName, s.Named),
			"characteristics":         number(s.Characteristics),
			"virtual_address":         number(s.VirtualAddress),
			"virtual_size":            number(s.VirtualSize),
			"raw_data_offset":         number(s.RawOffset),
			"raw_data_size":           number(s.RawSize),
			"pointer_to_relocations":  number(s.Relocations),
			"pointer_to_line_numbers": number(s.LineNumbers),
			"number_of_relocations":   number(s.NumberOfRelocations),
			"number_of_line_numbers":  number(s.NumberOfLineNumbers),
		}))
	}
	return list(out)
}

// resource are the fields of resources and version information.
func (m *peModule) resource(name string) (module.Value, bool) {
	f := m.f
	switch name {
	case "resources", "number_of_resources", "resource_timestamp", "resource_version",
		"version_info", "version_info_list", "number_of_version_infos":
	default:
		return module.Value{}, false
	}
	if !f.ok {
		switch name {
		case "resources", "version_info_list":
			return list(nil), true
		case "version_info":
			return module.Value{Kind: module.Map, Ref: newTable()}, true
		case "resource_version":
			return structure(module.Tree{}), true
		}
		return module.Value{}, true
	}
	r := f.Resources()
	known := r != nil
	if r == nil {
		r = &pe.Resources{}
	}
	switch name {
	case "resources":
		return m.resources(r), true
	case "number_of_resources":
		return number(len(r.List)), true
	case "resource_timestamp":
		return numberIf(int64(r.Timestamp), known), true
	case "resource_version":
		return m.version(r.Version, known), true
	case "number_of_version_infos":
		return number(len(f.Version())), true
	case "version_info":
		t := newTable()
		for _, p := range f.Version() {
			t.set(p.Key, p.Value)
		}
		return module.Value{Kind: module.Map, Ref: t}, true
	}
	var out []module.Value
	for _, p := range f.Version() {
		out = append(out, structure(module.Tree{"key": module.TextValue(p.Key), "value": module.TextValue(p.Value)}))
	}
	return list(out), true
}

// peResource is one resource. Names can be long, so that they are read if they are
// asked for.
type peResource struct {
	m *peModule
	r *pe.Resource
}

// Field is the field of that name.
func (r peResource) Field(name string) module.Value {
	switch name {
	case "rva":
		return number(r.r.RVA)
	case "offset":
		return numberIf(r.r.Offset, r.r.Placed)
	case "length":
		return number(r.r.Size)
	case "type":
		return r.m.id(r.r.Type)
	case "id":
		return r.m.id(r.r.Name)
	case "language":
		return r.m.id(r.r.Language)
	case "type_string":
		return textIf(r.m.f.IDText(r.r.Type))
	case "name_string":
		return textIf(r.m.f.IDText(r.r.Name))
	case "language_string":
		return textIf(r.m.f.IDText(r.r.Language))
	}
	return module.Value{}
}

// id is a number of a resource; those of YARA 4 have a sign.
func (m *peModule) id(i pe.ID) module.Value {
	n := int64(i.Number)
	if m.yara4() {
		n = int64(int32(i.Number))
	}
	return numberIf(n, i.Known && !i.Text())
}

func (m *peModule) resources(r *pe.Resources) module.Value {
	out := make([]module.Value, len(r.List))
	for i := range r.List {
		out[i] = structure(peResource{m, &r.List[i]})
	}
	return list(out)
}

// linkage are the fields of imports and exports.
func (m *peModule) linkage(name string) (module.Value, bool) {
	f := m.f
	switch name {
	case "number_of_imports", "number_of_imported_functions", "import_details":
		return m.imports(f.ok, f.Imports, name, "number_of_imports", "import_details"), true
	case "number_of_delayed_imports", "number_of_delayed_imported_functions", "delayed_import_details":
		return m.imports(f.ok, f.Delayed, name, "number_of_delayed_imports", "delayed_import_details"), true
	case "number_of_exports", "dll_name", "export_timestamp", "export_details":
	default:
		return module.Value{}, false
	}
	e := &pe.Exports{}
	known := false
	if f.ok && f.Exports() != nil {
		e, known = f.Exports(), true
	}
	switch name {
	case "number_of_exports":
		return m.count(len(e.Functions)), true
	case "dll_name":
		return textIf(e.DLL, known && e.Named), true
	case "export_timestamp":
		return numberIf(int64(e.Timestamp), known), true
	}
	out := make([]module.Value, len(e.Functions))
	for i := range e.Functions {
		x := &e.Functions[i]
		out[i] = structure(module.Tree{
			"name": textIf(x.Name, x.Named), "ordinal": number(x.Ordinal), "rva": number(x.RVA),
			"offset": numberIf(x.Offset, x.Placed), "forward_name": textIf(x.Forward, x.Forwarded),
		})
	}
	return list(out), true
}

// imports are the fields of one kind of imports.
func (m *peModule) imports(ok bool, read func() []pe.Import, name, total, details string) module.Value {
	var imports []pe.Import
	if ok {
		imports = read()
	}
	switch name {
	case total:
		return m.count(len(imports))
	case details:
		out := make([]module.Value, len(imports))
		for i := range imports {
			out[i] = m.imported(&imports[i])
		}
		return list(out)
	}
	n := 0
	for i := range imports {
		n += len(imports[i].Functions)
	}
	return m.count(n)
}

// imported is one DLL of which functions are imported.
func (m *peModule) imported(i *pe.Import) module.Value {
	functions := make([]module.Value, len(i.Functions))
	for j := range i.Functions {
		f := &i.Functions[j]
		functions[j] = structure(module.Tree{
			"name": module.TextValue(f.Name), "ordinal": numberIf(int64(f.Ordinal), f.ByOrdinal),
			"rva": numberIf(int64(f.RVA), f.RVA != 0 || !m.yara4()),
		})
	}
	return structure(module.Tree{
		"library_name": module.TextValue(i.Library), "number_of_functions": number(len(functions)), "functions": list(functions),
	})
}

// rich is the rich header.
func (m *peModule) rich() module.Value {
	var r *pe.Rich
	if m.f.ok {
		r = m.f.Rich()
	}
	count := func(version, tool func(a []module.Value) int64) module.Value {
		return function(func(a []module.Value) module.Value {
			if r == nil && m.yara4() {
				return module.Value{}
			}
			n := int64(0)
			if r != nil {
				for _, t := range r.Tools {
					v, id := version(a), tool(a)
					if (v < 0 || v == int64(t.Version)) && (id < 0 || id == int64(t.ID)) {
						n += int64(t.Times)
					}
				}
			}
			return number(n)
		})
	}
	arg := func(i int) func(a []module.Value) int64 {
		return func(a []module.Value) int64 {
			if i >= len(a) {
				return -1
			}
			if a[i].Int < 0 {
				return 1 << 32 // none has it
			}
			return a[i].Int
		}
	}
	t := module.Tree{"version": count(arg(0), arg(1)), "toolid": count(arg(1), arg(0))}
	if r != nil {
		t["offset"], t["length"], t["key"] = number(r.Offset), number(len(r.Raw)), number(r.Key)
		t["raw_data"], t["clear_data"] = module.TextValue(r.Raw), module.TextValue(r.Clear)
		t["version_data"] = module.TextValue(versionData(r))
	}
	var tools []module.Value
	if r != nil {
		for _, x := range r.Tools {
			tools = append(tools, structure(module.Tree{"toolid": number(x.ID), "version": number(x.Version), "times": number(x.Times)}))
		}
	}
	t["tools"] = list(tools)
	return structure(t)
}

// versionData are the tools of a rich header without how often they were used.
func versionData(r *pe.Rich) string {
	out := make([]byte, 0, 4*len(r.Tools))
	for _, t := range r.Tools {
		out = append(out, byte(t.Version), byte(t.Version>>8), byte(t.ID), byte(t.ID>>8))
	}
	return string(out)
}
