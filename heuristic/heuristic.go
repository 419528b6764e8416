// Package heuristic decides ClamAV's Heuristics.* on a layer: what is encrypted, has macros, is
// broken, holds numbers of cards, or shows one place and leads to another. Each is a rule whose
// text is all that decides beside the bytes: the first line is its name and its options, those
// that follow are its data.
package heuristic

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
)

// File is the file that the rules are said to stand in.
const File = "heuristics.heu"

// Layer is what heuristics are run on.
type Layer struct {
	showcause.Layer
	Kind   filetype.Type
	Parent filetype.Type // of what holds the layer; Unknown if nothing does
	// Work takes steps; it is false if there are none left.
	Work func(steps int64) bool
	// Locked returns where formats find the layer encrypted that have no password for it.
	Locked func() []showcause.Gap
}

// Hit is a rule that holds. A match is of the line of the rule's text that decided, the first
// being 0, and says where in the layer.
type Hit struct {
	Rule    int // as it was given to New
	Matches []showcause.Match
	Counts  []uint32 // one for each line
}

// check is one rule.
type check struct {
	name  string
	lines int
	run   func(l *Layer) (matches []showcause.Match, counts map[int]int, whole bool)
}

// Set is a number of rules.
type Set struct{ checks []check }

// maxText and maxLines are what a rule may have, so that a record can show all of it.
const (
	maxText  = 1 << 20 // bytes
	maxLines = 60000
)

// ErrText is wrapped by the errors of New.
var ErrText = errors.New("no text of a heuristic")

// New reads the texts of rules.
func New(texts []string) (*Set, error) {
	s := &Set{}
	shared := map[string]*links{}
	for _, text := range texts {
		c, err := read(text, shared)
		if err != nil {
			return nil, err
		}
		s.checks = append(s.checks, c)
	}
	return s, nil
}

// Name returns the name that a rule's text gives it.
func Name(text string) string {
	head, _, _ := strings.Cut(text, "\n")
	name, _, _ := strings.Cut(head, ";")
	return name
}

// Lines returns how many lines a rule's text has.
func Lines(text string) int { return 1 + strings.Count(text, "\n") }

// read reads a rule's text. Lists of links that several rules have in common are one.
func read(text string, shared map[string]*links) (check, error) {
	head, data, _ := strings.Cut(text, "\n")
	words := strings.Split(head, ";")
	c := check{name: words[0], lines: Lines(text)}
	o := options{}
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		o[key] = value
	}
	if len(text) > maxText || c.lines > maxLines {
		return c, fmt.Errorf("%s: %d bytes, %d lines: %w", c.name, len(text), c.lines, ErrText)
	}
	var err error
	if make, ok := kinds()[c.name]; ok && data == "" {
		c.run, err = make(o)
	} else if isLink(c.name) {
		c.run, err = linkCheck(c.name, o, data, shared)
	} else {
		err = ErrText
	}
	if err == nil && len(o) > 0 {
		err = fmt.Errorf("option %q: %w", slices.Sorted(keys(o))[0], ErrText)
	}
	if err != nil {
		return c, fmt.Errorf("%.80q: %w", showcause.Escape(c.name), err)
	}
	return c, nil
}

// options are those of a rule's first line that have yet to be understood.
type options map[string]string

func keys(o options) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range o {
			if !yield(k) {
				return
			}
		}
	}
}

// flag takes an option without a value.
func (o options) flag(name string) bool {
	v, ok := o[name]
	if ok && v == "" {
		delete(o, name)
	}
	return ok && v == ""
}

// number takes an option that is a number of at least 1.
func (o options) number(name string) (int, error) {
	n, err := strconv.Atoi(o[name])
	if err != nil || n < 1 {
		return 0, fmt.Errorf("option %q: %w", name, ErrText)
	}
	delete(o, name)
	return n, nil
}

// runner is what a check runs. It is not whole if steps ran out.
type runner = func(l *Layer) (matches []showcause.Match, counts map[int]int, whole bool)

// kinds are the rules that have no data.
func kinds() map[string]func(o options) (runner, error) {
	out := map[string]func(o options) (runner, error){
		Cards: cardsCheck, Security: securityCheck, MacrosVBA: macrosCheck(projects), MacrosXLM: macrosCheck(sheets), Broken: brokenCheck, Names: namesCheck,
		OverlapMBR: overlapCheck("mbr", mbrTable), OverlapGPT: overlapCheck("gpt", gptTable),
	}
	for _, name := range []string{LockedZip, LockedRAR, Locked7z, LockedEGG, LockedPDF} {
		out[name] = lockedCheck(name)
	}
	return out
}

// Run runs all rules on a layer. It is not whole if steps ran out before all was looked at.
func (s *Set) Run(l *Layer) (hits []Hit, whole bool) {
	whole = true
	for i := range s.checks {
		c := &s.checks[i]
		matches, counts, all := c.run(l)
		whole = whole && all
		if len(counts) == 0 {
			continue
		}
		h := Hit{Rule: i, Matches: matches, Counts: make([]uint32, c.lines)}
		for line, n := range counts {
			h.Counts[line] = uint32(min(n, showcause.MaxCount))
		}
		hits = append(hits, h)
	}
	return hits, whole
}

// found gathers the matches of one rule.
type found struct {
	matches []showcause.Match
	counts  map[int]int
}

// add notes a match of a line; many may be none of which only the number is kept.
func (f *found) add(line int, places ...[2]int64) {
	if f.counts == nil {
		f.counts = map[int]int{}
	}
	for _, p := range places {
		if f.counts[line]++; f.counts[line] <= showcause.MaxMatches {
			f.matches = append(f.matches, showcause.Match{Pattern: line, Offset: p[0], Length: p[1]})
		}
	}
}
