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
	}
	if len(allowed) > 0 && l.allowed == "" {
		l.allowed = in.db.Name(allowed[0])
	}
	for _, f := range found {
		in.found(l, f.rule, []showcause.Match{{Offset: f.off, Length: f.n}})
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
	if !m && !s1 && !s2 {
		return nil, nil
	}
	var hashes []hash.Hash
	var sums []rule.Sum
	add := func(want bool, sum rule.Sum, h func() hash.Hash) {
		if want {
			hashes, sums = append(hashes, h()), append(sums, sum)
		}
	}
	add(m, rule.MD5, md5.New)
	add(s1, rule.SHA1, sha1.New)
	add(s2, rule.SHA256, sha256.New)
	writers := make([]io.Writer, len(hashes))
	for i, h := range hashes {
		writers[i] = h
	}
	if b, ok := bound.Section(l.Source, off, n).(showcause.Bytes); ok {
		for _, h := range hashes {
			h.Write(b)
		}
	} else if _, err := io.Copy(io.MultiWriter(writers...), bound.Reader(l.Source, off, n)); err != nil {
		return nil, nil // the search reads the same bytes, and says so
	}
	for i, h := range hashes {
		f, a := in.db.Lookup(scope, sums[i], n, h.Sum(nil))
		for _, r := range f {
			found = append(found, exact{r, off, n})
		}
		allowed = append(allowed, a...)
	}
	return found, allowed
}

// found records a finding.
func (in *input) found(l *layer, index uint32, matches []showcause.Match) {
	info, err := in.db.Info(index)
	if err != nil {
		panic(err)
	}
	for i := range matches {
		if m := &matches[i]; in.options.Excerpts {
			b, _ := bound.ReadAt(l.Source, m.Offset, min(m.Length, showcause.MaxExcerpt), showcause.MaxExcerpt)
			m.Excerpt = hex.EncodeToString(b)
		}
	}
	in.keep(showcause.Finding{
		Trail: l.Trail, Rule: info.Name, Index: index, Digest: info.Digest, Matches: matches, Allowed: l.allowed,
	})
}
