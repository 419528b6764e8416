package archive

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"io"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zlib"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

const (
	xarMethod = showcause.Unsupported + ".method.xar"
	xarMaxSum = 64       // bytes of the longest checksum
	xarMaxTOC = 32 << 20 // bytes of the largest table of contents that is read
)

// Xar reads XAR archives, and so macOS packages (the xar wiki, "xarformat"): a
// header, a table of contents in XML and zlib, and a heap.
//
//	header   "xar!", size of the header (2), version (2), sizes of the table
//	         compressed and not (8 each), kind of checksum (4)
//	table    file elements in each other: name; data and ea with an offset in the
//	         heap, the length there, the size, and how it is encoded
//
// The table is a child, "xar.toc". Content in zlib is "xar.gzip"; what is stored
// or in another compression stands as it is, "xar.stored", and what stands behind all is
// "xar.rest".
func Xar() unpack.Format {
	return unpack.Format{
		Name:  "xar",
		Match: func(p *unpack.Probe) bool { return bytes.HasPrefix(p.Head, []byte("xar!")) },
		Walk:  xarWalk,
	}
}

func xarWalk(src showcause.Source, out *unpack.Out) {
	h, _ := bound.ReadAt(src, 0, 28, 28)
	if len(h) < 28 || !out.Work(1<<15) {
		out.Gap(showcause.Corrupt, 0, -1)
		return
	}
	at, packed, size := int64(binary.BigEndian.Uint16(h[4:])), int64(binary.BigEndian.Uint64(h[8:])), int64(binary.BigEndian.Uint64(h[16:]))
	if at < 28 || packed < 0 || !bound.In(at, packed, src.Size()) {
		out.Gap(showcause.Corrupt, 0, -1)
		packed = min(max(packed, 0), max(src.Size()-at, 0))
	}
	toc, err := xarTOC(src, at, packed)
	if err != nil || int64(len(toc)) != size {
		out.Gap(showcause.Corrupt, min(at, src.Size()), packed)
	}
	if len(toc) > xarMaxTOC {
		out.Gap(showcause.LimitMemory, at, packed)
		return
	}
	if !out.Work(64 * int64(len(toc))) {
		return
	}
	if len(toc) > 0 && !out.Child(unpack.Child{Op: "xar.toc", Source: showcause.Bytes(toc), Size: size}) {
		return
	}
	x := &xar{src: src, out: out, heap: bound.Add(at, packed)}
	x.end = x.heap
	if !x.read(toc) {
		out.Gap(showcause.Corrupt, min(at, src.Size()), packed)
		return
	}
	if x.sum[1] <= xarMaxSum {
		x.end = max(x.end, bound.Add(x.heap, bound.Add(x.sum[0], x.sum[1])))
	}
	if n := x.sum[1]; n > 0 && n <= xarMaxSum { // bsdtar writes the table's first bytes once more
		a, err := bound.ReadAt(src, at, n, n)
		b, errB := bound.ReadAt(src, x.end, n, n)
		if err == nil && errB == nil && bytes.Equal(a, b) {
			x.end += n
		}
	}
	out.Tail(src, x.end, "xar.rest")
}

// xarTOC inflates the table, and one byte more than is allowed.
func xarTOC(src showcause.Source, at, n int64) ([]byte, error) {
	z, err := zlib.NewReader(bound.Reader(src, at, n))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(z, xarMaxTOC+1))
}

// xar is one archive while its table is read.
type xar struct {
	src  showcause.Source
	out  *unpack.Out
	heap int64
	end  int64    // behind all that the table names
	sum  [2]int64 // where in the heap the table's checksum is, and its size
}

// xarData is a data or ea element.
type xarData struct {
	offset, length, size int64
	style                string
}

