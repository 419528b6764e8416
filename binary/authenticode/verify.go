package authenticode

import (
	"bytes"
	"crypto/dsa" //lint:ignore SA1019 old signatures have it
	"crypto/ecdsa"
	"crypto/elliptic"
	"math/big"
)

const (
	maxModulus  = 8192 // bits
	maxExponent = 32   // bits
	maxChecks   = 256  // signatures of one file that are computed
)

// verify tells whether sum, a digest by alg, is what was signed with the key of a
// certificate. raw allows an RSA signature of the digest alone.
func (p *parser) verify(key element, alg algorithm, sum, signature []byte, raw bool) bool {
	if p.o.Unverified {
		return false
	}
	if p.checks++; p.checks > maxChecks {
		p.cut = true
		return false
	}
	if p.work != nil && !p.work(1<<12) {
		p.cut = true
		return false
	}
	parts, ok := p.children(key.body)
	if !ok || len(parts) < 2 || !parts[1].is(tagBits) || len(parts[1].body) < 2 {
		return false
	}
	about, ok := p.children(parts[0].body)
	if !ok || len(about) == 0 {
		return false
	}
	bits := parts[1].body[1:]
	switch oid(about[0]) {
	case oidRSA:
		return p.verifyRSA(bits, alg, sum, signature, raw)
	case oidEC:
		return len(about) > 1 && verifyEC(oid(about[1]), bits, sum, signature)
	case oidDSA:
		return len(about) > 1 && p.verifyDSA(about[1], bits, sum, signature)
	}
	return false
}

// numbers reads integers in a row.
func (p *parser) numbers(body []byte, n int) []*big.Int {
	list, ok := p.children(body)
	if !ok || len(list) < n {
		return nil
	}
	var out []*big.Int
	for _, e := range list[:n] {
		if !e.is(tagInteger) || len(e.body) > maxModulus/8+1 {
			return nil
		}
		out = append(out, new(big.Int).SetBytes(e.body))
	}
	return out
}

// verifyRSA is RSASSA-PKCS1-v1_5 (RFC 8017, 8.2.2), here because the library's
// refuses the short keys that old signatures have.
func (p *parser) verifyRSA(bits []byte, alg algorithm, sum, signature []byte, raw bool) bool {
	e, _, ok := p.next(bits)
	if !ok {
		return false
	}
	k := p.numbers(e.body, 2)
	return k != nil && holdsRSA(k[0], k[1], alg, sum, signature, raw)
}

// holdsRSA is RSASSA-PKCS1-v1_5 by a modulus n and an exponent e.
func holdsRSA(n, e *big.Int, alg algorithm, sum, signature []byte, raw bool) bool {
	if n.BitLen() < 256 || n.BitLen() > maxModulus || e.BitLen() > maxExponent || e.Sign() == 0 {
		return false
	}
	size := (n.BitLen() + 7) / 8
	s := new(big.Int).SetBytes(signature)
	if len(signature) > size+1 || s.Cmp(n) >= 0 {
		return false
	}
	em := make([]byte, size)
	s.Exp(s, e, n).FillBytes(em)
	if em[0] != 0 || em[1] != 1 {
		return false
	}
	pad, t, ok := bytes.Cut(em[2:], []byte{0})
	if !ok || len(pad) < 8 || len(bytes.Trim(pad, "\xff")) != 0 {
		return false
	}
	return bytes.Equal(t, append([]byte(alg.prefix), sum...)) || raw && bytes.Equal(t, sum)
}

// verifyEC is ECDSA over one of the curves of NIST.
func verifyEC(curve string, point, sum, signature []byte) bool {
	var c elliptic.Curve
	switch curve {
	case oidP256:
		c = elliptic.P256()
	case oidP384:
		c = elliptic.P384()
	case oidP521:
		c = elliptic.P521()
	default:
		return false
	}
	key, err := ecdsa.ParseUncompressedPublicKey(c, point)
	return err == nil && ecdsa.VerifyASN1(key, sum, signature)
}

// verifyDSA is DSA (FIPS 186-4).
func (p *parser) verifyDSA(parameters element, bits, sum, signature []byte) bool {
	v := p.numbers(parameters.body, 3)
	y, _, ok1 := p.next(bits)
	rs, _, ok2 := p.next(signature)
	if v == nil || !ok1 || !ok2 || len(y.body) > maxModulus/8+1 || v[0].BitLen() > 4096 || v[0].Sign() == 0 || v[1].Sign() == 0 {
		return false
	}
	s := p.numbers(rs.body, 2)
	if s == nil {
		return false
	}
	key := &dsa.PublicKey{Parameters: dsa.Parameters{P: v[0], Q: v[1], G: v[2]}, Y: new(big.Int).SetBytes(y.body)}
	return dsa.Verify(key, sum[:min(len(sum), (v[1].BitLen()+7)/8)], s[0], s[1])
}

// verifyChain tells whether each certificate of a chain was signed by the next.
func (p *parser) verifyChain(chain []*Certificate) bool {
	for i := 0; i+1 < len(chain) && !p.o.Unverified; i++ {
		c := chain[i]
		alg, ok := digest(c.AlgorithmOID)
		if !ok {
			return false
		}
		h := alg.new()
		_, _ = h.Write(c.tbs)
		if !p.verify(chain[i+1].key, alg, h.Sum(nil), c.signature, true) {
			return false
		}
	}
	return true
}
