package filetype

import (
	"bytes"
	"encoding/binary"

	"github.com/showcause/showcause"
)

// Also tells what readers take a layer for besides what Detect says of it, or
// the same: types that are not told by the first bytes, so that these may be
// anything. The arguments are Detect's, and the work is bounded as there.
func Also(head []byte, src showcause.Source) []Type {
	var out []Type
	if hasPDF(head) {
		out = append(out, PDF)
	}
	t := disc(head, src, true)
	if t != Unknown {
		out = append(out, t)
	}
	if t != hfs && oldHFS(head) { // beside ISO 9660, in one image
		out = append(out, hfs)
	}
	if t := trailer(src); t != Unknown {
		out = append(out, t)
	}
	if lhaMethod(head) {
		out = append(out, lha)
	}
	for _, m := range late {
		if m.at(head) {
			out = append(out, m.t)
		}
	}
	return out
}

// late are the magics of what hides something that do not stand at the start.
var late = func() (out []*magic) {
	for i := range magics {
		if m := &magics[i]; m.off > 0 && m.t.Hides() {
			out = append(out, m)
		}
	}
	return out
}()

// pdfWithin is where a PDF file's header may begin, in bytes. Readers take it
// anywhere in the first 1,024 bytes (Adobe, PDF Reference 1.7, Appendix H,
// note 13), whatever else stands there.
const pdfWithin = 1024

func hasPDF(head []byte) bool {
	const mark = "%PDF-"
	return bytes.Contains(head[:min(len(head), pdfWithin+len(mark)-1)], []byte(mark))
}

// disc tells disc images and file systems. With strict it asks for more of
// those that have short marks, as the layer is known to be something else.
func disc(head []byte, src showcause.Source, strict bool) Type {
	size := int64(len(head))
	if src != nil {
		size = max(size, src.Size())
	}
	for i := range discs {
		if m := &discs[i]; int64(m.off)+int64(len(m.sig)) <= size && at(head, src, int64(m.off), m.sig) {
			if m.t == fat && strict && !at(head, src, 510, "\x55\xaa") {
				continue
			}
			return m.t
		}
	}
	if fatBoot(head, src) {
		return fat
	}
	if at(head, src, 1080, "\x53\xef") && len(head) > 1028 && (!strict && head[0] == 0 || superblock(head)) {
		return ext
	}
	if oldHFS(head) {
		return hfs
	}
	if len(head) < 512 {
		return Unknown
	}
	if hasPrefix(head, "ER") && string(head[512:min(516, len(head))]) == "PM\x00\x00" {
		return apm
	}
	if head[510] == 0x55 && head[511] == 0xaa && partitions(head[446:510], strict) {
		return mbr
	}
	return Unknown
}

// fatBoot tells whether a volume of FAT begins here, by what its readers go by, which do
// not look at the name of the format in it (Microsoft, "FAT: General Overview of
// On-Disk Format": "Boot Sector and BPB"): sizes that can be, and a table that begins
// with the kind of the medium.
func fatBoot(head []byte, src showcause.Source) bool {
	if len(head) < 512 || head[510] != 0x55 || head[511] != 0xaa {
		return false
	}
	half := func(off int) int64 { return int64(binary.LittleEndian.Uint16(head[off:])) }
	size, cluster, medium := half(11), int(head[13]), head[21]
	if size < 512 || size > 4096 || size&(size-1) != 0 || cluster == 0 || cluster&(cluster-1) != 0 {
		return false
	}
	if half(14) == 0 || head[16] == 0 || head[16] > 4 || medium < 0xf0 || medium > 0xf0 && medium < 0xf8 {
		return false
	}
	if half(22) == 0 && binary.LittleEndian.Uint32(head[36:]) == 0 || half(19) == 0 && binary.LittleEndian.Uint32(head[32:]) == 0 {
		return false
	}
	return at(head, src, half(14)*size, string([]byte{medium, 0xff}))
}

// superblock tells whether the superblock of ext is sound (Linux, ext4 data
// structures: "Super Block"): there are inodes and blocks, in groups of some
// size, and blocks are of 64 KiB at most.
func superblock(head []byte) bool {
	if len(head) < 2048 {
		return false
	}
	word := func(off int) uint32 { return binary.LittleEndian.Uint32(head[1024+off:]) }
	return word(0) > 0 && word(4) > 0 && word(24) <= 6 && word(32) > 0 && word(40) > 0 && word(76) <= 1
}

// oldHFS tells whether the header of HFS is sound (Inside Macintosh: Files, chapter
// 2): there are blocks of sectors, behind their bitmap, and the volume has a name.
func oldHFS(head []byte) bool {
	if len(head) < 1024+162 || string(head[1024:1026]) != "BD" {
		return false
	}
	h, be := head[1024:], binary.BigEndian
	size, bitmap, first := be.Uint32(h[20:]), be.Uint16(h[14:]), be.Uint16(h[28:])
	return size > 0 && size%512 == 0 && be.Uint16(h[18:]) > 0 && bitmap >= 3 && first > bitmap && h[36] > 0 && h[36] <= 27 &&
		be.Uint32(h[146:]) > 0
}

// partitions tells whether the four entries of a partition table are sound: a
// state of 0 or 0x80 each, and one at least with a type, a start and a length.
// With strict, each with a type has a length, and sectors of its first and
// last cylinder, which count from 1: in a boot program, these are not bytes of
// a table.
func partitions(table []byte, strict bool) bool {
	some := false
	for ; len(table) >= 16; table = table[16:] {
		if table[0]&0x7f != 0 {
			return false
		}
		if table[4] == 0 {
			continue
		}
		n := binary.LittleEndian.Uint32(table[12:])
		if strict && (n == 0 || table[2]&0x3f == 0 || table[6]&0x3f == 0) {
			return false
		}
		some = some || n != 0
	}
	return some
}

// at tells whether sig stands at off, in head or else in src.
func at(head []byte, src showcause.Source, off int64, sig string) bool {
	if off+int64(len(sig)) <= int64(len(head)) {
		return string(head[off:off+int64(len(sig))]) == sig
	}
	return src != nil && string(peek(src, off, len(sig))) == sig
}

// peek returns n bytes at off, fewer where src has no more.
func peek(src showcause.Source, off int64, n int) []byte {
	if off >= src.Size() {
		return nil
	}
	if b, ok := src.(showcause.Bytes); ok {
		return b[off:min(off+int64(n), int64(len(b)))]
	}
	b := make([]byte, n)
	n, _ = src.ReadAt(b, off)
	return b[:n]
}

// trailer tells the types that are told by their last 512 bytes; 511 in old
// fixed images of Virtual PC.
func trailer(src showcause.Source) Type {
	if src == nil || src.Size() < 512 {
		return Unknown
	}
	b := peek(src, src.Size()-512, 9)
	switch {
	case hasPrefix(b, "koly"):
		return dmg
	case hasPrefix(b, "conectix"), len(b) > 0 && hasPrefix(b[1:], "conectix"):
		return vhd
	}
	return Unknown
}
