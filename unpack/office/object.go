package office

import (
	"bytes"
	"io"
	"strings"

	"github.com/klauspost/compress/zlib"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// named tells whether a layer is the stream of that name.
func named(p *unpack.Probe, stream string) bool {
	i := strings.LastIndexByte(p.Name, '/')
	return strings.EqualFold(p.Name[i+1:], stream)
}

// Object reads the stream of an object that is linked or embedded as it is, "\x01Ole10Native"
// ([MS-OLEDS] 2.3.6): four bytes of length and the object, "ole.native". The packager's,
// which anybody who drags a file into a document makes, has its name.
//
//	u16 2; label, path, each with a zero; u16 0, u16 3
//	u32 length, path of a temporary file; u32 length, the file; the names as UTF-16
func Object() unpack.Format {
	return unpack.Format{
		Name:  "ole",
		Match: func(p *unpack.Probe) bool { return named(p, "\x01Ole10Native") },
		Walk:  objectWalk,
	}
}

func objectWalk(src showcause.Source, out *unpack.Out) {
	if src.Size() <= 4 || !out.Work(64) {
		return
	}
	defer out.Tail(src, 4, "ole.rest")
	if name, at, n, ok := packaged(src); ok {
		out.Cover(0, at)
		out.Section(src, "ole.native", name, at, n)
		return
	}
	head, _ := bound.ReadAt(src, 0, 4, 4)
	if len(head) == 4 {
		out.Section(src, "ole.native", "", 4, int64(le.Uint32(head)))
	}
}

// packaged reads what the packager has in front of a file: its name, where it is and
// how long.
func packaged(src showcause.Source) (name string, at, n int64, ok bool) {
	const most = 16 << 10
	b, _ := bound.ReadAt(src, 4, min(most, src.Size()-4), most)
	head := len(b)
	if len(b) < 2 || le.Uint16(b) != 2 {
		return "", 0, 0, false
	}
	b = b[2:]
	var names [2]string
	for i := range names {
		k := bytes.IndexByte(b, 0)
		if k < 0 {
			return "", 0, 0, false
		}
		names[i], b = string(b[:k]), b[k+1:]
	}
	if len(b) < 8 {
		return "", 0, 0, false
	}
	temporary := int64(le.Uint32(b[4:]))
	if b = b[8:]; temporary > int64(len(b))-4 {
		return "", 0, 0, false
	}
	b = b[temporary:]
	if name = names[0]; name == "" {
		name = names[1]
	}
	return name, 4 + int64(head-len(b)) + 4, int64(le.Uint32(b)), true
}

// PowerPoint opens the storages in the stream of a presentation ([MS-PPT] 2.10.34):
// embedded objects, controls and macros, "ppt.storage". They are looked for by the heads
// of their records anywhere in it, since what else is there can lie.
func PowerPoint() unpack.Format {
	return unpack.Format{
		Name:  "ppt",
		Match: func(p *unpack.Probe) bool { return named(p, "PowerPoint Document") },
		Walk:  presentationWalk,
	}
}

func presentationWalk(src showcause.Source, out *unpack.Out) {
	const kind = "\x11\x10" // type 0x1011, behind version and instance
	for off := int64(2); ; {
		at, ok := out.Find(src, off, []byte(kind), func(b []byte) bool { return len(b) > 10 })
		if !ok {
			return
		}
		off = at + 2
		b, err := bound.ReadAt(src, at-2, 14, 14)
		if err != nil || !out.Work(16) {
			return
		}
		n := int64(le.Uint32(b[4:]))
		have := max(min(n, src.Size()-at-6), 0)
		switch {
		case le.Uint16(b) == 0x10 && b[12]&15 == 8 && (int(b[12])<<8|int(b[13]))%31 == 0 && have > 4:
			r, err := zlib.NewReader(io.NewSectionReader(src, at+10, have-4))
			if err != nil {
				continue
			}
			if !out.Child(unpack.Child{Op: "ppt.storage", Reader: r, Size: int64(le.Uint32(b[8:]))}) {
				return
			}
			out.Cover(at+10, have-4)
		case le.Uint16(b) == 0 && string(b[8:12]) == "\xd0\xcf\x11\xe0":
			if !out.Section(src, "ppt.storage", "", at+6, n) {
				return
			}
		default:
			continue
		}
		if have < n && le.Uint16(b) != 0 {
			out.Gap(showcause.Corrupt, src.Size(), n-have)
		}
		off = at + 6 + have
	}
}
