package report

import (
	"path"
	"slices"
	"strings"

	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

// piece is a part of a rule's text.
type piece struct {
	Text string
	Mark bool // it is a pattern that matched
}

// mark cuts a rule's text so that the patterns which matched stand out.
func mark(language, file, text string, fired map[int64]bool) []piece {
	if len(fired) == 0 {
		return []piece{{Text: text}}
	}
	if language == "yara" {
		return markYARA(text, fired)
	}
	sep, first := ":", 3 // Name:Target:Offset:Body
	switch ext := strings.ToLower(path.Ext(file)); ext {
	case ".ldb", ".ldu":
		sep, first = ";", 3 // Name;Target;Expression;Body0;Body1...
	case ".ndb", ".ndu", ".sdb":
	case ".mdb", ".msb", ".mdu", ".msu":
		first = 1
	default: // digests first
		first = 0
	}
	fields := strings.Split(text, sep)
	var out []piece
	for i, f := range fields {
		if i > 0 {
			out = append(out, piece{Text: sep})
		}
		hit := fired[int64(i-first)]
		if sep == ":" {
			hit = i == first
		}
		out = append(out, piece{f, hit})
	}
	return join(out)
}

// markYARA marks the definitions of strings that matched, by their places in the
// text. A string is numbered by its place among them. Where the text cannot be read
// nothing is marked.
func markYARA(text string, fired map[int64]bool) (out []piece) {
	at := 0
	for i, p := range patterns(text) {
		if !fired[int64(i)] || p.start < at || p.end > len(text) || p.end < p.start {
			continue
		}
		out = append(out, piece{text[at:p.start], false}, piece{text[p.start:p.end], true})
		at = p.end
	}
	return join(append(out, piece{text[at:], false}))
}

// place is a part of a text.
type place struct{ start, end int }

// patterns are the places of the strings of a rule in YARA's language.
func patterns(text string) (out []place) {
	for _, d := range []source.Dialect{source.Either, source.YARA, source.YARAX} {
		set := &source.Sources{}
		src, err := set.Add("rule", text)
		if err != nil {
			return nil
		}
		file, diags := syntax.Parse(src, d)
		if len(file.Rules) != 1 || slices.ContainsFunc(diags, func(x *source.Diagnostic) bool { return x.Severity == source.Error }) {
			continue
		}
		for _, p := range file.Rules[0].Patterns {
			out = append(out, place{int(p.Start - src.Base()), int(p.End - src.Base())})
		}
		return out
	}
	return nil
}

// join puts neighbours of one kind together.
func join(in []piece) (out []piece) {
	for _, p := range in {
		if p.Text == "" {
			continue
		}
		if n := len(out); n > 0 && out[n-1].Mark == p.Mark {
			out[n-1].Text += p.Text
			continue
		}
		out = append(out, p)
	}
	return out
}
