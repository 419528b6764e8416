package scan

import (
	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/scan/texts"
	"github.com/showcause/showcause/unpack/formats"
)

// Visitor takes what Walk comes upon, in order. Either function may be nil.
type Visitor struct {
	// Layer is called with the input and with each layer below it, before what is in
	// it. The Source is valid until what is in it was visited. It returns how many
	// bytes it read, from the start, and what ended that: what is left is a gap.
	Layer func(l showcause.Layer, t filetype.Type) (read int64, err error)
	// Gap is called with each gap that the report will have: of a layer that was
	// visited, or of one that could not be derived at all.
	Gap func(showcause.Gap)
}

// Walk derives every layer of an input as Scan does, and searches none of them: the
// report has no findings, and says nothing of views. Of the options, those
// about rules mean nothing.
func Walk(src showcause.Source, o Options, v Visitor) showcause.Report {
	if o.Formats == nil {
		o.Formats = formats.All()
	}
	o.TopOnly = false
	s := &Scanner{options: o, visitor: &v, texts: &texts.Set{}}
	return s.Scan(src)
}

// visit hands a layer over in place of searching it.
func (in *input) visit(l *layer) {
	if in.visitor.Layer == nil {
		return
	}
	size := l.Source.Size()
	if n, err := in.visitor.Layer(l.Layer, l.kind); n < size {
		in.cannotRead(l, n, size-n, err)
	}
}
