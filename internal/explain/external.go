package explain

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"path"
	"strings"
)

// relations tells what markup of a document takes from elsewhere: external relations of
// a part of a package (ECMA-376, part 2, 6.5), in a part of its own or in one file; fields that
// fetch or run (part 1, 17.16.5); objects, pictures and sections of OpenDocument that an
// address names, and macros of one in one file. rels says that nothing else can be in it, so that what cannot be read is looked
// through for addresses.
func (e *explainer) relations(b []byte, rels bool) {
	d := xml.NewDecoder(bytes.NewReader(b))
	d.Strict = false
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	var field, source []byte // instructions of a field, which may stand in pieces; a macro
	inside := ""
	for {
		t, err := d.RawToken()
		if err != nil {
			if rels && !errors.Is(err, io.EOF) { // what a reader of documents may take all the same
				e.links(b, true)
			}
			e.field(field)
			return
		}
		switch t := t.(type) {
		case xml.StartElement:
			switch t.Name.Local {
			case "Relationship":
				e.relation(t.Attr)
			case "instrText", "source-code":
				inside, source = t.Name.Local, source[:0]
			case "fldSimple":
				e.field([]byte(attribute(t.Attr, "instr")))
			case "fldChar":
				e.field(field)
				field = field[:0]
			case "ddeLink":
				e.fact(Action, []byte("DDE "+attribute(t.Attr, "ddeService")+" "+attribute(t.Attr, "ddeTopic")))
			default:
				e.elsewhere(t)
			}
		case xml.EndElement:
			if t.Name.Local == inside {
				inside = ""
				e.fact(Macro, source)
			}
		case xml.CharData:
			if inside == "instrText" && len(field) <= MaxText {
				field = append(field, t...)
			} else if inside != "" && len(source) <= MaxText {
				source = append(source, t...)
			}
		}
	}
}

// attribute is the value of an attribute, whatever its prefix.
func attribute(list []xml.Attr, name string) string {
	for _, a := range list {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (e *explainer) relation(list []xml.Attr) {
	kind := path.Base(attribute(list, "Type"))
	switch {
	case !strings.EqualFold(attribute(list, "TargetMode"), "External"):
	case strings.EqualFold(kind, "hyperlink"): // nothing is fetched until somebody clicks
		e.fact(Link, []byte(attribute(list, "Target")))
	default:
		e.fact(External, []byte(kind+" "+attribute(list, "Target")))
	}
}

// fetches are the fields that fetch or run something when they are read again.
var fetches = map[string]Kind{
	"INCLUDETEXT": External, "INCLUDEPICTURE": External, "INCLUDE": External, "IMPORT": External, "LINK": External, "RD": External,
	"DDE": Action, "DDEAUTO": Action, "MACROBUTTON": Action,
}

func (e *explainer) field(text []byte) {
	text = bytes.TrimSpace(text)
	word, _, _ := bytes.Cut(text, []byte(" "))
	if kind, ok := fetches[strings.ToUpper(string(word))]; ok {
		e.fact(kind, text)
	}
}

// elsewhere tells an element of OpenDocument that names an address ([OpenDocument 1.2] 19.910).
func (e *explainer) elsewhere(t xml.StartElement) {
	var to string
	for _, a := range t.Attr {
		if a.Name.Space == "xlink" && a.Name.Local == "href" {
			to = a.Value
		}
	}
	scheme, _, ok := strings.Cut(to, ":")
	switch {
	case t.Name.Space == "script" && t.Name.Local == "event-listener" && to != "":
		e.fact(Action, []byte(attribute(t.Attr, "event-name")+" "+to))
	case t.Name.Local == "a" || !ok && !strings.HasPrefix(to, "../") && !strings.HasPrefix(to, "/") || ok && strings.ContainsAny(scheme, "/#"):
	default: // a link of the text is told as one
		e.fact(External, []byte(t.Name.Local+" "+to))
	}
}

// fields tells what the text of an RTF document fetches and runs: its fields, a line each.
func (e *explainer) fields(b []byte) {
	for line := range bytes.Lines(b) {
		e.field(line)
	}
}

// template tells the template of an RTF document, as it is written there.
func (e *explainer) template(b []byte) {
	const mark = `\*\template`
	for e.n[External] < maxFacts {
		i := bytes.Index(b, []byte(mark))
		if i < 0 {
			return
		}
		b = b[i+len(mark):]
		if to, _, _ := bytes.Cut(b[:min(len(b), longestLink)], []byte("}")); len(bytes.TrimSpace(to)) > 0 {
			e.fact(External, append([]byte("template "), bytes.TrimSpace(to)...))
		}
	}
}

// marks are what markup has that relations tells something of.
var marks = []string{"TargetMode", "instrText", "fldSimple", "ddeLink", "xlink:href", "source-code"}

func refers(b []byte) bool {
	for _, m := range marks {
		if bytes.Contains(b, []byte(m)) {
			return true
		}
	}
	return false
}
