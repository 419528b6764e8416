package literal

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// plain has few tiers, so that its blob is small; full has all kinds.
func plainLiterals() []Literal {
	return []Literal{{Bytes: []byte("kernel32.dll"), Fold: false}, {Bytes: []byte("VirtualAlloc"), Fold: true}, {Bytes: []byte("VirtualAllocEx"), Fold: false}, {Bytes: []byte("\x55\x8b\xec\x83\xe4\xf8\x81"), Fold: false}}
}

func fullLiterals() []Literal {
	rng := rand.New(rand.NewPCG(21, 22))
	lits := append(plainLiterals(), Literal{Bytes: []byte("a"), Fold: true}, Literal{Bytes: []byte("\x00\x01"), Fold: false}, Literal{Bytes: []byte("xyz"), Fold: true}, Literal{Bytes: []byte("four"), Fold: true},
		Literal{Bytes: []byte("under a key"), XorLo: 1, XorHi: 255})
	for i := range 3000 { // too many to enter every spelling
		lits = append(lits, Literal{Bytes: alphabet(rng, "abcdefghijklmnopqrstuvwxyz0123456789")(7 + i%9), Fold: true})
	}
	return lits
}

// survives opens blob and, where that succeeds, scans with it.
func survives(t testing.TB, blob, buf []byte) (opened bool) {
	t.Helper()
	s, err := Open(blob)
	if err != nil {
		return false
	}
	// A hit is a member, and a place has each member 16 times 8 times at most.
	members := len(s.short.links)
	for _, t := range s.tiers {
		members += len(t.members)
	}
	variants(s, func(string) { scanDamaged(t, s, members, buf) })
	return true
}

// scanDamaged scans with what may have been tampered with.
func scanDamaged(t testing.TB, s *Set, members int, buf []byte) {
	t.Helper()
	hits := s.Scan(buf, 0, len(buf), nil)
	if most := len(buf) * members * 16 * maxStride; len(hits) > most {
		t.Fatalf("%d hits, bound %d", len(hits), most)
	}
	for _, h := range hits {
		if int(h.ID) >= s.Len() || h.At < 0 || h.At >= len(buf) {
			t.Fatalf("hit %+v of %d literals in %d bytes", h, s.Len(), len(buf))
		}
	}
	for from := 3; from < len(buf)-3; {
		_, next := s.ScanN(buf, from, len(buf)-3, nil, 2)
		if next <= from {
			t.Fatalf("ScanN at %d: next %d", from, next)
		}
		from = next
	}
}

// scene is a buffer with the literals in it.
func scene(lits []Literal) []byte {
	var buf []byte
	for _, l := range lits[:4] {
		buf = append(append(buf, l.Bytes...), 0, 'V', 'a')
	}
	return buf
}

func TestOpenFlipped(t *testing.T) {
	blob, err := Compile(plainLiterals())
	if err != nil {
		t.Fatal(err)
	}
	buf := scene(plainLiterals())
	if !survives(t, blob, buf) {
		t.Fatal("blob does not open")
	}
	refused := 0
	for i := range blob {
		for _, x := range []byte{0x01, 0x80, 0xff} {
			blob[i] ^= x
			if !survives(t, blob, buf) {
				refused++
			}
			blob[i] ^= x
		}
	}
	if refused < 3*32 { // at the least the numbers of the header
		t.Errorf("%d of %d damaged blobs refused", refused, 3*len(blob))
	}
}

func TestOpenDamaged(t *testing.T) {
	lits := fullLiterals()
	good, err := Compile(lits)
	if err != nil {
		t.Fatal(err)
	}
	buf := scene(lits)
	rng := rand.New(rand.NewPCG(23, 24))
	numbers := []uint32{0, 1, 7, 8, 64, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff, uint32(len(good))}
	for i := range 1500 {
		blob := bytes.Clone(good)
		for range 1 + i%3 {
			at := rng.IntN(len(blob)/4) * 4
			if i%3 == 0 {
				at = rng.IntN(headerSize/4+2*tierSize/4) * 4
			}
			v := numbers[rng.IntN(len(numbers))]
			if rng.IntN(2) == 0 {
				v = binary.LittleEndian.Uint32(blob[at:]) + uint32(rng.IntN(9)) - 4
			}
			binary.LittleEndian.PutUint32(blob[at:], v)
		}
		survives(t, blob, buf)
	}
}

