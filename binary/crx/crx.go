// Package crx reads Chrome extensions: who signed them, and their manifest.
//
//	"Cr24", version (4 bytes), then
//	version 2: length of the key, length of the signature (4 bytes each), key, signature
//	version 3: length of the header (4 bytes), header, a protocol buffer:
//	           2, 3: proofs of RSA and ECDSA keys {1: key, 2: signature}
//	           10000: signed data {1: identifier}
//	the zip file
//
// Sources: Chromium, components/crx_file (crx3.proto and the verifier); the manifest
// format as documented for extensions.
package crx

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash"
	"io"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/zipdir"
	"github.com/showcause/showcause/internal/bound"
)

const (
	maxHeader   = 4 << 20
	maxManifest = 4 << 20
	maxProofs   = 256
)

// Proof is a key and a signature by it.
type Proof struct {
	Key       []byte // SubjectPublicKeyInfo, DER
	Signature []byte
	ecdsa     bool
}

// Manifest is what an extension says of itself. Texts are nil where there are none.
type Manifest struct {
	Version, Name, Description, MinimumChrome, Homepage *string
	// Permissions; what is asked of which hosts; and the same when it is needed.
	Permissions, Hosts, Optional, OptionalHosts []string
}

// File is an extension.
type File struct {
	OK         bool // it is one; if not, nothing else counts but Short
	Version    int  // 2 or 3
	HeaderSize int64
	ID         string // 32 letters from a to p
	Proofs     []Proof
	Manifest   *Manifest // nil if there is none that can be read
	// Name and Description in the default language, nil where there is no text of it.
	LocalName, LocalDescription *string
	Localized                   bool // there are texts of the default language

	src    showcause.Source
	start  int64  // of the zip file
	signed []byte // header data that is signed, version 3
	short  bool
}

// Parse reads an extension; OK says whether src is one. work is asked for every read;
// nil is a bound of its own.
func Parse(src showcause.Source, work func(steps int64) bool) *File {
	f := &File{src: src}
	p := bound.NewProbe(src, work)
	defer func() { f.short = f.short || p.Short() || p.Err() != nil }()
	h := p.Bytes(0, 12)
	if h == nil || string(h[:4]) != "Cr24" {
		return f
	}
	f.Version = int(binary.LittleEndian.Uint32(h[4:]))
	one := int64(binary.LittleEndian.Uint32(h[8:]))
	ok := false
	switch f.Version {
	case 2:
		ok = f.second(p, one)
	case 3:
		ok = f.third(p, one)
	}
	if !ok {
		return f
	}
	zip := zipdir.Open(bound.Section(src, f.start, -1), work)
	f.OK = zip.OK
	if zip.OK {
		f.manifest(zip)
	}
	f.short = f.short || zip.Short()
	return f
}

// Short says that something was left out, because the work was stopped, a bound of
// this package was reached, or the source could not be read.
func (f *File) Short() bool { return f.short }

func (f *File) second(p *bound.Probe, key int64) bool {
	n, ok := p.Uint(binary.LittleEndian, 12, 4)
	size := int64(n)
	if !ok || !p.Has(16, key+size) {
		return false
	}
	if key > maxHeader || size > maxHeader {
		f.short = true
		return false
	}
	proof := Proof{Key: bytes.Clone(p.Bytes(16, key))}
	proof.Signature = bytes.Clone(p.Bytes(16+key, size))
	f.Proofs = []Proof{proof}
	sum := sha256.Sum256(proof.Key)
	f.ID, f.HeaderSize, f.start = id(sum[:16]), key+size, 16+key+size
	return true
}

func (f *File) third(p *bound.Probe, size int64) bool {
	if !p.Has(12, size) {
		return false
	}
	if size > maxHeader {
		f.short = true
		return false
	}
	header := bytes.Clone(p.Bytes(12, size))
	f.HeaderSize, f.start = size, 12+size
	var list [2][]Proof
	have := false
	ok := message(header, func(field uint64, b []byte) {
		switch {
		case field == 2 || field == 3:
			proof := Proof{ecdsa: field == 3}
			if !message(b, func(field uint64, b []byte) {
				switch field {
				case 1:
					proof.Key = b
				case 2:
					proof.Signature = b
				}
			}) || proof.Key == nil || proof.Signature == nil {
				return
			}
			if len(list[field-2]) == maxProofs {
				f.short = true
				return
			}
			list[field-2] = append(list[field-2], proof)
		case field == 10000:
			f.signed, have = b, true
		}
	})
	f.Proofs = append(list[0], list[1]...)
	return ok && have && message(f.signed, func(field uint64, b []byte) {
		if field == 1 {
			f.ID = id(b)
		}
	})
}

