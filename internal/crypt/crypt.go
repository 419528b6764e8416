// Package crypt has the ciphers of archives, and makes keys from passwords as
// archives do. Deciphered bytes are a Source: they are read at any offset, and
// nothing is held but the key.
package crypt

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"io"

	"github.com/showcause/showcause"
)

const block = aes.BlockSize

// chunk is how many bytes are deciphered at a time.
const chunk = 4096

// cbc is AES in CBC mode (NIST SP 800-38A, 6.2).
type cbc struct {
	src showcause.Source
	iv  [block]byte
	aes cipher.Block
}

// CBC returns what src holds enciphered by AES in CBC mode. Bytes behind the last whole
// block are left out. The key has 16, 24 or 32 bytes.
func CBC(src showcause.Source, key []byte, iv [16]byte) (showcause.Source, error) {
	c, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return &cbc{src, iv, c}, nil
}

// Size implements showcause.Source.
func (c *cbc) Size() int64 { return c.src.Size() &^ (block - 1) }

// ReadAt implements io.ReaderAt.
func (c *cbc) ReadAt(p []byte, off int64) (int, error) {
	return pieces(p, off, c.Size(), func(at int64, b []byte) (int, error) {
		prev := c.iv
		if at > 0 {
			if n, err := c.src.ReadAt(prev[:], at-block); n < block {
				return 0, short(err)
			}
		}
		n, err := c.src.ReadAt(b, at)
		n &^= block - 1
		cipher.NewCBCDecrypter(c.aes, prev[:]).CryptBlocks(b[:n], b[:n])
		if n < len(b) {
			return n, short(err)
		}
		return n, nil
	})
}

// pieces reads p at off of a source of the given size by whole blocks, which
// get puts into b, a piece at a time.
func pieces(p []byte, off, size int64, get func(at int64, b []byte) (int, error)) (int, error) {
	if off < 0 || off >= size {
		return 0, io.EOF
	}
	var end error
	if left := size - off; int64(len(p)) > left {
		p, end = p[:left], io.EOF
	}
	var buf [chunk]byte
	done := 0
	for done < len(p) {
		at := (off + int64(done)) &^ (block - 1)
		skip := int(off + int64(done) - at)
		want := min((skip+len(p)-done+block-1)&^(block-1), chunk)
		n, err := get(at, buf[:want])
		if n > skip {
			done += copy(p[done:], buf[skip:n])
		}
		if err != nil {
			return done, err
		}
	}
	return done, end
}

func short(err error) error {
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// ctr is AES in counter mode with WinZip's counter.
type ctr struct {
	src showcause.Source
	aes cipher.Block
}

// CTR returns what src holds enciphered by AES in counter mode as WinZip does
// it: the counter is little-endian and begins with 1 (WinZip, "AES Encryption
// Information", I). The key has 16, 24 or 32 bytes.
func CTR(src showcause.Source, key []byte) (showcause.Source, error) {
	c, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return &ctr{src, c}, nil
}

// Size implements showcause.Source.
func (c *ctr) Size() int64 { return c.src.Size() }

// ReadAt implements io.ReaderAt.
func (c *ctr) ReadAt(p []byte, off int64) (int, error) {
	return pieces(p, off, c.Size(), func(at int64, b []byte) (int, error) {
		b = b[:min(int64(len(b)), c.Size()-at)]
		n, err := c.src.ReadAt(b, at)
		var count, pad [block]byte
		for i := 0; i < n; i += block {
			binary.LittleEndian.PutUint64(count[:], uint64(at+int64(i))/block+1)
			c.aes.Encrypt(pad[:], count[:])
			for j := range b[i:min(i+block, n)] {
				b[i+j] ^= pad[j]
			}
		}
		if n < len(b) {
			return n, short(err)
		}
		return n, nil
	})
}
