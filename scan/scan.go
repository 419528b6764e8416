// Package scan turns one layer into one Report: it says what the bytes are,
// searches them and their views, unpacks them, and does the same with every
// child. It has no network, writes nothing and reads no clock: a report is a
// function of the bytes, the rules and the limits.
package scan

import (
	"errors"
	"io"
	"maps"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig/bytecode"
	"github.com/showcause/showcause/clamsig/bytecode/engine"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/scan/texts"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/document"
	"github.com/showcause/showcause/unpack/exe"
	"github.com/showcause/showcause/unpack/formats"
	"github.com/showcause/showcause/view"
	"github.com/showcause/showcause/yara/calc"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// Options are how to scan. The zero value works.
type Options struct {
	Limits showcause.Limits
	// Spill opens scratch space for children over 16 MiB. If nil, they are cut
	// there, with a gap.
	Spill func() (unpack.File, error)
	// Excerpts has each match of a finding carry its first bytes.
	Excerpts bool
	// Digests has each finding carry its Chain and its Counts.
	Digests bool
	// Formats are what is unpacked; nil is formats.All().
	Formats []unpack.Format
	// TopOnly has only the input itself searched, as YARA does, and nothing that is
	// in it.
	TopOnly bool
	// MaxMatches is how many places are kept for each pattern of a finding; 0 is
	// showcause.MaxMatches.
	MaxMatches int
	// Externals are the values of external variables of YARA's rules, where they
	// are not those that the rules were compiled with.
	Externals map[string]module.Value
	// Modules gives values of modules of YARA's for a layer, before those that
	// are known here. It may be nil.
	Modules func(name string, d source.Dialect, in calc.Input) (module.Value, bool)
	// ModuleData are files by the name of the module that is to read them.
	ModuleData map[string][]byte
	// Now is the time for rules that ask for it, seconds since 1970.
	Now int64
	// Passwords are tried on what is encrypted, before unpack.UsualPasswords, which
	// NoUsual leaves out.
	Passwords [][]byte
	NoUsual   bool
	// EachTime has a layer that occurs more than once scanned each time. The report
	// is the same.
	EachTime bool
	// Log takes the lines that rules write, or is nil.
	Log func(line string)
}

// Scanner scans one input after the other. It is not safe for concurrent use;
// Scanners share a database.
type Scanner struct {
	db      *ruledb.DB
	options Options
	search  searcher
	visitor *Visitor // takes the layers in place of the search, if not nil
	tags    *tagger  // nil: nothing that occurs twice is scanned once
	whole   []byte   // the bytes of an input that fits in memory
	scratch unpack.Scratch
	pages   view.Pages
	loaded  map[uint32]*bytecode.Program // by rule; nil of those that are damaged

	heuristics heuristics
	texts      *texts.Set
}

// inMemory is the size in bytes up to which an input is read at once, so that
// every reader of it sees the same bytes.
const inMemory = 16 << 20

// New returns a Scanner for a database. A process that is to be locked calls it before.
func New(db *ruledb.DB, o Options) *Scanner {
	if o.Formats == nil {
		o.Formats = formats.All()
	}
	s := &Scanner{db: db, options: o, search: newSearcher(db)}
	s.texts = texts.Of(db)
	s.heuristics = newHeuristics(db, s.texts.Heuristics)
	s.options.Passwords = slices.Concat(o.Passwords, s.texts.Passwords)
	if !o.TopOnly && !o.EachTime {
		s.tags = newTagger()
	}
	return s
}

// Scan scans an input. A src with a method Changed() bool is asked, when all is
// read, whether its bytes have changed meanwhile.
func (s *Scanner) Scan(src showcause.Source) showcause.Report { return s.ScanWith(src, nil) }

// ScanWith is Scan with values of external variables for this input, which come
// before those in Options. If filename is among them, filetype ("EXE", "PDF") and
// filemd5 are worked out for each layer, unless they are too, and in a container
// filename and extension (".exe") are those of the member.
func (s *Scanner) ScanWith(src showcause.Source, externals map[string]module.Value) showcause.Report {
	in := input{Scanner: s, report: showcause.Report{Size: src.Size()}, externals: s.options.Externals}
	if len(externals) > 0 {
		in.externals = maps.Clone(in.externals)
		if in.externals == nil {
			in.externals = map[string]module.Value{}
		}
		maps.Copy(in.externals, externals)
	}
	in.budget = unpack.NewBudget(s.options.Limits, src.Size(), s.options.Spill)
	in.budget.Reuse(&s.scratch)
	defer in.budget.Release()
	in.budget.Passwords, in.budget.NoUsual = s.options.Passwords, s.options.NoUsual
	read := src
	if max := s.options.Limits.FileSize; max > 0 && src.Size() > max {
		in.gap(showcause.Gap{Code: showcause.LimitSize, Offset: max, Length: src.Size() - max})
		read = bound.Section(src, 0, max)
		in.cut = true
	}
	if n := read.Size(); n > 0 && n <= inMemory {
		read = in.slurp(read)
	}
	root := in.layer(showcause.Layer{Source: read}, nil)
	in.report.Type = root.kind.String()
	if c, ok := src.(interface{ Changed() bool }); ok && c.Changed() {
		in.gap(showcause.Gap{Code: showcause.Changed, Offset: 0, Length: -1})
	}
	in.report.Spent = in.budget.Spent
	in.report.Spent.Objects++
	in.report.Conclude()
	return in.report
}

// input is the scan of one input.
type input struct {
	*Scanner
	report showcause.Report
	told   told
	budget *unpack.Budget
	cut    bool // the limit for one layer cut the input itself
	ended  bool // the input could not be read to its end

	externals map[string]module.Value

	records map[occurrence]record
	sizes   map[int64]bool // of layers that got no tag for theirs
}

// slurp reads a whole input into memory. What cannot be read is a gap.
func (in *input) slurp(src showcause.Source) showcause.Source {
	n := int(src.Size())
	if cap(in.whole) < n {
		in.whole = make([]byte, max(n, min(2*cap(in.whole), inMemory)))
	}
	buf := in.whole[:n]
	for got := 0; got < n; {
		m, err := src.ReadAt(buf[got:], int64(got))
		got += m
		if got < n && (err != nil || m == 0) {
			in.ended = true
			in.short(nil, int64(got), int64(n-got), err)
			return showcause.Bytes(buf[:got])
		}
	}
	return showcause.Bytes(buf)
}

// cannotRead says, once for each layer, that it could not be read to its end.
func (in *input) cannotRead(l *layer, off, n int64, err error) {
	if !l.unread {
		l.unread = true
		in.short(l.Trail, off, n, err)
	}
}

// short says that a layer could not be read to its end.
func (in *input) short(t showcause.Trail, off, n int64, err error) {
	code := showcause.Unreadable
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		code = showcause.Changed
	}
	in.gap(showcause.Gap{Trail: t, Code: code, Offset: off, Length: n})
}

