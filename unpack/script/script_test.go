package script

import (
	"archive/tar"
	"bytes"
	"compress/flate"
	"compress/lzw"
	"compress/zlib"
	"encoding/ascii85"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// said is a text that is long enough to be something.
const said = "WScript.Echo(\"what is said: <marker> & 'others' @ home\"); // and so on, and so on, and so on\n"

// program is data of a type that its first bytes tell.
var program = append([]byte("PK\x03\x04\x14\x00\x00\x00\x00\x00"), []byte(strings.Repeat("what is said \x00\x01\x80\xff", 20))...)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// units is a text in UTF-16.
func units(s string, order binary.AppendByteOrder) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

// units32 is a text in UTF-32.
func units32(s string, order binary.AppendByteOrder) string {
	var b []byte
	for _, r := range s {
		b = order.AppendUint32(b, uint32(r))
	}
	return string(b)
}

func folded(s string, n int, end string) string {
	var b strings.Builder
	for len(s) > n {
		b.WriteString(s[:n] + end)
		s = s[n:]
	}
	return b.String() + s
}

// encode writes a script as the Script Encoder does.
func encode(s string) string {
	var body strings.Builder
	sum := uint32(0)
	k := 0
	for _, c := range []byte(s) {
		sum += uint32(c)
		table := tables[picks[k%64]-'0']
		k++
		esc := byte(0)
		for e, v := range escaped {
			if v == c {
				esc = e
			}
		}
		switch {
		case esc != 0:
			body.WriteString("@" + string(esc))
		case c == '\t' || c >= 0x20 && c < 0x80:
			i := strings.IndexByte(table, c)
			if i == 0 {
				body.WriteByte('\t')
			} else {
				body.WriteByte(byte(0x1f + i))
			}
		default:
			body.WriteByte(c)
		}
	}
	word := func(v uint32) string { return b64(string(binary.LittleEndian.AppendUint32(nil, v))) }
	return "#@~^" + word(uint32(body.Len())) + body.String() + word(sum) + "^#~@"
}

func deflated(s string) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 9)
	w.Write([]byte(s))
	w.Close()
	return b.String()
}

// list is what each byte of s is as the verb says, joined.
func list(s, verb, sep string) string {
	var out []string
	for _, c := range []byte(s) {
		out = append(out, fmt.Sprintf(verb, c))
	}
	return strings.Join(out, sep)
}

// samples are whole texts for each format, with what is in them.
type sample struct{ text, op, want string }

func pages() map[string]sample {
	return map[string]sample{
		"script":            {"<html><script>alert(1)</script></html>", "html.script", "alert(1)"},
		"in capitals":       {"<HTML><SCRIPT LANGUAGE=x>alert(1)</ScRiPt >", "html.script", "alert(1)"},
		"slash":             {"<html><script/x>alert(1)</script foo>", "html.script", "alert(1)"},
		"quotes with >":     {"<html><script a='>' b=\">\">alert(1)</script/>", "html.script", "alert(1)"},
		"a word more":       {"<html><script>a=\"</scripts>\"</script>", "html.script", "a=\"</scripts>\""},
		"unclosed":          {"<html><script>alert(1) <b>", "html.script", "alert(1) <b>"},
		"open quote":        {"<html><script x=\"y>alert(1)</script>", "html.script", "alert(1)"},
		"prefix":            {"<xsl:stylesheet><msxsl:script>alert(1)</msxsl:script>", "html.script", "alert(1)"},
		"SVG":               {"<svg xmlns='x'><script type='a'>f(1 &lt; 2)</script></svg>", "html.script", "f(1 < 2)"},
		"WSF":               {"<?xml version='1.0'?><job><script language='VBScript'><![CDATA[MsgBox 1]]></script></job>", "html.script", "<![CDATA[MsgBox 1]]>"},
		"behind a comment":  {"<html><!-- <script> --><script>alert(1)</script>", "html.script", "alert(1)"},
		"short comments":    {"<html><!--><script>alert(1)</script>", "html.script", "alert(1)"},
		"bang comment":      {"<html><!-- x --!><script>alert(1)</script>", "html.script", "alert(1)"},
		"open comment":      {"<html><!-- x <script>alert(1)</script>", "html.script", "alert(1)"},
		"conditional":       {"<html><!--[if IE]><script>alert(1)</script><![endif]-->", "html.script", "alert(1)"},
		"escaped twice":     {"<html><script><!--<script></script>alert(1)--></script>", "html.script", "<!--<script></script>alert(1)-->"},
		"empty in XML":      {"<?xml version='1.0'?><svg><script src='a'/><a/><script>alert(1)</script></svg>", "html.script", "alert(1)"},
		"style":             {"<html><style>a{b:expression(c)}</style>", "html.style", "a{b:expression(c)}"},
		"onload":            {"<html><body onload=\"f(&quot;a&quot;)\" class=x>", "html.attributes", "f(\"a\")\n"},
		"without quotes":    {"<html><img src=x onerror=f(&#x61;)>", "html.attributes", "f(a)\n"},
		"slashes":           {"<html><svg/onload=f(1)>", "html.attributes", "f(1)\n"},
		"javascript:":       {"<html><a href=\"&#106;ava\tscript&colon;f(%22a%22)\">", "html.attributes", "java\tscript:f(\"a\")\n"},
		"vbscript:":         {"<html><a href=VBSCRIPT:f%28%29>", "html.attributes", "VBSCRIPT:f()\n"},
		"refresh":           {"<html><meta http-equiv=refresh content='0;url=javascript:f()'>", "html.attributes", "0;url=javascript:f()\n"},
		"srcdoc":            {"<html><iframe srcdoc='&lt;script&gt;f()&lt;/script&gt;'>", "html.srcdoc", "<script>f()</script>"},
		"expression":        {"<html><b style='a:expression(f())'>", "html.attributes", "a:expression(f())\n"},
		"open tag":          {"<html><b a=\"<script>alert(1)</script>", "html.script", "alert(1)"},
		"UTF-16":            {"\xff\xfe" + units("<html><script>f('größe')</script>", binary.LittleEndian), "html.script", "f('größe')"},
		"UTF-16, big":       {units("<html><body onload='f()'>", binary.BigEndian), "html.attributes", "f()\n"},
		"text behind a tag": {"<html><script>alert(1)</script><b onclick=f()>x", "html.attributes", "f()\n"},
	}
}

