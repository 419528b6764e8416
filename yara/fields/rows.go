package fields

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// row is a structure whose fields are made when asked for.
type row func(name string) module.Value

// Field is the field of that name.
func (r row) Field(name string) module.Value { return r(name) }

// rows is an array whose values are made when asked for.
type rows struct {
	n  int64
	at func(i int64) module.Value
}

// Len is the number of values.
func (r rows) Len() int { return int(r.n) }

// At is value i.
func (r rows) At(i int64) module.Value {
	if i < 0 || i >= r.n {
		return module.Value{}
	}
	return r.at(i)
}

// array is an array of n structures.
func array(n int64, at func(i int64, name string) module.Value) module.Value {
	return module.Value{Kind: module.Array, Ref: rows{n, func(i int64) module.Value {
		return structure(row(func(name string) module.Value { return at(i, name) }))
	}}}
}

// nothing is a structure that is not there: all its fields are undefined.
func nothing() module.Value { return structure(module.Tree{}) }

// gets is a getter that is a function.
type gets func(name string) (module.Value, bool)

func (g gets) get(name string) (module.Value, bool) { return g(name) }

// telling is a getter that tells of a gap after each field that is asked for, where
// short says that there is one.
func (l *Layer) telling(short func() bool, g gets) getter {
	return gets(func(name string) (module.Value, bool) {
		v, ok := g(name)
		l.short(short)
		return l.watch(v, short), ok
	})
}

// watch does the same for what is asked for of a value later.
func (l *Layer) watch(v module.Value, short func() bool) module.Value {
	switch ref := v.Ref.(type) {
	case rows:
		v.Ref = rows{ref.n, func(i int64) module.Value {
			v := ref.at(i)
			l.short(short)
			return l.watch(v, short)
		}}
	case row:
		v.Ref = row(func(name string) module.Value {
			v := ref(name)
			l.short(short)
			return l.watch(v, short)
		})
	case module.Function:
		v.Ref = module.Function(func(a []module.Value) module.Value {
			v := ref(a)
			l.short(short)
			return v
		})
	}
	return v
}

func (l *Layer) short(short func() bool) {
	if short() {
		l.gap(showcause.LimitWork)
	}
}

// charge is what parsers charge their work to: whoever is denied is told of.
func (l *Layer) charge(n int64) bool {
	if l.work(n) {
		return true
	}
	l.gap(showcause.LimitWork)
	return false
}

// begins says whether the layer begins with one of some texts of one length. If that
// cannot be read, so that it is not known what the layer is, it tells of a gap.
func (l *Layer) begins(texts ...string) bool {
	n := len(texts[0])
	if l.in.Size() < int64(n) {
		return false
	}
	b := l.in.Read(0, n)
	if b == nil {
		l.gap(showcause.Unreadable)
	}
	return slices.Contains(texts, string(b))
}

// x says whether a dialect has YARA-X's reading of a damaged file.
func x(d source.Dialect) bool { return d != source.YARA }

// small is a number of 32 bits as an enumeration of YARA-X has it: undefined above
// 2^31.
func small(d source.Dialect, n uint64) module.Value {
	return numberIf(int64(n), !x(d) || n < 1<<31)
}

// name is a text of a file: as it is in YARA 4, as UTF-8 in YARA-X.
func name(d source.Dialect, s string) module.Value {
	if x(d) {
		s = lossy(s)
	}
	return module.TextValue(s)
}

// lossy makes UTF-8 of bytes: U+FFFD stands for each longest run that could have
// begun a character.
func lossy(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			n = begun(s)
		}
		b.WriteRune(r)
		s = s[n:]
	}
	return b.String()
}

// begun is the length of the start of a character at the front of s, at least 1.
func begun(s string) int {
	low, high, more := byte(0x80), byte(0xbf), 0
	switch c := s[0]; {
	case c >= 0xc2 && c <= 0xdf:
		more = 1
	case c >= 0xe0 && c <= 0xef:
		more = 2
		if c == 0xe0 {
			low = 0xa0
		}
		if c == 0xed {
			high = 0x9f
		}
	case c >= 0xf0 && c <= 0xf4:
		more = 3
		if c == 0xf0 {
			low = 0x90
		}
		if c == 0xf4 {
			high = 0x8f
		}
	}
	n := 1
	for n <= more && n < len(s) && s[n] >= low && s[n] <= high {
		n, low, high = n+1, 0x80, 0xbf
	}
	return n
}