// read gives what the table names, and tells whether it was well formed or limits are spent.
func (x *xar) read(toc []byte) bool {
	d := xml.NewDecoder(bytes.NewReader(toc))
	d.Strict = false
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	var path []string
	var names []string // of the file elements that are open
	var open []*xarData
	for {
		t, err := d.RawToken()
		if err != nil {
			return err == io.EOF && len(path) == 0
		}
		switch t := t.(type) {
		case xml.StartElement:
			if path = append(path, t.Name.Local); len(path) > 1000 {
				return false
			}
			switch t.Name.Local {
			case "file":
				names = append(names, "")
			case "data", "ea":
				open = append(open, &xarData{offset: -1, length: -1, size: -1})
			case "encoding":
				for _, a := range t.Attr {
					if a.Name.Local == "style" && len(open) > 0 {
						open[len(open)-1].style = a.Value
					}
				}
			}
		case xml.EndElement:
			if len(path) == 0 || path[len(path)-1] != t.Name.Local {
				return false
			}
			path = path[:len(path)-1]
			switch t.Name.Local {
			case "file":
				names = names[:len(names)-1]
			case "data", "ea":
				e := open[len(open)-1]
				if open = open[:len(open)-1]; !x.give(e, xarPath(names)) {
					return true
				}
			}
		case xml.CharData:
			if len(path) < 2 {
				continue
			}
			text := strings.TrimSpace(string(t))
			switch in, name := path[len(path)-2], path[len(path)-1]; {
			case in == "file" && name == "name" && len(names) > 0:
				names[len(names)-1] += text
			case (in == "data" || in == "ea") && len(open) > 0:
				open[len(open)-1].set(name, text)
			case in == "checksum" && len(path) == 4 && (name == "offset" || name == "size"):
				e := xarData{}
				e.set(name, text)
				x.sum[0], x.sum[1] = max(x.sum[0], e.offset), max(x.sum[1], e.size)
			}
		}
	}
}

func (e *xarData) set(name, text string) {
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v < 0 {
		return
	}
	switch name {
	case "offset":
		e.offset = v
	case "length":
		e.length = v
	case "size":
		e.size = v
	}
}

// xarPath joins the names of nested files, or the last part of that.
func xarPath(names []string) string {
	s := strings.Join(names[max(len(names)-64, 0):], "/")
	return s[max(len(s)-unpack.MaxName, 0):]
}

func (x *xar) give(e *xarData, name string) bool {
	if !x.out.Work(256) {
		return false
	}
	if e.offset < 0 || e.length < 0 {
		if e.size != 0 && (e.offset >= 0 || e.length >= 0 || e.size > 0) {
			x.out.Gap(showcause.Corrupt, min(x.heap, x.src.Size()), -1)
		}
		return true
	}
	at := bound.Add(x.heap, e.offset)
	x.end = max(x.end, bound.Add(at, e.length))
	c := unpack.Child{Op: "xar.stored", Name: name, Size: e.size}
	head, _ := bound.ReadAt(x.src, at, min(2, e.length), 2)
	switch {
	case e.length == 0:
		return true
	case strings.Contains(e.style, "gzip") && len(head) == 2 && head[0]&15 == 8 && binary.BigEndian.Uint16(head)%31 == 0:
		if !x.out.Work(1 << 14) {
			return false
		}
		z, err := zlib.NewReader(bound.Reader(x.src, at, e.length))
		if err != nil {
			return x.out.ChildGap(c, showcause.Corrupt)
		}
		c.Op, c.Reader = "xar.gzip", &xarStream{r: z, size: e.size}
		return x.out.Child(c)
	case e.style != "" && !xarKnown(e.style):
		return x.out.ChildGap(c, xarMethod)
	}
	return x.out.Section(x.src, c.Op, name, at, e.length)
}

// xarKnown tells of an encoding that is none, or that the layer itself tells.
func xarKnown(style string) bool {
	for _, s := range []string{"octet-stream", "gzip", "bzip2", "lzma", "xz"} {
		if strings.Contains(style, s) {
			return true
		}
	}
	return false
}

// xarStream checks the size of a content that is inflated.
type xarStream struct {
	r    io.Reader
	size int64
	n    int64
}

// Read implements io.Reader.
func (s *xarStream) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.n += int64(n)
	if err == io.EOF && s.size >= 0 && s.n != s.size {
		err = unpack.Fail(showcause.Corrupt)
	}
	return n, err
}
