package syntax

import "math/bits"

// Dialect is the language that an expression is written in.
type Dialect uint8

// The dialects.
const (
	YARA4 Dialect = iota // YARA 4.5
	YARAX                // YARA-X 1.x: the syntax of Rust's regex crate, over bytes
	PCRE                 // PCRE2, over bytes
)

// Flags say how an expression is read.
type Flags struct {
	Dialect         Dialect
	CaseInsensitive bool // ASCII letters compare without case
	DotAll          bool // the dot takes a line feed too
	Multiline       bool // ^ and $ hold at lines too
	Extended        bool // spaces and comments are left out
	Ungreedy        bool // quantifiers are lazy, and greedy with a "?"
	DollarEnd       bool // PCRE: $ holds at the very end only, not before a last line feed
	Anchored        bool // matches only at the start
	Relaxed         bool // YARAX: "{" and unknown escapes stand for themselves, as in YARA4
}

// Set is a set of bytes.
type Set [4]uint64

// Has tells whether the set has c.
func (s *Set) Has(c byte) bool { return s[c>>6]>>(c&63)&1 != 0 }

func (s *Set) add(c byte) { s[c>>6] |= 1 << (c & 63) }

func (s *Set) addRange(lo, hi int) {
	for c := lo; c <= hi; c++ {
		s.add(byte(c))
	}
}

func (s *Set) Or(o Set) {
	for i := range s {
		s[i] |= o[i]
	}
}

func (s *Set) negate() {
	for i := range s {
		s[i] = ^s[i]
	}
}

// fold adds the other case of every ASCII letter in the set.
func (s *Set) fold() {
	for c := byte('a'); c <= 'z'; c++ {
		if s.Has(c) || s.Has(c-0x20) {
			s.add(c)
			s.add(c - 0x20)
		}
	}
}

func (s *Set) Len() int {
	return bits.OnesCount64(s[0]) + bits.OnesCount64(s[1]) + bits.OnesCount64(s[2]) + bits.OnesCount64(s[3])
}

// bytes appends the members in order.
func (s *Set) Bytes(dst []byte) []byte {
	for i, w := range s {
		for ; w != 0; w &= w - 1 {
			dst = append(dst, byte(i<<6+bits.TrailingZeros64(w)))
		}
	}
	return dst
}

func setOf(text string) (s Set) {
	for i := range len(text) {
		s.add(text[i])
	}
	return s
}

func setRange(lo, hi int) (s Set) {
	s.addRange(lo, hi)
	return s
}

// perl returns the set of \d \s \w \h \v \N and of their negations, and
// whether there is one. YARA's \s has the vertical tab; so does PCRE2's.
func perl(c byte) (s Set, ok bool) {
	switch c | 0x20 {
	case 'd':
		s = setRange('0', '9')
	case 's':
		s = setOf("\t\n\v\f\r ")
	case 'w':
		s = setRange('0', '9')
		s.Or(setRange('a', 'z'))
		s.Or(setRange('A', 'Z'))
		s.add('_')
	case 'h':
		s = setOf("\t \xa0")
	case 'v':
		s = setOf("\n\v\f\r\x85")
	case 'n':
		s = setOf("\n")
	default:
		return s, false
	}
	if c&0x20 == 0 {
		s.negate()
	}
	return s, true
}

// Op is what a Node is.
type Op uint8

// The ops.
const (
	Empty  Op = iota // the empty string
	Class            // one byte of Set
	Concat           // Subs one after the other
	Alt              // one of Subs, the first preferred
	Repeat           // Min to Max times Subs[0]; Max -1 is unbounded
	Group            // Subs[0]; captured where Index is not 0
	Assert           // the test Test of a place, zero bytes long
	Atomic           // PCRE: Subs[0], never gone back into
	Look             // PCRE: Subs[0] stands ahead or, with Behind, behind; not, with Negate
	Ref              // PCRE: what group Index captured
	Keep             // PCRE: \K, the match begins here
	Cond             // PCRE: Subs[1] if Subs[0] (a Look) holds or group Index is set, else Subs[2]
)

// Test is what an Assert asks of a place.
type Test uint8