func TestOpenTruncated(t *testing.T) {
	blob, err := Compile(plainLiterals())
	if err != nil {
		t.Fatal(err)
	}
	for n := range blob {
		if survives(t, blob[:n:n], nil) {
			t.Fatalf("blob of %d bytes opens when cut to %d", len(blob), n)
		}
		cut := bytes.Clone(blob[:n]) // and with a length that agrees
		if n >= 16 {
			binary.LittleEndian.PutUint64(cut[8:], uint64(n))
		}
		if survives(t, cut, scene(plainLiterals())) {
			t.Fatalf("blob of %d bytes opens when made to say %d", len(blob), n)
		}
	}
}

func TestOpenUnaligned(t *testing.T) {
	blob, err := Compile(plainLiterals())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(append(make([]byte, 1, len(blob)+1), blob...)[1:]); err == nil {
		t.Error("no error")
	}
}

func TestConcurrent(t *testing.T) {
	lits := fullLiterals()
	s := mustOpen(t, lits)
	buf := scene(lits)
	want := oracle(lits, buf, 0, len(buf))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 50 {
				if got := sorted(s.Scan(buf, 0, len(buf), nil)); !slices.Equal(got, want) {
					t.Errorf("%s", difference(got, want))
					return
				}
			}
		})
	}
	all.Wait()
}

// FuzzScan reads literals out of spec: each is a byte, length and in the top bit
// whether case is ignored, in the next whether there are keys, which two bytes
// tell, and its bytes. What each kernel finds is compared with the oracle.
func FuzzScan(f *testing.F) {
	f.Add([]byte("\x03abc\x88kernel32\x06mutant"), []byte("the mutant KERNEL32 abc"), uint16(5))
	f.Add([]byte("\x01a\x02aa\x03aaa\x04aaaa\x05aaaaa\x06aaaaaa\x07aaaaaaa"), []byte("aaaaaaaaaaaaaaaa"), uint16(9))
	f.Add([]byte("\x08\x00\x00\x00\x00\x00\x00\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01"), make([]byte, 100), uint16(0))
	f.Add([]byte("\x4d\x01\xffunder a key\x43\x00\x10abc"), append(make([]byte, 300), "XC@EWEMHTYabcqrs"...), uint16(7))
	f.Add([]byte("\x0c.text.rsrcAB\x8c.TEXT.rsrcAB"), []byte("...text.RSRCab.text.rsrcAB"), uint16(3))
	f.Fuzz(func(t *testing.T, spec, buf []byte, cut uint16) {
		if len(spec) > 1000 || len(buf) > 2000 {
			return
		}
		var lits []Literal
		for len(spec) > 1 {
			n := min(int(spec[0]&0x3f)+1, len(spec)-1)
			l := Literal{Bytes: spec[1 : 1+n], Fold: spec[0]&0x80 != 0}
			if spec[0]&0x40 != 0 && n > 2 {
				l = Literal{Bytes: l.Bytes[2:], XorLo: min(spec[1], spec[2]), XorHi: max(spec[1], spec[2])}
			}
			lits = append(lits, l)
			spec = spec[1+n:]
		}
		s := mustOpen(t, lits)
		variants(s, func(string) { fuzzOne(t, s, lits, buf, cut) })
	})
}

func fuzzOne(t *testing.T, s *Set, lits []Literal, buf []byte, cut uint16) {
	at := int(cut) % (len(buf) + 1)
	got := sorted(s.Scan(buf, at, len(buf), s.Scan(buf, 0, at, nil)))
	if want := oracle(lits, buf, 0, len(buf)); !slices.Equal(got, want) {
		t.Fatalf("%d literals: %s", len(lits), difference(got, want))
	}
	var few []Hit
	for from := 0; from < len(buf); {
		few, from = s.ScanN(buf, from, len(buf), few, 1+int(cut)%9+len(buf)/16)
	}
	if !slices.Equal(sorted(few), got) {
		t.Fatalf("a few at a time: %s", difference(few, got))
	}
}

// FuzzOpen changes numbers of a good blob: edits are 5 bytes each, an offset of
// 4 bytes, counted in numbers, and what is added; or it takes edits for the blob.
func FuzzOpen(f *testing.F) {
	blob, err := Compile(plainLiterals())
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("\x10\x00\x00\x00\x01"), []byte("kernel32.dll virtualalloc"))
	f.Add(blob, scene(plainLiterals()))
	f.Fuzz(func(t *testing.T, edits, buf []byte) {
		if len(buf) > 1000 {
			return
		}
		survives(t, append(make([]byte, 0, len(edits)+64), edits...), buf)
		b := bytes.Clone(blob)
		for ; len(edits) >= 5; edits = edits[5:] {
			at := int(binary.LittleEndian.Uint32(edits)%uint32(len(b)/4)) * 4
			binary.LittleEndian.PutUint32(b[at:], binary.LittleEndian.Uint32(b[at:])+uint32(int8(edits[4])))
		}
		survives(t, b, buf)
	})
}
