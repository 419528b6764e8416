package syntax

import (
	"fmt"
	"strings"

	"github.com/showcause/showcause/yara/source"
)

// Format writes a file that was read without an error. The result reads as the
// same tree, with all comments, and formatting it again changes nothing. Lines of
// conditions, sets and hex patterns are broken where the author broke them.
func Format(f *File) string {
	p := &printer{src: f.Source, comments: f.Comments}
	directives := f.Directives
	for i, r := range f.Rules {
		for len(directives) > 0 && directives[0].Before <= i {
			p.directive(directives[0])
			directives = directives[1:]
		}
		p.rule(r)
	}
	for _, d := range directives {
		p.directive(d)
	}
	p.breaks = max(p.breaks, 1)
	p.flush(f.Source.At(len(f.Source.Text)) + 1)
	if p.b.Len() > 0 {
		p.b.WriteByte('\n')
	}
	return p.b.String()
}

// printer writes tokens. Before each it writes the comments that stood before it.
type printer struct {
	b        strings.Builder
	src      *source.Source
	comments []Comment // still to be written
	indent   int
	breaks   int  // line ends due before the next token
	space    bool // a space is due before it
	wrote    bool // a directive or rule
	rules    bool // the last of them was a rule
}

const step = "    "

// put writes a token with its place.
func (p *printer) put(at source.Span, text string) {
	p.flush(at.Start)
	p.sign(text)
}

// sign writes a token that has no place of its own.
func (p *printer) sign(text string) {
	p.lay()
	p.b.WriteString(text)
}

// lay writes the line ends or the space that is due.
func (p *printer) lay() {
	switch {
	case p.b.Len() == 0:
	case p.breaks > 0:
		p.b.WriteString(strings.Repeat("\n", p.breaks) + strings.Repeat(step, p.indent))
	case p.space:
		p.b.WriteByte(' ')
	}
	p.breaks, p.space = 0, false
}

// lines is the number of line ends in the white space right before a place.
func (p *printer) lines(at source.Pos) int {
	text := p.src.Text[:at-p.src.Base()]
	return strings.Count(text[len(strings.TrimRight(text, " \t\r\n")):], "\n")
}

// flush writes the comments before a place: one that follows something in its
// line stays there, others get a line of their own.
func (p *printer) flush(before source.Pos) {
	for len(p.comments) > 0 && p.comments[0].Start < before {
		c := p.comments[0]
		p.comments = p.comments[1:]
		due := p.breaks
		switch n := p.lines(c.Start); {
		case p.b.Len() == 0:
			p.breaks = 0
		case n == 0:
			p.breaks, p.space = 0, true
		case n > 1:
			p.breaks = 2
		default:
			p.breaks = max(due, 1)
		}
		own := p.breaks > 0
		p.lay()
		p.b.WriteString(c.Text)
		p.space = true
		switch {
		case strings.HasPrefix(c.Text, "//"):
			p.breaks = 1
		case own && strings.Contains(p.src.Text[c.End-p.src.Base():][:p.nextLine(c.End)], "\n"):
			p.breaks = 1
		}
		if !own {
			p.breaks = max(p.breaks, due)
		}
	}
}

// nextLine is the number of bytes of white space after a place.
func (p *printer) nextLine(at source.Pos) int {
	rest := p.src.Text[at-p.src.Base():]
	return len(rest) - len(strings.TrimLeft(rest, " \t\r\n"))
}

// begin ends the line before an entry, and keeps one empty line if the source has
// some before it.
func (p *printer) begin(at source.Pos) {
	p.breaks = max(p.breaks, 1)
	p.flush(at)
	if p.breaks = max(p.breaks, 1); p.lines(at) > 1 {
		p.breaks = 2
	}
}

// item begins a directive or rule: an empty line before and after a rule.
func (p *printer) item(at source.Pos, rule bool) {
	if p.wrote && (rule || p.rules) {
		p.breaks = 2
	}
	p.wrote, p.rules = true, rule
	p.begin(at)
}

func (p *printer) directive(d Directive) {
	p.item(d.Start, false)
	word := "import"
	if d.Include {
		word = "include"
	}
	p.sign(word)
	p.space = true
	p.put(d.Name.Span, d.Name.Raw)
}

