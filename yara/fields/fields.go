// Package fields are the values of YARA's modules for one layer: what package
// module says there is, from the bytes. It is the one door to all of them.
//
// A Layer reads a format when a rule first asks for something of it, once for all
// rules and as far as is asked: to say that a file is none of PE costs 64 bytes,
// and a signature is verified only if a rule wants to know. Where a bound stops
// a reader, values are missing, and Host.Gap is told.
package fields

import (
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/cfb"
	"github.com/showcause/showcause/yara/calc"
	"github.com/showcause/showcause/yara/doubles"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// Input is what is scanned.
type Input = calc.Input

// Host is what the modules are given beside the bytes. The zero value works: it has
// no time and says nothing.
type Host struct {
	Now  int64                  // seconds since 1970, UTC: time.now
	Log  func(line string)      // console
	Read func(bytes int64) bool // says whether so many more bytes may be read by hash, math and digests of the file; nil: yes
	Work func(steps int64) bool // charged by parsing; stops it where it is false; nil: only the parsers' own bounds
	// Gap is told why a value that was asked for is not all that the file has, at
	// most once for each code; nil: nobody is told.
	Gap   func(code showcause.Code)
	Files map[string][]byte // data for modules by their names, as of yara -x
}

// Layer has the values for one layer. It is not safe for concurrent use.
type Layer struct {
	in   Input
	h    Host
	src  showcause.Source
	made map[key]made
	told map[showcause.Code]bool

	pes [2]*peFile // by pe.Reading
	ole *cfb.File
}

// key is a module in a dialect.
type key struct {
	name    string
	dialect source.Dialect
}

type made struct {
	value module.Value
	ok    bool
}

// New returns the layer of an input.
func New(in Input, h Host) *Layer {
	return &Layer{in: in, h: h, src: reader{in}, made: map[key]made{}, told: map[showcause.Code]bool{}}
}

// Module is the value of a module, false if the dialect has no such module.
func Module(name string, in Input, d source.Dialect, h Host) (module.Value, bool) {
	return New(in, h).Module(name, d)
}

// Module is the value of a module, false if the dialect has no such module.
func (l *Layer) Module(name string, d source.Dialect) (module.Value, bool) {
	k := key{name, d}
	m, ok := l.made[k]
	if !ok {
		m.value, m.ok = calc.Module(name, l.in, calc.Host{Dialect: d, Now: l.h.Now, Log: l.h.Log, Read: l.h.Read})
		if !m.ok {
			m.value, m.ok = l.format(name, d)
		}
		l.made[k] = m
	}
	return m.value, m.ok
}

// format is the value of a module that reads a format.
func (l *Layer) format(name string, d source.Dialect) (module.Value, bool) {
	f := l.open(name, d)
	if f == nil {
		t := module.Load(name, d)
		if t == nil {
			return module.Value{}, false
		}
		return module.Constants(t, doubles.Fields(name, l.h.Files[name], l.h.Work)), true
	}
	return structure(&lazy{name: name, dialect: d, from: f, have: map[string]module.Value{}}), true
}

// open is the table of modules: who has the fields of each. What is not here has
// its constants only.
func (l *Layer) open(name string, d source.Dialect) getter {
	switch name {
	case "pe":
		return l.pe(d)
	case "dotnet":
		return l.dotnet(d)
	}
	return l.other(name, d)
}

// getter finds a field; known is false if there is no field of that name but,
// perhaps, a constant.
type getter interface {
	get(name string) (v module.Value, known bool)
}

// lazy are the fields of a module, each asked for once. Constants, which compilers
// fold, are read from the description only if one is asked for.
type lazy struct {
	name    string
	dialect source.Dialect
	from    getter
	have    map[string]module.Value
	consts  module.Fields
}

// Field is the field of that name.
func (z *lazy) Field(name string) module.Value {
	v, ok := z.have[name]
	if ok {
		return v
	}
	if v, ok = z.from.get(name); !ok {
		if z.consts == nil {
			z.consts = module.Tree{}
			if t := module.Load(z.name, z.dialect); t != nil {
				z.consts, _ = module.Constants(t, nil).Ref.(module.Fields)
			}
		}
		v = z.consts.Field(name)
	}
	z.have[name] = v
	return v
}

// gap tells the host of a gap once.
func (l *Layer) gap(code showcause.Code) {
	if l.h.Gap != nil && !l.told[code] {
		l.told[code] = true
		l.h.Gap(code)
	}
}

// work charges steps.
func (l *Layer) work(n int64) bool { return l.h.Work == nil || l.h.Work(n) }

// reader is an Input as a source.
type reader struct{ in Input }

// Size is the number of bytes.
func (r reader) Size() int64 { return r.in.Size() }

// ReadAt implements io.ReaderAt.
func (r reader) ReadAt(p []byte, off int64) (int, error) {
	n := len(p)
	size := r.in.Size()
	if off < 0 || off >= size {
		return 0, io.EOF
	}
	var err error
	if int64(n) > size-off {
		n, err = int(size-off), io.EOF
	}
	for got := 0; got < n; {
		b := r.in.Read(off+int64(got), min(n-got, 64<<10))
		if len(b) == 0 {
			return got, io.ErrUnexpectedEOF
		}
		got += copy(p[got:n], b)
	}
	return n, err
}

// The forms of values.

func structure(f module.Fields) module.Value { return module.Value{Kind: module.Struct, Ref: f} }

func list(v []module.Value) module.Value {
	return module.Value{Kind: module.Array, Ref: module.List(v)}
}

func function(f module.Function) module.Value { return module.Value{Kind: module.Func, Ref: f} }

func number[N ~int | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64](n N) module.Value {
	return module.IntValue(int64(n))
}

// flag is a truth: YARA 4 has numbers for them.
func flag(d source.Dialect, b bool) module.Value {
	v := module.BoolValue(b)
	if d == source.YARA {
		v.Kind = module.Int
	}
	return v
}

// textIf is a text, or undefined.
func textIf(s string, ok bool) module.Value {
	if !ok {
		return module.Value{}
	}
	return module.TextValue(s)
}

// numberIf is a number, or undefined.
func numberIf(n int64, ok bool) module.Value {
	if !ok {
		return module.Value{}
	}
	return module.IntValue(n)
}

// texts is an array of texts.
func texts(s []string) module.Value {
	out := make([]module.Value, len(s))
	for i, t := range s {
		out[i] = module.TextValue(t)
	}
	return list(out)
}

// table is a map from texts to texts; of a key that is there twice the last value
// counts.
type table struct {
	keys   []string
	values map[string]string
}

func newTable() *table { return &table{values: map[string]string{}} }

func (t *table) set(key, value string) {
	if _, ok := t.values[key]; !ok {
		t.keys = append(t.keys, key)
	}
	t.values[key] = value
}

// Len is the number of pairs.
func (t *table) Len() int { return len(t.keys) }

// Pair is pair i.
func (t *table) Pair(i int) (key, value module.Value) {
	if i < 0 || i >= len(t.keys) {
		return module.Value{}, module.Value{}
	}
	return module.TextValue(t.keys[i]), module.TextValue(t.values[t.keys[i]])
}

// Find is the value of a key.
func (t *table) Find(key module.Value) module.Value {
	v, ok := t.values[key.Text]
	return textIf(v, ok && key.Kind == module.String)
}
