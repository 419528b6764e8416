package scan

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/unpack/exe"
)

// digests applies the rules for exact bytes. A digest is computed only when
// the size is one that such a rule has.
func (in *input) digests(l *layer) {
	n := l.Source.Size()
	found, allowed := in.digest(l, rule.WholeLayer, 0, n)
	if l.exe != nil && l.exe.Kind == exe.PE {
		for _, sec := range l.exe.Sections {
			if sec.Size <= 0 {
				continue
			}
			f, _ := in.digest(l, rule.PESection, sec.Offset, sec.Size)
			found = append(found, f...)
		}
		found = append(found, in.imports(l)...)
	}
	if len(allowed) > 0 && l.allowed == "" {
		l.allowed, l.allower = in.db.Name(allowed[0]), allowed[0]
	}
	for _, f := range found {
		in.found(l, f.rule, []showcause.Match{{Offset: f.off, Length: f.n}}, nil)
	}
}

// exact is a rule that matched a stretch of a layer.
type exact struct {
	rule   uint32
	off, n int64
}

// digest looks a stretch up.
func (in *input) digest(l *layer, scope rule.Scope, off, n int64) (found []exact, allowed []uint32) {
	m, s1, s2 := in.db.Sums(scope, n)
	if !m && !s1 && !s2 || !bound.In(off, n, l.Source.Size()) {
		return nil, nil
	}
	// A PE file can have a hundred sections, each of them the whole file.
	if !in.budget.Work(n / 16) {
		in.gap(showcause.Gap{Trail: l.Trail, Code: showcause.LimitWork, Offset: off, Length: n})
		return nil, nil
	}
	d := newDigests(m, s1, s2)
	if b, ok := bound.Section(l.Source, off, n).(showcause.Bytes); ok {
		_, _ = d.Write(b)
	} else if got, err := io.Copy(&d, bound.Reader(l.Source, off, n)); got < n {
		in.cannotRead(l, off+got, n-got, err)
		return nil, nil
	}
	rules, allowed := d.lookup(in, l, scope, off, n)
	for _, r := range rules {
		found = append(found, exact{r, off, n})
	}
	return found, allowed
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
	info, err := in.db.Info(index)
	if err != nil { // the text of the rule is damaged: what it found stands
		info = ruledb.Info{Name: in.db.Name(index)}
	}
	for i := range matches {
		if m := &matches[i]; in.options.Excerpts {
			b, _ := bound.ReadAt(l.Source, m.Offset, min(m.Length, showcause.MaxExcerpt), showcause.MaxExcerpt)
			m.Excerpt = hex.EncodeToString(b)
		}
	}
	in.keep(showcause.Finding{
		Trail: l.Trail, Rule: info.Name, Index: index, Digest: info.Digest, Matches: matches, Allowed: l.allowed, AllowedIndex: l.allower,
		Chain: in.chain(l), Counts: counts,
	})
}
