package yaracmd

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause/yara"
)

// field is the files that the tests scan, in a folder of its own that becomes the
// working directory.
func field(t testing.TB) {
	t.Helper()
	t.Chdir(t.TempDir())
	data := "hello Hello Hexxl h\x00i\x00 "
	for _, c := range []byte("hello") {
		data += string(rune(c ^ 5))
	}
	data += " x"
	for range 3 {
		for c := 1; c < 100; c++ {
			data += string(rune(c))
		}
	}
	data += "\r\n\ty"
	for name, text := range map[string]string{
		"a.yar": `import "console"
rule r1 : tag1 tag2 { meta: a="x\"y\n" b=1 c=true d=-5 e="" strings: $a="hello" $b={48 65 [1-3] 6c} $x="hello" xor(1-20) $w="hi" wide $=/x[^y]{1,600}y/ condition: any of them }
private rule p { condition: true }
rule r2 { condition: filesize > 1000 }
rule r3 : tag3 { condition: p }
rule r4 : tag2 { condition: r1 and r3 }
`,
		"b.yar":    "rule b { strings: $s = \"world\" fullword nocase $t = { ( 01 | 02 03 ) ?? } condition: all of them }\n",
		"ext.yar":  "rule e { condition: i == 5 and f > 1.5 and b and s == \"te xt\" }\n",
		"long.yar": "rule l { strings: $a=/xa+y/ $h={41 42 [90-90] ??} condition: any of them }\n",
		"bad.yar":  "rule a { condition: foo }\nrule c { condition: $b }\n",
		"slow.yar": "rule s { strings: $a = /[a-z]+x?/ condition: $a }\n",
		"inc.yar":  "include \"b.yar\"\nrule i { condition: b }\n",
		"dup.yar":  "rule d { condition: true }\nrule d { condition: true }\n",
		"at.yar": `rule lit { strings: $a="hello" condition: $a at 6 }
rule neg { strings: $a="hello" condition: not ($a at 3) }
rule sum { strings: $a=/hell\x6f/ condition: $a at (2+4) and $a at 6 }
rule two { strings: $a="hello" condition: $a at 0 or $a at 6 }
rule set { strings: $a="hello" condition: any of them and $a at 0 }
rule hex { strings: $a={ 68 65 ?? 6c } $b={ 68 65 6c } condition: $a at 0 and $b at 0 }
rule some { strings: $a="hello" $b="lo h" condition: $a at 6 or any of ($b) }
rule those { strings: $ab="hello" $ac="lo h" $ad="llo " condition: $ab at 6 or any of ($ac*) or for any of ($ad) : ($ at 0) or #ac > 9 }
rule every { strings: $a="hello" $b="lo h" condition: $a at 6 or for any of ($b) : ($) }
rule ends { strings: $a="hello" $b="lo h" condition: ($a at 6 or for all of ($b) : ($ at filesize)) or $b }
rule re { strings: $a=/hel+o/ condition: $a at 6 }
rule loop { strings: $a="hello" condition: for any of them : ($ at 6) }
rule bases { strings: $a="hello" wide ascii nocase $b=/[h]ello/ condition: $a at 0 and not $b at 4 }
rule far { strings: $a="hello" condition: $a at filesize - 5 }
`,
		"cuckoo.yar": "import \"cuckoo\"\nrule c { condition: cuckoo.network.host(/x/) == 0 }\n",
		"no.json":    "x{",
		"ok.json":    "{}",
		"hh":         "hello hello",
		"f.bin":      data,
		"long":       "x" + strings.Repeat("a", 3000) + "y",
		"hexl":       "AB" + string(bytes.Repeat([]byte{7}, 100)),
		"world":      "The World, \x02\x03\x04 the worlds",
		"empty":      "",
		"d/a":        "none",
		"d/b":        data,
		"d/sub/c":    "hello",
		"list":       "f.bin\nnone\n\nd\nd/sub/c",
		"12345":      "hello",
		"ns:x.yar":   "rule odd { condition: true }\n",
		"notes.bin":  "YARA\x00\x01\x02",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"ld/dd": "../d", "ld/f": "../f.bin", "ld/self": ".", "ld/gone": "nowhere"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, name); err != nil {
			t.Fatal(err)
		}
	}
}

