package pdf

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// chains returns the filters of a stream, in each way in which its dictionary has them.
func (f *file) chains(v value) (out [][]filter) {
	var parms []value
	for _, e := range v.all("DecodeParms", "DP") {
		parms = append(parms, f.resolve(e, 0)...)
	}
	tries := 0
	for _, e := range v.all("Filter") {
		for _, r := range f.resolve(e, 0) {
			var names []value
			switch r.kind {
			case kindName:
				names = []value{r}
			case kindArray:
				for _, n := range r.list {
					if got := f.resolve(n, 1); len(got) > 0 {
						n = got[0]
					}
					names = append(names, n)
				}
			default:
				continue
			}
			if len(parms) == 0 {
				out = f.chain(out, names, value{})
			}
			for _, p := range parms {
				out = f.chain(out, names, p)
			}
			if tries += max(len(parms), 1); tries > maxChoice {
				f.say(showcause.LimitObject, 0, -1)
				return out
			}
		}
	}
	if len(out) == 0 {
		out = [][]filter{nil}
	}
	return out
}

const maxChains = 8 // of filters, of one stream

// chain appends a chain that is not there yet.
func (f *file) chain(out [][]filter, names []value, parms value) [][]filter {
	var c []filter
	for i, n := range names {
		if n.kind != kindName {
			continue
		}
		p := parms
		if parms.kind == kindArray {
			if p = (value{}); i < len(parms.list) {
				if got := f.resolve(parms.list[i], 1); len(got) > 0 {
					p = got[0]
				}
			}
		} else if len(names) > 1 && parms.kind == kindDict && i != len(names)-1 && methodOf(n.b) != filterLZW && methodOf(n.b) != filterFlate {
			p = value{}
		}
		c = append(c, f.filter(n, p))
	}
	if slices.ContainsFunc(out, func(o []filter) bool { return slices.Equal(o, c) }) {
		return out
	}
	if len(out) >= maxChains {
		f.say(showcause.LimitObject, 0, -1)
		return out
	}
	return append(out, c)
}

func (f *file) filter(name, p value) filter {
	get := func(key string, def int64) int64 {
		if got := f.resolve(p.get(key), 1); len(got) > 0 && got[0].kind == kindNumber {
			return got[0].n
		}
		return def
	}
	s := filter{method: methodOf(name.b)}
	switch s.method {
	case filterCrypt:
		s.crypt = "Identity"
		if n := p.get("Name"); n.kind == kindName {
			s.crypt = string(n.b)
		}
	case filterFlate, filterLZW:
		if s.predictor = get("Predictor", 1); s.predictor > 1 {
			s.colors, s.bits, s.columns = get("Colors", 1), get("BitsPerComponent", 8), get("Columns", 1)
		}
		s.early = get("EarlyChange", 1) != 0
	}
	return s
}

// bounds returns where a stream may end, in order, and whether that is sure.
func (f *file) bounds(s *stream, v value) (ends []int64, sure bool) {
	if s.end > 0 {
		slices.Sort(s.fits)
		return slices.Compact(s.fits), len(s.fits) == 1
	}
	closed := nextAfter(f.closes, s.data, f.size)
	add := func(end int64) {
		if end >= s.data && end <= f.size && !slices.Contains(ends, end) {
			ends = append(ends, end)
		}
	}
	if closed < f.size {
		add(f.trim(s.data, closed))
	}
	if over := nextAfter(f.ends, s.data, f.size); over < closed {
		add(f.trim(s.data, over)) // it lacks its own end
	}
	for _, n := range f.numbers(v.all("Length"), 2) {
		if n > 0 && n <= f.size-s.data {
			add(s.data + n)
		}
	}
	// The word may stand in the data: then "endobj" follows another one.
	i, _ := slices.BinarySearch(f.closes, s.data)
	for k := i; k < len(f.closes) && k < i+8; k++ {
		b := f.view(f.closes[k]+9, 32)
		j := 0
		for j < len(b) && class(b[j]) == 1 {
			j++
		}
		if bytes.HasPrefix(b[j:], []byte("endobj")) {
			add(f.trim(s.data, f.closes[k]))
			break
		}
	}
	if len(ends) == 0 {
		add(f.size)
	}
	slices.Sort(ends)
	return ends, false
}

