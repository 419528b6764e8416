package pdf

import (
	"bytes"
	"io"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
)

// role is what a stream is used for.
type role struct {
	op   string
	name string
}

// rank orders what a stream may be used for at once.
func (r role) rank() int {
	return slices.Index([]string{"", "pdf.metadata", "pdf.xfa", "pdf.javascript", "pdf.file"}, r.op)
}

// use notes what a stream is used for.
func (f *file) use(num int64, r role) {
	if old, ok := f.roles[num]; (ok || len(f.roles) < maxHeads) && r.rank() > old.rank() {
		f.roles[num] = r
	}
}

// give gives the streams, in the order in which they stand.
func (f *file) give() {
	for _, s := range f.streams {
		if !f.work(64) {
			return
		}
		f.giveStream(s)
	}
}

// dict reads the dictionary of a stream again.
func (f *file) dict(s *stream) value {
	if s.bare {
		return value{}
	}
	v, _ := f.object(s.head)
	return v
}

func (f *file) giveStream(s *stream) {
	v := f.dict(s)
	r := f.roles[s.num]
	switch {
	case r.op != "":
	case v.is("Type", "EmbeddedFile"):
		r.op = "pdf.file"
	case v.is("Type", "Metadata"):
		r.op = "pdf.metadata"
	default:
		r.op = "pdf.stream"
	}
	if r.name == "" {
		r.name = s.identity()
	}
	chains := f.chains(v)
	if len(chains) > 1 {
		f.say(showcause.Ambiguous+".pdf.filter", s.at, -1)
	}
	ends, sure := f.bounds(s, v)
	if s.bare {
		f.giveBare(s, ends)
		return
	}
	if len(ends) == 1 && ends[0] == f.size {
		f.say(showcause.Corrupt, f.size, -1)
	}
	picture := r.op == "pdf.stream" && (v.is("Subtype", "Image") || len(v.all("Width", "W")) > 0)
	for _, chain := range chains {
		c, sealed := f.cipherOf(s, v, chain, r)
		if (sealed || c != nil) && f.clear(s, chain) {
			f.say(showcause.Ambiguous+".pdf.filter", s.at, -1)
			f.giveChain(s, ends, sure, chain, nil, r, picture)
		}
		if sealed {
			f.giveSealed(s, ends, chain, r)
			continue
		}
		as := r
		if c != nil && f.lock.asked {
			as.op += opened
		}
		f.giveChain(s, ends, sure, chain, c, as, picture)
	}
}

// opened is behind the operation of what a password opened.
const opened = ".decrypted"

// giveBare gives a stream without a dictionary: as readers that recover one guess.
func (f *file) giveBare(s *stream, ends []int64) {
	if b := f.view(s.data, 2); isZlib(b) {
		f.giveChain(s, ends, false, []filter{{method: filterFlate, early: true}}, nil, role{op: "pdf.stream"}, false)
	}
	f.say(showcause.Corrupt, s.at, -1)
}

// giveSealed is for a stream that no password opens. Readers that know of no encryption
// read it if it is none.
func (f *file) giveSealed(s *stream, ends []int64, chain []filter, r role) {
	if b := f.view(s.data, 2); len(chain) > 0 && chain[0].method == filterFlate && isZlib(b) && f.tells(s, ends[0], chain, nil) {
		f.giveChain(s, ends[:1], true, chain, nil, r, false)
		return
	}
	if ends[0] == s.data {
		return
	}
	if r.op == "pdf.file" || r.op == "pdf.javascript" {
		f.stop = !f.out.ChildGap(unpack.Child{Op: r.op, Name: r.name, Size: -1}, showcause.Encrypted)
		return
	}
	f.say(showcause.Encrypted, s.data, -1)
}

// tells decodes a stream to see whether it tells its end.
func (f *file) tells(s *stream, end int64, chain []filter, c *cipher) bool {
	r := f.run(s, end, chain[:min(1, len(chain))], c)
	defer r.Close()
	if !r.self {
		return false
	}
	io.Copy(io.Discard, r)
	return r.clean()
}

