package emulate

import (
	"testing"

	"github.com/showcause/showcause/internal/emulate/memory"
)

const (
	codeBase = 0x400000
	dataBase = 0x500000
	stackTop = 0x600000
)

// machine runs code at codeBase, with data and a stack.
func machine(long bool, code ...byte) *CPU {
	m := memory.New(16 << 20)
	m.Map(codeBase, 0x10000, memory.Read|memory.Write|memory.Exec)
	m.Map(dataBase, 0x10000, memory.Read|memory.Write)
	m.Map(stackTop-0x10000, 0x10000, memory.Read|memory.Write)
	m.Write(codeBase, code)
	m.Settle()
	c := New(m, long)
	c.Seg[CS] = 0x23
	c.R[RSP], c.IP = stackTop-0x100, codeBase
	return c
}

// Code that is written over runs as it is then, in the same block too.
func TestSelfModifying(t *testing.T) {
	// mov byte [next], 0x40 (inc eax); next: nop; hlt
	c := machine(false, 0xc6, 0x05, 0x07, 0x00, 0x40, 0x00, 0x40, 0x90, 0xf4)
	if tr := c.Run(1000); tr.Vector != Protection || c.R[RAX] != 1 {
		t.Errorf("%+v, eax %d", tr, c.R[RAX])
	}
	// loop: inc byte [imm]; mov al, imm; dec ecx; jnz loop: each round sees the byte of then
	c = machine(false, 0xfe, 0x05, 0x07, 0x00, 0x40, 0x00, 0xb0, 0x00, 0x49, 0x75, 0xf5, 0xf4)
	c.R[RCX] = 100
	if tr := c.Run(100000); tr.Vector != Protection || c.R[RAX] != 100 {
		t.Errorf("%+v, eax %d", tr, c.R[RAX])
	}
	if c.Steps < 100*3*decodeCost {
		t.Errorf("%d steps: decoding again is not charged", c.Steps)
	}
	// rep stosb over itself, of which the rest is then inc eax; stosb; hlt
	c = machine(false, 0xf3, 0xaa, 0xf4, 0x90, 0x90)
	c.R[RCX], c.R[RAX], c.R[RDI] = 5, 0x40, codeBase
	if tr := c.Run(1000); tr.Vector != Protection || c.IP != codeBase+2 || c.R[RAX] != 0x41 {
		t.Errorf("%+v at %x", tr, c.IP)
	}
}

// Fresh is asked once for what was written and runs, and not for what was there.
func TestFresh(t *testing.T) {
	c := machine(false, 0xc6, 0x05, 0x00, 0x10, 0x40, 0x00, 0xc3, 0x68, 0x0e, 0x00, 0x40, 0x00, 0xeb, 0x10, 0xf4)
	c.Mem.Write(codeBase+0x1e, []byte{0x68, 0x0e, 0x00, 0x40, 0x00, 0xb8, 0x00, 0x10, 0x40, 0x00, 0xff, 0xe0})
	c.Mem.Settle()
	var asked []uint64
	c.Fresh = func(a uint64) bool { asked = append(asked, a); return true }
	if tr := c.Run(1000); tr.Vector != Asked || c.IP != codeBase+0x1000 {
		t.Fatalf("%+v at %x", tr, c.IP)
	}
	c.Run(1000)
	if len(asked) != 1 || asked[0] != codeBase+0x1000 {
		t.Errorf("asked for %x", asked)
	}
}

func TestSingleStep(t *testing.T) {
	// pushf; or dword [esp], 0x100; popf; nop; nop
	c := machine(false, 0x9c, 0x81, 0x0c, 0x24, 0x00, 0x01, 0x00, 0x00, 0x9d, 0x90, 0x90)
	if tr := c.Run(1000); tr.Vector != SingleStep || c.IP != codeBase+10 {
		t.Errorf("%+v at %x", tr, c.IP)
	}
}

func TestEndless(t *testing.T) {
	for name, code := range map[string][]byte{
		"a jump to itself":  {0xeb, 0xfe},
		"rep over 4 GiB":    {0xb9, 0xff, 0xff, 0xff, 0xff, 0xf3, 0xac, 0xeb, 0xf7},
		"rep of nothing":    {0xf3, 0xa4, 0xeb, 0xfc},
		"a flood of blocks": {0xeb, 0x00, 0xeb, 0x00, 0xeb, 0xfa},
	} {
		c := machine(false, code...)
		c.R[RSI] = dataBase
		tr := c.Run(1 << 20)
		if tr.Vector != Limit && tr.Vector != PageFault || c.Steps > 1<<20+repeatMost+1000 {
			t.Errorf("%s: %+v after %d steps", name, tr, c.Steps)
		}
	}
}

// The loop of an unpacker: bits out of words, bytes copied from behind.
func BenchmarkLoop(b *testing.B) {
	code := []byte{
		0x8a, 0x06, // top: mov al, [esi]
		0x46,       // inc esi
		0x88, 0x07, // mov [edi], al
		0x47,       // inc edi
		0x01, 0xdb, // add ebx, ebx
		0x75, 0x07, // jnz over
		0x8b, 0x1e, // mov ebx, [esi]
		0x83, 0xee, 0xfc, // sub esi, -4
		0x11, 0xdb, // adc ebx, ebx
		0x11, 0xc0, // over: adc eax, eax
		0x89, 0xfa, // mov edx, edi
		0x81, 0xe2, 0xff, 0x7f, 0x00, 0x00, // and edx, 0x7fff
		0x8d, 0xba, 0x00, 0x00, 0x50, 0x00, // lea edi, [edx+dataBase]
		0x81, 0xe6, 0xff, 0x7f, 0x50, 0x00, // and esi, 0x507fff
		0x49,       // dec ecx
		0x75, 0xd6, // jnz top
		0xeb, 0xd4, // jmp top
	}
	c := machine(false, code...)
	c.R[RSI], c.R[RDI], c.R[RBX] = dataBase, dataBase+0x4000, 0x12345678
	b.ResetTimer()
	if tr := c.Run(int64(b.N)); tr.Vector != Limit {
		b.Fatalf("%+v at %x", tr, c.IP)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "M/s")
}

func FuzzRun(f *testing.F) {
	f.Add(false, []byte{0x60, 0xe8, 0, 0, 0, 0, 0x5d, 0xf3, 0xa4})
	f.Add(true, []byte{0x48, 0x8d, 0x35, 0, 0, 0, 0, 0x0f, 0x05})
	f.Add(false, []byte{0xd9, 0xee, 0xd9, 0x74, 0x24, 0xf4, 0x5b, 0x66, 0x0f, 0xef, 0xc0})
	f.Fuzz(func(t *testing.T, long bool, code []byte) {
		c := machine(long, code[:min(len(code), 0x10000)]...)
		for i := range uint64(8) {
			if i != RSP {
				c.R[i] = dataBase + 0x1000*i
			}
		}
		c.Fresh = func(uint64) bool { return false }
		for range 20 {
			c.Run(c.Steps + 5000)
			if c.R[none] != 0 {
				t.Fatal("the register that is zero is not")
			}
			c.IP++
		}
	})
}
