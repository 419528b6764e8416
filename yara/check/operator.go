package check

import (
	"math"
	"strings"

	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

func (c *checker) unary(e *syntax.Unary) value {
	switch e.Op {
	case "not":
		v := c.boolean(e.X)
		out := of(module.Bool)
		if v.known() {
			out.c = module.BoolValue(!v.c.Truth())
		}
		return out
	case "defined":
		v := c.expr(e.X)
		out := of(module.Bool)
		if v.known() {
			out.c = module.BoolValue(true)
		}
		return out
	case "~":
		v := c.integer(e.X)
		if v.known() {
			return constant(module.IntValue(^v.c.Int))
		}
		return of(module.Int)
	}
	v := c.expr(e.X)
	if !v.is(module.Int, module.Float) {
		c.wrong(e.X.Range(), v, module.Int, module.Float)
		return value{}
	}
	switch {
	case v.c.Kind == module.Int:
		return constant(module.IntValue(-v.c.Int))
	case v.c.Kind == module.Float:
		return constant(module.FloatValue(-v.c.Float))
	}
	return value{t: v.t}
}

func (c *checker) binary(e *syntax.Binary) value {
	switch e.Op {
	case "+", "-", "*", `\`:
		return c.arithmetic(e)
	case "%", "&", "|", "^", "<<", ">>":
		x, y := c.integer(e.X), c.integer(e.Y)
		if (e.Op == "<<" || e.Op == ">>") && y.known() && y.c.Int < 0 {
			c.err(source.NegativeShift, e.Y.Range(), "shift by a negative number", "it can not be below zero")
			return value{}
		}
		return c.fold(e, x, y, module.Int)
	case "==", "!=", "<", "<=", ">", ">=":
		return c.compare(e)
	case "matches":
		c.operand(e.X, module.String)
		c.operand(e.Y, module.Regexp)
		return of(module.Bool)
	}
	x, y := c.operand(e.X, module.String), c.operand(e.Y, module.String)
	out := of(module.Bool)
	if x.c.Kind == module.String && y.c.Kind == module.String {
		out.c = module.BoolValue(textual(string(e.Op), x.c.Text, y.c.Text))
	}
	return out
}

// operand checks that an operand is of a kind.
func (c *checker) operand(e syntax.Expr, k module.Kind) value {
	v := c.expr(e)
	if !v.is(k) {
		c.wrong(e.Range(), v, k)
		return value{}
	}
	return v
}

func (c *checker) arithmetic(e *syntax.Binary) value {
	x, y := c.expr(e.X), c.expr(e.Y)
	for i, v := range []value{x, y} {
		if !v.is(module.Int, module.Float) && !(v.is(module.Bool) && c.o.Dialect == source.Either) {
			c.wrong([]syntax.Expr{e.X, e.Y}[i].Range(), v, module.Int, module.Float)
			return value{}
		}
	}
	if x.t == nil || y.t == nil {
		return value{}
	}
	k := module.Int
	if x.t.Kind == module.Float || y.t.Kind == module.Float {
		k = module.Float
	}
	return c.fold(e, x, y, k)
}

// fold is the value of an operator, if it is constant.
func (c *checker) fold(e *syntax.Binary, x, y value, k module.Kind) value {
	if !x.known() || !y.known() {
		if y.c.Kind == module.Int && y.c.Int == 0 && (e.Op == `\` || e.Op == "%") && k == module.Int {
			c.zero(e)
		}
		return of(k)
	}
	if k == module.Float {
		a, b := asFloat(x.c), asFloat(y.c)
		switch e.Op {
		case "+":
			a += b
		case "-":
			a -= b
		case "*":
			a *= b
		case `\`:
			a /= b
		}
		if math.IsNaN(a) || math.IsInf(a, 0) {
			return of(k)
		}
		return constant(module.FloatValue(a))
	}
	a, b := x.c.Int, y.c.Int
	if (e.Op == `\` || e.Op == "%") && b == 0 {
		c.zero(e)
		return of(k)
	}
	n, over := integers(string(e.Op), a, b)
	if e.Op == "*" && c.o.Dialect == source.YARA {
		over = tooLarge(a, b)
	}
	if !over {
		return constant(module.IntValue(n))
	}
	// YARA-X wraps sums and products; the quotient that does not fit is undefined.
	if c.o.Dialect == source.YARA {
		c.err(source.IntegerOverflow, e.Span, "integer overflow", "the value does not fit in 64 bits")
		return value{}
	}
	if c.o.Dialect == source.Either {
		c.warn(source.DialectsDisagree, e.Span, "integer overflow", "YARA refuses this, YARA-X wraps it")
	}
	if e.Op == `\` {
		return of(k)
	}
	return constant(module.IntValue(n))
}

// tooLarge says whether YARA takes a product for one that does not fit: it asks
// for the magnitudes, so that the least integer is refused, too.
func tooLarge(a, b int64) bool {
	if a == 0 || b == 0 {
		return false
	}
	if a == math.MinInt64 || b == math.MinInt64 {
		return true
	}
	return max(a, -a) > math.MaxInt64/max(b, -b)
}

// zero tells of a division by zero.
func (c *checker) zero(e *syntax.Binary) {
	if c.o.Dialect == source.YARA {
		c.err(source.DivisionByZero, e.Y.Range(), "division by zero", "it is zero")
		return
	}
	c.warn(source.UnsatisfiableExpr, e.Y.Range(), "division by zero", "the value is undefined")
}

func asFloat(v module.Value) float64 {
	if v.Kind == module.Float {
		return v.Float
	}
	return float64(v.Int)
}

// integers computes an operator of integers. over says that the true value does
// not fit; n is then what remains of it. The divisor is not zero.
func integers(op string, a, b int64) (n int64, over bool) {
	switch op {
	case "+":
		n = a + b
		return n, (a >= 0) == (b >= 0) && (n >= 0) != (a >= 0)
	case "-":
		n = a - b
		return n, (a >= 0) != (b >= 0) && (n >= 0) != (a >= 0)
	case "*":
		n = a * b
		return n, a != 0 && (n/a != b || a == -1 && b == math.MinInt64)
	case `\`:
		if a == math.MinInt64 && b == -1 {
			return a, true
		}
		return a / b, false
	case "%":
		if b == -1 {
			return 0, false
		}
		return a % b, false
	case "&":
		return a & b, false
	case "|":
		return a | b, false
	case "^":
		return a ^ b, false
	case "<<":
		if b >= 64 {
			return 0, false
		}
		return a << uint(b), false
	case ">>":
		if b >= 64 {
			return 0, false
		}
		return a >> uint(b), false
	}
	return 0, false
}

// textual computes an operator of texts.
func textual(op, a, b string) bool {
	if strings.HasPrefix(op, "i") {
		a, b, op = lower(a), lower(b), op[1:]
	}
	switch op {
	case "contains":
		return strings.Contains(a, b)
	case "startswith":
		return strings.HasPrefix(a, b)
	case "endswith":
		return strings.HasSuffix(a, b)
	case "equals":
		return a == b
	}
	return false
}

// lower turns ASCII letters into small ones.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}

// compare checks ==, !=, <, <=, > and >=.
func (c *checker) compare(e *syntax.Binary) value {
	x, y := c.expr(e.X), c.expr(e.Y)
	if x.t == nil || y.t == nil {
		return of(module.Bool)
	}
	number := func(v value) bool { return v.is(module.Int, module.Float) }
	switch {
	case number(x) && number(y), x.is(module.String) && y.is(module.String):
	case c.o.Dialect != source.YARA && (x.is(module.Bool) && (y.is(module.Bool) || number(y)) || y.is(module.Bool) && number(x)):
		if number(x) || number(y) {
			c.warn(source.BoolIntComparison, e.Span, "comparison of a boolean and a number", "the boolean itself says it, or `not` before it")
		}
		return of(module.Bool)
	default:
		bad, other := e.Y, e.X
		v, w := y, x
		if !x.is(module.Int, module.Float, module.String, module.Bool) {
			bad, other, v, w = e.X, e.Y, x, y
		}
		c.err(source.WrongType, bad.Range(), "types that do not compare", "this is "+article(v.t)).
			also(other.Range(), "this is "+article(w.t))
		return value{}
	}
	c.letters(e, x, y)
	out := of(module.Bool)
	if x.known() && y.known() {
		out.c = module.BoolValue(compared(string(e.Op), x.c, y.c, c.o.Dialect == source.YARA))
	}
	c.near(e, x, y)
	return out
}

// near tells that YARA takes floats for equal that are next to each other.
func (c *checker) near(e *syntax.Binary, x, y value) {
	if c.o.Dialect != source.Either || e.Op != "==" && e.Op != "!=" || !x.is(module.Float) && !y.is(module.Float) {
		return
	}
	op := string(e.Op)
	if x.known() && y.known() && compared(op, x.c, y.c, true) == compared(op, x.c, y.c, false) {
		return
	}
	c.warn(source.DialectsDisagree, e.Span, "comparison of floats means two things", "YARA takes for equal what differs by less than 2^-52, YARA-X does not")
}

// compared computes a comparison of two numbers or two texts. Of floats YARA 4 asks
// whether they differ by less than 2^-52; what is no number differs neither by less nor
// by more (libyara/exec.c, OP_DBL_EQ).
func compared(op string, a, b module.Value, yara4 bool) bool {
	order := 0
	if yara4 && (a.Kind == module.Float || b.Kind == module.Float) && (op == "==" || op == "!=") {
		d := math.Abs(asFloat(a) - asFloat(b))
		return op == "==" && d < source.Epsilon || op == "!=" && d >= source.Epsilon
	}
	switch {
	case a.Kind == module.String:
		order = strings.Compare(a.Text, b.Text)
	case a.Kind == module.Float || b.Kind == module.Float:
		x, y := asFloat(a), asFloat(b)
		switch {
		case x < y:
			order = -1
		case x > y:
			order = 1
		case x != y: // not a number
			return op == "!="
		}
	case a.Int < b.Int:
		order = -1
	case a.Int > b.Int:
		order = 1
	}
	switch op {
	case "==":
		return order == 0
	case "!=":
		return order != 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

// letters warns of a digest, which is in small letters, that is compared with a
// text that is not.
func (c *checker) letters(e *syntax.Binary, x, y value) {
	digest := func(e syntax.Expr) bool {
		call, ok := e.(*syntax.Call)
		if !ok {
			return false
		}
		s, ok := call.Fn.(*syntax.Select)
		if !ok {
			return false
		}
		m, ok := s.X.(*syntax.Name)
		return ok && (m.Name == "hash" && s.Field.Name != "crc32" && s.Field.Name != "checksum32" ||
			m.Name == "pe" && s.Field.Name == "imphash" || m.Name == "elf" && s.Field.Name == "import_md5")
	}
	text, fn, v := e.X, e.Y, x
	if digest(e.X) {
		text, fn, v = e.Y, e.X, y
	}
	if c.o.Dialect != source.YARA && digest(fn) && v.c.Kind == module.String && v.c.Text != lower(v.c.Text) && (e.Op == "==" || e.Op == "!=") {
		c.warn(source.UnsatisfiableExpr, text.Range(), "digest in capital letters", "this has capital letters").
			also(fn.Range(), "this has none").
			fix(text.Range(), `"`+lower(v.c.Text)+`"`, "write it in small letters")
	}
}
