package authenticode

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // thumbprints are SHA-1
	"encoding/hex"
	"fmt"
	"strings"
)

// Certificate is an X.509 certificate (RFC 5280).
type Certificate struct {
	Thumbprint   string // SHA-1, hexadecimal
	Issuer       string // "/C=US/O=..."
	Subject      string
	Version      int64 // from 1 on
	Algorithm    string
	AlgorithmOID string
	Serial       string // bytes in hexadecimal with ":" between; empty if YARA 4 has none
	NotBefore    int64  // seconds since 1970
	NotAfter     int64
	DatesKnown   bool

	raw, tbs        []byte
	serial          []byte
	issuer, subject element
	key             element
	signature       []byte
}

// DER are the certificate's bytes.
func (c *Certificate) DER() []byte { return c.raw }

// certificate reads a certificate.
func (p *parser) certificate(e element) (*Certificate, bool) {
	top, ok := p.children(e.body)
	if !e.is(tagSequence) || !ok || len(top) < 3 || !top[0].is(tagSequence) {
		return nil, false
	}
	tbs, ok := p.children(top[0].body)
	if !ok {
		return nil, false
	}
	c := &Certificate{raw: e.raw, tbs: top[0].raw, Version: 1}
	if len(tbs) > 0 && tbs[0].field(0) {
		if v, _, ok := p.next(tbs[0].body); ok && v.is(tagInteger) && len(v.body) == 1 {
			c.Version = int64(v.body[0]) + 1
		}
		tbs = tbs[1:]
	}
	if len(tbs) < 6 || !tbs[0].is(tagInteger) || len(tbs[0].body) == 0 {
		return nil, false
	}
	c.serial, c.issuer, c.subject, c.key = tbs[0].body, tbs[2], tbs[4], tbs[5]
	if dates, ok := p.children(tbs[3].body); ok && len(dates) == 2 {
		var from, to bool
		c.NotBefore, from = moment(dates[0])
		c.NotAfter, to = moment(dates[1])
		c.DatesKnown = from && to
	}
	c.AlgorithmOID = p.algorithmID(top[1])
	c.Algorithm = algorithmName(c.AlgorithmOID)
	if top[2].is(tagBits) && len(top[2].body) > 0 {
		c.signature = top[2].body[1:]
	}
	sum := sha1.Sum(e.raw) //nolint:gosec // as above
	c.Thumbprint = hex.EncodeToString(sum[:])
	c.Issuer, c.Subject = p.name(c.issuer), p.name(c.subject)
	if !p.o.YARA4 || len(c.serial) <= 20 {
		c.Serial = strings.TrimSuffix(strings.ReplaceAll(fmt.Sprintf("% x", c.serial), " ", ":"), ":")
	}
	return c, true
}

// algorithmID is the identifier in an AlgorithmIdentifier.
func (p *parser) algorithmID(e element) string {
	id, _, ok := p.next(e.body)
	if !ok {
		return ""
	}
	return oid(id)
}

// attribute is a part of a name.
type attribute struct {
	first bool // of its set
	id    string
	value element
}

// attributes are the parts of a name.
func (p *parser) attributes(name element) (out []attribute) {
	sets, _ := p.children(name.body)
	for _, s := range sets {
		parts, _ := p.children(s.body)
		for i, a := range parts {
			pair, ok := p.children(a.body)
			if ok && len(pair) >= 2 {
				out = append(out, attribute{i == 0, oid(pair[0]), pair[1]})
			}
		}
	}
	return out
}

// name writes a name as the reader does that is followed.
func (p *parser) name(name element) string {
	if p.o.YARA4 {
		return p.name4(name)
	}
	var out strings.Builder
	for _, a := range p.attributes(name) {
		if a.first {
			out.WriteByte('/')
		}
		out.WriteString(attributeName(a.id) + "=")
		s, ok := text(a.value)
		if ok && a.value.tag != tagBMP && a.value.tag != tagUniversal {
			out.WriteString(s)
		} else {
			out.WriteString("#" + hex.EncodeToString(a.value.body))
		}
	}
	return out.String()
}

// name4 writes a name as OpenSSL's X509_NAME_oneline does into the 256 bytes that
// YARA 4 gives it: what does not print as \xHH, and no more once a part does not fit.
func (p *parser) name4(name element) string {
	var out strings.Builder
	for _, a := range p.attributes(name) {
		part := "/" + attributeName(a.id) + "="
		for _, c := range a.value.body {
			switch {
			case c < ' ' || c > '~':
				part += fmt.Sprintf(`\x%02X`, c)
			case c == '+':
				part += `\+`
			default:
				part += string(rune(c))
			}
			if len(part) > 256 {
				break
			}
		}
		if out.Len()+len(part) > 255 {
			break
		}
		out.WriteString(part)
	}
	return out.String()
}

// sameName compares names: YARA-X by their bytes, OpenSSL without the case of
// letters, the type of strings and the number of spaces.
func (p *parser) sameName(a, b element) bool {
	if bytes.Equal(a.body, b.body) {
		return true
	}
	return p.o.YARA4 && p.canonical(a) == p.canonical(b)
}

func (p *parser) canonical(name element) string {
	var out strings.Builder
	for _, a := range p.attributes(name) {
		s, ok := text(a.value)
		if !ok {
			s = string(a.value.raw)
		}
		fmt.Fprintf(&out, "%v %s %q\n", a.first, a.id, strings.ToLower(strings.Join(strings.Fields(s), " ")))
	}
	return out.String()
}

const maxChain = 100 // certificates; OpenSSL's bound

// chain is a certificate and its issuers among certs, up to one that is its own
// issuer or whose issuer is not there.
func (p *parser) chain(first *Certificate, certs []*Certificate) (out []*Certificate) {
	seen := map[*Certificate]bool{}
	for c := first; c != nil && !seen[c] && len(out) < maxChain; {
		seen[c] = true
		out = append(out, c)
		if p.sameName(c.subject, c.issuer) {
			break
		}
		var next *Certificate
		for _, i := range certs {
			if p.step() && p.sameName(i.subject, c.issuer) {
				next = i
				break
			}
		}
		c = next
	}
	return out
}
