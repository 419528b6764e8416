package ppmd

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"testing"
)

// FuzzModelI decodes anything at all with little memory: it is spent all the time.
func FuzzModelI(f *testing.F) {
	f.Add(bytes.Repeat([]byte{0, 1, 2, 3, 0xff, 0x80}, 200), uint8(4), uint16(0), false)
	f.Add(bytes.Repeat([]byte("and so on "), 300), uint8(16), uint16(100), true)
	f.Fuzz(func(t *testing.T, b []byte, order uint8, mem uint16, cuts bool) {
		work := 0
		m := ModelI{Work: func(n int64) bool { work += int(n); return work < 1<<24 }}
		if m.Start(int(order), minMemory+uint32(mem), int(bit(cuts))) != nil || m.RangeRAR(bytes.NewReader(b)) != nil {
			return
		}
		for range 50_000 {
			if _, err := m.Symbol(); err != nil {
				break
			}
		}
		if work > 1<<24+1<<13 {
			t.Errorf("%d steps", work)
		}
	})
}

// encoder is the other side of ModelI: the range coder of D. Subbotin over the same
// model, so that memory is spent in the tests as archives spend it.
type encoder struct {
	ModelI
	out []byte
}

func newEncoder(order int, mem uint32, restore int) *encoder {
	e := &encoder{}
	if err := e.Start(order, mem, restore); err != nil {
		panic(err)
	}
	e.low, e.width = 0, 0xffffffff
	return e
}

func (e *encoder) put(start, size, total int) {
	e.width /= uint32(total)
	e.low += uint32(start) * e.width
	e.width *= uint32(size)
	for {
		if (e.low ^ (e.low + e.width)) >= 1<<24 {
			if e.width >= 1<<15 {
				return
			}
			e.width = -e.low & (1<<15 - 1)
		}
		e.out = append(e.out, byte(e.low>>24))
		e.width <<= 8
		e.low <<= 8
	}
}

func (e *encoder) flush() []byte {
	for range 4 {
		e.out = append(e.out, byte(e.low>>24))
		e.low <<= 8
	}
	return e.out
}

// encode writes one symbol, -1 for the mark of the end.
func (e *encoder) encode(sym int) {
	if e.last(e.min) == 0 {
		s := e.min + 2
		i := uint32(e.nsBin[e.last(e.suffix(e.min))]) + e.prev + uint32(e.flags(e.min)) + uint32(e.runLength>>26)&0x20
		p := &e.binSumm[e.nsIndex[e.count(s)-1]][i]
		mean := (*p + 1<<(periodBits-2)) >> periodBits
		if int(e.sym(s)) == sym {
			e.put(0, int(*p), binScale)
			*p += 1<<intBits - mean
			e.found = s
			e.addCount(s, bit(e.count(s) < 196))
			e.prev = 1
			e.runLength++
			e.nextContext()
			return
		}
		e.put(int(*p), binScale-int(*p), binScale)
		*p -= mean
		e.initEsc = uint32(expEscape[*p>>10])
		clear(e.mask[:])
		e.mask[e.sym(s)] = true
		e.prev = 0
	} else if e.encodeFirst(sym) {
		return
	}
	for {
		masked := e.last(e.min)
		for {
			e.fall++
			if e.suffix(e.min) == 0 {
				return
			}
			if e.min = e.suffix(e.min); e.last(e.min) != masked {
				break
			}
		}
		if e.encodeMasked(sym, masked) {
			return
		}
	}
}

func (e *encoder) encodeFirst(sym int) bool {
	total, high := e.summ(e.min), 0
	for i := range e.last(e.min) + 1 {
		s := e.state(e.min, i)
		f := e.freq(s)
		if int(e.sym(s)) != sym {
			high += f
			continue
		}
		e.put(high, f, total)
		e.found = s
		e.prev = bit(i == 0 && 2*f >= total)
		e.runLength += int32(e.prev)
		e.addCount(s, 4)
		e.set16(e.min+2, total+4)
		if i > 0 && e.count(s) > e.count(s-stateSize) {
			e.swap(s, s-stateSize)
			e.found = s - stateSize
		}
		if e.freq(e.found) > maxFreq && (i == 0 || e.found != s) {
			e.rescale()
		}
		e.nextContext()
		return true
	}
	e.prev = 0
	e.put(high, total-high, total)
	clear(e.mask[:])
	for i := range e.last(e.min) + 1 {
		e.mask[e.sym(e.state(e.min, i))] = true
	}
	return false
}

func (e *encoder) encodeMasked(sym int, masked uint32) bool {
	at, start, high := uint32(0), -1, 0
	for i := range e.last(e.min) + 1 {
		if s := e.state(e.min, i); !e.mask[e.sym(s)] {
			if int(e.sym(s)) == sym {
				at, start = s, high
			}
			high += e.freq(s)
		}
	}
	esc, n := e.escape(masked)
	total := int(n) + high
	if start < 0 {
		e.put(high, total-high, total)
		esc.summ += uint16(total)
		for i := range e.last(e.min) + 1 {
			e.mask[e.sym(e.state(e.min, i))] = true
		}
		return false
	}
	e.put(start, e.freq(at), total)
	if esc.shift < periodBits {
		if esc.count--; esc.count == 0 {
			esc.summ <<= 1
			esc.count = 3 << esc.shift
			esc.shift++
		}
	}
	e.set16(e.min+2, e.summ(e.min)+4)
	e.found = at
	e.addCount(at, 4)
	if e.freq(at) > maxFreq {
		e.rescale()
	}
	e.runLength = e.initRL
	e.updateModel()
	e.min = e.max
	return true
}

