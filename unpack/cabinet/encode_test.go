package cabinet

import (
	"bytes"
	"encoding/binary"

	"github.com/klauspost/compress/flate"
)

// Encoders for tests: simple, and not sparing.

// cabBlock is the data of a block and the size of its content.
type cabBlock struct {
	data []byte
	n    int
}

func stored(content []byte) (out []cabBlock) {
	for ; len(content) > 0; content = content[min(len(content), 32<<10):] {
		n := min(len(content), 32<<10)
		out = append(out, cabBlock{content[:n], n})
	}
	return out
}

func mszip(content []byte) (out []cabBlock) {
	for off := 0; off < len(content); off += 32 << 10 {
		n := min(len(content)-off, 32<<10)
		var b bytes.Buffer
		b.WriteString("CK")
		w, _ := flate.NewWriterDict(&b, 6, content[max(off-32<<10, 0):off])
		w.Write(content[off : off+n])
		w.Close()
		out = append(out, cabBlock{b.Bytes(), n})
	}
	return out
}

// finder finds matches by the last place where three bytes stood.
type finder struct {
	b    []byte
	last map[[3]byte]int
}

func (f *finder) find(at, most, reach int) (off, n int) {
	if at+3 > len(f.b) {
		return 0, 0
	}
	k := [3]byte(f.b[at:])
	p, ok := f.last[k]
	f.last[k] = at
	if !ok || at-p > reach {
		return 0, 0
	}
	for n < most && at+n < len(f.b) && f.b[p+n] == f.b[at+n] {
		n++
	}
	if n < 3 {
		return 0, 0
	}
	return at - p, n
}

// lzxWriter writes 16-bit words.
type lzxWriter struct {
	out  []byte
	acc  uint64
	n    uint
	bits int
	r    [3]int

	mainLens [656]int
	lenLens  [249]int
}

func (w *lzxWriter) put(v, n int) {
	w.acc = w.acc<<n | uint64(v)
	for w.n += uint(n); w.n >= 16; w.n -= 16 {
		word := uint16(w.acc >> (w.n - 16))
		w.out = append(w.out, byte(word), byte(word>>8))
	}
}

func (w *lzxWriter) align() {
	if w.n > 0 {
		w.put(0, int(16-w.n))
	}
}

// flat is the code of n symbols whose lengths differ by one at most.
func flat(n, sym int) (code, bits int) {
	k := 0
	for 2<<k <= n {
		k++
	}
	if a := 2<<k - n; sym >= a {
		return sym + a, k + 1
	}
	return sym, k
}

func (w *lzxWriter) flat(n, sym int) { w.put(flat(n, sym)) }

func (w *lzxWriter) lengths(old []int, from, to, n int) {
	for i := range 20 {
		_, l := flat(20, i)
		w.put(l, 4)
	}
	for i := from; i < to; i++ {
		_, l := flat(n, i)
		w.flat(20, (old[i]-l+17)%17)
		old[i] = l
	}
}

func slotOf(v int) (slot, base, extra int) {
	for slot = 0; ; slot++ {
		if slot >= 4 {
			extra = min(slot/2-1, 17)
		}
		if v < base+1<<extra {
			return slot, base, extra
		}
		base += 1 << extra
	}
}

