package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/formats"
)

// packing is a format: how a folder becomes a file of it, and how its tool unpacks that.
type packing struct {
	name, make string // a shell command, from the folder "tree" to the file "out"
	tool       []string
}

func packings() []packing {
	return []packing{
		{"zip", "cd tree && zip -qr ../out.zip . && mv ../out.zip ../out", []string{"unzip", "-p"}},
		{"tar.gz", "tar -C tree -czf out .", []string{"tar", "-xzOf"}},
		{"xz", "tar -C tree -cf - . | xz -T1 -3 > out", []string{"xz", "-T1", "-dc"}},
		{"zstd", "tar -C tree -cf - . | zstd -q > out", []string{"zstd", "-q", "-dc", "--single-thread"}},
		{"7z", "cd tree && 7z a -bd -mx=3 -mmt=1 ../out.7z . > /dev/null && mv ../out.7z ../out", []string{"7z", "x", "-so", "-mmt=1"}},
	}
}

// unpacking sets the unpacking of archives beside the formats' own tools, by the
// processor time of both: one thread each, everything read to its end, nothing
// written. Here, all that a scan does besides is left out but for the types of members.
func (b *bench) unpacking(ctx context.Context, w io.Writer) error {
	if err := b.tree(filepath.Join(b.tmp, "tree")); err != nil {
		return err
	}
	fmt.Fprintf(w, "| format | size, MB | of it packed | tool | its MB/s | here | of it |\n|---|---|---|---|---|---|---|\n")
	for _, p := range packings() {
		out := filepath.Join(b.tmp, "out")
		cmd := exec.CommandContext(ctx, "/bin/sh", "-ec", p.make)
		cmd.Dir = b.tmp
		if text, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(w, "| %s | not run: %s |\n", p.name, strings.TrimSpace(string(text)))
			continue
		}
		theirs, ours, size := time.Duration(0), time.Duration(0), int64(0)
		for range b.runs {
			t, err := processor(ctx, append(p.tool, out)...)
			if err != nil {
				return fmt.Errorf("%s: %w", p.tool[0], err)
			}
			theirs = least(theirs, t)
			n, t, err := unpackAll(out)
			if err != nil {
				return err
			}
			ours, size = least(ours, t), n
		}
		packed, err := os.Stat(out)
		if err != nil {
			return err
		}
		rate := func(d time.Duration) float64 { return float64(size) / (1 << 20) / d.Seconds() }
		fmt.Fprintf(w, "| %s | %d | %d | %s | %.0f | %.0f | %.2f |\n", p.name, size>>20, packed.Size()>>20, p.tool[0], rate(theirs), rate(ours), rate(ours)/rate(theirs))
		os.Remove(out)
	}
	return nil
}

func least(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// tree copies files to a folder, up to the size of the corpus.
func (b *bench) tree(dir string) error {
	left, n := b.corpus<<20, 0
	for _, root := range b.files {
		err := filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return nil
			}
			if i, err := e.Info(); err != nil || i.Size() > left {
				return nil
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return nil
			}
			left -= int64(len(text))
			n++
			to := filepath.Join(dir, fmt.Sprint(n/100), fmt.Sprint(n, " ", filepath.Base(path)))
			if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
				return err
			}
			return os.WriteFile(to, text, 0o600)
		})
		if err != nil {
			return err
		}
	}
	if n == 0 {
		return fmt.Errorf("%w: no files", errAbsent)
	}
	return nil
}

// processor is the processor time of a program.
func processor(ctx context.Context, arg ...string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, arg[0], arg[1:]...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("%w: %.200s", err, &errs)
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}

// unpackAll reads all layers of a file, and returns the bytes of those that hold
// no others, and the processor time.
func unpackAll(name string) (size int64, spent time.Duration, err error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	f, err := os.Open(name)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	runtime.GC()
	before := processorSelf()
	budget := unpack.NewBudget(showcause.Limits{}, st.Size(), func() (unpack.File, error) {
		s, err := os.CreateTemp("", "unpack")
		if err == nil {
			os.Remove(s.Name())
		}
		return s, err
	})
	all := formats.All()
	var layer func(showcause.Layer)
	layer = func(l showcause.Layer) {
		head := bound.Head(l.Source, unpack.HeadSize)
		p := &unpack.Probe{Type: filetype.Detect(head, l.Source), Head: head, Source: l.Source}
		if len(l.Trail) > 0 && !strings.HasPrefix(p.Type.String(), "tar") {
			size += l.Source.Size()
			return
		}
		out := unpack.NewOut(budget, l.Trail, layer, func(showcause.Gap) {})
		for _, f := range all {
			if f.Match(p) {
				f.Walk(l.Source, out)
			}
		}
	}
	layer(showcause.Layer{Source: io.NewSectionReader(f, 0, st.Size())})
	return size, processorSelf() - before, nil
}

func processorSelf() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
