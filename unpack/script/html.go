package script

import (
	"bytes"
	"html"
	"io"
	"strings"

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
			if !textual(p) {
				return false
			}
			if wide(p.Type) && !mostlyText(p.Head[:min(len(p.Head), window)]) {
				return p.Type == filetype.HTML16 || filetype.LooksHTML(bytes.ReplaceAll(p.Head, []byte{0}, nil))
			}
			head := bytes.TrimLeft(bytes.TrimPrefix(p.Head, []byte("\xef\xbb\xbf")), "\x00 \t\r\n")
			return p.Type == filetype.HTML || bytes.HasPrefix(head, []byte("<")) || filetype.LooksHTML(p.Head) ||
				p.Source.Size() > int64(len(p.Head)) && bytes.IndexByte(p.Head, '<') >= 0
		},
		Walk: func(src showcause.Source, out *unpack.Out) {
			if n, _ := out.Within("html.script"); n >= maxNested {
				return
			}
			src, own := narrowed(src, out)
			b := whole(src, out)
			if !out.Work(int64(len(b))/16 + 1) {
				return
			}
			p := newPage(src, out, b)
			p.scripts.own, p.styles.own = own, own
			if p.read() && p.finish() && int64(len(b)) < src.Size() && len(b) == maxPage && filetype.Detect(bound.Head(src, unpack.HeadSize), src) == filetype.HTML {
				out.Gap(showcause.LimitSize, maxPage, src.Size()-maxPage)
			}
		},
	}
}

// maxOpen is how much of a script that does not end is a child, in bytes: no browser runs one. The rest
// is read as the page's.
const maxOpen = 4 << 20

// maxNested is how many scripts within each other are read as pages for what tags in their texts
// run. What is deeper stands in these as it is.
const maxNested = 4

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
	inside                   bool   // it is a script or style itself: one in it that does not end is a part of it
	open                     bool   // a tag that does not end was met: from there on a < ends each
	noComment                bool   // there is no comment's end from here on
	steps                    int    // bytes that were looked at, for tests
}

func newPage(src showcause.Source, out *unpack.Out, b []byte) *page {
	p := &page{src: src, out: out, b: b, scripts: gathered{op: "html.script"}, styles: gathered{op: "html.style"}, srcdocs: gathered{op: "html.srcdoc"}}
	var style bool
	_, p.inside = out.Within(p.scripts.op)
	_, style = out.Within(p.styles.op)
	p.inside = p.inside || style // a style sheet is no page either
	head := bytes.TrimLeft(bytes.TrimPrefix(b[:min(len(b), 1<<10)], []byte("\xef\xbb\xbf")), "\x00 \t\r\n")
	for _, root := range []string{"<?xml", "<svg", "<job", "<package", "<xsl:"} {
		p.xml = p.xml || hasFold(head, root)
	}
	return p
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
	limit := len(p.b)
	if p.open {
		limit = at + index(p.b[at:], '<')
	}
	name := at
	for name < limit && !space(p.b[name]) && p.b[name] != '>' && p.b[name] != '/' && p.b[name] != '<' {
		name++
	}
	whole := p.b[at:name]
	local := whole[bytes.LastIndexByte(whole, ':')+1:] // svg:script, msxsl:script
	end, empty, closed := p.attributes(name, limit, nil)
	if !closed && !p.open {
		p.open = true
		return p.tag(at)
	}
	if _, _, all := p.attributes(name, min(end, limit), func(a attribute) bool { return p.attributeRuns(a) }); !all {
		return 0, false
	}
	switch {
	case !closed:
		return limit, true
	case isWord(local, "script"):
		return p.content(&p.scripts, whole, end, empty)
	case isWord(local, "style"):
		return p.content(&p.styles, whole, end, empty)
	}
	return end, true
}

// index is where c stands in b, its length if nowhere.
func index(b []byte, c byte) int {
	if i := bytes.IndexByte(b, c); i >= 0 {
		return i
	}
	return len(b)
}

// isWord tells whether b is the lower-case word, in any letter case.
func isWord(b []byte, word string) bool { return len(b) == len(word) && hasFold(b, word) }

// attributes hands over the attributes that stand in [at, limit), up to the end of their tag.
// It returns where that is, whether the tag says of itself that it is empty, and whether it ends at all; with a
// function to take them, whether that has let it go on.
func (p *page) attributes(at, limit int, take func(attribute) bool) (end int, empty, ok bool) {
	for at < limit {
		p.steps++
		switch c := p.b[at]; {
		case c == '>':
			return at + 1, empty, true
		case c == '/' || space(c):
			empty = c == '/'
			at++
		default:
			empty = false
			a, next := p.attribute(at, limit)
			if take != nil && !take(a) {
				return at, false, false
			}
			if at = next; at < 0 {
				return limit, false, false
			}
		}
	}
	return limit, empty, take != nil
}

