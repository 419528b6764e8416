package windows

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/pe"
)

// program is a PE file with code in its first section, which may be written, an empty section
// behind it, and imports.
type program struct {
	long    bool
	dll     bool
	code    []byte
	imports []string // of kernel32, in the order of their slots, which start at slotsAt
	tls     uint32   // address of a callback
}

const (
	base    = 0x400000
	codeRVA = 0x1000
	freeRVA = 0x2000
	dataRVA = 0x3000
	slotsAt = base + dataRVA + 0x100
)

func (p program) build() []byte {
	b := make([]byte, 0x200)
	copy(b, "MZ")
	le.PutUint32(b[60:], 0x40)
	h := b[0x40:]
	copy(h, "PE\x00\x00")
	fixed, machine, magic, word := 96, uint16(0x14c), uint16(0x10b), 4
	if p.long {
		fixed, machine, magic, word = 112, 0x8664, 0x20b, 8
	}
	le.PutUint16(h[4:], machine)
	le.PutUint16(h[6:], 3)
	le.PutUint16(h[20:], uint16(fixed)+128)
	le.PutUint16(h[22:], 0x102)
	if p.dll {
		le.PutUint16(h[22:], 0x2102)
	}
	o := h[24:]
	le.PutUint16(o, magic)
	le.PutUint32(o[16:], codeRVA)
	if p.long {
		le.PutUint64(o[24:], base)
	} else {
		le.PutUint32(o[28:], base)
	}
	le.PutUint32(o[32:], 0x1000)
	le.PutUint32(o[36:], 0x200)
	le.PutUint32(o[56:], 0x4000)
	le.PutUint32(o[60:], 0x200)
	le.PutUint32(o[fixed-4:], 16)
	data := make([]byte, 0x600)
	if len(p.imports) > 0 {
		le.PutUint32(o[fixed+8:], dataRVA)
		le.PutUint32(data[12:], dataRVA+0x40)
		le.PutUint32(data[16:], dataRVA+0x100)
		copy(data[0x40:], "KERNEL32.dll")
		at := 0x300
		for i, n := range p.imports {
			le.PutUint32(data[0x100+word*i:], uint32(dataRVA+at))
			copy(data[at+2:], n)
			at += len(n) + 4
		}
	}
	if p.tls != 0 {
		le.PutUint32(o[fixed+9*8:], dataRVA+0x80)
		le.PutUint32(o[fixed+9*8+4:], 0x18)
		le.PutUint32(data[0x80+3*word:], base+dataRVA+0xc0)
		le.PutUint32(data[0xc0:], p.tls)
	}
	s := o[fixed+128:]
	at := uint32(0x200)
	var bodies []byte
	for i, body := range [][]byte{p.code, nil, data} {
		t := s[40*i:]
		copy(t, []string{".text", ".free", ".data"}[i])
		size := uint32(len(body)+0x1ff) &^ 0x1ff
		le.PutUint32(t[8:], 0x1000)
		le.PutUint32(t[12:], uint32(codeRVA+0x1000*i))
		if size > 0 {
			le.PutUint32(t[16:], size)
			le.PutUint32(t[20:], at)
		}
		le.PutUint32(t[36:], 0xe0000020)
		bodies = append(append(bodies, body...), make([]byte, int(size)-len(body))...)
		at += size
	}
	return append(b, bodies...)
}

// unpacker writes xor al, al; hlt with a text behind to the free section and jumps there.
func unpacker() []byte {
	return []byte{
		0xbf, 0x00, 0x20, 0x40, 0x00, // mov edi, free
		0xbe, 0x40, 0x10, 0x40, 0x00, // mov esi, code+0x40
		0xb9, 0x10, 0x00, 0x00, 0x00, // mov ecx, 16
		0xac, 0x34, 0x55, 0xaa, 0xe2, 0xfa, // lodsb; xor al, 0x55; stosb; loop
		0x68, 0x00, 0x20, 0x40, 0x00, 0xc3, // push free; ret
	}
}

// short says how a run ended.
func short(r *Result) string {
	return fmt.Sprintf("end %d %q, reached %v, wrote %v, %d images, %d steps", r.End, r.Last, r.Reached, r.Wrote, len(r.Images), r.Steps)
}

func withBody(code []byte, at int, body string) []byte {
	out := append(code, make([]byte, at-len(code))...)
	for _, c := range []byte(body) {
		out = append(out, c^0x55)
	}
	return out
}

// What is unpacked is a PE file that starts where the program does.
func TestUnpack(t *testing.T) {
	b := program{code: withBody(unpacker(), 0x40, "\x90\xf4hidden in it")}.build()
	r := Run(showcause.Bytes(b), Options{})
	if !r.Reached || r.End != Stuck || len(r.Images) != 1 {
		t.Fatal(short(r))
	}
	f, ok := pe.Parse(showcause.Bytes(r.Images[0].Bytes), pe.Options{})
	if !ok || f.EntryPoint != freeRVA || len(f.Sections) != 3 {
		t.Fatalf("%v, entry %x, %d sections", ok, f.EntryPoint, len(f.Sections))
	}
	off, ok := f.Offset(freeRVA)
	if !ok || string(r.Images[0].Bytes[off:off+14]) != "\x90\xf4hidden in it" {
		t.Errorf("at %x: %q", off, r.Images[0].Bytes[off:off+14])
	}
}

