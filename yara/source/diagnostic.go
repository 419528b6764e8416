package source

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Code names a kind of diagnostic. It does not change between releases.
type Code string

// Severity says what a diagnostic does to the rule.
type Severity uint8

// The severities.
const (
	Error   Severity = iota // the rule is not compiled
	Warning                 // it is
)

// String is "error" or "warning".
func (s Severity) String() string { return [...]string{"error", "warning"}[s] }

// Label says something of one place.
type Label struct {
	Span
	Text string
}

// Fix is a change of text that would settle the diagnostic.
type Fix struct {
	Span
	Text string // in place of the span
	Why  string // one line
}

// Diagnostic is one thing that is wrong, or likely wrong, with rule text. The
// first label is where; the others are the places that it is about as well.
type Diagnostic struct {
	Code     Code
	Severity Severity
	Title    string
	Labels   []Label
	Notes    []string
	Fix      *Fix
}

// Range is the place of the first label.
func (d *Diagnostic) Range() Span {
	if len(d.Labels) == 0 {
		return Span{}
	}
	return d.Labels[0].Span
}

const tab = "    "

// Render writes a diagnostic as people read it: the lines of its places with the
// places marked, then notes and the suggested change.
func (s *Sources) Render(w io.Writer, d *Diagnostic) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s[%s]: %s\n", d.Severity, d.Code, d.Title)
	width := 1
	for _, l := range d.Labels {
		if src := s.Find(l.Start); src != nil {
			n, _ := src.Line(l.Start)
			width = max(width, len(strconv.Itoa(n)))
		}
	}
	var last *Source
	for _, group := range s.groups(d.Labels) {
		src := s.Find(group[0].Start)
		line, col := src.Line(group[0].Start)
		if src != last {
			arrow := "-->"
			if last != nil {
				arrow = ":::"
			}
			fmt.Fprintf(&b, "%*s%s %s:%d:%d\n", width, "", arrow, src.Name, line, col)
			fmt.Fprintf(&b, "%*s |\n", width, "")
		}
		last = src
		s.mark(&b, src, width, line, group, d.Labels[0])
	}
	for _, n := range d.Notes {
		fmt.Fprintf(&b, "%*s = note: %s\n", width, "", n)
	}
	if d.Fix != nil {
		s.fix(&b, width, d.Fix)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// groups puts the labels of one line together: the line of the first label
// first, then the others as they stand.
func (s *Sources) groups(labels []Label) [][]Label {
	var out [][]Label
next:
	for _, l := range labels {
		src := s.Find(l.Start)
		if src == nil {
			continue
		}
		line, _ := src.Line(l.Start)
		for i, g := range out {
			have := s.Find(g[0].Start)
			if n, _ := have.Line(g[0].Start); have == src && n == line {
				out[i] = append(g, l)
				continue next
			}
		}
		out = append(out, []Label{l})
	}
	return out
}

// maxShown is the most of a line that is shown, bytes.
const maxShown = 240

// mark writes one line and its labels below it, each in a line of its own: the
// first label is marked with ^, others with -.
func (s *Sources) mark(b *strings.Builder, src *Source, width, line int, labels []Label, first Label) {
	text := src.lineText(line)
	start := src.lines[line-1]
	from := 0
	// A line of a megabyte is shown around its first label.
	if off := int(labels[0].Start-src.base) - start; off > maxShown/2 && len(text) > maxShown {
		from = off - maxShown/4
	}
	to := min(len(text), from+maxShown)
	fmt.Fprintf(b, "%*d | %s\n", width, line, shown(text[min(from, len(text)):to]))
	for _, l := range labels {
		lo := min(max(int(l.Start-src.base)-start, from), to)
		hi := min(max(int(l.End-src.base)-start, lo), to)
		sign := "-"
		if l == first {
			sign = "^"
		}
		pad := cells(text[from:lo])
		n := max(cells(text[lo:hi]), 1)
		line := fmt.Sprintf("%*s | %*s%s %s", width, "", pad, "", strings.Repeat(sign, n), l.Text)
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// shown is a line as it can be printed: tabs as spaces, no control characters
// and none that turn the direction of writing: rule text is not trusted either.
func shown(text string) string {
	return strings.ReplaceAll(strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7F || r >= 0x80 && r < 0xA0 || r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 {
			return '\uFFFD'
		}
		return r
	}, text), "\t", tab)
}

// cells is the number of characters that shown makes of text.
func cells(text string) int {
	return utf8.RuneCountInString(text) + (len(tab)-1)*strings.Count(text, "\t")
}

// fix writes the line before and after the change.
func (s *Sources) fix(b *strings.Builder, width int, f *Fix) {
	fmt.Fprintf(b, "%*s = help: %s\n", width, "", f.Why)
	src := s.Find(f.Start)
	if src == nil {
		return
	}
	line, _ := src.Line(f.Start)
	text := src.lineText(line)
	lo := int(f.Start-src.base) - src.lines[line-1]
	hi := int(f.End-src.base) - src.lines[line-1]
	if lo > len(text) || hi > len(text) || len(text) > maxShown {
		return
	}
	fmt.Fprintf(b, "%*d - %s\n", width, line, shown(text))
	fmt.Fprintf(b, "%*d + %s\n", width, line, shown(text[:lo]+f.Text+text[hi:]))
}

// place is a span as editors take it: bytes, lines and columns, the latter two
// from 1.
type place struct {
	File      string `json:"file"`
	Start     int    `json:"start"`
	End       int    `json:"end"`
	Line      int    `json:"line"`
	Column    int    `json:"column"`
	EndLine   int    `json:"end_line"`
	EndColumn int    `json:"end_column"`
	Text      string `json:"text,omitempty"`
}

func (s *Sources) place(sp Span, text string) place {
	src := s.Find(sp.Start)
	if src == nil {
		return place{Text: text}
	}
	p := place{File: src.Name, Start: int(sp.Start - src.base), End: int(sp.End - src.base), Text: text}
	p.Line, p.Column = src.Line(sp.Start)
	p.EndLine, p.EndColumn = src.Line(sp.End)
	return p
}

// JSON is a diagnostic for an editor: an object with code, severity, title,
// labels, notes and fix.
func (s *Sources) JSON(d *Diagnostic) ([]byte, error) {
	out := struct {
		Code     Code     `json:"code"`
		Severity string   `json:"severity"`
		Title    string   `json:"title"`
		Labels   []place  `json:"labels"`
		Notes    []string `json:"notes,omitempty"`
		Fix      *place   `json:"fix,omitempty"`
		Why      string   `json:"why,omitempty"`
	}{Code: d.Code, Severity: d.Severity.String(), Title: d.Title, Notes: d.Notes, Labels: []place{}}
	for _, l := range d.Labels {
		out.Labels = append(out.Labels, s.place(l.Span, l.Text))
	}
	if d.Fix != nil {
		p := s.place(d.Fix.Span, d.Fix.Text)
		out.Fix, out.Why = &p, d.Fix.Why
	}
	return json.Marshal(out)
}
