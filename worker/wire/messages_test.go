package wire

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/yara/module"
)

func TestSettings(t *testing.T) {
	in := Settings{
		Limits: showcause.Limits{FileSize: 1, ScanSize: 2, Objects: 3, Depth: 4, Ratio: 5, Work: math.MaxInt64},
		Names:  true, Digests: true, Scratch: true, Formats: FormatSet{1<<63 | 5, 1<<63 | 9}, Memory: 7, Spill: 8,
		TopOnly: true, Matches: 9, Now: 10,
	}
	b := in.Encode()
	if len(b) != rulesSize {
		t.Fatalf("%d bytes, %d expected", len(b), rulesSize)
	}
	if out, err := DecodeSettings(b); err != nil || out != in {
		t.Errorf("%+v %v", out, err)
	}
	for i := range b {
		if _, err := DecodeSettings(b[:i]); err == nil {
			t.Errorf("%d bytes are enough", i)
		}
	}
	if _, err := DecodeSettings(append(b, 0, 0)); err == nil {
		t.Error("a byte behind")
	}
}

func TestFormatSet(t *testing.T) {
	for i := range MaxFormats {
		var s FormatSet
		s.Add(i)
		out, err := DecodeSettings((&Settings{Formats: s}).Encode())
		if err != nil {
			t.Fatal(err)
		}
		for k := -1; k <= MaxFormats; k++ {
			if out.Formats.Has(k) != (k == i) {
				t.Errorf("with %d it has %d: %v", i, k, k != i)
			}
		}
	}
}

// nested is a structure with an array of structures.
var nested = module.Value{Kind: module.Struct, Ref: module.Tree{
	"list": listOf(module.Value{Kind: module.Struct, Ref: module.Tree{"x": module.TextValue("deep")}}), "n": module.IntValue(7),
}}

func listOf(all ...module.Value) module.Value {
	return module.Value{Kind: module.Array, Ref: append(module.List{}, all...)}
}