// The tests. A word byte is an ASCII letter, a digit or "_".
const (
	Begin         Test = iota // the start of the input
	End                       // the end of the input
	EndLine                   // the end of the input, or before a line feed that ends it
	LineBegin                 // after a line end (PCRE: LF; YARA-X: LF or CR), or Begin
	LineEnd                   // before a line end, or End
	WordEdge                  // between a word byte and none
	NoWordEdge                // not WordEdge
	WordStart                 // before a word byte and not after one
	WordEnd                   // after a word byte and not before one
	WordStartHalf             // not after a word byte
	WordEndHalf               // not before a word byte
	First                     // PCRE \G: where matching began, which is the start here
	Tests                     // how many there are
)

// Node is a node of an expression's tree.
type Node struct {
	Op     Op
	Set    Set // Class
	Subs   []*Node
	Min    int
	Max    int  // -1: unbounded
	Lazy   bool // Repeat: as few as possible first
	Index  int  // Group, Ref, Cond: number of the group
	Fold   bool // Ref: without case
	Test   Test // Assert
	Behind bool // Look
	Negate bool // Look
	Pos    int  // place in the source, bytes
	End    int
}

// Tree is an expression that was read.
type Tree struct {
	Root   *Node
	Flags  Flags
	Groups int            // captured groups
	Names  map[string]int // of groups; the first where several share a name
	// Greedy and Lazy tell that there are quantifiers of this kind.
	Greedy, Lazy bool
	// Loose are the places of escapes that the dialect does not define and reads
	// as the character itself; YARA warns of them with --strict-escape.
	Loose []int
}

// maxLen is where lengths stop growing.
const maxLen = 1 << 40

// MinLen returns the fewest bytes that the node takes, at most 1<<40: 0 where
// it can match the empty string. (YARA-X refuses such an expression as a pattern.)
func (n *Node) MinLen() int {
	sum := 0
	switch n.Op {
	case Class:
		return 1
	case Concat:
		for _, s := range n.Subs {
			sum = min(sum+s.MinLen(), maxLen)
		}
	case Alt:
		sum = maxLen
		for _, s := range n.Subs {
			sum = min(sum, s.MinLen())
		}
	case Repeat:
		if n.Min == 0 {
			return 0
		}
		return min(n.Subs[0].MinLen()*n.Min, maxLen)
	case Group, Atomic:
		return n.Subs[0].MinLen()
	case Cond:
		return min(n.Subs[1].MinLen(), n.Subs[2].MinLen())
	}
	return sum
}

// HasEmpty tells whether the empty string is written out in the node: "(a|)"
// or "a{0}".
func (n *Node) HasEmpty() bool {
	if n.Op == Empty || n.Op == Repeat && n.Max == 0 {
		return true
	}
	for _, s := range n.Subs {
		if s.HasEmpty() {
			return true
		}
	}
	return false
}

// Code names what is wrong with an expression. The names are stable.
type Code string

// The codes.
const (
	BadEnd         Code = "regex.end"          // the source ends in the middle of something
	BadGroup       Code = "regex.group"        // a parenthesis without its other half, or an unknown kind of group
	BadOperand     Code = "regex.operand"      // nothing where something to repeat or to choose is wanted
	BadRepeat      Code = "regex.repeat"       // bounds of a repetition: reversed, or not a number
	RepeatTooLarge Code = "regex.repeat-large" // bounds of a repetition above the dialect's limit
	BadClass       Code = "regex.class"        // a class without its end, a range reversed or not of characters
	BadEscape      Code = "regex.escape"       // an escape that the dialect does not have
	BadFlag        Code = "regex.flag"         // unknown inline flag
	BadName        Code = "regex.name"         // name of a group: malformed, twice, or unknown
	BadReference   Code = "regex.reference"    // back-reference to no group, or in a dialect without
	BadUnicode     Code = "regex.unicode"      // a character or class beyond bytes, where only bytes can stand
	MixedGreed     Code = "regex.greed"        // YARA4: greedy and lazy quantifiers in one expression
	BadLookBehind  Code = "regex.look-behind"  // look-behind without a bound to its length
	TooLarge       Code = "regex.large"        // the expression, or what it compiles to
	TooDeep        Code = "regex.deep"         // nested groups
	Unsupported    Code = "regex.unsupported"  // a construct of the dialect that is not done here
)

// Error says what is wrong with an expression and where: bytes Pos to End of
// its source.
type Error struct {
	Code     Code
	Pos, End int
	Detail   string
}

func (e *Error) Error() string {
	return "regular expression: " + e.Detail
}
