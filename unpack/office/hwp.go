package office

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"io"
	"strings"

	"github.com/klauspost/compress/flate"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/cfb"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/crypt"
	"github.com/showcause/showcause/unpack"
)

// Flags of a Hangul document (Hancom, HWP Document File Formats 5.0, 3.2.1).
const (
	hwpPacked      = 1
	hwpSealed      = 2
	hwpDistributed = 4
	hwpMagic       = "HWP Document File"
)

// HWP reads Hangul documents of version 5, which are compound files: streams that are
// deflated, "hwp.deflate", and those of documents for distribution, which are enciphered with a key that stands
// in front of them, "hwp.decrypted", called as the streams are. Documents with a password are told.
func HWP() unpack.Format {
	return unpack.Format{Name: "hwp", Match: isCompound, Walk: hwpWalk}
}

func hwpWalk(src showcause.Source, out *unpack.Out) {
	c := open(src, out)
	if c == nil {
		return // and the reader of compound files says so
	}
	head := c.in(0, "FileHeader")
	b := c.read(head, 40)
	if len(b) < 40 || !bytes.HasPrefix(b, []byte(hwpMagic)) {
		return
	}
	flags := le.Uint32(b[36:])
	if flags&hwpSealed != 0 {
		out.Gap(showcause.Encrypted, c.at(head), int64(c.Entries[head].Size))
		return
	}
	for i, e := range c.Entries {
		if !out.Work(1) || e.Kind == cfb.Stream && i != head && !c.hangul(i, flags) {
			return
		}
	}
}

// hangul gives what a stream of a Hangul document holds, and tells whether to go on.
func (c *compound) hangul(i int, flags uint32) bool {
	in, _, _ := strings.Cut(c.path(i), "/")
	src, _, _ := c.stream(i)
	if flags&hwpDistributed != 0 && (strings.EqualFold(in, "ViewText") || strings.EqualFold(in, "Scripts")) {
		if b := hwpDistributedText(src); b != nil {
			return c.hangulStream(i, io.NewSectionReader(b, 0, b.Size()), "hwp.decrypted", flags, flags&hwpPacked != 0)
		}
	}
	switch strings.ToLower(in) {
	case "docinfo", "bodytext", "viewtext", "bindata", "scripts", "dochistory", "xmltemplate", "bibliography":
		return c.hangulStream(i, bound.Reader(src, 0, -1), "hwp.deflate", flags, true)
	}
	return true
}

// hangulStream gives a stream. Whether one is deflated is told by flags, and for single ones
// otherwise; here the data tell it: what inflates to nothing stands there as it is.
func (c *compound) hangulStream(i int, r *io.SectionReader, op string, flags uint32, packed bool) bool {
	size := r.Size()
	if packed && c.out.Work(64) {
		var first [1]byte
		_, err := io.ReadFull(flate.NewReader(bufio.NewReaderSize(r, 512)), first[:])
		if packed = err == nil; !packed && op == "hwp.deflate" {
			if flags&hwpPacked != 0 && !strings.HasPrefix(strings.ToLower(c.path(i)), "bindata/") {
				c.out.Gap(showcause.Corrupt, c.at(i), size)
			}
			return true // and the stream itself is a child
		}
		r.Seek(0, io.SeekStart)
	}
	child := unpack.Child{Op: op, Name: c.path(i), Reader: r, Size: size}
	if packed {
		child.Reader, child.Size = flate.NewReader(bufio.NewReaderSize(&cutShort{r, c.out}, 4<<10)), -1
		child.Deflate = op == "hwp.deflate"
	}
	return c.out.Child(child)
}

// cutShort charges a step for eight bytes that are read.
type cutShort struct {
	r   io.Reader
	out *unpack.Out
}

// Read implements io.Reader.
func (s *cutShort) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if !s.out.Work(int64(n)/8 + 1) {
		return n, unpack.Fail(showcause.LimitWork)
	}
	return n, err
}

