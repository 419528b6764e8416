package picture

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

var long = strings.Repeat("words of a comment, ", 20)

func deflated(s string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write([]byte(s))
	w.Close()
	return b.String()
}

func chunk(kind, data string) string {
	b := be.AppendUint32(nil, uint32(len(data)))
	b = append(b, kind+data...)
	return string(be.AppendUint32(b, crc32.ChecksumIEEE(b[4:])))
}

func png(chunks ...string) string {
	return "\x89PNG\r\n\x1a\n" + chunk("IHDR", "\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00") + strings.Join(chunks, "") + chunk("IDAT", deflated("\x00\x00")) + chunk("IEND", "")
}

func segment(marker byte, data string) string {
	return "\xff" + string([]byte{marker}) + string(be.AppendUint16(nil, uint16(len(data)+2))) + data
}

func jpeg(segments ...string) string {
	return "\xff\xd8" + strings.Join(segments, "") + segment(0xda, "\x01\x01\x00\x00\x3f\x00") + "codes \xff\x00 and \xff\xd3 more\xff\xff\xd9"
}

func pieces(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		n := min(len(s), 255)
		b.WriteByte(byte(n))
		b.WriteString(s[:n])
		s = s[n:]
	}
	return b.String() + "\x00"
}

func gif(blocks ...string) string {
	return "GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00" + strings.Join(blocks, "") + ",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
}

// trailer is what ends XMP in GIF: each byte leads a reader of pieces to the last one.
func trailer() string {
	b := []byte{1}
	for i := range 256 {
		b = append(b, byte(255-i))
	}
	return string(append(b, 0))
}

// exif is a TIFF file of either order and width with a directory in a directory, values of data, and a small picture.
func exif(order binary.AppendByteOrder, big bool) string {
	place := func(b []byte, v uint64) []byte {
		if big {
			return order.AppendUint64(b, v)
		}
		return order.AppendUint32(b, uint32(v))
	}
	mark, width, head := "II", uint64(4), uint64(8)
	if order.AppendUint16(nil, 1)[0] == 0 {
		mark = "MM"
	}
	b := []byte(mark)
	if big {
		width, head = 8, 16
		b = order.AppendUint16(order.AppendUint16(order.AppendUint16(b, 43), 8), 0)
	} else {
		b = order.AppendUint16(b, 42)
	}
	b = place(b, head)
	entry := func(b []byte, tag, kind uint16, count, value uint64) []byte {
		return place(place(order.AppendUint16(order.AppendUint16(b, tag), kind), count), value)
	}
	count := func(b []byte, n uint64) []byte {
		if big {
			return order.AppendUint64(b, n)
		}
		return order.AppendUint16(b, uint16(n))
	}
	size := uint64(len(count(nil, 0))) + 4*(4+2*width) + width // of a directory of four
	data := head + 2*size
	const image = "\xff\xd8\xff\xd9 and what is behind"
	b = count(b, 4)
	b = entry(b, 700, 1, uint64(len(long)), data)
	b = entry(b, 34665, 4, 1, head+size)
	b = entry(b, 256, 3, 1, 1)
	b = entry(b, 305, 2, 1<<40, 7)
	b = place(b, 0)
	b = count(b, 4)
	b = entry(b, 37510, 7, uint64(len(long)), data+uint64(len(long)))
	b = entry(b, 513, 4, 1, data+2*uint64(len(long)))
	b = entry(b, 514, 4, 1, uint64(len(image)))
	b = entry(b, 330, 4, 1, head) // back to the first
	b = place(b, head)
	return string(b) + strings.ToUpper(long) + long + image
}

func webp(chunks ...string) string {
	body := "WEBP" + strings.Join(chunks, "")
	return "RIFF" + string(le.AppendUint32(nil, uint32(len(body)))) + body
}

func webpChunk(kind, data string) string {
	s := kind + string(le.AppendUint32(nil, uint32(len(data)))) + data
	return s + strings.Repeat("\x00", len(data)&1)
}

