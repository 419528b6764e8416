package crypt

import (
	"hash/crc32"
	"io"

	"github.com/showcause/showcause"
)

// PKWAREHeader is the length in bytes of what stands before the data that
// PKWARE's cipher enciphers.
const PKWAREHeader = 12

// PKWARE is a member of a zip under PKWARE's first cipher (APPNOTE.TXT, 6.1). The
// state of the cipher depends on all bytes before: it is read in order, and
// reading at an earlier offset begins anew.
type PKWARE struct {
	src   showcause.Source
	start [3]uint32 // keys of the password
	keys  [3]uint32 // at pos
	pos   int64     // of src
	last  byte      // of the header
	work  func(int64) bool
}

// NewPKWARE returns the deciphered bytes of src, which begins with the header.
// work is charged for each byte that is deciphered, some 16 steps.
func NewPKWARE(src showcause.Source, password []byte, work func(int64) bool) *PKWARE {
	c := &PKWARE{src: src, start: [3]uint32{0x12345678, 0x23456789, 0x34567890}, work: work}
	c.keys = c.start
	for _, b := range password {
		c.update(b)
	}
	c.start = c.keys
	c.header()
	return c
}

// Check returns the last byte of the header: the highest byte of the CRC, or of the
// time where the CRC follows the data (6.1.6).
func (c *PKWARE) Check() byte { return c.last }

func (c *PKWARE) header() {
	c.keys, c.pos = c.start, 0
	var h [PKWAREHeader]byte
	n, _ := c.src.ReadAt(h[:], 0)
	c.decipher(h[:n])
	c.pos, c.last = PKWAREHeader, h[PKWAREHeader-1]
}

func (c *PKWARE) update(b byte) {
	k := &c.keys
	k[0] = crc32.IEEETable[byte(k[0])^b] ^ k[0]>>8
	k[1] = (k[1]+k[0]&0xff)*134775813 + 1
	k[2] = crc32.IEEETable[byte(k[2])^byte(k[1]>>24)] ^ k[2]>>8
}

func (c *PKWARE) decipher(p []byte) {
	for i := range p {
		t := c.keys[2] | 2
		p[i] ^= byte(t * (t ^ 1) >> 8 & 0xff)
		c.update(p[i])
	}
}

// Size implements showcause.Source.
func (c *PKWARE) Size() int64 { return max(c.src.Size()-PKWAREHeader, 0) }

// errWork is the error where the limit of work is spent.
type errWork struct{}

func (errWork) Error() string { return "cipher: limit of work" }

// ReadAt implements io.ReaderAt.
func (c *PKWARE) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= c.Size() {
		return 0, io.EOF
	}
	var end error
	if left := c.Size() - off; int64(len(p)) > left {
		p, end = p[:left], io.EOF
	}
	if off += PKWAREHeader; off < c.pos {
		c.header()
	}
	var skip [chunk]byte
	for c.pos < off {
		if n, err := c.next(skip[:min(chunk, off-c.pos)]); err != nil {
			return 0, err
		} else if n == 0 {
			return 0, io.ErrUnexpectedEOF
		}
	}
	n, err := c.next(p)
	if err == nil && n == len(p) {
		err = end
	}
	return n, err
}

// next deciphers len(p) bytes more.
func (c *PKWARE) next(p []byte) (int, error) {
	if !c.work(16 * int64(len(p))) {
		return 0, errWork{}
	}
	n, err := c.src.ReadAt(p, c.pos)
	c.decipher(p[:n])
	c.pos += int64(n)
	if n < len(p) {
		return n, short(err)
	}
	return n, nil
}
