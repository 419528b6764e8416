package yara_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/yara"
	"github.com/showcause/showcause/yara/calc"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// show is what a scan found, a line a rule and one a string.
func show(r *yara.Result) string {
	var b strings.Builder
	for _, m := range r.Matches {
		fmt.Fprintf(&b, "%s:%s %v %v\n", m.Namespace, m.Name, m.Tags, m.Trail)
		for _, f := range m.Found {
			fmt.Fprintf(&b, "%s %d+%d %q %#x\n", f.Pattern, f.Offset, f.Length, f.Data, f.XORKey)
		}
	}
	return b.String()
}

func compile(t testing.TB, text string, o yara.Options) *yara.Rules {
	t.Helper()
	r, err := yara.Compile(text, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func scan(t testing.TB, r *yara.Rules, data string, o yara.ScanOptions) *yara.Result {
	t.Helper()
	res, err := r.Scan([]byte(data), o)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

const sample = `
rule a : t1 t2 { meta: x = "y" strings: $a = "hello" $b = "hello" xor(1-255) $c = { 68 ?? 6c } $ = /w.r/ private condition: any of them }
private rule p { condition: filesize > 3 }
rule q { condition: p }
rule no { condition: filesize > 1000 }`

func xored(s string, key byte) string {
	b := []byte(s)
	for i := range b {
		b[i] ^= key
	}
	return string(b)
}

// TestScan scans by every way, twice.
func TestScan(t *testing.T) {
	rules := compile(t, sample, yara.Options{})
	data := "hello world " + xored("hello", 7)
	want := `default:a [t1 t2] 
$a 0+5 "hello" 0x0
$b 12+5 "obkkh" 0x7
$c 0+3 "hel" 0x0
default:q [] 
`
	path := filepath.Join(t.TempDir(), "x.BIN")
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	s := rules.NewScanner(yara.ScanOptions{})
	for range 2 {
		for name, scan := range map[string]func() (*yara.Result, error){
			"Scan":     func() (*yara.Result, error) { return rules.Scan([]byte(data), yara.ScanOptions{}) },
			"ScanFile": func() (*yara.Result, error) { return rules.ScanFile(t.Context(), path, yara.ScanOptions{}) },
			"ScanReader": func() (*yara.Result, error) {
				return rules.ScanReader(t.Context(), strings.NewReader(data), int64(len(data)), yara.ScanOptions{})
			},
			"Scanner": func() (*yara.Result, error) { return s.Scan(t.Context(), showcause.Bytes(data)) },
		} {
			r, err := scan()
			if err != nil {
				t.Fatal(name, err)
			}
			if got := show(r); got != want || !r.Complete() {
				t.Errorf("%s: %v\n%s\nwant\n%s", name, r.Gaps, got, want)
			}
		}
	}
}

// TestConcurrent scans from many goroutines with one set of rules.
func TestConcurrent(t *testing.T) {
	rules := compile(t, sample, yara.Options{})
	want := show(scan(t, rules, "hello world", yara.ScanOptions{}))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				r, err := rules.Scan([]byte("hello world"), yara.ScanOptions{})
				if err != nil || show(r) != want {
					t.Errorf("%v %s", err, show(r))
				}
			}
		})
	}
	wg.Wait()
}