// lzx compresses with a window of 1<<bits bytes, in blocks of size bytes of
// each kind in turn, or of one if kind is not 0. calls is the size that calls are translated for.
func lzx(content []byte, bits, size, kind, calls int) []cabBlock {
	content = bytes.Clone(content)
	if calls > 0 {
		for at := 0; at < len(content); at += 32 << 10 {
			f := content[at:min(len(content), at+32<<10)]
			for i := 0; i < len(f)-10; i++ {
				if f[i] != 0xe8 {
					continue
				}
				cur := at + i
				switch rel := int(int32(binary.LittleEndian.Uint32(f[i+1:]))); {
				case rel >= -cur && rel < calls-cur:
					binary.LittleEndian.PutUint32(f[i+1:], uint32(rel+cur))
				case rel >= calls-cur && rel < calls:
					binary.LittleEndian.PutUint32(f[i+1:], uint32(rel-calls))
				}
				i += 4
			}
		}
	}
	slots := map[int]int{20: 42, 21: 50}[bits]
	if slots == 0 {
		slots = 2 * bits
	}
	n := 256 + 8*slots
	w := &lzxWriter{bits: bits, r: [3]int{1, 1, 1}}
	if calls > 0 {
		w.put(1, 1)
		w.put(calls>>16, 16)
		w.put(calls&0xffff, 16)
	} else {
		w.put(0, 1)
	}
	f := finder{content, map[[3]byte]int{}}
	var out []cabBlock
	left, k := 0, 0
	frame := 0
	begin := func(at int) {
		left = min(size, len(content)-at)
		if kind != 0 {
			k = kind
		} else {
			k = k%3 + 1
		}
		w.put(k, 3)
		w.put(left>>8, 16)
		w.put(left&255, 8)
		if k == 2 {
			for range 8 {
				w.put(3, 3)
			}
		}
		if k < 3 {
			w.lengths(w.mainLens[:], 0, 256, n)
			w.lengths(w.mainLens[:], 256, n, n)
			w.lengths(w.lenLens[:], 0, 249, 249)
			return
		}
		w.put(0, int(16-w.n)) // one whole word where it is aligned
		for _, r := range w.r {
			w.out = binary.LittleEndian.AppendUint32(w.out, uint32(r))
		}
	}
	odd := false
	for at := 0; at < len(content); {
		if left == 0 {
			if odd {
				w.out = append(w.out, 0)
			}
			begin(at)
			odd = k == 3 && left%2 == 1
		}
		end := min(frame+32<<10, len(content))
		if k == 3 {
			m := min(left, end-at)
			w.out = append(w.out, content[at:at+m]...)
			at, left = at+m, left-m
		} else {
			off, m := f.find(at, min(257, left, end-at), 1<<bits-3)
			if m >= 3 {
				w.match(n, off, m, k == 2)
			} else {
				m = 1
				w.flat(n, int(content[at]))
			}
			at, left = at+m, left-m
		}
		if at == end {
			if k == 3 && left == 0 && odd {
				w.out = append(w.out, 0)
				odd = false
			}
			w.align()
			out = append(out, cabBlock{w.out, end - frame})
			w.out, frame = nil, end
		}
	}
	return out
}

func (w *lzxWriter) match(n, off, m int, aligned bool) {
	head := min(m-2, 7)
	slot, base, extra := slotOf(off + 2)
	v := off + 2 - base
	rep := -1
	for i, r := range w.r {
		if r == off {
			rep = i
			break
		}
	}
	if rep >= 0 {
		slot, extra, v = rep, 0, 0
		w.r[0], w.r[rep] = w.r[rep], w.r[0]
	} else {
		w.r = [3]int{off, w.r[0], w.r[1]}
	}
	w.flat(n, 256+slot*8+head)
	if head == 7 {
		w.flat(249, m-9)
	}
	if aligned && extra >= 3 {
		w.put(v>>3, extra-3)
		w.put(v&7, 3)
	} else {
		w.put(v, extra)
	}
}

// qWriter is the encoder's side of quantum.
type qWriter struct {
	low, high uint16
	pending   int
	bits      []byte // of the arithmetic coder
	shifts    int
	raw       []struct{ at, v, n int }
}

func (w *qWriter) encode(m *qModel, sym int) {
	i := 1
	for int(m.syms[i-1].sym) != sym {
		i++
	}
	width, total := uint32(w.high-w.low)+1, uint32(m.syms[0].cum)
	w.high = w.low + uint16(uint32(m.syms[i-1].cum)*width/total) - 1
	w.low += uint16(uint32(m.syms[i].cum) * width / total)
	for j := range i {
		m.syms[j].cum += 8
	}
	if m.syms[0].cum > 3800 {
		m.update()
	}
	for {
		if (w.low^w.high)&0x8000 == 0 {
			w.emit(byte(w.low >> 15))
		} else if w.low&0x4000 != 0 && w.high&0x4000 == 0 {
			w.pending++
			w.low &= 0x3fff
			w.high |= 0x4000
		} else {
			return
		}
		w.shifts++
		w.low <<= 1
		w.high = w.high<<1 | 1
	}
}

func (w *qWriter) emit(bit byte) {
	w.bits = append(w.bits, bit)
	for ; w.pending > 0; w.pending-- {
		w.bits = append(w.bits, 1-bit)
	}
}

func (w *qWriter) put(v, n int) {
	w.raw = append(w.raw, struct{ at, v, n int }{w.shifts + 16, v, n})
}

func (w *qWriter) finish() (out []byte) {
	w.pending++
	w.emit(byte(w.low >> 14 & 1))
	var all []byte
	for i := 0; i < len(w.bits) || len(w.raw) > 0; i++ {
		for len(w.raw) > 0 && w.raw[0].at == i {
			for j := w.raw[0].n - 1; j >= 0; j-- {
				all = append(all, byte(w.raw[0].v>>j&1))
			}
			w.raw = w.raw[1:]
		}
		if i < len(w.bits) {
			all = append(all, w.bits[i])
		} else {
			all = append(all, 0)
		}
	}
	for len(all)%8 != 0 || len(all) < 32 {
		all = append(all, 0)
	}
	for ; len(all) > 0; all = all[8:] {
		c := byte(0)
		for _, b := range all[:8] {
			c = c<<1 | b
		}
		out = append(out, c)
	}
	return append(out, 0, 0)
}

