package scan

import (
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/heuristic"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/unpack"
)

// heuristics are the rules that their texts decide.
type heuristics struct {
	rules  []uint32
	set    *heuristic.Set
	broken bool // the database is damaged where they stand
}

func newHeuristics(db *ruledb.DB, rules []uint32) (h heuristics) {
	h.rules = rules
	var texts []string
	for _, r := range h.rules {
		info, err := db.Info(r)
		if err != nil {
			h.broken = true
			return h
		}
		texts = append(texts, info.Text)
	}
	var err error
	h.set, err = heuristic.New(texts)
	h.broken = err != nil
	return h
}

// heuristic runs them on a layer.
func (in *input) heuristic(l *layer) {
	h := &in.heuristics
	if len(h.rules) == 0 {
		return
	}
	if h.broken {
		in.gap(showcause.Gap{Trail: l.Trail, Code: showcause.Unreadable + ".rules", Offset: 0, Length: -1})
		return
	}
	hl := heuristic.Layer{Layer: l.Layer, Kind: l.kind, Work: in.budget.Work, Locked: func() []showcause.Gap { return in.locked(l) }}
	if l.parent != nil {
		hl.Parent = l.parent.kind
	}
	hits, whole := h.set.Run(&hl)
	keep, _ := in.places()
	for _, hit := range hits {
		matches := slices.DeleteFunc(slices.Clone(hit.Matches), excess(keep))
		if !in.options.Digests {
			hit.Counts = nil
		}
		in.found(l, h.rules[hit.Rule], matches, hit.Counts)
	}
	if !whole {
		in.gap(showcause.Gap{Trail: l.Trail, Code: showcause.LimitWork, Offset: 0, Length: l.Source.Size()})
	}
}

// excess tells of matches in turn whether they are more of their pattern than are kept.
func excess(keep int) func(showcause.Match) bool {
	seen := map[int]int{}
	return func(m showcause.Match) bool {
		seen[m.Pattern]++
		return seen[m.Pattern] > keep
	}
}

// locked walks a layer once more, without passwords, and returns where it is encrypted.
func (in *input) locked(l *layer) []showcause.Gap {
	probe := &unpack.Probe{Type: l.kind, Head: l.head, Source: l.Source, Name: l.out.Name(), Trail: l.Trail}
	return heuristic.Locked(probe, in.options.Formats, in.budget)
}
