package cabinet

import (
	"bufio"
	"bytes"
	"cmp"
	"io"
	"math/bits"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/codec"
	"github.com/showcause/showcause/unpack"
)

const (
	chmMethod  = showcause.Unsupported + ".method.chm"
	chmSpace   = "::DataSpace/Storage/MSCompressed/"
	chmEntries = 2 << 20 // entries that are kept
)

// CHM reads compiled help files (M. Russotto's notes on the format; libmspack,
// chmd.c).
//
//	ITSF   offsets of the directory and of the content (version 3)
//	ITSP   size of the directory's pieces; PMGL, a piece: entries, each a name, a
//	       section, an offset and a length, as numbers of 7 bits a byte
//
// Section 0 stands as it is ("chm.stored"), section 1 is one stream of LZX ("chm.lzx"),
// whose parameters are in files of section 0. What lies in no file of it is "chm.rest",
// and so is what stands behind all.
func CHM() unpack.Format {
	return unpack.Format{
		Name:  "chm",
		Match: func(p *unpack.Probe) bool { return bytes.HasPrefix(p.Head, []byte("ITSF")) },
		Walk:  chmWalk,
	}
}

// chm is one file while it is read.
type chm struct {
	src     showcause.Source
	out     *unpack.Out
	content int64 // offset of section 0
	end     int64 // of the directory
	entries []chmEntry
	system  map[string]chmEntry
}

type chmEntry struct {
	file
	section int64
}

func chmWalk(src showcause.Source, out *unpack.Out) {
	c := &chm{src: src, out: out, system: map[string]chmEntry{}}
	if !c.directory() {
		return
	}
	slices.SortStableFunc(c.entries, func(a, b chmEntry) int {
		return cmp.Or(cmp.Compare(a.section, b.section), cmp.Compare(a.off, b.off))
	})
	var packed []file
	for i, e := range c.entries {
		out.Member(unpack.Member{Name: e.name, Size: e.size, Number: i})
		switch {
		case e.size == 0:
		case e.section == 0:
			if !out.Section(src, "chm.stored", e.name, bound.Add(c.content, e.off), e.size) {
				return
			}
		case e.section == 1:
			packed = append(packed, e.file)
		default:
			if !out.ChildGap(unpack.Child{Op: "chm.unknown", Name: e.name, Size: e.size}, chmMethod) {
				return
			}
		}
	}
	if _, ok := c.system["Content"]; ok || len(packed) > 0 {
		c.compressed(packed)
	}
	end := max(c.end, c.content)
	for _, e := range c.entries {
		if e.section == 0 {
			end = max(end, bound.Add(c.content, bound.Add(e.off, e.size)))
		}
	}
	if e, ok := c.system["Content"]; ok {
		end = max(end, bound.Add(c.content, bound.Add(e.off, e.size)))
	}
	out.Tail(src, end, "chm.rest")
}

// directory reads the headers and all pieces, whatever their order, and tells
// whether to go on.
func (c *chm) directory() bool {
	bad := func(off int64) bool {
		c.out.Gap(showcause.Corrupt, min(off, c.src.Size()), -1)
		return true
	}
	h, _ := bound.ReadAt(c.src, 0, 0x60, 0x60)
	if len(h) < 0x58 {
		bad(0)
		return false
	}
	dir, size := int64(le.Uint64(h[0x48:])), int64(le.Uint64(h[0x50:]))
	c.content = bound.Add(max(dir, 0), max(size, 0))
	if v := le.Uint32(h[4:]); v >= 3 && len(h) == 0x60 {
		c.content = int64(le.Uint64(h[0x58:]))
	}
	p, err := bound.ReadAt(c.src, dir, 0x54, 0x54)
	if err != nil || !bytes.HasPrefix(p, []byte("ITSP")) || c.content < 0 {
		bad(max(dir, 0))
		return false
	}
	at, piece := dir+int64(le.Uint32(p[8:])), int64(le.Uint32(p[0x10:]))
	if piece < 0x20 || piece > 1<<20 {
		bad(dir)
		return false
	}
	for range le.Uint32(p[0x2c:]) {
		if !c.out.Work(256 + piece/16) {
			return false
		}
		b, err := bound.ReadAt(c.src, at, piece, piece)
		if err != nil {
			return bad(at)
		}
		if bytes.HasPrefix(b, []byte("PMGL")) {
			free := int64(le.Uint32(b[4:]))
			if free > piece-0x14 || !c.piece(b[0x14:piece-free]) {
				bad(at)
			}
			if len(c.entries) > chmEntries {
				c.out.Gap(showcause.LimitObject, at, -1)
				return true
			}
		}
		at += piece
		c.end = at
	}
	return true
}

