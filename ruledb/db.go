package ruledb

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/showcause/showcause/literal"
	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/regex"
	"github.com/showcause/showcause/rule"
)

// DB is an open database. It is safe for concurrent use. A rule is named by
// its index: rules with patterns come first, then rules for exact bytes.
type DB struct {
	data   []byte // what is read at start, at least
	size   int64
	mapped bool
	cold   io.ReaderAt // the whole database
	source *os.File    // cold, if it is a file that this database closes
	meta   Meta

	names, programs []byte
	abouts          []byte
	texts, skips    pages
	stems           pages // of the names of rules for exact bytes
	yara            []yaraRow
	spaces          []spaceRow
	views           bool // some of YARA's rules are for views
	files           [][2]uint32
	rules           []ruleRow
	uses, owners    []uint32
	patterns        []patternRow
	partitions      [rule.Targets]*Partition
	digests         []digestTable
	proven          []atomic.Uint32 // a bit a program: patterns, rules, code of rules
}

// Partition is what is searched for in layers of one target.
type Partition struct {
	Eager    Literals // the seeds of triggers
	Deferred Literals // the seeds of all other patterns, searched for where a trigger fired
	Always   []uint32 // rules that can hold with no match at all
	eager    []uint64 // a bit a pattern
	plain    *Partition
}

// IsEager tells whether a pattern is searched for in every layer of the target.
func (p *Partition) IsEager(pattern uint32) bool { return p.eager[pattern/64]>>(pattern%64)&1 != 0 }

// Literals are seeds, each with the patterns that it is a seed of.
type Literals struct {
	Set    *literal.Set
	starts []uint32
	refs   []ref
	leads  *leads
}

// Ref leads from a literal to the place in a pattern where it stands.
type Ref = ref

// Refs returns where a literal leads.
func (l *Literals) Refs(id uint32) []Ref { return l.refs[l.starts[id]:l.starts[id+1]] }

// leads says which literals lead to each pattern: pattern p is led to by
// ids[starts[p]:starts[p+1]].
type leads struct {
	once        sync.Once
	starts, ids []uint32
}

// Only returns those of the literals that lead to some patterns; they keep
// their numbers. The work depends on how many they are, but for the first time.
// It lives on the memory of l.
func (l *Literals) Only(patterns []uint32) *Literals {
	l.leads.once.Do(func() {
		most := uint32(0)
		for _, r := range l.refs {
			most = max(most, r.Pattern+1)
		}
		starts := make([]uint32, most+1)
		for _, r := range l.refs {
			starts[r.Pattern+1]++
		}
		for p := range most {
			starts[p+1] += starts[p]
		}
		next, ids := slices.Clone(starts), make([]uint32, len(l.refs))
		for id := range uint32(l.Set.Len()) {
			for _, r := range l.Refs(id) {
				ids[next[r.Pattern]] = id
				next[r.Pattern]++
			}
		}
		l.leads.starts, l.leads.ids = starts, ids
	})
	var ids []uint32
	for _, p := range patterns {
		if int(p)+1 < len(l.leads.starts) {
			ids = append(ids, l.leads.ids[l.leads.starts[p]:l.leads.starts[p+1]]...)
		}
	}
	return &Literals{Set: l.Set.Only(ids), starts: l.starts, refs: l.refs, leads: l.leads}
}

// Close unmaps the file. Nothing that the database returned may be used after it.
func (db *DB) Close() error {
	var err error
	if db.mapped {
		db.mapped = false
		err = unmap(db.data)
	}
	if db.source != nil {
		err = errors.Join(err, db.source.Close())
		db.source = nil
	}
	return err
}

// New opens a database held in memory, which must stay as it is.
func New(data []byte) (*DB, error) {
	if len(data) > 0 && uintptr(unsafe.Pointer(&data[0]))%8 != 0 {
		data = append(aligned(len(data))[:0], data...)
	}
	return newDB(data, bytes.NewReader(data), uint64(len(data)))
}