// someValues are external variables as they travel.
func someValues(t testing.TB) string {
	s, err := EncodeExternals(map[string]module.Value{
		"i": module.IntValue(-1), "f": module.FloatValue(0.5), "b": module.BoolValue(true), "s": module.TextValue("a\x00\xff"),
		"l": listOf(module.IntValue(1), module.IntValue(2)), "e": listOf(), "m": nested,
	}, MaxJobExternals)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestExternals(t *testing.T) {
	s := someValues(t)
	back, err := DecodeExternals(s)
	if err != nil || len(back) != 7 || back["i"].Int != -1 || back["f"].Float != 0.5 || !back["b"].Truth() || back["s"].Text != "a\x00\xff" ||
		!reflect.DeepEqual(back["l"], listOf(module.IntValue(1), module.IntValue(2))) || !reflect.DeepEqual(back["e"], listOf()) || !reflect.DeepEqual(back["m"], nested) {
		t.Errorf("%+v %v", back, err)
	}
	for i := 1; i < len(s); i++ {
		if _, err := DecodeExternals(s[:i]); err == nil {
			t.Errorf("%d bytes are enough", i)
		}
	}
	if _, err := DecodeExternals(s + "\x00"); err == nil {
		t.Error("a byte behind")
	}
	for name, bad := range map[string]map[string]module.Value{
		"too long":    {"s": module.TextValue(strings.Repeat("x", MaxJobExternals))},
		"long name":   {strings.Repeat("x", 256): module.IntValue(1)},
		"long list":   {"s": {Kind: module.Array, Ref: make(module.List, MaxJobExternals)}},
		"deep":        {"s": deep(maxNesting + 1)},
		"a map":       {"s": {Kind: module.Map}},
		"a function":  {"s": listOf(module.Value{Kind: module.Func})},
		"no array":    {"s": {Kind: module.Array}},
		"of no value": {"s": {}},
	} {
		if _, err := EncodeExternals(bad, MaxJobExternals); err == nil {
			t.Error(name)
		}
	}
	set := Settings{Externals: s}
	if out, err := DecodeSettings(set.Encode()); err != nil || out != set {
		t.Errorf("%+v %v", out, err)
	}
}

// deep is a number in so many arrays.
func deep(n int) module.Value {
	v := module.IntValue(1)
	for range n {
		v = listOf(v)
	}
	return v
}

func TestNesting(t *testing.T) {
	for n, want := range map[int]bool{maxNesting: true, maxNesting + 1: false} {
		b := append([]byte{1, 0, 1, 'x'}, bytes.Repeat([]byte{uint8(module.Array), 1, 0, 0, 0}, n)...)
		b = append(append(b, uint8(module.Int)), make([]byte, 8)...)
		if got, err := DecodeExternals(string(b)); (err == nil) != want || err == nil && !reflect.DeepEqual(got["x"], func() module.Value { v := deep(n); zero(v); return v }()) {
			t.Errorf("%d levels: %+v %v", n, got, err)
		}
	}
	twice := "\x01\x00\x01x" + string(rune(module.Struct)) + "\x02\x00\x00\x00" + strings.Repeat("\x01y"+string(rune(module.Int))+"\x00\x00\x00\x00\x00\x00\x00\x00", 2)
	if _, err := DecodeExternals(twice); err == nil {
		t.Error("a field twice")
	}
}

// zero makes the number in arrays 0.
func zero(v module.Value) {
	list := v.Ref.(module.List)
	if list[0].Kind == module.Array {
		zero(list[0])
		return
	}
	list[0] = module.IntValue(0)
}

// TestFewExternals holds that a message with more external variables than a reader
// has room for is none.
func TestFewExternals(t *testing.T) {
	long, err := EncodeExternals(map[string]module.Value{"p": module.TextValue(strings.Repeat("x", MaxJobExternals-20))}, MaxJobExternals)
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]bool{MaxJobsExternal / len(long): true, MaxJobsExternal/len(long) + 2: false} {
		b := AppendOrders(nil, false, slices.Repeat([]Order{{ID: 1, Size: 2, Externals: long}}, n))
		if _, _, err := DecodeOrders(b, nil); (err == nil) != want || want && len(b) > MaxJobs {
			t.Errorf("%d: %d bytes of %d, %v", n, len(b), MaxJobs, err)
		}
	}
}

