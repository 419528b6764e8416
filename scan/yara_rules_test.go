package scan_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// streamed is a source that is not in memory.
type streamed []byte

func (s streamed) Size() int64 { return int64(len(s)) }

func (s streamed) ReadAt(p []byte, off int64) (int, error) { return showcause.Bytes(s).ReadAt(p, off) }

func fired(db *ruledb.DB, o scan.Options, src showcause.Source, externals map[string]module.Value) string {
	var names []string
	for _, f := range scan.New(db, o).ScanWith(src, externals).Findings {
		names = append(names, f.Rule)
	}
	return strings.Join(names, " ")
}

func TestYARARules(t *testing.T) {
	for _, c := range []struct{ name, rules, data, want string }{
		{"private is asked for and not reported", `private rule a { strings: $a = "abc" condition: $a } rule b { condition: a } rule c { condition: not a }`, "xabcx", "b"},
		{"a rule that was not triggered does not hold", `rule a { strings: $a = "abc" condition: $a } rule b { condition: not a } rule c { condition: a or filesize > 1 }`, "xyz", "b c"},
		{"a rule that its guard bars", `rule a { strings: $a = "abc" condition: $a and uint16(0) == 0x5a4d } rule b { strings: $a = "abc" condition: $a and not a }`, "abc", "b"},
		{"global bars all", `global rule g { condition: filesize > 10 } rule a { condition: true }`, "abc", ""},
		{"global holds", `global rule g { condition: filesize > 1 } rule a { condition: true }`, "abc", "g a"},
		{"global and private", `global private rule g { strings: $a = "abc" condition: $a } rule a { condition: true }`, "abc", "a"},
		{"guard of size", `rule a { strings: $a = "abc" condition: filesize < 3 and $a } rule b { strings: $a = "abc" condition: filesize < 4 and $a }`, "abc", "b"},
		{"a pattern that one rule bars and another wants", `rule a { strings: $a = "common text" $b = "zz" condition: uint32(0) == 1 and $a and $b } rule b { strings: $a = "common text" $b = "seldom 93kd" condition: $a and $b }`, "common text seldom 93kd", "b"},
		{"without atoms", `rule a { strings: $a = /[a-f]+[0-9]/ condition: $a } rule b { strings: $a = /[x-z]+[0-9]/ $b = "there" condition: $a and $b }`, "there ab7", "a"},
		{"hex without a fixed byte", `rule a { strings: $a = { 6? ?2 } condition: #a == 1 and @a == 0 }`, "abx", "a"},
		{"counts", `rule a { strings: $a = "ab" condition: #a == 3 } rule b { strings: $a = "ab" condition: #a > 3 } rule c { strings: $a = "ab" condition: #a in (0..3) == 2 }`, "ababab", "a c"},
		{"at", `rule a { strings: $a = "ab" condition: $a at 2 } rule b { strings: $a = "ab" condition: $a at 1 }`, "xxabxab", "a"},
		{"xor", `rule a { strings: $a = "secret" xor(1-255) condition: $a } rule b { strings: $a = "secret" xor(2-255) condition: $a }`, "rdbsdu", "a"},
		{"nothing at all", `rule a { condition: filesize == 0 }`, "", "a"},
		{"tags and sets", `rule a1 { condition: true } rule a2 { condition: false } rule b { condition: 1 of (a*) } rule c { condition: all of (a*) }`, "x", "a1 b"},
		{"entry point", `rule a { condition: defined entrypoint }`, "MZ", ""},
	} {
		db, why := yaraDB(t, c.rules, check.Options{Dialect: source.YARA})
		if why != "" {
			t.Errorf("%s: %s", c.name, why)
			continue
		}
		for _, src := range []showcause.Source{showcause.Bytes(c.data), streamed(c.data)} {
			for _, top := range []bool{true, false} {
				if got := fired(db, scan.Options{TopOnly: top}, src, nil); got != c.want {
					t.Errorf("%s: %q, want %q", c.name, got, c.want)
				}
			}
		}
	}
}

