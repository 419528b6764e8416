package rule

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause/pattern"
)

func n(sub int) Node { return Node{Op: Count, Sub: sub} }

func cmp(sub int, c Cmp, k uint32) Node { return Node{Op: Count, Sub: sub, Cmp: c, N: k} }

func and(k ...Node) Node { return Node{Op: And, Kids: k} }

func or(k ...Node) Node { return Node{Op: Or, Kids: k} }

func group(k Node, c Cmp, with, distinct uint32) Node {
	return Node{Op: Group, Kids: []Node{k}, Cmp: c, N: with, Distinct: distinct}
}

func condition(c Node, patterns int) *Rule {
	return &Rule{Cond: c, Patterns: make([]pattern.Pattern, patterns)}
}

func holds(t *testing.T, c Node, counts []uint32) bool {
	t.Helper()
	p, err := Encode(condition(c, len(counts)))
	if err != nil {
		t.Fatalf("%s: %v", c, err)
	}
	if err := p.Check(len(counts)); err != nil {
		t.Fatalf("%s: %v", c, err)
	}
	return p.Holds(func(sub int) uint32 { return counts[sub] })
}

// The counts in the order of the answers below.
var measuredCounts = [][]uint32{
	{0, 0, 0},
	{1, 0, 0},
	{2, 0, 0},
	{3, 0, 0},
	{0, 1, 0},
	{1, 1, 0},
	{2, 1, 0},
	{0, 3, 0},
	{3, 3, 0},
	{0, 0, 1},
	{1, 0, 1},
	{1, 1, 1},
	{0, 0, 5},
}

// What clamscan 1.4.6 answered.
func TestHoldsAsMeasured(t *testing.T) {
	for _, c := range []struct {
		cond Node
		text string
		want string
	}{
		{n(0), "0", "-YYY-YY-Y-YY-"},
		{cmp(0, Equal, 0), "0=0", "Y---Y--Y-Y--Y"},
		{cmp(0, Equal, 1), "0=1", "-Y---Y----YY-"},
		{cmp(0, Less, 2), "0<2", "YY--YY-Y-YYYY"},
		{cmp(0, Less, 1), "0<1", "Y---Y--Y-Y--Y"},
		{Node{Op: Count, Cmp: Greater, N: 1, Distinct: 2}, "0>1", "--YY--Y-Y----"},
		{Node{Op: Count, Cmp: Less, N: 3, Distinct: 2}, "0<3", "YYY-YYYY-YYYY"},
		{or(cmp(0, Equal, 0), n(1)), "0=0|1", "Y---YYYYYY-YY"},
		{and(cmp(0, Equal, 0), n(1)), "0=0&1", "----Y--Y-----"},
		{or(cmp(0, Equal, 0), cmp(1, Equal, 0)), "0=0|1=0", "YYYYY--Y-YY-Y"},
		{group(or(n(0), n(1)), Equal, 0, 0), "(0|1)=0", "Y--------Y--Y"},
		{group(and(n(0), n(1)), Equal, 0, 0), "(0&1)=0", "YYYYY--Y-YY-Y"},
		{group(or(n(0), n(1)), Equal, 1, 0), "(0|1)=1", "-Y--Y-----Y--"},
		{group(or(n(0), n(1)), Equal, 2, 0), "(0|1)=2", "--Y--Y-----Y-"},
		{group(or(n(0), n(1)), Greater, 1, 0), "(0|1)>1", "--YY-YYYY--Y-"},
		{group(or(n(0), n(1)), Greater, 2, 2), "(0|1)>2,2", "------Y-Y----"},
		{group(or(n(0), n(1)), Greater, 1, 2), "(0|1)>1,2", "-----YY-Y--Y-"},
		{group(or(n(0), n(1)), Less, 3, 0), "(0|1)<3", "YYY-YY---YYYY"},
		{group(or(n(0), n(1)), Less, 3, 2), "(0|1)<3,2", "-----Y-----Y-"},
		{group(and(n(0), n(1)), Less, 3, 0), "(0&1)<3", "YYYYYY-Y-YYYY"},
		{group(and(n(0), n(1)), Greater, 2, 0), "(0&1)>2", "------Y-Y----"},
		{group(or(n(0), n(1)), Equal, 0, 1), "(0|1)=0,1", "-------------"},
		{and(group(or(n(0), n(1)), Equal, 0, 0), n(2)), "(0|1)=0&2", "---------Y--Y"},
		{or(group(or(n(0), n(1)), Equal, 0, 0), n(2)), "(0|1)=0|2", "Y--------YYYY"},
		{group(or(group(or(n(0), n(1)), Greater, 1, 0), n(2)), Greater, 2, 0), "((0|1)>1|2)>2", "---Y--YYY--YY"},
		{group(or(group(or(n(0), n(1)), Greater, 0, 0), n(2)), Greater, 1, 1), "((0|1)>0|2)>1,1", "----------YYY"},
		{group(or(group(or(n(0), n(1)), Greater, 0, 0), n(2)), Greater, 1, 2), "((0|1)>0|2)>1,2", "-------------"},
		{group(or(group(or(n(0), n(1)), Greater, 1, 2), n(2)), Greater, 2, 0), "((0|1)>1,2|2)>2", "------Y-Y--YY"},
	} {
		if got := c.cond.String(); got != c.text {
			t.Errorf("text is %q, want %q", got, c.text)
		}
		var got []byte
		for _, counts := range measuredCounts {
			got = append(got, "-Y"[map[bool]int{true: 1}[holds(t, c.cond, counts)]])
		}
		if string(got) != c.want {
			t.Errorf("%s: %s, want %s", c.text, got, c.want)
		}
	}
}

