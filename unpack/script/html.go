package script

import (
	"bytes"
	"html"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// HTML reads pages, and XML with scripts in it. The content of each script and style is a child,
// "html.script" and "html.style"; pages in attributes (srcdoc) are "html.srcdoc"; and what
// attributes run (onload, javascript:) is "html.attributes", a line each, with references and escapes
// of addresses undone.
//
// Tags are taken as browsers take them (HTML, section 13.2.5), and a little wider: what stands
// in a conditional comment, in a comment that does not end and in a script that does not end is
// read as well.
func HTML() unpack.Format {
	return unpack.Format{
		Name: "html",
		Match: func(p *unpack.Probe) bool {
			if !isText(p.Type) {
				return false
			}
			if wide(p.Type) {
				return p.Type == filetype.HTML16 || filetype.LooksHTML(bytes.ReplaceAll(p.Head, []byte{0}, nil))
			}
			head := bytes.TrimLeft(bytes.TrimPrefix(p.Head, []byte("\xef\xbb\xbf")), " \t\r\n")
			return p.Type == filetype.HTML || bytes.HasPrefix(head, []byte("<")) || filetype.LooksHTML(p.Head) ||
				p.Source.Size() > int64(len(p.Head)) && bytes.IndexByte(p.Head, '<') >= 0
		},
		Walk: func(src showcause.Source, out *unpack.Out) {
			layer := src
			src, own := narrowed(layer, out)
			b := whole(src, out)
			if !out.Work(int64(len(b))/16 + 1) {
				return
			}
			p := &page{src: src, out: out, b: b, scripts: gathered{op: "html.script", own: own}, styles: gathered{op: "html.style", own: own}, srcdocs: gathered{op: "html.srcdoc"}}
			head := bytes.TrimLeft(bytes.TrimPrefix(b[:min(len(b), 1<<10)], []byte("\xef\xbb\xbf")), " \t\r\n")
			p.xml = hasFold(head, "<?xml") || hasFold(head, "<svg") || hasFold(head, "<job") || hasFold(head, "<package") || hasFold(head, "<xsl:")
			if p.read() && p.finish() && int64(len(b)) < src.Size() && len(b) == maxPage && filetype.Detect(bound.Head(src, unpack.HeadSize), src) == filetype.HTML {
				out.Gap(showcause.LimitSize, maxPage, src.Size()-maxPage)
			}
		},
	}
}

// maxAttributes is how much of what attributes run is gathered for one child, in bytes.
const maxAttributes = 1 << 20

// page is a page that is read.
type page struct {
	src                      showcause.Source
	out                      *unpack.Out
	b                        []byte
	xml                      bool
	scripts, styles, srcdocs gathered
	runs                     []byte // what attributes run
	noEnd                    map[string]bool
	noQuote                  [256]bool // there is no such quote from here on
	noComment                bool      // nor a comment's end
}

// read reads the page. It tells whether to go on.
func (p *page) read() bool {
	for at := 0; ; {
		i := bytes.IndexByte(p.b[at:], '<')
		if i < 0 || at+i+1 >= len(p.b) {
			return true
		}
		at += i + 1
		switch c := p.b[at]; {
		case c == '!' && bytes.HasPrefix(p.b[at:], []byte("!--")):
			at = p.comment(at + 3)
		case letter(c):
			next, ok := p.tag(at)
			if !ok {
				return false
			}
			at = next
		}
	}
}

// comment returns where to go on behind a comment that begins in front of at. What is in a
// conditional one is read, and so is what follows one that does not end.
func (p *page) comment(at int) int {
	rest := p.b[at:]
	switch {
	case bytes.HasPrefix(rest, []byte(">")):
		return at + 1
	case bytes.HasPrefix(rest, []byte("->")):
		return at + 2
	case p.noComment || bytes.HasPrefix(bytes.TrimLeft(rest[:min(len(rest), 16)], " \t\r\n"), []byte("[")):
		return at
	}
	end := -1
	for from := 0; end < 0; {
		i := bytes.Index(rest[from:], []byte("--"))
		if i < 0 {
			break
		}
		from += i + 2
		if tail := rest[from:]; bytes.HasPrefix(tail, []byte(">")) || bytes.HasPrefix(tail, []byte("!>")) {
			end = from
		} else {
			from--
		}
	}
	if end < 0 {
		p.noComment = true
		return at
	}
	return at + end
}

// attribute is one of a tag.
type attribute struct{ name, value []byte }

// tag reads the tag whose name begins at at, and what it begins.
func (p *page) tag(at int) (next int, ok bool) {
	end := at
	for end < len(p.b) && !space(p.b[end]) && p.b[end] != '>' && p.b[end] != '/' && p.b[end] != '<' {
		end++
	}
	whole := p.b[at:end]
	name := whole[bytes.LastIndexByte(whole, ':')+1:] // svg:script, msxsl:script
	closed, empty := false, false
	for end < len(p.b) && !closed {
		switch c := p.b[end]; {
		case c == '>':
			closed = true
			end++
		case c == '/' || space(c):
			empty = c == '/'
			end++
		default:
			var a attribute
			empty = false
			if a, end = p.attribute(end); end < 0 {
				return at, true
			}
			if !p.attributeRuns(name, a) {
				return 0, false
			}
		}
	}
	var g *gathered
	switch {
	case !closed:
		return at, true // a browser drops it, to the end: others do not
	case len(name) == len("script") && hasFold(name, "script"):
		g = &p.scripts
	case len(name) == len("style") && hasFold(name, "style"):
		g = &p.styles
	default:
		return end, true
	}
	return p.content(g, whole, end, empty)
}

// attribute reads one attribute, and returns where it ends, -1 if it does not.
func (p *page) attribute(at int) (a attribute, end int) {
	end = at + 1 // an = that it begins with is a part of the name
	for end < len(p.b) && !space(p.b[end]) && p.b[end] != '/' && p.b[end] != '>' && p.b[end] != '=' {
		end++
	}
	a.name = p.b[at:end]
	i := end
	for i < len(p.b) && space(p.b[i]) {
		i++
	}
	if i >= len(p.b) || p.b[i] != '=' {
		return a, end
	}
	for i++; i < len(p.b) && space(p.b[i]); i++ {
	}
	if i >= len(p.b) {
		return a, i
	}
	if q := p.b[i]; (q == '"' || q == '\'') && !p.noQuote[q] {
		n := bytes.IndexByte(p.b[i+1:], q)
		if n >= 0 {
			a.value = p.b[i+1 : i+1+n]
			return a, i + n + 2
		}
		p.noQuote[q] = true // a browser drops the tag, to the end; others end it sooner
	}
	from := i
	open := p.b[i] == '"' || p.b[i] == '\''
	for i < len(p.b) && !space(p.b[i]) && p.b[i] != '>' {
		if i++; open && i < len(p.b) && p.b[i] == '<' {
			return a, -1
		}
	}
	a.value = bytes.TrimLeft(p.b[from:i], `"'`)
	return a, max(i, from+1)
}

// content gives what stands between a tag of the name, which ends at at, and its end tag.
func (p *page) content(g *gathered, name []byte, at int, empty bool) (next int, ok bool) {
	word := "</" + string(bytes.ToLower(name))
	n, after := p.endTag(at, word)
	resume := after
	if empty && p.xml || n < 0 {
		resume = at
	}
	if n < 0 {
		if p.noEnd[word] {
			return at, true
		}
		if p.noEnd == nil {
			p.noEnd = map[string]bool{}
		}
		p.noEnd[word] = true
		n = len(p.b)
	}
	if !g.give(p.out, p.src, int64(at), int64(n)) {
		return 0, false
	}
	body := p.b[at:n]
	if p.xml && bytes.IndexByte(body, '&') >= 0 && !bytes.Contains(body, []byte("<![CDATA[")) {
		if d := html.UnescapeString(string(body)); d != string(body) && !p.out.Child(unpack.Child{Op: g.op, Source: showcause.Bytes(d), Size: -1}) {
			return 0, false
		}
	}
	// A script in which a comment and then a script begins ends with the second end tag (script
	// data double escaped).
	if i := bytes.Index(body, []byte("<!--")); i >= 0 && after < len(p.b) && indexFold(body[i:], "<script") >= 0 {
		if m, _ := p.endTag(after, word); m >= 0 && m > n && !g.give(p.out, p.src, int64(at), int64(m)) {
			return 0, false
		}
	}
	return resume, true
}

// endTag returns where an end tag stands from at on, and where it ends; -1 if there is none.
func (p *page) endTag(at int, word string) (from, next int) {
	if p.noEnd[word] {
		return -1, len(p.b)
	}
	for {
		i := indexFold(p.b[at:], word)
		if i < 0 {
			return -1, len(p.b)
		}
		at += i + len(word)
		if at >= len(p.b) || space(p.b[at]) || p.b[at] == '/' || p.b[at] == '>' {
			return at - len(word), at
		}
	}
}

// attributeRuns takes what an attribute runs. It tells whether to go on.
func (p *page) attributeRuns(tag []byte, a attribute) bool {
	v := a.value
	if len(v) == 0 {
		return true
	}
	switch {
	case len(a.name) > 3 && hasFold(a.name, "on") && letter(a.name[2]):
		return p.run([]byte(html.UnescapeString(string(v))))
	case hasFold(a.name, "srcdoc") && len(a.name) == len("srcdoc"):
		p.srcdocs.n++
		if p.srcdocs.n > maxEach {
			return p.run([]byte(html.UnescapeString(string(v))))
		}
		return p.out.Child(unpack.Child{Op: p.srcdocs.op, Source: showcause.Bytes(html.UnescapeString(string(v))), Size: -1})
	case hasFold(a.name, "style"):
		if i := indexFold(v, "expression"); i >= 0 {
			return p.run([]byte(html.UnescapeString(string(v))))
		}
		return true
	}
	if bytes.IndexByte(v, '&') < 0 && bytes.IndexByte(v, ':') < 0 {
		return true
	}
	const most = 64 << 10 // of a value that may have a scheme somewhere
	head := html.UnescapeString(string(v[:min(len(v), most)]))
	if !runs(head) {
		return true
	}
	return p.run(unescapeURL([]byte(html.UnescapeString(string(v)))))
}

// runs tells whether an address, or one in it (content of meta), is a script.
func runs(s string) bool {
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		if c := s[i]; c > ' ' { // browsers pass over tabs and line ends
			b = append(b, lower(c))
		}
	}
	for _, scheme := range []string{"javascript:", "vbscript:", "jscript:", "livescript:", "mocha:"} {
		if bytes.Contains(b, []byte(scheme)) {
			return true
		}
	}
	return false
}

