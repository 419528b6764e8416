package ruledb

import (
	"encoding/json"
	"fmt"

	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/yara/code"
)

// builtYARA is what a rule of YARA's has besides, until Finish.
type builtYARA struct {
	row    yaraRow
	deps   []uint32
	hidden []uint32
}

type builtSpace struct {
	row     spaceRow
	globals []uint32
}

// About is what a person asks of a rule of YARA's besides.
type About struct {
	Namespace string      `json:"namespace"`
	Tags      []string    `json:"tags,omitempty"`
	Metas     []rule.Meta `json:"metas,omitempty"`
	Private   bool        `json:"private,omitempty"`
	Global    bool        `json:"global,omitempty"`
	// Names are the names of the patterns ("$a", "$"), Hidden the indexes of those
	// that are private.
	Names  []string `json:"names,omitempty"`
	Hidden []int    `json:"hidden,omitempty"`
}

// storedAbout is an About as it is stored: JSON keeps neither bytes that are not
// UTF-8 nor the kinds of numbers apart.
type storedAbout struct {
	About
	Lines []storedMeta `json:"lines,omitempty"`
}

type storedMeta struct {
	Name  string   `json:"name"`
	Text  []byte   `json:"text,omitempty"`
	Int   *int64   `json:"int,omitempty"`
	Float *float64 `json:"float,omitempty"`
	Bool  *bool    `json:"bool,omitempty"`
}

func storeMeta(m rule.Meta) storedMeta {
	s := storedMeta{Name: m.Name}
	switch v := m.Value.(type) {
	case string:
		s.Text = []byte(v)
	case int64:
		s.Int = &v
	case float64:
		s.Float = &v
	case bool:
		s.Bool = &v
	}
	return s
}

func (s *storedMeta) meta() rule.Meta {
	m := rule.Meta{Name: s.Name, Value: string(s.Text)}
	switch {
	case s.Int != nil:
		m.Value = *s.Int
	case s.Float != nil:
		m.Value = *s.Float
	case s.Bool != nil:
		m.Value = *s.Bool
	}
	return m
}

// yara takes in what a rule of YARA's has besides; nil for another rule.
func (b *Builder) yara(r *rule.Rule) (*builtYARA, error) {
	y := r.YARA
	if y == nil {
		return nil, nil
	}
	if b.keys == nil {
		b.keys, b.spaceAt = map[string]uint32{}, map[string]uint32{}
	}
	if _, dup := b.keys[r.Key()]; dup {
		return nil, fmt.Errorf("rule %s: stands twice", r.Key())
	}
	if len(y.Names) != len(r.Patterns) || y.Needs != nil && len(y.Needs) != len(r.Patterns) {
		return nil, fmt.Errorf("rule %s: %d patterns, %d names, %d needs", r.Key(), len(r.Patterns), len(y.Names), len(y.Needs))
	}
	out := &builtYARA{}
	for _, key := range y.Deps {
		i, ok := b.keys[key]
		if !ok {
			return nil, fmt.Errorf("rule %s: needs %s, which is not there", r.Key(), key)
		}
		out.deps = append(out.deps, i)
	}
	for _, sub := range y.Hidden {
		out.hidden = append(out.hidden, uint32(sub))
	}
	stored := storedAbout{About: About{
		Namespace: y.Namespace, Tags: y.Tags, Private: y.Private, Global: y.Global, Names: y.Names, Hidden: y.Hidden,
	}}
	if len(y.Metas) > 0 {
		stored.Lines = make([]storedMeta, 0, len(y.Metas))
	}
	for _, m := range y.Metas {
		stored.Lines = append(stored.Lines, storeMeta(m))
	}
	about, err := json.Marshal(stored)
	if err != nil {
		return nil, fmt.Errorf("rule %s: %w", r.Key(), err)
	}
	row := &out.row
	row.About, row.AboutLen = b.piece(&b.abouts, string(about))
	row.Code, row.CodeLen = b.program(y.Code)
	flag := func(bit uint32, on bool) {
		if on {
			row.Flags |= bit
		}
	}
	flag(yaraPrivate, y.Private)
	flag(yaraGlobal, y.Global)
	flag(yaraAbsent, y.Absent)
	flag(yaraViews, y.Views)
	row.Space = b.space(y.Namespace)
	if y.Global {
		s := &b.spaces[row.Space]
		s.globals = append(s.globals, uint32(len(b.bodies)))
	}
	return out, b.err
}

func (b *Builder) space(name string) uint32 {
	if i, ok := b.spaceAt[name]; ok {
		return i
	}
	var s builtSpace
	s.row.Name, s.row.NameLen = b.push(&b.names, name)
	i := uint32(len(b.spaces))
	b.spaces, b.spaceAt[name] = append(b.spaces, s), i
	return i
}

