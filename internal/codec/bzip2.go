package codec

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"io"
)

var (
	bzip2Block = []byte{0x31, 0x41, 0x59, 0x26, 0x53, 0x59} // opens a block
	bzip2End   = []byte{0x17, 0x72, 0x45, 0x38, 0x50, 0x90} // closes a stream
)

// Bzip2Head tells a bzip2 stream's header: the magic, a block size and then a
// block or the end. A header cut short is one too.
func Bzip2Head(b []byte) bool {
	if len(b) < 5 || string(b[:3]) != "BZh" || b[3] < '1' || b[3] > '9' {
		return false
	}
	rest := b[4:min(len(b), 10)]
	return bytes.HasPrefix(bzip2Block, rest) || bytes.HasPrefix(bzip2End, rest)
}

// bunzip decodes a bzip2 member. The decoder makes a table of 400,000 bytes
// times the level that a stream's header names before it reads any data. So the
// header is shown to it with the level that the declared size needs, and
// should that be too low, with the real one from the start.
type bunzip struct {
	src   io.ReadSeeker
	in    *bufio.Reader
	work  func(int64) bool
	r     io.Reader
	n     int64 // bytes that came out
	most  byte  // level that the decoder is shown at most
	tail  [3]byte
	lower bool // a level was lowered
}

// NewBunzip reads a stream from src through in, with content of the given
// declared size, -1 if unknown. work is charged what the tables cost.
func NewBunzip(src io.ReadSeeker, in *bufio.Reader, size int64, work func(int64) bool) (io.Reader, error) {
	if head, _ := in.Peek(10); !Bzip2Head(head) {
		return nil, bzip2.StructuralError("no stream")
	}
	b := &bunzip{src: src, in: in, work: work, most: '9'}
	if size >= 0 {
		// The run-length code under the blocks adds one byte in four at worst.
		b.most = byte('1' + min((size+size/4)/100_000, 8))
	}
	b.r = bzip2.NewReader(b)
	return b, nil
}

// ReadByte implements io.ByteReader for the decoder.
func (b *bunzip) ReadByte() (byte, error) {
	c, err := b.in.ReadByte()
	if err != nil {
		return c, err
	}
	if b.tail == [3]byte{'B', 'Z', 'h'} && c >= '1' && c <= '9' {
		next, _ := b.in.Peek(6)
		if c > b.most && (bytes.Equal(next, bzip2Block) || bytes.Equal(next, bzip2End)) {
			c, b.lower = b.most, true
		}
		b.work(int64(c-'0') * 100_000)
	}
	b.tail = [3]byte{b.tail[1], b.tail[2], c}
	return c, nil
}

// Read implements io.Reader, on both sides: the decoder asks for bytes alone.
func (b *bunzip) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.n += int64(n)
	if err == nil || err == io.EOF || !b.lower || n > 0 {
		return n, err
	}
	if _, err := b.src.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	b.in.Reset(b.src)
	b.most, b.lower, b.tail = '9', false, [3]byte{}
	b.r = bzip2.NewReader(b)
	b.work(b.n / 4)
	if _, err := io.CopyN(io.Discard, b.r, b.n); err != nil {
		return 0, err
	}
	n, err = b.r.Read(p)
	b.n += int64(n)
	return n, err
}
