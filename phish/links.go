package phish

import (
	"bytes"
	"html"
	"strings"
)

// Link is a link of a page or a text: where it leads, what it shows, and where the two stand
// in the bytes.
type Link struct {
	Real, Shown     string
	RealAt, ShownAt Place
	Href            bool // what a page shows of it is its text
	Image           bool // it shows an image
	Swapped         bool // it stands in another link or form, whose address is Real
}

// Place is a stretch of bytes.
type Place struct{ Offset, Length int64 }

// What is read of a page at most.
const (
	maxValue = 1024  // bytes of an attribute, a tag and the text of a link
	maxLinks = 10000 // of a page
)

// Links returns the links of a page in the order in which clamscan reads them, which takes tags
// and attributes as old readers of mail did.
func Links(b []byte) []Link {
	p := page{b: b}
	for p.pos < len(b) && len(p.links) < maxLinks {
		if b[p.pos] != '<' {
			p.pos++
			continue
		}
		p.shown(p.pos)
		p.pos++
		p.blank()
		p.tag()
	}
	return p.links
}

// page is a page that is read.
type page struct {
	b     []byte
	pos   int
	links []Link

	script bool
	open   int // 1 + the link whose text is being read
	text   []byte
	from   int   // where the text goes on, 1 more; 0 where it does not
	span   Place // of all of the text
	form   *value

	args []argument
}

type argument struct {
	name string
	value
}

// value is the value of an attribute, and where it stands.
type value struct {
	text string
	at   Place
}

// at returns the byte at pos, a line end as a space; carriage returns are passed over.
func (p *page) at() (c byte, ok bool) {
	for p.pos < len(p.b) && p.b[p.pos] == '\r' {
		p.pos++
	}
	if p.pos >= len(p.b) {
		return 0, false
	}
	if c = p.b[p.pos]; c == '\n' {
		c = ' '
	}
	return c, true
}

func (p *page) blank() {
	for p.pos < len(p.b) && space(p.b[p.pos]) {
		p.pos++
	}
}

// shown takes the text up to end as what the open link shows.
func (p *page) shown(end int) {
	if p.open == 0 || p.from == 0 {
		return
	}
	from := p.from - 1
	p.from = 0
	if len(p.text) == 0 {
		p.span = Place{Offset: int64(from)}
	}
	p.span.Length = int64(end) - p.span.Offset
	room := min(max(maxValue-len(p.text), 0), end-from)
	p.text = append(p.text, plain(p.b[from:from+room])...)
}

// plain makes line ends spaces, and full stops of East Asian scripts points.
func plain(b []byte) []byte {
	b = bytes.ReplaceAll(b, []byte{'\n'}, []byte{' '})
	for _, stop := range []string{"\xe3\x80\x82", "\xef\xbc\x8e", "\xef\xb9\x92", "\xa1C", "\xa1D", "\xa1O"} {
		b = bytes.ReplaceAll(b, []byte(stop), []byte{'.'})
	}
	return b
}

// done ends the open link.
func (p *page) done() {
	if p.open > 0 {
		l := &p.links[p.open-1]
		l.Shown, l.ShownAt = string(p.text), p.span
	}
	p.open, p.text, p.span = 0, nil, Place{}
}

