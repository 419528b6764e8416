package dotnet

import (
	"strconv"
	"strings"
)

const (
	maxNesting   = 16   // of types in types, and of types in signatures
	maxParams    = 1000 // of a signature
	maxRank      = 50   // dimensions of an array
	maxTypeText  = 4096 // bytes of the text of one type, a bound of ours
	maxTypeCount = 1 << 16
)

// Class is a type that the assembly defines.
type Class struct {
	FullName   string // with the namespace and the types around it
	Named      bool
	Visibility string
	Interface  bool
	Abstract   bool
	Sealed     bool
	Generics   []string // names of its parameters
	Bases      []string // what it extends, and the interfaces that it has
	Methods    []Method
}

// Method is a method of a type.
type Method struct {
	Name       string
	Visibility string
	Static     bool
	Virtual    bool
	Final      bool
	Abstract   bool
	Generics   []string
	Returns    string
	Returning  bool // whether it returns something, constructors do not
	Parameters []Parameter
}

// Parameter is a parameter of a method.
type Parameter struct{ Name, Type string }

// Classes are the types that the assembly defines.
func (f *File) Classes() []Class {
	if f.classed {
		return f.classes
	}
	f.classed = true
	f.index()
	interfaces := f.interfaces()
	n := f.at[tableTypeDef].rows
	for i := range n {
		if len(f.classes) >= maxTypeCount {
			f.cut = true
		}
		r := f.row(tableTypeDef, i)
		if r == nil || f.cut {
			break
		}
		name, ok := f.name(r[1])
		if !ok || name == "" || name == "<Module>" {
			continue
		}
		c := Class{
			Visibility: typeVisibility(r[0]), Interface: r[0]&0x20 != 0, Abstract: r[0]&0x80 != 0, Sealed: r[0]&0x100 != 0,
			Generics: f.generics[uint32(i+1)<<1],
		}
		c.FullName, c.Named = f.fullName(i)
		for _, v := range append([]uint32{r[3]}, interfaces[i]...) {
			if ref, ok := decode('a', v); ok && (!ref.null || !f.o.YARA4) {
				g := signature{f: f, class: c.Generics}
				if s, ok := g.named(ref); ok {
					c.Bases = append(c.Bases, f.kept([]byte(s)))
				}
			}
		}
		first, last := int(max(r[5], 1))-1, f.at[tableMethodDef].rows
		if next := f.row(tableTypeDef, i+1); next != nil {
			last = min(last, int(max(next[5], 1))-1)
		}
		for j := first; j < last && !f.cut; j++ {
			if m, ok := f.method(j, c.Generics); ok {
				c.Methods = append(c.Methods, m)
			}
		}
		f.classes = append(f.classes, c)
	}
	return f.classes
}

// index reads which type is in which, and the names of generic parameters.
func (f *File) index() {
	f.nested, f.generics = map[int]int{}, map[uint32][]string{}
	for i := range f.at[tableNestedClass].rows {
		r := f.row(tableNestedClass, i)
		if r == nil {
			break
		}
		in, out := int(max(r[0], 1))-1, int(max(r[1], 1))-1
		if _, ok := f.nested[in]; !ok && in != out {
			f.nested[in] = out
		}
	}
	for i := range f.at[tableGenericParam].rows {
		r := f.row(tableGenericParam, i)
		if r == nil {
			break
		}
		if name, ok := f.name(r[3]); ok {
			f.generics[r[2]] = append(f.generics[r[2]], name)
		}
	}
}

// interfaces are the interfaces of types, coded.
func (f *File) interfaces() map[int][]uint32 {
	out := map[int][]uint32{}
	for i := range f.at[tableInterfaceImpl].rows {
		r := f.row(tableInterfaceImpl, i)
		if r == nil {
			break
		}
		class := int(max(r[0], 1)) - 1
		out[class] = append(out[class], r[1])
	}
	return out
}

// typeVisibility is who sees a type (II.23.1.15).
func typeVisibility(flags uint32) string {
	return [...]string{
		"internal", "public", "public", "private", "protected", "internal", "private protected", "protected internal",
	}[flags&7]
}

// methodVisibility is who sees a method (II.23.1.10).
func methodVisibility(flags uint32) string {
	return [...]string{
		"private", "private", "private protected", "internal", "protected", "protected internal", "public", "private",
	}[flags&7]
}

