package codec

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"testing"
)

// TestXZBlock reads a block whose chunks are copied, by filters that change what is known.
func TestXZBlock(t *testing.T) {
	copied := func(b string) []byte { // a chunk of LZMA2, and the end
		return append(append([]byte{1, byte((len(b) - 1) >> 8), byte(len(b) - 1)}, b...), 0)
	}
	call := "\xe8\x0a\x00\x00\x00ABCDEFGH" // a call of what is 10 from the start, of 5 behind the call
	for name, c := range map[string]struct {
		header string // without size, flags and CRC-32
		flags  byte
		in     string
		want   string
		err    error
	}{
		"plain":               {"210116", 0, "some bytes", "some bytes", nil},
		"sizes":               {"8001 05 210116", 0xc0, "some bytes", "some bytes", nil},
		"delta":               {"030100 210116", 1, "\x01\x01\x01\x01", "\x01\x02\x03\x04", nil},
		"x86":                 {"0400 210116", 1, call, "\xe8\x05\x00\x00\x00ABCDEFGH", nil},
		"x86 from 4":          {"040404000000 210116", 1, call, "\xe8\x01\x00\x00\x00ABCDEFGH", nil},
		"not known":           {"1400 210116", 1, "some bytes", "", ErrFilter},
		"LZMA2 is not last":   {"210116 0400", 1, "some bytes", "", ErrFilter},
		"x86 with a byte":     {"040101 210116", 1, "some bytes", "", ErrLZMA},
		"delta with none":     {"0300 210116", 1, "some bytes", "", ErrLZMA},
		"a large dictionary":  {"210129", 0, "some bytes", "", ErrLZMA},
		"fields past the end": {"2105", 0, "some bytes", "", ErrLZMA},
		"no fields":           {"", 0, "some bytes", "", ErrLZMA},
	} {
		fields, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(c.header), []byte(" "), nil)))
		if err != nil {
			t.Fatal(err)
		}
		h := append([]byte{0, c.flags}, fields...)
		if name != "fields past the end" && name != "no fields" {
			h = append(h, make([]byte, -len(h)&3)...)
		}
		h = binary.LittleEndian.AppendUint32(h, 0)
		h[0] = byte(len(h)/4 - 1)
		in := bytes.NewReader(append(copied(c.in), "behind"...))
		r, err := XZBlock(h, &LZMA2{}, in)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
		if err != nil || c.err != nil {
			continue
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != c.want || in.Len() != len("behind") {
			t.Errorf("%s: %q, want %q; %d bytes left, %v", name, got, c.want, in.Len(), err)
		}
	}
}
