package script

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/mailcode"
	"github.com/showcause/showcause/unpack"
)

// Text reads text in character sets in which ASCII does not stand as it is. The child is the text
// in UTF-8: "text.utf32", "text.utf7" and, of a page with NUL bytes, which some browsers pass over,
// "text.nul"; of ISO-2022-JP, between any two letters of which a change to ASCII may stand, "text.iso2022". UTF-16 has a view instead (see package view), and the other formats here read it.
func Text() unpack.Format {
	return unpack.Format{
		Name: "text",
		Match: func(p *unpack.Probe) bool {
			return slices.ContainsFunc(charsets(p.Type, p.Head, p.Source.Size()), func(c charset) bool {
				return len(p.Trail) == 0 || p.Trail[len(p.Trail)-1].Op != c.op
			})
		},
		Walk: func(src showcause.Source, out *unpack.Out) {
			head := bound.Head(src, unpack.HeadSize)
			for _, c := range charsets(filetype.Detect(head, src), head, src.Size()) {
				// A page in UTF-7 still says so where it was decoded: nobody decodes it twice.
				if _, undone := out.Within(c.op); undone {
					continue
				}
				if !out.Work(src.Size()/16 + 1) {
					return
				}
				in := io.Reader(bound.Reader(src, 0, -1))
				switch {
				case c.op == "text.iso2022":
					in = &withoutShifts{r: in}
				case c.coding == nil:
					in = &withoutNUL{in}
				default:
					in = mailcode.NewReader(in, c.coding(), make([]byte, 16<<10))
				}
				if !out.Child(unpack.Child{Op: c.op, Reader: &trimMark{r: in}, Size: -1}) {
					return
				}
			}
		},
	}
}

// charset is one that a layer may be in.
type charset struct {
	op     string
	coding func() mailcode.Coding
}

func inUTF32(big bool) charset {
	return charset{"text.utf32", func() mailcode.Coding { return &mailcode.Wide{Size: 4, Big: big} }}
}

// charsets returns what a layer is in, by its type and first bytes; nothing where ASCII stands
// as it is.
func charsets(t filetype.Type, head []byte, size int64) []charset {
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe\x00\x00")) && isUTF32(head, binary.LittleEndian):
		return []charset{inUTF32(false)}
	case bytes.HasPrefix(head, []byte("\x00\x00\xfe\xff")) && isUTF32(head, binary.BigEndian):
		return []charset{inUTF32(true)}
	case t == filetype.Unknown && size >= minUTF32 && isUTF32(head, binary.LittleEndian):
		return []charset{inUTF32(false)}
	case t == filetype.Unknown && size >= minUTF32 && isUTF32(head, binary.BigEndian):
		return []charset{inUTF32(true)}
	case !isText(t) || wide(t):
		return nil
	}
	var out []charset
	if isUTF7(head) {
		out = append(out, charset{"text.utf7", func() mailcode.Coding { return &mailcode.UTF7{} }})
	}
	if isShifted(t, head) {
		out = append(out, charset{op: "text.iso2022"})
	}
	if t == filetype.HTML && bytes.IndexByte(head, 0) >= 0 {
		out = append(out, charset{op: "text.nul"})
	}
	return out
}

// minUTF32 is how long text in UTF-32 without a mark is to be, in bytes.
const minUTF32 = 64

// isUTF32 tells whether the first characters are characters, and most of them ASCII.
func isUTF32(head []byte, order binary.ByteOrder) bool {
	ascii, n := 0, 0
	for ; len(head) >= 4 && n < 256; n++ {
		switch c := order.Uint32(head); {
		case c >= 0x20 && c < 0x7f || c >= 9 && c <= 13:
			ascii++
		case c > 0x10ffff || c < 0x20:
			return false
		}
		head = head[4:]
	}
	return n > 0 && 2*ascii >= n
}

