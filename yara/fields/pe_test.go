package fields

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/yara/calc"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// executable is a PE file of 32 bits with imports, exports, a rich header and an
// overlay, whose only section is at 0x1000 and at 0x400 in the file.
func executable() memory {
	le := binary.LittleEndian
	b := make([]byte, 0x800)
	words := func(at int, v ...uint32) {
		for i, x := range v {
			le.PutUint32(b[at+4*i:], x)
		}
	}
	copy(b, "MZ")
	words(60, 0x100)
	const key = 0x01020304
	words(0x80, 0x536e6144^key, key, key, key, 0x00050006^key, 3^key)
	copy(b[0x98:], "Rich")
	words(0x9C, key)
	copy(b[0x100:], "PE\x00\x00\x4c\x01\x01\x00")
	le.PutUint16(b[0x114:], 224)
	le.PutUint16(b[0x116:], 0x2002)
	o := 0x118
	le.PutUint16(b[o:], 0x10b)
	words(o+16, 0x1010)
	words(o+28, 0x400000, 0x1000, 0x200)
	words(o+56, 0x10000, 0x400)
	words(o+92, 16)
	words(o+96, 0x1200, 0x100, 0x1020, 0x28)
	copy(b[o+224:], ".text")
	words(o+224+8, 0x400, 0x1000, 0x400, 0x400)
	// imports at 0x1020
	words(0x420, 0x1060, 0, 0, 0x10A0, 0x1080)
	words(0x460, 0x10B0, 0x80000009, 0x10C0)
	copy(b[0x4A0:], "KERNEL32.dll")
	copy(b[0x4B0:], "\x00\x00ExitProcess")
	copy(b[0x4C0:], "\x00\x00ExitThread")
	// exports at 0x1200
	words(0x600, 0, 7, 0, 0x1280, 10, 2, 1, 0x1240, 0x1248, 0x1250)
	words(0x640, 0x1010, 0x1020, 0x1290)
	copy(b[0x680:], "me.dll")
	copy(b[0x690:], "DoIt")
	return append(b, "overlay"...)
}

// call calls a function of a module.
func call(v module.Value, name string, a ...module.Value) module.Value {
	f, _ := lookup(v, name).Ref.(module.Function)
	if f == nil {
		return module.Value{}
	}
	return f(a)
}

func open(t testing.TB, name string, in Input, d source.Dialect) module.Value {
	t.Helper()
	v, ok := Module(name, in, d, Host{})
	if !ok {
		t.Fatal("no module", name)
	}
	return v
}

