package check

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause/yara/source"
)

// randomHex makes a hex pattern of what YARA 4.2 has.
func randomHex(g *rand.Rand, depth int) string {
	var b strings.Builder
	n := 1 + g.IntN(5)
	for i := range n {
		byteText := []string{"00", "41", "%02X", "??", "%02X", "FF", "4?", "?4", "20", "90"}[g.IntN(10)]
		if strings.Contains(byteText, "%") {
			byteText = fmt.Sprintf(byteText, g.IntN(256))
		}
		b.WriteString(byteText + " ")
		if i+1 < n && g.IntN(8) == 0 {
			b.WriteString([]string{"[2] ", "[1-4] ", "[0-300] ", "[-] "}[g.IntN(4-2*min(depth, 1))])
		}
		if i+1 < n && depth == 0 && g.IntN(8) == 0 {
			b.WriteString("( " + randomHex(g, 1) + "| " + randomHex(g, 1) + ") ")
		}
	}
	return b.String()
}

func randomText(g *rand.Rand) string {
	text := ""
	for range 1 + g.IntN(5) {
		text += []string{"a", "a", "b", "0", " ", `\x00`, `\xff`, "_"}[g.IntN(8)]
	}
	return `"` + text + `"` + []string{"", " wide", " ascii wide", " nocase", " xor", " xor(1-3)", " fullword"}[g.IntN(7)]
}

func randomRegexp(g *rand.Rand) string {
	text := ""
	for range 1 + g.IntN(4) {
		text += []string{"a", "ab", "[0-9]", "x{3}", "(ab|c)", "(abc|def)", ".", `\x00`, "q+", "z?", `\w{2,}`, ".*", "foo", ".{2,}"}[g.IntN(14)]
	}
	return "/a" + text + "/"
}

// TestSlowAgainstYarac holds the warnings of slow patterns against those of the
// installed yarac.
func TestSlowAgainstYarac(t *testing.T) {
	yarac, err := exec.LookPath("yarac")
	if err != nil {
		t.Skip("yarac is not installed")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "r.yar")
	for _, kind := range []struct {
		name string
		make func(*rand.Rand) string
	}{
		{"hex", func(g *rand.Rand) string { return "{ " + randomHex(g, 0) + "}" }},
		{"text", randomText},
		{"regexp", randomRegexp},
	} {
		g := rand.New(rand.NewPCG(11, 12))
		total, slow, odd := 0, 0, 0
		for range 6 {
			var patterns []string
			var text strings.Builder
			for i := range 6 {
				p := kind.make(g)
				patterns = append(patterns, p)
				fmt.Fprintf(&text, "rule r%d { strings: $a%d = %s condition: all of them }\n", i, i, p)
			}
			if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(yarac, path, filepath.Join(dir, "out")).CombinedOutput()
			if err != nil {
				t.Fatalf("%s\n%s", out, text.String())
			}
			r, set := run(t, text.String(), Options{Dialect: source.YARA})
			if r.Failed() {
				t.Fatal(render(set, r.Diags))
			}
			for i, p := range patterns {
				total++
				want := [2]bool{
					strings.Contains(string(out), fmt.Sprintf("string \"$a%d\" may slow", i)),
					strings.Contains(string(out), fmt.Sprintf(" $a%d contains .*", i)),
				}
				var got [2]bool
				for _, d := range r.Diags {
					if at := r.Rules[i].Span; d.Range().Start >= at.Start && d.Range().End <= at.End {
						got[0] = got[0] || d.Code == source.SlowPattern
						got[1] = got[1] || d.Code == source.GreedyDotStar
					}
				}
				if want[0] {
					slow++
				}
				if got != want {
					odd++
					t.Errorf("%s: slow and dots %v, yarac has %v", p, got, want)
				}
			}
		}
		t.Logf("%s: %d patterns, %d slow, %d answered otherwise", kind.name, total, slow, odd)
	}
}
