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
	coderRISCV     = 0xb
	coderLZMA2     = 0x21
	coderSwap2     = 0x020302
	coderSwap4     = 0x020304
	coderLZMA      = 0x030101
	coderBCJ       = 0x03030103
	coderBCJ2      = 0x0303011b
	coderPPMd      = 0x030401
	coderDeflate   = 0x040108
	coderDeflate64 = 0x040109
	coderZipZstd   = 0x04015d
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

// methodGap is the gap for a coder that is not read, by the name that 7-Zip's list
// has for it (Methods.txt).
func methodGap(id uint64) showcause.Code {
	switch id {
	case 0x03030301:
		return showcause.Unsupported + ".method.7z-alpha"
	case 0x03030605:
		return showcause.Unsupported + ".method.7z-m68k"
	case 0x037f01:
		return showcause.Unsupported + ".method.7z-experimental"
	case 0x040101:
		return showcause.Unsupported + ".method.shrink"
	case 0x040106:
		return showcause.Unsupported + ".method.implode"
	case 0x04010a:
		return showcause.Unsupported + ".method.dcl-implode"
	case 0x04010c:
		return showcause.Unsupported + ".method.bzip2"
	case 0x04010e:
		return showcause.Unsupported + ".method.lzma"
	case 0x04015f:
		return showcause.Unsupported + ".method.xz"
	case 0x040160:
		return showcause.Unsupported + ".method.jpeg"
	case 0x040161, 0x04f71201:
		return showcause.Unsupported + ".method.wavpack"
	case 0x040162:
		return showcause.Unsupported + ".method.ppmd"
	case 0x040301, 0x040302, 0x040303, 0x040305:
		return showcause.Unsupported + ".method.rar"
	case 0x040401, 0x040402:
		return showcause.Unsupported + ".method.arj"
	case 0x0405:
		return showcause.Unsupported + ".method.compress"
	case 0x0406:
		return showcause.Unsupported + ".method.lha"
	case 0x0408:
		return showcause.Unsupported + ".method.cab"
	case 0x040901, 0x040902:
		return showcause.Unsupported + ".method.7z-nsis"
	case 0x04f71001:
		return showcause.Unsupported + ".method.7z-lzham"
	case 0x04f71105:
		return showcause.Unsupported + ".method.7z-lz5"
	case 0x04f71106:
		return showcause.Unsupported + ".method.7z-lizard"
	case 0x04f712fe, 0x04f712ff:
		return showcause.Unsupported + ".method.7z-splitter"
	}
	return gapMethod
}

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
		case coderZstd, coderZipZstd:
			op, cost = "7z.zstd", 8
		case coderBrotli:
			op, cost = "7z.brotli", 8
		case coderLZ4:
			op, cost = "7z.lz4", 4
		case coderCopy, coderDelta, coderX86, coderPPC, coderIA64, coderARM, coderThumb, coderSPARC, coderARM64, coderRISCV, coderBCJ, coderBCJ2, coderSwap2, coderSwap4:
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

// isCipher tells the ciphers: the group of their own, and zip's AES.
func isCipher(id uint64) bool {
	return id>>8 == 0x06f107 || id>>16 == 0x06f1 || id>>16 == 0x06f0 || id == 0x040163
}

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
		case coderZstd, coderZipZstd:
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

	whole  *exact   // what comes out
	packed []*short // the packed streams, by their place in f.packed; nil if not asked for
}

// content opens what comes out of a folder.
func (a *archive) content(f *folder) (io.Reader, error) {
	i := f.main()
	if i < 0 {
		return nil, errHeader
	}
	a.modelUsed = false
	o := &opener{a: a, f: f, packed: make([]*short, len(f.packed))}
	r, err := o.coder(i, 0)
	o.whole, _ = r.(*exact)
	a.last = o
	return r, err
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
	e := &exact{r: r, left: o.f.sizes[i], size: o.f.sizes[i]}
	if s, ok := in[0].(*short); ok && c.filters() {
		s.filter = e
	}
	return e, nil
}

// filters tells the coders that give a byte for each that they take.
func (c *coder) filters() bool {
	id := oldBranch(c.id)
	return id == coderCopy || id >= coderDelta && id <= coderRISCV || id == coderSwap2 || id == coderSwap4
}

// copied tells whether a folder is as it stands in the archive.
func (f *folder) copied() bool {
	return !slices.ContainsFunc(f.coders, func(c coder) bool { return c.id != coderCopy })
}

// finished tells whether all that should come out of the folder has.
func (o *opener) finished() bool {
	if o.whole != nil {
		return o.whole.left <= 0
	}
	return len(o.packed) == 1 && o.packed[0].used() >= o.f.size() // a cipher alone
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
			o.packed[k] = &short{SectionReader: bound.Reader(o.a.src, off, size), want: size}
			return o.packed[k], nil
		}
	}
	return nil, errHeader
}

// short reads a packed stream and tells when the layer ends before it.
type short struct {
	*io.SectionReader
	want   int64
	plain  *short        // what a cipher makes of it, the same bytes one by one
	buffer *bufio.Reader // that a coder reads it through
	filter *exact        // over it, which gives as many bytes as it takes, but reads ahead
}

// used returns how many bytes the coders have taken.
func (s *short) used() int64 {
	if s == nil {
		return 0
	}
	if s.plain != nil {
		return s.plain.used()
	}
	n, _ := s.Seek(0, io.SeekCurrent)
	if s.filter != nil {
		return min(n, s.filter.size)
	}
	if s.buffer != nil {
		n -= int64(s.buffer.Buffered())
	}
	return n
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
	size int64
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
func buffered(r io.Reader) *bufio.Reader {
	b := bufio.NewReaderSize(r, 16<<10)
	if s, ok := r.(*short); ok {
		s.buffer = b
	}
	return b
}

// open opens a coder over what it reads.
func (o *opener) open(c coder, in []io.Reader, size int64) (io.Reader, error) {
	if c.id == coderBCJ2 {
		if len(in) != 4 {
			return nil, errHeader
		}
		return &bcj2{main: buffered(in[0]), call: buffered(in[1]), jump: buffered(in[2]), rc: buffered(in[3]), size: size}, nil
	}
	if len(in) != 1 {
		return nil, unpack.Fail(methodGap(c.id))
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
	case coderZstd, coderZipZstd:
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
	if c.id == coderSwap2 || c.id == coderSwap4 {
		return codec.NewSwap(r, int(c.id&7)), nil
	}
	if b, ok := codec.NewBranch(r, codec.Branch(min(oldBranch(c.id), 255)), start(c.props)); ok {
		return b, nil
	}
	return nil, unpack.Fail(methodGap(c.id))
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
