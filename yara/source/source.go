// Package source is YARA rule text: where a place in it is, which dialect it is
// read in, and what is wrong with it.
package source

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"
)

// Epsilon is by how much two floats differ at least that YARA 4 does not take for
// equal: C's DBL_EPSILON.
const Epsilon = 0x1p-52

// Dialect is the language that rule text is read in.
type Dialect uint8

// The dialects. Either accepts what one of the two accepts; where they disagree
// on what a rule means, YARA-X is followed and a warning says so.
const (
	Either Dialect = iota
	YARA           // YARA 4.5
	YARAX          // YARA-X 1.x
)

// String is the name of the dialect as the command line takes it.
func (d Dialect) String() string {
	return [...]string{"either", "yara", "yara-x"}[d]
}

// In says whether something that exists in the dialects of set exists in d.
// Either asks for one of them.
func (d Dialect) In(set Dialect) bool {
	return d == Either || set == Either || d == set
}

// Pos is a place: a byte offset over all sources of one Sources. Zero is no
// place.
type Pos uint32

// Span is the bytes from Start up to End.
type Span struct{ Start, End Pos }

// Range is the span itself, so that a node that embeds one has a place.
func (s Span) Range() Span { return s }

// To is the span from the start of s to the end of end.
func (s Span) To(end Span) Span { return Span{s.Start, end.End} }

// Source is one text with a name.
type Source struct {
	Name  string
	Text  string
	base  Pos
	lines []int // the offset of each line
}

// Base is the place of the first byte.
func (s *Source) Base() Pos { return s.base }

// At is the place of byte offset off.
func (s *Source) At(off int) Pos { return s.base + Pos(off) }

// Slice is the text of a span, empty if the span is not in this source.
func (s *Source) Slice(sp Span) string {
	if sp.Start < s.base || sp.End < sp.Start || int(sp.End-s.base) > len(s.Text) {
		return ""
	}
	return s.Text[sp.Start-s.base : sp.End-s.base]
}

// Line is the number of the line of p, from 1, and its column in characters,
// from 1. A byte that is not UTF-8 counts as one.
func (s *Source) Line(p Pos) (line, column int) {
	if s.lines == nil {
		s.lines = append(make([]int, 0, 1+strings.Count(s.Text, "\n")), 0)
		for at := 0; ; {
			n := strings.IndexByte(s.Text[at:], '\n')
			if n < 0 {
				break
			}
			at += n + 1
			s.lines = append(s.lines, at)
		}
	}
	off := min(max(int(p)-int(s.base), 0), len(s.Text))
	line = sort.SearchInts(s.lines, off+1)
	return line, utf8.RuneCountInString(s.Text[s.lines[line-1]:off]) + 1
}

// lineText is line n, from 1, without its end.
func (s *Source) lineText(n int) string {
	rest := s.Text[s.lines[n-1]:]
	if end := strings.IndexByte(rest, '\n'); end >= 0 {
		rest = rest[:end]
	}
	return strings.TrimSuffix(rest, "\r")
}

// Sources are the texts that are compiled together. The zero value is ready.
type Sources struct{ list []*Source }

// maxText is the most text of one Sources, bytes: a Pos reaches no further.
const maxText = 1 << 31

// Add takes in a text. It fails if there is more text than places.
func (s *Sources) Add(name, text string) (*Source, error) {
	base := Pos(1)
	if n := len(s.list); n > 0 {
		last := s.list[n-1]
		base = last.base + Pos(len(last.Text)) + 1
	}
	if len(text) >= maxText-int(base) {
		return nil, fmt.Errorf("source %s: %w", name, errors.New("more than 2 GB of rule text"))
	}
	src := &Source{Name: name, Text: text, base: base}
	s.list = append(s.list, src)
	return src, nil
}

// Find is the source of a place, nil if there is none.
func (s *Sources) Find(p Pos) *Source {
	i := sort.Search(len(s.list), func(i int) bool { return s.list[i].base > p })
	if i == 0 {
		return nil
	}
	return s.list[i-1]
}
