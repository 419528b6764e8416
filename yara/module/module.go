// Package module is what YARA's modules can say: the types of their fields and
// functions, and the form that their values have. It holds no module's code.
//
// A module is described by one text in data, for both dialects:
//
//	# comment
//	type Section                  a structure, capital first, up to "end"
//	  name string
//	  size int
//	end
//	sections []Section            a field of the module: name and type
//	info {string}string           a map
//	is_pe flag                    a boolean; YARA 4 has it as an integer
//	const A = 1 B = 0x2           integers, or one text in quotes
//	enum Type                     constants under a name of their own, up to "end"
//	enum Outer.Type               under a name within a structure of constants
//	func imports(string, int) flag
//
// Types are int, float, bool, flag, string, regexp (of arguments only), the name
// of a structure declared before, []T and {int}T or {string}T. A line that ends
// with @yara or @x is of that dialect only; @old "text" says what to use instead.
//
// Sources: declarations of libyara/modules at YARA 4.5.8, lib/src/modules at
// YARA-X 1.19, and the documentation of both.
package module

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/showcause/showcause/yara/source"
)

// Kind is the kind of a value or type.
type Kind uint8

// The kinds.
const (
	Undefined Kind = iota
	Bool
	Int
	Float
	String
	Regexp
	Struct
	Array
	Map
	Func
)

// String is the kind as messages name it.
func (k Kind) String() string {
	return [...]string{
		"undefined", "boolean", "integer", "float", "string", "regular expression", "structure",
		"array", "map", "function",
	}[k]
}

// Type is the type of a value.
type Type struct {
	Kind   Kind
	Key    Kind    // Map: Int or String
	Elem   *Type   // Array, Map
	Fields []Field // Struct
	Calls  []Call  // Func: at least one
}

// Field is a field of a structure.
type Field struct {
	Name  string
	Type  *Type
	Const *Value // nil unless it is a constant
	Old   string // what to use in its place; empty unless it is deprecated
}

// Call is one form of a function.
type Call struct {
	Args   []Kind
	Result *Type
}

// Field is the field of that name, nil if there is none.
func (t *Type) Field(name string) *Field {
	for i := range t.Fields {
		if t.Fields[i].Name == name {
			return &t.Fields[i]
		}
	}
	return nil
}

// String is the type as messages name it.
func (t *Type) String() string {
	switch t.Kind {
	case Array:
		return "array of " + t.Elem.String()
	case Map:
		return "map of " + t.Key.String() + " to " + t.Elem.String()
	}
	return t.Kind.String()
}

//go:embed data
var data embed.FS

// Names are the modules that are described here, but for those that YARA-X builds for
// its own tests only.
func Names() []string {
	entries, err := fs.ReadDir(data, "data")
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if name := strings.TrimSuffix(e.Name(), ".txt"); !strings.HasPrefix(name, "test_proto") {
			out = append(out, name)
		}
	}
	return out
}

// Load is the type of a module in a dialect, nil if the dialect has no such
// module. Of a field that the dialects have with two types, source.Either has
// YARA-X's.
func Load(name string, d source.Dialect) *Type {
	text, err := fs.ReadFile(data, "data/"+name+".txt")
	if err != nil {
		return nil
	}
	t, err := Parse(string(text), d)
	if err != nil || len(t.Fields) == 0 {
		return nil
	}
	return t
}

// Parse reads the description of a module. An error names the line.
func Parse(text string, d source.Dialect) (*Type, error) {
	p := &parser{dialect: d, types: map[string]*Type{}, root: &Type{Kind: Struct}}
	p.open = p.root
	n := 0
	for line := range strings.Lines(text) {
		n++
		if err := p.line(strings.TrimSpace(line)); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if p.open != p.root {
		return nil, errors.New("a structure without its end")
	}
	return p.root, nil
}

// parser reads the lines of a description.
type parser struct {
	dialect source.Dialect
	types   map[string]*Type
	root    *Type
	open    *Type // the structure that fields go to
}

// basic are the types without parts.
func (p *parser) basic(name string) Kind {
	switch name {
	case "int":
		return Int
	case "float":
		return Float
	case "bool":
		return Bool
	case "string":
		return String
	case "regexp":
		return Regexp
	case "flag":
		if p.dialect == source.YARA {
			return Int
		}
		return Bool
	}
	return Undefined
}

func (p *parser) typ(name string) (*Type, error) {
	if k := p.basic(name); k != Undefined {
		return &Type{Kind: k}, nil
	}
	if rest, ok := strings.CutPrefix(name, "[]"); ok {
		elem, err := p.typ(rest)
		return &Type{Kind: Array, Elem: elem}, err
	}
	for prefix, key := range map[string]Kind{"{int}": Int, "{string}": String} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			elem, err := p.typ(rest)
			return &Type{Kind: Map, Key: key, Elem: elem}, err
		}
	}
	if t := p.types[name]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("no type %q", name)
}

