package fields

import (
	"hash"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/authenticode"
	"github.com/showcause/showcause/yara/module"
)

// peSignatures are the signatures of a file in one dialect: what they say, and once
// it is asked for, whether it is true.
type peSignatures struct {
	m        *peModule
	said     []authenticode.Signature
	verified []authenticode.Signature
	checked  bool
	file     func(h hash.Hash) bool // writes what is signed to a digest
}

// signatures reads what the signatures say.
func (m *peModule) signatures() *peSignatures {
	if m.sigs != nil {
		return m.sigs
	}
	s := &peSignatures{m: m}
	s.file = func(h hash.Hash) bool {
		defer m.l.peGaps(m.f)
		return m.f.Digest(h)
	}
	m.sigs = s
	if !m.f.ok {
		return s
	}
	if m.f.data == nil {
		m.f.data = [][]byte{}
		for _, c := range m.f.Certificates() {
			m.f.data = append(m.f.data, c.Data)
		}
	}
	s.said = s.parse(authenticode.Options{Unverified: true})
	return s
}

func (s *peSignatures) parse(o authenticode.Options) []authenticode.Signature {
	o.YARA4, o.Work = s.m.yara4(), s.m.l.work
	list, cut := authenticode.Parse(s.m.f.data, o)
	if cut {
		s.m.l.gap(showcause.LimitWork)
	}
	return list
}

// check verifies the signatures, which reads the whole file.
func (s *peSignatures) check(i int) *authenticode.Signature {
	if !s.checked {
		s.checked = true
		l := s.m.l
		o := authenticode.Options{File: func(h hash.Hash) bool {
			if l.h.Read != nil && !l.h.Read(l.in.Size()) {
				l.gap(showcause.LimitWork)
				return false
			}
			return s.file(h)
		}}
		s.verified = s.parse(o)
	}
	if i >= len(s.verified) {
		return &authenticode.Signature{}
	}
	return &s.verified[i]
}

// signed are the fields of signatures.
func (m *peModule) signed(name string) (module.Value, bool) {
	switch name {
	case "signatures", "is_signed", "number_of_signatures":
	default:
		return module.Value{}, false
	}
	s := m.signatures()
	switch name {
	case "number_of_signatures":
		return m.count(len(s.said)), true
	case "is_signed":
		if !m.f.ok || m.yara4() && len(s.said) == 0 {
			return module.Value{}, true
		}
		any, last := false, false
		for i := range s.said {
			last = s.check(i).Verified
			any = any || last
		}
		if m.yara4() {
			any = last // the last one decides there
		}
		return flag(m.d, any), true
	}
	out := make([]module.Value, len(s.said))
	for i := range s.said {
		out[i] = structure(&peSignature{s: s, i: i, have: module.Tree{}})
	}
	return list(out), true
}

// peSignature are the fields of a signature.
type peSignature struct {
	s    *peSignatures
	i    int
	have module.Tree
}

// Field is the field of that name.
func (p *peSignature) Field(name string) module.Value {
	v, ok := p.have[name]
	if !ok {
		v = p.get(name)
		p.have[name] = v
	}
	return v
}

func (p *peSignature) get(name string) module.Value {
	m, sig := p.s.m, &p.s.said[p.i]
	switch name {
	case "verified":
		return flag(m.d, p.s.check(p.i).Verified)
	case "file_digest":
		return filled(p.s.check(p.i).FileDigest)
	case "digest":
		return filled(sig.Digest)
	case "digest_alg":
		return filled(sig.DigestAlgorithm)
	case "number_of_certificates":
		return number(len(sig.Certificates))
	case "certificates":
		return m.certificates(sig.Certificates)
	case "signer_info":
		return m.signer(sig.Signer)
	case "number_of_countersignatures":
		return number(len(sig.Counters))
	case "countersignatures":
		return p.counters(sig.Counters)
	}
	var c *authenticode.Certificate
	if sig.Signer != nil && len(sig.Signer.Chain) > 0 {
		c = sig.Signer.Chain[0]
	}
	if name == "valid_on" {
		return function(func(a []module.Value) module.Value {
			if c == nil || !c.DatesKnown || len(a) != 1 || !a[0].Defined() {
				return module.Value{}
			}
			return flag(m.d, a[0].Int >= c.NotBefore && a[0].Int <= c.NotAfter)
		})
	}
	if c == nil {
		return module.Value{}
	}
	return m.certificate(c).Field(name)
}

// filled is a text, undefined if it is empty.
func filled(s string) module.Value { return textIf(s, s != "") }

// certificate are the fields of a certificate.
func (m *peModule) certificate(c *authenticode.Certificate) module.Tree {
	return module.Tree{
		"thumbprint": module.TextValue(c.Thumbprint), "issuer": module.TextValue(c.Issuer), "subject": module.TextValue(c.Subject),
		"version": number(c.Version), "algorithm": module.TextValue(c.Algorithm), "algorithm_oid": module.TextValue(c.AlgorithmOID),
		"serial": filled(c.Serial), "not_before": numberIf(c.NotBefore, c.DatesKnown), "not_after": numberIf(c.NotAfter, c.DatesKnown),
	}
}

func (m *peModule) certificates(of []*authenticode.Certificate) module.Value {
	out := make([]module.Value, len(of))
	for i, c := range of {
		out[i] = structure(m.certificate(c))
	}
	return list(out)
}

// signer are the fields of a signer.
func (m *peModule) signer(s *authenticode.Signer) module.Value {
	if s == nil {
		return structure(module.Tree{})
	}
	return structure(module.Tree{
		"program_name": textIf(s.Program, s.ProgramKnown), "more_info": filled(s.MoreInfo),
		"digest": filled(s.Digest), "digest_alg": filled(s.DigestAlgorithm),
		"length_of_chain": number(len(s.Chain)), "chain": m.certificates(s.Chain),
	})
}

// counters are the countersignatures of a signature.
func (p *peSignature) counters(of []authenticode.Counter) module.Value {
	out := make([]module.Value, len(of))
	for i := range of {
		c := &of[i]
		out[i] = structure(&peCounter{p: p, i: i, Tree: module.Tree{
			"sign_time": numberIf(c.Time, c.TimeKnown), "digest": filled(c.Digest), "digest_alg": filled(c.DigestAlgorithm),
			"length_of_chain": number(len(c.Chain)), "chain": p.s.m.certificates(c.Chain),
		}})
	}
	return list(out)
}

// peCounter is a countersignature.
type peCounter struct {
	module.Tree
	p *peSignature
	i int
}

// Field is the field of that name.
func (c *peCounter) Field(name string) module.Value {
	if name != "verified" {
		return c.Tree.Field(name)
	}
	sig := c.p.s.check(c.p.i)
	return flag(c.p.s.m.d, c.i < len(sig.Counters) && sig.Counters[c.i].Verified)
}
