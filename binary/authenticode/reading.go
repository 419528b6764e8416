package authenticode

import "encoding/hex"

// parse4 reads a signature and those nested in it as YARA 4 does: whatever is
// there is a signature, and one that is not understood has few fields.
func (p *parser) parse4(data []byte, depth int) []Signature {
	if p.found++; p.found > maxSignatures || depth > maxNested {
		p.cut = true
		return nil
	}
	sig := Signature{}
	e, _, ok := p.next(data)
	if !ok {
		return []Signature{sig}
	}
	s, ok := p.signed(e)
	if !ok {
		return []Signature{sig}
	}
	sig.Certificates = s.certs
	nested, valid := p.fill4(&sig, s, depth)
	p.finish4(&sig, valid)
	return append([]Signature{sig}, nested...)
}

// fill4 reads what is in a SignedData, as far as it is there, and verifies it but
// for the file.
func (p *parser) fill4(sig *Signature, s *signedData, depth int) (nested []Signature, valid bool) {
	alg, sum, ok := p.indirect(s)
	if !ok {
		return nil, false
	}
	sig.DigestAlgorithm, sig.Digest = algorithmName(alg), hex.EncodeToString(sum)
	sig.Signer = &Signer{}
	if len(s.signers) == 0 {
		return nil, false
	}
	si := s.signers[0]
	sig.Countersigned = true
	for i, v := range p.values(si.unsigned, oidNested) {
		if i < maxNested {
			nested = append(nested, p.parse4(v.raw, depth+1)...)
		}
	}
	for i, v := range p.values(si.unsigned, oidCountersign) {
		if i < maxNested {
			sig.Counters = append(sig.Counters, p.counter4(v, si, s.certs))
		}
	}
	for i, v := range p.values(si.unsigned, oidTimestamp) {
		if i < maxNested {
			c, certs := p.stamp4(v, si)
			sig.Counters = append(sig.Counters, c)
			sig.Certificates = append(sig.Certificates[:len(sig.Certificates):len(sig.Certificates)], certs...)
		}
	}
	var cert *Certificate
	for i, si := range s.signers {
		c := p.bySerial(si, s.certs)
		if c == nil {
			return nested, false
		}
		if i == 0 {
			cert = c
		}
	}
	sig.Signer.Chain, sig.Signer.ChainKnown = p.chain(cert, s.certs), true
	md, ok := p.value(si, oidMessageDigest)
	if !ok {
		return nested, false
	}
	sig.Signer.DigestAlgorithm, sig.Signer.Digest = algorithmName(si.algorithm), hex.EncodeToString(p.octets(md))
	p.opus(si, sig.Signer)
	return nested, holds(si.algorithm, s.content.body, p.octets(md)) && p.verifySigner(si, s.content.body, cert, false)
}

// finish4 compares the digest of the file.
func (p *parser) finish4(sig *Signature, valid bool) {
	for _, id := range []string{
		"1.2.840.113549.2.5", "1.3.14.3.2.26", "2.16.840.1.101.3.4.2.1", "2.16.840.1.101.3.4.2.2",
		"2.16.840.1.101.3.4.2.3", "2.16.840.1.101.3.4.2.4",
	} {
		alg, _ := digest(id)
		if alg.name != sig.DigestAlgorithm || sig.Digest == "" {
			continue
		}
		if d, ok := p.fileDigest(alg); ok {
			sig.FileDigest = d
			sig.Verified = valid && d == sig.Digest
		}
	}
}

// counter4 reads a countersignature by PKCS #9.
func (p *parser) counter4(v element, signer *signerInfo, certs []*Certificate) (c Counter) {
	si, ok := p.signer(v)
	if !ok {
		return c
	}
	c.DigestAlgorithm = algorithmName(si.algorithm)
	when, ok := p.value(si, oidSigningTime)
	if !ok {
		return c
	}
	c.Time, c.TimeKnown = moment(when)
	cert := p.bySerial(si, certs)
	if cert == nil {
		return c
	}
	c.Chain, c.ChainKnown = p.chain(cert, certs), true
	md, ok := p.value(si, oidMessageDigest)
	if !ok || len(p.octets(md)) == 0 {
		return c
	}
	if _, ok := digest(si.algorithm); !ok {
		return c
	}
	c.Digest = hex.EncodeToString(p.octets(md))
	c.Verified = p.verifySigner(si, nil, cert, true) && holds(si.algorithm, signer.signature, p.octets(md))
	return c
}

// stamp4 reads a time stamp, and the certificates that come with it.
func (p *parser) stamp4(v element, signer *signerInfo) (c Counter, certs []*Certificate) {
	s, ok := p.signed(v)
	if !ok {
		return c, nil
	}
	t, raw, ok := p.stamp(s)
	if !ok || s.kind != oidTSTInfo || !t.timeKnown {
		return c, s.certs
	}
	c.Time, c.TimeKnown = t.time, true
	if len(s.signers) == 0 {
		return c, s.certs
	}
	si := s.signers[0]
	cert := p.bySerial(si, s.certs)
	if cert == nil {
		return c, s.certs
	}
	c.Chain, c.ChainKnown = p.chain(cert, s.certs), true
	c.DigestAlgorithm, c.Digest = algorithmName(t.algorithm), hex.EncodeToString(t.digest)
	md, _ := p.value(si, oidMessageDigest)
	c.Verified = holds(t.algorithm, signer.signature, t.digest) && holds(si.algorithm, raw, p.octets(md)) &&
		p.verifySigner(si, raw, cert, false)
	return c, s.certs
}

