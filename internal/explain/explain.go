// Package explain picks out of a layer what a person asks about a document: the
// source of macros, scripts, links, references to what stands elsewhere, and what is
// embedded. It is for reading: nothing that is decided hangs on it.
package explain

import (
	"bytes"
	"html"
	"regexp"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
)

// Kind is what a Fact is about.
type Kind uint8

// The kinds, in the order in which a person wants them.
const (
	Macro    Kind = iota // source of a macro, or formulas that are one
	Script               // a script
	Action               // what a document has its reader open, run or send
	External             // what a document takes from elsewhere
	Link                 // an address
	Embedded             // the layer is a file within a document; the text says in what way
	kinds
)

// Kinds returns all of them.
func Kinds() []Kind { return []Kind{Macro, Script, Action, External, Link, Embedded} }

// String returns the plural, as a title has it.
func (k Kind) String() string {
	return [...]string{"macros", "scripts", "actions", "external references", "links", "embedded files"}[min(k, kinds-1)]
}

// Fact is one of the things that a layer holds.
type Fact struct {
	Kind Kind
	Text string // MaxText bytes at most, as they stand: they may be no UTF-8
	Cut  bool   // there is more
}

// Bounds of what is told of one layer.
const (
	MaxText  = 32 << 10 // bytes of a fact
	maxFacts = 200      // of one kind
	maxRead  = 4 << 20  // bytes of the layer
)

// Layer tells the facts of a layer, in no more than the first 4 MiB of it.
func Layer(l showcause.Layer, t filetype.Type, tell func(Fact)) {
	b, err := bound.ReadAt(l.Source, 0, min(l.Source.Size(), maxRead), maxRead)
	if err != nil && len(b) == 0 {
		return
	}
	e := &explainer{tell: tell, cut: l.Source.Size() > int64(len(b))}
	step := showcause.Step{}
	if n := len(l.Trail); n > 0 {
		step = l.Trail[n-1]
	}
	text := t.Target() == 7 || t.Target() == 3 || t == filetype.Script
	if how := embedded(step, t.String() == "mail") + within(step.Op, text); how != "" && len(bytes.TrimSpace(b)) > 0 {
		e.fact(Embedded, []byte(how))
	}
	if kind, ok := wholes[step.Op]; ok || encodings[step.Op] && text {
		if !ok {
			kind = Script
		}
		if plain := narrow(b); (step.Op != "html.script" || !noLibraries(plain)) && (ok || !drawn(l.Trail)) {
			e.fact(kind, plain)
		}
		e.links(b, false)
		return
	}
	if step.Op == "rtf.text" {
		e.fields(b)
	}
	if t.String() == "rtf" {
		e.template(b)
	}
	if text {
		b = e.lines(b)
		if t != filetype.Script && t != filetype.HTML && isScript(l.Trail, b) {
			e.fact(Script, narrow(b))
		}
	}
	switch {
	case strings.HasSuffix(strings.ToLower(step.Name), ".rels"):
		e.relations(narrow(b), true)
	case isBasic(step.Name, b):
		e.basic(b)
	case t == filetype.HTML:
		if isXML(b) && refers(b) {
			e.relations(b, false)
		}
		e.references(narrow(b)) // its scripts are layers
		e.links(b, true)
	case t == filetype.Script:
		e.fact(Script, b)
		e.links(b, false)
	case t.String() == "xml" || isXML(narrow(b)):
		if plain := narrow(b); refers(plain) {
			e.relations(plain, false)
		}
		if narrowed := narrow(b); !refers(narrowed) || bytes.Contains(narrowed, []byte("<svg")) {
			e.references(narrowed)
		}
		e.links(b, true)
	case !t.Hides() || mayLink[t.String()]:
		e.links(b, false)
	}
}

