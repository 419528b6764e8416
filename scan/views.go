package scan

import (
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/view"
)

// maxView is the number of bytes of a layer that are normalised.
const maxView = 64 << 20

// rawTarget is the target of rules for which a layer's own bytes are searched,
// besides those for any. ClamAV searches text and HTML for their own targets
// in normalised form only (docs/clamav-differences.md).
func rawTarget(t filetype.Type) rule.Target {
	switch target := rule.Target(t.Target()); target {
	case rule.HTML, rule.ASCII:
		return rule.Any
	default:
		return target
	}
}

// views makes the normalised views of text and HTML and searches them. A view
// is a layer of its own, with a trail that says how it came about, but no
// container of what is in it.
func (in *input) views(l *layer) {
	if l.Source.Size() == 0 {
		return
	}
	switch rule.Target(l.kind.Target()) {
	case rule.ASCII:
		v, whole := view.Text(l.Source, maxView)
		in.view(l, 0, v, whole)
	case rule.HTML:
		vs, whole := view.HTML(l.Source, maxView)
		for i, v := range vs {
			in.view(l, i, v, whole || i > 0)
		}
	}
}

// view searches one view of a layer.
func (in *input) view(l *layer, index int, v view.View, whole bool) {
	sl := showcause.Layer{Trail: l.Trail.Child(showcause.Step{Index: index, Op: v.Op}), Source: showcause.Bytes(v.Bytes)}
	in.budget.Spent.Work += int64(len(v.Bytes)) / 8
	if v.Op == view.OpData {
		in.layer(sl, l) // the content of a data: URI, which may be anything
		return
	}
	in.budget.Spent.Bytes += int64(len(v.Bytes))
	sub := &layer{Layer: sl, parent: l.parent, kind: l.kind, allowed: l.allowed}
	from := len(in.report.Findings)
	target := rule.Target(l.kind.Target())
	if target == rule.HTML {
		in.digests(sub)
	}
	in.match(sub, target)
	if v.Op == view.OpJavaScript {
		in.match(sub, rule.ASCII)
	}
	in.forget(from, l.first)
	if !whole {
		in.gap(showcause.Gap{Trail: sl.Trail, Code: showcause.LimitSize, Offset: int64(len(v.Bytes)), Length: -1})
	}
}

// forget drops the findings from index on whose rule fired on the layer
// already: the raw bytes, or an earlier view, are the better evidence.
func (in *input) forget(from, first int) {
	fs := in.report.Findings
	keep := fs[:from]
	for _, f := range fs[from:] {
		if !slices.ContainsFunc(keep[first:], func(g showcause.Finding) bool { return g.Index == f.Index }) {
			keep = append(keep, f)
		}
	}
	in.report.Findings = keep
}
