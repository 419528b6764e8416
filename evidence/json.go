package evidence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The JSON of records: objects, arrays, strings, true, false, and integers
// between -(2^53-1) and 2^53-1. It has neither null nor other numbers.
const (
	maxJSONDepth = 24
	maxInteger   = 1<<53 - 1
	maxValues    = 1 << 21 // '[', '{' and ',' in all, those in strings too: a value takes a hundred bytes of memory
	maxMembers   = 1024    // of one object
)

type nodeKind uint8

const (
	object nodeKind = iota
	array
	text
	number
	boolean
)

// node is one JSON value.
type node struct {
	kind    nodeKind
	text    string // of a string
	number  int64  // of a number; 1 and 0 of true and false
	list    []node // of an array
	members []member
}

type member struct {
	key   string
	value node
}

// member returns the value of an object's member, nil if there is none.
func (n *node) member(key string) *node {
	if n == nil || n.kind != object {
		return nil
	}
	for i := range n.members {
		if n.members[i].key == key {
			return &n.members[i].value
		}
	}
	return nil
}

func (n *node) remove(key string) {
	n.members = slices.DeleteFunc(n.members, func(m member) bool { return m.key == key })
}

// parseJSON reads one value, which must be all of b.
func parseJSON(b []byte) (*node, error) {
	if n := bytes.Count(b, []byte("[")) + bytes.Count(b, []byte("{")) + bytes.Count(b, []byte(",")); n > maxValues {
		return nil, refuse(BadSize, "", "%d values or so, at most %d", n, maxValues)
	}
	p := jsonParser{b: b}
	n, err := p.value(0)
	if err != nil {
		return nil, err
	}
	p.blank()
	if p.at != len(b) {
		return nil, p.bad("something follows the value")
	}
	return &n, nil
}

type jsonParser struct {
	b  []byte
	at int
}

func (p *jsonParser) bad(format string, a ...any) error {
	return refuse(BadJSON, "", "byte %d: %s", p.at, fmt.Sprintf(format, a...))
}

func (p *jsonParser) blank() {
	for p.at < len(p.b) && strings.IndexByte(" \t\r\n", p.b[p.at]) >= 0 {
		p.at++
	}
}

// peek passes over blanks and returns the next byte, 0 at the end.
func (p *jsonParser) peek() byte {
	p.blank()
	if p.at == len(p.b) {
		return 0
	}
	return p.b[p.at]
}

func (p *jsonParser) value(depth int) (node, error) {
	if depth > maxJSONDepth {
		return node{}, refuse(BadSize, "", "byte %d: more than %d values within each other", p.at, maxJSONDepth)
	}
	switch c := p.peek(); {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		s, err := p.text()
		return node{kind: text, text: s}, err
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	for s, v := range map[string]int64{"true": 1, "false": 0} {
		if bytes.HasPrefix(p.b[p.at:], []byte(s)) {
			p.at += len(s)
			return node{kind: boolean, number: v}, nil
		}
	}
	return node{}, p.bad("no value that a record may have")
}

func (p *jsonParser) object(depth int) (node, error) {
	n := node{kind: object}
	seen := map[string]bool{}
	for p.at++; ; p.at++ {
		c := p.peek()
		if c == '}' && len(n.members) == 0 {
			break
		}
		if c != '"' {
			return n, p.bad("a member's name expected")
		}
		key, err := p.text()
		if err != nil {
			return n, err
		}
		if seen[key] {
			return n, refuse(BadDuplicate, "", "byte %d: member %q twice", p.at, key)
		}
		seen[key] = true
		if len(n.members) == maxMembers {
			return n, refuse(BadSize, "", "byte %d: an object of more than %d members", p.at, maxMembers)
		}
		if p.peek() != ':' {
			return n, p.bad("':' expected")
		}
		p.at++
		v, err := p.value(depth + 1)
		if err != nil {
			return n, err
		}
		n.members = append(n.members, member{key, v})
		if c = p.peek(); c == '}' {
			break
		}
		if c != ',' {
			return n, p.bad("',' or '}' expected")
		}
	}
	p.at++
	return n, nil
}

func (p *jsonParser) array(depth int) (node, error) {
	n := node{kind: array}
	for p.at++; ; p.at++ {
		if p.peek() == ']' && len(n.list) == 0 {
			break
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return n, err
		}
		n.list = append(n.list, v)
		c := p.peek()
		if c == ']' {
			break
		}
		if c != ',' {
			return n, p.bad("',' or ']' expected")
		}
	}
	p.at++
	return n, nil
}

func (p *jsonParser) number() (node, error) {
	start := p.at
	for p.at < len(p.b) && strings.IndexByte("+-.eE0123456789", p.b[p.at]) >= 0 {
		p.at++
	}
	s := string(p.b[start:p.at])
	v, err := strconv.ParseInt(s, 10, 64)
	if digits := strings.TrimPrefix(s, "-"); len(digits) > 1 && digits[0] == '0' {
		return node{}, p.bad("number %.40s begins with a zero", s)
	}
	if err != nil || v > maxInteger || v < -maxInteger {
		return node{}, p.bad("number %.40s: not an integer below 2^53", s)
	}
	return node{kind: number, number: v}, nil
}

func (p *jsonParser) text() (string, error) {
	start := p.at
	for p.at++; p.at < len(p.b); p.at++ {
		switch c := p.b[p.at]; {
		case c == '"':
			p.at++
			return p.unquote(p.b[start:p.at])
		case c == '\\':
			p.at++
		case c < 0x20:
			return "", p.bad("a control character in a string")
		}
	}
	return "", p.bad("a string without an end")
}

// unquote reads a string with its quotes. encoding/json would make U+FFFD of
// half a surrogate pair, which is no character: it is refused.
func (p *jsonParser) unquote(quoted []byte) (string, error) {
	if !utf8.Valid(quoted) {
		return "", p.bad("a string that is not UTF-8")
	}
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1]), nil
	}
	var s string
	if err := json.Unmarshal(quoted, &s); err != nil {
		return "", p.bad("a string with a false escape")
	}
	high := false // the last character was the first half of a pair
	for i := 0; i < len(quoted); i++ {
		unit := uint64(0)
		if quoted[i] == '\\' {
			if i++; quoted[i] == 'u' {
				unit, _ = strconv.ParseUint(string(quoted[i+1:i+5]), 16, 16)
				i += 4
			}
		}
		low := unit >= 0xdc00 && unit < 0xe000
		if high != low {
			return "", p.bad("a string with half a surrogate pair")
		}
		high = unit >= 0xd800 && unit < 0xdc00
	}
	return s, nil
}

