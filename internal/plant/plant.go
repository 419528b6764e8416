// Package plant writes files that a given rule must match, and near misses
// that it must not: bodies that satisfy the rule's patterns, laid out where
// their anchors ask for them, in a file of the rule's target, in a container. It
// is the test of package scan against clamscan.
//
// A file is a function of the rule's text and a seed. What cannot be planted
// is an error with a Reason, to be counted.
package plant

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/exe"
)

// Spot is where a pattern was put, in bytes of the innermost layer.
type Spot struct {
	Pattern int   `json:"pattern"`
	Offset  int64 `json:"offset"`
	Length  int64 `json:"length"`
}

// File is one planted file.
type File struct {
	Rule      string   `json:"rule"`
	Source    string   `json:"source"` // file of the rule
	Line      int      `json:"line"`
	Target    int      `json:"target"`
	Anchors   []string `json:"anchors"`
	Carrier   string   `json:"carrier"`
	Container []string `json:"container,omitempty"` // outermost first
	Peer      bool     `json:"peer"`                // clamscan opens all the containers
	Expect    bool     `json:"expect"`              // the rule has to match
	Flaw      string   `json:"flaw,omitempty"`      // what is wrong in a near miss
	View      bool     `json:"view,omitempty"`      // it has to match in a normalised view, and the spots are in the raw bytes
	Spots     []Spot   `json:"spots"`
	Data      []byte   `json:"-"`
	Inner     []byte   `json:"-"`               // the innermost layer
	UTF16     bool     `json:"utf16,omitempty"` // clamscan takes a layer for UTF-16 text
	Late      bool     `json:"late,omitempty"`  // an expression's text stands before what triggers it
	Sized     bool     `json:"sized,omitempty"` // the rule asks for the size of the file
}

// Reason says why a rule could not be planted.
type Reason string

func (r Reason) Error() string { return string(r) }

// The reasons.
const (
	NoAssignment Reason = "no numbers of matches satisfy the condition"
	TooMany      Reason = "more matches than are planted"
	Collision    Reason = "anchored bodies collide"
	InHeader     Reason = "an anchored body breaks the headers"
	TooLarge     Reason = "file larger than is planted"
	NoSize       Reason = "no file size fits"
	NoSections   Reason = "no number of sections fits"
	NoEntry      Reason = "no entry point fits"
	NoContainer  Reason = "container that is not written"
	NoType       Reason = "bodies make it another type of file"
	NoFlaw       Reason = "no near miss"
	NoBoundary   Reason = "a boundary cannot hold there"
	NotNormal    Reason = "bodies that normalisation changes"
	NoPicture    Reason = "a picture or an icon is asked for, which Derive makes"
	NotDecided   Reason = "an expression or a comparison turns out otherwise"
)

// The bounds on what is planted.
const (
	maxSize   = 6 << 20 // bytes of a file
	maxBodies = 600
	tries     = 12
)

// Plant makes a file for a rule, or, with near, one that misses it by little.
func Plant(r *rule.Rule, seed uint64, near bool) (File, error) {
	prog, err := rule.Encode(r)
	if err != nil {
		return File{}, fmt.Errorf("plant: %w", err)
	}
	if slices.ContainsFunc(r.Later, func(l *rule.Later) bool { return l != nil && (l.Image != nil || l.Icons != nil) }) {
		return File{}, NoPicture
	}
	h := fnv.New64a()
	h.Write([]byte(r.Text))
	var last error
	for i := range uint64(tries) {
		g := &gen{r: r, prog: prog, rng: rand.New(rand.NewPCG(seed<<8|i, h.Sum64())), try: int(i)}
		f, err := g.file(near)
		if err == nil {
			return f, nil
		}
		var why Reason
		if !errors.As(err, &why) {
			return File{}, err
		}
		if last = err; why == TooMany || why == NoContainer {
			break
		}
	}
	return File{}, last
}

// gen makes one file.
type gen struct {
	r     *rule.Rule
	prog  rule.Program
	rng   *rand.Rand
	try   int
	text  bool // bytes that are left open are lower-case text
	flaw  flaw
	items []*item

	viewed int64 // bytes of the view that the bodies are in
	counts []int // of matches, of each pattern
}

// flaw is what is made wrong in a near miss.
type flaw struct {
	kind string // "" is nothing: "byte", "gap", "shift", "boundary", "count", "size"
	item int    // of the items
}

// item is one body that is to be put at one place.
type item struct {
	body
	sub    int // of the rule's patterns
	anchor pattern.Anchor
	off    int // where it was put
	flaw   string
}

func (g *gen) chance(n, of int) bool { return g.rng.IntN(of) < n }

