package rar

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/crypt"
)

// opened is behind the operation of what a password opened.
const opened = ".decrypted"

const (
	saltSize3 = 8 // bytes before an encrypted header, or behind a file's name
	ivSize5   = 16
	// trialSize is how many bytes a file may have that is decoded to see whether
	// a password is right: version 4 has nothing else to tell it.
	trialSize = 32 << 20
)

// cipher is what a header says of how something is encrypted.
type cipher struct {
	five   bool
	power  int // of two: iterations of version 5
	salt   []byte
	iv     []byte // of version 5
	check  []byte // value to compare a password with, nil for none
	tweak  bool   // checksums depend on the password
	broken bool   // it is not as it should be
}

// cipher5 reads the encryption record of a file (RAR 5.0 archive format, "File
// encryption record"), or the archive encryption header, which has no initial value.
func cipher5(n *numbers, header bool) *cipher {
	c := &cipher{five: true}
	version, flags := n.next(), n.next()
	if b := n.take(1); len(b) == 1 {
		c.power = int(b[0])
	}
	c.salt = bytes.Clone(n.take(16))
	if !header {
		c.iv = bytes.Clone(n.take(ivSize5))
		c.tweak = flags&2 != 0
	}
	if flags&1 != 0 {
		if b := n.take(12); len(b) == 12 {
			if sum := sha256.Sum256(b[:8]); bytes.Equal(sum[:4], b[8:]) {
				c.check = bytes.Clone(b[:8])
			}
		}
	}
	c.broken = n.bad || version != 0 || c.power > crypt.MaxRAR5
	return c
}

// passwords returns what is to be tried, the one first that opened something before.
func (a *archive) passwords() [][]byte {
	if a.words == nil {
		a.words = a.out.Passwords()
	}
	if i := slices.IndexFunc(a.words, func(p []byte) bool { return bytes.Equal(p, a.right) }); i > 0 {
		a.words = slices.Insert(slices.Delete(a.words, i, i+1), 0, a.right)
	}
	return a.words
}

// key makes the key that a password gives: see crypt.RAR3 and crypt.RAR5. It is
// nil where that costs too much.
func (a *archive) key(c *cipher, password []byte) []byte {
	if c.five {
		return a.out.Key(fmt.Sprintf("rar5 %d %x %x", c.power, c.salt, password), crypt.RAR5Cost(c.power), func() []byte {
			return crypt.RAR5(password, c.salt, c.power)
		})
	}
	return a.out.Key(fmt.Sprintf("rar3 %x %x", c.salt, password), crypt.RAR3Cost(password), func() []byte {
		return crypt.RAR3(password, c.salt)
	})
}

// decipher opens src with a key.
func (c *cipher) decipher(src showcause.Source, key []byte) showcause.Source {
	size, iv := 16, c.iv
	if c.five {
		size = 32
	} else {
		iv = key[16:]
	}
	out, err := crypt.CBC(src, key[:size], [16]byte(iv))
	if err != nil {
		return nil // the lengths are right
	}
	return out
}

// unlock looks for the password that the check value tells, or else right, and
// returns its key; nil if there is none.
func (a *archive) unlock(c *cipher, right func(password, key []byte) bool) []byte {
	if c.broken {
		return nil
	}
	for _, p := range a.passwords() {
		key := a.key(c, p)
		if key == nil {
			if len(p) > 28 && !c.five {
				continue // see crypt.RAR3
			}
			return nil
		}
		if c.check != nil && !bytes.Equal(key[64:], c.check) || c.check == nil && !right(p, key) {
			continue
		}
		a.right = p
		return key
	}
	return nil
}

// head is an encrypted archive's header, deciphered: a Source whose bytes stand
// from at+lead on, in whole blocks.
type head struct {
	src  showcause.Source
	off  int64 // of the header in src
	lead int64 // bytes before it in the layer: salt or initial value
}

// header returns where the header at at is to be read. It is false where it is
// encrypted and no password opens it.
func (a *archive) header(at int64) (head, bool) {
	if a.sealed == nil {
		return head{a.src, at, 0}, true
	}
	c := *a.sealed
	if c.broken {
		return head{}, false
	}
	n := int64(saltSize3)
	if c.five {
		n = ivSize5
	}
	b, err := bound.ReadAt(a.src, at, n, n)
	if err != nil {
		return head{showcause.Bytes(nil), 0, n}, true // the archive ends here
	}
	if c.five {
		c.iv = b
	} else {
		c.salt = b
	}
	body := bound.Section(a.src, at+n, min(max(a.src.Size()-at-n, 0), maxHeader+32))
	fits := func(_, key []byte) bool { return c.headFits(c.decipher(body, key)) }
	key := a.unlock(&c, fits)
	if key == nil {
		return head{}, false
	}
	return head{c.decipher(body, key), 0, n}, true
}

