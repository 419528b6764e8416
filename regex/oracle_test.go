package regex

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/showcause/showcause/regex/syntax"
)

// oracle matches a tree by trying everything, choices in order, with
// continuations. It knows nothing of programs.
type oracle struct {
	data  []byte
	wide  bool
	x     bool // what YARA-X says of edges
	caps  map[int][2]int
	steps int
	over  bool
}

func (o *oracle) unit() int {
	if o.wide {
		return 2
	}
	return 1
}

// char returns the byte of the character at i, -1 for what is none.
func (o *oracle) char(i int) int {
	if i < 0 || i >= len(o.data) {
		return -1
	}
	if o.wide && (i+1 >= len(o.data) || o.data[i+1] != 0) {
		return -1
	}
	return int(o.data[i])
}

func isWord(c int) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func (o *oracle) test(t syntax.Test, i int) bool {
	l, r := o.char(i-o.unit()), o.char(i)
	begin, end := i == 0, i == len(o.data)
	if o.wide && o.x {
		begin, end = l < 0, r < 0
	}
	switch t {
	case syntax.Begin, syntax.First:
		return begin
	case syntax.End:
		return end
	case syntax.EndLine:
		return end || r == '\n' && i+o.unit() == len(o.data)
	case syntax.LineBegin:
		if o.x {
			return begin || l == '\n' || l == '\r'
		}
		return begin || l == '\n' && !end
	case syntax.LineEnd:
		return end || r == '\n' || o.x && r == '\r'
	case syntax.WordEdge:
		return isWord(l) != isWord(r)
	case syntax.NoWordEdge:
		return isWord(l) == isWord(r)
	case syntax.WordStart:
		return !isWord(l) && isWord(r)
	case syntax.WordEnd:
		return isWord(l) && !isWord(r)
	case syntax.WordStartHalf:
		return !isWord(l)
	case syntax.WordEndHalf:
		return !isWord(r)
	}
	panic("test")
}

// node matches n at i and calls k with each end, the preferred first, until k
// returns true.
func (o *oracle) node(n *syntax.Node, i int, k func(int) bool) bool {
	if o.steps++; o.steps > 100000 {
		o.over = true
		return true
	}
	switch n.Op {
	case syntax.Empty:
		return k(i)
	case syntax.Class:
		c := o.char(i)
		return c >= 0 && n.Set.Has(byte(c)) && k(i+o.unit())
	case syntax.Concat:
		return o.seq(n.Subs, i, k)
	case syntax.Alt:
		for _, s := range n.Subs {
			if o.node(s, i, k) {
				return true
			}
		}
		return false
	case syntax.Group:
		return o.group(n, i, k)
	case syntax.Assert:
		return o.test(n.Test, i) && k(i)
	case syntax.Repeat:
		return o.repeat(n, 0, i, k)
	case syntax.Atomic:
		end := -1
		o.node(n.Subs[0], i, func(e int) bool { end = e; return true })
		return end >= 0 && k(end)
	case syntax.Look:
		return o.look(n, i) && k(i)
	case syntax.Ref:
		c, ok := o.caps[n.Index]
		if !ok || i+c[1]-c[0] > len(o.data) {
			return false
		}
		s, t := string(o.data[c[0]:c[1]]), string(o.data[i:i+c[1]-c[0]])
		return (s == t || n.Fold && strings.EqualFold(s, t)) && k(i+len(s))
	}
	panic(fmt.Sprint("op ", n.Op))
}

func (o *oracle) group(n *syntax.Node, i int, k func(int) bool) bool {
	if n.Index == 0 {
		return o.node(n.Subs[0], i, k)
	}
	return o.node(n.Subs[0], i, func(e int) bool {
		old, had := o.caps[n.Index]
		o.caps[n.Index] = [2]int{i, e}
		if k(e) {
			return true
		}
		if delete(o.caps, n.Index); had {
			o.caps[n.Index] = old
		}
		return false
	})
}

func (o *oracle) look(n *syntax.Node, i int) bool {
	found := false
	saved := o.caps
	if n.Negate {
		o.caps = map[int][2]int{}
		for k, v := range saved {
			o.caps[k] = v
		}
		defer func() { o.caps = saved }()
	}
	if !n.Behind {
		found = o.node(n.Subs[0], i, func(int) bool { return true })
	} else {
		for from := i; from >= 0 && !found; from-- {
			found = o.node(n.Subs[0], from, func(e int) bool { return e == i })
		}
	}
	return found != n.Negate
}

