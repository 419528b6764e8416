package inline

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/blowfish" //lint:ignore SA1019 OpenOffice enciphered by it

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

func TestManifest(t *testing.T) {
	const plain = `<manifest:manifest><manifest:file-entry manifest:full-path="content.xml"/></manifest:manifest>`
	const sealed = `<manifest:manifest><manifest:file-entry manifest:full-path="content.xml"><manifest:encryption-data/></manifest:file-entry></manifest:manifest>`
	if r := unpacktest.Walk(t, Manifest(), []byte(plain), noLimits); len(r.Gaps) > 0 {
		t.Error(r)
	}
	if r := unpacktest.Walk(t, Manifest(), []byte(sealed), noLimits); !r.Has("encrypted") {
		t.Error(r)
	}
	if !Manifest().Match(&unpack.Probe{Name: "META-INF/manifest.xml"}) || Manifest().Match(&unpack.Probe{Name: "manifest.xml"}) {
		t.Error("match")
	}
}

// sealedDocument is a package of OpenDocument 1.2 whose parts are encrypted.
func sealedDocument(t testing.TB, password string, edit func(list string) string, parts ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	put := func(name string, data []byte) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put("mimetype", []byte("application/vnd.oasis.opendocument.text"))
	b64, list := base64.StdEncoding.EncodeToString, ""
	for i, p := range parts {
		name, salt, iv := fmt.Sprintf("part%d.xml", i), bytes.Repeat([]byte{byte(i + 1)}, 16), bytes.Repeat([]byte{byte(i + 7)}, 16)
		start := sha256.Sum256([]byte(password))
		key, err := pbkdf2.Key(sha1.New, string(start[:]), salt, 1000, 32)
		if err != nil {
			t.Fatal(err)
		}
		var z bytes.Buffer
		w, _ := flate.NewWriter(&z, 9)
		w.Write([]byte(p))
		w.Close()
		b := z.Bytes()
		sum := sha256.Sum256(b[:min(len(b), 1024)])
		fill := 16 - len(b)%16
		b = append(b, bytes.Repeat([]byte{byte(fill)}, fill)...)
		c, _ := aes.NewCipher(key)
		cipher.NewCBCEncrypter(c, iv).CryptBlocks(b, b)
		put(name, b)
		list += fmt.Sprintf(`<m:file-entry m:full-path="%s" m:size="%d"><m:encryption-data m:checksum-type="urn:x#sha256-1k" m:checksum="%s"><m:algorithm m:algorithm-name="http://x#aes256-cbc" m:initialisation-vector="%s"/>`+
			`<m:start-key-generation m:start-key-generation-name="http://x#sha256" m:key-size="32"/><m:key-derivation m:key-derivation-name="PBKDF2" m:key-size="32" m:iteration-count="1000" m:salt="%s"/></m:encryption-data></m:file-entry>`,
			name, len(p), b64(sum[:]), b64(iv), b64(salt))
	}
	if edit != nil {
		list = edit(list)
	}
	put("META-INF/manifest.xml", []byte(`<m:manifest xmlns:m="x"><m:file-entry m:full-path="/"/>`+list+`</m:manifest>`))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestBlowfish deciphers what was enciphered block by block, from every place on.
func TestBlowfish(t *testing.T) {
	text := []byte(strings.Repeat("what nobody is to read, ", 9) + "end")
	b, err := blowfish.NewCipher([]byte("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	iv, sealed := []byte("8 bytes!"), make([]byte, len(text))
	last := iv
	for at := 0; at < len(text); at += 8 {
		var mask [8]byte
		b.Encrypt(mask[:], last)
		for i := at; i < min(at+8, len(text)); i++ {
			sealed[i] = text[i] ^ mask[i-at]
		}
		last = sealed[at:min(at+8, len(text))]
	}
	c := &cfb{showcause.Bytes(sealed), b, iv}
	for off := range text {
		for _, n := range []int{1, 7, 8, 9, len(text)} {
			got := make([]byte, n)
			k, err := c.ReadAt(got, int64(off))
			if want := text[off:min(off+n, len(text))]; !bytes.Equal(got[:k], want) || err != nil && k == n {
				t.Fatalf("%d bytes at %d: %q, %v, want %q", n, off, got[:k], err, want)
			}
		}
	}
}

// both reads a package as the whole does, the list of parts behind it.
func both(t testing.TB, b []byte) unpacktest.Result {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	f := unpack.Format{Name: "odf", Match: OpenDocument().Match, Walk: func(src showcause.Source, out *unpack.Out) {
		OpenDocument().Walk(src, out)
		r, err := z.Open("META-INF/manifest.xml")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var list bytes.Buffer
		list.ReadFrom(r)
		Manifest().Walk(showcause.Bytes(list.Bytes()), out)
	}}
	return unpacktest.Walk(t, f, b, noLimits)
}

func TestOpenDocument(t *testing.T) {
	long := strings.Repeat("<p>a long part</p>", 500)
	r := both(t, sealedDocument(t, "infected", nil, "<p>one</p>", long))
	if r.Child(t, "odf.decrypted", "part0.xml") != "<p>one</p>" || r.Child(t, "odf.decrypted", "part1.xml") != long || len(r.Gaps) > 0 {
		t.Error(r)
	}
	for name, edit := range map[string]func(string) string{
		"another cipher": func(s string) string { return strings.Replace(s, "aes256-cbc", "aes256-gcm", 1) }, "no part": func(s string) string { return strings.Replace(s, "part0.xml", "nowhere", 1) },
		"another sum": func(s string) string { return strings.Replace(s, "sha256-1k", "md5-1k", 1) }, "too many rounds": func(s string) string { return strings.Replace(s, `count="1000"`, `count="2000000000"`, 1) },
		"no vector": func(s string) string { return strings.Replace(s, "initialisation-vector", "x", 1) },
	} {
		r := both(t, sealedDocument(t, "infected", edit, "<p>one</p>", long))
		if r.Ops() != "odf.decrypted part1.xml" || len(r.Gaps) != 1 || !r.Has(showcause.Encrypted) {
			t.Errorf("%s: %v", name, r)
		}
	}
	if r := both(t, sealedDocument(t, "nobody knows it", nil, "<p>one</p>", long)); len(r.Children) > 0 || len(r.Gaps) != 2 {
		t.Error(r)
	}
	if r := both(t, sealedDocument(t, "infected", func(s string) string { return strings.Replace(s, "<m:file-entry", "<m:other", 2) }, long)); !r.Has(showcause.Encrypted) {
		t.Errorf("a list that names no part: %v", r)
	}
}

// TestOpenDocumentCut cuts a package and changes it: no panic, and the same twice.
func TestOpenDocumentCut(t *testing.T) {
	b := sealedDocument(t, "infected", nil, "<p>one</p>")
	for n := 0; n < len(b); n += 3 {
		unpacktest.Walk(t, OpenDocument(), b[:n], noLimits)
		flipped := bytes.Clone(b)
		flipped[n] ^= 0x55
		one, two := unpacktest.Walk(t, OpenDocument(), flipped, noLimits), unpacktest.Walk(t, OpenDocument(), flipped, noLimits)
		if one.String() != two.String() {
			t.Errorf("changed at %d: two walks differ", n)
		}
	}
}

func FuzzOpenDocument(f *testing.F) {
	unpacktest.Fuzz(f, OpenDocument(), sealedDocument(f, "infected", nil, "<p>one</p>"))
}
