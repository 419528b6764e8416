package clamsig

import (
	"strings"

	"github.com/showcause/showcause/rule"
)

const (
	maxExpr  = 16 << 10 // bytes of an expression
	maxDepth = 200      // nested operators and parentheses
)

// expression reads the logical expression of an .ldb signature and returns it
// with the greatest subsignature number in it.
//
// ClamAV gives & and | no precedence. It cuts an expression at the first
// operator outside of parentheses, so that "0&1|2" is 0&(1|2); but the inside
// of parentheses that make up the whole expression at the last one, so that
// "(0&1|2)" is (0&1)|2. Counts may follow a number or a parenthesis with an
// operator in it, nothing else.
func expression(s string) (n rule.Node, last int, r *refusal) {
	if len(s) > maxExpr {
		return n, 0, malformed("expression of %d bytes", len(s))
	}
	return cut(s, 0)
}

// operators is where an expression is cut.
type operators struct {
	op    byte // the first outside of parentheses, or else the last just inside of them
	at    int
	inner bool // the second case: the operands are within s[1:end]
	end   int
	count bool // ... and a count follows
	cmp   rule.Cmp
	n     uint32
	least uint32 // different subsignatures
	mod   int    // place of the last comparison; -1
}

func cut(s string, depth int) (n rule.Node, last int, r *refusal) {
	if depth > maxDepth {
		return n, 0, malformed("expression nested deeper than %d", maxDepth)
	}
	o, r := operatorsOf(s)
	if r != nil {
		return n, 0, r
	}
	if o.op == 0 {
		if s != "" && s[0] == '(' {
			return cut(s[1:len(s)-1], depth+1)
		}
		return leaf(s, o.mod)
	}
	left := 0
	if o.inner {
		left = 1
	}
	if o.at <= left || o.at+1 >= o.end {
		return n, 0, malformed("expression %q: operand missing", clip(s))
	}
	a, lastA, r := cut(s[left:o.at], depth+1)
	if r != nil {
		return n, 0, r
	}
	b, lastB, r := cut(s[o.at+1:o.end], depth+1)
	if r != nil {
		return n, 0, r
	}
	n.Op = rule.And
	if o.op == '|' {
		n.Op = rule.Or
	}
	n.Kids = merge(merge(nil, n.Op, a), n.Op, b)
	if o.count {
		n = rule.Node{Op: rule.Group, Cmp: o.cmp, N: o.n, Distinct: o.least, Kids: []rule.Node{n}}
	}
	return n, max(lastA, lastB), nil
}

// merge appends a node, or its children where it is the same operator.
func merge(to []rule.Node, op rule.Op, n rule.Node) []rule.Node {
	if n.Op == op {
		return append(to, n.Kids...)
	}
	return append(to, n)
}

// operatorsOf finds where s is to be cut.
func operatorsOf(s string) (o operators, r *refusal) {
	var in operators
	o.mod, o.end = -1, len(s)
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '(':
			depth++
		case ')':
			if depth == 0 {
				return o, malformed("expression %q: opening parenthesis missing", clip(s))
			}
			depth--
		case '>', '<', '=':
			o.mod = i
		case '&', '|':
			if depth == 0 {
				o.op, o.at = c, i
				return o, nil
			}
			if depth == 1 {
				in.op, in.at, in.inner = c, i, true
			}
		}
		if in.op == 0 || depth > 0 {
			continue
		}
		in.end, in.count = i, false
		if i+1 < len(s) && isCmp(s[i+1]) {
			var rest string
			if in.n, in.least, rest, in.count = count(s[i+2:]); !in.count {
				return o, malformed("expression %q: number missing", clip(s))
			}
			in.cmp = comparison(s[i+1])
			i = len(s) - len(rest) - 1
		}
		if i+1 < len(s) {
			in.count = false
		}
	}
	if depth > 0 {
		return o, malformed("expression %q: closing parenthesis missing", clip(s))
	}
	if in.op != 0 {
		return in, nil
	}
	return o, nil
}

func isCmp(c byte) bool { return c == '>' || c == '<' || c == '=' }

// count reads "n" or "n,distinct".
func count(s string) (n, distinct uint32, rest string, ok bool) {
	v, rest, ok := leading(s)
	if !ok {
		return 0, 0, s, false
	}
	if rest != "" && rest[0] == ',' {
		rest = rest[1:]
		if d, after, ok := leading(rest); ok {
			distinct, rest = clamp(d), after
		}
	}
	rest = strings.TrimLeft(rest, ",0123456789")
	return clamp(v), distinct, rest, true
}

func comparison(c byte) rule.Cmp {
	switch c {
	case '<':
		return rule.Less
	case '=':
		return rule.Equal
	}
	return rule.Greater
}

func clamp(n int64) uint32 { return uint32(min(n, 1<<32-1)) }

// leaf reads "n", "n>m", "n<m" or "n=m". Of more than one comparison ClamAV
// heeds the last; what a comma adds has no meaning for a single subsignature.
func leaf(s string, mod int) (n rule.Node, last int, r *refusal) {
	id, _, ok := leading(s)
	if !ok || id >= 1<<31-1 {
		return n, 0, malformed("expression: %q is no subsignature", clip(s))
	}
	n = rule.Node{Op: rule.Count, Sub: int(id)}
	if mod >= 0 {
		v, _, ok := leading(s[mod+1:])
		if !ok {
			return n, 0, malformed("expression %q: number missing", clip(s))
		}
		n.Cmp, n.N = comparison(s[mod]), clamp(v)
	}
	return n, int(id), nil
}
