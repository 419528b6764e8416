package sevenzip

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/codec"
	"github.com/showcause/showcause/internal/ppmd"
	"github.com/showcause/showcause/unpack"
)

// The coders (7-Zip, Methods.txt).
const (
	coderCopy      = 0x0
	coderDelta     = 0x3
	coderX86       = 0x4
	coderPPC       = 0x5
	coderIA64      = 0x6
	coderARM       = 0x7
	coderThumb     = 0x8
	coderSPARC     = 0x9
	coderARM64     = 0xa
	coderLZMA2     = 0x21
	coderLZMA      = 0x030101
	coderBCJ       = 0x03030103
	coderBCJ2      = 0x0303011b
	coderPPMd      = 0x030401
	coderDeflate   = 0x040108
	coderDeflate64 = 0x040109
	coderBzip2     = 0x040202
	coderZstd      = 0x04f71101
	coderBrotli    = 0x04f71102
	coderLZ4       = 0x04f71104
	coderAES       = 0x06f10701
)

const (
	gapMethod = showcause.Unsupported + ".method.7z"
	gapDict   = showcause.Unsupported + ".method.lzma-dictionary"
	gapWindow = showcause.Unsupported + ".method.zstd-window"

	maxWindow = 64 << 20 // bytes that a decoder keeps at most
)

// oldBranch are the numbers that the branch filters had first.
func oldBranch(id uint64) uint64 {
	switch id {
	case coderBCJ:
		return coderX86
	case 0x03030205:
		return coderPPC
	case 0x03030401:
		return coderIA64
	case 0x03030501:
		return coderARM
	case 0x03030701:
		return coderThumb
	case 0x03030805:
		return coderSPARC
	}
	return id
}

// op names the derivation by the coder that compresses, and how much work, in
// steps, a byte of its output is.
func (f *folder) op() (op string, cost int64) {
	op, cost = "7z.copy", 2
	for _, c := range f.coders {
		switch c.id {
		case coderLZMA, coderLZMA2:
			return map[bool]string{true: "7z.lzma", false: "7z.lzma2"}[c.id == coderLZMA], 128
		case coderPPMd:
			return "7z.ppmd", 256
		case coderDeflate:
			op, cost = "7z.deflate", 8
		case coderDeflate64:
			op, cost = "7z.deflate64", 16
		case coderBzip2:
			op, cost = "7z.bzip2", 64
		case coderZstd:
			op, cost = "7z.zstd", 8
		case coderBrotli:
			op, cost = "7z.brotli", 8
		case coderLZ4:
			op, cost = "7z.lz4", 4
		case coderCopy, coderDelta, coderX86, coderPPC, coderIA64, coderARM, coderThumb, coderSPARC, coderARM64, coderBCJ, coderBCJ2:
		case coderAES:
		default:
			if oldBranch(c.id) == c.id && op == "7z.copy" {
				op = "7z.unknown"
			}
		}
	}
	return op, cost
}

// encrypted tells whether a coder is a cipher.
func (f *folder) encrypted() bool {
	return slices.ContainsFunc(f.coders, func(c coder) bool { return isCipher(c.id) })
}

func isCipher(id uint64) bool { return id>>8 == 0x06f107 || id>>16 == 0x06f1 || id>>16 == 0x06f0 }

// window is how many bytes the folder's decoders keep. Those of LZMA grow with
// what comes out, and so only as far as the size that is declared.
func (f *folder) window() int64 {
	n := int64(256 << 10)
	for i, c := range f.coders {
		size := int64(maxWindow)
		if i < len(f.sizes) {
			size = min(f.sizes[i], size)
		}
		switch c.id {
		case coderLZMA:
			if len(c.props) == 5 {
				n += min(int64(binary.LittleEndian.Uint32(c.props[1:])), size)
			}
		case coderLZMA2:
			if len(c.props) == 1 {
				n += min(lzma2Dict(c.props[0]), size)
			}
		case coderBzip2:
			n += 4 << 20
		case coderZstd:
			n += 2 * size
		case coderBrotli:
			n += min(size, 16<<20) + 4<<20
		case coderLZ4:
			n += 8 << 20
		}
	}
	return n
}