func TestYARAExternals(t *testing.T) {
	db, why := yaraDB(t, `rule a { condition: name == "x" and n > 3 }`, check.Options{Externals: map[string]module.Value{
		"name": module.TextValue("x"), "n": module.IntValue(1),
	}})
	if why != "" {
		t.Fatal(why)
	}
	set := func(n int64) map[string]module.Value { return map[string]module.Value{"n": module.IntValue(n)} }
	for i, c := range []struct {
		o, file map[string]module.Value
		want    string
	}{{nil, nil, ""}, {set(4), nil, "a"}, {set(4), set(1), ""}, {nil, set(9), "a"}, {set(4), map[string]module.Value{"name": module.TextValue("y")}, ""}} {
		if got := fired(db, scan.Options{Externals: c.o}, showcause.Bytes("z"), c.file); got != c.want {
			t.Errorf("%d: %q, want %q", i, got, c.want)
		}
	}
}

// What is not given of the usual variables is worked out, layer by layer.
func TestYARAUsualExternals(t *testing.T) {
	x := module.TextValue("x")
	db, why := yaraDB(t, `rule top { condition: filename == "a.zip" and extension == ".zip" and filetype == "ZIP" and filepath == "/a.zip" }
		rule member { condition: filename == "in.txt" and extension == ".txt" and filemd5 == "900150983cd24fb0d6963f7d28e17f72" }
		rule given { condition: filetype == "x" }`, check.Options{Externals: map[string]module.Value{
		"filename": x, "extension": x, "filetype": x, "filepath": x, "filemd5": x,
	}})
	if why != "" {
		t.Fatal(why)
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create(`dir/in.txt`)
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte("abc"))
	z.Close()
	file := map[string]module.Value{"filename": module.TextValue("a.zip"), "extension": module.TextValue(".zip"), "filepath": module.TextValue("/a.zip")}
	if got := fired(db, scan.Options{}, showcause.Bytes(b.Bytes()), file); got != "top member" {
		t.Errorf("%q", got)
	}
	file["filetype"] = x
	if got := fired(db, scan.Options{TopOnly: true}, showcause.Bytes(b.Bytes()), file); got != "given" {
		t.Errorf("%q", got)
	}
	if got := fired(db, scan.Options{TopOnly: true}, showcause.Bytes(b.Bytes()), nil); got != "given" {
		t.Errorf("without a name: %q", got)
	}
}

// A rule whose condition cannot be decided is a gap, and so is what rests on it.
func TestYARAStopped(t *testing.T) {
	db, why := yaraDB(t, `rule a { condition: for all i in (0..1000000000) : (for all j in (0..1000000000) : (i + j >= 0)) } rule b { condition: not a } rule c { condition: true }`, check.Options{Dialect: source.YARA})
	if why != "" {
		t.Fatal(why)
	}
	rep := scan.New(db, scan.Options{Limits: showcause.Limits{Work: 1_000_000}}).Scan(showcause.Bytes("x"))
	if len(rep.Findings) > 1 || rep.Verdict == showcause.NothingFound || len(rep.Gaps) == 0 || rep.Gaps[0].Code != showcause.LimitWork {
		t.Errorf("%+v", rep)
	}
}

// What is in a container is searched, and with TopOnly it is said that it was not.
func TestYARALayers(t *testing.T) {
	db, why := yaraDB(t, `rule a { strings: $a = "needle" condition: $a }`, check.Options{})
	if why != "" {
		t.Fatal(why)
	}
	packed := gzipOf("a needle in here")
	rep := scan.New(db, scan.Options{}).Scan(showcause.Bytes(packed))
	if len(rep.Findings) != 1 || len(rep.Findings[0].Trail) != 1 || rep.Findings[0].Matches[0].Offset != 2 {
		t.Errorf("%+v", rep)
	}
	rep = scan.New(db, scan.Options{TopOnly: true}).Scan(showcause.Bytes(packed))
	if len(rep.Findings) != 0 || rep.Verdict != showcause.Incomplete {
		t.Errorf("%+v", rep)
	}
}

// The number of matches is bounded, and many are kept in order.
func TestYARAManyMatches(t *testing.T) {
	db, why := yaraDB(t, `rule a { strings: $a = "ab" $b = /b[a-z]/ condition: $a and $b }`, check.Options{})
	if why != "" {
		t.Fatal(why)
	}
	data := bytes.Repeat([]byte("ab"), 50_000)
	for most, want := range map[int]int{0: 2 * showcause.MaxMatches, 100: 200, 1_000_000: 99_999} {
		rep := scan.New(db, scan.Options{TopOnly: true, MaxMatches: most}).Scan(showcause.Bytes(data))
		if len(rep.Findings) != 1 || len(rep.Findings[0].Matches) != want {
			t.Fatalf("%d: %d matches, want %d", most, len(rep.Findings[0].Matches), want)
		}
		for i, m := range rep.Findings[0].Matches {
			if i > 0 && m.Pattern == rep.Findings[0].Matches[i-1].Pattern && m.Offset != rep.Findings[0].Matches[i-1].Offset+2 {
				t.Fatalf("match %d at %d", i, m.Offset)
			}
		}
	}
}

