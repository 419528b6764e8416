package archive

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

const (
	cpioTrailer = "TRAILER!!!"
	cpioJoined  = showcause.Ambiguous + ".cpio.concatenated"
)

// Cpio reads cpio archives (cpio(5)): the portable ASCII format ("070707"),
// the new one without and with checksums ("070701", "070702"), and the binary
// one in both byte orders.
//
//	header, name with its NUL, content; the last name is TRAILER!!!
//
// A member's content is a section of the layer, "cpio.file". What stands
// behind the trailer, as in a Linux initrd, is a child, "cpio.rest".
func Cpio() unpack.Format {
	return unpack.Format{
		Name:  "cpio",
		Match: func(p *unpack.Probe) bool { return cpioMatch(p) || bytes.HasPrefix(p.Head, cpioStripped) },
		Walk:  cpioWalk,
	}
}

// cpioStripped begins the members of a payload of rpm that names no files: names
// and sizes are in the package's header (rpm.org, RPM 4.12 and later, for files
// over 4 GB). It is told and not read.
var cpioStripped = []byte("07070X")

func cpioMatch(p *unpack.Probe) bool {
	h, ok := parseCpio(p.Head)
	if !ok || h.len != 26 {
		return ok
	}
	// Two bytes are little of a magic: the name must be one.
	end := h.len + h.name - 1
	return end < int64(len(p.Head)) && bytes.IndexByte(p.Head[h.len:], 0) == int(end-h.len) && end > h.len
}

// cpioHeader is what one header says.
type cpioHeader struct {
	len   int64 // of the header
	name  int64 // bytes of the name, its NUL included
	size  int64
	align int64 // name and content end on multiples of it
}

// cpioLongest is the length in bytes of the longest header.
const cpioLongest = 110

func parseCpio(b []byte) (cpioHeader, bool) {
	switch {
	case len(b) >= 110 && (string(b[:6]) == "070701" || string(b[:6]) == "070702"):
		size, ok1 := cpioField(b[54:62], 16)
		name, ok2 := cpioField(b[94:102], 16)
		return cpioHeader{110, name, size, 4}, ok1 && ok2 && digits(b[6:110], 16)
	case len(b) >= 76 && string(b[:6]) == "070707":
		name, ok1 := cpioField(b[59:65], 8)
		size, ok2 := cpioField(b[65:76], 8)
		return cpioHeader{76, name, size, 1}, ok1 && ok2 && digits(b[6:76], 8)
	case len(b) >= 26:
		var o binary.ByteOrder = binary.LittleEndian
		switch {
		case b[0] == 0xc7 && b[1] == 0x71:
		case b[0] == 0x71 && b[1] == 0xc7:
			o = binary.BigEndian
		default:
			return cpioHeader{}, false
		}
		name := int64(o.Uint16(b[20:]))
		size := int64(o.Uint16(b[22:]))<<16 | int64(o.Uint16(b[24:]))
		// Two bytes are little of a magic: the kind of file must be one.
		kind := o.Uint16(b[6:]) >> 12
		return cpioHeader{26, name, size, 2}, name > 0 && (kind == 0 && name == int64(len(cpioTrailer)+1) || cpioKinds>>kind&1 != 0)
	}
	return cpioHeader{}, false
}

// cpioKinds has a bit for each kind of file that a mode can name: FIFO,
// character device, directory, block device, file, network, link, socket.
const cpioKinds = 1<<1 | 1<<2 | 1<<4 | 1<<6 | 1<<8 | 1<<9 | 1<<10 | 1<<12

func cpioField(b []byte, base int) (int64, bool) {
	v, err := strconv.ParseUint(string(b), base, 63)
	return int64(v), err == nil
}

// digits tells whether all of b are digits of the base, 8 or 16.
func digits(b []byte, base int) bool {
	for _, c := range b {
		if c >= '0' && c <= '7' || base == 16 && (c >= '8' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			continue
		}
		return false
	}
	return true
}

func (h cpioHeader) pad(n int64) int64 { return (n + h.align - 1) / h.align * h.align }

func cpioWalk(src showcause.Source, out *unpack.Out) {
	if head, _ := bound.ReadAt(src, 0, int64(len(cpioStripped)), int64(len(cpioStripped))); bytes.Equal(head, cpioStripped) {
		out.Gap(showcause.Unsupported+".method.cpio-stripped", 0, src.Size())
		return
	}
	off, number := int64(0), 0
	for out.Work(1024) {
		if off >= src.Size() {
			out.Gap(showcause.Corrupt, src.Size(), -1) // no trailer
			return
		}
		b, _ := bound.ReadAt(src, off, cpioLongest, cpioLongest)
		h, ok := parseCpio(b)
		if !ok {
			next, found := cpioNext(src, out, off)
			if !out.Lost(src, off, next, found) {
				return
			}
			off = next
			continue
		}
		name, err := bound.ReadAt(src, off+h.len, min(h.name, unpack.MaxName), unpack.MaxName)
		data := off + h.pad(h.len+h.name)
		if err != nil || data > src.Size() {
			out.Gap(showcause.Corrupt, off, src.Size()-off)
			return
		}
		out.Cover(off, data-off)
		if cstring(name) == cpioTrailer {
			var more bool
			if off, more = cpioEnd(src, out, data); !more {
				return
			}
			continue
		}
		number++
		if h.size > 0 {
			out.Member(unpack.Member{Name: cstring(name), Packed: h.size, Size: h.size, Number: number, At: off, Length: data - off})
		}
		if !out.Section(src, "cpio.file", cstring(name), data, h.size) {
			return
		}
		off = bound.Add(data, h.pad(h.size))
	}
}

// cpioNext looks for a header in one of the ASCII formats behind off.
func cpioNext(src showcause.Source, out *unpack.Out, off int64) (int64, bool) {
	return out.Find(src, off+1, []byte("07070"), func(b []byte) bool { _, ok := parseCpio(b); return ok })
}

// cpioEnd looks at what stands behind the trailer. Zeros are padding. The
// kernel goes on with the next archive, or with one that is compressed; cpio
// stops. It returns where another archive begins.
func cpioEnd(src showcause.Source, out *unpack.Out, off int64) (int64, bool) {
	at, more := bound.SkipZeros(src, min(off, src.Size()))
	if !more {
		return 0, false
	}
	b, _ := bound.ReadAt(src, at, min(cpioLongest, src.Size()-at), cpioLongest)
	if _, ok := parseCpio(b); ok {
		out.Gap(cpioJoined, at, -1)
		return at, true
	}
	if !compressed(b) {
		out.Gap(showcause.Corrupt, at, src.Size()-at)
	}
	out.Section(src, "cpio.rest", "", at, src.Size()-at)
	return 0, false
}

// compressed tells the start of a compression that an initrd may use.
func compressed(b []byte) bool {
	for _, magic := range []string{
		"\x1f\x8b\x08", "BZh", "\xfd7zXZ\x00", "\x28\xb5\x2f\xfd", "\x04\x22\x4d\x18", "\x02\x21\x4c\x18", // gzip, bzip2, xz, zstd, lz4 and its legacy
		"\x5d\x00\x00", // lzma
	} {
		if strings.HasPrefix(string(b[:min(len(b), 6)]), magic) {
			return true
		}
	}
	return false
}