// random makes conditions as ClamAV's grammar can write them.
type random struct{ *rand.Rand }

func (r random) node(depth, subs int) Node {
	k := r.IntN(8)
	if depth == 0 {
		k = 0
	}
	switch {
	case k < 3:
		leaf := n(r.IntN(subs))
		if r.IntN(2) == 0 {
			leaf.Cmp, leaf.N = Cmp(r.IntN(3)), uint32(r.IntN(4))
		}
		return leaf
	case k < 6:
		return r.list(depth, subs)
	}
	g := group(r.list(depth, subs), Cmp(r.IntN(3)), uint32(r.IntN(5)), 0)
	if r.IntN(3) == 0 {
		g.Distinct = uint32(r.IntN(4))
	}
	return g
}

// list is an And or Or of two to four.
func (r random) list(depth, subs int) Node {
	l := Node{Op: And + Op(r.IntN(2))}
	for range 2 + r.IntN(3) {
		l.Kids = append(l.Kids, r.node(depth-1, subs))
	}
	return l
}

// TestAgreesWithClamscan puts random conditions and counts to clamscan.
func TestAgreesWithClamscan(t *testing.T) {
	clamscan, err := exec.LookPath("clamscan")
	if err != nil {
		t.Skip("clamscan is not installed")
	}
	const subs, rules, files = 4, 600, 60
	r := random{rand.New(rand.NewPCG(8, 9))}
	dir := t.TempDir()
	var db strings.Builder
	conds := make([]Node, 0, rules)
	for len(conds) < rules {
		c := r.node(3, subs)
		conds = append(conds, c)
		fmt.Fprintf(&db, "R%d;Engine:81-255,Target:0;%s", len(conds)-1, c)
		for i := range slices.Max(c.subs(nil)) + 1 {
			fmt.Fprintf(&db, ";%x", marker(i))
		}
		db.WriteByte('\n')
	}
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("r.ldb", []byte(db.String()))
	counts := make([][]uint32, files)
	for i := range counts {
		// Not text: clamscan would scan a normalised form too, without the markers.
		body := bytes.Repeat([]byte{0, 0xff, 0xfe, 0x80}, 8)
		for s := range subs {
			k := uint32(max(0, r.IntN(6)-2))
			counts[i] = append(counts[i], k)
			for range k {
				body = append(append(body, marker(s)...), 1)
			}
		}
		write(fmt.Sprintf("f%d", i), append(body, 0, 0, 0))
	}
	out, err := exec.Command(clamscan, "-z", "--no-summary", "-d", filepath.Join(dir, "r.ldb"), "--exclude=ldb$", dir).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatalf("clamscan: %v\n%s", err, out)
	}
	theirs := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		var f, c int
		if at := strings.LastIndex(line, "/f"); at >= 0 {
			if _, err := fmt.Sscanf(line[at:], "/f%d: R%d.UNOFFICIAL FOUND", &f, &c); err == nil {
				theirs[fmt.Sprint(f, c)] = true
			}
		}
	}
	if len(theirs) < rules {
		t.Fatalf("clamscan found only %d\n%s", len(theirs), out)
	}
	for i, c := range conds {
		for f := range counts {
			if ours := holds(t, c, counts[f]); ours != theirs[fmt.Sprint(f, i)] {
				t.Errorf("%s with %v: we say %v, clamscan %v", c, counts[f], ours, !ours)
			}
		}
	}
}