// commands are what yara and this program are asked alike.
var commands = []string{
	"a.yar f.bin", "-s a.yar f.bin", "-sL a.yar f.bin", "-L a.yar f.bin", "-w -m -g -e a.yar f.bin", "-w -n a.yar f.bin",
	"-w -c a.yar f.bin", "-w -c -n a.yar f.bin", "-w -p 1 -c a.yar d", "-w -p 1 -r a.yar d", "-w -p 1 -r -s a.yar d", "-w -i r3 a.yar f.bin",
	"-w -t tag1 a.yar f.bin", "-w -t tag1 -t tag3 a.yar f.bin", "-w -t tag1 -i r3 a.yar f.bin", "-w -l 1 a.yar f.bin", "-w -l 2 a.yar f.bin",
	"a.yar nonexist", "nonexist f.bin", "a.yar", "", "--foo a.yar f.bin", "-d", "-w -d x a.yar f.bin", "-x foo a.yar f.bin",
	"-x foo=nonexist a.yar f.bin", "-p 100 a.yar f.bin", "-w ns1:a.yar ns2:a.yar -e f.bin", "-p x a.yar f.bin", "-C a.yar f.bin",
	"-w -a 100 a.yar f.bin", "-w a.yar empty", "-w -s b.yar world", "-w -sL long.yar long", "-w -sL long.yar hexl", "-w -s inc.yar world",
	"-d i=5 -d f=2.5 -d b=true -d s=te_xt ext.yar f.bin", "-d i=5 -d f=1 -d b=true -d s=x ext.yar f.bin", "ext.yar f.bin",
	"bad.yar f.bin", "dup.yar f.bin", "-w slow.yar f.bin", "slow.yar f.bin", "--fail-on-warnings slow.yar f.bin",
	"-w --scan-list -p 1 a.yar list", "-w --scan-list -p 1 -c a.yar list", "-w --scan-list a.yar d", "-w --scan-list a.yar nolist",
	"-w -p 1 -z 50 a.yar d", "-w -p 1 -r a.yar ld", "-w -p 1 -r -N a.yar ld", "-w -p 1 a.yar ld/", "-w a.yar ./ld/f", "-w a.yar 12345",
	"-w a.yar b.yar world", "-w -e a.yar other:b.yar world", "ns:x.yar f.bin", "-e ns:x.yar f.bin", "-w a.yar b.yar -s", "-w -f -s a.yar f.bin",
	"-w -s -s a.yar f.bin", "--print-strings --no-warnings a.yar f.bin", "--max-rules=1 -w a.yar f.bin", "-w -k 100000 a.yar f.bin",
	"a.yar a.yar f.bin", "-C a.yar b.yar f.bin", "-w -g b.yar world", "-w -m b.yar world", "-w -n b.yar d/a", "-w -r -p 1 -n b.yar d",
	"-s at.yar hh", "-s -L at.yar d/sub/c", "-x cuckoo=ok.json cuckoo.yar hh", "-x cuckoo=empty cuckoo.yar hh", "-x nope=no.json cuckoo.yar hh",
	"-d i=5 -d i=6 -d f=2.5 -d b=true -d s=te_xt ext.yar f.bin",
}

var update = flag.Bool("update", false, "write what yara says into testdata/yara-4.2.3.txt")

