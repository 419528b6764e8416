package zip

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/codec"
	"github.com/showcause/showcause/internal/ppmd"
	"github.com/showcause/showcause/unpack"
)

// zipMaxWindow is the largest window, in bytes, of a zstd frame that is decoded.
const zipMaxWindow = 64 << 20

const (
	zipGapZstdWindow = showcause.Unsupported + ".method.zstd-window"
	zipGapLZMADict   = showcause.Unsupported + ".method.lzma-dictionary"
)

// zipJob is one way to derive a member's bytes.
type zipJob struct {
	start  int64 // offset of the first compressed byte
	packed int64 // compressed bytes to look at; -1 for all to the end of the layer
	size   int64 // bytes at which to stop; -1 for the end of the stream
	method uint16
	flags  uint16
	said   int64 // size that a header declares, -1 if none
	sums   []zipSum
	sealed *opened // what a password opened, in place of the layer; nil for none
	bytes  []byte  // in place of the layer, good until the next is read; nil for none
	soft   bool    // an end that is not as it should be is no gap: another reading is the better one
}

// zipSum is a size in bytes and a CRC-32 that a header declares together.
type zipSum struct {
	size int64
	crc  uint32
}

// zipStream derives the bytes of one job and checks them on the way.
type zipStream struct {
	job zipJob
	sec *io.SectionReader
	in  *bufio.Reader
	dec io.Reader
	z   *zipWalk
	n   int64 // bytes that came out
	crc uint32

	ended   bool  // the stream came to its own end
	cut     bool  // the input ended before the stream
	exact   bool  // all that came out has a declared size and CRC
	sizeLie bool  // ... a declared CRC, or a declared size and CRC fit a part from the start
	used    int64 // compressed bytes used, once ended
	err     error
}

// open starts a job. A stream that does not begin as it should fails at its first Read.
func (z *zipWalk) open(j zipJob) *zipStream {
	s := &zipStream{job: j, z: z}
	switch {
	case j.bytes != nil:
		s.sec = bound.Reader(showcause.Bytes(j.bytes), 0, j.packed)
	case j.sealed != nil:
		s.sec = bound.Reader(j.sealed.src, 0, j.packed)
	default:
		s.sec = bound.Reader(z.src, j.start, j.packed)
	}
	if z.in == nil {
		z.in = bufio.NewReaderSize(nil, 16<<10)
	}
	s.in = z.in
	s.in.Reset(s.sec)
	var err error
	if s.dec, err = s.decoder(); err != nil {
		s.dec = nil
		s.finish(err)
	}
	return s
}

func (s *zipStream) decoder() (io.Reader, error) {
	switch s.job.method {
	case zipStored:
		return s.in, nil
	case zipDeflate:
		if s.z.inflate == nil {
			s.z.inflate = flate.NewReader(s.in)
		} else if err := s.z.inflate.(flate.Resetter).Reset(s.in, nil); err != nil {
			return nil, err
		}
		return s.z.inflate, nil
	case zipDeflate64:
		if s.z.wide == nil {
			s.z.wide = codec.NewInflate64(nil)
		}
		s.z.wide.Reset(s.in)
		return s.z.wide, nil
	case zipBzip2:
		return codec.NewBunzip(s.sec, s.in, s.job.said, s.z.out.Work)
	case zipLZMA:
		return s.lzma()
	case zipImplode:
		return codec.NewExplode(s.in, s.job.flags&zipFlagOption1 != 0, s.job.flags&zipFlagOption2 != 0, s.job.said), nil
	case zipZstd, zipZstdOld:
		return s.zstd()
	case zipPPMd:
		return s.ppmd()
	}
	return nil, unpack.Fail(showcause.Unsupported + showcause.Code(".method."+zipMethodWord(s.job.method)))
}

// lzma reads the header of section 5.8.8: a version, the length of the
// properties (5), the properties.
func (s *zipStream) lzma() (io.Reader, error) {
	var h [9]byte
	if _, err := io.ReadFull(s.in, h[:]); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	if binary.LittleEndian.Uint16(h[2:]) != 5 {
		return nil, codec.ErrLZMA
	}
	size := s.job.said
	if s.job.flags&zipFlagOption1 != 0 {
		size = -1
	}
	if !s.z.out.Work(codec.SetupLZMA(h[4])) {
		return nil, unpack.Fail(showcause.LimitWork)
	}
	d, err := codec.NewLZMA(s.in, [5]byte(h[4:]), size)
	if err != nil {
		return nil, err
	}
	d.Marked = true
	return d, nil
}

