package engine

import (
	"compress/bzip2"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"iter"

	"github.com/showcause/showcause/internal/codec"
)

// stream is a decoder between two pipes. It runs as a coroutine, which stops
// wherever its input ends or its output is full, and goes on when there is more.
type stream struct {
	family   family
	from, to *pipe // nil once it is done
	resume   func() (event, bool)
	stop     func()
	in       []byte // what may be read
	out      []byte // what may be written
	more     bool   // output may be waiting, though there is no input
	over     bool   // it came to its end, and is not done
}

type event uint8

const (
	inputEnded event = iota
	outputFull
	streamEnded
	streamBroken
)

// family is which functions a decoder belongs to: their results differ.
type family uint8

const (
	inflate family = iota
	lzma
	bunzip2
)

// results are what a call of process returns, by event.
var results = map[family][4]int32{
	inflate: {0, 0, 1, -3},
	lzma:    {0, 0, 2, 1},
	bunzip2: {0, 0, 4, -4},
}

// again is what a call returns once the stream has ended, but of inflate, which is done then.
var again = map[family]uint64{lzma: 2, bunzip2: no}

var errStopped = errors.New("nobody reads on")

// source is what a decoder reads.
type source struct {
	s     *stream
	yield func(event) bool
}

func (r source) ReadByte() (byte, error) {
	for len(r.s.in) == 0 {
		if !r.yield(inputEnded) {
			return 0, errStopped
		}
	}
	b := r.s.in[0]
	r.s.in = r.s.in[1:]
	return b, nil
}

// Read gives one byte at a time, so that nothing is taken before it is needed.
func (r source) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := r.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = b
	return 1, nil
}

// newStream begins a decoder and returns its number.
func (m *run) newStream(f family, from, to uint64, memory int64, open func(source) (io.Reader, error)) uint64 {
	s := &stream{family: f, from: m.pipe(from), to: m.pipe(to)}
	if s.from == nil || s.to == nil || !m.Allocate(memory) {
		return no
	}
	s.resume, s.stop = iter.Pull(func(yield func(event) bool) {
		r, err := open(source{s, yield})
		for err == nil {
			for len(s.out) == 0 {
				if !yield(outputFull) {
					return
				}
			}
			var n int
			n, err = r.Read(s.out)
			s.out = s.out[n:]
		}
		if errors.Is(err, io.EOF) {
			yield(streamEnded)
			return
		}
		yield(streamBroken)
	})
	m.streams = append(m.streams, s)
	n := uint64(0) // each family counts for itself
	for _, o := range m.streams[:len(m.streams)-1] {
		if o.family == f {
			n++
		}
	}
	return n
}

func (m *run) stream(f family, id uint64) *stream {
	for _, s := range m.streams {
		if s.family != f {
			continue
		}
		if id == 0 {
			if s.from == nil {
				return nil
			}
			return s
		}
		id--
	}
	return nil
}

func (m *run) processStream(f family, id uint64) uint64 {
	s := m.stream(f, id)
	if s == nil {
		return no
	}
	avail, room := m.readable(s.from), s.to.writable()
	if s.over && (f == bunzip2 || avail > 0 && room > 0) {
		return again[f]
	}
	if avail == 0 && !s.more || room == 0 || !m.Charge((avail+room)/4+64) {
		return no
	}
	s.in = m.reading(s.from, avail)
	if int64(len(s.in)) < avail {
		return no
	}
	s.out = s.to.bytes[s.to.write : s.to.write+room]
	e, _ := s.resume()
	m.advance(s.from, avail-int64(len(s.in)))
	s.to.write += room - int64(len(s.out))
	s.in, s.out = nil, nil
	s.more = e == outputFull
	switch {
	case f != inflate && e == streamEnded:
		s.stop()
		s.over = true
	case e >= streamEnded:
		s.end()
	}
	return uint64(uint32(results[f][e]))
}

func (s *stream) end() {
	s.stop()
	s.from = nil
}

func (m *run) doneStream(f family, id uint64) uint64 {
	s := m.stream(f, id)
	if s == nil {
		return no
	}
	s.end()
	return 0
}

