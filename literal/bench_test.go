package literal

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// binaries returns up to limit bytes of the machine's own programs; each gives
// at most 4 MB.
func binaries(b testing.TB, limit int) []byte {
	var out []byte
	filepath.WalkDir("/usr/bin", func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || len(out) >= limit {
			return nil
		}
		f, err := os.Open(path)
		if err != nil {
			return nil
		}
		defer f.Close()
		data, _ := io.ReadAll(io.LimitReader(f, 4<<20))
		out = append(out, data...)
		return nil
	})
	if len(out) == 0 {
		b.Skip("no programs in /usr/bin")
	}
	return out
}

// wildcard is what a ClamAV body has besides bytes.
var wildcard = regexp.MustCompile(`\{[^}]*\}|\[[^\]]*\]|!?\([^)]*\)|\*|\?.|.\?`)

// mainLDB returns the longest run of each sub-signature of ClamAV's main.ldb,
// cut to its best 32 bytes, without repetition.
func mainLDB(b *testing.B) []Literal {
	dir := os.Getenv("SHOWCAUSE_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "data")
	}
	f, err := os.Open(filepath.Join(dir, "clamav", "official", "main.ldb"))
	if err != nil {
		b.Skip(err)
	}
	defer f.Close()
	seen := make(map[string]bool)
	var lits []Literal
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		for k, sub := range strings.Split(lines.Text(), ";") {
			if k < 3 || strings.HasPrefix(sub, "/") {
				continue
			}
			body, mods, _ := strings.Cut(sub, "::")
			body = body[strings.LastIndex(body, ":")+1:]
			best := ""
			for _, run := range strings.Split(wildcard.ReplaceAllString(body, "|"), "|") {
				if len(run) > len(best) {
					best = run
				}
			}
			text, err := hex.DecodeString(best)
			if err != nil || len(text) < 3 {
				continue
			}
			l := Literal{Bytes: text, Fold: strings.Contains(mods, "i")}
			if len(text) > 32 {
				at, score := 0, -1
				for i := range len(text) - 31 {
					if s := Score(text[i:i+32], l.Fold); s > score {
						at, score = i, s
					}
				}
				l.Bytes = text[at : at+32]
			}
			if key := fmt.Sprint(string(l.Bytes), l.Fold); !seen[key] {
				seen[key] = true
				lits = append(lits, l)
			}
		}
	}
	return lits
}

// drawn returns n literals of 8 to 40 bytes out of src: they are in the kind of
// file that is scanned, which is the hard case.
func drawn(src []byte, n int) []Literal {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	var lits []Literal
	for len(lits) < n {
		at := rng.IntN(len(src) - 64)
		l := Literal{Bytes: src[at : at+8+rng.IntN(33)]}
		if Score(l.Bytes, false) > 100 {
			lits = append(lits, l)
		}
	}
	return lits
}

func benchScan(b *testing.B, lits []Literal, data []byte) {
	s := mustOpen(b, lits)
	b.SetBytes(int64(len(data)))
	var hits []Hit
	for b.Loop() {
		hits = s.Scan(data, 0, len(data), hits[:0])
	}
	b.ReportMetric(float64(len(hits)), "hits")
	s.describe(b)
}

// describe logs the tiers.
func (s *Set) describe(b testing.TB) {
	b.Logf("short tier: %d links, wide %v", len(s.short.links), s.short.starts != nil && s.short.starts[8] < uint32(len(s.short.links)))
	for i := range s.tiers {
		t := &s.tiers[i]
		b.Logf("stride %d gram %d kind %d: %d members, filter %d KB, windows %d KB", t.stride, t.gram, t.kind, len(t.members), len(t.filter)/256, len(t.windows)/256)
	}
}

func BenchmarkScan(b *testing.B) {
	data := binaries(b, 128<<20)
	half := len(data) / 2
	for _, n := range []int{1000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("random/%d", n), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(2, uint64(n)))
			var lits []Literal
			for range n {
				lits = append(lits, Literal{Bytes: alphabet(rng, "")(8 + rng.IntN(33))})
			}
			benchScan(b, lits, data[half:])
		})
		b.Run(fmt.Sprintf("drawn/%d", n), func(b *testing.B) {
			benchScan(b, drawn(data[:half], n), data[half:])
		})
	}
	real := mainLDB(b)
	for _, n := range []int{1000, 10_000, len(real)} {
		var lits []Literal
		for i := range n {
			lits = append(lits, real[i*len(real)/n])
		}
		b.Run(fmt.Sprintf("main.ldb/%d", n), func(b *testing.B) { benchScan(b, lits, data[half:]) })
	}
	b.Run("main.ldb/zeros", func(b *testing.B) { benchScan(b, real, make([]byte, 8<<20)) })
}

func BenchmarkCompile(b *testing.B) {
	lits := mainLDB(b)
	for b.Loop() {
		if _, err := Compile(lits); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	blob, err := Compile(mainLDB(b))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(len(blob)), "blob-bytes")
	for b.Loop() {
		if _, err := Open(blob); err != nil {
			b.Fatal(err)
		}
	}
}
