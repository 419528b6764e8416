package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/showcause/showcause/bench/made"
)

// What the price of the jail is measured on.
const largeFiles = 16

// jailSets makes one file, many small ones and 1 GB of large ones (less with
// -corpus under 1000).
func (b *bench) jailSets() ([]*set, error) {
	one := filepath.Join(b.tmp, "one")
	if err := made.Write(one, []byte("a")); err != nil {
		return nil, err
	}
	small, large := filepath.Join(b.tmp, "small"), filepath.Join(b.tmp, "large")
	b.say("generating %d small files", made.SmallFiles)
	if err := made.SmallTree(small, made.SmallFiles); err != nil {
		return nil, err
	}
	total := min(b.corpus, 1000) * 1e6
	b.say("generating %d MB of large files", total/1e6)
	for i := range largeFiles {
		if err := made.Write(filepath.Join(large, strconv.Itoa(i)), made.Blob(101, i, int(total)/largeFiles)); err != nil {
			return nil, err
		}
	}
	sets := []*set{
		{name: "one byte", paths: []string{one}},
		{name: fmt.Sprintf("%s files, median %d kB", "20,000", made.SmallSize>>10), paths: []string{small}},
		{name: fmt.Sprintf("%d files of %d MB", largeFiles, total/1e6/largeFiles), paths: []string{large}},
	}
	for _, s := range sets {
		if err := s.read(); err != nil {
			return nil, err
		}
	}
	return sets, nil
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
