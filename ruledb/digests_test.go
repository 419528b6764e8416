package ruledb

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause/rule"
)

func TestSizeSet(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	dense := func(n int, from, span uint64) (out []uint64) {
		for range n {
			out = append(out, from+r.Uint64N(span))
		}
		return out
	}
	for name, sizes := range map[string][]uint64{
		"none":      nil,
		"zero":      {0},
		"one":       {12345},
		"any":       {7, anySize},
		"any alone": {anySize, anySize},
		"a bitmap":  dense(20000, 0, 1<<16),
		"a full one": slices.Collect(func(yield func(uint64) bool) {
			for i := range uint64(1 << 16) {
				if !yield(i + 1<<16) {
					return
				}
			}
		}),
		"list's most": slices.Collect(func(yield func(uint64) bool) {
			for i := range uint64(sizeMost) {
				if !yield(3 * i) {
					return
				}
			}
		}),
		"both":   append(dense(9000, 1<<20, 1<<16), dense(1000, 0, 1<<40)...),
		"large":  {1<<63 - 1, 1 << 62, 5},
		"sparse": dense(500, 0, 1<<33),
	} {
		want := map[uint64]bool{}
		for _, s := range sizes {
			want[s] = true
		}
		s := newSizeSet(slices.Clone(sizes))
		again, ok := loadSizeSet(s.rows, s.lows)
		if !ok {
			t.Errorf("%s: refused", name)
			continue
		}
		check := func(size uint64) {
			if have, want := again.has(size), want[size] || want[anySize]; have != want {
				t.Fatalf("%s: size %d: %v, want %v", name, size, have, want)
			}
		}
		for _, size := range sizes {
			for _, near := range []uint64{size - 1, size, size + 1, size + 1<<16, size - 1<<16, size ^ 1<<15} {
				if near < 1<<63 {
					check(near)
				}
			}
		}
		for range 1000 {
			check(r.Uint64N(1 << (1 + r.IntN(62))))
		}
	}
}

func TestSeek(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		n := r.IntN(200)
		shift := r.IntN(60)
		keys := make([]uint64, n)
		for i := range keys {
			keys[i] = r.Uint64() >> shift << r.IntN(shift+1) // at one end, in the middle, or spread
		}
		slices.Sort(keys)
		table := digestTable{}
		for _, k := range keys {
			table.index = append(table.index, indexRow{Key: k})
		}
		for range 50 {
			key := r.Uint64() >> r.IntN(64)
			if n > 0 && r.IntN(2) == 0 {
				key = keys[r.IntN(n)] + uint64(r.IntN(3)) - 1
			}
			want, _ := slices.BinarySearch(keys, key)
			if have := table.seek(key); have != want {
				t.Fatalf("%d in %d: %d, want %d", key, keys, have, want)
			}
		}
	}
}

func TestSplitStem(t *testing.T) {
	for name, want := range map[string]struct {
		stem   string
		cut    int
		number uint64
	}{
		"":                          {"", 0, 0},
		"Eicar":                     {"Eicar", 0, 0},
		"Win.Trojan.Agent-123-0":    {"Win.Trojan.Agent--0", 17, 124},
		"W97.Agent-1":               {"W.Agent-1", 1, 98},
		"0":                         {"", 0, 1},
		"007":                       {"007", 0, 0},
		"a00b12":                    {"a00b", 4, 13},
		"x-1234567890123456789":     {"x-1234567890123456789", 0, 0},
		"x-123456789012345678":      {"x-", 2, 123456789012345679},
		"9-999999999999999999999-8": {"-999999999999999999999-8", 0, 10},
	} {
		stem, cut, number := splitStem(name)
		if stem != want.stem || cut != want.cut || number != want.number {
			t.Errorf("%s: %q %d %d", name, stem, cut, number)
		}
	}
}

// exactRule is one rule for exact bytes.
type exactRule struct {
	rule.DigestRule
	text string // as Info gives it
}

