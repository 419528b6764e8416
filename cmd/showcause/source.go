package main

import (
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/showcause/showcause"
)

type unixStat = syscall.Stat_t

// descriptor is an open regular file as a Source. It knows no path: this is
// what a scanner in another process gets.
type descriptor struct {
	f    *os.File
	size int64
	stat fs.FileInfo
}

// unsized is the most that is read of a file that says it is empty and is not
// (files of kernel file systems), bytes.
const unsized = 16 << 20

// newSource returns the content of a file as it is now.
func newSource(f *os.File) (showcause.Source, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() == 0 {
		b, err := io.ReadAll(io.LimitReader(f, unsized+1))
		if err != nil {
			return nil, err
		}
		if len(b) > 0 {
			return growing(b), nil
		}
	}
	return &descriptor{f: f, size: st.Size(), stat: st}, nil
}

func (d *descriptor) ReadAt(p []byte, off int64) (int, error) { return d.f.ReadAt(p, off) }
func (d *descriptor) Size() int64                             { return d.size }

// Changed tells whether the file was written to since it was opened.
func (d *descriptor) Changed() bool {
	st, err := d.f.Stat()
	return err != nil || st.Size() != d.size || !st.ModTime().Equal(d.stat.ModTime())
}

// growing is a file that has no size of its own.
type growing showcause.Bytes

func (g growing) ReadAt(p []byte, off int64) (int, error) { return showcause.Bytes(g).ReadAt(p, off) }
func (g growing) Size() int64                             { return min(int64(len(g)), unsized) }
func (g growing) Changed() bool                           { return len(g) > unsized }
