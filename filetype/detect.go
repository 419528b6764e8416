package filetype

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"io"

	"github.com/showcause/showcause"
)

// Detect tells what a layer is. head is its first bytes, 64 KiB where it has
// them; src is read only for the few types that are told elsewhere: a disc
// image's descriptor at 32 KiB, a trailer in the last 512 bytes, the
// directory of a zip file. A nil src is not read. The work is bounded by a
// constant.
func Detect(head []byte, src showcause.Source) Type {
	if len(head) == 0 {
		return empty
	}
	if t := start(head); t != Unknown {
		if t == Zip {
			return office(head, src)
		}
		return t
	}
	if t := tarHeader(head); t != Unknown {
		return t
	}
	if t := disc(head, src, false); t != Unknown {
		return t
	}
	if t := floppy(head, src); t != Unknown {
		return t
	}
	if hasMailPrefix(head) {
		return Mail
	}
	t := text(head)
	if m := markup(head, t); m != Unknown {
		return m
	}
	if hasPDF(head) {
		return PDF
	}
	if t == Unknown {
		t = trailer(src)
	}
	if t == Unknown {
		t = track(src)
	}
	return t
}

// start tells the types whose first bytes are theirs alone.
func start(head []byte) Type {
	for i := range magics {
		if m := &magics[i]; m.at(head) {
			return m.t
		}
	}
	for _, f := range [...]func([]byte) Type{dosProgram, cafebabe, python, bzip2, lzma, mediaStart, archiveStart, uuencode, zlibStream, told} {
		if t := f(head); t != Unknown {
			return t
		}
	}
	return Unknown
}

func hasPrefix(b []byte, s string) bool { return len(b) >= len(s) && string(b[:len(s)]) == s }

// dosProgram tells PE files from other programs that start with MZ (or ZM).
// ClamAV calls all that start with MZ MSEXE, text too; so does ClamAV() here.
func dosProgram(head []byte) Type {
	if !hasPrefix(head, "MZ") {
		return Unknown
	}
	if len(head) >= 64 {
		at := int64(binary.LittleEndian.Uint32(head[60:]))
		// A header beyond the head is possible, and nothing else is likely there.
		if at >= int64(len(head)) && len(head) >= 32<<10 || at+4 <= int64(len(head)) && hasPrefix(head[at:], "PE\x00\x00") {
			return PE
		}
	}
	return DOS
}

// cafebabe tells Java classes from universal Mach-O files. A class has its
// minor and major version where a universal file has its count; versions
// start at 45, and ClamAV takes a count above 31 for a version.
func cafebabe(head []byte) Type {
	if !hasPrefix(head, "\xca\xfe\xba\xbe") || len(head) < 8 {
		return Unknown
	}
	if n := binary.BigEndian.Uint32(head[4:]); n <= 31 {
		return Universal
	}
	return Java
}

// python tells compiled Python: a version word, then CR LF (CPython,
// pycore_magic_number.h). The words go up to about 3600 for Python 3, from
// 20117 for Python 1.3 to 2, and PyPy has small ones of its own.
func python(head []byte) Type {
	if len(head) < 8 {
		return Unknown
	}
	for _, m := range oldPythons {
		if hasPrefix(head, m) {
			return pyc
		}
	}
	if head[2] != '\r' || head[3] != '\n' {
		return Unknown
	}
	switch v := binary.LittleEndian.Uint16(head); {
	case v >= 3000 && v < 3840, v >= 20117 && v <= 20121, v >= 11913 && v <= 11913, v >= 5892 && v <= 5892,
		v >= 50428 && v <= 50429, v >= 50823 && v <= 50824, v >= 60202 && v <= 60203, v >= 60717 && v <= 60718,
		v >= 62011 && v <= 62218, v == 256, v == 336, v == 384, v == 416:
		return pyc
	}
	return Unknown
}