func TestOrders(t *testing.T) {
	in := []Order{
		{ID: 1},
		{ID: math.MaxUint64, Size: math.MaxInt64, Externals: someValues(t), Holes: []Hole{{0, 5}, {5, math.MaxInt64 - 5}}},
		{ID: 5, Size: 3, Externals: someValues(t), Here: true, Content: []byte("abc")},
		{ID: 6, Here: true, Content: []byte{}},
		{ID: 3, Size: 4, Holes: []Hole{{3, 1}}},
	}
	b := AppendOrders(nil, true, in)
	out, atOnce, err := DecodeOrders(b, nil)
	if err != nil || !atOnce || !reflect.DeepEqual(in, out) {
		t.Errorf("%v %v %v", out, atOnce, err)
	}
	for i := range b {
		if _, _, err := DecodeOrders(b[:i], nil); err == nil {
			t.Errorf("%d bytes are enough", i)
		}
	}
	for name, bad := range map[string][]byte{
		"none":                        AppendOrders(nil, false, nil),
		"too many":                    AppendOrders(nil, false, make([]Order, MaxBatch+1)),
		"negative":                    AppendOrders(nil, false, []Order{{ID: 1, Size: -1}}),
		"a hole that is too long":     AppendOrders(nil, false, []Order{{ID: 1, Size: 5, Holes: []Hole{{1, 5}}}}),
		"a hole behind the end":       AppendOrders(nil, false, []Order{{ID: 1, Size: 5, Holes: []Hole{{6, 1}}}}),
		"a hole of nothing":           AppendOrders(nil, false, []Order{{ID: 1, Size: 5, Holes: []Hole{{1, 0}}}}),
		"a hole of less":              AppendOrders(nil, false, []Order{{ID: 1, Size: 5, Holes: []Hole{{1, -1}}}}),
		"a hole in front":             AppendOrders(nil, false, []Order{{ID: 1, Size: 5, Holes: []Hole{{-1, 2}}}}),
		"holes that are not in order": AppendOrders(nil, false, []Order{{ID: 1, Size: 5, Holes: []Hole{{1, 2}, {2, 2}}}}),
		"too many holes":              AppendOrders(nil, false, []Order{{ID: 1, Size: 99, Holes: slices.Repeat([]Hole{{}}, MaxHoles+1)}}),
		"content of another size":     AppendOrders(nil, false, []Order{{ID: 1, Size: 2, Here: true, Content: []byte("a")}}),
		"content with holes":          AppendOrders(nil, false, []Order{{ID: 1, Size: 1, Here: true, Content: []byte("a"), Holes: []Hole{{0, 1}}}}),
		"long content":                AppendOrders(nil, false, []Order{{ID: 1, Size: MaxContent + 1, Here: true, Content: make([]byte, MaxContent+1)}}),
		"much content": AppendOrders(nil, false, slices.Repeat([]Order{{
			ID: 1, Size: MaxContent, Here: true, Content: make([]byte, MaxContent),
		}}, MaxJobsContent/MaxContent+1)),
		"behind": append(b, 0),
	} {
		if _, _, err := DecodeOrders(bad, nil); err == nil {
			t.Error(name)
		}
	}
}

// both are an encoder and a decoder that fit. With excerpts there are digests too,
// and with those and names the lines of rules.
func both(names, excerpts bool) (*Encoder, *Decoder) {
	s := Settings{Names: names, Excerpts: excerpts, Digests: excerpts, Logs: names && excerpts}
	return NewEncoder(&s), NewDecoder(&s, database())
}

// random returns a report as a reader could make it.
func random(t testing.TB, rng *rand.Rand, names, excerpts bool) showcause.Report {
	w := newWords()
	size := int64(rng.IntN(1 << 20))
	trail := func() showcause.Trail {
		var tr showcause.Trail
		for range rng.IntN(5) {
			s := showcause.Step{Index: rng.IntN(1 << 20), Op: w.ops[rng.IntN(len(w.ops))]}
			if names && rng.IntN(2) == 0 {
				s.Name = strings.Repeat("n\xff\x00", rng.IntN(20))
			}
			tr = tr.Child(s)
		}
		return tr
	}
	r := showcause.Report{
		Type: w.types[rng.IntN(len(w.types))], Size: size,
		Spent: showcause.Spent{Bytes: rng.Int64N(maxNumber + 1), Objects: rng.Int64N(100_002), Depth: rng.IntN(32), Work: rng.Int64N(maxNumber + 1)},
	}
	for range rng.IntN(4) {
		name := []string{"Test.Marker", "Test.Logical", "Test.Digest"}[rng.IntN(3)]
		f := showcause.Finding{Trail: trail(), Index: ruleOf(t, name)}
		info, err := database().Info(f.Index)
		if err != nil {
			t.Fatal(err)
		}
		f.Rule, f.Digest = info.Name, info.Digest
		if rng.IntN(3) == 0 {
			f.AllowedIndex = ruleOf(t, "Test.Allow")
			f.Allowed = database().Name(f.AllowedIndex)
		}
		if excerpts {
			f.Chain = make([]showcause.Link, len(f.Trail)+1)
			for i := range f.Chain {
				f.Chain[i] = showcause.Link{Digest: showcause.SHA256{byte(rng.Uint32())}, Size: size}
			}
			for range info.Patterns {
				f.Counts = append(f.Counts, rng.Uint32())
			}
		}
		for p := range max(len(info.Patterns), 1) {
			for range rng.IntN(4) {
				m := showcause.Match{Pattern: p, Offset: rng.Int64N(size + 1)}
				m.Length = rng.Int64N(size - m.Offset + 1)
				if excerpts {
					b := make([]byte, rng.Int64N(min(m.Length, showcause.MaxExcerpt)+1))
					m.Excerpt = hex.EncodeToString(b)
				}
				f.Matches = append(f.Matches, m)
			}
		}
		r.Findings = append(r.Findings, f)
	}
	for range rng.IntN(4) {
		g := showcause.Gap{Trail: trail(), Code: w.codes[rng.IntN(len(w.codes))], Offset: rng.Int64N(size + 1), Length: rng.Int64N(maxNumber+2) - 1}
		r.Gaps = append(r.Gaps, g)
	}
	for range rng.IntN(4) {
		if names && excerpts {
			r.Logs = append(r.Logs, strings.Repeat("line ", rng.IntN(200)))
		}
	}
	r.Conclude()
	return r
}

