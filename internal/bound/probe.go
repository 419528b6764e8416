package bound

import (
	"bytes"
	"encoding/binary"

	"github.com/showcause/showcause"
)

const (
	probeSteps = 1 << 26 // of one Probe, whatever the budget
	probeBytes = 1 << 24 // of one Bytes or Text, whatever is asked
)

// Probe reads the structures of a source, numbers and texts anywhere in it, and
// counts what that costs. Where it says that something is not there, it is not in
// the source, cannot be read, or the budget is spent: Short and Err tell. It is not
// safe for concurrent use.
type Probe struct {
	w     *Window
	work  func(steps int64) bool
	left  int64
	loads int64 // of w that were paid
	spent bool
	cut   bool
}

// NewProbe returns the probe of a source. work is asked for every read, one step
// and one for each 64 bytes, those that were read in vain included; when it says
// false, everything from then on is not there. Beyond that, a
// Probe stops at 67 million steps; a nil work sets no other bound.
func NewProbe(src showcause.Source, work func(steps int64) bool) *Probe {
	return &Probe{w: NewWindow(src), work: work, left: probeSteps}
}

// Step asks for n steps of work that is not reading.
func (p *Probe) Step(n int64) bool {
	n += (p.w.loads - p.loads) * (pageSize / 64)
	p.loads = p.w.loads
	if !p.spent {
		p.left -= n
		p.spent = p.left < 0 || p.work != nil && !p.work(n)
	}
	return !p.spent
}

// Short says that the budget ended before the work, or that Cut was called.
func (p *Probe) Short() bool { return p.spent || p.cut }

// Cut says that a bound of the caller was reached, so that something is left out. What
// is read after it is there as before.
func (p *Probe) Cut() { p.cut = true }

// Err returns the first error of a read.
func (p *Probe) Err() error { return p.w.Err() }

// Size returns the length of the source in bytes.
func (p *Probe) Size() int64 { return p.w.Size() }

// Has says whether [off, off+n) lies in the source.
func (p *Probe) Has(off, n int64) bool { return In(off, n, p.w.Size()) }

// Bytes returns n bytes at off, nil if some of them are not there or n is above
// 16 MiB. They are valid until the next read.
func (p *Probe) Bytes(off, n int64) []byte {
	if n <= 0 || n > probeBytes || !p.Has(off, n) || !p.Step(1+n/64) {
		return nil
	}
	b := p.w.View(off, n)
	if int64(len(b)) == n {
		return b
	}
	out := bytes.Clone(b)
	for len(b) > 0 && int64(len(out)) < n {
		b = p.w.View(off+int64(len(out)), n-int64(len(out)))
		out = append(out, b...)
	}
	if int64(len(out)) < n {
		return nil
	}
	return out
}

// Uint returns the number of size bytes, 1, 2, 4 or 8, at off.
func (p *Probe) Uint(order binary.ByteOrder, off int64, size int) (uint64, bool) {
	b := p.Bytes(off, int64(size))
	switch {
	case b == nil:
		return 0, false
	case size == 1:
		return uint64(b[0]), true
	case size == 2:
		return uint64(order.Uint16(b)), true
	case size == 4:
		return uint64(order.Uint32(b)), true
	}
	return order.Uint64(b), true
}

// Text returns the bytes at off before the first zero, at most max of them, and
// whether there was a zero. It costs a step a byte: what is kept of a source is
// bounded by the budget.
func (p *Probe) Text(off, max int64) (text string, ended bool) {
	if max > probeBytes {
		max = probeBytes
	}
	var out []byte
	for int64(len(out)) < max && p.Step(1) {
		b := p.w.View(off+int64(len(out)), min(max-int64(len(out)), 4096))
		if len(b) == 0 {
			break
		}
		i := bytes.IndexByte(b, 0)
		if i < 0 {
			i = len(b)
		}
		if !p.Step(int64(i)) {
			break
		}
		if i < len(b) {
			if out == nil {
				return string(b[:i]), true
			}
			return string(append(out, b[:i]...)), true
		}
		out = append(out, b...)
	}
	return string(out), false
}
