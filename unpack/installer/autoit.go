package installer

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// autoitMagic is what scripts that AutoIt compiled begin with, "5" or "6" behind it.
const autoitMagic = "\xa3\x48\x4b\xbe\x98\x6c\x4a\xa9\x99\x4c\x53\x0a\x86\xd6\x48\x7dAU3!EA0"

const (
	opScript     = "autoit.script"
	opFile       = "autoit.file"
	autoitPacker = showcause.Unsupported + ".packer.autoit"
)

// AutoIt is the format of scripts that AutoIt 3 compiled, in a program or alone, with the files
// that they bring:
//
//	magic, "5" or "6", 16 bytes, then of each file
//	"FILE" u32, length u32 and what it is, length u32 and its path, packed u8, size in here u32, size u32, sum u32,
//	two times u64, the bytes
//
// all of it exclusive-or'ed with numbers of the version (AutoIt is closed; the layout is
// that of ClamAV's autoit.c). Version 6 has texts in UTF-16, and scripts as tokens, which are written out.
func AutoIt() unpack.Format {
	return unpack.Format{
		Name: "autoit",
		Match: func(p *unpack.Probe) bool {
			if p.Type != filetype.PE {
				return strings.HasPrefix(string(p.Head), autoitMagic)
			}
			return !p.Near.Free(0, p.Source.Size(), autoitMagic) && autoitAt(p.Source, 0) >= 0
		},
		Walk: func(l showcause.Source, out *unpack.Out) {
			for at := autoitAt(l, 0); at >= 0 && out.Work(l.Size()/64+1); {
				at = autoitAt(l, walkAutoIt(l, at, out))
			}
		},
	}
}

// autoitAt finds the magic from off on, -1 if there is none.
func autoitAt(src showcause.Source, off int64) int64 {
	const chunk = 256 << 10
	for at := off; at < src.Size(); at += chunk {
		b, _ := bound.ReadAt(src, at, min(chunk+64, src.Size()-at), chunk+64)
		if i := strings.Index(string(b), autoitMagic); i >= 0 {
			return at + int64(i)
		}
		if len(b) == 0 {
			break
		}
	}
	return -1
}

// autoitKeys are the numbers of a version.
type autoitKeys struct {
	file, kind, kindSeed, path, pathSeed, size, data uint32

	unit    int64 // bytes of a character
	literal int   // the bit before a literal
	stream  func(seed uint32) func() byte
}

func keysOf(version byte) (k autoitKeys, ok bool) {
	switch version {
	case '5':
		return autoitKeys{0xceb06dff, 0x29bc, 0xa25e, 0x29ac, 0xf25e, 0x45aa, 0x22af, 1, 0, twister}, true
	case '6':
		return autoitKeys{0x52ca436b, 0xadbc, 0xb33f, 0xf820, 0xf479, 0x87bc, 0x2477, 2, 1, lagged}, true
	}
	return k, false
}

// twister gives the bytes of a Mersenne twister (MT19937), without the lowest bit.
func twister(seed uint32) func() byte {
	var mt [624]uint32
	mt[0] = seed
	for i := 1; i < len(mt); i++ {
		mt[i] = uint32(i) + 0x6c078965*(mt[i-1]>>30^mt[i-1])
	}
	at := len(mt)
	return func() byte {
		if at == len(mt) {
			at = 0
			for i := range mt {
				y := mt[i]&(1<<31) | mt[(i+1)%624]&(1<<31-1)
				mt[i] = mt[(i+397)%624] ^ y>>1 ^ -(y&1)&0x9908b0df
			}
		}
		y := mt[at]
		at++
		y ^= y >> 11
		y ^= y << 7 & 0x9d2c5680
		y ^= y << 15 & 0xefc60000
		return byte((y ^ y>>18) >> 1)
	}
}

// lagged gives the bytes of a generator of 17 words that are turned and added.
func lagged(seed uint32) func() byte {
	var words [17]uint32
	seed &= 0xffff
	for i := range words {
		seed = 1 - seed*0x53a9b4fb
		words[i] = seed
	}
	a, b := 0, 10
	next := func() uint32 {
		v := (words[a]<<9 | words[a]>>23) + (words[b]<<13 | words[b]>>19)
		words[a] = v
		a, b = (a+16)%17, (b+16)%17
		return v
	}
	for range 9 {
		next()
	}
	return func() byte {
		next()
		return byte(next() >> 24)
	}
}

// clear is a reader of bytes that are exclusive-or'ed with a stream.
type clear struct {
	r    io.Reader
	next func() byte
}

func (c clear) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	for i := range p[:n] {
		p[i] ^= c.next()
	}
	return n, err
}

