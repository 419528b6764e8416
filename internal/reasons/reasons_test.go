package reasons

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/yara"
	"github.com/showcause/showcause/yara/author"
	"github.com/showcause/showcause/yara/module"
)

// TestPlain holds that a reader's answer is a tree, line by line, or is not shown.
func TestPlain(t *testing.T) {
	for text, want := range map[string]bool{
		"":                                      true,
		indent + "and  is true\n":               true,
		indent + "a\n" + indent + "  b é\n":     true,
		"FOUND  x\n":                            false,
		indent + "a\nFOUND  x\n":                false,
		indent + "a":                            false,
		indent + "\x1b[2J\n":                    false,
		indent + "a\r\n":                        false,
		indent + "\xff\n":                       false,
		indent + "\u202e\n":                     false,
		strings.Repeat(indent+"a\n", maxTree/8): false,
	} {
		if got := plain(text); got != want {
			t.Errorf("plain(%.40q) = %v, want %v", text, got, want)
		}
	}
}

// TestCut holds that what is left of a long tree is whole lines, which are taken.
func TestCut(t *testing.T) {
	long := strings.Repeat(indent+"part\n", maxTree/10)
	got := cut(long)
	if len(got) >= len(long) || !plain(got) || !strings.HasSuffix(got, "part\n"+indent+"...\n") {
		t.Errorf("cut to %d of %d bytes, ends %q", len(got), len(long), got[max(0, len(got)-60):])
	}
	if short := indent + "a\n"; cut(short) != short {
		t.Error("a short tree was cut")
	}
}

// found scans a file with rules, and asks why, of a file that is now what now says.
func found(t *testing.T, text, data, now string, externals map[string]module.Value) (*showcause.Report, []string) {
	t.Helper()
	c := yara.NewCompiler(yara.Options{})
	for _, name := range yara.UsualExternals() {
		if err := c.Define(name, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.AddSource("default", "r.yar", text); err != nil {
		t.Fatal(err)
	}
	rules, err := c.Compile()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte(now), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := scan.New(rules.DB(), scan.Options{Now: 1000}).ScanWith(showcause.Bytes(data), externals)
	a := &Asker{
		DB: rules.DB(), Now: 1000, Scratch: func() (*os.File, error) { return os.CreateTemp(t.TempDir(), "") },
		Open: func(context.Context, *os.File) (showcause.Source, error) { return showcause.Bytes(now), nil },
	}
	return &r, a.Of(context.Background(), &r, f, externals)
}

func TestOf(t *testing.T) {
	const rules = `import "time" import "hash"
rule word { strings: $a = "hello" condition: $a }
rule module { condition: word and time.now() == 1000 and hash.md5(0, 2) != "x" }
rule name { condition: filename == "here" and filetype != "" and filemd5 == "5d41402abc4b2a76b9719d911017c592" }
`
	r, why := found(t, rules, "hello", "hello", map[string]module.Value{"filename": module.TextValue("here")})
	if len(r.Findings) != 3 || len(why) != 3 {
		t.Fatalf("%d findings, %d answers", len(r.Findings), len(why))
	}
	all := strings.Join(why, "")
	for _, want := range []string{`$a  is true`, `time.now()  is 1000`, `hash.md5(0, 2)  is "6f96cfdfe5ccc627cadf24b41725caa4"`, `filename  is "here"`, `filemd5  is "5d41402abc4b2a76b9719d911017c592"`} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
	if strings.Contains(all, "is not told") {
		t.Errorf("a part has no value:\n%s", all)
	}
	for i, x := range why {
		if !plain(x) {
			t.Errorf("%d is not plain: %q", i, x)
		}
	}
}

// TestChanged holds that where the condition does not hold when it is told, what the
// finding tells is all that is said.
func TestChanged(t *testing.T) {
	const rules = `import "hash" rule r { strings: $a = "hello" condition: #a == 2 and hash.md5(0, 2) != "x" }`
	r, why := found(t, rules, "hello hello", "other", nil)
	if len(r.Findings) != 1 || !strings.Contains(why[0], "#a  is 2") || !strings.Contains(why[0], "is not told") {
		t.Errorf("%d findings: %q", len(r.Findings), why)
	}
}

// TestTrees holds that a finding is told of its own layer, by the indexes of its trail
// and not by the names on it, and that a request that makes no sense is answered.
func TestTrees(t *testing.T) {
	o := &author.Origin{Namespace: "default", File: "r.yar", Line: 1, Rules: []author.OriginRule{{Name: "r", Text: `rule r { condition: uint8(0) == 0x68 }`}}}
	bad := &author.Origin{Rules: []author.OriginRule{{Name: "r", Text: `rule {`}}}
	q := request{Findings: []asked{{nil, o}, {showcause.Trail{{Index: 7, Op: "zip.stored"}}, o}, {nil, nil}, {nil, bad}, {nil, &author.Origin{}}}}
	for _, top := range []bool{false, true} {
		q.TopOnly = top
		trees := q.trees(context.Background(), showcause.Bytes("hello"), nil, nil)
		if len(trees) != 5 || !strings.Contains(trees[0], "uint8(0)  is 104") || strings.Join(trees[1:], "") != "" {
			t.Errorf("top only %v: %q", top, trees)
		}
	}
	a := showcause.Trail{{Index: 1, Op: "zip.stored", Name: "\xff"}}
	if !same(a, showcause.Trail{{Index: 1, Op: "zip.stored", Name: "\ufffd"}}) || same(a, nil) || same(a, showcause.Trail{{Index: 2, Op: "zip.stored", Name: "\xff"}}) {
		t.Error("trails are not compared by their indexes")
	}
}
