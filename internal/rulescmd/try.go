package rulescmd

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig"
	"github.com/showcause/showcause/clamsig/cvd"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/scan"
)

// maxFile is the longest file that signatures are tried on, bytes.
const maxFile = 1 << 30

// builder takes signatures into a database, and keeps why one was left out.
type builder struct {
	ruledb.Builder
	why string
}

func (b *builder) Skip(s clamsig.Skip) { b.why = string(s.Reason) + ": " + s.Detail }
func (b *builder) Rule(r *rule.Rule) error {
	return b.Builder.Rule(r)
}

// compile makes a database of lines of one kind.
func compile(kind string, all ...string) (*ruledb.DB, error) {
	var b builder
	_, err := clamsig.LoadReader("try."+kind, strings.NewReader(strings.Join(all, "\n")+"\n"), clamsig.Options{PUA: true, Trust: &cvd.Trust{}}, &b)
	if err != nil {
		return nil, err
	}
	if b.why != "" {
		return nil, fmt.Errorf("cannot be applied: %s", b.why)
	}
	data, err := b.Finish(ruledb.Meta{})
	if err != nil {
		return nil, err
	}
	return ruledb.New(data)
}

// Test tries a signature, or each of a file of them, on the bytes of a file as
// they stand, and says where each subsignature matches and what follows of it.
// found tells whether one of them fires.
func Test(w io.Writer, arg, path string, stdin io.Reader) (found bool, err error) {
	if err := noNetwork(); err != nil {
		return false, err
	}
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return false, err
	}
	if len(b) > maxFile {
		return false, fmt.Errorf("%s: over %d bytes", showcause.Escape(path), maxFile)
	}
	tried, failed := 0, 0
	err = each(arg, "", stdin, func(where, kind, line string) error {
		hit, err := try(w, line, kind, b)
		if err != nil {
			failed++
			fmt.Fprintf(w, "%s%s\n", showcause.Escape(where), showcause.Escape(err.Error()))
		}
		tried++
		found = found || hit
		return nil
	})
	if err == nil && failed > 0 && !found {
		err = fmt.Errorf("rules test: %d of %d signatures could not be tried", failed, tried)
	}
	return found, err
}

// try tries one signature.
func try(w io.Writer, line, kind string, b []byte) (bool, error) {
	if kind == "" {
		if kind = guess(line); kind == "hdb" {
			kind = "hsb"
		}
	}
	s, err := parse(line, kind)
	if err != nil {
		return false, err
	}
	if _, ok := linesOf(s.kind); ok {
		return tryFields(w, s, line, b)
	}
	db, err := compile(kind, line)
	if err != nil {
		return false, fmt.Errorf("%s: %w", s.name, err)
	}
	o := scan.Options{TopOnly: true, MaxMatches: 1 << 16, Digests: true}
	rep := scan.New(db, o).Scan(showcause.Bytes(b))
	fires := len(rep.Findings) > 0
	fmt.Fprintf(w, "%s: %s\n", showcause.Escape(s.name), map[bool]string{true: "fires", false: "does not fire"}[fires])
	for _, g := range rep.Gaps {
		fmt.Fprintf(w, "  not read: %s\n", g.Code)
	}
	if s.kind == "hash" {
		return fires, nil
	}
	counts := make([]int, len(s.subs))
	for i := range s.subs {
		places, err := s.places(i, b, o)
		if err != nil {
			fmt.Fprintf(w, "  %2d  %s\n", i, showcause.Escape(err.Error()))
			continue
		}
		counts[i] = len(places)
		fmt.Fprintf(w, "  %2d  %s\n      %s\n", i, showcause.Escape(s.subs[i].words()), offsets(places))
	}
	if s.kind == "ldb" {
		n, err := parseExpr(s.expr)
		if err != nil {
			return fires, err
		}
		holds := n.holds(counts)
		fmt.Fprintf(w, "  %s: %s\n", n.words(true), n.why(counts))
		if holds && !fires {
			fmt.Fprintf(w, "  the expression holds; the file is not what the signature is for: %s\n", showcause.Escape(strings.Join(s.tdb, ",")))
		}
	}
	return fires, nil
}

