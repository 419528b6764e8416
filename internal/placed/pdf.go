package placed

import (
	"bytes"
	"compress/lzw"
	"encoding/ascii85"
	"fmt"
	"io"
	"strings"
)

// pdfOf writes a document of these objects, the first of which is its catalog. "%d" objects
// number from 1.
func pdfOf(trailer string, objects ...string) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	var at []int
	for i, o := range objects {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(at)+1)
	for _, a := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", a)
	}
	fmt.Fprintf(&b, "trailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n", len(at)+1, trailer, start)
	return b.Bytes()
}

const (
	pdfCatalog = "<</Type/Catalog/Pages 2 0 R>>"
	pdfPages   = "<</Type/Pages/Kids[3 0 R]/Count 1>>"
	pdfPage    = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents 4 0 R>>"
)

func pdfStream(dict, data string) string {
	return fmt.Sprintf("<</Length %d%s>>\nstream\n%s\nendstream", len(data), dict, data)
}

// pdfPaged is a document of a page, with more objects from the fourth on.
func pdfPaged(more ...string) []byte {
	return pdfOf("", append([]string{pdfCatalog, pdfPages, pdfPage}, more...)...)
}

// letters85 is ASCII85 with its end.
func letters85(s string) string {
	b := make([]byte, ascii85.MaxEncodedLen(len(s)))
	return string(b[:ascii85.Encode(b, []byte(s))]) + "~>"
}

// pdfEncoders are the filters that readers undo, by their names.
var pdfEncoders = []struct {
	name, short string
	encode      func(s string) string
}{
	{"FlateDecode", "Fl", zlibbed},
	{"LZWDecode", "LZW", pdfLZW},
	{"ASCII85Decode", "A85", letters85},
	{"ASCIIHexDecode", "AHx", func(s string) string { return digits(s) + ">" }},
	{"RunLengthDecode", "RL", func(s string) string {
		var b strings.Builder
		for ; len(s) > 0; s = s[min(len(s), 128):] {
			part := s[:min(len(s), 128)]
			b.WriteString(string([]byte{byte(len(part) - 1)}) + part)
		}
		return b.String() + "\x80"
	}},
}

func pdfLZW(s string) string {
	var b bytes.Buffer
	w := lzw.NewWriter(&b, lzw.MSB, 8)
	_, err := io.WriteString(w, s)
	must(err)
	must(w.Close())
	return b.String()
}

// pdfFilters has the marker in streams under each filter, each two, and predictors.
func pdfFilters(l *list) {
	l.add("pdf/filter/none", pdfPaged(pdfStream("", body)))
	for _, a := range pdfEncoders {
		data := a.encode(body)
		for how, dict := range map[string]string{
			"": "/Filter/" + a.name, "/array": "/Filter[/" + a.name + "]", "/short": "/Filter/" + a.short, "/short key": "/F/" + a.short + "/Filter/" + a.name,
			"/hex": fmt.Sprintf("/Filter/#%02x%s", a.name[0], a.name[1:]), "/all hex": "/Filter/" + "#" + strings.TrimSuffix(broken(digits(a.name), 2, "#"), "#"),
			"/key in hex": "/#46i#6cter/" + a.name, "/indirect": "/Filter 5 0 R", "/null parms": "/Filter[/" + a.name + "]/DecodeParms[null]",
		} {
			l.add("pdf/filter/"+a.name+how, pdfPaged(pdfStream(dict, data), "/"+a.name))
		}
		for _, b := range pdfEncoders {
			l.add("pdf/filters/"+a.name+"+"+b.name, pdfPaged(pdfStream("/Filter[/"+a.name+"/"+b.name+"]", a.encode(b.encode(body)))))
		}
	}
	triple := pdfEncoders[2].encode(pdfEncoders[3].encode(zlibbed(body)))
	l.add("pdf/filters/three", pdfPaged(pdfStream("/Filter[/ASCII85Decode/ASCIIHexDecode/FlateDecode]", triple)))
	l.add("pdf/filters/four", pdfPaged(pdfStream("/Filter[/FlateDecode/ASCII85Decode/ASCIIHexDecode/FlateDecode]", zlibbed(triple))))
	const columns = 16
	row := func(kind byte, prev, cur string) string {
		out := []byte{kind}
		for i := range columns {
			var left, up, both byte
			if up = prev[i]; i > 0 {
				left, both = cur[i-1], prev[i-1]
			}
			out = append(out, cur[i]-[]byte{0, left, up, byte((int(left) + int(up)) / 2), paeth(left, up, both)}[kind])
		}
		return string(out)
	}
	text := body + strings.Repeat(" ", -len(body)&(columns-1))
	for kind, name := range []string{"none", "sub", "up", "average", "paeth"} {
		var b strings.Builder
		prev := strings.Repeat("\x00", columns)
		for at := 0; at < len(text); at += columns {
			b.WriteString(row(byte(kind), prev, text[at:at+columns]))
			prev = text[at : at+columns]
		}
		parms := fmt.Sprintf("/DecodeParms<</Predictor %d/Columns %d>>", 10+kind, columns)
		l.add("pdf/predictor/png "+name, pdfPaged(pdfStream("/Filter/FlateDecode"+parms, zlibbed(b.String()))))
		l.add("pdf/predictor/lzw, png "+name, pdfPaged(pdfStream("/Filter/LZWDecode"+parms, pdfLZW(b.String()))))
	}
	tiff := []byte(text)
	for i := len(tiff) - 1; i > 0; i-- {
		if i%columns != 0 {
			tiff[i] -= tiff[i-1]
		}
	}
	l.add("pdf/predictor/tiff", pdfPaged(pdfStream("/Filter/FlateDecode/DecodeParms<</Predictor 2/Columns 16>>", zlibbed(string(tiff)))))
}