// layer is one layer while it is scanned.
type layer struct {
	showcause.Layer
	parent   *layer
	kind     filetype.Type
	head     []byte
	out      *unpack.Out // takes the layer's children, however they are found
	sums     *sums       // its digests, until they are looked up
	exe      *exe.Info   // nil unless the bytes parse as an executable
	packer   string      // what packed the executable
	allowed  string      // the allow-list rule that overrules findings here and below
	allower  uint32      // its index
	crashed  bool
	unread   bool               // not all of it can be read, and that is said
	first    int                // index of the layer's first finding
	origin   *layer             // of a view: what it is a view of
	link     *showcause.Link    // what the layer holds, once that is known
	above    string             // see way
	tag      [tagSize]byte      // see tagOf
	tagged   bool               // it was asked for
	known    bool               // and all could be read
	image    *hashed            // what it looks like, once that was asked
	icons    *icons             // those of a program, once that was asked
	as       bool               // it is read as a type that a signature asked for
	handlers []filetype.Type    // types to read it as besides
	written  []engine.Extracted // by programs, yet to be scanned
}

// layer scans a layer and everything in it.
func (in *input) layer(sl showcause.Layer, parent *layer) *layer {
	l := &layer{Layer: sl, parent: parent, first: len(in.report.Findings)}
	if parent != nil {
		l.allowed, l.allower = parent.allowed, parent.allower
	} else {
		l.unread = in.ended || in.cut
	}
	l.out = unpack.NewOut(in.budget, l.Trail, func(c showcause.Layer) { in.layer(c, l) }, in.gap)
	o, known := in.occurs(l)
	if known && in.again(l, o) {
		return l
	}
	r := record{depth: len(l.Trail), findings: len(in.report.Findings), gaps: len(in.report.Gaps)}
	mark, lost := in.budget.Mark(len(l.Trail)), in.told.lost
	in.inspect(l)
	var same bool
	if r.cost, same = in.budget.Since(mark); known && same {
		in.remember(l, o, r, lost)
	}
	return l
}

