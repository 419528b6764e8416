package hostile

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"strings"
)

// fieldPrefix begins the names of inputs that show the marker in a field of a container.
const fieldPrefix = "a field of its header: "

// fieldForms are containers with the marker in a field beside their content: it stands in
// their own bytes, and is found there.
func fieldForms() []Input {
	f := func(name string, make func() []byte) Input { return plain(20, fieldPrefix+name, Found, make) }
	return []Input{
		f("zip, extra of the local header", func() []byte {
			return zipOf(pack("b", benign()).inLocal(func(h *header) { h.extra = extra() }))
		}),
		f("zip, extra of the directory", func() []byte {
			return zipOf(pack("b", benign()).inCentral(func(h *header) { h.extra = extra() }))
		}),
		f("zip, comment", func() []byte {
			b := zipOf(pack("b", benign()))
			le.PutUint16(b[len(b)-2:], uint16(len(Marker)))
			return append(b, Marker...)
		}),
		f("gzip, extra", func() []byte {
			e := extra()
			b := gzipOf(benign())
			b[3] = 4
			return join(b[:10], le.AppendUint16(nil, uint16(len(e))), e, b[10:])
		}),
		f("gzip, comment", func() []byte {
			b := gzipOf(benign())
			b[3] = 16
			return join(b[:10], []byte(Marker+"\x00"), b[10:])
		}),
		f("RAR 5, extra area", func() []byte { return rarWith([]byte(Marker)) }),
		f("cabinet, reserve", func() []byte { return cabWith([]byte(Marker)) }),
		f("tar, pax value", func() []byte { return tarOf(pax("comment", Marker), tarMember("b", benign())) }),
	}
}

// extra is an extra field of zip and of gzip: an id, a length and the marker.
func extra() []byte {
	b := le.AppendUint16([]byte{0x99, 0x99}, uint16(len(Marker)))
	return append(b, Marker...)
}

// rarWith is an empty RAR 5 archive with a record in the extra area of its main header
// (RAR 5.0 archive format, "Main archive header").
func rarWith(content []byte) []byte {
	block := func(body ...byte) []byte {
		b := append([]byte{byte(len(body))}, body...)
		return append(le.AppendUint32(nil, crc32.ChecksumIEEE(b)), b...)
	}
	record := append([]byte{byte(len(content) + 1), 0x70}, content...)
	main := append([]byte{1, 1, byte(len(record)), 0}, record...)
	return join([]byte("Rar!\x1a\x07\x01\x00"), block(main...), block(5, 0, 0))
}

// cabWith is a cabinet of one stored file with something in its reserve (MS-CAB, 2.1).
func cabWith(reserve []byte) []byte {
	content := benign()
	head := 40 + len(reserve)
	files, data := head+8, head+8+18
	b := append([]byte("MSCF\x00\x00\x00\x00"), make([]byte, 28)...)
	le.PutUint32(b[8:], uint32(data+8+len(content)))
	le.PutUint32(b[16:], uint32(files))
	copy(b[24:], "\x03\x01\x01\x00\x01\x00\x04\x00")
	b = le.AppendUint16(b, uint16(len(reserve)))
	b = append(b, 0, 0)
	b = append(b, reserve...)
	b = le.AppendUint32(b, uint32(data))
	b = append(b, 1, 0, 0, 0) // blocks, method
	b = le.AppendUint32(b, uint32(len(content)))
	b = append(b, make([]byte, 12)...)
	b = append(b, 'b', 0)
	b = append(b, 0, 0, 0, 0) // no checksum
	b = le.AppendUint16(b, uint16(len(content)))
	b = le.AppendUint16(b, uint16(len(content)))
	return append(b, content...)
}

