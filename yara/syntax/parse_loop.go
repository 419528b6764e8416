package syntax

import "github.com/showcause/showcause/yara/source"

// quantifier reads all, any, none, N or N%.
func (p *parser) quantifier() *Quantifier {
	q := &Quantifier{Span: p.here()}
	if p.is("all") || p.is("any") || p.is("none") {
		q.Word = p.tok.text
		p.next()
		return q
	}
	q.N = p.arithmetic(0)
	if p.stop || !p.operand(q.N) {
		return nil
	}
	if p.is("%") {
		if !p.percentOf(q.N) {
			return nil
		}
		p.next()
		q.Percent = true
	}
	q.Span = p.since(q.Start)
	return q
}

// of reads "of", a set, and "at" or "in" after it.
func (p *parser) of(q *Quantifier) Expr {
	p.want("of")
	if p.stop || q.N != nil && !p.operand(q.N) {
		return nil
	}
	o := &Of{Quant: q, Set: p.set(true)}
	if p.stop {
		return nil
	}
	at := p.here()
	o.At, o.In = p.atOrIn()
	if (o.At != nil || o.In != nil) && !patterns(o.Set) {
		p.tell(source.SyntaxError, at, "syntax error: place after a set that is not of patterns",
			"only patterns match at a place")
		return nil
	}
	o.Span = p.since(q.Start)
	return o
}

// patterns says whether a set is one of patterns.
func patterns(s *Set) bool {
	if s.Them {
		return true
	}
	g, ok := s.Items[0].(*Glob)
	return ok && g.Name[0] == '$'
}

// set reads "them", or a list in parentheses: patterns, or, with more, rules or
// boolean expressions.
func (p *parser) set(more bool) *Set {
	s := &Set{Span: p.here()}
	if p.accept("them") {
		s.Them = true
		return s
	}
	p.want("(")
	for !p.stop {
		s.Items = append(s.Items, p.member(more))
		if !p.accept(",") {
			break
		}
	}
	p.want(")")
	s.Span = p.since(s.Start)
	p.uniform(s)
	return s
}

// member reads one item of a set.
func (p *parser) member(more bool) Expr {
	start := p.here().Start
	next := p.peek(1)
	alone := next.kind == tSign && (next.text == "," || next.text == ")" || next.text == "*")
	switch {
	case p.tok.kind == tName && p.tok.text[0] == '$' && (alone || !more || p.dialect == source.YARA):
		g := &Glob{Name: p.tok.text}
		p.next()
		p.star(g)
		g.Span = p.since(start)
		return g
	case !more:
		p.unexpected("the name of a pattern, `$` first")
		return nil
	case p.tok.kind == tWord && !p.reserved(p.tok.text) && next.text == "*" && p.adjacent(next) && p.endsMember(2):
		g := &Glob{Name: p.tok.text}
		p.next()
		p.star(g)
		g.Span = p.since(start)
		if p.dialect == source.YARAX {
			p.tell(source.OtherDialect, g.Span, "set of rules by the beginning of their names", "YARA only")
		}
		return g
	case p.dialect == source.YARA:
		g := &Glob{Name: p.ident("the name of a pattern or rule").Name}
		g.Span = p.since(start)
		return g
	}
	return p.condition()
}

// adjacent says whether a token stands right after tok.
func (p *parser) adjacent(t token) bool { return t.start == p.tok.end }

// endsMember says whether the token n tokens on ends an item of a set.
func (p *parser) endsMember(n int) bool {
	t := p.peek(n)
	return t.kind == tSign && (t.text == "," || t.text == ")")
}

// star takes the * after a name.
func (p *parser) star(g *Glob) {
	if p.is("*") && p.last == p.tok.start {
		g.Wild = true
		p.next()
	}
}

// uniform refuses a set of patterns and other things in YARA. In YARA-X it is
// one of boolean expressions, unless a name in it has a *.
func (p *parser) uniform(s *Set) {
	if p.stop {
		return
	}
	mixed, wild := -1, false
	for i, item := range s.Items {
		g, ok := item.(*Glob)
		if pattern := ok && g.Name[0] == '$'; pattern != patterns(s) {
			mixed = i
		}
		wild = wild || ok && g.Wild
	}
	if mixed < 0 {
		return
	}
	if wild || p.dialect == source.YARA {
		p.tell(source.SyntaxError, s.Items[mixed].Range(), "syntax error: patterns and other things in one set",
			"unlike the first item")
		return
	}
	for i, item := range s.Items {
		if g, ok := item.(*Glob); ok && g.Name[0] == '$' {
			s.Items[i] = &Match{Span: g.Span, Name: Ident{g.Span, g.Name}}
		}
	}
}

// forLoop reads "for ... of" and "for ... in".
func (p *parser) forLoop() Expr {
	start := p.want("for").Start
	outer := p.loopAt
	p.loopAt = p.depth
	q := p.quantifier()
	p.loopAt = outer
	if p.stop {
		return nil
	}
	if p.accept("of") {
		f := &ForOf{Quant: q, Set: p.set(false)}
		f.Body = p.loopBody()
		f.Span = p.since(start)
		return f
	}
	if q.Percent && p.dialect == source.YARA {
		p.tell(source.OtherDialect, q.Span, "percentage in a loop over values", "YARA-X only")
		return nil
	}
	f := &ForIn{Quant: q}
	for {
		f.Vars = append(f.Vars, p.ident("the name of a variable, or `of`"))
		if !p.accept(",") {
			break
		}
	}
	p.want("in")
	f.Iter = p.iterable()
	f.Body = p.loopBody()
	f.Span = p.since(start)
	return f
}

// loopBody reads : (x).
func (p *parser) loopBody() Expr {
	p.want(":")
	p.want("(")
	x := p.condition()
	p.want(")")
	return x
}

// iterable reads (x..y), (x, y, z), or a value.
func (p *parser) iterable() Expr {
	if !p.is("(") {
		return p.arithmetic(0)
	}
	start := p.want("(").Start
	first := p.arithmetic(0)
	if p.stop || !p.operand(first) {
		return nil
	}
	if p.accept(".") {
		p.want(".")
		r := &Range{Lo: first, Hi: p.arithmetic(0)}
		p.want(")")
		r.Span = p.since(start)
		if !p.operand(r.Hi) {
			return nil
		}
		return r
	}
	s := &Set{Items: []Expr{first}}
	for p.accept(",") {
		x := p.arithmetic(0)
		if !p.operand(x) {
			return nil
		}
		s.Items = append(s.Items, x)
	}
	p.want(")")
	s.Span = p.since(start)
	return s
}

// isWith says whether "with" begins here. It is a plain name in YARA.
func (p *parser) isWith() bool {
	if !p.is("with") || p.dialect == source.YARA {
		return false
	}
	return p.dialect == source.YARAX || p.peek(1).kind == tWord && p.peek(2).text == "="
}

// with reads "with a = x, b = y : (z)".
func (p *parser) with() Expr {
	start := p.want("with").Start
	w := &With{}
	for !p.stop {
		w.Vars = append(w.Vars, p.ident("the name of a variable"))
		p.want("=")
		x := p.arithmetic(0)
		if !p.operand(x) {
			return nil
		}
		w.Values = append(w.Values, x)
		if !p.accept(",") {
			break
		}
	}
	w.Body = p.loopBody()
	w.Span = p.since(start)
	return w
}