func TestPEFunctions(t *testing.T) {
	n, s := module.IntValue, module.TextValue
	re := func(text, flags string) module.Value {
		return module.Value{Kind: module.Regexp, Text: text, Flags: flags}
	}
	none := "YR_UNDEFINED"
	for _, c := range []struct {
		name    string
		args    []module.Value
		four, x string
	}{
		{"imports", []module.Value{s("kernel32.DLL")}, "3", "3"},
		{"imports", []module.Value{s("kernel32.dll"), s("EXITPROCESS")}, "1", "1"},
		{"imports", []module.Value{s("kernel32.dll"), s("nothing")}, "0", "0"},
		{"imports", []module.Value{s("kernel32.dll"), n(9)}, "1", "1"},
		{"imports", []module.Value{s("kernel32.dll"), n(8)}, "0", "0"},
		{"imports", []module.Value{re("^kernel", "i"), re("Exit", "")}, "2", "2"},
		{"imports", []module.Value{re("^kernel", ""), re("Exit", "")}, "0", "0"},
		{"imports", []module.Value{re("dll", ""), re("x*", "")}, "2", "3"}, // an empty match counts in YARA-X
		{"imports", []module.Value{n(1), s("kernel32.dll")}, "3", "3"},
		{"imports", []module.Value{n(2), s("kernel32.dll")}, "0", "0"},
		{"imports", []module.Value{n(3), s("kernel32.dll"), s("ExitThread")}, "1", "1"},
		{"imports", []module.Value{n(-1), s("kernel32.dll"), n(9)}, "1", "1"},
		{"imports", []module.Value{n(3), re("kernel", "i"), re(".", "")}, "3", "3"},
		{"imports", []module.Value{{}, s("x")}, none, none},
		{"import_rva", []module.Value{s("kernel32.dll"), s("exitthread")}, "4232", "4232"},
		{"import_rva", []module.Value{s("kernel32.dll"), n(9)}, "4228", "4228"},
		{"import_rva", []module.Value{s("kernel32.dll"), n(1)}, none, none},
		{"delayed_import_rva", []module.Value{s("kernel32.dll"), n(9)}, none, none},
		{"exports", []module.Value{s("doit")}, "1", "1"},
		{"exports", []module.Value{s("do")}, "0", "0"},
		{"exports", []module.Value{re("^Do", "")}, "1", "1"},
		{"exports", []module.Value{n(11)}, "0", "1"}, // YARA 4: none above the number of exports
		{"exports_index", []module.Value{s("DoIt")}, "0", "0"},
		{"exports_index", []module.Value{re("It$", "")}, "0", "0"},
		{"exports_index", []module.Value{n(11)}, none, "1"},
		{"section_index", []module.Value{s(".text")}, "0", "0"},
		{"section_index", []module.Value{s("text")}, none, none},
		{"section_index", []module.Value{n(0x400)}, "0", "0"},
		{"section_index", []module.Value{n(0x800)}, none, none},
		{"section_index", []module.Value{n(-1)}, none, none},
		{"rva_to_offset", []module.Value{n(0x1010)}, "1040", "1040"},
		{"rva_to_offset", []module.Value{n(0x9999)}, none, none},
		{"rva_to_offset", []module.Value{n(-1)}, none, none},
		{"rva_to_offset", []module.Value{n(math.MinInt64)}, none, none},
		{"is_dll", nil, "8192", "1"},
		{"is_32bit", nil, "1", "1"},
		{"is_64bit", nil, "0", "0"},
		{"locale", []module.Value{n(0x409)}, "0", "0"},
		{"language", []module.Value{n(9)}, "0", "0"},
		{"imphash", nil, `"d1c9ef3cd9b9ca3ef8d3b2ffb0e0c2ef"`, ""},
		{"rich_signature.version", []module.Value{n(6)}, "3", "3"},
		{"rich_signature.version", []module.Value{n(6), n(5)}, "3", "3"},
		{"rich_signature.version", []module.Value{n(5), n(6)}, "0", "0"},
		{"rich_signature.toolid", []module.Value{n(5)}, "3", "3"},
		{"rich_signature.toolid", []module.Value{n(5), n(6)}, "3", "3"},
		{"rich_signature.toolid", []module.Value{n(-1)}, "0", "0"},
	} {
		for d, want := range map[source.Dialect]string{source.YARA: c.four, source.YARAX: c.x} {
			got := show(call(open(t, "pe", executable(), d), c.name, c.args...))
			if c.name == "imphash" {
				if len(got) != 34 {
					t.Errorf("imphash %s", got)
				}
				continue
			}
			if got != want {
				t.Errorf("%v: %s(%v): %s, want %s", d, c.name, c.args, got, want)
			}
		}
	}
}

func TestPEFields(t *testing.T) {
	for path, want := range map[string]string{
		"is_pe": "1", "machine": "332", "number_of_sections": "1", "entry_point": "1040", "entry_point_raw": "4112",
		"sections.[0].name": `".text"`, "sections.[1].name": "YR_UNDEFINED", "overlay.offset": "2048", "overlay.size": "7",
		"rich_signature.key": "16909060", "rich_signature.length": "24", "import_details.[0].library_name": `"KERNEL32.dll"`,
		"import_details.[0].functions.[1].ordinal": "9", "import_details.[0].functions.[0].ordinal": "YR_UNDEFINED",
		"import_details.[0].functions.[1].name": `"ord9"`, "dll_name": `"me.dll"`, "number_of_exports": "2",
		"export_details.[0].name": `"DoIt"`, "export_details.[1].name": "YR_UNDEFINED", "export_details.[0].ordinal": "10",
		"number_of_signatures": "0", "number_of_resources": "0", "pdb_path": "YR_UNDEFINED", "MACHINE_AMD64": "34404",
		"data_directories.[1].size": "40", "opthdr_magic": "267", "number_of_imported_functions": "3", "no_such_field": "YR_UNDEFINED",
		"number_of_delayed_imports": "0", "linker_version.major": "0", "number_of_version_infos": "0",
	} {
		for _, d := range []source.Dialect{source.YARA, source.YARAX, source.Either} {
			if got := show(lookup(open(t, "pe", executable(), d), path)); got != want {
				t.Errorf("%v: %s is %s, want %s", d, path, got, want)
			}
		}
	}
}