// TestCommands holds what yara 4.2.3 answers to the commands, as testdata has it: output,
// errors and exit codes. Folders are read in another order, so that lines are compared
// as a set. Where yara is installed it is asked itself.
func TestCommands(t *testing.T) {
	golden, err := filepath.Abs("testdata/yara-4.2.3.txt")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(golden)
	if err != nil && !*update {
		t.Fatal(err)
	}
	want := map[string]string{}
	for part := range strings.SplitSeq(string(text), "\n$ ") {
		line, rest, _ := strings.Cut(part, "\n")
		want[strings.TrimPrefix(line, "$ ")] = strings.TrimSuffix(rest, "\n") + "\n"
	}
	peer, _ := exec.LookPath("yara")
	field(t)
	var file strings.Builder
	for _, line := range commands {
		args := strings.Fields(line)
		for i, a := range args { // a space within an argument
			args[i] = strings.ReplaceAll(a, "te_xt", "te xt")
		}
		if peer != "" {
			c := exec.Command(peer, args...)
			var out, errs bytes.Buffer
			c.Stdout, c.Stderr = &out, &errs
			_ = c.Run() // the code tells
			have := reply(out.String(), errs.String(), c.ProcessState.ExitCode())
			fmt.Fprintf(&file, "$ %s\n%s", line, have)
			if !*update && have != want[line] {
				t.Errorf("the yara that is installed says of %s\n%s", line, have)
			}
			want[line] = have
		}
		if have := reply(runYARA(t, append([]string{"--jail=off"}, args...)...)); have != want[line] {
			t.Errorf("yara %s\n%s----- want\n%s", line, have, want[line])
		}
	}
	if *update {
		if err := os.WriteFile(golden, []byte(file.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// reply is what a command says, on lines of their own.
func reply(stdout, stderr string, code int) string {
	var b strings.Builder
	for mark, text := range map[string]string{"> ": stdout, "! ": stderr} {
		for line := range strings.Lines(text) {
			b.WriteString(mark + strings.TrimSuffix(line, "\n") + "\n")
		}
	}
	return sorted(fmt.Sprintf("%sexit %d", b.String(), code)) + "\n"
}

// sorted are lines in order: a file in a folder whose name is a link to it is told in
// another place.
func sorted(s string) string {
	l := strings.Split(s, "\n")
	slices.Sort(l)
	return strings.Join(l, "\n")
}

// TestDefineCompiled holds that a value that compiled rules cannot take is refused.
func TestDefineCompiled(t *testing.T) {
	field(t)
	c := yara.NewCompiler(yara.Options{})
	for name, v := range map[string]any{"i": 5, "f": 2.5, "b": true, "s": "te xt"} {
		if err := c.Define(name, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.AddFile("", "ext.yar"); err != nil {
		t.Fatal(err)
	}
	rules, err := c.Compile()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create("ext.scdb")
	if err != nil {
		t.Fatal(err)
	}
	if err := rules.Save(f); err != nil {
		t.Fatal(err)
	}
	f.Close()
	for _, x := range []struct {
		args, out, errs string
		code            int
	}{
		{"", "e hh", "", 0},
		{"-d i=5", "e hh", "", 0},
		{"-d i=6", "", "", 0},
		{"-d i=6 -d i=5", "e hh", "", 0},
		{"-d i=str", "", "invalid type for external variable", 1},
		{"-d i=5.5", "", "invalid type for external variable", 1},
		{"-d f=1", "", "invalid type for external variable", 1},
		{"-d s=4", "", "invalid type for external variable", 1},
		{"-d b=1", "", "invalid type for external variable", 1},
		{"-d nope=4", "", "error: 29", 1},
		{"-d nope=4 -d i=5", "", "error: 29", 1},
	} {
		args := append(strings.Fields("--jail=off -C "+x.args), "ext.scdb", "hh")
		out, errs, code := runYARA(t, args...)
		if strings.TrimSpace(out) != x.out || !strings.Contains(errs, x.errs) || code != x.code || x.errs == "" && errs != "" {
			t.Errorf("%s: %q, %q, exit %d", x.args, out, errs, code)
		}
	}
}

// TestReport holds that a report for cuckoo that is none is not passed over.
func TestReport(t *testing.T) {
	field(t)
	for _, x := range []struct {
		args, errs string
	}{
		{"-x cuckoo=no.json cuckoo.yar hh", "error scanning hh: error: 57"},
		{"-x cuckoo=no.json cuckoo.yar d", "error scanning d/a: error: 57"},
	} {
		out, errs, code := runYARA(t, append([]string{"--jail=off"}, strings.Fields(x.args)...)...)
		if out != "" || !strings.HasPrefix(errs, x.errs) || code != 1 {
			t.Errorf("%s: %q, %q, exit %d", x.args, out, errs, code)
		}
	}
}

// TestDisagreement holds that what the dialects read in two ways is told once, and is no
// warning that --fail-on-warnings takes.
func TestDisagreement(t *testing.T) {
	field(t)
	const rules = "rule a { strings: $a = \"abcd\" xor fullword condition: $a }\nrule b { strings: $a = \"efgh\" xor fullword condition: not $a }\n"
	if err := os.WriteFile("two.yar", []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		args string
		told int
	}{{"two.yar hh", 1}, {"--fail-on-warnings two.yar hh", 1}, {"-w two.yar hh", 0}, {"--dialect yara two.yar hh", 0}, {"--dialect yara-x two.yar hh", 0}} {
		out, errs, code := runYARA(t, append([]string{"--jail=off"}, strings.Fields(x.args)...)...)
		if out != "b hh\n" || code != 0 || strings.Count(errs, "disagree") != x.told || strings.Contains(errs, "warning") || x.told > 0 && !strings.Contains(errs, "2 places") {
			t.Errorf("%s: %q, %q, exit %d", x.args, out, errs, code)
		}
	}
}

// TestSlowMegabytes holds that a number that is none is named.
func TestSlowMegabytes(t *testing.T) {
	field(t)
	c := testHost().slow()
	c.SetArgs([]string{"b.yar", "d", "--max-mb=-5"})
	c.SilenceErrors, c.SilenceUsage = true, true
	if err := c.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "-5") {
		t.Errorf("%v", err)
	}
}
