package hostile

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strings"
)

// variants are further forms of the inputs of each row: other formats around the same
// trick, other sizes, orders, paddings and places.
func (s scale) variants() []Input {
	var all []Input
	for _, part := range [][]Input{s.bombForms(), streamForms(), nestForms(), zipLies(), zipEnds(), behindForms(), tarForms(), cutForms(), sealedForms(), discForms(), namesInTar()} {
		all = append(all, part...)
	}
	return all
}

// bombForms are bombs of rows 1 to 7.
func (s scale) bombForms() []Input {
	const n = 3 << 30 // 2 GiB of zeros out of deflate are looked through
	zeros := func() []byte { return squeezeZeros(nil, n, nil).gzip() }
	return []Input{
		in(1, "tar in gzip: 20 gzips of zeros", Incomplete, func() []byte {
			var ms [][]byte
			for i := range 20 {
				ms = append(ms, tarMember(fmt.Sprint(i), squeezeZeros(noise(16, uint64(i)), 30<<20, nil).gzip()))
			}
			return gzipOf(tarOf(ms...))
		}, "limit."),
		in(2, "zip: 2,000 records of 30 MiB that share one local header", Incomplete, func() []byte {
			m := squeezeZeros(nil, 30<<20, nil).member("0")
			ms := []member{m}
			for i := 1; i < 2000; i++ {
				o := m.inCentral(func(h *header) { h.name = fmt.Sprint(i) })
				o.headless = true
				ms = append(ms, o)
			}
			return zipOf(ms...)
		}, "limit.", "ambiguous.zip.overlap"),
		in(3, "zip64: 20 members that overlap", Incomplete, func() []byte { return overlapping(20, 21<<20, true) }, "limit."),
		in(5, "gzip of zeros in a gzip", Incomplete, func() []byte { return gzipOf(zeros()) }, "limit."),
		in(5, "gzip of zeros in a zip in a tar", Incomplete, func() []byte { return tarOf(tarMember("z", zipOf(pack("g", zeros())))) }, "limit."),
		in(5, "gzip: zeros in 300 members", Incomplete, func() []byte { return bytes.Repeat(squeezeZeros(nil, 10<<20, nil).gzip(), 300) }, "limit."),
		in(5, "mail: gzip of zeros", Incomplete, func() []byte { return letter("hi", base64Part("a.gz", zeros())) }, "limit."),
		in(6, "lzma: a dictionary of 4 GiB", Found, func() []byte {
			b := lzmaOf(hidden(), false)
			copy(b[1:], "\xff\xff\xff\xff")
			return b
		}),
		in(6, "lzma: a dictionary of an odd size", Found, func() []byte {
			b := lzmaOf(hidden(), false)
			copy(b[1:], "\x40\x4b\x4c\x00")
			return b
		}),
		in(7, "zstd: 16 kinds of skippable frames", Found, func() []byte {
			var b []byte
			for i := range byte(16) {
				b = append(b, 0x50+i, 0x2a, 0x4d, 0x18, i, 0, 0, 0)
				b = append(b, make([]byte, i)...)
			}
			return append(b, zstdOf(hidden())...)
		}),
		in(7, "zstd: two frames, the marker in the second", Found, func() []byte { return join(zstdOf(benign()), zstdOf(hidden())) }),
		in(7, "zstd and then lz4", Either, func() []byte { return join(zstdOf(benign()), lz4Of(bytes.Repeat(mix(hidden()), 2))) }),
		in(7, "lz4 and then zstd", Either, func() []byte { return join(lz4Of(benign()), zstdOf(hidden())) }),
	}
}

