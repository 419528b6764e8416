package picture

import "github.com/showcause/showcause/unpack"

// WebP reads a WebP file (RFC 9649): Exif, "webp.exif"; XMP, "webp.xmp"; the colour profile,
// "webp.profile", also behind the end that it says; and what is there, "webp.rest".
//
//	"RIFF", u32 length of the rest, "WEBP"; chunks: 4 letters, u32 length, data, a zero if that is odd
func WebP() unpack.Format {
	return format("webp", func(b []byte) bool { return len(b) >= 12 && string(b[:4]) == "RIFF" && string(b[8:12]) == "WEBP" }, func(f *file) {
		head := f.at(0, 12)
		if len(head) < 12 {
			return
		}
		end := 8 + int64(le.Uint32(head[4:]))
		for at := int64(12); at+8 <= f.size; { // chunks behind the end that it says, too
			h := f.at(at, 8)
			if len(h) < 8 || !f.out.Work(1) {
				return
			}
			n := int64(le.Uint32(h[4:]))
			if op := webpChunks[string(h[:4])]; op != "" && !f.section(op, at+8, n) {
				return
			}
			at += 8 + n + n&1
		}
		f.rest(end+end&1, "webp.rest")
	})
}

var webpChunks = map[string]string{"EXIF": "webp.exif", "XMP ": "webp.xmp", "ICCP": "webp.profile"}
