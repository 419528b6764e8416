package cvd

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The .sign files in testdata were made with "openssl smime -sign -binary"
// (OpenSSL 3.0.19) over the file content, each by certificates made for it.
func signed(t testing.TB, name string) []byte {
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVerifySign(t *testing.T) {
	roots, err := LoadRoots("testdata/roots")
	if err != nil {
		t.Fatal(err)
	}
	content := signed(t, "content")
	good := string(signed(t, "rsa.sign"))
	_, line, _ := strings.Cut(good, "\n")
	for _, c := range []struct {
		name, text, who, err string
		broken               bool // ErrSignature
	}{
		{"rsa", good, "Test Signer", "", false},
		{"curve", string(signed(t, "curve.sign")), "Test Curve", "", false},
		{"no attributes", string(signed(t, "noattr.sign")), "Test Signer", "", false},
		{"two signers", string(signed(t, "two.sign")), "Test ", "", false},
		{"comments", "#clamsign-1.0\n\n# who\n" + line, "Test Signer", "", false},
		{"for others, then ours", "#clamsign-1.0\n300::pkcs7-pem:AA==\n220:221:pkcs7-pem:AA==\n220::other:x\n" + line, "Test Signer", "", false},
		{"of another root", string(signed(t, "other.sign")), "", "unknown authority", true},
		{"with its content", string(signed(t, "attached.sign")), "", "not detached", false},
		{"sha1", string(signed(t, "sha1.sign")), "", "digest 1.3.14.3.2.26", false},
		{"empty", "", "", "does not begin", false},
		{"other version", "#clamsign-2.0\n" + line, "", "does not begin", false},
		{"no line", "#clamsign-1.0\n", "", "no digital signature", false},
		{"three fields", "#clamsign-1.0\n220:pkcs7-pem:AA==\n", "", "3 fields", false},
		{"level", "#clamsign-1.0\nx::pkcs7-pem:AA==\n", "", "no number", false},
		{"no base64", "#clamsign-1.0\n220::pkcs7-pem:!\n", "", "not base64", false},
		{"no PKCS#7", "#clamsign-1.0\n220::pkcs7-pem:AAAA\n", "", "no PKCS#7", false},
	} {
		who, err := VerifySign(roots, []byte(c.text), bytes.NewReader(content))
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || !strings.HasPrefix(who, c.who) || errors.Is(err, ErrSignature) != c.broken {
			t.Errorf("%s: %q %v", c.name, who, err)
		}
	}
	for _, name := range []string{"rsa.sign", "curve.sign", "noattr.sign", "two.sign"} {
		if _, err := VerifySign(roots, signed(t, name), strings.NewReader("what is not signed\n")); !errors.Is(err, ErrSignature) {
			t.Errorf("%s over another content: %v", name, err)
		}
	}
	if _, err := LoadRoots(t.TempDir()); err == nil {
		t.Error("a folder without certificates is taken")
	}
}

// A container with a detached signature: it must hold where there are roots, and
// makes up for those inside.
func TestProveDetached(t *testing.T) {
	roots, err := LoadRoots("testdata/roots")
	if err != nil {
		t.Fatal(err)
	}
	tr := testTrust()
	tr.Roots = roots
	if _, err := prove("cvd", made(t, 7, sample), tr, signed(t, "rsa.sign")); !errors.Is(err, ErrSignature) || !strings.Contains(err.Error(), "t-7.cvd.sign") {
		t.Errorf("of another file: %v", err)
	}
	tr.Unsigned = true
	if _, err := prove("cvd", made(t, 7, sample), tr, signed(t, "rsa.sign")); !errors.Is(err, ErrSignature) {
		t.Errorf("of another file, unsigned allowed: %v", err)
	}
}

func FuzzVerifySign(f *testing.F) {
	roots, err := LoadRoots("testdata/roots")
	if err != nil {
		f.Fatal(err)
	}
	for _, n := range []string{"rsa.sign", "curve.sign", "noattr.sign", "attached.sign"} {
		f.Add(signed(f, n))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if who, err := VerifySign(roots, b, strings.NewReader("nobody signed this")); err == nil {
			t.Errorf("taken as signed by %s", who)
		}
	})
}
