package dotnet

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/pe"
)

// builder makes the metadata of an assembly. Indexes are of 16 bits.
type builder struct {
	strings, blobs, us, guids bytes.Buffer
	tables                    [64][][]uint32 // rows of numbers, by the layout of the table
	rows                      map[int]uint32 // what the header says instead of the number of rows
	streams                   int            // more streams
	resources                 []byte
}

func newBuilder() *builder {
	b := &builder{rows: map[int]uint32{}}
	b.strings.WriteByte(0)
	b.blobs.WriteByte(0)
	b.us.WriteByte(0)
	return b
}

// s adds a name.
func (b *builder) s(v string) uint32 {
	if v == "" {
		return 0
	}
	at := b.strings.Len()
	b.strings.WriteString(v + "\x00")
	return uint32(at)
}

// b adds a blob, shorter than 128 bytes.
func (b *builder) b(v string) uint32 {
	at := b.blobs.Len()
	b.blobs.WriteByte(byte(len(v)))
	b.blobs.WriteString(v)
	return uint32(at)
}

func (b *builder) row(table int, v ...uint32) { b.tables[table] = append(b.tables[table], v) }

var order = binary.LittleEndian

// tilde is the stream of tables.
func (b *builder) tilde() []byte {
	out := make([]byte, 24)
	out[4], out[7] = 2, 1
	valid := uint64(0)
	var counts []byte
	var body []byte
	specs := strings.Split(strings.TrimSpace(layouts), "\n")
	for i, rows := range b.tables {
		n := uint32(len(rows))
		if v, ok := b.rows[i]; ok {
			n = v
		}
		if n == 0 {
			continue
		}
		valid |= 1 << i
		counts = order.AppendUint32(counts, n)
		for _, r := range rows {
			for j, word := range strings.Fields(specs[i]) {
				if word == "4" {
					body = order.AppendUint32(body, r[j])
				} else {
					body = order.AppendUint16(body, uint16(r[j]))
				}
			}
		}
	}
	order.PutUint64(out[8:], valid)
	return append(append(out, counts...), body...)
}

// bytes is a PE file with the metadata in its only section.
func (b *builder) bytes() []byte {
	const va, off = 0x2000, 0x400
	type stream struct {
		name string
		data []byte
	}
	list := []stream{
		{"#~", b.tilde()}, {"#Strings", b.strings.Bytes()}, {"#US", b.us.Bytes()}, {"#GUID", b.guids.Bytes()}, {"#Blob", b.blobs.Bytes()},
	}
	for range b.streams {
		list = append(list, stream{"#More", nil})
	}
	var root bytes.Buffer
	word := func(v ...any) {
		for _, x := range v {
			_ = binary.Write(&root, order, x)
		}
	}
	word(uint32(0x424A5342), uint16(1), uint16(1), uint32(0), uint32(12))
	root.WriteString("v4.0.30319\x00\x00")
	word(uint16(0), uint16(len(list)))
	at := root.Len()
	for _, s := range list {
		at += 8 + (len(s.name)+4)&^3
	}
	for _, s := range list {
		word(uint32(at), uint32(len(s.data)))
		root.WriteString(s.name + strings.Repeat("\x00", 4-len(s.name)%4))
		at += len(s.data)
	}
	for _, s := range list {
		root.Write(s.data)
	}
	cli := make([]byte, 72)
	order.PutUint32(cli, 72)
	order.PutUint32(cli[8:], va+0x100)
	order.PutUint32(cli[12:], uint32(root.Len()))
	res := (0x100 + root.Len() + 15) &^ 15
	order.PutUint32(cli[24:], uint32(va+res))
	order.PutUint32(cli[28:], uint32(len(b.resources)))
	data := make([]byte, res)
	copy(data, cli)
	copy(data[0x100:], root.Bytes())
	data = append(data, b.resources...)
	h := make([]byte, off)
	copy(h, "MZ")
	order.PutUint32(h[60:], 0x80)
	copy(h[0x80:], "PE\x00\x00\x4c\x01\x01\x00")
	order.PutUint16(h[0x94:], 224)
	o := h[0x98:]
	order.PutUint16(o, 0x10b)
	order.PutUint32(o[32:], 0x2000)
	order.PutUint32(o[36:], 0x200)
	order.PutUint32(o[56:], 0x100000)
	order.PutUint32(o[92:], 16)
	order.PutUint32(o[96+8*14:], va)
	order.PutUint32(o[96+8*14+4:], 72)
	s := o[224:]
	copy(s, ".text")
	order.PutUint32(s[8:], uint32(len(data)))
	order.PutUint32(s[12:], va)
	order.PutUint32(s[16:], uint32(len(data)))
	order.PutUint32(s[20:], off)
	return append(h, data...)
}

