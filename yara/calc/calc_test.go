package calc

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

type bytesInput []byte

func (b bytesInput) Size() int64 { return int64(len(b)) }

func (b bytesInput) Read(off int64, n int) []byte {
	if off < 0 || off+int64(n) > int64(len(b)) {
		return nil
	}
	return b[off : off+int64(n)]
}

func call(t testing.TB, mod, name string, data string, h Host, args ...module.Value) module.Value {
	t.Helper()
	v, ok := Module(mod, bytesInput(data), h)
	if !ok {
		t.Fatalf("no module %s", mod)
	}
	f, ok := v.Ref.(module.Fields).Field(name).Ref.(module.Function)
	if !ok {
		t.Fatalf("no function %s.%s", mod, name)
	}
	return f(args)
}

func i(n int64) module.Value   { return module.IntValue(n) }
func f(n float64) module.Value { return module.FloatValue(n) }
func s(x string) module.Value  { return module.TextValue(x) }

func TestFunctions(t *testing.T) {
	y, x := Host{Dialect: source.YARA, Now: 99}, Host{Dialect: source.YARAX}
	none := module.Value{}
	ranges := func(off, n int64) []module.Value { return []module.Value{i(off), i(n)} }
	for _, c := range []struct {
		h         Host
		mod, name string
		data      string
		args      []module.Value
		want      module.Value
	}{
		{y, "time", "now", "", nil, i(99)},
		{y, "string", "length", "", []module.Value{s("AXs\x00ERS")}, i(7)},
		{y, "string", "to_int", "", []module.Value{s(" +1")}, i(1)},
		{y, "string", "to_int", "", []module.Value{s("0x10")}, i(16)},
		{y, "string", "to_int", "", []module.Value{s("010")}, i(8)},
		{y, "string", "to_int", "", []module.Value{s("-0")}, i(0)},
		{y, "string", "to_int", "", []module.Value{s("--1")}, none},
		{y, "string", "to_int", "", []module.Value{s("1x")}, none},
		{y, "string", "to_int", "", []module.Value{s("ff"), i(16)}, i(255)},
		{y, "string", "to_int", "", []module.Value{s("ff"), i(37)}, none},
		{x, "string", "to_int", "", []module.Value{s(" +1")}, none},
		{x, "string", "to_int", "", []module.Value{s("0x10")}, none},
		{x, "string", "to_int", "", []module.Value{s("+10")}, i(10)},
		{x, "string", "to_int", "", []module.Value{s("1_0")}, none},
		{x, "string", "to_int", "", []module.Value{s("zz"), i(36)}, i(35*36 + 35)},
		{y, "hash", "md5", "abcd", ranges(0, 9), s("e2fc714c4727ee9395f324cd2e7f331f")},
		{x, "hash", "md5", "abcd", ranges(0, 9), none},
		{x, "hash", "md5", "abcd", ranges(0, 4), s("e2fc714c4727ee9395f324cd2e7f331f")},
		{y, "hash", "md5", "abcd", ranges(-1, 4), none},
		{y, "hash", "md5", "abcd", ranges(4, 1), none},
		{y, "hash", "crc32", "", []module.Value{s("123456789")}, i(0xCBF43926)},
		{y, "hash", "checksum32", "\xff\xff", ranges(0, 2), i(510)},
		{y, "math", "min", "", ranges(-1, 0), i(0)},
		{x, "math", "min", "", ranges(-1, 0), i(-1)},
		{y, "math", "max", "", ranges(-1, 0), i(-1)},
		{x, "math", "max", "", ranges(-1, 0), i(0)},
		{x, "math", "abs", "", []module.Value{i(-7)}, i(7)},
		{y, "math", "to_string", "", []module.Value{i(-1), i(8)}, s("1777777777777777777777")},
		{y, "math", "to_string", "", []module.Value{i(-1), i(2)}, none},
		{y, "math", "entropy", "AABB", ranges(0, 4), f(1)},
		{y, "math", "entropy", "AABB", ranges(5, 4), none},
		{y, "math", "mean", "AABB", ranges(0, 4), f(65.5)},
		{y, "math", "deviation", "AABB", []module.Value{i(0), i(4), f(65.5)}, f(0.5)},
		{y, "math", "mode", "ABBA", nil, i('A')},
		{y, "math", "count", "ABBA", []module.Value{i('B')}, i(2)},
		{y, "math", "count", "ABBA", []module.Value{i(256)}, none},
		{y, "math", "percentage", "ABBC", []module.Value{i('B')}, f(0.5)},
		{y, "math", "percentage", "ABBC", []module.Value{i('B'), i(0), i(0)}, none},
		{y, "math", "serial_correlation", "", []module.Value{s("AAAA")}, f(-100000)},
		{y, "math", "monte_carlo_pi", "abcde", ranges(0, 5), none},
		{y, "math", "in_range", "", []module.Value{f(2), f(1), f(3)}, module.BoolValue(true)},
		{x, "math", "in_range", "", []module.Value{i(3), i(1), i(2)}, module.BoolValue(false)},
	} {
		if got := call(t, c.mod, c.name, c.data, c.h, c.args...); got != c.want {
			t.Errorf("%s.%s(%v) over %q in %s: %v, want %v", c.mod, c.name, c.args, c.data, c.h.Dialect, got, c.want)
		}
	}
	if _, ok := Module("pe", bytesInput(""), y); ok {
		t.Error("pe is not computed here")
	}
}

