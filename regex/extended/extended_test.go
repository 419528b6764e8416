package extended_test

import (
	"testing"

	"github.com/showcause/showcause/regex/extended"
)

// TestMatch: what clamscan 1.4.6 said of the same expressions as file names in a zip (.cdb).
func TestMatch(t *testing.T) {
	for _, c := range []struct {
		re, text string
		want     bool
	}{
		{"one", "one.txt", true},
		{"ONE", "one.txt", false},
		{"(?i)ONE", "one.txt", true},
		{`^one\.txt$`, "one.txt", true},
		{`^one$`, "one\ntwo", false},
		{`one.two`, "one\ntwo", true},
		{`one[^x]two`, "one\ntwo", true},
		{`\.(txt|exe)$`, "sub/two.exe", true},
		{`\d+`, "1", false}, // a letter d
		{`\d+`, "d", true},
		{`[[:digit:]]{3}`, "a123", true},
		{`^.$`, "\xe9", true},
		{"\xe9{2}", "\xe9\xe9", true},
		{`[\xe9]`, "x", true}, // no escape in brackets
		{`^[\.]$`, `\`, true},
		{`^[]a]+$`, "]a", true},
		{`^[^]a]$`, "]", false},
		{"[[.a.]] b", "a b.scr", true},
		{"^[[=-=]]$", "-", true},
		{"^[a[]$", "[", true},
	} {
		re, err := extended.Compile(c.re)
		if err != nil {
			t.Errorf("%q: %v", c.re, err)
		} else if got := re.Match(c.text); got != c.want {
			t.Errorf("%q in %q: %v", c.re, c.text, got)
		}
	}
	for _, bad := range []string{"(one", "[", "a{2,1}", "*", `(?P<x>y)`, "x(?i)y"} {
		if _, err := extended.Compile(bad); err == nil {
			t.Errorf("%q compiled", bad)
		}
	}
}

// FuzzCompile: no expression and no text makes it panic.
func FuzzCompile(f *testing.F) {
	f.Add("(?i)a[^b]{2}|\\.x$", "aaxx")
	f.Add("\xff*", "\xff")
	f.Fuzz(func(t *testing.T, s, text string) {
		if re, err := extended.Compile(s); err == nil {
			re.Match(text)
		}
	})
}
