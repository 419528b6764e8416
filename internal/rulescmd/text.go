package rulescmd

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A signature is one line of a database, taken apart as text: also what this
// build cannot apply.
type signature struct {
	kind   string // ldb, ndb or hash
	name   string
	target string   // as written
	tdb    []string // ldb: KEY:VALUE
	expr   string   // ldb
	subs   []sub
	hash   string // hash: hexadecimal
	size   string
	scope  string // hash: of what
	levels string // min-max
}

// sub is a subsignature, or the body of an .ndb line.
type sub struct {
	kind    string // body, pcre, compare, macro, image
	offset  string // "" and "*": anywhere
	text    string // without its offset and modifiers
	mods    string // behind "::"
	trigger string // pcre: before it; compare: the subsignature
}

// parse takes a line apart. kind is the extension, or empty: it is seen by the line.
func parse(line, kind string) (*signature, error) {
	line = strings.TrimRight(line, "\r\n")
	if kind == "" {
		kind = guess(line)
	}
	if _, ok := linesOf(kind); ok {
		return parseFields(line, kind)
	}
	switch kind {
	case "ldb", "ldu":
		return parseLogical(line)
	case "ndb", "ndu", "sdb":
		t := strings.Split(line, ":")
		if len(t) < 4 || len(t) > 6 {
			return nil, fmt.Errorf("%d fields, 4 to 6 expected of name:target:offset:body[:min[:max]]", len(t))
		}
		s := &signature{kind: "ndb", name: t[0], target: t[1], levels: strings.Join(t[4:], "-")}
		s.subs = []sub{{kind: "body", offset: t[2], text: t[3]}}
		return s, nil
	case "hdb", "hsb", "hdu", "hsu", "fp", "sfp", "mdb", "msb", "mdu", "msu", "imp":
		t := strings.Split(line, ":")
		if len(t) < 3 || len(t) > 5 {
			return nil, fmt.Errorf("%d fields, 3 to 5 expected", len(t))
		}
		s := &signature{kind: "hash", name: t[2], hash: t[0], size: t[1], scope: "the whole file", levels: strings.Join(t[3:], "-")}
		switch {
		case kind[0] == 'm':
			s.hash, s.size, s.scope = t[1], t[0], "a section of a PE file"
		case kind == "imp":
			s.scope = "the table of imports of a PE file"
		}
		return s, nil
	}
	return nil, errors.New("no signature of a kind that is taken apart: .ldb, .ndb, .hdb .hsb .mdb .msb .imp .fp")
}

// guess tells the kind of a line by its look.
func guess(line string) string {
	if strings.Count(line, ";") >= 3 {
		return "ldb"
	}
	t := strings.Split(line, ":")
	digest := func(s string) bool {
		b, err := hex.DecodeString(s)
		return err == nil && (len(b) == 16 || len(b) == 20 || len(b) == 32)
	}
	switch {
	case digest(t[0]):
		return "hdb"
	case len(t) > 2 && digest(t[1]):
		return "mdb"
	case len(t) >= 10 && (t[1] == "*" || strings.HasPrefix(t[1], "CL_TYPE_")):
		return "cdb"
	case len(t) >= 4:
		return "ndb"
	}
	return ""
}

func parseLogical(line string) (*signature, error) {
	t := splitSlashes(line)
	if len(t) < 4 {
		return nil, fmt.Errorf("%d fields, at least 4 expected of name;description;expression;subsignatures", len(t))
	}
	s := &signature{kind: "ldb", name: t[0], tdb: strings.Split(t[1], ","), expr: t[2], target: "0"}
	for _, kv := range s.tdb {
		switch k, v, _ := strings.Cut(kv, ":"); k {
		case "Target":
			s.target = v
		case "Engine":
			s.levels = v
		}
	}
	for _, text := range t[3:] {
		s.subs = append(s.subs, parseSub(text))
	}
	return s, nil
}

