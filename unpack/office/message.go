package office

import (
	"errors"
	"io"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/cfb"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// Streams of properties in Outlook's messages ([MS-OXMSG] 2.1.2): the number of the
// property and its type.
const (
	propertyRTF  = "__substg1.0_10090102"
	propertyData = "__substg1.0_37010102" // of an attachment
)

// Message reads what Outlook's messages compress: the text as RTF ([MS-OXRTFCP]), "msg.rtf".
// Texts, pages and attachments are streams as they are; those of attachments are called
// as the attachment is.
func Message() unpack.Format {
	return unpack.Format{Name: "msg", Match: isCompound, Walk: messageWalk}
}

func messageWalk(src showcause.Source, out *unpack.Out) {
	c := open(src, out)
	if c == nil {
		return // and the reader of compound files says so
	}
	n := 0
	for i, e := range c.Entries {
		if !out.Work(1) {
			return
		}
		if e.Kind != cfb.Stream || !strings.EqualFold(e.Name, propertyRTF) {
			continue
		}
		if n++; n > rtfMost {
			out.Gap(showcause.LimitObject, c.at(i), -1)
			return
		}
		s, _, _ := c.stream(i)
		if !rtfCompressed(out, s, "msg.rtf", c.path(i), c.at(i)) {
			return
		}
	}
}

// rtfCompressed gives RTF that is compressed, which stands at at in the layer. It tells
// whether to go on.
func rtfCompressed(out *unpack.Out, s showcause.Source, op, name string, at int64) bool {
	head := bound.Head(s, 16)
	if len(head) < 16 {
		return true
	}
	body := bound.Reader(s, 16, -1)
	child := unpack.Child{Op: op, Name: name, Size: -1, Reader: body}
	switch string(head[8:12]) {
	case "LZFu":
		child.Reader = newLZFu(body)
	case "MELA": // as it is
		child.Reader = io.LimitReader(body, int64(le.Uint32(head[4:])))
	default:
		out.Gap(showcause.Corrupt, at, s.Size())
		return true
	}
	return out.Child(child)
}

// attachment is the file name of an attachment whose data are stream i, "" if it is none.
func (c *compound) attachment(i int) string {
	if !strings.EqualFold(c.Entries[i].Name, propertyData) {
		return ""
	}
	for _, p := range []string{"__substg1.0_3707001F", "__substg1.0_3707001E", "__substg1.0_3704001F", "__substg1.0_3704001E"} {
		if k := c.in(c.inside[i], p); k >= 0 {
			b := c.read(k, 2*unpack.MaxName)
			if name := strings.TrimRight(string(b), "\x00"); strings.HasSuffix(p, "E") && name != "" {
				return name
			}
			if name := utf8of(b); strings.HasSuffix(p, "F") && name != "" {
				return name
			}
		}
	}
	return ""
}

// lzfuStart is what the window holds at first ([MS-OXRTFCP] 2.1.2.1).
const lzfuStart = `{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0` +
	"\r\n" + `\par \pard\plain\f0\fs20\b\i\u\tab\tx`

// lzfu decompresses RTF ([MS-OXRTFCP] 2.1.3.1): literals and copies out of a window of
// 4,096 bytes. A copy from where the next byte goes is the end.
type lzfu struct {
	in     io.ByteReader
	window [4096]byte
	at     int
	ready  []byte
	err    error
}

func newLZFu(r io.Reader) *lzfu {
	z := &lzfu{in: &byteReader{r: r}}
	z.at = copy(z.window[:], lzfuStart)
	return z
}

var errLZFu = errors.New("lzfu: it ends without a mark")

// Read implements io.Reader.
func (z *lzfu) Read(p []byte) (int, error) {
	for len(z.ready) == 0 {
		if z.err != nil {
			return 0, z.err
		}
		z.err = z.step()
	}
	n := copy(p, z.ready)
	z.ready = z.ready[n:]
	return n, nil
}

// step decodes eight literals or copies.
func (z *lzfu) step() error {
	z.ready = z.ready[:0]
	flags, err := z.in.ReadByte()
	if err != nil {
		return errLZFu
	}
	for bit := range 8 {
		a, err := z.in.ReadByte()
		if err != nil {
			return errLZFu
		}
		if flags>>bit&1 == 0 {
			z.put(a)
			continue
		}
		b, err := z.in.ReadByte()
		if err != nil {
			return errLZFu
		}
		from := int(a)<<4 | int(b)>>4
		if from == z.at {
			return io.EOF
		}
		for range int(b&15) + 2 {
			z.put(z.window[from])
			from = (from + 1) & 4095
		}
	}
	return nil
}

func (z *lzfu) put(c byte) {
	z.ready = append(z.ready, c)
	z.window[z.at] = c
	z.at = (z.at + 1) & 4095
}

// byteReader reads bytes one by one.
type byteReader struct {
	r   io.Reader
	buf [512]byte
	b   []byte
}

func (r *byteReader) ReadByte() (byte, error) {
	if len(r.b) == 0 {
		n, err := io.ReadFull(r.r, r.buf[:])
		if n == 0 {
			return 0, err
		}
		r.b = r.buf[:n]
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c, nil
}
