// Package picture reads pictures for what is in them beside the picture: metadata that are compressed,
// in pieces or files of their own, pictures in pictures, and what is behind their end. What is coded as
// a picture's dots is not decoded.
//
// Viewers read pictures that are damaged, so that no damage is a gap here but of what is compressed beside
// the picture. Comments and other texts of 64 bytes and more are children, so that they are read as text.
package picture

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/klauspost/compress/flate"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

var (
	le = binary.LittleEndian
	be = binary.BigEndian
)

// minText is how long a text that stands there as it is must be to be a child, in bytes.
const minText = 64

// blockSize is how much of a picture is read at a time where it is not in memory.
const blockSize = 32 << 10

// file is a picture that is read.
type file struct {
	src  showcause.Source
	out  *unpack.Out
	size int64
	b    []byte // of it, from base on
	base int64
}

func newFile(src showcause.Source, out *unpack.Out) *file {
	f := &file{src: src, out: out, size: src.Size()}
	if b, ok := src.(showcause.Bytes); ok {
		f.b = b
	}
	return f
}

// at returns n bytes at off, fewer at the end of the file. They are good until the next call.
func (f *file) at(off int64, n int) []byte {
	if off < 0 || off >= f.size {
		return nil
	}
	n = int(min(int64(n), f.size-off))
	if i := off - f.base; i < 0 || i+int64(n) > int64(len(f.b)) {
		b := make([]byte, min(int64(max(n, blockSize)), f.size-off))
		m, _ := f.src.ReadAt(b, off)
		f.b, f.base = b[:max(m, 0)], off
	}
	b := f.b[off-f.base:]
	return b[:min(n, len(b))]
}

// index returns where c stands from off on, -1 if nowhere.
func (f *file) index(off int64, c byte) int64 {
	for off < f.size {
		b := f.at(off, 1)
		if i := off - f.base; len(b) > 0 {
			b = f.b[i:]
		}
		i := bytes.IndexByte(b, c)
		n := int64(len(b))
		if i >= 0 {
			n = int64(i)
		}
		if len(b) == 0 || !f.out.Work(n/64+1) {
			return -1
		}
		if off += n; i >= 0 {
			return off
		}
	}
	return -1
}

// section gives what stands in [off, off+n), as far as it is there.
func (f *file) section(op string, off, n int64) bool {
	n = min(n, f.size-off)
	return n <= 0 || f.out.Section(f.src, op, "", off, n)
}

// text gives a text that is long enough.
func (f *file) text(op string, off, n int64) bool { return n < minText || f.section(op, off, n) }

// carried are the types that are looked for in the bytes of any picture (package exe), which tells their
// end from what follows them better than a layer of their own that goes to the end of the file.
var carried = map[string]bool{
	"zip": true, "7z": true, "rar": true, "cab": true, "arj": true, "lha": true, "squashfs": true, "iso9660": true, "tar": true, "cpio-odc": true, "cpio-newc": true, "cpio-crc": true, "cpio-old": true,
	"gzip": true, "bzip2": true, "xz": true, "zstd": true, "lz4": true, "lzip": true, "lzop": true,
}

// rest gives what is behind the end of a picture.
func (f *file) rest(end int64, op string) {
	from := end
	for b := f.at(from, 1); len(b) > 0 && b[0] == 0 && from < end+blockSize; b = f.at(from, 1) {
		from++
	}
	part := bound.Section(f.src, min(from, f.size), max(f.size-from, 0))
	head := bound.Head(part, unpack.HeadSize)
	if f.out.Work(64) && !carried[filetype.Detect(head, part).String()] {
		f.out.Tail(f.src, end, op)
	}
}

// inflated gives what a stream of zlib says. Its sum is not asked for: no viewer does.
func (f *file) inflated(op string, off, n int64) bool {
	if n = min(n, f.size-off); n <= 2 {
		return true
	}
	if !f.out.Work(256) {
		return false
	}
	f.out.Cover(off, n)
	return f.out.Child(unpack.Child{Op: op, Reader: flate.NewReader(bound.Reader(f.src, off+2, n-2)), Size: -1, Deflate: true})
}

// joined gives stretches as one child.
func (f *file) joined(op string, spans []unpack.Span) bool {
	var all []io.Reader
	n := int64(0)
	for _, s := range spans {
		all = append(all, bound.Reader(f.src, s.From, s.To-s.From))
		f.out.Cover(s.From, s.To-s.From)
		n += s.To - s.From
	}
	return n == 0 || f.out.Work(int64(len(spans))) && f.out.Child(unpack.Child{Op: op, Reader: io.MultiReader(all...), Size: n})
}

// format is one of them, told by its first bytes.
func format(name string, match func(head []byte) bool, walk func(*file)) unpack.Format {
	return unpack.Format{
		Name:  name,
		Match: func(p *unpack.Probe) bool { return match(p.Head) },
		Walk: func(src showcause.Source, out *unpack.Out) {
			if out.Work(16) {
				walk(newFile(src, out))
			}
		},
	}
}
