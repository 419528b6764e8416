package unpacktest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
)

// cuts and flips bound how many variants of one sample are walked.
const (
	cuts  = 3000
	flips = 1500
)

// small are the limits for damaged data, so that a suite stays quick.
var small = showcause.Limits{FileSize: 4 << 20, ScanSize: 16 << 20, Objects: 3000, Work: 1 << 22}

// Conform holds f against the contract of unpack.Format with each of the
// samples, which are whole, undamaged files of the format.
func Conform(t *testing.T, f unpack.Format, samples map[string][]byte) {
	ConformWhole(t, f, samples, nil)
}

// ConformWhole is Conform for a format that has no end mark. whole is an
// oracle that does not share code with f: it tells of a sample cut short
// whether it is by itself an undamaged file of the format, in which case no
// gap is due.
func ConformWhole(t *testing.T, f unpack.Format, samples map[string][]byte, whole func([]byte) bool) {
	t.Run("garbage", func(t *testing.T) { garbage(t, f) })
	for _, name := range slices.Sorted(maps.Keys(samples)) {
		data := samples[name]
		t.Run(name, func(t *testing.T) {
			if !f.Match(Probe(showcause.Bytes(data))) {
				t.Fatalf("%s does not match the sample", f.Name)
			}
			want := Walk(t, f, data, showcause.Limits{})
			if len(want.Children) == 0 {
				t.Logf("the sample has no children, so that the suite says little")
			}
			twice(t, f, data, want)
			truncate(t, f, data, want, whole)
			flip(t, f, data)
			limits(t, f, data, want)
		})
	}
}

// twice walks again and expects the same, to the byte.
func twice(t testing.TB, f unpack.Format, data []byte, want Result) {
	t.Helper()
	before := sha256.Sum256(data)
	if got := Walk(t, f, data, showcause.Limits{}); got.String() != want.String() {
		t.Errorf("%s: two walks differ:\n%s\nthen:\n%s", f.Name, want, got)
	}
	if sha256.Sum256(data) != before {
		t.Errorf("%s: Walk changed the layer", f.Name)
	}
}

// missing returns a child of whole that part does not have in full, if there is one.
func missing(whole, part Result) (Child, bool) {
	have := map[[sha256.Size]byte]int{}
	for _, c := range part.Children {
		have[c.Digest]++
	}
	for _, c := range whole.Children {
		if have[c.Digest] == 0 {
			return c, true
		}
		have[c.Digest]--
	}
	return Child{}, false
}

// silent reports an error where got lacks a child of want and no gap says so.
func silent(t testing.TB, f unpack.Format, want, got Result, what string) {
	t.Helper()
	if c, lost := missing(want, got); lost && !got.Unread() {
		t.Errorf("%s: %s: child %d %q (%d bytes) is not there in full and no gap says so; got:\n%s", f.Name, what, c.Index, c.Name, c.Size, got)
	}
}

func truncate(t *testing.T, f unpack.Format, data []byte, want Result, whole func([]byte) bool) {
	step := max(1, len(data)/cuts)
	for n := 0; n < len(data) && !t.Failed(); n += step {
		cut := slices.Clip(data[:n])
		if !f.Match(Probe(showcause.Bytes(cut))) {
			continue // not this format any more: the layer's own bytes are all there is
		}
		got := Walk(t, f, cut, small)
		if whole != nil && whole(cut) {
			continue
		}
		silent(t, f, want, got, fmt.Sprintf("cut to %d of %d bytes", n, len(data)))
	}
}

func flip(t *testing.T, f unpack.Format, data []byte) {
	rng := rand.New(rand.NewPCG(1, uint64(len(data))))
	bad := bytes.Clone(data)
	for i := range flips {
		if t.Failed() || len(data) == 0 {
			return
		}
		at := i % len(data)
		if len(data) > flips {
			at = rng.IntN(len(data))
		}
		old := bad[at]
		switch i % 4 {
		case 0:
			bad[at] = 0xff
		case 1:
			bad[at] = 0
		default:
			bad[at] ^= 1 << rng.IntN(8)
		}
		if f.Match(Probe(showcause.Bytes(bad))) || i%8 == 0 {
			within(t, f, bad, small)
		}
		bad[at] = old
	}
}

// within walks and checks that no limit is passed.
func within(t testing.TB, f unpack.Format, data []byte, l showcause.Limits) Result {
	t.Helper()
	got := Walk(t, f, data, l)
	l = l.WithDefaults()
	if got.Expanded > l.ScanSize {
		t.Errorf("%s: children of %d bytes pass the scan size %d", f.Name, got.Expanded, l.ScanSize)
	}
	if int64(len(got.Children)) > l.Objects || got.Spent.Objects > l.Objects {
		t.Errorf("%s: %d children, %d objects, pass the limit %d", f.Name, len(got.Children), got.Spent.Objects, l.Objects)
	}
	for i, c := range got.Children {
		if c.Size > l.FileSize {
			t.Errorf("%s: child %d of %d bytes passes the file size %d", f.Name, c.Index, c.Size, l.FileSize)
		}
		if i > 0 && c.Index <= got.Children[i-1].Index {
			t.Errorf("%s: child %d comes after child %d", f.Name, c.Index, got.Children[i-1].Index)
		}
		if len(c.Trail) > l.Depth {
			t.Errorf("%s: trail of %d steps passes the depth %d", f.Name, len(c.Trail), l.Depth)
		}
	}
	return got
}

