package syntax

import (
	"fmt"

	"github.com/showcause/showcause/yara/source"
)

// binding is how strong an arithmetic operator binds; 0 is none.
func binding(op string) int {
	switch op {
	case "|":
		return 1
	case "^":
		return 2
	case "&":
		return 3
	case "<<", ">>":
		return 4
	case "+", "-":
		return 5
	case "*", `\`, "%":
		return 6
	}
	return 0
}

// comparison is how strong a comparison binds; 0 is none. Both are weaker than
// all arithmetic.
func comparison(op string) int {
	switch op {
	case "==", "!=", "contains", "icontains", "startswith", "istartswith", "endswith", "iendswith", "iequals", "matches":
		return 1
	case "<", "<=", ">", ">=":
		return 2
	}
	return 0
}

// condition reads a boolean expression: terms joined by "and" and "or".
func (p *parser) condition() Expr {
	if !p.enter() {
		return nil
	}
	defer p.leave()
	return p.joined("or", func() Expr { return p.joined("and", p.term) })
}

// joined reads operands with a word between them.
func (p *parser) joined(word string, operand func() Expr) Expr {
	first := operand()
	if p.stop || !p.is(word) {
		return first
	}
	l := &Logic{Op: Op(word), Kids: []Expr{first}}
	for !p.stop && p.is(word) {
		l.Words = append(l.Words, p.here().Start)
		p.next()
		l.Kids = append(l.Kids, operand())
	}
	if p.stop {
		return nil
	}
	l.Span = p.since(first.Range().Start)
	return l
}

// term reads what stands between "and" and "or".
func (p *parser) term() Expr {
	if !p.enter() {
		return nil
	}
	defer p.leave()
	start := p.here().Start
	switch {
	case p.is("not"), p.is("defined"):
		op := Op(p.tok.text)
		p.next()
		x := p.term()
		return &Unary{p.since(start), op, x}
	case p.is("for"):
		return p.forLoop()
	case p.isWith():
		return p.with()
	case p.is("all"), p.is("any"), p.is("none"):
		q := p.quantifier()
		return p.of(q)
	case p.tok.kind == tName && p.tok.text[0] == '$':
		return p.compare(p.match(), 0)
	}
	x := p.arithmetic(0)
	if p.stop {
		return nil
	}
	if q := p.counted(x); q != nil {
		return p.of(q)
	}
	return p.compare(x, 0)
}

// counted makes a quantifier of an expression that "of" or "% of" follows.
func (p *parser) counted(x Expr) *Quantifier {
	start := x.Range().Start
	switch {
	case p.is("%") && p.peek(1).text == "of":
		if !p.percentOf(x) {
			return nil
		}
		p.next()
		return &Quantifier{Span: p.since(start), N: x, Percent: true}
	case p.is("of"):
		return &Quantifier{Span: p.since(start), N: x}
	}
	return nil
}

// percentOf refuses a percentage that is computed without brackets in YARA-X.
func (p *parser) percentOf(x Expr) bool {
	if _, computed := x.(*Binary); computed && p.dialect == source.YARAX {
		p.tell(source.OtherDialect, x.Range(), "computed percentage", "YARA only; YARA-X takes it in brackets")
		return false
	}
	return true
}

// compare reads comparisons that follow x and bind stronger than least. YARA
// takes one, YARA-X a chain.
func (p *parser) compare(x Expr, least int) Expr {
	chained := 0
	for !p.stop {
		op := p.tok.text
		b := comparison(op)
		if p.tok.kind != tSign && p.tok.kind != tWord || b <= least {
			break
		}
		if chained++; p.dialect == source.YARA && (chained > 1 || least > 0) {
			p.tell(source.OtherDialect, p.here(), "comparison of a comparison", "YARA-X only")
			return nil
		}
		if chained > maxChain {
			p.tell(source.NestingTooDeep, p.here(), "too many operators in a row", fmt.Sprintf("more than %d", maxChain))
			return nil
		}
		if chained == 1 && !p.operand(x) {
			return nil
		}
		at := p.here()
		p.next()
		y := p.arithmetic(0)
		if p.stop || !p.operand(y) {
			return nil
		}
		// Only a stronger comparison takes y away: 1 == 2 < 3.
		y = p.compare(y, b)
		if p.stop {
			return nil
		}
		x = &Binary{Span: p.since(x.Range().Start), Op: Op(op), OpPos: at.Start, X: x, Y: y}
	}
	return x
}

// operand refuses a boolean expression where the grammar of both dialects has a
// number or text: (a and b) + 1.
func (p *parser) operand(x Expr) bool {
	if p.stop {
		return false
	}
	if !boolean(x) {
		return true
	}
	p.tell(source.SyntaxError, x.Range(), "syntax error: boolean expression as an operand",
		"a number or text is expected here")
	return false
}

// boolean says whether an expression is one by its form.
func boolean(x Expr) bool {
	switch x := x.(type) {
	case *Paren:
		return boolean(x.X)
	case *Literal:
		return x.Kind == BoolLit
	case *Unary:
		return x.Op == "not" || x.Op == "defined"
	case *Binary:
		return comparison(string(x.Op)) > 0
	case *Logic, *Match, *Of, *ForOf, *ForIn, *With:
		return true
	}
	return false
}

// arithmetic reads an expression of operators that bind stronger than least.
func (p *parser) arithmetic(least int) Expr {
	x := p.unary()
	for chain := 0; !p.stop; chain++ {
		op := p.tok.text
		b := binding(op)
		if p.tok.kind != tSign || b <= least || op == "%" && p.peek(1).text == "of" {
			break
		}
		if op == "%" && p.percentOfLoop() {
			break
		}
		if chain > maxChain {
			p.tell(source.NestingTooDeep, p.here(), "too many operators in a row", fmt.Sprintf("more than %d", maxChain))
			break
		}
		if !p.operand(x) {
			break
		}
		at := p.here()
		p.next()
		y := p.arithmetic(b)
		if p.stop || !p.operand(y) {
			break
		}
		x = &Binary{Span: p.since(x.Range().Start), Op: Op(op), OpPos: at.Start, X: x, Y: y}
	}
	if p.stop {
		return nil
	}
	return x
}

// percentOfLoop says whether the % here is that of "for 50% i in" or "for 50% of".
func (p *parser) percentOfLoop() bool {
	if p.depth != p.loopAt {
		return false
	}
	if next := p.peek(1); next.kind != tWord || p.reserved(next.text) {
		return false
	}
	after := p.peek(2)
	return after.kind == tWord && after.text == "in" || after.kind == tSign && after.text == ","
}

// unary reads - and ~ and what they are put before.
func (p *parser) unary() Expr {
	if !p.is("-") && !p.is("~") {
		return p.primary()
	}
	if !p.enter() {
		return nil
	}
	defer p.leave()
	start := p.here().Start
	op := Op(p.tok.text)
	p.next()
	x := p.unary()
	if p.stop || !p.operand(x) {
		return nil
	}
	return &Unary{p.since(start), op, x}
}

// primary reads an operand.
func (p *parser) primary() Expr {
	var x Expr
	switch {
	case p.tok.kind == tInt:
		if l := p.integer(); l != nil {
			x = l
		}
	case p.tok.kind == tFloat:
		if l := p.float(); l != nil {
			x = l
		}
	case p.tok.kind == tText:
		if l := p.text(); l != nil {
			x = l
		}
	case p.tok.kind == tRegexp:
		if l := p.regexp(); l != nil {
			x = l
		}
	case p.is("true"), p.is("false"):
		x = p.bool()
	case p.is("filesize"), p.is("entrypoint"):
		x = &Keyword{Ident{p.here(), p.tok.text}}
		p.next()
	case p.is("("):
		x = p.paren()
	case p.tok.kind == tName && p.tok.text[0] == '$':
		x = p.match()
	case p.tok.kind == tName:
		x = p.measure()
	case p.tok.kind == tWord && !p.reserved(p.tok.text), p.tok.kind == tWord && readsInteger(p.tok.text):
		x = p.selectors()
	case p.is("all"), p.is("any"), p.is("none"), p.is("for"), p.is("not"), p.is("defined"):
		// Not here: "1 + not a".
		p.tell(source.SyntaxError, p.here(), "syntax error: boolean expression as an operand", "a number or text is expected here")
	default:
		p.unexpected("an expression")
	}
	if p.stop {
		return nil
	}
	return x
}

// paren reads (x).
func (p *parser) paren() Expr {
	start := p.want("(").Start
	x := p.condition()
	p.want(")")
	return &Paren{p.since(start), x}
}

// match reads $a and what follows it.
func (p *parser) match() Expr {
	if !p.enter() {
		return nil
	}
	defer p.leave()
	m := &Match{Name: Ident{p.here(), p.tok.text}}
	p.next()
	m.At, m.In = p.atOrIn()
	m.Span = p.since(m.Name.Start)
	return m
}

// atOrIn reads "at x" or "in (x..y)", if one is there.
func (p *parser) atOrIn() (Expr, *Range) {
	switch {
	case p.accept("at"):
		x := p.arithmetic(0)
		if !p.operand(x) {
			return nil, nil
		}
		return x, nil
	case p.accept("in"):
		return nil, p.span()
	}
	return nil, nil
}

// span reads (x..y).
func (p *parser) span() *Range {
	start := p.want("(").Start
	r := &Range{Lo: p.arithmetic(0)}
	p.want(".")
	p.want(".")
	r.Hi = p.arithmetic(0)
	p.want(")")
	if p.stop || !p.operand(r.Lo) || !p.operand(r.Hi) {
		return nil
	}
	r.Span = p.since(start)
	return r
}

// measure reads #a, @a or !a and what follows it.
func (p *parser) measure() Expr {
	if !p.enter() {
		return nil
	}
	defer p.leave()
	m := &Measure{Kind: p.tok.text[0], Name: Ident{p.here(), "$" + p.tok.text[1:]}}
	p.next()
	if m.Kind == '#' {
		if p.accept("in") {
			m.In = p.span()
		}
	} else if p.accept("[") {
		m.Index = p.arithmetic(0)
		p.want("]")
		if !p.operand(m.Index) {
			return nil
		}
	}
	m.Span = p.since(m.Name.Start)
	return m
}

// selectors reads a name and the fields, indexes and calls after it.
func (p *parser) selectors() Expr {
	if !p.enter() {
		return nil
	}
	defer p.leave()
	start := p.here().Start
	var x Expr = &Name{Ident{p.here(), p.tok.text}}
	p.next()
	for n := 0; !p.stop; n++ {
		if n > maxDepth {
			p.tell(source.NestingTooDeep, p.here(), "nesting too deep", "fields of fields")
			break
		}
		switch {
		case p.is(".") && p.peek(1).text != ".":
			p.next()
			field := p.ident("the name of a field")
			x = &Select{p.since(start), x, field}
		case p.accept("["):
			i := p.arithmetic(0)
			p.want("]")
			if !p.operand(i) {
				return nil
			}
			x = &Index{p.since(start), x, i}
		case p.accept("("):
			c := &Call{Fn: x, Args: p.list(")")}
			c.Span = p.since(start)
			x = c
		default:
			return x
		}
	}
	return nil
}

// list reads expressions with commas between them, and the sign that closes them.
func (p *parser) list(closing string) []Expr {
	var out []Expr
	for !p.stop && !p.is(closing) {
		out = append(out, p.condition())
		if !p.accept(",") {
			break
		}
		if p.is(closing) {
			p.unexpected("an expression")
		}
	}
	p.want(closing)
	return out
}
