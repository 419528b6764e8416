package hostile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

func smallMZ() []byte {
	b := make([]byte, 512)
	copy(b, "MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff")
	return b
}

// peSection is one section header of 40 bytes.
func peSection(name string, vsize, rva, rawSize, raw uint32) []byte {
	b := make([]byte, 40)
	copy(b[:8], name)
	for i, v := range []uint32{vsize, rva, rawSize, raw} {
		le.PutUint32(b[8+4*i:], v)
	}
	le.PutUint32(b[36:], 0x60000020)
	return b
}

// peOf is a 32-bit PE file that says it has count sections, with the headers
// given. The first 512 bytes behind the headers are at offset 1024.
func peOf(count int, sections []byte, edit func([]byte)) []byte {
	b := make([]byte, 64, 2048)
	copy(b, "MZ")
	le.PutUint32(b[60:], 64)
	b = append(b, "PE\x00\x00\x4c\x01"...)
	b = le.AppendUint16(b, uint16(count))
	b = append(b, make([]byte, 12)...)
	b = append(b, 224, 0, 2, 1)
	opt := make([]byte, 224)
	copy(opt, "\x0b\x01")
	for at, v := range map[int]uint32{16: 0x1000, 20: 0x1000, 28: 0x400000, 32: 0x1000, 36: 0x200, 56: 0x3000, 60: 0x400, 92: 16} {
		le.PutUint32(opt[at:], v)
	}
	le.PutUint16(opt[40:], 4)
	le.PutUint16(opt[48:], 4)
	le.PutUint16(opt[68:], 3)
	b = append(append(b, opt...), sections...)
	if len(b) < 1024 {
		b = append(b, make([]byte, 1024-len(b))...)
	}
	b = append(b, make([]byte, 512)...)
	if edit != nil {
		edit(b)
	}
	return b
}

func smallPE(overlay []byte) []byte {
	return append(peOf(1, peSection(".text", 0x200, 0x1000, 0x200, 0x400), nil), overlay...)
}

// smallELF is a 64-bit ELF header and one program header.
func smallELF() []byte {
	b := make([]byte, 120)
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], 2)
	le.PutUint16(b[18:], 62)
	le.PutUint32(b[20:], 1)
	le.PutUint64(b[24:], 0x400078)
	le.PutUint64(b[32:], 64)
	le.PutUint16(b[52:], 64)
	le.PutUint16(b[54:], 56)
	le.PutUint16(b[56:], 1)
	le.PutUint32(b[64:], 1)
	le.PutUint64(b[80:], 0x400000)
	return b
}

// fatOf is a universal file of the given parts.
func fatOf(parts ...[]byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte("\xca\xfe\xba\xbe"), uint32(len(parts)))
	at := 8 + 20*len(parts)
	for i, p := range parts {
		for _, v := range []int{7 + i, 3, at, len(p), 0} {
			b = binary.BigEndian.AppendUint32(b, uint32(v))
		}
		at += len(p)
	}
	return join(append([][]byte{b}, parts...)...)
}

func smallMachO() []byte {
	b := make([]byte, 64)
	copy(b, "\xcf\xfa\xed\xfe\x07\x00\x00\x01\x03\x00\x00\x00\x02\x00\x00\x00")
	return b
}