// inflate_init(from, to, windowBits), as zlib's inflateInit2 takes them.
func inflateInit(m *run, a []uint64) uint64 {
	bits := int32(a[2])
	var open func(source) (io.Reader, error)
	switch {
	case bits >= -15 && bits <= -8:
		open = func(s source) (io.Reader, error) { return flate.NewReader(s), nil }
	case bits == 0 || bits >= 8 && bits <= 15:
		open = func(s source) (io.Reader, error) { return zlib.NewReader(s) }
	case bits >= 16 && bits <= 31:
		open = openGzip
	case bits >= 32 && bits <= 47:
		open = openEither
	default:
		return no
	}
	return m.newStream(inflate, a[0], a[1], 80<<10, open)
}

func openGzip(s source) (io.Reader, error) {
	r, err := gzip.NewReader(s)
	if err == nil {
		r.Multistream(false)
	}
	return r, err
}

// openEither takes gzip or zlib, as the first byte says.
func openEither(s source) (io.Reader, error) {
	b, err := s.ReadByte()
	if err != nil {
		return nil, err
	}
	s.s.in = append([]byte{b}, s.s.in...)
	if b == 0x1f {
		return openGzip(s)
	}
	return zlib.NewReader(s)
}

func inflateProcess(m *run, a []uint64) uint64 { return m.processStream(inflate, a[0]) }
func inflateDone(m *run, a []uint64) uint64    { return m.doneStream(inflate, a[0]) }

// lzma_init(from, to): properties and size stand in front, as in .lzma files.
func lzmaInit(m *run, a []uint64) uint64 {
	const head = 13
	p := m.pipe(a[0])
	if m.readable(p) < head {
		return no
	}
	b := m.reading(p, head)
	if len(b) < head {
		return no
	}
	var props [5]byte
	copy(props[:], b)
	size := int64(le.Uint64(b[5:]))
	dict := int64(le.Uint32(props[1:]))
	m.advance(p, head)
	if props[0] >= 9*5*5 {
		return no
	}
	return m.newStream(lzma, a[0], a[1], min(max(dict, 4096), maxRead)+codec.SetupLZMA(props[0]), func(s source) (io.Reader, error) {
		return codec.NewLZMA(s, props, size)
	})
}

func lzmaProcess(m *run, a []uint64) uint64 { return m.processStream(lzma, a[0]) }
func lzmaDone(m *run, a []uint64) uint64    { return m.doneStream(lzma, a[0]) }

// bzip2_init(from, to).
func bzip2Init(m *run, a []uint64) uint64 {
	return m.newStream(bunzip2, a[0], a[1], 5<<20, func(s source) (io.Reader, error) {
		return oneStream{bzip2.NewReader(s)}, nil
	})
}

// oneStream ends with the first stream of bzip2, whatever is behind it.
type oneStream struct{ io.Reader }

func (o oneStream) Read(p []byte) (int, error) {
	n, err := o.Reader.Read(p)
	if err == bzip2.StructuralError("bad magic value in continuation file") {
		err = io.EOF
	}
	return n, err
}

func bzip2Process(m *run, a []uint64) uint64 { return m.processStream(bunzip2, a[0]) }
func bzip2Done(m *run, a []uint64) uint64    { return m.doneStream(bunzip2, a[0]) }

// script is JavaScript that is collected from a pipe.
type script struct {
	from *pipe // nil once it is done
	text []byte
}

// jsnorm_init(from).
func scriptInit(m *run, a []uint64) uint64 {
	p := m.pipe(a[0])
	if p == nil || !m.Allocate(128) {
		return no
	}
	m.scripts = append(m.scripts, &script{from: p})
	return uint64(len(m.scripts) - 1)
}

func (m *run) script(id uint64) *script {
	if id >= uint64(len(m.scripts)) || m.scripts[id].from == nil {
		return nil
	}
	return m.scripts[id]
}

// jsnorm_process(id).
func scriptProcess(m *run, a []uint64) uint64 {
	s := m.script(a[0])
	if s == nil {
		return no
	}
	n := m.readable(s.from)
	if n == 0 || !m.Allocate(n) {
		return no
	}
	b := m.reading(s.from, n)
	s.text = append(s.text, b...)
	m.advance(s.from, n)
	return 0
}

// jsnorm_done(id): what was collected is a file. It is normalised where it is
// searched, as all scripts are.
func scriptDone(m *run, a []uint64) uint64 {
	s := m.script(a[0])
	if s == nil {
		return no
	}
	if s.from = nil; len(s.text) > 0 {
		m.res.Extracted = append(m.res.Extracted, Extracted{Bytes: s.text, Script: true})
	}
	return 0
}
