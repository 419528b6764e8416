package clamsig

import (
	"encoding/hex"
	"strings"

	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/rule"
)

const maxSubs = 64 // subsignatures

// ldb reads "name;target description;expression;sub0[;sub1...]".
func (f *file) ldb(line string) (string, *refusal) {
	t := f.l.fields[:]
	n := splitLogical(line, t)
	if n < 4 {
		return "", malformed("%d fields, at least 4 expected", n)
	}
	name := t[0]
	if f.l.ignored(name, line) {
		return name, outside(Ignored, "by name")
	}
	if n > 3+maxSubs {
		return name, malformed("more than %d subsignatures", maxSubs)
	}
	cond, last, r := expression(t[2])
	if r != nil {
		return name, r
	}
	if last+1 != n-3 {
		return name, malformed("%d subsignatures, the expression asks for %d", n-3, last+1)
	}
	d, r := description(t[1], f.l.level)
	if r != nil {
		return name, r
	}
	if name = cleanName(name); name == "" {
		return "", malformed("no name")
	}
	unfit := d.unfit
	f.l.parser.reset(rule.Target(d.target))
	f.l.parser.subs = n - 3
	for i, sub := range t[3:n] {
		f.l.parser.index = i
		if r := f.l.parser.sub(sub, rule.Target(d.target)); r != nil {
			r.detail = "subsignature " + itoa(i) + ": " + r.detail
			if r.reason == Malformed {
				return name, r
			}
			if unfit == nil {
				unfit = r
			}
		}
	}
	if unfit == nil {
		unfit = unusable(d.target)
	}
	if unfit != nil && unfit.reason == Macro && strings.Contains(line, ";${") {
		return f.macros(name, line, t[:n], d.target)
	}
	if unfit != nil {
		return name, unfit
	}
	if r := f.l.parser.froms(); r != nil {
		return name, r
	}
	if d.icon {
		cond = f.l.withIcons(cond, d.icons)
	}
	return name, f.emit(name, line, rule.Target(d.target), d.guard, cond)
}

// splitLogical cuts a line at semicolons, but not within the slashes of a
// regular expression, which may stand from the third field on. It returns
// len(to) where there are that many fields or more.
func splitLogical(s string, to []string) int {
	if strings.IndexByte(s, '/') < 0 {
		return split(s, ';', to)
	}
	n, from, slashes := 0, 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == ';' && !slashes:
			to[n] = s[from:i]
			n, from = n+1, i+1
			if n == len(to) {
				return n
			}
		case s[i] == '/' && n >= 2 && s[i-1] != '\\':
			slashes = !slashes
		}
	}
	to[n] = s[from:]
	return n + 1
}

// modifiers are what stands behind the double colon of a subsignature.
type modifiers struct {
	any   bool // one of them, which changes what alternates may be
	fold  bool // i
	wide  bool // w
	ascii bool // a
	full  bool // f
}

// sub adds the pattern of one subsignature.
func (p *parser) sub(s string, t rule.Target) *refusal {
	switch {
	case strings.HasPrefix(s, "$"):
		if _, r := macroOf(s); r != nil {
			return r
		}
		return unsupported(Macro, "macro") // all were put in place before
	case strings.IndexByte(s, '/') >= 0:
		return p.regex(s, t)
	case strings.IndexByte(s, '#') >= 0 && strings.IndexByte(s, '(') >= 0 &&
		strings.IndexByte(s, '#') != strings.LastIndexByte(s, '#'):
		return p.compare(s)
	case strings.HasPrefix(s, fuzzyPrefix):
		return p.fuzzy(s[len(fuzzyPrefix):])
	}
	var f [5]string
	n := split(s, ':', f[:])
	off, sig, opts := "*", f[0], "" // with five fields or more ClamAV heeds the first alone
	switch n {
	case 2:
		off, sig = f[0], f[1]
	case 3:
		opts = f[2]
	case 4:
		off, sig, opts = f[0], f[1], f[3]
	}
	m, r := modifiersOf(opts)
	if r != nil {
		return r
	}
	a, r := offset(off, t)
	if r != nil && r.reason == Malformed {
		return r
	}
	if bad := p.content(sig, a, m); bad != nil && (r == nil || bad.reason == Malformed) {
		r = bad
	}
	return r
}

func modifiersOf(s string) (m modifiers, r *refusal) {
	for i := 0; i < len(s); i++ {
		m.any = true
		switch s[i] {
		case 'i':
			m.fold = true
		case 'w':
			m.wide = true
		case 'a':
			m.ascii = true
		case 'f':
			m.full = true
		default:
			return m, malformed("modifier %q", s[i])
		}
	}
	return m, nil
}

const fuzzyPrefix = "fuzzy_img#"

// fuzzy adds "hash[#distance]". A distance of more than 0 is refused by ClamAV.
func (p *parser) fuzzy(s string) *refusal {
	text, far, has := strings.Cut(s, "#")
	hash, err := hex.DecodeString(text)
	n, ok := int64(0), true
	if has {
		n, ok = number(far)
	}
	if err != nil || len(hash) != 8 || !ok || has && far == "" || n >= 64 {
		return malformed("fuzzy image hash %q", clip(s))
	}
	p.decided(pattern.Anchor{}, &rule.Later{Trigger: rule.Node{Op: rule.True}, Image: &rule.Image{Hash: [8]byte(hash), Distance: uint8(n)}})
	return nil
}
