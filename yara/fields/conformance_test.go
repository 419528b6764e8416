package fields

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/eval"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// scanned is an input of the evaluator whose modules are ours.
type scanned struct {
	memory
	layer *Layer
}

func (s scanned) Matches(*check.Rule, int) []eval.Match { return nil }
func (s scanned) Entry() (int64, bool)                  { return 0, false }
func (s scanned) Module(name string, d source.Dialect) module.Value {
	v, _ := s.layer.Module(name, d)
	return v
}

// holds says whether a rule without patterns holds on some bytes, and what is wrong
// with it if it does not compile.
func holds(t *testing.T, rule string, b []byte, d source.Dialect, h Host) (bool, string) {
	t.Helper()
	var set source.Sources
	src, err := set.Add("t.yar", rule)
	if err != nil {
		t.Fatal(err)
	}
	res := check.Check(&set, []check.Input{{Source: src}}, check.Options{Dialect: d, Module: module.Load})
	if res.Failed() {
		return false, res.Diags[0].Title
	}
	for _, ok := range eval.Run(res, scanned{b, New(memory(b), h)}, eval.Options{}).Holds {
		if ok {
			return true, ""
		}
	}
	return false, ""
}

// TestConformance runs the public cases that import a module of a format.
func TestConformance(t *testing.T) {
	root := os.Getenv("SHOWCAUSE_DATA")
	if root == "" {
		root = "../../../shared/data"
	}
	file, err := os.ReadFile(filepath.Join(root, "yara/conformance.jsonl"))
	if err != nil {
		t.Skip("no outside data: SHOWCAUSE_DATA")
	}
	cases := 0
	for line := range bytes.Lines(file) {
		var c struct {
			ID, Suite, Rule, Input, Expect string
			Modules                        []string
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		ours := func(m string) bool {
			return slices.Contains([]string{"pe", "dotnet", "elf", "macho", "dex", "lnk", "magic"}, m)
		}
		if c.Expect != "match" && c.Expect != "nomatch" || !slices.ContainsFunc(c.Modules, ours) {
			continue
		}
		cases++
		b, err := hex.DecodeString(c.Input)
		if err != nil {
			t.Fatal(err)
		}
		d := source.YARA
		if c.Suite == "yara-x" {
			d = source.YARAX
		}
		if ok, bad := holds(t, c.Rule, b, d, Host{}); bad != "" || ok != (c.Expect == "match") {
			t.Errorf("%s %s: %v %s\n%s", c.Suite, c.ID, ok, bad, c.Rule)
		}
	}
	t.Logf("%d cases", cases)
}
