package hfs

import (
	"flag"
	"testing"

	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

var full = flag.Bool("full", false, "every damage, not a sample")

func TestLies(t *testing.T) {
	for name, split := range map[string]int{"in one": 0, "in extents": 2} {
		t.Run(name, func(t *testing.T) {
			w := newHFS(512, split, "H+")
			w.nodes = 1024
			w.trees = true
			w.file("small", unpacktest.Marked("small", 40), nil, nil)
			w.file("dir/few", unpacktest.Marked("few", 4000), unpacktest.Marked("fork", 600), nil)
			w.file("dir/deep/more", unpacktest.Marked("more", 9000), nil, nil)
			for _, n := range []string{"a", "b", "c", "d", "e", "f", "g"} {
				w.file("dir/deep/"+n, unpacktest.Marked(n, 500), nil, nil)
			}
			b := w.image()
			unpacktest.Lies(t, *full, []unpack.Format{HFSPlus(), HFS()}, b, unpacktest.Sizes(1024, 4)(b)...)
		})
	}
}

func TestOldLies(t *testing.T) {
	for name, split := range map[string]int{"in one": 0, "in extents": 2} {
		t.Run(name, func(t *testing.T) {
			w := &oldWriter{split: split, id: 15}
			dir := w.folder(hfsRoot, "dir")
			w.file(hfsRoot, "few", unpacktest.Marked("few", 4000), unpacktest.Marked("fork", 600))
			w.file(dir, "more", unpacktest.Marked("more", 9000), nil)
			w.file(dir, "one", unpacktest.Marked("one", 500), nil)
			b := w.volume(nil)
			unpacktest.Lies(t, *full, []unpack.Format{HFSPlus(), HFS()}, b, unpacktest.Harmless{From: 1024, To: 1026, Why: "no reader takes it without"},
				unpacktest.Harmless{From: 1024 + 14, To: 1024 + 30, Why: "nor with sizes that cannot be"}, unpacktest.Harmless{From: 1024 + 36, To: 1024 + 38, Why: "nor without a name"})
		})
	}
}
