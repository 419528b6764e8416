package hostile

import (
	"bytes"
	"compress/zlib"
	"encoding/hex"
	"fmt"
	"strings"
)

// sevenZip is the start header of a 7z file and noise for the rest.
func sevenZip() []byte {
	b := append([]byte("7z\xbc\xaf\x27\x1c\x00\x04"), noise(4, 1)...)
	b = le.AppendUint64(b, 500)
	b = le.AppendUint64(b, 100)
	b = append(b, noise(4, 2)...)
	return append(b, noise(600, 3)...)
}

func smallGIF() []byte {
	return []byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;")
}

func smallPDF() []byte { return pdfOf("<< /Type /Catalog >>") }

// pdfOf is a PDF file of the given objects, with its cross-reference table.
func pdfOf(objects ...string) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n")
	var at []int
	for i, o := range objects {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	x := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(at)+1)
	for _, a := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", a)
	}
	fmt.Fprintf(&b, "trailer\n<< /Root 1 0 R /Size %d >>\nstartxref\n%d\n%%%%EOF\n", len(at)+1, x)
	return b.Bytes()
}

// stream is a PDF stream under n Flate filters.
func stream(content []byte, n int, length string) string {
	for range n {
		var z bytes.Buffer
		w := zlib.NewWriter(&z)
		w.Write(content)
		w.Close()
		content = z.Bytes()
	}
	if length == "" {
		length = fmt.Sprint(len(content))
	}
	return fmt.Sprintf("<< /Length %s /Filter [%s] >>\nstream\n%s\nendstream", length, strings.Repeat("/FlateDecode ", n), content)
}

