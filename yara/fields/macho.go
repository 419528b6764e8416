package fields

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/showcause/showcause/binary/macho"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// macho has the fields of module macho.
func (l *Layer) macho(d source.Dialect) getter {
	var f *macho.File
	if l.begins("\xfe\xed\xfa\xce", "\xce\xfa\xed\xfe", "\xfe\xed\xfa\xcf", "\xcf\xfa\xed\xfe",
		"\xca\xfe\xba\xbe", "\xbe\xba\xfe\xca", "\xca\xfe\xba\xbf", "\xbf\xba\xfe\xca") {
		f = macho.Parse(l.src, macho.Options{X: x(d), Work: l.charge})
	}
	m := &machoModule{d: d, f: f}
	if f == nil {
		m.f = &macho.File{}
		return gets(func(name string) (module.Value, bool) { return m.function(name) })
	}
	for _, i := range f.Images {
		if i != nil {
			m.images = append(m.images, i)
		}
	}
	// In YARA-X a fat file of which one part can be read is that part.
	if !f.Fat || x(d) && len(m.images) == 1 {
		m.thin = m.images[0]
	}
	return l.telling(f.Short, m.field)
}

type machoModule struct {
	d      source.Dialect
	f      *macho.File
	thin   *macho.Image   // whose fields the module has
	images []*macho.Image // those that can be read
}

func (m *machoModule) field(name string) (module.Value, bool) {
	if m.thin == nil {
		switch name {
		case "fat_magic":
			return number(m.f.FatMagic), true
		case "nfat_arch":
			return number(m.f.Declared), true
		case "fat_arch":
			return array(int64(len(m.f.Archs)), m.arch), true
		case "file":
			files := m.f.Images // as the table has them
			if x(m.d) {
				files = m.images
			}
			return array(int64(len(files)), func(i int64, field string) module.Value {
				if files[i] == nil {
					return module.Value{}
				}
				v, _ := m.image(files[i], field)
				return v
			}), true
		}
	} else if v, ok := m.image(m.thin, name); ok {
		return v, true
	}
	return m.function(name)
}

func (m *machoModule) arch(i int64, field string) module.Value {
	a := m.f.Archs[i]
	return module.Tree{
		"cputype": number(a.CPU), "cpusubtype": number(a.SubCPU), "offset": number(a.Offset), "size": number(a.Size),
		"align": number(a.Align), "reserved": number(a.Reserved),
	}[field]
}

// image are the fields of one architecture.
func (m *machoModule) image(i *macho.Image, name string) (module.Value, bool) {
	switch name {
	case "magic":
		return number(i.Magic), true
	case "cputype":
		return number(i.CPU), true
	case "cpusubtype":
		return number(i.SubCPU), true
	case "filetype":
		return number(i.Type), true
	case "ncmds":
		return number(i.Commands), true
	case "sizeofcmds":
		return number(i.CommandsSize), true
	case "flags":
		return number(i.HeadFlags), true
	case "reserved":
		return numberIf(int64(i.Reserved), i.Wide), true
	case "number_of_segments":
		if x(m.d) {
			return number(len(i.Segments)), true
		}
		return number(i.SegmentCount), true
	case "segments":
		return array(int64(len(i.Segments)), func(k int64, field string) module.Value { return m.segment(i, &i.Segments[k], field) }), true
	case "entry_point":
		at, ok := i.Entry()
		return numberIf(int64(at), ok), true
	case "stack_size":
		if i.StackSize == nil {
			return module.Value{}, true
		}
		return number(*i.StackSize), true
	}
	if !x(m.d) {
		return module.Value{}, false
	}
	return m.linked(i, name)
}

