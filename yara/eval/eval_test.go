package eval

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/showcause/showcause/yara/calc"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/doubles"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// input is bytes with the naive matches of patterns.
type input struct {
	data  []byte
	res   *check.Result
	cache map[string][]Match
}

func (in *input) Size() int64 { return int64(len(in.data)) }

func (in *input) Read(off int64, n int) []byte {
	if off < 0 || off+int64(n) > int64(len(in.data)) {
		return nil
	}
	return in.data[off : off+int64(n)]
}

func (in *input) Matches(r *check.Rule, i int) []Match {
	key := fmt.Sprintf("%p/%d", r.Rule, i)
	m, ok := in.cache[key]
	if !ok {
		m = naive(in.res, r, r.Patterns[i], in.data)
		in.cache[key] = m
	}
	return m
}

func (in *input) Entry() (int64, bool) {
	if e := in.data; len(e) > 0x40 && e[0] == 'M' {
		return peEntry(e)
	}
	f, err := elf.NewFile(bytes.NewReader(in.data))
	if err != nil {
		return 0, false
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && f.Entry >= p.Vaddr && f.Entry < p.Vaddr+p.Memsz {
			return int64(f.Entry - p.Vaddr + p.Off), true
		}
	}
	return 0, false
}

// peEntry is the entry point of a small PE file with 32-bit headers.
func peEntry(b []byte) (int64, bool) {
	u32 := func(off uint32) uint32 { return binary.LittleEndian.Uint32(b[off:]) }
	pe := u32(0x3C)
	entry := u32(pe + 0x28)
	section := pe + 0x18 + uint32(binary.LittleEndian.Uint16(b[pe+0x14:]))
	for n := binary.LittleEndian.Uint16(b[pe+6:]); n > 0; n-- {
		if at := u32(section + 12); entry >= at && entry < at+max(u32(section+8), u32(section+16)) {
			return int64(entry - at + u32(section+20)), true
		}
		section += 40
	}
	return int64(entry), true
}

func (in *input) Module(name string, d source.Dialect) module.Value {
	if v, ok := calc.Module(name, in, calc.Host{Dialect: d, Now: 1}); ok {
		return v
	}
	if t := module.Load(name, d); t != nil {
		return module.Constants(t, doubles.Fields(name, nil, nil))
	}
	return module.Value{}
}

// conformance reads the cases of the outside data.
type conformanceCase struct {
	ID, Suite, Expect, Rule, Input, Capture string
	RuleHex                                 string `json:"rule_hex"`
	Count                                   *int
	Modules                                 []string
	Externals                               map[string]any
}

func external(v any) module.Value {
	switch v := v.(type) {
	case bool:
		return module.BoolValue(v)
	case string:
		return module.TextValue(v)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return module.IntValue(n)
		}
		f, _ := v.Float64()
		return module.FloatValue(f)
	}
	return module.Value{}
}

func data(t testing.TB, path string) string {
	root := os.Getenv("SHOWCAUSE_DATA")
	if root == "" {
		root = "../../../shared/data"
	}
	path = filepath.Join(root, path)
	if _, err := os.Stat(path); err != nil {
		t.Skip("no outside data: SHOWCAUSE_DATA")
	}
	return path
}

// absent are the modules whose values are not made here.
const absent = " pe elf macho dex magic "

// outside are cases that are not held, with the reason.
var outside = map[string]string{
	"lib/src/tests/mod.rs:724":  "the case lacks the import of its module",
	"lib/src/tests/mod.rs:1481": "asks for the relaxed reading of regular expressions, which the case does not say",
}

// TestConformance runs every case that can be run: matches by the naive matcher,
// conditions by the evaluator.
func TestConformance(t *testing.T) {
	file, err := os.ReadFile(data(t, "yara/conformance.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for line := range bytes.Lines(file) {
		var c conformanceCase
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.UseNumber()
		if err := dec.Decode(&c); err != nil {
			t.Fatal(err)
		}
		if c.Expect != "match" && c.Expect != "nomatch" && c.Expect != "match_string" {
			continue
		}
		counts[c.Suite+" all"]++
		why := runCase(t, &c)
		switch {
		case why == "":
			counts[c.Suite+" passed"]++
		case strings.HasPrefix(why, "module "):
			counts[c.Suite+" left out: "+why]++
		case outside[c.ID] != "":
			t.Logf("%s %s: %s", c.Suite, c.ID, outside[c.ID])
		default:
			t.Errorf("%s %s: %s\n%s\n%.200q", c.Suite, c.ID, why, c.Rule, c.Input)
		}
	}
	var keys []string
	for k := range counts {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		t.Logf("%s: %d", k, counts[k])
	}
}

// runCase says why a case fails, empty if it does not.
func runCase(t *testing.T, c *conformanceCase) string {
	if c.RuleHex != "" {
		b, err := hex.DecodeString(c.RuleHex)
		if err != nil {
			t.Fatal(err)
		}
		c.Rule = string(b)
	}
	bin, err := hex.DecodeString(c.Input)
	if err != nil {
		t.Fatal(err)
	}
	d := source.YARA
	if c.Suite == "yara-x" {
		d = source.YARAX
	}
	ext := map[string]module.Value{}
	for name, v := range c.Externals {
		ext[name] = external(v)
	}
	var set source.Sources
	src, err := set.Add("test.yar", c.Rule)
	if err != nil {
		t.Fatal(err)
	}
	res := check.Check(&set, []check.Input{{Source: src}}, check.Options{Dialect: d, Externals: ext})
	if res.Failed() {
		return "does not compile: " + res.Diags[0].Title
	}
	in := &input{data: bin, res: res, cache: map[string][]Match{}}
	out := Run(res, in, Options{Externals: ext})
	if len(out.Stopped) > 0 {
		return "step limit"
	}
	n := 0
	for r, holds := range out.Holds {
		if holds && !r.Flag("private") {
			n++
		}
	}
	for _, m := range c.Modules {
		if strings.Contains(absent, " "+m+" ") && (n > 0) != (c.Expect != "nomatch") {
			return "module " + m
		}
	}
	switch {
	case c.Expect == "nomatch" && n > 0:
		return "matches"
	case c.Expect != "nomatch" && n == 0:
		return "does not match"
	case c.Count != nil && *c.Count != n:
		return fmt.Sprintf("%d rules match, want %d", n, *c.Count)
	}
	return captured(c, in, res)
}

// captured says why no match covers the bytes that are asked for.
func captured(c *conformanceCase, in *input, res *check.Result) string {
	if c.Capture == "" {
		return ""
	}
	want, err := hex.DecodeString(c.Capture)
	if err != nil {
		return err.Error()
	}
	var have []string
	for _, r := range res.Rules {
		for i := range r.Patterns {
			for _, m := range in.Matches(r, i) {
				got := in.data[m.Offset : m.Offset+m.Length]
				if bytes.Equal(got, want) {
					return ""
				}
				have = append(have, fmt.Sprintf("%q", got))
			}
		}
	}
	return fmt.Sprintf("no match is %q: %.300s", want, strings.Join(have, " "))
}
