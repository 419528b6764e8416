package stream

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// What is in a skippable frame is a child, but for the few bytes of pzstd's.
func TestSkippable(t *testing.T) {
	hidden := []byte("what is hidden in a frame that readers skip")
	frame := func(b []byte) []byte {
		return slices.Concat([]byte("\x5a\x2a\x4d\x18"), binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b)
	}
	for op, c := range map[string]struct {
		f     unpack.Format
		frame []byte
	}{
		"zstd.skippable": {Zstd(), []byte("\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello")},
		"lz4.skippable":  {LZ4(), []byte("\x04\x22\x4d\x18\x40\x40\xc0\x05\x00\x00\x80hello\x00\x00\x00\x00")},
	} {
		for _, b := range [][]byte{
			slices.Concat(frame(hidden), c.frame), slices.Concat(c.frame, frame(hidden)), slices.Concat(c.frame, frame([]byte("abcd")), frame(hidden), c.frame),
		} {
			r := unpacktest.Walk(t, c.f, b, showcause.Limits{})
			n := 0
			for _, k := range r.Children {
				if k.Op == op && bytes.Equal(k.Data, hidden) {
					n++
				}
			}
			if n != 1 || len(r.Children) != 2 {
				t.Errorf("%s: %s", op, r)
			}
		}
	}
}