func marker(i int) []byte { return fmt.Appendf(nil, "MARK%c%d", 'A'+i, i) }

// All counts up to 4 of 3 patterns, for random conditions: triggers are
// enough, counts cut off as Needs says change nothing.
func TestTriggersAndNeeds(t *testing.T) {
	r := random{rand.New(rand.NewPCG(10, 11))}
	always, never := 0, 0
	for range 3000 {
		c := r.node(3, 3)
		rule := condition(c, 3)
		cost := []int{r.IntN(5), r.IntN(5), r.IntN(5)}
		subs, ok := rule.Triggers(func(s int) int { return cost[s] })
		needs := rule.Needs()
		p, err := Encode(rule)
		if err != nil {
			t.Fatal(err)
		}
		any := false
		for code := range 6 * 6 * 6 {
			counts := []uint32{uint32(code % 6), uint32(code / 6 % 6), uint32(code / 36)}
			holds := p.Holds(func(s int) uint32 { return counts[s] })
			any = any || holds
			if cut := p.Holds(func(s int) uint32 { return min(counts[s], needs[s]) }); cut != holds {
				t.Fatalf("%s with %v cut off at %v: %v, want %v", c, counts, needs, cut, holds)
			}
			if !ok || !holds {
				continue
			}
			if !slices.ContainsFunc(subs, func(s int) bool { return counts[s] > 0 }) {
				t.Fatalf("%s holds with %v, triggers %v", c, counts, subs)
			}
		}
		if !ok {
			always++
		}
		if ok && len(subs) == 0 {
			if never++; any {
				t.Fatalf("%s can hold", c)
			}
		}
		if ok && !slices.IsSorted(subs) {
			t.Fatalf("%s: triggers %v", c, subs)
		}
	}
	if always == 0 || never == 0 || always > 2000 {
		t.Errorf("%d always, %d never", always, never)
	}
}

func TestTriggersTable(t *testing.T) {
	cost := func(s int) int { return []int{5, 1, 3, 9, 2}[s] }
	for _, c := range []struct {
		cond Node
		want []int
		ok   bool
	}{
		{n(0), []int{0}, true},
		{and(n(0), n(1), n(2)), []int{1}, true},
		{or(n(0), n(1), n(0)), []int{0, 1}, true},
		{or(n(0), cmp(1, Equal, 0)), nil, false},
		{and(n(0), cmp(1, Equal, 0)), []int{0}, true},
		{cmp(1, Less, 3), nil, false},
		{cmp(1, Less, 0), nil, true},
		{and(or(n(0), n(3)), or(n(1), n(2), n(4))), []int{1, 2, 4}, true},
		{group(or(n(0), n(1)), Equal, 0, 0), nil, false},
		{group(and(n(0), n(1)), Greater, 3, 0), []int{1}, true},
		{group(or(n(0), n(1), n(2), n(3)), Greater, 3, 2), []int{0, 1, 2}, true},
		{group(or(n(0), n(1), n(2), n(3)), Greater, 3, 4), []int{1}, true},
		{group(or(n(0), n(1)), Greater, 3, 3), nil, true},
		{group(or(cmp(0, Less, 2), n(1)), Equal, 1, 0), []int{0, 1}, true},
		{group(or(n(0), n(1)), Less, 5, 1), []int{0, 1}, true},
	} {
		got, ok := condition(c.cond, 5).Triggers(cost)
		if ok != c.ok || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v %v, want %v %v", c.cond, got, ok, c.want, c.ok)
		}
	}
}

