package office

import (
	"io"

	"github.com/klauspost/compress/zlib"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// PowerPoint opens the storages in the stream of a presentation ([MS-PPT] 2.10.34):
// embedded objects, controls and macros, "ppt.storage". They are looked for by the heads
// of their records anywhere in it, since what else is there can lie.
func PowerPoint() unpack.Format {
	return unpack.Format{
		Name:  "ppt",
		Match: func(p *unpack.Probe) bool { return p.Called("PowerPoint Document") && !isLocked(p) },
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
		// What it covers may be other ones, so that nothing is passed over.
	}
}

// Pictures inflates the metafiles in the stream of a presentation's pictures
// ([MS-ODRAW] 2.2.24 to 2.2.26), "pictures.deflate". Pictures of other kinds stand there as they are.
//
//	u16 instance and version, u16 kind, u32 length; one or two identifiers of 16 bytes; 34 bytes, of which the last but
//	one says whether it is deflated; the data
func Pictures() unpack.Format {
	return unpack.Format{Name: "pictures", Match: func(p *unpack.Probe) bool { return p.Called("Pictures") && !isLocked(p) }, Walk: picturesWalk}
}

func picturesWalk(src showcause.Source, out *unpack.Out) {
	const emf, pict, identifier, metafile = 0xf01a, 0xf01c, 16, 34
	for at := int64(0); at < src.Size(); {
		head, err := bound.ReadAt(src, at, 8, 8)
		if err != nil || !out.Work(16) {
			return
		}
		kind, n := le.Uint16(head[2:]), int64(le.Uint32(head[4:]))
		if kind < 0xf000 || n > src.Size()-at-8 {
			out.Gap(showcause.Corrupt, at, src.Size()-at)
			return
		}
		skip := int64(8 + identifier + metafile)
		if le.Uint16(head)>>4&1 != 0 {
			skip += identifier
		}
		if deflated, err := bound.ReadAt(src, at+skip-2, 1, 1); kind >= emf && kind <= pict && err == nil && deflated[0] == 0 && n+8 > skip {
			r, err := zlib.NewReader(bound.Reader(src, at+skip, n+8-skip))
			if err != nil {
				out.Gap(showcause.Corrupt, at, n)
			} else if !out.Child(unpack.Child{Op: "pictures.deflate", Reader: r, Size: -1}) {
				return
			}
		}
		at += 8 + n
	}
}
