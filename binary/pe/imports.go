package pe

import (
	"crypto/md5" //nolint:gosec // the import hash is an MD5
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxImports   = 16384   // DLLs, both readers; YARA 4: functions of 32-bit files, too
	maxFunctions = 1 << 17 // of all DLLs
	maxName4     = 512     // bytes of a function's name in YARA 4
	maxLibrary4  = 256     // and of a DLL's with its zero, but for delayed imports
)

// Import is a DLL and what is imported from it.
type Import struct {
	Library   string
	Functions []Function
}

// Function is an imported function.
type Function struct {
	Name      string // of an import by ordinal the name that it is known by, or "ord" and the number
	Ordinal   uint16
	ByOrdinal bool
	RVA       uint64 // where its address is put when the file is loaded
}

// Imports are the imported functions.
func (f *File) Imports() []Import {
	if f.imports == nil {
		list := f.readImports()
		f.imports = &list
	}
	return *f.imports
}

// Delayed are the imports that are resolved when they are first called.
func (f *File) Delayed() []Import {
	if f.delayed == nil {
		list := f.readDelayed()
		f.delayed = &list
	}
	return *f.delayed
}

// descriptor is an entry of one of the import directories.
type descriptor struct {
	name, names, addresses uint32
	absolute               bool // addresses are not relative to the image base
}

// directory is where a directory is, and how many bytes of it there are to the
// end of the file or, in YARA-X, of the directory.
func (f *File) directory(i int) (off, n int64, ok bool) {
	d, ok := f.Directory(i)
	if !ok || d.Address == 0 {
		return 0, 0, false
	}
	off, ok = f.Offset(uint64(d.Address))
	if !ok || off > f.size {
		return 0, 0, false
	}
	n = f.size - off
	if f.o.Reading == YARAX {
		n = min(n, int64(d.Size))
	}
	return off, n, true
}

func (f *File) readImports() []Import {
	off, n, ok := f.directory(DirImport)
	if !ok {
		return nil
	}
	var out []Import
	total := 0
	for i := 0; i < maxImports && n >= 20; i++ {
		b := f.bytes(off, 20)
		if b == nil || !f.step(1) {
			break
		}
		d := descriptor{name: le.Uint32(b[12:]), names: le.Uint32(b), addresses: le.Uint32(b[16:])}
		off, n = off+20, n-20
		if f.o.Reading == YARA4 {
			if d.name == 0 {
				break
			}
			out = f.add(out, f.import4(d, &total))
			continue
		}
		if d.names == 0 && d.addresses == 0 {
			break
		}
		out = f.add(out, f.importX(d, &total))
	}
	return out
}

// add appends a DLL of which something is imported.
func (f *File) add(list []Import, i Import) []Import {
	if len(i.Functions) == 0 {
		return list
	}
	return append(list, i)
}

// library4 is the name of a DLL as YARA 4 takes one: with its zero, and nothing in
// it but printing ASCII that the name of a file may have.
func (f *File) library4(rva uint64) (string, bool) {
	off, ok := f.Offset(rva)
	if !ok {
		return "", false
	}
	s, ended := f.cstring(off, maxString)
	for i := range len(s) {
		if s[i] < ' ' || s[i] > 0x7e || strings.IndexByte(`"*<>?|`, s[i]) >= 0 {
			return "", false
		}
	}
	return s, ended && s != ""
}

// libraryX is the name of a DLL as YARA-X takes one.
func (f *File) libraryX(rva uint32) (string, bool) {
	s, ok := f.textAt(rva)
	if !ok {
		return "", false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f || strings.IndexByte(` "*<>?|`, s[i]) >= 0 {
			return "", false
		}
	}
	return s, true
}

// textAt is the string at an address in YARA-X: UTF-8 to a zero or the file's end.
func (f *File) textAt(rva uint32) (string, bool) {
	off, ok := f.Offset(uint64(rva))
	if !ok || off > f.size {
		return "", false
	}
	s, _ := f.cstring(off, maxString)
	return s, utf8.ValidString(s)
}

// thunk is the number of 4 or 8 bytes at off.
func (f *File) thunk(off int64) (uint64, bool) {
	if f.Is64() {
		b := f.bytes(off, 8)
		if b == nil {
			return 0, false
		}
		return le.Uint64(b), true
	}
	v, ok := f.u32(off)
	return uint64(v), ok
}

// width is the size of an address.
func (f *File) width() int64 {
	if f.Is64() {
		return 8
	}
	return 4
}

// byOrdinal tells whether a thunk is an ordinal.
func (f *File) byOrdinal(t uint64) bool { return t>>(8*f.width()-1) != 0 }

// more counts an imported function.
func (f *File) more(total *int) bool {
	if *total++; *total > maxFunctions {
		f.cut = true
	}
	return f.step(1)
}

