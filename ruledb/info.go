package ruledb

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/rule"
)

// Info is what a person asks of a rule.
type Info struct {
	Index  uint32 `json:"index"`
	Name   string `json:"name"`
	File   string `json:"file"`
	Line   int    `json:"line"`
	Text   string `json:"text"`
	Digest string `json:"digest"` // SHA-256 of Text, hexadecimal
	Kind   string `json:"kind"`   // "patterns", "digest", "allow", Heuristic
	// Patterns are the rule's patterns as they were understood.
	Patterns []string        `json:"patterns,omitempty"`
	YARA     *About          `json:"yara,omitempty"`
	Stage    showcause.Stage `json:"stage,omitempty"` // as its publisher signed it
}

// Name returns the name that rule i is reported by. Where the database is damaged
// it is "rule-" and the index.
func (db *DB) Name(i uint32) string {
	if int(i) < len(db.rules) {
		r := &db.rules[i]
		return joinName(string(db.names[r.Name:r.Name+r.NameLen]), r.Flags)
	}
	t, at := db.digestOf(i)
	if _, m, err := t.rule(at); err == nil {
		if name, err := db.digestName(&m); err == nil {
			return joinName(name, m.nameFlags())
		}
	}
	return fmt.Sprintf("rule-%d", i)
}

// Shape tells how many patterns rule i has, 0 if it is one for exact bytes, and
// whether it is one of an allow-list.
func (db *DB) Shape(i uint32) (patterns int, allow bool) {
	if int(i) < len(db.rules) {
		return int(db.rules[i].UsesLen), false
	}
	t, _ := db.digestOf(i)
	return 0, t.allow()
}

// Info returns what is known of rule i. An error says that the database is
// damaged in a part that is not read at start.
func (db *DB) Info(i uint32) (Info, error) {
	if int(i) >= db.Len() {
		return Info{}, fmt.Errorf("rule %d: the database has %d", i, db.Len())
	}
	out := Info{Index: i, Kind: "patterns"}
	if int(i) < len(db.rules) {
		r := &db.rules[i]
		text, err := db.texts.read(uint64(r.Text), uint64(r.TextLen))
		if err != nil {
			return Info{}, err
		}
		out.File, out.Stage = db.file(r.File)
		out.Name, out.Line, out.Text = db.Name(i), int(r.Line), string(text)
		if err := db.proveRule(i); err != nil {
			return Info{}, err
		}
		patterns := db.Rule(i).Patterns
		if r.Flags&flagHeuristic != 0 {
			out.Kind, patterns = Heuristic, nil
		}
		for _, p := range patterns {
			if err := db.provePattern(p); err != nil {
				return Info{}, err
			}
			have := db.Pattern(p)
			if have.Regexp != nil {
				out.Patterns = append(out.Patterns, "(regular expression)")
				continue
			}
			out.Patterns = append(out.Patterns, have.Program.String())
		}
		if out.YARA, err = db.about(i); err != nil {
			return Info{}, err
		}
	} else if err := db.digestInfo(i, &out); err != nil {
		return Info{}, err
	}
	sum := sha256.Sum256([]byte(out.Text))
	out.Digest = hex.EncodeToString(sum[:])
	return out, nil
}

// digestInfo fills in what is known of rule i, which is for exact bytes.
func (db *DB) digestInfo(i uint32, out *Info) error {
	t, at := db.digestOf(i)
	digest, m, err := t.rule(at)
	if err != nil {
		return err
	}
	file := m.file >> digestFlags
	if file >= uint64(len(db.files)) {
		return fmt.Errorf("file of rule %d: %w", i, ErrCorrupt)
	}
	name, err := db.digestName(&m)
	if err != nil {
		return err
	}
	out.Name, out.Line, out.Kind = joinName(name, m.nameFlags()), int(m.line), "digest"
	out.File, out.Stage = db.file(uint32(file))
	if t.allow() {
		out.Kind = "allow"
	}
	out.Text, err = db.digestText(t, digest, &m, name)
	return err
}

func (db *DB) file(i uint32) (string, showcause.Stage) {
	f := db.files[i]
	return rule.Unstaged(string(db.names[f[0] : f[0]+f[1]]))
}

// Find returns the rules with that name, ".UNOFFICIAL" or not, at most max; 0 is no bound.
func (db *DB) Find(name string, max int) (out []uint32) {
	if max <= 0 {
		max = math.MaxInt
	}
	want, _ := splitName(name)
	for i := range db.rules {
		r := &db.rules[i]
		if string(db.names[r.Name:r.Name+r.NameLen]) == want {
			if out = append(out, uint32(i)); len(out) == max {
				return out
			}
		}
	}
	return db.findDigests(want, out, max)
}

// Skips returns the signatures that were left out.
func (db *DB) Skips() ([]Skip, error) {
	skips, err := db.skips.all()
	if err != nil {
		return nil, err
	}
	var out []Skip
	for at, line := 0, 0; at < len(skips); line++ {
		end := at
		for end < len(skips) && skips[end] != '\n' {
			end++
		}
		var s Skip
		if err := json.Unmarshal(skips[at:end], &s); err != nil {
			return nil, fmt.Errorf("skips, line %d: %v: %w", line+1, err, ErrCorrupt)
		}
		out = append(out, s)
		at = end + 1
	}
	return out, nil
}

// Targets returns the number of rules with patterns for each target.
func (db *DB) Targets() (out [rule.Targets]int) {
	for i := range db.rules {
		out[db.rules[i].Target]++
	}
	return out
}
