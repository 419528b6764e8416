package fields

import (
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/regex"
	"github.com/showcause/showcause/regex/syntax"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

const matchSteps = 1 << 22 // of all matches that one call of a function makes

// want is what a function looks for: a text without case, an expression or a
// number.
type want struct {
	kind    module.Kind
	text    string
	number  int64
	program regex.Program
	matcher *regex.Matcher
}

// want is an argument of a function, false if it is none that can be looked for.
func (l *Layer) want(v module.Value, d source.Dialect) (want, bool) {
	w := want{kind: v.Kind, text: v.Text, number: v.Int}
	if v.Kind != module.Regexp {
		return w, v.Kind == module.String || v.Kind == module.Int
	}
	flags := syntax.Flags{Dialect: syntax.YARAX, CaseInsensitive: strings.Contains(v.Flags, "i"), DotAll: strings.Contains(v.Flags, "s")}
	if d == source.YARA {
		flags.Dialect = syntax.YARA4
	}
	t, err := syntax.Parse(v.Text, flags)
	if err != nil && d != source.YARA {
		flags.Relaxed = true
		t, err = syntax.Parse(v.Text, flags)
	}
	if err != nil {
		flags.Dialect = syntax.YARA4
		t, err = syntax.Parse(v.Text, flags)
	}
	if err != nil {
		return w, false
	}
	w.program, _, err = regex.Compile(t, regex.Options{Ascii: true, Reach: -1})
	w.matcher = &regex.Matcher{Limit: matchSteps}
	return w, err == nil
}

// in tells whether a text is what is wanted. empty says whether a match of no
// bytes counts.
func (w *want) in(s string, empty bool) bool {
	if w.kind != module.Regexp {
		return sameText(w.text, s)
	}
	if empty {
		return w.matcher.Contains(0, w.program, textInput(s))
	}
	found := false
	w.matcher.Scan(0, w.program, textInput(s), 0, int64(len(s)), func(_, n int64) bool {
		found = n > 0
		return !found
	})
	return found
}

// exhausted charges what was done, and tells of a gap if it was too much.
func (l *Layer) exhausted(w *want) {
	if w.matcher != nil && (w.matcher.Exhausted() || !l.work(w.matcher.Steps>>6)) {
		l.gap(showcause.LimitWork)
	}
}

// sameText compares without the case of ASCII letters.
func sameText(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		x, y := a[i], b[i]
		if x != y && (x|0x20 != y|0x20 || x|0x20 < 'a' || x|0x20 > 'z') {
			return false
		}
	}
	return true
}

// textInput is a text as the input of an expression.
type textInput string

// Size is the number of bytes.
func (t textInput) Size() int64 { return int64(len(t)) }

// View gives bytes from off on, at most n.
func (t textInput) View(off, n int64) []byte {
	if off < 0 || off >= int64(len(t)) {
		return nil
	}
	return []byte(t[off:min(int64(len(t)), off+n)])
}
