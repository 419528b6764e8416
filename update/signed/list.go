package signed

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"strings"

	"github.com/showcause/showcause"
)

// List describes a list of rules or of changes, which may be long: a line each. A host that
// verifies a release reads only this.
//
//	SHA-256-OF-THE-TEXT STAGE NAME           of rules, by name, then digest: the target rules.list
//	add|del|stage SHA-256 STAGE NAME         of changes, in the order of their rules: releases/VERSION.changes
type List struct {
	Count  int64  `json:"count"`
	SHA256 string `json:"sha256"`
	Length int64  `json:"length"` // bytes
}

// Rule is a rule of a release.
type Rule struct {
	Name   string
	Digest string // SHA-256 of its text, hexadecimal
	Stage  showcause.Stage
}

// Change is a rule that a release added, took away, or gave another stage.
type Change struct {
	Op string // "add", "del", "stage"
	Rule
}

func (r Rule) String() string   { return r.Digest + " " + string(r.Stage) + " " + r.Name }
func (c Change) String() string { return c.Op + " " + c.Rule.String() }

// Compare orders rules as a list has them.
func (r Rule) Compare(b Rule) int {
	return cmp.Or(strings.Compare(r.Name, b.Name), strings.Compare(r.Digest, b.Digest))
}

func parseRule(line string) (r Rule, err error) {
	digest, rest, _ := strings.Cut(line, " ")
	stage, name, _ := strings.Cut(rest, " ")
	r = Rule{name, digest, showcause.Stage(stage)}
	switch r.Stage {
	case showcause.StageShadow, showcause.StageReport, showcause.StageAct:
	default:
		name = ""
	}
	if name == "" || len(name) > 4096 || strings.ContainsAny(name, "\r\n") || !isDigest(digest) {
		return r, refuse(Form, RulesName, "rule %q", line)
	}
	return r, nil
}

func parseChange(line string) (c Change, err error) {
	op, rest, _ := strings.Cut(line, " ")
	if op != "add" && op != "del" && op != "stage" {
		return c, refuse(Form, "changes", "change %q", op)
	}
	c.Op = op
	c.Rule, err = parseRule(rest)
	return c, err
}

// lines reads a list.
func lines[T any](r io.Reader, parse func(string) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		s := bufio.NewScanner(r)
		for s.Scan() {
			if v, err := parse(s.Text()); !yield(v, err) || err != nil {
				return
			}
		}
		if err := s.Err(); err != nil {
			var none T
			if errors.Is(err, bufio.ErrTooLong) {
				err = refuse(Form, "list", "a line that is too long")
			}
			yield(none, err)
		}
	}
}

// Rules reads a list of rules, and holds that they are in order and apart.
func Rules(r io.Reader) iter.Seq2[Rule, error] {
	return func(yield func(Rule, error) bool) {
		var last Rule
		for v, err := range lines(r, parseRule) {
			if err == nil && last.Name != "" && last.Compare(v) > 0 {
				err = refuse(Form, RulesName, "rules are not in order")
			}
			if last = v; !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// Changes reads a list of changes.
func Changes(r io.Reader) iter.Seq2[Change, error] { return lines(r, parseChange) }

// Changed is what leads from the rules of one release to those of the next, both in order.
func Changed(old, now iter.Seq2[Rule, error]) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		a, stopA := iter.Pull2(old)
		defer stopA()
		b, stopB := iter.Pull2(now)
		defer stopB()
		x, errX, okX := a()
		y, errY, okY := b()
		for okX || okY {
			if err := errors.Join(errX, errY); err != nil {
				yield(Change{}, err)
				return
			}
			c := -1
			switch {
			case !okX:
				c = 1
			case okY:
				c = x.Compare(y)
			}
			var out Change
			switch {
			case c < 0:
				out = Change{"del", x}
			case c > 0:
				out = Change{"add", y}
			case x.Stage != y.Stage:
				out = Change{"stage", y}
			}
			if out.Op != "" && !yield(out, nil) {
				return
			}
			if c <= 0 {
				x, errX, okX = a()
			}
			if c >= 0 {
				y, errY, okY = b()
			}
		}
	}
}

// Lister writes a list, and describes it.
type Lister struct {
	w   io.Writer
	sum hash.Hash
	out List
}

// NewLister writes to w.
func NewLister(w io.Writer) *Lister { return &Lister{w: w, sum: sha256.New()} }

// Add adds a Rule or a Change.
func (l *Lister) Add(line fmt.Stringer) error {
	b := append([]byte(line.String()), '\n')
	l.sum.Write(b)
	l.out.Count, l.out.Length = l.out.Count+1, l.out.Length+int64(len(b))
	_, err := l.w.Write(b)
	return err
}

// List is what was added.
func (l *Lister) List() List {
	out := l.out
	out.SHA256 = hex.EncodeToString(l.sum.Sum(nil))
	return out
}

// Of makes the list of what a sequence has.
func Of[T fmt.Stringer](all iter.Seq2[T, error], w io.Writer) (List, error) {
	l := NewLister(w)
	for v, err := range all {
		if err == nil {
			err = l.Add(v)
		}
		if err != nil {
			return List{}, err
		}
	}
	return l.List(), nil
}

// reading is a list that is read, and held against what a manifest says of it at its end.
type reading struct {
	r    io.Reader
	sum  hash.Hash
	n    int64
	rows int64
	want List
	what string
}

func (r *reading) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	r.sum.Write(b[:n])
	r.n, r.rows = r.n+int64(n), r.rows+int64(bytes.Count(b[:n], []byte("\n")))
	if r.n > r.want.Length {
		return n, refuse(Altered, r.what, "more than %d bytes", r.want.Length)
	}
	if err == io.EOF && (r.n != r.want.Length || r.rows != r.want.Count || hex.EncodeToString(r.sum.Sum(nil)) != r.want.SHA256) {
		return n, refuse(Altered, r.what, "it is not the list that was signed")
	}
	return n, err
}

// Check reads a list as it is described: at its end, an error says that it was another.
func (l List) Check(r io.Reader, what string) io.Reader {
	return &reading{r: r, sum: sha256.New(), want: l, what: what}
}

func (l List) sound() bool { return l.Count >= 0 && l.Length >= l.Count && isDigest(l.SHA256) }
