package recheck

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// Answer is what rechecking a record comes to.
type Answer struct {
	// Reproduced tells that everything that the record says of the file, and that
	// this copy of it discloses, came out again.
	Reproduced bool `json:"reproduced"`
	// Bytes tells that the reproducible part of the record came out byte for byte.
	Bytes       bool         `json:"bytes"`
	Differences []Difference `json:"differences,omitempty"`
	Notes       []string     `json:"notes,omitempty"` // what was not compared, and why
	// Undone says why the rule could not be looked at; "" if it was. The rest was.
	Undone   string    `json:"undone,omitempty"`
	Excerpts []Excerpt `json:"excerpts,omitempty"`
}

// maxTold is the number of differences that an answer lists.
const maxTold = 100

// Names of options in a record's policy.
const (
	OptionFormats = "formats"     // "all": every format that the engine reads
	OptionViews   = "views"       // "none": no normalised views of text and HTML
	OptionInput   = "input.bytes" // "all", or how many bytes of the input are read at most
	// OptionPasswords tells what is tried on what is encrypted: see Passwords. Without
	// it the usual ones are. Words of a mail are a function of the file, and are always tried.
	OptionPasswords = "passwords"
)

// Passwords is the value of OptionPasswords: "usual" or "off", and "+N" where the
// user gave N more. The passwords themselves are never recorded.
func Passwords(usual bool, given int) string {
	s := "off"
	if usual {
		s = "usual"
	}
	if given > 0 {
		s = fmt.Sprintf("%s+%d", s, given)
	}
	return s
}

// Record looks again at what a record of kind finding says of a file. The
// engine, the rules' database, the policy and the number of steps are taken as
// the record has them.
func Record(s *evidence.Statement, src showcause.Source, o Options) Answer {
	c, err := claimOf(s)
	if err == nil {
		c.Rule.Before = o.Before
	} else {
		return Answer{Differences: []Difference{{"record", "a finding", err.Error()}}}
	}
	out := Run(src, *c, o)
	if missing := c.Given > len(o.Passwords); missing && !out.Reached {
		out.Differences = append(out.Differences, Difference{
			"passwords", fmt.Sprintf("%d given by the scan's user", c.Given),
			fmt.Sprintf("%d given here; the layer needs a password of the scan's user: --password", len(o.Passwords)),
		})
	} else if missing {
		out.Notes = append(out.Notes, fmt.Sprintf("coverage was not compared: the scan's user gave %d passwords (--password), and %d are given here", c.Given, len(o.Passwords)))
	}
	d := deriver{s: s, src: src, c: c, out: &out, locked: c.Given > len(o.Passwords)}
	again := d.statement()
	d.compare(again)
	a := Answer{Differences: out.Differences, Notes: out.Notes, Undone: out.Undone, Excerpts: out.Excerpts}
	was, is := s.Reproducible(), again.Reproducible()
	a.Bytes = was != nil && bytes.Equal(was, is)
	if was != nil && !a.Bytes && len(a.Differences) == 0 {
		a.Differences = []Difference{{"record", fmt.Sprintf("%.200s", was[differ(was, is):]), fmt.Sprintf("%.200s", is[differ(was, is):])}}
	}
	if was == nil {
		a.Notes = append(a.Notes, "this copy of the record hides values, which were not compared")
	}
	a.Reproduced = len(a.Differences) == 0 && out.Holds
	a.Bytes = a.Bytes && a.Reproduced
	if n := len(a.Differences); n > maxTold {
		a.Differences = append(a.Differences[:maxTold], Difference{"record", "", fmt.Sprintf("%d more differences", n-maxTold)})
	}
	return a
}

