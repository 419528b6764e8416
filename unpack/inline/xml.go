package inline

import (
	"bufio"
	"bytes"
	"io"
	"slices"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zlib"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// xmlData are the elements, without their prefixes, in which base64 is.
var xmlData = []string{"binData", "binaryData", "binary-data", "docOleData", "chunk", "BINDATA", "Picture"}

// XML reads documents that are one XML file: what they have in base64 is "xml.base64", called as
// its element's name attribute says, what HWPML compresses besides, "xml.deflate". It is read
// through comments, CDATA sections, numbers of characters and anything that is no base64. UTF-16 is read without its zeros.
func XML() unpack.Format {
	return unpack.Format{
		Name: "xml",
		Match: func(p *unpack.Probe) bool {
			switch p.Type.String() {
			case "xml-word", "xml-xl", "xml-hwp", "xdp":
				return true
			}
			b := p.Head[:min(len(p.Head), 8<<10)]
			if wideXML(b) {
				b = bytes.ReplaceAll(b, []byte{0}, nil)
			}
			return xmlCarrier(b)
		},
		Walk: xmlWalk,
	}
}

// xmlCarrier tells by what a document begins with whether it may have files in it: Word and
// Excel 2003, flat OPC, flat OpenDocument, HWPML, XDP.
func xmlCarrier(b []byte) bool {
	if at := bytes.IndexByte(b, '<'); at < 0 || at > 16 {
		return false
	}
	for {
		_, rest, ok := bytes.Cut(b, []byte("<"))
		if !ok {
			return false
		}
		end := ">"
		if bytes.HasPrefix(rest, []byte("!--")) {
			end = "-->"
		}
		tag, rest, _ := bytes.Cut(rest, []byte(end))
		if b = rest; len(tag) == 0 {
			return false
		}
		if tag[0] == '!' || tag[0] == '?' {
			if bytes.Contains(tag, []byte("mso-application")) {
				return true
			}
			continue
		}
		switch xmlName(string(tag)) {
		case "wordDocument", "Workbook", "HWPML", "xdp":
			return true
		case "package":
			return bytes.Contains(tag, []byte("xmlPackage")) || bytes.HasPrefix(tag, []byte("pkg:"))
		case "document":
			return bytes.Contains(tag, []byte("office:"))
		}
		return false
	}
}

// wideXML tells whether every other byte of a text is a zero.
func wideXML(b []byte) bool {
	b = bytes.TrimPrefix(bytes.TrimPrefix(b, []byte("\xff\xfe")), []byte("\xfe\xff"))
	return len(b) > 3 && (b[0] == 0) != (b[1] == 0) && (b[0] == 0) == (b[2] == 0)
}

// xmlText reads the bytes of a document, without zeros.
type xmlText struct {
	src  showcause.Source
	out  *unpack.Out
	buf  []byte
	at   int64 // behind buf
	done bool
}

// next returns the next byte, false at the end.
func (x *xmlText) next() (byte, bool) {
	for {
		for len(x.buf) > 0 {
			c := x.buf[0]
			x.buf = x.buf[1:]
			if c != 0 {
				return c, true
			}
		}
		n := min(64<<10, x.src.Size()-x.at)
		if n <= 0 || x.done || !x.out.Work(n/8+1) {
			return 0, false
		}
		x.buf, _ = bound.ReadAt(x.src, x.at, n, 64<<10)
		x.done = int64(len(x.buf)) < n
		x.at += int64(len(x.buf))
	}
}

// pos is where the next byte stands.
func (x *xmlText) pos() int64 { return x.at - int64(len(x.buf)) }

// until passes over what is in front of an end, and the end.
func (x *xmlText) until(end string) bool {
	k := 0
	for {
		c, ok := x.next()
		switch {
		case !ok:
			return false
		case c == end[k]:
			if k++; k == len(end) {
				return true
			}
		case k == 2 && c == '-' && end == "-->":
		default:
			k = 0
			if c == end[0] {
				k = 1
			}
		}
	}
}

// maxXMLTag is how much of a tag is kept, in bytes.
const maxXMLTag = 4 << 10

// tag reads a tag, behind its "<".
func (x *xmlText) tag() (string, bool) {
	var b []byte
	quote := byte(0)
	for {
		c, ok := x.next()
		switch {
		case !ok:
			return string(b), false
		case quote == 0 && c == '>':
			return string(b), true
		case quote == c:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		}
		if len(b) < maxXMLTag {
			b = append(b, c)
		}
		if quote == 0 && (len(b) == 3 && string(b) == "!--" || len(b) == 8 && string(b) == "![CDATA[") {
			return string(b), true
		}
	}
}

// xmlName is the name of a tag's element without its prefix, that of the tag that ends one too.
func xmlName(tag string) string {
	if len(tag) > 0 && tag[0] == '/' {
		tag = tag[1:]
	}
	name := tag
	for i := range len(tag) {
		if c := tag[i]; c <= ' ' || c == '/' {
			name = tag[:i]
			break
		}
	}
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == ':' {
			return name[i+1:]
		}
	}
	return name
}

// xmlAttribute is the value of a tag's attribute, whatever its prefix.
func xmlAttribute(tag, name string) string {
	i := bytes.Index([]byte(tag), []byte(name+"="))
	if i < 0 || i+len(name)+2 > len(tag) {
		return ""
	}
	v := tag[i+len(name)+1:]
	if k := bytes.IndexByte([]byte(v[1:]), v[0]); k >= 0 {
		return v[1 : k+1]
	}
	return ""
}

