package volume

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"io"

	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
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
func (h *hfs) decmpfs(head []byte, fork *file, name string) bool {
	le := binary.LittleEndian
	kind, size := le.Uint32(head[4:]), int64(min(le.Uint64(head[8:]), 1<<62))
	if string(head[:4]) != "fpmc" {
		h.corrupt(h.src.Size())
		return false
	}
	r := &decmpReader{data: head[16:], size: size}
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
		h.stop = h.stop || !h.out.ChildGap(unpack.Child{Op: "hfsplus.compressed", Name: last(name), Size: size}, hfsMethod)
		return false
	}
	if size == 0 && !inFork {
		return false
	}
	c := unpack.Child{Op: "hfsplus.compressed", Name: last(name), Size: size}
	if r.method == decmpLZFSE {
		h.stop = h.stop || !h.out.ChildGap(c, hfsMethod)
		return false
	}
	c.Reader = r
	h.stop = h.stop || !h.out.Child(c)
	return inFork
}

// decmpReader reads a compressed file in order.
type decmpReader struct {
	data   []byte // of the attribute
	fork   *file  // or the resource fork
	method uint32
	size   int64 // that is declared

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
	if err != nil || r.fork.bad {
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
	case r.method == decmpZlib && b[0]&0xf == 0xf, r.method == decmpLZVN && b[0] == lzvnEnd:
		return b[1:], nil
	case r.method == decmpLZVN:
		return unLZVN(r.buf[:0], b, int(most))
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

const lzvnEnd = 6

// unLZVN appends to out what a block of LZVN holds (Apple, lzfse: LZVN's
// opcodes), most bytes at most. An opcode says how many bytes follow as they
// are, L, how long a match behind them is, M, and how far back, D:
//
//	LLMMMDDD D8       M+3; D below 1536; LLMMM110: the distance before; LLMMM111 D16, little-endian
//	101LLMMM M2D6 D8  M+3, in all 5 bits
//	1110LLLL          L; 0: the next byte and 16
//	1111MMMM          M at the distance before; 0: the next byte and 16
//	6                 the end; 14 and 22 say nothing
func unLZVN(out, b []byte, most int) ([]byte, error) {
	distance := 0
	for len(b) > 0 {
		op := int(b[0])
		var literal, match, size int
		switch {
		case op == lzvnEnd:
			return out, nil
		case op == 14 || op == 22:
			b = b[1:]
			continue
		case op >= 0xe0:
			n := op & 15
			size = 1
			if n == 0 {
				if len(b) < 2 {
					return out, errDecmp
				}
				n, size = int(b[1])+16, 2
			}
			if op < 0xf0 {
				literal = n
			} else {
				match = n
			}
		case op>>4 == 7 || op>>4 == 13 || op < 0x40 && op&7 == 6:
			return out, errDecmp // not defined
		case op>>5 == 5:
			if size = 3; len(b) < size {
				return out, errDecmp
			}
			v := int(binary.LittleEndian.Uint16(b[1:]))
			literal, match, distance = op>>3&3, (op&7<<2|v&3)+3, v>>2
		default:
			literal, match, size = op>>6, op>>3&7+3, 1
			switch op & 7 {
			case 6:
			case 7:
				if size = 3; len(b) < size {
					return out, errDecmp
				}
				distance = int(binary.LittleEndian.Uint16(b[1:]))
			default:
				if size = 2; len(b) < size {
					return out, errDecmp
				}
				distance = op&7<<8 | int(b[1])
			}
		}
		b = b[size:]
		if literal > len(b) || len(out)+literal+match > most {
			return out, errDecmp
		}
		out = append(out, b[:literal]...)
		b = b[literal:]
		if match > 0 && (distance == 0 || distance > len(out)) {
			return out, errDecmp
		}
		for range match {
			out = append(out, out[len(out)-distance])
		}
	}
	return out, errDecmp // without an end
}