// differ returns where two texts begin to differ.
func differ(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// claimOf takes from a record what is to be derived again.
func claimOf(s *evidence.Statement) (*Claim, error) {
	if s.Kind != evidence.Finding || s.Rules == nil || s.Rules.Rule == nil || s.Input == nil || s.Policy == nil || s.Coverage == nil || s.Matches == nil {
		return nil, fmt.Errorf("a record of kind %.40q", s.Kind)
	}
	r := s.Rules.Rule
	c := &Claim{Limits: s.Policy.Limits.WithDefaults(), Rule: &Rule{Language: r.Language, Name: r.Name, File: r.File, Text: r.Text}}
	c.Rule.Path, _ = showcause.Unescape(s.Context.Path.Text)
	if r.Base64 != "" {
		b, err := base64.StdEncoding.DecodeString(r.Base64)
		if err != nil {
			return nil, fmt.Errorf("a rule's text that is no base64")
		}
		c.Rule.Text = string(b)
	}
	if c.Rule.Text == "" {
		return nil, fmt.Errorf("no text of the rule")
	}
	if s.Policy.Options[OptionInput] == "all" {
		c.Limits.FileSize = 0
	}
	if v := s.Policy.Options[OptionFormats]; v != "" && v != "all" {
		return nil, fmt.Errorf("a policy for the formats %.40q", showcause.Escape(v))
	}
	if v := s.Policy.Options[OptionPasswords]; v != "" {
		head, n, more := strings.Cut(v, "+")
		given, err := strconv.Atoi(n)
		if head != "usual" && head != "off" || more && (err != nil || given < 1) {
			return nil, fmt.Errorf("a policy for the passwords %.40q", showcause.Escape(v))
		}
		c.NoUsual = head == "off"
		if more {
			c.Given = given
		}
	}
	c.NoViews = s.Policy.Options[OptionViews] == "none"
	c.Chain = []showcause.Link{{Digest: sum(s.Subject.SHA256), Size: s.Input.Size}}
	for _, step := range s.Derivation {
		c.Trail = append(c.Trail, showcause.Step{Index: int(step.Index), Op: step.Op})
		c.Chain = append(c.Chain, showcause.Link{Digest: sum(step.Digest.SHA256), Size: step.Size})
	}
	for _, m := range s.Matches.List {
		c.Matches = append(c.Matches, showcause.Match{Pattern: int(m.Pattern), Offset: m.Offset, Length: m.Length})
	}
	for _, n := range s.Counts {
		c.Counts = append(c.Counts, uint32(min(max(n, 0), math.MaxUint32)))
	}
	c.hidden = s.Matches.Commitment != ""
	return c, nil
}

// sum reads a digest; of one that is hidden it is none, which is not compared.
func sum(s string) (d showcause.SHA256) {
	b, err := hex.DecodeString(s)
	if err == nil && len(b) == len(d) {
		copy(d[:], b)
	}
	return d
}

// deriver makes a record's reproducible part from what the file gave.
type deriver struct {
	s   *evidence.Statement
	src showcause.Source
	c   *Claim
	out *Outcome
	// locked tells that passwords are missing that the scan had.
	locked bool
}

// statement returns the record as the file gives it.
func (d *deriver) statement() *evidence.Statement {
	n := *d.s
	n.Subject = d.subject()
	n.Input = &evidence.Input{Size: d.src.Size(), Type: d.out.Report.Type}
	rules, r := *d.s.Rules, *d.s.Rules.Rule
	r.SetText(d.c.Rule.Text)
	rules.Rule, n.Rules = &r, &rules
	n.Derivation = nil
	for i, step := range d.s.Derivation {
		if i+1 < len(d.out.Chain) {
			l := d.out.Chain[i+1]
			step.Size = l.Size
			if step.Digest.Commitment == "" {
				step.Digest.SHA256 = l.Digest.String()
			}
		}
		n.Derivation = append(n.Derivation, step)
	}
	if !d.c.hidden && d.out.Undone == "" {
		n.Matches = &evidence.Matches{List: Sorted(d.out.Matches)}
	}
	if d.s.Counts != nil && d.out.Undone == "" {
		n.Counts = nil
		for _, v := range d.out.Counts {
			n.Counts = append(n.Counts, int64(v))
		}
	}
	if d.comparable() {
		n.Coverage = d.coverage()
	}
	if d.out.Holds && r.Alarms() {
		n.Verdict = showcause.Found.String()
	}
	return &n
}

// Sorted returns matches as a record has them: by pattern, offset and length,
// each once.
func Sorted(in []showcause.Match) (out []evidence.Match) {
	for _, m := range in {
		out = append(out, evidence.Match{Pattern: int64(m.Pattern), Offset: m.Offset, Length: m.Length})
	}
	slices.SortFunc(out, func(a, b evidence.Match) int {
		return cmp.Or(cmp.Compare(a.Pattern, b.Pattern), cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Length, b.Length))
	})
	return slices.Compact(out)
}