func (o *oracle) seq(subs []*syntax.Node, i int, k func(int) bool) bool {
	if len(subs) == 0 {
		return k(i)
	}
	return o.node(subs[0], i, func(e int) bool { return o.seq(subs[1:], e, k) })
}

func (o *oracle) repeat(n *syntax.Node, done, i int, k func(int) bool) bool {
	more := func() bool {
		if n.Max >= 0 && done >= n.Max {
			return false
		}
		return o.node(n.Subs[0], i, func(e int) bool {
			if e == i && done >= n.Min && n.Max < 0 {
				return k(e)
			}
			return o.repeat(n, done+1, e, k)
		})
	}
	if done < n.Min {
		return more()
	}
	if n.Lazy {
		return k(i) || more()
	}
	return more() || k(i)
}

// ends returns all ends of matches that start at i, the preferred first.
func (o *oracle) ends(t *syntax.Tree, i int) []int {
	var out []int
	seen := map[int]bool{}
	o.caps = map[int][2]int{}
	o.steps = 0
	o.node(t.Root, i, func(e int) bool {
		if !seen[e] {
			seen[e] = true
			out = append(out, e)
		}
		return false
	})
	return out
}

// maker makes random expressions.
type maker struct {
	*rand.Rand
	d    syntax.Dialect
	lazy bool
	back bool // back-references and so on
	caps int
}

func (k *maker) pick(s ...string) string { return s[k.IntN(len(s))] }

func (k *maker) expr(depth int) string {
	n := 1
	if k.IntN(3) == 0 {
		n = 2 + k.IntN(2)
	}
	var alts []string
	for range n {
		alts = append(alts, k.seq(depth))
	}
	if k.d != syntax.YARA4 && k.IntN(10) == 0 {
		alts = append(alts, "")
	}
	return strings.Join(alts, "|")
}

func (k *maker) seq(depth int) string {
	var b strings.Builder
	for range 1 + k.IntN(4) {
		b.WriteString(k.item(depth))
	}
	return b.String()
}

func (k *maker) item(depth int) string {
	switch k.IntN(14) {
	case 0:
		return k.pick("^", "$", `\b`, `\B`)
	case 1, 2:
		if depth < 3 {
			return k.group(depth) + k.quant()
		}
	case 3, 4, 5, 6, 7:
		return k.pick("abc", "ab", "ca", "aab", "bc")
	}
	return k.atom() + k.quant()
}

func (k *maker) group(depth int) string {
	if k.d == syntax.YARA4 {
		return "(" + k.expr(depth+1) + ")"
	}
	if k.back {
		switch k.IntN(8) {
		case 0:
			return "(?=" + k.expr(depth+1) + ")"
		case 1:
			return "(?!" + k.expr(depth+1) + ")"
		case 2:
			return "(?>" + k.expr(depth+1) + ")"
		case 3:
			return k.pick("(?<=a)", "(?<=ab|c)", "(?<!b)", "(?<!a|bc)")
		case 4:
			if k.caps > 0 {
				return fmt.Sprintf(`\%d`, 1+k.IntN(k.caps))
			}
		}
	}
	if k.IntN(3) == 0 {
		return "(?:" + k.expr(depth+1) + ")"
	}
	body := k.expr(depth + 1)
	k.caps++ // close enough: only groups that are complete are referred to
	return "(" + body + ")"
}

func (k *maker) atom() string {
	return k.pick("a", "b", "c", "a", "b", ".", "[ab]", "[^a]", "[a-c]", `\w`, `\W`, `\s`, `\d`, `\x61`, " ", "_", "1", `\n`, `[\w ]`, `[^\n]`)
}

func (k *maker) quant() string {
	if k.IntN(3) > 0 {
		return ""
	}
	q := k.pick("*", "+", "?", "{2}", "{1,3}", "{2,}", "{0,2}", "{0,1}", "{3,5}")
	if k.lazy {
		q += "?"
	} else if k.back && k.IntN(5) == 0 {
		q += "+"
	}
	return q
}

func (k *maker) data(n int) []byte {
	b := make([]byte, k.IntN(n))
	for i := range b {
		b[i] = "aaaabbbcc \n_1A."[k.IntN(15)]
	}
	return b
}

func widened(b []byte) []byte {
	out := make([]byte, 0, 2*len(b))
	for _, c := range b {
		out = append(out, c, 0)
	}
	return out
}
