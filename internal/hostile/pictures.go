package hostile

import (
	"encoding/binary"
	"hash/crc32"
	"strings"

	"github.com/showcause/showcause"
)

// pictures are pictures that lie about lengths, lead back to themselves, inflate without end, or have their pieces in an order of
// their own.
func (s scale) pictures() []Input {
	png := func(name string, want Want, f func() []byte, codes ...showcause.Code) Input {
		return in(33, "PNG: "+name, want, f, codes...)
	}
	chunk := func(kind, data string) string {
		b := kind + data
		return word(len(data)) + b + word(int(crc32.ChecksumIEEE([]byte(b))))
	}
	whole := func(chunks ...string) []byte {
		return []byte("\x89PNG\r\n\x1a\n" + chunk("IHDR", word(1)+word(1)+"\x08\x00\x00\x00\x00") + strings.Join(chunks, "") + chunk("IDAT", string(zlibOf([]byte("\x00\x00")))) + chunk("IEND", ""))
	}
	text := "Comment\x00\x00" + string(zlibOf(hidden()))
	zeros := func(n int64) string {
		return "Comment\x00\x00\x78\x9c" + string(squeezeZeros(nil, n, nil).data)
	}
	return append([]Input{
		png("a text of 4 GiB of zeros", Incomplete, func() []byte { return whole(chunk("zTXt", zeros(4<<30))) }, "limit."),
		png("a profile of 4 GiB of zeros", Incomplete, func() []byte { return whole(chunk("iCCP", zeros(4<<30))) }, "limit."),
		png("10,000 texts, the marker in the last", Found, func() []byte {
			return whole(strings.Repeat(chunk("zTXt", "Comment\x00\x00"+string(zlibOf([]byte("what is said")))), 9_999), chunk("zTXt", text))
		}),
		png("a text whose sum is wrong", Found, func() []byte { b := whole(chunk("zTXt", text)); b[33+8+len(text)]++; return b }),
		png("a text whose length says 4 GiB", Found, func() []byte { return edited(whole(chunk("zTXt", text)), 33, "\xff\xff\xff\xff") }),
		png("a text that says less than it has", Either, func() []byte { b := whole(chunk("zTXt", text)); binary.BigEndian.PutUint32(b[33:], 40); return b }, "corrupt"),
		png("a chunk that says 4 GiB in front of a gzip", Found, func() []byte { return append([]byte("\x89PNG\r\n\x1a\n\xff\xff\xff\xffprIv"), gzipOf(hidden())...) }),
		png("no end", Found, func() []byte { b := whole(chunk("zTXt", text)); return b[:len(b)-12] }),
		png("behind the end of a picture behind the end of a picture", Found, func() []byte { return join(whole(), whole(chunk("zTXt", text)), whole()) }),
	}, otherPictures(text)...)
}

