package container

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

const (
	maxSteps     = 1 << 29
	maxNames     = 1 << 18  // in all layers
	maxNameBytes = 32 << 20 // of them
	maxWindow    = 64 << 20 // of zstd
	expansion    = 64       // bytes of a layer for each byte of it packed, besides expansionMin
	expansionMin = 64 << 20
)

// nameBudget bounds what is known of names.
type nameBudget struct {
	entries int
	bytes   int
	short   bool // the bound was reached, or a layer could not be read to its end
	steps   int64
}

// step charges n steps of finding out what hides what. They are bounded, so
// that the files themselves are read whatever there is to find out.
func (w *walker) step(n int64) bool {
	w.names.steps += n
	if w.names.steps > maxSteps {
		w.names.short = true
		return false
	}
	return w.out.Work(n)
}

// blob is a layer of one image or of several.
type blob struct {
	off, size int64
	entries   []entry
	read      bool
	uses      int            // images
	hidden    map[string]int // in how many of them a file is
}

type kind uint8

const (
	file    kind = iota // anything that is no directory
	dir                 //
	link                // a further name of a file of this layer
	removed             // ".wh.NAME": NAME is not there any more (OCI Image Format Specification 1.1, "Whiteouts")
	opaque              // ".wh..wh..opq": nothing that layers below have in this directory is
)

// entry is what a layer says of one name.
type entry struct {
	name   string
	kind   kind
	target string // of a link
}

const (
	whiteout = ".wh."
	opaqueAt = ".wh..wh..opq"
)

// rename is the unpack.Rename of what is in the layer.
func (b *blob) rename(c unpack.Child) (op string, further bool) {
	format, _, _ := strings.Cut(c.Op, ".")
	switch format {
	case "tar":
		name := clean(c.Name)
		if strings.HasPrefix(path.Base(name), whiteout) || b.uses > 0 && b.hidden[name] == b.uses {
			return "oci.hidden", false
		}
		return "oci.file", false
	case "gzip", "zstd", "bzip2", "xz", "lzma", "lz4":
		return c.Op, true
	}
	return c.Op, false
}

// stack finds what the layers of an image hide of each other, from the top
// down. It tells whether to go on.
func (w *walker) stack(layers []*blob) bool {
	above := map[string]uint8{} // what layers above say of a name
	done := map[*blob]bool{}
	for _, b := range slices.Backward(layers) {
		if done[b] { // twice in one image: the upper counts
			continue
		}
		done[b] = true
		if !w.load(b) {
			return false
		}
		b.uses++
		kept := map[string]bool{}
		links := map[string]string{}
		for _, e := range b.entries {
			if e.kind == link {
				links[e.name] = e.target
			}
		}
		for _, e := range b.entries {
			if !w.step(16 + int64(strings.Count(e.name, "/"))*16) {
				return false
			}
			if e.kind == link && !covered(above, e.name) {
				for name, n := e.target, 0; name != "" && n < 8; n++ {
					kept[name] = true
					name = links[name]
				}
			}
		}
		for _, e := range b.entries {
			if e.kind == file && !kept[e.name] && covered(above, e.name) {
				b.hidden[e.name]++
			}
		}
		for _, e := range b.entries {
			above[e.name] |= bits(e.kind)
		}
	}
	return true
}

// What layers above say of a name, bits.
const (
	replaced = 1 << iota // it is something else than a directory, or gone
	hasDir               // it is a directory
	closed               // a directory that begins anew
)

func bits(k kind) uint8 {
	switch k {
	case dir:
		return hasDir
	case opaque:
		return hasDir | closed
	}
	return replaced
}

// covered tells whether layers above hide a file.
func covered(above map[string]uint8, name string) bool {
	if above[name]&(replaced|hasDir) != 0 {
		return true
	}
	for {
		i := strings.LastIndexByte(name, '/')
		if i < 0 {
			return name != "" && above[""]&closed != 0
		}
		name = name[:i]
		if above[name]&(replaced|closed) != 0 {
			return true
		}
	}
}

// load reads the names in a layer. It tells whether to go on.
func (w *walker) load(b *blob) bool {
	if b.read {
		return true
	}
	b.read = true
	in, packed, ok := w.open(b)
	if !ok {
		w.names.short = true
		return true
	}
	defer in.Close()
	r := tar.NewReader(in)
	seen := map[string]bool{}
	for n := 0; ; n++ {
		if !w.step(64) {
			return false
		}
		h, err := r.Next()
		if err == io.EOF {
			return true
		}
		if err != nil {
			w.names.short = true
			if n == 0 && !packed {
				w.out.Gap(showcause.Corrupt, b.off, b.size) // it is no tar at all
			}
			return true
		}
		e := entryOf(h)
		if w.names.entries++; w.names.entries > maxNames || w.names.bytes+len(e.name) > maxNameBytes {
			w.names.short = true
			return true
		}
		w.names.bytes += len(e.name) + len(e.target)
		if e.kind == file {
			if seen[e.name] {
				continue
			}
			seen[e.name] = true
		}
		b.entries = append(b.entries, e)
	}
}

func entryOf(h *tar.Header) entry {
	name := clean(h.Name)
	dirname, base := path.Split(name)
	switch {
	case base == opaqueAt:
		return entry{name: strings.TrimSuffix(dirname, "/"), kind: opaque}
	case strings.HasPrefix(base, ".wh..wh."): // of aufs
		return entry{name: name, kind: dir}
	case strings.HasPrefix(base, whiteout):
		return entry{name: dirname + base[len(whiteout):], kind: removed}
	case h.Typeflag == tar.TypeDir:
		return entry{name: name, kind: dir}
	case h.Typeflag == tar.TypeLink:
		return entry{name: name, kind: link, target: clean(h.Linkname)}
	}
	return entry{name: name, kind: file}
}

// open opens a layer as a tar. packed says that other readers tell whether it is sound.
func (w *walker) open(b *blob) (in io.ReadCloser, packed, ok bool) {
	raw := bound.Reader(w.src, b.off, b.size)
	head := bound.Head(bound.Section(w.src, b.off, b.size), 6)
	most := bound.Add(bound.Mul(b.size, expansion), expansionMin)
	charge := func(r io.Reader) io.Reader { return &charged{r: io.LimitReader(r, most), w: w} }
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		z, err := gzip.NewReader(bufio.NewReaderSize(raw, 32<<10))
		if err != nil {
			return nil, true, false
		}
		return io.NopCloser(charge(z)), true, true
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")) || len(head) >= 4 && head[0]>>4 == 5 && string(head[1:4]) == "\x2a\x4d\x18":
		z, err := zstd.NewReader(raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, true, false
		}
		return closer{charge(z), z.Close}, true, true
	case bytes.HasPrefix(head, []byte("BZh")) || bytes.HasPrefix(head, []byte("\xfd7zXZ")):
		return nil, true, false
	}
	return readSeekNop{raw}, false, true
}

// charged asks for work for what is read, a step for eight bytes.
type charged struct {
	r io.Reader
	w *walker
}

func (c *charged) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if !c.w.step(int64(n)/8 + 1) {
		return 0, unpack.Fail(showcause.LimitWork)
	}
	return n, err
}

type closer struct {
	io.Reader
	close func()
}

func (c closer) Close() error { c.close(); return nil }

// readSeekNop keeps Seek, by which content is passed over.
type readSeekNop struct{ *io.SectionReader }

func (readSeekNop) Close() error { return nil }