// headFits tells whether a deciphered header has a checksum that fits.
func (c *cipher) headFits(src showcause.Source) bool {
	b := bound.Head(src, 64)
	if c.five {
		if len(b) < 16 {
			return false
		}
		n := &numbers{b: b[4:]}
		size := n.next()
		used := int64(len(b)) - 4 - int64(len(n.b))
		b, err := bound.ReadAt(src, 4, used+size, maxHeader)
		return !n.bad && size > 0 && err == nil && crc32.ChecksumIEEE(b) == le.Uint32(bound.Head(src, 4))
	}
	if len(b) < 7 || b[2] < 0x72 || b[2] > 0x7b {
		return false
	}
	size := int64(le.Uint16(b[5:]))
	all, err := bound.ReadAt(src, 0, size, 1<<16)
	return err == nil && size >= 7 && crc32.ChecksumIEEE(all[2:])&0xffff == uint32(le.Uint16(all))
}

// span is the number of bytes that a header of n bytes takes in the layer.
func (h head) span(n int64) int64 {
	if h.lead == 0 {
		return n
	}
	return h.lead + (n+15)&^15
}

// open opens an encrypted file's data, if a password does. The file is changed to
// be one that is not encrypted, but for sealed.
func (a *archive) open(m *member) bool {
	c := m.cipher
	if c == nil || !c.five && m.version < 29 {
		return false
	}
	data := a.body(m)
	key := a.unlock(c, func(password, key []byte) bool {
		if m.checkable() {
			return a.fits(*m, c.decipher(data, key))
		}
		return a.right != nil && bytes.Equal(password, a.right) // as the one before
	})
	if key == nil {
		return false
	}
	m.data = c.decipher(data, key)
	if c.tweak {
		m.tweak = key[32:64]
	}
	return true
}

// checkable tells whether the checksum of a file can tell whether a password is right.
func (m *member) checkable() bool {
	return !m.solid && !m.before && !m.behind && m.summed && m.size >= 0 && m.size <= trialSize && m.method <= 5 &&
		(m.version >= 29 && m.version <= 36 || m.version >= 50 && m.version <= 70)
}

// fits tells whether the checksum of a file is that of what a password gives.
func (a *archive) fits(m member, data showcause.Source) bool {
	m.data = data
	r := &reader{a: a, m: m, in: bufio.NewReaderSize(a.data(&m), 16<<10), size: m.size}
	if m.method > 0 {
		held := min(m.dict, maxWindow, m.size) + maxFilter + maxModel
		if !a.out.Hold(held) {
			return false
		}
		defer a.out.Release(held)
		r.dec = &unpack3{work: a.out.Work}
		if m.version >= 50 {
			r.dec = &unpack5{}
		}
		r.dec.open(r.in, false, m.dict)
	}
	buf := make([]byte, 32<<10)
	for r.err == nil {
		n, _ := r.Read(buf)
		if !a.out.Guess(64*int64(n) + 1<<10) {
			return false
		}
	}
	return r.err == io.EOF && r.n == m.size
}

// data reads a file's data in order.
func (a *archive) data(m *member) io.Reader {
	if m.data == nil {
		return bound.Reader(a.body(m), 0, m.packed)
	}
	return bound.Reader(m.data, 0, m.stands())
}

// stands is how many bytes of a file's data are the file's: those of an encrypted
// one fill a block.
func (m *member) stands() int64 {
	if m.data != nil && m.method == 0 && m.size >= 0 && !m.behind && m.packed-m.size < 16 {
		return min(m.packed, m.size)
	}
	return m.packed
}

// wrong is the code for a file whose checksum does not fit.
func (m *member) wrong() showcause.Code {
	if m.cipher != nil && m.cipher.check == nil {
		return showcause.Encrypted // the password may be another
	}
	return showcause.Corrupt
}

// sum is the checksum of a file as its header has it.
func (m *member) sum(crc uint32) uint32 {
	if m.tweak != nil {
		return crypt.RAR5Sum(m.tweak, crc)
	}
	return crc
}
