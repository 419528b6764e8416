package cvd

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// testKey is made once: tests sign with it instead of ClamAV's.
var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func testTrust() Trust {
	k := &testKey().PublicKey
	return Trust{Container: k, Info: k, Diff: k}
}

// write is a number in ClamAV's digits.
func write(v *big.Int) string {
	var b strings.Builder
	for v = new(big.Int).Set(v); v.Sign() > 0; v.Rsh(v, 6) {
		b.WriteByte(digits[new(big.Int).And(v, big.NewInt(63)).Int64()])
	}
	return b.String()
}

// signMD5 signs a digest as containers are signed.
func signMD5(b []byte) string {
	sum := md5.Sum(b)
	k := testKey()
	return write(new(big.Int).Exp(new(big.Int).SetBytes(sum[:]), k.D, k.N))
}

// signPSS signs as lists and scripts are signed.
func signPSS(t testing.TB, b []byte) string {
	sum := sha256.Sum256(b)
	s, err := rsa.SignPSS(rand.Reader, testKey(), crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: 32})
	if err != nil {
		t.Fatal(err)
	}
	return write(new(big.Int).SetBytes(s))
}

// infoOf is the list of members, signed.
func infoOf(t testing.TB, version int, s Set) []byte {
	b := fmt.Appendf(nil, "ClamAV-VDB:01 Jan 2026 10-00 +0000:%d:3:90:X:X:tester:1767261600\n", version)
	for _, name := range s.order("") {
		if name != "COPYING" {
			b = fmt.Appendf(b, "%s:%d:%x\n", name, len(s[name]), sha256.Sum256(s[name]))
		}
	}
	return fmt.Appendf(b, "DSIG:%s\n", signPSS(t, b))
}

// made is a .cvd file of a version of a database.
func made(t testing.TB, version int, s Set) []byte {
	var body bytes.Buffer
	z := gzip.NewWriter(&body)
	w := tar.NewWriter(z)
	all := Set{"t.info": infoOf(t, version, s)}
	for n, b := range s {
		all[n] = b
	}
	for _, name := range all.order("t.info") {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(all[name])), Format: tar.FormatUSTAR}); err != nil {
			t.Fatal(err)
		}
		w.Write(all[name])
	}
	w.Close()
	z.Close()
	return append(pad(fmt.Sprintf("ClamAV-VDB:01 Jan 2026 10-00 +0000:%d:3:90:%x:%s:tester:1767261600",
		version, md5.Sum(body.Bytes()), signMD5(body.Bytes()))), body.Bytes()...)
}

