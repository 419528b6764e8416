package pattern

import (
	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

// Input is a layer as patterns see it. It is not safe for concurrent use.
type Input struct{ bound.Window }

// NewInput returns the input for a layer.
func NewInput(src showcause.Source) *Input { return &Input{*bound.NewWindow(src)} }

// byteAt returns the byte at off.
func (in *Input) byteAt(off int64) (byte, bool) {
	if v := in.View(off, 1); len(v) > 0 {
		return v[0], true
	}
	return 0, false
}
