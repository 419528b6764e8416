package evidence

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/showcause/showcause"
)

const (
	maxSteps    = 1000
	maxPatterns = 1 << 16
	maxLabel    = 4096 // bytes of a name or a path's one component
	maxReason   = 64 << 10
	maxAfter    = 256 // entries that one follows
)

// check finds what is wrong with a statement by itself. What is hidden is not
// judged. Nothing in it is looked at twice: a value has one place.
func (s *Statement) check() Problems {
	c := checker{s: s}
	c.shape()
	if len(c.problems) > 0 {
		return c.problems // the rest takes the members for granted
	}
	c.values()
	c.policy()
	c.matches()
	switch s.Kind {
	case Finding:
		c.layerCoverage()
		c.findingVerdict()
	case Scan:
		c.scanCoverage()
	}
	if id, err := s.newID(); err == nil && s.ID.Commitment == "" && s.ID.Text != id {
		c.problems.add(BadID, "/predicate/id", "not the SHA-256 of the reproducible part, %s", id)
	}
	return c.problems
}

type checker struct {
	s        *Statement
	problems Problems
}

func (c *checker) bad(code Code, where, format string, a ...any) {
	c.problems.add(code, where, format, a...)
}

// shape holds that a kind of record has its members and no others.
func (c *checker) shape() {
	s := c.s
	finding, scan := s.Kind == Finding, s.Kind == Scan
	for _, m := range []struct {
		name      string
		has       bool
		want, may bool
	}{
		{"verdict", s.Verdict != "", finding || scan, false},
		{"input", s.Input != nil, finding || s.Kind == Entry, s.Kind != Scan},
		{"rules", s.Rules != nil, finding || scan, false},
		{"policy", s.Policy != nil, finding || scan, false},
		{"derivation", s.Derivation != nil, false, finding},
		{"matches", s.Matches != nil, false, finding},
		{"counts", s.Counts != nil, false, finding},
		{"coverage", s.Coverage != nil, finding || scan, false},
		{"action", s.Action != nil, s.Kind == Deed, false},
		{"contest", s.Contest != nil, s.Kind == Contest, false},
		{"decision", s.Decision != nil, s.Kind == Decision, false},
		{"case", s.Case != nil, s.Kind == Entry, false},
	} {
		if m.has && !m.want && !m.may {
			c.bad(BadShape, "/predicate/"+m.name, "not of this kind of record")
		} else if !m.has && m.want {
			c.bad(BadShape, "/predicate/"+m.name, "missing")
		}
	}
	if s.ID.IsZero() {
		c.bad(BadShape, "/predicate/id", "missing")
	}
	if s.Rules != nil && (s.Rules.Rule != nil) != finding {
		c.bad(BadShape, "/predicate/rules/rule", "missing, or not of this kind of record")
	}
	if v := s.Coverage; v != nil && finding && (v.Files != 0 || v.Verdicts != nil || v.Inputs != nil || v.Part != 0 || v.Parts != 0 || v.Unrecorded != 0) {
		c.bad(BadShape, "/predicate/coverage", "members that only the record of a scan has")
	}
	d := s.Subject
	if scan != (d.Scan != "") || scan && d != (Digests{Scan: d.Scan}) {
		c.bad(BadShape, "/subject/0/digest", "the name of a scan, and nothing else, is the subject of its coverage and of nothing else")
	}
	if scan && (s.Context.Scan != d.Scan || !s.Context.Path.IsZero()) {
		c.bad(BadShape, "/predicate/context", "want the scan's name, and no path")
	}
	if n := len(s.Context.Paths); n > 0 && (!scan || s.Coverage == nil || n != len(s.Coverage.Inputs)) {
		c.bad(BadShape, "/predicate/context/paths", "%d paths, want one of each input", n)
	}
}

