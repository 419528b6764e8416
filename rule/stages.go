package rule

import (
	"strings"

	"github.com/showcause/showcause"
)

// A file of stages lies beside the rules of a signed release, and says how far each may go. StagesEnd
// is the end of its name, and StagesHead its first line. After it come lines "file NAME", the files
// that it is for, and lines of the SHA-256 of a rule's text in hexadecimal, its stage and its name.
const (
	StagesEnd  = ".stages"
	StagesHead = "showcause-stages/v1"
)

// Staged is the rule's file and its stage, if it has one, behind a NUL: how a database names it.
func (o *Origin) Staged() string {
	if o.Stage == "" {
		return o.File
	}
	return o.File + "\x00" + string(o.Stage)
}

// Unstaged parts the two again. A stage that is not known is none.
func Unstaged(name string) (file string, stage showcause.Stage) {
	file, word, _ := strings.Cut(name, "\x00")
	switch stage = showcause.Stage(word); stage {
	case showcause.StageShadow, showcause.StageReport, showcause.StageAct:
		return file, stage
	}
	return file, ""
}
