package translog

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/showcause/showcause/internal/disk"
)

func testKey(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func options() Options {
	return Options{Public: public(testKey(1)), Key: testKey(1), Create: true}
}

// noSync leaves out what a test cannot see.
func noSync(op, _ string) error {
	if op == "fsync" || op == "syncfs" {
		return disk.ErrSkip
	}
	return nil
}

func quick() Options {
	o := options()
	o.FS = &disk.FS{Fault: noSync}
	return o
}

func digest(n int) Digest {
	return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n)))
}

func digests(from, to int) (ds []Digest) {
	for i := from; i < to; i++ {
		ds = append(ds, digest(i))
	}
	return ds
}

func open(t testing.TB, dir string, o Options) *Log {
	t.Helper()
	l, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// naive is RFC 6962's definition of the tree's hash, word for word.
func naive(ds []Digest) tlog.Hash {
	switch len(ds) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, ds[0][:]...))
	}
	k := 1
	for k*2 < len(ds) {
		k *= 2
	}
	a, b := naive(ds[:k]), naive(ds[k:])
	return sha256.Sum256(append(append([]byte{1}, a[:]...), b[:]...))
}

// check proves a log wholly, and that its entries are these.
func check(t testing.TB, l *Log, want []Digest) {
	t.Helper()
	var got []Digest
	s, err := l.Check(func(i int64, d Digest) error {
		if i != int64(len(got)) {
			t.Errorf("entry %d comes as number %d", i, len(got))
		}
		got = append(got, d)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) || s.Size != int64(len(want)) {
		t.Fatalf("%d entries, state says %d, want %d", len(got), s.Size, len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("entry %d is another", i)
		}
	}
	if s.Root != naive(want) {
		t.Errorf("root of %d entries is not that of RFC 6962", len(want))
	}
}

// Appended in any batches, the log is the same tree, found so at each opening.
func TestAppend(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	random := rand.New(rand.NewSource(1))
	size := 0
	for _, target := range []int{0, 1, 2, 3, 255, 256, 257, 511, 512, 513, 700, 1024, 1500} {
		l := open(t, dir, quick())
		for size < target {
			n := min(target-size, 1+random.Intn(300))
			first, err := l.Append(digests(size, size+n))
			if err != nil || first != int64(size) {
				t.Fatalf("append at %d: %d, %v", size, first, err)
			}
			size += n
		}
		check(t, l, digests(0, size))
		if n := l.Notes(); len(n) > 0 {
			t.Errorf("size %d: %q", size, n)
		}
		l.Close()
	}
	// A log above 2^16 has three levels of tiles.
	if testing.Short() {
		return
	}
	l := open(t, dir, quick())
	for _, n := range []int{60000, 4035, 1, 1, 300} {
		if _, err := l.Append(digests(size, size+n)); err != nil {
			t.Fatal(err)
		}
		size += n
	}
	check(t, open(t, dir, Options{Public: public(testKey(1))}), digests(0, size))
}

// Every entry has a proof, for every size of the tree, and no other entry has it.
func TestProofs(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "log"), quick())
	v, err := Verifier(public(testKey(1)))
	if err != nil {
		t.Fatal(err)
	}
	other, _ := Verifier(public(testKey(2)))
	var old []byte
	for size := 0; size < 530; {
		old = l.Checkpoint()
		n := 1 + size/7
		if _, err := l.Append(digests(size, size+n)); err != nil {
			t.Fatal(err)
		}
		hs, now, err := l.Consistency(int64(size))
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckConsistency(hs, old, now, v); err != nil {
			t.Errorf("%d to %d: %v", size, size+n, err)
		}
		if len(hs) > 0 {
			hs[0][3] ^= 1
			if CheckConsistency(hs, old, now, v) == nil {
				t.Errorf("%d to %d: a wrong proof passes", size, size+n)
			}
		}
		size += n
		for _, i := range []int{0, size / 3, size - 1} {
			p, err := l.Prove(int64(i))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := CheckProof(p, digest(i), v, nil); err != nil || got != int64(i) {
				t.Errorf("size %d, entry %d: %d, %v", size, i, got, err)
			}
			if _, err := CheckProof(p, digest(i+1), v, nil); err == nil {
				t.Errorf("size %d: proof of %d proves %d", size, i, i+1)
			}
			if _, err := CheckProof(p, digest(i), other, nil); err == nil {
				t.Errorf("size %d, entry %d: another log's key will do", size, i)
			}
		}
	}
	if _, err := l.Prove(l.Size()); err == nil {
		t.Error("an entry that is not there has a proof")
	}
	i, found, err := l.Find(digest(400))
	if i != 400 || !found || err != nil {
		t.Error(i, found, err)
	}
	if _, found, err = l.Find(digest(100000)); found || err != nil {
		t.Error(found, err)
	}
}

