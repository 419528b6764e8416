package check

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

var update = flag.Bool("update", false, "write the golden files anew")

// data is a file or folder of outside data; the test is skipped without it.
func data(t testing.TB, path string) string {
	root := os.Getenv("SHOWCAUSE_DATA")
	if root == "" {
		root = "../../../shared/data"
	}
	path = filepath.Join(root, path)
	if _, err := os.Stat(path); err != nil {
		t.Skip("no outside data: SHOWCAUSE_DATA")
	}
	return path
}

// Case is one case of the conformance data.
type conformanceCase struct {
	ID, Suite, Expect, Error, Rule string
	RuleHex                        string `json:"rule_hex"`
	StrictEscape                   bool   `json:"strict_escape"`
	Externals                      map[string]any
}

func cases(t testing.TB) []conformanceCase {
	text, err := os.ReadFile(data(t, "yara/conformance.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var out []conformanceCase
	for line := range bytes.Lines(text) {
		var c conformanceCase
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.UseNumber()
		if err := dec.Decode(&c); err != nil {
			t.Fatal(err)
		}
		if c.RuleHex != "" {
			b, err := hex.DecodeString(c.RuleHex)
			if err != nil {
				t.Fatal(err)
			}
			c.Rule = string(b)
		}
		out = append(out, c)
	}
	return out
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

func (c *conformanceCase) options() Options {
	o := Options{Dialect: source.YARA, StrictEscapes: c.StrictEscape, Externals: map[string]module.Value{}}
	if c.Suite == "yara-x" {
		o.Dialect = source.YARAX
	}
	for name, v := range c.Externals {
		o.Externals[name] = external(v)
	}
	return o
}

func run(t testing.TB, text string, o Options) (*Result, *source.Sources) {
	var set source.Sources
	src, err := set.Add("test.yar", text)
	if err != nil {
		t.Fatal(err)
	}
	return Check(&set, []Input{{Source: src}}, o), &set
}

func render(set *source.Sources, diags []*source.Diagnostic) string {
	var b strings.Builder
	for _, d := range diags {
		set.Render(&b, d)
	}
	return b.String()
}

// outside are the cases that are not held, with the reason.
var outside = map[string]string{
	"lib/src/tests/mod.rs:724":  "the case lacks the import of its module",
	"lib/src/tests/mod.rs:1481": "asks for the relaxed reading of regular expressions, which the case does not say",
}

// TestConformance holds that every case compiles, or not, or with a warning, as
// its own dialect has it; and that what compiles there compiles where both
// dialects are taken.
func TestConformance(t *testing.T) {
	passed, total := map[string]int{}, map[string]int{}
	for _, c := range cases(t) {
		total[c.Suite]++
		r, set := run(t, c.Rule, c.options())
		bad := ""
		switch c.Expect {
		case "compile_error":
			found := false
			for _, d := range r.Diags {
				found = found || d.Severity == source.Error && d.Code.YARAName() == c.Error
			}
			if !found {
				bad = "no " + c.Error
			}
		case "warning":
			if r.Failed() || len(r.Diags) == 0 {
				bad = "no warning"
			}
		case "nowarning":
			if len(r.Diags) != 0 {
				bad = "a warning"
			}
		default:
			if r.Failed() {
				bad = "an error"
				break
			}
			o := c.options()
			o.Dialect = source.Either
			if both, set := run(t, c.Rule, o); both.Failed() {
				bad = "an error where both dialects are taken\n" + render(set, both.Diags)
			}
		}
		switch {
		case bad == "":
			passed[c.Suite]++
		case outside[c.ID] != "":
			t.Logf("%s %s: %s: %s", c.Suite, c.ID, bad, outside[c.ID])
		default:
			t.Errorf("%s %s: %s\n%s\n%s", c.Suite, c.ID, bad, c.Rule, render(set, r.Diags))
		}
	}
	for suite, n := range total {
		t.Logf("%s: %d of %d", suite, passed[suite], n)
	}
}

// ruleSets are the externals that the public rule sets ask for.
func ruleSets() map[string]module.Value {
	out := map[string]module.Value{}
	for _, name := range []string{"filename", "filepath", "extension", "filetype", "owner", "filemd5"} {
		out[name] = module.TextValue("")
	}
	return out
}

// TestRuleSets holds that the public rule sets are accepted in every dialect.
func TestRuleSets(t *testing.T) {
	for _, name := range []string{"signature-base", "reversinglabs", "mandiant"} {
		for _, d := range []source.Dialect{source.Either, source.YARA, source.YARAX} {
			files, rules, warnings := 0, 0, map[source.Code]int{}
			err := filepath.WalkDir(data(t, "yara/"+name), func(path string, e fs.DirEntry, err error) error {
				if ext := filepath.Ext(path); err != nil || ext != ".yar" && ext != ".yara" {
					return err
				}
				text, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				o := Options{Dialect: d, Externals: ruleSets(), RelaxedRegexps: d == source.YARAX}
				r, set := run(t, string(text), o)
				files++
				rules += len(r.Rules)
				var errs []*source.Diagnostic
				for _, d := range r.Diags {
					if d.Severity == source.Error {
						errs = append(errs, d)
					} else {
						warnings[d.Code]++
					}
				}
				if len(errs) > 0 {
					t.Errorf("%s in %s:\n%s", path, d, render(set, errs))
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s in %s: %d files, %d rules, warnings %s", name, d, files, rules, sorted(warnings))
		}
	}
}

func sorted(m map[source.Code]int) string {
	var out []string
	for k, n := range m {
		out = append(out, fmt.Sprintf("%s %d", k, n))
	}
	sort.Strings(out)
	return strings.Join(out, ", ")
}
