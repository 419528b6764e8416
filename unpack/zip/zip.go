// Package zip reads zip files.
package zip

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// Format reads zip files (PKWARE's APPNOTE.TXT; section numbers in this file are
// its own). A zip says everything twice, in the local headers and in the
// central directory, and readers differ in which one they believe. Every
// reading is derived: what any directory says, what the local headers say, and
// local headers that no directory names. Where the readings agree there is one
// child; where they do not, each gives one, and a gap of code "ambiguous.zip.*"
// at the local header says so. The CRCs are checked: a member whose bytes do
// not agree with any of its checksums is scanned, and is a gap of code "corrupt".
//
// What is encrypted by PKWARE's first cipher or by WinZip's AES is tried with
// each password (unpack.Out.Passwords). A member that opens is a child as any
// other, its Op with ".decrypted" behind it; one that does not is a gap.
//
// What stands behind the last directory of a layer that begins as a zip is a child,
// "zip.rest".
//
// A member of method 95 is a whole .xz file. It is handed over as that file,
// for the xz format to read.
func Format() unpack.Format {
	return unpack.Format{Name: "zip", Match: zipMatch, Walk: zipWalkLayer}
}

// Signatures of the records, section 4.3.
const (
	zipSigLocal     = "PK\x03\x04"
	zipSigRecord    = "PK\x01\x02"
	zipSigEnd       = "PK\x05\x06"
	zipSigEnd64     = "PK\x06\x06"
	zipSigLocator64 = "PK\x06\x07"
	zipSigSplit     = "PK\x07\x08" // data descriptor; at offset 0, a spanned archive (8.5.3)
	zipSigSigned    = "PK\x05\x05"
)

// Lengths in bytes of the fixed parts of the records.
const (
	zipLocalLen     = 30
	zipRecordLen    = 46
	zipEndLen       = 22
	zipEnd64Len     = 56
	zipLocator64Len = 20
)

// Compression methods, section 4.4.5.
const (
	zipStored    = 0
	zipImplode   = 6
	zipDeflate   = 8
	zipDeflate64 = 9
	zipBzip2     = 12
	zipLZMA      = 14
	zipZstdOld   = 20 // "deprecated, use 93", but it was written
	zipZstd      = 93
	zipXZ        = 95
	zipPPMd      = 98
	zipAES       = 99 // the real method stands in extra field 0x9901
	zipAE2       = 2  // version of its encryption that has no CRC
)

// General purpose flags, section 4.4.4.
const (
	zipFlagEncrypted  = 1 << 0
	zipFlagOption1    = 1 << 1 // implode: 8 KiB dictionary; LZMA: an end marker
	zipFlagOption2    = 1 << 2 // implode: a third tree, for literals
	zipFlagDescriptor = 1 << 3
	zipFlagUnused     = 0xd780
)

// Notes: readings differ, all were derived.
const (
	zipNoteMethod     = showcause.Ambiguous + ".zip.method"
	zipNoteSize       = showcause.Ambiguous + ".zip.size"
	zipNoteName       = showcause.Ambiguous + ".zip.name"
	zipNoteEntry      = showcause.Ambiguous + ".zip.entry"      // no directory names the member
	zipNoteDirectory  = showcause.Ambiguous + ".zip.directory"  // several directories, or one that contradicts itself
	zipNoteOverlap    = showcause.Ambiguous + ".zip.overlap"    // members share bytes
	zipNoteEncryption = showcause.Ambiguous + ".zip.encryption" // said to be encrypted, and is not

	zipGapSplit = showcause.Unsupported + ".format.zip-split"
)

// zipMethods are our words for the methods that occur in files.
var zipMethods = map[uint16]string{
	0: "stored", 1: "shrink", 2: "reduce", 3: "reduce", 4: "reduce", 5: "reduce", 6: "implode", 7: "tokenize",
	8: "deflate", 9: "deflate64", 10: "dcl-implode", 12: "bzip2", 14: "lzma", 16: "cmpsc", 18: "terse", 19: "lz77",
	20: "zstd", 93: "zstd", 94: "mp3", 95: "xz", 96: "jpeg", 97: "wavpack", 98: "ppmd", 99: "aes",
}