// message visits the fields of a protocol buffer that have a length; false if it is
// none.
func message(b []byte, visit func(field uint64, b []byte)) bool {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 || tag>>3 == 0 {
			return false
		}
		b = b[n:]
		size := uint64(0)
		switch tag & 7 {
		case 0:
			_, n := binary.Uvarint(b)
			if n <= 0 {
				return false
			}
			size = uint64(n)
		case 1:
			size = 8
		case 5:
			size = 4
		case 2:
			v, n := binary.Uvarint(b)
			if n <= 0 {
				return false
			}
			size, b = v, b[n:]
		default:
			return false
		}
		if size > uint64(len(b)) {
			return false
		}
		if tag&7 == 2 {
			visit(tag>>3, b[:size:size])
		}
		b = b[size:]
	}
	return true
}

// id writes an identifier in the letters a to p.
func id(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' {
			return r + 10
		}
		return r - '0' + 'a'
	}, hex.EncodeToString(b))
}

// Verify says whether a proof is right for the file. It reads all of it.
func (f *File) Verify(p Proof) bool {
	key, err := x509.ParsePKIXPublicKey(p.Key)
	if err != nil {
		return false
	}
	kind, h := crypto.SHA1, hash.Hash(sha1.New())
	if f.Version == 3 {
		kind, h = crypto.SHA256, sha256.New()
		h.Write([]byte("CRX3 SignedData\x00"))
		h.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(f.signed))))
		h.Write(f.signed)
	}
	n := f.src.Size() - f.start
	if got, err := io.Copy(h, bound.Reader(f.src, f.start, n)); err != nil || got != n {
		f.short = true
		return false
	}
	switch key := key.(type) {
	case *rsa.PublicKey:
		return !p.ecdsa && rsa.VerifyPKCS1v15(key, kind, h.Sum(nil), p.Signature) == nil
	case *ecdsa.PublicKey:
		return p.ecdsa && ecdsa.VerifyASN1(key, h.Sum(nil), p.Signature)
	}
	return false
}

// object reads a member as a JSON object.
func (f *File) object(zip *zipdir.Archive, name string) map[string]json.RawMessage {
	e, ok := zip.Find(name)
	if !ok {
		return nil
	}
	b, ok := zip.Read(e, maxManifest)
	var out map[string]json.RawMessage
	if !ok || json.Unmarshal(b, &out) != nil {
		f.short = f.short || e.Size > maxManifest
		return nil
	}
	return out
}

// manifest reads the manifest, none if any of its values is not of its kind.
func (f *File) manifest(zip *zipdir.Archive) {
	fields := f.object(zip, "manifest.json")
	if fields == nil {
		return
	}
	m := &Manifest{}
	var locale *string
	for name, to := range map[string]**string{
		"version": &m.Version, "name": &m.Name, "description": &m.Description, "minimum_chrome_version": &m.MinimumChrome,
		"homepage_url": &m.Homepage, "default_locale": &locale,
	} {
		if raw, ok := fields[name]; ok && json.Unmarshal(raw, to) != nil {
			return
		}
	}
	for name, to := range map[string]*[]string{
		"permissions": &m.Permissions, "host_permissions": &m.Hosts,
		"optional_permissions": &m.Optional, "optional_host_permissions": &m.OptionalHosts,
	} {
		if raw, ok := fields[name]; ok && (json.Unmarshal(raw, to) != nil || *to == nil) {
			return
		}
	}
	f.Manifest = m
	language := "en"
	if locale != nil {
		language = *locale
	}
	texts := f.object(zip, "_locales/"+language+"/messages.json")
	if texts == nil {
		return
	}
	f.Localized = true
	f.LocalName, f.LocalDescription = local(m.Name, texts), local(m.Description, texts)
}

// local is the text of the language for a text that names one, itself otherwise.
func local(s *string, texts map[string]json.RawMessage) *string {
	if s == nil {
		return nil
	}
	key, ok := strings.CutPrefix(*s, "__MSG_")
	if key, ok2 := strings.CutSuffix(key, "__"); ok && ok2 {
		var entry struct {
			Message *string `json:"message"`
		}
		if json.Unmarshal(texts[key], &entry) == nil && entry.Message != nil {
			return entry.Message
		}
	}
	return s
}