// TestExternals defines variables of every kind, and sets them for a scan.
func TestExternals(t *testing.T) {
	c := yara.NewCompiler(yara.Options{})
	for name, v := range map[string]any{
		"b": true, "i": 7, "i64": int64(-1), "f": 1.5, "s": "text", "y": []byte("a\x00b"), "list": []any{1, 2, 3}, "m": map[string]any{"x": 5, "y": "z"},
	} {
		if err := c.Define(name, v); err != nil {
			t.Fatal(err)
		}
	}
	for name, v := range map[string]any{"bad": struct{}{}, "empty": []any{}, "two": []any{1, "x"}, "big": uint64(1) << 63, "in": map[string]any{"x": 'c'}} {
		if err := c.Define(name, v); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if err := c.AddSource("", "r", `rule r { condition:
		b and i == 7 and i64 == -1 and f == 1.5 and s == "text" and y == "a\x00b" and for any x in list : (x == 3) and m.x == 5 and m.y == "z" }`); err != nil {
		t.Fatal(err)
	}
	rules, err := c.Compile()
	if err != nil {
		t.Fatal(err)
	}
	externals := map[string]any{"list": []any{1, 2, 3}, "m": map[string]any{"x": 5, "y": "z"}}
	if r := scan(t, rules, "x", yara.ScanOptions{Externals: externals}); len(r.Matches) != 1 {
		t.Error("does not match")
	}
	externals["i"] = 8
	if r := scan(t, rules, "x", yara.ScanOptions{Externals: externals}); len(r.Matches) != 0 {
		t.Error("the scan's value is not taken")
	}
	if _, err := rules.Scan(nil, yara.ScanOptions{Externals: map[string]any{"i": struct{}{}}}); err == nil {
		t.Error("a value that is none is taken")
	}
}

// TestParseExternal pins how a command line's values are read.
func TestParseExternal(t *testing.T) {
	for text, want := range map[string]any{
		"true": true, "false": false, "True": "True", "1": int64(1), "-5": int64(-5), "1.5": 1.5, "-0.5": -0.5, ".5": ".5", "1.": 1.0, "1.2.3": "1.2.3",
		"": "", "-": "-", "0x10": "0x10", "abc": "abc", "99999999999999999999": "99999999999999999999", "1e5": "1e5",
	} {
		if got := yara.ParseExternal(text); got != want {
			t.Errorf("%q: %#v, want %#v", text, got, want)
		}
	}
}

// TestNames reads namespaces as the command line has them.
func TestNames(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"a.yar", "n:b.yar"} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for arg, want := range map[string][2]string{
		"a.yar": {"", "a.yar"}, "n:a.yar": {"n", "a.yar"}, "n:b.yar": {"", "n:b.yar"}, "x:n:b.yar": {"x", "n:b.yar"}, "none": {"", "none"},
		"http://x/y": {"", "http://x/y"},
	} {
		if ns, path := yara.SplitNamespace(arg); ns != want[0] || path != want[1] {
			t.Errorf("%s: %q %q", arg, ns, path)
		}
	}
	for name, want := range map[string]bool{"a.yar": true, "A.YARA": true, "x.rule": true, "x.rules": true, "x.txt": false, "yar": false} {
		if yara.IsRuleFile(name) != want {
			t.Error(name)
		}
	}
}

// TestText reads rules with a byte order mark, with CRLF, and in Latin-1.
func TestText(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"bom":   "\xef\xbb\xbfrule r { strings: $a = \"caf\xc3\xa9\" condition: $a }",
		"crlf":  "// x\r\nrule r {\r\n strings:\r\n $a = \"caf\\xc3\\xa9\" // y\r\n condition:\r\n $a\r\n}\r\n",
		"latin": "// caf\xe9\nrule r { strings: $a = \"caf\xc3\xa9\" condition: $a }",
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c := yara.NewCompiler(yara.Options{})
		if err := c.AddFile("", path); err != nil {
			t.Fatal(err)
		}
		rules, err := c.Compile()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r := scan(t, rules, "un café", yara.ScanOptions{}); len(r.Matches) != 1 {
			t.Errorf("%s: does not match", name)
		}
	}
	if _, err := yara.Compile("// caf\xe9\nrule r { condition: true }", yara.Options{Dialect: source.YARAX}); err == nil {
		t.Error("YARA-X takes Latin-1")
	}
	if err := yara.NewCompiler(yara.Options{}).AddFile("", dir); err == nil {
		t.Error("a folder is read as a file")
	}
}

// TestInclude looks beside the file first, then in the folders.
func TestInclude(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a/main.yar": `include "part.yar" include "other.yar" rule r { condition: part and other }`,
		"a/part.yar": `rule part { condition: filesize == 1 }`, "b/part.yar": `rule part { condition: filesize == 2 }`,
		"b/other.yar": `include "deep/x.yar" rule other { condition: x }`, "b/deep/x.yar": `rule x { condition: filesize > 0 }`,
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, inc := range map[string]yara.Include{"none": nil, "beside": yara.Folders(), "folder": yara.Folders(filepath.Join(dir, "b"))} {
		c := yara.NewCompiler(yara.Options{Include: inc})
		if err := c.AddFile("", filepath.Join(dir, "a/main.yar")); err != nil {
			t.Fatal(err)
		}
		rules, err := c.Compile()
		if (err == nil) != (name == "folder") {
			t.Fatalf("%s: %v", name, err)
		}
		if err == nil {
			if r := scan(t, rules, "x", yara.ScanOptions{}); len(r.Matches) != 4 {
				t.Error(show(r))
			}
		}
	}
	c := yara.NewCompiler(yara.Options{Include: yara.FromFS(fstest.MapFS{"d/x.yar": {Data: []byte("rule x { condition: true }")}})})
	if err := c.AddSource("", "d/main.yar", `include "x.yar" include "../../etc/passwd"`); err != nil {
		t.Fatal(err)
	}
	_, diags := c.Check()
	if errs := diags.Errors(); len(errs) != 1 || errs[0].Code != source.IncludeNotFound {
		t.Error(errs)
	}
}