func call(slot int) []byte {
	a := slotsAt + 4*slot
	return []byte{0xff, 0x15, byte(a), byte(a >> 8), byte(a >> 16), byte(a >> 24)}
}

// Memory that the program asks for is kept, also when it gives it back.
func TestAllocated(t *testing.T) {
	code := bytes.Join([][]byte{
		{0x6a, 0x40, 0x68, 0x00, 0x10, 0x00, 0x00, 0x68, 0x00, 0x10, 0x00, 0x00, 0x6a, 0x00}, call(0), // VirtualAlloc(0, 0x1000, MEM_COMMIT, 0x40)
		{0x89, 0xc7, 0x89, 0xc3, 0xb0, 'A', 0xb9, 0x80, 0x00, 0x00, 0x00, 0xf3, 0xaa}, // mov edi, eax; mov ebx, eax; mov al, 'A'; mov ecx, 128; rep stosb
		{0x68, 0x00, 0x80, 0x00, 0x00, 0x6a, 0x00, 0x53}, call(1),                     // VirtualFree(ebx, 0, MEM_RELEASE)
		{0x6a, 0x00}, call(2),
	}, nil)
	r := Run(showcause.Bytes(program{code: code, imports: []string{"VirtualAlloc", "VirtualFree", "ExitProcess"}}.build()), Options{})
	if r.End != Exited || len(r.Images) != 1 || r.Images[0].PE || string(r.Images[0].Bytes) != strings.Repeat("A", 128) {
		t.Error(short(r))
	}
}

// Callbacks of TLS run before the entry point, and a DLL is told that it is loaded.
func TestStart(t *testing.T) {
	code := make([]byte, 0x60)
	copy(code, []byte{0x80, 0x3d, 0x00, 0x30, 0x40, 0x00, 0x07, 0x75, 0xfe, 0x8b, 0x44, 0x24, 0x08, 0xf4}) // cmp byte [data], 7; jne self; mov eax, [esp+8]; hlt
	copy(code[0x40:], []byte{0xc6, 0x05, 0x00, 0x30, 0x40, 0x00, 0x07, 0xc2, 0x0c, 0x00})                  // mov byte [data], 7; ret 12
	r := Run(showcause.Bytes(program{dll: true, code: code, tls: base + codeRVA + 0x40}.build()), Options{Steps: 1 << 20})
	if r.End != Stuck || r.Steps > 5000 {
		t.Error(short(r))
	}
}

// A handler on the stack is asked about an exception and moves on behind it.
func TestHandler(t *testing.T) {
	code := bytes.Join([][]byte{
		{0x68, 0x40, 0x10, 0x40, 0x00, 0x64, 0xff, 0x35, 0, 0, 0, 0, 0x64, 0x89, 0x25, 0, 0, 0, 0}, // push handler; push fs:[0]; mov fs:[0], esp
		{0x31, 0xc0, 0x8b, 0x00}, // xor eax, eax; mov eax, [eax]
		{0x6a, 0x00}, call(0),
	}, nil)
	code = append(code, make([]byte, 0x40-len(code))...)
	code = append(code, 0x8b, 0x44, 0x24, 0x0c, 0x83, 0x80, 0xb8, 0, 0, 0, 0x02, 0x31, 0xc0, 0xc3) // mov eax, [esp+12]; add dword [eax+0xb8], 2; xor eax, eax; ret
	r := Run(showcause.Bytes(program{code: code, imports: []string{"ExitProcess"}}.build()), Options{})
	if r.End != Exited || r.Last != "exit" {
		t.Error(short(r))
	}
}

// A stub of 64 bits: it finds kernel32 in the lists of the loader, and calls.
func TestLong(t *testing.T) {
	code := []byte{
		0x65, 0x48, 0x8b, 0x04, 0x25, 0x60, 0, 0, 0, // mov rax, gs:[0x60]
		0x48, 0x8b, 0x40, 0x18, // mov rax, [rax+0x18]
		0x48, 0x8b, 0x40, 0x20, // mov rax, [rax+0x20]: in the order of memory
		0x48, 0x8b, 0x00, 0x48, 0x8b, 0x00, // mov rax, [rax] twice: the third is kernel32
		0x48, 0x8b, 0x40, 0x20, // mov rax, [rax+0x20]: its base
		0x66, 0x81, 0x38, 'M', 'Z', 0x75, 0xfe, // cmp word [rax], "MZ"; jne self
		0x48, 0x8d, 0x3d, 0, 0, 0, 0, // lea rdi, [rip]
		0x48, 0x81, 0xc7, 0xd7, 0x0f, 0, 0, // add rdi, freeRVA - here
		0xc6, 0x07, 0xf4, // mov byte [rdi], 0xf4
		0xff, 0xe7, // jmp rdi
	}
	r := Run(showcause.Bytes(program{long: true, code: code}.build()), Options{Steps: 1 << 20})
	if !r.Reached || r.End != Stuck || len(r.Images) != 1 {
		t.Error(short(r))
	}
}

