package recheck

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig"
	"github.com/showcause/showcause/clamsig/metadata"
	"github.com/showcause/showcause/clamsig/trust"
	"github.com/showcause/showcause/heuristic"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/unpack/exe"
)

// test looks whether a rule fires on a layer, and says in the walk's outcome what
// is there and what is not as claimed.
type test func(w *walk, l *layer, targets []rule.Target)

// compile reads a rule's text.
func compile(r *Rule) (test, error) {
	switch r.Language {
	case "clamav":
		return compileClamAV(r)
	case "yara":
		return compileYARA(r)
	}
	return nil, fmt.Errorf("language %.40q is not known", r.Language)
}

// Before returns the texts of the rules that rule i of a database asks for, and
// those that they ask for, in order: what a rule in YARA's language may need to mean
// anything. Of one of ClamAV's they are the icons that it asks for, lines of .idb files.
func Before(db *ruledb.DB, i uint32) (out []string, err error) {
	if int(i) < db.Rules() {
		for _, p := range db.Rule(i).Patterns {
			if l := db.Pattern(p).Later; l != nil && l.Icons != nil {
				return l.Icons.Lines, nil
			}
		}
	}
	need := map[uint32]bool{}
	var add func(uint32)
	add = func(i uint32) {
		y, ok := db.YARA(i)
		if !ok {
			return
		}
		for _, d := range y.Deps { // each stands before what asks for it
			if !need[d] {
				need[d] = true
				add(d)
			}
		}
	}
	add(i)
	for _, d := range slices.Sorted(maps.Keys(need)) {
		info, err := db.Info(d)
		if err != nil {
			return nil, err
		}
		out = append(out, info.Text)
	}
	return out, nil
}

// one takes the one rule of a text.
type one struct {
	test test
	name string
	skip string
}

func (o *one) Rule(r *rule.Rule) error {
	b, err := newBody(r)
	if err != nil {
		return err
	}
	o.test, o.name = b.test, r.Name
	return nil
}

func (o *one) Digest(d *rule.DigestRule) error {
	own := *d
	own.Digest = strings.Clone(d.Digest)
	o.test, o.name = (&exact{own}).test, strings.Clone(d.Name)
	return nil
}

func (o *one) Skip(s clamsig.Skip) { o.skip = string(s.Reason) + ": " + s.Detail }

// compileClamAV reads one line of a ClamAV database.
func compileClamAV(r *Rule) (test, error) {
	if path.Ext(r.File) == ".cbc" {
		return compileProgram(r)
	}
	if path.Base(r.File) == heuristic.File {
		return compileHeuristic(r)
	}
	if kind := strings.TrimPrefix(path.Ext(r.File), "."); metadata.Kinds(kind) {
		return compileMember(r)
	} else if trust.Kinds(kind) {
		return compileCertificate(r)
	}
	if strings.ContainsAny(r.Text, "\n\x00") {
		return nil, errors.New("its text is not one line")
	}
	if asksIcon(r.Text) && len(r.Before) == 0 {
		return nil, fmt.Errorf("icons: %w", errOthers)
	}
	var sink one
	if _, err := clamsig.LoadReader(path.Base(r.File), strings.NewReader(r.Text+"\n"), clamsig.Options{PUA: true, Icons: r.Before}, &sink); err != nil {
		return nil, err
	}
	if sink.test == nil {
		return nil, fmt.Errorf("its text is no rule: %s", sink.skip)
	}
	if want := strings.TrimSuffix(r.Name, ".UNOFFICIAL"); strings.TrimSuffix(sink.name, ".UNOFFICIAL") != want {
		return nil, fmt.Errorf("its text is of a rule named %s", showcause.Escape(sink.name))
	}
	return sink.test, nil
}

// asksIcon tells whether a logical signature asks for an icon.
func asksIcon(text string) bool {
	f := strings.SplitN(text, ";", 3)
	return len(f) == 3 && strings.Contains(f[1], "IconGroup")
}

// exact is a rule for exact bytes.
type exact struct{ rule.DigestRule }

// test digests what the rule is about: the layer, each section of a PE file, or
// its imports.
func (e *exact) test(w *walk, l *layer, targets []rule.Target) {
	size := l.Source.Size()
	switch {
	case e.Scope == rule.WholeLayer:
		if !l.view || slices.Contains(targets, rule.HTML) {
			e.stretch(w, l, 0, size)
		}
	case l.exe == nil || l.exe.Kind != exe.PE:
	case e.Scope == rule.PESection:
		claimed := w.claim.Matches
		for _, s := range l.exe.Sections {
			// Two sections may be alike: each is a finding of its own.
			if s.Size > 0 && (len(claimed) == 0 || claimed[0].Offset == s.Offset && claimed[0].Length == s.Size) && !w.out.Holds {
				e.stretch(w, l, s.Offset, s.Size)
			}
		}
	case e.Scope == rule.PEImports:
		h := e.hash()
		n, ok, _ := exe.Imports(l.Source, l.exe, h, w.budget.Work)
		if ok && (e.Size < 0 || e.Size == n) && string(h.Sum(nil)) == e.DigestRule.Digest {
			e.found(w, 0, size)
		}
	}
	if !w.out.Holds {
		w.differ("rule", "that the digest it asks for is there", "another")
	}
	w.compare()
}

func (e *exact) hash() hash.Hash {
	switch e.Sum {
	case rule.MD5:
		return md5.New()
	case rule.SHA1:
		return sha1.New()
	}
	return sha256.New()
}

// stretch looks at one stretch of a layer.
func (e *exact) stretch(w *walk, l *layer, off, n int64) {
	if e.Size >= 0 && e.Size != n || !bound.In(off, n, l.Source.Size()) {
		return
	}
	h := e.hash()
	if got, err := io.Copy(h, bound.Reader(l.Source, off, n)); err != nil || got != n {
		return
	}
	if string(h.Sum(nil)) == e.DigestRule.Digest {
		e.found(w, off, n)
	}
}

func (e *exact) found(w *walk, off, n int64) {
	w.out.Holds = true
	w.out.Matches = []showcause.Match{{Offset: off, Length: n}}
}

// readAt gives the bytes that a guard asks for, nil where not all are there.
func (l *layer) readAt(off int64, n int) []byte {
	b, err := bound.ReadAt(l.Source, off, int64(n), 64)
	if err != nil || len(b) < n {
		return nil
	}
	return bytes.Clone(b)
}
