package hostile

import (
	"bytes"
	"encoding/hex"
	"hash/crc32"
	"strings"
)

// zips are zip files that readers read differently.
func zips() []Input {
	secret := func() member { return pack("m.txt", hidden()) }
	good := func() member { return pack("b.txt", benign()) }
	two := func(a, b member) func() []byte { return func() []byte { return join(zipOf(a), zipOf(b)) } }
	bulky := func(seed uint64, tail []byte) member { return pack("bulk", join(noise(100_000, seed), tail)) }
	return []Input{
		in(16, "two zips joined, the marker in the first", Found, two(secret(), good())),
		in(17, "two zips joined, the marker in the second", Found, two(good(), secret())),
		in(16, "two zips of 100 kB joined, the marker in the first", Found, two(bulky(1, hidden()), bulky(2, nil))),
		in(17, "two zips of 100 kB joined, the marker in the second", Found, two(bulky(1, nil), bulky(2, hidden()))),
		in(17, "zip after 4,096 zeros", Found, func() []byte { return join(make([]byte, 4096), zipOf(secret())) }),
		in(17, "zip before 70,000 zeros", Found, func() []byte { return join(zipOf(secret()), make([]byte, 70_000)) }),
		in(18, "zip: stored by the local header, deflated by the directory", Found, func() []byte {
			return zipOf(secret().inLocal(func(h *header) { h.method, h.size = 0, h.packed }))
		}, "ambiguous.zip.method"),
		in(18, "zip: deflated by the local header, stored by the directory", Found, func() []byte {
			return zipOf(secret().inCentral(func(h *header) { h.method, h.size = 0, h.packed }))
		}, "ambiguous.zip.method"),
		in(19, "zip: sizes 0 in the local header", Found, func() []byte {
			return zipOf(secret().inLocal(func(h *header) { h.packed, h.size = 0, 0 }))
		}, "ambiguous.zip.size"),
		in(19, "zip: sizes 0 in the directory", Found, func() []byte {
			return zipOf(secret().inCentral(func(h *header) { h.packed, h.size = 0, 0 }))
		}, "ambiguous.zip.size"),
		in(19, "zip: sizes 0 in both headers", Found, func() []byte {
			return zipOf(secret().both(func(h *header) { h.packed, h.size = 0, 0 }))
		}),
		in(19, "zip: the directory says 10 bytes less", Found, func() []byte {
			return zipOf(secret().inCentral(func(h *header) { h.packed -= 10; h.size -= 200 }))
		}, "ambiguous.zip.size"),
		in(19, "zip: the directory says 4 GiB", Found, func() []byte {
			return zipOf(secret().inCentral(func(h *header) { h.packed, h.size = 1<<32-2, 1<<32-2 }))
		}, "ambiguous.zip.size"),
		in(20, "zip: names differ", Found, func() []byte {
			return zipOf(secret().inCentral(func(h *header) { h.name = "b.exe" }))
		}, "ambiguous.zip.name"),
		in(20, "zip: names differ in length", Found, func() []byte {
			return zipOf(secret().inCentral(func(h *header) { h.name = "a longer name.exe" }))
		}, "ambiguous.zip.name"),
		in(20, "zip: the name of a folder, with content", Found, func() []byte {
			return zipOf(secret().both(func(h *header) { h.name = "folder/" }))
		}),
		in(21, "zip: a member that no directory names", Found, func() []byte {
			m := secret()
			m.unlisted = true
			return zipOf(good(), m, good())
		}, "ambiguous.zip.entry"),
		in(21, "zip: no directory at all", Found, func() []byte {
			m := secret()
			m.unlisted = true
			b, _, _ := body([]member{good(), m})
			return b
		}),
		in(22, "zip: a member before the first that is named", Found, func() []byte {
			m := secret()
			m.unlisted = true
			return zipOf(m, good())
		}, "ambiguous.zip.entry"),
		in(22, "zip: a member between the directory and its end", Found, func() []byte {
			m := secret()
			b, dir, n := body([]member{good()})
			size := int64(len(b)) - dir
			b = append(m.local.appendLocal(b), m.data...)
			return append(b, zipEnd(n, size, dir, "")...)
		}),
		in(23, "zip: stored by both headers, and deflated", Found, func() []byte {
			return zipOf(secret().both(func(h *header) { h.method, h.size = 0, h.packed }))
		}, "ambiguous.zip.method"),
		in(23, "zip: an unknown method, and deflated", Found, func() []byte {
			return zipOf(secret().both(func(h *header) { h.method = 77 }))
		}),
		in(24, "zip: says that it is encrypted, and is not", Found, func() []byte {
			return zipOf(secret().both(func(h *header) { h.flags |= 1 }))
		}, "ambiguous.zip.encryption"),
		in(24, "zip: encrypted by the directory only", Found, func() []byte {
			return zipOf(secret().inCentral(func(h *header) { h.flags |= 1 }))
		}, "ambiguous.zip.encryption"),
		in(25, "zip: encrypted (ZipCrypto)", Incomplete, func() []byte { return zipOf(locked("Xk4-2209")) }, "encrypted"),
		in(25, "zip: encrypted (ZipCrypto) by the usual password", Found, func() []byte { return zipOf(locked("infected")) }),
		in(25, "zip: encrypted (AES)", Incomplete, func() []byte { return zipOf(lockedAES()) }, "encrypted"),
		in(25, "mail: encrypted zip and its password", Found, func() []byte {
			return letter("The password is Xk4-2209", base64Part("m.zip", zipOf(locked("Xk4-2209"))))
		}),
	}
}

