// Package recheck derives the layer that a record names from the file again,
// and looks again whether the record's rule holds there. It shares the readers of
// formats with the scanner and nothing of the scanner itself: it walks the file, searches
// and evaluates by its own means, which are simple and slow.
package recheck

import (
	"errors"
	"fmt"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/formats"
)

// Claim is what is said of a file that can be looked at again.
type Claim struct {
	Limits  showcause.Limits
	Formats []string // that are unpacked, by name; nil is all
	// NoViews tells that no normalised views of text and HTML were made: no rule of
	// the database asked for them.
	NoViews bool
	// NoUsual tells that unpack.UsualPasswords were not tried on what is encrypted, and
	// Given how many passwords the user gave.
	NoUsual bool
	Given   int
	// Rule is the rule that fired, nil where coverage alone is claimed.
	Rule  *Rule
	Trail showcause.Trail // to the layer where it fired; names play no part
	Chain []showcause.Link
	// Matches are where its patterns are said to hit, and Counts how often.
	Matches []showcause.Match
	Counts  []uint32

	hidden bool // the matches are not disclosed, and not compared
}

// Rule is a rule as its author wrote it.
type Rule struct {
	Language string // "clamav" or "yara"
	Name     string // as it is reported
	File     string // what kind of ClamAV rule it is follows from the extension
	Text     string
	Path     string   // of the file, for rules that ask what it is called
	Before   []string // texts of the rules that it asks for, in YARA's language; lines of .idb files
}

// Options are what recheck is given besides. The zero value works.
type Options struct {
	// Spill opens scratch space for layers over 16 MiB; without it they are cut there.
	Spill func() (unpack.File, error)
	// Passwords are tried on what is encrypted, before unpack.UsualPasswords: those
	// that the user gave the scan. No record has them.
	Passwords [][]byte
	// Around is how many bytes before and behind each match are taken into
	// Excerpts; 0 takes none.
	Around int
	// Before are texts of rules that a record's rule asks for: see Before.
	Before []string
}

// Excerpt is what stands around one match.
type Excerpt struct {
	Pattern int    `json:"pattern"`
	Offset  int64  `json:"offset"` // of Bytes in the layer
	Bytes   []byte `json:"bytes"`  // of the file: hostile
	Start   int    `json:"start"`  // of the match in Bytes
	Length  int    `json:"length"` // of as much of the match as is in Bytes
	Whole   int64  `json:"whole"`  // length of the match
}

// What the excerpts of one finding hold at most.
const (
	maxExcerpts = 48
	maxShown    = 256 // bytes of one match
	maxAround   = 256
)

// Difference is one thing that is not as claimed.
type Difference struct {
	Where   string `json:"where"` // "step 2, digest", "match 3": our words and numbers
	Claimed string `json:"record"`
	Derived string `json:"file"`
}

// String writes one line.
func (d Difference) String() string {
	return fmt.Sprintf("%s: the record says %s, the file gives %s", d.Where, d.Claimed, d.Derived)
}

// Outcome is what the file gives.
type Outcome struct {
	// Report has the type, the size, the gaps and what was spent, but for Work,
	// which only a scanner counts; no findings.
	Report showcause.Report
	// Reached tells that the layer is there, and Chain what the input and the
	// layers down to it hold: as many as are there.
	Reached bool
	Chain   []showcause.Link
	// Matches and Counts are those that the rule's patterns have there, as a
	// scanner would record them.
	Matches []showcause.Match
	Counts  []uint32
	Holds   bool // the rule fires
	// Undone says why the rule could not be looked at, "" if it was.
	Undone      string
	Differences []Difference
	Notes       []string // what could not be looked at
	Excerpts    []Excerpt
}

// Run derives the layer of a claim from a file. The Differences say what of the
// rule's matches, and of the way to them, is not as claimed; the Report is the
// caller's to compare.
func Run(src showcause.Source, c Claim, o Options) Outcome {
	w := &walk{claim: c, around: min(o.Around, maxAround), seen: map[showcause.Code]int{}}
	w.budget = unpack.NewBudget(c.Limits, src.Size(), o.Spill)
	w.budget.Passwords, w.budget.NoUsual = o.Passwords, c.NoUsual
	for _, f := range formats.All() {
		if c.Formats == nil || slices.Contains(c.Formats, f.Name) {
			w.formats = append(w.formats, f)
		}
	}
	if c.Rule != nil {
		var err error
		if w.test, err = compile(c.Rule); errors.Is(err, errOthers) {
			w.out.Undone = err.Error()
		} else if err != nil {
			w.differ("rule", "that it fires", err.Error())
		}
	}
	w.run(src)
	return w.out
}

func (w *walk) differ(where, claimed, derived string) {
	w.out.Differences = append(w.out.Differences, Difference{where, claimed, derived})
}

func (w *walk) note(format string, a ...any) {
	s := fmt.Sprintf(format, a...)
	if !slices.Contains(w.out.Notes, s) {
		w.out.Notes = append(w.out.Notes, s)
	}
}
