package evidence

import (
	"errors"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig"
	"github.com/showcause/showcause/clamsig/metadata"
	"github.com/showcause/showcause/clamsig/trust"
	"github.com/showcause/showcause/heuristic"
	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/rule"
)

const ruleAt = "/predicate/rules/rule"

// condition evaluates the rule's condition with the matches recorded, where it
// asks for nothing but them and the size of the layer.
func (v *verification) condition() {
	r := v.statement.Rules.Rule
	text, ok := r.text()
	if !ok {
		v.note(NoteText, ruleAt, "the rule's text is not in the record")
		return
	}
	if r.Language == "yara" {
		v.yara(text)
		return
	}
	if path.Ext(r.File) == ".cbc" {
		v.note(NoteReads, ruleAt, "a program: recheck")
		return
	}
	if path.Base(r.File) == heuristic.File {
		if heuristic.Name(text) != r.Name {
			v.problems.add(BadRuleName, ruleAt+"/name", "%.100q, and the text's is %.100q", r.Name, showcause.Escape(heuristic.Name(text)))
		}
		v.note(NoteReads, ruleAt, "a heuristic: recheck")
		return
	}
	if kind, _ := clamsig.Classify(path.Base(r.File)); metadata.Kinds(kind) || trust.Kinds(kind) {
		v.note(NoteReads, ruleAt, "members of a container, or certificates: recheck")
		return
	}
	got, err := readClamAV(r.File, text)
	if err != nil {
		v.problems.add(BadRuleText, ruleAt+"/text", "%v", err)
		return
	}
	if got.left != "" {
		v.note(NoteReads, ruleAt, "not evaluated: %s: recheck", got.left)
		return
	}
	if plainName(showcause.Escape(got.name)) != plainName(r.Name) {
		v.problems.add(BadRuleName, ruleAt+"/name", "%.100q, and the text's is %.100q", r.Name, got.name)
	}
	if got.digest != nil {
		v.exactBytes(got.digest)
	} else {
		v.logical(got)
	}
}

// plainName is a name without what marks a rule as not ClamAV's own.
func plainName(s string) string { return strings.TrimSuffix(s, ".UNOFFICIAL") }

// hits returns the number of matches of each pattern. It is not ok where they
// are hidden. cut tells the patterns that may have more.
func (s *Statement) hits() (counts map[int64]int64, cut map[int64]bool, ok bool) {
	counts, cut = map[int64]int64{}, map[int64]bool{}
	if s.Counts != nil {
		for i, n := range s.Counts {
			counts[int64(i)] = n
		}
		return counts, cut, true
	}
	if s.Matches == nil {
		return counts, cut, true
	}
	if s.Matches.Commitment != "" {
		return nil, nil, false
	}
	for _, m := range s.Matches.List {
		counts[m.Pattern]++
		cut[m.Pattern] = counts[m.Pattern] == showcause.MaxMatches
	}
	return counts, cut, true
}

// clamRule is one ClamAV signature, read out of its text.
type clamRule struct {
	name    string
	digest  *rule.DigestRule // or
	program rule.Program     //
	needs   []uint32         // matches of each pattern that have to be told apart
	anchors []pattern.Anchor
	guard   rule.Guard
	target  rule.Target
	left    string // why it was left out, where it is not malformed
	n       int    // signatures in the text
	err     error
}

// Rule implements clamsig.Sink.
func (c *clamRule) Rule(r *rule.Rule) error {
	c.n++
	c.name, c.needs, c.guard, c.target = r.Name, r.Needs(), r.Guard, r.Target
	for i := range r.Patterns {
		a := r.Patterns[i].Anchor
		if r.Later != nil && r.Later[i] != nil { // an expression is looked for from its anchor on
			if r.Later[i].Icons != nil {
				c.left = "icon"
			}
			a = pattern.Anchor{}
		}
		c.anchors = append(c.anchors, a)
	}
	if c.program, c.err = rule.Encode(r); c.err == nil {
		c.err = c.program.Check(len(r.Patterns))
	}
	return nil
}

// Digest implements clamsig.Sink.
func (c *clamRule) Digest(d *rule.DigestRule) error {
	c.n++
	own := *d
	c.name, c.digest = d.Name, &own
	return nil
}

// Skip implements clamsig.Sink.
func (c *clamRule) Skip(s clamsig.Skip) {
	c.n++
	if s.Reason == clamsig.Malformed {
		c.err = errors.New(s.Detail)
	} else {
		c.left = string(s.Reason)
	}
}

// clamKinds are the kinds of ClamAV databases whose signatures are loaded.
var clamKinds = []string{"hdb", "hsb", "hdu", "hsu", "mdb", "msb", "mdu", "msu", "imp", "fp", "sfp", "ndb", "ndu", "sdb", "ldb", "ldu"}

