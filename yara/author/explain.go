package author

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/eval"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/syntax"
)

// Explanation says why a rule matched, or did not.
type Explanation struct {
	Namespace string `json:"namespace"`
	Rule      string `json:"rule"`
	File      string `json:"file"`
	Line      int    `json:"line"`
	// Layer is the trail to the layer that it was tried on; empty for the file itself.
	Layer   string `json:"layer,omitempty"`
	Matches bool   `json:"matches"`
	// Barred names the global rule for whose sake the rule does not match.
	Barred string `json:"barred,omitempty"`
	// Stopped says that the condition took too many steps to be known.
	Stopped bool    `json:"stopped,omitempty"`
	Strings []Found `json:"strings"`
	Cond    *Node   `json:"condition"`
	// Why are the parts of the condition that decided it: those that failed, or
	// those that held.
	Why []*Node `json:"why"`
	// Needs are the rules that the condition asks for.
	Needs []*Explanation `json:"needs,omitempty"`

	rule *check.Rule
}

// Found is where a string of the rule was found.
type Found struct {
	Name   string  `json:"name"`
	Text   string  `json:"text"` // as it stands in the rule
	Count  int     `json:"count"`
	Places []Place `json:"places,omitempty"` // the first of them
}

// Place is a match, in bytes.
type Place struct {
	Offset int64  `json:"offset"`
	Length int64  `json:"length"`
	Data   string `json:"data"` // the first bytes, as they can be printed
}

// Node is a part of a condition with its value.
type Node struct {
	Text   string   `json:"text"` // as it stands in the rule, on one line
	Line   int      `json:"line"`
	Value  string   `json:"value"` // as the language spells it, or "undefined"; empty if it was not asked for
	Truth  bool     `json:"truth"`
	Note   string   `json:"note,omitempty"`
	Kids   []*Node  `json:"parts,omitempty"`
	Rounds []*Round `json:"rounds,omitempty"` // of a loop, some of those that held and of those that did not

	expr       syntax.Expr
	blank      bool // its value is not known
	kind       module.Kind
	held, went int // rounds
	members    []member
}

// Round is one round of a loop.
type Round struct {
	Of    string `json:"of"` // the variables with their values, or the string
	Truth bool   `json:"truth"`
	Body  *Node  `json:"body"`
}

type member struct {
	name  string
	holds bool
}

const (
	maxPlaces = 8 // of a string that are told
	maxRounds = 2 // of a loop that held, and that did not
	maxNodes  = 20000
	maxText   = 160 // of a part of a condition, bytes
)

// Explain evaluates the condition of a rule and tells what each part of it is. The
// rules that it needs must be in the result.
func Explain(res *check.Result, r *check.Rule, in eval.Input, externals map[string]module.Value) *Explanation {
	t := &tracer{res: res, in: in, by: map[*check.Rule]*Explanation{}}
	sub := *res
	wanted := needed(res, r)
	sub.Rules = slices.DeleteFunc(slices.Clone(res.Rules), func(o *check.Rule) bool { return !wanted[o] })
	out := eval.Run(&sub, in, eval.Options{Externals: externals, Trace: t, Limit: 4_000_000})
	for _, o := range sub.Rules {
		x := t.by[o]
		if x == nil { // it has an error
			continue
		}
		x.Matches = out.Holds[o]
		x.Stopped = slices.Contains(out.Stopped, o)
		if !x.Matches {
			for _, g := range sub.Rules {
				if g != o && g.Flag("global") && g.Namespace == o.Namespace && t.by[g] != nil && !t.holds(g) {
					x.Barred = ruleName(g)
				}
			}
		}
		if x.Cond != nil {
			x.Why = x.Cond.reasons(nil, x.Cond.Truth)
		}
		x.strings(o, in)
	}
	x := t.by[r]
	for _, o := range sub.Rules {
		if o != r && t.by[o] != nil && x != nil {
			x.Needs = append(x.Needs, t.by[o])
		}
	}
	return x
}

// needed are a rule and all that it needs.
func needed(res *check.Result, r *check.Rule) map[*check.Rule]bool {
	out := map[*check.Rule]bool{}
	var add func(*check.Rule)
	add = func(r *check.Rule) {
		if out[r] {
			return
		}
		out[r] = true
		for _, g := range res.Rules {
			if g.Flag("global") && g.Namespace == r.Namespace {
				add(g)
			}
		}
		syntax.Walk(r.Cond, func(e syntax.Expr) bool {
			switch e := e.(type) {
			case *syntax.Name:
				if o := res.Refs[e]; o != nil {
					add(o)
				}
			case *syntax.Of:
				for _, o := range res.Sets[e.Set].Rules {
					add(o)
				}
			}
			return true
		})
	}
	add(r)
	return out
}

