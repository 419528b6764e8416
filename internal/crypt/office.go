package crypt

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash"
	"io"

	"github.com/showcause/showcause"
)

// MaxOffice is the greatest number of iterations that is taken of an Office document;
// its specification has 10,000,000 at most.
const MaxOffice = 10_000_000

// standardRounds is the number of iterations of the standard encryption.
const standardRounds = 50_000

// officeHash returns a hash by the name that Office has for it, nil if it is not known.
func officeHash(name string) func() hash.Hash {
	return map[string]func() hash.Hash{
		"MD5": md5.New, "SHA1": sha1.New, "SHA-1": sha1.New, "SHA256": sha256.New, "SHA-256": sha256.New,
		"SHA384": sha512.New384, "SHA-384": sha512.New384, "SHA512": sha512.New, "SHA-512": sha512.New,
	}[name]
}

// spin hashes salt and password, and what comes of it behind a counter, so many times.
func spin(h hash.Hash, salt, password []byte, rounds int) []byte {
	h.Write(salt)
	h.Write(wide(password))
	sum := h.Sum(nil)
	var count [4]byte
	for i := range rounds {
		binary.LittleEndian.PutUint32(count[:], uint32(i))
		h.Reset()
		h.Write(count[:])
		h.Write(sum)
		sum = h.Sum(sum[:0])
	}
	return sum
}

// OfficeStandard is the standard encryption of Office's packages ([MS-OFFCRYPTO] 2.3.4.5 to
// 2.3.4.9): AES in ECB mode, a key out of SHA-1.
type OfficeStandard struct {
	Salt     []byte
	Verifier []byte // enciphered, 16 bytes
	Hash     []byte // of the verifier, enciphered, 32 bytes
	Key      int    // bytes of the key: 16, 24 or 32
}

// Cost is the work of Open.
func (s *OfficeStandard) Cost() int64 { return standardRounds * sha1.BlockSize * hashSteps }

// Open makes the key of a password, nil where it is not the right one.
func (s *OfficeStandard) Open(password []byte) []byte {
	h := sha1.New()
	sum := spin(h, s.Salt, password, standardRounds)
	h.Reset()
	h.Write(sum)
	h.Write(make([]byte, 4)) // the block's number
	sum = h.Sum(nil)
	var key []byte
	for _, pad := range []byte{0x36, 0x5c} {
		b := bytes.Repeat([]byte{pad}, 64)
		for i, c := range sum {
			b[i] ^= c
		}
		x := sha1.Sum(b)
		key = append(key, x[:]...)
	}
	key = key[:s.Key]
	verifier, err := ecbAll(key, s.Verifier)
	check, err2 := ecbAll(key, s.Hash)
	want := sha1.Sum(verifier)
	if err != nil || err2 != nil || len(check) < sha1.Size || !bytes.Equal(want[:], check[:sha1.Size]) {
		return nil
	}
	return key
}

func ecbAll(key, b []byte) ([]byte, error) {
	c, err := aes.NewCipher(key)
	out := make([]byte, len(b)&^(block-1))
	for i := 0; err == nil && i < len(out); i += block {
		c.Decrypt(out[i:], b[i:])
	}
	return out, err
}

// OfficeAgile is the agile encryption ([MS-OFFCRYPTO] 2.3.4.10 to 2.3.4.15): AES in CBC mode by
// segments of 4,096 bytes, under a key that another one protects, which is made of a password.
type OfficeAgile struct {
	Data, Password       OfficeCipher // that of the document; that of the key
	Rounds               int
	Input, Value, Sealed []byte // what tells whether a password is right, its hash, and the key; enciphered
}

// OfficeCipher says how something is enciphered.
type OfficeCipher struct {
	Salt []byte
	Key  int    // bytes of the key: 16, 24 or 32
	Hash string // "SHA512"
}

// Known tells whether all of it can be done here.
func (a *OfficeAgile) Known() bool {
	for _, c := range []OfficeCipher{a.Data, a.Password} {
		if officeHash(c.Hash) == nil || c.Key != 16 && c.Key != 24 && c.Key != 32 || len(c.Salt) == 0 {
			return false
		}
	}
	whole := func(b []byte, least int) bool { return len(b) >= least && len(b)%block == 0 }
	return a.Rounds >= 0 && a.Rounds <= MaxOffice && whole(a.Input, block) && whole(a.Value, block) && whole(a.Sealed, a.Data.Key)
}