// walkAutoIt reads the files behind a magic, and returns where they end.
func walkAutoIt(l showcause.Source, at int64, out *unpack.Out) int64 {
	b, _ := bound.ReadAt(l, at+int64(len(autoitMagic)), 17, 17)
	at += int64(len(autoitMagic)) + 1
	if len(b) < 17 {
		out.Gap(showcause.Corrupt, l.Size(), -1)
		return l.Size()
	}
	k, ok := keysOf(b[0])
	if !ok {
		out.Gap(autoitPacker, at-1, -1)
		return at
	}
	if b[0] == '5' {
		for _, c := range b[1:] {
			k.data += uint32(c)
		}
	}
	at += 16
	for n := 0; out.Work(256); n++ {
		word := func(off int64, key uint32) int64 {
			b, _ := bound.ReadAt(l, off, 4, 4)
			if len(b) < 4 {
				return -1
			}
			return int64(le.Uint32(b) ^ key)
		}
		if word(at, k.file) != 0 {
			if n == 0 {
				out.Gap(autoitPacker, at, -1)
			}
			return at
		}
		kinds := word(at+4, k.kind)
		kind := k.text(l, at+8, kinds, k.kindSeed)
		at += 8 + kinds*k.unit
		paths := word(at, k.path)
		path := k.text(l, at+4, paths, k.pathSeed)
		at += 4 + paths*k.unit
		size := word(at+1, k.size)
		method, _ := bound.ReadAt(l, at, 1, 1)
		if kinds < 0 || paths < 0 || size < 0 || len(method) == 0 {
			out.Gap(showcause.Corrupt, l.Size(), -1)
			return l.Size()
		}
		at += 13 + 16
		if size == 0 {
			continue
		}
		have := min(size, max(l.Size()-at, 0))
		r := io.Reader(clear{io.NewSectionReader(l, at, have), k.stream(k.data)})
		c := unpack.Child{Name: path, Op: opFile, Size: -1}
		if method[0] == 1 {
			r = &autoitLZ{in: bufio.NewReader(r), literal: k.literal, magic: "EA0" + string(b[0])}
		} else if have < size {
			r = io.MultiReader(r, torn{})
		}
		if script := kind == ">>>AUTOIT SCRIPT<<<" || kind == ">AUTOIT SCRIPT<" || kind == ">AUTOIT UNICODE SCRIPT<"; script {
			c.Op = opScript
			if b[0] == '6' {
				r = &tokens{in: bufio.NewReader(r)}
			}
		}
		c.Reader = r
		if !out.Work(8*have) || !out.Child(c) {
			return l.Size()
		}
		at += have
	}
	return at
}

// torn is where a file ends before its member does.
type torn struct{}

func (torn) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// text reads a text of n characters, "" if it is long.
func (k autoitKeys) text(l showcause.Source, at, n int64, seed uint32) string {
	if n <= 0 || n > 1024 {
		return ""
	}
	b, err := bound.ReadAt(l, at, n*k.unit, 2048)
	if err != nil {
		return ""
	}
	s, _ := io.ReadAll(clear{strings.NewReader(string(b)), k.stream(uint32(n) + seed)})
	if k.unit == 1 {
		return string(s)
	}
	wide := make([]uint16, n)
	for i := range wide {
		wide[i] = le.Uint16(s[2*i:])
	}
	return string(utf16.Decode(wide))
}

var errAutoIt = errors.New("autoit: invalid data")

// autoitLZ decodes AutoIt's compression: "EA05" or "EA06", the size u32 with its most significant byte first, then
// bits of words of 16: a literal of 8, or a distance of 15 and a length of 2, 3, 5 or 8 bits.
type autoitLZ struct {
	in      *bufio.Reader
	magic   string
	literal int

	begun      bool
	size, n    int64
	window     [1 << 15]byte
	bits       uint32
	have       uint
	dist, left int
	err        error
}

func (a *autoitLZ) take(n uint) int {
	for a.have < n {
		var b [2]byte
		if _, err := io.ReadFull(a.in, b[:]); err != nil {
			a.fail(io.ErrUnexpectedEOF)
			return 0
		}
		a.bits, a.have = a.bits<<16|uint32(binary.BigEndian.Uint16(b[:])), a.have+16
	}
	a.have -= n
	return int(a.bits>>a.have) & (1<<n - 1)
}

func (a *autoitLZ) fail(err error) {
	if a.err == nil {
		a.err = err
	}
}

// Read implements io.Reader.
func (a *autoitLZ) Read(p []byte) (n int, err error) {
	if !a.begun {
		a.begun = true
		var h [8]byte
		if _, err := io.ReadFull(a.in, h[:]); err != nil {
			a.fail(io.ErrUnexpectedEOF)
		} else if string(h[:4]) != a.magic {
			a.fail(unpack.Fail(autoitPacker))
		}
		a.size = int64(binary.BigEndian.Uint32(h[4:]))
	}
	for n < len(p) && a.err == nil {
		if a.n >= a.size {
			a.fail(io.EOF)
			break
		}
		var c byte
		switch {
		case a.left > 0:
			c = a.window[(a.n-int64(a.dist))&(1<<15-1)]
			a.left--
		case a.take(1) == a.literal:
			c = byte(a.take(8))
		default:
			a.match()
			continue
		}
		if a.err != nil {
			break
		}
		a.window[a.n&(1<<15-1)] = c
		a.n++
		p[n] = c
		n++
	}
	if n > 0 {
		return n, nil
	}
	return 0, a.err
}

// match reads a distance and a length.
func (a *autoitLZ) match() {
	a.dist = a.take(15)
	length := 3
	for _, w := range []struct {
		bits uint
		step int
	}{{2, 3}, {3, 7}, {5, 31}, {8, 255}} {
		v := a.take(w.bits)
		length += v
		if v < w.step {
			break
		}
		for w.bits == 8 && a.err == nil && length < 1<<30 {
			v = a.take(8)
			if length += v; v < 255 {
				break
			}
		}
	}
	if int64(a.dist) > a.n || a.dist == 0 {
		a.fail(errAutoIt)
	}
	a.left = length
}