// streamForms are streams of rows 8 to 10.
func streamForms() []Input {
	b2, h2 := unhex(bzip2Benign), unhex(bzip2Hidden)
	gz := func(flags byte, extra string) []byte {
		s := squeeze(hidden())
		b := append([]byte{0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255}, extra...)
		b = append(b, s.data...)
		b = le.AppendUint32(b, s.crc)
		return le.AppendUint32(b, uint32(s.size))
	}
	f := func(row int, name string, want Want, parts ...[]byte) Input {
		return in(row, name, want, func() []byte { return join(parts...) })
	}
	out := []Input{
		f(8, "bzip2: three streams, the marker in the last", Found, b2, b2, h2),
		f(8, "bzip2: junk between the streams", Either, b2, noise(300, 1), h2),
		f(8, "bzip2: zeros between the streams", Either, b2, make([]byte, 512), h2),
		f(8, "bzip2: a line end between the streams", Either, b2, []byte("\n"), h2),
		f(8, "bzip2: gzip behind it", Either, b2, gzipOf(hidden())),
		f(9, "lzma: a size of 10 bytes", Either, edited(lzmaOf(hidden(), true), 5, "\x0a\x00\x00\x00\x00\x00\x00\x00")),
		f(9, "lzma: a size of 1 TiB", Either, edited(lzmaOf(hidden(), true), 5, "\x00\x00\x00\x00\x00\x01\x00\x00")),
		f(9, "lzma: gzip behind it", Either, lzmaOf(benign(), false), gzipOf(hidden())),
		f(9, "lzma in a zip", Found, zipOf(pack("a.lzma", lzmaOf(hidden(), false)))),
		f(9, "lzip", Found, made(madeLzipOne)),
		f(9, "lzip: two, the same", Found, made(madeLzipOne), made(madeLzipOne)),
		plain(9, "lzop", Found, func() []byte { return made(madeLzopOne) }),
		f(9, "compress", Found, made(madeCompressOne)),
		f(10, "gzip: 7 bytes of junk between the members", Either, gzipOf(benign()), noise(7, 3), gzipOf(hidden())),
		f(10, "gzip: xz behind it", Either, gzipOf(benign()), xzOf(hidden())),
		f(10, "gzip: zip behind it", Either, gzipOf(benign()), zipOf(pack("m", hidden()))),
		f(10, "gzip: bzip2 behind it", Either, gzipOf(benign()), h2),
		f(10, "gzip: an empty member first", Found, gzipOf(nil), gzipOf(hidden())),
		f(10, "gzip: all fields of the header", Found, gz(0x1f, "\x03\x00abcname\x00comment\x00\xaa\xbb")),
		f(10, "gzip: reserved flags", Either, gz(0xe0, "")),
		f(10, "gzip: an extra field of 64 KiB", Found, gz(4, "\xff\xff"+strings.Repeat("x", 65535))),
		f(10, "gzip: a name of 100,000 bytes", Found, gz(8, strings.Repeat("n", 100_000)+"\x00")),
		f(10, "gzip: a name without an end", Either, gz(8, "")[:12]),
		f(10, "xz: junk between the streams", Either, xzOf(benign()), noise(40, 1), xzOf(hidden())),
		f(10, "xz: 5 bytes of padding", Either, xzOf(benign()), make([]byte, 5), xzOf(hidden())),
		f(10, "xz: 4,096 bytes of padding", Found, xzOf(benign()), make([]byte, 4096), xzOf(hidden())),
		f(10, "xz: gzip behind it", Either, xzOf(benign()), gzipOf(hidden())),
	}
	for i := range out { // what is cut off holds no marker
		if out[i].Name == "gzip: a name without an end" {
			out[i].Want = Incomplete
		}
	}
	return out
}

// edited changes the bytes at off.
func edited(b []byte, off int, with string) []byte {
	b = bytes.Clone(b)
	copy(b[off:], with)
	return b
}

// nestForms are the rows 11 to 15.
func nestForms() []Input {
	mixed := func(n int) func() []byte {
		return func() []byte {
			b := hidden()
			for i := range n {
				switch i % 5 {
				case 0:
					b = zipOf(pack("a", b))
				case 1:
					b = gzipOf(b)
				case 2:
					b = xzOf(b)
				case 3:
					b = gzipOf(tarOf(tarMember("x", b)))
				case 4:
					b = zstdOf(b)
				}
			}
			return b
		}
	}
	folders := func(n int) func() []byte {
		return func() []byte {
			var ms []member
			for i := range n {
				ms = append(ms, pack("", nil).both(func(h *header) { h.name = fmt.Sprintf("d%d/", i) }))
			}
			return zipOf(append(ms, pack("m", hidden()))...)
		}
	}
	return []Input{
		in(11, "zip in zip, 31 deep", Found, func() []byte { return wrap(31, hidden(), func(b []byte) []byte { return zipOf(pack("a.zip", b)) }) }),
		in(11, "zip in zip, 33 deep", Incomplete, func() []byte { return wrap(33, hidden(), func(b []byte) []byte { return zipOf(pack("a.zip", b)) }) }, "limit.depth"),
		in(11, "five formats in each other, 20 deep", Found, mixed(20)),
		in(11, "five formats in each other, 60 deep", Incomplete, mixed(60), "limit.depth"),
		in(12, "gzip in gzip, 100 deep", Incomplete, func() []byte { return wrap(100, hidden(), gzipOf) }, "limit.depth"),
		in(12, "xz in xz, 20 deep", Found, func() []byte { return wrap(20, hidden(), xzOf) }),
		in(12, "tar in tar, 60 deep", Incomplete, func() []byte {
			return wrap(60, gzipOf(hidden()), func(b []byte) []byte { return tarOf(tarMember("a.tar", b)) })
		}, "limit.depth"),
		in(13, "tar in gzip: the marker after 130 MiB of zeros", Found, func() []byte {
			h := tarEntry("a", '0', 130<<20+int64(len(hidden())), nil, nil)
			return squeezeZeros(h, 130<<20, join(hidden(), make([]byte, 2048))).gzip()
		}),
		in(13, "zip: the marker after twice 60 MiB", Found, func() []byte {
			return zipOf(squeezeZeros(nil, 60<<20, nil).member("a"), squeezeZeros(nil, 60<<20, hidden()).member("b"))
		}),
		in(14, "zip: 20,000 folders, then the marker", Found, folders(20_000)),
		in(14, "tar in gzip: 12,000 members, the marker in the last", Found, func() []byte {
			var ms [][]byte
			for i := range 12_000 {
				ms = append(ms, tarMember(fmt.Sprint(i), []byte("x")))
			}
			return gzipOf(tarOf(append(ms, tarMember("m", hidden()))...))
		}),
		in(15, "tar in gzip: 4 members of 40 MiB, then the marker", Either, func() []byte {
			b := []byte{}
			for i := range 4 {
				b = append(b, squeezeZeros(tarEntry(fmt.Sprint(i), '0', 40<<20, nil, nil), 40<<20, nil).gzip()...)
			}
			return append(b, gzipOf(tarOf(tarMember("m", hidden())))...)
		}),
	}
}