// someDigests returns rules of which many share a digest, a size or a name.
func someDigests(n int, seed uint64) (out []exactRule) {
	r := rand.New(rand.NewPCG(seed, 1))
	var digests []string
	for i := range n {
		var d exactRule
		d.Sum, d.Scope, d.Allow = rule.Sum(r.IntN(3)), rule.Scope(r.IntN(3)), r.IntN(9) == 0
		b := make([]byte, sumSize(d.Sum))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		if r.IntN(3) == 0 {
			copy(b, "same") // so many that one page does not hold them
		}
		d.Digest = string(b)
		if i > 0 && r.IntN(3) == 0 {
			if old := digests[r.IntN(min(len(digests), 3))]; len(old) == len(b) {
				d.Digest = old
			}
		}
		digests = append(digests, d.Digest)
		d.Size = []int64{-1, int64(r.IntN(3)), r.Int64N(1 << 32), 1 << 40}[r.IntN(4)]
		name := []string{"", "Plain", fmt.Sprint("Gen.Malware-", i), fmt.Sprintf("Fam%d-%d-0", i%7, r.Uint32()), strings.Repeat("long", r.IntN(3000)/(1+i%50*i))}[r.IntN(5)]
		d.text = string(appendDigestText(nil, d.Scope, uint64(d.Size), []byte(d.Digest), name)) // -1 is anySize
		switch r.IntN(4) {
		case 0:
			d.text += ":73"
		case 1:
			d.text = strings.ToUpper(d.text) + fmt.Sprint(i)
		}
		d.Origin = rule.Origin{Name: name, File: fmt.Sprint("f", i%5, ".hdb"), Line: i, Text: d.text}
		if r.IntN(2) == 0 {
			d.Name += unofficial
		}
		out = append(out, d)
	}
	return out
}

