// Package authenticode reads the signatures of PE files and who made them.
//
// A signature is a PKCS #7 SignedData over the digest of the file:
//
//	ContentInfo
//	  SignedData
//	    content: SpcIndirectDataContent: digest of the file
//	    certificates
//	    SignerInfo
//	      signed attributes: digest of the content, name of the program
//	      signature of these attributes
//	      unsigned attributes
//	        further signatures (nested), each a ContentInfo
//	        countersignatures: a SignerInfo (PKCS #9), or a ContentInfo with a
//	        time stamp (RFC 3161)
//
// That a signature is verified means that the digests are right and the signatures
// of the signer and, in YARA-X's reading, of the certificates that are there. It
// says nothing of trust: there is no list of whom to trust, and no certificate is
// too old.
//
// Sources: Microsoft, "Windows Authenticode Portable Executable Signature Format";
// RFC 2315, RFC 5652, RFC 3161, RFC 5280; what YARA 4.5.8 and YARA-X 1.19 make of
// malformed ones.
package authenticode

import (
	"bytes"
	"encoding/hex"
	"hash"
)

const (
	maxNested       = 16 // values of an attribute that YARA 4 reads
	maxSignatures   = 64 // of one file
	maxCertificates = 1024
)

// Options are how signatures are read. The zero value works.
type Options struct {
	// YARA4 follows YARA 4 where it and YARA-X disagree.
	YARA4 bool
	// Unverified leaves out what costs: Verified and FileDigest are not known.
	Unverified bool
	// File writes the bytes to a digest that a signature is made of, false if the
	// file has none. Nil: as if it had none.
	File func(hash.Hash) bool
	// Work is charged for each step; reading stops where it is false.
	Work func(steps int64) bool
}

// Signature is one signature of a file. Digests are hexadecimal.
type Signature struct {
	Verified        bool
	Digest          string // of the file, as signed
	DigestAlgorithm string
	FileDigest      string // of the file as it is
	Certificates    []*Certificate
	Signer          *Signer // nil where YARA 4 does not come so far
	Countersigned   bool    // whether countersignatures were looked for
	Counters        []Counter
}

// Signer is the signer of a signature.
type Signer struct {
	Program         string // name of the program, UTF-8
	ProgramKnown    bool
	MoreInfo        string // an address in the web
	Digest          string // of what is signed
	DigestAlgorithm string
	Chain           []*Certificate // the signer's, its issuer's and so on
	ChainKnown      bool
}

// Counter is a countersignature: when a signature was made.
type Counter struct {
	Verified        bool
	Time            int64 // seconds since 1970
	TimeKnown       bool
	Digest          string
	DigestAlgorithm string
	Chain           []*Certificate
	ChainKnown      bool
}

// parser reads the signatures of one file.
type parser struct {
	budget
	o       Options
	checks  int
	found   int
	certs   int
	digests map[string]string // of the file, by algorithm; empty: none
}

// Parse reads the signatures in the entries of a file's certificate table, each the
// bytes of a PKCS #7 ContentInfo in BER. cut says that a bound was reached, so that
// there is more than was read or verified.
func Parse(table [][]byte, o Options) (list []Signature, cut bool) {
	p := &parser{budget: budget{left: maxElements, work: o.Work}, o: o, digests: map[string]string{}}
	for _, data := range table {
		if o.YARA4 {
			return p.parse4(data, 0), p.cut
		}
		e, _, ok := p.next(data)
		if !ok {
			break
		}
		more, ok := p.parseX(e, 0)
		if !ok {
			break
		}
		list = append(list, more...)
	}
	return list, p.cut
}

// signedData is a SignedData.
type signedData struct {
	version    int
	algorithms int
	content    element // of type contentType
	kind       string
	hasContent bool
	certs      []*Certificate
	signers    []*signerInfo
}

// signerInfo is a SignerInfo.
type signerInfo struct {
	issuer    element
	serial    []byte
	algorithm string // digest
	signed    []element
	signedRaw []byte // the attributes' bytes
	hasSigned bool
	signature []byte
	unsigned  []element
}

