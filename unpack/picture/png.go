package picture

import (
	"bytes"

	"github.com/showcause/showcause/unpack"
)

// PNG reads a PNG file (PNG, third edition): compressed texts and others, "png.text"; the colour
// profile, "png.profile"; Exif, "png.exif"; and what is behind its end, "png.rest".
//
//	signature of 8 bytes; chunks: u32 length of the data, 4 letters, data, u32 sum
func PNG() unpack.Format {
	return format("png", func(b []byte) bool { return bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")) }, pngWalk)
}

// pngHead is how much of a chunk its keywords are looked for in, in bytes.
const pngHead = 1 << 10

func pngWalk(f *file) {
	for at := int64(8); ; {
		h := f.at(at, 8)
		if len(h) < 8 || !f.out.Work(2) {
			return
		}
		n, kind := int64(be.Uint32(h)), string(h[4:8])
		if at += 8; !f.pngChunk(kind, at, min(n, f.size-at)) {
			return
		}
		if at += n + 4; kind == "IEND" {
			f.rest(at, "png.rest")
			return
		}
	}
}

// pngChunk gives what a chunk has, whose n bytes of data stand at at.
func (f *file) pngChunk(kind string, at, n int64) bool {
	switch kind {
	case "eXIf":
		return f.section("png.exif", at, n)
	case "tEXt", "zTXt", "iTXt", "iCCP":
	default:
		return true
	}
	b := f.at(at, int(min(n, pngHead)))
	i := bytes.IndexByte(b, 0)
	if i < 0 {
		return f.text("png.text", at, n)
	}
	switch i++; kind {
	case "zTXt":
		return f.inflated("png.text", at+int64(i)+1, n-int64(i)-1)
	case "iCCP":
		return f.inflated("png.profile", at+int64(i)+1, n-int64(i)-1)
	case "iTXt": // u8 compressed, u8 method, a language, the keyword in it
		if i+2 > len(b) {
			return true
		}
		packed := b[i] != 0
		i += 2
		for range 2 {
			k := bytes.IndexByte(b[i:], 0)
			if k < 0 {
				return f.text("png.text", at, n)
			}
			i += k + 1
		}
		if packed {
			return f.inflated("png.text", at+int64(i), n-int64(i))
		}
	}
	return f.text("png.text", at+int64(i), n-int64(i))
}