func paeth(a, b, c byte) byte {
	abs := func(n int) int { return max(n, -n) }
	p := int(a) + int(b) - int(c)
	pa, pb, pc := abs(p-int(a)), abs(p-int(b)), abs(p-int(c))
	switch {
	case pa <= pb && pa <= pc:
		return a
	case pb <= pc:
		return b
	}
	return c
}

// pdfStructure has it in streams of files that are broken, or put together otherwise.
func pdfStructure(l *list) {
	data := zlibbed(body)
	whole := string(pdfPaged(pdfStream("/Filter/FlateDecode", data)))
	length := fmt.Sprintf("/Length %d", len(data))
	for name, edit := range map[string][2]string{
		"length of 0": {length, "/Length 0"}, "length too short": {length, "/Length 5"}, "length too long": {length, "/Length 99999"}, "no length": {length, ""},
		"negative length": {length, "/Length -7"}, "length of nothing": {length, "/Length 99 0 R"}, "no endstream": {"\nendstream", ""}, "no endobj": {"\nendstream\nendobj", "\nendstream"},
		"no ends": {"\nendstream\nendobj", ""}, "no xref": {"xref\n0", "what\n0"}, "no trailer": {"trailer\n", "\n"}, "no startxref": {"startxref", "start"}, "no version": {"%PDF-1.7", "%PDF-x"},
		"carriage returns": {"\nstream\n", "\rstream\r\n"}, "no line behind stream": {"stream\n" + data, "stream " + data}, "spaces in the head": {"4 0 obj", "4   0\t\nobj"},
		"generation": {"4 0 obj", "4 7 obj"}, "comment in the head": {"4 0 obj\n", "4 0 obj%x\n"}, "zeros in the number": {"4 0 obj", "00004 0 obj"}, "no root": {"/Root 1 0 R", ""},
		"comments in a dictionary": {"/Filter/", "%>>stream\n/Filter %x\n/"},
	} {
		l.text("pdf/structure/"+name, strings.Replace(whole, edit[0], edit[1], 1))
	}
	l.text("pdf/structure/behind 900 bytes", strings.Repeat("x\n", 450)+whole)
	l.text("pdf/structure/behind zeros", strings.Repeat("\x00", 300)+whole)
	l.text("pdf/structure/behind the end", whole+body)
	l.text("pdf/structure/stream behind the end", whole[:len(whole)-6]+"%%EOF\n9 0 obj\n"+pdfStream("/Filter/FlateDecode", data)+"\nendobj\n")
	l.text("pdf/structure/before the header", body+whole)
	l.text("pdf/structure/cut", whole[:strings.Index(whole, "xref")])
	first := string(pdfPaged(pdfStream("", "BT ET")))
	l.text("pdf/structure/update", first+"4 0 obj\n"+pdfStream("/Filter/FlateDecode", data)+"\nendobj\nxref\n4 1\n"+fmt.Sprintf("%010d 00000 n \n", len(first))+"trailer\n<</Size 5/Root 1 0 R/Prev 9>>\nstartxref\n9\n%%EOF\n")
	l.text("pdf/structure/replaced by an update", whole+"4 0 obj\n"+pdfStream("", "BT ET")+"\nendobj\ntrailer\n<</Size 5/Root 1 0 R>>\n%%EOF\n")
	l.add("pdf/structure/not referred to", pdfPaged(pdfStream("", "BT ET"), pdfStream("/Filter/FlateDecode", data)))
	l.add("pdf/structure/length indirect", pdfPaged("<</Length 5 0 R/Filter/FlateDecode>>\nstream\n"+data+"\nendstream", fmt.Sprint(len(data))))
	l.add("pdf/structure/length in an older object", pdfPaged("<</Length 5 0 R/Filter/FlateDecode>>\nstream\n"+data+"\nendstream", fmt.Sprint(len(data)))) // and broken behind it
	packed := func(text string) string {
		return pdfStream("/Type/ObjStm/N 1/First 4/Filter/FlateDecode", zlibbed("9 0 "+text))
	}
	for name, text := range pdfTexts() {
		l.add("pdf/object stream/"+name, pdfPaged(pdfStream("", "BT ET"), packed(text)))
	}
	for _, kind := range []string{"DCTDecode", "JPXDecode", "CCITTFaxDecode", "JBIG2Decode"} {
		l.add("pdf/picture/"+kind, pdfPaged(pdfStream("/Type/XObject/Subtype/Image/Width 1/Height 1/Filter/"+kind, body)))
		l.add("pdf/picture/Flate+"+kind, pdfPaged(pdfStream("/Type/XObject/Subtype/Image/Width 1/Height 1/Filter[/FlateDecode/"+kind+"]", data)))
	}
	inner := string(pdfPaged(pdfStream("/Filter/FlateDecode", data)))
	l.add("pdf/embedded/PDF", pdfPaged(pdfStream("", "BT ET"), pdfStream("/Type/EmbeddedFile/Filter/FlateDecode", zlibbed(inner))))
	l.add("pdf/embedded/PDF as it is", pdfPaged(pdfStream("", "BT ET"), pdfStream("/Type/EmbeddedFile", inner)))
	l.add("pdf/embedded/zip", pdfPaged(pdfStream("", "BT ET"), pdfStream("/Type/EmbeddedFile/Filter/FlateDecode", zlibbed(string(zipOf(member{"a", body, false}))))))
	l.add("pdf/embedded/zip as it is", pdfPaged(pdfStream("", "BT ET"), pdfStream("/Type/EmbeddedFile", string(zipOf(member{"a", body, false})))))
	l.add("pdf/embedded/OLE2", pdfPaged(pdfStream("", "BT ET"), pdfStream("/Type/EmbeddedFile/Filter/FlateDecode", zlibbed(string(compoundOf(9, leaf{"a", body}))))))
}