// contentInfo is the type and content of a ContentInfo.
func (p *parser) contentInfo(e element) (kind string, content element, ok bool) {
	parts, ok := p.children(e.body)
	if !e.is(tagSequence) || !ok || len(parts) == 0 || !parts[0].is(tagOID) {
		return "", content, false
	}
	kind = oid(parts[0])
	if len(parts) > 1 && parts[1].field(0) {
		content, _, ok = p.next(parts[1].body)
		return kind, content, ok
	}
	return kind, content, true
}

// signed reads the SignedData of a ContentInfo.
func (p *parser) signed(e element) (*signedData, bool) {
	kind, content, ok := p.contentInfo(e)
	if !ok || kind != oidSignedData || !content.is(tagSequence) {
		return nil, false
	}
	parts, ok := p.children(content.body)
	if !ok || len(parts) < 4 || !parts[0].is(tagInteger) || !parts[1].is(tagSet) {
		return nil, false
	}
	s := &signedData{}
	if len(parts[0].body) == 1 {
		s.version = int(parts[0].body[0])
	}
	list, ok := p.children(parts[1].body)
	if !ok {
		return nil, false
	}
	s.algorithms = len(list)
	if s.kind, s.content, ok = p.contentInfo(parts[2]); !ok {
		return nil, false
	}
	s.hasContent = s.content.raw != nil
	for _, e := range parts[3:] {
		switch {
		case e.field(0):
			if s.certs, ok = p.certificates(e); !ok {
				return nil, false
			}
		case e.is(tagSet):
			list, _ := p.children(e.body)
			for _, e := range list {
				si, ok := p.signer(e)
				if !ok {
					return nil, false
				}
				s.signers = append(s.signers, si)
			}
		}
	}
	return s, true
}

// certificates reads the X.509 certificates of a set of certificates.
func (p *parser) certificates(set element) (out []*Certificate, ok bool) {
	list, ok := p.children(set.body)
	if !ok {
		return nil, false
	}
	for _, e := range list {
		if !e.is(tagSequence) {
			continue
		}
		if p.certs++; p.certs > maxCertificates {
			p.cut = true
			return out, true
		}
		c, ok := p.certificate(e)
		if !ok {
			return nil, false
		}
		out = append(out, c)
	}
	return out, true
}

// signer reads a SignerInfo.
func (p *parser) signer(e element) (*signerInfo, bool) {
	parts, ok := p.children(e.body)
	if !e.is(tagSequence) || !ok || len(parts) < 5 {
		return nil, false
	}
	s := &signerInfo{algorithm: p.algorithmID(parts[2])}
	if id, ok := p.children(parts[1].body); ok && parts[1].is(tagSequence) && len(id) >= 2 {
		s.issuer, s.serial = id[0], id[1].body
	}
	parts = parts[3:]
	if parts[0].field(0) {
		if s.signed, ok = p.children(parts[0].body); !ok {
			return nil, false
		}
		s.signedRaw, s.hasSigned = parts[0].body, true
		parts = parts[1:]
	}
	if len(parts) < 2 || !parts[1].is(tagOctets) {
		return nil, false
	}
	s.signature = p.octets(parts[1])
	if len(parts) > 2 && parts[2].field(1) {
		s.unsigned, _ = p.children(parts[2].body)
	}
	return s, true
}

// values are the values of the first attribute of a type.
func (p *parser) values(attributes []element, kind string) []element {
	for _, a := range attributes {
		parts, ok := p.children(a.body)
		if ok && len(parts) >= 2 && oid(parts[0]) == kind {
			v, _ := p.children(parts[1].body)
			return v
		}
	}
	return nil
}

// value is the first value of a signed attribute.
func (p *parser) value(s *signerInfo, kind string) (element, bool) {
	v := p.values(s.signed, kind)
	if len(v) == 0 {
		return element{}, false
	}
	return v[0], true
}

// indirect is the digest in a SpcIndirectDataContent and its algorithm.
func (p *parser) indirect(s *signedData) (algorithm string, digest []byte, ok bool) {
	parts, ok := p.children(s.content.body)
	if s.kind != oidIndirectData || !s.hasContent || !ok || len(parts) < 2 {
		return "", nil, false
	}
	info, ok := p.children(parts[1].body)
	if !ok || len(info) < 2 || !info[1].is(tagOctets) {
		return "", nil, false
	}
	return p.algorithmID(info[0]), p.octets(info[1]), true
}

