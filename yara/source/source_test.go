package source

import (
	"strings"
	"testing"
)

func add(t *testing.T, s *Sources, name, text string) *Source {
	t.Helper()
	src, err := s.Add(name, text)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func span(s *Source, from, to int) Span { return Span{s.At(from), s.At(to)} }

// TestPlaces finds every place of two sources, their ends included.
func TestPlaces(t *testing.T) {
	var set Sources
	a := add(t, &set, "a", "one\ntwö\r\n")
	b := add(t, &set, "b", "")
	c := add(t, &set, "c", "x")
	for _, s := range []*Source{a, b, c} {
		for off := range len(s.Text) + 1 {
			if got := set.Find(s.At(off)); got != s {
				t.Errorf("offset %d of %s: %v", off, s.Name, got)
			}
		}
	}
	if set.Find(0) != nil {
		t.Error("no place is in a source")
	}
	for off, want := range map[int][2]int{0: {1, 1}, 3: {1, 4}, 4: {2, 1}, 8: {2, 4}, 9: {2, 5}, 10: {3, 1}} {
		if line, col := a.Line(a.At(off)); [2]int{line, col} != want {
			t.Errorf("offset %d is at %d:%d, want %v", off, line, col, want)
		}
	}
	if got := a.Slice(span(a, 4, 8)); got != "twö" {
		t.Errorf("%q", got)
	}
	if got := b.Slice(span(a, 0, 1)); got != "" {
		t.Errorf("a span of another source gives %q", got)
	}
}

// TestRender pins how diagnostics look.
func TestRender(t *testing.T) {
	var set Sources
	a := add(t, &set, "a.yar", "one two\n\tthree\x1b\u202efour\n")
	b := add(t, &set, "b.yar", strings.Repeat("x", 500)+"HERE"+strings.Repeat("y", 500))
	for _, c := range []struct {
		d    Diagnostic
		want string
	}{
		{Diagnostic{Code: "c", Title: "title", Labels: []Label{{span(a, 4, 7), "this"}, {span(a, 0, 3), "that"}}}, `error[c]: title
 --> a.yar:1:5
  |
1 | one two
  |     ^^^ this
  | --- that
`},
		{Diagnostic{Code: "c", Severity: Warning, Title: "title", Labels: []Label{{span(a, 9, 14), ""}}, Notes: []string{"n"}}, `warning[c]: title
 --> a.yar:2:2
  |
2 |     three` + "\uFFFD\uFFFD" + `four
  |     ^^^^^
  = note: n
`},
		{Diagnostic{Code: "c", Title: "title", Labels: []Label{{span(a, 0, 3), "x"}}, Fix: &Fix{span(a, 0, 3), "1", "count"}}, `error[c]: title
 --> a.yar:1:1
  |
1 | one two
  | ^^^ x
  = help: count
1 - one two
1 + 1 two
`},
		{Diagnostic{Code: "c", Title: "title", Labels: []Label{{span(b, 500, 504), "x"}, {span(a, 0, 3), "y"}}}, `error[c]: title
 --> b.yar:1:501
  |
1 | ` + strings.Repeat("x", 60) + "HERE" + strings.Repeat("y", 176) + `
  | ` + strings.Repeat(" ", 60) + `^^^^ x
 ::: a.yar:1:1
  |
1 | one two
  | --- y
`},
		{Diagnostic{Code: "c", Title: "nowhere"}, "error[c]: nowhere\n"},
		{Diagnostic{Code: "c", Title: "title", Labels: []Label{{span(a, 0, 20), "over lines"}}}, `error[c]: title
 --> a.yar:1:1
  |
1 | one two
  | ^^^^^^^ over lines
`},
	} {
		var out strings.Builder
		if err := set.Render(&out, &c.d); err != nil || out.String() != c.want {
			t.Errorf("%v\n%s\nwant\n%s", err, out.String(), c.want)
		}
	}
}

func TestJSON(t *testing.T) {
	var set Sources
	a := add(t, &set, "a.yar", "one\ntwo")
	d := Diagnostic{Code: "c", Title: "t", Labels: []Label{{span(a, 4, 7), "l"}}, Fix: &Fix{span(a, 4, 7), "2", "w"}}
	got, err := set.JSON(&d)
	want := `{"code":"c","severity":"error","title":"t","labels":[{"file":"a.yar","start":4,"end":7,"line":2,"column":1,"end_line":2,"end_column":4,"text":"l"}],` +
		`"fix":{"file":"a.yar","start":4,"end":7,"line":2,"column":1,"end_line":2,"end_column":4,"text":"2"},"why":"w"}`
	if err != nil || string(got) != want {
		t.Errorf("%v %s", err, got)
	}
}

// TestDialects pins which dialects have what others have.
func TestDialects(t *testing.T) {
	for _, d := range []Dialect{Either, YARA, YARAX} {
		if !d.In(Either) || !d.In(d) || !Either.In(d) {
			t.Error(d)
		}
	}
	if YARA.In(YARAX) || YARAX.In(YARA) {
		t.Error("the dialects are one")
	}
}

// TestNames holds that an error has at most one name in YARA, and warnings none.
func TestNames(t *testing.T) {
	if got := SyntaxError.YARAName(); got != "ERROR_SYNTAX_ERROR" {
		t.Error(got)
	}
	if got := IntegerOverflow.YARAName(); got != "ERROR_INTEGER_OVERFLOW" {
		t.Error(got)
	}
	if got := SlowPattern.YARAName(); got != "" {
		t.Error(got)
	}
}