// splitSlashes cuts at semicolons, but not within the slashes of a regular expression.
func splitSlashes(line string) (out []string) {
	from, inside := 0, false
	for i := range len(line) {
		switch {
		case line[i] == '/' && (i == 0 || line[i-1] != '\\') && len(out) > 2:
			inside = !inside
		case line[i] == ';' && !inside:
			out = append(out, line[from:i])
			from = i + 1
		}
	}
	return append(out, line[from:])
}

func parseSub(text string) sub {
	switch {
	case strings.HasPrefix(text, "fuzzy_img#"):
		return sub{kind: "image", text: text}
	case strings.HasPrefix(text, "${"):
		return sub{kind: "macro", text: text}
	}
	if i := strings.IndexByte(text, '/'); i >= 0 {
		if j := strings.LastIndexByte(text, '/'); j > i {
			s := sub{kind: "pcre", trigger: text[:i], text: text[i+1 : j], mods: text[j+1:]}
			if o, rest, ok := strings.Cut(s.trigger, ":"); ok {
				s.offset, s.trigger = o, rest
			}
			return s
		}
	}
	if i := strings.Index(text, "("); i > 0 && strings.Contains(text, "#") && (strings.Contains(text, ">>") || strings.Contains(text, "<<")) {
		return sub{kind: "compare", trigger: text[:i], text: strings.Trim(text[i:], "()")}
	}
	s := sub{kind: "body", text: text}
	if body, mods, ok := strings.Cut(s.text, "::"); ok {
		s.text, s.mods = body, mods
	}
	if o, body, ok := strings.Cut(s.text, ":"); ok {
		s.offset, s.text = o, body
	}
	return s
}

// elem is a piece of a body.
type elem struct {
	kind   byte   // h: bytes, ?: one byte, n: half a byte, *: anything, j: a jump, a: alternatives, b: a boundary
	text   string // as written, of n and b
	bytes  []byte
	lo, hi int // of j; hi -1: no end
	alts   []string
	not    bool
}

var errBody = errors.New("body cannot be taken apart")

// lex takes a body apart.
func lex(s string) (out []elem, err error) {
	for s != "" {
		switch c := s[0]; {
		case c == '*':
			out, s = append(out, elem{kind: '*'}), s[1:]
		case c == '{', c == '[':
			i := strings.IndexAny(s, "}]")
			if i < 0 {
				return nil, errBody
			}
			e := elem{kind: 'j', hi: -1}
			lo, hi, span := strings.Cut(s[1:i], "-")
			if lo != "" {
				if _, err := fmt.Sscanf(lo, "%d", &e.lo); err != nil {
					return nil, errBody
				}
			}
			if !span {
				e.hi = e.lo
			} else if hi != "" {
				if _, err := fmt.Sscanf(hi, "%d", &e.hi); err != nil {
					return nil, errBody
				}
			}
			out, s = append(out, e), s[i+1:]
		case c == '(' || c == '!' && len(s) > 1 && s[1] == '(':
			i := closing(s)
			if i < 0 {
				return nil, errBody
			}
			e := elem{kind: 'a', not: c == '!'}
			inner := s[strings.IndexByte(s, '(')+1 : i]
			if len(inner) == 1 && strings.ContainsAny(inner, "BLW") {
				e.kind, e.text = 'b', inner
			} else if strings.ContainsAny(inner, "()") {
				return nil, fmt.Errorf("%w: alternatives within alternatives", errBody)
			}
			e.alts = strings.Split(inner, "|")
			out, s = append(out, e), s[i+1:]
		case len(s) < 2:
			return nil, errBody
		case s[:2] == "??":
			out, s = append(out, elem{kind: '?'}), s[2:]
		case s[0] == '?' || s[1] == '?':
			out, s = append(out, elem{kind: 'n', text: s[:2]}), s[2:]
		default:
			b, err := hex.DecodeString(s[:2])
			if err != nil {
				return nil, errBody
			}
			if n := len(out); n > 0 && out[n-1].kind == 'h' {
				out[n-1].bytes = append(out[n-1].bytes, b[0])
			} else {
				out = append(out, elem{kind: 'h', bytes: b})
			}
			s = s[2:]
		}
	}
	return out, nil
}