func bmp(compression uint32, data string) string {
	b := le.AppendUint32([]byte("BM"), uint32(54+len(data)))
	b = le.AppendUint32(le.AppendUint32(b, 0), 54)
	for _, v := range []uint32{40, 1, 1, 1 | 24<<16, compression, uint32(len(data)), 0, 0, 0, 0} {
		b = le.AppendUint32(b, v)
	}
	return string(b) + data
}

func ico(images ...string) string {
	b := append([]byte{0, 0, 1, 0}, le.AppendUint16(nil, uint16(len(images)))...)
	at := 6 + 16*len(images)
	for _, s := range images {
		b = append(b, 16, 16, 0, 0, 1, 0, 32, 0)
		b = le.AppendUint32(le.AppendUint32(b, uint32(len(s))), uint32(at))
		at += len(s)
	}
	return string(b) + strings.Join(images, "")
}

// sample is a picture, and what is in it: operations and contents, in order.
type sample struct {
	data string
	want []string
}

type formatSamples struct {
	f       unpack.Format
	samples map[string]sample
}

func all() []formatSamples {
	one := func(data string, want ...string) sample { return sample{data, want} }
	dib := "\x28\x00\x00\x00\x10\x00\x00\x00\x20\x00\x00\x00\x01\x00\x20\x00" + strings.Repeat("\x00", 24)
	return []formatSamples{
		{PNG(), map[string]sample{
			"plain":             one(png()),
			"zTXt":              one(png(chunk("zTXt", "Comment\x00\x00"+deflated(long))), "png.text", long),
			"iTXt":              one(png(chunk("iTXt", "Comment\x00\x00\x00en\x00Words\x00"+long)), "png.text", long),
			"iTXt compressed":   one(png(chunk("iTXt", "Comment\x00\x01\x00en\x00Words\x00"+deflated(long))), "png.text", long),
			"tEXt":              one(png(chunk("tEXt", "Comment\x00"+long)), "png.text", long),
			"short tEXt":        one(png(chunk("tEXt", "Software\x00a program"))),
			"iCCP":              one(png(chunk("iCCP", "sRGB\x00\x00"+deflated(long))), "png.profile", long),
			"eXIf":              one(png(chunk("eXIf", exif(binary.LittleEndian, false))), "png.exif", exif(binary.LittleEndian, false)),
			"behind":            one(png()+"PK behind it", "png.rest", "PK behind it"),
			"sum that is wrong": one(png(chunk("zTXt", "Comment\x00\x00"+deflated(long)[:len(deflated(long))-4]+"\x00\x00\x00\x00")), "png.text", long),
		}},
		{JPEG(), map[string]sample{
			"plain":               one(jpeg(segment(0xe0, "JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"))),
			"Exif":                one(jpeg(segment(0xe1, "Exif\x00\x00"+exif(binary.BigEndian, false))), "jpeg.exif", exif(binary.BigEndian, false)),
			"XMP":                 one(jpeg(segment(0xe1, "http://ns.adobe.com/xap/1.0/\x00<x/>")), "jpeg.xmp", "<x/>"),
			"long XMP":            one(jpeg(segment(0xe1, "http://ns.adobe.com/xmp/extension/\x00"+strings.Repeat("0", 40)+long), segment(0xe1, "http://ns.adobe.com/xmp/extension/\x00"+strings.Repeat("1", 40)+"end")), "jpeg.xmp", long+"end"),
			"ICC":                 one(jpeg(segment(0xe2, "ICC_PROFILE\x00\x01\x02"+long), segment(0xe2, "ICC_PROFILE\x00\x02\x02end")), "jpeg.profile", long+"end"),
			"ICC out of order":    one(jpeg(segment(0xe2, "ICC_PROFILE\x00\x02\x02end"), segment(0xe2, "ICC_PROFILE\x00\x01\x02"+long)), "jpeg.profile", long+"end", "jpeg.profile", "end"+long),
			"XMP out of order":    one(jpeg(segment(0xe1, "http://ns.adobe.com/xmp/extension/\x00"+strings.Repeat("0", 32)+"\x00\x00\x02\x00\x00\x00\x01\x00end"), segment(0xe1, "http://ns.adobe.com/xmp/extension/\x00"+strings.Repeat("0", 32)+"\x00\x00\x02\x00\x00\x00\x00\x00"+long)), "jpeg.xmp", long+"end", "jpeg.xmp", "end"+long),
			"comment":             one(jpeg(segment(0xfe, long)), "jpeg.comment", long),
			"behind":              one(jpeg()+"<?php behind it", "jpeg.rest", "<?php behind it"),
			"an end in a segment": one(jpeg(segment(0xe5, "\xff\xd9 and so on"))+"behind", "jpeg.rest", "behind"),
		}},
		{GIF(), map[string]sample{
			"plain":   one(gif()),
			"comment": one(gif("!\xfe"+pieces(long)), "gif.comment", long),
			"XMP":     one(gif("!\xff\x0bXMP DataXMP"+long[:32]+trailer()), "gif.data", long[:32]+trailer()),
			"data":    one(gif("!\xff\x0bNETSCAPE2.0"+pieces(long)), "gif.data", long),
			"loop":    one(gif("!\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")),
			"behind":  one(gif()+"MZ behind it", "gif.rest", "MZ behind it"),
			"gzip":    one(gif() + "\x00\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03 that is read where it stands"),
		}},
		{TIFF(), map[string]sample{
			"little":  one(exif(binary.LittleEndian, false), "tiff.xmp", strings.ToUpper(long), "tiff.data", long, "tiff.image", "\xff\xd8\xff\xd9 and what is behind"),
			"big":     one(exif(binary.BigEndian, false), "tiff.xmp", strings.ToUpper(long), "tiff.data", long, "tiff.image", "\xff\xd8\xff\xd9 and what is behind"),
			"BigTIFF": one(exif(binary.LittleEndian, true), "tiff.xmp", strings.ToUpper(long), "tiff.data", long, "tiff.image", "\xff\xd8\xff\xd9 and what is behind"),
		}},
		{WebP(), map[string]sample{
			"all":    one(webp(webpChunk("VP8X", "0123456789"), webpChunk("ICCP", long+"x"), webpChunk("VP8 ", "dots"), webpChunk("EXIF", exif(binary.LittleEndian, false)), webpChunk("XMP ", "<x/>")), "webp.profile", long+"x", "webp.exif", exif(binary.LittleEndian, false), "webp.xmp", "<x/>"),
			"behind": one(webp(webpChunk("VP8 ", "dots"))+"RIFF behind it", "webp.rest", "RIFF behind it"),
		}},
		{BMP(), map[string]sample{
			"plain":  one(bmp(0, "dots")),
			"JPEG":   one(bmp(4, jpeg()), "bmp.image", jpeg()),
			"behind": one(bmp(0, "dots")+"behind it", "bmp.rest", "behind it"),
		}},
		{ICO(), map[string]sample{
			"dots":   one(ico(dib, dib)),
			"PNG":    one(ico(dib, png()), "ico.image", png()),
			"behind": one(ico(dib)+"behind it", "ico.rest", "behind it"),
		}},
	}
}

