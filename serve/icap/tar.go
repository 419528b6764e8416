package icap

import "fmt"

// tarHeader is the header of a file in a tar archive (POSIX.1-1988, ustar): a body whose coding only
// its HTTP header tells gets a name that says the same to the readers.
func tarHeader(name string, size int64) string {
	h := make([]byte, 512)
	copy(h, name)
	copy(h[100:], "0000644\x000000000\x000000000\x00")
	if size < 1<<33 {
		copy(h[124:], fmt.Sprintf("%011o\x00", size))
	} else { // in base 256
		h[124] = 0x80
		for i, v := 135, size; v > 0; i, v = i-1, v>>8 {
			h[i] = byte(v)
		}
	}
	copy(h[136:], "00000000000\x00        0")
	copy(h[257:], "ustar\x0000")
	sum := 0
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return string(h)
}

// tarFill is the number of zero bytes behind a file: to the next block, and two blocks
// that end the archive.
func tarFill(size int64) int { return int(-size&511) + 1024 }