// within returns a number from lo to hi, the ends often.
func (g *gen) within(lo, hi int64) int64 {
	if hi <= lo {
		return lo
	}
	switch g.rng.IntN(4) {
	case 0:
		return lo
	case 1:
		return hi
	}
	return lo + g.rng.Int64N(hi-lo+1)
}

func (g *gen) file(near bool) (File, error) {
	counts, err := g.assign()
	if err != nil {
		return File{}, err
	}
	g.text = g.r.Target == rule.HTML || g.r.Target == rule.ASCII
	f := File{Rule: g.r.Name, Source: g.r.File, Line: g.r.Line, Target: int(g.r.Target), Expect: !near, Sized: g.r.Guard.Size != nil}
	if near {
		if err := g.plan(counts); err != nil {
			return File{}, err
		}
		f.Flaw = g.flaw.kind
	}
	g.counts = counts
	g.bodies(counts)
	if len(g.items) > maxBodies {
		return File{}, TooMany
	}
	inner, err := g.carry(&f)
	if err != nil {
		return File{}, err
	}
	chain, err := g.chain()
	if err != nil {
		return File{}, err
	}
	if err := g.check(inner, chain); err != nil {
		return File{}, err
	}
	for _, it := range g.items {
		f.Anchors = append(f.Anchors, anchorName(it.anchor))
		f.Spots = append(f.Spots, Spot{it.sub, int64(it.off + it.kept), int64(len(it.data) - it.kept)})
	}
	f.Late = g.late()
	f.Data, f.Inner, f.Peer = inner, inner, true
	for i := len(chain) - 1; i >= 0; i-- {
		f.UTF16 = f.UTF16 || utf16(f.Data)
		f.Data = chain[i].wrap(g, f.Data)
		f.Peer = f.Peer && chain[i].peer
	}
	f.UTF16 = f.UTF16 || utf16(f.Data)
	for _, w := range chain {
		f.Container = append(f.Container, w.name)
	}
	return f, nil
}

// bodies makes the items.
func (g *gen) bodies(counts []int) {
	g.items = g.items[:0]
	for sub, n := range counts {
		p := &g.r.Patterns[sub]
		stack := g.stack(p, n)
		for i := range n {
			it := &item{sub: sub, anchor: p.Anchor}
			l := g.later(sub)
			if l != nil && l.Compare != nil {
				continue // it has a place once the others have
			}
			if g.flaw.item == len(g.items) && !(g.flaw.kind == "gap" && p.Anchor.Base == pattern.VersionInfo) {
				it.flaw = g.flaw.kind
			}
			if stack != nil {
				if it.body = stack[i]; i > 0 {
					it.flaw = "" // it stands within the first
				}
			} else if l != nil {
				it.body = g.expression(l.Tree.Root)
			} else {
				it.body = g.body(p.Variants[g.rng.IntN(len(p.Variants))], it.flaw)
			}
			g.items = append(g.items, it)
		}
	}
}

// check holds a file against the target and the guard of its rule.
func (g *gen) check(data []byte, chain []*wrapper) error {
	src := showcause.Bytes(data)
	t := filetype.Detect(bound.Head(src, unpack.HeadSize), src)
	if g.r.Target != rule.Any && rule.Target(t.Target()) != g.r.Target {
		return NoType
	}
	facts := rule.Facts{Size: int64(len(data)), Entry: -1}
	if t := g.r.Target; t == rule.HTML || t == rule.ASCII {
		facts.Size = g.viewed
	}
	if info, ok := exe.Parse(src, t); ok {
		facts.Executable, facts.Entry, facts.Sections = true, info.Entry, len(info.Sections)
	} else if g.r.Target == rule.PE || g.r.Target == rule.ELF || g.r.Target == rule.MachO {
		return InHeader
	}
	for _, w := range chain {
		facts.Ancestors = append(facts.Ancestors, w.typ)
	}
	if ok := g.prog.Admits(&facts); ok != (g.flaw.kind != "size") {
		return NoSize
	}
	return nil
}

func anchorName(a pattern.Anchor) string {
	name := [...]string{"*", "n", "EOF", "EP", "S", "SE", "SL", "VI"}[a.Base]
	if a.Base == pattern.Entry && a.Offset < 0 {
		name = "EP-"
	}
	if a.Shift > 0 {
		name += ",shift"
	}
	return name
}

// utf16 tells whether clamscan takes data for UTF-16 text without a mark: every
// big-endian unit but the first is above 0x7f or a character of text. It
// normalises such data and looks for the signatures of text in it.
func utf16(b []byte) bool {
	b = b[:min(len(b), 1024)]
	for i := 2; i+1 < len(b); i += 2 {
		if c := b[i+1]; b[i] == 0 && c < 0x80 && !(c >= 0x20 && c != 0x7f || c >= 7 && c <= 13 && c != 11 || c == 0x1b) {
			return false
		}
	}
	return true
}
