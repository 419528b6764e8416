// Package extent has what readers of file systems have in common: files that stand in
// a layer in stretches, and books of what was found, which are held against a file
// system's own lists.
package extent

import (
	"io"
	"sort"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

// Depth is how deep directories are followed.
const Depth = 512

// MaxRuns is how many stretches a file may have.
const MaxRuns = 1 << 20

// nameMost is how much of a name is kept, as by unpack.Out.
const nameMost = 4 << 10

// Run is a stretch of a file, bytes. An off below 0 is a hole: zeros.
type Run struct{ Off, N int64 }

// File is a file as a Source, made of runs of the layer.
type File struct {
	src  showcause.Source
	size int64
	Runs []Run
	ends []int64 // of each run, in the file
	Bad  bool    // some of it is not in the layer
}

// NewFile cuts the runs to size, and fills up with a hole.
func NewFile(src showcause.Source, size int64, runs []Run) *File {
	f := &File{src: src, size: size}
	at := int64(0)
	for _, r := range runs {
		if at >= size {
			break
		}
		r.N = min(r.N, size-at)
		if r.N <= 0 {
			continue
		}
		if r.Off >= 0 && (r.Off >= src.Size() || r.N > src.Size()-r.Off) {
			f.Bad = true
		}
		at += r.N
		if n := len(f.Runs); n > 0 && (f.Runs[n-1].Off >= 0 && f.Runs[n-1].Off+f.Runs[n-1].N == r.Off || f.Runs[n-1].Off < 0 && r.Off < 0) {
			f.Runs[n-1].N += r.N
			f.ends[n-1] = at
			continue
		}
		f.Runs = append(f.Runs, r)
		f.ends = append(f.ends, at)
	}
	if at < size {
		f.Runs = append(f.Runs, Run{-1, size - at})
		f.ends = append(f.ends, size)
	}
	return f
}

func (f *File) Size() int64 { return f.size }

// ReadAt gives zeros for holes, and for what the layer does not have: that is
// a gap, see give.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= f.size {
		return 0, io.EOF
	}
	n := 0
	for i := sort.Search(len(f.ends), func(i int) bool { return f.ends[i] > off }); i < len(f.Runs) && n < len(p); i++ {
		r := f.Runs[i]
		from := off - (f.ends[i] - r.N)
		part := p[n:min(int64(len(p)), int64(n)+r.N-from)]
		got := 0
		if r.Off >= 0 {
			got, _ = f.src.ReadAt(part, r.Off+from)
			got = max(got, 0)
			f.Bad = f.Bad || got < len(part)
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

// Out is what of unpack.Out a Giver uses.
type Out interface {
	Gap(code showcause.Code, off, n int64)
	Work(n int64) bool
	Cover(off, n int64)
	Tail(src showcause.Source, end int64, op string) bool
}

// Giver hands files over, each once.
type Giver struct {
	Src showcause.Source
	Out Out
	// Hand gives a child, and tells whether to go on.
	Hand  func(op, name string, src showcause.Source, size int64) bool
	Stop  bool
	Full  bool   // the list of what is in use has everything, so that it tells nothing
	Apart bool   // src is not the layer
	Books *Books // of what was found; nil where nobody asks

	buf []byte
}

// Work charges n steps and remembers when there are none left.
func (g *Giver) Work(n int64) bool {
	g.Stop = g.Stop || !g.Out.Work(n)
	return !g.Stop
}

// Zeros tells whether a stretch of a file is zeros. What cannot be read is not.
func (g *Giver) Zeros(f showcause.Source, off, end int64) bool {
	for off < end && g.Work(Chunk/16) {
		if g.buf == nil {
			g.buf = make([]byte, Chunk)
		}
		b := g.buf[:min(Chunk, end-off)]
		if n, _ := f.ReadAt(b, off); n < len(b) || !bound.IsZero(b) {
			return false
		}
		off += int64(len(b))
	}
	return true
}

// Give hands a file over; what the layer lacks of it is a gap.
func (g *Giver) Give(op, name string, size int64, runs []Run) {
	if g.Stop || size <= 0 {
		return
	}
	f := NewFile(g.Src, size, runs)
	known := f.Bad
	if known {
		g.Corrupt(g.Src.Size())
	}
	g.Stop = !g.Hand(op, Last(name), f, size)
	for _, r := range f.Runs {
		if !g.Apart {
			g.Out.Cover(r.Off, r.N)
		}
	}
	if f.Bad && !known {
		g.Corrupt(g.Src.Size())
	}
}

// Rest gives what stands behind the file system, which ends at end.
func (g *Giver) Rest(op string, end int64) {
	if !g.Stop && !g.Apart {
		g.Stop = !g.Out.Tail(g.Src, end, op)
	}
}

// Corrupt says that something at off could not be read.
func (g *Giver) Corrupt(off int64) { g.Out.Gap(showcause.Corrupt, max(min(off, g.Src.Size()), 0), -1) }

// Last is the end of a path that is too long.
func Last(name string) string {
	if len(name) > nameMost {
		return name[len(name)-nameMost:]
	}
	return name
}

// Join is a path.
func Join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