// import4 reads what is imported from one DLL as YARA 4 does.
func (f *File) import4(d descriptor, total *int) Import {
	var out Import
	name, ok := f.library4(uint64(d.name))
	if !ok || len(name) >= maxLibrary4 {
		return out
	}
	out.Library = name
	off, ok := f.Offset(uint64(d.names))
	if !ok || off == 0 {
		if off, ok = f.Offset(uint64(d.addresses)); !ok {
			return out
		}
	}
	for i := int64(0); f.Is64() && i < maxImports || !f.Is64() && *total < maxImports; i++ {
		t, ok := f.thunk(off + i*f.width())
		if !ok || t == 0 || !f.step(1) {
			break
		}
		fn := Function{RVA: uint64(d.addresses) + uint64(i*f.width())}
		if !f.Is64() {
			fn.RVA = uint64(uint32(fn.RVA))
		}
		if f.byOrdinal(t) {
			if t&^(1<<(8*f.width()-1)) > math.MaxUint16 { // no ordinal is that large
				continue
			}
			fn.Ordinal, fn.ByOrdinal = uint16(t), true
			fn.Name = f.ordinalName(name, fn.Ordinal)
		} else {
			at, ok := f.Offset(t)
			if !ok || f.size-at < 3 {
				continue
			}
			fn.Name, _ = f.cstring(at+2, maxName4)
		}
		if !plain(fn.Name) {
			continue
		}
		if !f.more(total) {
			break
		}
		out.Functions = append(out.Functions, fn)
	}
	return out
}

// plain tells whether YARA 4 takes a name for that of a function.
func plain(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("._?@$()<>", c) < 0 {
			return false
		}
	}
	return s != ""
}

// importX reads what is imported from one DLL as YARA-X does.
func (f *File) importX(d descriptor, total *int) Import {
	var out Import
	if d.absolute {
		if f.ImageBase > math.MaxUint32 {
			return out
		}
		base := uint32(f.ImageBase)
		d.name, d.names, d.addresses = d.name-min(base, d.name), d.names-min(base, d.names), d.addresses-min(base, d.addresses)
	}
	name, ok := f.libraryX(d.name)
	if !ok {
		return out
	}
	out.Library = name
	table := d.names
	if table == 0 {
		table = d.addresses
	}
	off, ok := f.Offset(uint64(table))
	if !ok {
		return out
	}
	// A file without an optional header is taken for one of 64 bits.
	width := int64(8)
	if f.Magic == 0x10b {
		width = 4
	}
	for i := int64(0); ; i++ {
		t, ok := f.thunk(off + i*width)
		if !ok || t == 0 || !f.step(1) {
			break
		}
		fn := Function{RVA: min(uint64(d.addresses)+uint64(i*width), math.MaxUint32)}
		if f.byOrdinal(t) {
			fn.Ordinal, fn.ByOrdinal = uint16(t), true
			fn.Name = f.ordinalName(name, fn.Ordinal)
		} else {
			if d.absolute {
				t -= min(t, f.ImageBase)
			}
			at, ok := f.Offset(t)
			if !ok || t > math.MaxUint32 || at+2 > f.size {
				continue
			}
			fn.Name, _ = f.cstring(at+2, maxString)
			if fn.Name == "" || !utf8.ValidString(fn.Name) {
				continue
			}
		}
		if !f.more(total) {
			break
		}
		out.Functions = append(out.Functions, fn)
	}
	return out
}

func (f *File) readDelayed() []Import {
	off, n, ok := f.directory(DirDelayImport)
	if !ok {
		return nil
	}
	var out []Import
	total := 0
	for i := 0; i < maxImports && n >= 32; i++ {
		b := f.bytes(off, 32)
		if b == nil || !f.step(1) {
			break
		}
		attributes := le.Uint32(b)
		d := descriptor{name: le.Uint32(b[4:]), addresses: le.Uint32(b[12:]), names: le.Uint32(b[16:]), absolute: attributes&1 == 0}
		off, n = off+32, n-32
		if f.o.Reading == YARAX {
			if d.names == 0 && d.addresses == 0 {
				break
			}
			out = f.add(out, f.importX(d, &total))
			continue
		}
		if string(b) == zero32 || attributes > 1 {
			break
		}
		i, more := f.delayed4(d, &total)
		if !more {
			break
		}
		if i.Library != "" {
			out = append(out, i)
		}
	}
	return out
}