func zipMethodWord(m uint16) string {
	if w, ok := zipMethods[m]; ok {
		return w
	}
	return "unknown"
}

// zipMeta is what one header, local or central, says of a member.
type zipMeta struct {
	at     int64 // offset of the header itself
	head   int64 // offset of the local header that a central record points to, before any shift
	data   int64 // local: offset of the first byte after the header
	length int64 // of the header with its name, extra field and comment
	flags  uint16
	method uint16 // the real one, under AES too
	vers   uint16
	disk   uint16
	crc    uint32
	packed int64 // compressed size in bytes; -1 unknown
	size   int64 // declared size in bytes; -1 unknown
	sealed bool  // encrypted
	time   uint16
	name   string

	strength byte   // of AES, 1 to 3; 0 if it is PKWARE's cipher
	maker    uint16 // version of the AES encryption
}

// zipLocal reads the local header at off, section 4.3.7. It fails where the
// layer ends before the header does, or no header stands there.
func (z *zipWalk) zipLocal(off int64) (zipMeta, bool) {
	b := z.heads.at(off, zipLocalLen)
	if len(b) < zipLocalLen || string(b[:4]) != zipSigLocal {
		return zipMeta{}, false
	}
	le := binary.LittleEndian
	m := zipMeta{
		at: off, vers: le.Uint16(b[4:]), flags: le.Uint16(b[6:]), method: le.Uint16(b[8:]), time: le.Uint16(b[10:]), crc: le.Uint32(b[14:]),
		packed: int64(le.Uint32(b[18:])), size: int64(le.Uint32(b[22:])),
	}
	nameLen, extraLen := int(le.Uint16(b[26:])), int(le.Uint16(b[28:]))
	m.length = int64(zipLocalLen + nameLen + extraLen)
	m.data = off + m.length
	b = z.heads.at(off, int(m.length))
	if int64(len(b)) < m.length {
		return m, false
	}
	m.name = string(b[zipLocalLen : zipLocalLen+nameLen])
	m.extra(b[zipLocalLen+nameLen:], false)
	if m.flags&zipFlagDescriptor != 0 {
		// The truth follows the data (4.4.4); some writers fill some fields in all the same.
		if m.packed == 0 {
			m.packed = -1
		}
		if m.size == 0 {
			m.size = -1
		}
	}
	return m, true
}

// zipRecord reads the record of a central directory at off, section 4.3.12.
func (z *zipWalk) zipRecord(off int64) (zipMeta, bool) {
	b := z.records.at(off, zipRecordLen)
	if len(b) < zipRecordLen || string(b[:4]) != zipSigRecord {
		return zipMeta{}, false
	}
	le := binary.LittleEndian
	m := zipMeta{
		at: off, vers: le.Uint16(b[6:]), flags: le.Uint16(b[8:]), method: le.Uint16(b[10:]), time: le.Uint16(b[12:]), crc: le.Uint32(b[16:]),
		packed: int64(le.Uint32(b[20:])), size: int64(le.Uint32(b[24:])),
		disk: le.Uint16(b[34:]), head: int64(le.Uint32(b[42:])),
	}
	nameLen, extraLen, commentLen := int(le.Uint16(b[28:])), int(le.Uint16(b[30:])), int(le.Uint16(b[32:]))
	m.length = int64(zipRecordLen + nameLen + extraLen + commentLen)
	b = z.records.at(off, int(m.length))
	if int64(len(b)) < m.length {
		return m, false
	}
	m.name = string(b[zipRecordLen : zipRecordLen+nameLen])
	m.extra(b[zipRecordLen+nameLen:zipRecordLen+nameLen+extraLen], true)
	return m, true
}

