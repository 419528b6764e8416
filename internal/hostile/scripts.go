package hostile

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf16"
)

// encodedScript is a line with the marker as Microsoft's Script Encoder writes it.
const encodedScript = "#@~^MAAAAA==a,'~8PEPtK/DrV\x7fOrxaEO~slD0nD,*0Zn{l2F,/4WA^mEd+c8A8AAA==^#~@"

// unitsOf is a text in ASCII in UTF-16, or in UTF-32 with four bytes each.
func unitsOf(s string, bytesEach int, big bool) []byte {
	b := make([]byte, len(s)*bytesEach)
	for i := range len(s) {
		at := i * bytesEach
		if big {
			at += bytesEach - 1
		}
		b[at] = s[i]
	}
	return b
}

// each is what the verb makes of each byte of the marker's line.
func each(verb, between string) string {
	var out []string
	for _, c := range hidden() {
		out = append(out, fmt.Sprintf(verb, c))
	}
	return strings.Join(out, between)
}

// scriptForms write the marker in scripts in all the ways that a reader of text undoes.
func scriptForms() map[string]string {
	h := string(hidden())
	b := base64.StdEncoding.EncodeToString(hidden())
	page := func(s string) string { return "<html><body>" + s + "</body></html>" }
	half := len(b) / 2
	return map[string]string{
		"a call that decodes base64":           "eval(atob(\"" + b + "\"))",
		"base64 in strings that are added":     "x = \"" + b[:half] + "\" + \"" + b[half:] + "\";",
		"base64 of deflate":                    "<?php $f = gzinflate(base64_decode('" + base64.StdEncoding.EncodeToString(deflate(hidden())) + "')); eval($f);",
		"base64 to a pipe":                     "echo " + b + " | base64 -d | sh",
		"-EncodedCommand":                      "powershell -nop -w hidden -enc " + base64.StdEncoding.EncodeToString(unitsOf(h, 2, false)),
		"-EncodedCommand with carets":          "cmd /c p^o^w^e^r^s^h^e^l^l -^e^n^c " + strings.Join(strings.Split(base64.StdEncoding.EncodeToString(unitsOf(h, 2, false)), ""), "^"),
		"hexadecimal digits":                   "x = '" + hex.EncodeToString(hidden()) + "'",
		"numbers":                              "String.fromCharCode(" + each("%d", ",") + ")",
		"numbers in hexadecimal":               "char x[] = {" + each("0x%02x", ", ") + "};",
		`\x`:                                   "x = \"" + each(`\x%02x`, "") + "\"",
		`\u`:                                   "x = \"" + each(`\u%04x`, "") + "\"",
		"%":                                    "unescape('" + each("%%%02x", "") + "')",
		"Chr":                                  "Execute(" + each("Chr(%d)", " & ") + ")",
		"the Script Encoder":                   encodedScript,
		"the Script Encoder, a length of 0":    encodedScript[:4] + "AAAAAA==" + encodedScript[12:],
		"the Script Encoder, a length of 2^31": encodedScript[:4] + "////fw==" + encodedScript[12:],
		"the Script Encoder, no end":           strings.TrimSuffix(encodedScript, "^#~@"),
		"an attribute that runs":               page("<b onclick=\"" + each("&#%d;", "") + "\">"),
		"a link that runs":                     page("<a href=\"&#106;avascript:" + each("%%%02x", "") + "\">"),
		"a page in an attribute":               page("<iframe srcdoc=\"" + each("&#x%x;", "") + "\">"),
		"a data: address":                      page("<iframe src=\"data:text/html;base64," + b + "\">"),
		"a script of SVG, with references":     "<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'><script>" + each("&#%d;", "") + "</script></svg>",
		"NULs in a page":                       "<html><script>" + strings.Join(strings.Split(h, ""), "\x00") + "</script></html>",
		"UTF-7":                                "<html><meta charset=utf-7>+" + strings.TrimRight(base64.StdEncoding.EncodeToString(unitsOf(h, 2, true)), "=") + "-</html>",
		"UTF-32":                               "\xff\xfe\x00\x00" + string(unitsOf(h, 4, false)),
		"UTF-32, big-endian, no mark":          string(unitsOf(h, 4, true)),
		"base64 in UTF-16":                     "\xff\xfe" + string(unitsOf("eval(atob(\""+b+"\"))", 2, false)),
	}
}

