package squashfs

import (
	"encoding/binary"
	"io"

	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// attributes gives the extended attributes, which stand apart from the files and
// compressed: the names and values of all, one after the other, as one layer. The table
// has their place (8), how many lists there are (4), 4 unused, and then the
// places of the blocks that lead to each list, which begin behind the last value (Linux,
// fs/squashfs/xattr_id.c).
func (s *squash) attributes(table int64) {
	le := binary.LittleEndian
	b, err := bound.ReadAt(s.src, table, 16, 16)
	if err != nil {
		s.corrupt(table)
		return
	}
	if le.Uint32(b[8:]) == 0 {
		return
	}
	ends, err := bound.ReadAt(s.src, table+16, 8, 8)
	if err != nil {
		s.corrupt(table)
		return
	}
	from, to := le.Uint64(b), le.Uint64(ends)
	if from > to || to > uint64(table) {
		s.corrupt(table)
		return
	}
	r := &values{squash: s, at: int64(from), end: int64(to)}
	s.stop = s.stop || !s.out.Child(unpack.Child{Op: "squashfs.attributes", Reader: r, Size: -1})
}

// values reads blocks of metadata one after the other.
type values struct {
	*squash
	at, end int64
	b       []byte
}

func (v *values) Read(p []byte) (int, error) {
	for len(v.b) == 0 {
		if v.at >= v.end {
			return 0, io.EOF
		}
		m, err := v.meta(v.at)
		if err != nil {
			return 0, err
		}
		v.b, v.at = m.data, m.next
	}
	n := copy(p, v.b)
	v.b = v.b[n:]
	return n, nil
}
