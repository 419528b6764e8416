package dotnet

import "strings"

// The tables that are asked for, by number (II.22).
const (
	tableModule           = 0x00
	tableTypeRef          = 0x01
	tableTypeDef          = 0x02
	tableMethodDef        = 0x06
	tableParam            = 0x08
	tableInterfaceImpl    = 0x09
	tableMemberRef        = 0x0A
	tableConstant         = 0x0B
	tableCustomAttribute  = 0x0C
	tableModuleRef        = 0x1A
	tableTypeSpec         = 0x1B
	tableFieldRVA         = 0x1D
	tableAssembly         = 0x20
	tableAssemblyRef      = 0x23
	tableManifestResource = 0x28
	tableNestedClass      = 0x29
	tableGenericParam     = 0x2A
	tableCount            = 0x2D
)

const maxRows = 1 << 24 // of one table: the bound of a token

// layouts are the columns of the tables in the order of their numbers: "2" and "4"
// are bytes, s, g and b indexes into the heaps of strings, GUIDs and blobs, t and a
// number in hexadecimal an index into a table, c and a letter a coded index; see
// coded.
const layouts = `
2 s g g g
cl s s
4 s s ca t04 t06
t04
2 s b
t06
4 2 2 s b t08
t08
2 2 s
t02 ca
cf s b
2 cb b
cc ck b
cd b
2 ce b
2 4 t02
4 t04
b
t02 t14
t14
2 s ca
t02 t17
t17
2 s b
2 t06 cg
t02 ch ch
s
b
2 ci s t1a
4 t04
4 4
4
4 2 2 2 2 4 b s s
4
4 4 4
2 2 2 2 4 b s s b
4 t23
4 4 4 t23
4 s b
4 4 s s cj
4 4 s cj
t02 t02
2 2 cm s
ch b
t2a ca`

// coded are the tables of the coded indexes a, b, c and so on (II.24.2.6): how many
// bits say which of them, and the tables in order, -1 where there is none.
func coded(kind byte) (bits uint, tables []int) {
	switch kind {
	case 'a': // TypeDefOrRef
		return 2, []int{0x02, 0x01, 0x1b}
	case 'b': // HasConstant
		return 2, []int{0x04, 0x08, 0x17}
	case 'c': // HasCustomAttribute
		return 5, []int{
			0x06, 0x04, 0x01, 0x02, 0x08, 0x09, 0x0a, 0x00, 0x0e, 0x17, 0x14, 0x11, 0x1a, 0x1b, 0x20, 0x23, 0x26, 0x27, 0x28,
			0x2a, 0x2c, 0x2b,
		}
	case 'd': // HasFieldMarshal
		return 1, []int{0x04, 0x08}
	case 'e': // HasDeclSecurity
		return 2, []int{0x02, 0x06, 0x20}
	case 'f': // MemberRefParent
		return 3, []int{0x02, 0x01, 0x1a, 0x06, 0x1b}
	case 'g': // HasSemantics
		return 1, []int{0x14, 0x17}
	case 'h': // MethodDefOrRef
		return 1, []int{0x06, 0x0a}
	case 'i': // MemberForwarded
		return 1, []int{0x04, 0x06}
	case 'j': // Implementation
		return 2, []int{0x26, 0x23, 0x27}
	case 'k': // CustomAttributeType
		return 3, []int{-1, -1, 0x06, 0x0a, -1}
	case 'l': // ResolutionScope
		return 2, []int{0x00, 0x1a, 0x23, 0x01}
	case 'm': // TypeOrMethodDef
		return 1, []int{0x02, 0x06}
	}
	return 0, nil
}

// tableAt is where a table stands in the file.
type tableAt struct {
	rows    int
	off     int64
	width   int64
	columns []column
	present bool
}

// column is a column of a table: where in the row it is, and its bytes.
type column struct{ off, size int64 }