// extra takes the Zip64 sizes (4.5.3) and the real method under AES
// (WinZip's AE-1 and AE-2) from an extra field, and leaves a size of all ones
// that it does not explain as unknown. Writers pad the field with anything:
// what does not parse is not looked at.
func (m *zipMeta) extra(b []byte, central bool) {
	le := binary.LittleEndian
	take := func(f *[]byte, v *int64) {
		if *v != math.MaxUint32 {
			return
		}
		*v = -1
		if len(*f) >= 8 {
			*v = int64(min(le.Uint64(*f), math.MaxInt64))
			*f = (*f)[8:]
		}
	}
	var wide []byte
	for len(b) >= 4 {
		id, n := le.Uint16(b), int(le.Uint16(b[2:]))
		b = b[4:]
		if n > len(b) {
			break
		}
		f := b[:n]
		b = b[n:]
		if id == 0x0001 && wide == nil {
			wide = f
		}
		if id == 0x9901 && n >= 7 && m.method == zipAES {
			m.method, m.maker = le.Uint16(f[5:]), le.Uint16(f)
			m.sealed = true
			if f[4] >= 1 && f[4] <= 3 {
				m.strength = f[4]
			}
		}
	}
	take(&wide, &m.size)
	take(&wide, &m.packed)
	if central {
		take(&wide, &m.head)
	}
	m.sealed = m.sealed || m.flags&zipFlagEncrypted != 0 || m.method == zipAES
}

// plausible tells whether a local header that nothing points to looks like one
// that a program wrote. The four bytes of the signature occur in programs that
// handle zips, and once in 4 GiB of noise.
func (m *zipMeta) plausible() bool {
	if m.vers&0xff > 63 || m.vers>>8 > 30 || m.flags&zipFlagUnused != 0 || len(m.name) == 0 || len(m.name) > 4096 {
		return false
	}
	for i := 0; i < len(m.name); i++ {
		if m.name[i] < ' ' {
			return false
		}
	}
	return true
}

// Where zipMatch looks in a layer too large to search whole, in bytes.
const (
	zipMatchWhole = 16 << 20
	zipMatchEdge  = 4 << 20
)

// zipMatch searches layers up to 16 MiB whole, and the first and last 4 MiB of
// larger ones, for a local header or an end of directory. A zip in the middle
// of a larger layer is not found, and no reader would open it there: readers
// look for the end of directory in the last 64 KiB, or for a local header
// near the start. It is still scanned as bytes of the layer.
func zipMatch(p *unpack.Probe) bool {
	for _, sig := range []string{zipSigLocal, zipSigEnd, zipSigSplit} {
		if bytes.HasPrefix(p.Head, []byte(sig)) {
			return true
		}
	}
	size := p.Source.Size()
	if size < zipEndLen {
		return false
	}
	if size <= zipMatchWhole {
		return zipMatchIn(p, 0, size)
	}
	return zipMatchIn(p, 0, zipMatchEdge) || zipMatchIn(p, size-zipMatchEdge, size)
}

// zipMatchIn tells whether a header that means something stands in [from, to).
func zipMatchIn(p *unpack.Probe, from, to int64) bool {
	if p.Near.Free(from, to, zipSigLocal, zipSigEnd) {
		return false
	}
	src := p.Source
	z := zipWalk{src: src, size: src.Size()}
	z.heads.src, z.scan.src = src, src
	pk := []byte("PK")
	for off := from; off < to; {
		b := z.scan.at(off, int(min(zipScanChunk, to-off)))
		if len(b) < 4 {
			return false
		}
		for i := 0; ; i += 2 {
			j := bytes.Index(b[i:], pk)
			if j < 0 || i+j+4 > len(b) {
				break
			}
			i += j
			switch string(b[i : i+4]) {
			case zipSigLocal:
				if m, _ := z.zipLocal(off + int64(i)); m.credible(z.size) {
					return true
				}
			case zipSigEnd:
				if e, ok := z.end(off + int64(i)); ok && e.credible() {
					return true
				}
			}
		}
		off += int64(len(b)) - 3
		if len(b) < zipScanChunk {
			break
		}
	}
	return false
}