// newDB opens a database of size bytes: data is what is read at start, at least, and
// cold has all.
func newDB(data []byte, cold io.ReaderAt, size uint64) (*DB, error) {
	places, secs, err := dissect(data, size)
	if err != nil {
		return nil, err
	}
	// What is proven of the content holds for any bytes, so that the checksums can be beside it.
	sums := make(chan error, 1)
	go func() { sums <- checksums(data, places) }()
	db, err := loadDB(data, cold, size, places, secs)
	if bad := <-sums; bad != nil {
		return nil, bad
	}
	return db, err
}

func loadDB(data []byte, cold io.ReaderAt, size uint64, places []place, secs map[kind]map[uint32][]byte) (*DB, error) {
	db := &DB{data: data, size: int64(size), cold: cold}
	l := loader{secs: secs, places: places, cold: cold}
	l.sums = load[pageSum](&l, secSums, 0)
	db.names, db.programs = l.bytes(secNames), l.bytes(secPrograms)
	db.texts, db.skips, db.stems = l.pages(secTexts, 0), l.pages(secSkips, 0), l.pages(secStems, 0)
	db.abouts = l.bytes(secAbouts)
	db.yara = load[yaraRow](&l, secYARA, 0)
	db.spaces = load[spaceRow](&l, secSpaces, 0)
	db.files = load[[2]uint32](&l, secFiles, 0)
	db.rules = load[ruleRow](&l, secRules, 0)
	db.uses = load[uint32](&l, secUses, 0)
	db.owners = load[uint32](&l, secOwners, 0)
	db.patterns = load[patternRow](&l, secPatterns, 0)
	if err := json.Unmarshal(l.bytes(secMeta), &db.meta); err != nil {
		return nil, fmt.Errorf("meta: %v: %w", err, ErrCorrupt)
	}
	if l.err != nil {
		return nil, l.err
	}
	if err := db.proveRows(); err != nil {
		return nil, err
	}
	if err := db.proveYARA(); err != nil {
		return nil, err
	}
	if err := db.loadPartitions(&l); err != nil {
		return nil, err
	}
	if err := db.loadDigests(&l); err != nil {
		return nil, err
	}
	db.proven = make([]atomic.Uint32, (len(db.patterns)+2*len(db.rules)+31)/32)
	return db, nil
}

// loader takes sections out and keeps the first error.
type loader struct {
	secs   map[kind]map[uint32][]byte
	places []place
	cold   io.ReaderAt
	sums   []pageSum
	err    error
}

// pages returns a cold section, which is empty if it is not there.
func (l *loader) pages(k kind, part uint32) pages {
	out := pages{name: k.String(), from: l.cold}
	for _, p := range l.places {
		if p.kind != k || p.part != part {
			continue
		}
		n := uint64(pageCount(int(p.n)))
		if p.check > uint64(len(l.sums)) || n > uint64(len(l.sums))-p.check {
			l.err = fmt.Errorf("sums of %s: %w", out.name, ErrCorrupt)
			return out
		}
		out.at, out.size, out.sums = int64(p.off), int(p.n), l.sums[p.check:p.check+n]
	}
	return out
}

func (l *loader) bytes(k kind) []byte { return l.secs[k][0] }

func load[T row](l *loader, k kind, part uint32) []T {
	rows, err := cast[T](l.secs[k][part])
	if err != nil && l.err == nil {
		l.err = fmt.Errorf("section %d: %w", k, err)
	}
	return rows
}

func within(at, n uint32, size int) bool { return uint64(at)+uint64(n) <= uint64(size) }