// trip encodes and decodes, and returns what the encoder wrote.
func trip(t *testing.T, b []byte, order int, mem uint32, restore int, work func(int64) bool) []byte {
	t.Helper()
	e := newEncoder(order, mem, restore)
	for _, c := range b {
		e.encode(int(c))
	}
	if e.err != nil {
		t.Fatalf("order %d, %d bytes, %d: the model fails: %v", order, mem, restore, e.err)
	}
	e.encode(-1)
	packed := e.flush()
	m := ModelI{Work: work}
	if err := m.Start(order, mem, restore); err != nil {
		t.Fatal(err)
	}
	if err := m.RangeRAR(bytes.NewReader(packed)); err != nil {
		t.Fatal(err)
	}
	for i, want := range b {
		if c, err := m.Symbol(); c != want || err != nil {
			t.Fatalf("order %d, %d bytes, %d: symbol %d of %d: %#x, want %#x, %v", order, mem, restore, i, len(b), c, want, err)
		}
	}
	if _, err := m.Symbol(); err != io.EOF {
		t.Errorf("no end: %v", err)
	}
	return packed
}

// FuzzTripI packs anything and reads it again, in memory that is soon spent.
func FuzzTripI(f *testing.F) {
	f.Add(bytes.Repeat([]byte("and so on and on "), 400), uint8(4), uint16(0), uint8(1))
	f.Add([]byte("abracadabra"), uint8(16), uint16(5000), uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, order uint8, mem uint16, restore uint8) {
		trip(t, b, int(order%15)+2, minMemory+uint32(mem), int(restore&1), nil)
	})
}

// Text and a program's bytes, in memory that is spent again and again. The digests
// are those of models that 7z 26.02 agreed with (the tests of zip).
func TestModelI(t *testing.T) {
	b := make([]byte, 150_000)
	v := uint32(1)
	for i := range b {
		v = v*1664525 + 1013904223
		switch {
		case i > 5000 && v>>28 != 0:
			b[i] = b[i-int(1+v>>8&0xfff)%4999-1]
		case v>>27&1 == 0:
			b[i] = byte(v >> 16)
		default:
			b[i] = "and so on "[i%10]
		}
		if i%70 > 9 && i > 400 && i%1000 > 100 {
			b[i] = b[i-70]
		}
	}
	for _, c := range []struct {
		order   int
		mem     uint32
		restore int
		want    string
	}{
		{2, minMemory, 0, "11af63164dc9"}, {2, minMemory, 1, "172e757bed6a"}, {16, 1 << 16, 1, "e8b7833080bf"}, {6, 1 << 20, 1, "ead9d8aaafee"}, {9, 100_001, 1, "cb6e867f3cdb"}, {16, 1 << 13, 0, "c38c586107bb"}, {5, 30_000, 1, "47d476a4f639"},
	} {
		work := int64(0)
		packed := trip(t, b, c.order, c.mem, c.restore, func(n int64) bool { work += n; return true })
		sum := sha256.Sum256(packed)
		if got := hex.EncodeToString(sum[:6]); got != c.want {
			t.Errorf("order %d, %d bytes, %d: %s, %d bytes, %d steps", c.order, c.mem, c.restore, got, len(packed), work)
		}
	}
}

// A model that has no more work to spend says so.
func TestWorkI(t *testing.T) {
	e := newEncoder(4, 1<<13, 1)
	for i := range 50_000 {
		e.encode(int(byte(i * i >> 3)))
	}
	m := ModelI{Work: func(int64) bool { return false }}
	m.Start(4, 1<<13, 1)
	m.RangeRAR(bytes.NewReader(e.flush()))
	var err error
	for range 50_000 {
		if _, err = m.Symbol(); err != nil {
			break
		}
	}
	if err != ErrWork {
		t.Error(err)
	}
}

func TestStartI(t *testing.T) {
	var m ModelI
	for _, c := range []struct {
		order   int
		mem     uint32
		restore int
		want    error
	}{{1, 1 << 20, 0, ErrData}, {2, minMemory, 1, nil}, {16, 1 << 20, 0, nil}, {17, 1 << 20, 0, ErrData}, {6, 1 << 10, 0, ErrData}, {6, 1 << 20, 2, ErrRestore}, {6, 1 << 20, 3, ErrData}} {
		if err := m.Start(c.order, c.mem, c.restore); !errors.Is(err, c.want) {
			t.Errorf("order %d, %d bytes, %d: %v", c.order, c.mem, c.restore, err)
		}
	}
}