func wrap(n int, b []byte, f func([]byte) []byte) []byte {
	for range n {
		b = f(b)
	}
	return b
}

// zipLies are headers of zips that differ: rows 16 to 24.
func zipLies() []Input {
	secret := func() member { return pack("m.txt", hidden()) }
	good := func() member { return pack("b.txt", benign()) }
	z := func(row int, name string, ms ...member) Input {
		return in(row, "zip: "+name, Found, func() []byte { return zipOf(ms...) })
	}
	three := func(at int) func() []byte {
		return func() []byte {
			var b []byte
			for i := range 3 {
				m := good()
				if i == at {
					m = secret()
				}
				b = append(b, zipOf(m)...)
			}
			return b
		}
	}
	out := []Input{
		in(16, "three zips joined, the marker in the first", Found, three(0)),
		in(16, "three zips joined, the marker in the second", Found, three(1)),
		in(17, "three zips joined, the marker in the third", Found, three(2)),
		in(16, "two zips, 500 bytes of junk between", Found, func() []byte { return join(zipOf(secret()), noise(500, 1), zipOf(good())) }),
		in(17, "two zips, 70,000 zeros between", Found, func() []byte { return join(zipOf(good()), make([]byte, 70_000), zipOf(secret())) }),
		in(17, "zip after 1 MiB of junk", Found, func() []byte { return join(noise(1<<20, 1), zipOf(secret())) }),
		in(17, "zip before 1 MiB of junk", Found, func() []byte { return join(zipOf(secret()), noise(1<<20, 2)) }),
		in(17, "an empty zip before it", Found, func() []byte { return join(zipEnd(0, 0, 0, "nothing"), zipOf(secret())) }),
		in(16, "an empty zip behind it", Found, func() []byte { return join(zipOf(secret()), zipEnd(0, 0, 0, "")) }),
		z(19, "the packed size 0 in the local header", secret().inLocal(func(h *header) { h.packed = 0 })),
		z(19, "the size 0 in the local header", secret().inLocal(func(h *header) { h.size = 0 })),
		z(19, "half of it in the directory, and another member", secret().inCentral(func(h *header) { h.packed = 20 }), good()),
		z(19, "1 byte in both headers", secret().both(func(h *header) { h.packed, h.size = 1, 1 }), good()),
		z(19, "100,000 bytes in both headers", secret().both(func(h *header) { h.packed, h.size = 100_000, 100_000 }), good()),
		z(19, "a descriptor that is not there", secret().both(func(h *header) { h.flags = 8 }).inLocal(func(h *header) { h.packed, h.size, h.crc = 0, 0, 0 }), good()),
		z(19, "sizes of Zip64 that lie", secret().inCentral(func(h *header) {
			h.packed, h.size = 1<<32-1, 1<<32-1
			h.extra = append([]byte{1, 0, 16, 0}, bytes.Repeat([]byte{1, 0, 0, 0, 0, 0, 0, 0}, 2)...)
		}), good()),
		z(20, "names that differ in case", secret().inCentral(func(h *header) { h.name = "M.TXT" })),
		z(20, "no name in the directory", secret().inCentral(func(h *header) { h.name = "" })),
		z(20, "no name in the local header", secret().inLocal(func(h *header) { h.name = "" })),
		z(20, "a folder by the directory", secret().inCentral(func(h *header) { h.name = "d/" })),
		z(20, "an extra field that is longer than there is", secret().inLocal(func(h *header) { h.extra = []byte{1, 0, 255, 255} })),
		z(20, "an extra field of 60,000 bytes", secret().inLocal(func(h *header) { h.extra = noise(60_000, 1) })),
		z(23, "stored by both headers, and deflated, between others", good(), secret().both(func(h *header) { h.method, h.size = 0, h.packed }), good()),
		z(23, "stored by both headers, deflated, no checksum", secret().both(func(h *header) { h.method, h.size, h.crc = 0, h.packed, 0 })),
		z(23, "stored by both headers, deflated, the true size", secret().both(func(h *header) { h.method = 0 })),
		z(24, "says that it is encrypted, by the local header only", secret().inLocal(func(h *header) { h.flags |= 1 })),
		z(24, "says that it is encrypted strongly, and is not", secret().both(func(h *header) { h.flags |= 0x41 })),
	}
	for _, p := range [][2]uint16{{12, 8}, {8, 12}, {9, 8}, {8, 9}, {14, 8}, {8, 14}, {99, 8}, {8, 93}, {1, 8}, {6, 8}} {
		out = append(out, z(18, fmt.Sprintf("method %d by the local header, %d by the directory", p[0], p[1]),
			secret().inLocal(func(h *header) { h.method = p[0] }).inCentral(func(h *header) { h.method = p[1] })))
	}
	for _, m := range []uint16{7, 10, 65535} {
		out = append(out, z(23, fmt.Sprintf("method %d by both headers, and deflated", m), secret().both(func(h *header) { h.method = m })))
	}
	return out
}

