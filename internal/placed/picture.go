package placed

import (
	"encoding/binary"
	"hash/crc32"
	"strings"
)

// bigEndian is a number as PNG and JPEG have it.
func bigEndian(n, bytes int) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(n))[4-bytes:])
}

func pngChunk(kind, data string) string {
	return bigEndian(len(data), 4) + kind + data + bigEndian(int(crc32.ChecksumIEEE([]byte(kind+data))), 4)
}

// png is a picture of one dot with chunks in front of it.
func png(chunks ...string) string {
	return "\x89PNG\r\n\x1a\n" + pngChunk("IHDR", bigEndian(1, 4)+bigEndian(1, 4)+"\x08\x00\x00\x00\x00") + strings.Join(chunks, "") + pngChunk("IDAT", zlibbed("\x00\x00")) + pngChunk("IEND", "")
}

func jpegSegment(marker byte, data string) string {
	return "\xff" + string([]byte{marker}) + bigEndian(len(data)+2, 2) + data
}

func jpeg(segments ...string) string {
	return "\xff\xd8" + jpegSegment(0xe0, "JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00") + strings.Join(segments, "") + jpegSegment(0xda, "\x01\x01\x00\x00\x3f\x00") + "dots\xff\x00\xff\xd9"
}

func gif(blocks ...string) string {
	return "GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00" + strings.Join(blocks, "") + ",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
}

// gifPieces are data of an extension, in pieces of n bytes.
func gifPieces(s string, n int) string {
	out := ""
	for ; len(s) > 0; s = s[min(n, len(s)):] {
		out += string([]byte{byte(min(n, len(s)))}) + s[:min(n, len(s))]
	}
	return out + "\x00"
}

func riff(chunks ...string) string {
	b := "WEBP" + strings.Join(chunks, "")
	return "RIFF" + u32(len(b)) + b
}

func riffChunk(kind, data string) string {
	return kind + u32(len(data)) + data + strings.Repeat("\x00", len(data)&1)
}

// tagged is a TIFF file, or Exif, whose first directory leads to one with a tag of its own. With a picture the tag is a
// small one.
func tagged(tag int, data string) string {
	const first, second = 8, 8 + 2 + 12 + 4
	at := second + 2 + 2*12 + 4
	entry := func(tag, kind, count, value int) string { return u16(tag) + u16(kind) + u32(count) + u32(value) }
	out := "II*\x00" + u32(first) + u16(1) + entry(34665, 4, 1, second) + u32(0)
	if tag == 513 {
		return out + u16(2) + entry(513, 4, 1, at) + entry(514, 4, 1, len(data)) + u32(0) + data
	}
	return out + u16(2) + entry(256, 3, 1, 1) + entry(tag, 7, len(data), at) + u32(0) + data
}

// bitmap is a bitmap of Windows: between stands in front of the dots.
func bitmap(compression int, between, dots string) string {
	return "BM" + u32(54+len(between)+len(dots)) + u32(0) + u32(54+len(between)) + u32(40) + u32(1) + u32(1) + u16(1) + u16(24) + u32(compression) + u32(len(dots)) + strings.Repeat("\x00", 16) + between + dots
}

// icon has one picture, and something between the list and it.
func icon(between, image string) string {
	return "\x00\x00\x01\x00\x01\x00\x10\x10\x00\x00\x01\x00\x20\x00" + u32(len(image)) + u32(22+len(between)) + between + image
}

