package ruledb

import (
	"crypto/md5"
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause/rule"
)

var benchDigests = flag.Int("digests", 100_000, "rules for exact bytes that BenchmarkDigests compiles")

// generated adds n rules for exact bytes, of sizes as files have them.
func generated(t testing.TB, n int) *Builder {
	var b Builder
	r := rand.New(rand.NewPCG(1, uint64(n)))
	digest := make([]byte, md5.Size)
	for i := range n {
		binary.LittleEndian.PutUint64(digest, r.Uint64())
		binary.LittleEndian.PutUint64(digest[8:], r.Uint64())
		d := rule.DigestRule{Size: 16 + int64(min(math.Exp(12.2+1.6*r.NormFloat64()), 1<<31)), Digest: string(digest)}
		d.Origin = rule.Origin{Name: fmt.Sprintf("Gen.Malware%d-%d-0", i%6, i), File: "gen.hdb", Line: i + 1}
		d.Text = string(appendDigestText(nil, d.Scope, uint64(d.Size), digest, d.Name))
		if err := b.Digest(&d); err != nil {
			t.Fatal(err)
		}
	}
	return &b
}

// rssAnon returns the private memory of this process, bytes.
func rssAnon() (n float64) {
	b, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(b), "RssAnon:")
	fmt.Sscan(rest, &n)
	return n * 1024
}

// spent returns the seconds of processors that this process took.
func spent() float64 {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u) // of ourselves it does not fail
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// BenchmarkDigests opens a database of generated rules for exact bytes, and looks digests up
// that none of them has: go test ./ruledb -bench Digests -digests 10000000.
func BenchmarkDigests(b *testing.B) {
	data, err := generated(b, *benchDigests).Finish(Meta{})
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "x.scdb")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		b.Fatal(err)
	}
	data = nil
	benchFile(b, path)
}

// BenchmarkOpen opens the database that SHOWCAUSE_BENCH_DB names.
func BenchmarkOpen(b *testing.B) {
	path := os.Getenv("SHOWCAUSE_BENCH_DB")
	if path == "" {
		b.Skip("SHOWCAUSE_BENCH_DB names no compiled database")
	}
	benchFile(b, path)
}

// benchFile measures a database file.
func benchFile(b *testing.B, path string) {
	b.Run("open", func(b *testing.B) {
		var last *DB
		before, cpu := rssAnon(), spent()
		for range b.N {
			if last != nil {
				last.Close()
			}
			var err error
			if last, err = Open(path); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric((spent()-cpu)*1e3/float64(b.N), "cpu-ms/op")
		b.ReportMetric(max(rssAnon()-before, 0)/1e6, "MB-private")
		b.ReportMetric(float64(last.Size())/1e6, "MB-file")
		last.Close()
	})
	db, err := Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	b.Run("sums", func(b *testing.B) {
		for i := range b.N {
			db.Sums(rule.WholeLayer, int64(i)*7919%(1<<22))
		}
	})
	b.Run("lookup", func(b *testing.B) {
		size := int64(0)
		for ; ; size++ {
			if m, _, _ := db.Sums(rule.WholeLayer, size); m {
				break
			}
		}
		for i := range b.N {
			d := md5.Sum(binary.LittleEndian.AppendUint64(nil, uint64(i)))
			db.Lookup(rule.WholeLayer, rule.MD5, size, d[:])
		}
	})
}