// zipEnds are zips with odd directories: rows 21, 22 and 26.
func zipEnds() []Input {
	secret := func() member { return pack("m.txt", hidden()) }
	good := func() member { return pack("b.txt", benign()) }
	loose := func(m member) member { m.unlisted = true; return m }
	end := func(name string, f func(b []byte, size, dir int64) []byte) Input {
		return in(26, "zip: "+name, Found, func() []byte {
			b, dir, _ := body([]member{secret()})
			return f(b, int64(len(b))-dir, dir)
		})
	}
	raw := func(m member) []byte { return append(m.local.appendLocal(nil), m.data...) }
	wide := func(name string, count int, size, dir, here int64) Input {
		return end(name, func(b []byte, n, d int64) []byte {
			if here == 0 {
				here = int64(len(b))
			}
			return join(b, zipEnd64(count, size, dir, here), zipEnd(1, n, d, ""))
		})
	}
	return []Input{
		in(21, "zip: 50 members that no directory names, the marker in the last", Found, func() []byte {
			var ms []member
			for i := range 50 {
				ms = append(ms, loose(pack(fmt.Sprint(i), benign())))
			}
			return zipOf(append(ms, loose(secret()), good())...)
		}, "ambiguous.zip.entry"),
		in(21, "zip: cut in its directory", Found, func() []byte { b := zipOf(good(), secret()); return b[:len(b)-60] }),
		in(21, "zip: the end is missing", Found, func() []byte { b := zipOf(good(), secret()); return b[:len(b)-22] }),
		in(21, "zip: an end of no members", Found, func() []byte { return join(raw(secret()), zipEnd(0, 0, 0, "")) }),
		in(22, "zip: a member before the zip", Found, func() []byte { return join(raw(secret()), zipOf(good())) }),
		in(22, "zip: a member in the extra field of a local header", Found, func() []byte {
			return zipOf(good().inLocal(func(h *header) { h.extra = raw(secret()) }))
		}),
		in(22, "zip: a member in the extra field of a local header, in that of another", Found, func() []byte {
			inner := good().inLocal(func(h *header) { h.extra = raw(secret()) })
			return zipOf(good().inLocal(func(h *header) { h.extra = raw(inner) }))
		}),
		in(22, "zip: a member behind the zip", Found, func() []byte { return join(zipOf(good()), raw(secret())) }),
		in(22, "zip: a member in an extra field of the directory", Found, func() []byte {
			return zipOf(good().inCentral(func(h *header) { h.extra = raw(secret()) }))
		}),
		in(22, "zip: a member in the comment", Found, func() []byte {
			b, dir, n := body([]member{good()})
			return append(b, zipEnd(n, int64(len(b))-dir, dir, string(raw(secret())))...)
		}),
		end("the end says 5 members", func(b []byte, n, d int64) []byte { return append(b, zipEnd(5, n, d, "")...) }),
		end("the end says a directory of no bytes", func(b []byte, _, d int64) []byte { return append(b, zipEnd(1, 0, d, "")...) }),
		end("the end says a directory at 0", func(b []byte, n, _ int64) []byte { return append(b, zipEnd(1, n, 0, "")...) }),
		end("the end says a directory at 4 GiB", func(b []byte, n, _ int64) []byte { return append(b, zipEnd(1, n, 1<<32-16, "")...) }),
		end("the comment is longer than there is", func(b []byte, n, d int64) []byte {
			return append(b, zipEnd(1, n, d, strings.Repeat("c", 60_000))[:100]...)
		}),
		end("three more ends", func(b []byte, n, d int64) []byte {
			return join(b, zipEnd(1, n, d, ""), zipEnd(0, 0, 0, ""), zipEnd(1, 10, 5, ""), zipEnd(7, 1<<31, 1<<31, ""))
		}),
		wide("a Zip64 end of nothing", 0, 0, 0, 0),
		wide("a Zip64 locator that leads nowhere", 1, 46, 300, 3),
		wide("a Zip64 locator of 2^62", 1, 46, 300, 1<<62),
		wide("a Zip64 end of 2^50 members", 1<<50, 46, 300, 0),
	}
}