// otherPictures are those of other formats. text is one that PNG has packed.
func otherPictures(text string) []Input {
	z := func() string { return string(gzipOf(hidden())) }
	segment := func(marker byte, data string) string {
		return "\xff" + string([]byte{marker}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(data)+2))) + data
	}
	jpeg := func(segments ...string) []byte {
		return []byte("\xff\xd8" + strings.Join(segments, "") + segment(0xda, "\x01\x01\x00\x00\x3f\x00") + "dots\xff\xd9")
	}
	pieces := func(s string, n int) (out string) {
		for ; len(s) > 0; s = s[min(n, len(s)):] {
			out += string([]byte{byte(min(n, len(s)))}) + s[:min(n, len(s))]
		}
		return out
	}
	profile := func(number int, data string) string {
		return segment(0xe2, "ICC_PROFILE\x00"+string([]byte{byte(number), 3})+data)
	}
	gif := string(smallGIF()[:19])
	// A directory of a TIFF file: entries of tag, kind, count and value, and where the next one is.
	directory := func(next int, entries ...[4]int) string {
		b := le.AppendUint16(nil, uint16(len(entries)))
		for _, e := range entries {
			b = le.AppendUint16(le.AppendUint16(b, uint16(e[0])), uint16(e[1]))
			b = le.AppendUint32(le.AppendUint32(b, uint32(e[2])), uint32(e[3]))
		}
		return string(le.AppendUint32(b, uint32(next)))
	}
	const tiff = "II*\x00\x08\x00\x00\x00"
	packedPNG := "\x89PNG\r\n\x1a\n" + word(len(text)) + "zTXt" + text + "\x00\x00\x00\x00" + word(0) + "IEND\xae\x42\x60\x82"
	nested := func(n int) string {
		b := packedPNG
		for range n {
			b = "Exif\x00\x00" + tiff + directory(0, [4]int{513, 4, 1, 8 + 2 + 2*12 + 4}, [4]int{514, 4, 1, len(b)}) + b
			b = "\xff\xd8" + segment(0xe1, b) + "\xff\xd9"
		}
		return b
	}
	return []Input{
		in(33, "JPEG: a profile in pieces that stand in another order than they say", Found, func() []byte { return jpeg(profile(3, z()[80:]), profile(1, z()[:20]), profile(2, z()[20:80])) }),
		in(33, "JPEG: a profile in pieces that say another order than they stand in", Found, func() []byte { return jpeg(profile(3, z()[:20]), profile(1, z()[20:80]), profile(2, z()[80:])) }),
		in(33, "JPEG: segments of no length", Found, func() []byte { return jpeg("\xff\xe1\x00\x00\xff\xe2\x00\x01", profile(1, z())) }),
		in(33, "JPEG: 20,000 segments", Found, func() []byte { return jpeg(strings.Repeat(segment(0xe1, "Exif\x00\x00"), 20_000), profile(1, z())) }),
		in(33, "JPEG: a picture in the Exif of a picture, 12 deep", Found, func() []byte { return []byte(nested(12)) }),
		in(33, "JPEG: a picture in the Exif of a picture, 60 deep", Incomplete, func() []byte { return []byte(nested(60)) }, "limit."),
		in(33, "GIF: a comment in pieces of one byte", Found, func() []byte { return []byte(gif + "!\xfe" + pieces(z(), 1) + "\x00;") }),
		in(33, "GIF: pieces that do not end", Found, func() []byte { return []byte(gif + "!\xfe" + pieces(z(), 7)) }),
		in(33, "GIF: data of an application in pieces", Found, func() []byte { return []byte(gif + "!\xff\x0bSOMETHING10" + pieces(z(), 9) + "\x00;") }),
		in(33, "TIFF: a directory that leads to itself", Found, func() []byte {
			return []byte(tiff + directory(8, [4]int{330, 4, 1, 8}, [4]int{34675, 7, len(packedPNG), 8 + 2 + 24 + 4}) + packedPNG)
		}),
		in(33, "TIFF: 5,000 directories, the marker in the last", Found, func() []byte {
			b := tiff
			for range 4999 {
				b += directory(len(b)+2+12+4, [4]int{256, 3, 1, 1})
			}
			return []byte(b + directory(0, [4]int{34675, 7, len(packedPNG), len(b) + 2 + 12 + 4}) + packedPNG)
		}),
		in(33, "TIFF: values of 4 GiB and beyond the end", Found, func() []byte {
			return []byte(tiff + directory(1<<32-1, [4]int{700, 7, 1<<32 - 1, 8}, [4]int{34675, 7, 1 << 30, 8 + 2 + 24 + 4}) + packedPNG)
		}),
		in(33, "WebP: a chunk of 4 GiB", Found, func() []byte { return []byte("RIFF\xff\xff\xff\xffWEBPXMP \xff\xff\xff\xff" + packedPNG) }),
		in(33, "WebP: it says to end in front of the marker", Found, func() []byte {
			return []byte("RIFF\x04\x00\x00\x00WEBPXMP " + string(le.AppendUint32(nil, uint32(len(packedPNG)))) + packedPNG)
		}),
		in(33, "BMP: a PNG file whose size says 4 GiB", Found, func() []byte {
			head := "BM\xff\xff\xff\xff\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x18\x00\x05\x00\x00\x00\xff\xff\xff\xff"
			return []byte(head + strings.Repeat("\x00", 54-len(head)) + packedPNG)
		}),
		in(33, "icon: 255 entries for one picture", Found, func() []byte {
			entry := "\x10\x10\x00\x00\x01\x00\x20\x00" + string(le.AppendUint32(le.AppendUint32(nil, uint32(len(packedPNG))), 6+255*16))
			return []byte("\x00\x00\x01\x00\xff\x00" + strings.Repeat(entry, 255) + packedPNG)
		}),
		in(33, "icon: pictures that lie over each other", Found, func() []byte {
			entry := func(size, at int) string {
				return "\x10\x10\x00\x00\x01\x00\x20\x00" + string(le.AppendUint32(le.AppendUint32(nil, uint32(size)), uint32(at)))
			}
			return []byte("\x00\x00\x01\x00\x03\x00" + entry(1<<32-1, 54) + entry(len(packedPNG), 54) + entry(20, 60) + packedPNG)
		}),
	}
}

// word is a number of four bytes as PNG has it.
func word(n int) string { return string(binary.BigEndian.AppendUint32(nil, uint32(n))) }