// places are where a subsignature matches, whatever the others do: the signature
// with an expression that asks for it alone.
func (s *signature) places(i int, b []byte, o scan.Options) ([]showcause.Match, error) {
	target := "0"
	if off := s.subs[i].offset; strings.HasPrefix(off, "EP") || strings.HasPrefix(off, "S") || strings.HasPrefix(off, "VI") {
		target = s.target
	}
	var line string
	if s.kind == "ndb" {
		line = fmt.Sprintf("places;Target:%s;0;%s:%s", target, s.subs[i].offset, s.subs[i].text)
	} else {
		expr := fmt.Sprint(i)
		if last := len(s.subs) - 1; i < last {
			expr = fmt.Sprintf("%d&((%d>0)|(%d=0))", i, last, last)
		}
		line = fmt.Sprintf("places;Target:%s;%s", target, expr)
		for j := range s.subs {
			line += ";" + s.subs[j].line()
		}
	}
	db, err := compile("ldb", line)
	if err != nil {
		return nil, err
	}
	var out []showcause.Match
	for _, f := range scan.New(db, o).Scan(showcause.Bytes(b)).Findings {
		for _, m := range f.Matches {
			if m.Pattern == i || s.kind == "ndb" {
				out = append(out, m)
			}
		}
	}
	return out, nil
}

// line is a subsignature as it is written.
func (s *sub) line() string {
	switch s.kind {
	case "body":
		out := s.text
		if s.offset != "" {
			out = s.offset + ":" + out
		}
		if s.mods != "" {
			out += "::" + s.mods
		}
		return out
	case "pcre":
		out := s.trigger + "/" + s.text + "/" + s.mods
		if s.offset != "" {
			out = s.offset + ":" + out
		}
		return out
	case "compare":
		return s.trigger + "(" + s.text + ")"
	}
	return s.text
}

// maxShown is how many offsets are listed.
const maxShown = 20

func offsets(all []showcause.Match) string {
	if len(all) == 0 {
		return "no match"
	}
	s := fmt.Sprintf("%d matches at", len(all))
	if len(all) == 1 {
		s = "1 match at"
	}
	for i, m := range all {
		if i == maxShown {
			return s + fmt.Sprintf(" ... and %d more", len(all)-i)
		}
		s += fmt.Sprintf(" %d", m.Offset)
	}
	return s
}

// tally are the matches that made a part hold: their number, and whose they were.
type tally struct {
	sum int
	of  map[int]bool
}

// eval evaluates a part over counts of matches as package rule does (rule.Node):
// what does not hold adds nothing.
func (n *node) eval(counts []int) (bool, tally) {
	if n.sub >= 0 {
		have := 0
		if n.sub < len(counts) {
			have = counts[n.sub]
		}
		if !compare(have, n.cmp, n.count) {
			return false, tally{}
		}
		return true, tally{have, map[int]bool{n.sub: true}}
	}
	holds, t := n.op == '&', tally{of: map[int]bool{}}
	for i := range n.kids {
		ok, some := n.kids[i].eval(counts)
		if n.op == '&' {
			holds = holds && ok
		} else {
			holds = holds || ok
		}
		t.sum += some.sum
		for s := range some.of {
			t.of[s] = true
		}
	}
	if !holds {
		t = tally{}
	}
	if n.cmp == 0 {
		return holds, t
	}
	if !compare(t.sum, n.cmp, n.count) || len(t.of) < n.kinds {
		return false, tally{}
	}
	return true, tally{sum: t.sum}
}

// compare compares a count; without a comparison one match is enough.
func compare(n int, cmp byte, with int) bool {
	switch cmp {
	case '=':
		return n == with
	case '<':
		return n < with
	case '>':
		return n > with
	}
	return n > 0
}

// holds evaluates an expression over counts of matches.
func (n *node) holds(counts []int) bool {
	ok, _ := n.eval(counts)
	return ok
}

// why says whether an expression holds, and which of its parts decide that.
func (n *node) why(counts []int) string {
	holds := n.holds(counts)
	say := map[bool]string{true: "holds", false: "does not hold"}[holds]
	var parts []string
	var walk func(n *node)
	walk = func(n *node) {
		if n.cmp != 0 || n.sub >= 0 {
			var has []string
			for _, i := range n.subs() {
				has = append(has, fmt.Sprintf("%d has %d", i, counts[i]))
			}
			part := strings.Join(has, ", ")
			if n.cmp != 0 {
				part = n.words(false) + " (" + part + ")"
			}
			parts = append(parts, part)
			return
		}
		for i := range n.kids {
			if n.kids[i].holds(counts) == n.holds(counts) {
				walk(&n.kids[i])
			}
		}
	}
	walk(n)
	return say + ", since " + strings.Join(parts, ", ")
}