// line reads one line.
func (p *parser) line(line string) error {
	if line == "" || line[0] == '#' {
		return nil
	}
	old := ""
	if before, after, ok := strings.Cut(line, "@old "); ok {
		line, old = strings.TrimSpace(before), strings.Trim(after, `"`)
	}
	only := source.Either
	if rest, ok := strings.CutSuffix(line, "@yara"); ok {
		line, only = strings.TrimSpace(rest), source.YARA
	} else if rest, ok := strings.CutSuffix(line, "@x"); ok {
		line, only = strings.TrimSpace(rest), source.YARAX
	}
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch word {
	case "type":
		if rest == "" || rest[0] >= 'a' || p.open != p.root {
			break // a field of that name
		}
		p.open = &Type{Kind: Struct}
		p.types[rest] = p.open
		return nil
	case "enum":
		p.open = &Type{Kind: Struct}
		f := Field{Name: rest, Type: p.open}
		if outer, inner, ok := strings.Cut(rest, "."); ok {
			f = Field{Name: outer, Type: &Type{Kind: Struct, Fields: []Field{{Name: inner, Type: p.open}}}}
		}
		p.add(p.root, f, only)
		return nil
	case "end":
		p.open = p.root
		return nil
	case "const":
		return p.consts(rest, only)
	case "func":
		return p.function(rest, only)
	}
	t, err := p.typ(rest)
	if err != nil {
		return err
	}
	p.add(p.open, Field{Name: word, Type: t, Old: old}, only)
	return nil
}

// add puts a field into a structure if the dialect has it.
func (p *parser) add(to *Type, f Field, only source.Dialect) {
	if !p.dialect.In(only) {
		return
	}
	have := to.Field(f.Name)
	if have == nil {
		to.Fields = append(to.Fields, f)
	} else if only != source.YARA || p.dialect == source.YARA {
		*have = f
	}
}

// consts reads "A = 1 B = 2", or one text.
func (p *parser) consts(rest string, only source.Dialect) error {
	for rest != "" {
		name, after, ok := strings.Cut(rest, "=")
		if !ok {
			return fmt.Errorf("constant without a value: %q", rest)
		}
		after = strings.TrimSpace(after)
		var v Value
		var err error
		if strings.HasPrefix(after, `"`) {
			v, err = textValue(after)
			after = ""
		} else {
			word, tail, _ := strings.Cut(after, " ")
			v, err = numberValue(word)
			after = strings.TrimSpace(tail)
		}
		if err != nil {
			return err
		}
		p.add(p.open, Field{Name: strings.TrimSpace(name), Type: &Type{Kind: v.Kind}, Const: &v}, only)
		rest = after
	}
	return nil
}

// function reads "name(int, string) result".
func (p *parser) function(rest string, only source.Dialect) error {
	name, after, _ := strings.Cut(rest, "(")
	args, result, ok := strings.Cut(after, ")")
	if !ok {
		return fmt.Errorf("function without arguments: %q", rest)
	}
	var c Call
	for a := range strings.SplitSeq(args, ",") {
		if a = strings.TrimSpace(a); a == "" {
			continue
		}
		k := p.basic(a)
		if k == Undefined {
			return fmt.Errorf("no type of an argument: %q", a)
		}
		c.Args = append(c.Args, k)
	}
	var err error
	if c.Result, err = p.typ(strings.TrimSpace(result)); err != nil {
		return err
	}
	if !p.dialect.In(only) {
		return nil
	}
	if f := p.open.Field(name); f != nil && f.Type.Kind == Func {
		f.Type.Calls = append(f.Type.Calls, c)
		return nil
	}
	p.add(p.open, Field{Name: name, Type: &Type{Kind: Func, Calls: []Call{c}}}, only)
	return nil
}