// sample is an assembly with something in each table that is read.
func sample() []byte {
	b := newBuilder()
	b.row(tableModule, 0, b.s("sample.dll"), 1, 0, 0)
	b.guids.WriteString("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10")
	b.row(tableTypeRef, 0, b.s("Object"), b.s("System"))
	b.row(tableTypeRef, 0, b.s("GuidAttribute"), b.s("System"))
	b.row(tableTypeRef, 0, b.s("List`1"), b.s("System.Collections"))
	b.row(tableTypeDef, 0, b.s("<Module>"), 0, 0, 1, 1)
	b.row(tableTypeDef, 0x81, b.s("Outer`2"), b.s("Name.Space"), 1<<2|1, 1, 1)
	b.row(tableTypeDef, 0x103, b.s("Inner"), 0, 2<<2|2, 1, 3)
	b.row(tableTypeDef, 0xA1, b.s("IFace"), 0, 0, 1, 3)
	// int F(T, ref int[], IFace); a constructor of U
	b.row(tableMethodDef, 0, 0, 0x16, b.s("F"), b.b("\x00\x03\x08\x13\x00\x10\x1d\x08\x12\x10"), 1)
	b.row(tableMethodDef, 0, 0, 0x1, b.s(".ctor"), b.b("\x30\x01\x01\x01\x1e\x00"), 4)
	b.row(tableParam, 0, 1, b.s("t"))
	b.row(tableParam, 0, 2, b.s("list"))
	b.row(tableInterfaceImpl, 2, 4<<2)
	b.row(tableMemberRef, 2<<3|1, b.s(".ctor"), 0)
	b.row(tableConstant, 0x0e, 0, b.b("k\x00"))
	b.row(tableConstant, 0x08, 0, b.b("\x01\x00\x00\x00"))
	b.row(tableCustomAttribute, 1<<5|14, 1<<3|3, b.b("\x01\x00\x04lib1\x00\x00"))
	b.row(tableModuleRef, b.s("native.dll"))
	b.row(tableTypeSpec, b.b("\x15\x12\x0d\x02\x13\x00\x15\x12\x0d\x01\x0e")) // List<T, List<string>>
	b.row(tableTypeSpec, b.b("\x15\x12\x0d\x01\x0e"))
	b.row(tableFieldRVA, 0x2000, 1)
	b.row(tableFieldRVA, 0x7f000000, 1)
	b.row(tableAssembly, 0, 1, 2, 3, 4, 0, 0, b.s("sample"), b.s("de"))
	b.row(tableAssemblyRef, 4, 0, 0, 1, 0, b.b("\xb7z\\V\x194\xe0\x89"), b.s("mscorlib"), 0, 0)
	b.resources = []byte("\x04\x00\x00\x00abcd")
	b.row(tableManifestResource, 0, 0, b.s("res"), 0)
	b.row(tableManifestResource, 0, 0, b.s("elsewhere"), 1<<2|1)
	b.row(tableNestedClass, 3, 2)
	b.row(tableGenericParam, 0, 0, 2<<1, b.s("T"))
	b.row(tableGenericParam, 1, 0, 2<<1, b.s("U"))
	b.row(tableGenericParam, 0, 0, 2<<1|1, b.s("V"))
	b.us.WriteString("\x05h\x00i\x00\x00\x01\x00\x03x\x00\x01")
	return b.bytes()
}

