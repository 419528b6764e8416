package worker

import "github.com/showcause/showcause"

// Vocabulary returns the closed lists of words that a process in the jail may
// say of a layer: how it was derived (showcause.Step), and why something was not
// read. An index into either is what goes over a wire; word 0 stands for a word
// that the list lacks.
func Vocabulary() (ops []string, codes []showcause.Code) {
	w := newWords()
	return w.ops, w.codes
}
