package extract

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/explain"
	"github.com/showcause/showcause/internal/hostile"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/worker/once"
)

// collected is a Sink that keeps what comes, and checks it.
type collected struct {
	t      testing.TB
	layers []Layer
	gaps   []string
	facts  []explain.Fact
	open   bool
	data   []byte
	all    [][]byte // the data of each layer
	keep   bool
	hash   interface {
		io.Writer
		Sum([]byte) []byte
	}
}

func (c *collected) Begin(l *Layer) error {
	if c.open {
		c.t.Error("a layer in a layer")
	}
	c.open, c.hash, c.data = true, sha256.New(), nil
	return nil
}

func (c *collected) Data(b []byte) error {
	if !c.open {
		c.t.Error("data of no layer")
	}
	c.hash.Write(b)
	if c.keep {
		c.data = append(c.data, b...)
	}
	return nil
}

func (c *collected) End(l *Layer) error {
	if !c.open {
		c.t.Error("an end of no layer")
	}
	c.open = false
	c.layers = append(c.layers, *l)
	if sum := hex.EncodeToString(c.hash.Sum(nil)); len(l.Trail) > 0 && l.Digest.String() != sum && c.keep {
		c.t.Errorf("%s: digest %s, data has %s", l.Trail, l.Digest, sum)
	}
	c.all = append(c.all, c.data)
	return nil
}

func (c *collected) Fact(f explain.Fact) error {
	if c.open {
		c.t.Error("a fact in a layer")
	}
	c.facts = append(c.facts, f)
	return nil
}

func (c *collected) Gap(g showcause.Gap) error {
	if c.open {
		c.t.Error("a gap in a layer")
	}
	c.gaps = append(c.gaps, fmt.Sprint(g))
	return nil
}

// through sends an input and receives it.
func through(t testing.TB, src showcause.Source, o scan.Options, content bool) (*collected, *Receiver) {
	t.Helper()
	c := &collected{t: t, keep: content}
	r := NewReceiver(o.Limits, src.Size(), Wanted{Content: content}, c)
	err := Send(src, o, Wanted{Content: content}, func(b []byte) error {
		if len(b) > once.MaxPart {
			t.Errorf("a part of %d bytes", len(b))
		}
		return r.Part(b)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := r.Spent(); !ok {
		t.Fatal("no end")
	}
	return c, r
}

func zipOf(members ...string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		f, _ := w.Create(members[i])
		io.WriteString(f, members[i+1])
	}
	w.Close()
	return b.Bytes()
}

func tarOf(members ...string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		w.WriteHeader(&tar.Header{Name: members[i], Mode: 0o644, Size: int64(len(members[i+1])), Typeflag: tar.TypeReg})
		io.WriteString(w, members[i+1])
	}
	w.Close()
	return b.Bytes()
}

