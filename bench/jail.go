package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
)

// What the price of the jail is measured on.
const (
	smallFiles = 20_000
	smallSize  = 4 << 10 // median, bytes
	largeFiles = 16
)

// jailSets makes one file, many small ones and 1 GB of large ones (less with
// -corpus under 1000).
func (b *bench) jailSets() ([]*set, error) {
	one := filepath.Join(b.tmp, "one")
	if err := write(one, []byte("a")); err != nil {
		return nil, err
	}
	words := vocabulary()
	small, large := filepath.Join(b.tmp, "small"), filepath.Join(b.tmp, "large")
	b.say("generating %d small files", smallFiles)
	if err := smallTree(small, smallFiles); err != nil {
		return nil, err
	}
	total := min(b.corpus, 1000) * 1e6
	b.say("generating %d MB of large files", total/1e6)
	for i := range largeFiles {
		m := newMaker(101, i, words)
		if err := write(filepath.Join(large, strconv.Itoa(i)), m.blob(int(total)/largeFiles)); err != nil {
			return nil, err
		}
	}
	sets := []*set{
		{name: "one byte", paths: []string{one}},
		{name: fmt.Sprintf("%s files, median %d kB", "20,000", smallSize>>10), paths: []string{small}},
		{name: fmt.Sprintf("%d files of %d MB", largeFiles, total/1e6/largeFiles), paths: []string{large}},
	}
	for _, s := range sets {
		if err := s.read(); err != nil {
			return nil, err
		}
	}
	return sets, nil
}

// pow2 is a rough 2 to the power of x, by halves and doubles.
func pow2(x float64) float64 {
	r := 1.0
	for ; x >= 1; x-- {
		r *= 2
	}
	for ; x < 0; x++ {
		r /= 2
	}
	return r * (1 + x)
}

// blob is n bytes that are partly text and partly noise, as programs and images are.
func (m *maker) blob(n int) []byte {
	b := make([]byte, 0, n)
	for len(b) < n {
		if m.IntN(2) == 0 {
			b = append(b, m.text(1<<16)...)
			continue
		}
		var noise [1 << 16]byte
		r := rand.NewChaCha8([32]byte{byte(len(b)), byte(len(b) >> 16), byte(len(b) >> 24)})
		_, _ = r.Read(noise[:])
		b = append(b, noise[:]...)
	}
	return b[:n]
}

// priceOfJail measures the same scans with and without the jail, in turn.
func (b *bench) priceOfJail(ctx context.Context) (string, error) {
	sets, err := b.jailSets()
	if err != nil {
		return "", err
	}
	cache := filepath.Join(b.tmp, "cache")
	variantOf := func(jail, db string) *variant {
		return &variant{name: "--jail=" + jail, threads: b.cores, run: func(ctx context.Context, paths []string) (sample, error) {
			return b.runShowcause(ctx, db, cache, b.cores, append([]string{"--jail=" + jail}, paths...))
		}}
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s, %s. `%s`\n\n", b.date, strings.Join(b.describe(ctx)[:4], "; "), b.command)
	out.WriteString("| rules | files | wall with the jail, s (min / median / max) | without | ratio of medians | CPU ratio | peak memory with, without |\n|---|---|---|---|---|---|---|\n")
	dbs := []string{""}
	if b.compiled != "" {
		dbs = append(dbs, b.compiled)
	}
	for _, db := range dbs {
		rules := "built-in"
		if db != "" {
			rules = "ClamAV's official"
		}
		on, off := variantOf("on", db), variantOf("off", db)
		vs := []*variant{on, off}
		for _, s := range sets {
			b.say("%s, %s: %d files, %.1f MB", rules, s.name, s.files, float64(s.bytes)/1e6)
			if _, err := inTurn(ctx, b.say, vs, 1, s.paths); err != nil { // warm
				return "", err
			}
			f, err := inTurn(ctx, b.say, vs, b.runs, s.paths)
			if err != nil {
				return "", err
			}
			if f[on].outcome != f[off].outcome {
				return "", fmt.Errorf("%s: with the jail %+v, without %+v", s.name, f[on].outcome, f[off].outcome)
			}
			fmt.Fprintf(&out, "| %s | %s | %s | %s | %.2f | %.2f | %.0f MB, %.0f MB |\n", rules, s.name, f[on].wall, f[off].wall,
				f[on].wall.median/f[off].wall.median, f[on].cpu.median/f[off].cpu.median, f[on].peak.median/1e6, f[off].peak.median/1e6)
		}
	}
	return out.String(), nil
}
