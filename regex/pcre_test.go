package regex

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/showcause/showcause/regex/syntax"
)

// pcreOptions are PCRE2's compile options for flags (pcre2.h).
func pcreOptions(f syntax.Flags) (o uint32) {
	for _, b := range []struct {
		on  bool
		bit uint32
	}{
		{f.CaseInsensitive, 0x8},
		{f.DollarEnd, 0x10},
		{f.DotAll, 0x20},
		{f.Extended, 0x80},
		{f.Multiline, 0x400},
		{f.Ungreedy, 0x40000},
		{f.Anchored, 0x80000000},
	} {
		if b.on {
			o |= b.bit
		}
	}
	return o
}

type pcreCase struct {
	src  string
	f    syntax.Flags
	data []byte
}

// askPCRE runs the cases through PCRE2; it skips the test where that is not there.
func askPCRE(t *testing.T, cases []pcreCase) []string {
	var in strings.Builder
	for _, c := range cases {
		fmt.Fprintf(&in, "%x %s %s\n", pcreOptions(c.f), hex.EncodeToString([]byte(c.src)), hex.EncodeToString(c.data))
	}
	cmd := exec.Command("python3", "testdata/pcre.py")
	cmd.Stdin = strings.NewReader(in.String())
	out, err := cmd.Output()
	if err != nil {
		t.Skip("no python3 with libpcre2-8: ", err)
	}
	return strings.Split(string(out), "\n")
}

// firstOf is what we say, in the words of the script.
func firstOf(c pcreCase) (string, error) {
	tree, err := syntax.Parse(c.src, c.f)
	if err != nil {
		return "error", err
	}
	p, _, err := Compile(tree, Options{})
	if err != nil {
		return "error", err
	}
	m := &Matcher{}
	got := "none"
	m.Scan(1, p, bytesInput(c.data), 0, int64(len(c.data))+1, func(off, n int64) bool {
		got = fmt.Sprint(off, off+n)
		return false
	})
	if m.Abandoned > 0 && got == "none" {
		got = "limit"
	}
	return got, nil
}

var pcrePieces = []string{
	"a", "b", "ab", "c", ".", `\d`, `\w`, `\W`, `\s`, "[ab]", "[^a]", `[\w.-]`, `\x61`, `\141`, `\n`, `\N`, `\h`, `\v`, `\R`,
	"^", "$", `\b`, `\B`, `\A`, `\z`, `\Z`, `\G`, `\K`,
	"*", "+", "?", "{2}", "{1,2}", "{,2}", "{2,}", "*?", "+?", "??", "*+", "++", "?+", "{1,2}+",
	"(", ")", "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?<n>", "|", `\1`, `\2`, `\g{-1}`, `\k<n>`, "(?i)", "(?s)", "(?m:", "(?-i)",
	"(?(1)", "(?(?=a)", `\Qa.\E`, "(?#x)", "[[:alpha:]]", "[]a]", "[^]a]", `[\b]`, `\e`, `\cA`, " ", "#", "(?x)", "-", "]", "}", "{",
}

// TestPCRE compares with PCRE2: the first match of generated expressions and
// of arbitrary pieces put together.
func TestPCRE(t *testing.T) {
	n := uint64(9000)
	if testing.Short() {
		n = 900
	}
	var cases []pcreCase
	for seed := range n {
		k := &maker{Rand: rand.New(rand.NewPCG(seed, 51)), d: syntax.PCRE, back: true}
		k.lazy = k.IntN(4) == 0
		var src string
		if seed%2 == 0 {
			src = k.expr(0)
		} else {
			for range 1 + k.IntN(8) {
				src += pcrePieces[k.IntN(len(pcrePieces))]
			}
		}
		f := syntax.Flags{Dialect: syntax.PCRE, CaseInsensitive: k.IntN(4) == 0, DotAll: k.IntN(3) == 0, Multiline: k.IntN(3) == 0, Extended: k.IntN(8) == 0, DollarEnd: k.IntN(4) == 0, Ungreedy: k.IntN(8) == 0, Anchored: k.IntN(10) == 0}
		for range 3 {
			cases = append(cases, pcreCase{src, f, k.data(30)})
		}
	}
	same, bad, refused, lax := 0, 0, map[string]bool{}, map[string]bool{}
	answers := map[string]int{}
	for i, want := range askPCRE(t, cases)[:len(cases)] {
		c := cases[i]
		got, err := firstOf(c)
		kind := want
		if want != "none" && want != "error" && want != "limit" {
			kind = "match"
		}
		answers[kind]++
		switch {
		case got == want:
			same++
		case want == "limit" || got == "limit":
		case got == "error":
			refused[c.src+" "+err.Error()] = true
		case want == "error":
			lax[c.src] = true
		default:
			if bad++; bad < 40 {
				t.Errorf("%q %+v on %q: %s, PCRE2 says %s", c.src, c.f, c.data, got, want)
			}
		}
	}
	t.Logf("%d the same, %d not, %d refused, %d taken that PCRE2 refuses; PCRE2 says %v", same, bad, len(refused), len(lax), answers)
	for s := range refused {
		t.Error("refused: ", s)
	}
	for s := range lax {
		t.Error("taken: ", s)
	}
	if !testing.Short() && answers["match"]+answers["none"] < 3*5000 {
		t.Errorf("%v: fewer than 5,000 expressions that PCRE2 takes", answers)
	}
}
