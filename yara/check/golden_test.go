package check

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"

	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

const (
	goldenCut = "\n-----\n"
	fileCut   = "\n== "
)

// goldenOptions reads the first line of a golden file: words that say how its
// rules are read.
func goldenOptions(line string, files map[string]string) Options {
	o := Options{}
	for _, word := range strings.Fields(line) {
		switch word {
		case "yara":
			o.Dialect = source.YARA
		case "yara-x":
			o.Dialect = source.YARAX
		case "strict":
			o.StrictEscapes = true
		case "ignored":
			o.Ignored = []string{"magic"}
		case "external":
			o.Externals = map[string]module.Value{"ext": module.IntValue(1)}
		case "include":
			o.Include = func(name string, _ *source.Source) (string, string, error) {
				text, ok := files[name]
				if !ok {
					return "", "", errors.New("there is no file of that name")
				}
				return name, text, nil
			}
		case "lint":
			o.Lint = Lint{
				RuleName: regexp.MustCompile("^APT_"), TagForm: regexp.MustCompile("^[a-z]+$"), Tags: []string{"known", "Odd"},
				Metadata: []Metadata{
					{Name: "author", Required: true, Kind: module.String, Form: regexp.MustCompile("@")},
					{Name: "date", Required: true},
				},
			}
		}
	}
	return o
}

// TestGolden holds the diagnostics of the files in testdata/diagnostics. A file
// is a line of options, rules, and after a line of dashes what is told of them;
// files that rules include follow lines that begin with ==.
func TestGolden(t *testing.T) {
	paths, err := filepath.Glob("testdata/diagnostics/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no golden files")
	}
	seen := map[source.Code]bool{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		input, want, _ := strings.Cut(string(text), goldenCut)
		options, rules, _ := strings.Cut(input, "\n")
		files := map[string]string{}
		parts := strings.Split("\n"+rules, fileCut)
		for _, part := range parts[1:] {
			name, body, _ := strings.Cut(part, "\n")
			files[name] = body
		}
		r, set := run(t, strings.TrimPrefix(parts[0], "\n"), goldenOptions(options, files))
		for _, d := range r.Diags {
			seen[d.Code] = true
			if _, err := set.JSON(d); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		got := render(set, r.Diags)
		switch {
		case *update:
			if err := os.WriteFile(path, []byte(input+goldenCut+got), 0o644); err != nil {
				t.Fatal(err)
			}
		case got != want:
			t.Errorf("%s:\n%s\nwant\n%s", path, got, want)
		case got == "":
			t.Errorf("%s: nothing is told", path)
		}
	}
	for _, code := range codes(t) {
		large := code == source.TooLarge || code == source.TooManyPatterns // see TestHostile
		if !seen[code] && !large {
			t.Errorf("no golden file has %s", code)
		}
	}
}

// codes are all codes that there are.
func codes(t *testing.T) []source.Code {
	text, err := os.ReadFile("../source/code.go")
	if err != nil {
		t.Fatal(err)
	}
	var out []source.Code
	for _, m := range regexp.MustCompile(`Code = "(\w+)"`).FindAllStringSubmatch(string(text), -1) {
		out = append(out, source.Code(m[1]))
	}
	sort.Slice(out, func(i, j int) bool { return out[i] < out[j] })
	if len(out) < 50 {
		t.Fatalf("%d codes", len(out))
	}
	return out
}
