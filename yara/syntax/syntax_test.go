package syntax

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/showcause/showcause/yara/source"
)

// dump writes a tree without its places.
func dump(v any) string {
	var b strings.Builder
	dumpTo(&b, reflect.ValueOf(v))
	return b.String()
}

func dumpTo(b *strings.Builder, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			b.WriteString("nil")
			return
		}
		dumpTo(b, v.Elem())
	case reflect.Struct:
		b.WriteString(v.Type().Name() + "{")
		for i := range v.NumField() {
			t := v.Type().Field(i)
			switch t.Type {
			case reflect.TypeFor[source.Span](), reflect.TypeFor[source.Pos](), reflect.TypeFor[[]source.Pos](),
				reflect.TypeFor[*source.Source](), reflect.TypeFor[Section](), reflect.TypeFor[[]Comment]():
				continue
			}
			b.WriteString(t.Name + ":")
			dumpTo(b, v.Field(i))
			b.WriteByte(' ')
		}
		b.WriteString("}")
	case reflect.Slice:
		b.WriteString("[")
		for i := range v.Len() {
			dumpTo(b, v.Index(i))
			b.WriteByte(' ')
		}
		b.WriteString("]")
	case reflect.String:
		b.WriteString(strconv.Quote(v.String()))
	case reflect.Uint8, reflect.Uint32:
		b.WriteString(strconv.FormatUint(v.Uint(), 10))
	case reflect.Int64:
		b.WriteString(strconv.FormatInt(v.Int(), 10))
	case reflect.Bool:
		b.WriteString(strconv.FormatBool(v.Bool()))
	default:
		fmt.Fprint(b, v.Interface())
	}
}

func parse(t testing.TB, text string, d source.Dialect) (*File, []*source.Diagnostic, *source.Sources) {
	var set source.Sources
	src, err := set.Add("test.yar", text)
	if err != nil {
		t.Fatal(err)
	}
	f, diags := Parse(src, d)
	return f, diags, &set
}

func render(set *source.Sources, diags []*source.Diagnostic) string {
	var b strings.Builder
	for _, d := range diags {
		set.Render(&b, d)
	}
	return b.String()
}

// roundTrip formats what reads without errors and holds the properties of Format.
func roundTrip(t testing.TB, name, text string, d source.Dialect) bool {
	t.Helper()
	f, diags, _ := parse(t, text, d)
	if len(diags) > 0 {
		return false
	}
	once := Format(f)
	again, diags, set := parse(t, once, d)
	if len(diags) > 0 {
		t.Errorf("%s: formatted text does not read:\n%s", name, render(set, diags))
		return true
	}
	if a, b := dump(f), dump(again); a != b {
		t.Errorf("%s: another tree after formatting:\n%s", name, unlike(a, b))
		return true
	}
	if a, b := comments(f), comments(again); a != b {
		t.Errorf("%s: other comments after formatting:\n%s", name, unlike(a, b))
		return true
	}
	if twice := Format(again); twice != once {
		t.Errorf("%s: formatting is not idempotent:\n%s", name, unlike(once, twice))
	}
	return true
}

// unlike is where two texts differ.
func unlike(a, b string) string {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	lo := max(0, i-100)
	return fmt.Sprintf("%q\n%q", a[lo:min(len(a), i+60)], b[lo:min(len(b), i+60)])
}

func comments(f *File) string {
	var b strings.Builder
	for _, c := range f.Comments {
		b.WriteString(c.Text + "\n")
	}
	return b.String()
}

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