// TestContainers looks inside, with the way there.
func TestContainers(t *testing.T) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("inner.txt")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, strings.Repeat("the needle in the hay. ", 20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	rules := compile(t, `rule r { strings: $a = "needle in" condition: $a }`, yara.Options{})
	if r := scan(t, rules, b.String(), yara.ScanOptions{}); len(r.Matches) != 0 || !r.Complete() {
		t.Errorf("%v %s", r.Gaps, show(r))
	}
	r := scan(t, rules, b.String(), yara.ScanOptions{Containers: true})
	if len(r.Matches) != 1 || r.Matches[0].Trail.String() != "inner.txt" || len(r.Matches[0].Found) != 20 || string(r.Matches[0].Found[0].Data) != "needle in" {
		t.Error(show(r))
	}
}

// TestModules takes modules of a caller's own.
func TestModules(t *testing.T) {
	mine := map[string]yara.Module{"mine": {
		Type: func(d source.Dialect) *module.Type {
			typ, err := module.Parse("size int\nfunc twice(int) int\n", d)
			if err != nil {
				t.Fatal(err)
			}
			return typ
		},
		Value: func(in calc.Input, _ source.Dialect) module.Value {
			return module.Value{Kind: module.Struct, Ref: module.Tree{
				"size":  module.IntValue(in.Size()),
				"twice": {Kind: module.Func, Ref: module.Function(func(a []module.Value) module.Value { return module.IntValue(2 * a[0].Int) })},
			}}
		},
	}}
	rules := compile(t, `import "mine" rule r { condition: mine.twice(mine.size) == 6 }`, yara.Options{Modules: mine})
	if r := scan(t, rules, "abc", yara.ScanOptions{Modules: mine}); len(r.Matches) != 1 {
		t.Error("does not match")
	}
	report := map[string][]byte{"cuckoo": []byte(`{"network":{"domains":[{"domain":"evil.example"}]}}`)}
	rules = compile(t, `import "cuckoo" rule r { condition: cuckoo.network.dns_lookup(/evil/) == 1 }`, yara.Options{})
	if r := scan(t, rules, "x", yara.ScanOptions{ModuleData: report}); len(r.Matches) != 1 {
		t.Error("the report is not read")
	}
	rules = compile(t, `import "time" rule r { condition: time.now() == 5 }`, yara.Options{})
	if r := scan(t, rules, "x", yara.ScanOptions{Now: time.Unix(5, 0)}); len(r.Matches) != 1 {
		t.Error("the time is not taken")
	}
}

// endless never ends, and its reading is what cancels.
type endless struct{ cancel func() }

func (e endless) Size() int64 { return 1 << 40 }
func (e endless) ReadAt(p []byte, off int64) (int, error) {
	if off > 1<<20 {
		e.cancel()
	}
	return len(p), nil
}

