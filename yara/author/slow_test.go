package author

import (
	"bytes"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/yara"
)

// TestProfile finds the rules that take steps, and says why. Nothing is asked of the
// clock.
func TestProfile(t *testing.T) {
	c := yara.NewCompiler(yara.Options{})
	if err := c.AddSource("", "r.yar", `
rule fine1 { strings: $a = "a rare text" condition: $a }
rule loop { condition: for all i in (0..filesize-1) : (uint8(i) != 0x12) }
rule fine2 { strings: $a = "another rare text" condition: $a }
rule often { strings: $a = "ab" condition: #a > 1000000 }
private rule p { condition: filesize > 1 }
rule fine3 { condition: p }
`); err != nil {
		t.Fatal(err)
	}
	res, diags := c.Check()
	corpus := []showcause.Source{showcause.Bytes(bytes.Repeat([]byte("ab"), 20_000)), showcause.Bytes("x")}
	p, err := NewProfile(t.Context(), c, res, diags, corpus)
	if err != nil {
		t.Fatal(err)
	}
	if p.Files != 2 || p.Bytes != 40_001 || p.Rules != 6 {
		t.Errorf("%+v", p)
	}
	steps := map[string]int64{}
	for _, x := range p.Costs {
		steps[x.Rule] = x.Steps
		if x.Rule == "often" && !strings.Contains(strings.Join(x.Why, "\n"), "20000 matches") {
			t.Errorf("why: %q", x.Why)
		}
	}
	if steps["loop"] < 40_000 || steps["often"] < 20_000 {
		t.Errorf("%v", steps)
	}
	for _, name := range []string{"fine1", "fine2"} {
		if steps[name] > 1000 {
			t.Errorf("%s takes %d steps", name, steps[name])
		}
	}
	var b strings.Builder
	if err := p.Text(&b); err != nil || !strings.Contains(b.String(), "default:loop  (r.yar:3)") {
		t.Errorf("%v %s", err, b.String())
	}
}
