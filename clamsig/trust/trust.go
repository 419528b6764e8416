// Package trust judges signed programs by ClamAV's lists of certificates (.crb): one that is revoked
// is found, one whose signature holds and leads to a certificate that is trusted is allowed.
// (ClamAV documentation, "Trusted and Revoked Certificates"; what that leaves open is as clamscan
// 1.4.6 does it.) No clock is read: a certificate may be old, unless a time stamp says that it was
// when it signed.
package trust

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // the lists have digests of this kind
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/authenticode"
	"github.com/showcause/showcause/binary/pe"
)

// Entry is one certificate of a list.
type Entry struct {
	Name    string
	Trusted bool // else it is revoked
	// Levels are the functionality levels that it is for, as they stand: none, the least, or the least
	// and the greatest.
	Levels []string

	subject, serial []byte   // SHA-1 of what the certificate has; serial may be nil: any
	modulus         *big.Int // of its key
	code, cert      bool     // it may sign programs, and certificates
}

// ErrForm is wrapped by the errors of Parse.
var ErrForm = errors.New("no certificate of a list")

// Kinds tells whether files with an extension hold lines for Parse.
func Kinds(ext string) bool { return ext == "crb" }

// maxModulus is how many hexadecimal digits a key may have.
const maxModulus = 4096

// Parse reads "name;trusted;subject;serial;key;exponent;code;time;cert;from;comment[;min[;max]]". The
// exponent is always 65537, as there.
func Parse(line string) (*Entry, error) {
	f := strings.Split(line, ";")
	if len(f) < 11 || len(f) > 13 {
		return nil, fmt.Errorf("%d fields, 11 to 13 expected: %w", len(f), ErrForm)
	}
	if f[1] != "0" && f[1] != "1" {
		return nil, fmt.Errorf("trust %.40q: %w", f[1], ErrForm)
	}
	e := &Entry{Name: f[0], Trusted: f[1] == "1", Levels: f[11:], code: f[6] == "1", cert: f[8] == "1"}
	for i, to := range map[int]*[]byte{2: &e.subject, 3: &e.serial} {
		b, err := hex.DecodeString(f[i])
		if err != nil || len(b) != sha1.Size && (i == 2 || len(b) > 0) {
			return nil, fmt.Errorf("digest %.48q: %w", f[i], ErrForm)
		}
		if len(b) > 0 {
			*to = b
		}
	}
	var ok bool
	if e.modulus, ok = new(big.Int).SetString(f[4], 16); !ok || len(f[4]) > maxModulus || e.modulus.Sign() <= 0 {
		return nil, fmt.Errorf("key %.40q: %w", f[4], ErrForm)
	}
	return e, nil
}

// is tells whether a certificate is the entry's.
func (e *Entry) is(c *authenticode.Certificate) bool {
	subject, _ := c.Names()
	n, _, ok := c.RSA()
	return ok && n.Cmp(e.modulus) == 0 && digestIs(e.subject, subject) && (e.serial == nil || digestIs(e.serial, c.Number()))
}

// signed tells whether a certificate that is not in a file signed one that is.
func (e *Entry) signed(c *authenticode.Certificate) bool {
	_, issuer := c.Names()
	return digestIs(e.subject, issuer) && c.SignedBy(e.modulus, big.NewInt(0x10001))
}

func digestIs(want, b []byte) bool {
	sum := sha1.Sum(b) //nolint:gosec // as above
	return bytes.Equal(want, sum[:])
}

// Hit is a certificate of a program that is revoked.
type Hit struct {
	Entry   int
	Matches []showcause.Match // the signatures that have it
}

// verifyCost is what it takes in steps to hold a signature against a key.
const verifyCost = 1 << 12

