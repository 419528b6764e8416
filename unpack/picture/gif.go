package picture

import (
	"bytes"

	"github.com/showcause/showcause/unpack"
)

// GIF reads a GIF file (GIF89a, 1990): comments and other texts, without the lengths between them,
// "gif.comment"; data of applications, "gif.data"; and what is behind its end, "gif.rest".
//
//	a head of 13 bytes, colours; blocks: ',' 9 bytes, colours, u8 size of codes, pieces; '!' u8 kind, pieces; ';'
//	pieces: u8 length, data; a length of 0 ends them
func GIF() unpack.Format {
	return format("gif", func(b []byte) bool { return bytes.HasPrefix(b, []byte("GIF8")) && len(b) >= 13 }, gifWalk)
}

// Kinds of extensions of GIF.
const (
	gifPlain   = 0x01
	gifComment = 0xfe
	gifApp     = 0xff
)

// colours is how many bytes the colours take that a byte of flags tells of.
func colours(flags byte) int64 {
	if flags&0x80 == 0 {
		return 0
	}
	return 3 << (flags&7 + 1)
}

func gifWalk(f *file) {
	head := f.at(0, 13)
	if len(head) < 13 {
		return
	}
	at := 13 + colours(head[10])
	for {
		h := f.at(at, 10)
		if len(h) == 0 || !f.out.Work(1) {
			return
		}
		switch h[0] {
		case ';':
			f.rest(at+1, "gif.rest")
			return
		case ',':
			if len(h) < 10 {
				return
			}
			var ok bool
			if at, ok = f.pieces(at+10+colours(h[9])+1, nil); !ok {
				return
			}
		case '!':
			if len(h) < 2 {
				return
			}
			kind, from := h[1], at+2
			var spans []unpack.Span
			var ok bool
			if at, ok = f.pieces(from, &spans); !ok && len(spans) == 0 {
				return
			}
			if !f.gifExtension(kind, from, at, spans) || !ok {
				return
			}
		case 0: // some writers end their pieces twice
			at++
		default: // no viewer reads on
			f.rest(at, "gif.rest")
			return
		}
	}
}

// pieces passes over pieces, which it adds to spans. It tells whether they end.
func (f *file) pieces(at int64, spans *[]unpack.Span) (int64, bool) {
	for {
		h := f.at(at, 1)
		if len(h) == 0 || !f.out.Work(1) {
			return at, false
		}
		n := int64(h[0])
		if at++; n == 0 {
			return at, true
		}
		if to := min(at+n, f.size); spans != nil && to > at {
			*spans = append(*spans, unpack.Span{From: at, To: to})
		}
		at += n
	}
}

// gifExtension gives what an extension has, whose pieces stand in [from, to).
func (f *file) gifExtension(kind byte, from, to int64, spans []unpack.Span) bool {
	n := int64(0)
	for _, s := range spans {
		n += s.To - s.From
	}
	switch {
	case kind == gifApp && bytes.Equal(f.at(from, 12), []byte("\x0bXMP DataXMP")): // it stands there without lengths
		return f.section("gif.data", from+12, to-from-12)
	case n < minText:
		return true
	case kind == gifComment, kind == gifPlain:
		return f.joined("gif.comment", spans)
	case kind == gifApp && len(spans) > 1:
		return f.joined("gif.data", spans[1:])
	}
	return true
}