// trim takes the end of a line off what ends at end.
func (f *file) trim(from, end int64) int64 {
	if end-from < 1 {
		return end
	}
	b := f.view(max(from, end-2), min(2, end-from))
	switch {
	case bytes.HasSuffix(b, []byte("\r\n")):
		return end - 2
	case bytes.HasSuffix(b, []byte("\n")), bytes.HasSuffix(b, []byte("\r")):
		return end - 1
	}
	return end
}

// run is one stream that is decoded.
type run struct {
	raw  *io.SectionReader
	in   *bufio.Reader // nil: it is closed
	r    io.Reader
	err  error
	self bool // its filter tells where it ends
	size int64
	read int64 // bytes of the stream, once it is closed
	of   *file
	fl   *inflate // the first filter, if it inflates
}

// Close gives back what a run holds: a file may have a hundred thousand streams.
func (r *run) Close() error {
	if r.in == nil {
		return nil
	}
	r.read, r.of.buffers = r.used(), append(r.of.buffers, r.in)
	if r.fl != nil && r.fl.fl != nil {
		r.of.inflaters = append(r.of.inflaters, r.fl.fl)
	}
	if r.in, r.fl = nil, nil; r.err == nil {
		r.err = io.ErrClosedPipe
	}
	return nil
}

// Read implements io.Reader.
func (r *run) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.r.Read(p)
	r.err = err
	return n, err
}

// clean tells whether the data told their own end.
func (r *run) clean() bool { return r.err == io.EOF && r.self }

// used returns how many bytes of the stream were read.
func (r *run) used() int64 {
	if r.in == nil {
		return r.read
	}
	at, _ := r.raw.Seek(0, io.SeekCurrent)
	return at - int64(r.in.Buffered())
}

// run decodes a stream to its end at end.
func (f *file) run(s *stream, end int64, chain []filter, c *cipher) *run {
	raw := bound.Reader(f.src, s.data, end-s.data)
	r := &run{raw: raw, size: end - s.data, of: f}
	if n := len(f.buffers); n > 0 {
		r.in, f.buffers = f.buffers[n-1], f.buffers[:n-1]
	} else {
		r.in = bufio.NewReaderSize(nil, 4<<10)
	}
	r.in.Reset(&metered{raw, f})
	in := r.in
	if c != nil {
		in = bufio.NewReaderSize(&decoder{r: c.reader(r.in), work: f.out.Work, rate: 8}, 4<<10)
	}
	r.r = in
	chain = slices.DeleteFunc(slices.Clone(chain), func(x filter) bool { return x.method == filterCrypt })
	for i, x := range chain {
		if x.method == filterUnknown || x.method == filterImage {
			break
		}
		if i >= maxChain {
			r.r = &broken{r: bytes.NewReader(nil)}
			break
		}
		if i == 0 {
			if r.self = x.method == filterFlate || x.method == filterLZW; x.method == filterFlate {
				r.fl = newInflate(in, f)
				r.r = x.over(r.fl, f)
				continue
			}
		} else {
			in = bufio.NewReaderSize(r.r, 4<<10)
		}
		r.r = x.open(in, f)
	}
	return r
}

// metered is the bytes of a stream. Where streams lie over each other, they are not
// read without end.
type metered struct {
	r io.Reader
	f *file
}

// Read implements io.Reader.
func (m *metered) Read(p []byte) (int, error) {
	if m.f.input < 0 {
		return 0, unpack.Fail(showcause.LimitWork)
	}
	n, err := m.r.Read(p)
	m.f.input -= int64(n)
	return n, err
}

// rest returns what is left of a chain that this package does not decode, and the code
// of the gap that it is: none for the samples of a picture.
func rest(chain []filter, picture bool) (image bool, code showcause.Code) {
	for i, x := range chain {
		switch {
		case x.method == filterUnknown:
			return false, unknownFilter
		case x.method == filterImage && i < len(chain)-1:
			return true, unknownFilter
		case x.method == filterImage && !picture:
			return true, imageFilter
		case x.method == filterImage:
			return true, ""
		}
	}
	return false, ""
}

const (
	unknownFilter = showcause.Unsupported + ".method.pdf-filter"
	imageFilter   = showcause.Unsupported + ".method.pdf-image"
)

// identity is the name of the object of a stream.
func (h head) identity() string {
	if h.num < 0 {
		return ""
	}
	return fmt.Sprintf("%d %d", h.num, h.gen)
}
