package image

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ulikunitz/xz"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/lzfse"
	"github.com/showcause/showcause/unpack"
)

// DMG reads disk images of Apple (UDIF; "Demystifying the DMG File Format").
// All numbers are big-endian.
//
//	the last 512 bytes  "koly", 24 where the data are u64, 56 segment u32, 60 segments u32, 216 where the list is u64, 224 its length u64
//	the list            XML: resource-fork, blkx, an array of {Name, Data}, the latter in base64:
//	                    "mish", 8 first sector u64, 16 sectors u64, 24 offset u64, 200 chunks u32,
//	                    204 chunks of {kind u32, 0 u32, sector u64, sectors u64, offset u64, length u64}
//
// Each partition is a child, put together from its chunks.
func DMG() unpack.Format {
	return unpack.Format{
		Name: "dmg",
		Match: func(p *unpack.Probe) bool {
			return p.Is("dmg") || bytes.HasPrefix(p.Head, []byte("encrcdsa"))
		},
		Walk: func(src showcause.Source, out *unpack.Out) { (&dmg{src: src, out: out}).walk() },
	}
}

const (
	dmgMethod  = showcause.Unsupported + ".method.dmg" // of LZFSE, what no encoder writes
	dmgSegment = showcause.Unsupported + ".format.dmg-segment"
	dmgList    = 64 << 20 // bytes of the list, at most
	dmgChunk   = 64 << 20 // bytes of a packed chunk, at most

	chunkZero    = 0
	chunkRaw     = 1
	chunkIgnore  = 2
	chunkADC     = 0x80000004
	chunkZlib    = 0x80000005
	chunkBzip2   = 0x80000006
	chunkLZFSE   = 0x80000007
	chunkXZ      = 0x80000008
	chunkComment = 0x7ffffffe
	chunkEnd     = 0xffffffff
)

var errDMG = errors.New("dmg: damaged")

type dmg struct {
	src  showcause.Source
	out  *unpack.Out
	data int64 // where chunks are counted from
}

func (d *dmg) walk() {
	be := binary.BigEndian
	if bytes.HasPrefix(bound.Head(d.src, 8), []byte("encrcdsa")) {
		d.out.Gap(showcause.Encrypted, 0, -1)
		return
	}
	k, err := bound.ReadAt(d.src, d.src.Size()-512, 512, 512)
	if err != nil || string(k[:4]) != "koly" {
		d.out.Gap(showcause.Corrupt, 0, -1)
		return
	}
	if be.Uint32(k[60:]) > 1 {
		d.out.Gap(dmgSegment, 0, -1)
	}
	d.data = int64(min(be.Uint64(k[24:]), 1<<62))
	at, n := int64(min(be.Uint64(k[216:]), 1<<62)), int64(min(be.Uint64(k[224:]), 1<<62))
	if n == 0 || n > dmgList || !bound.In(at, n, d.src.Size()) {
		d.out.Gap(showcause.Corrupt, 0, -1)
		return
	}
	if !d.out.Work(n / 8) {
		return
	}
	tables, err := dmgTables(bound.Reader(d.src, at, n))
	if err != nil || len(tables) == 0 {
		d.out.Gap(showcause.Corrupt, at, n)
	}
	for _, t := range tables {
		if !d.table(t) {
			return
		}
	}
}

// dmgTable is one partition as the list has it.
type dmgTable struct {
	name string
	data []byte
}

// dmgTables takes them out of the list: in the array behind the key "blkx", the
// texts behind the keys "Name" and "Data" of each dictionary.
func dmgTables(r io.Reader) (out []dmgTable, err error) {
	x := xml.NewDecoder(r)
	var key, text string
	in, depth := false, 0 // in the array, and how many arrays are open within
	for {
		t, err := x.Token()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, fmt.Errorf("dmg: %w", err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			text = ""
			switch {
			case t.Name.Local == "array" && key == "blkx" && !in:
				in, depth = true, 1
			case t.Name.Local == "array" && in:
				depth++
			case t.Name.Local == "dict" && in:
				out = append(out, dmgTable{})
			}
		case xml.CharData:
			if len(text) < dmgList {
				text += string(t)
			}
		case xml.EndElement:
			switch t.Name.Local {
			case "key":
				key = strings.TrimSpace(text)
			case "array":
				if depth--; in && depth == 0 {
					in, key = false, ""
				}
			case "string", "data":
				if !in || len(out) == 0 {
					break
				}
				one := &out[len(out)-1]
				if t.Name.Local == "string" && (key == "Name" || key == "CFName" && one.name == "") {
					one.name = text
				}
				if t.Name.Local == "data" && key == "Data" {
					if one.data, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), "")); err != nil {
						return out, fmt.Errorf("dmg: %w", err)
					}
				}
			}
			text = ""
		}
	}
}

