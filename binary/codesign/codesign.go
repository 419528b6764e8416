// Package codesign reads who signed a Mach-O file, and whether the signature holds.
//
//	super blob      0xfade0cc0, length u32, blobs u32, {slot u32, offset u32} (big-endian)
//	code directory  0xfade0c02, length u32; 8 version u32, 12 flags u32, 16 place of digests u32, 20 identifier u32,
//	                24 special slots u32, 28 code slots u32, 32 end of the code u32, 36 bytes of a digest u8, 37 kind of
//	                digest u8 (1 SHA-1, 2 SHA-256), 39 log2 of a page u8, 48 team identifier u32 (version 0x20200)
//	signature       0xfade0b01, length u32, CMS over the first code directory, detached
//
// A signature holds if each page of the code has the digest that the directory says, the CMS signs the directory, and
// each certificate that is there is signed by the next. There is no list of whom to trust, and no certificate
// is too old. A file without CMS is signed by nobody ("ad hoc").
//
// Source: Apple, cs_blobs.h; RFC 5652.
package codesign

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // old code directories have it
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"hash"
	"math"

	"github.com/smallstep/pkcs7"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/macho"
	"github.com/showcause/showcause/internal/bound"
)

const (
	magicSuper     = 0xfade0cc0
	magicDirectory = 0xfade0c02
	magicCMS       = 0xfade0b01

	maxBlobs = 64
	maxBlob  = 8 << 20
)

// Signature is the signature of the code for one processor.
type Signature struct {
	Identifier, Team string
	Flags            uint32
	AdHoc            bool   // signed by nobody
	Verified         bool   // it holds
	Signer           string // common name of the signer's certificate
	Organization     string
	Chain            []string // subjects, the signer's first
	Certificates     [][]byte // of the chain, in DER
	Offset, Length   int64    // of the signature in the file
}

// Parse reads the signatures of the images of a file, nil for those without one. base is where each image stands.
// work is asked for every read; nil is a bound of its own. short says that something was left out.
func Parse(src showcause.Source, f *macho.File, work func(steps int64) bool) (list []*Signature, short bool) {
	for i, img := range f.Images {
		var s *Signature
		if img != nil && img.Signature != nil {
			var base, size int64 = 0, src.Size()
			if f.Fat && i < len(f.Archs) && f.Archs[i].Offset <= math.MaxInt64 && f.Archs[i].Size <= math.MaxInt64 {
				base, size = int64(f.Archs[i].Offset), int64(f.Archs[i].Size)
			}
			r := reader{src: bound.Section(src, base, size), base: base}
			r.p = bound.NewProbe(r.src, work)
			s = r.read(int64(img.Signature.Offset), int64(img.Signature.Size))
			short = short || r.p.Short() || r.p.Err() != nil
		}
		list = append(list, s)
	}
	return list, short
}

type reader struct {
	src  showcause.Source
	p    *bound.Probe
	base int64
}

func (r *reader) u32(off int64) uint32 {
	v, _ := r.p.Uint(binary.BigEndian, off, 4)
	return uint32(v)
}

// blob is the blob at off of a signature of the given size, with its head.
func (r *reader) blob(at, off, size int64) []byte {
	if !bound.In(off, 8, size) {
		return nil
	}
	n := int64(r.u32(at + off + 4))
	if n < 8 || n > maxBlob || !bound.In(off, n, size) {
		return nil
	}
	return bytes.Clone(r.p.Bytes(at+off, n))
}

func (r *reader) read(at, size int64) *Signature {
	if r.u32(at) != magicSuper {
		return nil
	}
	s := &Signature{Offset: r.base + at, Length: size, AdHoc: true}
	var directory, cms []byte
	for i := range min(int64(r.u32(at+8)), maxBlobs) {
		slot, off := r.u32(at+12+8*i), int64(r.u32(at+16+8*i))
		b := r.blob(at, off, size)
		if b == nil {
			continue
		}
		switch m := binary.BigEndian.Uint32(b); {
		case m == magicDirectory && slot == 0:
			directory = b
		case m == magicCMS:
			cms = b[8:]
		}
	}
	if len(directory) < 44 {
		return nil
	}
	whole := r.directory(s, directory)
	if len(cms) > 0 {
		s.AdHoc = false
		s.Verified = s.signed(cms, directory) && whole
	}
	return s
}

// text is the text at off of a code directory.
func text(d []byte, off uint32) string {
	if off == 0 || int64(off) >= int64(len(d)) {
		return ""
	}
	t, _, _ := bytes.Cut(d[off:], []byte{0})
	return string(t)
}

// directory reads a code directory and tells whether the code is what it says.
func (r *reader) directory(s *Signature, d []byte) bool {
	be := binary.BigEndian
	s.Flags = be.Uint32(d[12:])
	s.Identifier = text(d, be.Uint32(d[20:]))
	if be.Uint32(d[8:]) >= 0x20200 && len(d) >= 52 {
		s.Team = text(d, be.Uint32(d[48:]))
	}
	slots, limit, digests := int64(be.Uint32(d[28:])), int64(be.Uint32(d[32:])), int64(be.Uint32(d[16:]))
	size, page := int64(d[36]), int64(1)<<min(d[39], 30)
	if d[39] == 0 {
		page = max(limit, 1)
	}
	var h hash.Hash
	switch {
	case d[37] == 1 && size == sha1.Size:
		h = sha1.New() //nolint:gosec // as above
	case d[37] == 2 && size == sha256.Size:
		h = sha256.New()
	default:
		return false
	}
	if page < 512 && d[39] != 0 || limit > r.src.Size() || slots != (limit+page-1)/page || !bound.In(digests, slots*size, int64(len(d))) || !r.p.Step(limit/64) {
		return false
	}
	b := make([]byte, min(page, 1<<20))
	for i := range slots {
		h.Reset()
		for at, end := i*page, min((i+1)*page, limit); at < end; {
			n, err := r.src.ReadAt(b[:min(int64(len(b)), end-at)], at)
			if n == 0 && err != nil {
				return false
			}
			_, _ = h.Write(b[:n])
			at += int64(n)
		}
		if !bytes.Equal(h.Sum(nil), d[digests+i*size:][:size]) {
			return false
		}
	}
	return true
}

// signed reads the CMS and tells whether it signs the code directory.
func (s *Signature) signed(cms, directory []byte) bool {
	p, err := pkcs7.Parse(cms)
	if err != nil || len(p.Signers) == 0 {
		return false
	}
	p.Content = directory
	c := p.GetOnlySigner()
	if c == nil {
		return false
	}
	s.Signer = c.Subject.CommonName
	if len(c.Subject.Organization) > 0 {
		s.Organization = c.Subject.Organization[0]
	}
	ok := p.Verify() == nil
	for range 16 {
		s.Chain, s.Certificates = append(s.Chain, c.Subject.String()), append(s.Certificates, c.Raw)
		if bytes.Equal(c.RawSubject, c.RawIssuer) {
			break
		}
		parent := issuer(p.Certificates, c)
		if parent == nil {
			break
		}
		ok = ok && parent.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
		c = parent
	}
	return ok
}

func issuer(list []*x509.Certificate, c *x509.Certificate) *x509.Certificate {
	for _, p := range list {
		if bytes.Equal(p.RawSubject, c.RawIssuer) && !p.Equal(c) {
			return p
		}
	}
	return nil
}
