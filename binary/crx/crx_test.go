package crx

import (
	"archive/zip"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"reflect"
	"sync"
	"testing"

	"github.com/showcause/showcause"
)

const manifest = `{"manifest_version": 3, "name": "__MSG_appName__", "description": "plain", "version": "1.2.3", "minimum_chrome_version": "88",
"homepage_url": "https://example.org/", "default_locale": "de", "permissions": ["tabs", "storage"], "host_permissions": ["<all_urls>"],
"optional_permissions": ["topSites"], "optional_host_permissions": ["https://*/"], "background": {"service_worker": "x.js"}}`

func archive(files map[string]string) []byte {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, name := range []string{"manifest.json", "_locales/de/messages.json", "x.js"} {
		if text, ok := files[name]; ok {
			m, _ := w.Create(name)
			_, _ = m.Write([]byte(text))
		}
	}
	_ = w.Close()
	return buf.Bytes()
}

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func field(n uint64, b []byte) []byte {
	out := binary.AppendUvarint(nil, n<<3|2)
	return append(binary.AppendUvarint(out, uint64(len(b))), b...)
}

func version2(zip []byte) []byte {
	key := must(x509.MarshalPKIXPublicKey(&rsaKey().PublicKey))
	sum := sha1.Sum(zip)
	sig := must(rsa.SignPKCS1v15(rand.Reader, rsaKey(), crypto.SHA1, sum[:]))
	out := []byte("Cr24\x02\x00\x00\x00")
	out = binary.LittleEndian.AppendUint32(out, uint32(len(key)))
	out = binary.LittleEndian.AppendUint32(out, uint32(len(sig)))
	return append(append(append(out, key...), sig...), zip...)
}

func version3(zip []byte) []byte {
	signed := field(1, []byte("\x01\x23\x45\x67\x89\xab\xcd\xef\x00\x11\x22\x33\x44\x55\x66\x77"))
	h := sha256.New()
	h.Write([]byte("CRX3 SignedData\x00"))
	h.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(signed))))
	h.Write(signed)
	h.Write(zip)
	ec := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	one := append(field(1, must(x509.MarshalPKIXPublicKey(&rsaKey().PublicKey))), field(2, must(rsa.SignPKCS1v15(rand.Reader, rsaKey(), crypto.SHA256, h.Sum(nil))))...)
	two := append(field(1, must(x509.MarshalPKIXPublicKey(&ec.PublicKey))), field(2, must(ecdsa.SignASN1(rand.Reader, ec, h.Sum(nil))))...)
	header := append(append(append(field(3, two), field(2, one)...), 8, 1), field(10000, signed)...)
	out := binary.LittleEndian.AppendUint32([]byte("Cr24\x03\x00\x00\x00"), uint32(len(header)))
	return append(append(out, header...), zip...)
}

func ptr(s string) *string { return &s }

func TestParse(t *testing.T) {
	zip := archive(map[string]string{"manifest.json": manifest, "_locales/de/messages.json": `{"appName": {"message": "Ein Name"}}`})
	for n, b := range map[int][]byte{2: version2(zip), 3: version3(zip)} {
		f := Parse(showcause.Bytes(b), nil)
		if !f.OK || f.Version != n || len(f.ID) != 32 || f.Short() || len(f.Proofs) != n-1 {
			t.Fatalf("%+v", f)
		}
		want := &Manifest{
			ptr("1.2.3"), ptr("__MSG_appName__"), ptr("plain"), ptr("88"), ptr("https://example.org/"),
			[]string{"tabs", "storage"},
			[]string{"<all_urls>"},
			[]string{"topSites"},
			[]string{"https://*/"},
		}
		if !reflect.DeepEqual(f.Manifest, want) || *f.LocalName != "Ein Name" || *f.LocalDescription != "plain" || !f.Localized {
			t.Errorf("%+v", f.Manifest)
		}
		for _, p := range f.Proofs {
			if !f.Verify(p) {
				t.Errorf("version %d: a proof does not hold", n)
			}
			p.Signature = append([]byte{p.Signature[0] ^ 1}, p.Signature[1:]...)
			if f.Verify(p) {
				t.Errorf("version %d: a wrong proof holds", n)
			}
		}
	}
	if f := Parse(showcause.Bytes(version3(zip)), nil); f.ID != "abcdefghijklmnopaabbccddeeffgghh" {
		t.Error(f.ID)
	}
}

func TestNone(t *testing.T) {
	zip := archive(map[string]string{"x.js": "1"})
	if f := Parse(showcause.Bytes(version2(zip)), nil); !f.OK || f.Manifest != nil || f.Localized {
		t.Errorf("%+v", f)
	}
	for _, bad := range []string{`{"permissions": [1]}`, `{"name": 5}`, `[]`, `{"permissions": null}`, `{`} {
		if f := Parse(showcause.Bytes(version2(archive(map[string]string{"manifest.json": bad}))), nil); !f.OK || f.Manifest != nil {
			t.Errorf("%s: %+v", bad, f.Manifest)
		}
	}
	for _, b := range []string{"", "Cr24", "Cr24\x02\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff", "Cr24\x03\x00\x00\x00\x00\x00\x00\x00", "Cr24\x04\x00\x00\x00\x00\x00\x00\x00"} {
		if f := Parse(showcause.Bytes(b), nil); f.OK {
			t.Errorf("%q", b)
		}
	}
}

func everything(b []byte) []any {
	f := Parse(showcause.Bytes(b), nil)
	out := []any{f.OK, f.Version, f.HeaderSize, f.ID, f.Proofs, f.Manifest, f.LocalName, f.Short()}
	for i, p := range f.Proofs {
		if i < 3 {
			out = append(out, f.Verify(p))
		}
	}
	return out
}

func TestTruncated(t *testing.T) {
	b := version3(archive(map[string]string{"manifest.json": manifest}))
	for n := range b {
		everything(b[:n])
		old := b[n]
		for _, c := range []byte{0, 0xff} {
			b[n] = c
			everything(b)
		}
		b[n] = old
	}
}

func FuzzParse(f *testing.F) {
	zip := archive(map[string]string{"manifest.json": manifest})
	f.Add(version2(zip))
	f.Add(version3(zip))
	f.Fuzz(func(t *testing.T, b []byte) {
		if one, two := everything(b), everything(b); !reflect.DeepEqual(one, two) {
			t.Error("two answers")
		}
	})
}
