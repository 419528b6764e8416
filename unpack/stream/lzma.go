package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/codec"
	"github.com/showcause/showcause/unpack"
)

// lzmaHeader is the size in bytes of what stands before the coded data: the
// properties, the size of the dictionary and the size of the content.
const lzmaHeader = 13

// LZMA reads .lzma files (7-Zip's lzma-specification.txt). The format has no
// magic, so that Match asks that every field has a value that encoders write
// and that the first bytes decode.
func LZMA() unpack.Format {
	return unpack.Format{Name: "lzma", Match: lzmaMatch, Walk: lzmaWalk}
}

// lzmaPlausible judges the header as xz does, and the first coded byte.
func lzmaPlausible(b []byte) bool {
	if len(b) < lzmaHeader+1 || b[0] >= badProps || b[0]%9+b[0]/9%5 > 4 || b[lzmaHeader] != 0 {
		return false
	}
	if !roundDict(lzmaDict(b)) {
		return false
	}
	size := int64(binary.LittleEndian.Uint64(b[5:]))
	if size == 0 || size < -1 || size >= 1<<38 {
		// Of nothing there are files, as encoders write them; else it is many a small structure, "\x01Ole" of documents one.
		return size == 0 && lzmaDict(b) >= smallDict && b[0] == usualProps
	}
	return lzmaDict(b) >= smallDict || len(bytes.Trim(b[lzmaHeader:min(lzmaHeader+5, len(b))], "\x00")) > 0
}

// smallDict is the least dictionary that encoders write. Decoders take less,
// down to 0; many a small number at a file's start is one, so that of such
// files more must decode, and the coded data must not start with zeros.
const smallDict = 1 << 12

func lzmaDict(b []byte) uint32 { return binary.LittleEndian.Uint32(b[1:]) }

// roundDict tells whether n is the sum of two powers of 2 at most, as a rule 2^i or 2^i+2^(i-1), or the greatest there is.
func roundDict(n uint32) bool {
	rest := n & (n - 1)
	return rest&(rest-1) == 0 || n == 1<<32-1
}

// exactDict tells whether n is 2^i, 2^i+2^(i-1) or the greatest there is, which is all that xz writes and takes.
func exactDict(n uint32) bool {
	return n&(n-1) == 0 || n == 3*(n&-n) || n == 1<<32-1
}

// lzmaOdd judges a header that no encoder writes and decoders read all the same:
// any dictionary, any size below 2^56. The properties are the usual ones.
func lzmaOdd(b []byte) bool {
	return len(b) > lzmaHeader+5 && b[0] == usualProps && b[lzmaHeader] == 0 && (b[12] == 0 || binary.LittleEndian.Uint64(b[5:]) == 1<<64-1) &&
		len(bytes.Trim(b[lzmaHeader:lzmaHeader+5], "\x00")) > 0
}

// lzmaLies judges a header of which one field is what no decoder takes, properties or a
// size, and all others are as encoders write them. Of the dictionary that is asked to the letter: tables of colours, at even steps, look
// like the rest.
func lzmaLies(b []byte) bool {
	if len(b) <= lzmaHeader+5 || b[lzmaHeader] != 0 || len(bytes.Trim(b[lzmaHeader:lzmaHeader+5], "\x00")) == 0 ||
		!exactDict(lzmaDict(b)) || lzmaDict(b) < smallDict {
		return false
	}
	size := binary.LittleEndian.Uint64(b[5:])
	if b[0] >= badProps {
		return size == 1<<64-1 || size > 0 && size < 1<<38
	}
	return b[0]%9+b[0]/9%5 <= 4 && size >= 1<<38
}

// Properties from badProps on are none; encoders write usualProps where nobody asks for
// others (lc 3, lp 0, pb 2).
const badProps, usualProps = 9 * 5 * 5, 0x5d

// lzmaOddDecodes tells whether something decodes: of other bytes, the first
// distance leads nowhere.
func lzmaOddDecodes(b []byte) bool {
	d, err := openLZMA(bytes.NewReader(b))
	if err != nil {
		return false
	}
	n, err := io.CopyN(io.Discard, d, 1<<10)
	return err == nil || n >= 64 && (err == io.EOF || err == io.ErrUnexpectedEOF)
}

func lzmaMatch(p *unpack.Probe) bool {
	if !lzmaPlausible(p.Head) {
		return (lzmaOdd(p.Head) || lzmaLies(p.Head)) && lzmaOddDecodes(p.Head)
	}
	d, err := openLZMA(bytes.NewReader(p.Head))
	if err != nil {
		return err == io.ErrUnexpectedEOF && lzmaDict(p.Head) >= smallDict
	}
	if lzmaDict(p.Head) < smallDict {
		n, err := io.CopyN(io.Discard, d, 1<<20)
		return err == nil || err == io.EOF || err == io.ErrUnexpectedEOF && n >= 256
	}
	var first [256]byte
	_, err = io.ReadFull(d, first[:])
	return err == nil || err == io.EOF || err == io.ErrUnexpectedEOF
}

// openLZMA reads the header from r. Properties that are none are taken for the usual ones.
func openLZMA(r codec.ByteReader) (*codec.LZMA, error) {
	var h [lzmaHeader]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return nil, bound.CutShort(err)
	}
	if h[0] >= badProps {
		h[0] = usualProps
	}
	return codec.NewLZMA(r, [5]byte(h[:5]), max(int64(binary.LittleEndian.Uint64(h[5:])), -1))
}

func lzmaWalk(src showcause.Source, out *unpack.Out) {
	if !out.Work(firstRun) {
		return
	}
	open := func() *lzmaRun { return &lzmaRun{in: newInput(src, 0)} }
	r, ok := give(out, unpack.Child{Op: "lzma.stream", Size: -1}, open(), open, lzmaCost)
	if !ok {
		return
	}
	if b := bound.Head(src, 1); len(b) > 0 && b[0] >= badProps {
		out.Gap(showcause.Corrupt, 0, 1)
	}
	if junk, more := bound.SkipZeros(src, r.in.offset()); more {
		out.Gap(showcause.Corrupt, junk, src.Size()-junk)
	}
}

// lzmaRun is the one stream of a file.
type lzmaRun struct {
	in  *input
	d   *codec.LZMA
	err error
}

func (l *lzmaRun) free() {
	l.in.free()
	l.d = nil
}

// Read implements io.Reader.
func (l *lzmaRun) Read(p []byte) (n int, err error) {
	if l.d == nil && l.err == nil {
		l.d, l.err = openLZMA(l.in)
	}
	if l.err != nil {
		return 0, l.err
	}
	n, err = l.d.Read(p)
	l.err = lzmaError(err)
	if l.err == io.EOF && l.d.Sized() {
		l.mark()
	}
	return n, l.err
}

// lzmaCost is the work of a byte from an LZMA decoder, in steps.
const lzmaCost = 128

// lzmaError names the gap for what a decoder refuses.
func lzmaError(err error) error {
	if errors.Is(err, codec.ErrDictionary) {
		return &unpack.Error{Code: showcause.Unsupported + ".method.lzma-dictionary", Err: err}
	}
	return err
}

// mark takes the end mark that may stand behind content of a declared size.
func (l *lzmaRun) mark() {
	if _, more := bound.SkipZeros(l.in.src, l.in.offset()); !more {
		return
	}
	if err := l.d.Tail(); err != nil {
		l.err = err
	}
}