func texts() map[string]sample {
	return map[string]sample{
		"UTF-32":           {"\xff\xfe\x00\x00" + units32("echo größe", binary.LittleEndian), "text.utf32", "echo größe"},
		"UTF-32, big":      {"\x00\x00\xfe\xff" + units32("echo größe", binary.BigEndian), "text.utf32", "echo größe"},
		"UTF-32, bare":     {units32("echo hello, world\r\n", binary.BigEndian), "text.utf32", "echo hello, world\r\n"},
		"UTF-32LE, bare":   {units32("echo hello, world\r\n", binary.LittleEndian), "text.utf32", "echo hello, world\r\n"},
		"UTF-7 by name":    {"<html><meta charset=\"UTF-7\">+ADw-b+AD4-", "text.utf7", "<html><meta charset=\"UTF-7\"><b>"},
		"UTF-7 by brace":   {"<html>+ADw-script+AD4-f()", "text.utf7", "<html><script>f()"},
		"UTF-7 by mark":    {"+/v8-+AGE-", "text.utf7", "a"},
		"NUL in a page":    {"<html><scr\x00ipt>f()</scr\x00ipt>", "text.nul", "<html><script>f()</script>"},
		"ISO-2022-JP":      {"<html><meta charset=ISO-2022-JP><scr\x1b(Bipt>f\x1b(J(\x1b$B\x1b(B)</script>", "text.iso2022", "<html><meta charset=ISO-2022-JP><script>f()</script>"},
		"and unsaid":       {"<html><scr\x1b(Bipt>f\x1b(J()</script>", "text.iso2022", "<html><script>f()</script>"},
		"UTF-7 in type":    {"<html><meta content='text/html; charset=utf-7'>+AGE-", "text.utf7", "<html><meta content='text/html; charset=utf-7'>a"},
		"UTF-7 XML header": {"<?xml version='1.0' encoding=\"utf-7\"?>+ADw-a/+AD4-", "text.utf7", "<?xml version='1.0' encoding=\"utf-7\"?><a/>"},
	}
}

// sealed is a text under eexec.
func sealed(s string) string {
	key, b := uint16(55665), []byte("skip"+s)
	for i := range b {
		b[i] ^= byte(key >> 8)
		key = (uint16(b[i])+key)*52845 + 22719
	}
	return string(b)
}

// lzwLate is LZW whose codes grow late, as the standard library writes it.
func lzwLate(s string) string {
	var b bytes.Buffer
	w := lzw.NewWriter(&b, lzw.MSB, 8)
	w.Write([]byte(s))
	w.Close()
	return b.String()
}

// lzwEarly is LZW as PostScript has it: a code for each byte, the table cleared before codes grow.
func lzwEarly(s string) string {
	var b []byte
	bits, n := 0, 0
	put := func(code int) {
		bits, n = bits<<9|code, n+9
		for ; n >= 8; n -= 8 {
			b = append(b, byte(bits>>(n-8)))
		}
	}
	for i := range len(s) {
		if i%200 == 0 {
			put(256)
		}
		put(int(s[i]))
	}
	put(257)
	put(0)
	return string(b)
}

