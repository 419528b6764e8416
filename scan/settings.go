package scan

import (
	"slices"

	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/rule"
)

// magics notes the types that the database's magics give a layer of which nothing else is known: it
// is read as these besides.
func (in *input) magics(l *layer) {
	if l.as || in.options.TopOnly || l.kind != filetype.Unknown && rule.Target(l.kind.Target()) != rule.ASCII {
		return
	}
	for _, m := range in.texts.Magics {
		if m.Type != l.kind && m.In(l.head) && !slices.Contains(l.handlers, m.Type) {
			l.handlers = append(l.handlers, m.Type)
		}
	}
	in.budget.Work(int64(len(in.texts.Magics)))
}