func TestSamples(t *testing.T) {
	for _, c := range all() {
		for name, s := range c.samples {
			src := showcause.Bytes(s.data)
			if !c.f.Match(unpacktest.Probe(src)) {
				t.Errorf("%s, %s: no match", c.f.Name, name)
				continue
			}
			got := unpacktest.Walk(t, c.f, src, showcause.Limits{})
			var have []string
			for _, child := range got.Children {
				have = append(have, child.Op, string(child.Data))
			}
			if strings.Join(have, "|") != strings.Join(s.want, "|") || len(got.Gaps) > 0 {
				t.Errorf("%s, %s: %q, gaps %v, want %q", c.f.Name, name, have, got.Gaps, s.want)
			}
			if again := unpacktest.WalkSource(t, c.f, hidden{src}, showcause.Limits{}); again.String() != got.String() {
				t.Errorf("%s, %s: not in memory:\n%s\nwant\n%s", c.f.Name, name, again, got)
			}
		}
	}
}

// hidden is a source that is no showcause.Bytes.
type hidden struct{ showcause.Bytes }

// TestConform: viewers show pictures that are cut, so that only what is compressed and cut is a gap.
func TestConform(t *testing.T) {
	for _, c := range all() {
		t.Run(c.f.Name, func(t *testing.T) {
			samples := map[string][]byte{}
			for name, s := range c.samples {
				samples[name] = []byte(s.data)
			}
			unpacktest.ConformWhole(t, c.f, samples, func([]byte) bool { return true })
		})
	}
}