func programs() map[string]sample {
	ps := func(call, data string) string {
		return "%!PS-Adobe-3.0\n/picstr 10 string def\n10 10 8 matrix\n" + call + "\n" + data + "\nshowpage\n%%EOF\n"
	}
	a85 := func(s string) string {
		b := make([]byte, ascii85.MaxEncodedLen(len(s)))
		return folded(string(b[:ascii85.Encode(b, []byte(s))]), 60, "\n") + "\n~>"
	}
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	w.Write([]byte(said))
	w.Close()
	font := "%!PS-AdobeFont-1.0: a\n/FontName /a def\ncurrentfile eexec\n"
	zeros := "\n" + strings.Repeat(strings.Repeat("0", 64)+"\n", 8) + "cleartomark\n"
	return map[string]sample{
		"ASCII85":      {ps("{currentfile /ASCII85Decode filter 0 () /SubFileDecode filter} exec\nimage", a85(string(program))), "ps.data", string(program)},
		"Flate":        {ps("currentfile /ASCII85Decode filter /FlateDecode filter", a85(z.String())), "ps.data", said},
		"hexadecimal":  {ps("currentfile /ASCIIHexDecode filter", folded(hex.EncodeToString(program), 60, "\n")+">"), "ps.data", string(program)},
		"picture":      {ps("{currentfile picstr readhexstring pop} image", folded(hex.EncodeToString(program), 60, "\r\n")), "ps.data", string(program)},
		"run lengths":  {ps("currentfile /ASCIIHexDecode filter /RunLengthDecode filter", hex.EncodeToString([]byte("\x02abc\xfex\x80"))+">"), "ps.data", "abcxxx"},
		"LZW":          {ps("currentfile /ASCII85Decode filter /LZWDecode filter", a85(lzwEarly(said+said))), "ps.data", said + said},
		"LZW, late":    {ps("currentfile /ASCIIHexDecode filter << /EarlyChange 0 >> /LZWDecode filter", hex.EncodeToString([]byte(lzwLate(said)))+">"), "ps.data", said},
		"two filters":  {ps("currentfile /ASCII85Decode filter /LZWDecode filter /RunLengthDecode filter", a85(lzwEarly("\x02abc\xfex\x80"))), "ps.data", "abcxxx"},
		"JPEG":         {ps("currentfile /ASCII85Decode filter /DCTDecode filter", a85("\xff\xd8"+said)), "ps.data", "\xff\xd8" + said},
		"stream":       {ps("5 0 obj\n<</Filter[/ASCII85Decode\n/LZWDecode]/Length 319>>stream", a85(lzwEarly(said))+"\nendstream\nendobj"), "ps.data", said},
		"stream, bare": {ps("<</Filter/FlateDecode/Length 3>>stream", z.String()+"\nendstream"), "ps.data", said},
		"in a page":    {ps("BI\n/CS/G\n/W 8\n/F[/A85\n/Fl]\nID", a85(z.String())+"\nEI Q"), "ps.data", said},
		"in hex":       {ps("BI\n/W 8\n/F/AHx\nID", hex.EncodeToString(program)+">\nEI Q"), "ps.data", string(program)},
		"eexec, hex":   {font + folded(hex.EncodeToString([]byte(sealed(said))), 64, "\n") + zeros, "ps.eexec", said},
		"eexec, bytes": {font + sealed(said) + zeros, "ps.eexec", said},
		"EPS for DOS":  {"\xc5\xd0\xd3\xc6\x1e\x00\x00\x00\x0b\x00\x00\x00" + strings.Repeat("\x00", 18) + "%!PS\nabcdef", "ps.text", "%!PS\nabcdef"},
	}
}

// TestPostScriptFax gives what is in front of a filter that is not undone, and says so.
func TestPostScriptFax(t *testing.T) {
	const data = "\x26\xa0 " + said
	r := unpacktest.Walk(t, PostScript(), []byte("%!PS\ncurrentfile /ASCIIHexDecode filter << /K -1 >> /CCITTFaxDecode filter\nimage\n"+hex.EncodeToString([]byte(data))+">\n"), showcause.Limits{})
	if got := r.Child(t, "ps.data", ""); got != data || !r.Has(unfiltered) {
		t.Errorf("%q, %v", got, r.Gaps)
	}
	r = unpacktest.Walk(t, PostScript(), []byte("%!PS\ncurrentfile /ASCIIHexDecode filter /FlateDecode filter\nimage\n"+hex.EncodeToString([]byte(data))+">\n"), showcause.Limits{})
	if !r.Has(showcause.Corrupt) {
		t.Errorf("no deflate: %v", r.Gaps)
	}
}

