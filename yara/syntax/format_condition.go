package syntax

import (
	"strings"

	"github.com/showcause/showcause/yara/source"
)

// expr writes an expression.
func (p *printer) expr(e Expr) {
	switch e := e.(type) {
	case *Literal:
		p.put(e.Span, e.Raw)
	case *Name:
		p.put(e.Span, e.Name)
	case *Keyword:
		p.put(e.Span, e.Name)
	case *Glob:
		text := e.Name
		if e.Wild {
			text += "*"
		}
		p.put(e.Span, text)
	case *Select:
		p.expr(e.X)
		p.sign(".")
		p.put(e.Field.Span, e.Field.Name)
	case *Index:
		p.expr(e.X)
		p.block("[", e.I, "]", e.End)
	case *Call:
		p.expr(e.Fn)
		p.sign("(")
		p.list(e.Args)
		p.close(")", e.End)
	case *Unary:
		p.unary(e)
	case *Binary:
		p.expr(e.X)
		p.space = true
		p.put(source.Span{Start: e.OpPos, End: e.OpPos + source.Pos(len(e.Op))}, string(e.Op))
		p.space = true
		p.expr(e.Y)
	case *Logic:
		p.logic(e)
	case *Paren:
		p.flush(e.Start)
		p.block("(", e.X, ")", e.End)
	default:
		p.patternExpr(e)
	}
}

// patternExpr writes what is about patterns, and loops.
func (p *printer) patternExpr(e Expr) {
	switch e := e.(type) {
	case *Match:
		p.put(e.Name.Span, e.Name.Name)
		p.at(e.At, e.In)
	case *Measure:
		p.put(e.Name.Span, string(e.Kind)+e.Name.Name[1:])
		if e.Index != nil {
			p.block("[", e.Index, "]", e.End)
		}
		p.at(nil, e.In)
	case *Range:
		p.sign("(")
		p.expr(e.Lo)
		p.space = false
		p.sign("..")
		p.expr(e.Hi)
		p.close(")", e.End)
	case *Quantifier:
		p.quantifier(e)
	case *Set:
		p.set(e)
	case *Of:
		p.quantifier(e.Quant)
		p.word("of")
		p.set(e.Set)
		p.at(e.At, e.In)
	case *ForOf:
		p.put(source.Span{Start: e.Start, End: e.Start + 3}, "for")
		p.space = true
		p.quantifier(e.Quant)
		p.word("of")
		p.set(e.Set)
		p.body(e.Body, e.End)
	case *ForIn:
		p.put(source.Span{Start: e.Start, End: e.Start + 3}, "for")
		p.space = true
		p.quantifier(e.Quant)
		p.space = true
		for i, v := range e.Vars {
			p.comma(i)
			p.put(v.Span, v.Name)
		}
		p.word("in")
		p.expr(e.Iter)
		p.body(e.Body, e.End)
	case *With:
		p.put(source.Span{Start: e.Start, End: e.Start + 4}, "with")
		p.space = true
		for i, v := range e.Vars {
			p.comma(i)
			p.put(v.Span, v.Name)
			p.assign()
			p.expr(e.Values[i])
		}
		p.body(e.Body, e.End)
	}
}

func (p *printer) unary(e *Unary) {
	n := source.Pos(len(e.Op))
	p.put(source.Span{Start: e.Start, End: e.Start + n}, string(e.Op))
	p.space = n > 1
	p.expr(e.X)
}

// word writes a word between spaces.
func (p *printer) word(text string) {
	p.space = true
	p.sign(text)
	p.space = true
}

func (p *printer) comma(i int) {
	if i > 0 {
		p.sign(",")
		p.space = true
	}
}

// at writes "at x" or "in (x..y)".
func (p *printer) at(at Expr, in *Range) {
	switch {
	case at != nil:
		p.word("at")
		p.expr(at)
	case in != nil:
		p.word("in")
		p.expr(in)
	}
}

func (p *printer) quantifier(q *Quantifier) {
	if q.N == nil {
		p.put(q.Span, q.Word)
		return
	}
	p.expr(q.N)
	if q.Percent {
		p.sign("%")
	}
}

func (p *printer) set(s *Set) {
	if s.Them {
		p.put(s.Span, "them")
		return
	}
	p.put(source.Span{Start: s.Start, End: s.Start + 1}, "(")
	p.list(s.Items)
	p.close(")", s.End)
}

// list writes expressions with commas, broken after those where the source is.
func (p *printer) list(items []Expr) {
	p.indent++
	for i, e := range items {
		p.comma(i)
		if at := e.Range().Start; i > 0 {
			p.gap(at)
		}
		p.expr(e)
	}
	p.indent--
}

// body writes : (x).
func (p *printer) body(e Expr, end source.Pos) {
	p.word(":")
	p.block("(", e, ")", end)
}

// close writes a bracket that ends at a place.
func (p *printer) close(text string, end source.Pos) {
	p.flush(end)
	p.space = false
	p.sign(text)
}

// logic writes operands and the words between them. The line is broken before a
// word if the source is broken on one of its sides.
func (p *printer) logic(e *Logic) {
	for i, k := range e.Kids {
		if i > 0 {
			between := p.src.Slice(source.Span{Start: e.Kids[i-1].Range().End, End: k.Range().Start})
			p.space = true
			if strings.Contains(between, "\n") {
				p.flush(e.Words[i-1])
				p.breaks = max(p.breaks, 1)
			}
			at := source.Span{Start: e.Words[i-1], End: e.Words[i-1] + source.Pos(len(e.Op))}
			p.put(at, string(e.Op))
			p.space = true
		}
		p.expr(k)
	}
}

// block writes an expression in brackets, on lines of its own if it is broken.
// The brackets end at a place.
func (p *printer) block(open string, e Expr, closing string, end source.Pos) {
	p.sign(open)
	l, ok := e.(*Logic)
	broken := ok && strings.Contains(p.src.Slice(l.Span), "\n") && p.broken(l)
	p.indent++
	if broken {
		p.breaks = 1
	}
	p.expr(e)
	p.flush(end)
	p.indent--
	if broken {
		p.breaks = 1
	}
	p.close(closing, end)
}

// broken says whether the source is broken between two operands.
func (p *printer) broken(l *Logic) bool {
	for i := 1; i < len(l.Kids); i++ {
		gap := source.Span{Start: l.Kids[i-1].Range().End, End: l.Kids[i].Range().Start}
		if strings.Contains(p.src.Slice(gap), "\n") {
			return true
		}
	}
	return false
}
