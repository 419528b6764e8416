package crypt

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"unicode/utf16"
	"unicode/utf8"
)

// What making keys costs, in steps of half a nanosecond, about.
const (
	hmacSteps = 800 // an iteration of PBKDF2, for a block
	hashSteps = 2   // a byte that is hashed
)

// pbkdf2 appends one block of PBKDF2 (RFC 8018, 5.2), the index counts from 1.
// The blocks do not depend on each other, and the one that tells whether a password
// is right is one of several.
func pbkdf2(dst []byte, mac hash.Hash, salt []byte, index uint32, rounds int) []byte {
	mac.Reset()
	mac.Write(salt)
	mac.Write(binary.BigEndian.AppendUint32(nil, index))
	u := mac.Sum(nil)
	at := len(dst)
	dst = append(dst, u...)
	for range rounds - 1 {
		mac.Reset()
		mac.Write(u)
		u = mac.Sum(u[:0])
		for i, b := range u {
			dst[at+i] ^= b
		}
	}
	return dst
}

// zipRounds is the number of iterations of WinZip's AES encryption.
const zipRounds = 1000

// ZipAES are the lengths of a member under WinZip's AES encryption, in bytes,
// by its strength, 1 to 3 (WinZip, "AES Encryption Information", II and III).
type ZipAES int

// Key is the length of the key.
func (s ZipAES) Key() int { return 8 + 8*int(s) }

// Salt is the length of the salt before the data.
func (s ZipAES) Salt() int { return s.Key() / 2 }

// Head is the length of what stands before the data: the salt and the verifier.
func (s ZipAES) Head() int { return s.Salt() + 2 }

// ZipAESTail is the length of the authentication code behind the data.
const ZipAESTail = 10

// VerifierCost is the work of Verifier, KeysCost that of Keys.
func (s ZipAES) VerifierCost() int64 { return zipRounds * hmacSteps }

// KeysCost is the work of Keys.
func (s ZipAES) KeysCost() int64 {
	return int64(2*s.Key()+2+sha1.Size-1) / sha1.Size * s.VerifierCost()
}

// Verifier makes the two bytes that tell most wrong passwords.
func (s ZipAES) Verifier(password, salt []byte) []byte {
	from := 2 * s.Key()
	index := from / sha1.Size
	b := pbkdf2(nil, hmac.New(sha1.New, password), salt, uint32(index+1), zipRounds)
	b = b[from-index*sha1.Size:]
	return b[:min(2, len(b))]
}

// Keys makes the key of the cipher and that of the authentication code.
func (s ZipAES) Keys(password, salt []byte) []byte {
	mac := hmac.New(sha1.New, password)
	var b []byte
	for i := uint32(1); len(b) < 2*s.Key(); i++ {
		b = pbkdf2(b, mac, salt, i, zipRounds)
	}
	return b[:2*s.Key()]
}

// wide is a password in UTF-16LE. Bytes that are not UTF-8 are taken for Latin-1.
func wide(password []byte) []byte {
	var u []uint16
	if utf8.Valid(password) {
		u = utf16.Encode([]rune(string(password)))
	} else {
		for _, c := range password {
			u = append(u, uint16(c))
		}
	}
	out := make([]byte, 0, 2*len(u))
	for _, c := range u {
		out = binary.LittleEndian.AppendUint16(out, c)
	}
	return out
}

// MaxSevenZip is the greatest power of two of iterations that 7-Zip takes; the
// power 63 means none.
const MaxSevenZip = 24

// SevenZipCost is the work of SevenZip.
func SevenZipCost(password, salt []byte, power int) int64 {
	if power > MaxSevenZip {
		return 1 << 10
	}
	return int64(2*len(password)+len(salt)+8) << power * hashSteps
}

