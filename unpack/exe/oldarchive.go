package exe

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// What the archives of old begin with. Their marks are short, so that the whole
// header is asked.

// likelyARJ judges the fields of an archive's header (ARJ technical notes) that
// can have few values.
func likelyARJ(b []byte) bool {
	if len(b) < 42 {
		return false
	}
	n := int(le.Uint16(b[2:]))
	return n >= 30 && n <= 2600 && b[4] >= 30 && int(b[4]) <= n && b[10] == 2 && 8+n <= len(b)
}

// fitsARJ checks the header by its checksum.
func fitsARJ(b []byte) bool {
	if !likelyARJ(b) {
		return false
	}
	n := int(le.Uint16(b[2:]))
	return crc32.ChecksumIEEE(b[4:4+n]) == le.Uint32(b[4+n:])
}

// fitsLHA checks the first header of an archive: its method, its name, in levels 0
// and 1 its sum, and in the others that the further headers end where it does.
func fitsLHA(b []byte) bool {
	if len(b) < 24 || b[6] != '-' || bytes.IndexByte([]byte("01234567dxs"), b[5]) < 0 {
		return false
	}
	switch b[20] {
	case 0, 1:
		return fitsLowLHA(b)
	case 2:
		n := int(le.Uint16(b))
		return n >= 26 && n <= len(b) && le.Uint32(b[7:]) > 0 && chained(b[:min(n+2, len(b))], 26, 2, n)
	case 3:
		if len(b) < 32 || le.Uint16(b) != 4 {
			return false
		}
		n := int(min(le.Uint32(b[24:]), payloadView+1))
		return n >= 32 && n <= len(b) && chained(b[:n], 32, 4, n)
	}
	return false
}

func fitsLowLHA(b []byte) bool {
	n, name := int(b[0]), int(b[21])
	if n < 20 || n+2 > len(b) || 22+name > n+2 {
		return false
	}
	if i := bytes.IndexByte(b[22:22+name], 0); i >= 0 {
		name = i // a comment is behind it
	}
	if b[20] == 0 && name == 0 || !printing(b[22:22+name]) {
		return false
	}
	sum := byte(0)
	for _, c := range b[2 : 2+n] {
		sum += c
	}
	return sum == b[1]
}

// chained tells whether the further headers of an LHA header, the first of which
// stands at, end where the header of n bytes does: some count two bytes less, and
// some have a byte more behind them. The size of each stands in the word in front of it.
func chained(b []byte, at, word, n int) bool {
	for {
		k := 0
		if k = int(le.Uint16(b[at-word:])); word == 4 && le.Uint16(b[at-2:]) != 0 {
			return false
		}
		if k == 0 {
			return at >= n-1 && at <= n+2
		}
		if k <= word || at+k > len(b) {
			return false
		}
		at += k
	}
}

// printing tells whether no control character is in b.
func printing(b []byte) bool {
	return !bytes.ContainsFunc(b, func(c rune) bool { return c < ' ' || c == 0x7f })
}

// cpioShape is the length of a header of cpio in text (cpio(5)), the places of the
// name's length in it, and in what base its numbers are.
func cpioShape(b []byte) (size, from, to int, base byte) {
	if len(b) < 6 {
		return 0, 0, 0, 0
	}
	switch b[5] {
	case '1', '2':
		return 110, 94, 102, 16
	case '7':
		return 76, 59, 65, 8
	}
	return 0, 0, 0, 0
}

// digit is the value of a digit, 255 for none.
func digit(c, base byte) byte {
	switch {
	case c >= '0' && c <= '9':
		c -= '0'
	case c >= 'a' && c <= 'f':
		c -= 'a' - 10
	case c >= 'A' && c <= 'F':
		c -= 'A' - 10
	default:
		return 255
	}
	if c >= base {
		return 255
	}
	return c
}

// cpioBytes follows the headers of a cpio archive in text to the member that ends it
// (cpio(5), "New ASCII Format"); 0 where it does not come there.
func cpioBytes(l showcause.Source, off int64, out *unpack.Out) int64 {
	for at := off; out.Work(16); {
		b, _ := bound.ReadAt(l, at, 110+trailerName, 110+trailerName)
		size, from, to, base := cpioShape(b)
		if size == 0 || len(b) < size || !bytes.HasPrefix(b, []byte("07070")) {
			return 0
		}
		name, n, pad := number(b[from:to], base), number(b[54:62], base), int64(4)
		if base == 8 {
			n, pad = number(b[65:76], base), 1
		}
		if name < 0 || n < 0 {
			return 0
		}
		end := at + int64(size) + name // at most 2^33 behind at
		end += (pad - (end-off)%pad) % pad
		if name == trailerName && bytes.HasPrefix(b[size:], []byte("TRAILER!!!")) {
			return end - off
		}
		end += n
		at = end + (pad-(end-off)%pad)%pad
	}
	return 0
}

// trailerName is the length of the last member's name, with the byte 0 behind it.
const trailerName = int64(len("TRAILER!!!") + 1)

// number is the value of digits, -1 if one is none.
func number(b []byte, base byte) int64 {
	n := int64(0)
	for _, c := range b {
		d := digit(c, base)
		if d == 255 {
			return -1
		}
		n = n*int64(base) + int64(d)
	}
	return n
}

// likelyCpio looks where the name of the first member ends.
func likelyCpio(b []byte) bool {
	size, from, to, base := cpioShape(b)
	if size == 0 || len(b) <= size {
		return false
	}
	n := 0
	for _, c := range b[from:to] {
		d := digit(c, base)
		if n = n*int(base) + int(d); d == 255 || n > 1024 {
			return false
		}
	}
	return n > 1 && size+n <= len(b) && b[size+n-1] == 0 && b[size] != 0
}

// fitsCpio asks that all fields are numbers, and the name has no end before its end.
func fitsCpio(b []byte) bool {
	if !likelyCpio(b) {
		return false
	}
	size, _, _, base := cpioShape(b)
	for _, c := range b[6:size] {
		if digit(c, base) == 255 {
			return false
		}
	}
	n := bytes.IndexByte(b[size:], 0)
	return n > 0 && printing(b[size:size+n])
}

func cpioOrder(b []byte) binary.ByteOrder {
	if b[0] == 0x71 {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// likelyOldCpio judges the mode in a binary header of cpio, and the end of the name.
func likelyOldCpio(b []byte) bool {
	if len(b) < 28 {
		return false
	}
	o := cpioOrder(b)
	n := int(o.Uint16(b[20:]))
	switch o.Uint16(b[6:]) >> 12 {
	case 1, 2, 4, 6, 8, 10, 12:
		return n > 1 && n <= 256 && 26+n <= len(b) && b[26+n-1] == 0 && o.Uint16(b[12:]) > 0
	}
	return false
}

// fitsOldCpio asks for a name of that length.
func fitsOldCpio(b []byte) bool {
	if !likelyOldCpio(b) {
		return false
	}
	n := int(cpioOrder(b).Uint16(b[20:]))
	return bytes.IndexByte(b[26:], 0) == n-1 && printing(b[26:26+n-1])
}