// bzip2 asks for the first block's or the end's magic after the four bytes
// that ClamAV is content with: text may start with "BZh".
func bzip2(head []byte) Type {
	if !hasPrefix(head, "BZh") || len(head) < 4 || head[3] < '1' || head[3] > '9' {
		return Unknown
	}
	rest := string(head[4:min(10, len(head))])
	if rest == "1AY&SY"[:len(rest)] || rest == "\x17\x72\x45\x38\x50\x90"[:len(rest)] {
		return Bzip2
	}
	return Unknown
}

// lzma tells the header that has no magic (LZMA SDK, lzma.txt): properties,
// dictionary size, length, and a first coder byte that is always zero. As xz
// does, only sizes of the dictionary that are a power of two, or one and a half, are taken.
func lzma(head []byte) Type {
	if len(head) < 14 || head[0] >= 225 || head[13] != 0 {
		return Unknown
	}
	dict := binary.LittleEndian.Uint32(head[1:])
	size := binary.LittleEndian.Uint64(head[5:])
	round := dict&(dict-1) == 0 || dict%3 == 0 && (dict/3)&(dict/3-1) == 0 || dict == 1<<32-1
	// Readers take sizes below 4096 too. There, zeros say nothing.
	if !round || dict < 4096 && len(bytes.Trim(head[13:min(18, len(head))], "\x00")) == 0 {
		return Unknown
	}
	if size == 1<<64-1 || head[0] == 0x5d && size > 0 && size < 1<<38 {
		return LZMA
	}
	return Unknown
}

// mediaStart tells media that need a second look.
func mediaStart(head []byte) Type {
	switch {
	case hasPrefix(head, "RIFF") || hasPrefix(head, "RIFX"):
		if len(head) >= 12 && string(head[8:12]) == "WEBP" {
			return webp
		}
		return riff
	case hasPrefix(head, "BM") && len(head) >= 18:
		// ClamAV takes any text that starts with BM for a picture, and any that
		// starts with MM for a TIFF file; here the header has to look like one.
		dib := binary.LittleEndian.Uint32(head[14:])
		if binary.LittleEndian.Uint32(head[6:]) == 0 && (dib == 12 || dib >= 40 && dib <= 124 || dib == 16 || dib == 64) {
			return bmp
		}
	case hasPrefix(head, "\x00\x00\x01\x00") || hasPrefix(head, "\x00\x00\x02\x00"):
		if len(head) >= 22 && head[4] != 0 && head[5] == 0 && head[9] == 0 && head[10] <= 1 && head[11] == 0 {
			return ico
		}
	}
	return Unknown
}

// archiveStart tells archives that need a second look.
func archiveStart(head []byte) Type {
	switch {
	case hasPrefix(head, "\x60\xea") && len(head) >= 4:
		// The length of the first header is at most 2600 (ARJ technical notes).
		if n := binary.LittleEndian.Uint16(head[2:]); n > 0 && n <= 2600 {
			return arj
		}
	case lhaMethod(head):
		return lha
	case len(head) >= 36 && hasPrefix(head, "MSCF") && head[25] == 1:
		return cab // whose reserved fields are not zero: readers ignore them
	case hasPrefix(head, "\x1f\x1e") && packed(head):
		return pack
	case len(head) >= 4 && head[0] >= 0x1e && head[0] <= 0x27 && string(head[1:4]) == "\xb5\x2f\xfd":
		return oldZstd // versions 0.1 to 0.7 (zstd, lib/legacy)
	case len(head) >= 26 && (hasPrefix(head, "\xc7\x71") || hasPrefix(head, "\x71\xc7")):
		return cpioBinary(head)
	case len(head) >= 8 && head[1] == 0x2a && head[2] == 0x4d && head[3] == 0x18 && head[0]>>4 == 5:
		// A skippable frame opens a Zstandard or an LZ4 stream alike.
		if n := int64(binary.LittleEndian.Uint32(head[4:])) + 8; n+4 <= int64(len(head)) && hasPrefix(head[n:], "\x04\x22\x4d\x18") {
			return LZ4
		}
		return Zstd
	}
	return Unknown
}

