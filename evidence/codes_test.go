package evidence

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every code is specified, used by both verifiers, and wanted by a manipulation.
func TestCodes(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	source, spec, python := read("problem.go"), read(filepath.Join(formatDir, "record.md")), read(verifier)
	tests := read("manipulate_test.go") + read("lies_test.go") + read("condition_test.go")
	n := 0
	for _, m := range regexp.MustCompile(`(?m)^\t(\w+) +(Note)?Code += "([a-z.-]+)"`).FindAllStringSubmatch(source, -1) {
		n++
		name, note, code := m[1], m[2] != "", m[3]
		if !strings.Contains(spec, "`"+code+"`") {
			t.Errorf("%s: not in record.md", code)
		}
		if !strings.Contains(python, `"`+code+`"`) {
			t.Errorf("%s: not in verify.py", code)
		}
		if !note && name != "NoProof" && !regexp.MustCompile(`\b`+name+`\b`).MatchString(tests) {
			t.Errorf("%s: no manipulation gives it", code)
		}
	}
	if n < 30 {
		t.Errorf("%d codes", n)
	}
}

// A proof that is asked for and not there is refused.
// What Parse would refuse for its size is not sealed.
func TestSealTooLarge(t *testing.T) {
	ed, _ := sampleKeys(t)
	s := sampleScan()
	v := s.Coverage
	for range maxDisclosed / 2 {
		v.Inputs = append(v.Inputs, v.Inputs[0])
		s.Context.Paths = append(s.Context.Paths, s.Context.Paths[0])
		v.Verdicts[v.Inputs[0].Verdict]++
		v.Files++
		v.Objects++
	}
	if _, err := Seal(s, ed); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("sealed with %d private values: %v", 2*len(v.Inputs), err)
	}
}

// A refusal of a record that has a million faults names some of them.
func TestManyProblems(t *testing.T) {
	var p Problems
	for range 2 * maxProblems {
		p.add(BadValue, "", "x")
	}
	if len(p) != maxProblems {
		t.Errorf("%d problems", len(p))
	}
}

func TestNeedProof(t *testing.T) {
	ed, _ := sampleKeys(t)
	_, err := samples(t, ed)[Finding].Verify(VerifyOptions{Keys: []PublicKey{ed.Public()}, NeedProof: true})
	if p, ok := err.(Problems); !ok || !p.Has(NoProof) {
		t.Errorf("%v", err)
	}
}