// zipForms are zips with several ends, and zips in other files.
func (scale) zipForms() []Input {
	secret := func() member { return pack("m.txt", hidden()) }
	inner := func() []byte { return zipOf(secret()) }
	poly := func(name string, front []byte) Input {
		return in(27, name+" with a zip behind it", Found, func() []byte { return join(front, inner()) })
	}
	return []Input{
		in(26, "zip: two ends, the marker in what the first names", Found, func() []byte {
			b, dir, _ := body([]member{secret(), pack("b.txt", benign())})
			first := zipEnd(2, int64(len(b))-dir, dir, "")
			b = append(b, first...)
			at := int64(len(b))
			h := pack("b.txt", benign()).central
			b = h.appendCentral(b, int64(len(secret().data))+35)
			return append(b, zipEnd(1, int64(len(b))-at, at, "")...)
		}),
		in(26, "zip: a second zip in the comment", Found, func() []byte {
			b, dir, n := body([]member{pack("b.txt", benign())})
			return append(b, zipEnd(n, int64(len(b))-dir, dir, string(inner()))...)
		}),
		in(26, "zip: an end in the comment that hides the marker", Found, func() []byte {
			b, dir, n := body([]member{secret()})
			size := int64(len(b)) - dir
			return append(b, zipEnd(n, size, dir, string(zipEnd(0, 0, 0, "")))...)
		}),
		in(26, "zip: the Zip64 end names other members than the end", Found, func() []byte {
			bad, good := secret(), pack("b.txt", benign())
			b, _, _ := body([]member{bad})
			b = b[:bytes.Index(b, []byte("PK\x01\x02"))]
			good.at = int64(len(b))
			b = append(good.local.appendLocal(b), good.data...)
			wide := int64(len(b))
			b = bad.central.appendCentral(b, 0)
			narrow := int64(len(b))
			b = good.central.appendCentral(b, good.at)
			end := int64(len(b))
			b = append(b, zipEnd64(1, narrow-wide, wide, end)...)
			return append(b, zipEnd(1, end-narrow, narrow, "")...)
		}),
		in(26, "zip: the end says no members", Found, func() []byte {
			b, dir, _ := body([]member{secret()})
			return append(b, zipEnd(0, 0, dir, "")...)
		}),
		in(26, "zip: cut before its directory, which another file's follows", Found, func() []byte {
			b, _, _ := body([]member{secret()})
			return join(b[:bytes.Index(b, []byte("PK\x01\x02"))], zipOf(pack("b.txt", benign())))
		}),
		poly("PDF", smallPDF()), poly("GIF", smallGIF()), poly("ELF program", smallELF()), poly("DOS program", smallMZ()), poly("PE program", smallPE(nil)),
		poly("page", []byte("<html><body>hello</body></html>\n")),
		in(27, "zip with a PDF before and a gzip behind it", Found, func() []byte { return join(smallPDF(), zipOf(pack("b", benign())), inner(), gzipOf(benign())) }),
	}
}

// locked returns a member under ZipCrypto (APPNOTE 6.1): three keys that each
// byte of the password and of the content changes.
func locked(password string) member {
	m := pack("m.txt", hidden())
	keys := [3]uint32{0x12345678, 0x23456789, 0x34567890}
	crc := func(c uint32, b byte) uint32 { return crc32.IEEETable[byte(c)^b] ^ c>>8 }
	mix := func(b byte) {
		keys[0] = crc(keys[0], b)
		keys[1] = (keys[1]+keys[0]&0xff)*134775813 + 1
		keys[2] = crc(keys[2], byte(keys[1]>>24))
	}
	for _, b := range []byte(password) {
		mix(b)
	}
	seal := func(b byte) byte {
		t := keys[2] | 2
		c := b ^ byte(t*(t^1)>>8)
		mix(b)
		return c
	}
	var out []byte
	for _, b := range join(noise(11, 5), []byte{byte(m.local.crc >> 24)}, m.data) {
		out = append(out, seal(b))
	}
	m.data = out
	return m.both(func(h *header) { h.flags, h.packed = 1, uint32(len(out)) })
}

