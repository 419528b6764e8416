package scan

import (
	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/icon"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/unpack/exe"
)

// icons are those of a program.
type icons struct {
	at  []showcause.Match
	all []*icon.Metrics
}

// icons looks for the first icon of the layer that looks like a known one.
func (s *search) icons(g *sighting, known *rule.Icons) {
	if s.l.icons == nil {
		s.l.icons = s.measure()
	}
	for i, m := range s.l.icons.all {
		if known.Has(m) {
			g.found = append(g.found, s.l.icons.at[i])
			return
		}
	}
}

// measure measures the icons of a program.
func (s *search) measure() *icons {
	out := &icons{}
	if s.l.origin != nil || s.l.exe == nil {
		return out
	}
	at, cut := exe.Icons(s.l.Source, s.l.kind)
	for _, off := range at {
		if s.matcher.Steps += icon.Cost; s.matcher.Exhausted() {
			cut = true
			break
		}
		if m, n, ok := icon.Measure(s.l.Source, off); ok {
			out.at = append(out.at, showcause.Match{Offset: off, Length: n})
			out.all = append(out.all, m)
		}
	}
	if cut {
		s.in.gap(showcause.Gap{Trail: s.l.Trail, Code: showcause.LimitWork, Offset: 0, Length: -1})
	}
	return out
}