// rareForms are formats of one program each.
func rareForms() []Input {
	zombie := func(n int) func() []byte {
		return func() []byte {
			c := squeeze(hidden()).data
			for range n {
				c = squeeze(c).data
			}
			return zipOf(stored("m", c))
		}
	}
	return []Input{
		in(9, "lzma: a size of 2^62", Either, func() []byte { return edited(lzmaOf(hidden(), false), 5, "\x00\x00\x00\x00\x00\x00\x00\x40") }),
		in(9, "lzma: properties that there are none of", Either, func() []byte { return edited(lzmaOf(hidden(), false), 0, "\xe1") }),
		in(23, "zip: stored, and deflated twice", Found, zombie(1), "ambiguous.zip.method"),
		in(23, "zip: stored, and deflated four times", Found, zombie(3), "ambiguous.zip.method"),
		in(31, "ar: thin, its members elsewhere", Incomplete, func() []byte {
			return join([]byte("!<thin>\n"), arEntry("//", 4, []byte("m/\n\n")), arEntry("/0", 5000, nil))
		}, "unsupported.format.ar-thin"),
		in(31, "BinHex", Found, func() []byte { return binHex("m.txt", hidden(), nil) }),
		in(31, "BinHex: in the resources", Found, func() []byte { return binHex("m.txt", benign(), hidden()) }),
		in(31, "BinHex: behind text, in a gzip", Found, func() []byte {
			return gzipOf(join([]byte("Dear all,\nhere it is.\n\n"), binHex("m.txt", hidden(), nil)))
		}),
		in(31, "BinHex: a size that lies", Either, func() []byte { return binHex("m.txt", hidden(), nil)[:200] }),
		in(31, "mozlz4", Found, func() []byte { return mozilla(gzipOf(hidden()), 0) }),
		in(31, "mozlz4: a size that lies", Either, func() []byte { return mozilla(gzipOf(hidden()), 1<<31) }),
		in(31, "pbzx", Found, func() []byte { return pbzx(xzOf(hidden()), len(hidden())) }),
		in(31, "pbzx: a chunk that is cut", Either, func() []byte { b := pbzx(xzOf(hidden()), len(hidden())); return b[:len(b)-30] }),
		in(31, "SIS, of Symbian before 9", Incomplete, func() []byte {
			return join([]byte("\x6d\x00\x00\x10\x12\x3a\x00\x10\x19\x04\x00\x10"), noise(300, 1))
		}, "corrupt"),
		in(31, "SIS, of Symbian 9", Incomplete, func() []byte { return join([]byte("\x7a\x1a\x20\x10"), noise(300, 2)) }, "unsupported.format.sis"),
		in(31, "InstallShield 3", Incomplete, func() []byte { return join([]byte("\x13\x5d\x65\x8c\x3a\x01\x02\x00"), noise(300, 3)) }, "unsupported.format.installshield-z"),
		in(31, "InstallShield's cabinet", Incomplete, func() []byte { return join([]byte("ISc(\x0c\x60\x00\x01"), noise(300, 4)) }, "unsupported.format.installshield-cab"),
	}
}

// mozilla is a .mozlz4 file of literals alone.
func mozilla(content []byte, more uint32) []byte {
	b := le.AppendUint32([]byte("mozLz40\x00"), uint32(len(content))+more)
	b = append(b, 0xf0)
	n := len(content) - 15
	for ; n >= 255; n -= 255 {
		b = append(b, 255)
	}
	return append(append(b, byte(n)), content...)
}

// pbzx is a payload of one chunk, a whole .xz file.
func pbzx(chunk []byte, size int) []byte {
	be := binary.BigEndian
	b := be.AppendUint64([]byte("pbzx"), 1<<24)
	b = be.AppendUint64(b, uint64(size))
	b = be.AppendUint64(b, uint64(len(chunk)))
	return append(b, chunk...)
}

// binHex writes BinHex 4.0 (RFC 1741).
func binHex(name string, data, resource []byte) []byte {
	be := binary.BigEndian
	sum := func(b []byte) []byte {
		s := uint16(0)
		for _, c := range b {
			s ^= uint16(c) << 8
			for range 8 {
				s = s<<1 ^ s>>15*0x1021
			}
		}
		return be.AppendUint16(b, s)
	}
	h := append([]byte{byte(len(name))}, name...)
	h = append(h, "\x00TEXTmake\x00\x00"...)
	h = be.AppendUint32(h, uint32(len(data)))
	h = be.AppendUint32(h, uint32(len(resource)))
	all := join(sum(h), sum(bytes.Clone(data)), sum(bytes.Clone(resource)))
	all = append(bytes.ReplaceAll(all, []byte{0x90}, []byte{0x90, 0}), 0) // 0x90 says that a byte is repeated; a zero to fill the last character
	var out strings.Builder
	out.WriteString("(This file must be converted with BinHex 4.0)\n\n:")
	bits, have := 0, 0
	for _, c := range all {
		bits, have = bits<<8|int(c), have+8
		for have >= 6 {
			have -= 6
			out.WriteByte("!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"[bits>>have&63])
			if out.Len()%64 == 0 {
				out.WriteByte('\n')
			}
		}
	}
	out.WriteString(":\n")
	return []byte(out.String())
}