// quantumOf compresses with a window of 1<<bits bytes.
func quantumOf(content []byte, bits int) (out []cabBlock) {
	q := newQuantum(uint(bits))
	f := finder{content, map[[3]byte]int{}}
	for at := 0; at < len(content); {
		start, end := at, min(at+32<<10, len(content))
		w := qWriter{high: 0xffff}
		for at < end {
			off, m := f.find(at, min(259, end-at), 1<<bits)
			slot, base, extra := 0, 0, 0
			for ; m >= 3; m-- { // shorter matches have fewer slots
				slot, base, extra = quantumSlot(off - 1)
				if slot < len(q.slots[min(m-3, 2)].syms)-1 {
					break
				}
			}
			if m < 3 {
				c := int(content[at])
				w.encode(&q.selector, c>>6)
				w.encode(&q.literal[c>>6], c)
				at++
				continue
			}
			sel := min(m+1, 6)
			w.encode(&q.selector, sel)
			if sel == 6 {
				s := 0
				for s < 26 {
					if b, e := qLength(s); m-5 >= b && m-5 < b+1<<e {
						break
					}
					s++
				}
				b, e := qLength(s)
				w.encode(&q.length, s)
				w.put(m-5-b, int(e))
			}
			w.encode(&q.slots[sel-4], slot)
			w.put(off-1-base, extra)
			at += m
		}
		out = append(out, cabBlock{w.finish(), end - start})
	}
	return out
}

func quantumSlot(v int) (slot, base, extra int) {
	for slot = 0; ; slot++ {
		if slot >= 4 {
			extra = slot/2 - 1
		}
		if v < base+1<<extra {
			return slot, base, extra
		}
		base += 1 << extra
	}
}

// cabFolder is a folder of a cabinet under construction.
type cabFolder struct {
	method uint16
	blocks []cabBlock
	files  []cabEntry
}

type cabEntry struct {
	name      string
	off, size int
	folder    int // if not 0, in place of the index
}

// makeCab writes a cabinet. reserve are the sizes of the reserved areas of
// the header, each folder and each block.
func makeCab(reserve [3]int, folders ...cabFolder) []byte {
	return makeCabOf(cabSet{}, reserve, folders...)
}

// cabSet is what a cabinet says of its set: flags, identity, index, and names.
type cabSet struct {
	flags, id, index uint16
	names            string
}

func makeCabOf(set cabSet, reserve [3]int, folders ...cabFolder) []byte {
	flags := set.flags
	head := make([]byte, 36)
	le.PutUint16(head[32:], set.id)
	le.PutUint16(head[34:], set.index)
	if reserve != [3]int{} {
		flags |= 4
		head = le.AppendUint16(head, uint16(reserve[0]))
		head = append(head, byte(reserve[1]), byte(reserve[2]))
		head = append(head, make([]byte, reserve[0])...)
	}
	head = append(head, set.names...)
	var files []byte
	count := 0
	for i, f := range folders {
		for _, e := range f.files {
			files = le.AppendUint32(files, uint32(e.size))
			files = le.AppendUint32(files, uint32(e.off))
			n := i
			if e.folder != 0 {
				n = e.folder
			}
			files = le.AppendUint16(files, uint16(n))
			files = append(files, 0x21, 0x53, 0, 0, 0x20, 0)
			files = append(files, e.name+"\x00"...)
			count++
		}
	}
	at := len(head) + len(folders)*(8+reserve[1])
	le.PutUint32(head[16:], uint32(at))
	at += len(files)
	var table, data []byte
	for _, f := range folders {
		table = le.AppendUint32(table, uint32(at+len(data)))
		table = le.AppendUint16(table, uint16(len(f.blocks)))
		table = le.AppendUint16(table, f.method)
		table = append(table, make([]byte, reserve[1])...)
		for _, b := range f.blocks {
			h := le.AppendUint16(nil, uint16(len(b.data)))
			h = le.AppendUint16(h, uint16(b.n))
			data = le.AppendUint32(data, cabSum(b.data)^cabSum(h))
			data = append(data, h...)
			data = append(data, make([]byte, reserve[2])...)
			data = append(data, b.data...)
		}
	}
	copy(head, "MSCF")
	le.PutUint32(head[8:], uint32(at+len(data)))
	head[24], head[25] = 3, 1
	le.PutUint16(head[26:], uint16(len(folders)))
	le.PutUint16(head[28:], uint16(count))
	le.PutUint16(head[30:], flags)
	return bytes.Join([][]byte{head, table, files, data}, nil)
}
