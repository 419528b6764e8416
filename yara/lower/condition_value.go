package lower

import (
	"math"
	"strings"

	"github.com/showcause/showcause/regex"
	resyntax "github.com/showcause/showcause/regex/syntax"
	"github.com/showcause/showcause/yara/code"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/syntax"
)

// arithmetics are the ops of operators on integers.
var arithmetics = map[syntax.Op]code.Op{
	"+": code.Add, "-": code.Sub, "*": code.Mul, `\`: code.Div, "%": code.Mod,
	"&": code.And, "|": code.Or, "^": code.Xor, "<<": code.Shl, ">>": code.Shr,
}

// comparisons are how far the op of a comparison is from the first of its kind.
var comparisons = map[syntax.Op]code.Op{"==": 0, "!=": 1, "<": 2, "<=": 3, ">": 4, ">=": 5}

// textual are the ops of operators on texts.
var textual = map[syntax.Op]code.Op{
	"contains": code.Contains, "startswith": code.StartsWith, "endswith": code.EndsWith,
	"icontains": code.IContains, "istartswith": code.IStartsWith, "iendswith": code.IEndsWith, "iequals": code.IEquals,
}

// comparison makes the code of a binary expression that is true or false, and
// says whether it is one.
func (g *gen) comparison(e *syntax.Binary, j jumps, next code.Label) bool {
	if e.Op == "matches" {
		g.matches(e, j, next)
		return true
	}
	if op, ok := textual[e.Op]; ok {
		x := g.textOf(e.X, j.undefined)
		g.test(code.Instr{Op: op, B: x, C: g.textOf(e.Y, j.undefined)}, j, next)
		return true
	}
	off, ok := comparisons[e.Op]
	if !ok {
		return false
	}
	kx, ky := g.kind(e.X), g.kind(e.Y)
	switch {
	case kx == module.String:
		x := g.textOf(e.X, j.undefined)
		g.test(code.Instr{Op: code.TEq + off, B: x, C: g.textOf(e.Y, j.undefined)}, j, next)
	case kx == module.Float || ky == module.Float:
		x := g.floatOf(e.X, j.undefined)
		g.test(code.Instr{Op: code.FEq + off, B: x, C: g.floatOf(e.Y, j.undefined)}, j, next)
	default:
		x, y, op := e.X, e.Y, e.Op
		if _, ok := g.small(x); ok { // the second operand can be a number
			x, y, op = y, x, mirrored(op)
		}
		if g.peek(x, y, code.Eq+comparisons[op], j, next) {
			break
		}
		in := code.Instr{Op: code.Eq + comparisons[op], B: g.intOf(x, j.undefined)}
		g.second(&in, y, j.undefined)
		g.test(in, j, next)
	}
	return true
}

// peek makes one instruction of a number that is read and compared, where that it
// is not there and that it is another come to the same.
func (g *gen) peek(x, y syntax.Expr, op code.Op, j jumps, next code.Label) bool {
	call, isCall := bare(x).(*syntax.Call)
	n, ok := g.small(y)
	if !isCall || !ok || j.undefined != j.no {
		return false
	}
	form, ok := g.reads(call)
	if !ok || g.kind(call) != module.Int {
		return false
	}
	in := code.Instr{Op: code.Peek, A: code.Peeking(op, form), Y: n, HasY: true}
	if off, ok := g.small(call.Args[0]); ok && off >= 0 && off <= math.MaxUint16 {
		in.B = int(off)
	} else {
		in.B, in.Indirect = g.intOf(call.Args[0], j.undefined), true
	}
	g.test(in, j, next)
	return true
}

// mirrored is a comparison with its operands the other way round.
func mirrored(op syntax.Op) syntax.Op {
	switch op {
	case "<":
		return ">"
	case "<=":
		return ">="
	case ">":
		return "<"
	case ">=":
		return "<="
	}
	return op
}

// small is the value of a constant that fits into an instruction.
func (g *gen) small(e syntax.Expr) (int64, bool) {
	v, ok := g.constant(bare(e))
	if !ok || v.Kind != module.Int && v.Kind != module.Bool || !code.Fits(v.Int) {
		return 0, false
	}
	return v.Int, true
}

// second sets the second operand of an instruction.
func (g *gen) second(in *code.Instr, e syntax.Expr, undefined code.Label) {
	if n, ok := g.small(e); ok {
		in.Y, in.HasY = n, true
		return
	}
	in.C = g.intOf(e, undefined)
}

// matches makes the code of "matches".
func (g *gen) matches(e *syntax.Binary, j jumps, next code.Label) {
	l := g.regexp(e.Y)
	if l == nil {
		g.fail(e, "regular expression that is not one")
		return
	}
	prog, ok := g.compile(l)
	if !ok {
		g.fail(e, "regular expression too large")
		return
	}
	x := g.textOf(e.X, j.undefined)
	g.test(code.Instr{Op: code.Matches, B: x, C: g.b.Regexp(prog)}, j, next)
}

// regexp is the regular expression that an expression names, nil if it is none.
func (g *gen) regexp(e syntax.Expr) *syntax.Literal {
	switch e := bare(e).(type) {
	case *syntax.Literal:
		if e.Kind == syntax.RegexpLit {
			return e
		}
	case *syntax.Name:
		if v := g.find(e.Name); v != nil {
			return v.regexp
		}
	}
	return nil
}

// compile compiles a regular expression, as the checker read it.
func (g *gen) compile(l *syntax.Literal) (regex.Program, bool) {
	t := g.res.Regexps[l]
	if t == nil {
		flags := resyntax.Flags{
			Dialect: resyntax.YARAX, CaseInsensitive: strings.Contains(l.Flags, "i"), DotAll: strings.Contains(l.Flags, "s"),
		}
		if g.yara4() {
			flags.Dialect = resyntax.YARA4
		}
		var err error
		if t, err = resyntax.Parse(l.Text, flags); err != nil {
			return nil, false
		}
	}
	p, _, err := regex.Compile(t, regex.Options{Ascii: true, Reach: -1})
	return p, err == nil
}

// to makes the code that puts a value where a variable has its own.
func (g *gen) to(e syntax.Expr, v variable, undefined code.Label) {
	switch v.kind {
	case module.Bool, module.Int:
		g.intTo(e, v.reg, undefined)
	case module.Float:
		g.floatTo(e, v.reg, undefined)
	case module.String:
		g.textTo(e, v.reg, undefined)
	default:
		g.b.Emit(code.Instr{Op: code.ValueMove, A: v.reg, B: g.valueOf(e, undefined)})
	}
}

// variable is the variable that an expression names, if it has a kind. It makes
// the code that asks whether it is defined.
func (g *gen) variable(e syntax.Expr, undefined code.Label, kinds ...module.Kind) (reg int, ok bool) {
	name, isName := e.(*syntax.Name)
	if !isName {
		return 0, false
	}
	v := g.find(name.Name)
	if v == nil {
		return 0, false
	}
	for _, k := range kinds {
		ok = ok || v.kind == k
	}
	if ok && v.flag >= 0 {
		g.b.Emit(code.Instr{Op: code.Eq, B: v.flag, HasY: true, If: true, To: undefined})
	}
	return v.reg, ok
}

// intOf makes the code of an integer or boolean and says where it is.
func (g *gen) intOf(e syntax.Expr, undefined code.Label) int {
	e = bare(e)
	if _, ok := g.constant(e); !ok {
		if reg, ok := g.variable(e, undefined, module.Int, module.Bool); ok {
			return reg
		}
	}
	reg := g.newInt()
	g.intTo(e, reg, undefined)
	return reg
}

// intTo makes the code of an integer or boolean in a register.
func (g *gen) intTo(e syntax.Expr, reg int, undefined code.Label) {
	e = bare(e)
	was := g.now
	defer func() { g.now = was }()
	if v, ok := g.constant(e); ok {
		g.b.Emit(code.Instr{Op: code.Int, A: reg, N: v.Int})
		return
	}
	if from, ok := g.variable(e, undefined, module.Int, module.Bool); ok {
		g.b.Emit(code.Instr{Op: code.Move, A: reg, B: from})
		return
	}
	if name, ok := e.(*syntax.Name); isCondition(e) || ok && g.res.Refs[name] != nil {
		g.boolTo(e, reg, undefined)
		return
	}
	switch e := e.(type) {
	case *syntax.Keyword:
		if e.Name == "filesize" {
			g.b.Emit(code.Instr{Op: code.Size, A: reg})
		} else {
			g.b.Emit(code.Instr{Op: code.Entry, A: reg, To: undefined})
		}
		return
	case *syntax.Unary:
		op := code.Neg
		if e.Op == "~" {
			op = code.Not
		}
		g.intTo(e.X, reg, undefined)
		g.b.Emit(code.Instr{Op: op, A: reg, B: reg})
		return
	case *syntax.Binary:
		g.operator(e, reg, undefined)
		return
	case *syntax.Measure:
		g.measure(e, reg, undefined)
		return
	case *syntax.Call:
		if form, ok := g.reads(e); ok {
			in := code.Instr{Op: code.Read, A: reg, B: form, To: undefined}
			g.second(&in, e.Args[0], undefined)
			g.b.Emit(in)
			return
		}
		if x, ok := g.lengthOf(e); ok {
			if g.kind(x) == module.String {
				g.b.Emit(code.Instr{Op: code.TextLen, A: reg, B: g.textOf(x, undefined)})
			} else {
				g.b.Emit(code.Instr{Op: code.Len, A: reg, B: g.valueOf(x, undefined), To: undefined})
			}
			return
		}
	}
	v, on := g.valueOf(e, undefined), g.b.Label()
	if init, ok := g.preset(e); ok {
		other := g.b.Label()
		g.b.Emit(code.Instr{Op: code.UnboxInt, A: reg, B: v, To: other})
		g.b.Emit(code.Instr{Op: code.Jump, To: on})
		g.b.Bind(other)
		g.b.Emit(code.Instr{Op: code.Int, A: reg, N: init.Int})
		g.b.Bind(on)
		return
	}
	g.b.Emit(code.Instr{Op: code.UnboxInt, A: reg, B: v, To: undefined})
}

// boolTo makes the code of a boolean in a register.
func (g *gen) boolTo(e syntax.Expr, reg int, undefined code.Label) {
	yes, no, on := g.b.Label(), g.b.Label(), g.b.Label()
	g.cond(e, jumps{yes, no, undefined}, yes)
	g.b.Bind(yes)
	g.b.Emit(code.Instr{Op: code.Int, A: reg, N: 1})
	g.b.Emit(code.Instr{Op: code.Jump, To: on})
	g.b.Bind(no)
	g.b.Emit(code.Instr{Op: code.Int, A: reg})
	g.b.Bind(on)
}

// operator makes the code of an operator on integers. A row of operators to the
// left is not one call in another.
func (g *gen) operator(e *syntax.Binary, reg int, undefined code.Label) {
	row := []*syntax.Binary{e}
	for {
		x, ok := bare(e.X).(*syntax.Binary)
		if !ok || arithmetics[x.Op] == code.False {
			break
		}
		if _, known := g.constant(x); known {
			break
		}
		row = append(row, x)
		e = x
	}
	g.intTo(e.X, reg, undefined)
	for i := len(row) - 1; i >= 0; i-- {
		was := g.now
		in := code.Instr{Op: arithmetics[row[i].Op], A: reg, B: reg}
		g.second(&in, row[i].Y, undefined)
		switch in.Op {
		case code.Div, code.Mod, code.Shl, code.Shr:
			in.To = undefined
		}
		g.b.Emit(in)
		g.now = was
	}
}

// measure makes the code of #a, @a and !a.
func (g *gen) measure(e *syntax.Measure, reg int, undefined code.Label) {
	in := code.Instr{Op: code.Count, A: reg}
	g.pattern(&in, e.Name)
	switch {
	case e.Kind == '#' && e.In != nil:
		in.Op = code.CountIn
		in.C = g.span(e.In, undefined)
	case e.Kind != '#':
		in.Op, in.To = code.Offset, undefined
		if e.Kind == '!' {
			in.Op = code.Length
		}
		in.Y, in.HasY = 1, true
		if e.Index != nil {
			in.Y, in.HasY = 0, false
			g.second(&in, e.Index, undefined)
		}
	}
	g.b.Emit(in)
}

// reads is the form of number that a call reads from what is scanned.
func (g *gen) reads(e *syntax.Call) (form int, ok bool) {
	n, isName := e.Fn.(*syntax.Name)
	if !isName || g.find(n.Name) != nil || len(e.Args) != 1 {
		return 0, false
	}
	return code.Form(n.Name)
}

// lengthOf is the x of x.len().
func (g *gen) lengthOf(e *syntax.Call) (x syntax.Expr, ok bool) {
	s, isSelect := e.Fn.(*syntax.Select)
	if !isSelect || s.Field.Name != "len" || g.yara4() {
		return nil, false
	}
	switch g.kind(s.X) {
	case module.String, module.Array, module.Map:
		return s.X, true
	}
	return nil, false
}

// floatOf makes the code of a number as a float and says where it is.
func (g *gen) floatOf(e syntax.Expr, undefined code.Label) int {
	if reg, ok := g.variable(bare(e), undefined, module.Float); ok {
		return reg
	}
	reg := g.newInt()
	g.floatTo(e, reg, undefined)
	return reg
}

// floatTo makes the code of a number as a float in a register.
func (g *gen) floatTo(e syntax.Expr, reg int, undefined code.Label) {
	e = bare(e)
	was := g.now
	defer func() { g.now = was }()
	if v, ok := g.constant(e); ok {
		f := v.Float
		if v.Kind != module.Float {
			f = float64(v.Int)
		}
		g.b.Emit(code.Instr{Op: code.Int, A: reg, N: int64(math.Float64bits(f))})
		return
	}
	if g.kind(e) != module.Float {
		g.intTo(e, reg, undefined)
		g.b.Emit(code.Instr{Op: code.ToFloat, A: reg, B: reg})
		return
	}
	if from, ok := g.variable(e, undefined, module.Float); ok {
		g.b.Emit(code.Instr{Op: code.Move, A: reg, B: from})
		return
	}
	switch e := e.(type) {
	case *syntax.Unary:
		g.floatTo(e.X, reg, undefined)
		g.b.Emit(code.Instr{Op: code.FNeg, A: reg, B: reg})
		return
	case *syntax.Binary:
		op := map[syntax.Op]code.Op{"+": code.FAdd, "-": code.FSub, "*": code.FMul, `\`: code.FDiv}[e.Op]
		g.floatTo(e.X, reg, undefined)
		g.b.Emit(code.Instr{Op: op, A: reg, B: reg, C: g.floatOf(e.Y, undefined)})
		return
	case *syntax.Call:
		if form, ok := g.reads(e); ok {
			in := code.Instr{Op: code.Read, A: reg, B: form, To: undefined}
			g.second(&in, e.Args[0], undefined)
			g.b.Emit(in)
			return
		}
	}
	v, on := g.valueOf(e, undefined), g.b.Label()
	if init, ok := g.preset(e); ok {
		other := g.b.Label()
		g.b.Emit(code.Instr{Op: code.UnboxFloat, A: reg, B: v, To: other})
		g.b.Emit(code.Instr{Op: code.Jump, To: on})
		g.b.Bind(other)
		g.b.Emit(code.Instr{Op: code.Int, A: reg, N: int64(math.Float64bits(init.Float))})
		g.b.Bind(on)
		return
	}
	g.b.Emit(code.Instr{Op: code.UnboxFloat, A: reg, B: v, To: undefined})
}

// textOf makes the code of a text and says where it is.
func (g *gen) textOf(e syntax.Expr, undefined code.Label) int {
	e = bare(e)
	if _, ok := g.constant(e); !ok {
		if reg, ok := g.variable(e, undefined, module.String); ok {
			return reg
		}
	}
	reg := g.newText()
	g.textTo(e, reg, undefined)
	return reg
}

// textTo makes the code of a text in a register.
func (g *gen) textTo(e syntax.Expr, reg int, undefined code.Label) {
	e = bare(e)
	was := g.now
	defer func() { g.now = was }()
	if v, ok := g.constant(e); ok {
		g.b.Emit(code.Instr{Op: code.Text, A: reg, N: int64(g.b.String(v.Text))})
		return
	}
	if from, ok := g.variable(e, undefined, module.String); ok {
		g.b.Emit(code.Instr{Op: code.TextMove, A: reg, B: from})
		return
	}
	v, on := g.valueOf(e, undefined), g.b.Label()
	if init, ok := g.preset(e); ok {
		other := g.b.Label()
		g.b.Emit(code.Instr{Op: code.UnboxText, A: reg, B: v, To: other})
		g.b.Emit(code.Instr{Op: code.Jump, To: on})
		g.b.Bind(other)
		g.b.Emit(code.Instr{Op: code.Text, A: reg, N: int64(g.b.String(init.Text))})
		g.b.Bind(on)
		return
	}
	g.b.Emit(code.Instr{Op: code.UnboxText, A: reg, B: v, To: undefined})
}

// preset is the value of an external variable that a scan does not set.
func (g *gen) preset(e syntax.Expr) (module.Value, bool) {
	n, ok := e.(*syntax.Name)
	if !ok || g.find(n.Name) != nil {
		return module.Value{}, false
	}
	v, ok := g.externals[n.Name]
	if v.Kind == module.Int && g.kind(e) == module.Float {
		v = module.FloatValue(float64(v.Int))
	}
	return v, ok && v.Kind <= module.String && v.Defined()
}

// valueOf makes the code of what a module or an external variable says, and says
// where it is.
func (g *gen) valueOf(e syntax.Expr, undefined code.Label) int {
	e = bare(e)
	if reg, ok := g.variable(e, undefined, module.Struct); ok {
		return reg
	}
	reg := g.newValue()
	was := g.now
	switch e := e.(type) {
	case *syntax.Name:
		if _, ok := g.externals[e.Name]; ok || g.kind(e) != module.Struct {
			g.b.Emit(code.Instr{Op: code.External, A: reg, N: int64(g.b.String(e.Name))})
		} else {
			g.b.Emit(code.Instr{Op: code.Module, A: reg, B: g.b.Module(e.Name)})
		}
	case *syntax.Select:
		x := g.valueOf(e.X, undefined)
		g.b.Emit(code.Instr{Op: code.Field, A: reg, B: x, N: int64(g.b.String(e.Field.Name))})
	case *syntax.Index:
		x := g.valueOf(e.X, undefined)
		if g.kind(e.I) == module.String {
			g.b.Emit(code.Instr{Op: code.Key, A: reg, B: x, C: g.textOf(e.I, undefined)})
		} else {
			g.b.Emit(code.Instr{Op: code.Index, A: reg, B: x, C: g.intOf(e.I, undefined)})
		}
	case *syntax.Call:
		g.call(e, reg, undefined)
	default:
		g.fail(e, "value of this form")
	}
	g.now = was
	return reg
}

// call makes the code of a call of a function.
func (g *gen) call(e *syntax.Call, reg int, undefined code.Label) {
	fn := g.valueOf(e.Fn, undefined)
	first := g.now.values
	for range e.Args {
		g.newValue()
	}
	for i, a := range e.Args {
		was := g.now
		in := code.Instr{A: first + i}
		switch g.kind(a) {
		case module.Int:
			in.Op, in.B = code.BoxInt, g.intOf(a, undefined)
		case module.Bool:
			in.Op, in.B = code.BoxBool, g.intOf(a, undefined)
		case module.Float:
			in.Op, in.B = code.BoxFloat, g.floatOf(a, undefined)
		case module.String:
			in.Op, in.B = code.BoxText, g.textOf(a, undefined)
		case module.Regexp:
			l := g.regexp(a)
			if l == nil {
				g.fail(a, "regular expression that is not one")
				return
			}
			in.Op, in.N, in.E = code.BoxRegexp, int64(g.b.String(l.Text)), g.b.String(l.Flags)
		default:
			g.fail(a, "argument of this form")
			return
		}
		g.b.Emit(in)
		g.now = was
	}
	if len(e.Args) == 0 {
		first = 0
	}
	g.b.Emit(code.Instr{Op: code.Call, A: reg, B: fn, C: first, N: int64(len(e.Args))})
}
