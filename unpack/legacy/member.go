package legacy

import (
	"bufio"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/codec"
	"github.com/showcause/showcause/unpack"
)

// summed checks the size and the checksum of a member at its end.
type summed struct {
	r    io.Reader
	size int64
	add  func(sum uint32, p []byte) uint32
	want uint32
	sum  uint32
	n    int64
	left func() int64 // bytes of the input that no one has read; nil where that is known elsewhere
}

// leftMost is how many bytes a decoder may leave that has all it wants.
const leftMost = 16

// Read implements io.Reader.
func (s *summed) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.n += int64(n)
	s.sum = s.add(s.sum, p[:n])
	if err == io.EOF && s.n < s.size {
		err = io.ErrUnexpectedEOF
	}
	if err == io.EOF && (s.sum != s.want || s.left != nil && s.left() > leftMost) {
		err = unpack.Fail(showcause.Corrupt)
	}
	return n, err
}

// Close implements io.Closer: the decoder goes.
func (s *summed) Close() error {
	s.r = closed{}
	return nil
}

type closed struct{}

// Read implements io.Reader.
func (closed) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

// stretch reads n bytes of a layer one by one.
func stretch(src showcause.Source, off, n int64) *bufio.Reader {
	return bufio.NewReaderSize(bound.Reader(src, off, n), 8<<10)
}

// input reads a layer from a place on, byte by byte, and knows where it is.
type input struct {
	*bufio.Reader
	sec *io.SectionReader
	off int64
}

func newInput(src showcause.Source, off int64) *input {
	sec := bound.Reader(src, off, -1)
	return &input{bufio.NewReaderSize(sec, 8<<10), sec, off}
}

// at returns the offset of the next byte.
func (i *input) at() int64 {
	n, _ := i.sec.Seek(0, io.SeekCurrent)
	return i.off + n - int64(i.Buffered())
}

// left returns how many bytes there are from there on.
func (i *input) left() int64 { return i.off + i.sec.Size() - i.at() }

// lzhReader decodes a method with prefix codes.
func lzhReader(in io.ByteReader, window uint, fill byte, np int, pbits uint, size int64) io.Reader {
	return &lz{ring: newRing(window, fill), next: newHuffman(in, np, pbits).next, size: size}
}

// lz5 decodes -lz5-, whose window is not empty at the start.
func lz5(in io.ByteReader, size int64) io.Reader {
	l := &lz{ring: newRing(12, ' '), size: size}
	clear(l.b[:18])
	b := l.b[18:]
	for i := range 256 {
		for range 13 {
			b[0] = byte(i)
			b = b[1:]
		}
	}
	for i := range 256 {
		b[i], b[256+i] = byte(i), byte(255-i)
	}
	clear(b[512:640])
	// What would stand behind the end of the window is at its start.
	l.next = (&flags{r: in, win: &l.ring, start: 18}).next
	return l
}

// lzs decodes -lzs-.
func lzs(in io.ByteReader, size int64) io.Reader {
	l := &lz{ring: newRing(11, ' '), size: size}
	l.next = (&larc{codec.NewBits(in), &l.ring}).next
	return l
}

// szdd decodes SZDD's compression from a place in a window of spaces.
func szdd(in io.ByteReader, start int, size int64) io.Reader {
	l := &lz{ring: newRing(12, ' '), size: size}
	l.pos = start
	l.next = (&flags{r: in, win: &l.ring}).next
	return l
}