// proveRows proves that every row leads to something that is there.
func (db *DB) proveRows() error {
	bad := func(what string, i int) error { return fmt.Errorf("%s %d: %w", what, i, ErrCorrupt) }
	for i, f := range db.files {
		if !within(f[0], f[1], len(db.names)) {
			return bad("file", i)
		}
	}
	for i := range db.rules {
		r := &db.rules[i]
		if !within(r.Name, r.NameLen, len(db.names)) || !within(r.Text, r.TextLen, db.texts.size) ||
			!within(r.Program, r.ProgramLen, len(db.programs)) || !within(r.Uses, r.UsesLen, len(db.uses)) ||
			int(r.File) >= len(db.files) || r.Target >= uint32(rule.Targets) {
			return bad("rule", i)
		}
		for _, p := range db.uses[r.Uses : r.Uses+r.UsesLen] {
			if int(p) >= len(db.patterns) {
				return bad("rule", i)
			}
		}
	}
	for i := range db.patterns {
		p := &db.patterns[i]
		if !within(p.Program, p.ProgramLen, len(db.programs)) || !within(p.Owners, p.OwnersLen, len(db.owners)) ||
			!within(p.Places, p.PlacesLen, len(db.uses)) || p.Base > uint32(pattern.VersionInfo) || p.Flags&^patternAll != 0 {
			return bad("pattern", i)
		}
		if p.Flags&patternCompare != 0 && (p.Flags&patternLater == 0 || p.Number < 0 || int(p.Number) >= len(db.patterns) ||
			db.patterns[p.Number].Flags&patternLater != 0) {
			return bad("comparison", i)
		}
		if p.Flags&patternImage != 0 && (p.Flags&(patternLater|patternCompare|patternRegexp) != patternLater || p.ProgramLen != imageSize) ||
			p.Flags&patternIcons != 0 && p.Flags&(patternLater|patternCompare|patternRegexp|patternImage) != patternLater {
			return bad("image", i)
		}
	}
	for _, o := range db.owners {
		if int(o) >= len(db.rules) {
			return bad("owner", int(o))
		}
	}
	return nil
}

// loadPartitions loads and proves each partition beside the others.
func (db *DB) loadPartitions(l *loader) error {
	type one struct {
		part uint32
		p    *Partition
		err  error
	}
	var all []*one
	for t := range uint32(rule.Targets) {
		for _, part := range []uint32{t, t | partPlain} {
			if _, ok := l.secs[secEager][part]; ok {
				all = append(all, &one{part: part})
			}
		}
	}
	var wg sync.WaitGroup
	for _, o := range all {
		wg.Go(func() { o.p, o.err = db.loadPartition(loader{secs: l.secs}, o.part) })
	}
	wg.Wait()
	loaded := map[uint32]*Partition{}
	for _, o := range all {
		if o.err != nil {
			return fmt.Errorf("target %d: %w", o.part&^partPlain, o.err)
		}
		loaded[o.part] = o.p
	}
	for t := range rule.Targets {
		p := loaded[uint32(t)]
		if p == nil {
			db.partitions[t] = db.partitions[rule.Any]
			continue
		}
		p.plain = p
		if plain := loaded[uint32(t)|partPlain]; plain != nil {
			p.plain = plain
		}
		db.partitions[t] = p
	}
	if db.partitions[rule.Any] == nil {
		empty, err := literal.Compile(nil)
		if err != nil {
			return err
		}
		set, err := literal.Open(empty)
		if err != nil {
			return err
		}
		none := Literals{Set: set, starts: []uint32{0}, leads: &leads{}}
		p := &Partition{Eager: none, Deferred: none, eager: make([]uint64, len(db.patterns)/64+1)}
		p.plain = p
		for t := range db.partitions {
			if db.partitions[t] == nil {
				db.partitions[t] = p
			}
		}
	}
	return l.err
}

func (db *DB) loadPartition(l loader, part uint32) (p *Partition, err error) {
	p = &Partition{Always: load[uint32](&l, secAlways, part)}
	if l.err != nil {
		return nil, l.err
	}
	for _, i := range p.Always {
		if int(i) >= len(db.rules) {
			return nil, fmt.Errorf("always %d: %w", i, ErrCorrupt)
		}
	}
	if p.Eager, err = db.loadLiterals(l.secs[secEager][part], l.secs[secEagerRefs][part]); err != nil {
		return nil, err
	}
	if p.Deferred, err = db.loadLiterals(l.secs[secDeferred][part], l.secs[secDeferredRefs][part]); err != nil {
		return nil, err
	}
	p.eager = make([]uint64, len(db.patterns)/64+1)
	for _, r := range p.Eager.refs {
		p.eager[r.Pattern/64] |= 1 << (r.Pattern % 64)
	}
	return p, nil
}

