package recheck_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig/bytecode"
	. "github.com/showcause/showcause/clamsig/bytecode/bytecodetest"
	"github.com/showcause/showcause/evidence/recheck"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/scan"
)

// TestProgram: what a program found is found again by running it, and it is seen
// where it would have found something else.
func TestProgram(t *testing.T) {
	p := New(bytecode.Prototype)
	p.Trigger = "BC.T.{A,B};Engine:51-255,Target:0;0&1;0:54524947;6d6f7265"
	f := p.Func(32)
	count := f.Op("load", 32, 32, f.At(f.Bin("add", 64, Imm(1<<32, 64), Imm(0, 64)), I32(4)))
	f.End("branch", f.Cmp("eq", 32, count, I32(2)), Num(1), Num(2))
	f.API("setvirusname", p.Text("BC.T.A\x00"), I32(6))
	f.Ret32(I32(0))
	f.API("setvirusname", p.Text("BC.T.B\x00"), I32(6))
	f.Ret32(I32(0))
	path := filepath.Join(t.TempDir(), "p.cbc")
	if err := os.WriteFile(path, []byte(p.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	data, err := rules.Compile([]string{path}, rules.Options{BytecodeUnsigned: true})
	if err != nil {
		t.Fatal(err)
	}
	db, err := ruledb.New(data)
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{"TRIG more more": "BC.T.A", "TRIG more": "BC.T.B"} {
		r := scan.New(db, scan.Options{Digests: true}).Scan(showcause.Bytes(in))
		if len(r.Findings) != 1 || r.Findings[0].Rule != want {
			t.Fatalf("%q: %+v", in, r.Findings)
		}
		c := claimOf(t, db, &r.Findings[0], showcause.Limits{})
		if out := recheck.Run(showcause.Bytes(in), c, recheck.Options{}); !out.Holds || len(out.Differences) > 0 {
			t.Errorf("%q: %+v", in, out)
		}
		c.Rule.Name = strings.Replace("BC.T.A BC.T.B", want, "", 1)
		c.Rule.Name = strings.TrimSpace(c.Rule.Name)
		if out := recheck.Run(showcause.Bytes(in), c, recheck.Options{}); out.Holds || len(out.Differences) == 0 {
			t.Errorf("%q by the other name: %+v", in, out)
		}
	}
}
