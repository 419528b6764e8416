package translog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// a cosigner is a witness: it signs what it is given.
func cosigner(t *testing.T, name string) (sign func(checkpoint []byte) []byte, vkey string) {
	t.Helper()
	skey, vkey, err := note.GenerateKey(nil, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := fnote.NewSignerForCosignatureV1(skey)
	if err != nil {
		t.Fatal(err)
	}
	v, _ := Verifier(public(testKey(1)))
	return func(checkpoint []byte) []byte {
		t.Helper()
		n, err := note.Open(checkpoint, note.VerifierList(v))
		if err != nil {
			t.Fatal(err)
		}
		b, err := note.Sign(n, s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}, vkey
}

// Two of three witnesses, one with a post-quantum key.
func TestWitnesses(t *testing.T) {
	a, keyA := cosigner(t, "witness.example/a")
	c, keyC := cosigner(t, "witness.example/c")
	stranger, _ := cosigner(t, "witness.example/stranger")
	skeyB, keyB, err := fnote.GenerateMLDSAKey("witness.example/b")
	if err != nil {
		t.Fatal(err)
	}
	signerB, err := fnote.NewMLDSASigner(skeyB)
	if err != nil {
		t.Fatal(err)
	}
	v, _ := Verifier(public(testKey(1)))
	b := func(cp []byte) []byte {
		n, err := note.Open(cp, note.VerifierList(v))
		if err != nil {
			t.Fatal(err)
		}
		out, err := note.Sign(n, signerB)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	o := options()
	o.Policy = []byte(fmt.Sprintf("# who watches\nwitness a %s\nwitness b %s https://b.example/\nwitness c %s\ngroup two 2 a b c\nquorum two\n", keyA, keyB, keyC))
	dir := filepath.Join(t.TempDir(), "log")
	l := open(t, dir, o)
	if _, err := l.Append(digests(0, 300)); err != nil {
		t.Fatal(err)
	}
	prove := func(i int, want error) {
		t.Helper()
		p, err := l.Prove(int64(i))
		if err != nil {
			t.Fatal(err)
		}
		_, err = CheckProof(p, digest(i), v, o.Policy)
		var f *Fault
		if want == nil && err != nil || want != nil && (!errors.As(err, &f) || f.Code != NoQuorum) {
			t.Errorf("entry %d: %v, want %v", i, err, want)
		}
	}
	lacks := errors.New("too few")
	prove(7, lacks)
	cp := l.Checkpoint()
	if _, err := l.Cosign(cp); err == nil {
		t.Error("a checkpoint that nobody signed is kept")
	}
	if _, err := l.Cosign(stranger(cp)); err == nil {
		t.Error("a stranger's signature is kept")
	}
	if enough, err := l.Cosign(a(cp)); enough || err != nil {
		t.Fatal(enough, err)
	}
	prove(7, lacks)
	if _, err := l.Append(digests(300, 400)); err != nil { // it goes on meanwhile
		t.Fatal(err)
	}
	if enough, err := l.Cosign(b(stranger(cp))); !enough || err != nil {
		t.Fatal(enough, err)
	}
	kept, _ := os.ReadFile(filepath.Join(dir, cosignedName))
	if strings.Contains(string(kept), "stranger") || strings.Count(string(kept), "\u2014 ") != 3 {
		t.Errorf("kept:\n%s", kept)
	}
	prove(7, nil)
	prove(299, nil)
	prove(350, lacks) // not yet covered
	s, err := open(t, dir, o).Check(nil)
	if err != nil || s.Cosigned != 300 || s.Size != 400 {
		t.Errorf("%+v, %v", s, err)
	}
	// What a witness is asked has the proof that it wants.
	ask, err := l.WitnessRequest(300)
	if err != nil || !bytes.HasPrefix(ask, []byte("old 300\n")) || !bytes.HasSuffix(ask, append([]byte("\n\n"), l.Checkpoint()...)) {
		t.Errorf("%v\n%s", err, ask)
	}
	// A newer one takes its place.
	now := l.Checkpoint()
	if enough, err := l.Cosign(c(now)); enough || err != nil {
		t.Fatal(enough, err)
	}
	if enough, err := l.Cosign(a(now)); !enough || err != nil {
		t.Fatal(enough, err)
	}
	prove(350, nil)
	// The log is set back to before: by its own tiles it is whole, and witnesses saw more.
	old := filepath.Join(t.TempDir(), "old")
	short := open(t, old, options())
	if _, err := short.Append(digests(0, 350)); err != nil {
		t.Fatal(err)
	}
	short.Close()
	kept, _ = os.ReadFile(filepath.Join(dir, cosignedName))
	os.WriteFile(filepath.Join(old, cosignedName), kept, 0o600)
	var f *Fault
	if _, err := Open(old, o); !errors.As(err, &f) || f.Code != BadCosigned {
		t.Errorf("set back: %v", err)
	}
	// Another history of the same length.
	fork := filepath.Join(t.TempDir(), "fork")
	other := open(t, fork, options())
	if _, err := other.Append(digests(1000, 1400)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Cosign(a(other.Checkpoint())); !errors.As(err, &f) || f.Code != BadCosigned {
		t.Errorf("another history: %v", err)
	}
	other.Close()
	os.WriteFile(filepath.Join(fork, cosignedName), kept, 0o600)
	if _, err := Open(fork, o); !errors.As(err, &f) || f.Code != BadCosigned {
		t.Errorf("another history: %v", err)
	}
}

func TestPolicyRefused(t *testing.T) {
	for _, bad := range []string{"", "quorum x\n", "witness a b\nquorum a\n", "nonsense\nquorum none\n", "witness\n", "witness a b c d e\nquorum none\n"} {
		o := options()
		o.Policy = []byte(bad)
		if l, err := Open(filepath.Join(t.TempDir(), "log"), o); err == nil {
			l.Close()
			t.Errorf("%q is taken", bad)
		}
	}
}