func (db *DB) loadLiterals(lits, refs []byte) (Literals, error) {
	set, err := literal.Open(lits)
	if err != nil {
		return Literals{}, fmt.Errorf("%w: %w", err, ErrCorrupt)
	}
	n := roundUp(set.Len()+1, 2)
	if len(refs) < 4*n {
		return Literals{}, fmt.Errorf("references: %w", ErrCorrupt)
	}
	out := Literals{Set: set, leads: &leads{}}
	if out.starts, err = cast[uint32](refs[:4*n]); err != nil {
		return Literals{}, err
	}
	if out.refs, err = cast[ref](refs[4*n:]); err != nil {
		return Literals{}, err
	}
	last := uint32(0)
	for _, s := range out.starts {
		if s < last || int(s) > len(out.refs) {
			return Literals{}, fmt.Errorf("references: %w", ErrCorrupt)
		}
		last = s
	}
	for _, r := range out.refs {
		if int(r.Pattern) >= len(db.patterns) {
			return Literals{}, fmt.Errorf("reference to pattern %d: %w", r.Pattern, ErrCorrupt)
		}
		p := &db.patterns[r.Pattern]
		if !slices.Contains(db.uses[p.Places:p.Places+p.PlacesLen], r.Place) {
			return Literals{}, fmt.Errorf("reference to place %d: %w", r.Place, ErrCorrupt)
		}
	}
	return out, nil
}

// Meta returns what the database was made of.
func (db *DB) Meta() Meta { return db.meta }

// Len returns the number of rules of both kinds.
func (db *DB) Len() int {
	n := len(db.rules)
	for i := range db.digests {
		n += int(db.digests[i].n)
	}
	return n
}

// Rules returns the number of rules with patterns: those of lower index.
func (db *DB) Rules() int { return len(db.rules) }

// Size returns the size of the file in bytes.
func (db *DB) Size() int64 { return db.size }

// Patterns returns the number of patterns.
func (db *DB) Patterns() int { return len(db.patterns) }

// Partition returns what is searched for in layers of a target; head is how the
// layer begins, two bytes if it has as many.
func (db *DB) Partition(t rule.Target, head []byte) *Partition {
	p := db.partitions[t]
	if len(head) < 2 || head[0] != 'M' || head[1] != 'Z' {
		return p.plain
	}
	return p
}

// Pattern is one pattern of the database.
type Pattern struct {
	Program  pattern.Program // nil if it is a regular expression
	Regexp   regex.Program
	NoAtoms  bool // the whole layer has to be searched for it
	Anchor   pattern.Anchor
	Count    uint32   // matches to tell apart
	Triggers []uint32 // the rules that it triggers, ascending
	Places   []uint32 // of its atoms, in its program
	Later    *Later   // what it is if it is decided after others
}

// Later is a pattern that is decided after others (rule.Later). It has a Regexp, or it is a
// comparison with what stands behind the last match of pattern Compare.From.
type Later struct {
	Compare                              *rule.Compare
	Image                                *rule.Image
	Icons                                *rule.Icons
	Global, Rolling, Encompass, Anchored bool
}

// IsLater tells whether a pattern is decided after others.
func (db *DB) IsLater(i uint32) bool { return db.patterns[i].Flags&patternLater != 0 }

// later is what pattern i is besides.
func (db *DB) later(i uint32) *Later {
	r := &db.patterns[i]
	if r.Flags&patternLater == 0 {
		return nil
	}
	has := func(bit uint32) bool { return r.Flags&bit != 0 }
	out := &Later{Global: has(patternGlobal), Rolling: has(patternRolling), Encompass: has(patternEncompass), Anchored: has(patternAnchored)}
	if has(patternCompare) {
		c, _ := rule.DecodeCompare(db.programs[r.Program : r.Program+r.ProgramLen]) // it is proven
		c.From = int(r.Number)
		out.Compare = &c
	}
	if has(patternImage) {
		b := db.programs[r.Program : r.Program+r.ProgramLen]
		out.Image = &rule.Image{Hash: [8]byte(b), Distance: b[imageSize-1]}
	}
	if has(patternIcons) {
		out.Icons, _ = rule.DecodeIcons(db.programs[r.Program : r.Program+r.ProgramLen]) // proven likewise
	}
	return out
}

