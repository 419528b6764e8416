package release

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// An envelope is the key's, of the very provenance that the list names, or it is refused.
func TestAttested(t *testing.T) {
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	statement := []byte(`{"_type":"https://in-toto.io/Statement/v1"}`)
	good, err := Attest(key, statement)
	if err != nil {
		t.Fatal(err)
	}
	r := &Release{dir: t.TempDir()}
	put := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(r.dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(Provenance, statement)
	put(Envelope, good)
	if err := r.Attested(pub); err != nil {
		t.Error(err)
	}
	other, thief, _ := ed25519.GenerateKey(nil)
	if err := r.Attested(other); !errors.Is(err, ErrUnsigned) {
		t.Errorf("another key: %v", err)
	}
	if err := r.Attested(nil); !errors.Is(err, ErrUnsigned) {
		t.Errorf("no key: %v", err)
	}
	theirs, _ := Attest(thief, statement)
	elsewhere, _ := Attest(key, []byte("another"))
	var e envelope
	if err := json.Unmarshal(good, &e); err != nil {
		t.Fatal(err)
	}
	e.PayloadType = "text/plain"
	typed, _ := json.Marshal(e)
	for name, b := range map[string][]byte{"another's": theirs, "of another": elsewhere, "of another type": typed, "no JSON": []byte("x"), "cut": good[:len(good)/2], "nothing": nil} {
		put(Envelope, b)
		if r.Attested(pub) == nil {
			t.Errorf("%s: taken", name)
		}
	}
	put(Envelope, good)
	put(Provenance, bytes.Replace(statement, []byte("v1"), []byte("v2"), 1))
	if r.Attested(pub) == nil {
		t.Error("another provenance: taken")
	}
}