// closing is where the first parenthesis ends, -1 if it does not.
func closing(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// node is a part of a logical expression: a subsignature, or a group of parts.
type node struct {
	sub   int // -1: a group
	op    byte
	kids  []node
	cmp   byte // '=', '>', '<', 0: none
	count int
	kinds int // how many different ones at least, 0: not asked
}

var errExpr = errors.New("expression cannot be taken apart")

// parseExpr takes a logical expression apart.
func parseExpr(s string) (node, error) {
	p := exprParser{s: s}
	n, err := p.expr(0)
	if err == nil && p.s != "" {
		err = errExpr
	}
	return n, err
}

type exprParser struct{ s string }

// expr reads operands and the operators between them. ClamAV gives & and | no
// precedence: what stands free is grouped from the right, and what makes up a
// parenthesis is cut at its last operator first.
func (p *exprParser) expr(depth int) (node, error) {
	first, err := p.term(depth)
	if err != nil {
		return first, err
	}
	kids, ops := []node{first}, []byte{}
	for p.s != "" && (p.s[0] == '&' || p.s[0] == '|') {
		ops = append(ops, p.s[0])
		p.s = p.s[1:]
		k, err := p.term(depth)
		if err != nil {
			return k, err
		}
		kids = append(kids, k)
	}
	last := len(ops) - 1
	if depth > 0 && last > 0 && bytes.Count(ops, ops[:1]) != len(ops) {
		return node{sub: -1, op: ops[last], kids: []node{fromRight(kids[:last+1], ops[:last]), kids[last+1]}}, nil
	}
	return fromRight(kids, ops), nil
}

// fromRight groups operands from the right; those of one operator are one group.
func fromRight(kids []node, ops []byte) node {
	if len(ops) == 0 {
		return kids[0]
	}
	n := 0
	for n < len(ops) && ops[n] == ops[0] {
		n++
	}
	if n == len(ops) {
		return node{sub: -1, op: ops[0], kids: kids}
	}
	return node{sub: -1, op: ops[0], kids: append(slices.Clone(kids[:n]), fromRight(kids[n:], ops[n:]))}
}

func (p *exprParser) term(depth int) (n node, err error) {
	if p.s == "" || depth > 64 {
		return n, errExpr
	}
	if p.s[0] == '(' {
		p.s = p.s[1:]
		if n, err = p.expr(depth + 1); err != nil {
			return n, err
		}
		if p.s == "" || p.s[0] != ')' {
			return n, errExpr
		}
		p.s = p.s[1:]
		if n.sub >= 0 && n.cmp == 0 {
			n = node{sub: -1, op: '&', kids: []node{n}}
		}
	} else {
		var ok bool
		if n.sub, ok = p.number(); !ok {
			return n, errExpr
		}
	}
	if p.s != "" && strings.IndexByte("=<>", p.s[0]) >= 0 {
		if n.cmp != 0 {
			n = node{sub: -1, op: '&', kids: []node{n}}
		}
		for p.s != "" && strings.IndexByte("=<>", p.s[0]) >= 0 { // of several, the last counts
			n.cmp, p.s = p.s[0], p.s[1:]
		}
		var ok bool
		if n.count, ok = p.number(); !ok {
			return n, errExpr
		}
		if p.s != "" && p.s[0] == ',' {
			p.s = p.s[1:]
			n.kinds, _ = p.number() // none is 0
		}
	}
	return n, nil
}

func (p *exprParser) number() (v int, ok bool) {
	for p.s != "" && p.s[0] >= '0' && p.s[0] <= '9' && v < 1<<20 {
		v, p.s, ok = v*10+int(p.s[0]-'0'), p.s[1:], true
	}
	return v, ok
}

// subs are the subsignatures below a node.
func (n *node) subs() (out []int) {
	if n.sub >= 0 {
		return []int{n.sub}
	}
	for i := range n.kids {
		out = append(out, n.kids[i].subs()...)
	}
	return out
}