// piece reads the entries of a piece; false if they are not whole.
func (c *chm) piece(b []byte) bool {
	number := func() int64 {
		v := int64(0)
		for i, x := range b {
			if v = v<<7 | int64(x&0x7f); v > 1<<55 {
				break
			}
			if x < 0x80 {
				b = b[i+1:]
				return v
			}
		}
		return -1
	}
	for len(b) > 0 {
		n := number()
		if n < 0 || n > int64(len(b)) || !c.out.Work(128) {
			return false
		}
		name := string(b[:min(n, unpack.MaxName)])
		b = b[n:]
		e := chmEntry{section: number()}
		e.off = number()
		e.size = number()
		if e.section < 0 || e.off < 0 || e.size < 0 {
			return false
		}
		e.name = strings.TrimPrefix(name, "/")
		if part, ok := strings.CutPrefix(name, chmSpace); ok && e.section == 0 {
			if strings.HasSuffix(part, "/ResetTable") {
				part = "ResetTable"
			}
			c.system[part] = e
			if part == "Content" {
				continue // its content is that of section 1
			}
		}
		c.entries = append(c.entries, e)
	}
	return true
}

// compressed gives the files of section 1.
func (c *chm) compressed(files []file) {
	stream, ok := c.system["Content"]
	read := func(name string, n int64) []byte {
		e := c.system[name]
		b, _ := bound.ReadAt(c.src, bound.Add(c.content, e.off), min(e.size, n), n)
		return b
	}
	control, table := read("ControlData", 0x18), read("ResetTable", 0x28)
	code := showcause.Code("")
	var window, reset, size int64
	switch {
	case !ok || len(control) < 0x18 || len(table) < 0x18 || string(control[4:8]) != "LZXC":
		code = showcause.Corrupt
	default:
		reset, window, size = int64(le.Uint32(control[12:])), int64(le.Uint32(control[16:])), int64(le.Uint64(table[16:]))
		if le.Uint32(control[8:]) >= 2 {
			reset, window = reset*(32<<10), window*(32<<10)
		}
		if window < 1<<15 || window > 1<<21 || window&(window-1) != 0 || reset <= 0 || reset%(32<<10) != 0 || size < 0 || size > 1<<40 {
			code = chmMethod
		}
	}
	if code != "" {
		for _, f := range files {
			if !c.out.ChildGap(unpack.Child{Op: "chm.lzx", Name: f.name, Size: f.size}, code) {
				return
			}
		}
		if len(files) == 0 {
			c.out.Gap(code, min(c.content, c.src.Size()), -1)
		}
		return
	}
	if at := bound.Add(c.content, stream.off); !bound.In(at, stream.size, c.src.Size()) {
		c.out.Gap(showcause.Corrupt, c.src.Size(), -1)
	}
	s := unpack.Solid{Out: c.out, Cost: 24, Window: min(window, size) + 64<<10, Open: func() (io.Reader, error) {
		if !c.out.Work(1 << 14) {
			return nil, unpack.Fail(showcause.LimitWork)
		}
		in := bufio.NewReaderSize(bound.Reader(c.src, bound.Add(c.content, stream.off), stream.size), 16<<10)
		// The stream is padded up to a reset.
		return codec.NewLZX(in, bits.TrailingZeros64(uint64(window)), (size+reset-1)/reset*reset, reset)
	}}
	defer s.Close()
	giveFiles(&s, files, size, "chm")
}

// giveFiles gives the files of a stream of that size, in order of their offsets,
// and what is in none of them.
func giveFiles(s *unpack.Solid, files []file, size int64, format string) bool {
	pos := int64(0)
	rest := func(to int64) bool {
		n := min(to, size) - pos
		return n <= 0 || s.Member(unpack.Child{Op: format + ".rest", Size: n}, unpack.Piece{Off: pos, Size: n})
	}
	for _, f := range files {
		if !rest(f.off) {
			return false
		}
		pos = max(pos, bound.Add(f.off, f.size))
		if !s.Member(unpack.Child{Op: format + ".lzx", Name: f.name, Size: f.size}, unpack.Piece{Off: f.off, Size: f.size}) {
			return false
		}
	}
	return rest(size)
}
