package pattern

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/showcause/showcause"
)

// paged hides that a source is in memory, so that it is seen a page at a time.
type paged struct{ showcause.Bytes }

func (p paged) ReadAt(b []byte, off int64) (int, error) { return p.Bytes.ReadAt(b, off) }

// What is found by the rarest byte is what is found by looking at each place, whatever the
// stretches that are asked for.
func TestFind(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const alphabet = "aAbB\x00\xcc!"
	for range 3000 {
		b := make([]byte, 1+r.IntN(3*stride))
		for i := range b {
			b[i] = alphabet[r.IntN(len(alphabet))]
		}
		fold := r.IntN(2) == 0
		val := make([]byte, 1+r.IntN(min(5, len(b))))
		copy(val, b[r.IntN(len(b)-len(val)+1):])
		var mask []byte
		if fold {
			val = bytes.ToLower(val)
		}
		if r.IntN(2) == 0 {
			mask = make([]byte, len(val))
			for i := range mask {
				mask[i] = []byte{0xff, 0xff, 0x0f, 0xf0, 0}[r.IntN(5)]
				if mask[i] != 0xff {
					val[i] &= mask[i]
				}
			}
		}
		m := &Matcher{in: NewInput(paged{b})}
		var want, got []int64
		last := int64(len(b) - len(val))
		for at := int64(0); at <= last; at++ {
			if m.equal(val, mask, fold, at) {
				want = append(want, at)
			}
		}
		var f finder
		for lo := int64(0); lo <= last; {
			end := min(last, lo+int64(r.IntN(600)))
			for lo <= end {
				if lo = m.find(&f, val, mask, fold, lo, end); lo > end {
					break
				}
				if m.equal(val, mask, fold, lo) {
					got = append(got, lo)
				}
				lo++
			}
		}
		if !slices.Equal(want, got) {
			t.Fatalf("%q mask %x fold %v in %d bytes: %v, want %v", val, mask, fold, len(b), got, want)
		}
	}
}