// lzma2Dict is the size of the dictionary that a byte stands for.
func lzma2Dict(b byte) int64 {
	if b >= 40 {
		return 1<<32 - 1
	}
	return int64(2|b&1) << (b/2 + 11)
}

// opener opens the coders of a folder.
type opener struct {
	a *archive
	f *folder
}

// content opens what comes out of a folder.
func (a *archive) content(f *folder) (io.Reader, error) {
	i := f.main()
	if i < 0 {
		return nil, errHeader
	}
	a.modelUsed = false
	o := opener{a, f}
	return o.coder(i, 0)
}

// coder opens one coder. Nothing is bound in a ring that is reached from the
// main one: the outputs that are bound are as many as the coders less one.
func (o *opener) coder(i, depth int) (io.Reader, error) {
	if depth > maxCoders {
		return nil, errHeader
	}
	first := 0
	for _, c := range o.f.coders[:i] {
		first += c.in
	}
	c := o.f.coders[i]
	var in []io.Reader
	for j := range c.in {
		r, err := o.stream(first+j, depth)
		if err != nil {
			return nil, err
		}
		in = append(in, r)
	}
	r, err := o.open(c, in, o.f.sizes[i])
	if err != nil {
		return nil, err
	}
	if c.id == coderAES {
		return r, nil // it is exact, and read at any offset
	}
	return &exact{r: r, left: o.f.sizes[i]}, nil
}

// stream opens what a coder reads.
func (o *opener) stream(n, depth int) (io.Reader, error) {
	for _, p := range o.f.pairs {
		if p.in == n {
			return o.coder(p.out, depth+1)
		}
	}
	for k, p := range o.f.packed {
		if p == n {
			off, size, ok := o.a.main.packed(o.f.at + k)
			if !ok {
				return nil, errHeader
			}
			return &short{bound.Reader(o.a.src, off, size), size}, nil
		}
	}
	return nil, errHeader
}

// short reads a packed stream and tells when the layer ends before it.
type short struct {
	*io.SectionReader
	want int64
}

// Read implements io.Reader.
func (s *short) Read(p []byte) (int, error) {
	n, err := s.SectionReader.Read(p)
	if err == io.EOF && s.Size() < s.want {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// exact ends where the size says.
type exact struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (e *exact) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left)])
	e.left -= int64(n)
	if err == io.EOF && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if errors.Is(err, codec.ErrDictionary) {
		err = &unpack.Error{Code: gapDict, Err: err}
	}
	if errors.Is(err, codec.ErrWork) {
		err = unpack.Fail(showcause.LimitWork)
	}
	return n, err
}

// buffered reads bytes one by one.
func buffered(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, 16<<10) }

// open opens a coder over what it reads.
func (o *opener) open(c coder, in []io.Reader, size int64) (io.Reader, error) {
	if c.id == coderBCJ2 {
		if len(in) != 4 {
			return nil, errHeader
		}
		return &bcj2{main: buffered(in[0]), call: buffered(in[1]), jump: buffered(in[2]), rc: buffered(in[3]), size: size}, nil
	}
	if len(in) != 1 {
		return nil, unpack.Fail(gapMethod)
	}
	r := in[0]
	charge := func(n int64) error {
		if !o.a.out.Work(n) {
			return unpack.Fail(showcause.LimitWork)
		}
		return nil
	}
	switch c.id {
	case coderCopy:
		return r, nil
	case coderAES:
		return o.decipher(c, r, size)
	case coderDelta:
		if len(c.props) != 1 {
			return nil, errHeader
		}
		return codec.NewDelta(r, int(c.props[0])+1), nil
	case coderLZMA:
		if len(c.props) != 5 {
			return nil, errHeader
		}
		if err := charge(codec.SetupLZMA(c.props[0])); err != nil {
			return nil, err
		}
		d, err := codec.NewLZMA(buffered(r), [5]byte(c.props), size)
		if err != nil {
			return nil, err
		}
		d.Marked = true
		return d, nil
	case coderLZMA2:
		if len(c.props) != 1 {
			return nil, errHeader
		}
		d := &codec.LZMA2{Work: o.a.out.Work}
		d.Reset(buffered(r), lzma2Dict(c.props[0]))
		return d, charge(codec.SetupLZMA(0))
	case coderPPMd:
		return o.ppmd(c, r, charge)
	case coderDeflate:
		return flate.NewReader(buffered(r)), charge(1 << 15)
	case coderDeflate64:
		return codec.NewInflate64(buffered(r)), charge(1 << 15)
	case coderBzip2:
		s, ok := r.(*short)
		if !ok {
			return nil, unpack.Fail(gapMethod) // behind another coder: nothing writes that
		}
		return codec.NewBunzip(s, buffered(s), size, o.a.out.Work)
	case coderZstd:
		in := buffered(r)
		h, _ := in.Peek(6)
		if err := charge(zstdCost(h)); err != nil {
			return nil, err
		}
		d, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return &zstdReader{d}, nil
	case coderBrotli:
		return &brotliReader{in: buffered(r), work: o.a.out.Work}, nil
	case coderLZ4:
		return lz4.NewReader(r), charge(1 << 17)
	}
	if b, ok := codec.NewBranch(r, codec.Branch(min(oldBranch(c.id), 255)), start(c.props)); ok {
		return b, nil
	}
	return nil, unpack.Fail(gapMethod)
}

