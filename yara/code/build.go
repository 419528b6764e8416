package code

import (
	"errors"
	"fmt"
	"math"

	"github.com/showcause/showcause/regex"
	"github.com/showcause/showcause/yara/source"
)

// Label is a place in a program that is being built. The zero Label is none.
type Label int

// Instr is an instruction to be built. Fields that its op does not have are zero.
type Instr struct {
	Op      Op
	A, B, C int
	// Y is the second operand as a number, if HasY is set: from -(2^32-1) to 2^32-1.
	Y    int64
	HasY bool
	// If is what the outcome of a test must be for it to jump.
	If bool
	// Indirect: the pattern is in integer B. Counted: the number of an Of is in
	// integer A. Percent: that of a Quota is one.
	Indirect, Counted, Percent bool
	N                          int64 // Int: the number; else d
	To, Enough                 Label // e; d of Hit
	E                          int   // e of BoxRegexp
}

// Builder builds a program. The zero value is not ready: see NewBuilder.
type Builder struct {
	dialect        source.Dialect
	patterns, deps int
	code           []instr
	labels         []int // by label; -1: not bound
	used           []bool
	fixes          []fix
	modules        []int // numbers of strings
	moduleOf       map[string]int
	strings        [][]byte
	stringOf       map[string]int
	regexps        []regex.Program
	regexpOf       map[string]int
	tables         []byte
	tableOf        map[string]uint32
	ints           int // registers
	texts, values  int
	err            error
}

// fix is a label that an instruction, or an entry of a table, refers to.
type fix struct {
	at    int // instruction; with table set, offset in tables
	d     bool
	table bool
	to    Label
}

// NewBuilder returns the builder of a condition over so many patterns and rules.
func NewBuilder(d source.Dialect, patterns, deps int) *Builder {
	return &Builder{
		dialect: d, patterns: patterns, deps: deps, labels: []int{-1}, used: []bool{false},
	}
}

// ErrTooLarge is wrapped by the error for a condition that is larger than a
// program can be.
var ErrTooLarge = errors.New("condition too large")

// Label makes a place.
func (b *Builder) Label() Label {
	b.labels = append(b.labels, -1)
	b.used = append(b.used, false)
	return Label(len(b.labels) - 1)
}

// Bind puts a label at the next instruction.
func (b *Builder) Bind(l Label) { b.labels[l] = len(b.code) }

// Used says whether an instruction refers to a label.
func (b *Builder) Used(l Label) bool { return b.used[l] }

// Registers says how many registers the program has.
func (b *Builder) Registers(ints, texts, values int) { b.ints, b.texts, b.values = ints, texts, values }

// SetDeps says how many rules the program names.
func (b *Builder) SetDeps(n int) { b.deps = n }

// Fits says whether a number can be an operand.
func Fits(n int64) bool { return n >= -math.MaxUint32 && n <= math.MaxUint32 }

// Emit adds an instruction.
func (b *Builder) Emit(in Instr) {
	at := len(b.code)
	if at >= maxInstr {
		b.fail("instructions")
		return
	}
	for _, v := range []int{in.A, in.B, in.C} {
		if v < 0 || v > math.MaxUint16 {
			b.fail("operands")
			return
		}
	}
	out := instr{op: uint8(in.Op), a: uint16(in.A), b: uint16(in.B), c: uint16(in.C), d: uint32(in.N), e: uint32(in.E)}
	if in.HasY {
		out.f |= immediate
		out.d = uint32(in.Y)
		if in.Y < 0 {
			out.f |= negative
			out.d = uint32(-in.Y)
		}
	}
	for _, bit := range []struct {
		set  bool
		flag uint8
	}{{in.Indirect, indirect}, {in.Counted, counted}, {in.Percent, percent}, {in.If, ifTrue}} {
		if bit.set {
			out.f |= bit.flag
		}
	}
	if in.Op == Int {
		out.e = uint32(uint64(in.N) >> 32)
	}
	b.code = append(b.code, out)
	b.refer(at, false, in.To)
	b.refer(at, true, in.Enough)
}

func (b *Builder) refer(at int, d bool, to Label) {
	if to != 0 {
		b.used[to] = true
		b.fixes = append(b.fixes, fix{at: at, d: d, to: to})
	}
}

func (b *Builder) fail(what string) {
	if b.err == nil {
		b.err = fmt.Errorf("%s: %w", what, ErrTooLarge)
	}
}

// String is the number of a string.
func (b *Builder) String(s string) int {
	n, ok := b.stringOf[s]
	if !ok {
		n = len(b.strings)
		b.strings = append(b.strings, []byte(s))
		if b.stringOf == nil {
			b.stringOf = map[string]int{}
		}
		b.stringOf[s] = n
	}
	return n
}

