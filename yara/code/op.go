package code

// Op is what an instruction does. In what follows i, t and v are registers for
// integers, texts and values, y is the second operand.
type Op uint8

// The ops.
const (
	False Op = iota // the condition does not hold
	True            // it does
	Jump            // to e

	// Integers. Of the arithmetic Div, Mod, Shl and Shr may be undefined: e.
	Int     // ia = the 64 bits of d and e
	Move    // ia = ib
	Size    // ia = filesize
	Entry   // ia = entrypoint, or e
	Add     // ia = ib + y
	Sub     //
	Mul     //
	And     //
	Or      //
	Xor     //
	Div     //
	Mod     //
	Shl     //
	Shr     //
	Neg     // ia = -ib
	Not     // ia = ^ib
	ToFloat // ia = ib as a float
	FAdd    // floats: ia = ib + ic
	FSub    //
	FMul    //
	FDiv    //
	FNeg    //
	Read    // ia = the number of form b at offset y, or e
	Peek    // test: a number that is there, of form a&31, and Eq+a>>5 of d; its offset is b, or ib

	// Tests of integers, floats and texts: b and y; b and c.
	Eq
	Ne
	Lt
	Le
	Gt
	Ge
	FEq
	FNe
	FLt
	FLe
	FGt
	FGe
	TEq
	TNe
	TLt
	TLe
	TGt
	TGe
	Contains
	StartsWith
	EndsWith
	IContains
	IStartsWith
	IEndsWith
	IEquals
	Matches // tb, regular expression c
	Filled  // tb is not empty

	// Patterns: b, or the one whose number is in ib.
	Found   // test
	FoundAt // test: at y
	FoundIn // test: from ic to ic+1
	Count   // ia = matches
	CountIn // ia = matches from ic to ic+1
	Offset  // ia = offset of match y, from 1, or e
	Length  // ia = its length, or e
	Of      // test: a of c members; 0 is none, less is any number
	OfAt    // test: at ib
	OfIn    // test: from ib to ib+1
	OfRules // test: a of c rules
	Rule    // test: rule d

	// Loops.
	Range    // ia up to ia+1, ia+2 is how many; empty: e
	Next     // ia is one more, and on at e, unless it is ia+1
	Quota    // ia = how many of ic must hold: ib, or all if ib+1 is not 0; ia+1 = how many may fail; any number will do: e
	Hit      // one holds: ia less one; enough: d; too many, where none may: e
	Miss     // one does not: ia+1 less one; too few can: e
	Member   // ia = pattern number ib of c members
	Switch   // on at target number ib of c
	NumberAt // ia = number ib of c

	// Texts.
	Text     // ta = string d
	TextMove // ta = tb
	TextLen  // ia = its length

	// Values.
	Module     // va = module b
	External   // va = external d, undefined if the scan sets none
	Field      // va = field d of vb
	Index      // va = item ic of vb
	Key        // va = what vb has for text tc
	Len        // ia = number of items of vb, or e
	Pair       // va, va+1 = pair ic of vb
	Call       // va = vb(vc ... , d of them)
	Defined    // test: vb
	BoxInt     // va = ib
	BoxBool    //
	BoxFloat   //
	BoxText    // va = tb
	BoxRegexp  // va = regular expression, string d with flags string e
	UnboxInt   // ia = vb, or e
	UnboxFloat //
	UnboxText  // ta = vb, or e
	ValueMove  // va = vb

	ops
)

// use is what an operand is.
type use uint8

const (
	none use = iota
	number
	anInt
	twoInts
	threeInts
	second // integer c or immediate
	aText
	aValue
	twoValues
	aPattern
	aModule
	aRegexp
	aString
	aDep
	aForm
	aPeek
	anOffset
	onward // an instruction behind
	back   // one before
	quantity
	place
	args
	members
	rules
	targets
	numbers
)

// shape is what the operands of an op are, and which flags it takes.
type shape struct {
	a, b, c, d, e use
	flags         uint8
}

const imm = immediate | negative

var (
	arithmetic = shape{a: anInt, b: anInt, c: second, d: number, flags: imm}
	partial    = shape{a: anInt, b: anInt, c: second, d: number, e: onward, flags: imm}
	unary      = shape{a: anInt, b: anInt}
	floats     = shape{a: anInt, b: anInt, c: anInt}
	testInts   = shape{b: anInt, c: second, d: number, e: onward, flags: imm | ifTrue}
	testFloats = shape{b: anInt, c: anInt, e: onward, flags: ifTrue}
	testTexts  = shape{b: aText, c: aText, e: onward, flags: ifTrue}
	ofShape    = shape{a: quantity, b: place, c: number, d: members, e: onward, flags: indirect | counted | ifTrue}
	matchOf    = shape{a: anInt, b: aPattern, c: second, d: number, e: onward, flags: imm | indirect}
)

