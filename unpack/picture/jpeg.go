package picture

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/showcause/showcause/unpack"
)

// JPEG reads a JPEG file (ITU-T T.81, annex B): Exif, "jpeg.exif"; XMP, joined if it is in pieces, "jpeg.xmp";
// the colour profile, joined, "jpeg.profile"; Photoshop's resources, "jpeg.resources"; comments, "jpeg.comment"; and
// what is behind its end, "jpeg.rest".
//
//	ff d8; segments: ff, u8 marker, u16 length with itself, data; behind a scan's, codes; ff d9
func JPEG() unpack.Format {
	return format("jpeg", func(b []byte) bool { return bytes.HasPrefix(b, []byte("\xff\xd8\xff")) }, jpegWalk)
}

// Markers of JPEG.
const (
	jpegEnd     = 0xd9
	jpegScan    = 0xda
	jpegApp0    = 0xe0
	jpegComment = 0xfe
)

// jpegPart is what segments of a marker are by what they begin with.
type jpegPart struct {
	marker byte
	start  string
	skip   int64 // bytes in front of what it is
	op     string
	joined bool
	number int64 // where a piece says which it is, behind its start: one byte, or four where skip leaves room
}

var jpegParts = []jpegPart{
	{jpegApp0 + 1, "Exif\x00", 6, "jpeg.exif", false, 0},
	{jpegApp0 + 1, "http://ns.adobe.com/xap/1.0/\x00", 29, "jpeg.xmp", false, 0},
	{jpegApp0 + 1, "http://ns.adobe.com/xmp/extension/\x00", 35 + 32 + 8, "jpeg.xmp", true, 35 + 32 + 4},
	{jpegApp0 + 2, "ICC_PROFILE\x00", 14, "jpeg.profile", true, 12},
	{jpegApp0 + 13, "Photoshop 3.0\x00", 14, "jpeg.resources", true, 0},
	{jpegComment, "", 0, "jpeg.comment", false, 0},
}

func jpegWalk(f *file) {
	pieces := map[string][]jpegPiece{}
	end := int64(-1)
	for at := int64(2); end < 0; {
		if at = f.index(at, 0xff); at < 0 {
			break
		}
		h := f.at(at, 4)
		if len(h) < 2 || !f.out.Work(1) {
			break
		}
		switch m := h[1]; {
		case m == jpegEnd:
			end = at + 2
		case m == 0xff:
			at++
		case m < 0xc0 || m >= 0xd0 && m <= 0xd8: // a code, or a mark that has no data
			at += 2
		case len(h) < 4:
			at = f.size
		default:
			n := max(int64(be.Uint16(h[2:])), 2)
			if !f.jpegSegment(m, at+4, min(n-2, f.size-at-4), pieces) {
				return
			}
			at += 2 + n
		}
	}
	for _, p := range jpegParts {
		if p.joined && !f.ordered(p.op, pieces[p.start]) {
			return
		}
	}
	if end >= 0 {
		f.rest(end, "jpeg.rest")
	}
}

// jpegPiece is a piece of what is in more than one segment.
type jpegPiece struct {
	number uint32
	span   unpack.Span
}

// ordered gives pieces as one child: in the order of their numbers, as the standards have it, and as they stand too where that is
// another one.
func (f *file) ordered(op string, pieces []jpegPiece) bool {
	spans := func() (out []unpack.Span) {
		for _, p := range pieces {
			out = append(out, p.span)
		}
		return out
	}
	as := spans()
	if slices.IsSortedFunc(pieces, byNumber) {
		return f.joined(op, as)
	}
	slices.SortStableFunc(pieces, byNumber)
	return f.joined(op, spans()) && f.joined(op, as)
}

func byNumber(a, b jpegPiece) int { return cmp.Compare(a.number, b.number) }

// jpegSegment gives what a segment has, whose n bytes of data stand at at, or keeps where its piece is.
func (f *file) jpegSegment(marker byte, at, n int64, pieces map[string][]jpegPiece) bool {
	for _, p := range jpegParts {
		if p.marker != marker || n <= p.skip || !strings.HasPrefix(string(f.at(at, len(p.start))), p.start) {
			continue
		}
		var number uint32
		if b := f.at(at+p.number, 4); p.number > 0 && p.skip-p.number == 2 {
			number = uint32(b[0])
		} else if p.number > 0 && len(b) == 4 {
			number = be.Uint32(b)
		}
		at, n = at+p.skip, n-p.skip
		if p.joined {
			pieces[p.start] = append(pieces[p.start], jpegPiece{number, unpack.Span{From: at, To: at + n}})
			return true
		}
		if marker == jpegComment {
			return f.text(p.op, at, n)
		}
		return f.section(p.op, at, n)
	}
	return true
}