// narrowed returns a layer in which ASCII stands as it is: of one in UTF-16 the first maxPage bytes,
// in UTF-8. own says that it is the layer itself.
func narrowed(src showcause.Source, out *unpack.Out) (text showcause.Source, own bool) {
	head := bound.Head(src, unpack.HeadSize)
	if bytes.IndexByte(head, 0) < 0 && !bytes.HasPrefix(head, []byte("\xff\xfe")) && !bytes.HasPrefix(head, []byte("\xfe\xff")) {
		return src, true // what has neither a mark nor a zero is not in UTF-16
	}
	t := filetype.Detect(head, src)
	if !wide(t) || mostlyText(head[:min(len(head), window)]) { // cmd.exe runs what stands behind a mark that lies
		return src, true
	}
	big := t == filetype.UTF16BE || t == filetype.HTML16 && bigEndian(head)
	if !out.Work(min(src.Size(), maxPage)/16 + 1) {
		return showcause.Bytes(nil), false
	}
	in := mailcode.NewReader(bound.Reader(src, 0, maxPage), &mailcode.Wide{Size: 2, Big: big}, make([]byte, 16<<10))
	b, err := io.ReadAll(&trimMark{r: in})
	if err != nil {
		out.Gap(showcause.Unreadable, 0, -1)
	}
	if t == filetype.HTML16 && src.Size() > maxPage {
		out.Gap(showcause.LimitSize, maxPage, src.Size()-maxPage)
	}
	return showcause.Bytes(b), false
}

// bigEndian tells the order of a page in UTF-16, by its mark or where its zeros are.
func bigEndian(head []byte) bool {
	if len(head) >= 2 && head[0]^head[1] == 1 && max(head[0], head[1]) == 0xff {
		return head[0] == 0xfe
	}
	even, odd := 0, 0
	for i, c := range head[:min(len(head), 1<<10)] {
		if c == 0 && i%2 == 0 {
			even++
		} else if c == 0 {
			odd++
		}
	}
	return even > odd
}

// isUTF7 tells whether a text says that it is in UTF-7 (RFC 2152), has its mark, or a bracket of a
// tag in it.
func isUTF7(head []byte) bool {
	if bytes.HasPrefix(head, []byte("+/v")) && len(head) > 3 && bytes.IndexByte([]byte("89+/"), head[3]) >= 0 {
		return true
	}
	if bytes.Contains(head, []byte("+ADw")) {
		return true
	}
	// What a page says of itself counts in its first 1,024 bytes (HTML, section 13.2.3.2).
	at := bytes.ToLower(head[:min(len(head), 1<<10)])
	i := bytes.Index(at, []byte("utf-7"))
	return i > 0 && (at[i-1] == '=' || at[i-1] == '"' || at[i-1] == '\'') &&
		(bytes.Contains(at[max(i-24, 0):i], []byte("charset")) || bytes.Contains(at[max(i-24, 0):i], []byte("encoding")))
}

// isShifted tells whether a page changes its character set, which is enough for browsers where it names none; or a text that
// calls itself one in ISO-2022-JP.
func isShifted(t filetype.Type, head []byte) bool {
	return bytes.Contains(head, []byte("\x1b(")) && (t == filetype.HTML || containsFold(head[:min(len(head), 1<<10)], "iso-2022-jp"))
}

// withoutShifts passes over changes of the character set: ESC, ( or $, and a byte (RFC 1468).
type withoutShifts struct {
	r    io.Reader
	held []byte // the beginning of one
}

// Read implements io.Reader.
func (w *withoutShifts) Read(p []byte) (int, error) {
	var b [4 << 10]byte
	for {
		n, err := w.r.Read(b[:min(len(p), len(b))])
		k := 0
		for _, c := range b[:n] {
			switch h := len(w.held); {
			case c == 0x1b:
				w.held = append(w.held[:0], c)
			case h == 1 && (c == '(' || c == '$'):
				w.held = append(w.held, c)
			case h == 1: // of something else
				w.held = w.held[:0]
				p[k] = c
				k++
			case h == 2:
				w.held = w.held[:0]
			default:
				p[k] = c
				k++
			}
		}
		if k > 0 || err != nil || len(p) == 0 {
			return k, err
		}
	}
}

// withoutNUL passes over NUL bytes.
type withoutNUL struct{ r io.Reader }

// Read implements io.Reader.
func (w *withoutNUL) Read(p []byte) (int, error) {
	for {
		n, err := w.r.Read(p)
		k := 0
		for _, c := range p[:n] {
			if c != 0 {
				p[k] = c
				k++
			}
		}
		if k > 0 || err != nil || len(p) == 0 {
			return k, err
		}
	}
}

// trimMark drops a byte order mark.
type trimMark struct {
	r    io.Reader
	past bool
	held []byte
}

// Read implements io.Reader.
func (t *trimMark) Read(p []byte) (int, error) {
	if !t.past {
		t.past = true
		var b [3]byte
		n, err := io.ReadFull(t.r, b[:])
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return 0, err
		}
		if t.held = append(t.held, b[:n]...); string(t.held) == "\ufeff" {
			t.held = nil
		}
	}
	if len(t.held) > 0 {
		n := copy(p, t.held)
		t.held = t.held[n:]
		return n, nil
	}
	return t.r.Read(p)
}
