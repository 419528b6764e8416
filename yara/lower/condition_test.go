package lower

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/code"
	"github.com/showcause/showcause/yara/eval"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// layerInput is bytes with matches of patterns, as the interpreter and as
// compiled conditions ask for them.
type layerInput struct {
	data    []byte
	res     *check.Result
	find    func(r *check.Rule, pattern int) []eval.Match
	cache   map[string][]eval.Match
	modules map[string]module.Value
	entry   int64
}

func newInput(res *check.Result, data []byte) *layerInput {
	in := &layerInput{data: data, res: res, cache: map[string][]eval.Match{}, modules: map[string]module.Value{}, entry: -1}
	in.find = func(r *check.Rule, i int) []eval.Match {
		p := r.Patterns[i]
		if p.Regexp != nil { // any places will do
			return madeUpMatches(data, p.Regexp.Text)
		}
		var out []eval.Match
		for _, m := range naive(p, r.Dialect, data) {
			out = append(out, eval.Match{Offset: int64(m.off), Length: int64(m.n)})
		}
		return out
	}
	return in
}

// madeUpMatches makes up matches.
func madeUpMatches(data []byte, seed string) (out []eval.Match) {
	n := sum(seed)
	for at := int64(n % 7); at < int64(len(data)) && len(out) < 5; at += 1 + int64(n%11) {
		out = append(out, eval.Match{Offset: at, Length: 1 + int64(n%3)})
	}
	return out
}

func sum(parts ...any) uint32 {
	h := fnv.New32a()
	fmt.Fprint(h, parts...)
	return h.Sum32()
}

func (in *layerInput) Size() int64 { return int64(len(in.data)) }

func (in *layerInput) Read(off int64, n int) []byte {
	if off < 0 || off > int64(len(in.data)) || int64(n) > int64(len(in.data))-off {
		return nil
	}
	return in.data[off : off+int64(n)]
}

func (in *layerInput) Matches(r *check.Rule, i int) []eval.Match {
	key := fmt.Sprintf("%p/%d", r.Rule, i)
	m, ok := in.cache[key]
	if !ok {
		m = in.find(r, i)
		in.cache[key] = m
	}
	return m
}

func (in *layerInput) Entry() (int64, bool) { return in.entry, in.entry >= 0 }

func (in *layerInput) Module(name string, d source.Dialect) module.Value {
	key := name + d.String()
	v, ok := in.modules[key]
	if !ok {
		if t := moduleType(name, d); t != nil {
			v = madeUp(t, name)
		}
		in.modules[key] = v
	}
	return v
}

// typesRead has what moduleType read before.
var typesRead sync.Map

// moduleType is the type of a module, those of the checker's tests among them.
func moduleType(name string, d source.Dialect) *module.Type {
	key := name + d.String()
	if t, ok := typesRead.Load(key); ok {
		return t.(*module.Type)
	}
	t := readType(name, d)
	typesRead.Store(key, t)
	return t
}

func readType(name string, d source.Dialect) *module.Type {
	if t := module.Load(name, d); t != nil {
		return t
	}
	return module.Load(name, source.Either) // of a module for tests, which must be there in both
}

// madeUp is a value of a type. It depends on path alone; some are undefined.
func madeUp(t *module.Type, path string) module.Value {
	n := int64(sum(path))
	if (n%7 == 0 || strings.HasSuffix(path, "_undef")) && t.Kind != module.Func {
		return module.Value{}
	}
	switch t.Kind {
	case module.Bool:
		return module.BoolValue(n%2 == 0)
	case module.Int:
		return module.IntValue([]int64{0, 1, 2, 3, n, -n, 1 << 40, 256}[n%8])
	case module.Float:
		return module.FloatValue(float64(n%9) / 2)
	case module.String:
		return module.TextValue([]string{"", "foo", "bar", "ABC", "abcd", "foo\x00bar"}[n%6])
	case module.Struct:
		return module.Value{Kind: module.Struct, Ref: fieldsOf{t, path}}
	case module.Array:
		out := make(module.List, n%4)
		for i := range out {
			out[i] = madeUp(t.Elem, fmt.Sprint(path, "/", i))
		}
		return module.Value{Kind: module.Array, Ref: out}
	case module.Map:
		var out pairsOf
		for i := range n % 3 {
			key := module.IntValue(100 * i)
			if t.Key == module.String {
				key = module.TextValue([]string{"foo", "bar"}[i])
			}
			out = append(out, [2]module.Value{key, madeUp(t.Elem, fmt.Sprint(path, "/", i))})
		}
		return module.Value{Kind: module.Map, Ref: out}
	case module.Func:
		return module.Value{Kind: module.Func, Ref: module.Function(func(a []module.Value) module.Value {
			for _, c := range t.Calls {
				if len(c.Args) == len(a) {
					return madeUp(c.Result, fmt.Sprint(path, a))
				}
			}
			return module.Value{}
		})}
	}
	return module.Value{}
}

