package placed

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/ulikunitz/xz/lzma"
)

func rtfOf(s string) string {
	return `{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fnil Arial;}}\pard ` + s + `\par}`
}

// rich has it in RTF, outside of objects.
func rich(l *list) {
	for name, s := range map[string]string{
		"text": Marker, "header": `{\header ` + Marker + `}`, "footer": `{\footerf ` + Marker + `}`, "footnote": `{\footnote ` + Marker + `}`, "comment": `{\*\annotation ` + Marker + `}`, "title": `{\info{\title ` + Marker + `}}`,
		"hidden": `{\v ` + Marker + `}`, "field": `{\field{\*\fldinst HYPERLINK "http://` + Marker + `"}{\fldrslt x}}`, "template": `{\*\template ` + Marker + `}`, "ignored": `{\*\whatever ` + Marker + `}`, "style": `{\stylesheet{\s0 ` + Marker + `;}}`,
		"font": `{\fonttbl{\f1 ` + Marker + `;}}`, "variable": `{\*\docvar{a}{` + Marker + `}}`, "bookmark": `{\*\bkmkstart ` + Marker + `}`, "property": `{\*\userprops{\propname a}\proptype30{\staticval ` + Marker + `}}`, "bytes": fmt.Sprintf(`\bin%d %s`, len(body), body),
		"picture": `{\pict\pngblip ` + digits("\x89PNG\r\n\x1a\n"+body) + `}`, "picture in bytes": fmt.Sprintf(`{\pict\wmetafile8\bin%d %s}`, len(body), body), "picture in lines": `{\pict\jpegblip ` + broken(digits("\xff\xd8\xff\xe0"+body), 64, "\r\n") + `}`,
		"data store": `{\*\datastore ` + digits(string(compoundOf(9, leaf{"a", body}))) + `}`, "theme": `{\*\themedata ` + digits(string(zipOf(member{"a", body, false}))) + `}`, "font embedded": `{\fonttbl{\f1{\*\fontemb\ftruetype ` + digits(body) + `}x;}}`,
		"letters by number": hexLetters(Marker), "letters in UTF-16": unicodeLetters(Marker), "in pieces": strings.Join(strings.Split(Marker, ""), `{\b}`), "over lines": broken(Marker, 5, "\r\n"),
	} {
		l.text("rtf/"+name, rtfOf(s))
	}
	l.text("rtf/behind the end", rtfOf("x")+body)
}

func hexLetters(s string) string { return `\'` + strings.TrimSuffix(broken(digits(s), 2, `\'`), `\'`) }

func unicodeLetters(s string) string {
	var b strings.Builder
	for _, c := range s {
		fmt.Fprintf(&b, `\u%d?`, c)
	}
	return b.String()
}

