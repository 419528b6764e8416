package bytecode

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	. "github.com/showcause/showcause/clamsig/bytecode/bytecodetest"
)

const level = 216 // of ClamAV 1.4.6

// official gives the files of the official bytecode.cvd, as sigtool unpacks them.
func official(t testing.TB) map[string][]byte {
	t.Helper()
	files, why := Official(t.TempDir())
	if files == nil {
		t.Skip(why)
	}
	return files
}

// clambc runs ClamAV's tool on a file.
func clambc(t *testing.T, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("clambc")
	if err != nil {
		t.Skip("clambc is not installed")
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("clambc: %v\n%s", err, out)
	}
	return string(out)
}

// TestOfficialInfo: what clambc says of each official file is what was loaded.
func TestOfficialInfo(t *testing.T) {
	kinds := map[Kind]string{
		Startup: "run on startup (unique)", Logical: "logical only", PEUnpacker: "PE unpacker hook", PDF: "Unknown (type 258)",
	}
	for name, text := range official(t) {
		p, err := Load(text, level)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		trigger := p.Trigger
		if trigger == "" {
			trigger = "<none>"
		}
		want := clambc(t, "--info", name)
		has := func(format string, args ...any) {
			if s := fmt.Sprintf(format, args...); !strings.Contains(want, s) {
				t.Errorf("%s: clambc does not say %q:\n%s", name, s, want)
			}
		}
		has("format functionality level: %d\n", p.Format)
		has("compiler version: %s\n", p.Compiler)
		has("compiled on: (%d) ", p.Compiled)
		has("compiled by: %s\n", p.Maker)
		has("bytecode type: %s", kinds[p.Kind])
		has("bytecode functionality level: %d - %d\n", p.MinLevel, p.MaxLevel)
		has("bytecode logical signature: %s\n", trigger)
		has("number of functions: %d\n\tnumber of types: %d\n\tnumber of global constants: %d\n\tnumber of debug nodes: %d\n",
			len(p.fns), len(p.types)+1, len(p.globals), p.nodes)
		var used []string
		for i := range apis {
			if p.apis[i+1] {
				used = append(used, apis[i].name)
			}
		}
		_, list, _ := strings.Cut(want, "APIs used:")
		if got := strings.Join(used, ","); got != strings.Join(strings.Fields(strings.ReplaceAll(list, ",", " ")), ",") {
			t.Errorf("%s: it uses %s, clambc says %s", name, got, list)
		}
	}
}

// TestOfficialCode: the instructions that clambc prints of each official file are
// those that were loaded: blocks, opcodes, values and constants.
func TestOfficialCode(t *testing.T) {
	insts := 0
	for name, text := range official(t) {
		p, err := Load(text, level)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		parts := strings.Split(clambc(t, "--printbcir", name), "####################### Function id")[1:]
		if len(parts) != len(p.fns) {
			t.Errorf("%s: %d functions, clambc has %d", name, len(p.fns), len(parts))
			continue
		}
		for i, part := range parts {
			sameCode(t, name, &p.fns[i], part)
			insts += len(p.fns[i].code)
		}
	}
	t.Logf("%d instructions", insts)
}

