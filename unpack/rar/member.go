package rar

import (
	"bufio"
	"hash/crc32"
	"io"
	"math"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// decoder is unpack3 or unpack5.
type decoder interface {
	// open begins a file; solid says that it goes on with the window and the
	// tables of the one before.
	open(in io.ByteReader, solid bool, dict int64)
	// fill decodes more of a file of that size, so that take has something.
	fill(size int64) error
	take(p []byte, end bool) (int, error)
	at() int64
}

// chain is the decoder of files that depend on each other.
type chain struct {
	dec    decoder
	five   bool
	held   int64
	broken showcause.Code // why those that follow cannot be read, "" if they can
}

// drop lets go of the decoder.
func (a *archive) drop() {
	if a.chain != nil {
		a.out.Release(a.chain.held)
		a.chain = nil
	}
}

// member gives one file, and tells whether to go on.
func (a *archive) member(m member) bool {
	first := a.first
	if !m.service {
		a.first = false
	}
	c := unpack.Child{Name: m.name, Size: m.size}
	if !m.service {
		a.out.Member(unpack.Member{Name: m.name, Packed: m.packed, Size: max(m.size, 0), Encrypted: m.encrypted, Sum: m.crc, Number: a.told, At: m.at})
		a.told++
	}
	five := m.version >= 50
	switch {
	case m.service:
		c.Op = "rar.service"
	case m.method == 0:
		c.Op = "rar.stored"
	case five:
		c.Op = "rar.lz5"
	default:
		c.Op = "rar.lz3"
	}
	code := showcause.Code("")
	if m.encrypted && a.open(&m) {
		c.Op += opened
	}
	switch {
	case m.encrypted && m.data == nil:
		code = showcause.Encrypted
	case m.before:
		code = gapVolume
	case m.method > 5 || m.version > 70 || m.method > 0 && (m.version < 29 || m.version > 36 && m.version < 50):
		code = gapMethod
	}
	if code != "" {
		if !m.service && m.method > 0 {
			a.breakChain(code)
		}
		return a.out.ChildGap(c, code)
	}
	for _, p := range m.parts {
		a.out.Cover(p.at, p.n)
	}
	if m.method == 0 {
		return a.stored(c, m)
	}
	return a.packed(c, m, five, first)
}

// breakChain notes that the files which depend on the next cannot be read.
func (a *archive) breakChain(code showcause.Code) {
	if a.chain == nil {
		a.chain = &chain{}
	}
	a.chain.broken = code
}

// stored gives a file that stands as it is.
func (a *archive) stored(c unpack.Child, m member) bool {
	n := m.stands()
	if m.size >= 0 && m.size != n && !m.behind {
		a.out.Gap(showcause.Corrupt, min(m.at, a.src.Size()), n)
	}
	r := &reader{a: a, m: m, in: bufio.NewReader(a.data(&m)), size: n}
	c.Size = n
	c.Reader = r
	return a.out.Child(c)
}

// packed gives a file that is compressed.
func (a *archive) packed(c unpack.Child, m member, five, first bool) bool {
	if m.service || !m.solid || a.chain != nil && a.chain.five != five && a.chain.broken == "" {
		if !m.service {
			a.drop()
		}
		m.solid = false
	}
	ch := a.chain
	if m.service { // they have decoders of their own
		ch = nil
	}
	if m.solid && ch == nil {
		if !first || a.volume {
			a.breakChain(gapVolume) // what it depends on is not here
			ch = a.chain
		} else {
			m.solid = false
		}
	}
	if ch != nil && ch.broken != "" {
		return a.out.ChildGap(c, ch.broken)
	}
	if ch == nil {
		ch = &chain{five: five, held: min(m.dict, maxWindow) + maxFilter}
		if m.size >= 0 {
			ch.held = min(ch.held, m.size+maxFilter)
		}
		if a.solid {
			ch.held = min(m.dict, maxWindow) + maxFilter
		}
		if !five {
			ch.held += maxModel
		}
		if !a.out.Hold(ch.held) {
			return a.out.ChildGap(c, showcause.LimitMemory)
		}
		ch.dec = &unpack3{work: a.out.Work}
		if five {
			ch.dec = &unpack5{}
		}
		if a.solid && !m.service {
			a.chain = ch
		} else {
			defer a.out.Release(ch.held)
		}
	}
	if !a.out.Work(1 << 15) {
		return false
	}
	r := &reader{a: a, m: m, in: bufio.NewReaderSize(a.data(&m), 16<<10), dec: ch.dec, size: m.size}
	if m.size < 0 {
		r.size = math.MaxInt64
	}
	r.dec.open(r.in, m.solid, m.dict)
	c.Reader = r
	if !a.solid || m.service {
		c.Reader = &closing{r}
	}
	if !a.out.Child(c) {
		return false
	}
	if a.solid && !m.service {
		return r.drain(ch)
	}
	return true
}

// reader gives the content of one file.
type reader struct {
	a    *archive
	m    member
	in   *bufio.Reader
	dec  decoder // nil if it is stored
	size int64
	n    int64
	crc  uint32
	err  error
}

// closing lets go of the decoder before the file is visited.
type closing struct{ *reader }

// Close implements io.Closer.
func (c *closing) Close() error {
	c.dec = nil
	if c.err == nil {
		c.err = io.ErrClosedPipe
	}
	return nil
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.read(p)
	r.crc = crc32.Update(r.crc, crc32.IEEETable, p[:n])
	r.n += int64(n)
	switch {
	case err == nil:
	case err == io.EOF && r.m.behind:
		err = unpack.Fail(gapVolume)
	case err == io.EOF && r.m.summed && r.m.sum(r.crc) != r.m.crc:
		err = unpack.Fail(r.m.wrong())
	}
	r.err = err
	return n, err
}

func (r *reader) read(p []byte) (int, error) {
	if r.dec == nil {
		n, err := r.in.Read(p)
		if err == io.EOF && r.n+int64(n) < r.size {
			err = io.ErrUnexpectedEOF
		}
		return n, err
	}
	for {
		end := r.dec.at() >= r.size
		n, err := r.dec.take(p[:min(int64(len(p)), r.size-r.n)], end)
		if n > 0 || err != nil {
			return n, err
		}
		if end {
			return 0, io.EOF
		}
		before := r.dec.at()
		if err := r.dec.fill(r.size); err != nil && r.dec.at() == before {
			return 0, r.end(err)
		}
	}
}

// end is what the error of a decoder means for the file.
func (r *reader) end(err error) error {
	switch {
	case err == errEnd && r.size == math.MaxInt64:
		if n, _ := r.dec.take(nil, true); n == 0 {
			return io.EOF
		}
	case r.m.behind:
		return unpack.Fail(gapVolume)
	}
	return bound.CutShort(err)
}

// drain decodes what a limit left of a file, since the next depends on it.
func (r *reader) drain(ch *chain) bool {
	buf := make([]byte, 32<<10)
	for r.err == nil {
		n, _ := r.Read(buf)
		if !r.a.out.Work(64*int64(n) + 1) {
			return false
		}
	}
	if u, ok := r.dec.(*unpack3); ok {
		u.finish()
	}
	if r.n < r.size && r.size != math.MaxInt64 {
		ch.broken = showcause.Corrupt
		if r.m.behind {
			ch.broken = gapVolume
		}
	}
	return true
}
