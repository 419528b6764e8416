package recheck

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/exe"
	"github.com/showcause/showcause/unpack/formats"
	"github.com/showcause/showcause/view"
)

const (
	inMemory = 16 << 20 // bytes of an input that are read at once
	maxView  = 64 << 20 // bytes of an HTML document that are normalised
	maxGaps  = 1000     // of one code, and one more that stands for all others
)

// walk goes through all layers of one file, since what limits are left for a
// layer depends on those before it.
type walk struct {
	claim   Claim
	formats []unpack.Format
	budget  *unpack.Budget
	test    test // nil if the rule cannot be tested
	around  int  // bytes around each match that are wanted
	seen    map[showcause.Code]int
	cut     bool // the limit for one layer cut the input
	ended   bool // the input could not be read to its end
	tested  bool
	asked   *asked // the rule, if it is about members
	out     Outcome
}

// layer is one layer on the way.
type layer struct {
	showcause.Layer
	parent *layer // what holds it; of a view, what holds the layer that it is a view of
	kind   filetype.Type
	head   []byte
	exe    *exe.Info // nil unless it parses as an executable
	packer string
	view   bool // it is a view of another
	as     bool // it is its parent's bytes, read as a type that a signature asked for
	path   bool // it is the claim's layer, or on the way to it
	short  bool // it cannot be read to its end, and that is said
}

func (w *walk) run(src showcause.Source) {
	w.out.Report.Size = src.Size()
	read := src
	if max := w.claim.Limits.FileSize; max > 0 && src.Size() > max {
		w.gap(showcause.Gap{Code: showcause.LimitSize, Offset: max, Length: src.Size() - max})
		read = bound.Section(src, 0, max)
		w.cut = true
	}
	if n := read.Size(); n > 0 && n <= inMemory {
		b, err := bound.ReadAt(read, 0, n, inMemory)
		if int64(len(b)) < n {
			w.ended = true
			w.unread(nil, int64(len(b)), n-int64(len(b)), err)
		}
		read = showcause.Bytes(b)
	}
	root := w.layer(showcause.Layer{Source: read}, nil)
	w.out.Report.Type = root.kind.String()
	w.out.Report.Spent = w.budget.Spent
	w.out.Report.Spent.Objects++
	w.out.Report.Spent.Work = 0
	if w.claim.Rule != nil && !w.out.Reached {
		w.differ("layer", w.claim.Trail.String(), fmt.Sprintf("no such layer: the way ends after %d of %d steps", max(len(w.out.Chain)-1, 0), len(w.claim.Trail)))
	}
}

// gap notes a gap, as many of each code as a report keeps.
func (w *walk) gap(g showcause.Gap) {
	if w.cut && g.Code == showcause.Corrupt {
		g.Code = showcause.LimitSize
	}
	switch n := w.seen[g.Code]; {
	case n > maxGaps:
		return
	case n == maxGaps:
		g = showcause.Gap{Code: g.Code, Offset: 0, Length: -1}
	}
	w.seen[g.Code]++
	w.out.Report.Gaps = append(w.out.Report.Gaps, g)
}

// unread says that a layer could not be read to its end.
func (w *walk) unread(t showcause.Trail, off, n int64, err error) {
	code := showcause.Unreadable
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		code = showcause.Changed
	}
	w.gap(showcause.Gap{Trail: t, Code: code, Offset: off, Length: n})
}

// cannotRead is unread, once for each layer.
func (w *walk) cannotRead(l *layer, off, n int64, err error) {
	if !l.short {
		l.short = true
		w.unread(l.Trail, off, n, err)
	}
}

// leads tells whether a trail is the claim's, or the beginning of it.
func (w *walk) leads(t showcause.Trail) bool {
	if w.claim.Rule == nil || len(t) > len(w.claim.Trail) {
		return false
	}
	for i := range t {
		if t[i].Index != w.claim.Trail[i].Index || t[i].Op != w.claim.Trail[i].Op {
			return false
		}
	}
	return true
}

