package clamsig

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	seed "github.com/showcause/showcause/literal"
	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/regex"
	"github.com/showcause/showcause/regex/syntax"
	"github.com/showcause/showcause/rule"
)

// decided adds a subsignature that is decided after others.
func (p *parser) decided(a pattern.Anchor, l *rule.Later) {
	if p.later == nil {
		p.later = make([]*rule.Later, p.subs)
	}
	for len(p.later) <= len(p.patterns) {
		p.later = append(p.later, nil)
	}
	p.later[len(p.patterns)] = l
	p.patterns = append(p.patterns, pattern.Pattern{Anchor: a})
}

// regex adds "[offset:]trigger/expression/flags". The trigger is an expression over the
// subsignatures before this one.
func (p *parser) regex(s string, t rule.Target) *refusal {
	colon := strings.LastIndexByte(s[:strings.IndexByte(s, '/')], ':')
	var a pattern.Anchor
	if colon >= 0 {
		var r *refusal
		if a, r = offset(s[:colon], t); r != nil {
			return r
		}
	}
	sub := s[colon+1:]
	from, to := strings.IndexByte(sub, '/'), strings.LastIndexByte(sub, '/')
	if from <= 0 || to <= from+1 {
		return malformed("regular expression %q", clip(s))
	}
	trigger, last, r := expression(sub[:from])
	if r != nil {
		return r
	}
	if last >= p.index {
		return malformed("regular expression triggered by subsignature %d", last)
	}
	l := &rule.Later{Trigger: trigger}
	f := syntax.Flags{Dialect: syntax.PCRE}
	for _, c := range sub[to+1:] {
		on, ok := map[rune]*bool{
			'g': &l.Global, 'r': &l.Rolling, 'e': &l.Encompass, 'A': &l.Anchored,
			'i': &f.CaseInsensitive, 's': &f.DotAll, 'm': &f.Multiline, 'x': &f.Extended, 'E': &f.DollarEnd, 'U': &f.Ungreedy,
		}[c]
		if !ok {
			return malformed("flags %q of a regular expression", clip(sub[to+1:]))
		}
		*on = true
	}
	tree, err := syntax.Parse(sub[from+1:to], f)
	if err != nil {
		return wrongRegex(err)
	}
	prog, atoms, err := regex.Compile(tree, regex.Options{Score: seed.Score})
	if err != nil {
		return wrongRegex(err)
	}
	// Short ones are nearly everywhere: the expression itself is as quick.
	if slices.ContainsFunc(atoms, func(a regex.Atom) bool { return len(a.Literal) < shortest }) {
		atoms = nil
	}
	l.Regexp = &rule.Regexp{Program: prog, Atoms: atoms}
	l.Tree = tree
	p.decided(a, l)
	return nil
}

// wrongRegex refuses an expression. What PCRE2 refuses clamscan refuses too, after it has
// counted the signature.
func wrongRegex(err error) *refusal {
	var e *syntax.Error
	if errors.As(err, &e) && (e.Code == syntax.Unsupported || e.Code == syntax.TooLarge || e.Code == syntax.TooDeep) {
		return unsupported(PCRE, "%v", err)
	}
	return unsupported(Malformed, "%v", err)
}

// compare adds "trigger(>>offset#options#comparison,comparison)".
func (p *parser) compare(s string) *refusal {
	bad := malformed("byte comparison %q", clip(s))
	id, s, ok := leading(s)
	inner, _, closed := strings.Cut(strings.TrimPrefix(s, "("), ")")
	t := strings.Split(inner, "#")
	if !ok || !strings.HasPrefix(s, "(") || !closed || len(t) != 3 {
		return bad
	}
	c := &rule.Compare{From: int(min(id, maxSubs))}
	if c.Offset, ok = compareOffset(t[0]); !ok {
		return bad
	}
	if ok = compareOptions(c, t[1]); !ok {
		return bad
	}
	for one := range strings.SplitSeq(t[2], ",") {
		v, ok := int64(0), len(one) > 0 && isCmp(one[0])
		if ok {
			v, ok = number0(one[1:])
		}
		if !ok || len(c.Tests) == 2 {
			return bad
		}
		c.Tests = append(c.Tests, rule.CompareTest{Cmp: comparison(one[0]), Value: v})
	}
	if c.From >= p.subs {
		return unsupported(ByteCompare, "counts from subsignature %d", c.From)
	}
	if _, err := c.Encode(); err != nil {
		return unsupported(ByteCompare, "%v", err)
	}
	p.decided(pattern.Anchor{}, &rule.Later{Trigger: rule.Node{Op: rule.Count, Sub: c.From}, Compare: c})
	return nil
}

func compareOffset(s string) (n int64, ok bool) {
	switch {
	case s == "" || s[0] == '0':
		return 0, true
	case strings.HasPrefix(s, ">>"):
		return number0(s[2:])
	case strings.HasPrefix(s, "<<"):
		n, ok = number0(s[2:])
		return -n, ok
	}
	return 0, false
}

// number0 reads a number as C's strtol does with base 0: "0x1f" and "017" too.
func number0(s string) (n int64, ok bool) {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	if s == "" {
		return 0, true
	}
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || strings.ContainsAny(digits, "_oObB") && !strings.HasPrefix(strings.ToLower(digits), "0x") || strings.Contains(digits, "_") {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 0, 64)
	if e, is := err.(*strconv.NumError); is && e.Err == strconv.ErrRange {
		return n, true // it stays at the greatest
	}
	return n, err == nil && n != math.MinInt64
}

// compareOptions reads "hle2": the form of the number, its order, exact, its width.
func compareOptions(c *rule.Compare, s string) bool {
	var form, order byte
	for s != "" && (s[0] < '0' || s[0] > '9') {
		switch o := s[0]; o {
		case 'h', 'd', 'i', 'a':
			if form != 0 && form != o || o == 'd' && order == 'l' {
				return false
			}
			if form = o; o == 'd' {
				order = 'b'
			}
		case 'l', 'b':
			if order != 0 && order != o {
				return false
			}
			order = o
		case 'e':
			c.Exact = true
		default:
			return false
		}
		s = s[1:]
	}
	n, ok := number0(s)
	if !ok || s == "" || n <= 0 || n > math.MaxUint8 {
		return false
	}
	if form == 'i' && (n > 8 || 8%n != 0) || form == 'h' && n > 18 {
		return false
	}
	c.Width, c.Little = uint8(n), order == 'l'
	c.Form = map[byte]rule.NumberForm{'h': rule.Hexadecimal, 'd': rule.Decimal, 'i': rule.Binary, 'a': rule.AnyDigits}[form]
	if form == 0 || order == 0 {
		c.Form = rule.NoNumber
	}
	return true
}

// froms refuses comparisons that count from what is decided later itself.
func (p *parser) froms() *refusal {
	for _, l := range p.later {
		if l != nil && l.Compare != nil && p.later[l.Compare.From] != nil {
			return unsupported(ByteCompare, "counts from subsignature %d, which is none over bytes", l.Compare.From)
		}
	}
	return nil
}