// fieldsOf makes up the fields of a structure.
type fieldsOf struct {
	t    *module.Type
	path string
}

func (f fieldsOf) Field(name string) module.Value {
	field := f.t.Field(name)
	switch {
	case field == nil:
		return module.Value{}
	case field.Const != nil:
		return *field.Const
	}
	return madeUp(field.Type, f.path+"."+name)
}

type pairsOf [][2]module.Value

func (p pairsOf) Len() int                             { return len(p) }
func (p pairsOf) Pair(i int) (key, value module.Value) { return p[i][0], p[i][1] }
func (p pairsOf) Find(key module.Value) module.Value {
	for _, e := range p {
		if e[0].Kind == key.Kind && e[0].Int == key.Int && e[0].Text == key.Text {
			return e[1]
		}
	}
	return module.Value{}
}

// host is layerInput as one compiled rule sees it.
type host struct {
	*layerInput
	rule      *check.Rule
	deps      []*check.Rule
	holds     map[*check.Rule]bool
	stopped   map[*check.Rule]bool
	externals map[string]module.Value
	needs     []need // nil: all matches are shown
}

func (h *host) matches(p int) []eval.Match {
	all := h.Matches(h.rule, p)
	if h.needs == nil {
		return all
	}
	n := h.needs[p]
	if n.at >= 0 {
		for _, m := range all {
			if m.Offset == n.at {
				return []eval.Match{m}
			}
		}
		return nil
	}
	return all[:min(int64(len(all)), int64(n.count))]
}

func (h *host) Count(p int) int { return len(h.matches(p)) }

func (h *host) At(p, i int) (off, n int64) {
	m := h.matches(p)[i]
	return m.Offset, m.Length
}

func (h *host) Rule(dep int) (holds, known bool) {
	return h.holds[h.deps[dep]], !h.stopped[h.deps[dep]]
}

func (h *host) External(name string) (module.Value, bool) {
	v, ok := h.externals[name]
	return v, ok
}

// outcome is what compiled rules say, as eval.Outcome.
type outcome struct {
	holds, stopped map[*check.Rule]bool
}

// runCompiled compiles and runs all rules that have no error.
func runCompiled(t testing.TB, res *check.Result, in *layerInput, externals map[string]module.Value, limit int64) *outcome {
	t.Helper()
	out := &outcome{map[*check.Rule]bool{}, map[*check.Rule]bool{}}
	m := code.Machine{Limit: limit}
	raw := map[*check.Rule]bool{}
	for _, r := range res.Rules {
		if r.Bad || r.Ignored != "" || r.Cond == nil {
			continue
		}
		c, err := lowerCondition(res, r, externals)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if err := c.code.Check(len(r.Patterns), len(c.deps)); err != nil {
			t.Errorf("rule %s: %v", r.Name.Name, err)
			continue
		}
		h := &host{layerInput: in, rule: r, deps: c.deps, holds: raw, stopped: out.stopped, externals: externals}
		got := m.Run(c.code, h)
		h.needs = c.needs
		again := m.Run(c.code, h)
		if got.Holds != again.Holds || got.Stopped != again.Stopped {
			t.Errorf("rule %s: %+v, %+v with no more matches than it needs", r.Name.Name, got, again)
		}
		raw[r], out.stopped[r] = got.Holds, got.Stopped
		if got.Holds {
			necessary(t, in, r, &c)
		}
	}
	barred := map[string]bool{}
	for r, holds := range raw {
		barred[r.Namespace] = barred[r.Namespace] || r.Flag("global") && !holds
	}
	for r, holds := range raw {
		out.holds[r] = holds && !barred[r.Namespace]
	}
	return out
}

// necessary holds that what must hold does, of a rule that holds.
func necessary(t testing.TB, in *layerInput, r *check.Rule, c *condition) {
	t.Helper()
	count := func(p int) int64 { return int64(len(in.Matches(r, p))) }
	if !nodeHolds(&c.cond, count) {
		t.Errorf("rule %s holds and what must hold of its patterns does not: %s", r.Name.Name, c.cond.String())
	}
	if s := c.guard.Size; s != nil && (uint64(in.Size()) < s.Min || uint64(in.Size()) > s.Max) {
		t.Errorf("rule %s holds for %d bytes, the guard wants %+v", r.Name.Name, in.Size(), s)
	}
	for _, m := range c.guard.Magic {
		off := m.Offset
		if m.Pointer {
			b := in.Read(off, 4)
			if b == nil {
				t.Errorf("rule %s holds without a pointer at %d", r.Name.Name, off)
				continue
			}
			off = int64(b[0]) | int64(b[1])<<8 | int64(b[2])<<16 | int64(b[3])<<24
		}
		v, ok := uint64(0), false
		b := in.Read(off, int(m.Width))
		for _, c := range b {
			v = v<<8 | uint64(c)
		}
		for _, want := range m.Values {
			ok = ok || b != nil && v == want
		}
		if !ok {
			t.Errorf("rule %s holds, the guard wants %+v, there is %x", r.Name.Name, m, b)
		}
	}
}

