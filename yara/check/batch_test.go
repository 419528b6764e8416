package check

import (
	"fmt"
	"strings"
	"testing"

	"github.com/showcause/showcause/yara/source"
)

// batchInputs are sources of which each is a batch: n of them, in a namespace each or,
// where space is not empty, all in that one. Rule i asks for the rule before it.
func batchInputs(t *testing.T, set *source.Sources, n int, space string, body func(i int) string) []Input {
	t.Helper()
	var out []Input
	pad := "// " + strings.Repeat("x", batchText) + "\n"
	for i := range n {
		src, err := set.Add(fmt.Sprintf("f%d", i), pad+body(i))
		if err != nil {
			t.Fatal(err)
		}
		namespace := space
		if space == "" {
			namespace = fmt.Sprintf("n%d", i)
		}
		out = append(out, Input{namespace, src})
	}
	return out
}

func chained(i int) string {
	text := fmt.Sprintf("rule a%d { strings: $a = \"abc%d\" wide ascii condition: $a }\n", i, i)
	need := fmt.Sprintf("a%d", i)
	if i%3 == 2 {
		need = "any of (a*)"
	}
	// A warning, and one that a comment silences.
	return text + fmt.Sprintf("rule b%d { condition: %s and 1 == 1 }\n// suppress: invariant_expr\nrule c%d { condition: true }\nrule d%d { condition: true }\n", i, need, i, i)
}

func TestInBatches(t *testing.T) {
	for _, space := range []string{"", "all"} {
		t.Run("namespace "+space, func(t *testing.T) {
			var set, twice source.Sources
			const files = 6
			body := func(i int) string {
				if space != "" && i%3 == 2 { // the set would hold later rules
					return fmt.Sprintf("rule b%d { condition: a%d }\n", i, i-1)
				}
				return chained(i)
			}
			want := Check(&set, batchInputs(t, &set, files, space, body), Options{})
			if want.Failed() || len(want.Diags) == 0 {
				t.Fatalf("diagnostics: %v", want.Diags)
			}
			var names []string
			var held []*Rule
			most := 0
			got := InBatches(&twice, batchInputs(t, &twice, files, space, body), Options{}, func(res *Result, rules []*Rule) {
				for _, r := range rules {
					names = append(names, r.Namespace+":"+r.Name.Name)
					if r.Cond != nil && res.Types[r.Cond] == nil && r.Name.Name[0] == 'b' {
						t.Errorf("%s: type of its condition unknown", r.Name.Name)
					}
				}
				held = append(held, rules...)
				most = max(most, len(res.Rules))
			})
			for i, r := range want.Rules {
				if i >= len(names) || names[i] != r.Namespace+":"+r.Name.Name {
					t.Fatalf("rule %d: %s is not what was given (%v)", i, r.Name.Name, names)
				}
			}
			if len(names) != len(want.Rules) {
				t.Errorf("%d rules given, want %d", len(names), len(want.Rules))
			}
			if fmt.Sprint(plain(got.Diags)) != fmt.Sprint(plain(want.Diags)) {
				t.Errorf("diagnostics %v, want %v", plain(got.Diags), plain(want.Diags))
			}
			if space == "" && most > 4 {
				t.Errorf("%d rules known at once", most)
			}
			if len(got.Rules) != 0 || len(got.Types) != 0 {
				t.Errorf("%d rules and %d types are not forgotten", len(got.Rules), len(got.Types))
			}
			for _, r := range held {
				if r.Rule != nil {
					t.Errorf("a rule of namespace %q is not forgotten", r.Namespace)
				}
			}
		})
	}
}

func plain(diags []*source.Diagnostic) (out []source.Diagnostic) {
	for _, d := range diags {
		out = append(out, *d)
	}
	return out
}

// After an error nothing is given any more, and what follows is checked all the same.
func TestInBatchesError(t *testing.T) {
	var set source.Sources
	given := 0
	res := InBatches(&set, batchInputs(t, &set, 4, "", func(i int) string {
		if i == 1 || i == 3 {
			return fmt.Sprintf("rule r%d { condition: nothing%d }", i, i)
		}
		return fmt.Sprintf("rule r%d { condition: true }", i)
	}), Options{}, func(_ *Result, rules []*Rule) { given += len(rules) })
	errs := 0
	for _, d := range res.Diags {
		if d.Severity == source.Error {
			errs++
		}
	}
	if given != 1 || errs != 2 {
		t.Errorf("%d rules given, want 1; %d errors, want 2", given, errs)
	}
}

// An error after many warnings is told: rules that are not in order must not be left
// out in silence.
func TestErrorAfterWarnings(t *testing.T) {
	var text strings.Builder
	for i := range maxWarnings + 10 {
		fmt.Fprintf(&text, "rule w%d { condition: true }\n", i)
	}
	text.WriteString("rule e { condition: nothing }\n")
	var set source.Sources
	src, err := set.Add("f", text.String())
	if err != nil {
		t.Fatal(err)
	}
	res := Check(&set, []Input{{"n", src}}, Options{})
	if !res.Failed() {
		t.Errorf("%d diagnostics, and the error is not among them", len(res.Diags))
	}
}
