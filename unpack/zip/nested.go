package zip

import (
	"bufio"
	"bytes"
	"io"

	"github.com/klauspost/compress/flate"

	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// zipNested is how many times one in the other a member is inflated that is deflated and
// is not said to be.
const zipNested = 8

// deeper derives what a member j is that is called stored, is deflated, and is a whole
// deflate stream once more when it is inflated: a child for each time.
func (z *zipWalk) deeper(name string, j zipJob) {
	for times := 1; times < zipNested && !z.stop; times++ {
		if !z.out.Work(4096 + 12*zipTrialLen) {
			z.stop = true
			return
		}
		head := make([]byte, zipTrialLen+1)
		n, err := io.ReadFull(z.inflated(j, times), head)
		if !deflated(head[:min(n, zipTrialLen)], err != nil) {
			return
		}
		z.stop = !z.out.Child(unpack.Child{Name: name, Op: "zip.deflate", Size: -1, Reader: z.inflated(j, times+1)})
	}
}

// inflated gives the bytes of a job, inflated a number of times.
func (z *zipWalk) inflated(j zipJob, times int) io.Reader {
	var r io.Reader = bound.Reader(z.src, j.start, j.packed)
	for range times {
		r = flate.NewReader(bufio.NewReaderSize(r, 4<<10))
	}
	return r
}

// deflated tells whether b are the first bytes of a deflate stream, or, where they are
// whole, a stream that ends with them. Noise does not inflate for long.
func deflated(b []byte, whole bool) bool {
	if len(b) < 32 || noDeflate(b) {
		return false
	}
	in := bytes.NewReader(b)
	n, err := io.CopyN(io.Discard, flate.NewReader(in), zipTrialLen)
	return err == nil || err == io.EOF && whole && n > 0 && in.Len() == 0
}
