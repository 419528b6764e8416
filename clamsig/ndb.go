package clamsig

import (
	"math"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/rule"
)

// targets is the number of targets that ClamAV knows; those from rule.Targets
// on are internal.
const targets = 15

// shortest is the least length in bytes of a plain body that ClamAV gives to
// its second matcher, and of one static stretch in any other.
const (
	shortest     = 3
	shortestPart = 2
)

// ndb reads "name:target:offset:body[:min[:max]]".
func (f *file) ndb(line string) (string, *refusal) {
	var t [7]string
	n := split(line, ':', t[:])
	if n < 4 || n > 6 {
		return "", malformed("%d fields, 4 to 6 expected", n)
	}
	name := t[0]
	if f.l.ignored(name, line) {
		return name, outside(Ignored, "by name")
	}
	if r := f.levelsOf(t[4:n]); r != nil {
		return name, r
	}
	target, ok := number(t[1])
	if !ok && t[1] != "*" {
		return name, malformed("target %q", clip(t[1]))
	}
	if target >= targets {
		return name, outside(Target, "target %d", target)
	}
	if name = cleanName(name); name == "" {
		return "", malformed("no name")
	}
	p := &f.l.parser
	p.reset(rule.Target(target))
	if strings.HasPrefix(t[2], "$") {
		group, r := groupOf(t[2])
		if r == nil {
			r = p.content(t[3], pattern.Anchor{}, modifiers{})
		}
		if r == nil {
			f.l.members = append(f.l.members, groupMember{target, group, strings.Clone(t[3])})
		}
		return name, r
	}
	a, unfit := offset(t[2], rule.Target(target))
	if unfit != nil && unfit.reason == Malformed {
		return name, unfit
	}
	if r := shortPlain(rule.Target(target), t[2], t[3]); r != nil {
		return name, r
	}
	if r := p.content(t[3], a, modifiers{}); r != nil && (unfit == nil || r.reason == Malformed) {
		unfit = r
	}
	if unfit == nil {
		unfit = unusable(target)
	}
	if unfit != nil {
		return name, unfit
	}
	return name, f.emit(name, line, rule.Target(target), rule.Guard{}, rule.Node{Op: rule.Count})
}

// shortPlain refuses the plain bodies that are too short for the matcher that
// ClamAV gives them to.
func shortPlain(t rule.Target, off, body string) *refusal {
	if t != rule.Any && (t != rule.PE || off == "*" || strings.ContainsAny(off, ",$") || strings.Contains(off, "VI")) {
		return nil
	}
	if len(body) < 2*shortest && !strings.ContainsAny(body, "?([*{") {
		return malformed("body of less than %d bytes", shortest)
	}
	return nil
}

// unusable refuses targets that no layer is of.
func unusable(target int64) *refusal {
	if target == int64(rule.Unused) || target >= int64(rule.Targets) {
		return unsupported(Target, "target %d", target)
	}
	return nil
}

// emit hands a rule over the parser's patterns to the sink.
func (f *file) emit(name, line string, t rule.Target, g rule.Guard, n rule.Node) *refusal {
	if f.bytecode != nil {
		return f.emitProgram(name, t, g, n)
	}
	f.l.rule = rule.Rule{Origin: f.origin(name, line), Target: t, Guard: g, Patterns: f.l.parser.patterns, Later: f.l.parser.later, Cond: n}
	counted(&f.l.rule)
	if err := f.l.sink.Rule(&f.l.rule); err != nil {
		return unsupported(Pattern, "%v", err)
	}
	return nil
}

// counted says of each pattern how many matches the rule tells apart, on which it depends
// that a pattern is counted by its ends. What a comparison counts from is only a place.
func counted(r *rule.Rule) {
	for i, n := range r.Needs() {
		if r.Bytecode != nil {
			n = showcause.MaxCount // the program is told how many there are
		}
		if n < math.MaxUint32 {
			r.Patterns[i].Count = int(n)
		}
	}
}

// content adds the pattern of one body to the parser's: one variant, or two
// for "::aw".
func (p *parser) content(sig string, a pattern.Anchor, m modifiers) *refusal {
	from := len(p.variants)
	p.cut = false
	if m.wide {
		if r := p.variant(sig, m); r != nil {
			return r
		}
	}
	if !m.wide || m.ascii {
		m.wide = false
		if r := p.variant(sig, m); r != nil {
			return r
		}
	}
	p.patterns = append(p.patterns, pattern.Pattern{Variants: p.variants[from:len(p.variants):len(p.variants)], Anchor: a, ByEnd: p.cut})
	return nil
}
