package lower

import (
	"math"

	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/syntax"
)

// wish is what a condition looks at of one pattern.
type wish struct {
	count  int64
	places []int64 // of "at"
}

// everything is the count that means all matches.
const everything = math.MaxUint32

// needs is what of the matches of each pattern a condition looks at, and whether
// more matches may make it false.
func (n *necessity) needs(e syntax.Expr) (out []need, absent bool) {
	wishes := make([]wish, len(n.rule.Patterns))
	n.current = nil
	n.look(e, wishes)
	out = make([]need, len(wishes))
	for i, w := range wishes {
		out[i] = need{count: uint32(w.count), at: -1}
		switch {
		case len(w.places) == 1 && w.count == 0:
			out[i] = need{count: 1, at: w.places[0]}
		case len(w.places) > 0:
			out[i].count = everything
		}
	}
	return out, !n.rising(e, map[*check.Rule]bool{})
}

// look notes what an expression looks at.
func (n *necessity) look(e syntax.Expr, wishes []wish) {
	syntax.Walk(e, func(e syntax.Expr) bool {
		switch e := e.(type) {
		case *syntax.Match:
			n.wish(wishes, n.members(e.Name), n.placed(e.At, e.In))
		case *syntax.Measure:
			n.wish(wishes, n.members(e.Name), n.measured(e))
		case *syntax.Of:
			if members, ok := n.res.Sets[e.Set]; ok {
				n.wish(wishes, members.Patterns, n.placed(e.At, e.In))
			}
		case *syntax.Binary:
			if m, op, many, ok := n.counted(e); ok && m.In == nil {
				if op != "<" && op != ">=" {
					many++
				}
				n.wish(wishes, n.members(m.Name), wish{count: min(max(many, 0), everything)})
				return false
			}
		case *syntax.ForOf:
			n.look(e.Quant, wishes)
			n.current = append(n.current, n.res.Sets[e.Set].Patterns)
			n.look(e.Body, wishes)
			n.current = n.current[:len(n.current)-1]
			return false
		}
		return true
	})
}

// members are the patterns that a name stands for.
func (n *necessity) members(name syntax.Ident) []int {
	if name.Name == "$" {
		if k := len(n.current); k > 0 {
			return n.current[k-1]
		}
		return nil
	}
	if i, ok := n.index[name.Name]; ok {
		return []int{i}
	}
	return nil
}

// wish adds to what is looked at of some patterns.
func (n *necessity) wish(wishes []wish, members []int, w wish) {
	for _, p := range members {
		have := &wishes[p]
		have.count = max(have.count, w.count)
		for _, at := range w.places {
			if len(have.places) != 1 || have.places[0] != at {
				have.places = append(have.places, at)
			}
		}
		if len(have.places) > 1 {
			have.count = everything
			have.places = have.places[:1]
		}
	}
}

// placed is what $a, or $a at, or $a in looks at.
func (n *necessity) placed(at syntax.Expr, in *syntax.Range) wish {
	switch {
	case at != nil:
		if off, known := n.integer(at); known && off >= 0 {
			return wish{places: []int64{off}}
		}
		return wish{count: everything}
	case in != nil:
		return wish{count: everything}
	}
	return wish{count: 1}
}

// measured is what #a, @a or !a looks at.
func (n *necessity) measured(e *syntax.Measure) wish {
	switch {
	case e.Kind == '#':
		return wish{count: everything}
	case e.Index == nil:
		return wish{count: 1}
	}
	if i, known := n.integer(e.Index); known {
		return wish{count: min(max(i, 1), everything)}
	}
	return wish{count: everything}
}

// rising says whether no further match can make an expression false that is true.
func (n *necessity) rising(e syntax.Expr, seen map[*check.Rule]bool) bool {
	switch e := bare(e).(type) {
	case *syntax.Logic:
		for _, k := range e.Kids {
			if !n.rising(k, seen) {
				return false
			}
		}
		return true
	case *syntax.Match:
		return n.still(e.At) && (e.In == nil || n.still(e.In))
	case *syntax.Of:
		return n.risingOf(e, seen)
	case *syntax.ForOf:
		return n.many(e.Quant) && n.rising(e.Body, seen)
	case *syntax.ForIn:
		return n.many(e.Quant) && n.still(e.Iter) && n.rising(e.Body, seen)
	case *syntax.Binary:
		if m, op, _, ok := n.counted(e); ok && (op == ">" || op == ">=") {
			return m.In == nil || n.still(m.In)
		}
	case *syntax.Name:
		if r := n.res.Refs[e]; r != nil {
			return n.risingRule(r, seen)
		}
	}
	return n.still(e)
}

func (n *necessity) risingOf(e *syntax.Of, seen map[*check.Rule]bool) bool {
	if !n.many(e.Quant) || !n.still(e.At) || e.In != nil && !n.still(e.In) {
		return false
	}
	members, known := n.res.Sets[e.Set]
	if !known {
		for _, item := range e.Set.Items {
			if !n.rising(item, seen) {
				return false
			}
		}
	}
	for _, r := range members.Rules {
		if !n.risingRule(r, seen) {
			return false
		}
	}
	return true
}

// risingRule says it of the condition of another rule. seen has what was said
// before.
func (n *necessity) risingRule(r *check.Rule, seen map[*check.Rule]bool) bool {
	is, known := seen[r]
	if !known && r.Cond != nil && len(seen) < maxGuardRules*maxGuardRules {
		seen[r] = false
		is = n.rising(r.Cond, seen)
		seen[r] = is
	}
	return is
}

// many says whether a quantifier asks for some that hold, and not for none.
func (n *necessity) many(q *syntax.Quantifier) bool { return n.asked(q, 100) > 0 }

// still says whether an expression does not depend on matches.
func (n *necessity) still(e syntax.Expr) bool {
	is := true
	syntax.Walk(e, func(e syntax.Expr) bool {
		switch e := e.(type) {
		case *syntax.Match, *syntax.Measure, *syntax.ForOf:
			is = false
		case *syntax.Of:
			members, known := n.res.Sets[e.Set]
			is = is && !known && members.Rules == nil
		case *syntax.Name:
			is = is && n.res.Refs[e] == nil
		}
		return is
	})
	return is
}