func gzipOf(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func TestSend(t *testing.T) {
	long := strings.Repeat("a line of a long member\n", 50_000)
	src := showcause.Bytes(zipOf("a.tar.gz", string(gzipOf(tarOf("one", "text one\n", "two", "2\n"))), "long", long, "..", "odd\n"))
	for _, content := range []bool{true, false} {
		c, r := through(t, src, scan.Options{}, content)
		var got []string
		for _, l := range c.layers {
			got = append(got, fmt.Sprintf("%s|%s|%d|%d", l.Trail, l.Type, l.Size, l.Read))
		}
		want := []string{
			fmt.Sprintf("|zip|%d|%d", len(src), len(src)), "", "", "a.tar.gz / #0 gzip.deflate / one|text|9|9", "a.tar.gz / #0 gzip.deflate / two|text|2|2",
			fmt.Sprintf("long|text|%d|%d", len(long), len(long)), "..|text|4|4",
		}
		for i := range want {
			if len(got) != len(want) || want[i] != "" && got[i] != want[i] {
				t.Fatalf("%q, want %q", got, want)
			}
		}
		if want := sha256.Sum256([]byte(long)); c.layers[5].Digest != want || content != (string(c.all[5]) == long) {
			t.Error("the long member is another")
		}
		if s, _ := r.Spent(); s.Objects != 7 || s.Depth != 3 || len(c.gaps) != 0 {
			t.Errorf("%+v %q", s, c.gaps)
		}
	}
}

// TestLikeScan holds that the layers and gaps are those of a scan: nothing that a
// scan does not read is passed over here.
func TestLikeScan(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.ndb")
	if err := os.WriteFile(path, []byte("Extract.Marker:0:*:"+hex.EncodeToString([]byte(hostile.Marker))+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	data, err := rules.Compile([]string{path}, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	db, err := ruledb.New(data)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	o := scan.Options{Limits: showcause.Limits{ScanSize: 1 << 20, Objects: 200}, Spill: func() (unpack.File, error) {
		f, err := os.CreateTemp(dir, "spill")
		if err == nil {
			os.Remove(f.Name())
		}
		return f, err
	}}
	s := scan.New(db, o)
	inputs, found := 0, 0
	for _, in := range hostile.All(false) {
		if in.Big || testing.Short() && inputs >= 100 {
			continue
		}
		src := in.Make()
		if src.Size() > 1<<20 {
			continue
		}
		inputs++
		c, r := through(t, src, o, true)
		report := s.Scan(src)
		var want []string
		for _, g := range report.Gaps {
			if n := len(g.Trail); n > 0 && strings.HasPrefix(g.Trail[n-1].Op, "view.") && g.Trail[n-1].Op != "view.html.data" {
				continue // no layer of its own
			}
			want = append(want, fmt.Sprint(g))
		}
		got := slices.Clone(c.gaps)
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%d %s: gaps\n%.1000q\nscan has\n%.1000q", in.Row, in.Name, got, want)
		}
		if sp, _ := r.Spent(); sp.Objects != report.Spent.Objects || sp.Depth != report.Spent.Depth {
			t.Errorf("%d %s: %+v, scan %+v", in.Row, in.Name, sp, report.Spent)
		}
		// What the scan found in a layer of its own is in the bytes that came out.
		for _, f := range report.Findings {
			for i, l := range c.layers {
				if len(f.Trail) > 0 && l.Trail.String() == f.Trail.String() && bytes.Contains(c.all[i], []byte(hostile.Marker)) {
					found++
					break
				}
			}
		}
	}
	if inputs < 100 || found < 40 {
		t.Errorf("%d inputs, the marker in %d layers", inputs, found)
	}
	t.Logf("%d inputs, the marker in %d layers", inputs, found)
}

// TestLies holds that what no sender says is refused.
func TestLies(t *testing.T) {
	src := showcause.Bytes(zipOf("a", "text\n"))
	var good []byte
	if err := Send(src, scan.Options{}, Wanted{Content: true}, func(b []byte) error { good = append(good, b...); return nil }); err != nil {
		t.Fatal(err)
	}
	part := func(b []byte) error {
		return NewReceiver(showcause.Limits{}, src.Size(), Wanted{Content: true}, &collected{t: discard{t}}).Part(b)
	}
	if err := part(good); err != nil {
		t.Fatal(err)
	}
	second := 1 + 2 + 1 + 8 + 1 + 8 + 32 // after the input's layer and digest
	name := second + 1 + 2 + 8 + 2 + 2
	set := func(at int, v ...byte) []byte {
		return append(append(bytes.Clone(good[:at]), v...), good[at+len(v):]...)
	}
	for what, b := range map[string][]byte{
		"no kind":           set(0, 9),
		"input at depth":    set(1, 1),
		"no type":           set(3, 255),
		"input too large":   set(4+7, 1),
		"negative size":     set(4+7, 0x80),
		"digest of more":    set(13, 0xff, 0xff),
		"child at depth 0":  set(second+1, 0),
		"child at depth 2":  set(second+1, 2),
		"index":             set(second+3+7, 0x80),
		"no op":             set(second+11, 0xff, 0xff),
		"long name":         set(second+13, 0xff, 0xff),
		"child too large":   set(name+1+1+7, 1),
		"more data":         set(name+1+1, 4),
		"less data":         set(name+1+1+8+1, 4),
		"endless data":      set(name+1+1+8+1, 0xff, 0xff, 0xff, 0xff),
		"more after it all": append(bytes.Clone(good), good...),
		"twice":             append(bytes.Clone(good[:second]), good[:second]...),
		"digest alone":      good[12:second],
		"end alone":         good[len(good)-33:],
	} {
		if err := part(b); err == nil || !Wrong(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range len(good) { // a part that is cut is refused, or it is cut between events, and the end is missing
		r := NewReceiver(showcause.Limits{}, src.Size(), Wanted{Content: true}, &collected{t: discard{t}})
		if err := r.Part(good[:i]); err == nil {
			if _, ok := r.Spent(); ok {
				t.Errorf("%d of %d bytes are all", i, len(good))
			}
		}
	}
	// Limits hold, whatever is sent.
	for what, l := range map[string]showcause.Limits{"file size": {FileSize: 4}, "scan size": {ScanSize: 4}} {
		if err := NewReceiver(l, src.Size(), Wanted{Content: true}, &collected{t: discard{t}}).Part(good); !Wrong(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	r := NewReceiver(showcause.Limits{Objects: 3}, src.Size(), Wanted{Content: true}, &collected{t: discard{t}})
	child := good[second : len(good)-33]
	err := r.Part(good[:second])
	for n := 0; err == nil; n++ {
		if err = r.Part(child); n > 3 {
			t.Fatal("more objects than the limit")
		}
	}
	if err := r.Part([]byte{kindFact, 0, 0, 1, 0, 'x'}); !Wrong(err) {
		t.Errorf("a fact that nobody wants: %v", err)
	}
	for what, b := range map[string][]byte{
		"of no kind": {kindFact, 200, 0, 1, 0, 'x'}, "cut twice": {kindFact, 0, 2, 1, 0, 'x'}, "short": {kindFact, 0, 0, 9, 0, 'x'},
		"long": append([]byte{kindFact, 0, 0, 0xff, 0xff}, make([]byte, 1<<16)...),
	} {
		r := NewReceiver(showcause.Limits{}, src.Size(), Wanted{Facts: true}, &collected{t: discard{t}})
		if err := r.Part(good[:second]); err != nil {
			t.Fatal(err)
		}
		if err := r.Part(b); !Wrong(err) {
			t.Errorf("a fact %s: %v", what, err)
		}
	}
	facts := NewReceiver(showcause.Limits{}, src.Size(), Wanted{Facts: true}, &collected{t: discard{t}})
	err = facts.Part(good[:second])
	for n := 0; err == nil; n++ {
		if err = facts.Part([]byte{kindFact, 0, 0, 1, 0, 'x'}); n > maxFacts {
			t.Fatal("facts without end")
		}
	}
	gap := append([]byte{kindGap, 0, 0, 0, 0, 1, 0}, make([]byte, 16)...)
	err = r.Part(gap)
	for n := 0; err == nil; n++ {
		if err = r.Part(gap); n > maxGaps {
			t.Fatal("gaps without end")
		}
	}
}

// discard is for a Sink whose complaints do not count.
type discard struct{ testing.TB }

func (discard) Error(...any)          {}
func (discard) Errorf(string, ...any) {}

// bounds is a Sink that checks what holds of whatever is received.
type bounds struct {
	t      testing.TB
	l      *Layer
	got    int64
	sum    int64
	layers int64
	limits showcause.Limits
}

func (b *bounds) Begin(l *Layer) error {
	b.l, b.got = l, 0
	b.layers++
	if len(l.Trail) > 0 {
		b.sum += l.Size
	}
	if l.Size < 0 || len(l.Trail) > b.limits.Depth || b.sum > b.limits.ScanSize || b.layers > b.limits.Objects+1 {
		b.t.Errorf("over a limit: %+v", l)
	}
	return nil
}

func (b *bounds) Data(p []byte) error {
	if b.got += int64(len(p)); b.got > b.l.Size {
		b.t.Errorf("%d bytes of %d", b.got, b.l.Size)
	}
	return nil
}

func (b *bounds) End(l *Layer) error {
	if l != b.l || len(l.Trail) > 0 && l.Read != b.got {
		b.t.Errorf("%+v, %d bytes came", l, b.got)
	}
	return nil
}

func (b *bounds) Fact(f explain.Fact) error {
	if b.l == nil || len(f.Text) > explain.MaxText || int(f.Kind) >= len(explain.Kinds()) {
		b.t.Errorf("%d bytes of kind %d", len(f.Text), f.Kind)
	}
	return nil
}

func (b *bounds) Gap(g showcause.Gap) error {
	if len(g.Trail) > b.limits.Depth+2 || g.Offset < 0 || g.Length < -1 || g.Code == "" {
		b.t.Errorf("%+v", g)
	}
	return nil
}

// FuzzReceiver gives the receiver what a process may send that was taken over.
func FuzzReceiver(f *testing.F) {
	for _, in := range [][]byte{zipOf("a", "text\n"), tarOf("x/y", "text\n", "z", string(zipOf("q", ""))), gzipOf([]byte("cut"))[:12]} {
		var all []byte
		Send(showcause.Bytes(in), scan.Options{}, Wanted{true, true}, func(b []byte) error { all = append(all, b...); return nil })
		f.Add(all, uint16(len(all)/2))
	}
	f.Fuzz(func(t *testing.T, b []byte, cut uint16) {
		l := showcause.Limits{ScanSize: 100, Objects: 5, Depth: 3}
		s := &bounds{t: t, limits: l.WithDefaults()}
		r := NewReceiver(l, 1000, Wanted{true, true}, s)
		n := min(int(cut), len(b))
		if err := r.Part(b[:n]); err != nil {
			if !Wrong(err) {
				t.Error(err)
			}
			return
		}
		if err := r.Part(b[n:]); err != nil && !Wrong(err) {
			t.Error(err)
		}
	})
}