// values holds that each value is in its range and in its spelling.
func (c *checker) values() {
	s := c.s
	if !s.ID.hidden() {
		c.hex("/predicate/id", s.ID.Text, false)
	}
	c.digests("/subject/0/digest", s.Subject)
	if s.Verdict != "" && !slices.Contains(verdicts, s.Verdict) {
		c.bad(BadValue, "/predicate/verdict", "%.40q", s.Verdict)
	}
	if s.Input != nil {
		c.least("/predicate/input/size", s.Input.Size, 0)
		c.word("/predicate/input/type", s.Input.Type, true)
	}
	e := "/predicate/engine/"
	c.label(e+"version", s.Engine.Version, false)
	c.hex(e+"binary", s.Engine.Binary, false)
	c.label(e+"revision", s.Engine.Revision, true)
	c.label(e+"go", s.Engine.Go, false)
	c.label(e+"target", s.Engine.Target, false)
	c.rules()
	c.derivation()
	c.deeds()
	x := &s.Context
	for _, p := range []struct {
		name string
		p    Private
	}{{"path", x.Path}, {"host", x.Host}, {"user", x.User}} {
		c.private("/predicate/context/"+p.name, p.p, true)
	}
	for i, p := range x.Paths {
		c.private("/predicate/context/paths/"+strconv.Itoa(i), p, false)
	}
	c.hex("/predicate/context/scan", x.Scan, true)
	c.word("/predicate/context/jail", x.Jail, true)
	if len(x.Keys) == 0 || len(x.Keys) > maxSigned {
		c.bad(BadValue, "/predicate/context/keys", "%d keys, want 1 to %d", len(x.Keys), maxSigned)
	}
	for i, k := range x.Keys {
		c.hex("/predicate/context/keys/"+strconv.Itoa(i), k, false)
		if i > 0 && k <= x.Keys[i-1] {
			c.bad(BadValue, "/predicate/context/keys", "out of order, or one twice")
		}
	}
	if t, err := time.Parse("2006-01-02T15:04:05Z", s.Time.Observed); err != nil || t.Format("2006-01-02T15:04:05Z") != s.Time.Observed {
		c.bad(BadValue, "/predicate/time/observed", "%.40q, want RFC 3339, UTC, whole seconds", s.Time.Observed)
	}
}

func (p Private) hidden() bool { return p.Commitment != "" }

func (c *checker) rules() {
	r := c.s.Rules
	if r == nil {
		return
	}
	at := "/predicate/rules/"
	c.hex(at+"database", r.Database, false)
	c.hex(at+"source", r.Source, true)
	rule := r.Rule
	if rule == nil {
		return
	}
	at += "rule/"
	if rule.Language != "clamav" && rule.Language != "yara" {
		c.bad(BadValue, at+"language", "%.40q, want clamav or yara", rule.Language)
	}
	c.label(at+"name", rule.Name, false)
	c.least(at+"index", rule.Index, 0)
	c.hex(at+"digest", rule.Digest, false)
	c.label(at+"file", rule.File, true)
	c.least(at+"line", rule.Line, 0)
	c.label(at+"allowed", rule.Allowed, true)
	if rule.Stage != "" && rule.Stage != "shadow" && rule.Stage != "report" && rule.Stage != "act" {
		c.bad(BadValue, at+"stage", "%.40q, want shadow, report or act", rule.Stage)
	}
	if len(rule.Text) > maxText || len(rule.Base64) > maxText/3*4+4 {
		c.bad(BadValue, at+"text", "longer than %d bytes", maxText)
	}
	if rule.Text != "" && rule.Base64 != "" {
		c.bad(BadShape, at+"base64", "beside a text")
	}
	text, ok := rule.text()
	if !ok {
		if rule.Base64 != "" {
			c.bad(BadValue, at+"base64", "not base64")
		}
		return
	}
	if rule.Base64 != "" {
		again := *rule
		if again.SetText(text); again.Base64 != rule.Base64 {
			c.bad(BadValue, at+"base64", "a text that is UTF-8, or that is spelled otherwise")
		}
	}
	if sum := hexSum([]byte(text)); sum != rule.Digest {
		c.bad(BadRuleDigest, at+"digest", "the text's is %s", sum)
	}
}