func digestDB(t testing.TB, rules []exactRule) []byte {
	var b Builder
	for i := range rules {
		if err := b.Digest(&rules[i].DigestRule); err != nil {
			t.Fatal(err)
		}
	}
	data, err := b.Finish(Meta{})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// What is looked up is what a list gives, and what is told of it is what was added.
func TestLookup(t *testing.T) {
	for _, n := range []int{0, 1, 2, 100, 2000} {
		rules := someDigests(n, uint64(n))
		data := digestDB(t, rules)
		if !bytes.Equal(data, digestDB(t, rules)) {
			t.Error("the same rules give different bytes")
		}
		db, err := New(data)
		if err != nil {
			t.Fatal(err)
		}
		if db.Len() != n {
			t.Fatalf("%d rules, want %d", db.Len(), n)
		}
		origins := func(is []uint32, allow bool) (out []string) {
			for _, i := range is {
				info, err := db.Info(i)
				if err != nil || info.Name != db.Name(i) || allow != (info.Kind == "allow") {
					t.Fatal(info, err)
				}
				out = append(out, fmt.Sprintln(info.Name, info.File, info.Line, info.Text))
			}
			slices.Sort(out)
			return out
		}
		try := func(scope rule.Scope, sum rule.Sum, size int64, digest string) {
			var want [2][]string
			asked := false
			for _, d := range rules {
				if d.Scope != scope || d.Sum != sum || d.Size >= 0 && d.Size != size {
					continue
				}
				asked = true
				if d.Digest == digest {
					k := 0
					if d.Allow {
						k = 1
					}
					want[k] = append(want[k], fmt.Sprintln(d.Name, d.File, d.Line, d.text))
				}
			}
			m, s1, s2 := db.Sums(scope, size)
			if have := [3]bool{m, s1, s2}[sum]; have != asked {
				t.Errorf("size %d: asked for %v, want %v", size, have, asked)
			}
			found, allowed, err := db.Lookup(scope, sum, size, []byte(digest))
			slices.Sort(want[0])
			slices.Sort(want[1])
			if err != nil || !slices.Equal(origins(found, false), want[0]) || !slices.Equal(origins(allowed, true), want[1]) {
				t.Fatalf("%d rules, size %d: %q %q %v, want %q", n, size, origins(found, false), origins(allowed, true), err, want)
			}
		}
		for i := 0; i < n; i += 1 + n/100 {
			d := &rules[i]
			try(d.Scope, d.Sum, max(d.Size, 0), d.Digest)
			try(d.Scope, d.Sum, d.Size+1, d.Digest)
			other := []byte(d.Digest)
			other[len(other)-1]++
			try(d.Scope, d.Sum, max(d.Size, 0), string(other))
			if got := db.Find(d.Name, 0); !slices.ContainsFunc(got, func(i uint32) bool { in, err := db.Info(i); return err == nil && in.Line == d.Line }) {
				t.Errorf("%.40s: not found by its name, but %d", d.Name, got)
			}
		}
	}
}

// A bit that flips anywhere in a table is told at open, or by the lookup that it
// could change the answer of; other lookups answer as they did.
func TestFlippedDigests(t *testing.T) {
	rules := someDigests(300, 9)
	data := digestDB(t, rules)
	answer := func(db *DB, d *exactRule) (string, error) {
		found, allowed, err := db.Lookup(d.Scope, d.Sum, max(d.Size, 0), []byte(d.Digest))
		m, s1, s2 := db.Sums(d.Scope, max(d.Size, 0))
		return fmt.Sprint(found, allowed, m, s1, s2), err
	}
	db, err := New(data)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]string, len(rules))
	for i := range rules {
		if want[i], err = answer(db, &rules[i]); err != nil {
			t.Fatal(err)
		}
	}
	refused, late := 0, 0
	for at := 0; at < len(data); at += 1 + at/(headerSize+40*entrySize)*36 {
		bad := bytes.Clone(data)
		bad[at] ^= 1 << (at % 8)
		db, err := New(bad)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && at > headerSize {
				t.Errorf("byte %d: %v", at, err)
			}
			refused++
			continue
		}
		for i := at % 7; i < len(rules); i += 7 {
			have, err := answer(db, &rules[i])
			switch {
			case err != nil && !errors.Is(err, ErrCorrupt):
				t.Errorf("byte %d: %v", at, err)
			case err != nil:
				late++
			case have != want[i]:
				t.Fatalf("byte %d: %s, want %s", at, have, want[i])
			}
		}
	}
	if refused == 0 || late == 0 {
		t.Errorf("%d flips refused, %d lookups told of one", refused, late)
	}
}

// FuzzDigests writes tables that the checksums vouch for.
func FuzzDigests(f *testing.F) {
	rules := someDigests(60, 3)
	data := digestDB(f, rules)
	places, err := sections(data, uint64(len(data)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint16(0), uint32(0), []byte{0xff, 0xff})
	f.Add(uint16(4), uint32(2), []byte(hex.EncodeToString([]byte("same"))))
	f.Fuzz(func(t *testing.T, section uint16, at uint32, with []byte) {
		bad := bytes.Clone(data)
		if p := places[int(section)%len(places)]; p.n > 0 {
			copy(bad[p.off+uint64(at)%p.n:p.off+p.n], with)
		} else {
			copy(bad[headerSize+int(at)%(entrySize*len(places)):], with)
		}
		binary.LittleEndian.PutUint32(bad[16:], uint32(len(places)))
		reseal(bad)
		db, err := New(bad)
		if err != nil {
			return
		}
		for i := range rules {
			d := &rules[i]
			found, allowed, _ := db.Lookup(d.Scope, d.Sum, max(d.Size, 0), []byte(d.Digest))
			for _, i := range append(found, allowed...) {
				db.Info(i)
				db.Name(i)
			}
		}
		db.Find("Plain", 3)
	})
}