func cards() map[string]sample {
	card := func(property string) string {
		return "BEGIN:VCARD\r\nVERSION:3.0\r\n" + property + "\r\nFN:A Name\r\nEND:VCARD\r\n"
	}
	lines := folded(b64(string(program)), 74, "\r\n ")
	return map[string]sample{
		"PHOTO":          {card("PHOTO;ENCODING=b;TYPE=JPEG:" + lines), "card.base64", string(program)},
		"vCard 2.1":      {card("PHOTO;JPEG;BASE64:\r\n" + folded(b64(string(program)), 60, "\r\n") + "\r\n"), "card.base64", string(program)},
		"data:":          {card("KEY:data:application/pgp-keys;base64," + lines), "card.base64", string(program)},
		"ATTACH":         {"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nATTACH;FMTTYPE=\"a:b\";ENC\r\n ODING=BASE64;VALUE=BINARY:" + lines + "\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n", "card.base64", string(program)},
		"line ends":      {strings.ReplaceAll(card("LOGO;ENCODING=B:"+lines), "\r\n", "\n"), "card.base64", string(program)},
		"quoted":         {card("NOTE;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8:a=3Db=\r\n and so on=21"), "card.text", "a=b and so on!"},
		"UTF-16":         {"\xff\xfe" + units(card("PHOTO;ENCODING=b:"+lines), binary.LittleEndian), "card.base64", string(program)},
		"after the mark": {"\xef\xbb\xbf\r\n" + card("SOUND;ENCODING=b:"+lines), "card.base64", string(program)},
	}
}

func TestCardName(t *testing.T) {
	for param, want := range map[string]string{
		"FILENAME=a.pdf": "a.pdf", "X-FILENAME=\"a;b: c.pdf\"": "a;b: c.pdf", "X-APPLE-FILE\r\n NAME=c.exe": "c.exe", "X-ORACLE-FILENAME=d;X=1": "d", "X-FOO=1": "",
	} {
		text := "BEGIN:VCALENDAR\r\nATTACH;" + param + ";ENCODING=BASE64:" + b64("MZ a program") + "\r\nEND:VCALENDAR\r\n"
		if got := unpacktest.Walk(t, Card(), []byte(text), showcause.Limits{}).Child(t, "card.base64", want); got != "MZ a program" {
			t.Errorf("%s: %q", param, got)
		}
	}
}

func encoded() map[string]sample {
	whole := encode(said)
	return map[string]sample{
		"alone":           {whole, "screnc.script", said},
		"in a page":       {"<html><script language='JScript.Encode'>//**Start Encode**" + whole + "</script>", "screnc.script", said},
		"all characters":  {encode(list(strings.Repeat("\t\x20\x7f<>@\r\n", 20), "%c", "") + said), "screnc.script", list(strings.Repeat("\t\x20\x7f<>@\r\n", 20), "%c", "") + said},
		"no end":          {strings.TrimSuffix(whole, "^#~@"), "screnc.script", said},
		"wrong sum":       {strings.Replace(whole, "==^#~@", "==^#~@", 1)[:len(whole)-12] + "AAAAAA==^#~@", "screnc.script", said},
		"length too much": {"#@~^//////==" + whole[12:], "screnc.script", said},
		"length zero":     {"#@~^AAAAAA==" + whole[12:], "screnc.script", said},
		"no length":       {"#@~^        " + whole[12:], "screnc.script", said},
		"second":          {"<% " + encode("one") + " %>" + whole, "screnc.script", said},
		"UTF-16":          {"\xff\xfe" + units("x = "+encode("MsgBox 1"), binary.LittleEndian), "screnc.script", "MsgBox 1"},
		"length past end": {"#@~^gAAAAA==" + encode(said[:20])[12:] + whole[12:], "screnc.script", said[:20]},
	}
}

// tarred is a tar file, which says what it is far behind a short name.
func tarred() string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	w.WriteHeader(&tar.Header{Name: "./a", Size: 12, Mode: 0o600, Format: tar.FormatGNU})
	w.Write([]byte("what is said"))
	w.Close()
	return b.String()
}

