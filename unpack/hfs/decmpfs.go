package hfs

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/lzfse"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/extent"
)

// decmpfs is how files are compressed (Apple, XNU, bsd/sys/decmpfs.h). The
// attribute com.apple.decmpfs, little-endian:
//
//	0 "fpmc", 4 kind u32, 8 size u64, 16 data, or nothing where they are in the resource fork
//
// In the fork, zlib has a resource (Inside Macintosh, "Resource Manager"): at 256 its length u32, big-endian; 260 blocks u32, then of
// each its offset from 260 on u32 and its length u32. The others have the offsets of all blocks and the end, u32. A block is 64 KiB.
const (
	decmpStored = 1
	decmpZlib   = 3 // with data in the attribute; the next is in the fork
	decmpLZVN   = 7
	decmpRaw    = 9
	decmpLZFSE  = 11

	decmpBlock = 64 << 10
)

var errDecmp = errors.New("decmpfs: damaged")

// decmpfs gives a compressed file. It tells whether the resource fork is a part
// of it. A kind that is not known is a gap.
func (h *hfs) decmpfs(head []byte, fork *extent.File, name string) bool {
	le := binary.LittleEndian
	kind, size := le.Uint32(head[4:]), int64(min(le.Uint64(head[8:]), 1<<62))
	if string(head[:4]) != "fpmc" {
		h.Corrupt(h.Src.Size())
		return false
	}
	r := &decmpReader{data: head[16:], size: size, work: h.Out.Work}
	inFork := false
	switch kind {
	case decmpStored, decmpRaw:
		r.method, r.data = decmpStored, bytes.TrimPrefix(head[16:], []byte{0xcc})
		if int64(len(head)-16) == size { // without the mark
			r.data = head[16:]
		}
	case decmpZlib, decmpLZVN, decmpLZFSE:
		r.method = kind
	case decmpZlib + 1, decmpLZVN + 1, decmpRaw + 1, decmpLZFSE + 1:
		r.method, r.data, r.fork, inFork = kind-1, nil, fork, true
	default:
		h.Stop = h.Stop || !h.out.ChildGap(unpack.Child{Op: "hfsplus.compressed", Name: extent.Last(name), Size: size}, hfsMethod)
		return false
	}
	if size == 0 && !inFork {
		return false
	}
	c := unpack.Child{Op: "hfsplus.compressed", Name: extent.Last(name), Size: size}
	c.Reader = r
	h.Stop = h.Stop || !h.out.Child(c)
	return inFork
}

// decmpReader reads a compressed file in order.
type decmpReader struct {
	data   []byte       // of the attribute
	fork   *extent.File // or the resource fork
	method uint32
	size   int64 // that is declared
	work   func(int64) bool

	block int64 // that comes next
	count int64 // blocks
	at    int64 // bytes that were given
	left  []byte
	z     io.ReadCloser
	buf   []byte
	err   error
}

