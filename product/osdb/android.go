package osdb

import (
	"encoding/binary"
	"path"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/look"
)

// android reads the manifest of an application of Android in its binary form: chunks {kind u16, head u16,
// bytes u32}; 0x0001 texts, 0x0102 start of an element {.., name u32, start of attributes u16, bytes of one u16, count u16};
// an attribute: namespace, name, raw value u32 (Android, ResourceTypes.h).
func android() look.Reader {
	return look.Reader{
		Name: "android", Method: "manifests of Android applications",
		Match: func(f *look.File) bool {
			return path.Base(f.Lower) == "androidmanifest.xml" && f.Magic("\x03\x00\x08\x00")
		},
		Read: func(f *look.File, o *look.Out) {
			b, ok := f.Bytes(o, 16<<20)
			if !ok {
				return
			}
			attrs, at, ok := manifest(b)
			if !ok {
				o.Unread(showcause.Corrupt, 0, int64(len(b)), "")
				return
			}
			o.Add(product.Observation{
				Platform: product.Android, Class: product.Installer, Evidence: product.Evidence{Offset: at, Record: "package: " + attrs["package"]},
				Facts: look.Facts("package", attrs["package"], "version", attrs["versionName"]),
			})
		},
	}
}

var le = binary.LittleEndian

// manifest are the attributes of the first element, and where it begins.
func manifest(b []byte) (map[string]string, int64, bool) {
	var texts []string
	for at := 8; at+8 <= len(b); {
		kind, size := le.Uint16(b[at:]), int(le.Uint32(b[at+4:]))
		if size < 8 || size > len(b)-at {
			return nil, 0, false
		}
		c := b[at : at+size]
		switch kind {
		case 1:
			texts = pool(c)
		case 0x102:
			return attributes(c, texts), int64(at), true
		}
		at += size
	}
	return nil, 0, false
}

func attributes(c []byte, texts []string) map[string]string {
	out := map[string]string{}
	if len(c) < 36 {
		return out
	}
	text := func(i uint32) string {
		if int64(i) < int64(len(texts)) {
			return texts[i]
		}
		return ""
	}
	at, size := 16+int(le.Uint16(c[24:])), int(le.Uint16(c[26:]))
	for range le.Uint16(c[28:]) {
		if size < 12 || at+size > len(c) {
			break
		}
		out[text(le.Uint32(c[at+4:]))] = text(le.Uint32(c[at+8:]))
		at += size
	}
	return out
}

// pool are the texts of a chunk: 8 count u32, 16 flags u32 (0x100: UTF-8), 20 where they begin u32, places.
func pool(c []byte) (out []string) {
	if len(c) < 28 {
		return nil
	}
	n, base, narrow := int(le.Uint32(c[8:])), int(le.Uint32(c[20:])), le.Uint32(c[16:])&0x100 != 0
	for i := range min(n, (len(c)-28)/4) {
		at := base + int(le.Uint32(c[28+4*i:]))
		if at < 0 || at+2 > len(c) {
			out = append(out, "")
			continue
		}
		out = append(out, poolText(c[at:], narrow))
	}
	return out
}

func poolText(b []byte, narrow bool) string {
	if narrow {
		if b = skipLength(b); len(b) == 0 {
			return ""
		}
		n := int(b[0])
		if n&0x80 != 0 && len(b) > 1 {
			n = n&0x7f<<8 | int(b[1])
		}
		b = skipLength(b)
		return string(b[:min(n, len(b))])
	}
	n := int(le.Uint16(b))
	b = b[2:]
	if n&0x8000 != 0 && len(b) >= 2 {
		n = n&0x7fff<<16 | int(le.Uint16(b))
		b = b[2:]
	}
	u := make([]uint16, 0, min(n, len(b)/2))
	for i := 0; i < n && 2*i+2 <= len(b); i++ {
		u = append(u, le.Uint16(b[2*i:]))
	}
	return string(utf16.Decode(u))
}

// skipLength goes behind a length of one or two bytes.
func skipLength(b []byte) []byte {
	if len(b) > 0 && b[0]&0x80 != 0 {
		return b[min(2, len(b)):]
	}
	return b[min(1, len(b)):]
}
