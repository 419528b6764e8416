package scan_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig"
	"github.com/showcause/showcause/clamsig/bytecode"
	. "github.com/showcause/showcause/clamsig/bytecode/bytecodetest"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/scan"
)

// programs compiles programs, and a signature for what one of them writes.
func programs(t *testing.T, all ...*Source) *ruledb.DB {
	t.Helper()
	var b ruledb.Builder
	sink := noSkips{&b}
	load := func(name, text string) {
		st, err := clamsig.LoadReader(name, strings.NewReader(text), clamsig.Options{Strict: true, BytecodeUnsigned: true}, sink)
		if err != nil || st.Loaded() != 1 {
			t.Fatalf("%s: %d loaded, %v", name, st.Loaded(), err)
		}
	}
	for i, p := range all {
		load(fmt.Sprintf("p%d.cbc", i), p.String())
	}
	load("x.ndb", "Written:0:*:"+hexOf("what was written")+"\n")
	data, err := b.Finish(ruledb.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	db, err := ruledb.New(data)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

type noSkips struct{ *ruledb.Builder }

func (noSkips) Skip(clamsig.Skip) {}

const trigger = "BC.T.{A,B};Engine:51-255,Target:0;(0&1);0:54524947;6d6f7265" // TRIG, more

// TestProgramNames: a finding has the name that the program gives, and the matches of
// its trigger, of which the program knows how many there are, and where.
func TestProgramNames(t *testing.T) {
	p := New(bytecode.Prototype)
	p.Trigger = trigger
	f := p.Func(32)
	global := func(number uint64, sub int) string { // __clambc_match_counts, __clambc_match_offsets
		return f.Op("load", 32, 32, f.At(f.Bin("add", 64, Imm((number-bytecode.MatchCounts+1)<<32, 64), Imm(0, 64)), I32(4*sub)))
	}
	f.End("branch", f.Cmp("eq", 32, global(bytecode.MatchCounts, 1), I32(3)), Num(1), Num(2))
	f.API("setvirusname", p.Text("BC.T.A\x00"), I32(6))
	f.Ret32(I32(0))
	f.End("branch", f.Cmp("eq", 32, global(bytecode.MatchOffsets, 1), I32(10)), Num(3), Num(4))
	f.API("setvirusname", p.Text("BC.T.B\x00"), I32(6))
	f.Ret32(I32(0))
	f.Ret32(I32(0))
	s := scan.New(programs(t, p), scan.Options{})
	for in, want := range map[string]string{
		"TRIG more more more": "BC.T.A", "TRIG      more": "BC.T.B", "TRIG more": "", "more more more": "", "TRIG": "",
	} {
		r := s.Scan(showcause.Bytes(in))
		got := ""
		for _, f := range r.Findings {
			got += f.Rule
			if len(f.Matches) != 1+strings.Count(in, "more") || f.Matches[1].Offset != int64(strings.Index(in, "more")) {
				t.Errorf("%q: %+v", in, f.Matches)
			}
		}
		if got != want || len(r.Gaps) > 0 {
			t.Errorf("%q: %q, want %q; %+v", in, got, want, r.Gaps)
		}
	}
}

// TestProgramFiles: what a program writes is a layer of its own.
func TestProgramFiles(t *testing.T) {
	p := New(bytecode.Prototype)
	p.Trigger = trigger
	f := p.Func(32)
	f.API("write", p.Text("this is what was written"), I32(24))
	f.API("extract_new", I32(1))
	f.API("write", p.Text("nothing"), I32(7))
	f.Ret32(I32(0))
	db := programs(t, p)
	r := scan.New(db, scan.Options{}).Scan(showcause.Bytes("TRIG more"))
	if len(r.Findings) != 1 || r.Findings[0].Rule != "Written.UNOFFICIAL" || len(r.Findings[0].Trail) != 1 ||
		r.Findings[0].Trail[0].Op != "bytecode.file" || r.Spent.Objects != 3 {
		t.Errorf("%+v, %d objects", r.Findings, r.Spent.Objects)
	}
	r = scan.New(db, scan.Options{TopOnly: true}).Scan(showcause.Bytes("TRIG more"))
	if len(r.Findings) != 0 || len(r.Gaps) != 1 || r.Gaps[0].Code != showcause.LimitDepth {
		t.Errorf("only the input: %+v", r)
	}
}

// TestProgramFails: a program that does not come to its end is a gap.
func TestProgramFails(t *testing.T) {
	broken, forever := New(bytecode.Prototype), New(bytecode.Prototype)
	broken.Trigger, forever.Trigger = trigger, strings.Replace(trigger, "TRIG", "LOOP", 1)
	f := broken.Func(32)
	f.API("setvirusname", broken.Text("BC.T.A\x00"), I32(6))
	f.Ret32(f.Op("load", 32, 32, Imm(0, 64)))
	r := scan.New(programs(t, broken), scan.Options{}).Scan(showcause.Bytes("TRIG more"))
	if r.Verdict != showcause.Incomplete || len(r.Gaps) != 1 || r.Gaps[0].Code != "unsupported.bytecode" {
		t.Errorf("%+v", r)
	}
	f = forever.Func(32)
	f.End("jump", Num(1))
	f.End("jump", Num(1))
	limits := showcause.Limits{Work: 1_000_000}
	r = scan.New(programs(t, forever), scan.Options{Limits: limits}).Scan(showcause.Bytes("TRIG more"))
	if r.Verdict != showcause.Incomplete || len(r.Gaps) == 0 || r.Gaps[0].Code != showcause.LimitWork || r.Spent.Work > limits.Work {
		t.Errorf("%+v", r)
	}
}
