package authenticode

import "math/big"

// Names are the subject and the issuer, DER without the outermost tag and length; Number is the
// serial number, likewise.
func (c *Certificate) Names() (subject, issuer []byte) { return c.subject.body, c.issuer.body }

// Number is the serial number, big-endian as it stands.
func (c *Certificate) Number() []byte { return c.serial }

// RSA returns the certificate's public key, if that is one of RSA.
func (c *Certificate) RSA() (modulus, exponent *big.Int, ok bool) {
	p := &parser{budget: budget{left: keySteps}}
	parts, ok := p.children(c.key.body)
	if !ok || len(parts) < 2 || !parts[1].is(tagBits) || len(parts[1].body) < 2 {
		return nil, nil, false
	}
	about, ok := p.children(parts[0].body)
	if !ok || len(about) == 0 || oid(about[0]) != oidRSA {
		return nil, nil, false
	}
	e, _, ok := p.next(parts[1].body[1:])
	if !ok {
		return nil, nil, false
	}
	k := p.numbers(e.body, 2)
	if k == nil {
		return nil, nil, false
	}
	return k[0], k[1], true
}

// keySteps bounds the elements of a key that are read.
const keySteps = 64

// SignedBy tells whether a key of RSA signed the certificate.
func (c *Certificate) SignedBy(modulus, exponent *big.Int) bool {
	alg, ok := digest(c.AlgorithmOID)
	return ok && holdsRSA(modulus, exponent, alg, sum(alg, c.tbs), c.signature, false)
}
