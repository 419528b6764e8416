package squashfs

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"

	"github.com/showcause/showcause/internal/codec"
)

// xzBlock unpacks a block that is one stream of xz, to at most size bytes and one more.
// Each has the filter that made it smallest, if it has one, so that they differ.
//
//	stream = "\xfd7zXZ\x00" flags u16 CRC-32, block, index, footer
//
// Their check is CRC-32 or none (Linux, lib/xz, and squashfs-tools).
func (s *squash) xzBlock(b []byte, size int64) ([]byte, error) {
	le := binary.LittleEndian
	if len(b) < 16 || string(b[:6]) != "\xfd7zXZ\x00" || le.Uint32(b[8:]) != crc32.ChecksumIEEE(b[6:8]) {
		return nil, errSquash
	}
	check := b[7]
	if b[6] != 0 || check > 1 {
		return nil, errSquash
	}
	b = b[12:]
	var out []byte
	for len(b) > 0 && b[0] != 0 && s.work(256) {
		n := (int(b[0]) + 1) * 4
		if n > len(b) || n < 8 || le.Uint32(b[n-4:]) != crc32.ChecksumIEEE(b[:n-4]) {
			return nil, errSquash
		}
		in := bytes.NewReader(b[n:])
		r, err := codec.XZBlock(b[:n], &s.lz, in)
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(io.LimitReader(r, size+1-int64(len(out))))
		if err != nil {
			return nil, err
		}
		out = append(out, data...)
		if int64(len(out)) > size {
			return out, nil
		}
		at := (len(b) - in.Len() + 3) &^ 3
		end := at + 4*int(check)
		if end > len(b) || check == 1 && le.Uint32(b[at:]) != crc32.ChecksumIEEE(data) {
			return nil, errSquash
		}
		b = b[end:]
	}
	if !xzEnds(b) {
		return nil, errSquash
	}
	return out, nil
}

// xzEnds tells whether b is an index and a footer, and nothing behind them.
//
//	index  = 0, records, padding, CRC-32
//	footer = CRC-32, size of the index / 4 - 1 u32, flags u16, "YZ"
func xzEnds(b []byte) bool {
	le := binary.LittleEndian
	if len(b) < 20 || b[0] != 0 {
		return false
	}
	index, foot := b[:len(b)-12], b[len(b)-12:]
	n := len(index) - 4
	return string(foot[10:]) == "YZ" && le.Uint32(foot) == crc32.ChecksumIEEE(foot[4:10]) &&
		(int64(le.Uint32(foot[4:]))+1)*4 == int64(len(index)) && le.Uint32(index[n:]) == crc32.ChecksumIEEE(index[:n])
}
