package evidence

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gowebpki/jcs"
)

func FuzzParse(f *testing.F) {
	ed, pq := sampleKeys(f)
	for _, r := range samples(f, ed, pq) {
		f.Add(r.Bytes())
		f.Add(r.Share(func(string) bool { return false }).Bytes())
		f.Add(r.payload)
	}
	keys := []PublicKey{ed.Public(), pq.Public()}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Parse(b)
		if err != nil {
			var p Problems
			if !errors.As(err, &p) || len(p) == 0 {
				t.Fatalf("no reason: %v", err)
			}
			// As a payload that its host has signed.
			forged := &Record{payload: b}
			sign(t, forged, ed)
			if r, err = Parse(forged.Bytes()); err != nil {
				return
			}
			b = forged.Bytes()
		}
		if !bytes.Equal(r.Bytes(), b) {
			t.Fatalf("%q is written as %q", b, r.Bytes())
		}
		if s, err := r.Verify(VerifyOptions{Keys: keys}); (s == nil) == (err == nil) {
			t.Fatalf("%v and %v", s, err)
		}
		none := r.Share(func(string) bool { return false })
		if _, err := Parse(none.Bytes()); err != nil {
			t.Fatalf("the shared copy: %v", err)
		}
	})
}

// What is taken is spelled as the library has it, and nothing is taken that
// encoding/json refuses.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":1,"A":[true,false,"x\n\u0001"]}`, `"\ud83d\ude00"`, `-0`, `[1,-9007199254740991]`, `"\ud800"`, `"\\ufffd"`, `{"b":{},"a":[]}`, "\"\u007f\u2028\"", `01`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := parseJSON(b)
		if err != nil {
			return
		}
		if !json.Valid(b) {
			t.Fatalf("%q is no JSON", b)
		}
		if !asciiNames(n) {
			return
		}
		c := n.canonical(nil)
		if again, err := parseCanonical(c); err != nil || !bytes.Equal(again.canonical(nil), c) {
			t.Fatalf("%q gives %q, which is not canonical: %v", b, c, err)
		}
		if n.kind != object && n.kind != array {
			return // the library takes documents only
		}
		want, err := jcs.Transform(b)
		if err != nil {
			t.Skip("the library has less depth")
		}
		if !bytes.Equal(c, want) {
			t.Fatalf("%q gives %q, want %q", b, c, want)
		}
	})
}

func asciiNames(n *node) bool {
	for i := range n.members {
		if strings.ContainsFunc(n.members[i].key, func(r rune) bool { return r >= 0x80 }) || !asciiNames(&n.members[i].value) {
			return false
		}
	}
	return !slices.ContainsFunc(n.list, func(x node) bool { return !asciiNames(&x) })
}

func FuzzCondition(f *testing.F) {
	f.Add("x.ldb", "A;Target:0;(0&1)|2>1,1;6d61726b;504b;616263", true, uint16(3))
	f.Add("x.ndb", "A:0:EOF-10,4:6d61726b", true, uint16(3))
	f.Add("x.hsb", sum("innermost")+":4000:A", true, uint16(0))
	f.Add("x.yar", "rule A { strings: $a = \"x\" $b = { 01 [2-4] ?? } condition: #a > 2 and for any i in (1..#b) : (@b[i] < filesize) }", false, uint16(5))
	ed, _ := sampleKeys(f)
	f.Fuzz(func(t *testing.T, file, text string, clam bool, n uint16) {
		language := "yara"
		if clam {
			language = "clamav"
		}
		var m []Match
		for i := range int64(n % 40) {
			m = append(m, Match{i / 10, 3 * (i % 10), i % 5})
		}
		s := withRule(language, "A", file, text, nil, m...)
		r, err := Seal(s, ed)
		if err != nil {
			return
		}
		a, errA := r.Verify(VerifyOptions{Keys: []PublicKey{ed.Public()}})
		_, errB := r.Share(func(at string) bool { return at != "/predicate/matches" }).Verify(VerifyOptions{Keys: []PublicKey{ed.Public()}})
		if a != nil && errB != nil {
			t.Fatalf("with less shown: %v", errB)
		}
		var p Problems
		if errA != nil && (!errors.As(errA, &p) || p.Has(BadSignature) || p.Has(BadID)) {
			t.Fatal(errA)
		}
	})
}

