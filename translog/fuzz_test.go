package translog

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// A journal is read in its one spelling or refused.
func FuzzPending(f *testing.F) {
	p := pending{old: 3, tree: tree{"showcause.dev/host/x", tlog.Tree{N: 5, Hash: naive(digests(0, 5))}}, digests: digests(3, 5)}
	f.Add(p.encode())
	f.Add(bytes.Replace(p.encode(), []byte("\n3\n"), []byte("\n-3\n"), 1))
	f.Add([]byte(pendingHeader + "\n\n\n\n\n\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePending(b)
		var fault *Fault
		if err != nil {
			if !errors.As(err, &fault) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(p.encode(), b) || p.old < 0 || p.tree.N-p.old != int64(len(p.digests)) {
			t.Errorf("%+v", p)
		}
	})
}

// A proof that is not the one that was made proves nothing of that entry.
func FuzzProof(f *testing.F) {
	l, err := Open(filepath.Join(f.TempDir(), "log"), quick())
	if err != nil {
		f.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Append(digests(0, 300)); err != nil {
		f.Fatal(err)
	}
	v, _ := Verifier(public(testKey(1)))
	good := map[string]bool{}
	for _, i := range []int64{0, 5, 299} {
		p, err := l.Prove(i)
		if err != nil {
			f.Fatal(err)
		}
		good[string(p)] = true
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := CheckProof(b, digest(5), v, nil)
		var fault *Fault
		switch {
		case err == nil && (i != 5 || !good[string(b)]):
			t.Errorf("index %d:\n%s", i, b)
		case err != nil && !errors.As(err, &fault):
			t.Error(err)
		}
	})
}

// Tile paths are those that tlog has, but for the height.
func TestTilePath(t *testing.T) {
	for _, n := range []int64{0, 1, 999, 1000, 1234067, 1 << 40} {
		for _, w := range []int{1, 255, 256} {
			want := tlog.Tile{H: height, L: 2, N: n, W: w}.Path()
			if got := tilePath(2, n, w); got != "tile/"+want[len("tile/8/"):] {
				t.Errorf("%s, want %s", got, want)
			}
			size := n<<height + int64(w)
			if !wanted(tilePath(0, n, w), size) || wanted(tilePath(0, n, w), size-1) && w > 1 {
				t.Errorf("%s in a tree of %d", tilePath(0, n, w), size)
			}
		}
	}
	for _, bad := range []string{"tile/0/0", "tile/0/x000/000", "tile/x/000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/03", "tile/9/000", "x", "tile/-1/000"} {
		if wanted(bad, 3) || wanted(bad, 256) {
			t.Errorf("%s is wanted", bad)
		}
	}
}
