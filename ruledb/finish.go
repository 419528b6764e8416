package ruledb

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"runtime"
	"slices"
	"sync"

	"github.com/showcause/showcause/literal"
	"github.com/showcause/showcause/rule"
)

// Meta says what a database was made of.
type Meta struct {
	Tool    string   `json:"tool"` // program and version that compiled it
	Sources []Source `json:"sources"`
	Rules   int      `json:"rules"`   // rules with patterns
	Digests int      `json:"digests"` // rules for exact bytes
	Skipped int      `json:"skipped"`
	// Externals are the external variables that YARA rules were compiled with, and the
	// kinds of their values; nil if that is not known.
	Externals map[string]string `json:"externals,omitzero"`
}

// Source is one file of rules.
type Source struct {
	File    string         `json:"file"`
	Version string         `json:"version,omitempty"` // of a container of ClamAV's: "27700, 16 Sep 2021 08-32 -0400"
	Loaded  int            `json:"loaded"`
	Skipped int            `json:"skipped,omitempty"`
	Reasons map[string]int `json:"reasons,omitempty"` // number skipped by reason
}

// Skip is a signature that was left out.
type Skip struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Name   string `json:"name,omitempty"`
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"`
}

// Finish returns the database. The Builder must not be used after it.
func (b *Builder) Finish(m Meta) ([]byte, error) {
	if b.err != nil {
		return nil, b.err
	}
	m.Rules, m.Skipped = len(b.bodies), len(b.skips)
	for _, d := range b.digests {
		m.Digests += d.n
	}
	if m.Rules+m.Digests > maxRules {
		return nil, fmt.Errorf("database: more than 2^31 rules")
	}
	triggers := b.triggers()
	parts, err := b.partitions(triggers)
	if err != nil {
		return nil, err
	}
	tables := b.tables(triggers)
	meta, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	files := b.fileTable() // into names
	secs := []section{{kind: secMeta, data: meta}}
	secs = append(secs, tables...)
	secs = append(secs, parts...)
	secs = append(secs, b.digestTables()...)
	secs = append(secs,
		section{kind: secFiles, data: files},
		section{kind: secNames, data: b.names},
		section{kind: secTexts, pieces: b.texts},
		section{kind: secSkips, data: b.skipLines()})
	return assemble(secs), nil
}

// triggers chooses, for each rule, the patterns that are searched for in every
// layer: nil for a rule that can hold with no match.
func (b *Builder) triggers() [][]int {
	out := make([][]int, len(b.bodies))
	for i := range b.bodies {
		n := &b.bodies[i]
		subs, ok := n.cond.Triggers(func(sub int) int {
			p := &b.patterns[n.subs[sub]]
			// A pattern that many rules share drags all of them in when it hits.
			return p.cost * (1 + bits.Len32(p.uses))
		})
		if ok && !slices.ContainsFunc(subs, func(sub int) bool { return b.patterns[n.subs[sub]].row.Flags&patternNoAtoms != 0 }) {
			out[i] = subs
			if subs == nil {
				out[i] = []int{} // it never holds
			}
		}
	}
	return out
}

// tables lays out the rules and their patterns.
func (b *Builder) tables(triggers [][]int) []section {
	var uses []uint32
	owners := make([][]uint32, len(b.patterns))
	rows := make([]ruleRow, len(b.bodies))
	for i := range b.bodies {
		n := &b.bodies[i]
		n.row.Uses, n.row.UsesLen = uint32(len(uses)), uint32(len(n.subs))
		uses = append(uses, n.subs...)
		rows[i] = n.row
		watched := triggers[i]
		if watched == nil && n.yara != nil { // it can hold with no match: its guard decides on all its patterns
			watched = allSubs(n)
		}
		for _, sub := range watched {
			o := &owners[n.subs[sub]]
			if l := len(*o); l == 0 || (*o)[l-1] != uint32(i) {
				*o = append(*o, uint32(i))
			}
		}
	}
	var flat []uint32
	prows := make([]patternRow, len(b.patterns))
	for i := range b.patterns {
		p := &b.patterns[i]
		p.row.Owners, p.row.OwnersLen = uint32(len(flat)), uint32(len(owners[i]))
		flat = append(flat, owners[i]...)
		p.row.Places, p.row.PlacesLen = uint32(len(uses)), uint32(len(p.atoms))
		for _, a := range p.atoms {
			uses = append(uses, a.Place)
		}
		prows[i] = p.row
	}
	yara, uses := b.yaraTables(rows, uses)
	return append([]section{
		{kind: secRules, data: raw(rows)},
		{kind: secUses, data: raw(uses)},
		{kind: secPatterns, data: raw(prows)},
		{kind: secOwners, data: raw(flat)},
		{kind: secPrograms, data: b.programs},
	}, yara...)
}

func allSubs(n *body) []int {
	out := make([]int, len(n.subs))
	for i := range out {
		out[i] = i
	}
	return out
}