// lockedAES has the form of a member under WinZip's AES, its bytes are noise.
func lockedAES() member {
	m := pack("m.txt", hidden())
	m.data = noise(16+2+len(m.data)+10, 9)
	return m.both(func(h *header) {
		h.flags, h.method, h.crc, h.packed = 1, 99, 0, uint32(len(m.data))
		h.extra = []byte{1, 0x99, 7, 0, 2, 0, 'A', 'E', 3, 8, 0}
	})
}

// names are members whose names harm who prints or follows them.
func names() []Input {
	var out []Input
	for name, word := range map[string]string{
		strings.Repeat("../", 8) + "etc/m": "that climbs",
		"/etc/m":                           "from the root",
		`C:\windows\m`:                     "of a drive",
		"nul\x00.txt":                      "with a NUL",
		strings.Repeat("a\x01b", 2000):     "of 2,000 control characters",
		strings.Repeat("x", 65_000):        "of 65,000 bytes",
		"\xff\xfe\x80.exe":                 "that is not UTF-8",
		"m\u202egnp.exe":                   "with a right-to-left override",
		"m\x1b[2J\x1b]0;title\x07":         "with terminal escapes",
		"m\r\nstream: OK\r\n":              "with line ends and a reply",
		"":                                 "of no bytes",
	} {
		out = append(out, in(38, "zip: a name "+word, Found, func() []byte { return zipOf(pack(name, hidden())) }))
	}
	sortByName(out)
	tarName := "a\x01b\r\n\x1b[31m" + strings.Repeat("../", 10) + "m"
	return append(out,
		in(38, "tar: control characters in a name", Found, func() []byte { return gzipOf(tarOf(tarMember(tarName, hidden()))) }),
		in(38, "mail: control characters in a name", Found, func() []byte {
			return letter("", base64Part("m\x1b[31m\x07\u202e.exe", hidden()))
		}),
		in(38, "mail: an encoded name with line ends", Found, func() []byte {
			return letter("", base64Part("=?utf-8?q?m=0D=0AX:_OK=1B[2J?=", hidden()))
		}),
	)
}

// damaged are files that are cut or whose sums are wrong.
func damaged() []Input {
	cut := func() []byte { // the marker's bytes stand in the first half
		return squeeze(join(hidden(), noise(2000, 3))).gzip()
	}
	return []Input{
		in(29, "gzip: cut after the marker", Found, func() []byte { b := cut(); return b[:len(b)/2] }, "corrupt"),
		in(29, "gzip: wrong CRC", Found, func() []byte {
			b := gzipOf(hidden())
			for i := range 4 {
				b[len(b)-8+i] ^= 0xff
			}
			return b
		}, "corrupt"),
		in(29, "gzip: bits of the stream flipped after the marker", Found, func() []byte {
			b := cut()
			b[len(b)*3/4] ^= 0xff
			return b
		}, "corrupt"),
		in(29, "zip: cut after the marker", Found, func() []byte {
			b := zipOf(pack("m", join(hidden(), noise(2000, 3))))
			return b[:len(b)/2]
		}, "corrupt"),
		in(29, "zip: wrong CRC", Found, func() []byte {
			return zipOf(pack("m", hidden()).both(func(h *header) { h.crc ^= 0xff }))
		}, "corrupt"),
		in(29, "xz: cut after the marker", Either, func() []byte {
			b := xzOf(join(hidden(), []byte(hex.EncodeToString(noise(100_000, 3)))))
			return b[:len(b)*2/3]
		}, "corrupt"),
		in(29, "xz: a check flipped", Either, func() []byte {
			b := xzOf(hidden())
			b[len(b)/2] ^= 0xff
			return b
		}, "corrupt"),
		in(29, "bzip2: cut in the second stream", Either, func() []byte {
			b := join(unhex(bzip2Benign), unhex(bzip2Hidden))
			return b[:len(b)-20]
		}, "corrupt"),
		in(29, "7z: cut", Incomplete, func() []byte { b := sevenZip(); return b[:len(b)/2] }),
	}
}

func sortByName(in []Input) {
	for i := range in {
		for j := i; j > 0 && in[j].Name < in[j-1].Name; j-- {
			in[j], in[j-1] = in[j-1], in[j]
		}
	}
}