// planted is a file that holds what strings of rules look for.
func planted(rules []*check.Rule) []byte {
	var b bytes.Buffer
	b.WriteString("MZ")
	for _, r := range rules {
		for _, p := range r.Patterns {
			switch {
			case p.Text != nil && p.Has("wide") != nil && p.Has("ascii") == nil:
				for _, c := range []byte(p.Text.Text) {
					b.Write([]byte{c, 0})
				}
			case p.Text != nil:
				b.WriteString(p.Text.Text)
			case p.Hex != nil:
				for _, h := range p.Hex.Parts {
					switch {
					case h.Mask != 0:
						b.WriteByte(h.Value)
					case h.Min < 100:
						b.Write(bytes.Repeat([]byte{'-'}, int(h.Min)))
					}
				}
			}
			b.WriteString("\n ")
		}
	}
	return b.Bytes()
}

// TestYARAPlanted holds real rules over files that are made to match them against
// the installed yara: rules, strings, offsets and lengths, which it says up to 512.
func TestYARAPlanted(t *testing.T) {
	yara, err := exec.LookPath("yara")
	if err != nil {
		t.Skip("yara is not installed")
	}
	var paths []string
	filepath.WalkDir(outside(t, "yara"), func(path string, _ fs.DirEntry, _ error) error {
		if ext := filepath.Ext(path); ext == ".yar" || ext == ".yara" {
			paths = append(paths, path)
		}
		return nil
	})
	step := 60
	if os.Getenv("SHOWCAUSE_LONG") != "" {
		step = 1
	}
	externals := map[string]module.Value{}
	args := []string{"-w", "-s", "-L", "-p", "1"}
	for _, name := range []string{"filename", "filepath", "extension", "filetype", "owner", "filemd5"} {
		externals[name] = module.TextValue("x")
		args = append(args, "-d", name+"=x")
	}
	target := filepath.Join(t.TempDir(), "target")
	held, matches := 0, 0
	for i := 0; i < len(paths); i += step {
		text, err := os.ReadFile(paths[i])
		if err != nil || len(text) > 200_000 {
			continue
		}
		var set source.Sources
		src, err := set.Add(paths[i], string(text))
		if err != nil {
			t.Fatal(err)
		}
		o := check.Options{Dialect: source.YARA, Externals: externals}
		bin := planted(check.Check(&set, []check.Input{{Source: src}}, o).Rules)
		if len(bin) > 200_000 {
			continue
		}
		if err := os.WriteFile(target, bin, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(yara, append(args, paths[i], target)...).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %s", paths[i], out)
			continue
		}
		db, why := yaraDB(t, string(text), o)
		if why != "" {
			t.Errorf("%s: %s", paths[i], why)
			continue
		}
		var have, want []string
		for line := range strings.Lines(string(out)) {
			if f := strings.SplitN(line, ":", 4); strings.HasPrefix(line, "0x") {
				want = append(want, strings.Join(f[:3], ":"))
				matches++
			} else {
				name, _, _ := strings.Cut(line, " ")
				want = append(want, name)
				held++
			}
		}
		rep := scan.New(db, scan.Options{TopOnly: true, MaxMatches: 1_000_000}).Scan(showcause.Bytes(bin))
		for _, f := range rep.Findings {
			have = append(have, f.Rule)
			info, err := db.Info(f.Index)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range f.Matches {
				have = append(have, fmt.Sprintf("0x%x:%d:%s", m.Offset, min(m.Length, 512), info.YARA.Names[m.Pattern]))
			}
		}
		slices.Sort(have)
		slices.Sort(want)
		if !slices.Equal(have, want) {
			t.Errorf("%s: yara answers otherwise: have %v, want %v", filepath.Base(paths[i]), only(have, want), only(want, have))
		}
	}
	t.Logf("%d rules hold, %d matches", held, matches)
}

// only are the first of those in a that are not in b.
func only(a, b []string) (out []string) {
	for _, s := range a {
		if !slices.Contains(b, s) && len(out) < 5 {
			out = append(out, s)
		}
	}
	return out
}