// Every byte of a proof counts.
func TestProofDamaged(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "log"), options())
	if _, err := l.Append(digests(0, 21)); err != nil {
		t.Fatal(err)
	}
	v, _ := Verifier(public(testKey(1)))
	p, err := l.Prove(5)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := CheckProof(p, digest(5), v, nil); err != nil {
		t.Fatal(err)
	}
	for i := range p {
		for _, x := range []byte{1, 0x20, 0x80} {
			bad := bytes.Clone(p)
			bad[i] ^= x
			var f *Fault
			if _, err := CheckProof(bad, digest(5), v, nil); !errors.As(err, &f) {
				t.Fatalf("byte %d of %d changed by %#x: %v", i, len(p), x, err)
			}
		}
		if _, err := CheckProof(p[:i], digest(5), v, nil); err == nil {
			t.Fatalf("cut at %d of %d: passes", i, len(p))
		}
	}
}

// Several logs, as of several processes, append to one folder.
func TestTogether(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	open(t, dir, quick())
	var all sync.WaitGroup
	for w := range 4 {
		l := open(t, dir, quick())
		all.Go(func() {
			for i := range 25 {
				if _, err := l.Append(digests(w*1000+i*3, w*1000+i*3+3)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	l := open(t, dir, quick())
	seen := map[Digest]int{}
	s, err := l.Check(func(_ int64, d Digest) error { seen[d]++; return nil })
	if err != nil || s.Size != 300 || len(seen) != 300 {
		t.Errorf("%+v, %d different: %v", s, len(seen), err)
	}
}

// files reads a folder.
func files(t testing.TB, dir string) map[string]string {
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p)
		out[rel] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Damage of any file is found by Check, and by Open where it is at the right edge.
func TestDamage(t *testing.T) {
	good := filepath.Join(t.TempDir(), "log")
	l := open(t, good, options())
	older := map[string]string{}
	for _, n := range []int{300, 1, 300} {
		older = files(t, good)
		size := int(l.Size())
		if _, err := l.Append(digests(size, size+n)); err != nil {
			t.Fatal(err)
		}
	}
	now := files(t, good)
	read := Options{Public: public(testKey(1))}
	try := func(name string, change func(dir string), want ...Code) {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "log")
		if err := os.CopyFS(dir, os.DirFS(good)); err != nil {
			t.Fatal(err)
		}
		change(dir)
		for _, o := range []Options{read, options()} {
			l, err := Open(dir, o)
			if err == nil {
				_, err = l.Check(nil)
				l.Close()
			}
			var f *Fault
			if !errors.As(err, &f) {
				t.Errorf("%s: %v", name, err)
				continue
			}
			ok := false
			for _, w := range want {
				ok = ok || f.Code == w
			}
			if !ok {
				t.Errorf("%s: %v, want one of %v", name, f, want)
			}
		}
	}
	n := 0
	for name, content := range now {
		if name == lockName {
			continue
		}
		codes := []Code{BadTile, BadEntries, BadRoot, SetBack}
		if name == checkpointName {
			codes = []Code{NoCheckpoint, BadCheckpoint, BadSignature}
		}
		for _, i := range []int{0, len(content) / 2, len(content) - 1} {
			try(fmt.Sprintf("%s byte %d", name, i), func(dir string) {
				b := []byte(content)
				b[i] ^= 0x40
				os.WriteFile(filepath.Join(dir, name), b, 0o600)
			}, codes...)
			n++
		}
		try(name+" gone", func(dir string) { os.Remove(filepath.Join(dir, name)) }, codes...)
		try(name+" cut", func(dir string) { os.Truncate(filepath.Join(dir, name), int64(len(content)-1)) }, codes...)
		try(name+" longer", func(dir string) { os.WriteFile(filepath.Join(dir, name), []byte(content+"\n"), 0o600) }, codes...)
		n += 3
	}
	try("set back to a checkpoint of before", func(dir string) {
		os.WriteFile(filepath.Join(dir, checkpointName), []byte(older[checkpointName]), 0o600)
	}, SetBack, BadTile, BadEntries)
	try("set back with the tiles of before beside those of now", func(dir string) {
		for name, content := range older {
			os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700)
			os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600)
		}
	}, SetBack)
	try("signed by another", func(dir string) {
		v, _ := Verifier(public(testKey(1)))
		tr, err := openCheckpoint([]byte(now[checkpointName]), v, "")
		if err != nil {
			t.Fatal(err)
		}
		b, err := tr.sign(testKey(2), v)
		if err != nil {
			t.Fatal(err)
		}
		os.WriteFile(filepath.Join(dir, checkpointName), b, 0o600)
	}, BadSignature)
	try("a tile that nothing needs", func(dir string) {
		os.WriteFile(filepath.Join(dir, "tile/0/001"), make([]byte, 8192), 0o600)
		os.WriteFile(filepath.Join(dir, "tile/0/123"), make([]byte, 8192), 0o600)
	}, SetBack, BadTile)
	try("a journal of nonsense", func(dir string) {
		os.WriteFile(filepath.Join(dir, pendingName), []byte("x"), 0o600)
	}, BadPending)
	t.Logf("%d ways", n+5)
}

var full = flag.Bool("full", false, "try every point, not a sample")

// step goes to the next point, by a few of them if not all are asked for.
func step(k int) int {
	if *full {
		return 1
	}
	return 1 + k*7%11
}

// errDead is what every operation answers after the process died.
var errDead = errors.New("the process is dead")

// Operation k fails, for all k: the digests are in wholly or not at all, as the
// error says, and the log goes on.
func TestFaults(t *testing.T) {
	for _, kind := range []struct {
		name  string
		fault error
		dies  bool
	}{
		{"EIO", fs.ErrInvalid, false},
		{"half", &disk.Short{Err: fs.ErrInvalid}, false},
		{"dies", errDead, true},
		{"dies half", &disk.Short{Err: errDead}, true},
	} {
		t.Run(kind.name, func(t *testing.T) {
			points := 0
			for _, batch := range []int{1, 20, 300} {
				for k := 1; ; k += step(k) {
					dir := filepath.Join(t.TempDir(), "log")
					l := open(t, dir, quick())
					if _, err := l.Append(digests(0, 250)); err != nil {
						t.Fatal(err)
					}
					l.Close()
					count, hit := 0, false
					o := options()
					o.FS = &disk.FS{Fault: func(op, _ string) error {
						count++
						if count == k || hit && kind.dies {
							hit = true
							return kind.fault
						}
						return noSync(op, "")
					}}
					l, err := Open(dir, o)
					if err == nil {
						_, err = l.Append(digests(250, 250+batch))
						l.Close()
					}
					if !hit {
						break
					}
					points++
					l = open(t, dir, quick())
					size := int(l.Size())
					switch {
					case size != 250 && size != 250+batch:
						t.Fatalf("operation %d: %d entries: %v", k, size, err)
					case err == nil && size == 250:
						t.Fatalf("operation %d: no error, and the entries are not there", k)
					case err != nil && size != 250 && !errors.Is(err, ErrPending):
						t.Fatalf("operation %d: entries are there after %v", k, err)
					}
					check(t, l, digests(0, size))
					if _, err := l.Append(digests(size, 700)); err != nil {
						t.Fatal(err)
					}
					check(t, l, digests(0, 700))
					l.Close()
				}
			}
			if points < 30 {
				t.Errorf("only %d points", points)
			}
			t.Logf("%d points", points)
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 1000, 20000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l := open(b, filepath.Join(b.TempDir(), "log"), options())
			ds := digests(0, n)
			for b.Loop() {
				if _, err := l.Append(ds); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