// TestCut holds that what is compressed beside a picture and is cut is told.
func TestCut(t *testing.T) {
	z := deflated(strings.ToUpper(long) + string(unpacktest.Marked("text", 300)))
	for name, s := range map[string]string{
		"zTXt": png(chunk("zTXt", "Comment\x00\x00"+z[:len(z)/2])),
		"iTXt": png(chunk("iTXt", "Comment\x00\x01\x00\x00\x00"+z[:len(z)/2])),
		"iCCP": png(chunk("iCCP", "sRGB\x00\x00"+z[:len(z)/2])),
	} {
		if got := unpacktest.Walk(t, PNG(), []byte(s), showcause.Limits{}); !got.Has("corrupt") || len(got.Children) != 1 {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestLoops holds that places that lead back, and tables of the same picture, are read once.
func TestLoops(t *testing.T) {
	many := []byte(ico(append(make([]string, 4000), png())...))
	for i := range 4000 {
		copy(many[6+16*i:], many[6+16*4000:6+16*4001])
	}
	if got := unpacktest.Walk(t, ICO(), many, showcause.Limits{}); len(got.Children) != 1 {
		t.Errorf("%d children of an icon", len(got.Children))
	}
	ring := []byte(exif(binary.LittleEndian, false))
	le.PutUint32(ring[8+2+4*12:], 8) // the next directory is this one
	if got := unpacktest.Walk(t, TIFF(), ring, showcause.Limits{}); len(got.Children) != 3 {
		t.Errorf("%d children of a ring", len(got.Children))
	}
	// A directory whose 50,000 entries lead to as many places each, once to the same ones and once to others.
	for _, step := range []int{0, 1} {
		all := []byte("II*\x00\x08\x00\x00\x00\x50\xc3")
		for i := range 50_000 {
			all = append(all, "\x4a\x01\x04\x00\x50\xc3\x00\x00"...)
			all = le.AppendUint32(all, uint32(8+i*step))
		}
		got := unpacktest.Walk(t, TIFF(), all, showcause.Limits{Work: 1e8})
		if len(got.Children) > 0 || step == 1 && !got.Has(showcause.LimitWork) || step == 0 && got.Spent.Work > 1e8 {
			t.Errorf("many directories: %v, %d steps", got.Gaps, got.Spent.Work)
		}
	}
}

func fuzz(f *testing.F, name string) {
	for _, c := range all() {
		if c.f.Name != name {
			continue
		}
		var seeds [][]byte
		for _, s := range c.samples {
			seeds = append(seeds, []byte(s.data))
		}
		unpacktest.Fuzz(f, c.f, seeds...)
	}
}

func FuzzPNG(f *testing.F)  { fuzz(f, "png") }
func FuzzJPEG(f *testing.F) { fuzz(f, "jpeg") }
func FuzzGIF(f *testing.F)  { fuzz(f, "gif") }
func FuzzTIFF(f *testing.F) { fuzz(f, "tiff") }
func FuzzWebP(f *testing.F) { fuzz(f, "webp") }
func FuzzBMP(f *testing.F)  { fuzz(f, "bmp") }
func FuzzICO(f *testing.F)  { fuzz(f, "ico") }
