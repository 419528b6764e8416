// Package bytecodetest writes programs in ClamAV's bytecode for tests: there is no
// compiler of them in any distribution.
package bytecodetest

import (
	"fmt"
	"slices"
	"strings"
)

// Source is a program that is being written. Types, operands and instructions are
// text, as they stand in the file.
type Source struct {
	Kind      int
	Levels    [2]int // of engines, least and most
	Trigger   string // or a name
	prototype func(name string) (number int, proto string)
	types     []string // from startType
	apis      []string
	declared  map[string]int // number by name
	globals   []string
	funcs     []*Func
}

const (
	startType   = 69
	bytePointer = 65
	logical     = 256
	lastGlobal  = 0x8005
)

// New begins a program that is triggered by a logical signature. Prototype is that of
// package bytecode, which this one may not import.
func New(prototype func(string) (int, string)) *Source {
	return &Source{
		Kind: logical, Trigger: "Test.Program", prototype: prototype, declared: map[string]int{},
		globals: []string{Num(0) + "@`"}, // the first one is nothing, as the compiler has it
	}
}

// opcodes by number, from 1.
var opcodes = strings.Fields(`add sub mul udiv sdiv urem srem shl lshr ashr and or xor trunc sext zext
	branch jump ret retvoid eq ne ugt uge ult ule sgt sge sle slt select call callapi copy gep1 gepz gepn store load
	memset memcpy memmove memcmp isbigendian abort bswap16 bswap32 bswap64 ptrdiff32 ptrtoint64`)

// Arithmetic are the opcodes that make one number of two.
func Arithmetic() []string { return opcodes[:13] }

// Comparisons are those that compare two.
func Comparisons() []string { return opcodes[20:30] }

// Opcode is an opcode as it stands in the file.
func Opcode(name string) string { return Fixed(uint64(slices.Index(opcodes, name)+1), 2) }

// Num is a number.
func Num(v uint64) string {
	n := 0
	for w := v; w != 0; w >>= 4 {
		n++
	}
	return string(rune(0x60+n)) + Fixed(v, n)
}

// Fixed is a number of so many nibbles.
func Fixed(v uint64, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 0x60 | byte(v>>(4*i)&15)
	}
	return string(b)
}

// Data is bytes.
func Data(s string) string {
	var b strings.Builder
	b.WriteString("|" + Num(uint64(len(s))))
	for i := range len(s) {
		b.WriteString(Fixed(uint64(s[i]), 2))
	}
	return b.String()
}

// Imm is a constant operand.
func Imm(v uint64, bits int) string {
	n := Num(v)
	return string(n[0]&^0x20) + n[1:] + Fixed(uint64(bits/8), 1)
}

// I32 is one of 32 bits.
func I32(v int) string { return Imm(uint64(uint32(v)), 32) }

func (p *Source) addType(s string) int {
	for i, t := range p.types {
		if t == s {
			return startType + i
		}
	}
	p.types = append(p.types, s)
	return startType + len(p.types) - 1
}

// Array is the type of n of another.
func (p *Source) Array(n, of int) int {
	return p.addType(Fixed(4, 1) + Num(uint64(n)) + Num(uint64(of)))
}

// Pointer is the type of a pointer.
func (p *Source) Pointer(to int) int { return p.addType(Fixed(5, 1) + Num(uint64(to))) }

func (p *Source) composite(kind uint64, of ...int) int {
	s := Fixed(kind, 1) + Num(uint64(len(of)))
	for _, t := range of {
		s += Num(uint64(t))
	}
	return p.addType(s)
}

// proto makes the type of an API function.
func (p *Source) proto(s string) int {
	var of []int
	for _, c := range s {
		switch c {
		case 'i':
			of = append(of, 32)
		case 'p':
			of = append(of, bytePointer)
		case 'E':
			text := p.Array(65, 8)
			fields := []int{32, 32, 32, 32, 32, 32, 32}
			for range 7 {
				fields = append(fields, text)
			}
			of = append(of, p.Pointer(p.composite(3, append(fields, 8, 8, 8, 8, 8, 8, 8, 8, 8)...)))
		case 'S':
			of = append(of, p.Pointer(p.composite(3, 32, 32, 32, 32, 32, 32, 32, 32, 32)))
		case 'X':
			of = append(of, p.Pointer(p.composite(3, 16, 8, 8, 8, p.Array(3, p.Array(10, 8)), p.Array(29, 8))))
		}
	}
	return p.composite(1, of...)
}

// Text adds bytes to the globals and gives the operand that is their address.
func (p *Source) Text(s string) string {
	t := p.Array(len(s), 8)
	g := Num(uint64(t))
	for i := range len(s) {
		n := Num(uint64(s[i]))
		g += string(n[0]&^0x20) + n[1:]
	}
	p.globals = append(p.globals, g+"`")
	return p.address(len(p.globals)-1, 0)
}

// address adds a pointer to a global.
func (p *Source) address(global, off int) string {
	part := func(v uint64) string { n := Num(v); return string(n[0]&^0x20) + n[1:] }
	p.globals = append(p.globals, Num(bytePointer)+part(uint64(off))+part(uint64(global))+"`")
	return Imm(uint64(len(p.globals)-1), 0)
}

// Func is a function.
type Func struct {
	Source *Source
	args   int
	ret    int
	types  []int
	alloca []bool
	blocks []string
	insts  int
}

// Func begins a function.
func (p *Source) Func(ret int, args ...int) *Func {
	f := &Func{Source: p, args: len(args), ret: ret, types: args, alloca: make([]bool, len(args)), blocks: []string{""}}
	p.funcs = append(p.funcs, f)
	return f
}

