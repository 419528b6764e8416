//go:build ignore

// This program makes freq.bin from the files below the directories that it is
// given: go run freq_gen.go DIR... The file here was made from /usr/lib and
// /usr/share of a Debian 12 system with compilers, every fourth file, at most
// 1 MiB of each, from its middle.
package main

import (
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sort"
)

const most = 1 << 20

func main() {
	var files []string
	for _, dir := range os.Args[1:] {
		filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				files = append(files, path)
			}
			return nil
		})
	}
	sort.Strings(files)
	pairs := make([]float64, 1<<16)
	for i := 0; i < len(files); i += 4 {
		b, err := os.ReadFile(files[i])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			continue
		}
		if len(b) > most {
			b = b[(len(b)-most)/2:][:most]
		}
		for k := 1; k < len(b); k++ {
			pairs[int(b[k-1])<<8|int(b[k])]++
		}
	}
	var first [256]float64
	total := 0.0
	for p := range pairs {
		pairs[p] += 0.1
		first[p>>8] += pairs[p]
		total += pairs[p]
	}
	nibble := func(p float64) byte { return byte(min(15, max(0, math.Round(-math.Log2(p))))) }
	out := make([]byte, 128+1<<15)
	for b := range first {
		out[b/2] |= nibble(first[b]/total) << (b % 2 * 4)
	}
	for p := range pairs {
		out[128+p/2] |= nibble(pairs[p]/first[p>>8]) << (p % 2 * 4)
	}
	if err := os.WriteFile("freq.bin", out, 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