// What is said of a file that is none of PE.
func TestNotPE(t *testing.T) {
	for path, want := range map[string][2]string{
		"is_pe": {"0", "0"}, "machine": {"YR_UNDEFINED", "YR_UNDEFINED"}, "number_of_signatures": {"YR_UNDEFINED", "YR_UNDEFINED"},
		"sections.[0].name": {"YR_UNDEFINED", "YR_UNDEFINED"}, "number_of_resources": {"YR_UNDEFINED", "YR_UNDEFINED"},
		"overlay.size": {"YR_UNDEFINED", "YR_UNDEFINED"}, "linker_version.major": {"YR_UNDEFINED", "YR_UNDEFINED"}, "DLL": {"8192", "8192"},
		"version_info.CompanyName": {"YR_UNDEFINED", "YR_UNDEFINED"}, "is_signed": {"YR_UNDEFINED", "YR_UNDEFINED"},
	} {
		for i, d := range []source.Dialect{source.YARA, source.YARAX} {
			if got := show(lookup(open(t, "pe", memory("hello"), d), path)); got != want[i] {
				t.Errorf("%v: %s is %s, want %s", d, path, got, want[i])
			}
		}
	}
	s, n := module.TextValue, module.IntValue
	for _, c := range []struct {
		name    string
		args    []module.Value
		four, x string
	}{
		{"imports", []module.Value{s("a"), s("b")}, "YR_UNDEFINED", "0"},
		{"imports", []module.Value{s("a")}, "YR_UNDEFINED", "0"},
		{"exports", []module.Value{s("a")}, "YR_UNDEFINED", "0"},
		{"is_dll", nil, "YR_UNDEFINED", "YR_UNDEFINED"},
		{"imphash", nil, "YR_UNDEFINED", "YR_UNDEFINED"},
		{"language", []module.Value{n(9)}, "YR_UNDEFINED", "0"},
		{"calculate_checksum", nil, "YR_UNDEFINED", "YR_UNDEFINED"},
		{"rich_signature.toolid", []module.Value{n(9)}, "YR_UNDEFINED", "0"},
	} {
		for d, want := range map[source.Dialect]string{source.YARA: c.four, source.YARAX: c.x} {
			if got := show(call(open(t, "pe", memory("hello"), d), c.name, c.args...)); got != want {
				t.Errorf("%v: %s: %s, want %s", d, c.name, got, want)
			}
		}
	}
}

// walk visits all values of a module that its description says there are, and tells
// those whose kind is another than it says.
func walk(t testing.TB, v module.Value, typ *module.Type, path string, left *int) {
	if *left--; *left < 0 || v.Kind == module.Undefined {
		return
	}
	if v.Kind != typ.Kind {
		t.Errorf("%s is %v, want %v", path, v.Kind, typ.Kind)
		return
	}
	switch v.Kind {
	case module.Struct:
		for _, f := range typ.Fields {
			walk(t, v.Ref.(module.Fields).Field(f.Name), f.Type, path+"."+f.Name, left)
		}
	case module.Array:
		items := v.Ref.(module.Items)
		for i := range min(items.Len(), 50) {
			walk(t, items.At(int64(i)), typ.Elem, path+"[]", left)
		}
		if items.At(-1).Defined() || items.At(int64(items.Len())).Defined() {
			t.Errorf("%s has more than it has", path)
		}
	case module.Map:
		pairs := v.Ref.(module.Pairs)
		for i := range min(pairs.Len(), 50) {
			k, x := pairs.Pair(i)
			walk(t, x, typ.Elem, path+"{}", left)
			if pairs.Find(k) != x {
				t.Errorf("%s: %v is not found", path, k)
			}
		}
	case module.Func:
		callAll(t, v.Ref.(module.Function), typ, path)
	}
}

// callAll calls a function in all its forms.
func callAll(t testing.TB, f module.Function, typ *module.Type, path string) {
	for _, c := range typ.Calls {
		var args []module.Value
		for _, k := range c.Args {
			args = append(args, map[module.Kind]module.Value{
				module.Int: module.IntValue(1), module.String: module.TextValue("a"), module.Float: module.FloatValue(1),
				module.Bool: module.BoolValue(true), module.Regexp: {Kind: module.Regexp, Text: "a"},
			}[k])
		}
		if r := f(args); r.Defined() && r.Kind != c.Result.Kind {
			t.Errorf("%s(%v) is %v, want %v", path, c.Args, r.Kind, c.Result.Kind)
		}
	}
}

// visit asks for everything in modules of executables.
func visit(t testing.TB, in Input, h Host) {
	for _, d := range []source.Dialect{source.YARA, source.YARAX, source.Either} {
		l := New(in, h)
		for _, name := range []string{"pe", "dotnet"} {
			v, ok := l.Module(name, d)
			typ := module.Load(name, d)
			if !ok || typ == nil {
				t.Fatal("no module", name)
			}
			left := 20000
			walk(t, v, typ, name, &left)
		}
	}
}

