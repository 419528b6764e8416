package rule

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Triggers returns a cheap set of patterns such that wherever the condition
// holds, one of them has a match, by the cost of searching for each: of an And
// the cheapest operand, of an Or all. The set is ascending, and empty where
// the condition can never hold. It is not ok where the condition can hold with
// no match at all; such a rule is evaluated on every layer.
func (r *Rule) Triggers(cost func(sub int) int) (subs []int, ok bool) {
	return r.trigger(&r.Cond, cost)
}

func (r *Rule) trigger(n *Node, cost func(int) int) (subs []int, ok bool) {
	switch n.Op {
	case Count:
		if n.Cmp == Less {
			return nil, n.N == 0
		}
		if n.Cmp == Equal && n.N == 0 {
			return nil, false
		}
		if l := r.later(n.Sub); l != nil && l.Icons != nil && len(l.Icons.Lines) == 0 {
			return nil, true
		} else if l != nil { // it has a match only where its trigger holds
			return r.trigger(&l.Trigger, cost)
		}
		return []int{n.Sub}, true
	case And:
		for i := range n.Kids {
			if some, yes := r.trigger(&n.Kids[i], cost); yes && (!ok || price(some, cost) < price(subs, cost)) {
				subs, ok = some, true
			}
		}
		return subs, ok
	case Or:
		for i := range n.Kids {
			some, yes := r.trigger(&n.Kids[i], cost)
			if !yes {
				return nil, false
			}
			subs = append(subs, some...)
		}
		slices.Sort(subs)
		return slices.Compact(subs), true
	case True:
		return nil, false
	}
	if n.Cmp == Less && n.N == 0 {
		return nil, true
	}
	some := n.Cmp == Greater || n.Cmp == Equal && n.N > 0 // the sum is not 0
	if !some && n.Distinct == 0 {
		return nil, false
	}
	// The kid holds, for otherwise the sum is 0, of no pattern.
	if subs, ok = r.pigeons(n, cost); ok {
		return subs, true
	}
	if subs, ok = r.trigger(&n.Kids[0], cost); ok || !some {
		return subs, ok
	}
	for _, sub := range n.subs(nil) {
		l := r.later(sub)
		if l == nil {
			subs = append(subs, sub)
			continue
		}
		its, ok := r.trigger(&l.Trigger, cost)
		if !ok {
			return nil, false
		}
		subs = append(subs, its...)
	}
	slices.Sort(subs)
	return slices.Compact(subs), true
}

// pigeons serves a Group over an Or of different patterns that each need a
// match: as Distinct of them must hold, the Distinct-1 costliest may go.
func (r *Rule) pigeons(n *Node, cost func(int) int) (subs []int, ok bool) {
	kid := &n.Kids[0]
	if kid.Op != Or || n.Distinct < 2 {
		return nil, false
	}
	for i := range kid.Kids {
		k := &kid.Kids[i]
		if some, yes := r.trigger(k, cost); k.Op != Count || r.later(k.Sub) != nil || !yes || len(some) != 1 || slices.Contains(subs, k.Sub) {
			return nil, false
		}
		subs = append(subs, k.Sub)
	}
	if uint32(len(subs)) < n.Distinct {
		return nil, true // never holds
	}
	slices.SortStableFunc(subs, func(a, b int) int { return cost(a) - cost(b) })
	subs = subs[:len(subs)-int(n.Distinct)+1]
	slices.Sort(subs)
	return subs, true
}

func price(subs []int, cost func(int) int) (sum int64) {
	for _, s := range subs {
		sum += int64(cost(s))
	}
	return sum
}

// subs appends the patterns within a node.
func (n *Node) subs(to []int) []int {
	if n.Op == Count {
		return append(to, n.Sub)
	}
	for i := range n.Kids {
		to = n.Kids[i].subs(to)
	}
	return to
}

// Needs returns for each pattern how many matches have to be told apart: with
// all counts cut off there the condition has the same value. It is 0 for a
// pattern that the condition does not name.
func (r *Rule) Needs() []uint32 {
	needs := make([]uint32, len(r.Patterns))
	need(&r.Cond, 1, needs)
	for _, l := range r.Later {
		if l == nil {
			continue
		}
		need(&l.Trigger, 1, needs)
		if l.Compare != nil { // it counts from the last match
			needs[l.Compare.From] = math.MaxUint32
		}
	}
	if r.YARA != nil {
		for i, n := range r.YARA.Needs {
			needs[i] = max(needs[i], n)
		}
	}
	return needs
}

// need adds what a node asks for; least is what the groups around it ask for.
func need(n *Node, least uint32, needs []uint32) {
	if n.Op == Count || n.Op == Group {
		at := n.N
		if n.Cmp != Less && at < math.MaxUint32 {
			at++
		}
		least = max(least, at)
	}
	if n.Op == Count {
		if n.Sub >= 0 && n.Sub < len(needs) {
			needs[n.Sub] = max(needs[n.Sub], least)
		}
		return
	}
	for i := range n.Kids {
		need(&n.Kids[i], least, needs)
	}
}

// String returns the condition as ClamAV writes it: "0&(1|2)>2,2".
func (n Node) String() string {
	var b strings.Builder
	n.write(&b)
	return b.String()
}

func (n *Node) write(b *strings.Builder) {
	switch n.Op {
	case True:
		b.WriteString("true")
		return
	case Count:
		b.WriteString(strconv.Itoa(n.Sub))
		if n.Cmp == Greater && n.N == 0 {
			return
		}
	case Group:
		b.WriteByte('(')
		for i := range n.Kids {
			n.Kids[i].write(b)
		}
		b.WriteByte(')')
	default:
		for i := range n.Kids {
			if i > 0 {
				b.WriteByte("&|"[n.Op-And])
			}
			k := &n.Kids[i]
			inner := (k.Op == And || k.Op == Or) && len(n.Kids) > 1
			if inner {
				b.WriteByte('(')
			}
			k.write(b)
			if inner {
				b.WriteByte(')')
			}
		}
		return
	}
	b.WriteByte(">=<"[min(n.Cmp, Less)])
	b.WriteString(strconv.FormatUint(uint64(n.N), 10))
	if n.Op == Group && n.Distinct > 0 {
		b.WriteByte(',')
		b.WriteString(strconv.FormatUint(uint64(n.Distinct), 10))
	}
}