// both are the readings.
var both = map[pe.Reading]Options{pe.YARA4: {YARA4: true}, pe.YARAX: {}}

func open(t testing.TB, data []byte, r pe.Reading, o Options) *File {
	t.Helper()
	p, ok := pe.Parse(showcause.Bytes(data), pe.Options{Reading: r})
	if !ok {
		t.Fatal("no PE file")
	}
	f, ok := Parse(p, o)
	if !ok {
		t.Fatal("no assembly")
	}
	return f
}

// all asks for everything.
func all(f *File) {
	f.GUIDs()
	f.UserStrings()
	f.Assembly()
	f.AssemblyRefs()
	f.ModuleRefs()
	f.ModuleName()
	f.Resources()
	f.Constants()
	f.FieldOffsets()
	f.TypeLib()
	f.Classes()
}

func TestSample(t *testing.T) {
	data := sample()
	for r, o := range both {
		f := open(t, data, r, o)
		if f.Version != "v4.0.30319" || len(f.Streams) != 5 || f.Streams[1].Name != "#Strings" || f.Cut() || f.Err() != nil {
			t.Errorf("%q %+v", f.Version, f.Streams)
		}
		if s := f.Streams[1]; string(data[s.Offset:s.Offset+12]) != "\x00sample.dll\x00" {
			t.Errorf("%+v", s)
		}
		if got := f.GUIDs(); !slices.Equal(got, []string{"04030201-0605-0807-090a-0b0c0d0e0f10"}) {
			t.Error(got)
		}
		if n, ok := f.ModuleName(); !ok || n != "sample.dll" {
			t.Error(n)
		}
		if a := f.Assembly(); a == nil || *a != (Assembly{Version{1, 2, 3, 4}, "sample", true, "de", ""}) {
			t.Errorf("%+v", a)
		}
		if a := f.AssemblyRefs(); len(a) != 1 || a[0] != (Assembly{Version{4, 0, 0, 1}, "mscorlib", true, "", "\xb7z\\V\x194\xe0\x89"}) {
			t.Errorf("%+v", a)
		}
		if got := f.ModuleRefs(); !slices.Equal(got, []string{"native.dll"}) {
			t.Error(got)
		}
		if got := f.Constants(); !slices.Equal(got, []string{"k\x00"}) {
			t.Errorf("%q", got)
		}
		if got, ok := f.TypeLib(); !ok || got != "lib1" {
			t.Errorf("%q", got)
		}
		if got := f.FieldOffsets(); !slices.Equal(got, []int64{0x400}) {
			t.Error(got)
		}
		res := f.Resources()
		if len(res) != 2 || string(data[res[0].Offset:res[0].Offset+res[0].Length]) != "abcd" || res[1].Placed || res[1].Name != "elsewhere" {
			t.Errorf("%+v", res)
		}
		strings := []string{"h\x00i\x00", "x\x00"}
		if o.YARA4 {
			strings = []string{"h\x00i\x00", "", "x\x00"}
		}
		if got := f.UserStrings(); !slices.Equal(got, strings) {
			t.Errorf("%q", got)
		}
	}
}

func TestClasses(t *testing.T) {
	for r, o := range both {
		got := open(t, sample(), r, o).Classes()
		want := []Class{
			{
				FullName: "Name.Space.Outer", Named: true, Visibility: "public", Abstract: true, Generics: []string{"T", "U"},
				Bases: []string{"System.Object", "IFace"}, Methods: []Method{
					{Name: "F", Visibility: "public", Static: true, Returns: "int", Returning: true, Parameters: []Parameter{
						{"t", "T"}, {"list", "ref int[]"}, {"P_2", "IFace"},
					}},
					{Name: ".ctor", Visibility: "private", Generics: []string{"V"}, Returns: "void", Parameters: []Parameter{{"P_0", "V"}}},
				},
			},
			{
				FullName: "Name.Space.Outer.Inner", Named: true, Visibility: "private", Sealed: true,
				Bases: []string{"System.Collections.List<string>"},
			},
			{FullName: "IFace", Named: true, Visibility: "public", Interface: true, Abstract: true, Bases: []string{"<Module>"}},
		}
		if o.YARA4 {
			want[2].Bases = nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("reading %d:\n%+v\n%+v", r, got, want)
		}
	}
}

