package rule

import (
	"slices"
	"strings"

	"github.com/showcause/showcause/pattern"
)

// ByText returns a rule that its text decides (see Rule.Heuristic): a pattern for each line, and a
// condition that no match fulfils.
func ByText(o Origin) *Rule {
	never := pattern.Pattern{Variants: [][]pattern.Elem{{{Kind: pattern.Bytes, Value: []byte("heuristics.heu")}}}}
	return &Rule{
		Origin: o, Heuristic: true, Cond: Node{Op: Count, Cmp: Less},
		Patterns: slices.Repeat([]pattern.Pattern{never}, 1+strings.Count(o.Text, "\n")),
	}
}
