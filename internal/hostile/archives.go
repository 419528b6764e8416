package hostile

import (
	"fmt"
	"strings"
)

// tarMember writes one member in ustar form, its checksum right.
func tarMember(name string, content []byte) []byte {
	return tarEntry(name, '0', int64(len(content)), nil, content)
}

// tarEntry writes a header that says size, and the content. edit may change
// the header before the sum is taken.
func tarEntry(name string, kind byte, size int64, edit func([]byte), content []byte) []byte {
	h := make([]byte, 512)
	copy(h[:100], name)
	copy(h[100:], "0000644\x000000000\x000000000\x00")
	copy(h[124:], fmt.Sprintf("%011o\x00", size))
	copy(h[136:], "00000000000\x00")
	h[156] = kind
	copy(h[257:], "ustar\x0000")
	if edit != nil {
		edit(h)
	}
	tarSum(h)
	b := append(h, content...)
	return append(b, make([]byte, (512-len(content)%512)%512)...)
}

func tarSum(h []byte) {
	copy(h[148:156], "        ")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
}

func tarOf(members ...[]byte) []byte { return append(join(members...), make([]byte, 1024)...) }

// pax writes an extended header.
func pax(key, value string) []byte {
	n := len(key) + len(value) + 3
	n += len(fmt.Sprint(n + len(fmt.Sprint(n))))
	rec := fmt.Sprintf("%d %s=%s\n", n, key, value)
	return tarEntry("pax", 'x', int64(len(rec)), nil, []byte(rec))
}

func tars() []Input {
	gz := func(name string, want Want, f func() []byte) Input {
		return in(28, "tar in gzip: "+name, want, func() []byte { return gzipOf(f()) })
	}
	secret := func() []byte { return tarMember("m", hidden()) }
	return []Input{
		gz("wrong header checksum", Found, func() []byte {
			b := tarOf(secret())
			copy(b[148:], "000001\x00 ")
			return b
		}),
		gz("two joined, the marker in the second", Found, func() []byte { return join(tarOf(tarMember("b", benign())), tarOf(secret())) }),
		gz("two joined, the marker in the first", Found, func() []byte { return join(tarOf(secret()), tarOf(tarMember("b", benign()))) }),
		gz("junk between headers", Found, func() []byte { return tarOf(tarMember("b", benign()), noise(512, 4), secret()) }),
		gz("size by pax against the header", Found, func() []byte {
			return tarOf(pax("size", "0"), secret(), pax("size", fmt.Sprint(1<<40)), secret())
		}),
		gz("a gzip in a member, its size by pax half", Either, func() []byte {
			c := gzipOf(join(hidden(), noise(600, 6)))
			return tarOf(pax("size", fmt.Sprint(len(c)/2)), tarMember("m.gz", c))
		}),
		gz("GNU sparse, 8 GiB apparent", Either, func() []byte {
			return tarOf(tarEntry("s", 'S', int64(len(hidden())), func(h []byte) {
				copy(h[257:], "ustar  \x00")
				copy(h[386:], fmt.Sprintf("%011o\x00%011o\x00", int64(8<<30)-512, len(hidden())))
				copy(h[483:], fmt.Sprintf("%011o\x00", int64(8<<30)))
			}, hidden()))
		}),
		gz("hard links in a loop", Found, func() []byte {
			link := func(a, b string) []byte {
				return tarEntry(a, '1', 0, func(h []byte) { copy(h[157:], b) }, nil)
			}
			return tarOf(link("a", "b"), link("b", "a"), link("c", "c"), secret())
		}),
		gz("size of 2^62 in base 256", Either, func() []byte {
			return tarOf(secret(), tarEntry("x", '0', 0, func(h []byte) {
				copy(h[124:136], "\x80\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00\x00")
			}, nil), secret())
		}),
		gz("a negative size", Either, func() []byte {
			return tarOf(tarEntry("x", '0', 0, func(h []byte) {
				copy(h[124:136], "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe\x00")
			}, nil), secret())
		}),
	}
}

// cpioNewc writes one entry of the "new ASCII" form.
func cpioNewc(name string, content []byte) []byte {
	b := fmt.Appendf(nil, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", 1, 0o100644, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0)
	b = append(b, name...)
	b = append(b, 0)
	b = append(b, make([]byte, (4-len(b)%4)%4)...)
	b = append(b, content...)
	return append(b, make([]byte, (4-len(content)%4)%4)...)
}

func arEntry(name string, size int, content []byte) []byte {
	b := fmt.Appendf(nil, "%-16s%-12d%-6d%-6d%-8o%-10d`\n", name, 0, 0, 0, 0o644, size)
	b = append(b, content...)
	if len(content)%2 == 1 {
		b = append(b, '\n')
	}
	return b
}

// archives are cpio and ar files, whose members are stored: they hold gzips.
func archives() []Input {
	secret := func() []byte { return gzipOf(hidden()) }
	last := cpioNewc("TRAILER!!!", nil)
	return []Input{
		in(31, "cpio: odd names", Found, func() []byte {
			return join(cpioNewc("../../x\x1b[31m\n", secret()), cpioNewc(strings.Repeat("n", 5000), benign()), last)
		}),
		in(31, "cpio: an entry after the trailer", Found, func() []byte { return join(cpioNewc("b", benign()), last, cpioNewc("m", secret()), last) }),
		in(31, "cpio: a name of 4 GiB", Either, func() []byte {
			b := cpioNewc("m", secret())
			copy(b[94:], "FFFFFFFF")
			return join(b, last)
		}),
		in(31, "cpio: a size of 4 GiB", Either, func() []byte {
			b := cpioNewc("m", secret())
			copy(b[54:], "FFFFFFFF")
			return join(b, last)
		}),
		in(31, "ar: odd names", Found, func() []byte {
			c := secret()
			return join([]byte("!<arch>\n"), arEntry("//", 10, []byte("long name/")), arEntry("/99999", len(benign()), benign()), arEntry("#1/4000000000", 4, []byte("abcd")), arEntry("\x1b[31m\x01/", len(c), c))
		}),
		in(31, "ar: a size that lies", Either, func() []byte {
			c := secret()
			return join([]byte("!<arch>\n"), arEntry("m/", 9_999_999, c))
		}),
		in(31, "ar: a negative size", Either, func() []byte {
			c := secret()
			return join([]byte("!<arch>\n"), arEntry("x/", -100, nil), arEntry("m/", len(c), c))
		}),
	}
}
