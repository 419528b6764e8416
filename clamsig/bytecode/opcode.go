package bytecode

// opcode is what an instruction does, numbered as in the file.
type opcode uint8

const (
	opNone opcode = iota
	opAdd
	opSub
	opMul
	opUdiv
	opSdiv
	opUrem
	opSrem
	opShl
	opLshr
	opAshr
	opAnd
	opOr
	opXor
	opTrunc
	opSext
	opZext
	opBranch
	opJump
	opRet
	opRetVoid
	opEQ
	opNE
	opUGT
	opUGE
	opULT
	opULE
	opSGT
	opSGE
	opSLE
	opSLT
	opSelect
	opCall
	opCallAPI
	opCopy
	opGEP1
	opGEPZ
	opGEPN
	opStore
	opLoad
	opMemset
	opMemcpy
	opMemmove
	opMemcmp
	opIsBigEndian
	opAbort
	opBswap16
	opBswap32
	opBswap64
	opPtrDiff32
	opPtrToInt64
	opEnd // the number of opcodes
)

// operands is how many of them an opcode has; 9 are read in another way.
const operands = "0" +
	"2222222222222" + // Add to Xor
	"111" + "9990" + // Trunc to Zext; Branch, Jump, Ret, RetVoid
	"2222222222" + // comparisons
	"3" + "99" + "2" + "999" + // Select; calls; Copy; GEPs
	"21" + "3333" + "00" + "111" + "21" // Store, Load; memory; IsBigEndian, Abort; byte swaps; pointers

// terminates tells whether a block must end with it; with Abort it may.
func (o opcode) terminates() bool {
	return o >= opBranch && o <= opRetVoid
}

// class is a width: bytes are 1<<(class-1); 0 is one bit in a byte.
type class uint8

const (
	bit class = iota
	byte1
	byte2
	byte4
	byte8
)

func (w class) bytes() int {
	if w == bit {
		return 1
	}
	return 1 << (w - 1)
}

// classOf is the width that an instruction on a type has.
func classOf(id int) class {
	switch {
	case id <= 1:
		return bit
	case id <= 8:
		return byte1
	case id <= 16:
		return byte2
	case id <= 32:
		return byte4
	}
	return byte8
}

// operand is where a value stands: an offset in the frame of the function, or,
// with a flag, in the globals, or the address itself of what stands in the frame.
type operand uint32

const (
	inGlobals operand = 1 << 31
	addressOf operand = 1 << 30
	noOperand operand = 1<<30 - 1
)

type inst struct {
	op   opcode
	w    class   // of what it works on
	src  class   // casts: of the source
	bits uint8   // casts: of the source; shifts: of the type
	dest operand // where the result goes
	a    operand
	b    operand
	c    operand
	ops  []operand // calls
	to   int       // the first instruction to go on with; the function; the API
	els  int       // Branch: where it goes when the condition does not hold
	step int64     // GEP1: bytes that it counts in
}

type fn struct {
	args      int
	ret       int   // type
	types     []int // of arguments and locals, without the flag
	alloca    []bool
	at        []operand // where they stand in the frame
	blocks    []int     // first instructions
	code      []inst
	constants []uint64
	frame     int // bytes, constants at its end
	line      int // where it begins in the file
}

func (f *fn) constantsAt() int { return f.frame - 8*len(f.constants) }