// ole2 is a compound file of 512-byte sectors: the FAT in sector 0, the
// directory in 1, and one stream from 2 on. edit changes the FAT and directory.
func ole2(content []byte, edit func(fat, dir []byte)) []byte {
	h := make([]byte, 512)
	copy(h, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
	copy(h[24:], "\x3e\x00\x03\x00\xfe\xff\x09\x00\x06\x00")
	le.PutUint32(h[44:], 1)
	le.PutUint32(h[48:], 1)
	le.PutUint32(h[56:], 4096)
	for i := 60; i < 512; i += 4 {
		le.PutUint32(h[i:], 1<<32-2)
	}
	le.PutUint32(h[76:], 0)
	fat, dir := bytes.Repeat([]byte{255}, 512), make([]byte, 512)
	le.PutUint32(fat, 1<<32-3)
	le.PutUint32(fat[4:], 1<<32-2)
	n := (len(content) + 511) / 512
	for i := range n {
		le.PutUint32(fat[8+4*i:], uint32(3+i))
	}
	le.PutUint32(fat[4+4*n:], 1<<32-2)
	entry := func(i int, name string, kind byte, child, start, size uint32) {
		e := dir[128*i:]
		for j, c := range name {
			le.PutUint16(e[2*j:], uint16(c))
		}
		le.PutUint16(e[64:], uint16(2*len(name)+2))
		e[66], e[67] = kind, 1
		for at, v := range map[int]uint32{68: 1<<32 - 1, 72: 1<<32 - 1, 76: child, 116: start, 120: size} {
			le.PutUint32(e[at:], v)
		}
	}
	entry(0, "Root Entry", 5, 1, 1<<32-2, 0)
	entry(1, "stream", 2, 1<<32-1, 2, uint32(len(content)))
	if edit != nil {
		edit(fat, dir)
	}
	return join(h, fat, dir, content, make([]byte, n*512-len(content)))
}

// ole1Head stands in front of the length of an object's data in RTF: version, kind, class,
// topic, item.
var ole1Head = []byte("\x01\x05\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00A\x00\x00\x00\x00\x00\x00\x00\x00\x00")

// oneNote is a section of OneNote with a file whose length is said to be n.
func oneNote(n uint64, content []byte) []byte {
	h := make([]byte, 1024)
	copy(h, "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3")
	copy(h[48:], "\x3f\xdd\x9a\x10\x1b\x91\xf5\x49\xa5\xd0\x17\x91\xed\xc8\xae\xd8")
	return join(h, []byte("\xe7\x16\xe3\xbd\x65\x26\x11\x45\xa4\xc4\x8d\x4d\x0b\x7a\x9e\xac"), le.AppendUint64(nil, n), make([]byte, 12), content,
		make([]byte, -len(content)&7), []byte("\x22\xa7\xfb\x71\x79\x0f\x0b\x4a\xbb\x13\x89\x92\x56\x42\x6b\x24"))
}

// unreadFormats are files of formats that may not be read: they say so.
func unreadFormats() []Input {
	body := func() []byte { return gzipOf(join(hidden(), noise(5000, 2))) }
	rar := func(version string) []byte { return append([]byte("Rar!\x1a\x07"+version), noise(500, 4)...) }
	disc := func(udf bool) []byte {
		b := make([]byte, 40<<10)
		copy(b[32768:], "\x01CD001\x01")
		copy(b[34816:], "\xffCD001\x01")
		if udf {
			copy(b[36864:], "\x00BEA01\x01")
			copy(b[38912:], "\x00NSR02\x01")
		}
		return append(b, body()...)
	}
	ole := func(name string, edit func(fat, dir []byte)) Input {
		return in(32, "OLE2: "+name, Either, func() []byte { return ole2(body(), edit) })
	}
	pdf := func(name string, f func() []byte) Input { return in(33, "PDF: "+name, Either, f) }
	object := func() []byte { return join(ole1Head, le.AppendUint32(nil, uint32(len(hidden()))), hidden()) }
	packed := func() []byte {
		z := gzipOf(hidden())
		return join(ole1Head, le.AppendUint32(nil, uint32(len(z))), z)
	}
	rtf := func(name, data string) Input {
		return in(33, "RTF: "+name, Found, func() []byte { return []byte(`{\rtf1{\object\objemb{\*\objdata ` + data + `}}}`) })
	}
	spread := func(between string) string {
		var b strings.Builder
		for i, c := range hex.EncodeToString(object()) {
			if b.WriteRune(c); i%7 == 6 {
				b.WriteString(between)
			}
		}
		return b.String()
	}
	return []Input{
		in(30, "7z: encrypted headers", Incomplete, sevenZip, "corrupt"),
		in(30, "RAR 5", Incomplete, func() []byte { return rar("\x01\x00") }, "corrupt"),
		in(30, "RAR 4", Incomplete, func() []byte { return rar("\x00") }, "corrupt"),
		in(30, "zip that holds a RAR", Incomplete, func() []byte { return zipOf(pack("x", rar("\x01\x00"))) }, "corrupt"),
		in(31, "ISO 9660", Either, func() []byte { return disc(false) }),
		in(31, "ISO 9660 and UDF", Either, func() []byte { return disc(true) }),
		ole("a chain of sectors that leads to itself", func(fat, _ []byte) { le.PutUint32(fat[12:], 2) }),
		ole("an entry that is its own sibling", func(_, dir []byte) { le.PutUint32(dir[128+68:], 1); le.PutUint32(dir[128+72:], 1) }),
		ole("a stream of 2^31 bytes", func(_, dir []byte) { le.PutUint32(dir[128+120:], 1<<31) }),
		ole("a loop of the mini FAT", func(_, dir []byte) { le.PutUint32(dir[128+120:], 100); le.PutUint32(dir[116:], 2) }),
		pdf("12 Flate filters", func() []byte { return pdfOf("<< >>", stream(hidden(), 12, "")) }),
		pdf("100 Flate filters", func() []byte { return pdfOf("<< >>", stream(hidden(), 100, "")) }),
		in(33, "PDF: 50,000 pages in a ring", Found, func() []byte {
			var o []string
			for i := range 50_000 {
				o = append(o, fmt.Sprintf("<< /Type /Pages /Kids [%d 0 R] /Length %d 0 R >>", (i+1)%50_000+1, (i+1)%50_000+1))
			}
			return pdfOf(append(o, stream(hidden(), 1, "1 0 R"))...)
		}),
		pdf("an object stream in itself", func() []byte {
			return pdfOf("<< /Type /ObjStm /N 1 /First 4 /Length 2 0 R >>\nstream\n1 0 1 0 R\nendstream", stream(hidden(), 1, "1 0 R"))
		}),
		pdf("lengths that lie", func() []byte { return pdfOf("<< >>", stream(hidden(), 1, "3"), stream(benign(), 1, "99999999999999")) }),
		pdf("its header at offset 1,020", func() []byte { return join(noise(1020, 5), pdfOf("<< >>", stream(hidden(), 1, ""))) }),
		pdf("its header behind the start of a GIF", func() []byte { return join(smallGIF(), pdfOf("<< >>", stream(hidden(), 1, ""))) }),
		pdf("its header in a page", func() []byte { return join([]byte("<html><!-- "), pdfOf("<< >>", stream(hidden(), 1, ""))) }),
		pdf("a table that leads to another object than stands there", func() []byte {
			b := pdfOf("<< >>", stream(hidden(), 1, ""), "<< /Length 0 >>\nstream\n\nendstream")
			at := bytes.Index(b, []byte("3 0 obj"))
			x := bytes.Index(b, []byte("xref")) + len("xref\n0 4\n") + 2*20
			copy(b[x:], fmt.Sprintf("%010d", at))
			return b
		}),
		pdf("an update that hides the marker", func() []byte {
			return join(pdfOf("<< >>", stream(hidden(), 1, "")), []byte("2 0 obj\n<< >>\nendobj\nxref\n0 0\ntrailer\n<< /Prev 0 >>\nstartxref\n0\n%%EOF\n"))
		}),
		rtf("an object in hexadecimal", hex.EncodeToString(object())),
		rtf("an object as bytes", fmt.Sprintf(`\bin%d %s`, len(packed()), packed())),
		rtf("an object whose digits are parted", spread(` \foo1{\*\bar 00}\~`)),
		rtf("an object whose digits are parted by others that may count", spread(`\'00{\bar 00}`)),
		rtf("an object that does not end", hex.EncodeToString(object())+`{{`),
		in(35, "TNEF: the sum of an attachment is wrong", Found, func() []byte {
			z := gzipOf(hidden())
			return join([]byte("\x78\x9f\x3e\x22\x01\x00\x02\x0f\x80\x06\x00"), le.AppendUint32(nil, uint32(len(z))), z, []byte("\x00\x00"))
		}),
		in(33, "OneNote: a file of no length", Found, func() []byte { return oneNote(0, gzipOf(hidden())) }),
		in(33, "OneNote: a file of 2^63 bytes", Found, func() []byte { return oneNote(1<<63, gzipOf(hidden())) }),
		in(34, "OOXML: macros", Either, func() []byte { return ooxml("xl/vbaProject.bin", ole2(body(), nil)) }),
		in(34, "OOXML: billion laughs", Found, func() []byte { return ooxml("xl/sharedStrings.xml", laughs(Marker)) }),
		in(34, "OOXML: external entity", Found, func() []byte {
			return ooxml("xl/x.xml", []byte(`<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd"><!ENTITY f SYSTEM "http://192.0.2.1/x">]><a>&e;&f;`+Marker+`</a>`))
		}),
		in(34, "OOXML: 1,000,000 relations", Found, func() []byte {
			return ooxml("xl/_rels/workbook.xml.rels", []byte("<Relationships>"+strings.Repeat(`<Relationship Id="r" Target="x"/>`, 1_000_000)+Marker))
		}),
		plain(34, "XML: billion laughs", Found, func() []byte { return laughs(Marker) }),
	}
}

func laughs(text string) []byte {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\"?>\n<!DOCTYPE l [\n<!ENTITY l0 \"" + text + "\">\n")
	for i := 1; i < 10; i++ {
		fmt.Fprintf(&b, "<!ENTITY l%d \"%s\">\n", i, strings.Repeat(fmt.Sprintf("&l%d;", i-1), 10))
	}
	b.WriteString("]>\n<l>&l9;</l>\n")
	return []byte(b.String())
}

// ooxml is a workbook with one part more.
func ooxml(name string, content []byte) []byte {
	return zipOf(
		pack("[Content_Types].xml", []byte(`<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"></Types>`)),
		pack("xl/workbook.xml", []byte("<workbook/>")),
		pack(name, content))
}
