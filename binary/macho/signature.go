package macho

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/xml"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/showcause/showcause/internal/bound"
)

// Blobs of a code signature (cs_blobs.h).
const (
	blobEntitlements = 0xfade7171
	blobCMS          = 0xfade0b01

	maxBlobs = 1024
	maxBlob  = 1 << 20 // bytes of one that is read
)

// signature is what a code signature says.
type signature struct {
	entitlements []string
	subjects     []string
	signers      []string
	cms          bool
}

// Entitlements are the keys of the entitlements in the code signature, and the
// texts in their arrays.
func (i *Image) Entitlements() []string { return i.signature().entitlements }

// Certificates are the common names of the certificates in the code signature, and
// the issuers that its signers name. The third result says whether there are any
// signatures to ask.
func (i *Image) Certificates() (common, signers []string, ok bool) {
	s := i.signature()
	return s.subjects, s.signers, s.cms
}

// signature reads the blobs of the signature.
func (i *Image) signature() *signature {
	if i.signed != nil {
		return i.signed
	}
	i.signed = &signature{}
	if i.Signature == nil {
		return i.signed
	}
	at, size := int64(i.Signature.Offset), int64(i.Signature.Size)
	if size < 12 || !i.p.Has(at, size) {
		return i.signed
	}
	count, _ := i.p.Uint(binary.BigEndian, at+8, 4)
	for n := range int64(count) {
		if n == maxBlobs {
			i.f.p.Cut()
			break
		}
		if !bound.In(12+8*n, 8, size) {
			break
		}
		off, ok := i.p.Uint(binary.BigEndian, at+12+8*n+4, 4)
		if !ok {
			break
		}
		if !bound.In(int64(off), 8, size) {
			continue
		}
		kind, _ := i.p.Uint(binary.BigEndian, at+int64(off), 4)
		length, _ := i.p.Uint(binary.BigEndian, at+int64(off)+4, 4)
		if kind != blobEntitlements && kind != blobCMS || length <= 8 || !bound.In(int64(off), int64(length), size) {
			continue
		}
		if length > maxBlob || !i.p.Step(int64(length)) {
			i.f.p.Cut()
			break
		}
		b := bytes.Clone(i.p.Bytes(at+int64(off)+8, int64(length)-8))
		if kind == blobEntitlements {
			for _, e := range entitlements(b) {
				if i.f.keep(e) {
					i.signed.entitlements = append(i.signed.entitlements, e)
				}
			}
		} else {
			i.cms(b)
		}
	}
	return i.signed
}

// entitlements reads the keys of a property list and the texts in its arrays, in
// the order of the document; nothing if it is not one.
func entitlements(b []byte) []string {
	if !utf8.Valid(b) {
		return nil
	}
	b = bytes.TrimRight(b, "\x00")
	d := xml.NewDecoder(bytes.NewReader(b))
	var out, array []string
	depth, arrayAt := 0, 0 // of the outermost array
	open := ""
	for {
		token, err := d.Token()
		if err != nil {
			if depth != 0 || err.Error() != "EOF" {
				return nil
			}
			return out
		}
		switch token := token.(type) {
		case xml.StartElement:
			depth++
			if open = token.Name.Local; open == "array" && arrayAt == 0 {
				arrayAt, array = depth, nil
			}
		case xml.EndElement:
			if depth == arrayAt {
				out = append(out, array...)
				arrayAt = 0
			}
			depth--
			open = ""
		case xml.CharData:
			text := string(token)
			switch {
			case open == "":
			case open == "key" && arrayAt == 0:
				out = append(out, text)
			case arrayAt != 0 && strings.TrimSpace(text) != "" && !slices.Contains(array, text) && len(array) < 1000:
				array = append(array, text)
			}
			open = ""
		}
	}
}

// The parts of SignedData that are wanted, from the front (RFC 5652, section 5).
type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,tag:0"`
}

type signedData struct {
	Version      int
	Digests      asn1.RawValue
	Content      asn1.RawValue
	Certificates asn1.RawValue `asn1:"optional,tag:0"`
	CRLs         asn1.RawValue `asn1:"optional,tag:1"`
	Signers      asn1.RawValue
}

type signerInfo struct {
	Version int
	Issuer  issuerAndSerial
}

type issuerAndSerial struct {
	Name   asn1.RawValue
	Serial asn1.RawValue
}

type certificate struct {
	TBS struct {
		Version   asn1.RawValue `asn1:"optional,explicit,tag:0"`
		Serial    asn1.RawValue
		Algorithm asn1.RawValue
		Issuer    asn1.RawValue
		Validity  asn1.RawValue
		Subject   asn1.RawValue
	}
}

// cms reads the certificates and the signers of a CMS signature.
func (i *Image) cms(b []byte) {
	var info contentInfo
	var data signedData
	if _, err := asn1.Unmarshal(b, &info); err != nil {
		return
	}
	if _, err := asn1.Unmarshal(info.Content.Bytes, &data); err != nil {
		return
	}
	i.signed.cms = true
	for rest := data.Certificates.Bytes; len(rest) > 0; {
		var raw asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &raw); err != nil {
			break
		}
		if name, ok := subject(raw.FullBytes); ok && i.f.keep(name) {
			i.signed.subjects = append(i.signed.subjects, name)
		}
	}
	for rest := data.Signers.Bytes; len(rest) > 0; {
		var raw asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &raw); err != nil {
			break
		}
		var s signerInfo
		if _, err := asn1.Unmarshal(raw.FullBytes, &s); err != nil {
			break
		}
		if name, ok := friendly(s.Issuer.Name.FullBytes); ok && i.f.keep(name) {
			i.signed.signers = append(i.signed.signers, name)
		}
	}
}

// subject is the common name of the subject of a certificate.
func subject(b []byte) (string, bool) {
	var outer asn1.RawValue
	if _, err := asn1.Unmarshal(b, &outer); err != nil {
		return "", false
	}
	var c certificate
	if _, err := asn1.Unmarshal(outer.Bytes, &c.TBS); err != nil {
		return "", false
	}
	var names pkix.RDNSequence
	if _, err := asn1.Unmarshal(c.TBS.Subject.FullBytes, &names); err != nil {
		return "", false
	}
	for _, set := range names {
		for _, n := range set {
			if text, ok := n.Value.(string); ok && n.Type.Equal(asn1.ObjectIdentifier{2, 5, 4, 3}) {
				return text, true
			}
		}
	}
	return "", false
}

// attributes are the short names of parts of a name (RFC 4519).
var attributes = map[string]string{"2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.9": "STREET"}

// friendly is a name as people write it: its parts in their order.
func friendly(b []byte) (string, bool) {
	var names pkix.RDNSequence
	if _, err := asn1.Unmarshal(b, &names); err != nil || len(names) == 0 {
		return "", false
	}
	var out []string
	for _, set := range names {
		for _, n := range set {
			kind := attributes[n.Type.String()]
			if kind == "" {
				kind = n.Type.String()
			}
			if text, ok := n.Value.(string); ok {
				out = append(out, kind+"="+text)
			}
		}
	}
	return strings.Join(out, ", "), true
}
