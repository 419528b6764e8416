package sevenzip

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/codec"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// folderOf is the directory of one folder, with one coder and one file.
func folderOf(pos, packed, size uint64, coder []byte, content []byte) []byte {
	d := []byte{idHeader, idMainStreams, idPackInfo}
	d = number(d, pos)
	d = append(d, 1, idSize)
	d = number(d, packed)
	d = append(d, idEnd, idUnpackInfo, idFolder, 1, 0, 1)
	d = append(append(d, coder...), idCodersUnpackSize)
	d = number(d, size)
	d = append(d, idCRC, 1)
	d = binary.LittleEndian.AppendUint32(d, crc32.ChecksumIEEE(content))
	return append(d, idEnd, idEnd, idFiles, 1, idNames, 5, 0, 'a', 0, 0, 0, idEnd, idEnd)
}

// What stands in an archive and no folder claims is a child of its own.
func TestUnclaimed(t *testing.T) {
	hidden := bytes.Repeat([]byte("hidden in the archive "), 40)
	file := []byte("the content of the file, which is all that 7z shows of it.")
	n, h := uint64(len(file)), uint64(len(hidden))
	both := slices.Concat(hidden, file)
	twice := slices.Concat(file, hidden)
	unnamed := []byte{idHeader, idMainStreams, idPackInfo}
	unnamed = number(unnamed, 0)
	unnamed = append(unnamed, 1, idSize)
	unnamed = append(number(unnamed, h), idEnd, idEnd, idEnd)
	lzma := golden(t)["lzma"]
	for name, c := range map[string]struct {
		data  []byte
		files int
		codes string
	}{
		"empty header":             {wrap(hidden, []byte{idHeader, idEnd}), 1, "corrupt"},
		"a stream that none names": {wrap(hidden, unnamed), 1, "corrupt"},
		"in front of the streams":  {wrap(both, folderOf(h, n, n, []byte{1, 0}, file)), 2, ""},
		"behind the streams":       {wrap(twice, folderOf(0, n, n, []byte{1, 0}, file)), 2, ""},
		"rest of a stream":         {wrap(twice, folderOf(0, n+h, n, []byte{1, 0}, file)), 2, ""},
		"rest behind a filter":     {wrap(twice, folderOf(0, n+h, n, []byte{0x21, 3, 1, 0}, delta(file))), 2, "corrupt"},
		"a folder of nothing":      {wrap(hidden, folderOf(0, h, 0, []byte{1, 0}, nil)), 1, ""},
		"nothing, compressed":      {wrap(hidden, folderOf(0, h, 0, []byte{0x23, 3, 1, 1, 5, 0x5d, 0, 0, 1, 0}, nil)), 1, "corrupt"},
		"behind another":           {append(bytes.Clone(lzma), wrap(hidden, []byte{idHeader, idEnd})...), 3, "corrupt"},
		"in a program":             {slices.Concat([]byte("MZ"), make([]byte, 1000), wrap(hidden, []byte{idHeader, idEnd})), 1, "corrupt"},
		"healthy and empty":        {wrap(nil, nil), 0, ""},
		"padding":                  {wrap(make([]byte, 5000), []byte{idHeader, idEnd}), 0, ""},
	} {
		r := unpacktest.Walk(t, Format(), c.data, showcause.Limits{})
		var codes []string
		for _, g := range r.Gaps {
			codes = append(codes, string(g.Code))
		}
		if len(r.Children) != c.files || strings.Join(codes, " ") != c.codes || c.files > 0 && !r.Contains("hidden in the archive") {
			t.Errorf("%s: %s", name, r)
		}
	}
}

// delta is what the delta filter with a distance of 1 makes of b.
func delta(b []byte) []byte {
	out, _ := io.ReadAll(codec.NewDelta(bytes.NewReader(b), 1))
	return out
}

// TestUnclaimedConforms holds the bytes between the parts to the rules of all.
func TestUnclaimedConforms(t *testing.T) {
	hidden := bytes.Repeat([]byte("hidden "), 40)
	file := []byte("the content")
	unpacktest.Conform(t, Format(), map[string][]byte{
		"in front": wrap(slices.Concat(hidden, file), folderOf(uint64(len(hidden)), uint64(len(file)), uint64(len(file)), []byte{1, 0}, file)),
		"rest":     wrap(slices.Concat(file, hidden), folderOf(0, uint64(len(hidden)+len(file)), uint64(len(file)), []byte{1, 0}, file)),
	})
}

// Filters undo any bytes at all as 7z does.
func TestFiltersAgree(t *testing.T) {
	if _, err := exec.LookPath("7z"); err != nil {
		t.Skip("7z is not installed")
	}
	path := filepath.Join(t.TempDir(), "a.7z")
	for name, coder := range map[string][]byte{
		"RISC-V": {1, 0x0b}, "RISC-V from an address": {0x21, 0x0b, 4, 2, 0x10, 0, 0}, "Swap2": {3, 2, 3, 2}, "Swap4": {3, 2, 3, 4},
		"ARM64": {1, 0x0a}, "ARM": {4, 3, 3, 5, 1}, "Thumb": {4, 3, 3, 7, 1}, "PPC": {4, 3, 3, 2, 5}, "SPARC": {4, 3, 3, 8, 5}, "IA64": {4, 3, 3, 4, 1}, "x86": {4, 3, 3, 1, 3}, "Delta": {0x21, 3, 1, 6},
	} {
		rng := rand.New(rand.NewPCG(1, uint64(len(name))))
		for round := range 4 {
			packed := make([]byte, 40_001+round)
			for i := range packed {
				packed[i] = byte(rng.Uint32())
				if rng.IntN(3) == 0 {
					packed[i] = "\x17\x97\xef\x00\x01\x31\x11\xe8\xe9\xff\x25\x94\xeb\xf8\x48\x40\x7f\x83\x10"[rng.IntN(19)]
				}
			}
			size := uint64(len(packed))
			r := unpacktest.Walk(t, Format(), wrap(packed, folderOf(0, size, size, coder, nil)), showcause.Limits{})
			if len(r.Children) != 1 || r.Children[0].Size != int64(size) {
				t.Fatalf("%s: %s", name, r)
			}
			os.WriteFile(path, wrap(packed, folderOf(0, size, size, coder, r.Children[0].Data)), 0o600)
			if msg, err := exec.Command("7z", "t", "-bd", path).CombinedOutput(); err != nil {
				if strings.Contains(string(msg), "Unsupported") {
					t.Logf("%s: this 7z does not know it", name)
					break
				}
				t.Errorf("%s: 7z does not agree: %s", name, fmt.Sprintf("%.300s", msg))
			}
		}
	}
}

// Packed bytes behind a first header that says that there is no directory are a gap; what is
// something by itself is none.
func TestNoDirectory(t *testing.T) {
	packed := golden(t)["lzma"][signature:][:60]
	for name, c := range map[string]struct {
		rest     []byte
		children int
		corrupt  bool
	}{
		"packed": {packed, 1, true}, "a text": {[]byte("a text that stands behind it"), 1, false}, "zeros": {make([]byte, 600), 0, false}, "nothing": {nil, 0, false},
	} {
		r := unpacktest.Walk(t, Format(), append(wrap(nil, nil), c.rest...), showcause.Limits{})
		if len(r.Children) != c.children || r.Has(showcause.Corrupt) != c.corrupt {
			t.Errorf("%s: %s", name, r)
		}
	}
}