// nodeHolds evaluates a node without its encoding.
func nodeHolds(n *rule.Node, count func(int) int64) bool {
	switch n.Op {
	case rule.True:
		return true
	case rule.Count:
		return count(n.Sub) > int64(n.N)
	case rule.Group:
		distinct := uint32(0)
		kids := []rule.Node{n.Kids[0]}
		if n.Kids[0].Op == rule.Or {
			kids = n.Kids[0].Kids
		}
		for i := range kids {
			if nodeHolds(&kids[i], count) {
				distinct++
			}
		}
		return distinct >= n.Distinct
	}
	for i := range n.Kids {
		if nodeHolds(&n.Kids[i], count) == (n.Op == rule.Or) {
			return n.Op == rule.Or
		}
	}
	return n.Op == rule.And
}

// compare runs a source through both and tells of differences. It says whether
// the rules were run.
func compare(t testing.TB, text string, d source.Dialect, data []byte, externals map[string]module.Value, limit int64) bool {
	t.Helper()
	var set source.Sources
	src, err := set.Add("t.yar", text)
	if err != nil {
		return false
	}
	res := check.Check(&set, []check.Input{{Source: src}}, check.Options{Dialect: d, Module: moduleType, Externals: externals})
	in := newInput(res, data)
	want := eval.Run(res, in, eval.Options{Externals: externals, Limit: limit})
	got := runCompiled(t, res, in, externals, limit)
	for _, r := range want.Stopped {
		got.stopped[r] = true
	}
	ran := false
	for _, r := range res.Rules {
		w, ok := want.Holds[r]
		if !ok || got.stopped[r] || len(want.Stopped) > 0 && r.Namespace != "" {
			continue
		}
		ran = true
		if got.holds[r] != w && !anyStopped(got) {
			t.Errorf("compiled %v, interpreted %v (%s) over %q:\n%s", got.holds[r], w, d, data, src.Slice(r.Span))
		}
	}
	return ran
}

func anyStopped(o *outcome) bool {
	for _, s := range o.stopped {
		if s {
			return true
		}
	}
	return false
}

type conformanceCase struct {
	ID, Suite, Expect, Rule, Input string
	RuleHex                        string `json:"rule_hex"`
	Externals                      map[string]any
}

// TestConformanceCompiled holds that every case of the outside data has the same
// outcome compiled and interpreted.
func TestConformanceCompiled(t *testing.T) {
	root := os.Getenv("SHOWCAUSE_DATA")
	if root == "" {
		root = "../../../shared/data"
	}
	file, err := os.ReadFile(filepath.Join(root, "yara/conformance.jsonl"))
	if err != nil {
		t.Skip("no outside data: SHOWCAUSE_DATA")
	}
	ran := 0
	for line := range bytes.Lines(file) {
		var c conformanceCase
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.UseNumber()
		if err := dec.Decode(&c); err != nil {
			t.Fatal(err)
		}
		if c.RuleHex != "" {
			b, _ := hex.DecodeString(c.RuleHex)
			c.Rule = string(b)
		}
		data, _ := hex.DecodeString(c.Input)
		externals := map[string]module.Value{}
		for name, v := range c.Externals {
			switch v := v.(type) {
			case bool:
				externals[name] = module.BoolValue(v)
			case string:
				externals[name] = module.TextValue(v)
			case json.Number:
				if n, err := v.Int64(); err == nil {
					externals[name] = module.IntValue(n)
				} else {
					f, _ := v.Float64()
					externals[name] = module.FloatValue(f)
				}
			}
		}
		for _, d := range []source.Dialect{source.YARA, source.YARAX, source.Either} {
			ok := compare(t, c.Rule, d, data, externals, 1<<20)
			if t.Failed() {
				t.Fatalf("%s in %s", c.ID, d)
			}
			if ok {
				ran++
			}
		}
	}
	if ran < 1500 {
		t.Errorf("only %d were run", ran)
	}
	t.Logf("%d runs", ran)
}
