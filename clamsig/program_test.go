package clamsig

import (
	"strings"
	"testing"

	"github.com/showcause/showcause/clamsig/bytecode"
	. "github.com/showcause/showcause/clamsig/bytecode/bytecodetest"
	"github.com/showcause/showcause/rule"
)

// named is a program that gives what it finds one of two names.
func named(trigger string) *Source {
	p := New(bytecode.Prototype)
	p.Trigger = trigger
	f := p.Func(32)
	f.End("branch", f.Cmp("eq", 32, f.API("file_byteat", I32(0)), I32(0)), Num(1), Num(2))
	f.API("setvirusname", p.Text("BC.N.A\x00"), I32(6))
	f.Ret32(I32(0))
	f.API("setvirusname", p.Text("BC.N.B\x00"), I32(6))
	f.Ret32(I32(0))
	return p
}

type taken struct {
	null
	rules []string
	texts map[string]bool
}

func (n *taken) Rule(r *rule.Rule) error {
	alias := ""
	if r.Bytecode != nil && r.Bytecode.Alias {
		alias = " alias"
	}
	n.rules = append(n.rules, r.Name+alias)
	if n.texts == nil {
		n.texts = map[string]bool{}
	}
	n.texts[r.Text] = true
	return nil
}

func TestPrograms(t *testing.T) {
	logical := named("BC.N.{A,B};Engine:51-255,Target:0;0;41424344")
	hook := named("BC.Hook")
	hook.Kind = int(bytecode.PDF)
	high := named("BC.N.{A,B};Engine:217-255,Target:0;0;41424344")
	later := named("BC.N.{};Engine:51-255,Target:0;0;41424344")
	later.Levels = [2]int{300, 400}
	generic := named("BC.Generic")
	generic.Kind = int(bytecode.Generic)
	bad := strings.Replace(logical.String(), "\nT", "\nX", 1)
	for _, c := range []struct {
		text   string
		o      Options
		rules  string
		known  int
		reason Reason
		line   int
	}{
		{logical.String(), Options{}, "", 0, Bytecode, 0},
		{logical.String(), Options{BytecodeUnsigned: true}, "BC.N.A,BC.N.B alias", 1, "", 0},
		{hook.String(), Options{BytecodeUnsigned: true}, "BC.N.A,BC.N.B alias", 0, "", 0},
		{high.String(), Options{BytecodeUnsigned: true}, "", 0, FunctionalityLevel, 1},
		{later.String(), Options{BytecodeUnsigned: true}, "", 0, FunctionalityLevel, 1},
		{generic.String(), Options{BytecodeUnsigned: true}, "", 0, Malformed, 1},
		{bad, Options{BytecodeUnsigned: true}, "", 0, Malformed, 3},
		{"", Options{BytecodeUnsigned: true}, "", 0, Malformed, 1},
	} {
		var sink taken
		stats, err := LoadReader("x.cbc", strings.NewReader(c.text), c.o, &sink)
		if err != nil || strings.Join(sink.rules, ",") != c.rules || stats.Known() != c.known {
			t.Errorf("%+v: %v, known %d, %v", c, sink.rules, stats.Known(), err)
		}
		if c.reason == "" {
			if len(sink.skips) != 0 || stats.Loaded() != 1 || !sink.texts[c.text] {
				t.Errorf("%+v: %v, %d loaded", c, sink.skips, stats.Loaded())
			}
		} else if len(sink.skips) != 1 || sink.skips[0].Reason != c.reason || sink.skips[0].Line != c.line {
			t.Errorf("%+v: %v", c, sink.skips)
		}
		c.o.Strict = true
		if _, err := LoadReader("x.cbc", strings.NewReader(c.text), c.o, &sink); (err != nil) != (c.reason == Malformed) {
			t.Errorf("%+v: strict: %v", c, err)
		}
	}
}
