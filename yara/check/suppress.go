package check

import (
	"strings"

	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

// silence is what a comment asks for: no warnings of one code within a span.
type silence struct {
	code source.Code
	at   source.Span
}

// silences takes in the comments of a file.
func (c *checker) silences(f *syntax.File) {
	for i, com := range f.Comments {
		for _, code := range suppressed(com.Text) {
			c.silent = append(c.silent, silence{code, covered(f, i)})
		}
	}
}

// suppress takes away the warnings that a comment asks to be silent about:
//
//	// suppress: text_as_hex, slow_pattern
//
// At the end of a line it is for what stands in that line before it; in a line of
// its own for the pattern or rule that follows it, otherwise for the next line
// (YARA-X documentation, "Disabling warnings").
func (c *checker) suppress() {
	if len(c.silent) == 0 {
		return
	}
	kept := c.Diags[:0]
	for _, d := range c.Diags {
		keep := true
		for _, s := range c.silent {
			at := d.Range()
			if d.Severity == source.Warning && d.Code == s.code && at.Start < s.at.End && at.End > s.at.Start {
				keep = false
				break
			}
		}
		if keep {
			kept = append(kept, d)
		}
	}
	c.Diags = kept
}

// suppressed are the codes that a comment names.
func suppressed(text string) []source.Code {
	text = strings.TrimSpace(strings.TrimSuffix(strings.TrimLeft(text, "/*"), "*/"))
	rest, ok := strings.CutPrefix(text, "suppress:")
	if !ok {
		return nil
	}
	var out []source.Code
	for _, word := range strings.FieldsFunc(rest, func(r rune) bool { return r == ',' || r == ' ' }) {
		out = append(out, source.Code(word))
	}
	return out
}

// covered is the text that comment i of a file is about.
func covered(f *syntax.File, i int) source.Span {
	text, base := f.Source.Text, f.Source.Base()
	com := f.Comments[i]
	start, end := int(com.Start-base), int(com.End-base)
	line := strings.LastIndexByte(text[:start], '\n') + 1
	if strings.TrimSpace(text[line:start]) != "" {
		return source.Span{Start: f.Source.At(line), End: com.Start}
	}
	// Comments that follow are passed.
	for _, next := range f.Comments[i+1:] {
		if strings.TrimSpace(text[end:int(next.Start-base)]) != "" {
			break
		}
		end = int(next.End - base)
	}
	rest := text[end:]
	end += len(rest) - len(strings.TrimLeft(rest, " \t\r\n"))
	at := f.Source.At(end)
	for _, r := range f.Rules {
		if r.Start == at {
			return r.Span
		}
		for _, p := range r.Patterns {
			if p.Start == at {
				return p.Span
			}
		}
	}
	if n := strings.IndexByte(text[end:], '\n'); n >= 0 {
		return source.Span{Start: at, End: f.Source.At(end + n)}
	}
	return source.Span{Start: at, End: f.Source.At(len(text))}
}