func stretches() map[string]sample {
	command := b64(units("iex 'what is said'", binary.LittleEndian))
	long := b64(said)
	bin := b64(string(program))
	// As linkers write it: the header of the PE file is behind a program for DOS, of which the header is 64 bytes.
	further := "MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00\xb8" + strings.Repeat("\x00", 43) + "\x08\x01\x00\x00" + strings.Repeat("\x00", 200) + "PE\x00\x00" + string(program)
	out := map[string]sample{
		"call":               {"[Convert]::FromBase64String('" + b64("only a few bytes") + "')", "encoded.base64", "only a few bytes"},
		"call of a browser":  {"eval(atob(\"" + long + "\"))", "encoded.base64", said},
		"pipe":               {"echo " + b64("rm -rf only/a/few") + " | base64 -d | sh", "encoded.base64", "rm -rf only/a/few"},
		"deflate":            {"<?php $f = gzinflate(base64_decode('" + b64(deflated(said)) + "')); eval($f);", "encoded.deflate", said},
		"text":               {"x = \"" + long + "\";", "encoded.base64", said},
		"program":            {"x = \"" + bin + "\";", "encoded.base64", string(program)},
		"lines":              {"x:\n" + folded(bin, 76, "\n") + "\nend of it\n", "encoded.base64", string(program)},
		"lines, CRLF":        {"x:\r\n" + folded(bin, 76, "\r\n") + "\r\n\r\nend of it\n", "encoded.base64", string(program)},
		"added strings":      {"x = \"" + folded(bin, 50, "\" + \"") + "\";", "encoded.base64", string(program)},
		"lines of VBA":       {"x = \"" + folded(bin, 50, "\"\r\n    x = x & \"") + "\"\r\n", "encoded.base64", string(program)},
		"escaped line ends":  {"{\"x\": \"" + folded(bin, 64, `\n`) + "\"}", "encoded.base64", string(program)},
		"escaped slashes":    {"{\"x\": \"" + strings.ReplaceAll(bin, "/", `\/`) + "\"}", "encoded.base64", string(program)},
		"tar":                {"eval $finish; exit $res\n" + folded(b64(tarred()), 76, "\n") + "\n", "encoded.base64", tarred()},
		"URL alphabet":       {"x = " + strings.NewReplacer("+", "-", "/", "_").Replace(bin), "encoded.base64", string(program)},
		"UTF-16 by itself":   {"x = " + b64(units(said, binary.LittleEndian)), "encoded.base64", units(said, binary.LittleEndian)},
		"hex":                {"x = '" + hex.EncodeToString(program) + "'", "encoded.hex", string(program)},
		"hex lines":          {"x:\n" + folded(strings.ToUpper(hex.EncodeToString(program)), 64, "\n") + "\n", "encoded.hex", string(program)},
		"hex added":          {"x = \"" + folded(hex.EncodeToString(program), 40, "\" & \"") + "\"", "encoded.hex", string(program)},
		"fromCharCode":       {"eval(String.fromCharCode(" + list(said, "%d", ",") + "))", "encoded.codes", said},
		"numbers":            {"[byte[]](" + list(string(program), "%d", ", ") + ")", "encoded.codes", string(program)},
		"0x":                 {"char x[] = {" + list(string(program), "0x%02x", ", ") + "};", "encoded.codes", string(program)},
		"\\x":                {"x = \"" + list(said, "\\x%02x", "") + "\"", "encoded.codes", said},
		"\\x, lines":         {"x = \"" + folded(list(said, "\\x%02x", ""), 40, "\"\n\"") + "\"", "encoded.codes", said},
		"\\u":                {"x = \"" + list(said, "\\u%04x", "") + "\"", "encoded.codes", said},
		"octal":              {"x = \"" + list(said, "\\%03o", "") + "\"", "encoded.codes", said},
		"%":                  {"unescape('" + list(said, "%%%02X", "") + "')", "encoded.codes", said},
		"%u":                 {"unescape('%u4d4d" + list(strings.Repeat("aZ", 40), "%%u00%02x", "") + "')", "encoded.codes", "MM" + list(strings.Repeat("aZ", 40), "%c\x00", "")},
		"references":         {"<a>" + list(said, "&#%d;", "") + "</a>", "encoded.codes", said},
		"references in hex":  {"<a>" + list(said, "&#x%x;", "") + "</a>", "encoded.codes", said},
		"Chr":                {"Execute(" + list(said, "Chr(%d)", " & ") + ")", "encoded.codes", said},
		"Chr of &H":          {"Execute(" + list(said, "ChrW(&H%X)", "&") + ")", "encoded.codes", said},
		"pairs":              {"x = '" + list(string(program), "%02x", " ") + "'", "encoded.codes", string(program)},
		"pairs with dashes":  {"x = '" + list(string(program), "%02X", "-") + "'", "encoded.codes", string(program)},
		"registry":           {"\"x\"=hex:" + folded(list(string(program), "%02x", ","), 75, "\\\r\n  ") + "\r\n", "encoded.codes", string(program)},
		"signed":             {"new byte[]{" + strings.ReplaceAll(list(string(program), "%d", ","), "255", "-1") + "}", "encoded.codes", string(program)},
		"UTF-16":             {"\xff\xfe" + units("x = '"+bin+"'", binary.LittleEndian), "encoded.base64", string(program)},
		"brackets":           {"iex (" + list(said, "[char]%d", "+") + ")", "encoded.codes", said},
		"header further on":  {"$x = '" + b64(further) + "'", "encoded.base64", further},
		"its hex":            {"$x = '" + hex.EncodeToString([]byte(further)) + "'", "encoded.hex", further},
		"its numbers":        {"$x = " + list(further, "%d", ","), "encoded.codes", further},
		"echo":               {"@echo off\r\necho -----BEGIN CERTIFICATE----->a.txt\r\necho " + folded(b64(further), 64, ">>a.txt\r\necho ") + ">>a.txt\r\ncertutil -decode a.txt a.exe\r\n", "encoded.base64", further},
		"echo in a block":    {"(echo " + folded(b64(further), 64, "\r\necho ") + ")>a.txt\r\n", "encoded.base64", further},
		"file, then echo":    {">a.txt echo " + folded(b64(further), 64, "\r\n>>a.txt echo ") + "\r\n", "encoded.base64", further},
		"echo of hex":        {"echo " + folded(hex.EncodeToString([]byte(further)), 32, ">>a.txt\necho ") + ">>a.txt\n", "encoded.hex", further},
		"behind other words": {"powershell -c \"foo; bar\" x = '" + bin + "'", "encoded.base64", string(program)},
	}
	for _, option := range []string{"-e ", "-E ", "-ec ", "-enc ", "-EncodedCommand ", "/enc ", "\u2013enc ", "\u2014e ", "\u2015Encod ", "-en^c ", "-e`nc ", "-\"e\"nc ", "-enc \"", "-enc '", "-encodedarguments ", "\x96e "} {
		out["powershell "+option] = sample{"powershell.exe -nop " + option + command + "\n", "encoded.command", units("iex 'what is said'", binary.LittleEndian)}
	}
	out["carets"] = sample{"cmd /c p^o^w^e^r^s^h^e^l^l -^e " + folded(command, 1, "^"), "encoded.command", units("iex 'what is said'", binary.LittleEndian)}
	return out
}

