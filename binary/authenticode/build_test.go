package authenticode

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"hash"
	"math/big"
	"sync"
	"testing"
	"time"
)

// person has a key and a certificate.
type person struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// people are the root, a signer with an RSA key, one with an ECDSA key, and a
// maker of time stamps; made once.
var people = sync.OnceValues(func() (map[string]person, error) {
	out := map[string]person{}
	for i, name := range []string{"root", "rsa", "ecdsa", "stamper"} {
		var key crypto.Signer
		var err error
		if name == "ecdsa" {
			key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		} else {
			key, err = rsa.GenerateKey(rand.Reader, 2048)
		}
		if err != nil {
			return nil, err
		}
		c := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i)*0x100 + 0x80), NotBefore: time.Unix(1600000000, 0), NotAfter: time.Unix(1900000000, 0),
			Subject: pkix.Name{Country: []string{"DE"}, Organization: []string{"Große + Söhne"}, CommonName: name}, IsCA: name == "root",
			BasicConstraintsValid: true,
		}
		parent := person{c, key}
		if name != "root" {
			parent = out["root"]
		}
		der, err := x509.CreateCertificate(rand.Reader, c, parent.cert, key.Public(), parent.key)
		if err != nil {
			return nil, err
		}
		if c, err = x509.ParseCertificate(der); err != nil {
			return nil, err
		}
		out[name] = person{c, key}
	}
	return out, nil
})

func who(t testing.TB, name string) person {
	t.Helper()
	p, err := people()
	if err != nil {
		t.Fatal(err)
	}
	return p[name]
}

// tlv is an element.
func tlv(tag byte, parts ...[]byte) []byte {
	var body []byte
	for _, p := range parts {
		body = append(body, p...)
	}
	out := setOf(body)
	out[0] = tag
	return out
}

func id(dotted asn1.ObjectIdentifier) []byte {
	b, err := asn1.Marshal(dotted)
	if err != nil {
		panic(err)
	}
	return b
}

var (
	idSHA256     = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	idSignedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	idIndirect   = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 4}
	idPEImage    = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 15}
	idType       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	idDigest     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	idTime       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
	idCounter    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 6}
	idTST        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	idOpus       = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 12}
	idNested     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 4, 1}
	idStamp      = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 3, 3, 1}
	idRSA        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
)

func algorithmOf(o asn1.ObjectIdentifier) []byte { return tlv(0x30, id(o), []byte{5, 0}) }

func attr(o asn1.ObjectIdentifier, values ...[]byte) []byte {
	return tlv(0x30, id(o), tlv(0x31, values...))
}

func digestOf(b []byte) []byte { s := sha256.Sum256(b); return s[:] }

// signerInfoOf signs a digest of a content of a type.
func signerInfoOf(t testing.TB, p person, kind asn1.ObjectIdentifier, digest []byte, signed, unsigned [][]byte) []byte {
	t.Helper()
	attrs := [][]byte{attr(idType, id(kind)), attr(idDigest, tlv(4, digest))}
	attrs = append(attrs, signed...)
	set := tlv(0x31, attrs...)
	sum := digestOf(set)
	sig, err := p.key.Sign(rand.Reader, sum, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := asn1.Marshal(p.cert.SerialNumber)
	parts := [][]byte{
		{2, 1, 1},
		tlv(0x30, p.cert.RawIssuer, serial), algorithmOf(idSHA256), tlv(0xA0, set[len(set)-len(join(attrs)):]),
		algorithmOf(idRSA), tlv(4, sig),
	}
	if unsigned != nil {
		parts = append(parts, tlv(0xA1, unsigned...))
	}
	return tlv(0x30, parts...)
}

func join(parts [][]byte) (out []byte) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// signedDataOf is a ContentInfo with a SignedData.
func signedDataOf(version byte, kind asn1.ObjectIdentifier, content []byte, signers []byte, certs ...person) []byte {
	var raw [][]byte
	for _, p := range certs {
		raw = append(raw, p.cert.Raw)
	}
	return tlv(0x30, id(idSignedData), tlv(0xA0, tlv(0x30,
		[]byte{2, 1, version}, tlv(0x31, algorithmOf(idSHA256)), tlv(0x30, id(kind), tlv(0xA0, content)),
		tlv(0xA0, raw...), tlv(0x31, signers))))
}

// signatureOf a SignerInfo, its signature.
func signatureOf(t testing.TB, si []byte) []byte {
	t.Helper()
	p := parser{budget: budget{left: 1000}}
	e, _, _ := p.next(si)
	s, ok := p.signer(e)
	if !ok {
		t.Fatal("no signer")
	}
	return s.signature
}

const fileText = "the file that is signed"

// file writes the file of the tests.
func file(h hash.Hash) bool { _, _ = h.Write([]byte(fileText)); return true }

// indirectOf is the content that says what the digest of a file is.
func indirectOf(digest []byte) []byte {
	return tlv(0x30, tlv(0x30, id(idPEImage), []byte{0x30, 0}), tlv(0x30, algorithmOf(idSHA256), tlv(4, digest)))
}

// inner is the content of an element without its header.
func inner(b []byte) []byte {
	p := parser{budget: budget{left: 10}}
	e, _, _ := p.next(b)
	return e.body
}

// authenticode signs the file; unsigned makes the unsigned attributes from the
// signature.
func authenticode(t testing.TB, signer string, digest []byte, unsigned func(signature []byte) [][]byte) []byte {
	t.Helper()
	p := who(t, signer)
	content := indirectOf(digest)
	opus := attr(idOpus, tlv(0x30, tlv(0xA0, tlv(0x80, []byte("\x00P\x00r\x00\xf6"))), tlv(0xA1, tlv(0x80, []byte("http://example.org/")))))
	// Signing twice would give another signature of ECDSA, so that the attributes
	// are put in afterwards.
	si := signerInfoOf(t, p, idIndirect, digestOf(inner(content)), [][]byte{opus}, nil)
	if unsigned != nil {
		si = tlv(0x30, inner(si), tlv(0xA1, unsigned(signatureOf(t, si))...))
	}
	return signedDataOf(1, idIndirect, content, si, who(t, "root"), p, who(t, "stamper"))
}

// stampOf is a time stamp of a signature.
func stampOf(t testing.TB, signature []byte) []byte {
	t.Helper()
	tst := tlv(0x30, []byte{2, 1, 1}, id(asn1.ObjectIdentifier{1, 2, 3}), tlv(0x30, algorithmOf(idSHA256), tlv(4, digestOf(signature))),
		[]byte{2, 1, 9}, tlv(0x18, []byte("20240102030405Z")))
	si := signerInfoOf(t, who(t, "stamper"), idTST, digestOf(tst), [][]byte{attr(idTime, tlv(0x17, []byte("240102030406Z")))}, nil)
	return signedDataOf(3, idTST, tlv(4, tst), si, who(t, "stamper"), who(t, "root"))
}

// counterOf is a countersignature of PKCS #9.
func counterOf(t testing.TB, signature []byte) []byte {
	t.Helper()
	data := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	return signerInfoOf(t, who(t, "stamper"), data, digestOf(signature), [][]byte{attr(idTime, tlv(0x17, []byte("240102030405Z")))}, nil)
}