// Texts of types, with the numbers of the standard's examples (II.23.2, II.23.2.13).
func TestSignatures(t *testing.T) {
	f := open(t, sample(), pe.YARAX, Options{})
	for sig, want := range map[string]string{
		"\x01": "void", "\x0f\x0f\x01": "Ptr<Ptr<void>>", "\x1d\x1d\x0e": "string[][]", "\x16": "TypedReference",
		"\x14\x08\x01\x01\x03\x00":                 "int[3]",
		"\x14\x08\x07\x00\x00":                     "int[,,,,,,]",
		"\x14\x08\x06\x02\x05\x02\x02\x00\x02":     "int[5,1...2,,,,]",
		"\x14\x08\x03\x00\x03\x7b\x03\x00":         "int[-3...,-63...,0...]",
		"\x14\x04\x03\x00\x03\x80\x80\xaf\xfe\x81": "",
		"\x14\x04\x02\x00\x02\xc0\x00\x00\x01\x01": "sbyte[-268435456...,-64...]",
		"\x15\x12\x0d\x02\x08\x0e":                 "System.Collections.List<int,string>",
		"\x1b\x00\x02\x01\x08\x0e":                 "FnPtr<void(int, string)>",
		"\x1f\x05\x08":                             "int",
		"\x12\x06":                                 "System.Collections.List<T,System.Collections.List<string>>",
		"\x13\x00":                                 "T", "\x13\x01": "", "\x1e\x00": "", "\x12\x07": "", "\x00": "", "": "", "\x45\x08": "",
		"\x14\x08\x33\x00\x00":                        "",
		strings.Repeat("\x0f", maxNesting) + "\x01":   "",
		strings.Repeat("\x1d", maxNesting-1) + "\x01": "void" + strings.Repeat("[]", maxNesting-1),
	} {
		g := signature{f: f, class: []string{"T"}, rest: []byte(sig)}
		got, ok := g.next()
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q %v, want %q", sig, got, ok, want)
		}
	}
}

func TestCompressed(t *testing.T) {
	for in, want := range map[string]int64{
		"\x03": 3, "\x7f": 0x7f, "\x80\x80": 0x80, "\xae\x57": 0x2e57, "\xbf\xff": 0x3fff, "\xc0\x00\x40\x00": 0x4000,
		"\xdf\xff\xff\xff": 0x1fffffff, "": -1, "\x80": -1, "\xc0\x00\x00": -1, "\xe0\x00\x00\x00": -1, "\xff\xff\xff\xff": -1,
	} {
		v, _, ok := compressed([]byte(in))
		if ok != (want >= 0) || ok && int64(v) != want {
			t.Errorf("%q: %d %v", in, v, ok)
		}
	}
}

// Every file that ends early is read without a panic.
func TestTruncated(t *testing.T) {
	data := sample()
	for n := range data {
		for r, o := range both {
			p, _ := pe.Parse(showcause.Bytes(data[:n]), pe.Options{Reading: r})
			if f, ok := Parse(p, o); ok {
				all(f)
			}
		}
	}
}