// pictures has it beside the dots of pictures: as a text, and in a zip, which shows it to nobody who does not open that.
func pictures(l *list) {
	for what, s := range map[string]string{"text": long, "zip": string(zipOf(member{"a", body, false}, member{"b", "what stands beside it", false}))} {
		for at, data := range map[string]string{
			"PNG/tEXt": png(pngChunk("tEXt", "Comment\x00"+s)), "PNG/zTXt": png(pngChunk("zTXt", "Comment\x00\x00"+zlibbed(s))), "PNG/iTXt": png(pngChunk("iTXt", "Comment\x00\x00\x00en\x00\x00"+s)),
			"PNG/iTXt, compressed": png(pngChunk("iTXt", "XML:com.adobe.xmp\x00\x01\x00\x00\x00"+zlibbed(s))), "PNG/profile": png(pngChunk("iCCP", "sRGB\x00\x00"+zlibbed(s))), "PNG/Exif": png(pngChunk("eXIf", tagged(37510, s))),
			"PNG/small picture of Exif": png(pngChunk("eXIf", tagged(513, jpeg(jpegSegment(0xfe, s))))), "PNG/private chunk": png(pngChunk("prIv", s)), "PNG/behind the end": png() + s,
			"JPEG/Exif": jpeg(jpegSegment(0xe1, exifOf(s))), "JPEG/maker's note": jpeg(jpegSegment(0xe1, "Exif\x00\x00"+tagged(37500, s))), "JPEG/small picture": jpeg(jpegSegment(0xe1, "Exif\x00\x00"+tagged(513, jpeg(jpegSegment(0xfe, s))))), "JPEG/XMP": jpeg(jpegSegment(0xe1, "http://ns.adobe.com/xap/1.0/\x00"+s)),
			"JPEG/XMP in pieces":     jpeg(jpegSegment(0xe1, "http://ns.adobe.com/xmp/extension/\x00"+strings.Repeat("0", 40)+s[:20]), jpegSegment(0xe1, "http://ns.adobe.com/xmp/extension/\x00"+strings.Repeat("0", 40)+s[20:])),
			"JPEG/profile in pieces": jpeg(jpegSegment(0xe2, "ICC_PROFILE\x00\x01\x02"+s[:20]), jpegSegment(0xe2, "ICC_PROFILE\x00\x02\x02"+s[20:])), "JPEG/Photoshop": jpeg(jpegSegment(0xed, "Photoshop 3.0\x008BIM\x04\x04\x00\x00"+bigEndian(len(s), 4)+s)),
			"JPEG/comment": jpeg(jpegSegment(0xfe, s)), "JPEG/segment of its own": jpeg(jpegSegment(0xe9, s)), "JPEG/behind the end": jpeg() + s,
			"GIF/comment": gif("!\xfe" + gifPieces(s, 255)), "GIF/comment in pieces": gif("!\xfe" + gifPieces(s, 11)), "GIF/plain text": gif("!\x01" + gifPieces(s, 255)), "GIF/XMP": gif("!\xff\x0bXMP DataXMP" + s + "\x01" + gifTrailer()), "GIF/data": gif("!\xff\x0bSOMETHING10" + gifPieces(s, 17)), "GIF/behind the end": gif() + s,
			"TIFF/XMP": tagged(700, s), "TIFF/profile": tagged(34675, s), "TIFF/IPTC": tagged(33723, s), "TIFF/Photoshop": tagged(34377, s), "TIFF/description": tagged(270, s), "TIFF/comment": tagged(37510, s), "TIFF/small picture": tagged(513, jpeg(jpegSegment(0xfe, s))), "TIFF/behind": tagged(256, "x") + s,
			"WebP/Exif": riff(riffChunk("VP8 ", "dots"), riffChunk("EXIF", tagged(37510, s))), "WebP/XMP": riff(riffChunk("VP8 ", "dots"), riffChunk("XMP ", s)), "WebP/profile": riff(riffChunk("ICCP", s), riffChunk("VP8 ", "dots")), "WebP/chunk of its own": riff(riffChunk("VP8 ", "dots"), riffChunk("prIv", s)), "WebP/behind the end": riff(riffChunk("VP8 ", "dots")) + s,
			"BMP/in front of the dots": bitmap(0, s, "dots"), "BMP/JPEG in it": bitmap(4, "", jpeg(jpegSegment(0xfe, s))), "BMP/PNG in it": bitmap(5, "", png(pngChunk("zTXt", "Comment\x00\x00"+zlibbed(s)))), "BMP/behind the end": bitmap(0, "", "dots") + s,
			"ICO/PNG in it": icon("", png(pngChunk("zTXt", "Comment\x00\x00"+zlibbed(s)))), "ICO/in front of the picture": icon(s, png()), "ICO/behind the end": icon("", png()) + s, "ICO/behind PNG's end": icon("", png()+s),
		} {
			l.text("picture/"+at+"/"+what, data)
		}
	}
	dots := png()
	l.text("picture/PNG/dots", strings.Replace(dots, pngChunk("IDAT", zlibbed("\x00\x00")), pngChunk("IDAT", zlibbed("\x00"+long)), 1))
	l.add("picture/in a document", zipOf(member{"[Content_Types].xml", "<?xml version=\"1.0\"?><Types/>", false}, member{"word/media/image1.png", png(pngChunk("zTXt", "Comment\x00\x00"+zlibbed(long))), true}))
	l.text("picture/in a mail", "From: a@a.example\r\nSubject: s\r\nMIME-Version: 1.0\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: base64\r\n\r\n"+lines(jpeg(jpegSegment(0xe1, exifOf(long)))))
	l.add("picture/in a PDF", pdfPaged(pdfStream("/Type/XObject/Subtype/Image/Width 1/Height 1/Filter/DCTDecode", jpeg(jpegSegment(0xe2, "ICC_PROFILE\x00\x01\x02"+long[:20]), jpegSegment(0xe2, "ICC_PROFILE\x00\x02\x02"+long[20:])))))
}

func exifOf(s string) string { return "Exif\x00\x00" + tagged(37510, s) }

// gifTrailer leads a reader of pieces out of XMP from whatever byte it comes to.
func gifTrailer() string {
	b := make([]byte, 0, 257)
	for i := range 256 {
		b = append(b, byte(255-i))
	}
	return string(b) + "\x00"
}
