package check

import (
	"fmt"

	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

// quantifier checks a quantifier. n is its number, known if it is a constant.
func (c *checker) quantifier(q *syntax.Quantifier) (n int64, known bool) {
	if q.N == nil {
		return 0, false
	}
	v := c.expr(q.N)
	at := q.N.Range()
	switch {
	case v.t == nil:
		return 0, false
	case v.t.Kind != module.Int:
		c.err(source.InvalidQuantifier, at, "invalid quantifier", "integer expected, this is "+article(v.t))
		return 0, false
	case !v.known():
		return 0, false
	case q.Percent && (v.c.Int < 1 || v.c.Int > 100):
		c.err(source.InvalidPercent, at, "invalid percentage", "it is from 1 to 100")
		return 0, false
	case v.c.Int < 0:
		c.err(source.InvalidQuantifier, at, "negative quantifier", "it can not be below zero")
		return 0, false
	}
	return v.c.Int, !q.Percent
}

// zeroOf warns of "0 of", which can be read as "none of" and as nothing asked.
func (c *checker) zeroOf(q *syntax.Quantifier, n int64, known bool, at source.Span) {
	if known && n == 0 {
		c.warn(source.AmbiguousExpr, at, "ambiguous expression", "`none` says what 0 means here").
			fix(q.Span, "none", "write `none`")
	}
}

func (c *checker) ofExpr(e *syntax.Of) value {
	n, known := c.quantifier(e.Quant)
	size := 0
	what := "patterns"
	if isPatterns(e.Set) {
		size = len(c.patternSet(e.Set))
	} else if isRules(e.Set, c.cur.names) {
		size = len(c.ruleSet(e.Set))
		what = "rules"
		c.listed(e.Set.Span, size)
	} else {
		if c.o.Dialect == source.YARA {
			c.err(source.OtherDialect, e.Set.Span, "set of boolean expressions", "YARA-X only")
		}
		for _, item := range e.Set.Items {
			c.boolean(item)
		}
		size = len(e.Set.Items)
		what = "expressions"
	}
	c.place(e.At, e.In)
	c.zeroOf(e.Quant, n, known, e.Span)
	if size > 0 {
		c.possible(e, n, known, size, what)
	}
	return of(module.Bool)
}

// possible warns of a set that can not have as many members as are asked for.
func (c *checker) possible(e *syntax.Of, n int64, known bool, size int, what string) {
	switch {
	case known && n > int64(size):
		c.warn(source.InvariantExpr, e.Span, "expression that never holds", fmt.Sprintf("it asks for %d of %d %s", n, size, what))
	case e.At != nil && (known && n > 1 || e.Quant.Word == "all" && size > 1):
		c.warn(source.UnsatisfiableExpr, e.Span, "expression that hardly ever holds", "it asks for more than one pattern at the same place")
	}
}

// isPatterns says whether a set is one of patterns.
func isPatterns(s *syntax.Set) bool {
	if s.Them {
		return true
	}
	g, ok := s.Items[0].(*syntax.Glob)
	return ok && g.Name[0] == '$'
}

// isRules says whether a set is one of rules: names of rules, or with a *.
func isRules(s *syntax.Set, n *namespace) bool {
	for _, item := range s.Items {
		switch item := item.(type) {
		case *syntax.Glob:
		case *syntax.Name:
			if n.rules[item.Name] == nil {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// enter counts a loop; turns is how often it goes round, 0 if that is not known.
func (c *checker) enter(at source.Span, turns int64) (leave func()) {
	before := c.cur.turns
	c.cur.loops++
	if c.cur.loops > loopNesting && c.o.Dialect == source.YARA {
		c.err(source.LoopTooDeep, at, "loops too deep", fmt.Sprintf("more than %d in each other", loopNesting))
	}
	if turns > 0 && before > 0 && before <= tooMany {
		c.cur.turns = before * min(turns, tooMany)
		if c.cur.turns >= tooMany && c.o.Dialect != source.YARA {
			c.warn(source.TooManyIterations, at, "loop goes round very often", fmt.Sprintf("%d times or more", c.cur.turns))
		}
	} else {
		c.cur.turns = before
	}
	return func() {
		c.cur.loops--
		c.cur.turns = before
	}
}

// tooMany is how often a loop may go round without a warning (YARA-X).
const tooMany = 1_000_000

func (c *checker) forOf(e *syntax.ForOf) value {
	n, known := c.quantifier(e.Quant)
	members := c.patternSet(e.Set)
	c.zeroOf(e.Quant, n, known, e.Span)
	if known && len(members) > 0 && n > int64(len(members)) {
		c.warn(source.InvariantExpr, e.Span, "expression that never holds", fmt.Sprintf("it asks for %d of %d patterns", n, len(members)))
	}
	leave := c.enter(e.Span, int64(len(members)))
	c.cur.of++
	c.boolean(e.Body)
	c.cur.of--
	leave()
	return of(module.Bool)
}

func (c *checker) forIn(e *syntax.ForIn) value {
	n, known := c.quantifier(e.Quant)
	c.zeroOf(e.Quant, n, known, e.Span)
	vars, turns := c.iterated(e)
	if vars != nil && len(vars) != len(e.Vars) {
		at := e.Vars[0].Span.To(e.Vars[len(e.Vars)-1].Span)
		c.err(source.WrongVariables, at, "wrong number of variables", fmt.Sprintf("%d here", len(e.Vars))).
			also(e.Iter.Range(), fmt.Sprintf("this yields %d", len(vars)))
		vars = nil
	}
	leave := c.enter(e.Span, turns)
	depth := len(c.cur.vars)
	for i, name := range e.Vars {
		c.newVariable(name)
		v := variable{name: name, used: true}
		if vars != nil {
			v.t = vars[i]
		}
		c.cur.vars = append(c.cur.vars, v)
	}
	c.boolean(e.Body)
	c.cur.vars = c.cur.vars[:depth]
	leave()
	return of(module.Bool)
}

// newVariable refuses a name that a variable around it has, as YARA does.
func (c *checker) newVariable(name syntax.Ident) {
	if v := c.cur.find(name.Name); v != nil && c.o.Dialect == source.YARA {
		c.err(source.DuplicateVariable, name.Span, "variable `"+name.Name+"` stands twice", "again").
			also(v.name.Span, "first here")
	}
}

// iterated are the types of what a loop yields, nil if that is not known, and
// how often it goes round, 0 if that is not known.
func (c *checker) iterated(e *syntax.ForIn) (vars []*module.Type, turns int64) {
	switch it := e.Iter.(type) {
	case *syntax.Range:
		n, known := c.span(it)
		if !known && sized(it.Hi) && c.o.Dialect != source.YARA {
			c.warn(source.PotentiallySlowLoop, it.Span, "loop that can be slow", "a large file makes this range large")
		}
		return []*module.Type{{Kind: module.Int}}, n
	case *syntax.Set:
		c.listed(it.Span, len(it.Items))
		return c.tuple(it), int64(len(it.Items))
	}
	v := c.expr(e.Iter)
	switch {
	case v.t == nil:
	case v.t.Kind == module.Array:
		return []*module.Type{v.t.Elem}, 0
	case v.t.Kind == module.Map:
		return []*module.Type{{Kind: v.t.Key}, v.t.Elem}, 0
	default:
		c.wrong(e.Iter.Range(), v, module.Array, module.Map)
	}
	return nil, 0
}

// maxVariables is how many variables there are in one place.
const maxVariables = 10000

// maxListed is how many rules a set has, and values a loop lists, at most.
const maxListed = 1<<16 - 1

// listed refuses what lists more.
func (c *checker) listed(at source.Span, n int) {
	if n > maxListed {
		c.err(source.TooLarge, at, "list too large", fmt.Sprintf("%d, at most %d", n, maxListed))
	}
}

// sized says whether an expression depends on the size of what is scanned.
func sized(e syntax.Expr) bool {
	found := false
	syntax.Walk(e, func(e syntax.Expr) bool {
		k, ok := e.(*syntax.Keyword)
		found = found || ok && k.Name == "filesize"
		return !found
	})
	return found
}

// tuple checks a list of values: all of one type.
func (c *checker) tuple(s *syntax.Set) []*module.Type {
	first := c.expr(s.Items[0])
	if first.t == nil {
		return nil
	}
	switch first.t.Kind {
	case module.Int, module.String:
	case module.Float, module.Bool, module.Struct:
		if c.o.Dialect == source.YARA {
			c.wrong(s.Items[0].Range(), first, module.Int, module.String)
			return nil
		}
	default:
		c.wrong(s.Items[0].Range(), first, module.Int, module.String)
		return nil
	}
	for _, item := range s.Items[1:] {
		v := c.expr(item)
		if v.t != nil && v.t.Kind != first.t.Kind {
			c.err(source.WrongType, item.Range(), "values of several types", "this is "+article(v.t)).
				also(s.Items[0].Range(), "this is "+article(first.t))
			return nil
		}
	}
	return []*module.Type{first.t}
}

func (c *checker) with(e *syntax.With) value {
	depth := len(c.cur.vars)
	if n := depth + len(e.Vars); n > maxVariables {
		c.err(source.TooLarge, e.Span, "too many variables", fmt.Sprintf("%d in each other, at most %d", n, maxVariables))
		return value{}
	}
	for i, name := range e.Vars {
		v := c.expr(e.Values[i])
		c.newVariable(name)
		c.cur.vars = append(c.cur.vars, variable{name: name, t: v.t, c: v.c})
	}
	c.boolean(e.Body)
	for _, v := range c.cur.vars[depth:] {
		if !v.used {
			c.warn(source.UnusedIdentifier, v.name.Span, "variable that is not used", "nothing below names it")
		}
	}
	c.cur.vars = c.cur.vars[:depth]
	return of(module.Bool)
}

// sets warns of a pattern that stands alone next to a set of patterns by the
// beginning of their names which it is in, too: "$start and any of ($s*)".
func (c *checker) sets(e syntax.Expr) {
	if c.o.Dialect == source.YARA {
		return
	}
	syntax.Walk(e, func(e syntax.Expr) bool {
		l, ok := e.(*syntax.Logic)
		if !ok {
			return true
		}
		var sets []*syntax.Of
		for _, k := range l.Kids {
			if o, ok := k.(*syntax.Of); ok && !o.Set.Them && len(sets) < maxSets {
				sets = append(sets, o)
			}
		}
		for _, k := range l.Kids {
			if m, ok := k.(*syntax.Match); ok && m.Name.Name != "$" {
				for _, o := range sets {
					c.alsoIn(m, o)
				}
			}
		}
		return true
	})
}

// maxSets is how many sets next to each other are looked at.
const maxSets = 64

// alsoIn warns if a pattern is in the set of an "of".
func (c *checker) alsoIn(m *syntax.Match, o *syntax.Of) {
	for _, item := range o.Set.Items {
		g, ok := item.(*syntax.Glob)
		if !ok || !g.Wild || g.Name == "$" || len(m.Name.Name) < len(g.Name) || m.Name.Name[:len(g.Name)] != g.Name {
			continue
		}
		c.warn(source.UnintendedPatternInSet, m.Name.Span, "pattern that may not be meant to be in a set", "this pattern").
			also(g.Span, "is in this set, too")
	}
}
