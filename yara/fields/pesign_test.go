package fields

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// pair makes a certificate and its key in files, signed by a parent or by itself.
func pair(t *testing.T, dir, name string, use x509.ExtKeyUsage, parent *x509.Certificate, by *rsa.PrivateKey) (*x509.Certificate, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(0xC0FFEE), Subject: pkix.Name{Country: []string{"DE"}, CommonName: name},
		NotBefore: time.Unix(1600000000, 0), NotAfter: time.Unix(4000000000, 0), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if parent == nil {
		c.SerialNumber = big.NewInt(1)
		parent, by, c.IsCA, c.BasicConstraintsValid, c.KeyUsage = c, key, true, true, x509.KeyUsageCertSign
	} else {
		c.ExtKeyUsage = []x509.ExtKeyUsage{use}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	write := func(suffix, kind string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name+suffix), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(".pem", "CERTIFICATE", der)
	write(".key", "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
	return c, key
}

// TestSigned reads what another program signed.
func TestSigned(t *testing.T) {
	tool, err := exec.LookPath("osslsigncode")
	if err != nil {
		t.Skip("osslsigncode is not installed")
	}
	files, _ := filepath.Glob("/usr/*-w64-mingw32/lib/libwinpthread-1.dll")
	if len(files) == 0 {
		t.Skip("no PE file that can be signed")
	}
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	ca, by := pair(t, dir, "ca", 0, nil, nil)
	pair(t, dir, "signer", x509.ExtKeyUsageCodeSigning, ca, by)
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
			t.Skipf("osslsigncode: %v %s", err, out)
		}
	}
	for _, in := range files {
		_ = os.Remove(at("one"))
		_ = os.Remove(at("two"))
		run("sign", "-certs", at("signer.pem"), "-ac", at("ca.pem"), "-key", at("signer.key"), "-h", "sha1", "-n", "Pro \"gram\"", "-in", in, "-out", at("one"))
		run("sign", "-nest", "-certs", at("signer.pem"), "-ac", at("ca.pem"), "-key", at("signer.key"), "-h", "sha384", "-in", at("one"), "-out", at("two"))
		data, err := os.ReadFile(at("two"))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []source.Dialect{source.YARA, source.YARAX} {
			for path, want := range map[string]string{
				"number_of_signatures": "2", "is_signed": "1",
				"signatures.[0].verified": "1", "signatures.[0].digest_alg": `"sha1"`, "signatures.[0].subject": `"/C=DE/CN=signer"`,
				"signatures.[0].issuer": `"/C=DE/CN=ca"`, "signatures.[0].serial": `"00:c0:ff:ee"`, "signatures.[0].version": "3",
				"signatures.[0].algorithm": `"sha256WithRSAEncryption"`, "signatures.[0].not_before": "1600000000",
				"signatures.[0].not_after": "4000000000", "signatures.[0].signer_info.program_name": `"Pro "gram""`,
				"signatures.[0].signer_info.chain.[1].subject": `"/C=DE/CN=ca"`,
				"signatures.[1].verified":                      "1", "signatures.[1].digest_alg": `"sha384"`,
			} {
				if got := show(lookup(open(t, "pe", memory(data), d), path)); got != want {
					t.Errorf("%v: %s is %s, want %s", d, path, got, want)
				}
			}
			v := lookup(open(t, "pe", memory(data), d), "signatures.[0]")
			for when, want := range map[int64]string{1599999999: "0", 1600000000: "1", 4000000000: "1", 4000000001: "0"} {
				if got := show(call(v, "valid_on", module.IntValue(when))); got != want {
					t.Errorf("%v: valid on %d: %s", d, when, got)
				}
			}
			data[len(data)/2] ^= 1
			v = open(t, "pe", memory(data), d)
			for path, want := range map[string]string{"is_signed": "0", "signatures.[0].verified": "0", "signatures.[1].verified": "0", "signatures.[1].serial": `"00:c0:ff:ee"`} {
				if got := show(lookup(v, path)); got != want {
					t.Errorf("%v: changed: %s is %s, want %s", d, path, got, want)
				}
			}
			if a, b := show(lookup(v, "signatures.[0].digest")), show(lookup(v, "signatures.[0].file_digest")); a == b || !strings.HasPrefix(b, `"`) {
				t.Errorf("%v: digests %s and %s", d, a, b)
			}
			data[len(data)/2] ^= 1
		}
	}
}

// Who signed is said without reading the file.
func TestSignedLazily(t *testing.T) {
	read := 0
	v, _ := New(executable(), Host{Read: func(int64) bool { read++; return true }}).Module("pe", source.YARAX)
	lookup(v, "signatures.[0].serial")
	lookup(v, "number_of_signatures")
	if read > 0 {
		t.Error("the file was read")
	}
	if call(v, "calculate_checksum"); read != 1 {
		t.Error("the file was not asked for")
	}
	refused, _ := New(executable(), Host{Read: func(int64) bool { return false }}).Module("pe", source.YARAX)
	if got := call(refused, "calculate_checksum"); got.Defined() {
		t.Error("a checksum of nothing")
	}
}
