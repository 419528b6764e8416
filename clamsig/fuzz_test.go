package clamsig

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/rule"
)

// checker is a sink that looks at the shape of what it is given.
type checker struct {
	t     testing.TB
	calls recorder
}

func (c *checker) Rule(r *rule.Rule) error {
	for i := range r.Patterns {
		p := &r.Patterns[i]
		if r.Later != nil && r.Later[i] != nil {
			c.later(r, i)
			continue
		}
		if len(p.Variants) == 0 {
			c.t.Fatalf("%s: pattern without a variant", r.Text)
		}
		for _, v := range p.Variants {
			c.sequence(r.Text, v, true)
		}
	}
	c.node(r, &r.Cond)
	if r.Target >= rule.Targets || len(r.Patterns) == 0 || len(r.Patterns) > maxSubs+1 || r.Line < 1 || r.Name == "" {
		c.t.Fatalf("rule %+v", r)
	}
	return c.calls.Rule(r)
}

// later looks at what is decided after others.
func (c *checker) later(r *rule.Rule, i int) {
	l := r.Later[i]
	if l.Image == nil && l.Icons == nil {
		c.node(r, &l.Trigger)
	}
	if (l.Regexp != nil) == (l.Compare != nil) && l.Image == nil && l.Icons == nil || len(r.Patterns[i].Variants) > 0 {
		c.t.Fatalf("%q: pattern %d", r.Text, i)
	}
	if l.Regexp != nil {
		places := make([]uint32, 0, len(l.Regexp.Atoms))
		for _, a := range l.Regexp.Atoms {
			places = append(places, a.Place)
		}
		if err := l.Regexp.Program.Check(places); err != nil {
			c.t.Fatalf("%q: %v", r.Text, err)
		}
	}
}

func (c *checker) sequence(text string, es []pattern.Elem, top bool) {
	if top && len(es) == 0 {
		c.t.Fatalf("%q: empty variant", text)
	}
	for i := range es {
		switch e := &es[i]; e.Kind {
		case pattern.Bytes:
			if len(e.Value) == 0 || e.Mask != nil && len(e.Mask) != len(e.Value) {
				c.t.Fatalf("%q: %d bytes under %d", text, len(e.Value), len(e.Mask))
			}
		case pattern.Gap:
			if e.Min < 0 {
				c.t.Fatalf("%q: gap from %d", text, e.Min)
			}
		case pattern.Alt:
			for _, a := range e.Alts {
				c.sequence(text, a, false)
				if e.Negate && (len(a) != 1 || a[0].Kind != pattern.Bytes || len(a[0].Value) != len(e.Alts[0][0].Value)) {
					c.t.Fatalf("%q: negated alternatives of several lengths", text)
				}
			}
		}
	}
}

func (c *checker) node(r *rule.Rule, n *rule.Node) {
	if n.Op == rule.Count && (n.Sub < 0 || n.Sub >= len(r.Patterns)) {
		c.t.Fatalf("%q: no subsignature %d", r.Text, n.Sub)
	}
	if n.Op == rule.Group && len(n.Kids) != 1 || n.Op != rule.Count && len(n.Kids) == 0 {
		c.t.Fatalf("%q: %d children", r.Text, len(n.Kids))
	}
	for i := range n.Kids {
		c.node(r, &n.Kids[i])
	}
}

func (c *checker) Digest(d *rule.DigestRule) error {
	if n := map[rule.Sum]int{rule.MD5: 16, rule.SHA1: 20, rule.SHA256: 32}[d.Sum]; len(d.Digest) != n || d.Size == 0 || d.Size < -1 || d.Name == "" {
		c.t.Fatalf("digest %+v", d)
	}
	return c.calls.Digest(d)
}

func (c *checker) Skip(s Skip) { c.calls.Skip(s) }

