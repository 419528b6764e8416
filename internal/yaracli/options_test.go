package yaracli

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/showcause/showcause/yara"
	"github.com/showcause/showcause/yara/source"
)

// TestParse pins how arguments are read. Errors are those of yara 4.2.3.
func TestParse(t *testing.T) {
	for _, c := range []struct {
		args string
		want func(o *Options)
		rest string
		err  string
	}{
		{"r f", func(*Options) {}, "r f", ""},
		{"-sL r f", func(o *Options) { o.Strings, o.Length = true, true }, "r f", ""},
		{"r -s f -m", func(o *Options) { o.Strings, o.Meta = true, true }, "r f", ""},
		{"-s -s r f", nil, "", "too many `-s` options"},
		{"-sLs r f", nil, "", "too many `-sLs` options"},
		{"-p 1 r f", func(o *Options) { o.Threads = 1 }, "r f", ""},
		{"-p1 r f", func(o *Options) { o.Threads = 1 }, "r f", ""},
		{"-p 0x10 r f", func(o *Options) { o.Threads = 16 }, "r f", ""},
		{"--threads=1 r f", func(o *Options) { o.Threads = 1 }, "r f", ""},
		{"--threads 1 r f", func(o *Options) { o.Threads = 1 }, "r f", ""},
		{"-rp 3 r f", func(o *Options) { o.Recursive, o.Threads = true, 3 }, "r f", ""},
		{"-d a=1 -d b=x=y r f", func(o *Options) { o.Defines = []string{"a=1", "b=x=y"} }, "r f", ""},
		{"--define=a=1 r f", func(o *Options) { o.Defines = []string{"a=1"} }, "r f", ""},
		{"-t a -t b -i c r f", func(o *Options) { o.TagNames, o.Identifiers = []string{"a", "b"}, []string{"c"} }, "r f", ""},
		{"-wfgenckrNDSqMXE r f", nil, "", "option `-wfgenckrNDSqMXE` requires an integer argument"},
		{"-wfgencrNDSqMXE r f", func(o *Options) {
			o.NoWarnings, o.Fast, o.Tags, o.Namespace, o.Negate, o.Count, o.Recursive, o.NoFollow = true, true, true, true, true, true, true, true
			o.ModuleDump, o.Stats, o.NoConsole, o.ModuleNames, o.XorKey, o.StrictEscape = true, true, true, true, true, true
		}, "r f", ""},
		{"-z 5 -k 6 -l 7 -a 8 --max-strings-per-rule=9 --max-process-memory-chunk=10 r f", func(o *Options) {
			o.SkipLarger, o.StackSize, o.MaxRules, o.Timeout, o.MaxStrings, o.MaxChunk = 5, 6, 7, 8, 9, 10
		}, "r f", ""},
		{"--scan-list --fail-on-warnings r f", func(o *Options) { o.ScanList, o.FailOnWarnings = true, true }, "r f", ""},
		{"--dialect yara --containers --jail=off r f", func(o *Options) { o.Dialect, o.Containers, o.Jail = "yara", true, "off" }, "r f", ""},
		{"- f", func(*Options) {}, "- f", ""},
		{"-- f", func(*Options) {}, "-- f", ""},
		{"--foo r f", nil, "", "unknown option `--foo`"},
		{"-sQ r f", nil, "", "unknown option `-sQ`"},
		{"-d", nil, "", "option `-d` requires a string argument"},
		{"-p x r f", nil, "", "option `-p` requires an integer argument"},
		{"-p", nil, "", "option `-p` requires an integer argument"},
		{"--count=1", nil, "", "option `--count=1` doesn't expect an argument"},
		{"-t a" + strings.Repeat(" -t a", 32), nil, "", "too many `-t` options"},
	} {
		o, rest, err := Parse(strings.Fields(c.args))
		switch {
		case c.err != "":
			if err == nil || err.Error() != c.err {
				t.Errorf("%s: %v, want %s", c.args, err, c.err)
			}
			continue
		case err != nil:
			t.Errorf("%s: %v", c.args, err)
			continue
		}
		want := &Options{Threads: MaxThreads, Timeout: 1_000_000, Jail: "on"}
		c.want(want)
		if !reflect.DeepEqual(o, want) {
			t.Errorf("%s:\n%+v, want\n%+v", c.args, o, want)
		}
		if got := strings.Join(rest, " "); got != c.rest {
			t.Errorf("%s: rest %q", c.args, got)
		}
	}
}