func xmlWalk(src showcause.Source, out *unpack.Out) {
	x := &xmlText{src: src, out: out}
	part, root, last := "", "", ""
	open, room := false, 2*src.Size()+1<<20 // of elements in each other
	for {
		c, ok := x.next()
		if !ok {
			if root == "" || last != "/"+root { // a step that is refused has said so
				out.Gap(showcause.Corrupt, src.Size(), -1)
			}
			return
		}
		if c != '<' {
			continue
		}
		tag, _ := x.tag()
		if !out.Work(1) {
			return
		}
		name := xmlName(tag)
		if tag == "" || tag[0] == '!' || tag[0] == '?' {
			continue
		}
		if last = name; tag[0] == '/' {
			last = "/" + name
			continue
		}
		if root == "" {
			root = name
		}
		if name == "part" {
			part = xmlAttribute(tag, "name")
		}
		if !slices.Contains(xmlData, name) || tag[len(tag)-1] == '/' || open { // what is in one that does not end was read with it
			continue
		}
		called := xmlAttribute(tag, "name")
		if called == "" {
			called = part
		}
		at := x.pos()
		r := &xmlBase64{text: &xmlText{src: src, out: out, at: at}}
		child := unpack.Child{Op: "xml.base64", Name: called, Reader: r, Size: -1}
		if xmlAttribute(tag, "Compress") == "true" {
			child.Op, child.Reader = "xml.deflate", inflate(r)
		}
		if !out.Child(child) {
			return
		}
		if open = r.cut; open {
			out.Gap(showcause.Corrupt, src.Size(), -1)
		}
		if room -= r.text.pos() - at; room < 0 {
			out.Gap(showcause.LimitWork, at, -1)
			return
		}
	}
}

// inflate reads what is compressed, with zlib's head or without.
func inflate(r io.Reader) io.Reader {
	in := bufio.NewReader(r)
	if b, _ := in.Peek(2); len(b) == 2 && b[0]&15 == 8 && (int(b[0])<<8|int(b[1]))%31 == 0 {
		z, err := zlib.NewReader(in)
		if err != nil {
			return failed{err}
		}
		return z
	}
	return flate.NewReader(in)
}

type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, bound.CutShort(f.err) }

// xmlBase64 decodes the text of an element, to the tag that ends it.
type xmlBase64 struct {
	text  *xmlText
	cdata int // 1 within a section, and 2 and 3 behind its brackets
	acc   uint32
	have  int
	ready []byte
	done  bool
	cut   bool // the element does not end
}

// Read implements io.Reader.
func (b *xmlBase64) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(b.ready) > 0 {
			k := copy(p[n:], b.ready)
			n, b.ready = n+k, b.ready[k:]
			continue
		}
		if b.done {
			if n == 0 {
				return 0, io.EOF
			}
			break
		}
		b.step()
	}
	return n, nil
}

func (b *xmlBase64) step() {
	b.ready = b.ready[:0]
	c, ok := b.text.next()
	switch {
	case !ok:
		b.done, b.cut = true, true
	case b.cdata == 0 && c == '<':
		tag, ok := b.text.tag()
		switch {
		case !ok:
			b.done, b.cut = true, true
		case tag == "!--":
			b.done = !b.text.until("-->")
			b.cut = b.done
		case tag == "![CDATA[":
			b.cdata = 1
		case len(tag) > 0 && tag[0] == '/':
			b.done = true
		}
	case b.cdata == 0 && c == '&':
		b.digit(b.text.reference())
	case b.cdata > 0 && c == ']':
		b.cdata = min(b.cdata+1, 3)
	case b.cdata == 3 && c == '>':
		b.cdata = 0
	default:
		b.cdata = min(b.cdata, 1)
		b.digit(c)
	}
	if b.done && b.have > 0 { // what is left of four digits
		b.acc <<= 6 * (4 - b.have)
		for i := range b.have - 1 {
			b.ready = append(b.ready, byte(b.acc>>(16-8*i)))
		}
		b.have = 0
	}
}

// number is the character that a numeric reference, "#" and digits, stands for.
func number(digits []byte) byte {
	v, base := 0, 10
	for _, c := range digits {
		switch {
		case c == 'x' && base == 10:
			base = 16
		case c >= '0' && c <= '9':
			v = min(v*base+int(c-'0'), 1<<20)
		case base == 16 && c|0x20 >= 'a' && c|0x20 <= 'f':
			v = min(v*base+int(c|0x20-'a')+10, 1<<20)
		}
	}
	return byte(min(v, 255))
}

// digit takes a digit; "=" ends four of them.
func (b *xmlBase64) digit(c byte) {
	v := uint32(0)
	switch {
	case c >= 'A' && c <= 'Z':
		v = uint32(c - 'A')
	case c >= 'a' && c <= 'z':
		v = uint32(c-'a') + 26
	case c >= '0' && c <= '9':
		v = uint32(c-'0') + 52
	case c == '+' || c == '-':
		v = 62
	case c == '/' || c == '_':
		v = 63
	case c == '=':
		if b.have > 1 {
			b.acc <<= 6 * (4 - b.have)
			for i := range b.have - 1 {
				b.ready = append(b.ready, byte(b.acc>>(16-8*i)))
			}
		}
		b.acc, b.have = 0, 0
		return
	default:
		return
	}
	b.acc = b.acc<<6 | v
	if b.have++; b.have == 4 {
		b.ready = append(b.ready, byte(b.acc>>16), byte(b.acc>>8), byte(b.acc))
		b.acc, b.have = 0, 0
	}
}