// open finds the tables (II.24.2.6). A table that is not all there ends them.
func (f *File) open() {
	s := &f.tables
	end := s.Offset + s.Size
	h := f.bytes(s.Offset, 24)
	if s.Name == "" || h == nil || s.Size < 24 || end > f.size && !f.o.YARA4 || f.o.YARA4 && (f.strings.Name == "" || f.blob.Name == "") {
		return
	}
	end = min(end, f.size)
	heaps, valid := h[6], le.Uint64(h[8:])
	f.wideS, f.wideG, f.wideB = heaps&1 != 0, heaps&2 != 0, heaps&4 != 0
	at := s.Offset + 24
	var rows [64]int
	for i := range rows {
		if valid>>i&1 == 0 {
			continue
		}
		b := f.bytes(at, 4)
		if b == nil {
			return
		}
		rows[i] = int(le.Uint32(b))
		at += 4
		if rows[i] > maxRows {
			f.cut = true
			return
		}
	}
	i := 0
	for spec := range strings.SplitSeq(strings.TrimSpace(layouts), "\n") {
		t := tableAt{rows: rows[i], off: at, present: valid>>i&1 != 0}
		for word := range strings.FieldsSeq(spec) {
			c := column{t.width, f.columnSize(word, &rows)}
			t.columns = append(t.columns, c)
			t.width += c.size
		}
		if n := int64(t.rows) * t.width; n > end-at {
			if !f.o.YARA4 {
				return
			}
			t.rows = int(max(end-at, 0) / t.width)
			f.at[i] = t
			return
		}
		f.at[i] = t
		at += int64(t.rows) * t.width
		i++
	}
}

// columnSize is the size of a column.
func (f *File) columnSize(word string, rows *[64]int) int64 {
	wide := false
	switch word[0] {
	case '2':
		return 2
	case '4':
		return 4
	case 's':
		wide = f.wideS
	case 'g':
		wide = f.wideG
	case 'b':
		wide = f.wideB
	case 't':
		wide = rows[hexDigit(word[1])<<4|hexDigit(word[2])] > 0xffff
	case 'c':
		bits, tables := coded(word[1])
		for _, t := range tables {
			wide = wide || t >= 0 && rows[t] >= 1<<(16-bits)
		}
	}
	if wide {
		return 4
	}
	return 2
}

func hexDigit(c byte) int {
	if c >= 'a' {
		return int(c-'a') + 10
	}
	return int(c - '0')
}

// row is row i of a table, from 0 on: the numbers in its columns. It is nil if there
// is none.
func (f *File) row(table, i int) []uint32 {
	t := &f.at[table]
	if i < 0 || i >= t.rows || !f.step() {
		return nil
	}
	b := f.bytes(t.off+int64(i)*t.width, t.width)
	if b == nil {
		return nil
	}
	out := make([]uint32, len(t.columns))
	for j, c := range t.columns {
		if c.size == 4 {
			out[j] = le.Uint32(b[c.off:])
		} else {
			out[j] = uint32(le.Uint16(b[c.off:]))
		}
	}
	return out
}

// reference is a row of a table; index is from 0 on, and 0 where there is none,
// too, as both readers have it.
type reference struct {
	table, index int
	null         bool
}

// decode reads a coded index.
func decode(kind byte, v uint32) (reference, bool) {
	bits, tables := coded(kind)
	tag := int(v & (1<<bits - 1))
	if tag >= len(tables) {
		return reference{}, false
	}
	n := v >> bits
	return reference{tables[tag], int(max(n, 1)) - 1, n == 0}, true
}

// Has tells whether the assembly has a table with references to modules, to other
// assemblies, of constants, of resources, of fields with data and of types.
func (f *File) Has(table Table) bool { return f.at[table].present }

// Table is one of the tables that Has asks for.
type Table int

// The tables.
const (
	ModuleRefs   Table = tableModuleRef
	AssemblyRefs Table = tableAssemblyRef
	Constants    Table = tableConstant
	Resources    Table = tableManifestResource
	FieldData    Table = tableFieldRVA
	Types        Table = tableTypeDef
)

// Assembly is what an assembly says of itself or of another.
type Assembly struct {
	Version  Version
	Name     string
	Named    bool
	Culture  string // empty if there is none
	KeyToken string // the public key or the end of its digest, of references
}

// Assembly is the assembly itself, nil if the file is a module only.
func (f *File) Assembly() *Assembly {
	r := f.row(tableAssembly, 0)
	if r == nil {
		return nil
	}
	a := &Assembly{Version: Version{uint16(r[1]), uint16(r[2]), uint16(r[3]), uint16(r[4])}}
	a.Name, a.Named = f.name(r[7])
	a.Culture, _ = f.name(r[8])
	return a
}