func (r *decmpReader) Read(p []byte) (int, error) {
	for len(r.left) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if r.left, r.err = r.next(); r.err == io.EOF && r.at+int64(len(r.left)) != r.size {
			r.err = errDecmp
		}
		r.at += int64(len(r.left))
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

// next unpacks the next block. The last comes with io.EOF.
func (r *decmpReader) next() ([]byte, error) {
	if r.fork == nil {
		out, err := r.unpack(r.data, r.size)
		if err == nil {
			err = io.EOF
		}
		return out, err
	}
	off, n, err := r.place()
	if err != nil {
		return nil, err
	}
	if n > decmpBlock+decmpBlock/4 {
		return nil, errDecmp
	}
	b, err := bound.ReadAt(r.fork, off, n, 2*decmpBlock)
	if err != nil || r.fork.Bad {
		return nil, errDecmp
	}
	r.block++
	out, err := r.unpack(b, decmpBlock)
	switch last := r.block == r.count; {
	case err != nil:
	case last:
		err = io.EOF
	case len(out) != decmpBlock:
		err = errDecmp
	}
	return out, err
}

// place says where in the fork the next block is.
func (r *decmpReader) place() (off, n int64, err error) {
	le := binary.LittleEndian
	if r.method == decmpZlib {
		const base = 260
		if r.block == 0 {
			b, err := bound.ReadAt(r.fork, base, 4, 4)
			if err != nil {
				return 0, 0, errDecmp
			}
			if r.count = int64(le.Uint32(b)); r.count == 0 {
				return 0, 0, r.none()
			}
		}
		b, err := bound.ReadAt(r.fork, base+4+8*r.block, 8, 8)
		if err != nil {
			return 0, 0, errDecmp
		}
		return base + int64(le.Uint32(b)), int64(le.Uint32(b[4:])), nil
	}
	if r.block == 0 {
		b, err := bound.ReadAt(r.fork, 0, 4, 4)
		if err != nil {
			return 0, 0, errDecmp
		}
		if r.count = int64(le.Uint32(b))/4 - 1; r.count < 0 {
			return 0, 0, errDecmp
		} else if r.count == 0 {
			return 0, 0, r.none()
		}
	}
	b, err := bound.ReadAt(r.fork, 4*r.block, 8, 8)
	if err != nil {
		return 0, 0, errDecmp
	}
	off = int64(le.Uint32(b))
	if n = int64(le.Uint32(b[4:])) - off; n < 0 {
		return 0, 0, errDecmp
	}
	return off, n, nil
}

// none is the end of a file without blocks.
func (r *decmpReader) none() error {
	if r.size == 0 {
		return io.EOF
	}
	return errDecmp
}

// unpack unpacks a block into at most most bytes. One whose first byte no
// compressed one has is as it is behind that byte.
func (r *decmpReader) unpack(b []byte, most int64) ([]byte, error) {
	if len(b) == 0 {
		if most == 0 {
			return nil, nil
		}
		return nil, errDecmp
	}
	most = min(most, decmpBlock)
	if r.buf == nil {
		r.buf = make([]byte, 0, decmpBlock)
	}
	switch {
	case r.method == decmpStored:
		return b, nil
	case r.method == decmpRaw:
		return b[1:], nil
	case r.method == decmpZlib && b[0]&0xf == 0xf, r.method == decmpLZVN && b[0] == lzvnEnd, r.method == decmpLZFSE && b[0] != 'b':
		return b[1:], nil
	case r.method == decmpLZVN:
		return lzfse.LZVN(r.buf[:0], b, int(most))
	case r.method == decmpLZFSE:
		out, err := lzfse.Decode(r.buf[:0], b, int(most), r.work)
		return out, lzfseError(err)
	}
	in := bytes.NewReader(b)
	var err error
	if r.z == nil {
		r.z, err = zlib.NewReader(in)
	} else {
		err = r.z.(zlib.Resetter).Reset(in, nil)
	}
	if err != nil {
		r.z = nil
		return nil, errDecmp
	}
	n, err := io.ReadFull(r.z, r.buf[:most])
	if err == nil { // there is no more, or it is not what the size says
		var one [1]byte
		if m, e := r.z.Read(one[:]); m > 0 || e != io.EOF {
			return r.buf[:n], errDecmp
		}
	} else if err == io.ErrUnexpectedEOF && int64(n) < most {
		// The end of the stream, or of the bytes: the latter leaves it open.
		var one [1]byte
		if _, e := r.z.Read(one[:]); e == io.EOF {
			err = nil
		} else {
			err = errDecmp
		}
	}
	return r.buf[:n], err
}

// lzvnEnd is the first byte of a block that is as it is: the end of any other.
const lzvnEnd = 6

// lzfseError names the codes of what is no damage.
func lzfseError(err error) error {
	switch err {
	case lzfse.ErrWork:
		return unpack.Fail(showcause.LimitWork)
	case lzfse.ErrKind:
		return unpack.Fail(hfsMethod)
	}
	return err
}
