package lower

import (
	"bytes"
	"testing"

	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/code"
	"github.com/showcause/showcause/yara/eval"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// signed is a layer with two signatures, as the pe module tells of them.
func signed() module.Value {
	signature := func(subject, serial string) module.Value {
		return module.Value{Kind: module.Struct, Ref: module.Tree{
			"subject": module.TextValue(subject), "serial": module.TextValue(serial), "not_after": module.IntValue(1700000000),
		}}
	}
	return module.Constants(module.Load("pe", source.Either), module.Tree{
		"number_of_signatures": module.IntValue(2),
		"signatures": module.Value{Kind: module.Array, Ref: module.List{
			signature("/C=US/O=Some Company Inc./CN=Some Company Inc.", "01:02:03:04:05:06:07:08"),
			signature("/C=US/O=Time Stamping Service/CN=Time Stamping Service G2", "0e:0f:01:02:03:04:05:06"),
		}},
	})
}

// benchHost has matches that are not searched for.
type benchHost struct {
	host
	found []eval.Match
	pe    module.Value
}

func (h *benchHost) Count(p int) int {
	if p == 0 {
		return len(h.found)
	}
	return 1
}

func (h *benchHost) At(_, i int) (off, n int64) { return h.found[i].Offset, h.found[i].Length }

func (h *benchHost) Module(string, source.Dialect) module.Value { return h.pe }

// benchCases are typical conditions; size is the number of bytes of the layer.
var benchCases = []struct {
	name, cond string
	size       int
}{
	{"typical", `uint16(0) == 0x5A4D and filesize < 1MB and 3 of them`, 1 << 16},
	{"magic that differs", `uint16(0) == 0x457F and filesize < 1MB and 3 of them`, 1 << 16},
	{"certificates", `uint16(0) == 0x5A4D and for any i in (0..pe.number_of_signatures - 1) : (pe.signatures[i].subject contains "Another Company" and (pe.signatures[i].serial == "11:22" or pe.signatures[i].serial == "00:11:22")) or any of them and false`, 1 << 16},
	{"each byte", `for all i in (0..filesize - 1) : (uint8(i) == 0x4D or uint8(i) == 0x5A or uint8(i) == 0) and any of them`, 1 << 16},
	{"each byte, one test", `for all i in (0..filesize - 1) : (uint8(i) < 0xF0) and any of them`, 1 << 16},
	{"each byte, any", `for any i in (0..filesize - 1) : (uint16(i) == 0x5A5A and uint8(i + 2) == 1) and any of them`, 1 << 16},
	{"each match", `for all i in (1..#a) : (@a[i] + 100 < filesize or @a[i] % 2 == 0) and any of them`, 1 << 16},
	{"pattern in a range", `$a in (100..200) and $b in (filesize - 100..filesize) and any of them`, 1 << 16},
	{"arithmetic", `((filesize + 7) * 3 - #a & 0xFF) ^ 5 == 3 or (filesize >> 3) + 1 < 5 and any of them`, 1 << 16},
	{"matches", `for any s in ("kernel32.dll", "ws2_32.dll") : (s matches /^wininet\.dll$/i) and any of them`, 1 << 16},
}

// BenchmarkRun runs typical conditions; ns/round is the time of one round of
// their loops over each byte.
func BenchmarkRun(b *testing.B) {
	for _, c := range benchCases {
		b.Run(c.name, func(b *testing.B) {
			h, prog, m := benchProgram(b, c.cond, c.size)
			b.ReportAllocs()
			b.ResetTimer()
			for b.Loop() {
				if m.Run(prog, h).Stopped {
					b.Fatal("stopped")
				}
			}
			if c.name[:4] == "each" {
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(c.size), "ns/byte")
			}
		})
	}
}

func benchProgram(t testing.TB, cond string, size int) (*benchHost, code.Program, *code.Machine) {
	var set source.Sources
	src, err := set.Add("t.yar", `import "pe" rule r { strings: $a = "abc" $b = "bcd" $c = "cde" $d = "def" condition: `+cond+` }`)
	if err != nil {
		t.Fatal(err)
	}
	res := check.Check(&set, []check.Input{{Source: src}}, check.Options{})
	if res.Failed() {
		t.Fatal(res.Diags[0].Title)
	}
	c, err := lowerCondition(res, res.Rules[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	data := append([]byte("MZ"), bytes.Repeat([]byte{0}, size-2)...)
	h := &benchHost{host: host{layerInput: newInput(res, data)}, pe: signed()}
	for i := range size {
		h.found = append(h.found, eval.Match{Offset: int64(i), Length: 3})
	}
	return h, c.code, &code.Machine{}
}

// TestSteadyState holds that a run allocates nothing once the machine has run,
// regular expressions apart.
func TestSteadyState(t *testing.T) {
	for _, c := range benchCases {
		h, prog, m := benchProgram(t, c.cond, 600)
		m.Run(prog, h)
		if n := testing.AllocsPerRun(20, func() { m.Run(prog, h) }); n > 0 && c.name != "matches" {
			t.Errorf("%s: %v allocations a run", c.name, n)
		}
	}
}