var shapes = [ops]shape{
	False:   {},
	True:    {},
	Jump:    {e: onward},
	Int:     {a: anInt, d: number, e: number},
	Move:    unary,
	Size:    {a: anInt},
	Entry:   {a: anInt, e: onward},
	Add:     arithmetic,
	Sub:     arithmetic,
	Mul:     arithmetic,
	And:     arithmetic,
	Or:      arithmetic,
	Xor:     arithmetic,
	Div:     partial,
	Mod:     partial,
	Shl:     partial,
	Shr:     partial,
	Neg:     unary,
	Not:     unary,
	ToFloat: unary,
	FAdd:    floats,
	FSub:    floats,
	FMul:    floats,
	FDiv:    floats,
	FNeg:    unary,
	Read:    {a: anInt, b: aForm, c: second, d: number, e: onward, flags: imm},

	Peek: {a: aPeek, b: anOffset, d: number, e: onward, flags: imm | indirect | ifTrue},

	Eq: testInts, Ne: testInts, Lt: testInts, Le: testInts, Gt: testInts, Ge: testInts,
	FEq: testFloats, FNe: testFloats, FLt: testFloats, FLe: testFloats, FGt: testFloats, FGe: testFloats,
	TEq: testTexts, TNe: testTexts, TLt: testTexts, TLe: testTexts, TGt: testTexts, TGe: testTexts,
	Contains: testTexts, StartsWith: testTexts, EndsWith: testTexts,
	IContains: testTexts, IStartsWith: testTexts, IEndsWith: testTexts, IEquals: testTexts,
	Matches: {b: aText, c: aRegexp, e: onward, flags: ifTrue},
	Filled:  {b: aText, e: onward, flags: ifTrue},

	Found:   {b: aPattern, e: onward, flags: indirect | ifTrue},
	FoundAt: {b: aPattern, c: second, d: number, e: onward, flags: imm | indirect | ifTrue},
	FoundIn: {b: aPattern, c: twoInts, e: onward, flags: indirect | ifTrue},
	Count:   {a: anInt, b: aPattern, flags: indirect},
	CountIn: {a: anInt, b: aPattern, c: twoInts, flags: indirect},
	Offset:  matchOf,
	Length:  matchOf,
	Of:      ofShape,
	OfAt:    ofShape,
	OfIn:    ofShape,
	OfRules: {a: quantity, c: number, d: rules, e: onward, flags: counted | ifTrue},
	Rule:    {d: aDep, e: onward, flags: ifTrue},

	Range:    {a: threeInts, e: onward},
	Next:     {a: twoInts, e: back},
	Quota:    {a: twoInts, b: twoInts, c: anInt, e: onward, flags: percent},
	Hit:      {a: anInt, d: onward, e: onward},
	Miss:     {a: twoInts, e: onward},
	Member:   {a: anInt, b: anInt, c: number, d: members, flags: indirect},
	Switch:   {b: anInt, c: number, d: targets, e: onward},
	NumberAt: {a: anInt, b: anInt, c: number, d: numbers},

	Text:     {a: aText, d: aString},
	TextMove: {a: aText, b: aText},
	TextLen:  {a: anInt, b: aText},

	Module:     {a: aValue, b: aModule},
	External:   {a: aValue, d: aString},
	Field:      {a: aValue, b: aValue, d: aString},
	Index:      {a: aValue, b: aValue, c: anInt},
	Key:        {a: aValue, b: aValue, c: aText},
	Len:        {a: anInt, b: aValue, e: onward},
	Pair:       {a: twoValues, b: aValue, c: anInt},
	Call:       {a: aValue, b: aValue, c: number, d: args},
	Defined:    {b: aValue, e: onward, flags: ifTrue},
	BoxInt:     {a: aValue, b: anInt},
	BoxBool:    {a: aValue, b: anInt},
	BoxFloat:   {a: aValue, b: anInt},
	BoxText:    {a: aValue, b: aText},
	BoxRegexp:  {a: aValue, d: aString, e: aString},
	UnboxInt:   {a: anInt, b: aValue, e: onward},
	UnboxFloat: {a: anInt, b: aValue, e: onward},
	UnboxText:  {a: aText, b: aValue, e: onward},
	ValueMove:  {a: aValue, b: aValue},
}

// The bits of the form of a number that Read reads: 1, 2, 4 or 8 bytes by its two
// lowest bits.
const (
	formSigned = 4
	formBig    = 8
	formFloat  = 16 // 4 or 8 bytes
	forms      = 32
)

// Peeking is operand A of Peek: a comparison, Eq to Ge, and the form of an integer.
func Peeking(test Op, form int) int { return int(test-Eq)<<5 | form }

// Form is the form of number that a function of that name reads, uint16be, false
// if there is no such function.
func Form(name string) (form int, ok bool) {
	if n := len(name); n > 2 && name[n-2:] == "be" {
		form, name = formBig, name[:n-2]
	}
	switch name {
	case "uint8":
	case "uint16":
		form |= 1
	case "uint32":
		form |= 2
	case "int8":
		form |= formSigned
	case "int16":
		form |= formSigned | 1
	case "int32":
		form |= formSigned | 2
	case "uint64":
		form |= 3
	case "int64":
		form |= formSigned | 3
	case "float32":
		form |= formFloat | 2
	case "float64":
		form |= formFloat | 3
	default:
		return 0, false
	}
	return form, true
}