// layer goes through a layer and all in it.
func (w *walk) layer(sl showcause.Layer, parent *layer) *layer {
	l := &layer{Layer: sl, parent: parent, short: parent == nil && (w.ended || w.cut)}
	l.path = w.leads(sl.Trail)
	w.budget.Spent.Bytes += sl.Source.Size()
	w.budget.Spent.Depth = max(w.budget.Spent.Depth, len(sl.Trail))
	w.classify(l)
	w.arrive(l, raw(l.kind))
	if !w.claim.NoViews {
		w.views(l)
	}
	if l.within() {
		w.gap(showcause.Gap{Trail: l.Trail, Code: showcause.LimitDepth, Offset: 0, Length: -1})
		return l
	}
	out := unpack.NewOut(w.budget, l.Trail, func(c showcause.Layer) { w.layer(c, l) }, w.gap)
	w.dataURIs(l, out)
	w.unpack(l, out)
	w.heard(l)
	if next := len(sl.Trail); l.path && next < len(w.claim.Trail) {
		way := sl.Trail.Child(w.claim.Trail[next])
		if _, ok := asType(way); ok && !l.as {
			spent := w.budget.Spent
			w.layer(showcause.Layer{Trail: way, Source: sl.Source}, l)
			spent.Work = w.budget.Spent.Work
			w.budget.Spent = spent
		}
	}
	return l
}

// asType is the type that the last step of a trail says: a signature asked for its layer to be read
// as that. Which one is not derived again, only what is found then.
func asType(t showcause.Trail) (filetype.Type, bool) {
	if len(t) > 0 {
		if name, is := strings.CutPrefix(t[len(t)-1].Op, "as."); is {
			return filetype.Parse(name)
		}
	}
	return filetype.Unknown, false
}

// within tells whether a layer is, byte for byte, one that it is in: what is in it has
// no end, and a scan goes no further.
func (l *layer) within() bool {
	n := l.Source.Size()
	for p := l.parent; p != nil && n > 0 && !l.as; p = p.parent {
		if p.Source.Size() == n && equal(l.Source, p.Source) {
			return true
		}
	}
	return false
}

// equal compares two layers of one size; what cannot be read is equal to nothing.
func equal(a, b showcause.Source) bool {
	for off := int64(0); off < a.Size(); off += block {
		n := min(block, a.Size()-off)
		x, _ := bound.ReadAt(a, off, n, block)
		y, _ := bound.ReadAt(b, off, n, block)
		if int64(len(x)) != n || !bytes.Equal(x, y) {
			return false
		}
	}
	return true
}

// classify says what the layer is.
func (w *walk) classify(l *layer) {
	l.head = bound.Head(l.Source, unpack.HeadSize)
	if as, ok := asType(l.Trail); ok {
		l.kind, l.as = as, true
	} else {
		l.kind = filetype.Detect(l.head, l.Source)
	}
	switch rule.Target(l.kind.Target()) {
	case rule.PE, rule.ELF, rule.MachO:
	default:
		return
	}
	if l.Source.Size()/64 > w.budget.Limits.Work-w.budget.Spent.Work {
		w.gap(showcause.Gap{Trail: l.Trail, Code: showcause.LimitWork, Offset: 0, Length: -1})
		return
	}
	info, ok := exe.Parse(l.Source, l.kind)
	if !ok {
		l.packer = exe.Packer(l.Source, l.kind)
		return
	}
	l.exe, l.packer = info, info.Packer
	if info.Partial {
		w.gap(showcause.Gap{Trail: l.Trail, Code: showcause.LimitWork, Offset: 0, Length: -1})
	}
}

// raw is the target of rules that are searched for in a layer's own bytes,
// besides those for any: text and HTML are searched for theirs as views.
func raw(t filetype.Type) []rule.Target {
	switch target := rule.Target(t.Target()); target {
	case rule.HTML, rule.ASCII:
		return []rule.Target{rule.Any}
	default:
		return []rule.Target{rule.Any, target}
	}
}

