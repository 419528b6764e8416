package richtext

import (
	"bytes"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// Object reads the stream of an object that is linked or embedded as it is, "\x01Ole10Native"
// ([MS-OLEDS] 2.3.6): four bytes of length and the object, "ole.native". The packager's,
// which anybody who drags a file into a document makes, has its name.
//
//	u16 2; label, path, each with a zero; u16 0, u16 3
//	u32 length, path of a temporary file; u32 length, the file; the names as UTF-16
func Object() unpack.Format {
	return unpack.Format{
		Name:  "ole",
		Match: func(p *unpack.Probe) bool { return p.Called("\x01Ole10Native") },
		Walk:  objectWalk,
	}
}

func objectWalk(src showcause.Source, out *unpack.Out) {
	if src.Size() <= 4 || !out.Work(64) {
		return
	}
	defer out.Tail(src, 4, "ole.rest")
	if name, at, n, ok := packaged(src, 4); ok {
		out.Cover(0, at)
		out.Section(src, "ole.native", name, at, n)
		return
	}
	head, _ := bound.ReadAt(src, 0, 4, 4)
	if len(head) == 4 {
		out.Section(src, "ole.native", "", 4, int64(le.Uint32(head)))
	}
}

// packaged reads what the packager has at off in front of a file: its name, where it is and
// how long.
func packaged(src showcause.Source, off int64) (name string, at, n int64, ok bool) {
	const most = 16 << 10
	b, _ := bound.ReadAt(src, off, min(most, src.Size()-off), most)
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
	return name, off + int64(head-len(b)) + 4, int64(le.Uint32(b)), true
}

// Embedded reads an object as RTF has it, in the stream of OLE 1 ([MS-OLEDS] 2.2.5):
// its data, "ole1.native", called as its class is, or the packager's file, "ole1.file"; what is behind
// them, a picture as a rule, is "ole1.rest". A compound file in it is a child wherever it begins.
//
//	u32 version, u32 kind (1 linked, 2 embedded)
//	class, topic, item: u32 length, bytes, the last of them a zero
//	u32 length, the data
func Embedded() unpack.Format {
	return unpack.Format{Name: "ole1", Match: func(p *unpack.Probe) bool { return p.Name == objectData }, Walk: embeddedWalk}
}

func embeddedWalk(src showcause.Source, out *unpack.Out) {
	if !out.Work(64) {
		return
	}
	class, at, kind := embeddedHead(src)
	var inside unpack.Span // what is read as a child's
	if kind == 2 {
		n, _ := bound.ReadAt(src, at, 4, 4)
		if at == 0 || len(n) < 4 {
			out.Gap(showcause.Corrupt, 0, -1)
			at = 0
		} else {
			given, ok := embeddedData(src, out, class, at+4, int64(le.Uint32(n)))
			if !ok {
				return
			}
			inside, at = given, at+4
		}
	}
	if !strayCompound(src, out, inside) {
		return
	}
	if at > 0 {
		out.Tail(src, at, "ole1.rest")
	}
}

// embeddedData gives the n bytes of an object at off, or the file in them, and returns the
// stretch that need not be looked through.
func embeddedData(src showcause.Source, out *unpack.Out, class string, off, n int64) (unpack.Span, bool) {
	given := unpack.Span{From: off, To: bound.Add(off, n)}
	if name, at, length, ok := packaged(src, off); ok && bound.In(at, length, given.To) {
		out.Cover(off, at-off)
		return given, out.Section(src, "ole1.file", name, at, length)
	}
	head, _ := bound.ReadAt(src, off, 8, 8)
	if string(head) != magic || n < 512 { // which none is that can be read
		given = unpack.Span{}
	}
	return given, out.Section(src, "ole1.native", class, off, n)
}

// strayCompound gives the first compound file that begins outside of a stretch, to the end.
func strayCompound(src showcause.Source, out *unpack.Out, inside unpack.Span) bool {
	for off := int64(0); ; {
		at, ok := out.Find(src, off, []byte(magic), nil)
		switch {
		case !ok:
			return out.Work(1)
		case at >= inside.From && at < inside.To:
			off = inside.To
			continue
		}
		return out.Section(src, "ole1.native", "", at, src.Size()-at)
	}
}

// embeddedHead reads what stands in front of the data of an object: its kind, its class, and
// where its length stands, 0 where that is not told.
func embeddedHead(src showcause.Source) (class string, at int64, kind uint32) {
	b, _ := bound.ReadAt(src, 0, 8, 8)
	if len(b) < 8 {
		return "", 0, 0
	}
	kind, at = le.Uint32(b[4:]), 8
	for i := range 3 {
		n, _ := bound.ReadAt(src, at, 4, 4)
		if len(n) < 4 || !bound.In(at+4, int64(le.Uint32(n)), src.Size()) {
			return "", 0, kind
		}
		size := int64(le.Uint32(n))
		if i == 0 {
			text, _ := bound.ReadAt(src, at+4, min(size, unpack.MaxName), unpack.MaxName)
			class, _, _ = strings.Cut(string(text), "\x00")
		}
		at += 4 + size
	}
	return class, at, kind
}