// lhaMethod tells a header's method, "-lh5-", behind its length and checksum.
func lhaMethod(head []byte) bool {
	if len(head) < 7 || head[2] != '-' || head[6] != '-' || head[3] != 'l' {
		return false
	}
	m := string(head[4:6])
	return m[0] == 'h' && (m[1] >= '0' && m[1] <= '7' || m[1] == 'd' || m[1] == 'x') || m == "zs" || m == "z4" || m == "z5"
}

// packed judges the code lengths of a pack file: the longest is at most 25
// bits, and there are at most 256 bytes to give codes to.
func packed(head []byte) bool {
	if len(head) < 8 || head[6] == 0 || head[6] > 25 {
		return false
	}
	n := 0
	for _, c := range head[7:min(7+int(head[6]), len(head))] {
		n += int(c)
	}
	return n <= 256
}

// cpioBinary asks for a mode and a name's length that a cpio header can have:
// two bytes of magic are too few.
func cpioBinary(head []byte) Type {
	var order binary.ByteOrder = binary.LittleEndian
	if head[0] == 0x71 {
		order = binary.BigEndian
	}
	mode, name := order.Uint16(head[6:]), order.Uint16(head[20:])
	switch mode >> 12 {
	case 0, 1, 2, 4, 6, 8, 9, 10, 12:
		if name > 0 && name <= 4096 {
			return cpioOld
		}
	}
	return Unknown
}

// uuencode tells "begin 644 name". ClamAV asks for "begin " only, which opens
// many a program text.
func uuencode(head []byte) Type {
	rest, ok := bytes.CutPrefix(head, []byte("begin "))
	if !ok {
		if rest, ok = bytes.CutPrefix(head, []byte("begin-base64 ")); !ok {
			return Unknown
		}
	}
	n := 0
	for n < len(rest) && rest[n] >= '0' && rest[n] <= '7' {
		n++
	}
	if n >= 3 && n <= 6 && n+1 < len(rest) && rest[n] == ' ' && rest[n+1] != '\n' {
		return UUEncoded
	}
	return Unknown
}

// zlibStream tells a bare zlib stream (RFC 1950) by reading a little of it:
// its two bytes alone say nothing.
func zlibStream(head []byte) Type {
	if len(head) < 8 || head[0]&0x0f != 8 || head[0]>>4 > 7 || binary.BigEndian.Uint16(head)%31 != 0 || head[1]&0x20 != 0 {
		return Unknown
	}
	z, err := zlib.NewReader(bytes.NewReader(head))
	if err != nil {
		return Unknown
	}
	var out [256]byte
	n, err := io.ReadFull(z, out[:])
	if n > 0 && (err == nil || err == io.EOF || err == io.ErrUnexpectedEOF) {
		return zlibT
	}
	return Unknown
}

// tarHeader tells a tar header by the word "ustar" or by its checksum, which
// is the sum of the header's bytes with the checksum's own eight as spaces;
// some programs sum signed bytes (POSIX.1-2017, pax).
func tarHeader(head []byte) Type {
	if len(head) >= 262 && string(head[257:262]) == "ustar" {
		return Tar
	}
	if len(head) < 512 {
		return Unknown
	}
	sum, digits, i := int64(0), 0, 148
	for i < 156 && isSpace(head[i]) {
		i++
	}
	for ; i < 156 && head[i] >= '0' && head[i] <= '7'; i++ {
		sum = sum<<3 | int64(head[i]-'0')
		digits++
	}
	if digits == 0 || sum == 0 || i < 156 && !isSpace(head[i]) {
		return Unknown
	}
	unsigned, signed := int64(8*' '), int64(8*' ')
	for i, c := range head[:512] {
		if i < 148 || i >= 156 {
			unsigned += int64(c)
			signed += int64(int8(c))
		}
	}
	if sum == unsigned || sum == signed {
		return OldTar
	}
	return Unknown
}

// isSpace tells the bytes that stand around a number in a tar header: zeros
// and what C's isspace takes.
func isSpace(c byte) bool { return c == 0 || c == ' ' || c >= '\t' && c <= '\r' }
