package zip

import (
	"bufio"
	"encoding/binary"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/ppmd"
	"github.com/showcause/showcause/unpack"
)

// zipKeptModel is up to which size, in bytes, the model of PPMd is kept for the next
// member, while the children of a child are read.
const zipKeptModel = 16 << 20

// ppmd reads the header of section 5.10.4: the order less one in 4 bits, the
// memory in MiB less one in 8, and in 4 what is done when it is spent. There need
// not be a mark at the end: the size tells it.
func (s *zipStream) ppmd() (io.Reader, error) {
	var h [2]byte
	if _, err := io.ReadFull(s.in, h[:]); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	v := binary.LittleEndian.Uint16(h[:])
	m, err := s.z.makeModel(int64(v>>4&0xff+1) << 20)
	if err != nil {
		return nil, err
	}
	if err := m.Start(int(v&15)+1, uint32(s.z.modelSize), int(v>>12)); err != nil {
		return nil, err
	}
	return &ppmdReader{m: m, in: s.in, size: s.job.said}, nil
}

// makeModel makes a model of PPMd with mem bytes, or takes the one of the last member.
func (z *zipWalk) makeModel(mem int64) (*ppmd.ModelI, error) {
	if z.modelSize != mem {
		z.dropModel(0)
		if !z.out.Hold(mem) {
			return nil, unpack.Fail(showcause.LimitMemory)
		}
		z.model, z.modelSize = &ppmd.ModelI{Work: z.out.Work}, mem
		if !z.out.Work(mem / 4) {
			return nil, unpack.Fail(showcause.LimitWork)
		}
	}
	if !z.out.Work(1 << 13) {
		return nil, unpack.Fail(showcause.LimitWork)
	}
	return z.model, nil
}

// dropModel lets go of a model of more than keep bytes.
func (z *zipWalk) dropModel(keep int64) {
	if z.modelSize > keep {
		z.out.Release(z.modelSize)
		z.model, z.modelSize = nil, 0
	}
}

// ppmdReader decodes up to the size and over the mark of an end, or to the mark of the end where it is not known (-1).
type ppmdReader struct {
	m     *ppmd.ModelI
	in    *bufio.Reader
	size  int64
	n     int64
	begun bool
	err   error
}

// Read implements io.Reader.
func (p *ppmdReader) Read(b []byte) (n int, err error) {
	if !p.begun {
		p.begun = true
		p.err = p.m.RangeRAR(p.in)
	}
	if p.size >= 0 {
		b = b[:min(int64(len(b)), p.size-p.n)]
	}
	for n < len(b) && p.err == nil {
		var c byte
		if c, p.err = p.m.Symbol(); p.err == nil {
			b[n] = c
			n++
		}
	}
	p.n += int64(n)
	switch {
	case p.err == io.EOF && p.n < p.size:
		p.err = io.ErrUnexpectedEOF
	case p.err == nil && p.n == p.size:
		p.err = io.EOF
		if _, err := p.in.Peek(1); err == nil {
			p.m.Symbol() // some write a mark of the end nevertheless
		}
	}
	if n > 0 {
		return n, nil
	}
	return 0, p.err
}
