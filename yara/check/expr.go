package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

// value is the type of an expression, and its value if it is constant. A nil
// type is one that an error was told of already: it fits everywhere.
type value struct {
	t *module.Type
	c module.Value
}

func (v value) known() bool { return v.c.Defined() }

// is says whether a value is of one of some kinds, or not known to be otherwise.
func (v value) is(kinds ...module.Kind) bool {
	return v.t == nil || slices.Contains(kinds, v.t.Kind)
}

// bare are the types that are a kind and no more.
var bare = func() (out [256]module.Type) {
	for k := range out {
		out[k].Kind = module.Kind(k)
	}
	return out
}()

func of(k module.Kind) value { return value{t: &bare[k]} }

func constant(c module.Value) value { return value{&bare[c.Kind], c} }

// expr checks an expression and keeps what it found.
func (c *checker) expr(e syntax.Expr) value {
	if e == nil {
		return value{}
	}
	v := c.kind(e)
	if v.t != nil {
		c.Types[e] = v.t
	}
	if v.known() {
		c.Consts[e] = v.c
	}
	return v
}

// kind is the value of an expression.
func (c *checker) kind(e syntax.Expr) value {
	switch e := e.(type) {
	case *syntax.Literal:
		return c.literal(e)
	case *syntax.Keyword:
		return c.keyword(e)
	case *syntax.Name:
		return c.name(e)
	case *syntax.Select:
		return c.field(e)
	case *syntax.Index:
		return c.indexed(e)
	case *syntax.Call:
		return c.call(e)
	case *syntax.Unary:
		return c.unary(e)
	case *syntax.Binary:
		return c.binary(e)
	case *syntax.Logic:
		return c.logic(e)
	case *syntax.Paren:
		return c.expr(e.X)
	case *syntax.Match:
		c.pattern(e.Name)
		c.place(e.At, e.In)
		return of(module.Bool)
	case *syntax.Measure:
		return c.measure(e)
	case *syntax.Of:
		return c.ofExpr(e)
	case *syntax.ForOf:
		return c.forOf(e)
	case *syntax.ForIn:
		return c.forIn(e)
	case *syntax.With:
		return c.with(e)
	}
	return value{}
}

func (c *checker) literal(e *syntax.Literal) value {
	switch e.Kind {
	case syntax.IntegerLit:
		return constant(module.IntValue(e.Int))
	case syntax.FloatLit:
		return constant(module.FloatValue(e.Float))
	case syntax.TextLit:
		return constant(module.TextValue(e.Text))
	case syntax.BoolLit:
		return constant(module.BoolValue(e.Int != 0))
	}
	c.regexp(e, false, false)
	return of(module.Regexp)
}

func (c *checker) keyword(e *syntax.Keyword) value {
	if e.Name == "entrypoint" {
		if c.o.Dialect == source.YARAX {
			c.err(source.OtherDialect, e.Span, "`entrypoint` is not in YARA-X", "use `pe.entry_point`, `elf.entry_point` or `macho.entry_point`")
		} else {
			c.warn(source.DeprecatedKeyword, e.Span, "`entrypoint` is deprecated", "use `pe.entry_point`, `elf.entry_point` or `macho.entry_point`")
		}
	}
	return of(module.Int)
}

// name finds what an identifier means: a variable, an external, a module or a
// rule before this one.
func (c *checker) name(e *syntax.Name) value {
	if v := c.cur.find(e.Name); v != nil {
		v.used = true
		return value{v.t, v.c}
	}
	if x, ok := c.o.Externals[e.Name]; ok {
		if t := c.o.Types[e.Name]; t != nil {
			return value{t: t}
		}
		if x.Kind == module.Bool && c.o.Dialect == source.YARA {
			return of(module.Int)
		}
		return of(x.Kind)
	}
	if c.cur.names.modules[e.Name] {
		c.cur.use(e.Name)
		return value{t: c.module(e.Name)}
	}
	if r := c.cur.names.rules[e.Name]; r != nil && r != c.cur.rule {
		c.Refs[e] = r
		c.globalUse(r, e.Span)
		if r.Ignored != "" && c.cur.rule.Ignored == "" {
			c.cur.rule.Ignored = r.Ignored
			c.warn(source.IgnoredRule, e.Span, "rule left out", "this rule needs module `"+r.Ignored+"`, which is not supported")
		}
		return of(module.Bool)
	}
	c.unknown(e.Ident)
	return value{}
}

// globalUse warns of a global rule in a condition: it holds anyway.
func (c *checker) globalUse(r *Rule, at source.Span) {
	if r.Flag("global") && c.o.Dialect != source.YARA {
		c.warn(source.GlobalRuleMisuse, at, "global rule in a condition", "it holds wherever this rule is asked").
			note("a global rule is part of every condition already; with `not` before it the condition never holds")
	}
}

