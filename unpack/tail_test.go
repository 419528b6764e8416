package unpack

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

// TestTail holds that what is behind a format's end is given but for padding and for
// what is in a child already.
func TestTail(t *testing.T) {
	zeros := func(n int) string { return strings.Repeat("\x00", n) }
	ones := func(n int) string { return strings.Repeat("\xff", n) }
	disc := zeros(32768) + "\x01CD001\x01" + zeros(6000)
	for name, c := range map[string]struct {
		tail    string
		covered []Span // from the end on
		want    string
	}{
		"nothing":                 {"", nil, ""},
		"zeros":                   {zeros(200_000), nil, ""},
		"bytes 0xff":              {ones(200_000), nil, ""},
		"both":                    {zeros(3) + ones(500) + zeros(70_000) + ones(16), nil, ""},
		"few bytes 0xff":          {zeros(20) + ones(15), nil, "20+15"},
		"few, then others":        {zeros(20) + ones(3) + "abc", nil, "20+6"},
		"one byte":                {"x", nil, "0+1"},
		"at once":                 {"some text", nil, "0+9"},
		"behind zeros":            {zeros(700) + "\x01\x02\x03" + zeros(9), nil, "700+12"},
		"at a chunk's end":        {zeros(tailChunk-1) + "\x01\x02", nil, fmt.Sprintf("%d+2", tailChunk-1)},
		"0xff over a chunk's end": {zeros(tailChunk-3) + ones(5) + "\x01", nil, fmt.Sprintf("%d+6", tailChunk-3)},
		"a picture":               {"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01", nil, "0+12"},
		"a disc":                  {disc, nil, fmt.Sprintf("0+%d", len(disc))},
		"a disc behind zeros":     {zeros(1024) + disc, nil, ""}, // some place; see below
		"all is a child's":        {"some text", []Span{{0, 9}}, ""},
		"its start is":            {"some text", []Span{{-5, 4}}, "4+5"},
		"its middle is":           {"some text", []Span{{2, 4}, {3, 6}}, "0+2 6+3"},
		"its end is":              {"some text", []Span{{4, 90}}, "0+4"},
		"padding behind a child":  {"text" + zeros(5), []Span{{0, 4}}, ""},
	} {
		src := showcause.Bytes("front" + c.tail)
		var got []string
		whole := 0
		out := NewOut(NewBudget(showcause.Limits{}, src.Size(), nil), nil, func(l showcause.Layer) {
			if l.Trail[0].Op != "x.rest" {
				t.Errorf("%s: op %s", name, l.Trail[0].Op)
			}
			b := make([]byte, l.Source.Size())
			l.Source.ReadAt(b, 0)
			at := bytes.LastIndex(src, b) - 5
			got = append(got, fmt.Sprintf("%d+%d", at, len(b)))
			whole += len(b)
		}, func(g showcause.Gap) { t.Errorf("%s: gap %+v", name, g) })
		for _, s := range c.covered {
			out.Cover(max(s.From+5, 0), s.To-s.From)
		}
		if !out.Tail(src, 5, "x.rest") {
			t.Errorf("%s: it stops", name)
		}
		if name == "a disc behind zeros" {
			if whole < 6007 {
				t.Errorf("%s: %q", name, got)
			}
			continue
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Many children leave many stretches; no byte of them is lost.
func TestTailPieces(t *testing.T) {
	src := showcause.Bytes(bytes.Repeat([]byte("ab"), 1000))
	seen := make([]bool, len(src))
	n := 0
	out := NewOut(NewBudget(showcause.Limits{}, src.Size(), nil), nil, func(showcause.Layer) { n++ }, func(g showcause.Gap) { t.Errorf("%+v", g) })
	for i := range int64(1000) {
		out.Cover(2*i, 1)
	}
	pieces := out.uncovered(100, src.Size())
	for _, s := range pieces {
		for i := s.From; i < s.To; i++ {
			seen[i] = true
		}
	}
	for i := range seen {
		if i >= 100 && i%2 == 1 && !seen[i] {
			t.Fatalf("%d is in no stretch", i)
		}
	}
	if out.Tail(src, 100, "x.rest"); n != tailPieces || len(pieces) != tailPieces {
		t.Errorf("%d children of %d stretches", n, len(pieces))
	}
}

// A limit that is spent is a gap.
func TestTailWork(t *testing.T) {
	src := showcause.Bytes(append(make([]byte, 1<<20), 'x'))
	var gaps []showcause.Code
	out := NewOut(NewBudget(showcause.Limits{Work: 2000}, src.Size(), nil), nil, func(showcause.Layer) { t.Error("a child") }, func(g showcause.Gap) { gaps = append(gaps, g.Code) })
	if out.Tail(src, 0, "x.rest") || len(gaps) != 1 || gaps[0] != showcause.LimitWork {
		t.Errorf("gaps %q", gaps)
	}
}