// richObjects has it in objects of RTF, hidden as malware hides them.
func richObjects(l *list) {
	data := digits(ole1("Package", packaged("a.exe", body)))
	in := func(with string, n int) string { return strings.TrimSuffix(broken(data, n, with), with) }
	for name, s := range map[string]string{
		"plain": data, "upper": strings.ToUpper(data), "lines": in("\r\n", 64), "spaces": in(" ", 7), "tabs": in("\t", 2), "words": in(`\foo12 `, 30), "words with signs": in(`\bar-3 `, 16), "symbols": in(`\*`, 8), "zeros": in("\x00", 40),
		"groups": in(`{\*\x 41}`, 20), "empty groups": in("{}", 6), "deep groups": in(`{\*\a{\b 00}}`, 50), "bytes of none": in(`\bin0 `, 10), "signs": in("-", 12), "other letters": in("zq", 10), "quotes of nothing": in(`\'`, 40),
	} {
		l.text("rtf/object/"+name, rtfOf(`{\object\objemb{\*\objclass Package}{\*\objdata `+s+`}{\result x}}`))
	}
	for name, s := range map[string]string{
		"not ignorable": `{\object\objemb{\objdata ` + data + `}}`, "no group": `\objdata ` + data, "number": `{\object{\*\objdata0 ` + data + `}}`, "updated": `{\object\objautlink\objupdate{\*\objdata ` + data + `}}`, "not closed": `{\object{\*\objdata ` + data,
		"in a picture": `{\pict{\object{\*\objdata ` + data + `}}}`, "in a header": `{\header{\object{\*\objdata ` + data + `}}}`, "twice": `{\object{\*\objdata\objdata ` + data + `}}`, "as bytes": fmt.Sprintf(`{\object{\*\objdata\bin%d %s}}`, len(ole1("P", body)), ole1("P", body)),
		"class of another": `{\object{\*\objdata ` + digits(ole1("Equation.3", body)) + `}}`, "compound file": `{\object{\*\objdata ` + digits(ole1("Word.Document.8", string(compoundOf(9, leaf{"a", body})))) + `}}`,
		"compound file, packaged": `{\object{\*\objdata ` + digits(ole1("Package", string(compoundOf(9, leaf{"\x01Ole10Native", native("a", body)})))) + `}}`, "zip": `{\object{\*\objdata ` + digits(ole1("Package", packaged("a.zip", string(zipOf(member{"b", body, false}))))) + `}}`,
		"page": `{\object{\*\objdata ` + digits(ole1("Package", packaged("a.hta", "<html><script>"+Marker+"</script></html>"))) + `}}`, "without a head": `{\object{\*\objdata ` + digits(string(compoundOf(9, leaf{"a", body}))) + `}}`,
	} {
		l.text("rtf/object/"+name, rtfOf(s))
	}
	object := `{\object\objemb{\*\objdata ` + data + `}}`
	for name, s := range map[string]string{"short word": `{\rt` + object + `}`, "version": `{\rtf9999` + object + `}`, "word": `{\rtvpn` + object + `}`, "behind a line": "\r\n" + rtfOf(object), "behind spaces": "  \t" + rtfOf(object), "behind a mark": "\xef\xbb\xbf" + rtfOf(object)} {
		l.text("rtf/start/"+name, s)
	}
}

// winmail has it in messages of TNEF ([MS-OXTNEF]).
func winmail(l *list) {
	const start = "\x78\x9f\x3e\x22\x01\x00"
	attribute := func(level, id int, data string) string {
		sum := 0
		for _, c := range []byte(data) {
			sum += int(c)
		}
		return string(rune(level)) + u32(id) + u32(len(data)) + data + u16(sum)
	}
	property := func(kind, id int, data string) string {
		return u32(1) + u16(kind) + u16(id) + u32(1) + u32(len(data)) + data + strings.Repeat("\x00", -len(data)&3)
	}
	version, begin := attribute(1, 0x89006, "\x00\x00\x01\x00"), attribute(2, 0x69002, strings.Repeat("\x00", 14))
	title := attribute(2, 0x18010, "a.exe\x00")
	for name, s := range map[string]string{
		"file": begin + title + attribute(2, 0x6800f, body), "file without a title": begin + attribute(2, 0x6800f, body), "title behind": begin + attribute(2, 0x6800f, body) + title, "text": attribute(1, 0x2800c, body),
		"object": begin + title + attribute(2, 0x69005, property(0x102, 0x3701, body)), "picture": begin + title + attribute(2, 0x68011, body), "page": attribute(1, 0x69003, property(0x102, 0x1013, body)),
		"RTF": attribute(1, 0x69003, property(0x102, 0x1009, u32(len(body)+20)+u32(len(body)+8)+"MELA"+u32(0)+"{\\rtf1 "+body+"}")), "zip": begin + title + attribute(2, 0x6800f, string(zipOf(member{"a", body, false}))),
		"message": begin + attribute(2, 0x69005, property(0x0d, 0x3701, strings.Repeat("\x01", 16)+start+version+attribute(1, 0x2800c, body))), "long name": begin + attribute(2, 0x6800f, body) + attribute(2, 0x69005, property(0x1f, 0x3707, wide("a long name.exe\x00"))),
		"subject": attribute(1, 0x18004, Marker), "behind the end": begin + attribute(2, 0x6800f, "x") + "\x00\x00" + body, "two files": begin + title + attribute(2, 0x6800f, "x") + begin + title + attribute(2, 0x6800f, body),
	} {
		l.text("tnef/"+name, start+version+s)
		l.text("tnef/mailed, "+name, "From: a@b.example\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: base64\r\n\r\n"+lines(start+version+s))
	}
}