// strings tells where the strings of a rule are.
func (x *Explanation) strings(r *check.Rule, in eval.Input) {
	x.Strings = []Found{}
	for i, p := range r.Patterns {
		f := Found{Name: p.Name.Name, Text: oneLine(r.File.Source.Slice(p.Span))}
		all := in.Matches(r, i)
		f.Count = len(all)
		for _, m := range all[:min(len(all), maxPlaces)] {
			f.Places = append(f.Places, Place{m.Offset, m.Length, shownBytes(in.Read(m.Offset, int(min(m.Length, 32))), m.Length > 32)})
		}
		x.Strings = append(x.Strings, f)
	}
}

// tracer builds the tree of what is evaluated.
type tracer struct {
	res   *check.Result
	in    eval.Input
	by    map[*check.Rule]*Explanation
	cur   *Explanation
	stack []*frame
	nodes int
	// blank says of an expression whether its value is not known; nil: all are.
	// bound is set for the variables of loops.
	blank func(r *check.Rule, e syntax.Expr, bound bool) bool
}

// frame is an expression that is being evaluated.
type frame struct {
	node  *Node
	round *Round // of the loop, the one that goes on
}

func (t *tracer) holds(r *check.Rule) bool { x := t.by[r]; return x.Cond != nil && x.Cond.Truth }

// Rule begins a rule.
func (t *tracer) Rule(r *check.Rule) {
	line, _ := r.File.Source.Line(r.Name.Start)
	t.cur = &Explanation{Namespace: r.Namespace, Rule: r.Name.Name, File: r.File.Source.Name, Line: line, rule: r}
	t.by[r] = t.cur
	t.stack, t.nodes = t.stack[:0], 0
}

// Done ends a rule.
func (t *tracer) Done(*check.Rule, bool) {}

// Enter begins an expression.
func (t *tracer) Enter(e syntax.Expr) {
	t.nodes++
	n := &Node{expr: e}
	if t.nodes < maxNodes {
		sp := e.Range()
		n.Text = oneLine(t.cur.rule.File.Source.Slice(sp))
		n.Line, _ = t.cur.rule.File.Source.Line(sp.Start)
	}
	t.stack = append(t.stack, &frame{node: n})
}

// Leave ends an expression and hangs it where it belongs.
func (t *tracer) Leave(e syntax.Expr, v module.Value) {
	f := t.stack[len(t.stack)-1]
	t.stack = t.stack[:len(t.stack)-1]
	n := f.node
	f.keep()
	n.Value, n.Truth, n.kind = shownValue(v), v.Truth(), v.Kind
	t.finish(n)
	t.leaveBlank(n)
	if len(t.stack) == 0 {
		t.cur.Cond = n
		return
	}
	p := t.stack[len(t.stack)-1]
	switch {
	case p.round != nil:
		p.round.Body, p.round.Truth = n, n.Truth
	case t.nodes < maxNodes && !slices.ContainsFunc(p.node.Kids, func(k *Node) bool { return k.expr == e }):
		p.node.Kids = append(p.node.Kids, n)
	}
}

// leaveBlank takes the value away from what is not known, and from what is built on it.
func (t *tracer) leaveBlank(n *Node) {
	if t.blank == nil {
		return
	}
	name, bound := "", false
	if e, ok := n.expr.(*syntax.Name); ok {
		name = e.Name
	}
	for _, f := range t.stack {
		switch e := f.node.expr.(type) {
		case *syntax.ForIn:
			bound = bound || slices.ContainsFunc(e.Vars, func(v syntax.Ident) bool { return v.Name == name })
		case *syntax.With:
			bound = bound || slices.ContainsFunc(e.Vars, func(v syntax.Ident) bool { return v.Name == name })
		}
	}
	n.blank = t.blank(t.cur.rule, n.expr, bound)
	for _, k := range n.Kids {
		n.blank = n.blank || k.blank
	}
	for _, r := range n.Rounds {
		n.blank = n.blank || r.Body.blank
	}
	if n.blank {
		n.Value, n.Note = "", ""
	}
}

// Round begins a round of a loop.
func (t *tracer) Round(values []module.Value, pattern int) {
	f := t.stack[len(t.stack)-1]
	f.keep()
	f.round = &Round{}
	if pattern >= 0 {
		f.round.Of = t.patternName(pattern)
		return
	}
	if loop, ok := f.node.expr.(*syntax.ForIn); ok {
		var parts []string
		for i, v := range loop.Vars {
			if i < len(values) {
				parts = append(parts, v.Name+" = "+shownValue(values[i]))
			}
		}
		f.round.Of = strings.Join(parts, ", ")
	}
}

// keep takes in the round that ended, if it is one of the first that held, or did not.
func (f *frame) keep() {
	r := f.round
	if r == nil || r.Body == nil {
		f.round = nil
		return
	}
	f.node.went++
	same := f.node.went - f.node.held
	if r.Truth {
		f.node.held++
		same = f.node.held
	}
	if same <= maxRounds {
		f.node.Rounds = append(f.node.Rounds, r)
	}
	f.round = nil
}

