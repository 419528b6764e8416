package crypt

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/rc4"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash"
)

// PDF is the standard security handler of PDF (ISO 32000-2, 7.6.4).
type PDF struct {
	Revision     int
	Bytes        int // of the key
	O, U, OE, UE []byte
	P            uint32
	ID           []byte
	Meta         bool // metadata are encrypted as well
}

// Cost is the work of one password, as user's and as owner's.
func (s PDF) Cost() int64 {
	if s.Revision >= 6 {
		return 1 << 19
	}
	return 1 << 13
}

// pdfFiller pads passwords (algorithm 2).
var pdfFiller = [32]byte{
	0x28, 0xbf, 0x4e, 0x5e, 0x4e, 0x75, 0x8a, 0x41, 0x64, 0x00, 0x4e, 0x56, 0xff, 0xfa, 0x01, 0x08,
	0x2e, 0x2e, 0x00, 0xb6, 0xd0, 0x68, 0x3e, 0x80, 0x2f, 0x0c, 0xa9, 0xfe, 0x64, 0x53, 0x69, 0x7a,
}

func pdfPad(word []byte) []byte {
	return append(bytes.Clone(word[:min(len(word), 32)]), pdfFiller[:]...)[:32]
}

// Open returns the key of the file, nil if the password is wrong.
func (s PDF) Open(word []byte) []byte {
	if s.Revision >= 5 {
		return s.open5(word)
	}
	if len(s.O) < 32 || len(s.U) < 16 {
		return nil
	}
	if key := s.user(word); key != nil {
		return key
	}
	return s.user(s.owner(word))
}

// user is algorithms 2, 4, 5 and 6.
func (s PDF) user(word []byte) []byte {
	h := md5.New()
	h.Write(pdfPad(word))
	h.Write(s.O[:32])
	binary.Write(h, binary.LittleEndian, s.P)
	h.Write(s.ID)
	if s.Revision >= 4 && !s.Meta {
		h.Write([]byte{0xff, 0xff, 0xff, 0xff})
	}
	key := h.Sum(nil)
	if s.Revision >= 3 {
		for range 50 {
			sum := md5.Sum(key[:s.Bytes])
			key = sum[:]
		}
	}
	key = key[:s.Bytes]
	if s.Revision == 2 {
		if len(s.U) >= 32 && bytes.Equal(arc4(key, 0, pdfFiller[:]), s.U[:32]) {
			return key
		}
		return nil
	}
	sum := md5.Sum(append(pdfFiller[:], s.ID...))
	want := sum[:]
	for i := range 20 {
		want = arc4(key, byte(i), want)
	}
	if bytes.Equal(want, s.U[:16]) {
		return key
	}
	return nil
}

// owner returns the user's password by the owner's (algorithm 7).
func (s PDF) owner(word []byte) []byte {
	sum := md5.Sum(pdfPad(word))
	if s.Revision == 2 {
		return arc4(sum[:s.Bytes], 0, s.O[:32])
	}
	for range 50 {
		sum = md5.Sum(sum[:])
	}
	b := s.O[:32]
	for i := 19; i >= 0; i-- {
		b = arc4(sum[:s.Bytes], byte(i), b)
	}
	return b
}

// arc4 enciphers with each byte of the key xored.
func arc4(key []byte, x byte, b []byte) []byte {
	k := bytes.Clone(key)
	for i := range k {
		k[i] ^= x
	}
	c, err := rc4.NewCipher(k)
	if err != nil {
		return nil
	}
	out := make([]byte, len(b))
	c.XORKeyStream(out, b)
	return out
}

// open5 is algorithm 2.A, for revisions 5 and 6.
func (s PDF) open5(word []byte) []byte {
	if len(s.O) < 48 || len(s.U) < 48 || len(s.OE) < 32 || len(s.UE) < 32 {
		return nil
	}
	word = word[:min(len(word), 127)]
	u := s.U[:48]
	sealed, key := s.UE, []byte(nil)
	switch {
	case bytes.Equal(s.hash(word, u[32:40], nil), u[:32]):
		key = s.hash(word, u[40:48], nil)
	case bytes.Equal(s.hash(word, s.O[32:40], u), s.O[:32]):
		key, sealed = s.hash(word, s.O[40:48], u), s.OE
	default:
		return nil
	}
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil
	}
	out := make([]byte, 32)
	cipher.NewCBCDecrypter(b, make([]byte, aes.BlockSize)).CryptBlocks(out, sealed[:32])
	return out
}

// hash is algorithm 2.B; revision 5 has only its first step.
func (s PDF) hash(word, salt, u []byte) []byte {
	sum := sha256.Sum256(bytes.Join([][]byte{word, salt, u}, nil))
	k := sum[:]
	if s.Revision < 6 {
		return k
	}
	for i := 0; ; i++ {
		e := bytes.Repeat(bytes.Join([][]byte{word, k, u}, nil), 64)
		b, err := aes.NewCipher(k[:16])
		if err != nil {
			return nil
		}
		cipher.NewCBCEncrypter(b, k[16:32]).CryptBlocks(e, e)
		mod := 0
		for _, c := range e[:16] {
			mod += int(c)
		}
		var h hash.Hash
		switch mod % 3 {
		case 0:
			h = sha256.New()
		case 1:
			h = sha512.New384()
		default:
			h = sha512.New()
		}
		h.Write(e)
		k = h.Sum(nil)
		if i >= 63 && int(e[len(e)-1]) <= i-31 {
			return k[:32]
		}
	}
}