// hwpKeyRecord is the length of the record that a stream for distribution begins with:
// u32 its head, 256 bytes, under a sequence of numbers that the first four of them seed.
const hwpKeyRecord = 4 + 256

// hwpDistributedText deciphers a stream of a document for distribution: AES-128, each block for
// itself, by a key within the first record. It is nil where there is none.
//
// Source: Hancom, HWP Document File Formats for distribution, 3.
func hwpDistributedText(src showcause.Source) showcause.Source {
	const tag = 0x1c
	b := bytes.Clone(bound.Head(src, hwpKeyRecord))
	if len(b) < hwpKeyRecord || le.Uint32(b)&0x3ff != tag {
		return nil
	}
	b = b[4:]
	seed := le.Uint32(b)
	state := seed
	next := func() uint32 {
		state = state*214013 + 2531011
		return state >> 16 & 0x7fff
	}
	key, left := byte(0), uint32(0)
	for i := range b {
		if left == 0 {
			key = byte(next())
			left = next()&15 + 1
		}
		if left--; i >= 4 {
			b[i] ^= key
		}
	}
	at := 4 + int(seed&15)
	rest := bound.Section(src, hwpKeyRecord, src.Size()-hwpKeyRecord)
	plain, err := crypt.ECB(rest, b[at:at+aes.BlockSize])
	if err != nil {
		return nil
	}
	return plain
}

// HWP3 reads Hangul documents of version 3 (Hancom, HWP Document File Formats 3.0): what they
// deflate, "hwp3.deflate", or have as it is, "hwp3.body". A password is told.
//
//	30 bytes of a mark; 128 of settings, with u16 encrypted at 96, u8 deflated at 124, u16 length of a block at 126;
//	1,008 of titles; the block; the rest
func HWP3() unpack.Format {
	return unpack.Format{
		Name: "hwp3",
		Match: func(p *unpack.Probe) bool {
			return bytes.HasPrefix(p.Head, []byte(hwpMagic+" V3.00 \x1a\x01\x02\x03\x04\x05"))
		},
		Walk: hwp3Walk,
	}
}

func hwp3Walk(src showcause.Source, out *unpack.Out) {
	const mark, settings, titles = 30, 128, 1008
	b := bound.Head(src, mark+settings)
	if !out.Work(64) {
		return
	}
	if len(b) < mark+settings {
		out.Gap(showcause.Corrupt, src.Size(), -1)
		return
	}
	b = b[mark:]
	at := mark + settings + titles + int64(le.Uint16(b[126:]))
	switch {
	case le.Uint16(b[96:]) != 0:
		out.Gap(showcause.Encrypted, 0, src.Size())
	case at >= src.Size():
		out.Gap(showcause.Corrupt, src.Size(), -1)
	case b[124] == 0:
		out.Section(src, "hwp3.body", hwp3Body, at, src.Size()-at)
	default:
		in := bufio.NewReaderSize(&cutShort{bound.Reader(src, at, -1), out}, 4<<10)
		out.Child(unpack.Child{Op: "hwp3.deflate", Name: hwp3Body, Reader: flate.NewReader(in), Size: -1, Deflate: true})
	}
}

// hwp3Body is what the body of such a document is called: nothing in it tells what it is.
const hwp3Body = "HWP 3"

// HWP3Objects gives the compound files that stand in the body of a Hangul document of version
// 3, to its end, "hwp3body.object".
func HWP3Objects() unpack.Format {
	return unpack.Format{Name: "hwp3body", Match: func(p *unpack.Probe) bool { return p.Name == hwp3Body }, Walk: hwp3Objects}
}

func hwp3Objects(src showcause.Source, out *unpack.Out) {
	const most = 64
	off := int64(0)
	for n := 0; ; n++ {
		at, ok := out.Find(src, off, []byte(magic), nil)
		if !ok {
			return
		}
		if n == most {
			out.Gap(showcause.LimitObject, at, -1)
			return
		}
		if !out.Section(src, "hwp3body.object", "", at, src.Size()-at) {
			return
		}
		off = at + int64(len(magic))
	}
}
