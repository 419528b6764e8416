package stream

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"

	"github.com/klauspost/compress/flate"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/codec"
	"github.com/showcause/showcause/unpack"
)

// gzipMagic is ID1, ID2 and the one method there is (RFC 1952, section 2.3.1).
var gzipMagic = []byte{0x1f, 0x8b, 8}

// isGzip tells whether a member begins with b. gzip reads the magic of its
// version 0.5 too, 1f 9e.
func isGzip(b []byte) bool {
	return len(b) >= 3 && b[0] == 0x1f && (b[1] == 0x8b || b[1] == 0x9e) && b[2] == 8
}

const (
	gzipApart = 16       // up to how many members of a run are looked at one by one
	gzipHead  = 64 << 10 // bytes of a member that tell what it is
	gzipFirst = 1 << 10  // bytes of the joined content that tell whether it is an archive
)

// Gzip reads gzip files (RFC 1952). Members that follow each other are one
// child, "gzip.deflate", as gzip joins them. Of a few members, one behind the
// first that begins like a file of its own is a child too, "gzip.member": no
// reader of what the join begins with would open it there. Where the join is an
// archive that holds its files as they are, such a beginning is that of a file
// in it, and the member a piece of it: pigz and bgzip cut anywhere.
// The fields of a header but the name stand raw in the layer.
func Gzip() unpack.Format {
	return unpack.Format{
		Name:  "gzip",
		Match: func(p *unpack.Probe) bool { return isGzip(p.Head) },
		Walk:  gzipWalk,
	}
}

func gzipWalk(src showcause.Source, out *unpack.Out) {
	walkRuns(src, out, streams{
		op:    "gzip.deflate",
		flat:  true,
		magic: gzipMagic,
		head:  func(b []byte) bool { return len(b) >= 10 && b[3]&0xe0 == 0 },
		open:  func(off int64) run { return newGzipRun(src, off, out) },
		name:  func(r run) string { return r.(*gzipRun).title() },
		after: func(r run, _ int64) bool { return gzipAfter(src, out, r.(*gzipRun)) },
	})
}

// gzipAfter gives the members of a run that are files of their own.
func gzipAfter(src showcause.Source, out *unpack.Out, g *gzipRun) bool {
	if g.members > gzipApart || gzipArchive(g.first) {
		return true
	}
	for _, off := range g.apart {
		m := newGzipRun(src, off, out)
		m.one = true
		if !out.Work(firstRun) || !out.Child(unpack.Child{Op: "gzip.member", Name: m.title(), Reader: &ending{r: m}, Size: -1}) {
			return false
		}
	}
	return true
}

// gzipArchive tells of the beginning of a file whether it is an archive in
// which files stand as they are.
func gzipArchive(b []byte) bool {
	switch t := filetype.Detect(b, showcause.Bytes(b)); t {
	case filetype.Zip, filetype.Tar, filetype.OldTar, filetype.Ar:
		return true
	default: // a kind of zip, or of cpio
		return bytes.HasPrefix(b, []byte("PK\x03\x04")) || strings.HasPrefix(t.String(), "cpio")
	}
}

// gzipRun reads members up to the first that does not begin where the one
// before ends.
type gzipRun struct {
	damage // members with another checksum or size than they say

	in   *input
	out  *unpack.Out
	one  bool // read one member only
	fl   io.Reader
	crc  uint32
	size uint32 // modulo 2^32

	open    bool
	peeked  bool
	name    string
	start   int64
	members int
	apart   []int64 // where members begin that are files of their own
	first   []byte  // gzipFirst bytes of the content
	head    []byte  // gzipHead bytes of the member
	err     error
}

func newGzipRun(src showcause.Source, off int64, out *unpack.Out) *gzipRun {
	return &gzipRun{in: newInput(src, off), out: out}
}

func (g *gzipRun) end() int64 { return g.in.offset() }

func (g *gzipRun) free() {
	g.in.free()
	g.fl, g.head = nil, nil
}

// title reads the first header ahead and returns the name in it.
func (g *gzipRun) title() string {
	g.next()
	g.peeked = true
	return g.name
}