func (c *checker) field(e *syntax.Select) value {
	x := c.expr(e.X)
	switch {
	case x.t == nil:
		return value{}
	case x.t.Kind != module.Struct:
		c.err(source.NotAStructure, e.Field.Span, "field of what is no structure", "this is a field of "+article(x.t)).
			also(e.X.Range(), "here")
		return value{}
	}
	f := x.t.Field(e.Field.Name)
	if f == nil {
		d := c.err(source.UnknownField, e.Field.Span, "unknown field or function `"+e.Field.Name+"`", "the structure has none of that name")
		var names []string
		for _, f := range x.t.Fields {
			names = append(names, f.Name)
		}
		if near := nearest(e.Field.Name, names); near != "" {
			d.fix(e.Field.Span, near, "did you mean `"+near+"`?")
		}
		return value{}
	}
	if f.Old != "" && c.o.Dialect != source.YARA {
		c.warn(source.DeprecatedField, e.Field.Span, "field `"+f.Name+"` is deprecated", "use `"+f.Old+"`")
	}
	v := value{t: f.Type}
	if f.Const != nil {
		v.c = *f.Const
	}
	return v
}

func (c *checker) indexed(e *syntax.Index) value {
	x := c.expr(e.X)
	i := c.expr(e.I)
	if x.t == nil {
		return value{}
	}
	key := module.Int
	switch x.t.Kind {
	case module.Array:
	case module.Map:
		key = x.t.Key
	default:
		c.err(source.NotIndexable, e.X.Range(), "index into what is no array or map", "this is "+article(x.t))
		return value{}
	}
	if !i.is(key) {
		c.wrong(e.I.Range(), i, key)
	} else if key == module.Int && x.t.Kind == module.Array && i.known() && i.c.Int < 0 && c.o.Dialect == source.YARAX {
		c.err(source.NegativeNumber, e.I.Range(), "negative index", "it can not be below zero")
	}
	return value{t: x.t.Elem}
}

// wrong tells of a type that does not fit.
func (c *checker) wrong(at source.Span, v value, want ...module.Kind) told {
	var names []string
	for _, k := range want {
		names = append(names, k.String())
	}
	return c.err(source.WrongType, at, "wrong type", strings.Join(names, " or ")+" expected, this is "+article(v.t))
}

func article(t *module.Type) string {
	name := t.String()
	if strings.ContainsRune("aeiou", rune(name[0])) {
		return "an " + name
	}
	return "a " + name
}

// integer checks that an expression is an integer.
func (c *checker) integer(e syntax.Expr) value {
	v := c.expr(e)
	if e != nil && !v.is(module.Int) && !(v.is(module.Bool) && c.o.Dialect == source.Either) {
		c.wrong(e.Range(), v, module.Int)
		return value{}
	}
	return v
}

// boolean checks that an expression can be taken as true or false.
func (c *checker) boolean(e syntax.Expr) value {
	v := c.expr(e)
	if v.t == nil || e == nil {
		return value{}
	}
	switch v.t.Kind {
	case module.Bool:
		return v
	case module.Int, module.Float, module.String, module.Regexp:
	default:
		c.wrong(e.Range(), v, module.Bool)
		return value{}
	}
	if c.o.Dialect != source.YARA || v.t.Kind == module.String {
		d := c.warn(source.NonBoolExpr, e.Range(), article(v.t)[len("a "):]+" taken as a boolean", "it is true unless it is zero or empty")
		d.Title = v.t.String() + " taken as a boolean"
		if v.t.Kind == module.Int || v.t.Kind == module.Float {
			d.note("say `!= 0` if that is meant")
		}
	}
	out := of(module.Bool)
	if v.known() {
		out.c = module.BoolValue(v.c.Truth())
	}
	return out
}

func (c *checker) logic(e *syntax.Logic) value {
	out := of(module.Bool)
	settled, all := false, true
	before := c.cur.effects
	for _, k := range e.Kids {
		writes := c.cur.effects
		v := c.boolean(k)
		if v.known() {
			c.cur.effects = writes // it is not evaluated
		}
		all = all && v.known()
		// What stands in front is evaluated, which is to be seen where it writes.
		if v.known() && v.c.Truth() == (e.Op == "or") && c.cur.effects == before {
			settled = true
		}
	}
	if settled || all {
		out.c = module.BoolValue(settled == (e.Op == "or"))
	}
	return out
}

