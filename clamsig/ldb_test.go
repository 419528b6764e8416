package clamsig

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestExpressions(t *testing.T) {
	for _, tt := range []struct {
		expr, want string
		last       int
	}{
		{"0", "0>0", 0},
		{"3", "3>0", 3},
		{" 1", "1>0", 1},
		{"+1", "1>0", 1},
		{"(2)", "2>0", 2},
		{"((2))", "2>0", 2},
		{"0x", "0>0", 0},
		{"0>2", "0>2", 0},
		{"0=0", "0=0", 0},
		{"0<12", "0<12", 0},
		{"0>2,3", "0>2", 0},
		{"0>1=3", "0=3", 0},
		{"(0=3)", "0=3", 0},
		{"0>99999999999", "0>4294967295", 0},
		{"0&1&2", "(0>0&1>0&2>0)", 2},
		{"0|1|2", "(0>0|1>0|2>0)", 2},
		{"(0&1&2)", "(0>0&1>0&2>0)", 2},
		// The first operator outside of parentheses cuts ...
		{"0|1&2", "(0>0|(1>0&2>0))", 2},
		{"0&1|2", "(0>0&(1>0|2>0))", 2},
		{"2&0|1&3", "(2>0&(0>0|(1>0&3>0)))", 3},
		// ... but inside of a pair around everything the last.
		{"(0|1&2)", "((0>0|1>0)&2>0)", 2},
		{"(0&1|2)", "((0>0&1>0)|2>0)", 2},
		{"(0|1)&(2|3)", "((0>0|1>0)&(2>0|3>0))", 3},
		{"((0|1)&2)|3", "(((0>0|1>0)&2>0)|3>0)", 3},
		{"(0|1)>1", "group(0>0|1>0)>1", 1},
		{"(0|1|2)>2,2", "group(0>0|1>0|2>0)>2,2", 2},
		{"(0&1)=0", "group(0>0&1>0)=0", 1},
		{"(0|1)>1,", "group(0>0|1>0)>1", 1},
		{"(0|1)>1,2,3", "group(0>0|1>0)>1,2", 1},
		{"(0|1)<5&2=1", "(group(0>0|1>0)<5&2=1)", 2},
		{"2=1&(0|1)<5", "(2=1&group(0>0|1>0)<5)", 2},
		{"((0|1)>1|2)>2", "group(group(0>0|1>0)>1|2>0)>2", 2},
		{"((0|1)>1)", "group(0>0|1>0)>1", 1},
		{"(0|1)>1|(2|3)>1", "(group(0>0|1>0)>1|group(2>0|3>0)>1)", 3},
	} {
		n, last, r := expression(tt.expr)
		if r != nil || nodeText(&n) != tt.want || last != tt.last {
			t.Errorf("%s: %s, last %d, %v; want %s, last %d", tt.expr, nodeText(&n), last, r, tt.want, tt.last)
		}
	}
}