// Local adds a value of the type.
func (f *Func) Local(t int) int {
	f.types, f.alloca = append(f.types, t), append(f.alloca, false)
	return len(f.types) - 1
}

// Alloca adds a value that is memory, whose address is what it stands for.
func (f *Func) Alloca(t int) int {
	f.types, f.alloca = append(f.types, t), append(f.alloca, true)
	return len(f.types) - 1
}

// V is the operand that is a value: an argument or a local.
func V(n int) string { return Num(uint64(n)) }

func (f *Func) write(s string) {
	f.blocks[len(f.blocks)-1] += s
	f.insts++
}

// Op adds an instruction of a type, and a local of the type result for what comes of it.
func (f *Func) Op(o string, t, result int, ops ...string) string {
	d := f.Local(result)
	f.To(d, o, t, ops...)
	return V(d)
}

// To adds an instruction whose result goes to a value.
func (f *Func) To(dest int, o string, t int, ops ...string) {
	f.write(Num(uint64(t)) + Num(uint64(dest)) + Opcode(o) + strings.Join(ops, ""))
}

// Bin adds one that makes a number of two.
func (f *Func) Bin(o string, t int, a, b string) string { return f.Op(o, t, t, a, b) }

// Cmp adds a comparison of two numbers of the type.
func (f *Func) Cmp(o string, t int, a, b string) string {
	return f.Op(o, 1, 1, Num(uint64(t)), a, b)
}

// End ends a block.
func (f *Func) End(o string, ops ...string) {
	f.write("T" + Opcode(o) + strings.Join(ops, ""))
	f.blocks = append(f.blocks, "")
}

// Ret32 returns a number of 32 bits.
func (f *Func) Ret32(a string) { f.End("ret", Num(32), a) }

// API calls a function of the engine.
func (f *Func) API(name string, ops ...string) string {
	p := f.Source
	number, proto := p.prototype(name)
	if number == 0 {
		panic("there is no function " + name)
	}
	if p.declared[name] == 0 {
		p.declared[name] = number
		p.apis = append(p.apis, Num(uint64(number))+Num(uint64(p.proto(proto)))+Data(name+"\x00"))
	}
	t := 32
	if proto[0] == 'p' {
		t = bytePointer
	}
	return f.Op("callapi", t, t, append([]string{Fixed(uint64(len(ops)), 1), Num(uint64(number))}, ops...)...)
}

// Call calls a function of the program by its number.
func (f *Func) Call(fn int, ops ...string) string {
	t := f.Source.funcs[fn].ret
	return f.Op("call", t, t, append([]string{Fixed(uint64(len(ops)), 1), Num(uint64(fn + 1))}, ops...)...)
}

// At is an address within what an address leads to.
func (f *Func) At(base, off string) string {
	return f.Op("gep1", bytePointer, bytePointer, Num(bytePointer), base, off)
}

// Address is the address of what was made by Alloca.
func (f *Func) Address(alloca int) string {
	return f.Op("gepz", bytePointer, bytePointer, Num(uint64(f.Source.Pointer(f.types[alloca]))), V(alloca), I32(0))
}

// Print prints a number of 32 bits and a dot.
func (f *Func) Print(a string) { f.API("debug_print_uint", a); f.Say(".") }

// Say prints a line.
func (f *Func) Say(s string) {
	g := f.Source.Text(s + "\x00")
	f.API("debug_print_str", g, I32(len(s)+1))
}

// PrintAny prints a number of any width.
func (f *Func) PrintAny(t int, a string) {
	switch {
	case t == 64:
		f.Print(f.Op("trunc", 32, 32, a))
		f.Print(f.Op("trunc", 32, 32, f.Bin("lshr", 64, a, Imm(32, 64))))
	case t == 32:
		f.Print(a)
	default:
		f.Print(f.Op("zext", 32, 32, a))
	}
}

// String gives the file.
func (p *Source) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "ClamBC%s%s%s%s%s%s%s%s%s%s%s%s%s:%d\n", Num(7), Num(1_700_000_000), Data("test\x00"), Num(0),
		Num(uint64(p.Kind)), Num(uint64(p.Levels[0])), Num(uint64(p.Levels[1])), Num(4096), Data("asm\x00"),
		Num(uint64(4+len(p.types)+1)), Num(uint64(len(p.funcs))), Num(0x53e5493e9f3d1c30), Fixed(42, 2), 1<<20)
	out.WriteString(p.Trigger + "\n")
	out.WriteString("T" + Fixed(startType, 2) + strings.Join(p.types, "") + "\n")
	out.WriteString("E" + Num(107) + Num(uint64(len(p.apis))) + strings.Join(p.apis, "") + "\n")
	out.WriteString("G" + Num(lastGlobal) + Num(uint64(len(p.globals))) + strings.Join(p.globals, "") + "\n")
	for _, f := range p.funcs {
		blocks := f.blocks
		if blocks[len(blocks)-1] == "" {
			blocks = blocks[:len(blocks)-1]
		}
		out.WriteString("A" + Fixed(uint64(f.args), 1) + Num(uint64(f.ret)) + "L" + Num(uint64(len(f.types)-f.args)))
		for i, t := range f.types {
			out.WriteString(Num(uint64(t)))
			if f.alloca[i] {
				out.WriteString(Fixed(1, 1))
			} else {
				out.WriteString(Fixed(0, 1))
			}
		}
		out.WriteString("F" + Num(uint64(f.insts)) + Num(uint64(len(blocks))) + "\n")
		for i, b := range blocks {
			out.WriteString("B" + b)
			if i == len(blocks)-1 {
				out.WriteString("E")
			}
			out.WriteString("\n")
		}
	}
	return out.String()
}