// partitions makes the literal sets of each target. A rule for any target is
// in every partition, so that a layer is searched once. Where many rules are for
// programs of Windows alone, by what they ask of a layer's first bytes, there is
// a partition without them, too.
func (b *Builder) partitions(triggers [][]int) ([]section, error) {
	var parts []*partition
	var own [rule.Targets]bool
	for i := range b.bodies {
		own[b.bodies[i].row.Target] = true
	}
	for t := range rule.Targets {
		if !own[t] {
			continue // the partition of Any serves
		}
		p := b.partition(triggers, t, false)
		parts = append(parts, p)
		if plain := b.partition(triggers, t, true); len(plain.eager) <= len(p.eager)-len(p.eager)/8 && len(p.eager) >= plainLeast {
			parts = append(parts, plain)
		}
	}
	// Two sets of each, so many at a time as there are processors.
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wait sync.WaitGroup
	for k, p := range parts {
		if p.part&partPlain != 0 {
			continue // after the one that it is a part of, by the same plan
		}
		for i := range 2 {
			wait.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				var plan literal.Plan
				p.literals(b, i, &plan)
				if k+1 < len(parts) && parts[k+1].part == p.part|partPlain {
					parts[k+1].literals(b, i, &plan)
				}
			})
		}
	}
	wait.Wait()
	var out []section
	for _, p := range parts {
		if err := errors.Join(p.errs[:]...); err != nil {
			return nil, err
		}
		out = append(out, section{kind: secEager, part: p.part, data: p.lits[0]}, section{kind: secEagerRefs, part: p.part, data: p.refs[0]},
			section{kind: secDeferred, part: p.part, data: p.lits[1]}, section{kind: secDeferredRefs, part: p.part, data: p.refs[1]}, section{kind: secAlways, part: p.part, data: raw(p.always)})
	}
	return out, nil
}

// plainLeast is of how many eager patterns on a plain partition pays.
const plainLeast = 256

// partition is one partition in the making.
type partition struct {
	part                    uint32
	eager, deferred, always []uint32 // patterns; rules
	lits, refs              [2][]byte
	errs                    [2]error
}

// literals compiles those of the eager patterns (0) or the deferred (1).
func (p *partition) literals(b *Builder, i int, plan *literal.Plan) {
	p.lits[i], p.refs[i], p.errs[i] = b.literals([2][]uint32{p.eager, p.deferred}[i], plan)
}

// partition gathers the patterns of the rules for a target; plain tells to leave
// out the rules for layers that begin with "MZ".
func (b *Builder) partition(triggers [][]int, t rule.Target, plain bool) *partition {
	const isEager, isDeferred = 1, 2
	state := make([]uint8, len(b.patterns))
	out := &partition{part: uint32(t)}
	if plain {
		out.part |= partPlain
	}
	for i := range b.bodies {
		n := &b.bodies[i]
		if rt := rule.Target(n.row.Target); rt != t && rt != rule.Any || plain && n.mz {
			continue
		}
		if triggers[i] == nil {
			out.always = append(out.always, uint32(i))
			for _, p := range n.subs {
				if b.patterns[p].row.Flags&patternLater != 0 {
					state[p] |= isDeferred
					continue
				}
				state[p] |= isEager
			}
			continue
		}
		for _, p := range n.subs {
			state[p] |= isDeferred
		}
		for _, sub := range triggers[i] {
			state[n.subs[sub]] |= isEager
		}
	}
	for p, s := range state {
		switch {
		case s&isEager != 0:
			out.eager = append(out.eager, uint32(p))
		case s != 0:
			out.deferred = append(out.deferred, uint32(p))
		}
	}
	return out
}

// literals compiles the atoms of some patterns. The second result is, as u32,
// where each literal's references start, and the end, padded to 8 bytes, and then the references.
func (b *Builder) literals(patterns []uint32, plan *literal.Plan) (lits, refs []byte, err error) {
	type key struct {
		bytes  string
		fold   bool
		lo, hi byte
	}
	index := map[key]int{}
	var set []literal.Literal
	var lead [][]ref
	for _, p := range patterns {
		for _, a := range b.patterns[p].atoms {
			k := key{string(a.Literal), a.Fold, a.XorLo, a.XorHi}
			if a.Fold {
				k.bytes = string(bytes.ToLower(a.Literal))
			}
			i, ok := index[k]
			if !ok {
				i = len(set)
				index[k] = i
				set = append(set, literal.Literal{Bytes: a.Literal, Fold: a.Fold, XorLo: a.XorLo, XorHi: a.XorHi})
				lead = append(lead, nil)
			}
			lead[i] = append(lead[i], ref{p, a.Place})
		}
	}
	lits, err = literal.CompileLike(set, plan)
	if err != nil {
		return nil, nil, fmt.Errorf("literals: %w", err)
	}
	starts := make([]uint32, 0, len(set)+2)
	var flat []ref
	for _, l := range lead {
		starts = append(starts, uint32(len(flat)))
		flat = append(flat, l...)
	}
	starts = append(starts, uint32(len(flat)))
	if len(starts)%2 != 0 {
		starts = append(starts, uint32(len(flat)))
	}
	return lits, append(bytes.Clone(raw(starts)), raw(flat)...), nil
}

func (b *Builder) fileTable() []byte {
	rows := make([][2]uint32, len(b.files))
	for i, f := range b.files {
		rows[i][0], rows[i][1] = b.push(&b.names, f)
	}
	return raw(rows)
}

func (b *Builder) skipLines() []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	for _, s := range b.skips {
		e.Encode(s) // into memory, of strings: cannot fail
	}
	return out.Bytes()
}