// credible tells whether it is worth a walk to see what a local header leads to.
func (m *zipMeta) credible(size int64) bool {
	if m.length == 0 || m.data > size {
		return false
	}
	_, known := zipMethods[m.method]
	return m.plausible() || known && m.length > zipLocalLen
}

// zipScanChunk is how many bytes are searched at a time.
const zipScanChunk = 256 << 10

// zipWindow gives stretches of a layer that are mostly asked for in rising
// order. A slice that it gave is good until it is asked again.
type zipWindow struct {
	src  showcause.Source
	off  int64
	buf  []byte
	size int // bytes to read at least; default 16 KiB
}

// at returns the n bytes at off, fewer where the layer ends or cannot be read.
// n is at most some 256 KiB: a header with three fields of 65,535 bytes.
func (w *zipWindow) at(off int64, n int) []byte {
	total := w.src.Size()
	if off < 0 || off >= total {
		return nil
	}
	n = int(min(int64(n), total-off))
	if b, ok := w.src.(showcause.Bytes); ok {
		return b[off : off+int64(n)]
	}
	if off < w.off || off+int64(n) > w.off+int64(len(w.buf)) {
		want := max(n, w.size, 16<<10)
		if cap(w.buf) < want {
			w.buf = make([]byte, want)
		}
		w.buf = w.buf[:want]
		if base := max(off+int64(n)-int64(want), 0); off < w.off && w.off-off < int64(want) && base < off {
			// Asked for in falling order: the window ends with what is asked for.
			if got, _ := w.src.ReadAt(w.buf, base); int64(got) >= off-base+int64(n) {
				w.off, w.buf = base, w.buf[:got]
				return w.buf[off-base:][:n]
			}
		}
		got, err := w.src.ReadAt(w.buf, off)
		if err != nil && err != io.EOF {
			got = min(got, n)
		}
		w.off, w.buf = off, w.buf[:max(got, 0)]
	}
	b := w.buf[off-w.off:]
	return b[:min(n, len(b))]
}

// held returns what is in memory from off on, so that one signature after the
// other is found without reading again what is behind the first.
func (w *zipWindow) held(off int64) []byte {
	if b, ok := w.src.(showcause.Bytes); ok && off >= 0 && off < int64(len(b)) {
		return b[off:min(off+zipScanChunk, int64(len(b)))]
	}
	if i := off - w.off; i >= 0 && i < int64(len(w.buf)) {
		return w.buf[i:]
	}
	return nil
}

// find returns the offset of the first sig that starts in [from, to), or -1.
func (w *zipWindow) find(sig string, from, to int64) int64 {
	for from < to {
		b := w.held(from)
		if len(b) < len(sig) {
			b = w.at(from, zipScanChunk)
		}
		if i := bytes.Index(b, []byte(sig)); i >= 0 {
			if from+int64(i) >= to {
				return -1
			}
			return from + int64(i)
		}
		if len(b) < len(sig) {
			return -1
		}
		from += int64(len(b) - len(sig) + 1)
	}
	return -1
}

// findLast returns the offset of the last sig that starts in [from, to), or -1.
// Most stretches hold none, which Index tells ten times as fast as LastIndex.
func (w *zipWindow) findLast(sig string, from, to int64) int64 {
	for to > from {
		start := max(from, to-(zipScanChunk-8))
		if end := to + int64(len(sig)) - 1; w.off < to && end <= w.off+int64(len(w.buf)) {
			start = max(start, w.off) // what is in memory, first
		}
		b := w.at(start, int(to-start)+len(sig)-1)
		if bytes.Contains(b, []byte(sig)) {
			i := bytes.LastIndex(b, []byte(sig))
			return start + int64(i)
		}
		to = start
	}
	return -1
}

// zipCut returns n cut so that [off, off+n) lies in a layer of the given size.
func zipCut(off, n, size int64) int64 {
	if bound.In(off, n, size) {
		return n
	}
	return max(size-off, 0)
}