func prove(kind string, b []byte, tr Trust, sign []byte) (*File, error) {
	f, err := Open("t."+kind, kind, bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	return f, f.Prove(tr, sign)
}

var sample = Set{"COPYING": []byte("free\n"), "t.ndb": []byte("A:0:*:414243\nB:0:*:424344\n"), "t.hdb": []byte("x\n")}

func TestProve(t *testing.T) {
	cvd := made(t, 7, sample)
	f, err := prove("cvd", cvd, testTrust(), nil)
	if err != nil || f.Header.Version != 7 || f.Proof != "signature in the header (RSA, MD5) and of the list of members (RSA, SHA-256)" || f.SignName() != "t-7.cvd.sign" {
		t.Fatalf("%+v %v", f, err)
	}
	if _, err := prove("cvd", cvd, Official(), nil); !errors.Is(err, ErrSignature) {
		t.Errorf("by another key: %v", err)
	}
	if _, err := prove("cvd", cvd, Trust{}, nil); !errors.Is(err, ErrSignature) {
		t.Errorf("without a key: %v", err)
	}
	if f, err := prove("cvd", cvd, Trust{Unsigned: true}, nil); err != nil || !strings.HasPrefix(f.Proof, "unsigned (") {
		t.Errorf("unsigned: %v", err)
	}
	only := testTrust()
	only.Detached = true
	if _, err := prove("cvd", cvd, only, nil); !errors.Is(err, ErrUnsigned) {
		t.Errorf("detached only: %v", err)
	}
	set, err := f.Unpack()
	if err != nil {
		t.Fatal(err)
	}
	var cld bytes.Buffer
	if err := WriteCLD(&cld, set); err != nil {
		t.Fatal(err)
	}
	if f, err = prove("cld", cld.Bytes(), testTrust(), nil); err != nil || f.Proof != "signature of the list of members (RSA, SHA-256)" {
		t.Errorf("%v", err)
	}
	for name, change := range map[string]func(Set){
		"member":  func(s Set) { s["t.ndb"] = []byte("C:0:*:414243\n") },
		"more":    func(s Set) { s["z.ndb"] = []byte("C:0:*:414243\n") },
		"less":    func(s Set) { delete(s, "t.hdb") },
		"list":    func(s Set) { s["t.info"] = bytes.Replace(s["t.info"], []byte(":7:"), []byte(":8:"), 1) },
		"no sign": func(s Set) { s["t.info"], _, _ = bytes.Cut(s["t.info"], []byte("DSIG")) },
		"no list": func(s Set) { delete(s, "t.info"); s["u.info"] = []byte("ClamAV-VDB:x:7:1:1:X:X:x:1\nt.ndb:1:0\n") },
	} {
		s := Set{}
		for n, b := range set {
			s[n] = b
		}
		change(s)
		var b bytes.Buffer
		if err := WriteCLD(&b, s); err != nil {
			t.Fatal(err)
		}
		if _, err := prove("cld", b.Bytes(), testTrust(), nil); err == nil {
			t.Errorf("%s changed: taken", name)
		}
	}
	// A header of another version over a list that is signed: freshclam would think that it is up to date.
	b := bytes.Replace(cld.Bytes(), []byte(":7:"), []byte(":9:"), 1)
	if _, err := prove("cld", b, testTrust(), nil); err == nil || !strings.Contains(err.Error(), "version 7") {
		t.Errorf("header of version 9: %v", err)
	}
}

// Whatever bit is changed, and wherever it is cut: none is proven.
func TestProveChanged(t *testing.T) {
	cvd := made(t, 7, sample)
	for i := 0; i < len(cvd); i++ {
		if i >= 11 && i < 11+len("01 Jan 2026 10-00 +0000:7:3:90:") || i > bytes.Index(cvd, []byte(":tester")) && i < HeaderSize {
			continue // fields that nothing signs
		}
		b := bytes.Clone(cvd)
		b[i] ^= 0x15
		if _, err := prove("cvd", b, testTrust(), nil); err == nil {
			t.Errorf("byte %d changed: taken", i)
		}
	}
	for i := range cvd {
		if _, err := prove("cvd", cvd[:i], testTrust(), nil); err == nil {
			t.Errorf("cut at %d: taken", i)
		}
	}
}

// The database that ClamAV signed.
func TestProveReal(t *testing.T) {
	root := os.Getenv("SHOWCAUSE_DATA")
	if root == "" {
		t.Skip("SHOWCAUSE_DATA is not set")
	}
	b, err := os.ReadFile(filepath.Join(root, "clamav", "bytecode.cvd"))
	if err != nil {
		t.Skip(err)
	}
	f, err := prove("cvd", b, Official(), nil)
	if err != nil || f.Proof != "signature in the header (RSA, MD5) and of the list of members (RSA, SHA-256)" || f.Header.Version != 268 {
		t.Fatalf("%+v %v", f, err)
	}
	b[len(b)-1] ^= 1
	if _, err := prove("cvd", b, Official(), nil); err == nil {
		t.Error("changed: taken")
	}
}

func TestNumber(t *testing.T) {
	for _, s := range []string{"", "-", "ab c", strings.Repeat("b", maxNumber+1)} {
		if _, ok := number(s); ok {
			t.Errorf("%.20q is a number", s)
		}
	}
	for _, v := range []int64{1, 63, 64, 1 << 40, 987654321} {
		if got, ok := number(write(big.NewInt(v))); !ok || got.Int64() != v {
			t.Errorf("%d: %v", v, got)
		}
	}
	k := &testKey().PublicKey
	if raise(k, write(k.N)) != nil || raise(nil, "b") != nil {
		t.Error("what is no signature has a value")
	}
}

func FuzzOpen(f *testing.F) {
	cvd := made(f, 7, sample)
	f.Add(uint8(0), cvd)
	f.Add(uint8(1), cvd)
	f.Add(uint8(2), cvd)
	tr := testTrust()
	tr.Unsigned = true
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		k := []string{"cvd", "cld", "cud"}[kind%3]
		_, err1 := prove(k, b, tr, nil)
		_, err2 := prove(k, b, tr, nil)
		if (err1 == nil) != (err2 == nil) {
			t.Errorf("%v, then %v", err1, err2)
		}
	})
}