// inspect searches a layer and derives what is in it.
func (in *input) inspect(l *layer) {
	sl := l.Layer
	in.budget.Spent.Bytes += sl.Source.Size()
	in.budget.Spent.Depth = max(in.budget.Spent.Depth, len(sl.Trail))
	in.guard(l, func() {
		l.head = bound.Head(sl.Source, unpack.HeadSize)
		l.classify()
		in.magics(l)
		switch rule.Target(l.kind.Target()) {
		case rule.PE, rule.ELF, rule.MachO:
			if in.options.TopOnly && in.db.OnlyYARA() {
				return // nobody asks, or the condition that does
			}
			if sl.Source.Size()/64 > in.budget.Limits.Work-in.budget.Spent.Work { // it is read through for installers
				in.gap(showcause.Gap{Trail: l.Trail, Code: showcause.LimitWork, Offset: 0, Length: -1})
				return
			}
			if info, ok := exe.ParseIn(sl.Source, l.kind, l.out.Places(sl.Source)); ok {
				l.exe, l.packer = info, info.Packer
				if info.Partial {
					in.gap(showcause.Gap{Trail: l.Trail, Code: showcause.LimitWork, Offset: 0, Length: -1})
				}
			} else {
				l.packer = exe.PackerIn(sl.Source, l.kind, l.out.Places(sl.Source))
			}
		}
	})
	if in.visitor != nil {
		in.guard(l, func() { in.visit(l) })
	} else {
		in.searchAll(l)
	}
	if in.options.TopOnly {
		in.inside(l)
		if len(l.written) > 0 {
			in.gap(showcause.Gap{Trail: l.Trail, Code: showcause.LimitDepth, Offset: 0, Length: -1})
		}
		return
	}
	if l.endless() {
		in.gap(showcause.Gap{Trail: l.Trail, Code: showcause.LimitDepth, Offset: 0, Length: -1})
		return
	}
	in.guard(l, func() { in.dataURIs(l) })
	in.guard(l, func() { in.outputs(l) })
	in.guard(l, func() { in.unpack(l) })
	in.handled(l)
}

// searchAll searches a layer and its views.
func (in *input) searchAll(l *layer) {
	if !l.as { // they are the same
		in.guard(l, func() { in.digests(l) })
	}
	in.guard(l, func() { in.signers(l) })
	in.guard(l, func() { in.match(l, rawTarget(l.kind)) })
	in.guard(l, func() { in.settle(l) })
	if !in.options.TopOnly && !in.db.OnlyYARA() {
		in.guard(l, func() { in.views(l) })
		in.guard(l, func() { in.heuristic(l) })
	}
}

// guard runs one stage. A panic in it, which is a broken invariant of ours,
// ends the stage and not the scan: the layer gets a gap.
func (in *input) guard(l *layer, stage func()) {
	defer func() {
		if r := recover(); r != nil {
			if !l.crashed {
				l.crashed = true
				in.gap(showcause.Gap{Trail: l.Trail, Code: showcause.Crash, Offset: 0, Length: -1})
			}
		}
	}()
	stage()
}

// inside says of an input of which nothing but itself is searched that it holds more.
func (in *input) inside(l *layer) {
	if l.kind.Hides() || rule.Target(l.kind.Target()) == rule.Mail {
		in.gap(showcause.Gap{Trail: l.Trail, Code: showcause.LimitDepth, Offset: 0, Length: -1})
	}
}

// unpack derives the children of a layer by every format that it may be.
func (in *input) unpack(l *layer) {
	if l.Source.Size() == 0 {
		return
	}
	probe := &unpack.Probe{Type: l.kind, Head: l.head, Source: l.Source, Name: l.out.Name(), Trail: l.Trail, Near: l.out.Known(l.Source)}
	read := map[string]bool{}
	hidden := l.kind.Hides()
	format := ""
	in.listen(l, &format)
	for _, f := range in.options.Formats {
		if !f.Match(probe) {
			continue
		}
		format = f.Name
		read[f.Name] = true
		hidden = hidden && !formats.Reads(f.Name, l.kind)
		in.guard(l, func() { f.Walk(l.Source, l.out) })
	}
	if hidden {
		in.unsupported(l, "format."+l.kind.String(), l.Source.Size())
	}
	// A picture, a program or a page can be a PDF file or a disc image too, for
	// those who open it as one.
	for _, t := range probe.Also() {
		if t != l.kind && !read[t.String()] {
			in.unsupported(l, "format."+t.String(), l.Source.Size())
		}
	}
	if exe.Unread(l.packer, l.Trail, read) {
		in.unsupported(l, "packer."+l.packer, -1)
	}
}

func (in *input) unsupported(l *layer, what string, n int64) {
	in.gap(showcause.Gap{Trail: l.Trail, Code: showcause.Unsupported + "." + showcause.Code(what), Offset: 0, Length: n})
}

// container is the layer that a layer is in: not the one that it is another reading of.
func (l *layer) container() *layer {
	if l.origin != nil {
		return l.origin.container()
	}
	if l.as {
		return l.parent.container()
	}
	return l.parent
}

// ancestors returns the ClamAV names of the types of a layer's parents, outermost first. A mail
// in a mailbox is no container of its own there.
func (l *layer) ancestors() []string {
	var out []string
	for p := l.container(); p != nil; p = p.container() {
		if document.InMailbox(p.Trail) {
			continue
		}
		out = append(out, p.kind.ClamAV())
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}