// Cost is the work of Open.
func (a *OfficeAgile) Cost() int64 {
	return (int64(a.Rounds) + 8) * int64(officeHash(a.Password.Hash)().BlockSize()) * hashSteps * 2
}

// Open makes the key of the document of a password, nil where it is not the right one.
func (a *OfficeAgile) Open(password []byte) []byte {
	h := officeHash(a.Password.Hash)()
	base := spin(h, a.Password.Salt, password, a.Rounds)
	undo := func(what string, b []byte) []byte { // what: [MS-OFFCRYPTO] 2.3.4.13
		h.Reset()
		h.Write(base)
		h.Write([]byte(what))
		c, err := aes.NewCipher(fill(h.Sum(nil), a.Password.Key))
		if err != nil {
			return nil
		}
		out := make([]byte, len(b))
		cipher.NewCBCDecrypter(c, fill(a.Password.Salt, block)).CryptBlocks(out, b)
		return out
	}
	input := undo("\xfe\xa7\xd2\x76\x3b\x4b\x9e\x79", a.Input)
	value := undo("\xd7\xaa\x0f\x6d\x30\x61\x34\x4e", a.Value)
	h.Reset()
	h.Write(input[:min(len(input), len(a.Password.Salt))])
	want := h.Sum(nil)
	if n := min(len(want), len(value)); !bytes.Equal(want[:n], value[:n]) {
		return nil
	}
	return undo("\x14\x6e\x0b\xe7\xab\xac\xd0\xd6", a.Sealed)[:a.Data.Key]
}

// fill cuts b to n bytes, or fills it up as Office does.
func fill(b []byte, n int) []byte {
	out := bytes.Repeat([]byte{0x36}, n)
	copy(out, b)
	return out
}

// segment is how many bytes the agile encryption begins anew with.
const segment = 4096

// segments is a document under the agile encryption.
type segments struct {
	src  showcause.Source
	aes  cipher.Block
	hash func() hash.Hash
	salt []byte
}

// Reader returns what src holds enciphered under a key of Open.
func (a *OfficeAgile) Reader(src showcause.Source, key []byte) (showcause.Source, error) {
	c, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return &segments{src, c, officeHash(a.Data.Hash), a.Data.Salt}, nil
}

// Size implements showcause.Source.
func (s *segments) Size() int64 { return s.src.Size() &^ (block - 1) }

// ReadAt implements io.ReaderAt.
func (s *segments) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= s.Size() {
		return 0, io.EOF
	}
	var buf [segment]byte
	done := 0
	for done < len(p) && off < s.Size() {
		at := off / segment * segment
		n, err := s.src.ReadAt(buf[:min(segment, s.Size()-at)], at)
		n &^= block - 1
		h := s.hash()
		h.Write(s.salt)
		h.Write(binary.LittleEndian.AppendUint32(nil, uint32(at/segment)))
		cipher.NewCBCDecrypter(s.aes, fill(h.Sum(nil), block)).CryptBlocks(buf[:n], buf[:n])
		k := copy(p[done:], buf[min(int(off-at), n):n])
		if done, off = done+k, off+int64(k); k == 0 {
			return done, short(err)
		}
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// ecb is AES in ECB mode.
type ecb struct {
	src showcause.Source
	aes cipher.Block
}

// ECB returns what src holds enciphered by AES, each block for itself. Bytes behind the last
// whole block are left out. The key has 16, 24 or 32 bytes.
func ECB(src showcause.Source, key []byte) (showcause.Source, error) {
	c, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return &ecb{src, c}, nil
}

// Size implements showcause.Source.
func (e *ecb) Size() int64 { return e.src.Size() &^ (block - 1) }

// ReadAt implements io.ReaderAt.
func (e *ecb) ReadAt(p []byte, off int64) (int, error) {
	return pieces(p, off, e.Size(), func(at int64, b []byte) (int, error) {
		n, err := e.src.ReadAt(b, at)
		n &^= block - 1
		for i := 0; i < n; i += block {
			e.aes.Decrypt(b[i:], b[i:])
		}
		if n < len(b) {
			return n, short(err)
		}
		return n, nil
	})
}