func (c *checker) derivation() {
	if n := len(c.s.Derivation); n > maxSteps {
		c.bad(BadValue, "/predicate/derivation", "%d steps, at most %d", n, maxSteps)
	}
	for i := range c.s.Derivation {
		d, at := &c.s.Derivation[i], fmt.Sprintf("/predicate/derivation/%d/", i)
		c.least(at+"index", d.Index, 0)
		c.word(at+"op", d.Op, false)
		c.words(at+"params", d.Params)
		c.digests(at+"digest", d.Digest)
		c.least(at+"size", d.Size, 0)
	}
}

// deeds holds the values of the members that only some kinds have.
func (c *checker) deeds() {
	s := c.s
	if a := s.Action; a != nil {
		c.word("/predicate/action/deed", a.Deed, false)
		c.hex("/predicate/action/record", a.Record, false)
		c.word("/predicate/action/result", a.Result, false)
		c.private("/predicate/action/reason", a.Reason, true)
		c.words("/predicate/action/detail", a.Detail)
	}
	if t := s.Contest; t != nil {
		c.hex("/predicate/contest/record", t.Record, false)
		c.private("/predicate/contest/reason", t.Reason, false)
	}
	if d := s.Decision; d != nil {
		c.hex("/predicate/decision/record", d.Record, false)
		c.hex("/predicate/decision/contest", d.Contest, false)
		if d.Outcome != "upheld" && d.Outcome != "withdrawn" {
			c.bad(BadValue, "/predicate/decision/outcome", "%.40q, want upheld or withdrawn", d.Outcome)
		}
		c.private("/predicate/decision/reason", d.Reason, false)
	}
	if e := s.Case; e != nil {
		c.hex("/predicate/case/name", e.Name, false)
		c.word("/predicate/case/act", e.Act, false)
		if len(e.After) > maxAfter {
			c.bad(BadValue, "/predicate/case/after", "%d entries, at most %d", len(e.After), maxAfter)
		}
		for i, a := range e.After {
			c.hex("/predicate/case/after/"+strconv.Itoa(i), a, false)
			if i > 0 && a <= e.After[i-1] {
				c.bad(BadValue, "/predicate/case/after", "out of order, or one twice")
			}
		}
	}
}

func (c *checker) policy() {
	p := c.s.Policy
	if p == nil {
		return
	}
	c.words("/predicate/policy/options", p.Options)
	l := &p.Limits
	for _, v := range []int64{l.FileSize, l.ScanSize, l.Objects, int64(l.Depth), l.Ratio, l.Work} {
		c.least("/predicate/policy/limits", v, 0)
	}
	if sum := p.sum(); p.Digest != sum {
		c.bad(BadPolicy, "/predicate/policy/digest", "that of limits and options is %s", sum)
	}
}

func (c *checker) least(at string, v, least int64) {
	if v < least || v > maxInteger {
		c.bad(BadValue, at, "%d, want %d or more", v, least)
	}
}

func (c *checker) hex(at, s string, may bool) { c.hexOf(at, s, 32, may) }

func (c *checker) hexOf(at, s string, size int, may bool) {
	if !isHex(s, size) && !(may && s == "") {
		c.bad(BadValue, at, "%.80q, want %d bytes in lower-case hexadecimal", s, size)
	}
}

func (c *checker) digests(at string, d Digests) {
	if d.Commitment != "" {
		if d != (Digests{Commitment: d.Commitment}) {
			c.bad(BadShape, at, "something beside a commitment")
		}
		c.hex(at+"/commitment", d.Commitment, false)
		return
	}
	if d.Scan != "" {
		c.hex(at+"/scan", d.Scan, false)
		if d != (Digests{Scan: d.Scan}) || at != "/subject/0/digest" {
			c.bad(BadShape, at, "the name of a scan where it has no place")
		}
		return
	}
	c.hex(at+"/sha256", d.SHA256, false)
	c.hexOf(at+"/sha1", d.SHA1, 20, true)
	c.hexOf(at+"/md5", d.MD5, 16, true)
}