// wholes are the layers that are one fact as they stand.
var wholes = map[string]Kind{
	"vba.source": Macro, "vba.names": Macro, "xlm.formulas": Macro, "pdf.javascript": Script, "pdf.actions": Action,
	"html.script": Script, "html.attributes": Script, "screnc.script": Script, "encoded.command": Script, "lnk.text": Action,
}

// mayLink are types that a reader takes apart, in which addresses stand as they are all the same.
var mayLink = map[string]bool{"mail": true, "rtf": true, "mhtml": true}

// embedded says in what way a step leads to a file within a document; "" if it does not.
func embedded(s showcause.Step, mail bool) string {
	format, _, _ := strings.Cut(s.Op, ".")
	switch {
	case format == "mime" && mail:
		return "attached mail"
	case s.Op == "pdf.file" || s.Op == "ole1.file":
		return "embedded file"
	case s.Op == "ole.native" || s.Op == "ole1.native" || s.Op == "cfb.object" || s.Op == "ppt.storage":
		return "embedded object"
	case format == "rtf" && strings.Contains(s.Op, "obj"), format == "onenote" || format == "tnef" && s.Name != "":
		return "embedded object"
	case (format == "mime" || format == "uuencode" || format == "binhex") && s.Name != "":
		return "attachment"
	case strings.Contains("/"+s.Name, "/embeddings/"), strings.Contains("/"+s.Name, "/activeX/") && strings.HasSuffix(s.Name, ".bin"):
		return "embedded object"
	}
	return ""
}

// explainer tells facts, each once.
type explainer struct {
	tell func(Fact)
	cut  bool
	n    [kinds]int
	seen map[string]bool
}

func (e *explainer) fact(k Kind, text []byte) {
	if text = bytes.TrimRight(text, "\x00\r\n\t "); len(text) == 0 || e.n[k] >= maxFacts {
		return
	}
	f := Fact{Kind: k, Text: string(text[:min(len(text), MaxText)]), Cut: len(text) > MaxText || e.cut && k < Action}
	if key := string(byte(k)) + f.Text; e.seen[key] {
		return
	} else if e.seen == nil {
		e.seen = map[string]bool{key: true}
	} else {
		e.seen[key] = true
	}
	if e.n[k]++; e.n[k] == maxFacts {
		f.Cut = true
	}
	e.tell(f)
}

// isXML tells XML that begins as such.
func isXML(b []byte) bool {
	return bytes.HasPrefix(bytes.TrimPrefix(b[:min(len(b), 64)], []byte("\xef\xbb\xbf")), []byte("<?xml"))
}

// names are hosts that are parts of names of XML, and not addresses.
var names = []string{
	"schemas.openxmlformats.org", "schemas.microsoft.com", "www.w3.org", "purl.org", "ns.adobe.com", "purl.oclc.org",
	"schemas.xmlsoap.org", "openoffice.org", "docs.oasis-open.org", "iptc.org", "relaxng.org", "xml.apache.org",
	"schemas.libreoffice.org", "www.idpf.org", "www.daisy.org",
}

// links tells the addresses that stand in b: "scheme://", in bytes or in UTF-16. In
// markup, character references are undone.
func (e *explainer) links(b []byte, markup bool) {
	if markup && bytes.IndexByte(b, '&') >= 0 {
		b = []byte(html.UnescapeString(string(b)))
	}
	for _, mark := range []string{"://", ":\x00/\x00/\x00"} {
		width := len(mark) / 3
		for at := 0; e.n[Link] < maxFacts; {
			i := bytes.Index(b[at:], []byte(mark))
			if i < 0 {
				break
			}
			i += at
			at = i + len(mark)
			if link := address(b, i, at, width); link != "" {
				e.fact(Link, []byte(link))
				at += (len(link) - strings.Index(link, "://") - 3) * width
			}
		}
	}
	if markup {
		for _, m := range share.FindAllSubmatch(b, maxFacts) {
			e.fact(Link, m[1])
		}
	}
}

