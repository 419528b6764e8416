package recheck

import (
	"fmt"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/heuristic"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/unpack"
)

// compileHeuristic reads the text of a heuristic, which has all that decides beside the bytes.
func compileHeuristic(r *Rule) (test, error) {
	set, err := heuristic.New([]string{r.Text})
	if err != nil {
		return nil, err
	}
	if name := heuristic.Name(r.Text); name != r.Name {
		return nil, fmt.Errorf("its text is of a rule named %s", showcause.Escape(name))
	}
	return func(w *walk, l *layer, _ []rule.Target) {
		if l.view {
			w.differ("rule", "that it fires", "a view, on which it never does")
			return
		}
		hl := heuristic.Layer{Layer: l.Layer, Kind: l.kind, Work: w.budget.Work, Locked: func() []showcause.Gap {
			probe := &unpack.Probe{Type: l.kind, Head: l.head, Source: l.Source, Trail: l.Trail}
			return heuristic.Locked(probe, w.formats, w.budget)
		}}
		if l.parent != nil {
			hl.Parent = l.parent.kind
		}
		hits, whole := set.Run(&hl)
		if !whole {
			w.gap(showcause.Gap{Trail: l.Trail, Code: showcause.LimitWork, Offset: 0, Length: l.Source.Size()})
		}
		if len(hits) == 0 {
			w.differ("rule", "that it fires", "it does not")
			return
		}
		w.out.Holds, w.out.Matches, w.out.Counts = true, hits[0].Matches, hits[0].Counts
		w.compare()
	}, nil
}
