package ruledb

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/literal"
	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/rule"
)

// unofficial is the end that ClamAV gives to the names of rules that do not
// come from a container. It is held as a flag.
const unofficial = ".UNOFFICIAL"

// Builder gathers rules and writes them as one database. The same rules in the
// same order give the same bytes. The zero value is ready to use.
type Builder struct {
	bodies   []body
	patterns []builtPattern
	byKey    map[patternKey]uint32
	digests  map[uint32]*staged
	skips    []Skip

	names    []byte
	stems    blob
	stemAt   map[string]uint32
	scratch  []byte
	texts    pieces
	abouts   pieces
	programs []byte
	progAt   map[uint64]stretch // by XXH64
	textAt   map[string]uint32
	files    []string
	fileAt   map[string]uint32
	keys     map[string]uint32 // of YARA's rules, to their index
	spaces   []builtSpace
	spaceAt  map[string]uint32
	err      error

	mu    sync.Mutex // guards ready
	ready map[*rule.Rule]prepared
}

// prepared is what Prepare made of a rule.
type prepared struct {
	patterns []compiled
	err      error
}

// stretch is a place in a section.
type stretch struct{ at, n uint32 }

// patternKey tells patterns apart.
type patternKey struct {
	flags  uint32
	anchor pattern.Anchor
	code   stretch
}

// body is a rule with patterns, until Finish.
type body struct {
	row  ruleRow
	cond rule.Rule // Cond: what Triggers asks for
	subs []uint32
	yara *builtYARA
	mz   bool // for layers that begin with "MZ" only
}

type builtPattern struct {
	row   patternRow
	atoms []pattern.Atom
	cost  int    // of searching for it: common seeds are dear; dear enough never to be chosen without atoms
	uses  uint32 // rules that have it
	last  uint32 // 1 + the last rule that was counted in uses
}

// Rule adds a rule. An error says that a pattern or the condition could not be
// compiled; the rule is then left out as a whole.
func (b *Builder) Rule(r *rule.Rule) error {
	if r.Target >= rule.Targets {
		return fmt.Errorf("target %d: unknown", r.Target)
	}
	prog, err := rule.Encode(r)
	if err != nil {
		return fmt.Errorf("condition: %w", err)
	}
	b.mu.Lock()
	done, ok := b.ready[r]
	delete(b.ready, r)
	b.mu.Unlock()
	if !ok {
		done.patterns, done.err = compilePatterns(r)
	}
	cs, err := done.patterns, done.err
	if err != nil {
		return err
	}
	y, err := b.yara(r)
	if err != nil {
		return err
	}
	needs := r.Needs()
	n := body{subs: make([]uint32, len(cs)), cond: rule.Rule{Cond: r.Cond, Later: r.Later}, yara: y, mz: r.Guard.Begins('M', 'Z')}
	for _, later := range []bool{false, true} {
		for i := range cs {
			if later != (cs[i].flags&patternLater != 0) {
				continue
			}
			anchor := r.Patterns[i].Anchor
			if cs[i].flags&patternCompare != 0 {
				anchor = pattern.Anchor{Number: int(n.subs[r.Later[i].Compare.From])}
			}
			need := max(needs[i], uint32(r.Patterns[i].Count), 1)
			if r.Bytecode != nil {
				need = max(need, showcause.MaxCount) // it is told how many there are
			}
			n.subs[i] = b.pattern(&cs[i], anchor, need)
		}
	}
	name, flags := splitName(r.Name)
	if r.Bytecode != nil {
		flags |= flagBytecode
		if r.Bytecode.Alias {
			flags |= flagAlias
		}
	}
	if r.Heuristic {
		flags |= flagHeuristic
	}
	n.row = ruleRow{Target: uint32(r.Target), File: b.file(r.Staged()), Line: uint32(r.Line), Flags: flags}
	n.row.Name, n.row.NameLen = b.push(&b.names, name)
	n.row.Text, n.row.TextLen = b.textPiece(r.Text)
	n.row.Program, n.row.ProgramLen = b.program(prog)
	if y != nil {
		b.keys[r.Key()] = uint32(len(b.bodies))
	}
	b.bodies = append(b.bodies, n)
	for _, p := range n.subs {
		if bp := &b.patterns[p]; bp.last != uint32(len(b.bodies)) {
			bp.last = uint32(len(b.bodies))
			bp.uses++
		}
	}
	return b.err
}