// giveChain gives a stream in all its lengths under one chain of filters.
func (f *file) giveChain(s *stream, ends []int64, sure bool, chain []filter, c *cipher, r role, picture bool) {
	if !sure && len(ends) > 1 {
		for i := range ends {
			if f.tells(s, ends[i], chain, c) {
				ends = ends[i : i+1]
				break
			}
		}
		if len(ends) > 1 {
			f.say(showcause.Ambiguous+".pdf.length", s.at, -1)
		}
	}
	for _, end := range ends {
		if !f.giveOne(s, end, chain, c, r, picture) || f.stop {
			return
		}
	}
}

// giveOne gives one reading of a stream.
func (f *file) giveOne(s *stream, end int64, chain []filter, c *cipher, r role, picture bool) bool {
	image, code := rest(chain, picture)
	if c == nil && (len(chain) == 0 || image && chain[0].method == filterImage || chain[0].method == filterUnknown) {
		if f.input -= end - s.data; f.input < 0 {
			f.say(showcause.LimitWork, s.data, -1)
			return true
		}
		if !f.out.Section(f.src, r.op, r.name, s.data, end-s.data) {
			f.stop = true
			return false
		}
		if code != "" {
			f.out.Gap(code, s.data, end-s.data)
		}
		return true
	}
	got := f.run(s, end, chain, c)
	child := unpack.Child{Op: r.op, Name: r.name, Reader: got, Size: -1}
	child.Deflate = c == nil && len(chain) == 1 && chain[0].method == filterFlate && chain[0].predictor < 2
	if code != "" { // what stands in front of it is decoded
		child.Reader = io.MultiReader(got, failing{code})
	}
	f.stop = !f.out.Child(child)
	if got.Close(); f.stop {
		return false
	}
	if left := got.size - got.used(); c == nil && got.clean() && left > smallest {
		return f.between(s.data+got.used(), end)
	}
	return true
}

// failing ends a child with a code.
type failing struct{ code showcause.Code }

// Read implements io.Reader.
func (f failing) Read([]byte) (int, error) { return 0, unpack.Fail(f.code) }

// smallest is how many bytes in no object are worth to be given.
const smallest = 32

// rest gives what belongs to nothing.
func (f *file) rest() {
	at := int64(0)
	if f.first >= 0 {
		f.covered = append(f.covered, unpack.Span{From: f.first, To: min(f.first+8, f.size)})
	}
	slices.SortFunc(f.covered, func(a, b unpack.Span) int { return int(max(min(a.From-b.From, 1), -1)) })
	for _, s := range f.covered {
		if s.From > at && !f.between(at, s.From) {
			return
		}
		at = max(at, s.To)
	}
	f.between(at, f.size)
}

// binaryBytes is 1 for each byte that no text has.
var binaryBytes = func() (t [256]uint8) {
	for i := range t {
		if c := byte(i); c > 0x7e || c < ' ' && class(c) != 1 {
			t[i] = 1
		}
	}
	return t
}()

// between gives what stands in [from, to) if it is more than white space and words.
func (f *file) between(from, to int64) bool {
	if to-from < smallest {
		return true
	}
	if from >= f.plain.From && to <= f.plain.To {
		return true
	}
	binary, kept := 0, int64(-1)
	for off := from; off < to; off += step {
		b := f.view(off, min(step, to-off))
		if f.input -= int64(len(b)); f.input < 0 {
			f.say(showcause.LimitWork, off, -1)
			return true
		}
		if !f.work(int64(len(b))/8 + 1) {
			return false
		}
		for i := 0; i < len(b) && kept < 0; i++ {
			if class(b[i]) != 1 {
				kept = off + int64(i)
			}
		}
		for _, c := range b {
			binary += int(binaryBytes[c])
		}
		if binary >= 16 && kept >= 0 {
			break
		}
	}
	if binary < 16 {
		f.plain = unpack.Span{From: from, To: to}
		return true // text: it is searched as it stands
	}
	f.stop = !f.out.Section(f.src, "pdf.rest", "", kept, to-kept)
	return !f.stop
}

// text gives a child of bytes in memory.
func (f *file) text(op, name string, b []byte) {
	if len(b) == 0 || f.stop {
		return
	}
	f.stop = !f.out.Child(unpack.Child{Op: op, Name: name, Source: showcause.Bytes(bytes.Clone(b)), Size: int64(len(b))})
}
