// Package page is the look that all pages for persons have: colours, letters, cards, badges, and how they are printed.
package page

import (
	_ "embed"
	"html/template"
)

//go:embed page.css
var common string

//go:embed print.css
var printed string

// Style is the style sheet of a page that has rules of its own, which no word of others may be in.
func Style(own string) template.CSS { return template.CSS(common + own + printed) }