func programs() []Input {
	mark := []byte(Marker)
	elf := func(edit func([]byte)) func() []byte {
		return func() []byte { b := smallELF(); edit(b); return append(b, mark...) }
	}
	zipped := func() []byte { return zipOf(pack("m", hidden())) }
	return []Input{
		plain(36, "PE: 65,535 sections, 2,000 headers of size 0xffffffff", Found, func() []byte {
			return append(peOf(65535, bytes.Repeat(peSection("x", 1<<32-1, 1<<32-1, 1<<32-1, 1<<32-1), 2000), nil), mark...)
		}),
		plain(36, "PE: sections that overlap", Found, func() []byte {
			return append(peOf(90, bytes.Repeat(peSection("x", 1<<31, 0x1000, 0x200, 0x400), 90), nil), mark...)
		}),
		in(36, "PE: a zip behind the image", Found, func() []byte { return smallPE(zipped()) }),
		plain(36, "PE: UPX with sizes that lie", Found, func() []byte {
			return append(peOf(2, join(peSection("UPX0", 1<<31, 0x1000, 0, 0x400), peSection("UPX1", 1<<32-1, 0x2000, 1<<32-1, 0x400)), nil), mark...)
		}, "unsupported.packer.upx"),
		in(36, "PE: UPX, the marker not in sight", Incomplete, func() []byte {
			return peOf(2, join(peSection("UPX0", 0x1000, 0x2000, 0, 0x400), peSection("UPX1", 0x200, 0x1000, 0x200, 0x400)), nil)
		}, "unsupported.packer.upx"),
		in(36, "PE: UPX with a size of 2 GiB, the marker not in sight", Incomplete, func() []byte {
			return peOf(2, join(peSection("UPX0", 1<<31, 0x2000, 0, 0x400), peSection("UPX1", 0x200, 0x1000, 0x200, 0x400)), nil)
		}, "unsupported.packer.upx"),
		plain(36, "PE: import and resource tables that lead to themselves", Found, func() []byte {
			return append(peOf(1, peSection(".rsrc", 0x200, 0x1000, 0x200, 0x400), func(b []byte) {
				for _, at := range []int{64 + 24 + 96 + 8, 64 + 24 + 96 + 16} { // imports, resources
					le.PutUint32(b[at:], 0x1000)
					le.PutUint32(b[at+4:], 1<<32-1)
				}
				r := b[1024:]
				le.PutUint16(r[14:], 0xffff)
				for i := 16; i+8 <= 512; i += 8 {
					le.PutUint32(r[i:], 16)
					le.PutUint32(r[i+4:], 1<<31) // the root again
				}
			}), mark...)
		}),
		in(36, "PE: 200 PE files in each other, a zip in the last", Found, func() []byte {
			var b []byte
			for range 200 {
				b = append(b, smallPE(nil)...)
			}
			return append(b, zipped()...)
		}),
		plain(36, "ELF: e_shnum 0, section count in a section that is not there", Found, elf(func(b []byte) { le.PutUint64(b[40:], 1<<63); le.PutUint16(b[58:], 64) })),
		plain(36, "ELF: e_shnum and e_phnum 0xffff", Found, elf(func(b []byte) {
			le.PutUint64(b[40:], 64)
			le.PutUint16(b[56:], 0xffff)
			le.PutUint16(b[58:], 64)
			le.PutUint16(b[60:], 0xffff)
		})),
		plain(36, "Mach-O: 2^31 load commands", Found, func() []byte {
			b := smallMachO()
			le.PutUint32(b[16:], 1<<31)
			le.PutUint32(b[20:], 1<<31)
			return append(b, mark...)
		}),
		in(36, "Mach-O: universal file in itself, a zip in a part", Found, func() []byte {
			return fatOf(fatOf(smallMachO(), smallMachO()), append(smallMachO(), zipped()...))
		}),
		in(36, "Mach-O: universal file whose part is itself", Either, func() []byte {
			b := fatOf(smallMachO(), append(smallMachO(), zipped()...))
			binary.BigEndian.PutUint32(b[16:], 0)
			binary.BigEndian.PutUint32(b[20:], uint32(len(b)))
			return b
		}),
		in(36, "Mach-O: 30 parts that all lie over the whole file", Either, func() []byte {
			b := fatOf(make([][]byte, 30)...)
			for i := range 30 {
				binary.BigEndian.PutUint32(b[8+20*i+8:], 100)
				binary.BigEndian.PutUint32(b[8+20*i+12:], 1<<31)
			}
			return join(b, smallMachO(), zipped())
		}),
	}
}

func (s scale) texts() []Input {
	utf16 := func(order binary.ByteOrder, mark []byte, text string) []byte {
		b := bytes.Clone(mark)
		for _, r := range text {
			b = append(b, 0, 0)
			order.PutUint16(b[len(b)-2:], uint16(r))
		}
		return b
	}
	page := strings.Repeat("padding of a page ", 20) + Marker
	js := int(s.pick(10, 100))
	return []Input{
		plain(37, "5 MiB of 'a', then the marker", Found, func() []byte { return append(bytes.Repeat([]byte("a"), 5<<20), Marker...) }),
		plain(37, `300,000 <a href=", then the marker`, Found, func() []byte {
			return append([]byte("<html><body>"+strings.Repeat(`<a href="`, 300_000)), Marker...)
		}),
		plain(37, fmt.Sprintf("%d MB of script in one line, then the marker", js), Found, func() []byte {
			return append(bytes.Repeat([]byte("var a=b+c;f(a);"), js<<20/15), Marker...)
		}),
		in(37, "UTF-16 LE text", Found, func() []byte { return utf16(binary.LittleEndian, []byte{0xff, 0xfe}, page) }),
		in(37, "UTF-16 BE text", Found, func() []byte { return utf16(binary.BigEndian, []byte{0xfe, 0xff}, page) }),
		in(37, "UTF-16 page", Found, func() []byte {
			return utf16(binary.LittleEndian, []byte{0xff, 0xfe}, "<html><script>"+page+"</script></html>")
		}),
		plain(37, "a page of 200,000 elements in each other", Found, func() []byte {
			return append([]byte("<html>"+strings.Repeat("<div>", 200_000)), Marker...)
		}),
		in(37, "a page: the marker in entities", Found, func() []byte {
			var b strings.Builder
			for _, c := range []byte(Marker) {
				fmt.Fprintf(&b, "&#x%x;", c)
			}
			return []byte("<html><body><p>" + b.String() + "</p></body></html>")
		}),
	}
}
