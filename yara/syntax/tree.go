// Package syntax is YARA rule text as a tree: Parse reads it, Format writes it,
// Walk goes through it. The tree keeps every place and every comment. What the
// names mean and whether the types fit is not asked here.
//
// Both dialects have one tree. What only one of them has is refused by Parse
// under the other.
//
// Sources: YARA 4.5 documentation, "Writing YARA rules"; YARA-X 1.x documentation,
// "Writing rules" and its grammar.
package syntax

import "github.com/showcause/showcause/yara/source"

// File is one source.
type File struct {
	Source     *source.Source
	Directives []Directive // imports and includes, in order
	Rules      []*Rule
	Comments   []Comment // all of them, in order
}

// Directive is an import or an include. It stands before rule number Before of
// the file.
type Directive struct {
	source.Span
	Include bool
	Name    *Literal
	Before  int
}

// Comment is one comment with its marks.
type Comment struct {
	source.Span
	Text string
}

// Ident is a name with its place.
type Ident struct {
	source.Span
	Name string
}

// Rule is one rule. A rule with an error in it has what was read before it, and
// Broken set.
type Rule struct {
	source.Span
	Flags    []Ident // "private", "global", as they stand
	Name     Ident
	Tags     []Ident
	Open     source.Pos // of {
	Meta     Section
	Metas    []Meta
	Strings  Section
	Patterns []*Pattern
	CondAt   Section
	Cond     Expr
	Close    source.Pos // of }
	Broken   bool
}

// Section is the place of the word that begins a section, zero if it is absent.
type Section struct{ source.Span }

// Flag says whether the rule has a flag, "private" or "global".
func (r *Rule) Flag(name string) bool {
	for _, f := range r.Flags {
		if f.Name == name {
			return true
		}
	}
	return false
}

// Meta is one line of metadata. Its value is a text, an integer, a float or a
// boolean.
type Meta struct {
	source.Span
	Name  Ident
	Value *Literal
}

// Pattern is one line of the strings section. Exactly one of Text, Hex and
// Regexp is set.
type Pattern struct {
	source.Span
	Name      Ident // "$a"; "$" for an anonymous one
	Text      *Literal
	Regexp    *Literal
	Hex       *Hex
	Modifiers []Modifier
}

// Has is the modifier of that name, nil if there is none.
func (p *Pattern) Has(name string) *Modifier {
	for i := range p.Modifiers {
		if p.Modifiers[i].Name == name {
			return &p.Modifiers[i]
		}
	}
	return nil
}

// Modifier is a word after a pattern. Min and Max are the keys of xor, 0 to 255
// without arguments.
type Modifier struct {
	source.Span
	Name     string
	Args     bool     // it has an argument in the text
	Min, Max int64    // xor
	Alphabet *Literal // base64, base64wide
}

// HexKind is what a Hex is.
type HexKind uint8

// The kinds.
const (
	HexSequence     HexKind = iota // Parts one after the other
	HexAlternatives                // one of Parts, each a HexSequence
	HexByte
	HexJump
)

// Hex is a part of a hex pattern. A byte b fits a HexByte if b&Mask == Value, or
// the opposite if Not.
type Hex struct {
	source.Span
	Kind        HexKind
	Value, Mask byte
	Not         bool
	Min, Max    uint32 // HexJump, bytes; Max is Unbounded for none
	Parts       []*Hex
}

// Unbounded is the Max of a jump without one.
const Unbounded = 1<<32 - 1

// Expr is a node of a condition.
type Expr interface {
	Range() source.Span
	expr()
}

// LiteralKind is what a Literal is.
type LiteralKind uint8

// The kinds.
const (
	IntegerLit LiteralKind = iota
	FloatLit
	TextLit
	RegexpLit
	BoolLit
)

// Literal is a value in the text. Raw is how it is spelled.
type Literal struct {
	source.Span
	Kind  LiteralKind
	Raw   string
	Int   int64   // IntegerLit; BoolLit: 0 or 1
	Float float64 // FloatLit
	Text  string  // TextLit: the bytes meant; RegexpLit: the expression as it stands, \/ as /
	Flags string  // RegexpLit: the letters after it
	Dot   int     // RegexpLit: offset of the expression in Raw
}

// Name is an identifier: a variable, a rule, a module, an external, or one of
// the functions that read integers.
type Name struct{ Ident }

// Keyword is filesize or entrypoint.
type Keyword struct{ Ident }

// Select is X.Field.
type Select struct {
	source.Span
	X     Expr
	Field Ident
}

// Index is X[I].
type Index struct {
	source.Span
	X, I Expr
}

// Call is Fn(Args).
type Call struct {
	source.Span
	Fn   Expr
	Args []Expr
}

// Op is an operator as it is spelled.
type Op string

// Unary is -X, ~X, not X or defined X.
type Unary struct {
	source.Span
	Op Op
	X  Expr
}