// TestSamples holds what is in each sample, and that what is read is no gap.
func TestSamples(t *testing.T) {
	for name, c := range all() {
		f, samples := c.f, c.samples
		for s, want := range samples {
			got := unpacktest.Walk(t, f, []byte(want.text), showcause.Limits{})
			ok := false
			for _, child := range got.Children {
				ok = ok || child.Op == want.op && sameStart(string(child.Data), want.want)
			}
			if !f.Match(unpacktest.Probe(showcause.Bytes(want.text))) {
				t.Errorf("%s, %s: no match", name, s)
			}
			if !ok || got.Unread() {
				t.Errorf("%s, %s: want %s %q, got\n%s%q", name, s, want.op, want.want, got, childrenOf(got))
			}
			// The same where the layer is not in memory.
			if again := unpacktest.WalkSource(t, f, hidden{showcause.Bytes(want.text)}, showcause.Limits{}); again.String() != got.String() {
				t.Errorf("%s, %s: not in memory:\n%s\nwant\n%s", name, s, again, got)
			}
		}
	}
}

// sameStart lets a decoder give a few bytes more: what follows a list may look like it.
func sameStart(have, want string) bool {
	return strings.HasPrefix(have, want) && len(have) <= len(want)+2
}

func childrenOf(r unpacktest.Result) (out []string) {
	for _, c := range r.Children {
		out = append(out, c.Op+": "+string(c.Data[:min(len(c.Data), 200)]))
	}
	return out
}

// hidden is a source that is no showcause.Bytes.
type hidden struct{ showcause.Bytes }

type formatSamples struct {
	f       unpack.Format
	samples map[string]sample
}

func all() map[string]formatSamples {
	return map[string]formatSamples{
		"card": {Card(), cards()}, "ps": {PostScript(), programs()}, "html": {HTML(), pages()}, "text": {Text(), texts()}, "screnc": {Encoded(), encoded()}, "encoded": {Stretches(), stretches()},
	}
}

// TestConform: a text has no end, so that one that is cut is whole.
func TestConform(t *testing.T) {
	for name, c := range all() {
		t.Run(name, func(t *testing.T) {
			samples := map[string][]byte{}
			for s, v := range c.samples {
				samples[s] = []byte(v.text)
			}
			unpacktest.ConformWhole(t, c.f, samples, func([]byte) bool { return true })
		})
	}
}

