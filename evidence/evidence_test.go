package evidence

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"slices"
	"strings"
	"testing"

	"filippo.io/mldsa"
	mldsax509 "filippo.io/mldsa/x509"
)

func newSeed(seed [32]byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(seed[:]) }

func pqPEM(seed [32]byte) []byte {
	k, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), seed[:])
	if err != nil {
		panic(err)
	}
	return (&Key{pq: k}).PEM()
}

func TestSealAndVerify(t *testing.T) {
	ed, pq := sampleKeys(t)
	for kind, r := range samples(t, ed, pq) {
		again, err := Parse(r.Bytes())
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if !bytes.Equal(again.Bytes(), r.Bytes()) || again.Name() != r.Name() {
			t.Errorf("%s: another spelling after reading", kind)
		}
		if again.Statement().Kind != kind || len(again.Hidden()) != 0 {
			t.Errorf("%s: kind %s, hidden %v", kind, again.Statement().Kind, again.Hidden())
		}
		s, err := again.Verify(VerifyOptions{Keys: []PublicKey{ed.Public(), pq.Public()}})
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if s.Signer().ID() != ed.Public().ID() {
			t.Errorf("%s: signed by %s", kind, s.Signer().ID())
		}
		if _, err := again.Verify(VerifyOptions{Keys: []PublicKey{pq.Public()}}); err == nil {
			t.Errorf("%s: verifies with no Ed25519 key", kind)
		}
	}
}

func TestShare(t *testing.T) {
	ed, _ := sampleKeys(t)
	keys := VerifyOptions{Keys: []PublicKey{ed.Public()}}
	for kind, r := range samples(t, ed) {
		none := r.Share(func(string) bool { return false })
		if !slices.Equal(none.Hidden(), sortedLike(none.Hidden(), r.Shown())) || len(none.Hidden()) != len(r.Shown()) {
			t.Errorf("%s: hidden %v, shown before %v", kind, none.Hidden(), r.Shown())
		}
		file := string(none.Bytes()) + string(none.Payload())
		for _, secret := range []string{sum("file"), sum("inner"), "anna", "desk7", "/srv", "rechnung", r.Statement().ID.Text, "installer"} {
			if strings.Contains(file, secret) {
				t.Errorf("%s: the shared copy contains %q", kind, secret)
			}
		}
		again, err := Parse(none.Bytes())
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if _, err := again.Verify(keys); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		// Opened one by one, it becomes the original again.
		for _, at := range r.Shown() {
			if again, err = again.Reveal(r, at); err != nil {
				t.Fatalf("%s %s: %v", kind, at, err)
			}
			if _, err := again.Verify(keys); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
		}
		if !bytes.Equal(again.Bytes(), r.Bytes()) {
			t.Errorf("%s: all revealed is not the original", kind)
		}
	}
}

func sortedLike(a, b []string) []string {
	if x, y := slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)); slices.Equal(x, y) {
		return a
	}
	return nil
}

// Two seals of one statement have one id, and nothing else in common that is private.
func TestReproducible(t *testing.T) {
	ed, _ := sampleKeys(t)
	other, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	a, _ := Seal(sampleFinding(), ed)
	s := sampleFinding()
	s.Time.Observed, s.Context = "2027-01-01T00:00:00Z", Context{Path: Private{Text: "/elsewhere"}}
	b, err := Seal(s, other)
	if err != nil {
		t.Fatal(err)
	}
	if a.Statement().ID != b.Statement().ID || !bytes.Equal(a.Statement().Reproducible(), b.Statement().Reproducible()) {
		t.Error("time, context and key change the id")
	}
	if a.Name() == b.Name() || bytes.Contains(a.Payload(), []byte(a.Statement().ID.Text)) {
		t.Error("payloads agree, or show the id")
	}
	s = sampleFinding()
	s.Matches.List[0].Offset++
	if c, _ := Seal(s, ed); c.Statement().ID == a.Statement().ID {
		t.Error("another offset, and the same id")
	}
	s = sampleFinding()
	s.Subject.SHA256 = sum("other")
	if c, _ := Seal(s, ed); c.Statement().ID == a.Statement().ID {
		t.Error("another file, and the same id")
	}
}

// The hand-written DER is what the libraries write.
func TestKeyFormats(t *testing.T) {
	ed, pq := sampleKeys(t)
	for _, k := range []*Key{ed, pq} {
		var private, public any = k.ed, nil
		if k.pq != nil {
			private, public = k.pq, k.pq.PublicKey()
		} else {
			public = k.ed.Public()
		}
		der, err := mldsax509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(der, keyDER(t, k.PEM())) {
			t.Errorf("%s: private key %x, want %x", k.Public().Algorithm(), keyDER(t, k.PEM()), der)
		}
		if der, err = mldsax509.MarshalPKIXPublicKey(public); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(der, keyDER(t, k.Public().PEM())) {
			t.Errorf("%s: public key %x, want %x", k.Public().Algorithm(), keyDER(t, k.Public().PEM())[:40], der[:40])
		}
		back, err := ParsePublicKeys(k.Public().PEM())
		if err != nil || len(back) != 1 || back[0].ID() != k.Public().ID() {
			t.Errorf("%v %v", back, err)
		}
	}
	for _, bad := range []string{"", "x", string(ed.PEM()) + "x", string(ed.Public().PEM()), strings.Replace(string(ed.PEM()), "MC4", "MC8", 1)} {
		if _, err := ParseKeys([]byte(bad)); err == nil {
			t.Errorf("%q is a key", bad)
		}
	}
}

func keyDER(t *testing.T, text []byte) []byte {
	b, _ := pem.Decode(text)
	if b == nil {
		t.Fatal("no PEM")
	}
	return b.Bytes
}
