package richtext

import (
	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// compound is what begins as a compound file and is long enough to be one.
func compound() []byte { return append([]byte(magic), unpacktest.Marked("compound", 1500)...) }

var noLimits showcause.Limits