// zipKeptWindow is up to which window, in bytes, a zstd decoder is kept for the
// next member: it is at hand while the children of a child are read.
const zipKeptWindow = 1 << 20

// zstd opens the decoder, which makes the window that a frame asks for at once.
func (s *zipStream) zstd() (io.Reader, error) {
	r := &zipFrames{r: s.in, z: s.z}
	if s.z.zstd != nil {
		return s.z.zstd, s.z.zstd.Reset(r)
	}
	if !s.z.out.Work(64 << 10) {
		return nil, unpack.Fail(showcause.LimitWork)
	}
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(zipMaxWindow))
	if err != nil {
		return nil, err
	}
	s.z.zstd, s.z.window = d, 0
	return d, nil
}

// zipFrames charges the windows of the frames that go through it to a decoder
// (RFC 8878, section 3.1.1.1.2). The header of a frame stands in a frame now and
// then too, as content; it is charged all the same.
type zipFrames struct {
	r    io.Reader
	z    *zipWalk
	tail []byte // the last bytes, in which a header may have begun
}

// zipFrameHead is the length in bytes of a frame's header up to its window.
const zipFrameHead = 6

// Read implements io.Reader.
func (f *zipFrames) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	b := append(f.tail, p[:min(n, zipFrameHead-1)]...)
	if !f.charge(b, len(f.tail)) || !f.charge(p[:n], n) {
		return 0, unpack.Fail(showcause.LimitWork)
	}
	if n >= zipFrameHead-1 {
		b = p[:n]
	}
	f.tail = append(f.tail[:0], b[max(len(b)-(zipFrameHead-1), 0):]...)
	return n, err
}

// charge charges the frames whose headers are whole in b and begin before end.
func (f *zipFrames) charge(b []byte, end int) bool {
	for i := 0; ; i++ {
		j := bytes.Index(b[i:], []byte("\x28\xb5\x2f\xfd"))
		if i += j; j < 0 || i >= end || i+zipFrameHead > len(b) {
			return true
		}
		window := int64(0)
		if b[i+4]&0x20 == 0 {
			window = min(int64(1)<<(10+b[i+5]>>3), zipMaxWindow)
		}
		cost := int64(4096)
		if window > f.z.window {
			f.z.window = window
			cost += window / 4
		}
		if !f.z.out.Work(cost) {
			return false
		}
	}
}

// Read implements io.Reader.
func (s *zipStream) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.job.size >= 0 {
		if s.n == s.job.size {
			s.close()
			s.err = io.EOF
			return 0, s.err
		}
		p = p[:min(int64(len(p)), s.job.size-s.n)]
	}
	n, err := s.dec.Read(p)
	s.sum(p[:n])
	if err != nil {
		s.finish(err)
	}
	return n, s.err
}

// sum takes what came out into account. Declared sizes that are passed on the
// way are compared there.
func (s *zipStream) sum(p []byte) {
	for _, w := range s.job.sums {
		if w.size > s.n && w.size < s.n+int64(len(p)) || w.size == s.n && s.n > 0 && len(p) > 0 {
			if crc32.Update(s.crc, crc32.IEEETable, p[:w.size-s.n]) == w.crc {
				s.sizeLie = true
			}
		}
	}
	s.crc = codec.UpdateCRC(s.crc, p)
	s.n += int64(len(p))
}