// attribute reads the attribute at at, and returns where it ends, -1 if it does not in front of limit.
func (p *page) attribute(at, limit int) (a attribute, end int) {
	end = at + 1 // an = that it begins with is a part of the name
	for end < limit && !space(p.b[end]) && p.b[end] != '/' && p.b[end] != '>' && p.b[end] != '=' {
		end++
	}
	a.name = p.b[at:end]
	i := end
	for i < limit && space(p.b[i]) {
		i++
	}
	if i >= limit || p.b[i] != '=' {
		p.steps += i - at
		return a, i
	}
	for i++; i < limit && space(p.b[i]); i++ {
	}
	if i >= limit {
		p.steps += i - at
		return a, i
	}
	if q := p.b[i]; q == '"' || q == '\'' {
		n := index(p.b[i+1:limit], q)
		p.steps += i + n - at
		if i+1+n < limit {
			a.value = p.b[i+1 : i+1+n]
			return a, i + n + 2
		}
		if !p.open {
			return a, -1 // a browser drops the tag, to the end
		}
	}
	from := i
	for i < limit && !space(p.b[i]) && p.b[i] != '>' {
		i++
	}
	p.steps += i - at
	a.value = bytes.TrimLeft(p.b[from:i], `"'`)
	return a, max(i, from+1)
}

// content gives what stands between a tag of the name, which ends at at, and its end tag. What is
// in one that was given to the same end is not given once more.
func (p *page) content(g *gathered, name []byte, at int, empty bool) (next int, ok bool) {
	n, after := p.endTag(g, at, name)
	resume := after
	if empty && p.xml || n < 0 {
		resume = at
	}
	endless := n < 0
	if endless {
		if n = len(p.b); p.inside {
			return at, true
		}
	}
	if g.to == int64(n) && resume == at {
		return resume, true
	}
	g.to = int64(n)
	if endless {
		n = min(n, at+maxOpen)
	}
	if !g.give(p.out, p.src, int64(at), int64(n)) {
		return 0, false
	}
	body := p.b[at:n]
	p.steps += len(body)
	if p.xml && bytes.IndexByte(body, '&') >= 0 && !bytes.Contains(body, []byte("<![CDATA[")) {
		if d := html.UnescapeString(string(body)); d != string(body) && !p.out.Child(unpack.Child{Op: g.op, Source: showcause.Bytes(d), Size: -1}) {
			return 0, false
		}
	}
	// A script in which a comment and then a script begins ends with the second end tag (script
	// data double escaped).
	if i := bytes.Index(body, []byte("<!--")); i >= 0 && !p.inside && after < len(p.b) && indexFold(body[i:], "<script") >= 0 {
		if m, _ := p.endTag(g, after, name); m >= 0 && m > n && !g.give(p.out, p.src, int64(at), int64(m)) {
			return 0, false
		}
	}
	return resume, true
}

// maxWords is how many names of scripts with a prefix of its own each are told apart.
const maxWords = 16

// endTag returns where the end tag of a name stands from at on, and where it ends; -1 if there is none.
func (p *page) endTag(g *gathered, at int, name []byte) (from, next int) {
	word := string(bytes.ToLower(name[max(len(name)-64, 0):]))
	e, known := g.ends[word]
	if !known && (len(name) > 64 || len(g.ends) >= maxWords) {
		word = word[strings.LastIndexByte(word, ':')+1:]
		e = g.ends[word]
	}
	if at >= e.from && at <= e.at { // it was looked for in front of here
		if e.at == len(p.b) {
			return -1, len(p.b)
		}
		return e.at, e.at + len(word) + len("</")
	}
	if g.ends == nil {
		g.ends = map[string]endPlace{}
	}
	e = endPlace{at, len(p.b)}
	for i := at; ; {
		n := indexFold(p.b[i:], "</"+word)
		if n < 0 {
			break
		}
		i += n + len("</") + len(word)
		if i >= len(p.b) || space(p.b[i]) || p.b[i] == '/' || p.b[i] == '>' {
			e.at = i - len("</") - len(word)
			break
		}
	}
	p.steps += e.at - at
	g.ends[word] = e
	if e.at == len(p.b) {
		return -1, len(p.b)
	}
	return e.at, e.at + len("</") + len(word)
}

// attributeRuns takes what an attribute runs. It tells whether to go on.
func (p *page) attributeRuns(a attribute) bool {
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
