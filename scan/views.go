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

// views makes the normalised views of text and HTML and searches them. A view
// is a layer of its own, with a trail that says how it came about.
func (in *input) views(l *layer) {
	target := rule.Target(l.kind.Target())
	if target != rule.HTML && target != rule.ASCII || l.Source.Size() == 0 {
		return
	}
	index := 0
	show := func(v view.View, whole bool) {
		t := l.Trail.Child(showcause.Step{Index: index, Op: v.Op})
		index++
		sub := &layer{Layer: showcause.Layer{Trail: t, Source: showcause.Bytes(v.Bytes)}, parent: l.parent, kind: l.kind, allowed: l.allowed}
		in.budget.Spent.Bytes += int64(len(v.Bytes))
		if v.Op == view.OpData {
			in.layer(sub.Layer, l)
		} else {
			from := len(in.report.Findings)
			in.match(sub, target)
			in.forget(from, l.first)
		}
		if !whole {
			in.gap(showcause.Gap{Trail: t, Code: showcause.LimitSize, Offset: int64(len(v.Bytes)), Length: -1})
		}
	}
	src := l.Source
	switch l.kind {
	case filetype.UTF16LE, filetype.UTF16BE, filetype.HTML16:
		v, whole := view.UTF16(src, maxView)
		show(v, whole)
		src = showcause.Bytes(v.Bytes)
	}
	if target == rule.ASCII {
		show(view.Text(src, maxView))
		return
	}
	vs, whole := view.HTML(src, maxView)
	for i, v := range vs {
		show(v, whole || i > 0)
	}
}

// forget drops the findings from index on whose rule fired on the layer
// already: the raw bytes, or an earlier view, are the better evidence.
func (in *input) forget(from, first int) {
	fs := in.report.Findings
	keep := fs[:from]
	for _, f := range fs[from:] {
		if !slices.ContainsFunc(fs[first:from], func(g showcause.Finding) bool { return g.Index == f.Index }) {
			keep = append(keep, f)
		}
	}
	in.report.Findings = keep
}
