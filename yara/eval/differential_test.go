package eval

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/source"
)

// grow makes conditions of what versions 4.2 and 4.5 of YARA have alike.
type grow struct {
	*rand.Rand
	vars []string
}

func newGrow(seed uint64) *grow { return &grow{Rand: rand.New(rand.NewPCG(7, seed))} }

func (g *grow) pick(s ...string) string { return s[g.IntN(len(s))] }

// integer makes an integer expression.
func (g *grow) integer(depth int) string {
	if depth <= 0 || g.IntN(4) == 0 {
		if len(g.vars) > 0 && g.IntN(3) == 0 {
			return g.vars[g.IntN(len(g.vars))]
		}
		switch g.IntN(8) {
		case 0:
			return "filesize"
		case 1:
			return "#" + g.pick("a", "b", "c")
		case 2:
			return "@" + g.pick("a", "b", "c")
		case 3:
			return "!" + g.pick("a", "b", "c")
		case 4:
			return g.pick("uint8", "int8", "uint16", "int16be", "uint32be", "int32") + "(" + g.pick("0", "3", "filesize - 1", "filesize", "@b") + ")"
		case 5:
			return g.pick("@", "!") + g.pick("a", "b") + "[" + g.pick("1", "2", "3", "#a") + "]"
		}
		return fmt.Sprint(g.IntN(12))
	}
	x, y := g.integer(depth-1), g.integer(depth-1)
	switch g.IntN(9) {
	case 0:
		return "(-" + x + ")"
	case 1:
		return "(~" + x + ")"
	case 2: // constants may not be divided by zero or shifted by less
		return "(" + x + g.pick(` \ `, " % ") + "(filesize - " + fmt.Sprint(g.IntN(14)) + "))"
	case 3:
		return "(" + x + g.pick(" << ", " >> ") + "(#a + " + fmt.Sprint(g.IntN(3)) + "))"
	}
	return "(" + x + g.pick(" + ", " - ", " * ", " & ", " | ", " ^ ") + y + ")"
}

func (g *grow) text() string { return g.pick(`"abc"`, `"ab"`, `"B"`, `"b"`, `"abcd"`) }

// span makes a range that both versions take: its bounds are in order.
func (g *grow) span() string {
	lo := g.IntN(6)
	return fmt.Sprintf("(%d..%d)", lo, lo+g.IntN(8))
}

// boolean makes a boolean expression.
func (g *grow) boolean(depth int) string {
	if depth <= 0 {
		switch g.IntN(5) {
		case 0:
			return "$" + g.pick("a", "b", "c")
		case 1:
			return "$" + g.pick("a", "b", "c") + " in " + g.span()
		case 2:
			return g.pick("true", "false")
		}
		return g.integer(1) + g.pick(" == ", " != ", " < ", " <= ", " > ", " >= ") + g.integer(1)
	}
	switch g.IntN(14) {
	case 0, 1:
		return "(" + g.boolean(depth-1) + " and " + g.boolean(depth-1) + ")"
	case 2, 3:
		return "(" + g.boolean(depth-1) + " or " + g.boolean(depth-1) + ")"
	case 4:
		return "not " + g.boolean(depth-1)
	case 5:
		return "defined (" + g.boolean(depth-1) + ")"
	case 6:
		return "$" + g.pick("a", "b", "c") + " at " + g.integer(depth-1)
	case 7:
		return g.text() + " " + g.pick("contains", "icontains", "startswith", "endswith", "iendswith", "iequals") + " " + g.text()
	case 8:
		return g.quantifier() + " of " + g.pick("them", "($a, $b)", "($*)")
	case 9:
		return g.pick("any", "all", "none", "2") + " of them in " + g.span()
	case 10:
		// Before 4.3 "none" and 0 always hold here.
		return "for " + g.pick("any", "all", "1", "2", "50%") + " of them : (" + g.pick("$", "# > 1", "@ < 4", "$ in (0..3)", "!= 1") + ")"
	case 11, 12:
		if len(g.vars) < 3 {
			v := string(rune('i' + len(g.vars)))
			// Ranges are short: a rule that goes round for long has no answer.
			lo := g.pick("0", "1", "#a", "@a", "uint8(1)")
			in := g.pick("("+lo+".."+g.pick("4", "9", "#b", "filesize", lo+" + 3")+")", "(1, 2, "+g.integer(1)+")", "(0.."+"#a)")
			q := g.pick("any", "all", "1", "2")
			g.vars = append(g.vars, v)
			body := g.boolean(depth - 1)
			g.vars = g.vars[:len(g.vars)-1]
			return "for " + q + " " + v + " in " + in + " : (" + body + ")"
		}
	}
	return g.integer(depth) + g.pick(" == ", " != ", " < ", " <= ", " > ", " >= ") + g.integer(depth)
}

func (g *grow) quantifier() string {
	return g.pick("any", "all", "none", "1", "2", "(#a - 1)", "50%", "34%")
}

// TestDifferential holds generated conditions against the installed yara. A loop
// over a range that is not in order stops its scan of the file (4.2) with an
// error, which gives no answer.
func TestDifferential(t *testing.T) {
	yara, err := exec.LookPath("yara")
	if err != nil {
		t.Skip("yara is not installed")
	}
	dir := t.TempDir()
	answered, held := 0, 0
	for round := range 60 {
		g := newGrow(uint64(round))
		bin := []byte(g.pick("abcdabc-bab", "xxabxab", "", "abcabcabcabc", "\xff\x80ab\x00\x01\x02b"))
		target := filepath.Join(dir, "target")
		if err := os.WriteFile(target, bin, 0o600); err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		conds := make([]string, 12)
		for i := range conds {
			conds[i] = strings.ReplaceAll(g.boolean(3), "(!= 1)", "(! == 1)")
			fmt.Fprintf(&b, "rule r%d { strings: $a = \"ab\" $b = \"b\" $c = \"abc\" condition: (%s) and #a >= 0 and #b >= 0 and #c >= 0 }\n", i, conds[i])
		}
		path := filepath.Join(dir, "r.yar")
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(yara, "-w", "-a", "2", path, target).CombinedOutput()
		if err != nil || strings.Contains(string(out), "error") {
			continue
		}
		var set source.Sources
		src, err := set.Add("r.yar", b.String())
		if err != nil {
			t.Fatal(err)
		}
		res := check.Check(&set, []check.Input{{Source: src}}, check.Options{Dialect: source.YARA})
		if res.Failed() {
			for _, d := range res.Diags {
				if d.Severity == source.Error {
					var why strings.Builder
					set.Render(&why, d)
					t.Errorf("refused, and yara takes it:\n%s", why.String())
				}
			}
			continue
		}
		got := Run(res, &input{data: bin, res: res, cache: map[string][]Match{}}, Options{})
		for i, r := range res.Rules {
			want := strings.Contains(string(out), fmt.Sprintf("r%d ", i))
			answered++
			if want {
				held++
			}
			if got.Holds[r] != want {
				t.Errorf("%v, yara has %v, over %q:\n%s", got.Holds[r], want, bin, conds[i])
			}
		}
	}
	t.Logf("%d conditions, of which %d hold", answered, held)
	if answered < 200 {
		t.Errorf("only %d conditions were answered", answered)
	}
}
