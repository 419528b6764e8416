package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

var (
	snappyMagic = []byte("\xff\x06\x00\x00sNaPpY")

	errSnappy = errors.New("snappy: invalid data")
)

// snappyBlock is how many bytes a chunk gives at most.
const snappyBlock = 64 << 10

// Snappy reads files of Snappy's framing format (google/snappy,
// framing_format.txt). Streams that follow each other are one child, as its
// readers join them.
//
//	stream = identifier, chunk*
//	chunk  = type (1), length of what follows (3), data
//	  0x00   check (4), a compressed block (format_description.txt)
//	  0x01   check (4), bytes as they are
//	  0x80 and more, but for 0xff: to be skipped; from 0x02 on: unknown, an error
func Snappy() unpack.Format {
	return unpack.Format{
		Name:  "snappy",
		Match: func(p *unpack.Probe) bool { return bytes.HasPrefix(p.Head, snappyMagic) },
		Walk: func(src showcause.Source, out *unpack.Out) {
			table := crc32.MakeTable(crc32.Castagnoli)
			walkRuns(src, out, streams{
				op:    "snappy.stream",
				magic: snappyMagic,
				open:  func(off int64) run { return &snappyRun{in: newInput(src, off), out: out, table: table} },
			})
		},
	}
}

// snappyRun reads chunks up to what is none.
type snappyRun struct {
	damage // chunks

	in    *input
	out   *unpack.Out
	table *crc32.Table
	begun bool
	comp  []byte
	win   []byte
	out0  int // first byte of win that is not read yet
	err   error
}

func (s *snappyRun) end() int64 { return s.in.offset() }

func (s *snappyRun) free() {
	s.in.free()
	s.comp, s.win = nil, nil
}

// Read implements io.Reader.
func (s *snappyRun) Read(p []byte) (int, error) {
	for {
		if s.out0 < len(s.win) {
			n := copy(p, s.win[s.out0:])
			s.out0 += n
			return n, nil
		}
		if s.err != nil {
			return 0, s.err
		}
		s.win, s.out0 = s.win[:0], 0
		if !s.out.Work(256) {
			s.err = unpack.Fail(showcause.LimitWork)
		} else {
			s.err = s.chunk()
		}
	}
}

// chunk reads one chunk; io.EOF where there is none.
func (s *snappyRun) chunk() error {
	from := s.in.offset()
	h, _ := s.in.Peek(len(snappyMagic))
	switch {
	case bytes.HasPrefix(h, snappyMagic):
		s.in.Discard(len(snappyMagic))
		s.begun = true
		return nil
	case len(h) == 0 || !s.begun:
		return io.EOF
	case len(h) < 4:
		s.in.Discard(len(h))
		return io.ErrUnexpectedEOF
	case h[0] == 0xff, h[0] == 0 && h[1] == 0 && h[2] == 0 && h[3] == 0:
		return io.EOF // padding, or something else
	}
	kind, n := h[0], int(h[1])|int(h[2])<<8|int(h[3])<<16
	if kind > 1 && kind < 0x80 {
		return unpack.Fail(showcause.Unsupported + ".method.snappy")
	}
	s.in.Discard(4)
	if kind >= 0x80 {
		_, err := io.CopyN(io.Discard, s.in, int64(n))
		return bound.CutShort(err)
	}
	if n < 4 || n > snappyBlock+snappyBlock/6+64+4 {
		return errSnappy
	}
	if cap(s.comp) < n {
		s.comp = make([]byte, n, max(n, 4096))
	}
	s.comp = s.comp[:n]
	m, short := io.ReadFull(s.in, s.comp)
	if m < 4 {
		return io.ErrUnexpectedEOF
	}
	sum, data := binary.LittleEndian.Uint32(s.comp), s.comp[4:m]
	var err error
	if kind == 1 {
		s.win = append(s.win, data[:min(len(data), snappyBlock)]...)
		if len(data) > snappyBlock {
			err = errSnappy
		}
	} else {
		s.win, err = snappyExpand(s.win, data)
	}
	if err != nil || short != nil {
		return bound.CutShort(errors.Join(short, err))
	}
	if c := crc32.Checksum(s.win, s.table); (c>>15|c<<17)+0xa282ead8 != sum {
		s.note(from)
	}
	return nil
}

// snappyExpand decodes one block and appends it to dst, which is empty. It
// returns what it decoded also with an error.
func snappyExpand(dst, src []byte) ([]byte, error) {
	size, used := binary.Uvarint(src)
	if used <= 0 || size > snappyBlock {
		return dst, errSnappy
	}
	src = src[used:]
	for len(src) > 0 {
		tag := src[0]
		src = src[1:]
		n, dist, extra := int(tag>>2)+1, 0, 0
		switch {
		case tag&3 == 0 && n > 60:
			extra = n - 60
		case tag&3 != 0:
			extra = [4]int{0, 1, 2, 4}[tag&3]
		}
		if len(src) < extra {
			return dst, errSnappy
		}
		v := 0
		for i := range extra {
			v |= int(src[i]) << (8 * i)
		}
		src = src[extra:]
		switch tag & 3 {
		case 0:
			if extra > 0 {
				n = v + 1
			}
			have := min(n, len(src), int(size)-len(dst))
			dst = append(dst, src[:max(have, 0)]...)
			if have < n {
				return dst, errSnappy
			}
			src = src[n:]
			continue
		case 1:
			n, dist = int(tag>>2&7)+4, v|int(tag>>5)<<8
		default:
			dist = v
		}
		if dist == 0 || dist > len(dst) || n > int(size)-len(dst) {
			return dst, errSnappy
		}
		for n > 0 {
			from := len(dst) - dist
			m := min(n, dist)
			dst = append(dst, dst[from:from+m]...)
			n -= m
		}
	}
	if len(dst) != int(size) {
		return dst, errSnappy
	}
	return dst, nil
}
