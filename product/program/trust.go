package program

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"slices"
	"time"
)

// Anchors are the certificates of roots that whoever asks trusts to say who somebody is. Without one a signature
// proves no name: anybody can make a certificate in any.
type Anchors struct {
	pem  []byte
	pool *x509.CertPool
}

// NewAnchors takes certificates as PEM. They are parsed once they are wanted.
func NewAnchors(pem []byte) *Anchors { return &Anchors{pem: pem} }

// maxChain is how many certificates of a chain are tried.
const maxChain = 16

// apple is the arc of Apple's own extensions (1.2.840.113635.100), which are critical in what it gives out, and limit only what
// Apple's systems run.
var apple = asn1.ObjectIdentifier{1, 2, 840, 113635, 100}

// Lead tells whether a chain of certificates in DER, the signer's first, leads to an anchor, by rules of
// RFC 5280 for code signing, at the time when the signer's was given out. Revocation is not asked.
func (a *Anchors) Lead(chain [][]byte) bool {
	if a == nil || len(a.pem) == 0 || len(chain) == 0 || len(chain) > maxChain {
		return false
	}
	if a.pool == nil {
		a.pool = x509.NewCertPool()
		for rest := a.pem; ; {
			var b *pem.Block
			if b, rest = pem.Decode(rest); b == nil {
				break
			}
			if c, err := x509.ParseCertificate(b.Bytes); err == nil && b.Type == "CERTIFICATE" {
				a.pool.AddCert(c)
			}
		}
	}
	var first *x509.Certificate
	between := x509.NewCertPool()
	for i, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return false
		}
		c.UnhandledCriticalExtensions = slices.DeleteFunc(c.UnhandledCriticalExtensions, func(id asn1.ObjectIdentifier) bool {
			return len(id) > len(apple) && slices.Equal(id[:len(apple)], apple)
		})
		if i == 0 {
			first = c
		} else {
			between.AddCert(c)
		}
	}
	_, err := first.Verify(x509.VerifyOptions{
		Roots: a.pool, Intermediates: between, CurrentTime: first.NotBefore.Add(time.Minute), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	})
	return err == nil
}