// next begins a member, or sets err: io.EOF where there is none.
func (g *gzipRun) next() {
	if g.peeked {
		g.peeked = false
		return
	}
	g.start = g.in.offset()
	if b, _ := g.in.Peek(len(gzipMagic)); g.members > 0 && (g.one || !isGzip(b)) {
		g.err = io.EOF
		return
	}
	if !g.out.Work(256) {
		g.err = unpack.Fail(showcause.LimitWork)
		return
	}
	if g.err = g.header(); g.err != nil {
		return
	}
	if g.fl == nil {
		g.fl = flate.NewReader(g.in.Reader)
	} else {
		g.err = g.fl.(flate.Resetter).Reset(g.in.Reader, nil)
	}
	g.open, g.crc, g.size = true, 0, 0
	g.members++
	g.head = g.head[:0]
}

// take keeps the beginnings of the content and of a member behind the first.
func (g *gzipRun) take(p []byte) {
	g.first = append(g.first, p[:min(len(p), gzipFirst-len(g.first))]...)
	if !g.one && g.members > 1 && g.members <= gzipApart {
		g.head = append(g.head, p[:min(len(p), gzipHead-len(g.head))]...)
	}
}

// judge looks at the member that ends here. A type counts that hides what is in
// it, or that has rules of its own and is not text.
func (g *gzipRun) judge() {
	if len(g.head) == 0 || g.members > gzipApart {
		return
	}
	t := filetype.Detect(g.head, showcause.Bytes(g.head))
	if t.Hides() || t.Target() != 0 && t.Target() != filetype.Text.Target() {
		g.apart = append(g.apart, g.start)
	}
}

// Flags of a member's header (RFC 1952, section 2.3.1).
const (
	gzipHeaderCRC = 1 << 1
	gzipExtra     = 1 << 2
	gzipName      = 1 << 3
	gzipComment   = 1 << 4
)

// header reads a member's header. Reserved flags are ignored: if they mean
// that the data is something else, its checksum tells.
func (g *gzipRun) header() error {
	var h [10]byte
	if err := g.in.full(h[:]); err != nil {
		return err
	}
	if h[3]&gzipExtra != 0 {
		var n [2]byte
		if err := g.in.full(n[:]); err != nil {
			return err
		}
		if _, err := g.in.Discard(int(binary.LittleEndian.Uint16(n[:]))); err != nil {
			return bound.CutShort(err)
		}
	}
	name := ""
	for _, flag := range []byte{gzipName, gzipComment} {
		if h[3]&flag == 0 {
			continue
		}
		s, err := g.text()
		if err != nil {
			return err
		}
		if flag == gzipName {
			name = s
		}
	}
	if g.members == 0 {
		g.name = name
	}
	if h[3]&gzipHeaderCRC != 0 {
		_, err := g.in.Discard(2)
		return bound.CutShort(err)
	}
	return nil
}

// text reads up to a NUL and keeps unpack.MaxName bytes.
func (g *gzipRun) text() (string, error) {
	var s []byte
	for {
		c, err := g.in.ReadByte()
		if err != nil {
			return "", bound.CutShort(err)
		}
		if c == 0 {
			return string(s), nil
		}
		if len(s) < unpack.MaxName {
			s = append(s, c)
		}
	}
}

// Read implements io.Reader.
func (g *gzipRun) Read(p []byte) (int, error) {
	for {
		if g.err == nil && (!g.open || g.peeked) {
			g.next()
		}
		if g.err != nil {
			return 0, g.err
		}
		n, err := g.fl.Read(p)
		g.crc = codec.UpdateCRC(g.crc, p[:n])
		g.size += uint32(n)
		g.take(p[:n])
		if err != nil {
			g.judge()
		}
		if err == io.EOF {
			err = g.trailer()
		} else {
			err = bound.CutShort(err)
		}
		g.err = err
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}

// trailer ends a member. A wrong checksum is remembered, and reading goes on.
func (g *gzipRun) trailer() error {
	g.open = false
	var t [8]byte
	if err := g.in.full(t[:]); err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(t[:]) != g.crc || binary.LittleEndian.Uint32(t[4:]) != g.size {
		g.note(g.start)
	}
	return nil
}