// pdfTexts are objects with a string, which has the marker.
func pdfTexts() map[string]string {
	out := map[string]string{}
	for name, dict := range map[string]string{
		"JavaScript": "<</Type/Action/S/JavaScript/JS %s>>", "URI": "<</Type/Action/S/URI/URI %s>>", "Launch": "<</S/Launch/F %s>>", "Launch in Windows": "<</S/Launch/Win<</F(cmd)/P %s>>>>",
		"GoToR": "<</S/GoToR/F %s/D[0]>>", "SubmitForm": "<</S/SubmitForm/F<</FS/URL/F %s>>>>", "annotation": "<</Type/Annot/Subtype/Text/Rect[0 0 1 1]/Contents %s>>",
		"field": "<</FT/Tx/T(a)/V %s>>", "file specification": "<</Type/Filespec/F %s/UF(a)>>", "outline": "<</Title %s/Parent 2 0 R>>", "array": "[1 2 %s]",
	} {
		out[name] = fmt.Sprintf(dict, "("+Marker+")")
		if name == "JavaScript" || name == "URI" {
			out[name+", hexadecimal"] = fmt.Sprintf(dict, "<"+broken(digits(Marker), 7, "\n")+">")
			out[name+", octal"] = fmt.Sprintf(dict, "("+octal(Marker)+")")
			out[name+", UTF-16"] = fmt.Sprintf(dict, "<feff"+digits(big(Marker))+">")
			out[name+", lines that go on"] = fmt.Sprintf(dict, "("+broken(Marker, 5, "\\\n")+")")
			out[name+", key in hexadecimal"] = strings.NewReplacer("/JS ", "/#4a#53 ", "/URI ", "/#55RI ").Replace(fmt.Sprintf(dict, "("+broken(Marker, 5, "\\\r\n")+")"))
		}
	}
	return out
}

