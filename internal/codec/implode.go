package codec

import (
	"errors"
	"io"
)

// errExplode is the error for a stream that is not what it should be.
var errExplode = errors.New("explode: invalid data")

// exploder decodes method 6, "imploding": a sliding dictionary of 4 or 8 KiB
// and Shannon-Fano codes (APPNOTE.TXT, section 5.3). The stream has no end of
// its own; the declared size ends it.
type exploder struct {
	r     io.ByteReader
	bits  uint32
	nbits uint

	big     bool // 8 KiB: seven low bits of a distance stand plain
	threed  bool // literals are coded, and the shortest match is 3
	size    int64
	n       int64
	lits    sfTable
	lens    sfTable
	dists   sfTable
	started bool
	win     [8 << 10]byte
	left    int
	dist    int
	err     error
}

func NewExplode(r io.ByteReader, big, three bool, size int64) *exploder {
	return &exploder{r: r, big: big, threed: three, size: size}
}

// Read implements io.Reader.
func (e *exploder) Read(p []byte) (n int, err error) {
	if !e.started {
		e.started = true
		e.err = e.trees()
	}
	for n < len(p) && e.err == nil {
		if e.size >= 0 && e.n >= e.size {
			e.err = io.EOF
			break
		}
		if e.left == 0 {
			c, lit, err := e.symbol()
			if err != nil {
				e.err = err
				break
			}
			if lit {
				p[n] = e.put(c)
				n++
				continue
			}
		}
		e.left--
		// What stands before the start of the file reads as zeros.
		p[n] = e.put(e.win[(int(e.n)-e.dist)&(len(e.win)-1)])
		n++
	}
	if n > 0 {
		return n, nil
	}
	return 0, e.err
}

func (e *exploder) put(c byte) byte {
	e.win[int(e.n)&(len(e.win)-1)] = c
	e.n++
	return c
}

func (e *exploder) take(n uint) (int, error) {
	for e.nbits < n {
		c, err := e.r.ReadByte()
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		e.bits |= uint32(c) << e.nbits
		e.nbits += 8
	}
	v := int(e.bits & (1<<n - 1))
	e.bits >>= n
	e.nbits -= n
	return v, nil
}

func (e *exploder) trees() (err error) {
	if e.threed {
		if err = e.tree(&e.lits, 256); err != nil {
			return err
		}
	}
	if err = e.tree(&e.lens, 64); err != nil {
		return err
	}
	return e.tree(&e.dists, 64)
}

// tree reads the lengths of a code: a byte count less one, then bytes of a
// number of codes less one and their length less one, four bits each.
func (e *exploder) tree(t *sfTable, want int) error {
	n, err := e.take(8)
	if err != nil {
		return err
	}
	var lens [256]byte
	at := 0
	for range n + 1 {
		v, err := e.take(8)
		if err != nil {
			return err
		}
		for range v>>4 + 1 {
			if at == want {
				return errExplode
			}
			lens[at] = byte(v&15 + 1)
			at++
		}
	}
	if at != want || !t.init(lens[:want]) {
		return errExplode
	}
	return nil
}

// symbol decodes a literal, or sets up a match.
func (e *exploder) symbol() (c byte, lit bool, err error) {
	v, err := e.take(1)
	if err != nil {
		return 0, false, err
	}
	if v == 1 {
		if e.threed {
			v, err = e.code(&e.lits)
		} else {
			v, err = e.take(8)
		}
		return byte(v), true, err
	}
	plain, least := uint(6), 2
	if e.big {
		plain = 7
	}
	if e.threed {
		least = 3
	}
	low, err := e.take(plain)
	if err != nil {
		return 0, false, err
	}
	high, err := e.code(&e.dists)
	if err != nil {
		return 0, false, err
	}
	n, err := e.code(&e.lens)
	if err != nil {
		return 0, false, err
	}
	if n == 63 {
		more, err := e.take(8)
		if err != nil {
			return 0, false, err
		}
		n += more
	}
	e.dist, e.left = high<<plain+low+1, n+least
	return 0, false, nil
}

func (e *exploder) code(t *sfTable) (int, error) {
	code := 0
	for l := 1; l <= 16; l++ {
		v, err := e.take(1)
		if err != nil {
			return 0, err
		}
		code = code<<1 | v ^ 1 // the bits are stored inverted: the longest code is all zeros
		if i := code - t.first[l]; i >= 0 && i < t.count[l] {
			return int(t.syms[t.index[l]+i]), nil
		}
	}
	return 0, errExplode
}

// sfTable is a canonical code: codes of one length follow each other in the
// order of their symbols.
type sfTable struct {
	count, first, index [17]int
	syms                [256]uint8
}

func (t *sfTable) init(lens []byte) bool {
	for _, l := range lens {
		t.count[l]++
	}
	code, at := 0, 0
	for l := 1; l <= 16; l++ {
		code <<= 1
		t.first[l], t.index[l] = code, at
		code += t.count[l]
		at += t.count[l]
		if code > 1<<l {
			return false
		}
	}
	next := t.index
	for sym, l := range lens {
		t.syms[next[l]] = uint8(sym)
		next[l]++
	}
	return true
}
