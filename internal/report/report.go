// Package report writes the page that a person reads: what was scanned, what was
// found and by what, what was not read, what was said of it since, and how to
// check all of it. The page is one file that loads nothing and runs nothing.
//
// Everything in a record may be an attacker's: names, reasons, rules' texts, bytes.
// All of it reaches the page through html/template alone, and as text.
package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/recheck"
	"github.com/showcause/showcause/internal/page"
)

// Page is what is reported.
type Page struct {
	Made    time.Time
	Version string // of this program
	Source  string // where the records are
	Items   []Item
	Left    int      // findings that are not on the page, being too many
	Older   int64    // records that were not looked at, being older than the last that are
	Keys    []string // that signed, hexadecimal
	Log     string   // the log's state in a sentence, "" for none
	// Missing names records that must have been there, by what the others say.
	Missing []string
}

// Wrong is the number of records that are missing, damaged or refused, at least.
func (p *Page) Wrong() int64 {
	n := int64(len(p.Missing))
	for _, it := range p.Items {
		if it.Refused != "" {
			n++
		}
	}
	return n
}

// Item is one record.
type Item struct {
	Name      string
	Statement *evidence.Statement
	Signer    string // key that was verified, "" if the signature was not checked
	Entry     int64  // of the log, from 1; 0 if there is no log
	Refused   string // why the record did not verify, or is not there; such a record is shown as refused, and nothing of it as true
	Proven    bool   // the log has it, and that was checked
	// Again is the finding derived again just now, nil where the file is not at
	// hand; Away says why.
	Again *recheck.Answer
	Away  string
}

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

// Write writes the page.
func Write(w io.Writer, p *Page) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"style": func() template.CSS { return page.Style(pageStyle) },
		"size":  size, "number": number, "short": short, "plural": plural,
	}).Parse(pageText)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, newModel(p)); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if _, err := w.Write(visible(b.Bytes())); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// visible writes what cannot be seen in a page, and what turns text around in it
// (bidi controls), as backslash escapes: the template has none of it.
func visible(page []byte) []byte {
	out := make([]byte, 0, len(page))
	for len(page) > 0 {
		r, n := utf8.DecodeRune(page)
		switch {
		case r == utf8.RuneError && n <= 1:
			out = fmt.Appendf(out, `\x%02x`, page[0])
		case r == '\n' || r == '\t' || unicode.IsPrint(r):
			out = append(out, page[:n]...)
		case r == '\r':
		case r <= 0xffff:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = fmt.Appendf(out, `\U%08x`, r)
		}
		page = page[n:]
	}
	return out
}

// size writes a number of bytes for a person.
func size(n int64) string {
	switch {
	case n < 0:
		return "unknown size"
	case n < 10_000:
		return number(n) + " B"
	case n < 10_000_000:
		return number(n/1000) + " kB"
	case n < 10_000_000_000:
		return number(n/1_000_000) + " MB"
	}
	return number(n/1_000_000_000) + " GB"
}

// number writes an integer with commas.
func number(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// short is the beginning of a digest.
func short(s string) string {
	if len(s) > 16 {
		return s[:16]
	}
	return s
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}