func fuzz(f *testing.F, name string) {
	c := all()[name]
	var seeds [][]byte
	for _, s := range c.samples {
		seeds = append(seeds, []byte(s.text))
	}
	unpacktest.Fuzz(f, c.f, seeds...)
}

func FuzzHTML(f *testing.F)       { fuzz(f, "html") }
func FuzzCard(f *testing.F)       { fuzz(f, "card") }
func FuzzPostScript(f *testing.F) { fuzz(f, "ps") }
func FuzzText(f *testing.F)       { fuzz(f, "text") }
func FuzzEncoded(f *testing.F)    { fuzz(f, "screnc") }
func FuzzStretches(f *testing.F)  { fuzz(f, "encoded") }

// TestEncodedNotes holds that nothing is said of a script as the encoder writes it, and what of one that lies.
func TestEncodedNotes(t *testing.T) {
	for name, code := range map[string]string{"alone": "", "all characters": "", "in a page": "", "wrong sum": string(noteChecksum), "length too much": string(noteLength), "length zero": string(noteLength)} {
		got := unpacktest.Walk(t, Encoded(), []byte(encoded()[name].text), showcause.Limits{})
		if code == "" && len(got.Gaps) > 0 || code != "" && (len(got.Gaps) != 1 || string(got.Gaps[0].Code) != code) {
			t.Errorf("%s: want %q, got\n%s", name, code, got)
		}
	}
}

// TestHopeless holds that what is given up after its first bytes would make no sense with any others behind them that
// are of use: text, zeros, and the bytes themselves.
func TestHopeless(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	given, kept := 0, 0
	for range 200_000 {
		b := make([]byte, minDecoded)
		for i := range b {
			switch rng.Uint32() % 4 {
			case 0, 1:
				b[i] = "some text, and more of it"[rng.IntN(25)]
			case 2:
				b[i] = byte(rng.Uint32()) * byte(rng.Uint32()%2)
			}
		}
		n := 8 + rng.IntN(9)
		for i := n; i < len(b); i++ {
			if b[i] = "and what follows is text "[i%25]; b[n-1] == 0 && i%2 == int(b[n-2]&1) {
				b[i] = 0
			}
		}
		if !hopeless(b[:n]) {
			kept++
		} else if given++; sense(b) {
			t.Fatalf("%q", b)
		}
	}
	if given < 1000 || kept < 1000 {
		t.Errorf("%d given up, %d kept", given, kept)
	}
	for _, name := range decoders {
		if called([]byte(strings.ToUpper(name)+"('")) != byCall {
			t.Errorf("%s is no call", name)
		}
	}
}

// TestOnce holds that what stands in a script of a page is read in the script, and not as the page's as well.
func TestOnce(t *testing.T) {
	page := []byte("<html>" + encode("one") + "<script>x = atob('" + b64(said) + "');" + encode("two") + "</script>" + encode("three") + "<p>atob('" + b64(string(program)) + "')")
	ops := map[string]int{}
	src := showcause.Bytes(page)
	out := unpack.NewOut(unpack.NewBudget(showcause.Limits{}, src.Size(), nil), nil, func(l showcause.Layer) { ops[l.Trail[0].Op]++ }, func(g showcause.Gap) { t.Error(g) })
	for _, f := range []unpack.Format{Text(), HTML(), Encoded(), Stretches()} {
		if f.Match(unpacktest.Probe(src)) {
			f.Walk(src, out)
		}
	}
	if len(ops) != 3 || ops["html.script"] != 1 || ops["screnc.script"] != 2 || ops["encoded.base64"] != 1 {
		t.Error(ops)
	}
}