// SevenZip makes a key of 7zAES (7-Zip, 7zAes.cpp): SHA-256 of salt, password and an
// 8-byte counter, for each of its values below 1<<power.
func SevenZip(password, salt []byte, power int) []byte {
	one := append(append([]byte{}, salt...), wide(password)...)
	if power > MaxSevenZip {
		key := make([]byte, sha256.Size)
		copy(key, one)
		return key
	}
	at := len(one)
	one = append(one, make([]byte, 8)...)
	h := sha256.New()
	many := max(chunk/len(one), 1)
	buf := make([]byte, 0, many*len(one))
	for i := uint64(0); i < 1<<power; i++ {
		binary.LittleEndian.PutUint64(one[at:], i)
		if buf = append(buf, one...); len(buf) == many*len(one) {
			h.Write(buf)
			buf = buf[:0]
		}
	}
	h.Write(buf)
	return h.Sum(nil)
}

const (
	rar3Rounds = 1 << 18
	// maxRAR3 is the length in characters of the longest password. RAR's own
	// code changes what it hashes where one is longer.
	maxRAR3 = 28
)

// RAR3Cost is the work of RAR3.
func RAR3Cost(password []byte) int64 {
	return int64(2*len(password)+8+3) * rar3Rounds * hashSteps
}

// RAR3 makes the key and the initial value, 16 bytes each, of RAR 2.9 to 4: SHA-1 of
// password, salt and a 3-byte counter, for each of 1<<18 values; the value takes
// a byte of the state at each 16th part. It is nil where the password is too long.
func RAR3(password, salt []byte) []byte {
	one := append(wide(password), salt...)
	if len(one)-len(salt) > 2*maxRAR3 {
		return nil
	}
	at := len(one)
	one = append(one, 0, 0, 0)
	h := sha1.New()
	iv := make([]byte, 0, block)
	var buf []byte
	for i := range rar3Rounds {
		one[at], one[at+1], one[at+2] = byte(i), byte(i>>8), byte(i>>16)
		buf = append(buf, one...)
		if i%(rar3Rounds/16) == 0 {
			h.Write(buf)
			buf = buf[:0]
			iv = append(iv, h.Sum(nil)[sha1.Size-1])
		} else if len(buf) > chunk {
			h.Write(buf)
			buf = buf[:0]
		}
	}
	h.Write(buf)
	key := h.Sum(nil)
	out := make([]byte, 0, 2*block)
	for i := 0; i < block; i += 4 { // each word the other way round
		out = append(out, key[i+3], key[i+2], key[i+1], key[i])
	}
	return append(out, iv...)
}

// MaxRAR5 is the greatest power of two of iterations that RAR takes.
const MaxRAR5 = 24

// RAR5Cost is the work of RAR5.
func RAR5Cost(power int) int64 { return (1<<power + 32) * hmacSteps }

// RAR5 makes what RAR 5 needs of a password (RAR 5.0 archive format, "Encryption"):
// the key of the cipher (32 bytes), that of the checksums (32), and the value that
// tells whether the password is right (8). They are PBKDF2 with HMAC-SHA-256 after
// 1<<power iterations, and after 16 and 32 more.
func RAR5(password, salt []byte, power int) []byte {
	mac := hmac.New(sha256.New, password)
	mac.Write(salt)
	mac.Write([]byte{0, 0, 0, 1})
	u := mac.Sum(nil)
	sum := append([]byte{}, u...)
	var out []byte
	for i := 1; i < 1<<power+32; i++ {
		if i == 1<<power || i == 1<<power+16 {
			out = append(out, sum...)
		}
		mac.Reset()
		mac.Write(u)
		u = mac.Sum(u[:0])
		for j, b := range u {
			sum[j] ^= b
		}
	}
	check := make([]byte, 8)
	for j, b := range sum {
		check[j%8] ^= b
	}
	return append(out, check...)
}

// RAR5Sum turns the CRC-32 of a file into what its header has where it says
// that checksums depend on the password.
func RAR5Sum(key []byte, crc uint32) uint32 {
	mac := hmac.New(sha256.New, key)
	mac.Write(binary.LittleEndian.AppendUint32(nil, crc))
	b := mac.Sum(nil)
	v := uint32(0)
	for i := 0; i < len(b); i += 4 {
		v ^= binary.LittleEndian.Uint32(b[i:])
	}
	return v
}