// TestRuleSets reads and formats the public rule sets in every dialect.
func TestRuleSets(t *testing.T) {
	for _, set := range []string{"signature-base", "reversinglabs", "mandiant"} {
		n := 0
		err := filepath.WalkDir(data(t, "yara/"+set), func(path string, e fs.DirEntry, err error) error {
			if ext := filepath.Ext(path); err != nil || ext != ".yar" && ext != ".yara" {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, d := range []source.Dialect{source.Either, source.YARA, source.YARAX} {
				if _, diags, set := parse(t, string(text), d); len(diags) > 0 {
					t.Errorf("%s is refused in %s:\n%s", path, d, render(set, diags))
				}
			}
			if n++; n%5 == 0 || os.Getenv("SHOWCAUSE_LONG") != "" {
				roundTrip(t, filepath.Base(path), string(text), source.Either)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			t.Errorf("%s: no files", set)
		}
		t.Logf("%s: %d files", set, n)
	}
}

// conformance gives the rules of the conformance cases.
func conformance(t testing.TB, visit func(id, suite, expect, code, rule string)) {
	text, err := os.ReadFile(data(t, "yara/conformance.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var c struct{ ID, Suite, Expect, Error, Rule, Rule_hex string }
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		if c.Rule_hex != "" {
			b, err := hex.DecodeString(c.Rule_hex)
			if err != nil {
				t.Fatal(err)
			}
			c.Rule = string(b)
		}
		visit(c.ID, c.Suite, c.Expect, c.Error, c.Rule)
	}
}

// TestConformance holds that what is no error reads, in its own dialect and in
// both, and that it formats.
func TestConformance(t *testing.T) {
	conformance(t, func(id, suite, expect, code, rule string) {
		if expect == "compile_error" {
			return
		}
		dialect := source.YARA
		if suite == "yara-x" {
			dialect = source.YARAX
		}
		for _, d := range []source.Dialect{dialect, source.Either} {
			if !roundTrip(t, id, rule, d) {
				_, diags, set := parse(t, rule, d)
				t.Errorf("%s: refused in %s:\n%s", id, d, render(set, diags))
			}
		}
	})
}

// seeds are rules with comments in places that formatting could lose.
var seeds = []string{
	"",
	"// only a comment",
	"import \"pe\" // why\n\n\n// rule\nrule a : t1 t2 { meta: a = \"x\" b = -5 c = true strings: $a = { 01 ?? [4] ( 0? | ~41 [1-2] 03 ) } private condition: $a }",
	"/* a */ private /* b */ global /* c */ rule /* d */ x /* e */ : /* f */ t /* g */ { /* h */ condition /* i */ : /* j */ true /* k */ } /* l */",
	"rule a { strings: $a = { 01 // one\n 02 /* two */ [ /* x */ 1 - 2 ] 03\n\n // last\n } condition: // c1\n $a and // c2\n // c3\n #a > 1 or (\n not defined @a[1] // c4\n or !a[2] == 3) // c5\n // c6\n }\n// end",
	"rule a { condition: for all i in (0..filesize - 1) : ( uint8(i) == 0 ) and any of them and 50% of ($a*, $b) in (1..2) and none of (a, b*) }",
	"rule a { condition: with x = 1, y = 2 : (x + y == 3) or for any k, v in m.d : (k == \"a\" and v) }",
	"rule a { strings: $ = \"a\" xor(1-5) wide $b = /a\\/b/is nocase $c = \"abc\" base64(\"0123456789012345678901234567890123456789012345678901234567890123\") condition: all of them }",
	"rule a { condition: \"a\" matches /x/ and 1 + 2 * -3 << ~4 & 5 ^ 6 | 7 % 8 \\ 9 - 1 == 2 }",
	"rule a { condition: a.b[1].c(1, \"x\").len() == 10KB or 1.5 < 2 }",
	"include \"a.yar\"\nrule a { condition: true }\ninclude \"b.yar\"\n",
	"rule a { meta: m = \"\"\"x\ny\"\"\" condition: \"\\x00\\\"\" contains \"b\" }",
	"rule a { condition: any of (true, 1 == 1, $a at 3) }",
	"rule a {\n\tstrings:\n\t\t$a = \"x\"\n\n\t\t// group\n\t\t$b = \"y\" ascii // tail\n\tcondition:\n\t\t$a\n\t\tand /* x\n\t\ty */ $b\n}\n",
}

func TestFormatSeeds(t *testing.T) {
	for i, s := range seeds {
		if !roundTrip(t, fmt.Sprint(i), s, source.Either) {
			_, diags, set := parse(t, s, source.Either)
			t.Errorf("seed %d:\n%s", i, render(set, diags))
		}
	}
}

// TestTruncated reads every prefix of the seeds: no panic, and an error or a whole tree.
func TestTruncated(t *testing.T) {
	for _, s := range seeds {
		for n := range len(s) {
			for _, d := range []source.Dialect{source.Either, source.YARA, source.YARAX} {
				roundTrip(t, s[:n], s[:n], d)
			}
		}
	}
}

// TestHostile holds that texts made to exhaust the reader get an error, or are read.
func TestHostile(t *testing.T) {
	n := 100000
	rep := strings.Repeat
	cases := []struct {
		name, cond string
		code       source.Code
	}{
		{"brackets", rep("(", n) + "true" + rep(")", n), source.NestingTooDeep},
		{"not", rep("not ", n) + "true", source.NestingTooDeep},
		{"minus", rep("-", n) + "1 == 1", source.NestingTooDeep},
		{"index", rep("a[", n) + "1" + rep("]", n), source.NestingTooDeep},
		{"calls", rep("a(", n) + "1" + rep(")", n), source.NestingTooDeep},
		{"fields", "a" + rep(".a", n), source.NestingTooDeep},
		{"loops", rep("for any i in (1..2) : (", n) + "true" + rep(")", n), source.NestingTooDeep},
		{"plus", "1" + rep("+1", n) + " == 1", source.NestingTooDeep},
		{"compare", "1" + rep("<1", n), source.NestingTooDeep},
		{"or", "true" + rep(" or true", n), ""},
		{"set", "for any i in (1" + rep(",1", n) + ") : (true)", ""},
	}
	for _, c := range cases {
		_, diags, _ := parse(t, "rule a { condition: "+c.cond+" }", source.Either)
		switch {
		case c.code == "" && len(diags) > 0:
			t.Errorf("%s: %s", c.name, diags[0].Title)
		case c.code != "" && (len(diags) == 0 || diags[0].Code != c.code):
			t.Errorf("%s: not %s: %v", c.name, c.code, diags)
		}
	}
	hexes := []struct {
		name, text string
		code       source.Code
	}{
		{"alternatives", "01 (02" + rep("|03", n) + ") 04", ""},
		{"nested", "01 " + rep("(01 | ", n) + "02" + rep(")", n), source.NestingTooDeep},
		{"long", rep("01 ", 1<<20+1), source.TooLarge},
	}
	for _, c := range hexes {
		_, diags, _ := parse(t, "rule a { strings: $a = { "+c.text+" } condition: $a }", source.Either)
		if got := first(diags); got != c.code {
			t.Errorf("%s: %q, want %q", c.name, got, c.code)
		}
	}
	if _, diags, _ := parse(t, rep("rule a { ", n), source.Either); len(diags) > maxErrors {
		t.Errorf("%d errors", len(diags))
	}
}

func first(diags []*source.Diagnostic) source.Code {
	if len(diags) == 0 {
		return ""
	}
	return diags[0].Code
}

func FuzzParse(f *testing.F) {
	for _, s := range seeds {
		f.Add(s, byte(0))
		f.Add(s, byte(1))
	}
	f.Fuzz(func(t *testing.T, text string, d byte) {
		roundTrip(t, "fuzz", text, source.Dialect(d%3))
	})
}

// TestUnclosedComment holds that the end of the text ends a comment, but in YARA-X.
func TestUnclosedComment(t *testing.T) {
	for _, text := range []string{"/*", "/* ", "/*/", "/* a\n", "rule a { condition: true } /* end \n\n", "// a\n/**"} {
		for _, d := range []source.Dialect{source.Either, source.YARA, source.YARAX} {
			if read := roundTrip(t, text, text, d); read != (d != source.YARAX) {
				t.Errorf("%q in %s: %v", text, d, read)
			}
		}
	}
}

// TestBrackets pins how many brackets may stand in each other.
func TestBrackets(t *testing.T) {
	for _, c := range []struct {
		n    int
		leaf string
		ok   bool
	}{{1000, "true", true}, {1000, "$a", true}, {1001, "true", false}, {100_000, "true", false}} {
		var set source.Sources
		src, err := set.Add("t", "rule a { strings: $a = \"abc\" condition: "+strings.Repeat("(", c.n)+c.leaf+strings.Repeat(")", c.n)+" }")
		if err != nil {
			t.Fatal(err)
		}
		_, diags := Parse(src, source.Either)
		if ok := len(diags) == 0; ok != c.ok || !ok && diags[0].Code != source.NestingTooDeep {
			t.Errorf("%d brackets: %v", c.n, diags)
		}
	}
}