func octal(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, `\%03o`, c)
	}
	return b.String()
}

// pdfValues has it in strings, scripts, forms, files and metadata.
func pdfValues(l *list) {
	for name, text := range pdfTexts() {
		l.add("pdf/value/"+name, pdfPaged(pdfStream("", "BT ET"), text))
	}
	data := zlibbed(body)
	for name, dict := range map[string]string{
		"metadata": "/Type/Metadata/Subtype/XML", "font": "/Length1 9", "function": "/FunctionType 4", "form": "/Type/XObject/Subtype/Form", "cross-references": "/Type/XRef/Size 5/W[1 2 1]/Root 1 0 R",
		"embedded file": "/Type/EmbeddedFile/Subtype/application#2foctet-stream", "3D": "/Type/3D/Subtype/U3D", "sound": "/Type/Sound/R 8000", "colours": "/N 3", "movie": "/Subtype/RichMedia", "a length of its own": "/DL 9",
	} {
		l.add("pdf/stream/"+name, pdfPaged(pdfStream("", "BT ET"), pdfStream(dict+"/Filter/FlateDecode", data)))
	}
	js := pdfStream("/Filter/FlateDecode", zlibbed("app.alert('"+Marker+"')"))
	l.add("pdf/script/opened with", pdfOf("", "<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS 5 0 R>>>>", pdfPages, pdfPage, pdfStream("", "BT ET"), js))
	l.add("pdf/script/named", pdfOf("", "<</Type/Catalog/Pages 2 0 R/Names<</JavaScript<</Names[(a)<</S/JavaScript/JS 5 0 R>>]>>>>>>", pdfPages, pdfPage, pdfStream("", "BT ET"), js))
	l.add("pdf/script/of a page", pdfOf("", pdfCatalog, pdfPages, "<</Type/Page/Parent 2 0 R/AA<</O<</S/JavaScript/JS 4 0 R>>>>>>", js))
	l.add("pdf/file/named", pdfOf("", "<</Type/Catalog/Pages 2 0 R/Names<</EmbeddedFiles<</Names[(a)<</Type/Filespec/F(a.exe)/EF<</F 5 0 R>>>>]>>>>>>", pdfPages, pdfPage, pdfStream("", "BT ET"), pdfStream("/Filter/FlateDecode", data)))
	l.add("pdf/file/of an annotation", pdfPaged(pdfStream("", "BT ET"), "<</Type/Annot/Subtype/FileAttachment/FS<</Type/Filespec/F(a.exe)/EF<</F 6 0 R>>>>>>", pdfStream("/Filter/FlateDecode", data)))
	l.add("pdf/form/XFA", pdfOf("", "<</Type/Catalog/Pages 2 0 R/AcroForm<</XFA 5 0 R>>>>", pdfPages, pdfPage, pdfStream("", "BT ET"), pdfStream("/Filter/FlateDecode", zlibbed("<xdp:xdp>"+body+"</xdp:xdp>"))))
	half := len(Marker) / 2
	l.add("pdf/form/XFA in parts", pdfOf("", "<</Type/Catalog/Pages 2 0 R/AcroForm<</XFA[(a)5 0 R(b)6 0 R]>>>>", pdfPages, pdfPage, pdfStream("", "BT ET"),
		pdfStream("/Filter/FlateDecode", zlibbed("<xdp:xdp>"+Marker[:half])), pdfStream("/Filter/FlateDecode", zlibbed(Marker[half:]+"</xdp:xdp>"))))
	info := func(text string) []byte {
		return pdfOf("/Info 5 0 R", pdfCatalog, pdfPages, pdfPage, pdfStream("", "BT ET"), "<</Title "+text+">>")
	}
	l.add("pdf/info/title", info("("+Marker+")"))
	l.add("pdf/info/title, hexadecimal", info("<"+digits(Marker)+">"))
	l.add("pdf/info/title, UTF-16", info("<feff"+digits(big(Marker))+">"))
	l.add("pdf/comment", pdfPaged(pdfStream("", "BT ET")+"\n%"+Marker))
	l.add("pdf/name", pdfPaged(pdfStream("", "BT ET"), "<</"+Marker+" 1>>"))
	l.add("pdf/between objects", pdfPaged(pdfStream("", "BT ET")+"\nendobj\n"+body+"9 0 obj null"))
}