// start is the address that a branch filter begins with.
func start(props []byte) uint32 {
	if len(props) == 4 {
		return binary.LittleEndian.Uint32(props)
	}
	return 0
}

// zstdCost is the work of the window that a frame's header asks for (RFC 8878,
// section 3.1.1.1), which the decoder makes at once.
func zstdCost(h []byte) int64 {
	if len(h) < 6 || h[4]&0x20 != 0 {
		return 1 << 17
	}
	return min(int64(1)<<(10+h[5]>>3), maxWindow)/4 + 1<<16
}

// zstdReader lets go of the decoder.
type zstdReader struct{ *zstd.Decoder }

// Read implements io.Reader.
func (z *zstdReader) Read(p []byte) (int, error) {
	n, err := z.Decoder.Read(p)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		err = &unpack.Error{Code: gapWindow, Err: err}
	}
	return n, err
}

// ppmd opens PPMd: order, and bytes of memory.
func (o *opener) ppmd(c coder, r io.Reader, charge func(int64) error) (io.Reader, error) {
	if len(c.props) != 5 {
		return nil, errHeader
	}
	mem := binary.LittleEndian.Uint32(c.props[1:])
	if mem > ppmd.MaxMemory {
		return nil, unpack.Fail(showcause.LimitMemory)
	}
	if o.a.modelUsed {
		return nil, unpack.Fail(gapMethod) // two at a time: nothing writes that
	}
	o.a.modelUsed = true
	if o.a.modelSize != int64(mem) {
		o.a.dropModel()
		if !o.a.out.Hold(int64(mem)) {
			return nil, unpack.Fail(showcause.LimitMemory)
		}
		o.a.model, o.a.modelSize = &ppmd.Model{}, int64(mem)
		if err := charge(int64(mem) / 2); err != nil {
			return nil, err
		}
	}
	p := &ppmdReader{m: o.a.model, in: buffered(r)}
	if err := p.m.Start(int(c.props[0]), mem); err != nil {
		return nil, err
	}
	if err := charge(1 << 16); err != nil {
		return nil, err
	}
	return p, nil
}

// dropModel lets go of the model that the folders with PPMd share.
func (a *archive) dropModel() {
	a.out.Release(a.modelSize)
	a.model, a.modelSize = nil, 0
}

type ppmdReader struct {
	m     *ppmd.Model
	in    *bufio.Reader
	begun bool
	err   error
}

// Read implements io.Reader.
func (p *ppmdReader) Read(b []byte) (n int, err error) {
	if !p.begun {
		p.begun = true
		p.err = p.m.Range(p.in)
	}
	for n < len(b) && p.err == nil {
		var c byte
		if c, p.err = p.m.Symbol(); p.err == nil {
			b[n] = c
			n++
		}
	}
	if n > 0 {
		return n, nil
	}
	return 0, p.err
}