// subject digests the file by the algorithms that the record has.
func (d *deriver) subject() evidence.Digests {
	was := d.s.Subject
	if was.Commitment != "" {
		return was
	}
	var out evidence.Digests
	var all []io.Writer
	type one struct {
		h  hash.Hash
		to *string
	}
	var sums []one
	add := func(h hash.Hash, to *string) {
		all, sums = append(all, h), append(sums, one{h, to})
	}
	add(sha256.New(), &out.SHA256)
	if was.SHA1 != "" {
		add(sha1.New(), &out.SHA1)
	}
	if was.MD5 != "" {
		add(md5.New(), &out.MD5)
	}
	if n, err := io.Copy(io.MultiWriter(all...), bound.Reader(d.src, 0, -1)); err != nil || n != d.src.Size() {
		d.out.Notes = append(d.out.Notes, "the file could not be read to its end")
		return out
	}
	for _, s := range sums {
		*s.to = hex.EncodeToString(s.h.Sum(nil))
	}
	return out
}

// comparable tells whether the record's coverage follows from the bytes alone.
func (d *deriver) comparable() bool {
	if d.locked {
		return false
	}
	for _, g := range d.s.Coverage.Gaps {
		if slices.ContainsFunc(g.Trail, func(s evidence.GapStep) bool { return strings.HasPrefix(s.Op, "as.") }) {
			d.out.Notes = append(d.out.Notes, "coverage was not compared: other signatures had layers read as other types")
			return false
		}
		code := showcause.Code(g.Code)
		head, _, _ := strings.Cut(g.Code, ".")
		switch {
		case code == showcause.LimitWork, code == showcause.LimitTime, code == showcause.LimitSpill, strings.HasPrefix(g.Code, string(showcause.LimitMemory)),
			code == unpack.SplitVolume && len(g.Trail) == 0, head == string(showcause.Crash), head == string(showcause.Changed), head == string(showcause.Unreadable):
			note := fmt.Sprintf("coverage was not compared: it has a gap with the code %.40s, which does not follow from the file alone", showcause.Escape(g.Code))
			if !slices.Contains(d.out.Notes, note) {
				d.out.Notes = append(d.out.Notes, note)
			}
			return false
		}
	}
	return true
}

// coverage is what the walk looked at. The work is the scanner's.
func (d *deriver) coverage() *evidence.Coverage {
	c := *d.s.Coverage
	r := &d.out.Report
	c.Objects, c.Bytes, c.Depth = r.Spent.Objects, r.Spent.Bytes, int64(r.Spent.Depth)
	c.Complete, c.Gaps = true, Gaps(r.Gaps, r.Size)
	for _, g := range r.Gaps {
		c.Complete = c.Complete && !g.Code.Unread()
	}
	return &c
}

// compare says what differs between the record and what the file gave, besides
// what Run has said.
func (d *deriver) compare(n *evidence.Statement) {
	say := func(where string, was, is any) {
		if a, b := fmt.Sprint(was), fmt.Sprint(is); a != b {
			d.out.Differences = append(d.out.Differences, Difference{where, showcause.Escape(a), showcause.Escape(b)})
		}
	}
	s := d.s
	if !slices.ContainsFunc(d.out.Differences, func(x Difference) bool { return x.Where == "file, digest" }) {
		say("file, SHA-256", s.Subject.SHA256, n.Subject.SHA256)
	}
	say("file, SHA-1", s.Subject.SHA1, n.Subject.SHA1)
	say("file, MD5", s.Subject.MD5, n.Subject.MD5)
	if !slices.ContainsFunc(d.out.Differences, func(x Difference) bool { return x.Where == "file, size" }) {
		say("file, size", s.Input.Size, n.Input.Size)
	}
	say("file, type", s.Input.Type, n.Input.Type)
	say("rule, digest of its text", s.Rules.Rule.Digest, n.Rules.Rule.Digest)
	say("verdict", s.Verdict, n.Verdict)
	say("coverage, objects", s.Coverage.Objects, n.Coverage.Objects)
	say("coverage, bytes", s.Coverage.Bytes, n.Coverage.Bytes)
	say("coverage, depth", s.Coverage.Depth, n.Coverage.Depth)
	say("coverage, complete", s.Coverage.Complete, n.Coverage.Complete)
	say("coverage, number of gaps", len(s.Coverage.Gaps), len(n.Coverage.Gaps))
	for i := range min(len(s.Coverage.Gaps), len(n.Coverage.Gaps)) {
		say(fmt.Sprintf("coverage, gap %d", i), s.Coverage.Gaps[i], n.Coverage.Gaps[i])
	}
}
