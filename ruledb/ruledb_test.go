package ruledb_test

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
)

func origin(name, text string, line int) rule.Origin {
	return rule.Origin{Name: name, File: "test.ldb", Line: line, Text: text}
}

func bytesOf(s string) pattern.Pattern {
	return pattern.Pattern{Variants: [][]pattern.Elem{{{Kind: pattern.Bytes, Value: []byte(s)}}}}
}

func sub(i int) rule.Node { return rule.Node{Op: rule.Count, Sub: i} }

// build returns a database with every kind of rule but YARA's.
func build(t testing.TB) []byte {
	var b ruledb.Builder
	return finish(t, &b)
}

// withYARA has a rule of YARA's too.
func withYARA(t testing.TB) []byte {
	var b ruledb.Builder
	if err := b.Rule(&rule.Rule{
		Origin: origin("Y", "rule Y { ... }", 1), Patterns: []pattern.Pattern{bytesOf("yara's")}, Cond: sub(0),
		YARA: &rule.YARA{Namespace: "default", Tags: []string{"tag"}, Names: []string{"$name"}, Metas: []rule.Meta{{Name: "m", Value: "text"}}},
	}); err != nil {
		t.Fatal(err)
	}
	return finish(t, &b)
}

func finish(t testing.TB, b *ruledb.Builder) []byte {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(b.Rule(&rule.Rule{
		Origin: origin("And", "And;...", 1), Patterns: []pattern.Pattern{bytesOf("common"), bytesOf("rare zq7")},
		Cond: rule.Node{Op: rule.And, Kids: []rule.Node{sub(0), sub(1)}},
	}))
	check(b.Rule(&rule.Rule{
		Origin: origin("PE.Only.UNOFFICIAL", "PE;...", 2), Target: rule.PE, Patterns: []pattern.Pattern{bytesOf("common"), bytesOf("in a program")},
		Cond: rule.Node{Op: rule.Or, Kids: []rule.Node{sub(0), sub(1)}},
	}))
	check(b.Rule(&rule.Rule{
		Origin: origin("Absent", "Absent;...", 3), Patterns: []pattern.Pattern{bytesOf("not here")},
		Cond: rule.Node{Op: rule.Count, Cmp: rule.Equal, N: 0},
	}))
	digest := func(s string) string { d := md5.Sum([]byte(s)); return string(d[:]) }
	for i, s := range []string{"one", "two", "three", "four"} {
		d := digest(s)
		size := int64(len(s))
		text := fmt.Sprintf("%x:%d:Exact.%s", d, size, s)
		if s == "four" {
			size, text = -1, fmt.Sprintf("%x:*:Exact.four:73", d)
		}
		check(b.Digest(&rule.DigestRule{Origin: rule.Origin{Name: "Exact." + s + ".UNOFFICIAL", File: "a.hdb", Line: i + 1, Text: text}, Size: size, Digest: d}))
	}
	check(b.Digest(&rule.DigestRule{Origin: rule.Origin{Name: "fine", File: "a.fp", Line: 1, Text: "A FORM OF ITS OWN"}, Size: 3, Digest: digest("two"), Allow: true}))
	b.Skip(ruledb.Skip{File: "test.ldb", Line: 9, Name: "Left.Out", Reason: "pcre", Detail: "why\nnot"})
	data, err := b.Finish(ruledb.Meta{Tool: "test", Sources: []ruledb.Source{{File: "test.ldb", Loaded: 3}}})
	check(err)
	return data
}

