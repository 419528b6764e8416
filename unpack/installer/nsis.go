// Package installer reads what installers carry behind the program that installs it.
package installer

import (
	"bufio"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/codec"
	"github.com/showcause/showcause/unpack"
)

var le = binary.LittleEndian

// NSIS is the format of installers of the Nullsoft Scriptable Install System:
//
//	flags (4), 0xDEADBEEF, "NullsoftInst"
//	bytes of the script (4), bytes from here to the end (4)
//	one stream (solid): each block has its length (4) in front
//	or blocks: their length with the top bit set if it is compressed (4), their bytes
//
// The first block is the script, each other a file. Which method it is only the data
// tells: LZMA starts with its properties, bzip2 with "1" and a small number; all else is
// deflate (NSIS 3, Source/exehead/fileform.h and fileform.c).
func NSIS() unpack.Format {
	return unpack.Format{
		Name: "nsis",
		Match: func(p *unpack.Probe) bool {
			return p.Type == filetype.PE && !p.Near.Free(0, p.Source.Size(), magic) && headerAt(p.Source) >= 0
		},
		Walk: walkNSIS,
	}
}

const (
	headerStep = 512 // the header stands at a multiple of this
	headerSize = 28
	magic      = "\xef\xbe\xad\xdeNullsoftInst"
	packed     = 1 << 31

	opLZMA    = "nsis.lzma"
	opDeflate = "nsis.deflate"
	opBzip2   = "nsis.bzip2"
)

// headerAt finds the header, -1 if there is none.
func headerAt(src showcause.Source) int64 {
	const chunk = 256 << 10
	for at := int64(0); at < src.Size(); at += chunk {
		b, _ := bound.ReadAt(src, at, min(chunk, src.Size()-at), chunk)
		for i := 0; i+headerSize <= len(b); i += headerStep {
			if string(b[i+4:i+4+len(magic)]) == magic {
				return at + int64(i)
			}
		}
		if len(b) == 0 {
			break
		}
	}
	return -1
}

func walkNSIS(l showcause.Source, out *unpack.Out) {
	start := headerAt(l)
	h, _ := bound.ReadAt(l, start, headerSize, headerSize)
	if start < 0 || len(h) < headerSize || !out.Work(l.Size()/headerStep) {
		return
	}
	n := int64(le.Uint32(h[24:])) - headerSize
	if le.Uint32(h)&4 == 0 || le.Uint32(h)&8 != 0 { // a sum is behind the data
		n -= 4
	}
	from := start + headerSize
	if have := l.Size() - from; n > have {
		out.Gap(showcause.Corrupt, l.Size(), -1)
		n = have
	}
	data := bound.Section(l, from, max(n, 0))
	head, _ := bound.ReadAt(data, 0, min(16, data.Size()), 16)
	switch {
	case len(head) < 16:
		out.Gap(showcause.Corrupt, from, -1)
	case properties(head) >= 0:
		walkSolid(data, from, out)
	case le.Uint32(head) == le.Uint32(h[20:]) || head[3] == 0x80:
		walkBlocks(data, from, out)
	default:
		walkSolid(data, from, out)
	}
}

// properties tells LZMA by its properties: those that the installer's maker writes, behind
// a byte that says whether there is a filter. It returns where they are, -1 for none.
func properties(b []byte) int {
	for i := range 2 {
		if len(b) >= i+7 && b[i] == 0x5d && b[i+1] == 0 && b[i+2] == 0 && b[i+5] == 0 && b[i+6]&0x80 == 0 && (i == 0 || b[0] <= 1) {
			return i
		}
	}
	return -1
}

// open decodes what is compressed, and says how.
func open(src showcause.Source) (r io.Reader, method string) {
	head, _ := bound.ReadAt(src, 0, min(16, src.Size()), 16)
	in := bufio.NewReader(io.NewSectionReader(src, 0, src.Size()))
	if i := properties(head); i >= 0 {
		in.Discard(i + 5)
		d, err := codec.NewLZMA(in, [5]byte(head[i:i+5]), -1)
		if err != nil {
			return failed{}, opLZMA
		}
		if i == 1 && head[0] == 1 { // the filter for instructions of x86
			if f, ok := codec.NewBranch(d, codec.BranchX86, 0); ok {
				return f, opLZMA
			}
		}
		return d, opLZMA
	}
	if len(head) > 1 && head[0] == '1' && head[1] < 14 { // the origin is in a block
		return newBzip2(in), opBzip2
	}
	return flate.NewReader(in), opDeflate
}

// failed is a stream that breaks at its start.
type failed struct{}

func (failed) Read([]byte) (int, error) { return 0, unpack.Fail(showcause.Corrupt) }

// walkBlocks reads blocks that are compressed one by one.
func walkBlocks(data showcause.Source, base int64, out *unpack.Out) {
	for at, i := int64(0), 0; at+4 <= data.Size() && out.Work(1); i++ {
		b, _ := bound.ReadAt(data, at, 4, 4)
		if len(b) < 4 {
			break
		}
		v := le.Uint32(b)
		at += 4
		n := int64(v &^ packed)
		if n > data.Size()-at {
			out.Gap(showcause.Corrupt, base+at, -1)
			n = data.Size() - at
		}
		c := unpack.Child{Op: "nsis.stored", Source: bound.Section(data, at, n), Size: n}
		if v&packed != 0 {
			r, method := open(c.Source)
			c = unpack.Child{Op: method, Reader: r, Size: -1, Deflate: method == opDeflate}
		}
		if !out.Child(c) {
			return
		}
		at += n
	}
}

// walkSolid reads blocks that are one stream.
func walkSolid(data showcause.Source, base int64, out *unpack.Out) {
	r, method := open(data)
	var b [4]byte
	for out.Work(1) {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			if !errors.Is(err, io.EOF) {
				out.Gap(showcause.Corrupt, base, -1)
			}
			return
		}
		n := int64(le.Uint32(b[:]))
		block := &io.LimitedReader{R: r, N: n}
		if !out.Child(unpack.Child{Op: method, Reader: whole{block}, Size: n, Deflate: method == opDeflate}) {
			return
		}
		if _, err := io.Copy(io.Discard, block); err != nil || block.N > 0 {
			return
		}
	}
}

// whole reads a block to its end: that the stream ends before is damage.
type whole struct{ r *io.LimitedReader }

func (w whole) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err == io.EOF && w.r.N > 0 {
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}
