package scan_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // lists of certificates have it
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	mrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/icon/icontest"
	"github.com/showcause/showcause/scan"
)

// signer is a certificate with its key.
type signer struct {
	cert *x509.Certificate
	der  []byte
	key  *rsa.PrivateKey
}

// certify makes a certificate, by itself where by is nil.
func certify(t *testing.T, by *signer, serial int64, name string, ca bool, use ...x509.ExtKeyUsage) *signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
		IsCA: ca, BasicConstraintsValid: true,
	}
	if c.ExtKeyUsage = use; !ca && use == nil {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	}
	s := &signer{c, nil, key}
	if by == nil {
		by = s
	}
	if s.der, err = x509.CreateCertificate(rand.Reader, c, by.cert, &key.PublicKey, by.key); err != nil {
		t.Fatal(err)
	}
	if s.cert, err = x509.ParseCertificate(s.der); err != nil {
		t.Fatal(err)
	}
	return s
}

// line writes the certificate's line of a list.
func (s *signer) line(name, trusted, flags string) string {
	var subject asn1.RawValue
	if _, err := asn1.Unmarshal(s.cert.RawSubject, &subject); err != nil {
		panic(err)
	}
	return fmt.Sprintf("%s;%s;%x;%x;%x;010001;%s;0;for a test\n", name, trusted, sha1.Sum(subject.Bytes), sha1.Sum(s.cert.SerialNumber.Bytes()), s.key.N, flags)
}

// TestTrust holds programs that are signed against lists of certificates, here and with clamscan.
func TestTrust(t *testing.T) {
	bin, err := exec.LookPath("osslsigncode")
	if err != nil {
		t.Skip("osslsigncode is not installed")
	}
	root := certify(t, nil, 0x1234, "A root", true)
	middle := certify(t, root, 0x2345, "Between", true)
	leaf, other := certify(t, middle, 0x5678, "A signer", false), certify(t, nil, 0x77, "Another root", true)
	work, dir := t.TempDir(), t.TempDir()
	save := func(name string, blocks ...*pem.Block) string {
		var b bytes.Buffer
		for _, k := range blocks {
			if err := pem.Encode(&b, k); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(work, name)
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert := func(s *signer) *pem.Block { return &pem.Block{Type: "CERTIFICATE", Bytes: s.der} }
	key := save("key.pem", &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(leaf.key)})
	plain := filepath.Join(dir, "plain.exe")
	if err := os.WriteFile(plain, icontest.Program(icontest.Bitmap(mrand.New(mrand.NewPCG(1, 2)))), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, with := range map[string]string{"whole": save("whole.pem", cert(leaf), cert(middle), cert(root)), "rootless": save("rootless.pem", cert(leaf), cert(middle))} {
		for _, sum := range []string{"sha1", "sha256"} {
			out := filepath.Join(dir, name+"-"+sum+".exe")
			if b, err := exec.Command(bin, "sign", "-certs", with, "-key", key, "-h", sum, "-in", plain, "-out", out).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, b)
			}
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "whole-sha256.exe"))
	if err != nil {
		t.Fatal(err)
	}
	b = slices.Clone(b)
	b[0x50] ^= 1 // in the stub for DOS
	if err := os.WriteFile(filepath.Join(dir, "changed.exe"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	all := func(plain, changed, whole, rootless int) map[string]int {
		return map[string]int{
			"plain.exe": plain, "changed.exe": changed, "whole-sha1.exe": whole, "whole-sha256.exe": whole, "rootless-sha1.exe": rootless, "rootless-sha256.exe": rootless,
		}
	}
	for _, c := range []struct {
		what, crb string
		want      map[string]int
	}{
		{"nothing", "", all(1, 1, 1, 1)},
		{"another root", other.line("Other", "1", "1;1;1"), all(1, 1, 1, 1)},
		{"the root", root.line("Root", "1", "1;1;1"), all(1, 1, 0, 0)},
		{"the root, for no programs", root.line("Root", "1", "0;1;1"), all(1, 1, 1, 1)},
		{"the root, for no certificates", root.line("Root", "1", "1;1;0"), all(1, 1, 1, 1)},
		{"the middle", middle.line("Middle", "1", "1;1;1"), all(1, 1, 0, 0)},
		{"the signer itself", leaf.line("Leaf", "1", "1;0;0"), all(1, 1, 1, 1)},
		{"the signer is revoked", leaf.line("Leaf", "0", "1;0;0"), all(1, 2, 2, 2)},
		{"the middle is revoked, the root trusted", root.line("Root", "1", "1;1;1") + middle.line("Middle", "0", "1;1;1"), all(1, 2, 1, 1)},
		{"the root is revoked", root.line("Root", "0", "1;1;1"), all(1, 2, 2, 1)},
	} {
		files := map[string]string{"m.ndb": "Program:1:*:50450000\n", "c.crb": c.crb}
		if c.crb == "" {
			delete(files, "c.crb")
		}
		db := t.TempDir()
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(db, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		t.Run(c.what, func(t *testing.T) { againstClamscan(t, compile(t, files), db, dir, c.want) })
	}
}

// TestTrustUse holds that what a trusted authority certified for something else allows no program: a web server's
// certificate, and one that a signer of programs made, who is no authority.
func TestTrustUse(t *testing.T) {
	bin, err := exec.LookPath("osslsigncode")
	if err != nil {
		t.Skip("osslsigncode is not installed")
	}
	root := certify(t, nil, 0x1234, "A root", true)
	leaf := certify(t, root, 0x5678, "A signer", false)
	work, dir := t.TempDir(), t.TempDir()
	plain := filepath.Join(work, "plain.exe")
	if err := os.WriteFile(plain, icontest.Program(icontest.Bitmap(mrand.New(mrand.NewPCG(1, 2)))), 0o600); err != nil {
		t.Fatal(err)
	}
	sign := func(name string, chain ...*signer) {
		var certs bytes.Buffer
		for _, s := range chain {
			if err := pem.Encode(&certs, &pem.Block{Type: "CERTIFICATE", Bytes: s.der}); err != nil {
				t.Fatal(err)
			}
		}
		key := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(chain[0].key)})
		for file, b := range map[string][]byte{"certs.pem": certs.Bytes(), "key.pem": key} {
			if err := os.WriteFile(filepath.Join(work, file), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out := filepath.Join(dir, name)
		if b, err := exec.Command(bin, "sign", "-certs", filepath.Join(work, "certs.pem"), "-key", filepath.Join(work, "key.pem"), "-h", "sha256", "-in", plain, "-out", out).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
	}
	sign("signed.exe", leaf, root)
	sign("web.exe", certify(t, root, 0x6789, "www.example", false, x509.ExtKeyUsageServerAuth), root)
	sign("forged.exe", certify(t, leaf, 0x789a, "Anybody", false), leaf, root)
	files := map[string]string{"m.ndb": "Program:1:*:50450000\n", "c.crb": root.line("Root", "1", "1;1;1")}
	db := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(db, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	compiled := compile(t, files)
	forged, err := os.ReadFile(filepath.Join(dir, "forged.exe"))
	if err != nil {
		t.Fatal(err)
	}
	if f := scan.New(compiled, scan.Options{}).Scan(showcause.Bytes(forged)).Findings; len(f) != 1 || f[0].Allowed != "" {
		t.Errorf("forged.exe: %+v", f)
	}
	// clamscan does not ask whether who certifies is an authority.
	againstClamscan(t, compiled, db, dir, map[string]int{"signed.exe": 0, "web.exe": 1})
}