// plain is a name without the number of generic parameters behind a tick.
func (f *File) plain(name string) string {
	i := strings.LastIndexByte(name, '`')
	if f.o.YARA4 {
		i = strings.IndexByte(name, '`')
	}
	if i < 0 {
		return name
	}
	return name[:i]
}

// fullName is the name of type i of the assembly.
func (f *File) fullName(i int) (string, bool) {
	var parts []string // the innermost first
	for {
		r := f.row(tableTypeDef, i)
		if r == nil || len(parts) >= maxNesting {
			return "", false
		}
		name, ok := f.name(r[1])
		if !ok || name == "" {
			return "", false
		}
		parts = append(parts, f.plain(name))
		if space, ok := f.name(r[2]); ok && space != "" {
			parts = append(parts, space)
		}
		outer, ok := f.nested[i]
		if r[0]&7 < 2 || !ok {
			break
		}
		i = outer
	}
	for a, b := 0, len(parts)-1; a < b; a, b = a+1, b-1 {
		parts[a], parts[b] = parts[b], parts[a]
	}
	return f.kept([]byte(strings.Join(parts, "."))), true
}

// method reads method i (II.23.2.1). ok is false if its signature is not right.
func (f *File) method(i int, class []string) (m Method, ok bool) {
	r := f.row(tableMethodDef, i)
	if r == nil {
		return m, false
	}
	name, ok := f.name(r[3])
	b, known := f.value(r[4])
	if !ok || !known || len(b) == 0 {
		return m, false
	}
	flags := r[2]
	m = Method{
		Name: name, Visibility: methodVisibility(flags), Static: flags&0x10 != 0, Final: flags&0x20 != 0,
		Virtual: flags&0x40 != 0, Abstract: flags&0x400 != 0, Generics: f.generics[uint32(i+1)<<1|1],
	}
	g := signature{f: f, class: class, method: m.Generics, rest: b[1:]}
	if b[0]&0x10 != 0 {
		if _, ok = g.number(); !ok {
			return m, false
		}
	}
	count, ok := g.number()
	if !ok {
		return m, false
	}
	if m.Returns, ok = g.next(); !ok {
		return m, false
	}
	m.Returning = name != ".ctor" && name != ".cctor"
	for k := range count {
		t, ok := g.next()
		if !ok || !f.step() {
			return m, false
		}
		p := Parameter{Name: "P_" + strconv.Itoa(int(k)), Type: t}
		if row := f.row(tableParam, int(max(r[5], 1))-1+int(k)); row != nil {
			if s, ok := f.name(row[2]); ok {
				p.Name = s
			}
		}
		m.Parameters = append(m.Parameters, p)
	}
	return m, true
}

// signature reads the types in a signature and writes them as text.
type signature struct {
	f             *File
	class, method []string // names of generic parameters
	rest          []byte
	out           strings.Builder
	depth         int
}

// next is the text of the next type.
func (g *signature) next() (string, bool) {
	g.out.Reset()
	g.depth = 0
	ok := g.typ()
	return g.f.kept([]byte(g.out.String())), ok
}

// number reads a compressed number.
func (g *signature) number() (uint32, bool) {
	v, rest, ok := compressed(g.rest)
	if ok {
		g.rest = rest
	}
	return v, ok
}

// signed reads a compressed number with a sign, which is its lowest bit (II.23.2).
func (g *signature) signed() (int64, bool) {
	before := len(g.rest)
	v, ok := g.number()
	if !ok {
		return 0, false
	}
	n := int64(v >> 1)
	if v&1 != 0 {
		n -= map[int]int64{1: 0x40, 2: 0x2000, 4: 0x10000000}[before-len(g.rest)]
	}
	return n, true
}

// write adds to the text.
func (g *signature) write(s string) bool {
	if g.out.Len()+len(s) > maxTypeText {
		return false
	}
	g.out.WriteString(s)
	return true
}

// simple are the types that are one byte (II.23.1.16).
func simple(t byte) string {
	switch t {
	case 0x01:
		return "void"
	case 0x02:
		return "bool"
	case 0x03:
		return "char"
	case 0x04:
		return "sbyte"
	case 0x05:
		return "byte"
	case 0x06:
		return "short"
	case 0x07:
		return "ushort"
	case 0x08:
		return "int"
	case 0x09:
		return "uint"
	case 0x0a:
		return "long"
	case 0x0b:
		return "ulong"
	case 0x0c:
		return "float"
	case 0x0d:
		return "double"
	case 0x0e:
		return "string"
	case 0x16:
		return "TypedReference"
	case 0x18:
		return "IntPtr"
	case 0x19:
		return "UintPtr"
	case 0x1c:
		return "object"
	}
	return ""
}

