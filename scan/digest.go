package scan

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"runtime"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/unpack/exe"
)

// sums are the digests of a layer and of its sections that some rule could have, being
// made: a digest is computed only when the size is one that such a rule has.
type sums struct {
	in       *input
	l        *layer
	list     []sum
	done     chan struct{} // nil: made
	panicked any
}

// sum is the digests of one stretch.
type sum struct {
	scope  rule.Scope
	off, n int64
	digests
	got int64 // bytes that could be read
	err error
}

// exact is a rule that matched a stretch of a layer.
type exact struct {
	rule   uint32
	off, n int64
}

// digests begins to hold a layer against the rules for exact bytes; settle ends it. In between
// another processor digests, where there is one and the layer is large.
func (in *input) digests(l *layer) {
	s := &sums{in: in, l: l}
	s.add(rule.WholeLayer, 0, l.Source.Size())
	if l.exe != nil && l.exe.Kind == exe.PE {
		for _, sec := range l.exe.Sections {
			if sec.Size > 0 {
				s.add(rule.PESection, sec.Offset, sec.Size)
			}
		}
	}
	l.sums = s
	if len(s.list) == 0 || l.Source.Size() < aheadFrom || runtime.GOMAXPROCS(0) == 1 || !shared(l.Source) {
		s.compute()
		return
	}
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		defer func() { s.panicked = recover() }()
		s.compute()
	}()
}

// Shared is a source that several goroutines may read at once.
type Shared interface{ Shared() }

func shared(src showcause.Source) bool {
	if _, ok := src.(showcause.Bytes); ok {
		return true
	}
	_, ok := src.(Shared)
	return ok
}

// add has a stretch digested if a rule has its length.
func (s *sums) add(scope rule.Scope, off, n int64) {
	m, s1, s2 := s.in.db.Sums(scope, n)
	if !m && !s1 && !s2 || !bound.In(off, n, s.l.Source.Size()) {
		return
	}
	// A PE file can have a hundred sections, each of them the whole file.
	if !s.in.budget.Work(n / 16) {
		s.in.gap(showcause.Gap{Trail: s.l.Trail, Code: showcause.LimitWork, Offset: off, Length: n})
		return
	}
	s.list = append(s.list, sum{scope: scope, off: off, n: n, digests: newDigests(m, s1, s2)})
}

func (s *sums) compute() {
	for i := range s.list {
		d := &s.list[i]
		if b, ok := bound.Section(s.l.Source, d.off, d.n).(showcause.Bytes); ok {
			_, _ = d.Write(b)
			d.got = d.n
		} else if d.got, d.err = io.Copy(d, bound.Reader(s.l.Source, d.off, d.n)); d.got < d.n {
			return // the rest of the layer is not read either
		}
	}
}

// settle waits for a layer's digests and looks them up. What they find, and which list allows
// the layer, goes before all else that is found in it.
func (in *input) settle(l *layer) {
	s := l.sums
	if s == nil {
		return
	}
	l.sums = nil
	s.wait()
	if s.panicked != nil {
		panic(s.panicked)
	}
	var found []exact
	for i := range s.list {
		d := &s.list[i]
		if d.got < d.n {
			in.cannotRead(l, d.off+d.got, d.n-d.got, d.err)
			break
		}
		rules, allowed := d.lookup(in, l, d.scope, d.off, d.n)
		for _, r := range rules {
			found = append(found, exact{r, d.off, d.n})
		}
		if d.scope == rule.WholeLayer && len(allowed) > 0 && l.allowed == "" {
			l.allowed, l.allower = in.db.Name(allowed[0]), allowed[0]
		}
	}
	if l.exe != nil && l.exe.Kind == exe.PE {
		found = append(found, in.imports(l)...)
	}
	for _, f := range found {
		in.found(l, f.rule, []showcause.Match{{Offset: f.off, Length: f.n}}, nil)
	}
}

// wait returns when the digests are made, or will not be.
func (s *sums) wait() {
	if s.done != nil {
		<-s.done
		s.done = nil
	}
}

// imports looks the import table of a PE file up. It is read only for a
// database that has rules for it. What matched is the whole layer: a table
// points to names anywhere in it.
func (in *input) imports(l *layer) (found []exact) {
	if !in.db.Has(rule.PEImports) {
		return nil
	}
	d := newDigests(true, true, true)
	n, ok, cut := exe.Imports(l.Source, l.exe, &d, in.budget.Work)
	if cut {
		in.gap(showcause.Gap{Trail: l.Trail, Code: showcause.LimitWork, Offset: 0, Length: -1})
	}
	if !ok {
		return nil
	}
	rules, _ := d.lookup(in, l, rule.PEImports, 0, n)
	for _, r := range rules {
		found = append(found, exact{r, 0, l.Source.Size()})
	}
	return found
}

// digests are the digests of the same bytes by one algorithm or more.
type digests struct {
	hashes []hash.Hash
	sums   []rule.Sum
}

func newDigests(m, s1, s2 bool) (d digests) {
	add := func(want bool, sum rule.Sum, h func() hash.Hash) {
		if want {
			d.hashes, d.sums = append(d.hashes, h()), append(d.sums, sum)
		}
	}
	add(m, rule.MD5, md5.New)
	add(s1, rule.SHA1, sha1.New)
	add(s2, rule.SHA256, sha256.New)
	return d
}

// Write digests b. It does not fail.
func (d *digests) Write(b []byte) (int, error) {
	for _, h := range d.hashes {
		_, _ = h.Write(b)
	}
	return len(b), nil
}

// badRules is the code of a stretch that was not held against all rules: their
// database is damaged where one for it would be.
const badRules = showcause.Unreadable + ".rules"

// lookup returns the rules for what was digested of a layer: n bytes in that scope.
func (d *digests) lookup(in *input, l *layer, scope rule.Scope, off, n int64) (found, allowed []uint32) {
	extent := n
	if scope == rule.PEImports { // n is the length of a text that was made
		extent = -1
	}
	for i, h := range d.hashes {
		f, a, err := in.db.Lookup(scope, d.sums[i], n, h.Sum(nil))
		if err != nil {
			in.gap(showcause.Gap{Trail: l.Trail, Code: badRules, Offset: off, Length: extent})
		}
		found, allowed = append(found, f...), append(allowed, a...)
	}
	return found, allowed
}

// found records a finding.
func (in *input) found(l *layer, index uint32, matches []showcause.Match, counts []uint32) {
	in.settle(l)
	info, err := in.db.Info(index)
	if err != nil { // the text of the rule is damaged: what it found stands
		info = ruledb.Info{Name: in.db.Name(index)}
	}
	in.excerpts(l, matches)
	in.keep(showcause.Finding{
		Trail: l.Trail, Rule: info.Name, Index: index, Digest: info.Digest, Matches: matches, Allowed: l.allowed, AllowedIndex: l.allower, Stage: info.Stage,
		Chain: in.chain(l), Counts: counts,
	})
}

// excerpts has matches carry their first bytes where that is asked for.
func (in *input) excerpts(l *layer, matches []showcause.Match) {
	for i := range matches {
		if m := &matches[i]; in.options.Excerpts {
			b, _ := bound.ReadAt(l.Source, m.Offset, min(m.Length, showcause.MaxExcerpt), showcause.MaxExcerpt)
			m.Excerpt = hex.EncodeToString(b)
		}
	}
}
