package fields

import (
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/dotnet"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// dotnetModule are the fields of module dotnet.
type dotnetModule struct {
	l  *Layer
	d  source.Dialect
	p  *peFile
	f  *dotnet.File
	ok bool
}

func (l *Layer) dotnet(d source.Dialect) getter {
	m := &dotnetModule{l: l, d: d}
	m.p = l.peOf(peReading(d))
	if m.p.ok {
		m.f, m.ok = dotnet.Parse(m.p.File, dotnet.Options{YARA4: d == source.YARA, Work: l.work})
	}
	if !m.ok {
		m.f = &dotnet.File{}
	}
	m.gaps()
	return m
}

// gaps tells of what could not be read.
func (m *dotnetModule) gaps() {
	if !m.ok {
		return
	}
	if m.f.Cut() {
		m.l.gap(showcause.LimitWork)
	}
	if m.f.Err() != nil {
		m.l.gap(showcause.Unreadable)
	}
}

// get finds a field.
func (m *dotnetModule) get(name string) (v module.Value, known bool) {
	defer m.gaps()
	if name == "is_dotnet" {
		if m.d == source.YARA && !m.p.ok {
			return module.Value{}, true // it says no only of PE files
		}
		return flag(m.d, m.ok), true
	}
	if of, ok := strings.CutPrefix(name, "number_of_"); ok {
		return m.number(of)
	}
	v, known = m.part(name)
	if known && !m.ok && v.Kind != module.Array && v.Kind != module.Struct {
		v = module.Value{}
	}
	return v, known
}

// part are the fields but the numbers of others. Of a file that is no assembly they
// are there and empty.
func (m *dotnetModule) part(name string) (module.Value, bool) {
	switch name {
	case "version":
		return textIf(m.f.Version, m.f.Version != "" || m.d != source.YARA), true
	case "module_name":
		if !m.ok {
			return module.Value{}, true
		}
		return textIf(m.f.ModuleName()), true
	case "typelib":
		if !m.ok {
			return module.Value{}, true
		}
		return textIf(m.f.TypeLib()), true
	case "assembly":
		return m.assembly(), true
	}
	return m.list(name)
}

// list are the fields that are arrays.
func (m *dotnetModule) list(name string) (module.Value, bool) {
	f := m.f
	if !m.ok {
		switch name {
		case "streams", "guids", "resources", "classes", "assembly_refs", "modulerefs", "constants", "user_strings", "field_offsets":
			return list(nil), true
		}
		return module.Value{}, false
	}
	var out []module.Value
	switch name {
	case "guids":
		return texts(f.GUIDs()), true
	case "modulerefs":
		return texts(f.ModuleRefs()), true
	case "constants":
		return texts(f.Constants()), true
	case "user_strings":
		return texts(f.UserStrings()), true
	case "streams":
		for _, s := range f.Streams {
			out = append(out, structure(module.Tree{"name": module.TextValue(s.Name), "offset": number(s.Offset), "size": number(s.Size)}))
		}
	case "field_offsets":
		for _, o := range f.FieldOffsets() {
			out = append(out, number(o))
		}
	case "resources":
		for _, r := range f.Resources() {
			out = append(out, structure(module.Tree{
				"name": textIf(r.Name, r.Named), "offset": numberIf(r.Offset, r.Placed), "length": numberIf(r.Length, r.Whole),
			}))
		}
	case "assembly_refs":
		for _, a := range f.AssemblyRefs() {
			out = append(out, structure(module.Tree{
				"name": textIf(a.Name, a.Named), "version": fourVersion(a.Version), "public_key_or_token": filled(a.KeyToken),
			}))
		}
	case "classes":
		classes := f.Classes()
		out = make([]module.Value, len(classes))
		for i := range classes {
			out[i] = structure(&dotnetClass{d: m.d, c: &classes[i]})
		}
	default:
		return module.Value{}, false
	}
	return list(out), true
}

// number is how many of something there are. In YARA 4 that of a table that the
// assembly does not have is undefined.
func (m *dotnetModule) number(of string) (module.Value, bool) {
	v, known := m.list(of)
	if !known {
		return module.Value{}, false
	}
	absent := false
	if m.ok && m.d == source.YARA {
		switch of {
		case "modulerefs":
			absent = !m.f.Has(dotnet.ModuleRefs)
		case "assembly_refs":
			absent = !m.f.Has(dotnet.AssemblyRefs)
		case "constants":
			absent = !m.f.Has(dotnet.Constants)
		case "resources":
			absent = !m.f.Has(dotnet.Resources)
		case "field_offsets":
			absent = !m.f.Has(dotnet.FieldData)
		case "classes":
			absent = !m.f.Has(dotnet.Types)
		}
	}
	items, _ := v.Ref.(module.Items)
	return numberIf(int64(items.Len()), m.ok && !absent), true
}

// fourVersion is a version of four numbers.
func fourVersion(v dotnet.Version) module.Value {
	return structure(module.Tree{
		"major": number(v.Major), "minor": number(v.Minor), "build_number": number(v.Build), "revision_number": number(v.Revision),
	})
}

func (m *dotnetModule) assembly() module.Value {
	if !m.ok {
		return structure(module.Tree{"version": structure(module.Tree{})})
	}
	a := m.f.Assembly()
	if a == nil {
		return structure(module.Tree{"version": structure(module.Tree{})})
	}
	return structure(module.Tree{"name": textIf(a.Name, a.Named), "culture": filled(a.Culture), "version": fourVersion(a.Version)})
}

// dotnetClass are the fields of a type.
type dotnetClass struct {
	d source.Dialect
	c *dotnet.Class
}

// Field is the field of that name.
func (k *dotnetClass) Field(name string) module.Value {
	c := k.c
	space, last, nested := cutLast(c.FullName)
	switch name {
	case "fullname":
		return textIf(c.FullName, c.Named)
	case "name":
		return textIf(last, c.Named)
	case "namespace":
		return textIf(space, c.Named && nested)
	case "visibility":
		return module.TextValue(c.Visibility)
	case "type":
		if c.Interface {
			return module.TextValue("interface")
		}
		return module.TextValue("class")
	case "abstract":
		return flag(k.d, c.Abstract)
	case "sealed":
		return flag(k.d, c.Sealed)
	case "number_of_generic_parameters":
		return number(len(c.Generics))
	case "generic_parameters":
		return texts(c.Generics)
	case "number_of_base_types":
		return number(len(c.Bases))
	case "base_types":
		return texts(c.Bases)
	case "number_of_methods":
		return number(len(c.Methods))
	case "methods":
		out := make([]module.Value, len(c.Methods))
		for i := range c.Methods {
			out[i] = method(k.d, &c.Methods[i])
		}
		return list(out)
	}
	return module.Value{}
}

// cutLast cuts a name before its last part.
func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}

// method are the fields of a method.
func method(d source.Dialect, m *dotnet.Method) module.Value {
	params := make([]module.Value, len(m.Parameters))
	for i, p := range m.Parameters {
		params[i] = structure(module.Tree{"name": module.TextValue(p.Name), "type": module.TextValue(p.Type)})
	}
	return structure(module.Tree{
		"name": module.TextValue(m.Name), "visibility": module.TextValue(m.Visibility), "static": flag(d, m.Static),
		"virtual": flag(d, m.Virtual), "final": flag(d, m.Final), "abstract": flag(d, m.Abstract),
		"return_type":          textIf(m.Returns, m.Returning),
		"number_of_parameters": number(len(params)), "parameters": list(params),
		"number_of_generic_parameters": number(len(m.Generics)), "generic_parameters": texts(m.Generics),
	})
}