// TestHelp holds that each option is in the help and that no two have one name.
func TestHelp(t *testing.T) {
	seen := map[string]bool{}
	var o Options
	for _, p := range o.list() {
		if seen[p.long] || p.short != 0 && seen[string(p.short)] {
			t.Errorf("--%s: a name stands twice", p.long)
		}
		seen[p.long], seen[string(p.short)] = true, true
		if !strings.Contains(Help(), "--"+p.long) {
			t.Errorf("--%s is not in the help", p.long)
		}
		n := 0
		for _, set := range []bool{p.flag != nil, p.int != nil, p.text != nil, p.texts != nil} {
			if set {
				n++
			}
		}
		if n != 1 || (p.flag == nil) != (p.arg != "") {
			t.Errorf("--%s: not one kind", p.long)
		}
	}
}

// TestLines pins diagnostics as yara 4.2.3 prints them.
func TestLines(t *testing.T) {
	rules := `rule a { condition: foo }
rule b { strings: $a = "x" condition: true }
rule c { condition: $b }
rule c { condition: true }
rule h : t t { condition: true }
rule i { strings: $x = "abcd" $x = "efgh" condition: all of them }
import "nomod"
rule j { strings: $x = "abcd" xor nocase condition: $x }
rule k { strings: $x = /ab.*cd/ $y = "abcd" condition: $x and $z }
rule l { condition: for any i, j in (1..2) : (i == j) or uint8(1, 2) == 3 }
rule m { strings: $x = /ab{4,2}/ $y = "" condition: any of them }
rule n { strings: $x = "abcd" condition: any of ($b*) }
include "gone.yar"
rule o { strings: $x = "abcd" xor(300) condition: $x }
`
	want := `error: rule "a" in bad.yar(1): undefined identifier "foo"
warning: rule "b" in bad.yar(2): string "$a" may slow down scanning
error: rule "b" in bad.yar(2): unreferenced string "$a"
error: rule "c" in bad.yar(3): undefined string "$b"
bad.yar(4): error: duplicated identifier "c"
error: rule "h" in bad.yar(5): duplicated tag identifier "t"
error: rule "i" in bad.yar(6): duplicated string identifier "$x"
bad.yar(7): error: unknown module "nomod"
error: rule "j" in bad.yar(8): invalid modifier combination: xor nocase: string "$x"
warning: rule "k" in bad.yar(9): $x contains .*, .+ or .{x,} consider using .{,N}, .{1,N} or {x,N} with a reasonable value for N
error: rule "k" in bad.yar(9): undefined string "$z"
error: rule "l" in bad.yar(10): wrong number of variables: the loop has 2, "(1..2)" yields 1
error: rule "m" in bad.yar(11): invalid regular expression "$x": repetition with its bounds reversed
error: rule "n" in bad.yar(12): undefined string "$b*"
bad.yar(13): error: can't open include file: gone.yar
error: rule "o" in bad.yar(14): invalid keys of xor: a key is from 0 to 255: string "$x"
`
	c := yara.NewCompiler(yara.Options{Dialect: source.YARA, Include: yara.FromFS(fstest.MapFS{}), Off: []source.Code{source.InvariantExpr}})
	if err := c.AddSource("", "bad.yar", rules); err != nil {
		t.Fatal(err)
	}
	_, diags := c.Check()
	var b strings.Builder
	for _, d := range First(diags) {
		b.WriteString(Line(d) + "\n")
	}
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
}

// TestLineOfEvery holds that no diagnostic of the checker's golden files is empty or
// on two lines.
func TestLineOfEvery(t *testing.T) {
	entries, err := os.ReadDir("../../yara/check/testdata/diagnostics")
	if err != nil || len(entries) < 50 {
		t.Fatal(err, len(entries))
	}
	for _, e := range entries {
		text, err := os.ReadFile("../../yara/check/testdata/diagnostics/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		_, rules, _ := strings.Cut(string(text), "\n")
		c := yara.NewCompiler(yara.Options{})
		if err := c.AddSource("", "x.yar", rules); err != nil {
			t.Fatal(err)
		}
		_, diags := c.Check()
		for _, d := range diags {
			if l := Line(d); strings.Contains(l, "\n") || strings.HasSuffix(l, ": ") || strings.Contains(l, `""`) {
				t.Errorf("%s: %q", e.Name(), l)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("-sL -d a=1 r f")
	f.Add("--define x --jail= -p")
	f.Fuzz(func(t *testing.T, args string) {
		o, rest, err := Parse(strings.Fields(args))
		if (err == nil) != (o != nil) || err != nil && rest != nil {
			t.Errorf("%v %v %v", o, rest, err)
		}
	})
}