// body is what stands behind a frame's head.
func body(frame []byte) []byte { return frame[FrameHead:] }

func TestRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for i := range 2000 {
		names, excerpts := i&1 != 0, i&2 != 0
		e, d := both(names, excerpts)
		in := random(t, rng, names, excerpts)
		frame := e.Report(nil, uint64(i), &in)
		if int(le.Uint32(frame)) != len(frame)-4 {
			t.Fatalf("length %d of %d bytes", le.Uint32(frame), len(frame))
		}
		out, err := d.Report(body(frame), uint64(i), in.Size, 1<<40)
		if err != nil || !reflect.DeepEqual(in, out) {
			t.Fatalf("%v\n%+v\n%+v", err, in, out)
		}
	}
}

// TestTruncated cuts a report at every byte, and puts one behind it.
func TestTruncated(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for i := range 40 {
		e, d := both(i&1 != 0, i&2 != 0)
		in := random(t, rng, e.names, e.excerpts)
		b := body(e.Report(nil, 1, &in))
		for n := range b {
			if _, err := d.Report(b[:n], 1, in.Size, 1<<40); err == nil {
				t.Fatalf("%d of %d bytes are a report", n, len(b))
			}
		}
		if _, err := d.Report(append(b, 0), 1, in.Size, 1<<40); err == nil {
			t.Error("a byte behind is let pass")
		}
	}
}

// TestQuoteless holds that no byte of the input is in a report that was not to
// quote it.
func TestQuoteless(t *testing.T) {
	e, d := both(false, false)
	in := showcause.Report{
		Type: "zip", Size: 100,
		Findings: []showcause.Finding{{
			Index: ruleOf(t, "Test.Marker"), Trail: showcause.Trail{{Op: "zip.stored", Name: "SECRET"}},
			Matches: []showcause.Match{{Length: 4, Excerpt: hex.EncodeToString([]byte("SECRET"))}},
		}},
		Gaps: []showcause.Gap{{Trail: showcause.Trail{{Op: "zip.stored", Name: "SECRET"}}, Code: "SECRET"}},
	}
	b := e.Report(nil, 1, &in)
	if bytes.Contains(b, []byte("SECRET")) {
		t.Error("quoted")
	}
	out, err := d.Report(body(b), 1, 100, 1<<40)
	if err != nil || out.Findings[0].Trail[0].Name != "" || out.Findings[0].Matches[0].Excerpt != "" || out.Gaps[0].Code != otherCode {
		t.Errorf("%+v %v", out, err)
	}
}

