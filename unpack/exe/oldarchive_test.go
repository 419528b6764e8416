package exe

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

func startARJ() []byte {
	h := make([]byte, 34)
	h[0], h[1], h[2], h[6] = 30, 11, 1, 2
	b := append([]byte("\x60\xea\x22\x00"), h...)
	return append(le.AppendUint32(b, crc32.ChecksumIEEE(h)), make([]byte, 20)...)
}

// startLHA is a header with the name "name": of level 2 its count may be less by
// two, or of a byte more.
func startLHA(level byte, more int) []byte {
	h := append([]byte("\x00\x00-lh5-\x04\x00\x00\x00\x04\x00\x00\x00\x00\x00\x21\x53\x20"), level)
	switch level {
	case 2, 3:
		h = append(h, 1, 2, 'U')
		if level == 2 {
			h = append(h, 7, 0, 1, 'n', 'a', 'm', 'e', 0, 0)
			for range more {
				h = append(h, 0)
			}
			le.PutUint16(h, uint16(len(h)+min(more, 0)))
		} else {
			h = append(h, 41, 0, 0, 0, 9, 0, 0, 0, 1, 'n', 'a', 'm', 'e', 0, 0, 0, 0)
			le.PutUint16(h, 4)
		}
	default:
		h = append(h, 4, 'n', 'a', 'm', 'e', 1, 2)
		if level == 1 {
			h = append(h, 'U', 0, 0)
		}
		h[0] = byte(len(h) - 2)
		for _, c := range h[2:] {
			h[1] += c
		}
	}
	return append(h, "data and so on"...)
}

func startCpio(magic string) []byte {
	switch magic {
	case "070707":
		return fmt.Appendf(nil, "070707%06o%06o%06o%06o%06o%06o%06o%011o%06o%011oname\x00data", 1, 1, 0o100644, 0, 0, 1, 0, 0, 5, 4)
	case "070701", "070702":
		b := []byte(magic)
		for i := range 13 {
			b = fmt.Appendf(b, "%08X", map[int]int{1: 0o100644, 6: 4, 11: 5}[i])
		}
		return append(b, "name\x00\x00data"...)
	}
	b := append([]byte(magic), make([]byte, 24)...)
	o := cpioOrder(b)
	o.PutUint16(b[6:], 0o100644)
	o.PutUint16(b[12:], 1)
	o.PutUint16(b[20:], 5)
	o.PutUint16(b[24:], 4)
	return append(b, "name\x00\x00data"...)
}

// oldArchives are starts of archives, as their tools write them.
func oldArchives() map[string][]byte {
	return map[string][]byte{
		"ARJ": startARJ(), "LHA 0": startLHA(0, 0), "LHA 1": startLHA(1, 0), "LHA 2": startLHA(2, 0), "LHA 2, of OS-9": startLHA(2, -2), "LHA 2, padded": startLHA(2, 1), "LHA 3": startLHA(3, 0),
		"cpio odc": startCpio("070707"), "cpio newc": startCpio("070701"), "cpio crc": startCpio("070702"), "cpio": startCpio("\xc7\x71"), "cpio, swapped": startCpio("\x71\xc7"),
	}
}

// TestOldArchives holds that they are found behind junk, and not where a field does
// not fit.
func TestOldArchives(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, data := range oldArchives() {
		for _, n := range []int{1, 100, 5000, 300_000} {
			junk := make([]byte, n)
			for i := range junk {
				junk[i] = byte(r.Uint32()) | 0x80
			}
			all := cat(junk, data)
			if !Embedded(nil).Match(unpacktest.Probe(showcause.Bytes(all))) {
				t.Errorf("%s behind %d bytes: no match", name, n)
				continue
			}
			got := unpacktest.Walk(t, Embedded(nil), all, showcause.Limits{})
			if len(got.Children) != 1 || len(got.Gaps) > 0 || !bytes.Equal(got.Children[0].Data, data) {
				t.Errorf("%s behind %d bytes: %s", name, n, got)
			}
		}
		script := cat([]byte("#!/bin/sh\nexit\n"), data)
		if got := unpacktest.Walk(t, Embedded(nil), script, showcause.Limits{}); len(got.Children) != 1 || !bytes.Equal(got.Children[0].Data, data) {
			t.Errorf("%s in a script: %s", name, got)
		}
		// Any bit of what is asked changes the answer, but for few.
		wrong := 0
		for i := range 24 {
			b := bytes.Clone(data)
			b[i] ^= 0x80
			if got := unpacktest.Walk(t, Embedded(nil), cat([]byte{0x91, 0x92, 0x93}, b), showcause.Limits{}); len(got.Children) == 0 {
				wrong++
			}
		}
		if wrong < 5 {
			t.Errorf("%s: %d changes are seen", name, wrong)
		}
	}
}

// TestOldArchivesWithout holds that nothing is found in what only looks like them.
func TestOldArchivesWithout(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 2))
	noise := make([]byte, 8<<20)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	noise[0] = 0x91
	for name, b := range map[string][]byte{
		"noise":             noise,
		"60000, 30,000x":    bytes.Repeat([]byte{0x60, 0xea}, 30_000),
		"names of methods":  cat([]byte{0x91}, bytes.Repeat([]byte("\x00\x00-lh0-\x00\x00-lh5-\x00 -lzs- -pm2-\x00\x00\x00"), 2000)),
		"octal digits":      cat([]byte{0x91}, bytes.Repeat([]byte("070707"), 20_000)),
		"hexadecimal":       cat([]byte{0x91}, bytes.Repeat([]byte("070701000000010000000200000003"), 20_000)),
		"octal, then NUL":   cat([]byte{0x91}, bytes.Repeat([]byte("070707\x00"), 20_000)),
		"words of old cpio": cat([]byte{0x91}, bytes.Repeat([]byte("\xc7\x71\x71\xc7"), 20_000)),
	} {
		if got := unpacktest.Walk(t, Embedded(nil), b, showcause.Limits{}); len(got.Children)+len(got.Gaps) > 0 {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func FuzzOldArchive(f *testing.F) {
	for _, data := range oldArchives() {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, p := range old() {
			if p.likely != nil {
				p.likely(b)
			}
			p.fits(b)
		}
	})
}
