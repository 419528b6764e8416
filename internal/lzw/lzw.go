// Package lzw is the LZW of PDF, PostScript and TIFF. That of GIF and of compress is another one.
package lzw

import (
	"bufio"
	"errors"
	"io"

	"github.com/showcause/showcause/internal/bound"
)

// New undoes LZW (ISO 32000-1, 7.4.4; TIFF 6.0, section 13): codes of 9 to 12
// bits, the first bit highest; 256 clears the table, 257 ends. early says that codes grow one code early, as
// TIFF's do. A code that cannot be there is an error, and so is an end without 257.
func New(in *bufio.Reader, early bool) io.Reader { return &reader{in: in, early: early} }

type reader struct {
	in    *bufio.Reader
	early bool

	bits   uint32
	nbits  int
	prev   int // the last code, -1 behind one that clears
	next   int // the code to be made
	prefix [4096]uint16
	ends   [4096]byte
	buf    [4097]byte
	out    []byte
	begun  bool
	err    error
}

const (
	clearCode = 256
	endCode   = 257
)

// Read implements io.Reader.
func (z *reader) Read(p []byte) (int, error) {
	if !z.begun {
		z.begun, z.prev, z.next = true, -1, 258
	}
	n := 0
	for n < len(p) {
		if len(z.out) == 0 {
			if z.err == nil {
				z.err = z.step()
			}
			if z.err != nil {
				break
			}
			continue
		}
		m := copy(p[n:], z.out)
		z.out = z.out[m:]
		n += m
	}
	if n > 0 {
		return n, nil
	}
	return 0, z.err
}

// width returns the bits of the next code.
func (z *reader) width() int {
	n := z.next
	if z.early {
		n++
	}
	switch {
	case n >= 2048:
		return 12
	case n >= 1024:
		return 11
	case n >= 512:
		return 10
	}
	return 9
}

// code reads one code. The end of the data ends the stream too.
func (z *reader) code() (int, error) {
	w := z.width()
	for z.nbits < w {
		c, err := z.in.ReadByte()
		if err == io.EOF && z.nbits > 8 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return 0, err
		}
		z.bits = z.bits<<8 | uint32(c)
		z.nbits += 8
	}
	z.nbits -= w
	return int(z.bits>>z.nbits) & (1<<w - 1), nil
}

// step puts what the next code stands for into out.
func (z *reader) step() error {
	code, err := z.code()
	switch {
	case err == io.EOF:
		return bound.CutShort(err) // without its end code
	case err != nil:
		return err
	case code == endCode:
		return io.EOF
	case code == clearCode:
		z.prev, z.next = -1, 258
		return nil
	case code > z.next || code >= z.next && (z.prev < 0 || z.next > 4095):
		return errors.New("lzw: a code that is not made yet")
	}
	end, at := len(z.buf), len(z.buf)
	walk := code
	if code == z.next { // the code that is being made
		at--
		walk = z.prev
	}
	for walk > endCode && at > 1 {
		at--
		z.buf[at] = z.ends[walk]
		walk = int(z.prefix[walk])
	}
	at--
	z.buf[at] = byte(walk)
	if code == z.next {
		z.buf[end-1] = z.buf[at]
	}
	if z.prev >= 0 && z.next <= 4095 {
		z.prefix[z.next], z.ends[z.next] = uint16(z.prev), z.buf[at]
		z.next++
	}
	z.prev = code
	z.out = z.buf[at:]
	return nil
}