// Both verifiers take and refuse the same of many statements that were changed
// at random and sealed again.
func TestVerifiersAgree(t *testing.T) {
	ed, _ := sampleKeys(t)
	all := samples(t, ed)
	rng := rand.New(rand.NewPCG(5, 26))
	kinds := []Kind{Finding, Finding, Scan, Deed, Contest, Decision, Entry}
	var files [][]byte
	var errs []error
	taken := 0
	for len(files) < 250 {
		n := all[kinds[rng.IntN(len(kinds))]].mustNode()
		for range 1 + rng.IntN(2) {
			mutate(rng, n)
		}
		if p := n.member("predicate"); p != nil && p.kind == object && p.member("id") != nil && rng.IntN(8) > 0 {
			renew(n)
		}
		b := reseal(t, n, ed)
		_, err := refusal(b, []PublicKey{ed.Public()})
		if err == nil {
			taken++
		}
		files, errs = append(files, b), append(errs, err)
	}
	if taken < 20 || taken > len(files)-100 {
		t.Errorf("%d of %d are taken: this shows little", taken, len(files))
	}
	for i, a := range runPython(t, []PublicKey{ed.Public()}, files) {
		var p Problems
		switch {
		case (errs[i] == nil) != (len(a.Problems) == 0):
			t.Errorf("%d: %v; verify.py: %v\n%s", i, errs[i], a.Problems, files[i])
		case errors.As(errs[i], &p) && !slices.ContainsFunc(p, func(x Problem) bool { return a.has(x.Code) }):
			t.Errorf("%d: %v; verify.py: %v", i, errs[i], a.Problems)
		}
	}
}

// mutate changes one place of a statement.
func mutate(rng *rand.Rand, n *node) {
	var all []*node
	var walk func(n *node)
	walk = func(n *node) {
		all = append(all, n)
		for i := range n.members {
			walk(&n.members[i].value)
		}
		for i := range n.list {
			walk(&n.list[i])
		}
	}
	walk(n)
	at := all[rng.IntN(len(all))]
	numbers := []int64{-2, -1, 0, 1, 2, 15, 16, 17, 77, 100, 499, 1000, 4000, 1 << 20, maxInteger}
	texts := []string{"", "a", "found", "incomplete", "nothing-found", "error", "zip", "corrupt", "ambiguous.x", "limit.time", "a b", "\u00e4", "x\u0000", "2026-02-29T00:00:00Z", "2024-02-29T00:00:00Z", strings.Repeat("0", 64), "/tmp/x"}
	switch at.kind {
	case number:
		at.number = numbers[rng.IntN(len(numbers))]
	case boolean:
		at.number ^= 1
	case text:
		at.text = texts[rng.IntN(len(texts))]
	case object:
		if len(at.members) == 0 {
			return
		}
		i, j := rng.IntN(len(at.members)), rng.IntN(len(at.members))
		switch rng.IntN(4) {
		case 0:
			at.members = slices.Delete(at.members, i, i+1)
		case 1:
			at.members[i].value, at.members[j].value = at.members[j].value, at.members[i].value
		case 2:
			at.members[i].value = *clone(all[rng.IntN(len(all))])
		case 3:
			if k := "zz"; at.member(k) == nil {
				at.members = append(at.members, member{k, num(1)})
			}
		}
	case array:
		if len(at.list) == 0 {
			return
		}
		i := rng.IntN(len(at.list))
		if rng.IntN(2) == 0 {
			at.list = slices.Delete(at.list, i, i+1)
		} else {
			at.list = append(at.list, *clone(&at.list[i]))
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	ed, _ := sampleKeys(b)
	s := sampleFinding()
	for b.Loop() {
		if _, err := Seal(s, ed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	ed, _ := sampleKeys(b)
	r, _ := Seal(sampleFinding(), ed)
	file := r.Bytes()
	o := VerifyOptions{Keys: []PublicKey{ed.Public()}}
	for b.Loop() {
		r, err := Parse(file)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.Verify(o); err != nil {
			b.Fatal(err)
		}
	}
}