// share is a value of markup that is a place on a host in Windows' letters ([MS-DTYP] 2.2.57).
var share = regexp.MustCompile(`[>"'](\\\\[A-Za-z0-9._@-]{2,255}\\[^\\\s<>"'][^\s<>"']{0,255})`)

const (
	longestScheme = 16
	longestLink   = 2 << 10
)

// address is the address of which the colon stands at i and what follows the slashes at
// rest, of characters of so many bytes; "" if there is none.
func address(b []byte, i, rest, width int) string {
	from := i
	for from >= width && i-from < longestScheme*width && isScheme(b, from-width, width) {
		from -= width
	}
	for from < i && b[from]|0x20 < 'a' { // a scheme begins with a letter (RFC 3986, section 3.1)
		from += width
	}
	from = i - usual(b[from:i], width)
	end := rest
	for end+width <= len(b) && end-rest < longestLink*width && inAddress(b[end]) && (width == 1 || b[end+1] == 0) {
		end += width
	}
	text := make([]byte, 0, (end-from)/width)
	for k := from; k < end; k += width {
		text = append(text, b[k])
	}
	link := strings.TrimRight(string(text), ".,;:!'*")
	if strings.HasSuffix(link, ")") && !strings.Contains(link, "(") {
		link = strings.TrimRight(link, ")")
	}
	scheme, host, _ := strings.Cut(link, "://")
	host, _, _ = strings.Cut(host, "/")
	if len(scheme) < 2 || host == "" || slices.Contains(names, strings.ToLower(host)) {
		return ""
	}
	return link
}

// usual is how many of the bytes in front of a colon are the scheme: where letters that end as one of the web's have more in
// front of them, a word stands there without a space between.
func usual(b []byte, width int) int {
	letters := make([]byte, 0, longestScheme)
	for i := 0; i < len(b); i += width {
		letters = append(letters, b[i]|0x20)
	}
	for _, s := range []string{"https", "http", "ftp"} {
		n := len(letters) - len(s)
		if n > 0 && string(letters[n:]) == s && letters[n-1] >= 'a' && (s != "ftp" || letters[n-1] != 's' && letters[n-1] != 't') { // sftp, tftp
			return len(s) * width
		}
	}
	return len(b)
}

func isScheme(b []byte, at, width int) bool {
	c := b[at]
	return (c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.') && (width == 1 || b[at+1] == 0)
}

// inAddress tells the bytes of an address (RFC 3986, section 2), and those above ASCII.
func inAddress(c byte) bool {
	return c > ' ' && c != 0x7f && !strings.ContainsRune("\"<>\\^`{|}", rune(c))
}

// isBasic tells a module of Basic in an OpenDocument package.
func isBasic(name string, b []byte) bool {
	return strings.HasPrefix(name, "Basic/") && strings.HasSuffix(name, ".xml") && bytes.Contains(b[:min(len(b), 4096)], []byte("<script:module"))
}

// basic tells the source of such a module.
func (e *explainer) basic(b []byte) {
	i := bytes.Index(b, []byte("<script:module"))
	if j := bytes.IndexByte(b[i:], '>'); j > 0 {
		body, _, _ := bytes.Cut(b[i+j+1:], []byte("</script:module>"))
		e.fact(Macro, []byte(html.UnescapeString(string(body))))
		e.links(body, true)
	}
}

// narrow is a text in UTF-16 as bytes, where it is one of letters that have one.
func narrow(b []byte) []byte {
	odd := 0
	for i := 1; i < min(len(b), 512); i += 2 {
		if b[i] == 0 {
			odd++
		}
	}
	if n := min(len(b), 512) / 2; n < 2 || odd < n*9/10 {
		return b
	}
	b = bytes.TrimPrefix(b, []byte{0xff, 0xfe})
	out := make([]byte, 0, len(b)/2)
	for i := 0; i+1 < len(b); i += 2 {
		if b[i+1] != 0 {
			out = append(out, '?')
			continue
		}
		out = append(out, b[i])
	}
	return out
}
