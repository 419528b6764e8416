package scan_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/lower"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// conformance is a case of the outside data.
type conformance struct {
	ID, Suite, Expect, Rule, Input, Capture string
	RuleHex                                 string `json:"rule_hex"`
	Count                                   *int
	Modules                                 []string
	Externals                               map[string]any
}

func external(v any) module.Value {
	switch v := v.(type) {
	case bool:
		return module.BoolValue(v)
	case string:
		return module.TextValue(v)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return module.IntValue(n)
		}
		f, _ := v.Float64()
		return module.FloatValue(f)
	}
	return module.Value{}
}

func outside(t testing.TB, path string) string {
	root := os.Getenv("SHOWCAUSE_DATA")
	if root == "" {
		root = "../../shared/data"
	}
	path = filepath.Join(root, path)
	if _, err := os.Stat(path); err != nil {
		t.Skip("no outside data: SHOWCAUSE_DATA")
	}
	return path
}

// excused are cases that are not held, with the reason.
var excused = map[string]string{
	"test-magic.c:24":           "asks for the words of libmagic",
	"lib/src/tests/mod.rs:724":  "the case lacks the import of its module",
	"lib/src/tests/mod.rs:1481": "asks for the relaxed reading of regular expressions, which the case does not say",
}

// TestConformance runs every case that can be run, through database and scan.
func TestConformance(t *testing.T) {
	file, err := os.ReadFile(outside(t, "yara/conformance.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for line := range bytes.Lines(file) {
		var c conformance
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.UseNumber()
		if err := dec.Decode(&c); err != nil {
			t.Fatal(err)
		}
		if c.Expect != "match" && c.Expect != "nomatch" && c.Expect != "match_string" {
			continue
		}
		counts[c.Suite+" all"]++
		why := c.run(t)
		switch {
		case why == "":
			counts[c.Suite+" passed"]++
		case excused[c.ID] != "":
			t.Logf("%s %s: %s", c.Suite, c.ID, excused[c.ID])
		case len(c.Modules) > 0 && strings.Contains(" pe elf macho dex magic dotnet lnk ", " "+c.Modules[0]+" ") && !modulesThere:
			counts[c.Suite+" left out: module "+c.Modules[0]]++
		default:
			t.Errorf("%s %s: %s\n%s\n%.200q", c.Suite, c.ID, why, c.Rule, c.Input)
		}
	}
	var keys []string
	for k := range counts {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		t.Logf("%s: %d", k, counts[k])
	}
}

// modulesThere says that the values of modules of file formats are there.
const modulesThere = true

// run says why a case fails, empty if it does not.
func (c *conformance) run(t *testing.T) string {
	if c.RuleHex != "" {
		b, err := hex.DecodeString(c.RuleHex)
		if err != nil {
			t.Fatal(err)
		}
		c.Rule = string(b)
	}
	bin, err := hex.DecodeString(c.Input)
	if err != nil {
		t.Fatal(err)
	}
	d := source.YARA
	if c.Suite == "yara-x" {
		d = source.YARAX
	}
	ext := map[string]module.Value{}
	for name, v := range c.Externals {
		ext[name] = external(v)
	}
	db, why := yaraDB(t, c.Rule, check.Options{Dialect: d, Externals: ext})
	if why != "" {
		return why
	}
	rep := scan.New(db, scan.Options{
		TopOnly: true, MaxMatches: 1_000_000, Externals: ext, Now: 1,
	}).Scan(showcause.Bytes(bin))
	for _, g := range rep.Gaps {
		if g.Code == showcause.LimitWork || g.Code == showcause.Crash {
			return "gap " + string(g.Code)
		}
	}
	n := len(rep.Findings)
	switch {
	case c.Expect == "nomatch" && n > 0:
		return "matches"
	case c.Expect != "nomatch" && n == 0:
		return "does not match"
	case c.Count != nil && *c.Count != n:
		return fmt.Sprintf("%d rules match, want %d", n, *c.Count)
	case c.Capture == "":
		return ""
	}
	want, err := hex.DecodeString(c.Capture)
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, f := range rep.Findings {
		for _, m := range f.Matches {
			got := bin[m.Offset : m.Offset+m.Length]
			if bytes.Equal(got, want) {
				return ""
			}
			have = append(have, fmt.Sprintf("%q", got))
		}
	}
	return fmt.Sprintf("no match is %q: %.300s", want, strings.Join(have, " "))
}

// yaraDB compiles rules; why they are refused, else.
func yaraDB(t testing.TB, text string, o check.Options) (db *ruledb.DB, why string) {
	t.Helper()
	var set source.Sources
	src, err := set.Add("test.yar", text)
	if err != nil {
		t.Fatal(err)
	}
	res := check.Check(&set, []check.Input{{Namespace: "default", Source: src}}, o)
	if res.Failed() {
		return nil, "does not compile: " + res.Diags[0].Title
	}
	var b ruledb.Builder
	for _, p := range lower.Rules(res, lower.Options{Externals: o.Externals}, func(r *rule.Rule) error { return b.Rule(r) }) {
		if p.Err != nil {
			return nil, p.String()
		}
	}
	data, err := b.Finish(ruledb.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	if db, err = ruledb.New(data); err != nil {
		t.Fatal(err)
	}
	return db, ""
}