// tag reads a tag behind its "<".
func (p *page) tag() {
	var name []byte
	p.args = p.args[:0]
	for first := true; ; first = false {
		c, ok := p.at()
		switch {
		case !ok:
			return
		case first && c == '!':
			if end := bytes.IndexByte(p.b[p.pos:], '>'); end >= 0 {
				p.pos += end + 1
			} else {
				p.pos = len(p.b)
			}
			return
		case c == '>':
			p.pos++
			p.blank()
			p.process(string(name))
			return
		case space(c):
			if p.blank(); p.script || p.arguments() {
				p.process(string(name))
			}
			return
		case first && p.script && c != '/':
			return
		}
		if len(name) < maxValue {
			name = append(name, lower(c))
		}
		p.pos++
	}
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// arguments reads the attributes of a tag to its end; it is false where the page ends first.
func (p *page) arguments() bool {
	for {
		var name []byte
		for {
			c, ok := p.at()
			if !ok {
				return false
			}
			if c == '>' {
				p.pos++
				return true
			}
			p.pos++
			if c == '=' {
				p.blank()
				if !p.value(string(name)) {
					return false
				}
				break
			}
			if space(c) {
				p.blank()
				if c, _ := p.at(); c != '=' {
					break
				}
				continue
			}
			if len(name) < maxValue {
				name = append(name, lower(c))
			}
		}
	}
}

// value reads the value of an attribute. A space or ">" within quotes ends their effect.
func (p *page) value(name string) bool {
	var text []byte
	quote := byte(0)
	from, end := p.pos, p.pos
	for {
		c, ok := p.at()
		if !ok {
			return false
		}
		switch {
		case c == '&':
			p.reference(&text)
			end = p.pos
			continue
		case c == '"' || c == '\'':
			p.pos++
			if len(text) == 0 {
				quote, from = c, p.pos
			} else if c == quote {
				p.add(name, append(text, '"'), from, p.pos-1)
				p.blank()
				return true
			}
			c = '"'
		case (space(c) || c == '>') && quote == 0:
			p.add(name, text, from, end)
			p.blank()
			return true
		case space(c):
			p.blank()
			c, quote = ' ', 0
		case c == '>':
			p.pos++
			p.blank()
			quote = 0
		default:
			p.pos++
		}
		if end = p.pos; len(text) < maxValue {
			text = append(text, c)
		}
	}
}

// reference decodes "&#109;" and "&amp;" in the value of an attribute.
func (p *page) reference(to *[]byte) {
	rest := p.b[p.pos:min(p.pos+maxValue, len(p.b))]
	n := 1
	for n < len(rest) && (alnum(rest[n]) || strings.IndexByte("#_:-", rest[n]) >= 0) {
		n++
	}
	word := string(rest[:n])
	if n < len(rest) && rest[n] == ';' {
		if s := html.UnescapeString(word + ";"); s != word+";" {
			n++
			if word = s; len(s) > 1 && rest[1] == '#' {
				word = s[:1]
			}
		}
	}
	p.pos += n
	if len(*to)+len(word) <= maxValue {
		*to = append(*to, word...)
	}
}

func (p *page) add(name string, text []byte, from, end int) {
	if len(text) > 0 && text[0] == '"' {
		if text = text[1:]; len(text) > 0 {
			text = text[:len(text)-1]
		}
	}
	p.args = append(p.args, argument{name, value{string(plain(text)), Place{int64(from), int64(end - from)}}})
}

func (p *page) arg(name string) *value {
	for i := range p.args {
		if p.args[i].name == name && p.args[i].text != "" {
			return &p.args[i].value
		}
	}
	return nil
}

// process takes the links of a tag.
func (p *page) process(tag string) {
	switch {
	case strings.HasPrefix(tag, "/"):
		switch {
		case tag == "/script":
			p.script = false
		case tag == "/form":
			p.form = nil
		case tag == "/a" && p.open > 0:
			p.done()
		}
		p.from = 1 + p.pos
		return
	case tag == "script":
		p.script = true
		return
	case tag == "%@":
		return
	}
	if p.open > 0 && p.from == 0 {
		p.from = 1 + p.pos
	}
	switch tag {
	case "a":
		p.anchor()
	case "form":
		if v := p.arg("action"); v != nil {
			form := *v
			p.form = &form
		}
	case "img":
		p.inner("src", true)
		p.inner("dynsrc", false)
	case "iframe":
		p.inner("src", false)
	case "area":
		p.inner("href", false)
	}
}

func (p *page) anchor() {
	href := p.arg("href")
	if href == nil {
		return
	}
	p.done()
	if title := p.arg("title"); title != nil {
		p.links = append(p.links, Link{Real: href.text, RealAt: href.at, Shown: title.text, ShownAt: title.at, Swapped: true})
	}
	p.posted(href)
	p.links = append(p.links, Link{Real: href.text, RealAt: href.at, Href: true})
	p.open, p.from = len(p.links), 1+p.pos
}

// posted takes a link within a form, which leads to where the form is sent.
func (p *page) posted(v *value) {
	if p.form != nil {
		p.links = append(p.links, Link{Real: p.form.text, RealAt: p.form.at, Shown: v.text, ShownAt: v.at, Swapped: true})
	}
}

// inner takes what a link shows beside text: it leads where the link does.
func (p *page) inner(name string, image bool) {
	v := p.arg(name)
	if v == nil {
		return
	}
	l := Link{Shown: v.text, ShownAt: v.at, Image: image && name == "src", Swapped: true}
	if p.open > 0 {
		l.Real, l.RealAt = p.links[p.open-1].Real, p.links[p.open-1].RealAt
	}
	p.links = append(p.links, l)
	p.posted(v)
}

// Addresses returns what a text has of addresses, which lead where they say.
func Addresses(b []byte) (out []Link) {
	for at := 0; at+10 < len(b) && len(out) < maxLinks; at++ {
		if c := b[at] | 0x20; c != 'h' && c != 'f' {
			continue
		}
		head := strings.ToLower(string(b[at : at+6]))
		if !strings.HasPrefix(head, "http:") && head != "https:" && !strings.HasPrefix(head, "ftp:") {
			continue
		}
		n := bytes.IndexAny(b[at:], " \r\n\t")
		if n < 0 {
			n = len(b) - at
		}
		n = min(n, maxValue-1)
		s, place := string(b[at:at+n]), Place{int64(at), int64(n)}
		out = append(out, Link{Real: s, RealAt: place, Href: true})
		at += n
	}
	return out
}