func TestNeedsTable(t *testing.T) {
	for _, c := range []struct {
		cond Node
		want []uint32
	}{
		{n(0), []uint32{1, 0, 0}},
		{cmp(1, Greater, 7), []uint32{0, 8, 0}},
		{cmp(1, Equal, 7), []uint32{0, 8, 0}},
		{cmp(1, Equal, 0), []uint32{0, 1, 0}},
		{cmp(1, Less, 7), []uint32{0, 7, 0}},
		{cmp(1, Less, 0), []uint32{0, 1, 0}},
		{cmp(1, Equal, math.MaxUint32), []uint32{0, math.MaxUint32, 0}},
		{and(n(0), group(or(n(1), cmp(2, Greater, 9)), Greater, 4, 2)), []uint32{1, 5, 10}},
	} {
		if got := condition(c.cond, 3).Needs(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.cond, got, c.want)
		}
	}
}

// The answers about containers and executables were measured with clamscan 1.4.6.
func TestAdmits(t *testing.T) {
	rg := func(lo, hi uint64) *Range { return &Range{lo, hi} }
	zip, gz := "CL_TYPE_ZIP", "CL_TYPE_GZ"
	exe := &Facts{Size: 100, Executable: true, Entry: 40, Sections: 3}
	raw := &Facts{Size: 100, Entry: -1}
	in := func(anc ...string) *Facts { return &Facts{Size: 100, Entry: -1, Ancestors: anc} }
	for i, c := range []struct {
		g    Guard
		f    *Facts
		want bool
	}{
		{Guard{}, raw, true},
		{Guard{Size: rg(100, 100)}, raw, true},
		{Guard{Size: rg(101, 200)}, raw, false},
		{Guard{Size: rg(0, 99)}, raw, false},
		{Guard{Size: rg(0, math.MaxUint64)}, raw, true},
		{Guard{Entry: rg(40, 40)}, exe, true},
		{Guard{Entry: rg(41, 99)}, exe, false},
		{Guard{Entry: rg(0, math.MaxUint64)}, raw, false},
		{Guard{Entry: rg(0, math.MaxUint64)}, &Facts{Executable: true, Entry: -1}, false},
		{Guard{Sections: rg(1, 3)}, exe, true},
		{Guard{Sections: rg(4, 9)}, exe, false},
		{Guard{Sections: rg(0, 9)}, raw, false},
		{Guard{Container: anyType}, raw, true},
		{Guard{Container: anyType}, in(gz), false},
		{Guard{Container: zip}, raw, false},
		{Guard{Container: zip}, in(zip), true},
		{Guard{Container: zip}, in(zip, gz), false},
		{Guard{Container: zip}, in(gz, zip), true},
		{Guard{Intermediates: []string{anyType}}, raw, false},
		{Guard{Intermediates: []string{anyType}}, in(zip), true},
		{Guard{Intermediates: []string{zip}}, in(gz, zip), true},
		{Guard{Intermediates: []string{gz}}, in(gz, zip), false},
		{Guard{Intermediates: []string{gz, zip}}, in(gz, zip), true},
		{Guard{Intermediates: []string{zip, zip}}, in(zip), false},
		{Guard{Intermediates: []string{anyType, zip}}, in(zip), false},
		{Guard{Intermediates: []string{anyType, zip}}, in(gz, zip), true},
		{Guard{Intermediates: []string{zip, anyType}}, in(zip, gz), false},
		{Guard{Intermediates: []string{zip, anyType}}, in(gz, zip), true},
		{Guard{Intermediates: []string{zip, anyType}}, in(zip), false},
		{Guard{Intermediates: []string{gz, zip, anyType}}, in(zip, gz, zip), true},
		{Guard{Intermediates: []string{zip, anyType, zip}}, in(zip, gz, zip), false},
		{Guard{Intermediates: []string{zip, anyType, anyType}}, in(zip, gz, zip), true},
		{Guard{Container: zip, Intermediates: []string{gz}}, in(gz, zip), false},
		{Guard{Container: zip, Intermediates: []string{zip, zip}}, in(gz, zip, zip), true},
		{Guard{Container: anyType, Intermediates: []string{zip}}, in(zip), false},
		{
			Guard{Size: rg(1, 200), Entry: rg(1, 99), Sections: rg(1, 9), Container: zip, Intermediates: []string{zip}},
			&Facts{Size: 100, Executable: true, Entry: 40, Sections: 3, Ancestors: []string{zip}}, true,
		},
	} {
		r := condition(n(0), 1)
		r.Guard = c.g
		p, err := Encode(r)
		if err != nil || p.Check(1) != nil {
			t.Fatal(i, err, p.Check(1))
		}
		if got := p.Admits(c.f); got != c.want {
			t.Errorf("%d: %+v admits %+v: %v", i, c.g, *c.f, got)
		}
		// The condition behind the guard is found.
		if !p.Holds(func(int) uint32 { return 1 }) || p.Holds(func(int) uint32 { return 0 }) {
			t.Errorf("%d: condition lost", i)
		}
	}
}