// note has it in sections of OneNote ([MS-ONESTORE]).
func note(l *list) {
	section := func(files ...string) string {
		b := "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3" + strings.Repeat("\x00", 32) + "\x3f\xdd\x9a\x10\x1b\x91\xf5\x49\xa5\xd0\x17\x91\xed\xc8\xae\xd8"
		b += strings.Repeat("\x00", 1024-len(b)) + wide("a note")
		for _, f := range files {
			b += "\xe7\x16\xe3\xbd\x65\x26\x11\x45\xa4\xc4\x8d\x4d\x0b\x7a\x9e\xac" + u32(len(f)) + u32(0) + strings.Repeat("\x00", 12) + f + strings.Repeat("\x00", -len(f)&7) + "\x22\xa7\xfb\x71\x79\x0f\x0b\x4a\xbb\x13\x89\x92\x56\x42\x6b\x24"
		}
		return b[:196] + u32(len(b)) + u32(0) + b[204:]
	}
	l.text("onenote/file", section(body))
	l.text("onenote/second file", section("x", body))
	l.text("onenote/long file", section(long))
	l.text("onenote/zip", section(string(zipOf(member{"a", body, false}))))
	l.text("onenote/page", section("<html><body><!--"+Marker+"--></body></html>"))
	l.text("onenote/compound file", section(string(compoundOf(9, leaf{"a", body}))))
	l.text("onenote/text", section()+wide(Marker))
}

// flash has it in files of Flash, of each compression.
func flash(l *list) {
	tag := func(kind int, data string) string { return u16(kind<<6|63) + u32(len(data)) + data }
	for name, tags := range map[string]string{
		"data": tag(87, "\x01\x00\x00\x00\x00\x00"+body), "script": tag(12, "\x83\x00\x00"+body+"\x00"), "metadata": tag(77, body+"\x00"), "code": tag(82, "\x00\x00\x00\x00\x00"+body), "picture": tag(21, "\x01\x00\xff\xd8"+body), "pixels": tag(36, "\x01\x00\x05\x04\x00\x04\x00"+zlibbed(body)),
		"behind the end": "\x00\x00" + body, "sound": tag(14, "\x01\x00\x00"+body), "name": tag(43, Marker+"\x00"), "file of Flash": tag(87, "\x01\x00\x00\x00\x00\x00"+flashOf(tag(77, body+"\x00"))),
	} {
		plain := flashOf(tag(69, "\x08\x00\x00\x00") + tags)
		l.text("swf/"+name, plain)
		l.text("swf/compressed, "+name, "CWS"+plain[3:8]+zlibbed(plain[8:]))
		var b bytes.Buffer
		w, err := lzma.WriterConfig{Size: int64(len(plain) - 8), SizeInHeader: true, DictCap: 1 << 16}.NewWriter(&b)
		must(err)
		_, err = w.Write([]byte(plain[8:]))
		must(err)
		must(w.Close())
		z := b.String()
		l.text("swf/LZMA, "+name, "ZWS\x0d"+plain[4:8]+u32(len(z)-13)+z[:5]+z[13:])
	}
}

func flashOf(tags string) string {
	b := "\x78\x00\x05\x5f\x00\x00\x0f\xa0\x00\x00\x0c\x01\x00" + tags + "\x00\x00"
	return "FWS\x0a" + u32(8+len(b)) + b
}