func TestRoundTrip(t *testing.T) {
	data := build(t)
	if again := build(t); !bytes.Equal(data, again) {
		t.Error("the same rules give different bytes")
	}
	path := filepath.Join(t.TempDir(), "x.scdb")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	db, err := ruledb.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if db.Len() != 8 || db.Meta().Rules != 3 || db.Meta().Digests != 5 || db.Meta().Skipped != 1 {
		t.Errorf("%d rules, %+v", db.Len(), db.Meta())
	}
	want := map[string]string{
		"And": "And;...", "PE.Only.UNOFFICIAL": "PE;...", "Absent": "Absent;...", "fine": "A FORM OF ITS OWN",
		"Exact.one.UNOFFICIAL":  fmt.Sprintf("%x:3:Exact.one", md5.Sum([]byte("one"))),
		"Exact.four.UNOFFICIAL": fmt.Sprintf("%x:*:Exact.four:73", md5.Sum([]byte("four"))),
	}
	for name, text := range want {
		found := db.Find(name, 0)
		if len(found) != 1 {
			t.Errorf("%s: found %v", name, found)
			continue
		}
		info, err := db.Info(found[0])
		if err != nil || info.Text != text || info.Name != name {
			t.Errorf("%s: %+v %v, want text %q", name, info, err, text)
		}
	}
	if found := db.Find("PE.Only", 0); len(found) != 1 {
		t.Errorf("without .UNOFFICIAL: %v", found)
	}
	skips, err := db.Skips()
	if err != nil || len(skips) != 1 || skips[0].Detail != "why\nnot" {
		t.Errorf("%+v %v", skips, err)
	}
}

func TestPartitions(t *testing.T) {
	db, err := ruledb.New(build(t))
	if err != nil {
		t.Fatal(err)
	}
	plain, pe := db.Partition(rule.Any, nil), db.Partition(rule.PE, nil)
	if db.Partition(rule.PDF, nil) != plain {
		t.Error("a target without rules of its own has a partition of its own")
	}
	// "rare zq7" triggers And; "not here" is there since Absent can hold with no match.
	if n := plain.Eager.Set.Len(); n != 2 {
		t.Errorf("%d eager literals, want 2", n)
	}
	if n := plain.Deferred.Set.Len(); n != 1 {
		t.Errorf("%d deferred literals, want 1", n)
	}
	if len(plain.Always) != 1 || len(pe.Always) != 1 {
		t.Errorf("always: %v %v", plain.Always, pe.Always)
	}
	if n := pe.Eager.Set.Len(); n != 4 {
		t.Errorf("%d eager literals for PE, want 4", n)
	}
	and := db.Rule(db.Find("And", 1)[0])
	if p := db.Pattern(and.Patterns[1]); len(p.Triggers) != 1 {
		t.Errorf("triggers %v", p.Triggers)
	}
	if shared := db.Rule(db.Find("PE.Only", 1)[0]).Patterns[0]; shared != and.Patterns[0] {
		t.Errorf("equal patterns %d and %d are two", shared, and.Patterns[0])
	}
}

func TestDigests(t *testing.T) {
	db, err := ruledb.New(build(t))
	if err != nil {
		t.Fatal(err)
	}
	look := func(s string) (found, allowed int) {
		d := md5.Sum([]byte(s))
		f, a, err := db.Lookup(rule.WholeLayer, rule.MD5, int64(len(s)), d[:])
		if err != nil {
			t.Fatal(err)
		}
		return len(f), len(a)
	}
	for s, want := range map[string][2]int{"one": {1, 0}, "two": {1, 1}, "three": {1, 0}, "four": {1, 0}, "six": {0, 0}, "thrice": {0, 0}} {
		if f, a := look(s); [2]int{f, a} != want {
			t.Errorf("%s: %d %d, want %v", s, f, a, want)
		}
	}
	if m, s1, s2 := db.Sums(rule.PESection, 3); m || s1 || s2 {
		t.Error("digests of sections are asked for, and no rule has one")
	}
}

// told returns all that a database says of its rules.
func told(db *ruledb.DB) (string, error) {
	out := fmt.Sprintf("%+v %v\n", db.Meta(), db.Targets())
	skips, err := db.Skips()
	if err != nil {
		return "", err
	}
	out += fmt.Sprintf("%+v\n", skips)
	for i := range uint32(db.Len()) {
		info, err := db.Info(i)
		if err != nil {
			return "", err
		}
		about := info.YARA
		info.YARA = nil
		out += fmt.Sprintf("%+v %+v\n", info, about)
		if y, ok := db.YARA(i); ok {
			out += fmt.Sprintf("%+v %x\n", y, db.Code(i))
		}
	}
	for i := range uint32(db.Patterns()) {
		out += fmt.Sprintf("%+v\n", db.Pattern(i))
	}
	for _, s := range []string{"one", "two", "three", "four", "five", "sixteen"} {
		d := md5.Sum([]byte(s))
		f, a, err := db.Lookup(rule.WholeLayer, rule.MD5, int64(len(s)), d[:])
		if err != nil {
			return "", err
		}
		m, s1, s2 := db.Sums(rule.WholeLayer, int64(len(s)))
		out += fmt.Sprintf("%s %v %v %v %v %v\n", s, f, a, m, s1, s2)
	}
	return out, nil
}

