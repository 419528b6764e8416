// Package volume reads file systems: each file is a child that stands in the
// layer in stretches; nothing is copied out.
package volume

import (
	"io"
	"sort"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
)

// depth is how deep directories are followed.
const depth = 512

// maxRuns is how many stretches a file may have.
const maxRuns = 1 << 20

// run is a stretch of a file, bytes. An off below 0 is a hole: zeros.
type run struct{ off, n int64 }

// file is a file as a Source, made of runs of the layer.
type file struct {
	src  showcause.Source
	size int64
	runs []run
	ends []int64 // of each run, in the file
	bad  bool    // some of it is not in the layer
}

// newFile cuts the runs to size, and fills up with a hole.
func newFile(src showcause.Source, size int64, runs []run) *file {
	f := &file{src: src, size: size}
	at := int64(0)
	for _, r := range runs {
		if at >= size {
			break
		}
		r.n = min(r.n, size-at)
		if r.n <= 0 {
			continue
		}
		if r.off >= 0 && (r.off >= src.Size() || r.n > src.Size()-r.off) {
			f.bad = true
		}
		at += r.n
		if n := len(f.runs); n > 0 && (f.runs[n-1].off >= 0 && f.runs[n-1].off+f.runs[n-1].n == r.off || f.runs[n-1].off < 0 && r.off < 0) {
			f.runs[n-1].n += r.n
			f.ends[n-1] = at
			continue
		}
		f.runs = append(f.runs, r)
		f.ends = append(f.ends, at)
	}
	if at < size {
		f.runs = append(f.runs, run{-1, size - at})
		f.ends = append(f.ends, size)
	}
	return f
}

func (f *file) Size() int64 { return f.size }

// ReadAt gives zeros for holes, and for what the layer does not have: that is
// a gap, see give.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= f.size {
		return 0, io.EOF
	}
	n := 0
	for i := sort.Search(len(f.ends), func(i int) bool { return f.ends[i] > off }); i < len(f.runs) && n < len(p); i++ {
		r := f.runs[i]
		from := off - (f.ends[i] - r.n)
		part := p[n:min(int64(len(p)), int64(n)+r.n-from)]
		got := 0
		if r.off >= 0 {
			got, _ = f.src.ReadAt(part, r.off+from)
			got = max(got, 0)
			f.bad = f.bad || got < len(part)
		}
		clear(part[got:])
		n += len(part)
		off += int64(len(part))
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// giver hands files over, each once.
type giver struct {
	src   showcause.Source
	out   *unpack.Out
	stop  bool
	apart bool   // src is not the layer
	books *books // of what was found; nil where nobody asks
}

// work charges n steps and remembers when there are none left.
func (g *giver) work(n int64) bool {
	g.stop = g.stop || !g.out.Work(n)
	return !g.stop
}

// give hands a file over; what the layer lacks of it is a gap.
func (g *giver) give(op, name string, size int64, runs []run) {
	if g.stop || size <= 0 {
		return
	}
	f := newFile(g.src, size, runs)
	known := f.bad
	if known {
		g.corrupt(g.src.Size())
	}
	g.stop = !g.out.Child(unpack.Child{Op: op, Name: last(name), Source: f, Size: size})
	for _, r := range f.runs {
		if !g.apart {
			g.out.Cover(r.off, r.n)
		}
	}
	if f.bad && !known {
		g.corrupt(g.src.Size())
	}
}

// rest gives what stands behind the file system, which ends at end.
func (g *giver) rest(op string, end int64) {
	if !g.stop && !g.apart {
		g.stop = !g.out.Tail(g.src, end, op)
	}
}

// corrupt says that something at off could not be read.
func (g *giver) corrupt(off int64) { g.out.Gap(showcause.Corrupt, max(min(off, g.src.Size()), 0), -1) }

// last is the end of a path that is too long.
func last(name string) string {
	if len(name) > unpack.MaxName {
		return name[len(name)-unpack.MaxName:]
	}
	return name
}

// join is a path.
func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