// unescapeURL undoes %hh.
func unescapeURL(b []byte) []byte {
	if bytes.IndexByte(b, '%') < 0 {
		return b
	}
	o := b[:0]
	for i := 0; i < len(b); i++ {
		if b[i] == '%' && i+2 < len(b) && unhex(b[i+1]) >= 0 && unhex(b[i+2]) >= 0 {
			o = append(o, byte(unhex(b[i+1])<<4|unhex(b[i+2])))
			i += 2
			continue
		}
		o = append(o, b[i])
	}
	return o
}

// run gathers what an attribute runs.
func (p *page) run(b []byte) bool {
	if len(p.runs) > 0 && len(p.runs)+len(b) > maxAttributes && !p.flush() {
		return false
	}
	p.runs = append(append(p.runs, b...), '\n')
	return true
}

func (p *page) flush() bool {
	if len(p.runs) == 0 {
		return true
	}
	ok := p.out.Child(unpack.Child{Op: "html.attributes", Source: showcause.Bytes(p.runs), Size: -1})
	p.runs = nil
	return ok
}

// finish gives what was gathered.
func (p *page) finish() bool {
	open := func(s unpack.Span) io.Reader { return bound.Reader(p.src, s.From, s.To-s.From) }
	return p.scripts.end(p.out, open) && p.styles.end(p.out, open) && p.flush()
}