// typ reads one type (II.23.2.12).
func (g *signature) typ() bool {
	if g.depth >= maxNesting || len(g.rest) == 0 || !g.f.step() {
		return false
	}
	t := g.rest[0]
	g.rest = g.rest[1:]
	g.depth++
	ok := g.of(t)
	g.depth--
	return ok
}

// of reads what follows the byte of a type.
func (g *signature) of(t byte) bool {
	if s := simple(t); s != "" {
		return g.write(s)
	}
	switch t {
	case 0x0f: // pointer
		return g.write("Ptr<") && g.typ() && g.write(">")
	case 0x10: // by reference
		return g.write("ref ") && g.typ()
	case 0x11, 0x12: // value type, class
		v, ok := g.number()
		if !ok {
			return false
		}
		ref, ok := decode('a', v)
		if !ok || ref.null && g.f.o.YARA4 {
			return false
		}
		s, ok := g.named(ref)
		return ok && g.write(s)
	case 0x13, 0x1e: // parameter of the type, of the method
		v, ok := g.number()
		names := g.class
		if t == 0x1e {
			names = g.method
		}
		return ok && int64(v) < int64(len(names)) && g.write(names[v])
	case 0x14:
		return g.typ() && g.array()
	case 0x15: // generic type with its arguments
		if !g.typ() {
			return false
		}
		n, ok := g.number()
		return ok && n < maxParams && g.write("<") && g.list(n, ",") && g.write(">")
	case 0x1b: // function
		if len(g.rest) == 0 {
			return false
		}
		g.rest = g.rest[1:]
		n, ok := g.number()
		return ok && n < maxParams && g.write("FnPtr<") && g.typ() && g.write("(") && g.list(n, ", ") && g.write(")>")
	case 0x1d:
		return g.typ() && g.write("[]")
	case 0x1f, 0x20: // modifiers
		_, ok := g.number()
		return ok && g.typ()
	}
	return false
}

// list reads n types.
func (g *signature) list(n uint32, between string) bool {
	for i := range n {
		if i > 0 && !g.write(between) || !g.typ() {
			return false
		}
	}
	return true
}

// array reads the shape of an array (II.23.2.13).
func (g *signature) array() bool {
	rank, ok := g.number()
	if !ok || rank > maxRank {
		return false
	}
	var sizes, bounds []int64
	n, ok := g.number()
	if !ok || n > maxRank {
		return false
	}
	for range n {
		v, ok := g.number()
		if !ok {
			return false
		}
		sizes = append(sizes, int64(v))
	}
	if n, ok = g.number(); !ok || n > maxRank {
		return false
	}
	for range n {
		v, ok := g.signed()
		if !ok {
			return false
		}
		bounds = append(bounds, v)
	}
	parts := make([]string, rank)
	for i := range parts {
		switch sized, bounded := i < len(sizes), i < len(bounds); {
		case bounded && sized && bounds[i] == 0, !bounded && sized:
			parts[i] = strconv.FormatInt(sizes[i], 10)
		case bounded && sized && sizes[i] >= 1:
			parts[i] = strconv.FormatInt(bounds[i], 10) + "..." + strconv.FormatInt(bounds[i]+sizes[i]-1, 10)
		case bounded && !sized:
			parts[i] = strconv.FormatInt(bounds[i], 10) + "..."
		}
	}
	return g.write("[" + strings.Join(parts, ",") + "]")
}

// named is the name of a type that a table has.
func (g *signature) named(ref reference) (string, bool) {
	f := g.f
	switch ref.table {
	case tableTypeDef:
		return f.fullName(ref.index)
	case tableTypeRef:
		r := f.row(tableTypeRef, ref.index)
		if r == nil {
			return "", false
		}
		name, ok := f.name(r[1])
		if !ok {
			return "", false
		}
		name = f.plain(name)
		if space, ok := f.name(r[2]); ok && (space != "" || !f.o.YARA4) {
			return space + "." + name, true
		}
		return name, true
	}
	r := f.row(tableTypeSpec, ref.index)
	if r == nil {
		return "", false
	}
	b, ok := f.value(r[0])
	if !ok {
		return "", false
	}
	in := signature{f: f, class: g.class, method: g.method, rest: b, depth: g.depth}
	if !in.typ() {
		return "", false
	}
	return in.out.String(), true
}
