package office

import (
	"bytes"
	"crypto/md5"
	"crypto/rc4"
	"crypto/sha1"
	"io"
	"math/bits"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// ownPassword is what Excel tries before it asks ([MS-OFFCRYPTO] 2.3.7.1): workbooks
// that are protected and not secret have it.
const ownPassword = "VelvetSweatshop"

// sealed opens an encrypted workbook, if a password does, and tells whether that was
// not all: it is encrypted, or nothing more is taken.
func (w *workbook) sealed(at int64, b []byte) bool {
	passwords := append([][]byte{[]byte(ownPassword)}, w.out.Passwords()...)
	for _, p := range passwords {
		if !w.out.Work(200) {
			return true
		}
		if c := w.cipher(b, p); c != nil {
			r := &plainWorkbook{src: w.src, cipher: c}
			return !w.out.Child(unpack.Child{Op: "xlm.decrypted", Reader: r, Size: w.src.Size()})
		}
	}
	w.out.Gap(showcause.Encrypted, at, w.src.Size()-at)
	return true
}

// decipher deciphers data of a record of n bytes: those that stand at off in the stream.
type decipher func(b []byte, off int64, n int)

// cipher is what a password opens a workbook with ([MS-XLS] 2.4.117), nil if it does not.
func (w *workbook) cipher(b, password []byte) decipher {
	if !w.wide {
		return xorCipher(b, password)
	}
	if len(b) < 6 {
		return nil
	}
	switch version := le.Uint16(b[4:]); {
	case le.Uint16(b) == 0:
		return xorCipher(b[2:], password)
	case le.Uint16(b) == 1 && le.Uint16(b[2:]) == 1:
		return blocks(rc4Keys(b[6:], password), 1024)
	case le.Uint16(b) == 1 && version == 2:
		return blocks(cryptoAPI(b[6:], password), 1024)
	}
	return nil
}

// xorCipher is the obfuscation of Excel 95 ([MS-OFFCRYPTO] 2.3.7). b has the key and a
// number to check the password.
func xorCipher(b, password []byte) decipher {
	n := len(password)
	if len(b) < 4 || n == 0 || n > 15 {
		return nil
	}
	key, check := xorKey(password), uint16(0)
	for i := n; i >= 0; i-- {
		c := uint16(n)
		if i > 0 {
			c = uint16(password[i-1])
		}
		check = (check>>14&1 | check<<1&0x7fff) ^ c
	}
	if le.Uint16(b) != key || le.Uint16(b[2:]) != check^0xce4b {
		return nil
	}
	pad := [...]byte{0xbb, 0xff, 0xff, 0xba, 0xff, 0xff, 0xb9, 0x80, 0x00, 0xbe, 0x0f, 0x00, 0xbf, 0x0f, 0x00}
	array := [16]byte{}
	copy(array[copy(array[:], password):], pad[:])
	for i := range array {
		array[i] = bits.RotateLeft8(array[i]^byte(key>>(i&1*8)), -1)
	}
	return func(b []byte, off int64, n int) {
		for i := range b {
			b[i] = bits.RotateLeft8(b[i]^array[(off+int64(i)+int64(n))&15], 3)
		}
	}
}

// xorKey is the key of a password of at most 15 bytes ([MS-OFFCRYPTO] 2.3.7.2).
func xorKey(password []byte) uint16 {
	first := [...]uint16{0xe1f0, 0x1d0f, 0xcc9c, 0x84c0, 0x110c, 0x0e10, 0xf1ce, 0x313e, 0x1872, 0xe139, 0xd40f, 0x84f9, 0x280c, 0xa96a, 0x4ec3}
	matrix := [...]uint16{
		0xaefc, 0x4dd9, 0x9bb2, 0x2745, 0x4e8a, 0x9d14, 0x2a09, 0x7b61, 0xf6c2, 0xfda5, 0xeb6b, 0xc6f7, 0x9dcf, 0x2bbf, 0x4563, 0x8ac6, 0x05ad, 0x0b5a, 0x16b4, 0x2d68, 0x5ad0,
		0x0375, 0x06ea, 0x0dd4, 0x1ba8, 0x3750, 0x6ea0, 0xdd40, 0xd849, 0xa0b3, 0x5147, 0xa28e, 0x553d, 0xaa7a, 0x44d5, 0x6f45, 0xde8a, 0xad35, 0x4a4b, 0x9496, 0x390d, 0x721a,
		0xeb23, 0xc667, 0x9cef, 0x29ff, 0x53fe, 0xa7fc, 0x5fd9, 0x47d3, 0x8fa6, 0x0f6d, 0x1eda, 0x3db4, 0x7b68, 0xf6d0, 0xb861, 0x60e3, 0xc1c6, 0x93ad, 0x377b, 0x6ef6, 0xddec,
		0x45a0, 0x8b40, 0x06a1, 0x0d42, 0x1a84, 0x3508, 0x6a10, 0xaa51, 0x4483, 0x8906, 0x022d, 0x045a, 0x08b4, 0x1168, 0x76b4, 0xed68, 0xcaf1, 0x85c3, 0x1ba7, 0x374e, 0x6e9c,
		0x3730, 0x6e60, 0xdcc0, 0xa9a1, 0x4363, 0x86c6, 0x1dad, 0x3331, 0x6662, 0xccc4, 0x89a9, 0x0373, 0x06e6, 0x0dcc, 0x1021, 0x2042, 0x4084, 0x8108, 0x1231, 0x2462, 0x48c4,
	}
	key, at := first[len(password)-1], len(matrix)-1
	for i := len(password) - 1; i >= 0; i-- {
		for bit := 6; bit >= 0; bit-- {
			if password[i]>>bit&1 != 0 {
				key ^= matrix[at]
			}
			at--
		}
	}
	return key
}

// keys gives the key of RC4 for a block.
type keys func(block uint32) []byte

// blocks deciphers by RC4 with a key for each size bytes of the stream. It is nil where there are no keys.
func blocks(key keys, size int64) decipher {
	if key == nil {
		return nil
	}
	var c *rc4.Cipher
	at := int64(-1) // of c in the stream
	return func(b []byte, off int64, _ int) {
		for len(b) > 0 {
			if c == nil || at != off || off%size == 0 {
				c, _ = rc4.NewCipher(key(uint32(off / size)))
				skip := make([]byte, off%size)
				c.XORKeyStream(skip, skip)
			}
			n := min(int64(len(b)), size-off%size)
			c.XORKeyStream(b[:n], b[:n])
			b, off = b[n:], off+n
			at = off
		}
	}
}

// wide is a password as UTF-16LE, in which keys are made of it.
func wide(password []byte) (out []byte) {
	for _, u := range utf16.Encode([]rune(string(password))) {
		out = le.AppendUint16(out, u)
	}
	return out
}

// rc4Keys is RC4 with 40 bits ([MS-OFFCRYPTO] 2.3.6): salt, verifier, its hash.
func rc4Keys(b, password []byte) keys {
	if len(b) < 48 {
		return nil
	}
	h := md5.Sum(wide(password))
	h = md5.Sum(bytes.Repeat(append(h[:5:5], b[:16]...), 16))
	key := func(block uint32) []byte {
		k := md5.Sum(le.AppendUint32(h[:5:5], block))
		return k[:]
	}
	check := bytes.Clone(b[16:48])
	c, _ := rc4.NewCipher(key(0))
	c.XORKeyStream(check, check)
	if sum := md5.Sum(check[:16]); !bytes.Equal(sum[:], check[16:]) {
		return nil
	}
	return key
}

// cryptoAPI is RC4 with a key of up to 128 bits ([MS-OFFCRYPTO] 2.3.5): flags, a header
// of which the length comes first, then salt, verifier, its hash.
func cryptoAPI(b, password []byte) keys {
	if len(b) < 8 {
		return nil
	}
	n := int64(le.Uint32(b[4:]))
	if b = b[8:]; n < 32 || n > int64(len(b)) {
		return nil
	}
	size := int(le.Uint32(b[16:]) / 8)
	if size == 0 {
		size = 5
	}
	if b = b[n:]; len(b) < 4+16+16+4+20 || size > 16 {
		return nil
	}
	h := sha1.Sum(append(bytes.Clone(b[4:20]), wide(password)...))
	key := func(block uint32) []byte {
		k := sha1.Sum(le.AppendUint32(h[:len(h):len(h)], block))
		if size == 5 { // 40 bits are filled up with zeros
			return append(k[:5:5], make([]byte, 11)...)
		}
		return k[:size]
	}
	check := append(bytes.Clone(b[20:36]), b[40:60]...)
	c, _ := rc4.NewCipher(key(0))
	c.XORKeyStream(check, check)
	if sum := sha1.Sum(check[:16]); !bytes.Equal(sum[:], check[16:]) {
		return nil
	}
	return key
}

// plainWorkbook gives a workbook without its encryption: heads of records are not
// encrypted, nor are some records. What said that it is encrypted says nothing any more.
type plainWorkbook struct {
	src    showcause.Source
	cipher decipher
	at     int64
	ready  []byte
}

// Read implements io.Reader.
func (p *plainWorkbook) Read(out []byte) (int, error) {
	for len(p.ready) == 0 {
		if p.at >= p.src.Size() {
			return 0, io.EOF
		}
		h, err := bound.ReadAt(p.src, p.at, 4, 4)
		if err != nil {
			p.ready, p.at = h, p.src.Size()
			continue
		}
		id, n := le.Uint16(h), int(le.Uint16(h[2:]))
		b, err := bound.ReadAt(p.src, p.at+4, int64(n), 1<<16)
		switch {
		case id == recordBOF || oldBOF(id) || id == 0xe1 || id == 0x194 || id == 0x195 || id == 0x138 || id == 0x196:
		case id == recordFilePass:
			h[0], h[1] = 0, 0
		case id == recordSheet && len(b) >= 4: // where the sheet begins is not encrypted
			p.cipher(b[4:], p.at+8, n)
		default:
			p.cipher(b, p.at+4, n)
		}
		p.ready, p.at = append(h, b...), p.at+4+int64(len(b))
		if err != nil {
			p.at = p.src.Size()
		}
	}
	n := copy(out, p.ready)
	p.ready = p.ready[n:]
	return n, nil
}
