package unpack

import (
	"io"
	"strings"

	"github.com/showcause/showcause"
)

// Budget is what one input has spent, against its limits. It is not safe for
// concurrent use.
type Budget struct {
	Limits showcause.Limits
	Input  int64 // size of the input in bytes
	Spent  showcause.Spent
	// Spill opens scratch space that is gone when closed. If nil, or if it
	// fails, a child over 16 MiB is cut there, with a gap, and a child of many
	// large ones in each other before.
	Spill func() (File, error)
	// Passwords are tried on what is encrypted, besides UsualPasswords, unless
	// NoUsual, and words that the input's own text tells.
	Passwords [][]byte
	NoUsual   bool

	guess    guessing
	expanded int64 // bytes of all children so far
	zeros    int64 // of these, those that raise RatioFloor; freeZeros at most
	free     [][]byte
	held     int64  // bytes of the buffers that children hold
	windows  int64  // bytes of the decoders that live while children are visited
	rename   Rename // of the children of the layer that is visited
	scratch  *Scratch
}

// NewBudget returns a Budget for an input of the given size.
func NewBudget(l showcause.Limits, input int64, spill func() (File, error)) *Budget {
	return &Budget{Limits: l.WithDefaults(), Input: input, Spill: spill, scratch: &Scratch{}}
}

// Work charges n steps and tells whether the limit still holds.
func (b *Budget) Work(n int64) bool {
	b.Spent.Work += n
	return b.Spent.Work <= b.Limits.Work
}

// freeZeros is how many bytes of zeros out of deflate do not count for the ratio, in
// stretches that are not held in memory: what stands behind them in a sparse file is found.
const freeZeros = 2<<30 + 64<<20

// room returns how many more bytes may be derived, and the code of the limit
// that says so.
func (b *Budget) room() (int64, showcause.Code) {
	room, code := b.Limits.ScanSize-b.expanded, showcause.LimitSize
	if r := max(b.Limits.Ratio*max(b.Input, 1), showcause.RatioFloor+b.zeros) - b.expanded; r < room {
		room, code = r, showcause.LimitRatio
	}
	return max(room, 0), code
}

// Out takes what the formats of one layer find in it, one format after the other.
type Out struct {
	budget *Budget
	trail  showcause.Trail
	visit  func(showcause.Layer)
	gap    func(showcause.Gap)
	index  int
	spent  bool // a limit of the whole input is reached and said

	covered []Span // what Section gave
	places  *Places
	marks   map[Span]mark
	rename  Rename
	member  func(Member)
}

// NewOut returns an Out for the layer with the given trail. visit is called
// with each child in order, and the child's Source is valid only until visit returns.
func NewOut(b *Budget, t showcause.Trail, visit func(showcause.Layer), gap func(showcause.Gap)) *Out {
	return &Out{budget: b, trail: t, visit: visit, gap: gap, rename: b.rename}
}

// Gap says that [off, off+n) of the layer was not read as the format; n is -1
// when it is not known how much there is.
func (o *Out) Gap(code showcause.Code, off, n int64) {
	o.gap(showcause.Gap{Trail: o.trail, Code: code, Offset: off, Length: n})
}

// Work charges n steps of parsing (about one a header or directory entry) and
// tells whether to go on; a spent limit is a gap.
func (o *Out) Work(n int64) bool {
	if o.spent {
		return false
	}
	if !o.budget.Work(n) {
		o.stop(showcause.LimitWork)
		return false
	}
	return true
}

func (o *Out) stop(code showcause.Code) {
	if !o.spent {
		o.spent = true
		o.Gap(code, 0, -1)
	}
}

// Repeat charges n bytes that are children once more: members of an archive that
// share their data. They were read, and are not read again; a tool would write
// them all, so that past a limit this is said of the layer.
func (o *Out) Repeat(n int64) {
	room, code := o.budget.room()
	if n > room {
		o.Gap(code, 0, -1)
	}
	o.budget.expanded += min(n, room)
}

// ChildGap says that a child exists and was not derived at all: it is
// encrypted, or its method is not supported. It counts as an object. It tells
// whether to go on.
func (o *Out) ChildGap(c Child, code showcause.Code) bool {
	t, ok := o.enter(o.named(c))
	if ok {
		o.gap(showcause.Gap{Trail: t, Code: code, Offset: 0, Length: c.Size})
	}
	return ok
}