// yaraTables lays out what rules of YARA's have besides. The runs go to uses.
func (b *Builder) yaraTables(rows []ruleRow, uses []uint32) ([]section, []uint32) {
	run := func(s []uint32) (at, n uint32) {
		at = uint32(len(uses))
		uses = append(uses, s...)
		return at, uint32(len(s))
	}
	var out []yaraRow
	for i := range b.bodies {
		y := b.bodies[i].yara
		if y == nil {
			continue
		}
		y.row.Deps, y.row.DepsLen = run(y.deps)
		y.row.Hidden, y.row.HiddenLen = run(y.hidden)
		out = append(out, y.row)
		rows[i].YARA = uint32(len(out))
	}
	if len(out) == 0 {
		return nil, uses
	}
	spaces := make([]spaceRow, len(b.spaces))
	for i := range b.spaces {
		s := &b.spaces[i]
		s.row.Globals, s.row.GlobalsLen = run(s.globals)
		spaces[i] = s.row
	}
	return []section{
		{kind: secYARA, data: raw(out)},
		{kind: secSpaces, data: raw(spaces)},
		{kind: secAbouts, pieces: b.abouts},
	}, uses
}

// proveYARA proves that rows of YARA's rules lead to something that is there,
// and that rules ask for earlier ones only.
func (db *DB) proveYARA() error {
	bad := func(what string, i int) error { return fmt.Errorf("%s %d: %w", what, i, ErrCorrupt) }
	next := 0
	for i := range db.rules {
		k := int(db.rules[i].YARA)
		if k == 0 {
			continue
		}
		if next++; k != next || k > len(db.yara) {
			return bad("rule", i)
		}
		y := &db.yara[k-1]
		if !within(y.Code, y.CodeLen, len(db.programs)) || !within(y.Deps, y.DepsLen, len(db.uses)) ||
			!within(y.Hidden, y.HiddenLen, len(db.uses)) || !within(y.About, y.AboutLen, len(db.abouts)) ||
			int(y.Space) >= len(db.spaces) || y.Flags&^yaraAll != 0 {
			return bad("rule", i)
		}
		db.views = db.views || y.Flags&yaraViews != 0
		for _, d := range db.uses[y.Deps : y.Deps+y.DepsLen] {
			if int(d) >= i || db.rules[d].YARA == 0 {
				return bad("rule", i)
			}
		}
	}
	if next != len(db.yara) {
		return bad("yara", next)
	}
	for i := range db.spaces {
		s := &db.spaces[i]
		if !within(s.Name, s.NameLen, len(db.names)) || !within(s.Globals, s.GlobalsLen, len(db.uses)) {
			return bad("namespace", i)
		}
		for _, g := range db.uses[s.Globals : s.Globals+s.GlobalsLen] {
			if int(g) >= len(db.rules) || db.rules[g].YARA == 0 {
				return bad("namespace", i)
			}
		}
	}
	return nil
}

// YARA is what a rule of YARA's has besides.
type YARA struct {
	Deps    []uint32 // the rules that Code asks for, earlier ones
	Hidden  []uint32 // indexes of private patterns
	Globals []uint32 // global rules of its namespace
	Private bool
	Global  bool
	Absent  bool // see rule.YARA
	Views   bool
}

// YARA returns what rule i has besides, false if it is not one of YARA's.
func (db *DB) YARA(i uint32) (YARA, bool) {
	if int(i) >= len(db.rules) || db.rules[i].YARA == 0 {
		return YARA{}, false
	}
	y := &db.yara[db.rules[i].YARA-1]
	s := &db.spaces[y.Space]
	return YARA{
		Deps:    db.uses[y.Deps : y.Deps+y.DepsLen],
		Hidden:  db.uses[y.Hidden : y.Hidden+y.HiddenLen],
		Globals: db.uses[s.Globals : s.Globals+s.GlobalsLen],
		Private: y.Flags&yaraPrivate != 0,
		Global:  y.Flags&yaraGlobal != 0,
		Absent:  y.Flags&yaraAbsent != 0,
		Views:   y.Flags&yaraViews != 0,
	}, true
}

// Code returns the condition of rule i, which is one of YARA's, and panics as
// Pattern does; none if there is nothing to it but Rule's.
func (db *DB) Code(i uint32) code.Program {
	r := &db.rules[i]
	y := &db.yara[r.YARA-1]
	p := code.Program(db.programs[y.Code : y.Code+y.CodeLen])
	if len(p) == 0 {
		return nil
	}
	err := db.prove(len(db.patterns)+len(db.rules)+int(i), func() error { return p.Check(int(r.UsesLen), int(y.DepsLen)) })
	if err != nil {
		panic("ruledb: " + err.Error())
	}
	return p
}

// OnlyYARA tells that all rules are of YARA's and for bytes as they are: they ask
// for no type and no view of a layer, and no digest.
func (db *DB) OnlyYARA() bool { return len(db.yara) == db.Len() && !db.views }

// about returns what a person asks of rule i besides, nil if it is not one of YARA's.
func (db *DB) about(i uint32) (*About, error) {
	if db.rules[i].YARA == 0 {
		return nil, nil
	}
	y := &db.yara[db.rules[i].YARA-1]
	var s storedAbout
	if err := json.Unmarshal(db.abouts[y.About:y.About+y.AboutLen], &s); err != nil {
		return nil, fmt.Errorf("metadata of rule %d: %v: %w", i, err, ErrCorrupt)
	}
	out := s.About
	for _, m := range s.Lines {
		out.Metas = append(out.Metas, m.meta())
	}
	return &out, nil
}
