package engine

import (
	"math/rand/v2"
	"testing"

	. "github.com/showcause/showcause/clamsig/bytecode/bytecodetest"
)

// TestDisassembly holds instructions of x86 against clamscan's disassembler: each
// opcode, and bytes at random behind prefixes.
func TestDisassembly(t *testing.T) {
	input := append([]byte(nil), sample[:100]...)
	r := rand.New(rand.NewPCG(5, 6))
	var places []int
	add := func(b ...byte) {
		places = append(places, len(input))
		input = append(input, b...)
		for range 16 {
			input = append(input, byte(r.UintN(256)))
		}
	}
	for op := range 256 {
		for range 2 {
			add(byte(op))
			add(0x0f, byte(op))
			add(0x66, byte(op))
		}
		add(0x67, byte(op))
		add(0x67, 0x66, byte(op))
		add(0x64, 0x0f, byte(op))
	}
	for _, op := range []byte{0x80, 0x81, 0x83, 0x8b, 0x8d, 0x8f, 0xc7, 0xd1, 0xd8, 0xd9, 0xdb, 0xdf, 0xf7, 0xff} {
		for rm := range 256 {
			add(op, byte(rm))
		}
	}
	input = append(input, make([]byte, 64)...)
	var programs []*Source
	for from := 0; from < len(places); from += 60 {
		p, f := begin(len(programs))
		mem := f.Address(f.Alloca(p.Array(64, 8)))
		for _, at := range places[from:min(from+60, len(places))] {
			f.API("seek", I32(at), I32(0))
			f.To(0, "memset", 0, mem, Imm(0, 8), Imm(64, 64))
			f.Print(f.API("disasm_x86", mem, I32(64)))
			for k := 0; k < 36; k += 4 {
				f.Print(f.Op("load", 32, 32, f.At(mem, I32(k))))
			}
		}
		f.Ret32(I32(0))
		programs = append(programs, p)
	}
	agree(t, programs, input)
	t.Logf("%d instructions", len(places))
}

// TestDisassemblyEnds: whatever the bytes are, it ends within them.
func TestDisassemblyEnds(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	for range 300_000 {
		b := make([]byte, r.IntN(33))
		for i := range b {
			b[i] = byte(r.UintN(256))
		}
		if len(b) > 1 && r.IntN(3) == 0 {
			b[0] = 0xd8 + byte(r.UintN(8))
		}
		x := x86{code: b}
		if ok := x.decode(); ok && (x.at == 0 || x.at > len(b)) {
			t.Fatalf("% x: ends at %d", b, x.at)
		}
		x.put(make([]byte, 64))
	}
}
