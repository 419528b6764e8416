package ruledb

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"sort"

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
	Kind   string `json:"kind"`   // "patterns", "digest", "allow"
	// Patterns are the rule's patterns as they were understood.
	Patterns []string `json:"patterns,omitempty"`
	YARA     *About   `json:"yara,omitempty"`
}

// Name returns the name that rule i is reported by.
func (db *DB) Name(i uint32) string {
	if int(i) < len(db.rules) {
		r := &db.rules[i]
		return joinName(string(db.names[r.Name:r.Name+r.NameLen]), r.Flags)
	}
	t, at := db.digestOf(i)
	r := &t.rows[at]
	flags := uint32(0)
	if r.File&fileUnofficial != 0 {
		flags = flagUnofficial
	}
	return joinName(string(db.names[r.Name:r.Name+uint32(r.NameLen)]), flags)
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

// digestOf returns where a rule for exact bytes stands.
func (db *DB) digestOf(i uint32) (*digestTable, uint32) {
	n := sort.Search(len(db.digests), func(k int) bool { return db.digests[k].first > i }) - 1
	return &db.digests[n], i - db.digests[n].first
}

// Info returns what is known of rule i. An error says that the database is
// damaged in a part that is not read at start.
func (db *DB) Info(i uint32) (Info, error) {
	if int(i) >= db.Len() {
		return Info{}, fmt.Errorf("rule %d: the database has %d", i, db.Len())
	}
	out := Info{Index: i, Name: db.Name(i), Kind: "patterns"}
	if int(i) < len(db.rules) {
		r := &db.rules[i]
		texts, err := db.texts.proven("texts")
		if err != nil {
			return Info{}, err
		}
		out.File, out.Line = db.file(r.File), int(r.Line)
		out.Text = string(texts[r.Text : r.Text+r.TextLen])
		if err := db.proveRule(i); err != nil {
			return Info{}, err
		}
		for _, p := range db.Rule(i).Patterns {
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
	} else {
		t, at := db.digestOf(i)
		r := &t.rows[at]
		out.File, out.Line, out.Kind = db.file(uint32(r.File&fileNumber)), int(r.Line), "digest"
		if t.allow() {
			out.Kind = "allow"
		}
		var err error
		if out.Text, err = db.digestRuleText(t, at); err != nil {
			return Info{}, err
		}
	}
	sum := sha256.Sum256([]byte(out.Text))
	out.Digest = hex.EncodeToString(sum[:])
	return out, nil
}

func (db *DB) digestRuleText(t *digestTable, at uint32) (string, error) {
	r := &t.rows[at]
	own := ""
	if r.Text != 0 {
		texts, err := db.texts.proven("texts")
		if err != nil {
			return "", err
		}
		off := uint64(r.Text - 1)
		if off+4 > uint64(len(texts)) {
			return "", fmt.Errorf("text of rule %d: %w", t.first+at, ErrCorrupt)
		}
		n := uint64(binary.LittleEndian.Uint32(texts[off:]))
		if off+4+n > uint64(len(texts)) {
			return "", fmt.Errorf("text of rule %d: %w", t.first+at, ErrCorrupt)
		}
		own = string(texts[off+4 : off+4+n])
		if r.File&fileRest == 0 {
			return own, nil
		}
	}
	w := uint32(sumSize(t.sum()))
	run := sort.Search(len(t.sizes), func(k int) bool { return t.starts[k+1] > at })
	name := string(db.names[r.Name : r.Name+uint32(r.NameLen)])
	return digestText(t.scope(), t.sizes[run], string(t.sums[at*w:(at+1)*w]), name) + own, nil
}

func (db *DB) file(i uint32) string {
	f := db.files[i]
	return string(db.names[f[0] : f[0]+f[1]])
}

// Find returns the rules with that name, ".UNOFFICIAL" or not, at most max; 0 is no bound.
func (db *DB) Find(name string, max int) (out []uint32) {
	if max <= 0 {
		max = math.MaxInt
	}
	want, _ := splitName(name)
	for i := range uint32(db.Len()) {
		if have, _ := splitName(db.Name(i)); have == want {
			if out = append(out, i); len(out) == max {
				break
			}
		}
	}
	return out
}

// Skips returns the signatures that were left out.
func (db *DB) Skips() ([]Skip, error) {
	skips, err := db.skips.proven("skips")
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
