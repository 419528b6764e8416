package fields

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/cfb"
	"github.com/showcause/showcause/binary/crx"
	"github.com/showcause/showcause/binary/vba"
	"github.com/showcause/showcause/binary/zipdir"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// zip has the fields of module zip.
func (l *Layer) zip(d source.Dialect) getter {
	a := zipdir.Open(l.src, l.charge)
	known := []uint16{0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 14, 93, 95}
	return l.telling(a.Short, func(name string) (module.Value, bool) {
		switch name {
		case "is_zip":
			return flag(d, a.OK), true
		case "entries":
			return array(int64(len(a.Entries)), func(i int64, field string) module.Value {
				e := &a.Entries[i]
				switch field {
				case "file_path":
					return module.TextValue(e.Name)
				case "compression":
					if !slices.Contains(known, e.Method) {
						return number(255)
					}
					return number(e.Method)
				case "uncompressed_size":
					return number(e.Size)
				case "compressed_size":
					return number(e.Packed)
				}
				return module.Value{}
			}), true
		}
		return module.Value{}, false
	})
}

// compound is the layer as a compound file, opened once for all modules.
func (l *Layer) compound() *cfb.File {
	if l.ole == nil {
		l.ole = cfb.Open(l.src, l.charge)
	}
	return l.ole
}

// olecf has the fields of module olecf.
func (l *Layer) olecf(d source.Dialect) getter {
	f := l.compound()
	return l.telling(f.Short, func(name string) (module.Value, bool) {
		switch name {
		case "is_olecf":
			return flag(d, f.OK), true
		case "streams":
			var out []module.Value
			for _, e := range f.Entries {
				if e.Kind == cfb.Storage || e.Kind == cfb.Stream || e.Kind == cfb.Root {
					out = append(out, structure(module.Tree{"name": module.TextValue(e.Name), "type": number(e.Kind), "size": number(e.Size)}))
				}
			}
			return list(out), true
		}
		return module.Value{}, false
	})
}

// vbaProject finds the macros of the layer: of a document, or in one that is zipped.
func (l *Layer) vbaProject() (p *vba.Project) {
	short := func(s bool) {
		if s {
			l.gap(showcause.LimitWork)
		}
	}
	find := func(f *cfb.File) bool {
		p = vba.Find(f, l.charge)
		short(f.Short() || p != nil && p.Short())
		return p != nil
	}
	if string(l.in.Read(0, min(4, int(min(l.in.Size(), 4))))) != "PK\x03\x04" {
		find(l.compound())
		return p
	}
	const most = 32 << 20
	a := zipdir.Open(l.src, l.charge)
	for _, name := range []string{"word/vbaProject.bin", "xl/vbaProject.bin", "ppt/vbaProject.bin", "vbaProject.bin"} {
		if e, ok := a.Find(name); ok {
			b, ok := a.Read(e, most)
			short(!ok && e.Size > most)
			if ok && find(cfb.Open(showcause.Bytes(b), l.charge)) {
				break
			}
		}
	}
	short(a.Short())
	return p
}

// vba has the fields of module vba.
func (l *Layer) vba(d source.Dialect) getter {
	p := l.vbaProject()
	return gets(func(name string) (module.Value, bool) {
		if name == "has_macros" {
			return flag(d, p != nil), true
		}
		if p == nil {
			return module.Value{}, false
		}
		each := func(text func(m *vba.Module) string) (module.Value, bool) {
			out := make([]string, len(p.Modules))
			for i := range p.Modules {
				out[i] = lossy(text(&p.Modules[i]))
			}
			return texts(out), true
		}
		switch name {
		case "module_names":
			return each(func(m *vba.Module) string { return m.Name })
		case "module_codes":
			return each(func(m *vba.Module) string { return m.Code })
		case "module_types":
			return each(func(m *vba.Module) string { return []string{"Unknown", "Standard", "Class"}[m.Kind] })
		case "project_info":
			refs := make([]string, len(p.References))
			for i, r := range p.References {
				refs[i] = lossy(r)
			}
			return structure(module.Tree{
				"name": module.TextValue(lossy(p.Name)), "version": module.TextValue(p.Version), "references": texts(refs),
				"module_count": number(len(p.Modules)), "is_compressed": flag(d, true),
			}), true
		}
		return module.Value{}, false
	})
}

// crx has the fields of module crx.
func (l *Layer) crx(d source.Dialect) getter {
	f := crx.Parse(l.src, l.charge)
	m := f.Manifest
	if m == nil {
		m = &crx.Manifest{}
	}
	text := func(s *string) (module.Value, bool) {
		if s == nil {
			return module.Value{}, true
		}
		return module.TextValue(*s), true
	}
	// Texts are those of the default language, where there are any.
	local := func(s, translated *string, raw bool) (module.Value, bool) {
		switch {
		case f.Localized && !raw:
			return text(translated)
		case !f.Localized && raw:
			return module.Value{}, true
		}
		return text(s)
	}
	return l.telling(f.Short, func(name string) (module.Value, bool) {
		if name == "is_crx" {
			return flag(d, f.OK), true
		}
		if !f.OK {
			return module.Value{}, false
		}
		switch name {
		case "crx_version":
			return number(f.Version), true
		case "header_size":
			return number(f.HeaderSize), true
		case "id":
			return module.TextValue(f.ID), true
		case "version":
			return text(m.Version)
		case "name", "raw_name":
			return local(m.Name, f.LocalName, name == "raw_name")
		case "description", "raw_description":
			return local(m.Description, f.LocalDescription, name == "raw_description")
		case "minimum_chrome_version":
			return text(m.MinimumChrome)
		case "homepage_url":
			return text(m.Homepage)
		case "permissions":
			return texts(m.Permissions), true
		case "host_permissions":
			return texts(m.Hosts), true
		case "optional_permissions":
			return texts(m.Optional), true
		case "optional_host_permissions":
			return texts(m.OptionalHosts), true
		case "signatures":
			return array(int64(len(f.Proofs)), func(i int64, field string) module.Value {
				if field == "key" {
					return module.TextValue(base64.StdEncoding.EncodeToString(f.Proofs[i].Key))
				}
				if l.h.Read != nil && !l.h.Read(l.in.Size()) {
					l.gap(showcause.LimitWork)
					return module.Value{}
				}
				return flag(d, f.Verify(f.Proofs[i]))
			}), true
		case "permhash":
			return function(func([]module.Value) module.Value {
				h := sha256.New()
				for _, p := range m.Permissions {
					h.Write([]byte(p))
				}
				return module.TextValue(hex.EncodeToString(h.Sum(nil)))
			}), true
		}
		return module.Value{}, false
	})
}