// table gives one partition.
func (d *dmg) table(t dmgTable) bool {
	be := binary.BigEndian
	b := t.data
	if len(b) < 204 || string(b[:4]) != "mish" {
		d.out.Gap(showcause.Corrupt, 0, -1)
		return true
	}
	size := int64(min(be.Uint64(b[16:]), 1<<50)) * sector
	n := int(min(be.Uint32(b[200:]), uint32(len(b)/40)))
	if 204+40*n > len(b) || uint32(n) != be.Uint32(b[200:]) {
		d.out.Gap(showcause.Corrupt, 0, -1)
		n = (len(b) - 204) / 40
	}
	if size == 0 {
		return true
	}
	if !d.out.Work(int64(n) * 8) {
		return false
	}
	r := &dmgReader{src: d.src, base: d.data + int64(min(be.Uint64(b[24:]), 1<<61)), chunks: b[204 : 204+40*n], size: size, work: d.out.Work}
	return d.out.Child(unpack.Child{Op: "dmg.partition", Name: t.name, Reader: r, Size: size})
}

// dmgReader reads a partition in order.
type dmgReader struct {
	src    showcause.Source
	base   int64
	chunks []byte
	size   int64 // bytes of the whole
	at     int64 // bytes so far
	now    io.Reader
	left   int64 // of the chunk that is read now
	late   error // comes behind the chunk
	work   func(int64) bool
}

func (r *dmgReader) Read(p []byte) (int, error) {
	for r.left == 0 {
		if r.late != nil {
			return 0, r.late
		}
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n, err := r.now.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	r.at += int64(n)
	if err == io.EOF && r.left > 0 {
		return n, errDMG // a chunk that is shorter than it says
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

// next begins the next chunk.
func (r *dmgReader) next() error {
	be := binary.BigEndian
	for len(r.chunks) > 0 {
		c := r.chunks[:40]
		r.chunks = r.chunks[40:]
		kind := be.Uint32(c)
		if kind == chunkEnd {
			break
		}
		at, n := int64(min(be.Uint64(c[8:]), 1<<50))*sector, int64(min(be.Uint64(c[16:]), 1<<50))*sector
		if kind == chunkComment || n == 0 {
			continue
		}
		if at != r.at || n > r.size-r.at {
			return errDMG
		}
		return r.chunk(kind, r.base+int64(min(be.Uint64(c[24:]), 1<<61)), int64(min(be.Uint64(c[32:]), 1<<62)), n)
	}
	if r.at < r.size {
		return errDMG
	}
	return io.EOF
}

// chunk begins one that has packed bytes at off, and gives n.
func (r *dmgReader) chunk(kind uint32, off, packed, n int64) error {
	in := bound.Reader(r.src, off, packed)
	r.left = n
	switch kind {
	case chunkZero, chunkIgnore:
		r.now = zeroes{}
	case chunkRaw:
		r.now = in
	case chunkADC:
		b, err := bound.ReadAt(r.src, off, packed, dmgChunk)
		if err != nil {
			return fmt.Errorf("dmg: %w", bound.CutShort(err))
		}
		r.now = bytes.NewReader(unADC(b, n))
	case chunkZlib:
		z, err := zlib.NewReader(bufio.NewReader(in))
		if err != nil {
			return fmt.Errorf("dmg: %w", bound.CutShort(err))
		}
		r.now = z
	case chunkBzip2:
		r.now = bzip2.NewReader(bufio.NewReader(in))
	case chunkXZ:
		z, err := xz.ReaderConfig{DictCap: 8 << 20}.NewReader(bufio.NewReader(in))
		if err != nil {
			return fmt.Errorf("dmg: %w", bound.CutShort(err))
		}
		r.now = z
	case chunkLZFSE:
		if n > dmgChunk {
			return unpack.Fail(dmgMethod)
		}
		b, err := bound.ReadAt(r.src, off, packed, dmgChunk)
		if err != nil {
			return fmt.Errorf("dmg: %w", bound.CutShort(err))
		}
		b, err = lzfse.Decode(nil, b, int(n), r.work)
		r.now = bytes.NewReader(b) // with an error, what came before it
		if err == lzfse.ErrKind || err == lzfse.ErrWork {
			r.left, r.late = int64(len(b)), unpack.Fail(map[bool]showcause.Code{true: dmgMethod, false: showcause.LimitWork}[err == lzfse.ErrKind])
		}
	default:
		return errDMG
	}
	return nil
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// unADC unpacks Apple Data Compression, n bytes at most: a byte says how many
// come as they are, or how long a match is and how far back.
func unADC(b []byte, n int64) []byte {
	out := make([]byte, 0, min(n, 16*int64(len(b))+64))
	for len(b) > 0 && int64(len(out)) < n {
		c := int(b[0])
		b = b[1:]
		if c >= 0x80 {
			k := min(c&0x7f+1, len(b))
			out = append(out, b[:k]...)
			b = b[k:]
			continue
		}
		length, back := c>>2&0xf+3, 0
		if c >= 0x40 {
			if len(b) < 2 {
				break
			}
			length, back = c&0x3f+4, int(b[0])<<8|int(b[1])
			b = b[2:]
		} else {
			if len(b) < 1 {
				break
			}
			back = c&3<<8 | int(b[0])
			b = b[1:]
		}
		if back >= len(out) {
			break
		}
		for range length {
			out = append(out, out[len(out)-back-1])
		}
	}
	return out[:min(int64(len(out)), n)]
}