const zero32 = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// delayed4 reads one entry of the delayed imports as YARA 4 does, and tells
// whether it reads the next.
func (f *File) delayed4(d descriptor, total *int) (out Import, more bool) {
	relative := func(v uint64) uint64 {
		if v > f.ImageBase {
			return v - f.ImageBase
		}
		return v
	}
	if d.absolute && !f.Is64() {
		d.name, d.names = uint32(relative(uint64(d.name))), uint32(relative(uint64(d.names)))
		d.addresses = uint32(relative(uint64(d.addresses)))
	}
	if d.names >= f.SizeOfImage || d.addresses >= f.SizeOfImage || d.name < 64 || d.names < 64 {
		return out, false
	}
	name, ok := f.library4(uint64(d.name))
	if !ok {
		return out, true
	}
	out.Library = name
	for i := uint64(0); ; i++ {
		step := i * uint64(f.width())
		t, ok1 := f.thunkAt(uint64(d.names) + step)
		a, ok2 := f.thunkAt(uint64(d.addresses) + step)
		if !ok1 || !ok2 || t == 0 || a == 0 || !f.more(total) {
			break
		}
		fn := Function{RVA: uint64(d.addresses) + step}
		if f.byOrdinal(t) {
			fn.Ordinal, fn.ByOrdinal = uint16(t), true
			fn.Name = f.ordinalName(name, fn.Ordinal)
		} else {
			if d.absolute {
				t = relative(t)
			}
			if at, ok := f.Offset(t + 2); ok {
				fn.Name, _ = f.cstring(at, maxName4)
			}
		}
		out.Functions = append(out.Functions, fn)
	}
	return out, true
}

// thunkAt is the number of 4 or 8 bytes at an address.
func (f *File) thunkAt(rva uint64) (uint64, bool) {
	off, ok := f.Offset(rva)
	if !ok {
		return 0, false
	}
	return f.thunk(off)
}

// ImportHash is the MD5, hexadecimal, of the names of the imports in order, as
// "dll.function" in lower case with commas between and the DLL's extension left
// out (Mandiant, "Tracking malware with import hashing").
func (f *File) ImportHash() string {
	if f.importHash != "" {
		return f.importHash
	}
	h := md5.New() //nolint:gosec // as above
	sep := ""
	for _, i := range f.Imports() {
		dll := f.stem(i.Library)
		for _, fn := range i.Functions {
			_, _ = h.Write([]byte(f.lower(sep + dll + "." + fn.Name)))
			sep = ","
		}
	}
	f.importHash = hex.EncodeToString(h.Sum(nil))
	return f.importHash
}

// lower is a name in lower case: YARA 4 knows no letters but those of ASCII.
func (f *File) lower(s string) string {
	if f.o.Reading == YARAX {
		return strings.ToLower(s)
	}
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// stem is the name of a DLL without .dll, .ocx or .sys: in YARA 4 of the first
// dot on if what follows begins like one of them, in YARA-X at the end.
func (f *File) stem(dll string) string {
	i := strings.IndexByte(dll, '.')
	if f.o.Reading == YARAX {
		if i = len(dll) - 4; i >= 0 && dll[i] != '.' {
			return dll
		}
	}
	if i < 0 || len(dll)-i < 4 {
		return dll
	}
	switch strings.ToLower(dll[i : i+4]) {
	case ".dll", ".ocx", ".sys":
		return dll[:i]
	}
	return dll
}

// ordinalName is the name that an import by ordinal is known by.
func (f *File) ordinalName(dll string, n uint16) string {
	if f.o.Reading == YARAX && !strings.EqualFold(dll, libraryOf(dll)) {
		return "ord" + strconv.Itoa(int(n)) // it compares the whole name
	}
	return f.ordinals.Name(dll, n)
}

// Ordinals are the names that imports by ordinal are known by. The zero value is
// ready.
type Ordinals struct{ lists map[string]map[uint16]string }

// Name is the name of an import by ordinal from a DLL, "ord" and the number if it
// has no other. The name of the DLL is in any case of letters, and what follows its
// extension is not looked at, as in YARA 4 and ClamAV.
func (o *Ordinals) Name(dll string, n uint16) string {
	dll = libraryOf(dll)
	list := ""
	switch dll {
	case "ws2_32.dll", "wsock32.dll":
		dll, list = "ws2_32.dll", socketNames
	case "oleaut32.dll":
		list = automationNames
	}
	if list != "" && o.lists[dll] == nil {
		if o.lists == nil {
			o.lists = map[string]map[uint16]string{}
		}
		o.lists[dll] = numbered(list)
	}
	if name := o.lists[dll][n]; name != "" {
		return name
	}
	return "ord" + strconv.Itoa(int(n))
}

// libraryOf is which of the DLLs that have names for their ordinals a name begins
// with, empty if it is none.
func libraryOf(dll string) string {
	for _, known := range []string{"ws2_32.dll", "wsock32.dll", "oleaut32.dll"} {
		if len(dll) >= len(known) && strings.EqualFold(dll[:len(known)], known) {
			return known
		}
	}
	return ""
}

// numbered reads a list of names: a number before a name is its ordinal, else it
// is the one after the last.
func numbered(list string) map[uint16]string {
	out := map[uint16]string{}
	n := uint16(0)
	for word := range strings.FieldsSeq(list) {
		n++
		if number, name, ok := strings.Cut(word, ":"); ok {
			v, _ := strconv.ParseUint(number, 10, 16)
			n, word = uint16(v), name
		}
		out[n] = word
	}
	return out
}
