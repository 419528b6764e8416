package cvd

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
)

// Object identifiers (RFC 5652, sections 4, 5.1 and 11; RFC 5754, section 2).
const (
	oidData          = "1.2.840.113549.1.7.1"
	oidSignedData    = "1.2.840.113549.1.7.2"
	oidContentType   = "1.2.840.113549.1.9.3"
	oidMessageDigest = "1.2.840.113549.1.9.4"
	oidSHA256        = "2.16.840.1.101.3.4.2.1"
	oidSHA384        = "2.16.840.1.101.3.4.2.2"
	oidSHA512        = "2.16.840.1.101.3.4.2.3"
)

type contentInfo struct {
	Kind    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,optional,tag:0"`
}

// signedData is SignedData (RFC 5652, 5.1).
type signedData struct {
	Version      int
	Algorithms   asn1.RawValue // a set
	Content      contentInfo
	Certificates asn1.RawValue `asn1:"optional,tag:0"`
	Revocations  asn1.RawValue `asn1:"optional,tag:1"`
	Signers      []signerInfo  `asn1:"set"`
}

// signerInfo is SignerInfo (RFC 5652, 5.3), the signer named by issuer and number.
type signerInfo struct {
	Version int
	Signer  struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}
	Digest     pkix.AlgorithmIdentifier
	Attributes asn1.RawValue `asn1:"optional,tag:0"`
	Algorithm  pkix.AlgorithmIdentifier
	Signature  []byte
	Unsigned   asn1.RawValue `asn1:"optional,tag:1"`
}

type attribute struct {
	Kind   asn1.ObjectIdentifier
	Values asn1.RawValue `asn1:"set"`
}

var errCMS = errors.New("signature file: no PKCS#7 signature")

// verify checks a detached SignedData over the content with these digests. An
// error that wraps ErrSignature says that it is one of another content, or of
// somebody whom the roots do not name.
func (d digests) verify(roots *x509.CertPool, der []byte) (who string, err error) {
	var outer contentInfo
	var s signedData
	if rest, err := asn1.Unmarshal(der, &outer); err != nil || len(rest) > 0 || outer.Kind.String() != oidSignedData {
		return "", errCMS
	}
	if rest, err := asn1.Unmarshal(outer.Content.Bytes, &s); err != nil || len(rest) > 0 {
		return "", errCMS
	}
	if s.Content.Kind.String() != oidData || len(s.Content.Content.Bytes) > 0 {
		return "", errors.New("signature file: a signature that is not detached")
	}
	certs, err := x509.ParseCertificates(s.Certificates.Bytes)
	if err != nil || len(s.Signers) == 0 || len(s.Signers) > 16 || len(certs) > 64 {
		return "", errCMS
	}
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
	}
	for i := range s.Signers { // all of them have to hold
		c, err := d.signer(&s.Signers[i], certs)
		if err != nil {
			return "", err
		}
		if _, err := c.Verify(x509.VerifyOptions{Roots: roots, Intermediates: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
			return "", fmt.Errorf("%w: %w", ErrSignature, err)
		}
		who = c.Subject.CommonName
	}
	return who, nil
}

// signer checks one signature and returns the certificate whose key made it.
func (d digests) signer(s *signerInfo, certs []*x509.Certificate) (*x509.Certificate, error) {
	var cert *x509.Certificate
	for _, c := range certs {
		if s.Signer.Serial != nil && c.SerialNumber.Cmp(s.Signer.Serial) == 0 && bytes.Equal(c.RawIssuer, s.Signer.Issuer.FullBytes) {
			cert = c
		}
	}
	if cert == nil {
		return nil, errors.New("signature file: the signer's certificate is not in it")
	}
	hash, ok := map[string]crypto.Hash{oidSHA256: crypto.SHA256, oidSHA384: crypto.SHA384, oidSHA512: crypto.SHA512}[s.Digest.Algorithm.String()]
	if !ok {
		return nil, fmt.Errorf("signature file: digest %s is not taken", s.Digest.Algorithm)
	}
	sum := d[hash]
	if len(s.Attributes.FullBytes) > 0 {
		if !attributesSay(s.Attributes.Bytes, sum) {
			return nil, fmt.Errorf("%w: it is one of another content", ErrSignature)
		}
		set := bytes.Clone(s.Attributes.FullBytes)
		set[0] = 0x31 // they are signed as a SET (RFC 5652, 5.4)
		h := hash.New()
		h.Write(set)
		sum = h.Sum(nil)
	}
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		ok = rsa.VerifyPKCS1v15(key, hash, sum, s.Signature) == nil
	case *ecdsa.PublicKey:
		ok = ecdsa.VerifyASN1(key, sum, s.Signature)
	default:
		return nil, errors.New("signature file: the signer's key is of a kind that is not taken")
	}
	if !ok {
		return nil, ErrSignature
	}
	return cert, nil
}

// attributesSay tells whether the signed attributes are for data with this digest.
func attributesSay(b, sum []byte) bool {
	kind, digest := false, false
	for len(b) > 0 {
		var a attribute
		rest, err := asn1.Unmarshal(b, &a)
		if err != nil {
			return false
		}
		b = rest
		switch a.Kind.String() {
		case oidContentType:
			var v asn1.ObjectIdentifier
			rest, err := asn1.Unmarshal(a.Values.Bytes, &v)
			if err != nil || len(rest) > 0 || kind || v.String() != oidData {
				return false
			}
			kind = true
		case oidMessageDigest:
			var v []byte
			rest, err := asn1.Unmarshal(a.Values.Bytes, &v)
			if err != nil || len(rest) > 0 || digest || !bytes.Equal(v, sum) {
				return false
			}
			digest = true
		}
	}
	return kind && digest
}