// Judge judges the signatures of a PE file. trusted is the entry by which all else that
// is found in it is allowed, -1 for none. It is not whole if steps ran out, or a bound was
// reached.
func Judge(entries []*Entry, src showcause.Source, work func(int64) bool) (revoked []Hit, trusted int, whole bool) {
	trusted, whole = -1, true
	p, ok := pe.Parse(src, pe.Options{Work: work})
	if !ok {
		return nil, -1, true
	}
	for _, t := range p.Certificates() {
		if t.Type != 2 {
			continue
		}
		list, cut := authenticode.Parse([][]byte{t.Data}, authenticode.Options{File: p.Digest, Work: work})
		whole = whole && !cut
		for i := range list {
			j := judge{entries: entries, work: work, sig: &list[i]}
			for _, k := range j.revoked() {
				revoked = add(revoked, k, showcause.Match{Offset: t.Offset, Length: int64(len(t.Data))})
			}
			if trusted < 0 {
				trusted = j.trusted()
			}
			whole = whole && !j.cut
		}
	}
	return revoked, trusted, whole
}

// add notes a signature, each once for an entry.
func add(to []Hit, entry int, m showcause.Match) []Hit {
	for i := range to {
		if h := &to[i]; h.Entry == entry {
			if h.Matches[len(h.Matches)-1] != m { // one in another
				h.Matches = append(h.Matches, m)
			}
			return to
		}
	}
	return append(to, Hit{entry, []showcause.Match{m}})
}

// judge judges one signature.
type judge struct {
	entries []*Entry
	work    func(int64) bool
	sig     *authenticode.Signature
	cut     bool
}

func (j *judge) step(n int64) bool {
	j.cut = j.cut || j.work != nil && !j.work(n)
	return !j.cut
}

// revoked returns the entries of certificates that are revoked, each once.
func (j *judge) revoked() (out []int) {
	for i, e := range j.entries {
		for _, c := range j.sig.Certificates {
			if !e.Trusted && j.step(8) && e.is(c) {
				out = append(out, i)
				break
			}
		}
	}
	return out
}

// trusted returns the entry to which the signature leads, -1 if there is none.
func (j *judge) trusted() int {
	s := j.sig
	if !s.Verified || s.Signer == nil || s.FileDigest == "" || s.Digest != s.FileDigest || !s.Signer.ChainKnown || len(s.Signer.Chain) == 0 || !inTime(s) {
		return -1
	}
	if !j.step(verifyCost) || !maySign(s.Signer.Chain[0]) {
		return -1
	}
	for i, c := range s.Signer.Chain {
		links := i == 0 || j.step(verifyCost) && mayCertify(c)
		for k, e := range j.entries {
			if !e.Trusted || !e.code || !e.cert || !j.step(8) {
				continue
			}
			if i > 0 && e.is(c) || links && j.step(verifyCost) && e.signed(c) {
				return k
			}
		}
		if !links || i+1 == len(s.Signer.Chain) || !j.step(verifyCost) {
			break
		}
		if n, e, ok := s.Signer.Chain[i+1].RSA(); !ok || !c.SignedBy(n, e) {
			break
		}
	}
	return -1
}

// maySign tells whether a certificate says that it is for signing programs, or for whatever (RFC 5280,
// 4.2.1.12): whom an authority knows as a web server signs none.
func maySign(c *authenticode.Certificate) bool {
	x, err := x509.ParseCertificate(c.DER())
	return err == nil && (len(x.ExtKeyUsage)+len(x.UnknownExtKeyUsage) == 0 ||
		slices.Contains(x.ExtKeyUsage, x509.ExtKeyUsageCodeSigning) || slices.Contains(x.ExtKeyUsage, x509.ExtKeyUsageAny))
}

// mayCertify tells whether a certificate is an authority's (RFC 5280, 4.2.1.3 and 4.2.1.9): whoever has another
// could make himself any name with it.
func mayCertify(c *authenticode.Certificate) bool {
	x, err := x509.ParseCertificate(c.DER())
	return err == nil && x.BasicConstraintsValid && x.IsCA && (x.KeyUsage == 0 || x.KeyUsage&x509.KeyUsageCertSign != 0)
}

// inTime tells whether the signer's certificate was valid when time stamps say that it signed.
func inTime(s *authenticode.Signature) bool {
	c := s.Signer.Chain[0]
	for _, t := range s.Counters {
		if t.Verified && t.TimeKnown && c.DatesKnown && (t.Time < c.NotBefore || t.Time > c.NotAfter) {
			return false
		}
	}
	return true
}