// imageSize is the number of bytes of a stored rule.Image.
const imageSize = 9

// Pattern returns pattern i, and panics if its program is not sound, which
// says that the database was made by something else than a Builder.
func (db *DB) Pattern(i uint32) Pattern {
	r := &db.patterns[i]
	if err := db.provePattern(i); err != nil {
		panic("ruledb: " + err.Error())
	}
	out := Pattern{
		Anchor:   pattern.Anchor{Base: pattern.Base(r.Base), Number: int(r.Number), Offset: r.Offset, Shift: r.Shift},
		Count:    r.Count,
		Triggers: db.owners[r.Owners : r.Owners+r.OwnersLen],
		NoAtoms:  r.Flags&patternNoAtoms != 0,
		Places:   db.uses[r.Places : r.Places+r.PlacesLen],
	}
	out.Later = db.later(i)
	if code := db.programs[r.Program : r.Program+r.ProgramLen]; r.Flags&patternRegexp != 0 {
		out.Regexp = regex.Program(code)
	} else if r.Flags&(patternCompare|patternImage|patternIcons) == 0 {
		out.Program = pattern.Program(code)
	}
	return out
}

// Longest tells which of several matches with one start counts: the longest, as of
// greedy expressions, or else the shortest, as of jumps and of the spellings of a text.
func (p *Pattern) Longest() bool { return p.Regexp != nil && p.Regexp.Greedy() }

// Rule is one rule with patterns.
type Rule struct {
	Target   rule.Target
	Program  rule.Program // guard and condition
	Patterns []uint32
}

// Rule returns rule i, which has patterns (Info tells), and panics as Pattern does.
func (db *DB) Rule(i uint32) Rule {
	r := &db.rules[i]
	p := rule.Program(db.programs[r.Program : r.Program+r.ProgramLen])
	if err := db.proveRule(i); err != nil {
		panic("ruledb: " + err.Error())
	}
	return Rule{Target: rule.Target(r.Target), Program: p, Patterns: db.uses[r.Uses : r.Uses+r.UsesLen]}
}

// provePattern tells what is wrong with the program of pattern i, nil if nothing.
func (db *DB) provePattern(i uint32) error {
	r := &db.patterns[i]
	return db.prove(int(i), func() error {
		code, places := db.programs[r.Program:r.Program+r.ProgramLen], db.uses[r.Places:r.Places+r.PlacesLen]
		switch {
		case r.Flags&patternRegexp != 0:
			return regex.Program(code).Check(places)
		case r.Flags&patternCompare != 0:
			_, err := rule.DecodeCompare(code)
			return err
		case r.Flags&patternImage != 0:
			return nil
		case r.Flags&patternIcons != 0:
			_, err := rule.DecodeIcons(code)
			return err
		}
		return pattern.Program(code).Check(places)
	})
}

// proveRule does the same for rule i, which has patterns.
func (db *DB) proveRule(i uint32) error {
	r := &db.rules[i]
	return db.prove(len(db.patterns)+int(i), func() error {
		return rule.Program(db.programs[r.Program : r.Program+r.ProgramLen]).Check(int(r.UsesLen))
	})
}

// prove runs check once for a program.
func (db *DB) prove(n int, check func() error) error {
	word, bit := &db.proven[n/32], uint32(1)<<(n%32)
	if word.Load()&bit != 0 {
		return nil
	}
	if err := check(); err != nil {
		return fmt.Errorf("program %d: %w", n, err)
	}
	word.Or(bit)
	return nil
}

// IsDatabase tells whether a file that begins so is a compiled database.
func IsDatabase(head []byte) bool {
	return len(head) >= len(magic) && string(head[:len(magic)]) == magic
}