// Module is the number of a module.
func (b *Builder) Module(name string) int {
	n, ok := b.moduleOf[name]
	if !ok {
		n = len(b.modules)
		b.modules = append(b.modules, b.String(name))
		if b.moduleOf == nil {
			b.moduleOf = map[string]int{}
		}
		b.moduleOf[name] = n
	}
	return n
}

// Regexp is the number of a regular expression.
func (b *Builder) Regexp(p regex.Program) int {
	n, ok := b.regexpOf[string(p)]
	if !ok {
		n = len(b.regexps)
		b.regexps = append(b.regexps, p)
		if b.regexpOf == nil {
			b.regexpOf = map[string]int{}
		}
		b.regexpOf[string(p)] = n
	}
	return n
}

// table is the place of some bytes in the data.
func (b *Builder) table(t []byte) int64 {
	off, ok := b.tableOf[string(t)]
	if !ok {
		off = uint32(len(b.tables))
		if len(b.tables)+len(t) > maxData/2 {
			b.fail("tables")
			return 0
		}
		b.tables = append(b.tables, t...)
		if b.tableOf == nil {
			b.tableOf = map[string]uint32{}
		}
		b.tableOf[string(t)] = off
	}
	return int64(off)
}

// Members is how members of a set of patterns are told: N and Indirect of an
// instruction.
func (b *Builder) Members(patterns []int) (n int64, indirect bool) {
	var t []byte
	indirect = true
	for i, p := range patterns {
		indirect = indirect && p == patterns[0]+i
		t = le.AppendUint16(t, uint16(p))
	}
	if indirect && len(patterns) > 0 {
		return int64(patterns[0]), true
	}
	return b.table(t), false
}

// Rules is the place of a list of rules.
func (b *Builder) Rules(deps []int) int64 {
	var t []byte
	for _, d := range deps {
		t = le.AppendUint32(t, uint32(d))
	}
	return b.table(t)
}

// Numbers is the place of a list of numbers.
func (b *Builder) Numbers(list []int64) int64 {
	var t []byte
	for _, n := range list {
		t = le.AppendUint64(t, uint64(n))
	}
	return b.table(t)
}

// Targets is the place of a list of labels.
func (b *Builder) Targets(list []Label) int64 {
	off := len(b.tables)
	for _, l := range list {
		b.used[l] = true
		b.fixes = append(b.fixes, fix{at: len(b.tables), table: true, to: l})
		b.tables = append(b.tables, 0, 0, 0, 0)
	}
	return int64(off)
}

// Program is what was built.
func (b *Builder) Program() (Program, error) {
	for _, n := range []int{b.ints, b.texts, b.values, len(b.modules), len(b.regexps)} {
		if n > math.MaxUint16 {
			b.fail("registers")
		}
	}
	if b.err != nil {
		return nil, b.err
	}
	for _, f := range b.fixes {
		to := uint32(b.labels[f.to])
		switch {
		case f.table:
			le.PutUint32(b.tables[f.at:], to)
		case f.d:
			b.code[f.at].d = to
		default:
			b.code[f.at].e = to
		}
	}
	size := headSize + 4*len(b.modules) + 8*(len(b.strings)+len(b.regexps)) + instrSize*len(b.code) + len(b.tables)
	for _, s := range b.strings {
		size += len(s)
	}
	for _, r := range b.regexps {
		size += len(r)
	}
	p := append(make(Program, 0, size), version, byte(b.dialect))
	for _, n := range []int{b.ints, b.texts, b.values, len(b.modules), len(b.regexps)} {
		p = le.AppendUint16(p, uint16(n))
	}
	for _, n := range []int{len(b.strings), b.patterns, b.deps, len(b.code)} {
		p = le.AppendUint32(p, uint32(n))
	}
	for _, n := range b.modules {
		p = le.AppendUint32(p, uint32(n))
	}
	data := b.tables
	piece := func(s []byte) {
		p = le.AppendUint32(p, uint32(len(data)))
		p = le.AppendUint32(p, uint32(len(s)))
		data = append(data, s...)
	}
	for _, s := range b.strings {
		piece(s)
	}
	for _, r := range b.regexps {
		piece(r)
	}
	for _, in := range b.code {
		p = append(p, in.op, in.f)
		p = le.AppendUint16(le.AppendUint16(le.AppendUint16(p, in.a), in.b), in.c)
		p = le.AppendUint32(le.AppendUint32(p, in.d), in.e)
	}
	p = append(p, data...)
	if err := p.Check(b.patterns, b.deps); err != nil {
		return nil, fmt.Errorf("compiled: %w", err)
	}
	return p, nil
}
