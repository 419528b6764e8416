package quarantine

import (
	"bytes"
	"fmt"
	"io"

	"github.com/showcause/showcause/internal/disk"
)

// Hole is a part of a file that has no blocks on the disk, and reads as zeros.
type Hole struct {
	At   int64 `json:"at"`   // offset in the file
	Size int64 `json:"size"` // bytes
}

func (h Hole) end() int64 { return h.At + h.Size }

const (
	maxHoles = 8192 // of one item; an item's file is small
	minHole  = 4096
)

// holesOf lists the holes of a file, ascending. Of a file with too many, the
// smaller ones are left out: they are kept as zeros.
func holesOf(f *disk.File) (out []Hole, err error) {
	least := int64(minHole)
	err = f.Holes(func(at, size int64) {
		if size < least {
			return
		}
		out = append(out, Hole{at, size})
		for len(out) > maxHoles {
			least *= 2
			kept := out[:0]
			for _, h := range out {
				if h.Size >= least {
					kept = append(kept, h)
				}
			}
			out = kept
		}
	})
	return out, err
}

// checkHoles refuses holes that no file of this size has.
func checkHoles(holes []Hole, size int64) error {
	pos := int64(0)
	for _, h := range holes {
		if h.At < pos || h.Size <= 0 || h.At > size || h.Size > size-h.At {
			return fmt.Errorf("hole at %d of %d bytes", h.At, h.Size)
		}
		pos = h.end()
	}
	return nil
}

// stored is how many bytes of a file of this size are kept.
func stored(holes []Hole, size int64) int64 {
	for _, h := range holes {
		size -= h.Size
	}
	return size
}

// omitter gets a file's bytes in order, and hands on what is in no hole. Bytes
// of a hole that are not zero are errChanged.
type omitter struct {
	holes []Hole
	pos   int64
	write func(b []byte, at int64) error
}

var zeros [32 << 10]byte

// Write takes the bytes that follow.
func (o *omitter) Write(b []byte) (done int, err error) {
	for done < len(b) {
		rest := b[done:]
		if len(o.holes) > 0 && o.pos >= o.holes[0].end() {
			o.holes = o.holes[1:]
			continue
		}
		n := int64(len(rest))
		switch {
		case len(o.holes) > 0 && o.pos >= o.holes[0].At:
			n = min(n, o.holes[0].end()-o.pos, int64(len(zeros)))
			if !bytes.Equal(rest[:n], zeros[:n]) {
				return done, errChanged
			}
		case len(o.holes) > 0:
			n = min(n, o.holes[0].At-o.pos)
			fallthrough
		default:
			if err := o.write(rest[:n], o.pos); err != nil {
				return done, err
			}
		}
		done += int(n)
		o.pos += n
	}
	return done, nil
}

// filler reads the bytes that were kept with the zeros of the holes between them.
type filler struct {
	r     io.Reader
	holes []Hole
	pos   int64
}

// Read reads on.
func (f *filler) Read(b []byte) (n int, err error) {
	for len(f.holes) > 0 && f.pos >= f.holes[0].end() {
		f.holes = f.holes[1:]
	}
	switch {
	case len(f.holes) == 0:
		n, err = f.r.Read(b)
	case f.pos < f.holes[0].At:
		n, err = f.r.Read(b[:min(int64(len(b)), f.holes[0].At-f.pos)])
	default:
		n = int(min(int64(len(b)), f.holes[0].end()-f.pos))
		clear(b[:n])
	}
	f.pos += int64(n)
	return n, err
}
