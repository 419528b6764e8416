// Package rule is a rule as data: patterns, a condition over their matches, a
// guard over the layer, and where it came from. Every rule language becomes
// this. Encode makes the guard and the condition a Program, which a rule database
// stores and runs in place.
package rule

import (
	"github.com/showcause/showcause"
	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/regex"
	"github.com/showcause/showcause/regex/syntax"
)

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
	// Regexps are nil, or one for each of Patterns: one that is not nil stands in
	// place of the pattern.
	Regexps []*Regexp
	// Later are nil, or one for each of Patterns: one that is not nil stands in place of
	// the pattern, of which it has the anchor.
	Later []*Later
	// Cond is the condition. Where the rule has code, it is only what must hold
	// for the code to have a chance to.
	Cond     Node
	YARA     *YARA     // what a rule in YARA's language has besides; else nil
	Bytecode *Bytecode // of a program in ClamAV's bytecode; else nil
	// Heuristic tells that the rule is decided by what its text says (package heuristic). Its
	// patterns, one for each line of the text, are searched for nowhere.
	Heuristic bool
}

// Bytecode marks a rule that is a program in ClamAV's bytecode, which is the rule's
// Text: where the condition holds, the program is run, and it finds what it says.
type Bytecode struct {
	// Alias tells that the rule is the one in front of it by another name that the
	// program may give: it finds nothing by itself.
	Alias bool
}

// Regexp is a pattern that is a regular expression. Without atoms, the whole
// layer has to be searched for it.
type Regexp struct {
	Program regex.Program
	Atoms   []regex.Atom
}

// Later is a pattern that is looked for when those before it in the rule are known, and
// only where its trigger holds; elsewhere it has no match.
type Later struct {
	Trigger Node // over patterns before this one

	// One of:
	Regexp  *Regexp  // of PCRE
	Compare *Compare // a number in the layer
	Image   *Image   // the layer is an image that looks like another
	Icons   *Icons   // the layer is a program with an icon that looks like a known one

	Tree *syntax.Tree // of Regexp, as it was read: no database has it

	// Of a Regexp with an anchor, ClamAV's flags: what is searched begins there, as if nothing
	// stood before it.
	Global    bool // g: all matches, one behind the other, and not the first alone
	Rolling   bool // r: a match may begin anywhere behind the anchor
	Encompass bool // e: what is searched ends where the anchor's shift does
	Anchored  bool // A: a match begins where the search does
}

// Image asks for an image by its perceptual hash, of which Distance bits at most are others.
type Image struct {
	Hash     [8]byte
	Distance uint8
}

// later returns what pattern sub is, nil if it is none that is decided later.
func (r *Rule) later(sub int) *Later {
	if r.Later == nil || sub < 0 || sub >= len(r.Later) {
		return nil
	}
	return r.Later[sub]
}

// YARA is what a rule in YARA's language has besides.
type YARA struct {
	Namespace string
	Tags      []string
	Metas     []Meta
	Private   bool // it is not reported
	Global    bool // where it does not hold, no rule of its namespace does
	// Absent tells that the condition may ask for something not to be there, so
	// that it says nothing of a layer of which not all was searched.
	Absent bool
	Views  bool // it is for normalised views, too: text without case, pages without tags
	// Names are the names of the patterns, with their "$"; that of an anonymous
	// one is "$".
	Names  []string
	Hidden []int    // indexes of private patterns, whose matches are not reported, ascending
	Code   []byte   // the condition, a program of package yara/code
	Deps   []string // keys of the rules that Code asks for, which were emitted earlier
	Needs  []uint32 // for each pattern, how many matches Code tells apart; 0 none, math.MaxUint32 all
}

// Meta is one line of a rule's metadata. Value is a string, an int64, a float64
// or a bool.
type Meta struct {
	Name  string `json:"name"`
	Value any    `json:"value"`
}

// Key names a rule of YARA's among all rules: Deps have it.
func (r *Rule) Key() string { return r.YARA.Namespace + ":" + r.Name }

// Origin says what a rule is called and where it stands.
type Origin struct {
	Name  string
	File  string          // base name of the file, "main.cvd/main.ldb" for one inside a container
	Line  int             // from 1
	Stage showcause.Stage // as its publisher signed it; "" for most
	Text  string          // the line as it stands, without its end; of YARA's, the rule from its first word to its last brace
}

// Guard is what the layer itself must be. The zero value asks nothing. A nil
// Range asks nothing. Entry and Sections admit no layer that does not parse as
// an executable. (clamscan refuses a database with these two on any target but
// PE, ELF and Mach-O.)
type Guard struct {
	Size     *Range // of the layer, bytes
	Entry    *Range // file offset of the entry point
	Sections *Range // number of sections
	// Container is the ClamAV name of the type that the parent layer must have
	// ("CL_TYPE_ZIP"), CL_TYPE_ANY for a layer without a parent: that is no
	// wildcard here.
	Container string
	// Intermediates are ClamAV type names of ancestors, outermost first, the
	// last being the parent. Ancestors further out than the first do not
	// matter. CL_TYPE_ANY only asks for one more ancestor, and takes no place:
	// of zip>any the parent is the zip file, as clamscan 1.4.6 has it.
	Intermediates []string
	Magic         []Magic // all of them must hold
}

// Begins tells whether the guard lets in only layers that begin with the two
// bytes, for certain.
func (g *Guard) Begins(first, second byte) bool {
	for _, m := range g.Magic {
		if m.Offset != 0 || m.Pointer || m.Width < 2 {
			continue
		}
		all := true
		for _, v := range m.Values {
			if m.Big {
				v = v>>(8*m.Width-8)&0xff | v>>(8*m.Width-16)&0xff<<8
			}
			all = all && byte(v) == first && byte(v>>8) == second
		}
		if all {
			return true
		}
	}
	return false
}

// Magic is a condition on one number in the layer, unsigned.
type Magic struct {
	Offset int64
	// Pointer tells that the number does not stand at Offset, but at the offset
	// that the four bytes there are, little-endian.
	Pointer bool
	Width   uint8    // bytes: 1, 2 or 4
	Big     bool     // big-endian
	Values  []uint64 // what it may be
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
	Group // the matches that made Kids[0] true, compared: see Node
	True  // holds always; it has no kids, and adds nothing to a Group
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
//
// A Group sums up the matches within its one kid, as clamscan 1.4.6 does:
//
//   - A Count that holds adds the number of matches of its pattern, which is 0
//     for "=0", and its pattern to those that Distinct counts, even at 0.
//   - An And or Or that holds adds what its kids add; one that does not hold
//     adds nothing, though some of its kids may hold: of (0&1)=0 the sum is 0
//     wherever 0 or 1 is missing, so that it holds there.
//   - A Group within a Group adds what it summed up itself, if it holds, but no
//     pattern to those that Distinct counts.
//   - A pattern that stands twice is summed twice and is one for Distinct.
//
// The sum is then compared with N, and at least Distinct patterns must have
// added to it, whatever the comparison. Distinct of a Count asks nothing:
// clamscan takes "0>1,2" for "0>1".
type Node struct {
	Op       Op
	Sub      int // Count: index into Patterns
	Cmp      Cmp
	N        uint32
	Distinct uint32 // Group: 0 asks nothing
	Kids     []Node // And, Or: one or more; Group: one
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
