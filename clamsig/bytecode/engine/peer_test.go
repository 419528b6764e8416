package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig/bytecode"
	. "github.com/showcause/showcause/clamsig/bytecode/bytecodetest"
)

// sample is what programs are run on: its first bytes are what triggers them.
var sample = func() []byte {
	b := []byte("TRIGGER!")
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		b = append(b, byte(r.UintN(256)))
	}
	copy(b[5000:], "the number 1234567 and 0xBEEF7 and more text here, end of it.")
	return b
}()

// ran is what a program printed and what became of it: "returned N", "failed" or
// "found" and the name that it set.
type ran struct {
	printed []string
	end     string
}

// peer runs the programs with clamscan, all at once. (clambc 1.4.6 crashes.)
func peer(t *testing.T, programs []*Source, input []byte) []ran {
	t.Helper()
	clamscan, err := exec.LookPath("clamscan")
	if err != nil {
		t.Skip("clamscan is not installed")
	}
	dir := t.TempDir()
	for i, p := range programs {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("p%05d.cbc", i)), []byte(p.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "sample")
	if err := os.WriteFile(file, input, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(clamscan, "--debug", "--allmatch", "--bytecode-unsigned=yes", "--bytecode-timeout=60000", "-d", dir, file)
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatalf("clamscan: %v\n%s", err, regexp.MustCompile("(?m)^LibClamAV (Error|Warning).*").FindAll(out, 5))
	}
	return parsePeer(len(programs), string(out))
}

var debugLine = regexp.MustCompile(`(-?\d+)?LibClamAV debug: bytecode debug: (.*)`)

func parsePeer(n int, out string) []ran {
	got := make([]ran, n)
	at := -1
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		if f := debugLine.FindStringSubmatch(line); f != nil {
			if name, ok := strings.CutPrefix(f[2], "#"); ok {
				if at, _ = strconv.Atoi(name); got[at].end != "" {
					at = -1 // once more, on something in the file
				}
				continue
			}
			if at >= 0 {
				got[at].printed = append(got[at].printed, f[1]+f[2])
			}
			continue
		}
		if at < 0 {
			continue
		}
		switch {
		case strings.Contains(line, "failed to run"):
			got[at].end = "failed"
		case strings.Contains(line, "returned code:"):
			got[at].end = "returned " + line[strings.LastIndexByte(line, ' ')+1:]
		case strings.Contains(line, "found virus:"):
			got[at].end = "found " + line[strings.LastIndexByte(line, ' ')+1:]
		default:
			continue
		}
		at = -1
	}
	return got
}

// ours runs a program here.
func ours(t *testing.T, p *Source, input []byte) ran {
	t.Helper()
	prog, err := bytecode.Load([]byte(p.String()), DefaultLevel)
	if err != nil {
		return ran{end: "not loaded: " + err.Error()}
	}
	var out strings.Builder
	ctx := Context{Input: showcause.Bytes(input), Debug: func(s string) { out.WriteString(s) }}
	res, err := Run(prog, &ctx)
	var r ran
	for s := range strings.Lines(out.String()) {
		if s = strings.TrimSuffix(s, "\n"); !strings.HasPrefix(s, "#") {
			r.printed = append(r.printed, s)
		}
	}
	switch {
	case err != nil:
		r.end = "failed"
	case res.Virus != "":
		r.end = "found " + res.Virus
	default:
		r.end = fmt.Sprintf("returned %d", res.Return)
	}
	return r
}

// begin makes a program that runs on sample and says its number first.
func begin(i int) (*Source, *Func) {
	p := New(bytecode.Prototype)
	p.Trigger = fmt.Sprintf("Test.Program%d.{};Engine:51-255,Target:0;0;0:5452494747455221", i)
	f := p.Func(32)
	f.Say(fmt.Sprintf("#%d", i))
	return p, f
}