func (p *printer) rule(r *Rule) {
	p.item(r.Start, true)
	for _, f := range r.Flags {
		p.put(f.Span, f.Name)
		p.space = true
	}
	p.sign("rule")
	p.space = true
	p.put(r.Name.Span, r.Name.Name)
	for i, t := range r.Tags {
		if i == 0 {
			p.space = true
			p.sign(":")
		}
		p.space = true
		p.put(t.Span, t.Name)
	}
	p.space = true
	p.put(source.Span{Start: r.Open, End: r.Open + 1}, "{")
	p.indent++
	if len(r.Metas) > 0 {
		p.section(r.Meta, "meta:")
		for _, m := range r.Metas {
			p.begin(m.Start)
			p.put(m.Name.Span, m.Name.Name)
			p.assign()
			p.put(m.Value.Span, m.Value.Raw)
		}
		p.indent--
	}
	if len(r.Patterns) > 0 {
		p.section(r.Strings, "strings:")
		for _, pat := range r.Patterns {
			p.pattern(pat)
		}
		p.indent--
	}
	p.section(r.CondAt, "condition:")
	p.begin(r.Cond.Range().Start)
	p.expr(r.Cond)
	p.indent -= 2
	p.breaks = max(p.breaks, 1)
	p.indent++ // comments before } stand with the condition
	p.flush(r.Close)
	p.indent--
	p.breaks = 1
	p.put(source.Span{Start: r.Close, End: r.Close + 1}, "}")
}

func (p *printer) section(s Section, text string) {
	p.begin(s.Start)
	p.put(s.Span, text)
	p.indent++
}

func (p *printer) assign() {
	p.space = true
	p.sign("=")
	p.space = true
}

func (p *printer) pattern(pat *Pattern) {
	p.begin(pat.Start)
	p.put(pat.Name.Span, pat.Name.Name)
	p.assign()
	switch {
	case pat.Text != nil:
		p.put(pat.Text.Span, pat.Text.Raw)
	case pat.Regexp != nil:
		p.put(pat.Regexp.Span, pat.Regexp.Raw)
	default:
		p.put(source.Span{Start: pat.Hex.Start, End: pat.Hex.Start + 1}, "{")
		p.indent++
		p.hexParts(pat.Hex.Parts)
		p.gap(pat.Hex.End - 1)
		p.flush(pat.Hex.End - 1)
		p.indent--
		p.sign("}")
	}
	for _, m := range pat.Modifiers {
		p.space = true
		p.put(m.Span, m.Name)
		switch {
		case m.Alphabet != nil:
			p.sign("(")
			p.put(m.Alphabet.Span, m.Alphabet.Raw)
			p.sign(")")
		case m.Args && m.Min == m.Max:
			p.sign(fmt.Sprintf("(%d)", m.Min))
		case m.Args:
			p.sign(fmt.Sprintf("(%d-%d)", m.Min, m.Max))
		}
	}
}

// gap is a space, or a line end if the source has one before the place.
func (p *printer) gap(at source.Pos) {
	p.space = true
	p.flush(at)
	if p.lines(at) > 0 {
		p.breaks = max(p.breaks, 1)
	}
}

func (p *printer) hexParts(parts []*Hex) {
	for _, h := range parts {
		p.gap(h.Start)
		switch h.Kind {
		case HexByte:
			p.put(h.Span, p.src.Slice(h.Span))
		case HexJump:
			p.put(h.Span, jumpText(h))
		case HexAlternatives:
			p.put(source.Span{Start: h.Start, End: h.Start + 1}, "(")
			for i, seq := range h.Parts {
				if i > 0 {
					p.gap(seq.Start)
					p.sign("|")
				}
				p.hexParts(seq.Parts)
			}
			p.gap(h.End - 1)
			p.sign(")")
		}
	}
}

func jumpText(h *Hex) string {
	switch {
	case h.Max == Unbounded && h.Min == 0:
		return "[-]"
	case h.Max == Unbounded:
		return fmt.Sprintf("[%d-]", h.Min)
	case h.Min == h.Max:
		return fmt.Sprintf("[%d]", h.Min)
	}
	return fmt.Sprintf("[%d-%d]", h.Min, h.Max)
}