// canonical appends the one spelling of a value (RFC 8785). The names of
// members must be ASCII, whose order in bytes is that of RFC 8785.
func (n *node) canonical(out []byte) []byte {
	switch n.kind {
	case object:
		order := make([]int, len(n.members))
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(a, b int) int { return strings.Compare(n.members[a].key, n.members[b].key) })
		out = append(out, '{')
		for i, at := range order {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(quote(out, n.members[at].key), ':')
			out = n.members[at].value.canonical(out)
		}
		return append(out, '}')
	case array:
		out = append(out, '[')
		for i := range n.list {
			if i > 0 {
				out = append(out, ',')
			}
			out = n.list[i].canonical(out)
		}
		return append(out, ']')
	case text:
		return quote(out, n.text)
	case number:
		return strconv.AppendInt(out, n.number, 10)
	}
	return strconv.AppendBool(out, n.number != 0)
}

// quote appends a string as RFC 8785, section 3.2.2.2, has it.
func quote(out []byte, s string) []byte {
	out = append(out, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '"', '\\':
			out = append(out, '\\', c)
		case '\b':
			out = append(out, '\\', 'b')
		case '\t':
			out = append(out, '\\', 't')
		case '\n':
			out = append(out, '\\', 'n')
		case '\f':
			out = append(out, '\\', 'f')
		case '\r':
			out = append(out, '\\', 'r')
		default:
			if c < 0x20 {
				out = fmt.Appendf(out, `\u%04x`, c)
			} else {
				out = append(out, c)
			}
		}
	}
	return append(out, '"')
}

// parseCanonical reads a value that stands in its canonical spelling.
func parseCanonical(b []byte) (*node, error) {
	n, err := parseJSON(b)
	if err != nil {
		return nil, err
	}
	if c := n.canonical(make([]byte, 0, len(b))); !bytes.Equal(c, b) {
		return nil, refuse(BadCanonical, "", "byte %d: not the canonical spelling (RFC 8785)", differ(b, c))
	}
	return n, nil
}

// differ returns where two slices begin to differ.
func differ(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// toNode returns what encoding/json makes of a value.
func toNode(v any) (*node, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return parseJSON(b.Bytes())
}

// fromNode fills the struct at v, which must come to the same value again: what
// v has no place for is refused.
func fromNode(n *node, v any) error {
	b := n.canonical(nil)
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if s := err.Error(); strings.Contains(s, "unknown field") {
			return refuse(BadField, "", "%s", strings.TrimPrefix(s, "json: "))
		}
		return refuse(BadShape, "", "%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	again, err := toNode(v)
	if err != nil {
		return refuse(BadShape, "", "%v", err)
	}
	if c := again.canonical(nil); !bytes.Equal(b, c) {
		code, where, what := disagree(n, again, "")
		return refuse(code, where, "%s", what)
	}
	return nil
}

// disagree finds the first place where what was read (have) is not what the
// format makes of it (want).
func disagree(have, want *node, at string) (Code, string, string) {
	if have.kind != want.kind {
		return BadShape, at, "a value of the wrong type"
	}
	wanted := index(want.members)
	for i := range have.members {
		m := &have.members[i]
		w := wanted[m.key]
		if w == nil {
			for j := range want.members {
				if strings.EqualFold(want.members[j].key, m.key) {
					return BadField, at + "/" + m.key, "no member of the format"
				}
			}
			return BadShape, at + "/" + m.key, "an empty member, which must be left out"
		}
		if c, where, what := disagree(&m.value, w, at+"/"+m.key); c != "" {
			return c, where, what
		}
	}
	there := index(have.members)
	for i := range want.members {
		if k := want.members[i].key; there[k] == nil {
			return BadShape, at + "/" + k, "a member is missing"
		}
	}
	for i := range have.list {
		if i >= len(want.list) {
			break
		}
		if c, where, what := disagree(&have.list[i], &want.list[i], at+"/"+strconv.Itoa(i)); c != "" {
			return c, where, what
		}
	}
	if !bytes.Equal(have.canonical(nil), want.canonical(nil)) {
		return BadShape, at, "a value that the format writes otherwise"
	}
	return "", "", ""
}

// index returns the values of members by their names.
func index(members []member) map[string]*node {
	out := make(map[string]*node, len(members))
	for i := range members {
		out[members[i].key] = &members[i].value
	}
	return out
}