func TestLogical(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"N;Target:0;0&1;4142;4344", "rule N.UNOFFICIAL target=0 (0>0&1>0) [4142] [4344]"},
		{"N;Engine:51-255,Target:2;0;0:4142", "rule N.UNOFFICIAL target=2 0>0 [@1.0+0,0 4142]"},
		{"N (Clam) x;Target:0;0;4142", "rule N.UNOFFICIAL target=0 0>0 [4142]"},
		{"N;Target:0;1;4142;4344", "rule N.UNOFFICIAL target=0 1>0 [4142] [4344]"},
		{"N;Target:0;0;4142::", "rule N.UNOFFICIAL target=0 0>0 [4142]"},
		{"N;Target:0;0;4142::i", "rule N.UNOFFICIAL target=0 0>0 [i:4142]"},
		{"N;Target:0;0;4142::a", "rule N.UNOFFICIAL target=0 0>0 [4142]"},
		{"N;Target:0;0;4142::w", "rule N.UNOFFICIAL target=0 0>0 [41004200]"},
		{"N;Target:0;0;4142::aw", "rule N.UNOFFICIAL target=0 0>0 [41004200 / 4142]"},
		{"N;Target:0;0;4142::f", "rule N.UNOFFICIAL target=0 0>0 [W< 4142 W>]"},
		{"N;Target:0;0;4142::fwai", "rule N.UNOFFICIAL target=0 0>0 [wf< i:41004200 wf> / W< i:4142 W>]"},
		{"N;Target:0;0;5:4142*43{2}44::wi", "rule N.UNOFFICIAL target=0 0>0 [@1.0+5,0 i:41004200 {0-} i:4300 {2-2} i:4400]"},
		{"N;Target:0;0;4142??4?::w", "rule N.UNOFFICIAL target=0 0>0 [41004200 {1-1} 004000/fff0ff]"},
		{"N;Target:0;0;42434?::i", "rule N.UNOFFICIAL target=0 0>0 [i:4243 40/f0]"},
		{"N;Target:0;0;4142[1-2]4344::w", "rule N.UNOFFICIAL target=0 0>0 [41004200 {1-2} 43004400]"},
		{"N;Target:0;0;4142(43|4445)46::w", "rule N.UNOFFICIAL target=0 0>0 [41004200 (4300|44004500) 4600]"},
		{"N;Target:0;0;4142::i*43::i", "rule N.UNOFFICIAL target=0 0>0 [4142]"},
		{
			"N;Engine:51-255,Target:1,FileSize:10-20,EntryPoint:1-2,NumberOfSections:3-4;0;4142",
			"rule N.UNOFFICIAL target=1 size=10-20 entry=1-2 sections=3-4 0>0 [4142]",
		},
		{
			"N;Engine:51-255,Target:0,Container:CL_TYPE_ZIP,Intermediates:CL_TYPE_MAIL>CL_TYPE_ANY;0;4142",
			"rule N.UNOFFICIAL target=0 container=CL_TYPE_ZIP within=CL_TYPE_MAIL>CL_TYPE_ANY 0>0 [4142]",
		},

		{"N;Engine:217-255,Target:0;0;zz", "skip x.ldb:1 N.UNOFFICIAL functionality-level: levels 217 to 255"},
		{"N;Engine:1-215,Target:0;0;4142", "skip x.ldb:1 N.UNOFFICIAL functionality-level: levels 1 to 215"},
		{"N;Target:8;0;4142", "skip x.ldb:1 N.UNOFFICIAL target: target 8"},
		{"N;Target:13;0;4142", "skip x.ldb:1 N.UNOFFICIAL target: target 13"},
		{"N;Target:15;0;zz", "skip x.ldb:1 N.UNOFFICIAL target: target 15"},
		{"N;Target:0,New:1;0;zz", `skip x.ldb:1 N.UNOFFICIAL attribute: "New"`},
		{"N;Engine:51-255,Target:0,Container:CL_TYPE_NONE;0;zz", `skip x.ldb:1 N.UNOFFICIAL attribute: file type "CL_TYPE_NONE"`},
		{"N;Engine:51-255,Target:1,IconGroup1:A;0;4142", "rule N.UNOFFICIAL target=1 (0>0&1>0) [4142] [if 0>0 icons []]"},
		{"N;Engine:51-255,Target:0,HandlerType:CL_TYPE_ZIP;0;4142", "rule N.UNOFFICIAL target=0 0>0 [4142]"},
		{"N;Target:0;0&1;4142;${1-2}3$", "skip x.ldb:1 N.UNOFFICIAL macro: subsignature 1: macro group 3 has no member"},
	} {
		got, _ := load(t, "x.ldb", tt.line+"\n", Options{})
		if len(got) != 1 || got[0] != tt.want {
			t.Errorf("%s:\n got %q\nwant %q", tt.line, got, tt.want)
		}
	}
	if got, _ := load(t, "x.ndb", "N:0:$3$:4142??43\n", Options{}); len(got) != 0 {
		t.Errorf("macro member: %q", got)
	}
	// A logical signature waits for the members of its groups, in whatever order files are read.
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.ldb": "M;Engine:51-255,Target:0;0&1;616161;${6-7}12$\nL;Target:0;0&1;2:6161::i;${2-2}3$\nN;Target:1;0&1;6161;${2-2}3$\nO;Target:0;0&1;6161;${1-2}3$\nP;Target:0;0&1;6161*6262;${8-9}3$\n",
		"b.ndb": "D1:0:$12:626262\nD2:0:$12:6363\nD3:0:$3:6262*6464\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var sink recorder
	stats, err := Load(dir, Options{}, &sink)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"rule M.UNOFFICIAL target=0 (0>0&(1>0|2>0)) [616161] [616161 {3-4} 626262] [616161 {3-4} 6363]",
		"rule L.UNOFFICIAL target=0 (0>0&1>0) [@1.0+2,0 i:6161] [@1.0+2,0 i:6161 {0-} i:6262 {0-} i:6464]",
		"skip a.ldb:3 N.UNOFFICIAL macro: subsignature 1: macro group 3 has no member",
		"skip a.ldb:4 O.UNOFFICIAL macro: subsignature 1: a macro that begins within what is before it",
		"skip a.ldb:5 P.UNOFFICIAL macro: subsignature 1: a macro behind what has no length",
	}
	if !slices.Equal(sink.calls, want) || stats.Known() != 8 || stats.Loaded() != 5 || stats.Files[0].Loaded != 2 {
		t.Errorf("%d known, %d loaded:\n%s", stats.Known(), stats.Loaded(), strings.Join(sink.calls, "\n"))
	}
}

// TestSubsignatures loads the most that fit.
func TestSubsignatures(t *testing.T) {
	var ids, subs []string
	for i := range maxSubs {
		ids, subs = append(ids, itoa(i)), append(subs, fmt.Sprintf("4142%02x", i))
	}
	got, stats := load(t, "x.ldb", "N;Target:0;"+strings.Join(ids, "&")+";"+strings.Join(subs, ";"), Options{})
	if stats.Loaded() != 1 || !strings.HasSuffix(got[0], "[41423e] [41423f]") {
		t.Errorf("%v %q", stats, got)
	}
}

// TestSinkRefusal makes a skip of what the sink cannot compile.
func TestSinkRefusal(t *testing.T) {
	for name, line := range map[string]string{
		"x.ndb": "N:0:*:414243", "x.ldb": "N;Target:0;0;4142", "x.hdb": strings.Repeat("a", 32) + ":5:N",
	} {
		r := recorder{refuse: errors.New("too wild")}
		stats, err := LoadReader(name, strings.NewReader(line), Options{Strict: true}, &r)
		want := "skip " + name + ":1 N.UNOFFICIAL pattern: too wild"
		if err != nil || len(r.calls) != 2 || r.calls[1] != want || stats.Loaded() != 0 || stats.Known() != 1 {
			t.Errorf("%s: %v %q", name, err, r.calls)
		}
	}
}