// Prepare does what adding the rule costs most of, and changes nothing else. It
// may be called by many goroutines at once; Rule is then quicker.
func (b *Builder) Prepare(r *rule.Rule) {
	cs, err := compilePatterns(r)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ready == nil {
		b.ready = map[*rule.Rule]prepared{}
	}
	b.ready[r] = prepared{cs, err}
}

// Skip notes a signature that was left out.
func (b *Builder) Skip(s Skip) { b.skips = append(b.skips, s) }

// compiled is a pattern of a rule.
type compiled struct {
	prog  []byte
	atoms []pattern.Atom
	flags uint32
}

func compilePatterns(r *rule.Rule) ([]compiled, error) {
	out := make([]compiled, len(r.Patterns))
	for i, p := range r.Patterns {
		if r.Later != nil && r.Later[i] != nil {
			var err error
			if out[i], err = compileLater(r, i); err != nil {
				return nil, fmt.Errorf("subsignature %d: %w", i, err)
			}
			continue
		}
		if r.Regexps != nil && r.Regexps[i] != nil {
			out[i] = ofRegexp(r.Regexps[i])
			continue
		}
		prog, atoms, err := pattern.Compile(p, literal.Score)
		if err != nil {
			return nil, fmt.Errorf("subsignature %d: %w", i, err)
		}
		out[i] = compiled{prog: prog, atoms: atoms}
	}
	return out, nil
}

func ofRegexp(re *rule.Regexp) compiled {
	out := compiled{prog: re.Program, flags: patternRegexp, atoms: make([]pattern.Atom, 0, len(re.Atoms))}
	for _, a := range re.Atoms {
		out.atoms = append(out.atoms, pattern.Atom{Literal: a.Literal, Fold: a.Fold, Place: a.Place})
	}
	if len(re.Atoms) == 0 {
		out.flags |= patternNoAtoms
	}
	return out
}

// compileLater compiles a pattern that is decided after others.
func compileLater(r *rule.Rule, i int) (out compiled, err error) {
	l := r.Later[i]
	switch {
	case l.Regexp != nil:
		out = ofRegexp(l.Regexp)
	case l.Compare != nil:
		if from := l.Compare.From; from < 0 || from >= len(r.Patterns) || r.Later[from] != nil {
			return out, fmt.Errorf("comparison that counts from pattern %d", from)
		}
		out.flags = patternCompare
		if out.prog, err = l.Compare.Encode(); err != nil {
			return out, err
		}
	case l.Image != nil:
		out.flags, out.prog = patternImage, append(bytes.Clone(l.Image.Hash[:]), l.Image.Distance)
	case l.Icons != nil:
		out.flags, out.prog = patternIcons, l.Icons.Encode()
	default:
		return out, errors.New("nothing to look for")
	}
	out.flags |= patternLater
	for _, f := range []struct {
		on  bool
		bit uint32
	}{{l.Global, patternGlobal}, {l.Rolling, patternRolling}, {l.Encompass, patternEncompass}, {l.Anchored, patternAnchored}} {
		if f.on {
			out.flags |= f.bit
		}
	}
	return out, nil
}