func TestEncodeErrors(t *testing.T) {
	deep := n(0)
	for range maxDepth + 1 {
		deep = or(deep)
	}
	long := strings.Repeat("x", 256)
	for _, c := range []struct {
		r    Rule
		want string
	}{
		{Rule{Cond: n(5)}, "pattern 5 of 2"},
		{Rule{Cond: n(-1)}, "pattern -1 of 2"},
		{Rule{Cond: or()}, "0 operands"},
		{Rule{Cond: Node{Op: Group}}, "group of 0"},
		{Rule{Cond: Node{Op: 9}}, "unknown op"},
		{Rule{Cond: cmp(0, 9, 0)}, "unknown comparison"},
		{Rule{Cond: deep}, "deep"},
		{Rule{Guard: Guard{Container: long}}, "type name of 256"},
		{Rule{Guard: Guard{Intermediates: []string{""}}}, "type name of 0"},
		{Rule{Guard: Guard{Intermediates: make([]string, 256)}}, "256 intermediates"},
	} {
		c.r.Patterns = make([]pattern.Pattern, 2)
		if _, err := Encode(&c.r); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.r.Cond, err, c.want)
		}
	}
	many := condition(group(or(n(0), n(300)), Greater, 1, 2), 301)
	if _, err := Encode(many); err == nil {
		t.Error("more distinct patterns accepted than can be counted")
	}
}

// run does all that can be done with a program; it must come back.
func run(p Program, subs int) {
	for _, f := range []*Facts{{Entry: -1}, {Size: 1 << 40, Executable: true, Entry: 3, Sections: 4, Ancestors: []string{"CL_TYPE_ZIP", "a"}}} {
		p.Admits(f)
	}
	p.Holds(func(s int) uint32 {
		if s < 0 || s >= subs {
			panic("pattern that the rule does not have")
		}
		return uint32(s)
	})
}

func programs(t testing.TB, count int) []Program {
	r := random{rand.New(rand.NewPCG(12, 13))}
	out := make([]Program, count)
	for i := range out {
		rule := condition(r.node(3, 4), 4)
		if i%2 == 0 {
			rule.Guard = Guard{Size: &Range{1, 2}, Entry: &Range{3, 4}, Sections: &Range{5, 6}, Container: "CL_TYPE_ZIP", Intermediates: []string{"a", anyType}}
		}
		p, err := Encode(rule)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = p
	}
	return out
}