// place checks what stands after "at" or "in".
func (c *checker) place(at syntax.Expr, in *syntax.Range) {
	if at != nil {
		v := c.integer(at)
		if v.known() && v.c.Int < 0 && c.o.Dialect == source.YARAX {
			c.err(source.NegativeNumber, at.Range(), "negative offset", "it can not be below zero")
		}
	}
	if in != nil {
		c.span(in)
	}
}

// span checks a range of integers and gives its length if it is known.
func (c *checker) span(r *syntax.Range) (n int64, known bool) {
	lo, hi := c.integer(r.Lo), c.integer(r.Hi)
	switch {
	case lo.known() && hi.known() && lo.c.Int > hi.c.Int:
		c.err(source.InvalidRange, r.Span, "empty range", fmt.Sprintf("%d is above %d", lo.c.Int, hi.c.Int))
	case lo.known() && lo.c.Int < 0 && c.o.Dialect == source.YARAX:
		c.err(source.NegativeNumber, r.Lo.Range(), "negative bound of a range", "it can not be below zero")
	case lo.known() && hi.known():
		return hi.c.Int - lo.c.Int + 1, true
	}
	return 0, false
}

func (c *checker) measure(e *syntax.Measure) value {
	c.pattern(e.Name)
	if e.In != nil {
		c.span(e.In)
	}
	if e.Index != nil {
		i := c.integer(e.Index)
		if i.known() && i.c.Int < 1 && c.o.Dialect == source.YARAX {
			c.err(source.OutOfRange, e.Index.Range(), "index of a match out of range", "the first match is number 1")
		}
	}
	return of(module.Int)
}

// call checks a call of a function, a method, or one of the functions that read
// numbers from what is scanned.
func (c *checker) call(e *syntax.Call) value {
	if n, ok := e.Fn.(*syntax.Name); ok && c.cur.find(n.Name) == nil {
		if k := reads(n.Name, c.o.Dialect); k != module.Undefined {
			if len(e.Args) != 1 {
				c.err(source.WrongArguments, e.Span, "wrong arguments", "`"+n.Name+"` takes one integer, the offset")
				return value{}
			}
			c.integer(e.Args[0])
			return of(k)
		}
	}
	if s, ok := e.Fn.(*syntax.Select); ok && s.Field.Name == "len" && c.o.Dialect != source.YARA {
		x := c.expr(s.X)
		if x.is(module.String, module.Array, module.Map) {
			if len(e.Args) != 0 {
				c.err(source.WrongArguments, e.Span, "wrong arguments", "`len` takes none")
			}
			return of(module.Int)
		}
	}
	fn := c.expr(e.Fn)
	args := make([]value, len(e.Args))
	for i, a := range e.Args {
		args[i] = c.expr(a)
	}
	if fn.t == nil {
		return value{}
	}
	if fn.t.Kind != module.Func {
		c.err(source.NotAFunction, e.Fn.Range(), "call of what is no function", "this is "+article(fn.t))
		return value{}
	}
	for _, loose := range []bool{false, true} {
		for _, form := range fn.t.Calls {
			if c.fits(form, args, loose) {
				return value{t: form.Result}
			}
		}
	}
	d := c.err(source.WrongArguments, e.Span, "wrong arguments", "the function takes none of this form")
	for _, form := range fn.t.Calls {
		d.note("it takes " + forms(form))
	}
	return value{}
}

// fits says whether arguments are of a form. A loose fit takes a boolean for an
// integer, and what the other dialect takes.
func (c *checker) fits(form module.Call, args []value, loose bool) bool {
	if len(form.Args) != len(args) {
		return false
	}
	for i, want := range form.Args {
		switch {
		case args[i].is(want):
		case want == module.Bool && args[i].is(module.Int):
		case loose && want == module.Int && args[i].is(module.Bool) && c.o.Dialect == source.Either:
		default:
			return false
		}
	}
	return true
}

func forms(form module.Call) string {
	var names []string
	for _, k := range form.Args {
		names = append(names, k.String())
	}
	return "(" + strings.Join(names, ", ") + ")"
}

// reads is the kind of number that a function of that name reads, Undefined if
// there is none. Those of 64 bits and floats are YARA-X's.
func reads(name string, d source.Dialect) module.Kind {
	switch name {
	case "int8", "int16", "int32", "uint8", "uint16", "uint32",
		"int8be", "int16be", "int32be", "uint8be", "uint16be", "uint32be":
		return module.Int
	}
	if d == source.YARA {
		return module.Undefined
	}
	switch name {
	case "int64", "uint64", "int64be", "uint64be":
		return module.Int
	case "float32", "float64", "float32be", "float64be":
		return module.Float
	}
	return module.Undefined
}
