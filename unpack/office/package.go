package office

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/crypt"
	"github.com/showcause/showcause/unpack"
)

// maxInfo is how many bytes of a description of an encryption are read.
const maxInfo = 64 << 10

// lock is how a package is encrypted ([MS-OFFCRYPTO] 2.3.4).
type lock interface {
	Cost() int64
	Open(password []byte) (key []byte)
	Reader(src showcause.Source, key []byte) (showcause.Source, error)
}

// standard is the encryption of Office 2007.
type standard struct{ crypt.OfficeStandard }

// Reader implements lock.
func (s *standard) Reader(src showcause.Source, key []byte) (showcause.Source, error) {
	return crypt.ECB(src, key)
}

// Package opens packages of Office Open XML that are encrypted and stand in a compound file
// ([MS-OFFCRYPTO] 2.3.4), "ooxml.decrypted", with the password that Excel itself tries, or one that is known.
// What none opens is said.
func Package() unpack.Format {
	return unpack.Format{Name: "ooxml", Match: isCompound, Walk: packageWalk}
}

func packageWalk(src showcause.Source, out *unpack.Out) {
	is := func(name string) bool { return strings.EqualFold(name, "EncryptedPackage") }
	eachStream(src, out, sealedMost, is, (*compound).sealedPackage)
}

// sealedPackage opens the package in stream i, and tells whether to go on.
func (c *compound) sealedPackage(i int) bool {
	info := c.in(c.inside[i], "EncryptionInfo")
	if info < 0 { // another storage may have it
		info = c.in(0, "EncryptionInfo")
	}
	b := c.read(info, maxInfo)
	l := lockOf(b)
	src, _, _ := c.stream(i)
	if l == nil || src.Size() < 8 {
		c.out.Gap(showcause.Encrypted, c.at(i), int64(c.Entries[i].Size))
		return true
	}
	for _, p := range append([][]byte{[]byte(ownPassword)}, c.out.Passwords()...) {
		key := c.out.Key(fmt.Sprintf("ooxml %x %x", b, p), l.Cost(), func() []byte { return l.Open(p) })
		if key != nil {
			return c.openPackage(i, l, key)
		}
	}
	c.out.Gap(showcause.Encrypted, c.at(i), int64(c.Entries[i].Size))
	return true
}

// openPackage gives a package under its key: u64 length, the bytes to whole blocks.
func (c *compound) openPackage(i int, l lock, key []byte) bool {
	const most = 4096 // that may follow it
	src, _, _ := c.stream(i)
	head := bound.Head(src, 8)
	plain, err := l.Reader(bound.Section(src, 8, src.Size()-8), key)
	if err != nil || len(head) < 8 || !c.out.Work(plain.Size()/8+1) {
		c.out.Gap(showcause.Encrypted, c.at(i), src.Size())
		return err != nil
	}
	n := int64(min(le.Uint64(head), 1<<62))
	if n > plain.Size() || plain.Size()-n > most { // what there is, then
		c.out.Gap(showcause.Corrupt, c.at(i), -1)
		n = plain.Size()
	}
	return c.out.Child(unpack.Child{Op: "ooxml.decrypted", Reader: bound.Reader(plain, 0, n), Size: n})
}

// lockOf reads the description of an encryption, nil where it is none that is known.
func lockOf(b []byte) lock {
	if len(b) < 8 {
		return nil
	}
	switch major, minor := le.Uint16(b), le.Uint16(b[2:]); {
	case major == 4 && minor == 4:
		return agileOf(b[8:])
	case major >= 2 && major <= 4 && minor == 2:
		return standardOf(b[8:])
	}
	return nil
}

// standardOf reads the header and the verifier ([MS-OFFCRYPTO] 2.3.2, 2.3.3) behind the
// length of the first.
func standardOf(b []byte) lock {
	const aes128, aes256, verifier = 0x660e, 0x6610, 4 + 16 + 16 + 4 + 32
	if len(b) < 4 {
		return nil
	}
	n := int64(le.Uint32(b))
	if b = b[4:]; n < 32 || n > int64(len(b)) {
		return nil
	}
	algorithm, key := le.Uint32(b[8:]), int(le.Uint32(b[16:])/8)
	if b = b[n:]; len(b) < verifier || algorithm < aes128 || algorithm > aes256 || le.Uint32(b) != 16 || key != 16 && key != 24 && key != 32 {
		return nil
	}
	return &standard{crypt.OfficeStandard{Salt: b[4:20], Verifier: b[20:36], Hash: b[40:72], Key: key}}
}

// agileOf reads a description in XML ([MS-OFFCRYPTO] 2.3.4.10).
func agileOf(b []byte) lock {
	type how struct {
		Salt     string `xml:"saltValue,attr"`
		Bits     int    `xml:"keyBits,attr"`
		Block    int    `xml:"blockSize,attr"`
		Cipher   string `xml:"cipherAlgorithm,attr"`
		Chaining string `xml:"cipherChaining,attr"`
		Hash     string `xml:"hashAlgorithm,attr"`
		Rounds   int    `xml:"spinCount,attr"`
		Input    string `xml:"encryptedVerifierHashInput,attr"`
		Value    string `xml:"encryptedVerifierHashValue,attr"`
		Key      string `xml:"encryptedKeyValue,attr"`
	}
	var x struct {
		Data how   `xml:"keyData"`
		Keys []how `xml:"keyEncryptors>keyEncryptor>encryptedKey"`
	}
	if xml.Unmarshal(b, &x) != nil {
		return nil
	}
	raw := func(s string) []byte {
		b, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(s))
		return b
	}
	as := func(h how) crypt.OfficeCipher {
		if h.Cipher != "AES" || h.Chaining != "ChainingModeCBC" || h.Block != 16 {
			return crypt.OfficeCipher{}
		}
		return crypt.OfficeCipher{Salt: raw(h.Salt), Key: h.Bits / 8, Hash: h.Hash}
	}
	for _, k := range x.Keys { // one is that of a password, others are of certificates
		a := &crypt.OfficeAgile{Data: as(x.Data), Password: as(k), Rounds: k.Rounds, Input: raw(k.Input), Value: raw(k.Value), Sealed: raw(k.Key)}
		if a.Known() {
			return a
		}
	}
	return nil
}