// parseX reads a signature and those nested in it as YARA-X does: what is not
// right is none.
func (p *parser) parseX(e element, depth int) (out []Signature, ok bool) {
	if p.found++; p.found > maxSignatures || depth > maxNested {
		p.cut = true
		return nil, true
	}
	s, ok := p.signed(e)
	if !ok || s.version != 1 || s.algorithms != 1 || len(s.signers) != 1 {
		return nil, false
	}
	si := s.signers[0]
	stored, want, ok := p.indirect(s)
	md, ok1 := p.value(si, oidMessageDigest)
	_, ok2 := p.value(si, oidContentType)
	alg, ok3 := digest(si.algorithm)
	if !ok || !ok1 || !ok2 || !ok3 {
		return nil, false
	}
	sig := Signature{
		Digest: hex.EncodeToString(want), DigestAlgorithm: algorithmName(stored), Certificates: s.certs, Countersigned: true,
		Signer: &Signer{Digest: hex.EncodeToString(p.octets(md)), DigestAlgorithm: algorithmName(si.algorithm), ChainKnown: true},
	}
	p.opus(si, sig.Signer)
	var nested []Signature
	var counters []counterX
	for _, a := range si.unsigned {
		parts, ok := p.children(a.body)
		if !ok || len(parts) < 2 {
			continue
		}
		values, _ := p.children(parts[1].body)
		switch oid(parts[0]) {
		case oidNested:
			for _, v := range values {
				if more, ok := p.parseX(v, depth+1); ok {
					nested = append(nested, more...)
				}
			}
		case oidTimestamp, oidCountersign:
			more, ok := p.countersX(values, oid(parts[0]) == oidTimestamp, si, &sig)
			if !ok {
				return nil, false
			}
			counters = append(counters, more...)
		}
	}
	sig.FileDigest, _ = p.fileDigest(alg)
	sig.Verified = sig.FileDigest == sig.Digest && sig.Digest != "" && holds(si.algorithm, s.content.body, p.octets(md)) &&
		p.verifyX(si, sig.Certificates)
	for _, c := range counters {
		if first := p.bySerial(c.si, sig.Certificates); first != nil {
			c.Chain = p.chain(first, sig.Certificates)
		}
		c.ChainKnown = true
		sig.Counters = append(sig.Counters, c.Counter)
	}
	if first := p.signerCertificate(si, sig.Certificates); first != nil {
		sig.Signer.Chain = p.chain(first, sig.Certificates)
	}
	return append([]Signature{sig}, nested...), true
}

// signerCertificate is the signer's certificate. YARA-X takes the first of the
// signer's issuer, which can be that of somebody else, or of the issuer itself;
// here the serial number decides if there is one that has it.
func (p *parser) signerCertificate(si *signerInfo, certs []*Certificate) *Certificate {
	var found *Certificate
	for _, c := range certs {
		if !p.step() || !p.sameName(c.issuer, si.issuer) {
			continue
		}
		if sameNumber(c.serial, si.serial) {
			return c
		}
		if found == nil {
			found = c
		}
	}
	return found
}

// counterX is a countersignature whose chain is made once all certificates are
// known.
type counterX struct {
	Counter
	si *signerInfo
}

// countersX reads the values of an attribute with countersignatures. ok is false
// where YARA-X gives the whole signature up.
func (p *parser) countersX(values []element, stamps bool, signer *signerInfo, sig *Signature) (out []counterX, ok bool) {
	for _, v := range values {
		var c counterX
		if !stamps {
			if c.si, ok = p.signer(v); !ok {
				continue
			}
			if !p.counterX(&c) {
				return nil, false
			}
			md, _ := p.value(c.si, oidMessageDigest)
			c.Verified = holds(c.si.algorithm, signer.signature, p.octets(md)) && p.verifyX(c.si, sig.Certificates)
			out = append(out, c)
			continue
		}
		s, ok := p.signed(v)
		if !ok {
			continue
		}
		sig.Certificates = append(sig.Certificates[:len(sig.Certificates):len(sig.Certificates)], s.certs...)
		if len(s.signers) == 0 {
			continue
		}
		c.si = s.signers[0]
		if !p.counterX(&c) {
			return nil, false
		}
		t, raw, ok := p.stamp(s)
		if !ok {
			continue
		}
		c.DigestAlgorithm, c.Digest = algorithmName(t.algorithm), hex.EncodeToString(t.digest)
		md, _ := p.value(c.si, oidMessageDigest)
		c.Verified = holds(t.algorithm, signer.signature, t.digest) && holds(c.si.algorithm, raw, p.octets(md)) &&
			p.verifyX(c.si, sig.Certificates)
		out = append(out, c)
	}
	return out, true
}

// counterX reads digest and time of a countersignature's signer.
func (p *parser) counterX(c *counterX) bool {
	md, ok := p.value(c.si, oidMessageDigest)
	if !ok {
		return false
	}
	c.DigestAlgorithm, c.Digest = algorithmName(c.si.algorithm), hex.EncodeToString(p.octets(md))
	if when, ok := p.value(c.si, oidSigningTime); ok && when.is(tagUTCTime) {
		c.Time, c.TimeKnown = moment(when)
	}
	return true
}

// verifyX verifies the attributes of a signer, and the certificates up from its.
func (p *parser) verifyX(si *signerInfo, certs []*Certificate) bool {
	cert := p.bySerial(si, certs)
	if cert == nil || !si.hasSigned {
		return false
	}
	return p.verifyChain(p.chain(cert, certs)) && p.verifySigner(si, nil, cert, true)
}
