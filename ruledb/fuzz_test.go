package ruledb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/regex"
	"github.com/showcause/showcause/regex/syntax"
	"github.com/showcause/showcause/rule"
)

// small is a database with patterns, digests and skips.
func small(t testing.TB) []byte {
	var b Builder
	p := func(s string) pattern.Pattern {
		return pattern.Pattern{Variants: [][]pattern.Elem{{
			{Kind: pattern.Bytes, Value: []byte(s)}, {Kind: pattern.Gap, Min: 1, Max: -1}, {Kind: pattern.Bytes, Value: []byte("end"), Fold: true},
		}}}
	}
	for i := range 5 {
		r := &rule.Rule{
			Origin: rule.Origin{Name: fmt.Sprint("R", i), File: "f", Line: i, Text: "text"}, Target: rule.Target(i % 2),
			Patterns: []pattern.Pattern{p(fmt.Sprint("first", i)), p("shared")},
			Cond:     rule.Node{Op: rule.And, Kids: []rule.Node{{Sub: 0}, {Sub: 1}}},
		}
		if err := b.Rule(r); err != nil {
			t.Fatal(err)
		}
		d := &rule.DigestRule{Origin: rule.Origin{Name: fmt.Sprint("D", i), File: "f"}, Sum: rule.SHA1, Size: int64(i / 2), Digest: strings.Repeat(string(rune('a'+i)), 20)}
		if err := b.Digest(d); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		if err := b.Rule(yaraRule(t, i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Rule(laterRule(t, p("first1"))); err != nil {
		t.Fatal(err)
	}
	data, err := b.Finish(Meta{})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// laterRule returns a rule with an expression and a comparison that are decided later.
func laterRule(t testing.TB, first pattern.Pattern) *rule.Rule {
	tree, err := syntax.Parse("(g+)h\\1(?=later)", syntax.Flags{Dialect: syntax.PCRE})
	if err != nil {
		t.Fatal(err)
	}
	prog, atoms, err := regex.Compile(tree, regex.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &rule.Rule{
		Origin: rule.Origin{Name: "L", File: "f", Line: 9, Text: "later"}, Target: rule.PE,
		Patterns: []pattern.Pattern{first, {Anchor: pattern.Anchor{Base: pattern.Start, Offset: 4, Shift: 5}}, {}},
		Later: []*rule.Later{
			nil,
			{Trigger: rule.Node{Sub: 0}, Regexp: &rule.Regexp{Program: prog, Atoms: atoms}, Global: true, Encompass: true},
			{Trigger: rule.Node{Sub: 0}, Compare: &rule.Compare{Offset: 2, Width: 4, Tests: []rule.CompareTest{{Cmp: rule.Less, Value: 7}}}},
		},
		Cond: rule.Node{Op: rule.And, Kids: []rule.Node{{Sub: 1}, {Sub: 2}}},
	}
}

// yaraRule returns a rule of YARA's, the first one global; the others need the
// one before.
func yaraRule(t testing.TB, i int) *rule.Rule {
	tree, err := syntax.Parse("ab[c-e]+f", syntax.Flags{Dialect: syntax.YARAX})
	if err != nil {
		t.Fatal(err)
	}
	prog, atoms, err := regex.Compile(tree, regex.Options{Wide: i == 1})
	if err != nil {
		t.Fatal(err)
	}
	r := &rule.Rule{
		Origin: rule.Origin{Name: fmt.Sprint("Y", i), File: "f.yar", Line: i, Text: "rule ..."},
		Guard:  rule.Guard{Magic: []rule.Magic{{Width: 2, Values: []uint64{0x5a4d}}}},
		Patterns: []pattern.Pattern{
			{Forms: []pattern.Form{{Value: []byte("secret"), XorHi: byte(i), Full: true}}}, {},
		},
		Regexps: []*rule.Regexp{nil, {Program: prog, Atoms: atoms}},
		Cond:    rule.Node{Op: rule.And, Kids: []rule.Node{{Sub: 0}, {Op: rule.True}}},
		YARA: &rule.YARA{
			Namespace: "default", Tags: []string{"tag"}, Global: i == 0, Private: i == 1, Absent: i == 2,
			Metas: []rule.Meta{{Name: "s", Value: "\xff"}, {Name: "i", Value: int64(1)}, {Name: "f", Value: 1.0}, {Name: "b", Value: true}},
			Names: []string{"$a", "$"}, Hidden: []int{1},
		},
	}
	if i > 0 {
		r.YARA.Deps = []string{fmt.Sprint("default:Y", i-1)}
	}
	return r
}

func TestYARA(t *testing.T) {
	db, err := New(small(t))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		at := db.Find(fmt.Sprint("Y", i), 0)
		if len(at) != 1 {
			t.Fatalf("rule %d found at %v", i, at)
		}
		info, err := db.Info(at[0])
		if err != nil {
			t.Fatal(err)
		}
		want := yaraRule(t, i).YARA
		if a := info.YARA; a == nil || !reflect.DeepEqual(a.Metas, want.Metas) || !reflect.DeepEqual(a.Tags, want.Tags) || a.Namespace != "default" ||
			!reflect.DeepEqual(a.Names, want.Names) || a.Global != (i == 0) || a.Private != (i == 1) || !reflect.DeepEqual(a.Hidden, want.Hidden) {
			t.Errorf("rule %d: %+v", i, info.YARA)
		}
		y, ok := db.YARA(at[0])
		if !ok || len(y.Globals) != 1 || len(y.Deps) != min(i, 1) || y.Absent != (i == 2) || len(y.Hidden) != 1 {
			t.Errorf("rule %d: %+v", i, y)
		}
		p := db.Pattern(db.Rule(at[0]).Patterns[1])
		if p.Regexp == nil || p.Program != nil || p.NoAtoms {
			t.Errorf("rule %d: %+v", i, p)
		}
	}
	if _, ok := db.YARA(0); ok {
		t.Error("a rule of another language has what YARA's have")
	}
	var b Builder
	if err := b.Rule(yaraRule(t, 1)); err == nil {
		t.Error("a rule without the one that it needs is taken")
	}
}

// reseal makes the checksums right, as an attacker would who wrote the file.
func reseal(data []byte) {
	le := binary.LittleEndian
	if len(data) < headerSize {
		return
	}
	n := int(le.Uint32(data[16:]))
	if n > maxEntries || headerSize+entrySize*n > len(data) {
		return
	}
	within := func(i int) (e, section []byte) {
		e = data[headerSize+entrySize*i:]
		off, length := le.Uint64(e[8:]), le.Uint64(e[16:])
		if off <= uint64(len(data)) && length <= uint64(len(data))-off {
			section = data[off : off+length]
		}
		return e, section
	}
	var sums []byte
	for i := range n {
		if e, s := within(i); kind(le.Uint32(e)) == secSums {
			sums = s
		}
	}
	for i := range n {
		if e, s := within(i); kind(le.Uint32(e)).cold() && le.Uint64(e[24:]) <= uint64(len(sums)/len(pageSum{})) {
			copy(sums[16*le.Uint64(e[24:]):], raw(sumPages(s)))
		}
	}
	for i := range n {
		if e, s := within(i); !kind(le.Uint32(e)).cold() {
			le.PutUint64(e[24:], xxhash.Sum64(s))
		}
	}
	head := bytes.Clone(data[:headerSize+entrySize*n])
	clear(head[24:32])
	le.PutUint64(data[24:], xxhash.Sum64(head))
}

// use does with a database all that a scan does.
func use(db *DB) (panicked any) {
	defer func() { panicked = recover() }()
	sample := []byte("first0 shared END first3 and a first1 shared end of it")
	for t := range rule.Targets {
		p := db.Partition(t, nil)
		for _, l := range []*Literals{&p.Eager, &p.Deferred} {
			for _, h := range l.Set.Scan(sample, 0, len(sample), nil) {
				for _, r := range l.Refs(h.ID) {
					db.Pattern(r.Pattern)
					p.IsEager(r.Pattern)
				}
			}
		}
	}
	for i := range uint32(len(db.rules)) {
		r := db.Rule(i)
		r.Program.Admits(&rule.Facts{Size: 10, Read: func(int64, int) []byte { return []byte("MZ") }})
		if _, ok := db.YARA(i); ok {
			db.Code(i)
		}
		r.Program.Holds(func(int) uint32 { return 1 })
	}
	for size := range int64(4) {
		db.Sums(rule.WholeLayer, size)
		db.Lookup(rule.WholeLayer, rule.SHA1, size, []byte(strings.Repeat("c", 20)))
	}
	for i := range uint32(db.Len()) {
		db.Info(i)
	}
	db.Skips()
	return nil
}

func sound(t testing.TB, data []byte) {
	db, err := New(data)
	if err != nil {
		return
	}
	if p := use(db); p != nil && !strings.HasPrefix(fmt.Sprint(p), "ruledb: program ") {
		t.Errorf("panic: %v", p)
	}
}

// A database that was damaged on purpose, checksums and all, is refused or
// does no harm.
func TestResealed(t *testing.T) {
	data := small(t)
	r := rand.New(rand.NewPCG(3, 4))
	n := int(binary.LittleEndian.Uint32(data[16:]))
	for range 3000 {
		bad := bytes.Clone(data)
		// A byte in the table, or in a section: most of the file is filter.
		at := headerSize + r.IntN(entrySize*n)
		if r.IntN(4) > 0 {
			e := data[headerSize+entrySize*r.IntN(n):]
			off, length := binary.LittleEndian.Uint64(e[8:]), binary.LittleEndian.Uint64(e[16:])
			if length > 0 {
				at = int(off + r.Uint64N(length))
			}
		}
		bad[at] = [4]byte{0, 0xff, bad[at] + 1, byte(r.Uint32())}[r.IntN(4)]
		reseal(bad)
		sound(t, bad)
	}
}

func FuzzOpen(f *testing.F) {
	data := small(f)
	n := int(binary.LittleEndian.Uint32(data[16:]))
	f.Add(uint32(0), byte(1), uint32(64), byte(2))
	f.Fuzz(func(t *testing.T, at uint32, x byte, at2 uint32, y byte) {
		bad := bytes.Clone(data)
		bad[int(at)%len(bad)] ^= x
		bad[headerSize+int(at2)%(entrySize*n)] ^= y
		reseal(bad)
		sound(t, bad)
	})
}
