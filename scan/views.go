package scan

import (
	"bytes"
	"io"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/view"
)

// maxView is the number of bytes of an HTML document that are normalised, and
// of each of its views.
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
		in.text(l)
	case rule.HTML:
		in.html(l)
	}
}

// text searches the views of a text, those of HTML too if it has a tag. Text
// in UTF-16 is searched for the rules for any bytes as well, as its normal form is in lower
// case; ClamAV does not.
func (in *input) text(l *layer) {
	each := func(op string, r io.Reader, search func(showcause.Layer)) {
		unpack.NewOut(in.budget, l.Trail, search, in.gap).View(showcause.Step{Op: op}, r)
	}
	each(view.OpText, view.Text(bound.Reader(l.Source, 0, -1)), func(v showcause.Layer) { in.view(l, view.OpText, rule.ASCII, v) })
	head := l.head
	if wide(l) {
		each(view.OpUTF16, view.Narrow(bound.Reader(l.Source, 0, -1), l.kind == filetype.UTF16BE), func(v showcause.Layer) { in.narrow(l, v) })
		head = bytes.ReplaceAll(head, []byte{0}, nil)
	}
	if filetype.LooksHTML(head) {
		in.html(l)
	}
}

// wide tells whether a layer is in UTF-16.
func wide(l *layer) bool {
	return l.kind == filetype.UTF16LE || l.kind == filetype.UTF16BE || l.kind == filetype.HTML16
}

// html searches the views of an HTML document. One in UTF-16 in big-endian
// order is read as it is (see view.UTF16). A text that is no page by its type has been searched
// to its end as text: no gap says where its views as HTML end.
func (in *input) html(l *layer) {
	src, whole := l.Source, true
	if wide(l) {
		var v view.View
		v, whole = view.UTF16(src, maxView)
		if l.kind == filetype.HTML16 {
			in.narrow(l, showcause.Layer{Trail: l.Trail.Child(showcause.Step{Op: v.Op}), Source: showcause.Bytes(v.Bytes)})
		}
		if l.kind != filetype.HTML16 || !bytes.HasPrefix(l.head, []byte("\xfe\xff")) {
			src = showcause.Bytes(v.Bytes)
		}
	}
	vs, all := in.pages.HTML(src, maxView)
	defer in.pages.Trim()
	for i, v := range vs {
		sl := showcause.Layer{Trail: l.Trail.Child(showcause.Step{Index: i, Op: v.Op}), Source: showcause.Bytes(v.Bytes)}
		in.budget.Spent.Work += int64(len(v.Bytes)) / 8
		in.view(l, v.Op, rule.HTML, sl)
	}
	if page := rule.Target(l.kind.Target()) == rule.HTML; page && (!whole || !all) {
		in.gap(showcause.Gap{Trail: l.Trail.Child(showcause.Step{Op: vs[0].Op}), Code: showcause.LimitSize, Offset: int64(len(vs[0].Bytes)), Length: -1})
	}
}

// dataURIs unpacks the data: URIs of text and HTML.
func (in *input) dataURIs(l *layer) {
	switch rule.Target(l.kind.Target()) {
	case rule.ASCII, rule.HTML:
	default:
		return
	}
	n := l.Source.Size()
	if k := len(l.Trail); k > 0 && (l.Trail[k-1].Op == "html.script" || l.Trail[k-1].Op == "html.style") {
		return // those of a page are the page's
	}
	if n == 0 || !l.out.Work(n/16) {
		return
	}
	each := func(u view.URI) bool {
		return l.out.Child(unpack.Child{Op: view.OpData, Reader: u.Decode(bound.Reader(l.Source, u.Offset, u.Length)), Size: -1})
	}
	if b, ok := l.Source.(showcause.Bytes); ok {
		view.DataURIsOf(b, each)
		return
	}
	if err := view.DataURIs(bound.Reader(l.Source, 0, -1), each); err != nil {
		in.cannotRead(l, 0, -1, err)
	}
}

// narrow searches text or a page in UTF-16 for the rules for any bytes, which
// a script in a page would otherwise be hidden from: its views have no scripts as they
// are. ClamAV does not.
func (in *input) narrow(l *layer, sl showcause.Layer) {
	from := len(in.report.Findings)
	in.budget.Spent.Bytes += sl.Source.Size()
	in.match(&layer{Layer: sl, origin: l, parent: l.parent, kind: l.kind, allowed: l.allowed, allower: l.allower, unread: l.unread}, rule.Any)
	in.forget(from, l.first)
}

// view searches one view of a layer for the rules of a target.
func (in *input) view(l *layer, op string, target rule.Target, v showcause.Layer) {
	in.budget.Spent.Bytes += v.Source.Size()
	sub := &layer{Layer: v, origin: l, parent: l.parent, kind: l.kind, allowed: l.allowed, allower: l.allower, unread: l.unread}
	from := len(in.report.Findings)
	if target == rule.HTML {
		in.digests(sub)
		in.settle(sub)
	}
	in.match(sub, target)
	if op == view.OpJavaScript {
		in.match(sub, rule.ASCII)
	}
	in.forget(from, l.first)
}

// forget drops the findings from index on whose rule fired on the layer
// already: the raw bytes, or an earlier view, are the better evidence. A
// finding that an allow-list overrules stands for none that it does not.
func (in *input) forget(from, first int) {
	fs := in.report.Findings
	keep := fs[:from]
	for _, f := range fs[from:] {
		if !slices.ContainsFunc(keep[first:], func(g showcause.Finding) bool {
			return g.Index == f.Index && (g.Allowed == "" || f.Allowed != "")
		}) {
			keep = append(keep, f)
		}
	}
	in.report.Findings = keep
}