// kinds are those that FuzzLine reads.
var fuzzKinds = []string{"hdb", "mdb", "imp", "fp", "ndb", "ldb", "idb", "ign2", "cdb", "pdb", "yar", "cbc", "ndu"}

// twice loads the same bytes twice and compares what came of them.
func twice(t *testing.T, name string, data []byte) {
	first, second := checker{t: t}, checker{t: t}
	stats, err := LoadReader(name, bytes.NewReader(data), unsigned(Options{}), &first)
	_, err2 := LoadReader(name, bytes.NewReader(data), unsigned(Options{}), &second)
	if fmt.Sprint(err) != fmt.Sprint(err2) || !slices.Equal(first.calls.calls, second.calls.calls) {
		t.Fatalf("second time different: %v, %v", err, err2)
	}
	n := stats.Loaded() + stats.Skipped()
	for _, f := range stats.Files {
		if f.Kind == "idb" { // the sink has no call for them
			n -= f.Loaded
		}
	}
	if err == nil && n > len(first.calls.calls) {
		t.Fatalf("%d signatures, %d calls", n, len(first.calls.calls))
	}
	if stats.Known() > stats.Loaded()+stats.Skipped() {
		t.Fatalf("known %d of %d and %d", stats.Known(), stats.Loaded(), stats.Skipped())
	}
}

func FuzzLine(f *testing.F) {
	for i, kind := range fuzzKinds {
		for _, line := range []string{
			sumA + ":5:N", "5:" + sumC + ":N:73", "N:1:EP+4,5:4142(43|44)??[1-2]45", "N:0:*:4142{1-2}43!(44|45)46*(B)4748(L)",
			"N;Engine:81-255,Target:1,FileSize:1-9;(0|1)>2,2&2=0;4142::iwaf;5:43??44;0(>>1#ib2#>1)", "N;Target:0;0&1;4142;0/a;b/i",
			"N", "N:" + sumA, "rule a { condition: true }",
		} {
			f.Add(uint8(i), line)
		}
		_ = kind
	}
	f.Fuzz(func(t *testing.T, kind uint8, line string) {
		twice(t, "x."+fuzzKinds[int(kind)%len(fuzzKinds)], []byte(line))
	})
}

// FuzzBody puts bodies with modifiers into a rule, so that the fuzzer need not find one.
func FuzzBody(f *testing.F) {
	for _, s := range []string{"4142", "4142{2}43*44??45", "(W)41[1-2]4243", "4142(43(44|45)|)46", "4142!(4344|4546)[3]47", "4142{3-9}28[1-2]2930"} {
		f.Add(s, "0,5", "iwaf")
		f.Add(s, "*", "")
	}
	f.Fuzz(func(t *testing.T, body, off, mods string) {
		if strings.ContainsAny(body+off+mods, ";\n") {
			return
		}
		twice(t, "x.ldb", []byte("N;Engine:81-255,Target:1;0;"+off+":"+body+"::"+mods))
	})
}

func FuzzExpression(f *testing.F) {
	for _, s := range []string{"0", "0&1|2", "((0|1)>1,2&2)=0", "(0|1)<5", "0>1=2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, last, r := expression(s)
		if r != nil {
			return
		}
		if most := mostSub(&n); most != last {
			t.Fatalf("%q: last %d, the tree has %d", s, last, most)
		}
	})
}

func mostSub(n *rule.Node) int {
	most := n.Sub
	for i := range n.Kids {
		most = max(most, mostSub(&n.Kids[i]))
	}
	return most
}

func FuzzContainer(f *testing.F) {
	for _, compress := range []bool{false, true} {
		f.Add(uint8(0), pack(f, compress, true, members...))
		f.Add(uint8(1), pack(f, compress, true, members...))
		f.Add(uint8(2), pack(f, compress, true, member{"a.hdb", sumA + ":5:N\n"}))
	}
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		twice(t, "x."+[]string{"cvd", "cld", "cud"}[kind%3], data)
	})
}