// Programs that are to take long, or all memory, or to fool: each ends within its bounds.
func TestHostile(t *testing.T) {
	handler := []byte{0x68, 0x00, 0x10, 0x40, 0x00, 0x64, 0xff, 0x35, 0, 0, 0, 0, 0x64, 0x89, 0x25, 0, 0, 0, 0}
	cat := func(p ...[]byte) []byte { return bytes.Join(p, nil) }
	for name, c := range map[string]struct {
		code    []byte
		imports []string
		end     End
	}{
		"an endless loop":                         {[]byte{0xeb, 0xfe}, nil, Spent},
		"a loop that writes over itself":          {[]byte{0xfe, 0x05, 0x07, 0x10, 0x40, 0x00, 0xb0, 0x00, 0xeb, 0xf6}, nil, Spent},
		"a sweep over all memory":                 {[]byte{0x31, 0xff, 0xb9, 0xff, 0xff, 0xff, 0xff, 0xf3, 0xab}, nil, Stuck},
		"recursion without an end":                {[]byte{0xe8, 0xfb, 0xff, 0xff, 0xff}, nil, Stuck},
		"exceptions whose handler has one":        {cat(handler, []byte{0x0f, 0x0b}), nil, Stuck},
		"a handler that goes on at the exception": {cat([]byte{0xeb, 0x06, 0x90, 0x90, 0x31, 0xc0, 0xc3, 0x90, 0x68, 0x04, 0x10, 0x40, 0x00, 0x64, 0xff, 0x35, 0, 0, 0, 0, 0x64, 0x89, 0x25, 0, 0, 0, 0, 0x0f, 0x0b}), nil, Spent},
		"all memory asked for":                    {cat([]byte{0x6a, 0x40, 0x68, 0, 0x10, 0, 0, 0x68, 0, 0, 0, 0x04, 0x6a, 0}, call(0), []byte{0x89, 0xc7, 0xb9, 0, 0, 0, 0x01, 0xf3, 0xab, 0xeb, 0xdf}), []string{"VirtualAlloc"}, Spent},
		"all of it filled by one call":            {cat([]byte{0x68, 0xff, 0xff, 0xff, 0x7f, 0x68, 0x00, 0x10, 0x40, 0x00}, call(0), []byte{0xeb, 0xee}), []string{"RtlZeroMemory"}, Stuck},
		"a wait for the clock":                    {cat(call(0), []byte{0x3d, 0xff, 0xff, 0xff, 0xff, 0x75, 0xf3}), []string{"GetTickCount"}, Spent},
		"sleep":                                   {cat([]byte{0x6a, 0xff}, call(0), []byte{0xeb, 0xf6}), []string{"Sleep"}, Spent},
		"images without an end":                   {[]byte{0xc6, 0x05, 0x00, 0x20, 0x40, 0x00, 0xc3, 0xfe, 0x05, 0x10, 0x20, 0x40, 0x00, 0xe8, 0xee, 0x0f, 0x00, 0x00, 0xeb, 0xec}, nil, Spent},
		"libraries without an end":                {cat([]byte{0xfe, 0x05, 0x40, 0x10, 0x40, 0x00, 0x68, 0x40, 0x10, 0x40, 0x00}, call(0), []byte{0xeb, 0xed}), []string{"LoadLibraryA"}, Spent},
	} {
		r := Run(showcause.Bytes(program{code: c.code, imports: c.imports}.build()), Options{Steps: 5 << 20, After: 4 << 20, Memory: 16 << 20})
		if r.End != c.end || r.Steps > 6<<20 || len(r.Images) > maxImages {
			t.Errorf("%s: end %d %q, %d steps, %d images", name, r.End, r.Last, r.Steps, len(r.Images))
		}
	}
}

// Work that is refused ends the run.
func TestWork(t *testing.T) {
	n := 0
	r := Run(showcause.Bytes(program{code: []byte{0xeb, 0xfe}}.build()), Options{Work: func(int64) bool { n++; return n < 3 }})
	if r.End != Refused || n != 3 {
		t.Errorf("%s after %d", short(r), n)
	}
}

func FuzzRun(f *testing.F) {
	f.Add(program{code: withBody(unpacker(), 0x40, "\x90\xf4hidden in it")}.build())
	f.Add(program{long: true, code: []byte{0x48, 0x31, 0xc0, 0x0f, 0x05}}.build())
	f.Add(program{dll: true, code: []byte{0xc3}, tls: base + codeRVA, imports: []string{"VirtualAlloc", "RaiseException", "GetProcAddress"}}.build())
	f.Add(program{code: []byte{0x0f, 0x0b}, imports: []string{"VirtualAlloc"}}.build())
	f.Fuzz(func(t *testing.T, b []byte) {
		r := Run(showcause.Bytes(b), Options{Steps: 200_000, Memory: 4 << 20})
		if r.Steps > 40_000_000 || len(r.Images) > maxImages {
			t.Errorf("%d steps, %d images", r.Steps, len(r.Images))
		}
	})
}
