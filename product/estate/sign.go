package estate

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// Person signs: a key, a certificate, and who gave it.
type Person struct {
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate
	issuer *x509.Certificate
}

// NewPerson makes a key and a certificate for an organisation, by an issuer that is invented with it.
func NewPerson(organization, common string) (*Person, error) {
	make1 := func(name pkix.Name, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, nil, err
		}
		c := &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Unix(1600000000, 0), NotAfter: time.Unix(1900000000, 0),
			Subject: name, IsCA: parent == nil, BasicConstraintsValid: true,
		}
		if parent == nil {
			parent, by = c, key
		}
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
		if err != nil {
			return nil, nil, err
		}
		c, err = x509.ParseCertificate(der)
		return c, key, err
	}
	root, rootKey, err := make1(pkix.Name{Organization: []string{"Invented Authority"}, CommonName: "Invented Root"}, nil, nil)
	if err != nil {
		return nil, err
	}
	cert, key, err := make1(pkix.Name{Organization: []string{organization}, CommonName: common}, root, rootKey)
	if err != nil {
		return nil, err
	}
	return &Person{key, cert, root}, nil
}

// Root is the certificate of who vouches for the person, as PEM.
func (p *Person) Root() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.issuer.Raw})
}

// tlv is an element in DER.
func tlv(tag byte, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	switch n := len(body); {
	case n < 0x80:
		return append([]byte{tag, byte(n)}, body...)
	case n < 0x100:
		return append([]byte{tag, 0x81, byte(n)}, body...)
	default:
		return append([]byte{tag, 0x82, byte(n >> 8), byte(n)}, body...)
	}
}

func oid(n ...int) []byte {
	b, err := asn1.Marshal(asn1.ObjectIdentifier(n))
	if err != nil {
		panic(fmt.Sprint(n, err)) // they stand in this file
	}
	return b
}

// cms is a SignedData by the person. kind is the type of the content, body what of it is digested, and content what
// is put in, nil for a detached one.
func (p *Person) cms(kind, body, content []byte) []byte {
	sum := sha256.Sum256(body)
	algorithm := tlv(0x30, oid(2, 16, 840, 1, 101, 3, 4, 2, 1), []byte{5, 0})
	attr := func(id, value []byte) []byte { return tlv(0x30, id, tlv(0x31, value)) }
	attrs := append(attr(oid(1, 2, 840, 113549, 1, 9, 3), kind), attr(oid(1, 2, 840, 113549, 1, 9, 4), tlv(4, sum[:]))...)
	over := sha256.Sum256(tlv(0x31, attrs))
	sig, err := p.key.Sign(rand.Reader, over[:], crypto.SHA256)
	if err != nil {
		panic(err) // the key is ours
	}
	serial, _ := asn1.Marshal(p.cert.SerialNumber)
	signer := tlv(0x30, []byte{2, 1, 1}, tlv(0x30, p.cert.RawIssuer, serial), algorithm, tlv(0xA0, attrs),
		tlv(0x30, oid(1, 2, 840, 10045, 4, 3, 2)), tlv(4, sig))
	inside := tlv(0x30, kind)
	if content != nil {
		inside = tlv(0x30, kind, tlv(0xA0, content))
	}
	return tlv(0x30, oid(1, 2, 840, 113549, 1, 7, 2), tlv(0xA0, tlv(0x30,
		[]byte{2, 1, 1}, tlv(0x31, algorithm), inside, tlv(0xA0, p.cert.Raw, p.issuer.Raw), tlv(0x31, signer))))
}

// authenticode signs the digest of a PE file.
func (p *Person) authenticode(sum []byte) []byte {
	algorithm := tlv(0x30, oid(2, 16, 840, 1, 101, 3, 4, 2, 1), []byte{5, 0})
	body := append(tlv(0x30, oid(1, 3, 6, 1, 4, 1, 311, 2, 1, 15), []byte{0x30, 0}), tlv(0x30, algorithm, tlv(4, sum))...)
	return p.cms(oid(1, 3, 6, 1, 4, 1, 311, 2, 1, 4), body, tlv(0x30, body))
}

// peDigest is the digest of a file without a certificate table.
func peDigest(b []byte) []byte {
	h := sha256.New()
	_, _ = h.Write(b[:checksumAt])
	_, _ = h.Write(b[checksumAt+4 : securityEntry])
	_, _ = h.Write(b[securityEntry+8:])
	for n := len(b); n%8 != 0; n++ {
		_, _ = h.Write([]byte{0})
	}
	return h.Sum(nil)
}

// MachO is a program for Macs of some content, signed by who, nil: ad hoc.
func MachO(who *Person, identifier, team, content string) []byte {
	const page = 4096
	be := binary.BigEndian
	code := make([]byte, 32+16, 1<<16)
	copy(code, "\xcf\xfa\xed\xfe\x07\x00\x00\x01\x03\x00\x00\x00\x02\x00\x00\x00")
	le.PutUint32(code[16:], 1)
	le.PutUint32(code[20:], 16)
	le.PutUint32(code[32:], 0x1d) // LC_CODE_SIGNATURE
	le.PutUint32(code[36:], 16)
	code = append(code, content...)
	for len(code)%16 != 0 {
		code = append(code, 0)
	}
	limit := len(code)
	slots := (limit + page - 1) / page
	// The signature's size stands in what it signs, so that room is left for it.
	const room = 8192
	le.PutUint32(code[40:], uint32(limit))
	le.PutUint32(code[44:], room)
	cd := make([]byte, 52)
	be.PutUint32(cd, 0xfade0c02)
	be.PutUint32(cd[8:], 0x20200)
	be.PutUint32(cd[20:], uint32(len(cd)))
	cd = append(append(cd, identifier...), 0)
	if team != "" {
		be.PutUint32(cd[48:], uint32(len(cd)))
		cd = append(append(cd, team...), 0)
	}
	be.PutUint32(cd[16:], uint32(len(cd)))
	be.PutUint32(cd[28:], uint32(slots))
	be.PutUint32(cd[32:], uint32(limit))
	cd[36], cd[37], cd[39] = 32, 2, 12
	for i := range slots {
		sum := sha256.Sum256(code[i*page : min((i+1)*page, limit)])
		cd = append(cd, sum[:]...)
	}
	be.PutUint32(cd[4:], uint32(len(cd)))
	blobs := [][]byte{cd}
	if who != nil {
		cms := who.cms(oid(1, 2, 840, 113549, 1, 7, 1), cd, nil)
		blobs = append(blobs, append(be.AppendUint32([]byte{0xfa, 0xde, 0x0b, 0x01}, uint32(8+len(cms))), cms...))
	}
	super := []byte{0xfa, 0xde, 0x0c, 0xc0}
	size := 12 + 8*len(blobs)
	for _, b := range blobs {
		size += len(b)
	}
	super = be.AppendUint32(super, uint32(size))
	super = be.AppendUint32(super, uint32(len(blobs)))
	at := 12 + 8*len(blobs)
	for i, b := range blobs {
		super = be.AppendUint32(super, []uint32{0, 0x10000}[i])
		super = be.AppendUint32(super, uint32(at))
		at += len(b)
	}
	super = append(super, bytes.Join(blobs, nil)...)
	return append(code, append(super, make([]byte, room-len(super))...)...)
}
