package emulate

import (
	"math/rand/v2"
	"testing"
)

// Instructions of the x87 unit, in sequences that leave what they did in memory.
func TestFloat(t *testing.T) {
	p := startProcessor(t)
	g := &generator{Rand: rand.New(rand.NewPCG(3, 4)), p: p}
	at := func(op, sub byte, off byte) []byte { return []byte{op, 0x40 | sub<<3 | 3, off} } // [rbx+off]
	for name, c := range map[string][][]byte{
		"FILD 16, FISTP 32":       {at(0xdf, 0, 0), at(0xdb, 3, 16)},
		"FILD 32, FISTP 64":       {at(0xdb, 0, 0), at(0xdf, 7, 16)},
		"FILD 64, FISTP 64":       {at(0xdf, 5, 0), at(0xdf, 7, 16)},
		"FILD 64, FSTP 80":        {at(0xdf, 5, 0), at(0xdb, 7, 16)},
		"FILD 16, FIST 16, FSTP":  {at(0xdf, 0, 0), at(0xdf, 2, 12), at(0xdb, 7, 16)},
		"FLD1, FLDZ, FXCH":        {{0xd9, 0xe8}, {0xd9, 0xee}, {0xd9, 0xc9}, at(0xdb, 7, 16), at(0xdf, 7, 32)},
		"FLDPI, FLD ST(0), FCHS":  {{0xd9, 0xeb}, {0xd9, 0xc0}, {0xd9, 0xe0}, at(0xdb, 7, 16), at(0xdb, 7, 32)},
		"FLDZ, FNSTENV":           {{0xd9, 0xee}, at(0xd9, 6, 16)},
		"FLD1, FFREE, FNSTENV":    {{0xd9, 0xe8}, {0xdd, 0xc0}, {0xd9, 0xf7}, at(0xd9, 6, 16)},
		"FILD, FNSTSW AX":         {at(0xdf, 0, 0), {0xdf, 0xe0}},
		"FLDCW, FNSTCW, FNSTSW":   {{0x66, 0xc7, 0x03, 0x7f, 0x02}, at(0xd9, 5, 0), at(0xd9, 7, 16), at(0xdd, 7, 20)},
		"FLD 32":                  {{0xc7, 0x03, 0x00, 0x00, 0x28, 0xc1}, at(0xd9, 0, 0), at(0xdb, 7, 16)},
		"FLD 64":                  {{0xc7, 0x43, 0x04, 0x12, 0x34, 0xf8, 0x3f}, at(0xdd, 0, 0), at(0xdb, 7, 16)},
		"FILD, FABS, FINCSTP, ST": {at(0xdb, 0, 0), {0xd9, 0xe1}, {0xd9, 0xf7}, {0xd9, 0xf6}, at(0xdb, 7, 16), {0xdb, 0xe3}, {0xdb, 0xe2}, at(0xdd, 7, 28)},
	} {
		for i := range 40 {
			g.long = i%2 == 0
			var code []byte
			for _, x := range c {
				code = append(code, x...)
			}
			page := p.page(code, g.long)
			le.PutUint64(page[8*RBX:], pageAt+windowAt)
			for i := windowAt; i < windowEn; i += 8 {
				le.PutUint64(page[i:], g.value())
			}
			emu := emulated(page, len(code), g.long)
			if err := p.do(page); err != nil {
				t.Fatal(err)
			}
			cpu := p.state(page)
			if i := windowAt + 16; name == "FLDZ, FNSTENV" || name == "FLD1, FFREE, FNSTENV" { // selectors and the operand's address are the processor's
				clear(cpu.page[i+16 : i+28])
				clear(emu.page[i+16 : i+28])
			}
			if d := differ(cpu, emu, 0, g.long); d != "" {
				t.Errorf("%s, long %v: %s", name, g.long, d)
				break
			}
		}
	}
}