// Member is a member of a set.
func (t *tracer) Member(pattern int, r *check.Rule, holds bool) {
	f := t.stack[len(t.stack)-1]
	name := ""
	if r != nil {
		name = r.Name.Name
	} else {
		name = t.patternName(pattern)
	}
	f.node.members = append(f.node.members, member{name, holds})
}

func (t *tracer) patternName(i int) string {
	p := t.cur.rule.Patterns[i]
	if p.Name.Name != "$" {
		return p.Name.Name
	}
	return "$ (" + oneLine(t.cur.rule.File.Source.Slice(p.Span)) + ")"
}

// finish says of an expression what its parts do not.
func (t *tracer) finish(n *Node) {
	switch e := n.expr.(type) {
	case *syntax.Of:
		var yes, no []string
		for _, m := range n.members {
			if m.holds {
				yes = append(yes, m.name)
			} else {
				no = append(no, m.name)
			}
		}
		if len(n.members) > 0 {
			n.Note = fmt.Sprintf("%d of %d", len(yes), len(n.members))
			n.Note += listed(": ", yes) + listed("; not: ", no)
		}
	case *syntax.ForOf, *syntax.ForIn:
		n.Note = fmt.Sprintf("%d of %d rounds held", n.held, n.went)
		if n.went == 0 {
			n.Note = "no round"
		}
	case *syntax.Match:
		i := t.index(e.Name.Name)
		if i < 0 {
			return
		}
		all := t.in.Matches(t.cur.rule, i)
		n.Note = plural(len(all), "match", "matches")
		if len(all) > 0 && !n.Truth {
			var at []string
			for _, m := range all[:min(len(all), 4)] {
				at = append(at, fmt.Sprintf("0x%x", m.Offset))
			}
			n.Note += listed(", at ", at)
		}
	}
}

func (t *tracer) index(name string) int {
	return slices.IndexFunc(t.cur.rule.Patterns, func(p *syntax.Pattern) bool { return p.Name.Name == name && name != "$" })
}

// reasons are the parts that made a condition what it is: for an "and" that does
// not hold those that do not, and so on down.
func (n *Node) reasons(out []*Node, truth bool) []*Node {
	switch e := n.expr.(type) {
	case *syntax.Paren:
		if len(n.Kids) == 1 {
			return n.Kids[0].reasons(out, truth)
		}
	case *syntax.Logic:
		for _, k := range n.Kids {
			if k.Truth == n.Truth && k.Value != "" {
				out = k.reasons(out, k.Truth)
			}
		}
		return out
	case *syntax.Unary:
		if e.Op == "not" && len(n.Kids) == 1 && n.Value != "undefined" {
			return n.Kids[0].reasons(out, !truth)
		}
	}
	return append(out, n)
}

// shownValue is a value as the language spells it.
func shownValue(v module.Value) string {
	switch v.Kind {
	case module.Undefined:
		return "undefined"
	case module.Bool:
		return strconv.FormatBool(v.Int != 0)
	case module.Int:
		if v.Int > 9 || v.Int < 0 {
			return fmt.Sprintf("%d (0x%x)", v.Int, uint64(v.Int))
		}
		return strconv.FormatInt(v.Int, 10)
	case module.Float:
		return strconv.FormatFloat(v.Float, 'g', -1, 64)
	case module.String:
		return `"` + shownBytes([]byte(v.Text[:min(len(v.Text), 64)]), len(v.Text) > 64) + `"`
	case module.Regexp:
		return "/" + v.Text + "/" + v.Flags
	}
	switch ref := v.Ref.(type) {
	case module.Items:
		return plural(ref.Len(), "value", "values")
	case module.Pairs:
		return plural(ref.Len(), "entry", "entries")
	}
	return "a " + v.Kind.String()
}

// shownBytes are bytes as a string of the language would have them.
func shownBytes(b []byte, more bool) string {
	var s strings.Builder
	for _, c := range b {
		switch {
		case c == '"' || c == '\\':
			s.WriteByte('\\')
			s.WriteByte(c)
		case c >= ' ' && c <= '~':
			s.WriteByte(c)
		default:
			fmt.Fprintf(&s, `\x%02x`, c)
		}
	}
	if more {
		s.WriteString("...")
	}
	return s.String()
}

// oneLine is rule text on one line that is not too long, safe to print.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxText {
		s = s[:maxText-3] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7F && r < 0xA0 || r == '\uFFFD' || r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 {
			return '?'
		}
		return r
	}, s)
}

// listed are some names after a word, nothing if there are none.
func listed(word string, names []string) string {
	const most = 8
	if len(names) == 0 {
		return ""
	}
	more := ""
	if len(names) > most {
		names, more = names[:most], ", ..."
	}
	return word + strings.Join(names, ", ") + more
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