// arrive looks at a layer if it is on the way, and tests the rule if it is the claim's.
func (w *walk) arrive(l *layer, targets []rule.Target) {
	if !l.path || w.tested {
		return
	}
	at := len(l.Trail)
	if at < len(w.out.Chain) { // the same steps again: HTML as a view of two layers
		return
	}
	w.link(l)
	if at < len(w.claim.Trail) {
		return
	}
	w.out.Reached, w.tested = true, true
	if w.test != nil {
		w.test(w, l, targets)
	}
	w.excerpts(l)
}

// excerpts takes what stands around the matches, those of each pattern in turn.
func (w *walk) excerpts(l *layer) {
	if w.around <= 0 {
		return
	}
	nth := map[int]int{}
	for round := 0; round < showcause.MaxMatches; round++ {
		clear(nth)
		for _, m := range w.out.Matches {
			n := nth[m.Pattern]
			nth[m.Pattern]++
			if n != round || len(w.out.Excerpts) >= maxExcerpts {
				continue
			}
			from := max(m.Offset-int64(w.around), 0)
			shown := min(m.Length, maxShown)
			b, _ := bound.ReadAt(l.Source, from, m.Offset-from+shown+int64(w.around), maxShown+2*maxAround)
			start := int(m.Offset - from)
			if len(b) < start+int(shown) {
				continue
			}
			w.out.Excerpts = append(w.out.Excerpts, Excerpt{m.Pattern, from, b, start, int(shown), m.Length})
		}
	}
}

// link digests a layer on the way and compares it with the claim's link.
func (w *walk) link(l *layer) {
	have := showcause.Link{Size: l.Source.Size()}
	h := sha256.New()
	if n, err := io.Copy(h, bound.Reader(l.Source, 0, -1)); err == nil && n == have.Size {
		h.Sum(have.Digest[:0])
	}
	at := len(w.out.Chain)
	w.out.Chain = append(w.out.Chain, have)
	if at >= len(w.claim.Chain) || at == 0 && w.cut {
		return // what was cut is digested whole by who opens the file
	}
	where, want := "file", w.claim.Chain[at]
	if at > 0 {
		where = fmt.Sprintf("step %d (#%d %s)", at, l.Trail[at-1].Index, l.Trail[at-1].Op)
	}
	if want.Size != have.Size {
		w.differ(where+", size", fmt.Sprint(want.Size), fmt.Sprint(have.Size))
	}
	if want.Digest != have.Digest && want.Digest != (showcause.SHA256{}) {
		w.differ(where+", digest", want.Digest.String(), have.Digest.String())
	}
}

// unpack goes through the children of a layer.
func (w *walk) unpack(l *layer, out *unpack.Out) {
	if l.Source.Size() == 0 {
		return
	}
	probe := &unpack.Probe{Type: l.kind, Head: l.head, Source: l.Source, Name: out.Name(), Trail: l.Trail}
	read := map[string]bool{}
	hidden := l.kind.Hides()
	format := ""
	w.listen(l, out, &format)
	for _, f := range w.formats {
		if f.Match(probe) {
			format = f.Name
			read[f.Name] = true
			hidden = hidden && !formats.Reads(f.Name, l.kind)
			f.Walk(l.Source, out)
		}
	}
	unsupported := func(what string, n int64) {
		w.gap(showcause.Gap{Trail: l.Trail, Code: showcause.Unsupported + "." + showcause.Code(what), Offset: 0, Length: n})
	}
	if hidden {
		unsupported("format."+l.kind.String(), l.Source.Size())
	}
	for _, t := range probe.Also() {
		if t != l.kind && !read[t.String()] {
			unsupported("format."+t.String(), l.Source.Size())
		}
	}
	if exe.Unread(l.packer, l.Trail, read) {
		unsupported("packer."+l.packer, -1)
	}
}