func TestCheckDamage(t *testing.T) {
	refused := 0
	for _, p := range programs(t, 200) {
		for j := range p {
			for _, x := range []byte{1, 2, 4, 0x10, 0x80, 0xff} {
				q := slices.Clone(p)
				q[j] ^= x
				if q.Check(4) != nil {
					refused++
					continue
				}
				run(q, 4)
			}
			if p[:j].Check(4) == nil {
				t.Errorf("%x cut at %d accepted", p, j)
			}
		}
		if append(slices.Clone(p), 0).Check(4) == nil {
			t.Errorf("%x with a byte more accepted", p)
		}
	}
	if refused < 1000 {
		t.Errorf("only %d refused", refused)
	}
}

func FuzzRuleCheck(f *testing.F) {
	for _, p := range programs(f, 20) {
		f.Add([]byte(p), 4)
	}
	f.Fuzz(func(t *testing.T, b []byte, subs int) {
		if p := Program(b); p.Check(subs) == nil {
			run(p, subs)
		}
	})
}

func TestEncodeIsDeterministic(t *testing.T) {
	if !reflect.DeepEqual(programs(t, 50), programs(t, 50)) {
		t.Error("two runs differ")
	}
}

func BenchmarkHolds(b *testing.B) {
	c := and(n(0), n(1), group(or(n(2), n(3), n(4)), Greater, 1, 2))
	p, err := Encode(condition(c, 5))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !p.Holds(func(int) uint32 { return 1 }) {
			b.Fatal("does not hold")
		}
	}
}

func TestMagic(t *testing.T) {
	data := []byte("MZ\x00\x00\x0c\x00\x00\x00\x12\x34\x56\x78PE\x00\x00")
	facts := Facts{Size: int64(len(data)), Read: func(off int64, n int) []byte {
		if off < 0 || off > int64(len(data)-n) {
			return nil
		}
		return data[off:][:n]
	}}
	for i, c := range []struct {
		magic []Magic
		want  bool
	}{
		{[]Magic{{Width: 2, Values: []uint64{0x5a4d}}}, true},
		{[]Magic{{Width: 2, Big: true, Values: []uint64{0x5a4d}}}, false},
		{[]Magic{{Width: 2, Big: true, Values: []uint64{0x7f45, 0x4d5a}}}, true},
		{[]Magic{{Width: 4, Offset: 8, Values: []uint64{0x78563412}}}, true},
		{[]Magic{{Width: 4, Offset: 13, Values: []uint64{0}}}, false},
		{[]Magic{{Width: 4, Offset: -1, Values: []uint64{0}}}, false},
		{[]Magic{{Width: 1, Offset: 15, Values: []uint64{0}}}, true},
		{[]Magic{{Width: 2, Offset: 4, Pointer: true, Values: []uint64{0x4550}}}, true},
		{[]Magic{{Width: 2, Offset: 8, Pointer: true, Values: []uint64{0x4550}}}, false},
		{[]Magic{{Width: 2, Values: []uint64{0x5a4d}}, {Width: 2, Offset: 4, Pointer: true, Values: []uint64{0x4551}}}, false},
		{[]Magic{{Width: 2}}, false},
	} {
		r := condition(Node{Op: True}, 0)
		r.Guard.Magic = c.magic
		r.Guard.Size = &Range{0, 100}
		p, err := Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Check(0); err != nil {
			t.Fatal(err)
		}
		if p.Admits(&facts) != c.want {
			t.Errorf("%d: %v, want %v", i, !c.want, c.want)
		}
		if !p.Holds(nil) {
			t.Errorf("%d: true does not hold", i)
		}
		for n := range p {
			if p[:n].Check(0) == nil {
				t.Errorf("%d: cut at %d passes", i, n)
			}
		}
	}
}