// TestLies holds that a number out of its range is refused.
func TestLies(t *testing.T) {
	good := func() showcause.Report {
		return showcause.Report{
			Type: "zip", Size: 1000, Spent: showcause.Spent{Bytes: 1, Objects: 2, Depth: 3, Work: 4},
			Findings: []showcause.Finding{{
				Index: ruleOf(t, "Test.Logical"), Trail: showcause.Trail{{Index: 1, Op: "zip.stored", Name: "n"}},
				Matches: []showcause.Match{{Pattern: 1, Offset: 10, Length: 4}},
			}},
			Gaps: []showcause.Gap{{Code: showcause.Corrupt, Offset: 1, Length: -1}},
		}
	}
	many := func(n int) []showcause.Match { return make([]showcause.Match, n) }
	e, d := both(true, false)
	for name, c := range map[string]struct {
		change func(*showcause.Report)
		ok     bool
	}{
		"nothing":         {func(*showcause.Report) {}, true},
		"size":            {func(r *showcause.Report) { r.Size = 999 }, false},
		"bytes":           {func(r *showcause.Report) { r.Spent.Bytes = -1 }, false},
		"objects":         {func(r *showcause.Report) { r.Spent.Objects = -1 }, false},
		"all objects":     {func(r *showcause.Report) { r.Spent.Objects = 100_001 }, true}, // the default and the input
		"more objects":    {func(r *showcause.Report) { r.Spent.Objects = 100_002 }, false},
		"no such objects": {func(r *showcause.Report) { r.Spent.Objects = 1 << 60 }, false},
		"many bytes":      {func(r *showcause.Report) { r.Spent.Bytes = 1<<53 - 1 }, true},
		"no such bytes":   {func(r *showcause.Report) { r.Spent.Bytes = 1 << 53 }, false},
		"no such work":    {func(r *showcause.Report) { r.Spent.Work = 1 << 53 }, false},
		"depth":           {func(r *showcause.Report) { r.Spent.Depth = 1 << 40 }, false},
		"work":            {func(r *showcause.Report) { r.Spent.Work = math.MinInt64 }, false},
		"no rule":         {func(r *showcause.Report) { r.Findings[0].Index = uint32(database().Len()) }, false},
		"far rule":        {func(r *showcause.Report) { r.Findings[0].Index = math.MaxUint32 }, false},
		"allow-list rule": {func(r *showcause.Report) { r.Findings[0].Index = ruleOf(t, "Test.Allow") }, false},
		"allowed": {func(r *showcause.Report) {
			r.Findings[0].Allowed, r.Findings[0].AllowedIndex = "x", ruleOf(t, "Test.Allow")
		}, true},
		"allowed by other": {func(r *showcause.Report) {
			r.Findings[0].Allowed, r.Findings[0].AllowedIndex = "x", ruleOf(t, "Test.Digest")
		}, false},
		"allowed by none": {func(r *showcause.Report) { r.Findings[0].Allowed, r.Findings[0].AllowedIndex = "x", 9999 }, false},
		"pattern":         {func(r *showcause.Report) { r.Findings[0].Matches[0].Pattern = 2 }, false},
		"pattern below":   {func(r *showcause.Report) { r.Findings[0].Matches[0].Pattern = -1 }, false},
		"offset below":    {func(r *showcause.Report) { r.Findings[0].Matches[0].Offset = -1 }, false},
		"length below":    {func(r *showcause.Report) { r.Findings[0].Matches[0].Length = -1 }, false},
		"deep offset":     {func(r *showcause.Report) { r.Findings[0].Matches[0].Offset = 1 << 30 }, true},
		"too deep offset": {func(r *showcause.Report) { r.Findings[0].Matches[0].Offset = 1<<32 - 3 }, false},
		"sum that wraps": {func(r *showcause.Report) {
			r.Findings[0].Matches[0].Offset, r.Findings[0].Matches[0].Length = math.MaxInt64, 2
		}, false},
		"root offset":       {func(r *showcause.Report) { r.Findings[0].Trail = nil; r.Findings[0].Matches[0].Offset = 997 }, false},
		"root offset, last": {func(r *showcause.Report) { r.Findings[0].Trail = nil; r.Findings[0].Matches[0].Offset = 996 }, true},
		"matches":           {func(r *showcause.Report) { r.Findings[0].Matches = many(showcause.MaxMatches) }, true},
		"one pattern":       {func(r *showcause.Report) { r.Findings[0].Matches = many(showcause.MaxMatches + 1) }, false},
		"all patterns":      {func(r *showcause.Report) { r.Findings[0].Matches = many(2*showcause.MaxMatches + 1) }, false},
		"step":              {func(r *showcause.Report) { r.Findings[0].Trail[0].Index = -1 }, false},
		"high step":         {func(r *showcause.Report) { r.Findings[0].Trail[0].Index = 1<<53 - 1 }, true},
		"no such step":      {func(r *showcause.Report) { r.Findings[0].Trail[0].Index = 1 << 53 }, false},
		"gap of no length":  {func(r *showcause.Report) { r.Gaps[0].Length = math.MaxInt64 }, true}, // of a header: not known then
		"trail":             {func(r *showcause.Report) { r.Findings[0].Trail = make(showcause.Trail, 34) }, true},
		"long trail":        {func(r *showcause.Report) { r.Findings[0].Trail = make(showcause.Trail, 35) }, false},
		"gap of a child": {func(r *showcause.Report) {
			r.Gaps[0].Trail = make(showcause.Trail, 1)
			r.Gaps[0].Offset = math.MaxInt64
		}, true},
	} {
		r := good()
		c.change(&r)
		if _, err := d.Report(body(e.Report(nil, 7, &r)), 7, 1000, 1<<40); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	r := good()
	b := body(e.Report(nil, 7, &r))
	if _, err := d.Report(b, 8, 1000, 1<<40); err == nil {
		t.Error("the answer for another job")
	}
	poke := func(at int, v byte) []byte {
		c := bytes.Clone(b)
		c[at] = v
		return c
	}
	for name, bad := range map[string][]byte{
		"type":          poke(8, uint8(len(filetype.All()))),
		"findings":      poke(ReportHead-12+3, 0x10),
		"more findings": poke(ReportHead-12, 2),
		"matches":       poke(ReportHead-8, 2),
		"no matches":    poke(ReportHead-8, 0),
		"all matches":   poke(ReportHead-8+3, 0xff),
		"gaps":          poke(ReportHead-4+3, 0xff),
		"fewer gaps":    poke(ReportHead-4, 0),
		"code":          poke(len(b)-17, 0xff),
		"gap length":    poke(len(b)-1, 0x80),
		"gap offset":    poke(len(b)-9, 0x80),
		"far gap":       poke(len(b)-10, 1),
	} {
		if _, err := d.Report(bad, 7, 1000, 1<<40); err == nil {
			t.Errorf("%s: let pass", name)
		}
	}
	r.Gaps[0].Trail, r.Gaps[0].Offset, r.Gaps[0].Length = make(showcause.Trail, 1), math.MaxInt64, math.MaxInt64
	b = body(e.Report(nil, 7, &r))
	out, err := d.Report(b, 7, 1000, 1<<40)
	if err != nil || out.Gaps[0].Offset != maxNumber || out.Gaps[0].Length != -1 {
		t.Errorf("a gap of a header: %+v %v", out.Gaps, err)
	}
	for name, bad := range map[string][]byte{
		"length": bytes.Clone(b), "offset": bytes.Clone(b),
	} {
		at := len(b) - 8
		if name == "offset" {
			at -= 8
		}
		le.PutUint64(bad[at:], maxNumber)
		if _, err := d.Report(bad, 7, 1000, 1<<40); err != nil {
			t.Errorf("the greatest %s: %v", name, err)
		}
		le.PutUint64(bad[at:], maxNumber+1)
		if _, err := d.Report(bad, 7, 1000, 1<<40); err == nil {
			t.Errorf("%s past what a record has: let pass", name)
		}
	}
}

// TestChainLies holds that a chain that is none is refused.
func TestChainLies(t *testing.T) {
	e, d := both(false, true)
	for name, c := range map[string]struct {
		change func(*showcause.Finding)
		ok     bool
	}{
		"nothing":          {func(*showcause.Finding) {}, true},
		"no counts":        {func(f *showcause.Finding) { f.Counts = nil }, true},
		"a count":          {func(f *showcause.Finding) { f.Counts = f.Counts[:1] }, false},
		"three counts":     {func(f *showcause.Finding) { f.Counts = append(f.Counts, 1) }, false},
		"input too large":  {func(f *showcause.Finding) { f.Chain[0].Size = 1001 }, false},
		"input cut":        {func(f *showcause.Finding) { f.Chain[0].Size = 10 }, true},
		"negative":         {func(f *showcause.Finding) { f.Chain[0].Size = -1 }, false},
		"child too large":  {func(f *showcause.Finding) { f.Chain[1].Size = 4<<30 + 1 }, false},
		"large child":      {func(f *showcause.Finding) { f.Chain[1].Size = 4 << 30 }, true},
		"match behind end": {func(f *showcause.Finding) { f.Chain[1].Size = 13 }, false},
		"match at end":     {func(f *showcause.Finding) { f.Chain[1].Size = 14 }, true},
	} {
		f := showcause.Finding{
			Index: ruleOf(t, "Test.Logical"), Trail: showcause.Trail{{Index: 1, Op: "zip.stored"}},
			Chain: []showcause.Link{{Size: 1000}, {Size: 500}}, Counts: []uint32{1, 70},
			Matches: []showcause.Match{{Pattern: 1, Offset: 10, Length: 4, Excerpt: "00"}},
		}
		c.change(&f)
		r := showcause.Report{Type: "zip", Size: 1000, Findings: []showcause.Finding{f}}
		if _, err := d.Report(body(e.Report(nil, 7, &r)), 7, 1000, 1<<40); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFit holds that a report of any size fits, and keeps what makes its verdict.
func TestFit(t *testing.T) {
	deep := make(showcause.Trail, 32)
	for i := range deep {
		deep[i] = showcause.Step{Index: i, Op: "zip.stored", Name: strings.Repeat("x", unpack.MaxName)}
	}
	for _, names := range []bool{false, true} {
		e, d := both(names, names)
		r := showcause.Report{Type: "zip", Size: 1 << 20}
		allow := ruleOf(t, "Test.Allow")
		for i := range 30_000 {
			f := showcause.Finding{Trail: deep, Index: ruleOf(t, "Test.Logical"), Allowed: database().Name(allow), AllowedIndex: allow}
			for range showcause.MaxMatches {
				f.Matches = append(f.Matches, showcause.Match{Offset: 1, Length: 99, Excerpt: strings.Repeat("61", showcause.MaxExcerpt)})
			}
			if e.digests {
				f.Chain = slices.Repeat([]showcause.Link{{Size: 1 << 20}}, len(deep)+1)
				f.Counts = []uint32{1, 2}
			}
			if i == 29_000 {
				f.Allowed, f.AllowedIndex = "", 0
			}
			r.Findings = append(r.Findings, f)
		}
		for i := range 3000 {
			r.Gaps = append(r.Gaps, showcause.Gap{Trail: deep, Code: showcause.Corrupt, Offset: int64(i), Length: 1},
				showcause.Gap{Trail: deep, Code: showcause.Encrypted, Offset: int64(i), Length: 1}, showcause.Gap{Code: "ambiguous.zip.name"})
		}
		frame := e.Report(nil, 1, &r)
		set := Settings{Names: names, Excerpts: names, Digests: names}
		if len(frame)-4 > set.MaxFrame() {
			t.Errorf("names %v: %d bytes, at most %d", names, len(frame), set.MaxFrame())
		}
		out, err := d.Report(body(frame), 1, r.Size, 1<<40)
		if err != nil {
			t.Fatal(err)
		}
		if out.Verdict != showcause.Found || !has(&out, showcause.Corrupt) || !has(&out, showcause.Encrypted) || !has(&out, "ambiguous.zip.name") {
			t.Errorf("names %v: %v, %d findings, %d gaps", names, out.Verdict, len(out.Findings), len(out.Gaps))
		}
		if !names && len(body(frame)) > baseReport+matchReport*count(out.Findings) {
			t.Errorf("%d bytes for %d matches", len(frame), count(out.Findings))
		}
		if len(r.Findings) != 30_000 || r.Findings[1].Allowed == "" || len(r.Gaps) != 9000 {
			t.Error("the report itself was changed")
		}
	}
}

func count(fs []showcause.Finding) (n int) {
	for i := range fs {
		n += len(fs[i].Matches)
	}
	return n
}

// TestClamped holds that numbers of a gap that a header in the input made up
// are no violation.
func TestClamped(t *testing.T) {
	e, d := both(false, false)
	r := showcause.Report{Type: "zip", Size: 10, Gaps: []showcause.Gap{
		{Code: showcause.Corrupt, Offset: -5, Length: -7},
		{Code: showcause.Corrupt, Offset: 11, Length: math.MaxInt64},
		{Trail: make(showcause.Trail, 1), Code: showcause.Corrupt, Offset: math.MaxInt64, Length: math.MinInt64},
	}}
	out, err := d.Report(body(e.Report(nil, 1, &r)), 1, 10, 1<<40)
	if err != nil || fmt.Sprint(out.Gaps[0].Offset, out.Gaps[0].Length, out.Gaps[1].Offset, out.Gaps[2].Length) != "0 -1 10 -1" {
		t.Errorf("%+v %v", out.Gaps, err)
	}
}

// FuzzReport gives the decoder hostile bytes: it does not panic, and what it
// takes is written again as the same bytes.
func FuzzReport(f *testing.F) {
	rng := rand.New(rand.NewPCG(9, 9))
	for i := range 40 {
		e, _ := both(i&1 != 0, i&2 != 0)
		r := random(f, rng, e.names, e.excerpts)
		f.Add(body(e.Report(nil, 1, &r)), uint8(i&3), r.Size)
	}
	f.Fuzz(func(t *testing.T, b []byte, mode uint8, size int64) {
		if len(b) > 1<<20 {
			return
		}
		e, d := both(mode&1 != 0, mode&2 != 0)
		size = max(size, 0)
		r, err := d.Report(b, 1, size, 1<<40)
		if err != nil {
			return
		}
		if again := body(e.Report(nil, 1, &r)); !bytes.Equal(b, again) {
			t.Errorf("%x\n%x", b, again)
		}
	})
}

// FuzzMessages does the same for what the reader is sent.
func FuzzMessages(f *testing.F) {
	f.Add((&Settings{Names: true, Formats: FormatSet{3, 1 << 40}}).Encode())
	f.Add([]byte(someValues(f)))
	f.Add([]byte("\x01\x00\x01m\x02\x00\x00\x00ab"))
	f.Add(AppendOrders(nil, true, []Order{{ID: 1, Size: 2}, {ID: 3, Size: 4, Externals: someValues(f), Holes: []Hole{{1, 2}}}, {ID: 4, Size: 2, Here: true, Content: []byte("ab")}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := DecodeModules(b); err == nil {
			if again, err := EncodeModules(m); err != nil || len(again) != len(b) {
				t.Errorf("%x %v", b, err)
			}
		}
		if v, err := DecodeExternals(string(b)); err == nil && len(b) > 0 {
			again, err := EncodeExternals(v, len(b))
			if err != nil || len(again) != len(b) {
				t.Errorf("%x %x %v", b, again, err)
			}
		}
		if s, err := DecodeSettings(b); err == nil && !bytes.Equal(s.Encode(), b) {
			t.Errorf("%x", b)
		}
		if o, at, err := DecodeOrders(b, nil); err == nil && !bytes.Equal(AppendOrders(nil, at, o), b) {
			t.Errorf("%x", b)
		}
	})
}
