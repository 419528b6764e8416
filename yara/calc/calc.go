// Package calc are YARA's modules that need nothing but the bytes that are
// scanned: math, hash, string, time, console.
//
// Sources: documentation of the modules in both dialects; libyara/modules of
// YARA 4.5.8; and what both engines answer.
package calc

import (
	"strconv"
	"strings"

	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// Input is what is scanned.
type Input interface {
	Size() int64
	// Read gives bytes off to off+n, nil if some of them are not there.
	Read(off int64, n int) []byte
}

// Host is what the modules are given. The zero value has no time, and says
// nothing.
type Host struct {
	Dialect source.Dialect
	Now     int64                  // seconds since 1970, UTC
	Log     func(line string)      // console
	Read    func(bytes int64) bool // says whether so many more bytes may be read; nil: yes
}

// Module is the value of a module, false if it is not one of these.
func Module(name string, in Input, h Host) (module.Value, bool) {
	fields := module.Tree{}
	c := &calc{in: in, h: h}
	switch name {
	case "math":
		c.math(fields)
	case "hash":
		c.hash(fields)
	case "string":
		fields["length"] = fn(func(a []module.Value) module.Value { return module.IntValue(int64(len(a[0].Text))) })
		fields["to_int"] = fn(c.toInt)
	case "time":
		fields["now"] = fn(func([]module.Value) module.Value { return module.IntValue(h.Now) })
	case "console":
		fields["log"] = fn(func(a []module.Value) module.Value { return c.log(a, false) })
		fields["hex"] = fn(func(a []module.Value) module.Value { return c.log(a, true) })
	default:
		return module.Value{}, false
	}
	t := module.Load(name, h.Dialect)
	if t == nil {
		return module.Value{}, false
	}
	return module.Constants(t, fields), true
}

// calc has the functions.
type calc struct {
	in Input
	h  Host
}

func fn(f module.Function) module.Value { return module.Value{Kind: module.Func, Ref: f} }

func undefined() module.Value { return module.Value{} }

// chunk is how many bytes are read at a time.
const chunk = 64 << 10

// walk gives the bytes of a text, or of length bytes at an offset: arguments 0
// and 1, or argument 0 alone. What is past the end is left out unless whole is
// set. It says whether there is such a range.
func (c *calc) walk(a []module.Value, whole bool, visit func([]byte)) bool {
	if a[0].Kind == module.String {
		visit([]byte(a[0].Text))
		return true
	}
	off, n := a[0].Int, a[1].Int
	size := c.in.Size()
	if off < 0 || n < 0 || off >= size && !(off == 0 && size == 0 && n == 0) {
		return false
	}
	if n > size-off {
		if whole {
			return false
		}
		n = size - off
	}
	if c.h.Read != nil && !c.h.Read(n) {
		return false
	}
	for n > 0 {
		k := min(n, chunk)
		b := c.in.Read(off, int(k))
		if int64(len(b)) != k {
			return false
		}
		visit(b)
		off, n = off+k, n-k
	}
	return true
}

// toInt reads a number from a text. YARA takes what strtoll takes, with all of
// the text; YARA-X a sign and digits.
func (c *calc) toInt(a []module.Value) module.Value {
	base := int64(10)
	text := a[0].Text
	if len(a) > 1 {
		base = a[1].Int
	} else if c.h.Dialect == source.YARA {
		base = 0
	}
	if base < 0 || base == 1 || base > 36 || base == 0 && len(a) > 1 && c.h.Dialect != source.YARA {
		return undefined()
	}
	if c.h.Dialect != source.YARA {
		n, err := strconv.ParseInt(text, int(base), 64)
		if err != nil || strings.Contains(text, "_") {
			return undefined()
		}
		return module.IntValue(n)
	}
	text = strings.TrimLeft(text, " \t\n\v\f\r")
	digits, sign := text, ""
	if digits != "" && (digits[0] == '-' || digits[0] == '+') {
		sign, digits = digits[:1], digits[1:]
	}
	prefix := len(digits) > 1 && digits[0] == '0' && digits[1]|0x20 == 'x'
	switch {
	case prefix && (base == 0 || base == 16):
		digits, base = digits[2:], 16
	case base == 0 && strings.HasPrefix(digits, "0"):
		base = 8
	case base == 0:
		base = 10
	}
	if digits == "" || digits[0] == '-' || digits[0] == '+' || strings.Contains(digits, "_") {
		return undefined()
	}
	n, err := strconv.ParseInt(sign+digits, int(base), 64)
	if err != nil {
		return undefined()
	}
	return module.IntValue(n)
}

// log writes its arguments, a name and a value or a value alone. It is true.
func (c *calc) log(a []module.Value, hex bool) module.Value {
	if c.h.Log == nil {
		return module.BoolValue(true)
	}
	var b strings.Builder
	for _, v := range a {
		switch {
		case v.Kind == module.String:
			b.WriteString(escape(v.Text))
		case v.Kind == module.Float && c.h.Dialect == source.YARA:
			b.WriteString(strconv.FormatFloat(v.Float, 'f', 6, 64))
		case v.Kind == module.Float:
			b.WriteString(strconv.FormatFloat(v.Float, 'f', -1, 64))
		case v.Kind == module.Int && hex:
			b.WriteString("0x" + strconv.FormatUint(uint64(v.Int), 16))
		default:
			b.WriteString(strconv.FormatInt(v.Int, 10))
		}
	}
	c.h.Log(b.String())
	return module.BoolValue(true)
}

// escape writes bytes that do not print as \xHH.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if s[i] >= ' ' && s[i] < 0x7F {
			b.WriteByte(s[i])
			continue
		}
		const digits = "0123456789abcdef"
		b.WriteString(`\x`)
		b.WriteByte(digits[s[i]>>4])
		b.WriteByte(digits[s[i]&15])
	}
	return b.String()
}