// All values are of the kinds that the descriptions say, for files of all kinds.
func TestKinds(t *testing.T) {
	visit(t, executable(), Host{})
	visit(t, memory("hello"), Host{})
	visit(t, memory(nil), Host{})
	for _, name := range specimens(t) {
		if data, ok := smallFile(name); ok {
			visit(t, data, Host{Gap: func(c showcause.Code) { t.Errorf("%s: gap %s", name, c) }})
		}
	}
}

func TestTruncated(t *testing.T) {
	data := executable()
	for n := 0; n < len(data); n += 3 {
		visit(t, data[:n], Host{})
	}
}

// Work that is refused and a file that cannot be read are told, once.
func TestGaps(t *testing.T) {
	told := map[showcause.Code]int{}
	h := Host{Gap: func(c showcause.Code) { told[c]++ }, Work: func(int64) bool { return false }}
	l := New(executable(), h)
	for range 2 {
		v, _ := l.Module("pe", source.YARAX)
		show(lookup(v, "number_of_exports"))
	}
	if told[showcause.LimitWork] != 1 || len(told) != 1 {
		t.Errorf("told %v", told)
	}
	told = map[showcause.Code]int{}
	l = New(broken{executable()}, Host{Gap: func(c showcause.Code) { told[c]++ }})
	v, _ := l.Module("pe", source.YARAX)
	if show(lookup(v, "is_pe")) != "0" || told[showcause.Unreadable] != 1 {
		t.Errorf("told %v", told)
	}
}

// broken has a size and no bytes.
type broken struct{ memory }

func (broken) Read(int64, int) []byte { return nil }

// Nothing is read of a file before it is asked for, and of one that is none of PE
// no more than its head.
func TestLazy(t *testing.T) {
	in := &counting{memory: append(memory("MX"), bytes.Repeat([]byte("x"), 1<<20)...)}
	l := New(in, Host{})
	v, _ := l.Module("pe", source.YARAX)
	for _, f := range []string{"number_of_signatures", "number_of_sections", "is_pe", "version_info"} {
		lookup(v, f)
	}
	if in.read > 32<<10 {
		t.Errorf("%d bytes are read", in.read)
	}
}

type counting struct {
	memory
	read int
}

func (c *counting) Read(off int64, n int) []byte {
	c.read += n
	return c.memory.Read(off, n)
}

// The modules that need no format are here, too.
func TestOneDoor(t *testing.T) {
	var lines []string
	h := Host{Now: 77, Log: func(s string) { lines = append(lines, s) }}
	for _, name := range module.Names() {
		if _, ok := Module(name, memory("hello"), source.Either, h); !ok {
			t.Errorf("no module %s", name)
		}
	}
	v, _ := Module("time", memory(nil), source.YARA, h)
	if got := call(v, "now"); got.Int != 77 {
		t.Error(got)
	}
	v, _ = Module("console", memory(nil), source.YARA, h)
	call(v, "log", module.TextValue("hi"))
	if strings.Join(lines, "") != "hi" {
		t.Error(lines)
	}
	if _, ok := Module("nonsense", memory(nil), source.Either, h); ok {
		t.Error("a module that is none")
	}
	var _ calc.Input = memory(nil)
}

func FuzzPEFields(f *testing.F) {
	f.Add([]byte(executable()))
	f.Fuzz(func(t *testing.T, data []byte) {
		visit(t, memory(data), Host{})
	})
}

// huge is a PE file and a terabyte of zeros.
type huge struct {
	memory
	read int64
}

func (h *huge) Size() int64 { return 1 << 40 }

func (h *huge) Read(off int64, n int) []byte {
	h.read += int64(n)
	b := make([]byte, n)
	if off < int64(len(h.memory)) {
		copy(b, h.memory[off:])
	}
	return b
}

// Of a file of a terabyte only what is asked for is read: nothing of what is read
// whole, as long as the host does not allow it.
func TestHuge(t *testing.T) {
	for lfanew, limit := range map[uint32]int64{0x100: 1 << 20, 0x7fff0000: 8 << 20} {
		data := executable()
		if lfanew != 0x100 {
			binary.LittleEndian.PutUint32(data[60:], lfanew)
		}
		in := &huge{memory: data}
		visit(t, in, Host{Read: func(n int64) bool { return n < 1<<30 }})
		if in.read > limit {
			t.Errorf("lfanew %#x: %d bytes are read", lfanew, in.read)
		}
	}
}