// opus reads the name of the program and where to learn more (SpcSpOpusInfo).
func (p *parser) opus(s *signerInfo, out *Signer) {
	v, ok := p.value(s, oidOpusInfo)
	if !ok {
		return
	}
	fields, _ := p.children(v.body)
	for _, f := range fields {
		in, _, ok := p.next(f.body)
		switch {
		case !ok:
		case f.field(0) && in.field(0):
			out.Program, out.ProgramKnown = bmp(in.body), true
		case f.field(0) && in.field(1):
			out.Program, out.ProgramKnown = latin(in.body), true
		case f.field(1) && in.field(0):
			out.MoreInfo = latin(in.body)
		}
	}
}

// fileDigest is the digest of the file, hexadecimal.
func (p *parser) fileDigest(alg algorithm) (string, bool) {
	if p.o.Unverified {
		return "", false
	}
	d, known := p.digests[alg.name]
	if !known {
		h := alg.new()
		if p.o.File != nil && p.o.File(h) {
			d = hex.EncodeToString(h.Sum(nil))
		}
		p.digests[alg.name] = d
	}
	return d, d != ""
}

// sum is the digest of bytes.
func sum(alg algorithm, b []byte) []byte {
	h := alg.new()
	_, _ = h.Write(b)
	return h.Sum(nil)
}

// setOf is a set with the given content in DER, which is what is signed of
// attributes.
func setOf(body []byte) []byte {
	out := []byte{0x31}
	switch n := len(body); {
	case n < 0x80:
		out = append(out, byte(n))
	case n < 1<<8:
		out = append(out, 0x81, byte(n))
	case n < 1<<16:
		out = append(out, 0x82, byte(n>>8), byte(n))
	default:
		out = append(out, 0x83, byte(n>>16), byte(n>>8), byte(n))
	}
	return append(out, body...)
}

// verifySigner tells whether the signature of a SignerInfo is one of its
// attributes, or of content if it has none, by the key of a certificate.
func (p *parser) verifySigner(s *signerInfo, content []byte, c *Certificate, raw bool) bool {
	alg, ok := digest(s.algorithm)
	if !ok || p.o.Unverified {
		return false
	}
	b := content
	if s.hasSigned {
		b = setOf(s.signedRaw)
	}
	return p.verify(c.key, alg, sum(alg, b), s.signature, raw)
}

// holds tells whether want is the digest of bytes.
func holds(algorithm string, b, want []byte) bool {
	alg, ok := digest(algorithm)
	return ok && bytes.Equal(sum(alg, b), want)
}

// bySerial is the certificate of a signer: in YARA 4 by issuer and serial number,
// in YARA-X by the number.
func (p *parser) bySerial(s *signerInfo, certs []*Certificate) *Certificate {
	for _, c := range certs {
		if p.step() && s.serial != nil && sameNumber(c.serial, s.serial) && (!p.o.YARA4 || p.sameName(c.issuer, s.issuer)) {
			return c
		}
	}
	return nil
}

// sameNumber compares integers by their value.
func sameNumber(a, b []byte) bool {
	return bytes.Equal(bytes.TrimLeft(a, "\x00"), bytes.TrimLeft(b, "\x00"))
}

// stamp is the content of a time stamp (RFC 3161, TSTInfo).
type stamp struct {
	algorithm string
	digest    []byte
	time      int64
	timeKnown bool
}

// stamp reads the TSTInfo of a SignedData; raw is its bytes, which are signed.
func (p *parser) stamp(s *signedData) (t stamp, raw []byte, ok bool) {
	if !s.hasContent {
		return t, nil, false
	}
	raw = p.octets(s.content)
	e, _, ok := p.next(raw)
	if !ok {
		return t, nil, false
	}
	parts, _ := p.children(e.body)
	if len(parts) < 5 {
		return t, nil, false
	}
	imprint, _ := p.children(parts[2].body)
	if len(imprint) < 2 {
		return t, nil, false
	}
	t.algorithm, t.digest = p.algorithmID(imprint[0]), p.octets(imprint[1])
	t.time, t.timeKnown = moment(parts[4])
	return t, raw, true
}