// behindForms are archives behind other files: row 27.
func behindForms() []Input {
	var out []Input
	fronts := []struct {
		name string
		data []byte
	}{
		{"PNG", []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00\x90wS\xde\x00\x00\x00\x00IEND\xaeB`\x82")},
		{"JPEG", []byte("\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9")},
		{"GIF", smallGIF()},
		{"BMP", append([]byte("BM\x3a\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x18\x00"), make([]byte, 28)...)},
		{"WAV", []byte("RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x44\xac\x00\x00\x88\x58\x01\x00\x02\x00\x10\x00data\x00\x00\x00\x00")},
		{"MP3", []byte("ID3\x03\x00\x00\x00\x00\x00\x00")},
		{"Java class", []byte("\xca\xfe\xba\xbe\x00\x00\x00\x34\x00\x01")},
		{"RTF", []byte("{\\rtf1 hello}")},
		{"shell script", []byte("#!/bin/sh\nexit 0\n")},
		{"text", []byte(strings.Repeat("a line of some text\n", 40))},
		{"mail", []byte("From: a@example.org\nTo: b@example.org\nSubject: x\n\nbody\n")},
		{"gzip", gzipOf(benign())},
		{"tar", tarOf(tarMember("b", benign()))},
		{"junk", noise(5000, 8)},
	}
	seven := made(made7zSolid)
	for _, f := range fronts {
		out = append(out, in(27, f.name+" with a zip right behind it", Found, func() []byte { return join(f.data, zipOf(pack("m", hidden()))) }),
			in(27, "zip with "+f.name+" behind it", Found, func() []byte { return join(zipOf(pack("m", hidden())), f.data) }))
		switch f.name {
		case "mail", "tar", "gzip":
		default:
			out = append(out, in(27, f.name+" with a 7z behind it", Found, func() []byte { return join(f.data, seven) }))
		}
	}
	for _, f := range fronts {
		for name, data := range map[string][]byte{"ARJ": made(madeArjOne), "LHA": made(madeLhaFive), "cpio": join(cpioNewc("m.gz", gzipOf(hidden())), cpioNewc("TRAILER!!!", nil))} {
			switch f.name {
			case "junk", "PNG", "shell script", "text":
				out = append(out, in(27, f.name+" with "+name+" behind it", Found, func() []byte { return join(f.data, data) }))
			}
		}
	}
	sortByName(out)
	return append(out,
		in(27, "PNG with a cabinet behind it", Found, func() []byte { return join(fronts[0].data, made(madeCabMSZIP)) }),
		in(27, "ELF program with a 7z behind it", Found, func() []byte { return join(smallELF(), seven) }),
		in(27, "PE program with a 7z behind it", Found, func() []byte { return join(smallPE(nil), seven) }),
		in(27, "PE program with a cabinet behind it", Found, func() []byte { return join(smallPE(nil), made(madeCabMSZIP)) }),
		in(27, "shell script, a zip, and a gzip in a stored member's middle", Found, func() []byte {
			return join([]byte("#!/bin/sh\ntail -c +90 $0\n"), zipOf(stored("a.gz", gzipOf(noise(500, 1))), stored("b", join([]byte{1, 2, 3, 4, 5, 6, 7}, gzipOf(hidden())))))
		}),
		in(27, "shell script, a zip, and a gzip behind it", Found, func() []byte {
			return join([]byte("#!/bin/sh\ntail -c +90 $0\n"), zipOf(stored("a.gz", gzipOf(noise(500, 1)))), gzipOf(hidden()))
		}),
		in(27, "shell script with a gzip behind it", Found, func() []byte { return join([]byte("#!/bin/sh\ntail -n +3 $0\n"), gzipOf(hidden())) }),
	)
}

// tarForms are tars of row 28.
func tarForms() []Input {
	secret := func() []byte { return tarMember("m", hidden()) }
	good := func() []byte { return tarMember("b", benign()) }
	gz := func(name string, want Want, f func() []byte) Input {
		return in(28, "tar in gzip: "+name, want, func() []byte { return gzipOf(f()) })
	}
	kind := func(k byte) func() []byte {
		return func() []byte { return tarOf(tarEntry("m", k, int64(len(hidden())), nil, hidden())) }
	}
	size := func(field string) func() []byte {
		return func() []byte {
			return tarOf(tarEntry("m", '0', 0, func(h []byte) { copy(h[124:136], field) }, hidden()))
		}
	}
	end := make([]byte, 1024)
	out := []Input{
		gz("old, no magic", Found, func() []byte {
			return tarOf(tarEntry("m", '0', int64(len(hidden())), func(h []byte) { clear(h[257:265]) }, hidden()))
		}),
		gz("no end", Either, secret),
		gz("one block of zeros between members", Found, func() []byte { return join(good(), make([]byte, 512), secret(), end) }),
		gz("a member behind the end", Found, func() []byte { return join(good(), end, secret(), end) }),
		gz("a member behind 10,240 zeros", Found, func() []byte { return join(good(), make([]byte, 10_240), secret(), end) }),
		gz("a size that is too short", Either, size("00000000012\x00")),
		gz("a size of 0", Either, size("00000000000\x00")),
		gz("a size that is too long", Either, size("00077777777\x00")),
		gz("a size of nines", Either, size("99999999999\x00")),
		gz("a size with spaces", Found, size(fmt.Sprintf("%11o ", len(hidden())))),
		gz("junk before the first header", Either, func() []byte { return join(noise(512, 1), secret(), end) }),
		gz("a gzip behind the end", Either, func() []byte { return join(good(), end, gzipOf(hidden())) }),
		gz("a long name of 2^40 bytes", Either, func() []byte {
			return tarOf(tarEntry("././@LongLink", 'L', 1<<33-1, nil, bytes.Repeat([]byte("x"), 600)), secret())
		}),
		gz("200 long names", Found, func() []byte {
			var b []byte
			for range 200 {
				b = append(b, tarEntry("././@LongLink", 'L', 300, nil, bytes.Repeat([]byte("n"), 300))...)
			}
			return join(b, secret(), end)
		}),
		gz("pax: a negative size", Either, func() []byte { return tarOf(pax("size", "-5"), secret()) }),
		gz("pax: a size of letters", Either, func() []byte { return tarOf(pax("size", "abc"), secret()) }),
		gz("pax: a size for all", Either, func() []byte {
			p := pax("size", "5")
			p[156] = 'g'
			tarSum(p[:512])
			return tarOf(p, secret())
		}),
		gz("pax: two sizes", Either, func() []byte { return tarOf(pax("size", fmt.Sprint(len(hidden()))), pax("size", "3"), secret()) }),
	}
	for _, k := range []byte{0, '1', '2', '3', '5', '6', '7', 'Z'} {
		out = append(out, gz(fmt.Sprintf("content of a member of type %q", k), Either, kind(k)))
	}
	return append(out,
		in(28, "tar: a gzip in a member, half its size", Either, func() []byte {
			c := gzipOf(join(hidden(), noise(900, 6)))
			return tarOf(tarEntry("m.gz", '0', int64(len(c)/2), nil, c))
		}),
		in(28, "tar: a gzip in a folder", Either, func() []byte {
			c := gzipOf(hidden())
			return tarOf(tarEntry("d/", '5', int64(len(c)), nil, c))
		}),
	)
}

// cutForms are files of row 29: cut at three places, and changed at two.
func cutForms() []Input {
	content := join(hidden(), noise(4000, 5))
	files := []struct {
		name string
		data []byte
	}{
		{"gzip", gzipOf(content)},
		{"xz", xzOf(content)},
		{"lzma", lzmaOf(content, false)},
		{"zstd", zstdOf(join(hidden(), []byte(hex.EncodeToString(noise(9000, 5)))))},
		{"tar in gzip", gzipOf(tarOf(tarMember("m", content)))},
		{"zip", zipOf(pack("m", content))},
		{"zip of three", zipOf(pack("a", benign()), pack("m", content), pack("c", benign()))},
		{"7z", made(made7zSolid)},
		{"cabinet", made(madeCabMSZIP)},
		{"ARJ", made(madeArjOne)},
		{"LHA", made(madeLhaFive)},
		{"lzip", made(madeLzipOne)},
		{"lzop", made(madeLzopOne)},
		{"ISO 9660", isoOf([]isoFile{{name: "M.GZ;1", content: gzipOf(content)}}, nil)},
	}
	var out []Input
	for _, f := range files {
		n := len(f.data)
		out = append(out, in(29, f.name+": without its last byte", Either, func() []byte { return f.data[:n-1] }))
		for _, percent := range []int{60, 90} {
			if f.name == "ISO 9660" && percent < 90 {
				continue // it ends before the first descriptor
			}
			out = append(out, in(29, fmt.Sprintf("%s: %d of 100 parts of it", f.name, percent), Either, func() []byte { return f.data[:n*percent/100] }))
		}
		if f.name == "ISO 9660" {
			continue // most of it is zeros that nothing checks
		}
		out = append(out, in(29, f.name+": a byte changed in its middle", Either, func() []byte {
			return edited(f.data, n/2, string(^f.data[n/2]))
		}))
	}
	for i := range out {
		if strings.HasPrefix(out[i].Name, "lzop: ") && !strings.Contains(out[i].Name, " 60 ") {
			out[i].Plain = true // what is new to it stands as it is
		}
		if strings.HasPrefix(out[i].Name, "ISO") && strings.Contains(out[i].Name, "last byte") {
			out[i].Want = Found
		}
	}
	return out
}

// sealedForms are archives of row 25 and 30.
func sealedForms() []Input {
	f := func(row int, name string, want Want, sample string) Input {
		return in(row, name, want, func() []byte { return made(sample) })
	}
	seven := func(name string, at int, edit func([]byte)) Input {
		return in(30, "7z: "+name, Either, func() []byte {
			b := made(made7zPlain)
			h := b[32+le.Uint64(b[12:]):][:le.Uint64(b[20:])]
			if i := bytes.LastIndex(h, []byte("\x03\x01\x01\x05\x5d")); i >= 0 {
				edit(h[i+at:])
			}
			le.PutUint32(b[28:], crc32.ChecksumIEEE(h))
			le.PutUint32(b[8:], crc32.ChecksumIEEE(b[12:32]))
			return b
		})
	}
	return []Input{
		f(25, "zip: encrypted (WinZip AES), no password", Incomplete, madeZipAES),
		in(25, "mail: WinZip AES and its password", Found, func() []byte { return letter("The password is Xk4-2209", base64Part("m.zip", made(madeZipAES))) }),
		in(25, "mail: WinZip AES, its password alone on a line", Found, func() []byte {
			return letter("As agreed.\r\n\r\nXk4-2209\r\n\r\nRegards", base64Part("m.zip", made(madeZipAES)))
		}),
		in(25, "mail: WinZip AES, its password in the subject", Found, func() []byte {
			return bytes.Replace(letter("see file", base64Part("m.zip", made(madeZipAES))), []byte("Subject: hello"), []byte("Subject: invoice Xk4-2209"), 1)
		}),
		in(25, "mail: WinZip AES, its password in an encoded subject", Found, func() []byte {
			return bytes.Replace(letter("see file", base64Part("m.zip", made(madeZipAES))), []byte("Subject: hello"), []byte("Subject: =?utf-8?b?WGs0LTIyMDk=?="), 1)
		}),
		in(25, "mail: WinZip AES and another password", Incomplete, func() []byte { return letter("The password is Xk4-2210", base64Part("m.zip", made(madeZipAES))) }, "encrypted"),
		in(25, "mail: WinZip AES, its password in HTML", Found, func() []byte {
			return multipart("Content-Type: multipart/mixed; boundary=\"cut\"\r\n", "cut",
				"Content-Type: text/html\r\n\r\n<p>pass<b>word</b>: <b>Xk4-2209</b></p>\r\n", base64Part("m.zip", made(madeZipAES)))
		}),
		f(30, "7z: solid, the marker in the second file", Found, made7zSolid),
		f(30, "7z: headers encrypted, no password", Incomplete, made7zSealed),
		f(30, "7z: content encrypted, no password", Incomplete, made7zLocked),
		f(30, "7z: headers encrypted by the usual password", Found, made7zInfected),
		f(30, "7z: PPMd", Found, made7zPPMd),
		f(30, "7z: BCJ2 and LZMA", Found, made7zBCJ2),
		f(30, "7z: Delta and LZMA2", Found, made7zDelta),
		f(30, "7z: bzip2", Found, made7zBzip2),
		f(30, "zip: Deflate64", Found, madeZipDeflate64),
		f(30, "zip: LZMA", Found, madeZipLZMA),
		f(30, "zip: bzip2", Found, madeZipBzip2),
		seven("a dictionary of 4 GiB", 5, func(b []byte) { copy(b, "\xff\xff\xff\xff") }),
		seven("a dictionary of 1.5 GiB", 5, func(b []byte) { copy(b, "\x00\x00\x00\x60") }),
		seven("properties that there are not", 4, func(b []byte) { b[0] = 0xff }),
		in(30, "7z behind 5,000 bytes of junk", Found, func() []byte { return join(noise(5000, 1), made(made7zSolid)) }),
		in(30, "two 7z joined", Found, func() []byte { return join(made(made7zSealed), made(made7zSolid)) }),
		in(30, "zip that holds a 7z", Found, func() []byte { return zipOf(pack("a.7z", made(made7zSolid))) }),
		f(31, "cabinet", Found, madeCabMSZIP),
		f(31, "ARJ", Found, madeArjOne),
		f(31, "LHA: lh5", Found, madeLhaFive),
		f(31, "LHA: lh7", Found, madeLhaSeven),
		in(31, "ARJ, twice", Found, func() []byte { return join(made(madeArjOne), made(madeArjOne)) }),
		in(31, "cabinet: a size of 2 GiB", Either, func() []byte { return edited(made(madeCabMSZIP), 8, "\xff\xff\xff\x7f") }),
		in(31, "cabinet: 65,535 folders", Either, func() []byte { return edited(made(madeCabMSZIP), 26, "\xff\xff") }),
		in(31, "cabinet: no files", Either, func() []byte { return edited(made(madeCabMSZIP), 28, "\x00\x00") }),
	}
}

// discForms are discs of row 31.
func discForms() []Input {
	secret := func() isoFile { return isoFile{name: "M.GZ;1", content: gzipOf(hidden())} }
	good := func() isoFile { return isoFile{name: "B.TXT;1", content: benign()} }
	iso := func(name string, want Want, files ...isoFile) Input {
		return in(31, "ISO 9660: "+name, want, func() []byte { return isoOf(files, nil) })
	}
	short := func(f isoFile, n int) isoFile { f.at, f.size, f.fixed = 20, n, true; return f }
	one := gzipOf(hidden())
	return []Input{
		iso("one file", Found, secret()),
		iso("a folder that is its own parent", Found, secret(), isoFile{name: "D", at: 18, size: isoSector, fixed: true, dir: true}),
		iso("40 folders that are the root", Found, append(loops(40), secret())...),
		iso("a folder that leads nowhere", Either, secret(), isoFile{name: "D", at: 1 << 30, size: isoSector, fixed: true, dir: true}),
		iso("a folder of 4 GiB", Either, secret(), isoFile{name: "D", at: 18, size: 1<<32 - 1, fixed: true, dir: true}),
		iso("a file of 2 GiB", Either, short(secret(), 1<<31-1), secret()),
		iso("a file that is a folder by its flags", Either, isoFile{name: "M.GZ;1", content: one, flags: 2}),
		iso("a file in several extents, of which there is one", Either, isoFile{name: "M.GZ;1", content: one, flags: 0x80}),
		iso("a hidden file", Found, isoFile{name: "M.GZ;1", content: one, flags: 1}),
		iso("a name of control characters", Found, isoFile{name: "\x1b[31m\r\n;1", content: one}),
		in(31, "ISO 9660: the file is in Joliet's tree only", Found, func() []byte { return isoOf([]isoFile{good()}, []isoFile{secret()}) }),
		in(31, "ISO 9660: the file is not in Joliet's tree", Found, func() []byte { return isoOf([]isoFile{secret()}, []isoFile{good()}) }),
		in(31, "ISO 9660: the file is in no tree", Found, func() []byte { return join(isoOf([]isoFile{good()}, nil), gzipOf(hidden())) }),
	}
}

func loops(n int) (out []isoFile) {
	for i := range n {
		out = append(out, isoFile{name: fmt.Sprintf("D%d", i), at: 18, size: isoSector, fixed: true, dir: true})
	}
	return out
}

// namesInTar are names of row 38 in tar.
func namesInTar() []Input {
	var out []Input
	for i, n := range []string{`..\..\m`, "C:m", `\\srv\share\m`, "con", ".", "..", "//", "m\r", "\x85\xa0", "\xc0\xae\xc0\xae/m", "\u2028m", "\u202a\u2066m", "m: OK", "m: Eicar FOUND", "\x9b31m", "\x1bc\x1b[?25l", "%s%n%x", "$(id)", `"},{"verdict":"nothing-found"`, "m\n\n\nOK"} {
		out = append(out, in(38, fmt.Sprintf("tar: bad name %d", i), Found, func() []byte { return gzipOf(tarOf(tarMember(n, hidden()))) }),
			in(38, fmt.Sprintf("zip: bad name %d", i), Found, func() []byte { return zipOf(pack(n, hidden())) }))
	}
	return out
}