func (b *Builder) pattern(c *compiled, a pattern.Anchor, count uint32) uint32 {
	at, n := b.program(c.prog)
	key := patternKey{c.flags, a, stretch{at, n}}
	if i, ok := b.byKey[key]; ok {
		b.patterns[i].row.Count = max(b.patterns[i].row.Count, count)
		return i
	}
	p := builtPattern{atoms: c.atoms, row: patternRow{
		Count: count, Base: uint32(a.Base), Number: int32(a.Number), Offset: a.Offset, Shift: a.Shift, Flags: c.flags,
	}}
	p.row.Program, p.row.ProgramLen = at, n
	for _, at := range c.atoms {
		p.cost += seedCost(at)
	}
	if c.flags&patternNoAtoms != 0 {
		p.cost = noAtomsCost
	}
	i := uint32(len(b.patterns))
	b.patterns = append(b.patterns, p)
	if b.byKey == nil {
		b.byKey = map[patternKey]uint32{}
	}
	b.byKey[key] = i
	return i
}

// noAtomsCost is above what any set of other patterns costs.
const noAtomsCost = 1 << 54

// seedCost estimates how dear it is to search for an atom in every layer: a
// share for its place in the tables, and one for how often it is seen, which
// halves with every eight steps of its score.
func seedCost(a pattern.Atom) int {
	keys := 1
	if a.XorHi > 0 {
		keys += int(a.XorHi - a.XorLo)
	}
	return 1<<10 + keys<<40>>min(max(literal.Score(a.Literal, a.Fold)/8, 0), 40)
}

// program stores code once, and returns where.
func (b *Builder) program(code []byte) (at, n uint32) {
	sum := xxhash.Sum64(code)
	if s, ok := b.progAt[sum]; ok && bytes.Equal(b.programs[s.at:s.at+s.n], code) {
		return s.at, s.n
	}
	if have := len(b.programs); b.room(&b.programs, len(code)) {
		b.programs = append(b.programs, code...)
		at, n = uint32(have), uint32(len(code))
	}
	if b.progAt == nil {
		b.progAt = map[uint64]stretch{}
	}
	b.progAt[sum] = stretch{at, n}
	return at, n
}

// maxSection is the most bytes of a section that rows lead into.
const maxSection = math.MaxUint32 - 8

// fits tells whether a section of so many bytes has room for n more.
func (b *Builder) fits(have, n int) bool {
	if have+n > maxSection {
		b.err = fmt.Errorf("database: more than 4 GiB of names, texts or programs")
		return false
	}
	return true
}

// pieces is a section that is not put together before it is written.
type pieces struct {
	list []string
	size int
}

// piece appends s to a section of pieces.
func (b *Builder) piece(to *pieces, s string) (at, n uint32) {
	if have := to.size; b.fits(have, len(s)) {
		at, n = uint32(have), uint32(len(s))
		to.list, to.size = append(to.list, s), have+len(s)
	}
	return at, n
}

// textPiece appends s to the texts.
func (b *Builder) textPiece(s string) (at, n uint32) { return b.piece(&b.texts, s) }

// push appends s to a section.
func (b *Builder) push(to *[]byte, s string) (at, n uint32) {
	have := len(*to)
	if !b.room(to, len(s)) {
		return 0, 0
	}
	*to = append(*to, s...)
	return uint32(have), uint32(len(s))
}

// room makes room for n more bytes in a section, if it may have them.
func (b *Builder) room(to *[]byte, n int) bool {
	have := len(*to)
	if !b.fits(have, n) {
		return false
	}
	if have+n > cap(*to) { // twice as much, so that little is copied
		*to = append(make([]byte, 0, max(2*cap(*to), have+n, 1<<10)), *to...)
	}
	return true
}

func (b *Builder) file(name string) uint32 {
	if i, ok := b.fileAt[name]; ok {
		return i
	}
	i := uint32(len(b.files))
	b.files = append(b.files, name)
	if b.fileAt == nil {
		b.fileAt = map[string]uint32{}
	}
	b.fileAt[name] = i
	return i
}

func splitName(name string) (string, uint32) {
	if cut, ok := strings.CutSuffix(name, unofficial); ok {
		return cut, flagUnofficial
	}
	return name, 0
}

func joinName(name string, flags uint32) string {
	if flags&flagUnofficial != 0 {
		return name + unofficial
	}
	return name
}