// Assemblies that want to be endless end within the bounds.
func TestHostile(t *testing.T) {
	made := map[string]*builder{}
	add := func(name string) *builder {
		made[name] = newBuilder()
		made[name].row(tableModule, 0, 0, 0, 0, 0)
		return made[name]
	}
	for _, table := range []int{tableTypeDef, tableMethodDef, tableCustomAttribute, tableGenericParam} {
		b := add("rows " + string(rune('A'+table)))
		b.row(tableTypeDef, 0, 0, 0, 0, 1, 1)
		b.rows[table] = math.MaxUint32
	}
	b := add("cycle of nested types")
	for i := range uint32(3000) {
		b.row(tableTypeDef, 2, 1, 1, 0, 1, 1)
		b.row(tableNestedClass, i+1, (i+1)%3000+1)
	}
	b.s("name")
	b = add("types that are each other")
	name := b.s("x")
	for range 2000 {
		b.row(tableTypeDef, 0, name, 0, 1<<2|2, 1, 1)
	}
	b.row(tableTypeSpec, b.b("\x15\x12\x06\x7f"+strings.Repeat("\x12\x06", 50)))
	b = add("methods of all types")
	name = b.s("m")
	sig := b.b("\x00\x14\x01" + strings.Repeat("\x08", 20))
	for range 3000 {
		b.row(tableTypeDef, 0, name, 0, 0, 1, 1)
		b.row(tableMethodDef, 0, 0, 0, name, sig, 1)
	}
	for i := range b.tables[tableTypeDef] {
		b.tables[tableTypeDef][i][5] = uint32(1 + i%2*2999)
	}
	add("streams").streams = 5000
	for what, b := range made {
		data := b.bytes()
		for r, o := range both {
			steps := 0
			o.Work = func(n int64) bool { steps++; return true }
			p, ok := pe.Parse(showcause.Bytes(data), pe.Options{Reading: r})
			if !ok {
				t.Fatal(what)
			}
			f, ok := Parse(p, o)
			if ok {
				all(f)
			}
			if steps > ownSteps+10 {
				t.Errorf("%s, reading %d: %d steps", what, r, steps)
			}
			t.Logf("%s, reading %d: %d bytes, %v, %d steps, cut %v", what, r, len(data), ok, steps, f.Cut())
		}
	}
}

// A program that the compiler of Mono makes.
func TestCompiled(t *testing.T) {
	mcs, err := exec.LookPath("mcs")
	if err != nil {
		t.Skip("mcs is not installed")
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "t.cs")
	text := `using System.Collections.Generic;
namespace Foo.Bar {
  public interface I<T> { T Get(int a, string b); }
  public abstract class A<T,U> : I<T> {
    public abstract T Get(int a, string b);
    protected internal static int[,] F(ref int x, List<Dictionary<string,T>> q, int[] r, U u) { return null; }
    internal sealed class N { void G<Z>(Z z, double d, params object[] o) {} }
  }
}
class P { static void Main() {} }`
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(mcs, source, "-out:"+filepath.Join(dir, "t.exe")).CombinedOutput(); err != nil {
		t.Skipf("mcs: %v %s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(dir, "t.exe"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range open(t, data, pe.YARA4, Options{YARA4: true}).Classes() {
		got = append(got, c.FullName+"<"+strings.Join(c.Generics, ",")+"> : "+strings.Join(c.Bases, ", "))
		for _, m := range c.Methods {
			var p []string
			for _, x := range m.Parameters {
				p = append(p, x.Type+" "+x.Name)
			}
			got = append(got, m.Visibility+" "+m.Returns+" "+m.Name+"("+strings.Join(p, ", ")+")")
		}
	}
	want := []string{
		"Foo.Bar.I<T> : ", "public T Get(int a, string b)",
		"Foo.Bar.A<T,U> : System.Object, Foo.Bar.I<T>", "protected void .ctor()", "public T Get(int a, string b)",
		"protected internal int[0...,0...] F(ref int x, System.Collections.Generic.List<System.Collections.Generic.Dictionary<string,T>> q, int[] r, U u)",
		"Foo.Bar.A.N<T,U> : System.Object", "public void .ctor()", "private void G(Z z, double d, object[] o)",
		"P<> : System.Object", "public void .ctor()", "private void Main()",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample())
	f.Fuzz(func(t *testing.T, data []byte) {
		for r, o := range both {
			p, _ := pe.Parse(showcause.Bytes(data), pe.Options{Reading: r})
			if x, ok := Parse(p, o); ok {
				all(x)
				if x.steps > ownSteps+1<<10 {
					t.Errorf("%d steps", x.steps)
				}
			}
		}
	})
}
