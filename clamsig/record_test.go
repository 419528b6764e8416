package clamsig

import (
	"fmt"
	"strings"
	"testing"

	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/rule"
)

// recorder writes down everything it is given, as text.
type recorder struct {
	calls  []string
	refuse error // what Rule and Digest answer
}

func (r *recorder) Rule(v *rule.Rule) error {
	r.calls = append(r.calls, "rule "+ruleText(v))
	return r.refuse
}

func (r *recorder) Digest(d *rule.DigestRule) error {
	r.calls = append(r.calls, fmt.Sprintf("digest %s sum=%d scope=%d size=%d %x allow=%v %s:%d %s",
		d.Name, d.Sum, d.Scope, d.Size, d.Digest, d.Allow, d.File, d.Line, d.Text))
	return r.refuse
}

func (r *recorder) Skip(s Skip) {
	r.calls = append(r.calls, fmt.Sprintf("skip %s:%d %s %s: %s", s.File, s.Line, s.Name, s.Reason, s.Detail))
}

// load reads one text and returns what the sink was given.
func load(t testing.TB, name, text string, opt Options) ([]string, *Stats) {
	t.Helper()
	var r recorder
	stats, err := LoadReader(name, strings.NewReader(text), opt, &r)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return r.calls, stats
}

func ruleText(v *rule.Rule) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s target=%d", v.Name, v.Target)
	for _, g := range []struct {
		name string
		r    *rule.Range
	}{{"size", v.Guard.Size}, {"entry", v.Guard.Entry}, {"sections", v.Guard.Sections}} {
		if g.r != nil {
			fmt.Fprintf(&b, " %s=%d-%d", g.name, g.r.Min, g.r.Max)
		}
	}
	if v.Guard.Container != "" {
		fmt.Fprintf(&b, " container=%s", v.Guard.Container)
	}
	if v.Guard.Intermediates != nil {
		fmt.Fprintf(&b, " within=%s", strings.Join(v.Guard.Intermediates, ">"))
	}
	fmt.Fprintf(&b, " %s", nodeText(&v.Cond))
	for k, p := range v.Patterns {
		b.WriteString(" [")
		if a := p.Anchor; a != (pattern.Anchor{}) {
			fmt.Fprintf(&b, "@%d.%d%+d,%d ", a.Base, a.Number, a.Offset, a.Shift)
		}
		if v.Later != nil && v.Later[k] != nil {
			b.WriteString(laterText(v.Later[k]))
		}
		for i, e := range p.Variants {
			if i > 0 {
				b.WriteString(" / ")
			}
			b.WriteString(elemsText(e))
		}
		b.WriteString("]")
	}
	return b.String()
}

// laterText is the trigger, the flags and the comparison; of an expression, its atoms.
func laterText(l *rule.Later) string {
	s := "if " + nodeText(&l.Trigger)
	for _, f := range []struct {
		on   bool
		name string
	}{{l.Global, "g"}, {l.Rolling, "r"}, {l.Encompass, "e"}, {l.Anchored, "A"}} {
		if f.on {
			s += " " + f.name
		}
	}
	if c := l.Compare; c != nil {
		return s + fmt.Sprintf(" from %d%+d form %d little %v exact %v width %d %v", c.From, c.Offset, c.Form, c.Little, c.Exact, c.Width, c.Tests)
	}
	if m := l.Image; m != nil {
		return fmt.Sprintf("image %x within %d", m.Hash, m.Distance)
	}
	if l.Icons != nil {
		return s + fmt.Sprintf(" icons %v", l.Icons.Lines)
	}
	for _, a := range l.Regexp.Atoms {
		s += fmt.Sprintf(" %q", a.Literal)
		if a.Fold {
			s += "i"
		}
	}
	return s
}

func nodeText(n *rule.Node) string {
	count := func() string {
		s := fmt.Sprintf("%c%d", ">=<"[n.Cmp], n.N)
		if n.Distinct > 0 {
			s += fmt.Sprintf(",%d", n.Distinct)
		}
		return s
	}
	if n.Op == rule.Count {
		return fmt.Sprintf("%d%s", n.Sub, count())
	}
	var kids []string
	for i := range n.Kids {
		kids = append(kids, nodeText(&n.Kids[i]))
	}
	switch n.Op {
	case rule.And:
		return "(" + strings.Join(kids, "&") + ")"
	case rule.Or:
		return "(" + strings.Join(kids, "|") + ")"
	}
	return "group" + strings.Join(kids, "") + count()
}

var testNames = [...]string{"B<", "B>", "L<", "L>", "W<", "W>", "f<", "f>", "wf<", "wf>"}

// elemsText renders a sequence: bytes as hexadecimal ("i:" without case, "/mask"),
// {gap}, (alternatives), assertions with the side they look at.
func elemsText(es []pattern.Elem) string {
	var out []string
	for i := range es {
		e := &es[i]
		switch e.Kind {
		case pattern.Bytes:
			s := fmt.Sprintf("%x", e.Value)
			if e.Mask != nil {
				s += fmt.Sprintf("/%x", e.Mask)
			}
			if e.Fold {
				s = "i:" + s
			}
			out = append(out, s)
		case pattern.Gap:
			if e.Max < 0 {
				out = append(out, fmt.Sprintf("{%d-}", e.Min))
			} else {
				out = append(out, fmt.Sprintf("{%d-%d}", e.Min, e.Max))
			}
		case pattern.Alt:
			var alts []string
			for _, a := range e.Alts {
				alts = append(alts, elemsText(a))
			}
			s := "(" + strings.Join(alts, "|") + ")"
			if e.Negate {
				s = "!" + s
			}
			out = append(out, s)
		case pattern.Near:
			out = append(out, fmt.Sprintf("[%d-%d:%s]", e.Min, e.Max, elemsText([]pattern.Elem{{Kind: pattern.Bytes, Value: e.Value, Mask: e.Mask, Fold: e.Fold}})))
		case pattern.Assert:
			out = append(out, testNames[e.Test])
		}
	}
	return strings.Join(out, " ")
}