// AssemblyRefs are the assemblies that this one needs.
func (f *File) AssemblyRefs() []Assembly {
	var out []Assembly
	for i := range f.at[tableAssemblyRef].rows {
		r := f.row(tableAssemblyRef, i)
		if r == nil {
			break
		}
		a := Assembly{Version: Version{uint16(r[0]), uint16(r[1]), uint16(r[2]), uint16(r[3])}}
		key, _ := f.value(r[5])
		a.KeyToken = f.kept(key)
		a.Name, a.Named = f.name(r[6])
		out = append(out, a)
	}
	return out
}

// ModuleRefs are the names of the modules that this one needs.
func (f *File) ModuleRefs() []string {
	var out []string
	for i := range f.at[tableModuleRef].rows {
		r := f.row(tableModuleRef, i)
		if r == nil {
			break
		}
		if name, ok := f.name(r[0]); ok {
			out = append(out, name)
		}
	}
	return out
}

// ModuleName is the name that the module has for itself.
func (f *File) ModuleName() (string, bool) {
	r := f.row(tableModule, 0)
	if r == nil {
		return "", false
	}
	return f.name(r[1])
}

// Resource is a resource of an assembly. Offset and Length, bytes, are those in this
// file, where it has it.
type Resource struct {
	Name           string
	Named          bool
	Offset, Length int64
	Placed, Whole  bool // whether Offset and Length are known
}

// Resources are the resources of the assembly.
func (f *File) Resources() []Resource {
	var out []Resource
	base, placed := f.pe.Offset(uint64(f.resources.Address))
	for i := range f.at[tableManifestResource].rows {
		r := f.row(tableManifestResource, i)
		if r == nil {
			break
		}
		var x Resource
		x.Name, x.Named = f.name(r[2])
		where, ok := decode('j', r[3])
		own := ok && where.null && where.table == 0x26
		if !f.o.YARA4 {
			own = ok && where.index == 0 && where.table == 0x26
		}
		off := int64(r[0])
		end := f.size
		if !f.o.YARA4 {
			end = min(end, base+int64(f.resources.Size))
		}
		if own && placed && off+4 <= end-base {
			if b := f.bytes(base+off, 4); b != nil {
				x.Offset, x.Length, x.Placed = base+off+4, int64(le.Uint32(b)), true
				x.Whole = f.o.YARA4 || x.Offset+x.Length <= end
			}
		}
		out = append(out, x)
	}
	return out
}

// Constants are the values of the constants that are strings, UTF-16LE.
func (f *File) Constants() []string {
	var out []string
	for i := range f.at[tableConstant].rows {
		r := f.row(tableConstant, i)
		if r == nil {
			break
		}
		if byte(r[0]) != 0x0e {
			continue
		}
		if b, ok := f.value(r[2]); ok {
			out = append(out, f.kept(b))
		}
	}
	return out
}

// FieldOffsets are the file offsets of the data of fields.
func (f *File) FieldOffsets() []int64 {
	var out []int64
	for i := range f.at[tableFieldRVA].rows {
		r := f.row(tableFieldRVA, i)
		if r == nil {
			break
		}
		if off, ok := f.pe.Offset(uint64(r[0])); ok {
			out = append(out, off)
		}
	}
	return out
}

// TypeLib is the identity that the assembly has as a library of types: the value of
// its GuidAttribute.
func (f *File) TypeLib() (string, bool) {
	for i := range f.at[tableCustomAttribute].rows {
		r := f.row(tableCustomAttribute, i)
		if r == nil {
			break
		}
		parent, ok1 := decode('c', r[0])
		kind, ok2 := decode('k', r[1])
		if !ok1 || !ok2 || parent.table != tableAssembly || kind.table != tableMemberRef {
			continue
		}
		member := f.row(tableMemberRef, kind.index)
		if member == nil {
			continue
		}
		class, ok := decode('f', member[0])
		if !ok || class.table != tableTypeRef {
			continue
		}
		ref := f.row(tableTypeRef, class.index)
		if ref == nil {
			continue
		}
		if name, ok := f.name(ref[1]); !ok || name != "GuidAttribute" {
			continue
		}
		b, ok := f.value(r[2])
		if ok && len(b) > 3 && len(b)-3 >= int(b[2]) {
			return string(b[3 : 3+int(b[2])]), true
		}
		return "", false
	}
	return "", false
}