// scriptFloods are pieces that a reader of pages may look at the rest of a text for, each time.
var scriptFloods = []string{"<a ", "<a x=", "<a x=\"", "<script ", "<script>", "<!--", "<style><script>", "QUJD", " -enc ", "#@~^AAAAAA==", `\x41`, "65,", "+ADw-", "<![CDATA[", "data:,"}

// scripts are text with what runs in it, and files with others in the midst of them.
func (s scale) scripts() []Input {
	var all []Input
	forms := scriptForms()
	for _, name := range sortedNames(forms) {
		text := forms[name]
		all = append(all, in(37, "script: "+name, Found, func() []byte { return []byte(text) }))
	}
	n := int(s.pick(1<<20, 16<<20))
	for _, piece := range scriptFloods {
		all = append(all, in(37, fmt.Sprintf("script: %d KiB of %s, then one encoded", n>>10, piece), Found, func() []byte {
			return []byte("<html>" + strings.Repeat(piece, n/len(piece)) + "\n\n\"'>--></script></style>\n<script>eval(atob(\"" + base64.StdEncoding.EncodeToString(hidden()) + "\"))</script>\n")
		}))
	}
	return append(append(append(all, flashForms()...), officeXMLForms()...), linkForms()...)
}

func sortedNames(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

func zlibOf(b []byte) []byte {
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// flash is a Flash file of tags that are not compressed, with what its head says of its length.
func flash(length uint32, tags ...[]byte) []byte {
	return join(le.AppendUint32([]byte("FWS\x0a"), length), []byte("\x78\x00\x05\x5f\x00\x00\x0f\xa0\x00\x00\x0c\x01\x00"), join(tags...), []byte{0, 0})
}

func flashTag(kind uint16, size uint32, data []byte) []byte {
	return append(le.AppendUint32(le.AppendUint16(nil, kind<<6|63), size), data...)
}

// flashForms are files of Flash: row 36.
func flashForms() []Input {
	packed := func(b []byte) []byte { return join([]byte("CWS"), b[3:8], zlibOf(b[8:])) }
	data := func() []byte { return join(make([]byte, 6), gzipOf(hidden())) }
	tag := func() []byte { return flashTag(87, uint32(len(data())), data()) }
	swf := func(name string, want Want, f func() []byte) Input { return in(36, "Flash: "+name, want, f) }
	return []Input{
		swf("the marker in what is compressed", Found, func() []byte { return packed(flash(1000, hidden())) }),
		swf("data in what is compressed", Found, func() []byte { return packed(flash(1000, tag())) }),
		swf("a length of 8", Found, func() []byte { return flash(8, tag()) }),
		swf("a length of 4 GiB", Found, func() []byte { return packed(flash(1<<32-1, tag())) }),
		swf("data of 4 GiB", Found, func() []byte { return flash(1000, flashTag(87, 1<<32-1, data())) }),
		swf("10,000 tags of nothing", Found, func() []byte { return packed(flash(1000, bytes.Repeat([]byte{64, 0}, 10_000), tag())) }),
		swf("what is compressed, cut", Either, func() []byte { b := packed(flash(1000, noise(9000, 3), hidden())); return b[:len(b)-40] }),
		swf("LZMA that is none", Incomplete, func() []byte { return join([]byte("ZWS\x0d"), le.AppendUint32(nil, 1000), noise(600, 7)) }),
		swf("a file behind the last tag", Found, func() []byte { return join(flash(100), gzipOf(hidden())) }),
		swf("Flash in Flash, 10 times", Found, func() []byte {
			b := packed(flash(1000, hidden()))
			for range 10 {
				b = packed(flash(1000, flashTag(87, uint32(6+len(b)), join(make([]byte, 6), b))))
			}
			return b
		}),
	}
}

// officeXMLForms are documents of Office in one XML file: row 34.
func officeXMLForms() []Input {
	form := func(name string, want Want, body func(b64 string) string) Input {
		return in(34, "XML in one file: "+name, want, func() []byte {
			return []byte("<?xml version=\"1.0\"?>\n<?mso-application progid=\"Word.Document\"?><w:wordDocument>" + body(wrapped(hidden())) + "</w:wordDocument>")
		})
	}
	const open, shut = "<w:binData w:name=\"x\">", "</w:binData>"
	return []Input{
		form("an object", Found, func(b string) string { return open + b + shut }),
		form("an object through comments and CDATA", Found, func(b string) string { return open + "<!-- " + shut + " --><![CDATA[" + b + "]]>" + shut }),
		form("an object in references", Found, func(b string) string {
			var r strings.Builder
			for _, c := range b {
				fmt.Fprintf(&r, "&#%d;", c)
			}
			return open + r.String() + shut
		}),
		form("elements in each other, 1,000 of them", Either, func(b string) string { return strings.Repeat(open+"QUJD", 1000) + b + strings.Repeat(shut, 1000) }),
		form("1,000 elements that do not end, and one that does", Either, func(b string) string { return strings.Repeat(open, 1000) + b }),
		form("a tag of 100,000 bytes", Found, func(b string) string { return "<w:x a='" + strings.Repeat(">", 100_000) + "'/>" + open + b + shut }),
		form("an object whose tag has an attribute with a bracket", Found, func(b string) string { return "<w:binData w:name='a>b' x=\"/>\">" + b + shut }),
		in(34, "XML in one file: UTF-16", Found, func() []byte {
			return join([]byte("\xff\xfe"), unitsOf("<?xml version=\"1.0\"?><?mso-application progid=\"Word.Document\"?><w:wordDocument>"+open+wrapped(hidden())+shut+"</w:wordDocument>", 2, false))
		}),
	}
}

// linkOf is a shell link with arguments, and what follows its texts.
func linkOf(flags uint32, arguments string, rest []byte) []byte {
	b := make([]byte, 76)
	copy(b, "L\x00\x00\x00\x01\x14\x02\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00\x46")
	le.PutUint32(b[20:], flags)
	for _, s := range []string{`..\cmd.exe`, arguments} {
		units := utf16.Encode([]rune(s))
		b = le.AppendUint16(b, uint16(len(units)))
		for _, u := range units {
			b = binary.LittleEndian.AppendUint16(b, u)
		}
	}
	return append(b, rest...)
}

// linkForms are shell links: row 37.
func linkForms() []Input {
	const flags = 0x28 | 0x80 // a relative path and arguments, in UTF-16
	text := "/c " + string(hidden())
	lnk := func(name string, want Want, f func() []byte) Input { return in(37, "shell link: "+name, want, f) }
	return []Input{
		lnk("its arguments", Found, func() []byte { return linkOf(flags, text, make([]byte, 4)) }),
		lnk("no block that ends it", Found, func() []byte { return linkOf(flags, text, nil) }),
		lnk("a block of 4 GiB", Found, func() []byte { return linkOf(flags, text, []byte("\xff\xff\xff\xff\x03\x00\x00\xa0")) }),
		lnk("1,000 lines' ends, then its arguments", Found, func() []byte { return linkOf(flags, strings.Repeat("\n", 1000)+text, make([]byte, 4)) }),
		lnk("arguments longer than the file", Either, func() []byte {
			b := linkOf(flags, text, nil)
			le.PutUint16(b[76+2+20:], 0xffff)
			return b
		}),
		lnk("a list of items that is not there", Either, func() []byte { return linkOf(flags|1, text, make([]byte, 4)) }),
		lnk("a file behind it", Found, func() []byte { return linkOf(flags, "", join(make([]byte, 4), gzipOf(hidden()))) }),
		lnk("a file in a block", Found, func() []byte {
			z := gzipOf(hidden())
			return linkOf(flags, "", join(le.AppendUint32(nil, uint32(8+len(z))), []byte("\x0c\x00\x00\xa0"), z, make([]byte, 4)))
		}),
	}
}
