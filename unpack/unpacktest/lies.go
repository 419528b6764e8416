package unpacktest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

const (
	mark     = "@lie:"
	markUnit = 512
	liesMost = 300 // damages of a sample, unless all are asked for
)

// Marked is content of n bytes, each unit of 512 of which begins with a mark of its
// own, so that Lies can tell what of it is lost.
func Marked(name string, n int) []byte {
	out := make([]byte, 0, n+markUnit)
	for i := 0; len(out) < n; i++ {
		unit := bytes.Repeat([]byte{'.'}, markUnit)
		copy(unit, fmt.Sprintf("%s%s:%04d@", mark, name, i))
		out = append(out, unit...)
	}
	return out[:n]
}

// Harmless is a field of a sample that nothing is read by, and why.
type Harmless struct {
	From, To int64
	Why      string
}

// Lies damages each byte of a sample that is not content, and each word at an even
// place: 0, 1, all bits, one more, one less, another sign. The sample's content is
// Marked. What holds: each mark is in a child, or a gap says that something was not
// read. Where the formats do not take the sample for theirs any more, that is a
// loss as well. Harmless fields are left out. Without full it is a sample of the damages.
func Lies(t *testing.T, full bool, formats []unpack.Format, image []byte, harmless ...Harmless) {
	t.Helper()
	whole := liesWalk(formats, image)
	if len(whole.marks) == 0 || len(whole.gaps) > 0 {
		t.Fatalf("the sample has %d marks, gaps %v", len(whole.marks), whole.gaps)
	}
	places := liesPlaces(image, harmless)
	all := len(places)
	most := liesMost >> min(len(image)>>20, 2) // a large sample takes long
	if !full && all > most {
		var some []lie
		for i := range most {
			some = append(some, places[i*all/most])
		}
		places = some
	}
	bad, silent := bytes.Clone(image), 0
	for _, l := range places {
		l.apply(bad)
		if what := whole.lost(liesWalk(formats, bad)); what != "" {
			if silent++; silent <= 60 {
				t.Errorf("%s: %s", l.describe(image), what)
			}
		}
		copy(bad[l.at:], image[l.at:l.at+int64(len(l.to))])
	}
	t.Logf("%d of %d damages, %d silent, %d marks", len(places), all, silent, len(whole.marks))
}

// lie is one damage.
type lie struct {
	at int64
	to []byte
}

func (l lie) apply(b []byte) { copy(b[l.at:], l.to) }

func (l lie) describe(image []byte) string {
	return fmt.Sprintf("%#x (sector %d + %d): %x -> %x", l.at, l.at/512, l.at%512, image[l.at:l.at+int64(len(l.to))], l.to)
}

// liesPlaces are the damages of a sample.
func liesPlaces(image []byte, harmless []Harmless) (out []lie) {
	skip := make([]bool, len(image))
	for _, h := range harmless {
		for i := max(h.From, 0); i < min(h.To, int64(len(image))); i++ {
			skip[i] = true
		}
	}
	for at := 0; ; {
		i := bytes.Index(image[at:], []byte(mark))
		if i < 0 {
			break
		}
		at += i
		n := bytes.IndexByte(image[at+1:], '@')
		for k := range max(n+2, 0) {
			skip[min(at+k, len(image)-1)] = true
		}
		at += max(n+2, 1)
		for at < len(image) && image[at] == '.' {
			skip[at] = true
			at++
		}
	}
	for s := 0; s < len(image); s += 512 {
		sector := image[s:min(s+512, len(image))]
		if len(bytes.Trim(sector, "\x00")) == 0 {
			continue
		}
		for i := s; i < s+len(sector); i++ {
			for _, w := range []int{1, 2, 4, 8} {
				if i%w != 0 || i+w > len(image) || slices.Contains(skip[i:i+w], true) {
					continue
				}
				out = append(out, liesAt(image, i, w)...)
			}
		}
	}
	return out
}

// liesAt are the damages of a word of w bytes.
func liesAt(image []byte, at, w int) (out []lie) {
	old := image[at : at+w]
	add := func(b []byte) {
		if !bytes.Equal(b, old) && !slices.ContainsFunc(out, func(l lie) bool { return bytes.Equal(l.to, b) }) {
			out = append(out, lie{int64(at), b})
		}
	}
	add(make([]byte, w))
	add(bytes.Repeat([]byte{0xff}, w))
	one := make([]byte, w)
	one[0] = 1
	add(one)
	if w > 1 {
		last := make([]byte, w)
		last[w-1] = 1
		add(last)
	}
	if w == 2 {
		for _, o := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			for _, d := range []uint16{1, 0xffff} {
				b := make([]byte, 2)
				o.PutUint16(b, o.Uint16(old)+d)
				add(b)
			}
		}
	}
	if w == 1 {
		add([]byte{old[0] + 1})
		add([]byte{old[0] - 1})
		add([]byte{old[0] ^ 0x80})
	}
	return out
}

// liesResult is what a walk by all formats gave.
type liesResult struct {
	marks map[string]bool
	gaps  []showcause.Gap
	read  bool // by some format
}

func (r liesResult) lost(got liesResult) string {
	if len(got.gaps) > 0 {
		return ""
	}
	for m := range r.marks {
		if !got.marks[m] {
			if !got.read {
				return "no format knows it"
			}
			n, some := 0, m
			for m := range r.marks {
				if !got.marks[m] {
					n++
					some = min(some, m)
				}
			}
			return fmt.Sprintf("%d marks are not there, %s", n, some)
		}
	}
	return ""
}

// liesWalk reads a layer as all formats that take it.
func liesWalk(formats []unpack.Format, image []byte) liesResult {
	r := liesResult{marks: map[string]bool{}}
	limits := showcause.Limits{FileSize: 1 << 20, ScanSize: 8 << 20, Objects: 300, Work: 1 << 20}
	b := unpack.NewBudget(limits, int64(len(image)), func() (unpack.File, error) { return &scratch{}, nil })
	src := showcause.Bytes(image)
	buf := make([]byte, 256<<10)
	out := unpack.NewOut(b, nil, func(l showcause.Layer) {
		n, _ := l.Source.ReadAt(buf[:min(int64(len(buf)), l.Source.Size())], 0)
		for rest := buf[:max(n, 0)]; ; {
			i := bytes.Index(rest, []byte(mark))
			if i < 0 {
				break
			}
			rest = rest[i:]
			if n := bytes.IndexByte(rest[1:min(64, len(rest))], '@'); n > 0 {
				if m := string(rest[:n+2]); !strings.Contains(m[1:], mark) {
					r.marks[m] = true
				}
			}
			rest = rest[1:]
		}
		l.Source.ReadAt(buf[:1], max(l.Source.Size()-1, 0)) // reading to the end may say more
	}, func(g showcause.Gap) { r.gaps = append(r.gaps, g) })
	head := bound.Head(src, unpack.HeadSize)
	p := &unpack.Probe{Type: filetype.Detect(head, src), Head: head, Source: src}
	for _, f := range formats {
		if f.Match(p) {
			r.read = true
			f.Walk(src, out)
		}
	}
	return r
}