func sameCode(t *testing.T, name string, f *fn, part string) {
	t.Helper()
	var (
		irInst  = regexp.MustCompile(`(?m)^ *(\d+) +\d+ +OP_BC_\w+ *\[(\d+) *\/`)
		irConst = regexp.MustCompile(`(?m)^ *\d+ \[ *\d+\]: (\d+)\(0x`)
		irValue = regexp.MustCompile(`(?m)^ *\d+ \[ *\d+\]: (alloc )?(.*?)( argument)?$`)
	)
	var want, got []string
	for _, m := range irInst.FindAllStringSubmatch(part, -1) {
		want = append(want, m[1]+":"+m[2])
	}
	block := -1
	fields := map[int]bool{} // constants that became offsets
	for j, in := range f.code {
		if block+1 < len(f.blocks) && f.blocks[block+1] == j {
			block++
		}
		got = append(got, strconv.Itoa(block)+":"+strconv.Itoa(int(in.op)))
		if in.op == opGEPZ {
			fields[(int(in.b)-f.constantsAt())/8] = true
		}
	}
	// clambc counts a block where it sees a terminator, wherever that stands.
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%s: instructions %v; clambc %v", name, got, want)
	}
	_, values, _ := strings.Cut(part, "locals\nVID")
	values, constants, _ := strings.Cut(values, "CID  ID")
	locals := irValue.FindAllStringSubmatch(values, -1)
	if len(locals) != len(f.types) {
		t.Errorf("%s: %d values; clambc %d", name, len(f.types), len(locals))
		return
	}
	for j, l := range locals {
		if f.alloca[j] != (l[1] != "") || f.types[j] <= 64 && l[2] != "i"+strconv.Itoa(f.types[j]) {
			t.Errorf("%s: value %d has type %d; clambc %v", name, j, f.types[j], l)
		}
	}
	numbers := irConst.FindAllStringSubmatch(constants, -1)
	if len(numbers) != len(f.constants) {
		t.Errorf("%s: %d constants; clambc %d", name, len(f.constants), len(numbers))
		return
	}
	for j, n := range numbers {
		if strconv.FormatUint(f.constants[j], 10) != n[1] && !fields[j] {
			t.Errorf("%s: constant %d is %d; clambc %s", name, j, f.constants[j], n[1])
		}
	}
}

// small is a program that does a bit of everything but fail.
func small() *Source {
	p := New(Prototype)
	p.Trigger = "Test.Small.{};Engine:51-255,Target:0;0;0:5452494747455221"
	f := p.Func(32)
	g := p.Func(32, 32)
	g.Ret32(g.Bin("add", 32, g.Bin("and", 32, V(0), I32(3)), I32(1)))
	mem := f.Address(f.Alloca(p.Array(64, 8)))
	f.API("read", mem, I32(32))
	n := f.Local(32)
	f.To(0, "copy", 0, I32(0), V(n))
	f.End("jump", Num(1))
	f.To(n, "add", 32, V(n), f.Call(1, V(n)))
	f.Op("load", 8, 8, f.At(mem, V(n)))
	f.End("branch", f.Cmp("ult", 32, V(n), I32(20)), Num(1), Num(2))
	f.To(0, "store", 32, Imm(0x41424344, 32), mem)
	f.To(0, "memset", 0, f.At(mem, I32(4)), Imm(0x45, 8), Imm(8, 64))
	f.API("write", mem, I32(12))
	f.API("setvirusname", p.Text("Test.Name\x00"), I32(9))
	f.Ret32(I32(7))
	return p
}

// setup answers all calls with 0.
func setup(work, memory int64) *Setup {
	s := &Setup{Work: work, Memory: memory, Call: func(m *Machine, _ int, args []uint64) uint64 { return 0 }}
	for i := range s.Globals {
		s.Globals[i] = make([]byte, 700)
	}
	return s
}

func TestRun(t *testing.T) {
	p, err := Load([]byte(small().String()), level)
	if err != nil {
		t.Fatal(err)
	}
	got, work, err := p.Run(setup(0, 0))
	if err != nil || got != 7 || work < 50 {
		t.Errorf("%d after %d steps, %v", got, work, err)
	}
	_, again, err := p.Run(setup(0, 0))
	if err != nil || again != work {
		t.Errorf("another time %d steps, %v", again, err)
	}
	for most := range work {
		_, took, err := p.Run(setup(most+1, 0))
		if fault := (*Fault)(nil); most+1 < work && (!errors.As(err, &fault) || fault.Kind != WorkLimit || took > most+1) {
			t.Fatalf("with %d of %d steps: %v after %d", most+1, work, err, took)
		}
	}
}

// TestMemoryEnds: calls within calls end at the limit, as all memory does.
func TestMemoryEnds(t *testing.T) {
	p := New(Prototype)
	p.Kind = 0
	f := p.Func(32)
	f.Alloca(p.Array(60_000, 8))
	f.Ret32(f.Call(0))
	prog, err := Load([]byte(p.String()), level)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = prog.Run(setup(0, 1<<20))
	if fault := (*Fault)(nil); !errors.As(err, &fault) || fault.Kind != MemoryLimit {
		t.Error(err)
	}
}

