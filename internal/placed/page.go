package placed

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/url"
	"strings"
)

func page(s string) string { return "<html><head><title>a</title></head><body>" + s + "</body></html>" }

// pages has it in HTML.
func pages(l *list) {
	escaped := "%" + strings.TrimSuffix(broken(digits(body), 2, "%"), "%")
	inner := page("<p>" + Marker + "</p>")
	for name, s := range map[string]string{
		"text": Marker, "comment": "<!--" + Marker + "-->", "comment not closed": "<!--" + Marker, "conditional comment": "<!--[if IE]>" + Marker + "<![endif]-->", "script": "<script>alert('" + Marker + "')</script>", "script with a type": "<script type=text/vbscript>MsgBox \"" + Marker + "\"</script>",
		"script in a comment": "<script><!--\nalert('" + Marker + "')\n//--></script>", "script not closed": "<script>alert('" + Marker + "')", "style": "<style>p{content:'" + Marker + "'}</style>", "attribute": "<p title=\"" + Marker + "\">", "address": "<a href=\"http://a.example/" + Marker + "\">x</a>",
		"source": "<img src=http://a.example/" + Marker + ">", "event": "<body onload=\"f('" + Marker + "')\">", "script address": "<a href=\"javascript:f('" + Marker + "')\">x</a>", "letters by number": codes(Marker), "attribute by number": "<a href=\"" + codes("http://a.example/"+Marker) + "\">x</a>",
		"hidden": "<div style=\"display:none\">" + Marker + "</div>", "text area": "<textarea>" + Marker + "</textarea>", "no script": "<noscript>" + Marker + "</noscript>", "template": "<template>" + Marker + "</template>", "capitals": "<SCRIPT>ALERT('" + Marker + "')</SCRIPT>", "meta": "<meta http-equiv=refresh content=\"0;url=http://a.example/" + Marker + "\">",
		"input": "<input type=hidden value=\"" + Marker + "\">", "object": "<object data=\"" + Marker + "\"></object>", "frame": "<iframe src=\"" + Marker + "\"></iframe>", "source of a frame": "<iframe srcdoc=\"&lt;p&gt;" + Marker + "&lt;/p&gt;\"></iframe>", "CDATA": "<![CDATA[" + Marker + "]]>", "SVG": "<svg><script>" + Marker + "</script></svg>",
		"data, base64": "<a href=\"data:application/octet-stream;base64," + base(body) + "\">x</a>", "data, escaped": "<a href=\"data:application/octet-stream," + escaped + "\">x</a>", "data, page": "<iframe src=\"data:text/html;base64," + base(inner) + "\"></iframe>", "data, zip": "<a href=\"data:application/zip;base64," + base(string(zipOf(member{"a", body, false}))) + "\">x</a>",
		"data, picture": "<img src=\"data:image/png;base64," + base("\x89PNG\r\n\x1a\n"+body) + "\">", "data in a style": "<style>p{background:url(data:image/png;base64," + base(body) + ")}</style>", "base64 in a script": "<script>var a=atob('" + base(long) + "')</script>", "escapes in a script": "<script>eval(unescape('" + url.PathEscape(Marker) + "'+'" + "%" + strings.TrimSuffix(broken(digits(Marker), 2, "%"), "%") + "'))</script>",
		"codes in a script": "<script>eval(String.fromCharCode(" + numbers(long) + "))</script>", "strings in a script": "<script>var a='" + strings.Join(strings.Split(Marker, ""), "'+'") + "'</script>", "hexadecimal in a script": "<script>var a='" + `\x` + strings.TrimSuffix(broken(digits(Marker), 2, `\x`), `\x`) + "'</script>",
		"behind zeros": strings.Repeat("\x00", 40) + Marker, "zeros between": strings.Join(strings.Split(Marker, ""), "\x00"), "behind the end": "</body></html>" + Marker,
	} {
		l.text("html/"+name, page(s))
	}
	l.text("html/UTF-16", "\xff\xfe"+wide(inner))
	l.text("html/UTF-16, big", "\xfe\xff"+big(inner))
	l.text("html/UTF-16 without a mark", wide(inner))
	l.text("html/UTF-8 with a mark", "\xef\xbb\xbf"+inner)
	l.text("html/saved with its parts", mailHead+multipart("related; type=\"text/html\"", "b", mailPart("text/html", "Content-Location: a\r\n", "quoted-printable", quoted(inner)), mailPart("image/png", "Content-Location: b\r\n", "base64", lines("x"))))
	l.text("html/saved, a part of it", mailHead+multipart("related; type=\"text/html\"", "b", mailPart("text/html", "", "7bit", page("x")), mailPart("image/png", "Content-Location: b\r\n", "base64", lines(body))))
	l.text("html/saved by Word", "From: <Saved>\r\n"+mailHead[len("From: a@a.example\r\n"):]+multipart("related", "b", mailPart("text/html", "", "7bit", page("x")), mailPart("application/x-mso", "Content-Location: editdata.mso\r\n", "base64", lines(string(compoundOf(9, vbaProject("Macros/", source, 0x21)...))))))
}

