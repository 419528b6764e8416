// Package rule is a rule as data: patterns, a condition over their matches, a
// guard over the layer, and where it came from. Every rule language becomes
// this. Eval decides a condition.
package rule

import "github.com/showcause/showcause/pattern"

// Target is the kind of layer that a rule is for, in ClamAV's numbering.
type Target uint8

// The targets (ClamAV documentation, "Body Signature Content Format").
const (
	Any Target = iota
	PE
	OLE2
	HTML // normalised views
	Mail
	Graphics
	ELF
	ASCII // normalised view
	Unused
	MachO
	PDF
	Flash
	Java
	Targets // the number of targets
)

// Rule is a rule whose patterns are searched for in the bytes of a layer.
type Rule struct {
	Origin
	Target   Target
	Guard    Guard
	Patterns []pattern.Pattern
	Cond     Node
}

// Origin says what a rule is called and where it stands.
type Origin struct {
	Name string
	File string // base name of the file, "main.cvd/main.ldb" for one inside a container
	Line int    // from 1
	Text string // the line as it stands, without its end
}

// Guard is what the layer itself must be. The zero value asks nothing. A nil
// Range asks nothing.
type Guard struct {
	Size     *Range // of the layer, bytes
	Entry    *Range // file offset of the entry point
	Sections *Range // number of sections
	// Container is the ClamAV name of the type that the parent layer must have
	// ("CL_TYPE_ZIP"), CL_TYPE_ANY for a layer without a parent.
	Container string
	// Intermediates are ClamAV type names of ancestors, outermost first, the
	// last being the parent; CL_TYPE_ANY stands for any.
	Intermediates []string
}

// Range is an inclusive range.
type Range struct{ Min, Max uint64 }

// Op is what a Node does.
type Op uint8

// The ops.
const (
	Count Op = iota // the number of matches of pattern Sub, compared
	And
	Or
	Group // the sum of the matches that made Kids[0] true, compared, by at least Distinct different patterns
)

// Cmp compares a count with a number.
type Cmp uint8

// The comparisons.
const (
	Greater Cmp = iota
	Equal
	Less
)

// Node is a condition. ClamAV's "0" is {Count, Sub: 0, Greater, N: 0}.
type Node struct {
	Op       Op
	Sub      int // Count: index into Patterns
	Cmp      Cmp
	N        uint32
	Distinct uint32 // Count and Group: 0 asks nothing
	Kids     []Node
}

// Sum is the algorithm of a DigestRule.
type Sum uint8

// The algorithms.
const (
	MD5 Sum = iota
	SHA1
	SHA256
)

// Scope is what a DigestRule digests.
type Scope uint8

// The scopes.
const (
	WholeLayer Scope = iota
	PESection        // one section of a PE file, raw bytes
	PEImports        // the import table, as imphash
)

// DigestRule is a rule that asks for exact bytes by their digest.
type DigestRule struct {
	Origin
	Sum    Sum
	Scope  Scope
	Size   int64  // of what is digested, bytes; -1 for any
	Digest string // raw bytes
	Allow  bool   // overrules findings in place of making one
}
