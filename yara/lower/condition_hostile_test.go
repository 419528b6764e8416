package lower

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/code"
	"github.com/showcause/showcause/yara/source"
)

// list is n texts made by a format, joined.
func list(n int, format, sep string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(sep)
		}
		if strings.Contains(format, "%") {
			fmt.Fprintf(&b, format, i)
		} else {
			b.WriteString(format)
		}
	}
	return b.String()
}

// TestHostile holds that conditions made to exhaust the compiler are refused
// with a code, or compiled, within bounded memory.
func TestHostile(t *testing.T) {
	rep := strings.Repeat
	n := 100000
	for _, c := range []struct {
		name, cond string
		code       source.Code // empty: it is read
		large      bool        // it is read, and too large to be compiled
	}{
		{"brackets", rep("(", n) + "true" + rep(")", n), source.NestingTooDeep, false},
		{"nots", rep("not ", n) + "true", source.NestingTooDeep, false},
		{"defineds", rep("defined ", n) + "true", source.NestingTooDeep, false},
		{"minuses", rep("-", n) + "1 == 1", source.NestingTooDeep, false},
		{"tildes", rep("~", n) + "1 == 1", source.NestingTooDeep, false},
		{"sums", "filesize" + rep("+filesize", n) + " == 1", source.NestingTooDeep, false},
		{"sum to the right", rep("(1+", n) + "filesize" + rep(")", n) + " == 1", source.NestingTooDeep, false},
		{"comparisons", "filesize" + rep(" == filesize", n), source.NestingTooDeep, false},
		{"indexes", rep("@a[", n) + "1" + rep("]", n) + " == 1", source.NestingTooDeep, false},
		{"reads", rep("uint8(", n) + "1" + rep(")", n) + " == 1", source.NestingTooDeep, false},
		{"loops", rep("for any i in (1..2) : (", n) + "true" + rep(")", n), source.NestingTooDeep, false},
		{"loops over patterns", rep("for any of them : (", n) + "$" + rep(")", n), source.NestingTooDeep, false},
		{"withs", rep("with i = 1 : (", n) + "i == 1" + rep(")", n), source.NestingTooDeep, false},
		{"deep, in order", rep("(1+", 400) + "filesize" + rep(")", 400) + " == 1", "", false},
		{"deep loops, in order", rep("for any i in (1..2) : (", 200) + "i == filesize" + rep(")", 200), "", false},
		{"deep loops over patterns, in order", rep("for any of them : (", 200) + "$" + rep(")", 200), "", false},
		{"alternatives", "filesize == 1" + rep(" or filesize == 2", n), "", false},
		{"conjuncts", "uint8(0) == 1" + rep(" and uint8(1) == 2", n), "", false},
		{"places", "uint8(0) == 1 and " + list(20000, "uint8(%d) == 2", " and "), "", false},
		{"matches", "$a at 0 and " + list(20000, "$a at %d", " or "), "", false},
		{"conditions of a set", "any of (true" + rep(", $a", n) + ")", "", false},
		{"texts", list(20000, `"a%d" == "b"`, " or "), "", false},
		{"regular expressions", list(3000, `"a" matches /a%d/`, " or "), "", false},
		{"numbers", "for any i in (1" + rep(", 2", 60000) + ") : (i == filesize)", "", false},
		{"too many numbers", "for any i in (1" + rep(", 2", n) + ") : (i == filesize)", source.TooLarge, false},
		{"too many texts", `for any s in ("a"` + rep(`, "b"`, n) + `) : (s == "b")`, source.TooLarge, false},
		{"too many variables", "with " + list(30000, "v%d = filesize", ", ") + " : (true)", source.TooLarge, false},
		{"variables", "with " + list(5000, "v%d = filesize", ", ") + " : (" + list(5000, "v%d == 1", " or ") + ")", "", false},
		{"percents", "for 50% i in (1..2) : (true) and " + list(10000, "50%% of them and filesize > %d", " and "), "", false},
	} {
		text := `rule r { strings: $a = "ab" $b = "b" condition: (` + c.cond + `) and any of them }`
		var set source.Sources
		src, err := set.Add("t.yar", text)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		res := check.Check(&set, []check.Input{{Source: src}}, check.Options{Dialect: source.YARAX})
		var lowering error
		var got condition
		if !res.Failed() {
			got, lowering = lowerCondition(res, res.Rules[0], nil)
		}
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 400<<20 {
			t.Errorf("%s: %d MB", c.name, grown>>20)
		}
		coded := c.code == ""
		for _, d := range res.Diags {
			coded = coded || d.Code == c.code
		}
		switch {
		case !coded, res.Failed() != (c.code != ""):
			t.Errorf("%s: not %q: %d diagnostics", c.name, c.code, len(res.Diags))
		case c.large != errors.Is(lowering, code.ErrTooLarge) || !c.large && lowering != nil:
			t.Errorf("%s: %v", c.name, lowering)
		case c.code == "" && !c.large:
			in := newInput(res, []byte("abab"))
			m := code.Machine{Limit: 1 << 20}
			m.Run(got.code, &host{layerInput: in, rule: res.Rules[0]})
		}
	}
}
