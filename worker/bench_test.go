package worker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/unpack"
)

// smallFiles writes n files of 200 bytes to 16 KiB, of words.
func smallFiles(b *testing.B, n int) (paths []string, bytes int64) {
	dir := b.TempDir()
	rng := rand.New(rand.NewPCG(4, 4))
	for i := range n {
		var text []byte
		for size := 200 + rng.IntN(16<<10); len(text) < size; {
			text = fmt.Appendf(text, "%x ", rng.Uint32()>>rng.IntN(32))
		}
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(path, text, 0o600); err != nil {
			b.Fatal(err)
		}
		paths, bytes = append(paths, path), bytes+int64(len(text))
	}
	return paths, bytes
}

// here scans in this process, as many files at a time as there are workers.
func here(b *testing.B, db *ruledb.DB, paths []string, workers int) {
	work := make(chan *os.File)
	var wg sync.WaitGroup
	for range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			s := scan.New(db, scan.Options{Spill: func() (unpack.File, error) { return os.CreateTemp(b.TempDir(), "") }})
			for f := range work {
				st, err := f.Stat()
				if err != nil {
					b.Error(err)
				}
				s.Scan(&file{fd: int(f.Fd()), size: st.Size()})
				if again, err := f.Stat(); err != nil || again.Size() != st.Size() {
					b.Error(err)
				}
				f.Close()
			}
		}()
	}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		work <- f
	}
	close(work)
	wg.Wait()
}

// cpu returns the seconds that this process took, and those of its children that are gone.
func cpu() (s float64) {
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if unix.Getrusage(who, &u) == nil {
			s += float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
		}
	}
	return s
}

// there scans the same files in the jail.
func there(b *testing.B, p *Pool, paths []string) {
	var wg sync.WaitGroup
	wg.Add(len(paths))
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		p.Submit(context.Background(), f, func(_ showcause.Report, err error) {
			if err != nil {
				b.Error(err)
			}
			f.Close()
			wg.Done()
		})
	}
	wg.Wait()
}

// BenchmarkFiles scans 20,000 small files with the built-in rules, in this
// process and in the jail, and one large file.
func BenchmarkFiles(b *testing.B) {
	db, err := rules.Default()
	if err != nil {
		b.Fatal(err)
	}
	const workers = 2
	for name, make := range map[string]func(*testing.B) ([]string, int64){
		"small": func(b *testing.B) ([]string, int64) { return smallFiles(b, 20_000) },
		"large": func(b *testing.B) ([]string, int64) {
			path := filepath.Join(b.TempDir(), "large")
			text, _ := os.ReadFile("/proc/self/exe")
			for len(text) < 64<<20 {
				text = append(text, text...)
			}
			if err := os.WriteFile(path, text, 0o600); err != nil {
				b.Fatal(err)
			}
			return []string{path, path, path, path}, 4 * int64(len(text))
		},
	} {
		b.Run(name, func(b *testing.B) {
			paths, bytes := make(b)
			b.Run("here", func(b *testing.B) {
				b.SetBytes(bytes)
				before := cpu()
				for b.Loop() {
					here(b, db, paths, workers)
				}
				b.ReportMetric((cpu()-before)/float64(b.N), "cpu-s/op")
			})
			b.Run("jail", func(b *testing.B) {
				b.SetBytes(bytes)
				p, err := NewPool(Options{DB: db, Workers: workers, Names: true, Scratch: unlinked(b), Args: []string{"showcause", "reader", "real"}})
				if err != nil {
					b.Fatal(err)
				}
				there(b, p, paths[:1])
				before := cpu()
				for b.Loop() {
					there(b, p, paths)
				}
				p.Close() // what readers took is known when they are gone
				b.ReportMetric((cpu()-before)/float64(b.N), "cpu-s/op")
			})
		})
	}
}
