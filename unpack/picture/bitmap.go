package picture

import (
	"bytes"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
)

// BMP reads a bitmap of Windows: a JPEG or PNG file that one may have, "bmp.image"; and what is behind
// its end, "bmp.rest".
//
//	"BM", u32 size of the file, 4 bytes, u32 place of the dots; u32 size of the head, i32 width, i32 height, u16 planes,
//	u16 bits a dot, u32 compression, u32 size of the dots
func BMP() unpack.Format {
	return format("bmp", func(b []byte) bool {
		return len(b) >= 34 && b[0] == 'B' && b[1] == 'M' && le.Uint32(b[14:]) >= 12 && le.Uint32(b[14:]) <= 256 && le.Uint32(b[10:]) >= 26
	}, func(f *file) {
		h := f.at(0, 38)
		if len(h) < 38 {
			return
		}
		end, dots := int64(le.Uint32(h[2:])), int64(le.Uint32(h[10:]))
		const jpeg, png = 4, 5
		if c := le.Uint32(h[30:]); le.Uint32(h[14:]) >= 40 && (c == jpeg || c == png) && !f.section("bmp.image", dots, int64(le.Uint32(h[34:]))) {
			return
		}
		if end > dots { // many files say nothing of their size
			f.rest(end, "bmp.rest")
		}
	})
}

// ICO reads icons and cursors of Windows: those that are PNG files, "ico.image"; and what is behind the last, "ico.rest".
//
//	u16 0, u16 1 or 2, u16 count; 8 bytes, u32 size, u32 place of each
func ICO() unpack.Format {
	return unpack.Format{
		Name:  "ico",
		Match: func(p *unpack.Probe) bool { return p.Type.String() == "ico" && len(p.Head) >= 22 },
		Walk:  icoWalk,
	}
}

func icoWalk(src showcause.Source, out *unpack.Out) {
	f := newFile(src, out)
	h := f.at(0, 6)
	if len(h) < 6 || !out.Work(16) {
		return
	}
	n := int64(le.Uint16(h[4:]))
	end := 6 + 16*n
	given := map[unpack.Span]bool{}
	for i := range n {
		e := f.at(6+16*i, 16)
		if len(e) < 16 || !out.Work(2) {
			return
		}
		size, at := int64(le.Uint32(e[8:])), int64(le.Uint32(e[12:]))
		s := unpack.Span{From: at, To: at + size}
		if end = max(end, s.To); given[s] {
			continue
		}
		if given[s] = true; bytes.HasPrefix(f.at(at, 4), []byte("\x89PNG")) && !f.section("ico.image", at, size) {
			return
		}
	}
	f.rest(end, "ico.rest")
}