// numbers are the codes of letters.
func numbers(s string) string {
	var b strings.Builder
	for i, c := range []byte(s) {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprint(&b, c)
	}
	return b.String()
}

// scripts has it in scripts and other texts that are run.
func scripts(l *list) {
	for name, s := range map[string]string{
		"shell": "#!/bin/sh\n# " + Marker + "\necho x\n", "shell, base64": "#!/bin/sh\necho " + base(long) + " | base64 -d | sh\n", "batch": "@echo off\r\nrem " + Marker + "\r\n", "batch with carets": "@echo off\r\ncmd /c echo " + strings.Join(strings.Split(Marker, ""), "^") + "\r\n",
		"PowerShell, encoded": "powershell.exe -nop -w hidden -enc " + base(wide("Write-Host '"+Marker+"' # and some more text of it")) + "\r\n", "PowerShell, base64": "$a=[Convert]::FromBase64String('" + base(long) + "')\r\n", "PowerShell, joined": "$a='" + strings.Join(strings.Split(Marker, ""), "'+'") + "'\r\n",
		"JavaScript": "var a = '" + Marker + "';\nfunction f(){return a}\n", "JavaScript, codes": "var a = String.fromCharCode(" + numbers(long) + ");\n", "VBScript": "Sub Main\r\n  MsgBox \"" + Marker + "\"\r\nEnd Sub\r\n", "VBScript, codes": "a = " + chrs(long) + "\r\n", "VBScript, comment": "' " + Marker + "\r\nOption Explicit\r\n",
		"Python": "#!/usr/bin/env python3\nimport base64\nexec(base64.b64decode('" + base(long) + "'))\n", "PHP": "<?php eval(base64_decode('" + base(long) + "')); ?>", "PHP, compressed": "<?php $f = gzinflate(base64_decode('" + base(string(deflated(long))) + "')); eval($f); ?>", "PHP, text": "<?php // " + Marker + "\n?>",
		"Perl": "#!/usr/bin/perl\n# " + Marker + "\n", "Windows script": "<?xml version=\"1.0\"?><job><script language=\"JScript\"><![CDATA[ f('" + Marker + "') ]]></script></job>", "HTA": "<html><head><hta:application/></head><script language=vbscript>MsgBox \"" + Marker + "\"</script></html>", "scriptlet": "<?xml version=\"1.0\"?><scriptlet><script language=\"JScript\"><![CDATA[ f('" + Marker + "') ]]></script></scriptlet>",
		"SVG": "<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\"><script>f('" + Marker + "')</script></svg>", "style sheet": "<?xml version=\"1.0\"?><xsl:stylesheet xmlns:xsl=\"x\"><ms:script>f('" + Marker + "')</ms:script></xsl:stylesheet>", "PostScript": "%!PS-Adobe-3.0\n%%Title: " + Marker + "\nshowpage\n", "EPS, hexadecimal": "%!PS-Adobe-3.0 EPSF-3.0\n<" + digits(long) + "> exec\n",
		"style sheet, msxsl": "<?xml version='1.0'?><stylesheet xmlns=\"http://www.w3.org/1999/XSL/Transform\" xmlns:ms=\"urn:schemas-microsoft-com:xslt\"><ms:script implements-prefix=\"u\" language=\"JScript\"><![CDATA[ f('" + Marker + "') ]]></ms:script></stylesheet>",
		"PostScript, LZW":    "%!PS-Adobe-3.0\ncurrentfile /ASCII85Decode filter << /EarlyChange 0 >> /LZWDecode filter cvx exec\n" + letters85(pdfLZW(long)) + "\n", "PostScript, stream": "%!PS-Adobe-3.0\n5 0 obj\n<</Filter[/ASCII85Decode\n/FlateDecode]/Length 9>>stream\n" + letters85(zlibbed(long)) + "\nendstream\nendobj\n",
		"PostScript, hexadecimal": "%!PS-Adobe-3.0\ncurrentfile /ASCIIHexDecode filter cvx exec\n" + digits(long) + ">\n",
		"shortcut":                "[InternetShortcut]\r\nURL=http://a.example/" + Marker + "\r\n", "desktop entry": "[Desktop Entry]\nType=Application\nExec=sh -c " + Marker + "\n", "registry": "Windows Registry Editor Version 5.00\r\n\r\n[HKEY_CURRENT_USER\\a]\r\n\"b\"=\"" + Marker + "\"\r\n", "registry, UTF-16": "\xff\xfe" + wide("Windows Registry Editor Version 5.00\r\n\r\n\"b\"=\""+Marker+"\"\r\n"), "registry, bytes": "Windows Registry Editor Version 5.00\r\n\r\n[a]\r\n\"b\"=hex:" + strings.TrimSuffix(broken(digits(long), 2, ","), ",") + "\r\n",
		"UTF-16": "\xff\xfe" + wide("a text with "+Marker+" in it\r\n"), "UTF-16, big": "\xfe\xff" + big("a text with "+Marker+" in it\r\n"), "UTF-8 with a mark": "\xef\xbb\xbfa text with " + Marker + " in it\r\n", "capitals": "A TEXT WITH " + strings.ToUpper(Marker) + " IN IT\r\n", "uuencoded": uuencoded(body), "yEnc": yencoded(body), "hexadecimal": digits(long) + "\n",
		"query": "let a = Web.Contents(\"http://" + Marker + "\") in a", "CSV": "a,b\r\n=cmd|'/c " + Marker + "'!A0,1\r\n", "SYLK": "ID;PWXL;N;E\r\nC;X1;Y1;K\"" + Marker + "\";EEXEC(\"x\")\r\nE\r\n",
	} {
		l.text("script/"+name, s)
	}
}