// TestMalformed: what is wrong is named with its line.
func TestMalformed(t *testing.T) {
	good := small().String()
	if _, err := Load([]byte(good), level); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(good, "\n")
	replace := func(line int, old, with string) string {
		l := append([]string(nil), lines...)
		if !strings.Contains(l[line-1], old) {
			t.Fatalf("line %d has no %q: %s", line, old, l[line-1])
		}
		l[line-1] = strings.Replace(l[line-1], old, with, 1)
		return strings.Join(l, "\n")
	}
	for _, c := range []struct {
		text string
		line int
		want string
		skip bool
	}{
		{"", 1, "too early", false},
		{"ClamBD", 1, "does not begin", false},
		{replace(1, "ClamBC"+Num(7), "ClamBC"+Num(8)), 1, "format 8", true},
		{replace(1, Num(256), Num(999)), 1, "kind 999", false},
		{replace(1, ":1048576", ":40"), 2, "bytes, the header says", false},
		{replace(1, ":1048576", ":x"), 1, "length of lines", false},
		{replace(2, ";", ":"), 2, "", false},
		{replace(3, "T", "X"), 3, "line of types", false},
		{replace(3, Num(32), Num(900)), 3, "no type 900", false},
		{replace(4, Data("read\x00"), Data("rend\x00")), 4, `"rend"`, false},
		{replace(4, "E"+Num(107), "E"+Num(108)), 4, "function 108", true},
		{replace(5, "G", "H"), 5, "line of globals", false},
		{replace(6, "A", "C"), 6, "function", false},
		{replace(7, "B", "B"+Num(32)+Num(0)+Fixed(60, 2)), 7, "opcode 60", false},
		{replace(7, Opcode("jump")+Num(1), Opcode("jump")+Num(9)), 7, "block 9", false},
		{replace(8, Opcode("call")+Fixed(1, 1)+Num(2), Opcode("call")+Fixed(1, 1)+Num(5)), 8, "function 5, of 2", false},
		{strings.Join(lines[:8], "\n"), 8, "fewer functions", false},
		{good + good[strings.Index(good, "\nA")+1:], 12, "more functions", false},
	} {
		_, err := Load([]byte(c.text), level)
		var e *Error
		if c.want != "" && (!errors.As(err, &e) || e.Line != c.line || !strings.Contains(e.Cause, c.want) || e.Skip != c.skip) {
			t.Errorf("%v, want line %d: %s", err, c.line, c.want)
		}
	}
}

// TestTruncated: a program cut anywhere in front of its end does not load.
func TestTruncated(t *testing.T) {
	text := []byte(small().String())
	for n := range bytes.LastIndexByte(text, 'E') {
		if _, err := Load(text[:n], level); err == nil {
			t.Errorf("cut at %d of %d, it loads", n, len(text))
		}
	}
}

// TestDamaged: no byte of a program that is another makes one that escapes.
func TestDamaged(t *testing.T) {
	text := []byte(small().String())
	loaded := 0
	for i := range text {
		for _, b := range []byte{text[i] ^ 1, text[i] ^ 2, text[i] ^ 8, text[i] ^ 0x20, 'a', 'p', 0} {
			damaged := bytes.Clone(text)
			damaged[i] = b
			p, err := Load(damaged, level)
			if err != nil {
				continue
			}
			loaded++
			p.Run(setup(20_000, 1<<20))
		}
	}
	if loaded == 0 {
		t.Error("none loads")
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(small().String()))
	files, _ := Official(f.TempDir())
	for name, text := range files {
		if len(text) < 6000 || filepath.Base(name) == "0001078231.cbc" {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Load(text, level)
		if err != nil {
			return
		}
		got, work, err := p.Run(setup(100_000, 2<<20))
		again, work2, err2 := p.Run(setup(100_000, 2<<20))
		if got != again || work != work2 || fmt.Sprint(err) != fmt.Sprint(err2) || work > 100_000 {
			t.Errorf("%d after %d, %v; another time %d after %d, %v", got, work, err, again, work2, err2)
		}
	})
}