// Any byte that rots is told at open, or when it is first asked for, or is one
// that says nothing: what is told of rules is as it was.
func TestCorrupt(t *testing.T) {
	data := withYARA(t)
	db, err := ruledb.New(data)
	if err != nil {
		t.Fatal(err)
	}
	want, err := told(db)
	if err != nil || !strings.Contains(want, "$name") {
		t.Fatal(want, err)
	}
	late := 0
	// Most of the file is filters, each of which has one checksum: there some bytes do.
	for i := 0; i < len(data); i += 1 + 4099*min(1, max(0, zeros(data[i:])-64)) {
		bad := bytes.Clone(data)
		bad[i] ^= 1 << (i % 8)
		db, err := ruledb.New(bad)
		if err != nil {
			continue
		}
		switch have, err := told(db); {
		case err != nil && !errors.Is(err, ruledb.ErrCorrupt):
			t.Errorf("byte %d: %v", i, err)
		case err != nil:
			late++
		case have != want:
			t.Errorf("byte %d flipped, and told is\n%s, want\n%s", i, have, want)
		}
	}
	if late == 0 {
		t.Error("no damage was told late: the texts are not among what was flipped")
	}
	for n := 0; n < min(len(data), 8192); n += 7 {
		if _, err := ruledb.New(data[:n]); err == nil {
			t.Errorf("cut to %d of %d bytes, and opened", n, len(data))
		}
	}
	if _, err := ruledb.New(append(bytes.Clone(data), 0)); !errors.Is(err, ruledb.ErrCorrupt) {
		t.Errorf("a byte more: %v", err)
	}
}

// zeros is the number of zero bytes that b begins with, 4,096 at most.
func zeros(b []byte) int {
	for i, c := range b[:min(len(b), 4096)] {
		if c != 0 {
			return i
		}
	}
	return min(len(b), 4096)
}

func TestRefused(t *testing.T) {
	var b ruledb.Builder
	if err := b.Rule(&rule.Rule{Target: rule.Targets, Patterns: []pattern.Pattern{bytesOf("abcd")}, Cond: sub(0)}); err == nil {
		t.Error("an unknown target is taken")
	}
	if err := b.Rule(&rule.Rule{Patterns: []pattern.Pattern{bytesOf("abcd")}, Cond: sub(1)}); err == nil {
		t.Error("a condition over a pattern that is not there is taken")
	}
	if err := b.Digest(&rule.DigestRule{Digest: "short"}); err == nil {
		t.Error("a digest of five bytes is taken")
	}
	data, err := b.Finish(ruledb.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	db, err := ruledb.New(data)
	if err != nil || db.Len() != 0 {
		t.Errorf("an empty database: %v", err)
	}
}

// A stretch that was never written, or by something else: refused, and its proofs, which
// run beside the checksums, end in an error too.
func TestTorn(t *testing.T) {
	data := withYARA(t)
	rng := rand.New(rand.NewPCG(3, 9))
	for i := range 2000 {
		bad := bytes.Clone(data)
		n := 1 << (2 + i%16)
		at := rng.IntN(max(len(bad)-n, 1))
		stretch := bad[at:min(at+n, len(bad))]
		for j := range stretch {
			switch i % 3 {
			case 0:
				stretch[j] = 0
			case 1:
				stretch[j] = 0xff
			default:
				stretch[j] = byte(rng.Uint32())
			}
		}
		if db, err := ruledb.New(bad); err == nil {
			if _, err := told(db); err != nil && !errors.Is(err, ruledb.ErrCorrupt) {
				t.Errorf("%d bytes at %d: %v", n, at, err)
			}
		}
	}
}