// TestAnyFront holds that a script or a page is read as one whatever stands in front of it: what runs it passes over that,
// or takes it as part of it.
func TestAnyFront(t *testing.T) {
	for name, front := range map[string]string{
		"program": "MZ=1;\n", "sound": "ID3=1;\n", "RIFF": "RIFF/*x*/WEBP=1;\n", "PostScript": "%!PS-Adobe-3.0\n", "PDF in a comment": "/* %PDF-1.7 */\n", "PDF": "%PDF-1.7\n", "header of a mail": "Received: x\n",
		"Word's XML": "<?xml version='1.0'?><?mso-application progid='Word.Document'?>\n", "XDP": "<?xml version='1.0'?><xdp:xdp xmlns:xdp='http://ns.adobe.com/xdp/'>\n", "Script Encoder": "#@~^\n",
		"picture": "\x89PNG\r\n\x1a\n", "class": "\xca\xfe\xba\xbe\x00\x00\x00\x34\n", "one byte of no text": "/* \x01 */\n", "NUL": strings.Repeat("\x00", 2000), "noise": strings.Repeat("\xff\x01\x80", 500) + "\n",
		"high bytes": strings.Repeat("\xff", 2000) + "\n", "more than is looked at": strings.Repeat("\xff\x01\x80", 40_000) + "\n", "mark of UTF-16": "\xff\xfe&cls\r\n", "and of the other order": "\xfe\xff\n",
	} {
		page := "<html><iframe srcdoc='" + list("<script>"+said+"</script>", "&#%d;", "") + "'></iframe><p>some words of a page</p></html>"
		if far := name == "more than is looked at"; !far {
			if got := unpacktest.Walk(t, HTML(), []byte(front+page), showcause.Limits{}); !HTML().Match(unpacktest.Probe(showcause.Bytes(front+page))) || !got.Contains(said) {
				t.Errorf("%s: page: %s", name, got)
			}
		}
		text := "@echo off\r\nstart x.exe\r\n" + strings.Repeat("rem what it does\r\n", 40) + "x = atob('" + b64(said) + "')\n" + strings.Repeat("rem what it does\r\n", 40)
		if got := unpacktest.Walk(t, Stretches(), []byte(front+text), showcause.Limits{}); !Stretches().Match(unpacktest.Probe(showcause.Bytes(front+text))) || !got.Contains(said) {
			t.Errorf("%s: text: %s", name, got)
		}
	}
	for name, data := range map[string]string{"PDF": "%PDF-1.7\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n" + strings.Repeat("words ", 400), "mail": "From: a\nTo: b\n\n" + strings.Repeat("words ", 400)} {
		if Stretches().Match(unpacktest.Probe(showcause.Bytes(data))) {
			t.Errorf("%s is read twice", name)
		}
	}
}

// TestMany holds that of many stretches those beyond the first are one child together, and none is lost.
func TestMany(t *testing.T) {
	for name, one := range map[string]string{
		"html":    "<script>alert(%04d)</script>\n",
		"encoded": "x = atob('%s');\n",
	} {
		var text strings.Builder
		text.WriteString("<html>")
		for i := range 1000 {
			if name == "html" {
				fmt.Fprintf(&text, one, i)
			} else {
				fmt.Fprintf(&text, one, b64(fmt.Sprintf("alert(%04d) and more of it", i)))
			}
		}
		got := unpacktest.Walk(t, all()[name].f, []byte(text.String()), showcause.Limits{})
		if len(got.Children) != maxEach+1 || got.Unread() {
			t.Errorf("%s: %d children", name, len(got.Children))
		}
		for i := range 1000 {
			if !got.Contains(fmt.Sprintf("alert(%04d)", i)) {
				t.Fatalf("%s: %d is lost", name, i)
			}
		}
	}
}

// TestOrdinary holds that what looks like encoded text and says nothing is no child.
func TestOrdinary(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	noise := make([]byte, 3000)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	for name, s := range map[string]string{
		"PEM":     "-----BEGIN CERTIFICATE-----\n" + folded(b64("\x30\x82"+string(noise)), 64, "\n") + "\n-----END CERTIFICATE-----\n",
		"sums":    strings.Repeat(hex.EncodeToString(noise[:64])+"  a/file/somewhere\n", 50),
		"lock":    strings.Repeat("\"integrity\": \"sha512-"+b64(string(noise[:64]))+"\",\n", 50),
		"paths":   strings.Repeat("usr/share/doc/some_package/with/long-names/of/files/in/it/and/more/of/them/so/that/it/is/long\n", 20),
		"numbers": strings.Repeat("1, 20, 300, 4000, 255, 0, 17, 65535, 128\n", 50),
		"dashes":  strings.Repeat("-", 500) + "\n" + strings.Repeat("=", 500) + "\n" + strings.Repeat(" ", 500),
		"words":   strings.Repeat("grep -e averylongwordthatisnoencodedcommand /enc abcdefghijklmnopqrstuvwxyzab file\n", 20),
		"zeros":   strings.Repeat("0x00, ", 500) + strings.Repeat("AAAA", 200),
	} {
		for _, f := range []unpack.Format{Text(), HTML(), Encoded(), Stretches()} {
			if !f.Match(unpacktest.Probe(showcause.Bytes(s))) {
				continue
			}
			if got := unpacktest.Walk(t, f, []byte(s), showcause.Limits{}); len(got.Children)+len(got.Gaps) > 0 {
				t.Errorf("%s: %s%q", name, got, childrenOf(got))
			}
		}
	}
}
