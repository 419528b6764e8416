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
func mainLDB(b testing.TB) []Literal {
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

// random returns n literals of a to b random bytes of an alphabet.
func random(n, a, b int, set string) []Literal {
	rng := rand.New(rand.NewPCG(2, uint64(n)))
	bytesOf := alphabet(rng, set)
	var lits []Literal
	for range n {
		lits = append(lits, Literal{Bytes: bytesOf(a + rng.IntN(b-a+1))})
	}
	return lits
}

// sameBeginning returns n literals that differ in their last bytes only.
func sameBeginning(n int, beginning string) []Literal {
	lits := random(n, 6, 6, "")
	for i := range lits {
		lits[i].Bytes = append([]byte(beginning), lits[i].Bytes...)
	}
	return lits
}

// benchScan scans data, some hits at a time, as package scan does. It reports
// the hits in a KB, since what there is to find costs what it costs.
func benchScan(b *testing.B, lits []Literal, data []byte) {
	s := mustOpen(b, lits)
	variants(s, func(name string) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			var hits []Hit
			total := 0
			for b.Loop() {
				total = 0
				for at := 0; at < len(data); {
					hits, at = s.ScanN(data, at, len(data), hits[:0], 1<<14)
					total += len(hits)
				}
			}
			b.ReportMetric(float64(total)*1024/float64(len(data)), "hits/KB")
		})
	})
	s.describe(b)
}

// describe logs the tiers.
func (s *Set) describe(b testing.TB) {
	b.Logf("short tier: %d literals", len(s.short.links))
	for i := range s.tiers {
		t := &s.tiers[i]
		b.Logf("stride %d, grams of %d, kind %d: %d literals, filters of %d and %d KB", t.stride, t.gram, t.kind, len(t.members), len(t.filter)/256, len(t.windows)/256)
	}
}

// BenchmarkCopy is what the machine's memory gives, to compare with.
func BenchmarkCopy(b *testing.B) {
	data := binaries(b, 64<<20)
	to := make([]byte, len(data))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		copy(to, data)
	}
}

func BenchmarkScan(b *testing.B) {
	all := binaries(b, 64<<20)
	known, data := all[:len(all)/2], all[len(all)/2:]
	sizes := []int{1000, 10_000, 100_000, 1_000_000}
	if testing.Short() {
		sizes = sizes[:3]
	}
	for _, n := range sizes {
		b.Run(fmt.Sprintf("random/%d", n), func(b *testing.B) { benchScan(b, random(n, 16, 40, ""), data) })
		b.Run(fmt.Sprintf("short/%d", n), func(b *testing.B) { benchScan(b, random(n, 8, 40, ""), data) })
		b.Run(fmt.Sprintf("drawn/%d", n), func(b *testing.B) { benchScan(b, drawn(known, n), data) })
	}
	b.Run("prefix/5000", func(b *testing.B) { benchScan(b, sameBeginning(5000, "This program cannot be run in DOS mode"), data) })
	b.Run("common/5000", func(b *testing.B) { benchScan(b, random(5000, 8, 15, "\x00\xff \x01e"), data) })
	b.Run("common/zeros", func(b *testing.B) { benchScan(b, random(5000, 8, 15, "\x00\xff \x01e"), make([]byte, 8<<20)) })
	real := mainLDB(b)
	b.Run("main.ldb", func(b *testing.B) { benchScan(b, real, data) })
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