func chrs(s string) string {
	var b strings.Builder
	for i, c := range []byte(s) {
		if i > 0 {
			b.WriteString(" & ")
		}
		fmt.Fprintf(&b, "Chr(%d)", c)
	}
	return b.String()
}

// wrapped has a document of each kind in another container, and documents in documents.
func wrapped(l *list) {
	inner := map[string]string{
		"docx": string(zipOf(member{"[Content_Types].xml", contentTypes, false}, member{"word/document.xml", "<w:t>" + Marker + "</w:t>", false})), "doc": string(compoundOf(9, leaf{"WordDocument", long})), "macros": string(compoundOf(9, vbaProject("Macros/", source, 0x21)...)),
		"pdf": string(pdfPaged(pdfStream("/Filter/FlateDecode", zlibbed(body)))), "rtf": rtfOf(`{\object\objemb{\*\objdata ` + digits(ole1("Package", packaged("a", body))) + `}}`), "html": page("<script>" + Marker + "</script>"), "mail": mailHead + multipart("mixed", "b", plainPart, mailPart("application/octet-stream", "", "base64", lines(body))),
		"swf": "CWS\x0a" + u32(8+len(flashOf("x"))) + zlibbed(flashOf(u16(77<<6|63) + u32(len(body)) + body)[8:]),
	}
	for name, data := range inner {
		l.add("wrapped/zip/"+name, zipOf(member{"a/" + name, data, false}))
		l.add("wrapped/zip in zip/"+name, zipOf(member{"a.zip", string(zipOf(member{name, data, false})), false}))
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, err := w.Write([]byte(data))
		must(err)
		must(w.Close())
		l.add("wrapped/gzip/"+name, b.Bytes())
		l.text("wrapped/mail/"+name, mailHead+multipart("mixed", "b", plainPart, mailPart("application/octet-stream; name=a."+name, attachedFile, "base64", lines(data))))
		l.add("wrapped/pdf/"+name, pdfPaged(pdfStream("", "BT ET"), pdfStream("/Type/EmbeddedFile/Filter/FlateDecode", zlibbed(data))))
		l.add("wrapped/ole2/"+name, compoundOf(9, leaf{"\x01Ole10Native", native("a."+name, data)}))
		l.add("wrapped/docx/"+name, zipOf(member{"[Content_Types].xml", contentTypes, false}, member{"word/embeddings/" + name, data, false}))
		l.text("wrapped/rtf/"+name, rtfOf(`{\object\objemb{\*\objdata `+digits(ole1("Package", packaged("a."+name, data)))+`}}`))
		l.text("wrapped/html/"+name, page("<a href=\"data:application/octet-stream;base64,"+base(data)+"\">x</a>"))
	}
}
