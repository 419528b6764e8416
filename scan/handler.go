package scan

import (
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig"
	"github.com/showcause/showcause/filetype"
)

// asType begins the operation of a step to the same bytes, read as another type, whose name
// follows: a signature asked for that (HandlerType).
const asType = "as."

// forced is the type that the last step of a trail says.
func forced(t showcause.Trail) (as filetype.Type, ok bool) {
	if len(t) > 0 {
		if name, is := strings.CutPrefix(t[len(t)-1].Op, asType); is {
			return filetype.Parse(name)
		}
	}
	return filetype.Unknown, false
}

// classify says what a layer is.
func (l *layer) classify() {
	if l.kind, l.as = forced(l.Trail); !l.as {
		l.kind = filetype.Detect(l.head, l.Source)
	}
}

// handler notes that a layer is to be read as the type that a rule which was found asks for,
// if it asks for any. In what is read as another type nothing else is read so.
func (s *search) handler(r uint32) {
	l := s.l
	if l.origin != nil {
		l = l.origin
	}
	if l.as || s.in.options.TopOnly {
		return
	}
	info, err := s.in.db.Info(r)
	if err != nil || info.YARA != nil {
		return
	}
	if t, ok := filetype.Parse(clamsig.Handler(info.Text)); ok && t != l.kind && !slices.Contains(l.handlers, t) {
		l.handlers = append(l.handlers, t)
	}
}

// said tells whether a rule was found in the same bytes already, before they were read as
// another type.
func (l *layer) said(in *input, r uint32) bool {
	if !l.as || l.origin != nil {
		return false
	}
	return slices.ContainsFunc(in.report.Findings[min(l.parent.first, len(in.report.Findings)):], func(f showcause.Finding) bool {
		return f.Index == r && len(f.Trail) == len(l.Trail)-1
	})
}

// handled reads a layer as the types that signatures asked for. That is not counted as read
// besides: what is spent follows from the file alone, but for the work.
func (in *input) handled(l *layer) {
	spent := in.budget.Spent
	defer func() {
		spent.Work = in.budget.Spent.Work
		in.budget.Spent = spent
	}()
	for _, t := range l.handlers {
		if len(l.Trail) >= in.budget.Limits.Depth {
			in.gap(showcause.Gap{Trail: l.Trail, Code: showcause.LimitDepth, Offset: 0, Length: -1})
			return
		}
		in.layer(showcause.Layer{Trail: l.Trail.Child(showcause.Step{Op: asType + t.String()}), Source: l.Source}, l)
	}
}
