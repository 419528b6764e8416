package program_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/showcause/showcause/product/program"
)

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate; by nil makes one of itself.
func issue(t *testing.T, by *authority, name string, ca bool, usage ...x509.ExtKeyUsage) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Unix(1600000000, 0), NotAfter: time.Unix(1600086400, 0),
		IsCA: ca, BasicConstraintsValid: true, ExtKeyUsage: usage,
	}
	a := &authority{c, key}
	parent := by
	if by == nil {
		parent = a
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent.cert, &key.PublicKey, parent.key)
	if err == nil {
		a.cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestLead holds which chains lead to a root that is trusted: not those of a root that names itself as one, nor of
// whoever signs with a certificate that is none of an authority.
func TestLead(t *testing.T) {
	root := issue(t, nil, "Root", true)
	between := issue(t, root, "Between", true)
	vendor := issue(t, between, "Vendor", false, x509.ExtKeyUsageCodeSigning)
	site := issue(t, between, "www.example.org", false, x509.ExtKeyUsageServerAuth)
	forged := issue(t, site, "Vendor", false, x509.ExtKeyUsageCodeSigning)
	namesake := issue(t, nil, "Root", true)
	own := issue(t, namesake, "Vendor", false, x509.ExtKeyUsageCodeSigning)
	anchors := program.NewAnchors(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.cert.Raw}))
	chain := func(list ...*authority) (out [][]byte) {
		for _, a := range list {
			out = append(out, a.cert.Raw)
		}
		return out
	}
	for _, v := range []struct {
		name  string
		chain [][]byte
		want  bool
	}{
		{"vendor", chain(vendor, between), true},
		{"with its root", chain(vendor, between, root), true},
		{"without what is between", chain(vendor), false},
		{"a certificate for web sites", chain(site, between), false},
		{"signed with that", chain(forged, site, between), false},
		{"a root of its own", chain(own, namesake), false},
		{"the root of the same name left out", chain(own), false},
		{"not a certificate", [][]byte{{1, 2}}, false},
		{"nothing", nil, false},
	} {
		if got := anchors.Lead(v.chain); got != v.want {
			t.Errorf("%s: %t", v.name, got)
		}
	}
	var none *program.Anchors
	if none.Lead(chain(vendor, between)) || program.NewAnchors([]byte("no certificate")).Lead(chain(vendor, between)) {
		t.Error("somebody is trusted without a root")
	}
}