// finish judges the end of the stream and sets the error that Read returns.
func (s *zipStream) finish(err error) {
	pos, _ := s.sec.Seek(0, io.SeekCurrent)
	s.used = pos - int64(s.in.Buffered())
	for _, w := range s.job.sums {
		if w.crc == s.crc && w.size == s.n && (s.n > 0 || err == io.EOF) {
			s.exact = true
		} else if w.crc == s.crc && s.n > 0 {
			s.sizeLie = true
		}
	}
	s.ended = err == io.EOF
	s.cut = err == io.ErrUnexpectedEOF
	if s.ended && s.job.flags&zipFlagDescriptor != 0 && !s.exact {
		used := s.used
		if s.job.sealed != nil {
			used += s.job.sealed.over
		}
		s.exact = s.z.descriptor(s.job.start+used, used, s.n, s.crc) > 0
	}
	var own *unpack.Error
	switch {
	case errors.As(err, &own):
		s.err = err
	case errors.Is(err, codec.ErrDictionary):
		s.err = unpack.Fail(zipGapLZMADict)
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		s.err = unpack.Fail(zipGapZstdWindow)
	case errors.Is(err, ppmd.ErrRestore):
		s.err = unpack.Fail(showcause.Unsupported + ".method.ppmd")
	case errors.Is(err, ppmd.ErrWork):
		s.err = unpack.Fail(showcause.LimitWork)
	case s.job.soft, s.exact, s.ended && (s.sizeLie || len(s.job.sums) == 0 && s.job.flags&zipFlagDescriptor == 0):
		s.err = io.EOF
	default:
		s.err = &unpack.Error{Code: showcause.Corrupt, Err: err}
	}
	s.close()
}

// Close implements io.Closer: no more is read than was.
func (s *zipStream) Close() error {
	if s.dec != nil {
		s.close()
	}
	return nil
}

// close lets go of the decoder's memory: children of the child are read next.
func (s *zipStream) close() {
	if s.dec != nil && s.dec == s.z.zstd && s.z.window > zipKeptWindow {
		s.z.zstd.Close()
		s.z.zstd = nil
	}
	if s.dec != nil && s.job.method == zipPPMd {
		s.z.dropModel(zipKeptModel)
	}
	s.dec = nil
}

// descriptor tells whether a data descriptor (4.3.9) for a member with these
// values stands at off, with or without its signature, with sizes of 32 or 64
// bits. It returns the descriptor's length in bytes, 0 for none.
func (z *zipWalk) descriptor(off, packed, size int64, crc uint32) int64 {
	le := binary.LittleEndian
	b := z.heads.at(off, 24)
	for _, skip := range []int{4, 0} {
		if len(b) < skip+12 || skip == 4 && string(b[:4]) != zipSigSplit || le.Uint32(b[skip:]) != crc {
			continue
		}
		d := b[skip+4:]
		if len(d) >= 16 && le.Uint64(d) == uint64(packed) && le.Uint64(d[8:]) == uint64(size) {
			return int64(skip + 20)
		}
		if le.Uint32(d) == uint32(packed) && le.Uint32(d[4:]) == uint32(size) {
			return int64(skip + 12)
		}
	}
	return 0
}

// zipTrialLen is how many bytes of output decide whether a stream is one.
const zipTrialLen = 64 << 10

// zipTrial is what came of starting a job only to see whether it is one.
type zipTrial struct {
	n     int64
	whole bool // came to the stream's own end
	exact bool // with a declared CRC
	more  bool // still good after zipTrialLen bytes
	cut   bool // good up to the end of its input
	weak  bool // the method makes something of any bytes at all
	used  int64
}

// good tells whether the bytes are the method's. Noise does not inflate for 64
// KiB, nor come to its end with the last of its bytes.
func (t zipTrial) good(packed int64) bool {
	return t.exact || !t.weak && (t.more || t.whole && t.n > 0 && t.used == packed && packed >= 32)
}

// try runs a job up to zipTrialLen bytes of output.
func (z *zipWalk) try(j zipJob) zipTrial {
	if !z.out.Work(4096) {
		z.stop = true
		return zipTrial{}
	}
	j.soft = true
	s := z.open(j)
	if z.trial == nil {
		z.trial = make([]byte, 8<<10)
	}
	for s.err == nil && s.n < zipTrialLen {
		s.Read(z.trial)
	}
	z.out.Work(12 * s.n)
	t := zipTrial{n: s.n, whole: s.ended, exact: s.exact || s.sizeLie, more: s.n >= zipTrialLen, cut: s.cut, used: s.used, weak: j.method == zipPPMd}
	if s.err == nil {
		s.close()
	}
	return t
}

// sumStored returns the CRC-32 of a stretch of the layer.
func (z *zipWalk) sumStored(off, n int64) uint32 {
	if !z.out.Work(n/4 + 1) {
		z.stop = true
		return 0
	}
	crc := uint32(0)
	for n > 0 {
		b := z.scan.at(off, int(min(n, zipScanChunk)))
		if len(b) == 0 {
			break
		}
		crc = crc32.Update(crc, crc32.IEEETable, b)
		off += int64(len(b))
		n -= int64(len(b))
	}
	return crc
}
