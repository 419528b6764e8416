package sevenzip

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// framed puts the header before a stream that those who compress with many
// threads write: a skippable frame with the stream's size.
func framed(z []byte, more ...byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, brotliFrame)
	b = binary.LittleEndian.AppendUint32(b, uint32(4+len(more)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(z)))
	return append(append(b, more...), z...)
}

// modern compresses with what 7z has by extension.
func modern(coder byte, b []byte) []byte {
	var out bytes.Buffer
	switch coder {
	case 1:
		w, _ := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
		w.Write(b)
		w.Close()
	case 2:
		w := brotli.NewWriterLevel(&out, 5)
		w.Write(b)
		w.Close()
	case 4:
		w := lz4.NewWriter(&out)
		w.Write(b)
		w.Close()
	}
	return out.Bytes()
}

func modernOf(coder byte, frames bool, files ...[]byte) []byte {
	all := bytes.Join(files, nil)
	packed := modern(coder, all)
	if frames {
		var more []byte
		if coder == 2 {
			more = []byte("BR\x02\x00")
		}
		half := len(all) / 2
		packed = append(framed(modern(coder, all[:half]), more...), framed(modern(coder, all[half:]), more...)...)
	}
	return archiveOf(packed, []byte{0x24, 0x04, 0xf7, 0x11, coder, 1, 1}, files...)
}

func TestModern(t *testing.T) {
	files := [][]byte{[]byte("one and so on"), unpacktest.Mixed(100_000), []byte("the last one")}
	for coder, op := range map[byte]string{1: "7z.zstd", 2: "7z.brotli", 4: "7z.lz4"} {
		for _, frames := range []bool{false, true} {
			b := modernOf(coder, frames, files...)
			r := unpacktest.Walk(t, Format(), b, showcause.Limits{})
			if len(r.Gaps) > 0 || len(r.Children) != len(files) {
				t.Errorf("%s, frames %v: %s", op, frames, r)
				continue
			}
			for i, c := range r.Children {
				if c.Op != op || !bytes.Equal(c.Data, files[i]) {
					t.Errorf("%s, frames %v: file %d is not what was put in: %s", op, frames, i, c.Op)
				}
			}
			bad := bytes.Clone(b)
			copy(bad[signature+200:], strings.Repeat("\xff\x00", 500))
			if r = unpacktest.Walk(t, Format(), bad, showcause.Limits{}); !r.Unread() {
				t.Errorf("%s, frames %v, broken: %s", op, frames, r)
			}
		}
	}
	other := modernOf(5, false, files...) // LZ5
	if r := unpacktest.Walk(t, Format(), other, showcause.Limits{}); len(r.Children) > 0 || !r.Has("unsupported.method.7z-lz5") || len(r.Gaps) != 3 {
		t.Errorf("unknown coder: %s", r)
	}
}

func TestModernConforms(t *testing.T) {
	samples := map[string][]byte{}
	for coder, name := range map[byte]string{1: "zstd", 2: "brotli", 4: "lz4"} {
		samples[name] = modernOf(coder, coder == 2, []byte("one and so on and so on"), unpacktest.Mixed(1200))
	}
	unpacktest.Conform(t, Format(), samples)
}

func FuzzModern(f *testing.F) {
	var seeds [][]byte
	for _, coder := range []byte{1, 2, 4} {
		seeds = append(seeds, modernOf(coder, true, []byte("one and so on"), []byte("two and so on and so on")))
	}
	unpacktest.Fuzz(f, Format(), seeds...)
}