// view arrives at a view of a layer.
func (w *walk) view(l *layer, sl showcause.Layer, targets ...rule.Target) {
	w.budget.Spent.Bytes += sl.Source.Size()
	w.arrive(&layer{Layer: sl, parent: l.parent, kind: l.kind, view: true, as: l.as, path: w.leads(sl.Trail), short: l.short}, append(targets, rule.Any))
}

func wide(t filetype.Type) bool {
	return t == filetype.UTF16LE || t == filetype.UTF16BE || t == filetype.HTML16
}

// views goes through the normalised views of text and HTML.
func (w *walk) views(l *layer) {
	if l.Source.Size() == 0 {
		return
	}
	switch rule.Target(l.kind.Target()) {
	case rule.HTML:
		w.html(l)
	case rule.ASCII:
		stream := func(op string, r io.Reader, targets ...rule.Target) {
			visit := func(sl showcause.Layer) { w.view(l, sl, targets...) }
			unpack.NewOut(w.budget, l.Trail, visit, w.gap).View(showcause.Step{Op: op}, r)
		}
		stream(view.OpText, view.Text(bound.Reader(l.Source, 0, -1)), rule.ASCII)
		head := l.head
		if wide(l.kind) {
			stream(view.OpUTF16, view.Narrow(bound.Reader(l.Source, 0, -1), l.kind == filetype.UTF16BE))
			head = bytes.ReplaceAll(head, []byte{0}, nil)
		}
		if filetype.LooksHTML(head) {
			w.html(l)
		}
	}
}

func (w *walk) html(l *layer) {
	src, whole := l.Source, true
	if wide(l.kind) {
		var v view.View
		v, whole = view.UTF16(src, maxView)
		page := l.kind == filetype.HTML16
		if page {
			w.view(l, showcause.Layer{Trail: l.Trail.Child(showcause.Step{Op: v.Op}), Source: showcause.Bytes(v.Bytes)})
		}
		if !page || !bytes.HasPrefix(l.head, []byte("\xfe\xff")) {
			src = showcause.Bytes(v.Bytes)
		}
	}
	vs, all := view.HTML(src, maxView)
	for i, v := range vs {
		targets := []rule.Target{rule.HTML}
		if v.Op == view.OpJavaScript {
			targets = append(targets, rule.ASCII)
		}
		w.budget.Spent.Work += int64(len(v.Bytes)) / 8
		w.view(l, showcause.Layer{Trail: l.Trail.Child(showcause.Step{Index: i, Op: v.Op}), Source: showcause.Bytes(v.Bytes)}, targets...)
	}
	if rule.Target(l.kind.Target()) == rule.HTML && (!whole || !all) {
		w.gap(showcause.Gap{Trail: l.Trail.Child(showcause.Step{Op: vs[0].Op}), Code: showcause.LimitSize, Offset: int64(len(vs[0].Bytes)), Length: -1})
	}
}

// dataURIs goes through the data: URIs of text and HTML.
func (w *walk) dataURIs(l *layer, out *unpack.Out) {
	switch rule.Target(l.kind.Target()) {
	case rule.ASCII, rule.HTML:
	default:
		return
	}
	if k := len(l.Trail); k > 0 && (l.Trail[k-1].Op == "html.script" || l.Trail[k-1].Op == "html.style") {
		return // those of a page are the page's
	}
	n := l.Source.Size()
	if n == 0 || !out.Work(n/16) {
		return
	}
	err := view.DataURIs(bound.Reader(l.Source, 0, -1), func(u view.URI) bool {
		return out.Child(unpack.Child{Op: view.OpData, Reader: u.Decode(bound.Reader(l.Source, u.Offset, u.Length)), Size: -1})
	})
	if err != nil {
		w.cannotRead(l, 0, -1, err)
	}
}