// enter charges one object and returns its trail.
func (o *Out) enter(c Child) (showcause.Trail, bool) {
	if o.spent {
		return nil, false
	}
	b := o.budget
	if b.Spent.Objects >= b.Limits.Objects {
		o.stop(showcause.LimitObject)
		return nil, false
	}
	b.Spent.Objects++
	name := strings.Clone(c.Name[:min(len(c.Name), MaxName)]) // it may be a part of a large table, which must not live on in reports
	t := o.trail.Child(showcause.Step{Index: o.index, Op: c.Op, Name: name})
	o.index++
	b.Spent.Depth = max(b.Spent.Depth, len(t))
	return t, true
}

// View hands over another form of the layer's own bytes, never longer than
// they are. It is no object and no step of depth: only work is charged.
func (o *Out) View(s showcause.Step, r io.Reader) {
	t := o.trail.Child(s)
	v := spool{budget: o.budget}
	defer v.close()
	err := v.fill(r, o.budget.Limits.FileSize)
	o.budget.Work(v.n / 8)
	o.visit(showcause.Layer{Trail: t, Source: v.source()})
	if err != nil {
		code := codeOf(err)
		switch {
		case err == errFull:
			code = showcause.LimitSize
		case code == showcause.Corrupt: // a view has no format that could be broken
			code = showcause.Unreadable
		}
		o.gap(showcause.Gap{Trail: t, Code: code, Offset: v.n, Length: -1})
	}
}

// Child derives a child, charges it and has it visited. It tells whether to
// go on; when a limit is spent it has said so in a gap.
func (o *Out) Child(c Child) bool {
	if len(o.trail) >= o.budget.Limits.Depth {
		o.stop(showcause.LimitDepth)
		return false
	}
	c = o.named(c)
	t, ok := o.enter(c)
	if !ok {
		return false
	}
	outer := o.budget.rename
	o.budget.rename = c.in
	defer func() { o.budget.rename = outer }()
	if c.Source != nil {
		return o.section(c, t)
	}
	return o.derive(c, t)
}

// section visits a child whose bytes stand somewhere already. They are charged
// like derived bytes: a thousand overlapping members are a thousand readings.
func (o *Out) section(c Child, t showcause.Trail) bool {
	b := o.budget
	room, code := b.room()
	n := c.Source.Size()
	src := c.Source
	fit := min(n, room, b.Limits.FileSize)
	if fit < n {
		src = io.NewSectionReader(src, 0, fit)
	}
	b.expanded += fit
	o.sized(c, n)
	o.visit(showcause.Layer{Trail: t, Source: src})
	if fit < n {
		if fit == b.Limits.FileSize && fit < room {
			o.gap(showcause.Gap{Trail: t, Code: showcause.LimitSize, Offset: fit, Length: n - fit})
			return true
		}
		o.gap(showcause.Gap{Trail: t, Code: code, Offset: fit, Length: n - fit})
		o.stop(code)
		return false
	}
	return true
}

// derive reads a child to its end or to a limit, and visits it.
func (o *Out) derive(c Child, t showcause.Trail) bool {
	b := o.budget
	s := spool{budget: b, thin: c.Deflate}
	defer s.close()
	err := s.fill(c.Reader, s.most())
	if r, ok := c.Reader.(io.Closer); ok {
		r.Close()
	}
	room, code := b.room()
	capped := min(room, b.Limits.FileSize)
	b.expanded += s.n
	o.sized(c, s.n)
	if s.n > 0 || err == nil {
		o.visit(showcause.Layer{Trail: t, Source: s.source()})
	}
	switch err {
	case nil:
		return true
	case errFull:
		left := int64(-1)
		if c.Size > s.n {
			left = c.Size - s.n
		}
		if capped < room {
			o.gap(showcause.Gap{Trail: t, Code: showcause.LimitSize, Offset: s.n, Length: left})
			return true
		}
		o.gap(showcause.Gap{Trail: t, Code: code, Offset: s.n, Length: left})
		o.stop(code)
		return false
	}
	left := int64(-1)
	if c.Size >= s.n {
		left = c.Size - s.n
	}
	o.gap(showcause.Gap{Trail: t, Code: codeOf(err), Offset: s.n, Length: left})
	return true
}