// linked are the fields that only YARA-X has.
func (m *machoModule) linked(i *macho.Image, name string) (module.Value, bool) {
	switch name {
	case "dynamic_linker":
		if i.Linker == nil {
			return module.Value{}, true
		}
		return module.TextValue(*i.Linker), true
	case "source_version":
		if i.Source == nil {
			return module.Value{}, true
		}
		v := *i.Source
		return module.TextValue(fmt.Sprintf("%d.%d.%d.%d.%d", v>>40, v>>30&0x3f, v>>20&0x3f, v>>10&0x3f, v&0x3f)), true
	case "dylibs":
		return array(int64(len(i.Dylibs)), func(k int64, field string) module.Value {
			l := i.Dylibs[k]
			return module.Tree{
				"name": module.TextValue(l.Name), "timestamp": number(l.Timestamp),
				"compatibility_version": version(l.Compat), "current_version": version(l.Current),
			}[field]
		}), true
	case "rpaths":
		return texts(i.Rpaths), true
	case "entitlements":
		return texts(i.Entitlements()), true
	case "exports":
		return utf8Texts(i.Exports()), true
	case "imports":
		return utf8Texts(i.Imports()), true
	case "uuid":
		return textIf(uuid(i.UUID), i.UUID != nil), true
	case "symtab", "dysymtab", "dyld_info", "code_signature_data", "certificates", "build_version", "min_version":
		return m.part(i, name), true
	}
	return module.Value{}, false
}

// part are the structures of one command each.
func (m *machoModule) part(i *macho.Image, name string) module.Value {
	var names []string
	var numbers []uint32
	switch {
	case name == "symtab" && i.Symtab != nil:
		s := i.Symtab
		return structure(row(func(field string) module.Value {
			if field == "entries" {
				return texts(i.Strings())
			}
			return named("symoff", "nsyms", "stroff", "strsize")([]uint32{s.SymOff, s.NSyms, s.StrOff, s.StrSize}, field)
		}))
	case name == "dysymtab" && i.Dysymtab != nil:
		names = strings.Fields("ilocalsym nlocalsym iextdefsym nextdefsym iundefsym nundefsym tocoff ntoc modtaboff nmodtab " +
			"extrefsymoff nextrefsyms indirectsymoff nindirectsyms extreloff nextrel locreloff nlocrel")
		numbers = i.Dysymtab[:]
	case name == "dyld_info" && i.DyldInfo != nil:
		names = strings.Fields("rebase_off rebase_size bind_off bind_size weak_bind_off weak_bind_size lazy_bind_off lazy_bind_size export_off export_size")
		numbers = i.DyldInfo[:]
	case name == "code_signature_data" && i.Signature != nil:
		names, numbers = []string{"dataoff", "datasize"}, []uint32{i.Signature.Offset, i.Signature.Size}
	case name == "certificates":
		return structure(row(func(field string) module.Value {
			common, signers, _ := i.Certificates()
			if field == "signer_names" {
				common = signers
			}
			return texts(common)
		}))
	case name == "build_version" && i.Build != nil:
		return structure(row(func(field string) module.Value { return build(i.Build, field) }))
	case name == "min_version" && i.Min != nil:
		return structure(module.Tree{"device": number(i.Min.Device), "version": version(i.Min.Version), "sdk": version(i.Min.SDK)})
	default:
		return nothing()
	}
	return structure(row(func(field string) module.Value { return named(names...)(numbers, field) }))
}

func build(b *macho.Build, field string) module.Value {
	switch field {
	case "platform":
		return number(b.Platform)
	case "minos":
		return version(b.MinOS)
	case "sdk":
		return version(b.SDK)
	case "ntools":
		return number(b.Declared)
	case "tools":
		return array(int64(len(b.Tools)), func(k int64, field string) module.Value {
			t := b.Tools[k]
			return module.Tree{"tool": number(t[0]), "version": module.TextValue(fmt.Sprintf("%d.%d", t[1]>>16, t[1]>>8&0xff))}[field]
		})
	}
	return module.Value{}
}

// version writes a version of 16, 8 and 8 bits.
func version(v uint32) module.Value {
	return module.TextValue(fmt.Sprintf("%d.%d.%d", v>>16, v>>8&0xff, v&0xff))
}

// uuid writes an identifier. Zeros at its end are left out, as YARA-X does.
func uuid(id []byte) string {
	var b strings.Builder
	for i, c := range bytes.TrimRight(id, "\x00") {
		fmt.Fprintf(&b, "%02X", c)
		if i == 3 || i == 5 || i == 7 || i == 9 {
			b.WriteByte('-')
		}
	}
	return b.String()
}

// utf8Texts is an array of those texts that are UTF-8.
func utf8Texts(s []string) module.Value {
	return texts(slices.DeleteFunc(slices.Clone(s), func(t string) bool { return t != lossy(t) }))
}