// readClamAV reads the text of one signature, whose kind follows from the name of its file.
func readClamAV(file, text string) (*clamRule, error) {
	var c clamRule
	name := path.Base(file)
	kind, _ := clamsig.Classify(name)
	switch {
	case !slices.Contains(clamKinds, kind) || len(path.Ext(name)) != len(kind)+1:
		return nil, errors.New("no kind of ClamAV database by the name of its file")
	case strings.ContainsAny(text, "\n\r"):
		return nil, errors.New("more than one line")
	}
	if _, err := clamsig.LoadReader(name, strings.NewReader(text+"\n"), clamsig.Options{PUA: true}, &c); err != nil {
		return nil, err
	}
	if c.err != nil {
		return nil, c.err
	}
	if c.n != 1 {
		return nil, errors.New("no signature")
	}
	return &c, nil
}

// exactBytes checks a rule for exact bytes against the layer's size and digests.
func (v *verification) exactBytes(d *rule.DigestRule) {
	s := v.statement
	layer := s.Subject
	if n := len(s.Derivation); n > 0 {
		layer = s.Derivation[n-1].Digest
	}
	size := s.last()
	whole := []Match{{Length: size}}
	if d.Allow {
		v.problems.add(BadCondition, ruleAt, "a rule of an allow-list, which finds nothing")
	}
	if d.Scope != rule.WholeLayer {
		v.note(NoteReads, ruleAt, "a digest of a part of the layer: recheck")
		if m := s.Matches; m == nil || m.Commitment != "" || d.Scope != rule.PESection {
			return
		}
		if len(s.Matches.List) != 1 || d.Size >= 0 && s.Matches.List[0].Length != d.Size {
			v.problems.add(BadCondition, ruleAt, "asks for a section of %d bytes", d.Size)
		}
		return
	}
	if s.Matches != nil && s.Matches.Commitment == "" && !slices.Equal(s.Matches.List, whole) {
		v.problems.add(BadMatch, "/predicate/matches", "want the whole layer, and nothing else")
	}
	if d.Size >= 0 && d.Size != size {
		v.problems.add(BadCondition, ruleAt, "asks for %d bytes, and the layer has %d", d.Size, size)
	}
	have := map[rule.Sum]string{rule.MD5: layer.MD5, rule.SHA1: layer.SHA1, rule.SHA256: layer.SHA256}[d.Sum]
	switch want := hexOf(d.Digest); {
	case layer.Commitment != "":
	case have == "":
		v.note(NoteReads, ruleAt, "asks for a digest that the record does not have: recheck")
	case have != want:
		v.problems.add(BadCondition, ruleAt, "asks for the digest %s, and the layer has %s", want, have)
	default:
		v.note(NoteCondition, ruleAt, "the layer has the digest that the rule asks for")
	}
}

func hexOf(raw string) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		b.WriteByte(digits[raw[i]>>4])
		b.WriteByte(digits[raw[i]&15])
	}
	return b.String()
}

// logical evaluates a rule with patterns.
func (v *verification) logical(r *clamRule) {
	s := v.statement
	if g := r.guard.Size; g != nil && (s.last() < 0 || uint64(s.last()) < g.Min || uint64(s.last()) > g.Max) {
		v.problems.add(BadCondition, ruleAt, "is for layers of %d to %d bytes, and this has %d", g.Min, g.Max, s.last())
	}
	if g := r.guard; r.target != rule.Any || g.Entry != nil || g.Sections != nil || g.Container != "" || len(g.Intermediates) > 0 {
		v.note(NoteGuard, ruleAt, "asks what kind of file it is, or is in: recheck")
	}
	if m := s.Matches; m != nil && m.Commitment == "" {
		v.anchored(r, m.List)
	}
	counts, cut, ok := s.hits()
	if !ok {
		return
	}
	if n := len(s.Counts); n > 0 && n != len(r.needs) {
		v.problems.add(BadCount, "/predicate/counts", "of %d patterns, and the rule has %d", n, len(r.needs))
		return
	}
	for _, i := range slices.Sorted(maps.Keys(cut)) {
		if cut[i] && i < int64(len(r.needs)) && int64(r.needs[i]) > showcause.MaxMatches {
			v.note(NoteCut, "/predicate/matches", "of pattern %d more than are recorded may matter: recheck", i)
			return
		}
	}
	if !r.program.Holds(func(sub int) uint32 { return uint32(min(counts[int64(sub)], 1<<31)) }) {
		v.problems.add(BadCondition, ruleAt, "does not hold with the matches recorded")
		return
	}
	v.note(NoteCondition, ruleAt, "holds with the matches recorded")
}

// anchored holds that each match is of a pattern of the rule, and begins where
// that pattern may.
func (v *verification) anchored(r *clamRule, list []Match) {
	for i, m := range list {
		if m.Pattern >= int64(len(r.anchors)) {
			v.problems.add(BadMatch, matchAt(i), "of pattern %d, and the rule has %d", m.Pattern, len(r.anchors))
			continue
		}
		a := r.anchors[m.Pattern]
		low := a.Offset
		switch a.Base {
		case pattern.Start:
		case pattern.End:
			low = v.statement.last() - a.Offset
		default:
			continue
		}
		if m.Offset < low || m.Offset-low > a.Shift {
			v.problems.add(BadMatch, matchAt(i), "at %d, and the rule asks for %d to %d", m.Offset, low, low+a.Shift)
		}
	}
}
