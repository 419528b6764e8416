package inline

import (
	"bytes"
	"io"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
)

// Roots of the parts of documents of Word that may have fields (ECMA-376 part 1, 11.3), and of
// those that are one file.
var fieldRoots = []string{"document", "hdr", "ftr", "footnotes", "endnotes", "comments", "glossaryDocument", "wordDocument", "package"}

// wordNames are of the namespaces of which one stands in the root.
var wordNames = []string{"wordprocessingml", "wordml", "xmlPackage"}

// Fields reads what fields in documents of Word are to do: the text of their w:instrText elements
// (ECMA-376 part 1, 17.16.23), which may stand in any number of pieces, letter by letter, is joined, a field
// or a part of one a line. The child is "fields.text".
func Fields() unpack.Format {
	return unpack.Format{
		Name: "fields",
		Match: func(p *unpack.Probe) bool {
			b := p.Head[:min(len(p.Head), 8<<10)]
			if wideXML(b) {
				b = bytes.ReplaceAll(b, []byte{0}, nil)
			}
			root := fieldRoot(b)
			return slices.Contains(fieldRoots, root) && slices.ContainsFunc(wordNames, func(n string) bool { return bytes.Contains(b, []byte(n)) })
		},
		Walk: fieldsWalk,
	}
}

// fieldRoot is the name of the first element of a text, "" if there is none.
func fieldRoot(b []byte) string {
	if at := bytes.IndexByte(b, '<'); at < 0 || at > 16 {
		return ""
	}
	x := &xmlText{buf: b, src: showcause.Bytes(nil)}
	for {
		c, ok := x.next()
		if !ok {
			return ""
		}
		if c != '<' {
			continue
		}
		switch tag, ok := x.tag(); {
		case !ok || tag == "":
			return ""
		case tag == "!--":
			x.until("-->")
		case tag[0] != '!' && tag[0] != '?':
			return xmlName(tag)
		}
	}
}

func fieldsWalk(src showcause.Source, out *unpack.Out) {
	if b, ok := src.(showcause.Bytes); ok { // most have none, and end as they begin
		if !out.Work(src.Size()/64 + 1) {
			return
		}
		none := !bytes.Contains(b, []byte("instrText")) && !bytes.Contains(b, []byte("i\x00n\x00s\x00t\x00r\x00T\x00e\x00x\x00t"))
		if end := bytes.LastIndexByte(b, '<'); none && end >= 0 && len(b)-end < 100 {
			tag, whole, _ := bytes.Cut(bytes.ReplaceAll(b[end+1:], []byte{0}, nil), []byte(">"))
			if len(tag) > 0 && tag[0] == '/' && slices.Contains(fieldRoots, xmlName(string(tag))) && len(bytes.TrimSpace(whole)) == 0 {
				return
			}
		}
	}
	f := &fields{text: &xmlText{src: src, out: out}}
	if first, ok := f.next(); ok { // a child that is empty is none
		if !out.Child(unpack.Child{Op: "fields.text", Reader: io.MultiReader(bytes.NewReader([]byte{first}), f), Size: -1}) {
			return
		}
	}
	for ok := true; ok; { // to the end, if the child was not read so far
		_, ok = f.next()
	}
	if f.root == "" || f.last != "/"+f.root {
		out.Gap(showcause.Corrupt, src.Size(), -1)
	}
}

// fields reads the instructions of the fields of a document.
type fields struct {
	text   *xmlText
	inside bool // an instrText element
	cdata  int  // as in xmlBase64
	line   bool // a line is begun

	root, last string // names of the first element, and of the last tag
}

// Read implements io.Reader.
func (f *fields) Read(p []byte) (int, error) {
	for n := 0; ; {
		if n == len(p) {
			return n, nil
		}
		c, ok := f.next()
		if !ok {
			if n == 0 {
				return 0, io.EOF
			}
			return n, nil
		}
		p[n] = c
		n++
	}
}

// next returns the next byte of an instruction, false at the end.
func (f *fields) next() (byte, bool) {
	for {
		c, ok := f.text.next()
		switch {
		case !ok:
			return 0, false
		case f.cdata > 0 && c == ']':
			f.cdata = min(f.cdata+1, 3)
			continue
		case f.cdata == 3 && c == '>':
			f.cdata = 0
			continue
		case f.cdata == 0 && c == '<':
			if f.tag() {
				f.line = false
				return '\n', true
			}
			continue
		case !f.inside:
			continue
		case f.cdata == 0 && c == '&':
			c = f.text.reference()
		}
		f.cdata = min(f.cdata, 1)
		f.line = true
		return c, true
	}
}

// tag takes a tag, and tells whether a line ends with it: a field begins, ends or has its result.
func (f *fields) tag() (ends bool) {
	tag, _ := f.text.tag()
	switch {
	case tag == "!--":
		f.text.until("-->")
		return false
	case tag == "![CDATA[":
		f.cdata = 1
		return false
	case tag == "" || tag[0] == '!' || tag[0] == '?':
		return false
	}
	name := xmlName(tag)
	if f.last = name; tag[0] == '/' {
		f.last = "/" + name
	} else if f.root == "" {
		f.root = name
	}
	if name == "instrText" {
		f.inside = tag[0] != '/' && tag[len(tag)-1] != '/'
	}
	return name == "fldChar" && f.line
}

// reference is the character that a reference stands for, behind its "&".
func (x *xmlText) reference() byte {
	var name []byte
	for len(name) < 12 {
		c, ok := x.next()
		if !ok || c == ';' {
			break
		}
		name = append(name, c)
	}
	switch string(name) {
	case "quot":
		return '"'
	case "apos":
		return '\''
	case "amp":
		return '&'
	case "lt":
		return '<'
	case "gt":
		return '>'
	}
	return number(name)
}