// agree runs programs both here and there.
func agree(t *testing.T, programs []*Source, input []byte) {
	t.Helper()
	differ := 0
	for i, want := range peer(t, programs, input) {
		got := ours(t, programs[i], input)
		if got.end == want.end && fmt.Sprint(got.printed) == fmt.Sprint(want.printed) {
			continue
		}
		if differ++; differ <= 5 {
			k := 0
			for k < len(got.printed) && k < len(want.printed) && got.printed[k] == want.printed[k] {
				k++
			}
			from := max(k-9, 0)
			t.Errorf("program %d: %q; clamscan %q; line %d: %q; clamscan %q", i, got.end, want.end, k,
				got.printed[from:min(k+4, len(got.printed))], want.printed[from:min(k+4, len(want.printed))])
		}
	}
	t.Logf("%d programs, %d differ", len(programs), differ)
}

// gen writes programs of instructions at random.
type gen struct {
	*rand.Rand
	f      *Func
	values map[int][]string // operands by type
}

func widths() []int { return []int{1, 8, 16, 32, 64} }

func (g *gen) any(t int) string {
	if vs := g.values[t]; len(vs) > 0 && g.IntN(4) > 0 {
		return vs[g.IntN(len(vs))]
	}
	v := g.Uint64()
	switch g.IntN(4) {
	case 0:
		v = uint64(g.IntN(5))
	case 1:
		v = -uint64(g.IntN(5))
	case 2:
		v = 1 << g.IntN(64)
	}
	bits := max(t, 8)
	if bits < 64 {
		v &= 1<<bits - 1
	}
	return Imm(v, bits)
}

func (g *gen) keep(t int, v string) {
	g.values[t] = append(g.values[t], v)
	g.f.PrintAny(t, v)
}

// step writes one instruction.
func (g *gen) step() {
	f, t := g.f, widths()[g.IntN(len(widths()))]
	switch g.IntN(10) {
	case 0, 1, 2:
		o := Arithmetic()[g.IntN(len(Arithmetic()))]
		b := g.any(t)
		switch o { // what fails is tried by itself
		case "udiv", "sdiv", "urem", "srem":
			b = Imm(uint64(1+g.IntN(100)), max(t, 8))
			if t == 1 {
				b = Imm(1, 8)
			}
		case "shl", "lshr", "ashr":
			b = Imm(uint64(g.IntN(t+1)), max(t, 8))
		}
		g.keep(t, f.Bin(o, t, g.any(t), b))
	case 3, 4:
		g.keep(1, f.Cmp(Comparisons()[g.IntN(len(Comparisons()))], t, g.any(t), g.any(t)))
	case 5:
		g.keep(t, f.Op("select", t, t, g.any(1), g.any(t), g.any(t)))
	case 6, 7:
		g.cast()
	case 8:
		d := f.Local(t)
		f.To(0, "copy", 0, g.any(t), V(d))
		g.keep(t, V(d))
	case 9:
		t := 16 << g.IntN(3)
		g.keep(t, f.Op(fmt.Sprintf("bswap%d", t), t, t, g.any(t)))
	}
}

func (g *gen) cast() {
	w := widths()
	from, to := g.IntN(len(w)), g.IntN(len(w))
	vs := g.values[w[from]]
	if len(vs) == 0 {
		return
	}
	o := "trunc"
	if to >= from {
		o = []string{"sext", "zext"}[g.IntN(2)]
	}
	g.keep(w[to], g.f.Op(o, w[to], w[to], vs[g.IntN(len(vs))]))
}

// TestArithmetic holds instructions on values against clamscan's interpreter.
func TestArithmetic(t *testing.T) {
	var programs []*Source
	for i := range 300 {
		p, f := begin(i)
		g := gen{rand.New(rand.NewPCG(7, uint64(i))), f, map[int][]string{}}
		for range 150 {
			g.step()
		}
		f.Ret32(g.any(32))
		programs = append(programs, p)
	}
	agree(t, programs, sample)
}

func seeded() *rand.Rand { return rand.New(rand.NewPCG(3, 4)) }