func TestConsole(t *testing.T) {
	var out []string
	h := Host{Dialect: source.YARA, Log: func(line string) { out = append(out, line) }}
	for _, args := range [][]module.Value{{s("a\x00b")}, {s("n="), i(5)}, {f(1.5)}} {
		if !call(t, "console", "log", "", h, args...).Truth() {
			t.Error("not true")
		}
	}
	call(t, "console", "hex", "", h, s("n="), i(-1))
	h.Dialect = source.YARAX
	call(t, "console", "log", "", h, f(1.5))
	if got, want := strings.Join(out, "|"), `a\x00b|n=5|1.500000|n=0xffffffffffffffff|1.5`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestBudget holds that bytes are read only as far as the host lets.
func TestBudget(t *testing.T) {
	left := int64(10)
	h := Host{Read: func(n int64) bool { left -= n; return left >= 0 }}
	if !call(t, "hash", "md5", "0123456789", h, i(0), i(10)).Defined() {
		t.Error("within the budget")
	}
	if call(t, "hash", "md5", "0123456789", h, i(0), i(1)).Defined() {
		t.Error("past the budget")
	}
}

// TestAgainstYara holds functions over more than one chunk of bytes against the
// installed yara.
func TestAgainstYara(t *testing.T) {
	yara, err := exec.LookPath("yara")
	if err != nil {
		t.Skip("yara is not installed")
	}
	data := make([]byte, 3*chunk+17)
	for i := range data {
		data[i] = byte(i*i>>3 ^ i*7)
	}
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	if err := os.WriteFile(target, data, 0o600); err != nil {
		t.Fatal(err)
	}
	h := Host{Dialect: source.YARA}
	var conds []string
	for _, span := range [][2]int64{{0, int64(len(data))}, {5, 1000}, {chunk - 3, 2 * chunk}, {100, 1 << 40}} {
		args := []module.Value{i(span[0]), i(span[1])}
		text := fmt.Sprintf("%d, %d", span[0], span[1])
		for _, name := range []string{"md5", "sha1", "sha256"} {
			conds = append(conds, fmt.Sprintf("hash.%s(%s) == %q", name, text, call(t, "hash", name, string(data), h, args...).Text))
		}
		for _, name := range []string{"checksum32", "crc32"} {
			conds = append(conds, fmt.Sprintf("hash.%s(%s) == %d", name, text, call(t, "hash", name, string(data), h, args...).Int))
		}
		near := func(name, args string, v module.Value) {
			if math.IsNaN(v.Float) {
				t.Errorf("%s is no number", name)
			}
			conds = append(conds, fmt.Sprintf("math.%s(%s) - %.9f < 0.000001 and %.9f - math.%s(%s) < 0.000001", name, args, v.Float, v.Float, name, args))
		}
		// Version 4.2 has serial_correlation otherwise: the last byte with itself.
		for _, name := range []string{"entropy", "mean", "monte_carlo_pi"} {
			near(name, text, call(t, "math", name, string(data), h, args...))
		}
		near("deviation", text+", 100.5", call(t, "math", "deviation", string(data), h, args[0], args[1], f(100.5)))
	}
	for n, c := range conds {
		path := filepath.Join(dir, "r.yar")
		if err := os.WriteFile(path, []byte("import \"hash\"\nimport \"math\"\nrule a { condition: "+c+" }"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(yara, path, target).CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), "a ") {
			t.Errorf("%d: yara has another value: %s: %s", n, c, out)
		}
	}
}

func FuzzToInt(f *testing.F) {
	f.Add(" -0x7f", int64(0))
	f.Add("9223372036854775808", int64(10))
	f.Fuzz(func(t *testing.T, text string, base int64) {
		for _, d := range []source.Dialect{source.YARA, source.YARAX} {
			call(t, "string", "to_int", "", Host{Dialect: d}, s(text))
			call(t, "string", "to_int", "", Host{Dialect: d}, s(text), i(base))
		}
	})
}