// TestManyRulesOfPrograms: rules for layers that begin with "MZ" are left out of
// the search of others; what is found is the same, in every layer and size.
func TestManyRulesOfPrograms(t *testing.T) {
	var text strings.Builder
	for i := range 700 {
		guard := "uint16(0) == 0x5a4d and "
		if i%3 == 0 {
			guard = []string{"", "uint32be(0) == 0x7f454c46 and ", "uint16be(0) == 0x4d5a and ", "uint8(0) == 0x4d and "}[i/3%4]
		}
		fmt.Fprintf(&text, "rule r%d { strings: $a = \"first %d of it\" $b = \"then %d as well\" condition: %s$a and $b }\n", i, i, i, guard)
	}
	db, why := yaraDB(t, text.String(), check.Options{Dialect: source.YARA})
	if why != "" {
		t.Fatal(why)
	}
	whole, plain := db.Partition(rule.Any, []byte("MZ")), db.Partition(rule.Any, []byte("\x7fE"))
	if whole == plain || plain.Eager.Set.Len() >= whole.Eager.Set.Len()/2 || db.Partition(rule.Any, []byte("M")) != plain {
		t.Fatalf("%d literals are searched for in any layer, %d in a program", plain.Eager.Set.Len(), whole.Eager.Set.Len())
	}
	for _, size := range []int{0, 300 << 10} {
		for _, head := range []string{"MZ", "\x7fELF", "M", "MX", "xMZ", ""} {
			var data strings.Builder
			data.WriteString(head)
			data.WriteString(strings.Repeat("\x00", size))
			var want []string
			for i := range 700 {
				if i%5 == 0 {
					continue
				}
				fmt.Fprintf(&data, "first %d of it ", i)
				if i%7 != 0 {
					fmt.Fprintf(&data, "then %d as well ", i)
					lets := head == "MZ"
					if i%3 == 0 {
						lets = []bool{true, head == "\x7fELF", head == "MZ", strings.HasPrefix(data.String(), "M")}[i/3%4]
					}
					if lets {
						want = append(want, fmt.Sprintf("r%d", i))
					}
				}
			}
			for _, src := range []showcause.Source{showcause.Bytes(data.String()), streamed(data.String())} {
				if got := fired(db, scan.Options{TopOnly: true}, src, nil); got != strings.Join(want, " ") {
					t.Errorf("%q, %d bytes: %d characters of names, want %d", head, data.Len(), len(got), len(strings.Join(want, " ")))
				}
			}
		}
	}
}

// Of a text that stands at one place both narrow and wide, the narrow one counts: measured
// with yara 4.2.3, which sees its end first.
func TestYARANarrowFirst(t *testing.T) {
	for _, c := range []struct{ text, mods, data, want string }{
		{`b`, "ascii wide", "b\x00", "0:1"},
		{`b`, "ascii wide", "xb\x00b\x00", "1:1 3:1"},
		{`b`, "wide", "b\x00", "0:2"},
		{`b`, "ascii wide nocase", "B\x00", "0:1"},
		{`b`, "ascii wide fullword", "b\x00b\x00", "0:1 2:1"},
		{`a\x00`, "ascii wide", "a\x00\x00\x00", "0:2"},
		{`a\x00`, "ascii wide xor(1-255)", "`\x01\x01\x01", "0:2"},
		{`ab`, "ascii wide", "a\x00b\x00", "0:4"},
	} {
		for _, cond := range []string{"$a", "#a > 0", "!a > 0"} {
			db, why := yaraDB(t, `rule r { strings: $a = "`+c.text+`" `+c.mods+` condition: `+cond+` }`, check.Options{})
			if why != "" {
				t.Fatal(why)
			}
			for _, src := range []showcause.Source{showcause.Bytes(c.data), streamed(c.data)} {
				var got []string
				for _, f := range scan.New(db, scan.Options{TopOnly: true}).Scan(src).Findings {
					for _, m := range f.Matches {
						got = append(got, fmt.Sprintf("%d:%d", m.Offset, m.Length))
					}
				}
				if s := strings.Join(got, " "); s != c.want {
					t.Errorf("%q %s, %s, in %q: %s, want %s", c.text, c.mods, cond, c.data, s, c.want)
				}
			}
		}
	}
}