func (m *machoModule) segment(i *macho.Image, s *macho.Segment, field string) module.Value {
	if !s.Read {
		return module.Value{}
	}
	switch field {
	case "segname":
		return module.TextValue(s.Name)
	case "vmaddr":
		return number(s.VMAddr)
	case "vmsize":
		return number(s.VMSize)
	case "fileoff":
		return number(s.FileOff)
	case "fsize", "filesize":
		return number(s.FileSize)
	case "maxprot":
		return number(s.MaxProt)
	case "initprot":
		return number(s.InitProt)
	case "nsects":
		return number(s.NSects)
	case "flags":
		return number(s.SegFlags)
	case "sections":
		return array(int64(len(s.Sections)), func(k int64, field string) module.Value { return section(i, &s.Sections[k], field) })
	}
	return module.Value{}
}

func section(i *macho.Image, s *macho.Section, field string) module.Value {
	switch field {
	case "segname":
		return module.TextValue(s.Segment)
	case "sectname":
		return module.TextValue(s.Name)
	case "addr":
		return number(s.Addr)
	case "size":
		return number(s.Size)
	case "reserved3":
		return numberIf(int64(s.Reserved[2]), i.Wide)
	}
	return named("offset", "align", "reloff", "nreloc", "flags", "reserved1", "reserved2")(
		[]uint32{s.Offset, s.Align, s.RelOff, s.NReloc, s.SectFlags, s.Reserved[0], s.Reserved[1]}, field)
}

// function are the functions, which a file that is none has, too.
func (m *machoModule) function(name string) (module.Value, bool) {
	switch name {
	case "file_index_for_arch", "entry_point_for_arch":
		return function(func(a []module.Value) module.Value { return m.find(name == "entry_point_for_arch", a) }), true
	}
	if !x(m.d) {
		return module.Value{}, false
	}
	lists := map[string]func(i *macho.Image) []string{
		"dylib": func(i *macho.Image) (names []string) {
			for _, l := range i.Dylibs {
				names = append(names, l.Name)
			}
			return names
		},
		"entitlement": (*macho.Image).Entitlements, "export": (*macho.Image).Exports, "import": (*macho.Image).Imports,
		"sym": (*macho.Image).Strings, "rpath": func(i *macho.Image) []string { return i.Rpaths },
	}
	if list := lists[strings.TrimPrefix(name, "has_")]; list != nil && strings.HasPrefix(name, "has_") {
		return function(func(a []module.Value) module.Value {
			for _, i := range m.images {
				if slices.ContainsFunc(list(i), func(s string) bool { return sameText(a[0].Text, s) }) {
					return module.BoolValue(true)
				}
			}
			return module.BoolValue(false)
		}), true
	}
	if list := lists[strings.TrimSuffix(name, "_hash")]; list != nil && strings.HasSuffix(name, "_hash") {
		return function(func([]module.Value) module.Value {
			if len(m.images) == 0 {
				return module.Value{}
			}
			return sortedMD5(list(m.images[0]))
		}), true
	}
	return module.Value{}, false
}

// sortedMD5 is the MD5 of names in lower case, each once, sorted and joined by
// commas; undefined if there are none.
func sortedMD5(names []string) module.Value {
	if len(names) == 0 {
		return module.Value{}
	}
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = strings.ToLower(strings.TrimSpace(lossy(n)))
	}
	slices.Sort(list)
	sum := md5.Sum([]byte(strings.Join(slices.Compact(list), ",")))
	return module.TextValue(hex.EncodeToString(sum[:]))
}

// find is the index or the entry point of the first architecture of a fat file with
// the processor type and, if it is given, subtype.
func (m *machoModule) find(entry bool, a []module.Value) module.Value {
	if m.thin != nil || !m.f.Fat {
		return module.Value{}
	}
	sub := int64(0)
	if len(a) > 1 {
		sub = a[1].Int
	}
	k := m.f.Find(a[0].Int, sub, len(a) == 1)
	if k < 0 || !entry {
		return numberIf(int64(k), k >= 0)
	}
	files := m.f.Images
	if x(m.d) {
		files = m.images
	}
	if k >= len(files) || files[k] == nil {
		return module.Value{}
	}
	at, ok := files[k].Entry()
	return numberIf(int64(m.f.Archs[k].Offset+at), ok)
}