// TestErrors says what is an error and what is a gap.
func TestErrors(t *testing.T) {
	rules := compile(t, sample, yara.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := rules.NewScanner(yara.ScanOptions{}).Scan(ctx, endless{cancel}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := rules.ScanFile(t.Context(), t.TempDir(), yara.ScanOptions{}); err == nil {
		t.Error("a folder is scanned")
	}
	r, err := rules.ScanReader(t.Context(), strings.NewReader("hello"), 1000, yara.ScanOptions{})
	if err != nil || r.Complete() {
		t.Errorf("%v: a short input is complete", err)
	}
	if err := rules.Save(io.Discard); err != nil {
		t.Error(err)
	}
	_, err = yara.Compile("rule a { condition: b } rule a { condition: c }", yara.Options{})
	var diags yara.Diagnostics
	if !errors.As(err, &diags) || !strings.Contains(err.Error(), "(and ") || !strings.Contains(err.Error(), "rules:1:21: unknown identifier") {
		t.Error(err)
	}
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := yara.Load(path); err == nil {
		t.Error("no database is loaded")
	}
	if _, err := yara.Compile(`rule a { strings: $a = "x" $b = "y" condition: all of them }`, yara.Options{MaxPatterns: 1}); err == nil {
		t.Error("two patterns are taken where one is the most")
	}
}

// TestAll tells of rules.
func TestAll(t *testing.T) {
	rules := compile(t, sample, yara.Options{})
	all, err := rules.All()
	if err != nil || len(all) != 4 || rules.Len() != 4 {
		t.Fatal(err, len(all))
	}
	if r := all[0]; r.Name != "a" || r.Namespace != "default" || strings.Join(r.Tags, " ") != "t1 t2" || r.Line != 2 || strings.Join(r.Patterns, " ") != "$a $b $c $" ||
		r.Metas[0].Value != "y" || !strings.HasPrefix(r.Text, "rule a") || !strings.HasSuffix(r.Text, "}") || len(r.Digest) != 64 {
		t.Errorf("%+v", r)
	}
	if !all[1].Private || all[1].Global || all[0].Private {
		t.Error("flags")
	}
}

// TestMany finds a million places of one string, and no more.
func TestMany(t *testing.T) {
	rules := compile(t, `rule r { strings: $a = "ab" condition: #a > 10 }`, yara.Options{})
	r := scan(t, rules, strings.Repeat("ab", 1_100_000), yara.ScanOptions{})
	if len(r.Matches) != 1 || len(r.Matches[0].Found) != 1_000_000 {
		t.Fatalf("%d", len(r.Matches))
	}
	if f := r.Matches[0].Found[999_999]; f.Offset != 1_999_998 || string(f.Data) != "ab" {
		t.Errorf("%+v", f)
	}
	if r := scan(t, rules, strings.Repeat("ab", 1000), yara.ScanOptions{MaxMatches: 5}); len(r.Matches[0].Found) != 5 {
		t.Errorf("%d", len(r.Matches[0].Found))
	}
}

// FuzzCompile holds that no text makes the compiler or the scanner panic, and that
// what compiles, saves and loads says the same.
func FuzzCompile(f *testing.F) {
	f.Add(sample, "hello world")
	f.Add(`import "pe" rule r { strings: $a = /a.{2,4}b/ wide $b = { 01 [2-] ( 02 | 03 ) } condition: for any of them : (@ > 3) or pe.is_pe }`, "MZ")
	f.Add(`rule r { strings: $a = "x" base64 xor condition: #a in (0..filesize) > 3 or uint16(@a) == 5 }`, "")
	f.Fuzz(func(t *testing.T, text, data string) {
		if len(text) > 4096 || len(data) > 4096 {
			return
		}
		rules, err := yara.Compile(text, yara.Options{})
		if err != nil {
			return
		}
		o := yara.ScanOptions{Limits: showcause.Limits{Work: 1_000_000}, Now: time.Unix(1, 0)}
		a, err := rules.Scan([]byte(data), o)
		if err != nil {
			t.Fatal(err)
		}
		b, err := rules.ScanReader(t.Context(), strings.NewReader(data), int64(len(data)), o)
		if err != nil {
			t.Fatal(err)
		}
		if show(a) != show(b) {
			t.Errorf("%s\nfrom a reader\n%s", show(a), show(b))
		}
	})
}

// Scanning after Close is an error, and a scan that goes on ends as it would.
func TestClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules")
	compiled := compile(t, `rule a { strings: $a = "hello" condition: $a }`, yara.Options{})
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled.Save(f); err != nil {
		t.Fatal(err)
	}
	f.Close()
	rules, err := yara.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	slow := &gate{began: make(chan struct{}), open: make(chan struct{})}
	type ended struct {
		result *yara.Result
		err    error
	}
	done := make(chan ended)
	go func() {
		r, err := rules.ScanReader(t.Context(), slow, 11, yara.ScanOptions{})
		done <- ended{r, err}
	}()
	<-slow.began
	s := rules.NewScanner(yara.ScanOptions{})
	for range 2 {
		if err := rules.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := rules.Scan([]byte("hello"), yara.ScanOptions{}); !errors.Is(err, yara.ErrClosed) {
		t.Errorf("Scan after Close: %v", err)
	}
	if _, err := s.Scan(t.Context(), showcause.Bytes("hello")); !errors.Is(err, yara.ErrClosed) {
		t.Errorf("Scanner.Scan after Close: %v", err)
	}
	close(slow.open)
	if e := <-done; e.err != nil || len(e.result.Matches) != 1 || e.result.Matches[0].Name != "a" {
		t.Errorf("a scan that went on: %+v", e)
	}
	if _, err := rules.All(); !errors.Is(err, yara.ErrClosed) {
		t.Errorf("All after Close: %v", err)
	}
	if err := compiled.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := compiled.Scan([]byte("hello"), yara.ScanOptions{}); !errors.Is(err, yara.ErrClosed) {
		t.Errorf("Scan of compiled rules after Close: %v", err)
	}
}

// gate is an input that is not read before it is opened.
type gate struct {
	once        sync.Once
	began, open chan struct{}
}

func (g *gate) ReadAt(p []byte, off int64) (int, error) {
	g.once.Do(func() { close(g.began) })
	<-g.open
	return strings.NewReader("hello hello").ReadAt(p, off)
}

// A value for no variable of the rules, or of another type, is an error.
func TestExternalErrors(t *testing.T) {
	c := yara.NewCompiler(yara.Options{})
	for name, v := range map[string]any{"i": 1, "filename": "", "extension": 5} {
		if err := c.Define(name, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.AddSource("", "t", `rule a { condition: i == 1 and filename == "x" and extension == 5 }`); err != nil {
		t.Fatal(err)
	}
	rules, err := c.Compile()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name string
		v    any
		want error
	}{{"i", "1", yara.ErrExternalType}, {"i", 1.0, yara.ErrExternalType}, {"nope", 4, yara.ErrUnknownExternal}, {"i", 2, nil}} {
		_, err := rules.Scan(nil, yara.ScanOptions{Externals: map[string]any{x.name: x.v}})
		if !errors.Is(err, x.want) || x.want != nil && !strings.Contains(err.Error(), x.name) {
			t.Errorf("%s = %v: %v, want %v", x.name, x.v, err, x.want)
		}
	}
	// What ScanFile fills in is no error, whatever the rules have.
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := rules.ScanFile(t.Context(), path, yara.ScanOptions{}); err != nil || len(r.Matches) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// Of a string that is asked for at one place all places are told, for a rule in memory
// and through a reader.
func TestAnchored(t *testing.T) {
	const text = `rule a { strings: $a = "hello" condition: $a at 0 }
rule b { strings: $a = "hello" condition: not ($a at 3) }
rule c { strings: $a = /hel+o/ condition: $a at 6 }
rule d { strings: $a = { ?? 65 6c } $b = "zz" condition: for all i in (0, 6) : ($a at i) and not $b at 0 }`
	want := map[string]string{"a": "0 6", "b": "0 6", "c": "0 6", "d": "0 6"}
	rules := compile(t, text, yara.Options{})
	read, err := rules.ScanReader(t.Context(), strings.NewReader("hello hello"), 11, yara.ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*yara.Result{scan(t, rules, "hello hello", yara.ScanOptions{}), read} {
		have := map[string]string{}
		for _, m := range r.Matches {
			var at []string
			for _, f := range m.Found {
				at = append(at, fmt.Sprint(f.Offset))
			}
			have[m.Name] = strings.Join(at, " ")
		}
		if !maps.Equal(have, want) {
			t.Errorf("%v, want %v", have, want)
		}
	}
	if r := scan(t, rules, "xhello", yara.ScanOptions{}); len(r.Matches) != 1 || r.Matches[0].Name != "b" || len(r.Matches[0].Found) != 1 {
		t.Errorf("%s", show(r))
	}
}

// TestAlternativesInOrder holds that YARA 4 takes the first alternative that matches,
// and the others the shortest match (yara 4.2.3 as it behaves).
func TestAlternativesInOrder(t *testing.T) {
	for _, c := range []struct {
		hex, data   string
		yara, other int64
	}{
		{"{ 30 61 ( 31 30 | 31 ) }", "0a100", 4, 3},
		{"{ 30 61 ( 31 | 31 30 ) }", "0a100", 3, 3},
		{"{ 30 ( 61 ?? | ?1 ) ?? 30 }", "0a100", 5, 4},
		{"{ 61 62 ( 61 61 | 61 ) 61 }", "abaaac", 5, 4},
		{"{ 61 62 ( 61 | 61 61 ) 61 }", "abaaac", 4, 4},
	} {
		for d, want := range map[source.Dialect]int64{source.YARA: c.yara, source.YARAX: c.other, source.Either: c.other} {
			rules, err := yara.Compile("rule a { strings: $a = "+c.hex+" condition: $a }", yara.Options{Dialect: d})
			if err != nil {
				t.Fatal(err)
			}
			r, err := rules.Scan([]byte(c.data), yara.ScanOptions{})
			if err != nil || len(r.Matches) != 1 || len(r.Matches[0].Found) != 1 || r.Matches[0].Found[0].Length != want {
				t.Errorf("%s in %s: %+v, want %d bytes", c.hex, d, r.Matches, want)
			}
		}
	}
}