// What writes is run wherever YARA runs it, decided or not: measured with yara 4.2.3.
func TestYARAConsole(t *testing.T) {
	const rules = `import "console"
rule r1 { condition: console.log("1") or true }
rule r2 { condition: false and console.log("no") }
rule r3 { condition: console.log("3") and true }
rule r4 { condition: true or console.log("no") }
rule r5 { condition: console.log("5") and false }
rule r6 { condition: (console.log("6") or false) or true }
rule r7 { condition: for any i in (1..3) : (console.log("7 ", i) and i == 2) or true }
rule r8 { strings: $a = "zzzz" condition: console.log("8") and $a }
rule r9 { strings: $a = "zzzz" condition: $a or (console.log("9") and $a) }
rule r10 { strings: $a = "zzzz" condition: $a and console.log("no") }
rule r11 { strings: $a = "zzzz" condition: uint16(0) == 0x5a4d and console.log("no") and $a }
rule r12 { strings: $a = "zzzz" condition: console.log("12") and uint16(0) == 0x5a4d and $a }
rule r13 { strings: $a = "zzzz" condition: uint8(0) == 0x62 and console.log("13") and #a == 3 }
rule r14 { condition: (false and console.log("no")) and true }
rule r15 { condition: not ((true or console.log("no")) and true) }
rule r16 { condition: (console.log("16") and false) and true }
rule r17 { condition: ((false and console.log("no")) or console.log("17")) and false }`
	const want = "1 3 5 6 7 1 7 2 8 9 12 13 16 17"
	const holding = "r1 r3 r4 r6 r7"
	for _, d := range []source.Dialect{source.YARA, source.YARAX, source.Either} {
		db, why := yaraDB(t, rules, check.Options{Dialect: d})
		if why != "" {
			t.Fatal(why)
		}
		var lines []string
		if got := fired(db, scan.Options{TopOnly: true, Log: func(s string) { lines = append(lines, s) }}, showcause.Bytes("bytes"), nil); got != holding {
			t.Errorf("%s: %q hold, want %q", d, got, holding)
		}
		if got := strings.Join(lines, " "); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

// A string that costs too much is given up alone: the others are found, and that it was
// is told. A rule that asks for what was given up is not known not to hold.
func TestYARAShares(t *testing.T) {
	data := []byte(strings.Repeat("a", 20_000) + "b")
	const rules = `
rule count { strings: $a = "a" condition: #a > 15000 }
rule place { strings: $a = "a" condition: $a at 19999 }
rule jump { strings: $a = { 61 [-] 62 } condition: $a }
rule end { strings: $a = "ab" condition: $a }
rule text { strings: $a = "aaaab" condition: #a == 1 }
rule greedy { strings: $a = /a+/ condition: #a > 15000 }
rule without { strings: $a = /a+/ condition: #a < 15000 }
rule not_greedy { condition: not greedy }
rule also { condition: end and not without }
rule square { strings: $a = /a+c/ condition: $a }
rule half { strings: $a = /a+/ $b = "ab" condition: $b and (#a > 15000 or true) }`
	db, why := yaraDB(t, rules, check.Options{Dialect: source.YARA})
	if why != "" {
		t.Fatal(why)
	}
	for _, src := range []showcause.Source{showcause.Bytes(data), streamed(data)} {
		r := scan.New(db, scan.Options{TopOnly: true, MaxMatches: 100_000, Limits: showcause.Limits{Work: 2_000_000}}).Scan(src)
		found := map[string]int{}
		for _, f := range r.Findings {
			found[f.Rule] = len(f.Matches)
		}
		for _, name := range []string{"count", "place", "jump", "end", "text"} {
			if found[name] == 0 {
				t.Errorf("%s is not found", name)
			}
		}
		if found["count"] != 20_000 {
			t.Errorf("%d matches, want 20,000", found["count"])
		}
		for _, name := range []string{"without", "not_greedy", "also", "square"} {
			if _, ok := found[name]; ok {
				t.Errorf("%s is told to hold, of which nothing is known", name)
			}
		}
		if len(r.Gaps) == 0 || r.Gaps[0].Code != showcause.LimitWork || r.Spent.Work > 4_000_000 {
			t.Errorf("gaps %v, spent %+v", r.Gaps, r.Spent)
		}
		// With enough steps all is known.
		r = scan.New(db, scan.Options{TopOnly: true}).Scan(src)
		if len(r.Gaps) > 0 || len(r.Findings) != 8 {
			t.Errorf("%d found, gaps %v", len(r.Findings), r.Gaps)
		}
	}
}