// Binary is X Op Y: arithmetic, bits, comparison, text.
type Binary struct {
	source.Span
	Op    Op
	OpPos source.Pos
	X, Y  Expr
}

// Logic is two or more kids joined by "and" or by "or". Words are the places of
// the operator.
type Logic struct {
	source.Span
	Op    Op
	Words []source.Pos
	Kids  []Expr
}

// Paren is (X).
type Paren struct {
	source.Span
	X Expr
}

// Match is $a, $a at At or $a in In. Name is "$" for the pattern of the loop.
type Match struct {
	source.Span
	Name Ident
	At   Expr
	In   *Range
}

// Measure is a number of a pattern: its matches (#a, #a in In), the offset of
// one (@a[Index]) or its length (!a[Index]). Name has $ for its first letter.
type Measure struct {
	source.Span
	Kind  byte // '#', '@', '!'
	Name  Ident
	Index Expr // nil: 1
	In    *Range
}

// Range is (Lo..Hi), both inclusive.
type Range struct {
	source.Span
	Lo, Hi Expr
}

// Quantifier is all, any, none, N or N%.
type Quantifier struct {
	source.Span
	Word    string // "all", "any", "none", or empty
	N       Expr
	Percent bool
}

// Set is a list in parentheses, or "them": patterns (Glob), rules (Glob), or
// expressions.
type Set struct {
	source.Span
	Them  bool
	Items []Expr
}

// Glob is a name in a set of patterns or rules: $a, $a*, rule*.
type Glob struct {
	source.Span
	Name string // without *
	Wild bool
}

// Of is Quant of Set, with at or in.
type Of struct {
	source.Span
	Quant *Quantifier
	Set   *Set
	At    Expr
	In    *Range
}

// ForOf is for Quant of Set : (Body).
type ForOf struct {
	source.Span
	Quant *Quantifier
	Set   *Set
	Body  Expr
}

// ForIn is for Quant Vars in Iter : (Body). Iter is a Range, a Set, or a value
// that is an array or a map.
type ForIn struct {
	source.Span
	Quant *Quantifier
	Vars  []Ident
	Iter  Expr
	Body  Expr
}

// With is with Vars[i] = Values[i] : (Body).
type With struct {
	source.Span
	Vars   []Ident
	Values []Expr
	Body   Expr
}

func (*Literal) expr()    {}
func (*Name) expr()       {}
func (*Keyword) expr()    {}
func (*Select) expr()     {}
func (*Index) expr()      {}
func (*Call) expr()       {}
func (*Unary) expr()      {}
func (*Binary) expr()     {}
func (*Logic) expr()      {}
func (*Paren) expr()      {}
func (*Match) expr()      {}
func (*Measure) expr()    {}
func (*Range) expr()      {}
func (*Quantifier) expr() {}
func (*Set) expr()        {}
func (*Glob) expr()       {}
func (*Of) expr()         {}
func (*ForOf) expr()      {}
func (*ForIn) expr()      {}
func (*With) expr()       {}

// Walk calls visit for e and, if visit says so, for all that is below it, in
// the order of the text.
func Walk(e Expr, visit func(Expr) bool) {
	if e == nil || !visit(e) {
		return
	}
	switch e := e.(type) {
	case *Select:
		Walk(e.X, visit)
	case *Index:
		Walk(e.X, visit)
		Walk(e.I, visit)
	case *Call:
		Walk(e.Fn, visit)
		walkAll(e.Args, visit)
	case *Unary:
		Walk(e.X, visit)
	case *Binary:
		Walk(e.X, visit)
		Walk(e.Y, visit)
	case *Logic:
		walkAll(e.Kids, visit)
	case *Paren:
		Walk(e.X, visit)
	case *Match:
		walkPlace(e.At, e.In, visit)
	case *Measure:
		walkPlace(e.Index, e.In, visit)
	case *Range:
		Walk(e.Lo, visit)
		Walk(e.Hi, visit)
	case *Quantifier:
		Walk(e.N, visit)
	case *Set:
		walkAll(e.Items, visit)
	case *Of:
		Walk(e.Quant, visit)
		Walk(e.Set, visit)
		walkPlace(e.At, e.In, visit)
	case *ForOf:
		Walk(e.Quant, visit)
		Walk(e.Set, visit)
		Walk(e.Body, visit)
	case *ForIn:
		Walk(e.Quant, visit)
		Walk(e.Iter, visit)
		Walk(e.Body, visit)
	case *With:
		walkAll(e.Values, visit)
		Walk(e.Body, visit)
	}
}

func walkAll(all []Expr, visit func(Expr) bool) {
	for _, e := range all {
		Walk(e, visit)
	}
}

// walkPlace goes through those of the two that are there.
func walkPlace(at Expr, in *Range, visit func(Expr) bool) {
	Walk(at, visit)
	if in != nil {
		Walk(in, visit)
	}
}