func (c *checker) private(at string, p Private, may bool) {
	switch {
	case p.Commitment != "":
		c.hex(at+"/commitment", p.Commitment, false)
	case p.Text == "":
		if !may {
			c.bad(BadShape, at, "missing, or empty")
		}
	case len(p.Text) > maxReason || strings.ContainsFunc(p.Text, control):
		c.bad(BadValue, at, "a control character, or more than %d bytes", maxReason)
	}
}

func control(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }

// label is a text for a person, on one line.
func (c *checker) label(at, s string, may bool) {
	if s == "" && !may || len(s) > maxLabel || strings.ContainsFunc(s, control) {
		c.bad(BadValue, at, "empty, more than %d bytes, or with a control character", maxLabel)
	}
}

// word is a word of our own.
func (c *checker) word(at, s string, may bool) {
	if s == "" && may {
		return
	}
	if !isWord(s) {
		c.bad(BadValue, at, "%.40q is no word of the format", s)
	}
}

func isWord(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' && c != '+' && c != '/' && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return s != "" && len(s) <= 128
}

func (c *checker) words(at string, m map[string]string) {
	if len(m) > 256 {
		c.bad(BadValue, at, "%d members, at most 256", len(m))
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		c.word(at, k, false)
		c.label(at+"/"+k, m[k], true)
	}
}

// last returns the size of the layer that the rule fired on.
func (s *Statement) last() int64 {
	if n := len(s.Derivation); n > 0 {
		return s.Derivation[n-1].Size
	}
	return s.Input.Size
}

// matches holds that matches are in order and inside the layer, and that the
// counts are theirs.
func (c *checker) matches() {
	s := c.s
	if len(s.Counts) > maxPatterns {
		c.bad(BadCount, "/predicate/counts", "of %d patterns, at most %d", len(s.Counts), maxPatterns)
	}
	for i, n := range s.Counts {
		c.least("/predicate/counts/"+strconv.Itoa(i), n, 0)
	}
	if s.Matches == nil || s.Matches.Commitment != "" {
		if s.Matches != nil {
			c.hex("/predicate/matches/commitment", s.Matches.Commitment, false)
		}
		return
	}
	seen := make([]int64, len(s.Counts))
	size, run := s.last(), 0
	for i, m := range s.Matches.List {
		at := "/predicate/matches/" + strconv.Itoa(i)
		if m.Pattern < 0 || m.Pattern >= maxPatterns || m.Offset < 0 || m.Length < 0 || m.Offset > size || m.Length > size-m.Offset {
			c.bad(BadMatch, at, "%d bytes at %d in a layer of %d", m.Length, m.Offset, size)
		}
		run++
		if i > 0 {
			b := s.Matches.List[i-1]
			if b.Pattern > m.Pattern || b.Pattern == m.Pattern && (b.Offset > m.Offset || b.Offset == m.Offset && b.Length >= m.Length) {
				c.bad(BadMatch, at, "out of order")
			}
			if b.Pattern != m.Pattern {
				run = 1
			}
		}
		if run == showcause.MaxMatches+1 {
			c.bad(BadMatch, at, "more than %d matches of a pattern", showcause.MaxMatches)
		}
		if m.Pattern >= 0 && m.Pattern < int64(len(seen)) {
			seen[m.Pattern]++
		} else if len(seen) > 0 {
			c.bad(BadCount, at, "pattern %d, and counts of %d", m.Pattern, len(seen))
		}
	}
	for i, n := range s.Counts {
		if n < seen[i] || n > seen[i] && seen[i] < showcause.MaxMatches {
			c.bad(BadCount, "/predicate/counts/"+strconv.Itoa(i), "%d, and %d matches are recorded", n, seen[i])
		}
	}
}

var verdicts = []string{"nothing-found", "incomplete", "error", "found"} // in the order of showcause.Verdict