// limits walks a whole sample under limits that are too small, and expects a
// gap wherever that costs a child.
func limits(t *testing.T, f unpack.Format, data []byte, want Result) {
	largest := int64(0)
	for _, c := range want.Children {
		largest = max(largest, c.Size)
	}
	for _, l := range []showcause.Limits{
		{Objects: 1},
		{Objects: max(want.Spent.Objects-1, 1)},
		{Objects: max(want.Spent.Objects, 1)},
		{ScanSize: 1},
		{ScanSize: max(want.Expanded-1, 1)},
		{ScanSize: max(want.Expanded, 1)},
		{FileSize: 1},
		{FileSize: max(largest-1, 1)},
		{FileSize: max(largest, 1)},
		{Work: 1},
		{Work: max(want.Spent.Work/2, 1)},
		{Work: max(want.Spent.Work-1, 1)},
		{Work: max(want.Spent.Work, 1)},
	} {
		silent(t, f, want, within(t, f, data, l), fmt.Sprintf("limits %+v", l))
	}
	if len(want.Children) > 0 {
		atDepth(t, f, data)
	}
}

// atDepth walks the sample at the deepest layer allowed, where no child may come.
func atDepth(t *testing.T, f unpack.Format, data []byte) {
	var trail showcause.Trail
	for range 3 {
		trail = trail.Child(showcause.Step{Op: "test"})
	}
	b := unpack.NewBudget(showcause.Limits{Depth: 3}, int64(len(data)), nil)
	said := false
	f.Walk(showcause.Bytes(data), unpack.NewOut(b, trail, func(l showcause.Layer) {
		t.Errorf("%s: child %s passes the depth", f.Name, l.Trail)
	}, func(g showcause.Gap) { said = said || g.Code.Unread() }))
	if !said {
		t.Errorf("%s: no gap at the deepest layer", f.Name)
	}
}

// counted is a Source that counts what is read from it.
type counted struct {
	showcause.Bytes
	read int
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.Bytes.ReadAt(p, off)
	c.read += n
	return n, err
}

// garbage gives Match bytes that are no format: it must say no, and must not
// read far for it. Walk on the same must return.
func garbage(t *testing.T, f unpack.Format) {
	rng := rand.New(rand.NewPCG(7, 7))
	random := make([]byte, 1<<20)
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	for name, data := range map[string][]byte{
		"empty": nil, "one byte": {0}, "zeros": make([]byte, 1<<20), "0xff": bytes.Repeat([]byte{0xff}, 1<<20), "random": random,
		"digits": bytes.Repeat([]byte("0123456789"), 1<<16),
	} {
		src := &counted{Bytes: data}
		p := Probe(showcause.Bytes(data))
		p.Source = src
		// Digits are text, and text of any length is searched for what is uuencoded, BinHex or encoded in scripts.
		// Brotli has no mark: what begins so is decoded to tell.
		if f.Match(p) && (name != "digits" || f.Name != "uuencode" && f.Name != "binhex" && f.Name != "encoded" && f.Name != "screnc") && (name != "random" || f.Name != "brotli") {
			t.Errorf("%s matches %s", f.Name, name)
		}
		if src.read > 256<<10 {
			t.Errorf("%s: Match reads %d bytes of %s", f.Name, src.read, name)
		}
		within(t, f, data[:min(len(data), 64<<10)], small)
	}
}

// Fuzz fuzzes a format: seeds are whole files of it. Besides panics it looks
// for walks that differ, that pass a limit, or that lose a child silently
// when limits are smaller.
func Fuzz(f *testing.F, format unpack.Format, seeds ...[]byte) {
	for _, s := range seeds {
		f.Add(s)
	}
	l := showcause.Limits{FileSize: 1 << 20, ScanSize: 2 << 20, Objects: 200, Work: 1 << 20}
	f.Fuzz(func(t *testing.T, data []byte) {
		format.Match(Probe(showcause.Bytes(data)))
		want := within(t, format, data, l)
		if got := Walk(t, format, data, l); got.String() != want.String() {
			t.Errorf("%s: two walks differ:\n%s\nthen:\n%s", format.Name, want, got)
		}
		less := l
		less.Objects, less.Work = max(want.Spent.Objects/2, 1), max(want.Spent.Work/2, 1)
		silent(t, format, want, within(t, format, data, less), "half the limits")
	})
}
