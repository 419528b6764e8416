package codec

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand"
	"testing"

	"github.com/ulikunitz/xz/lzma"
)

// lzmaMade packs n bytes of many kinds of matches: short and long, near and as far
// as the dictionary goes.
func lzmaMade(t testing.TB, seed int64, n int, cfg lzma.WriterConfig) (packed, plain []byte) {
	rnd := rand.New(rand.NewSource(seed))
	for len(plain) < n {
		far := 1 + rnd.Intn(1+min(len(plain), 1<<rnd.Intn(20)))
		switch rnd.Intn(4) {
		case 0:
			for range rnd.Intn(40) {
				plain = append(plain, byte(rnd.ExpFloat64()*10))
			}
		case 1:
			if far <= len(plain) {
				for range rnd.Intn(600) {
					plain = append(plain, plain[len(plain)-far])
				}
			}
		case 2:
			if far <= len(plain) { // a match, a literal, and on with the match
				for i := range rnd.Intn(60) {
					c := plain[len(plain)-far]
					if i%9 == 8 {
						c ^= byte(1 + rnd.Intn(255))
					}
					plain = append(plain, c)
				}
			}
		case 3:
			for range rnd.Intn(8) {
				plain = append(plain, byte(rnd.Intn(256)))
			}
		}
	}
	plain = plain[:n]
	var b bytes.Buffer
	cfg.SizeInHeader, cfg.Size = true, int64(n)
	w, err := cfg.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(plain)
	w.Close()
	return b.Bytes(), plain
}

// lzmaRead decodes what follows a header of 13 bytes. size is how many bytes are
// at hand at a time, 0 for a reader that gives single bytes; step is how many are
// asked for. It returns how many bytes of the input were not used too.
func lzmaRead(b []byte, head [5]byte, most, declared int64, size, step int) (out []byte, left int, err error) {
	src := bytes.NewReader(b)
	var r io.ByteReader = src
	left = 0
	rest := src.Len
	if size > 0 {
		buf := bufio.NewReaderSize(src, size)
		r, rest = buf, func() int { return buf.Buffered() + src.Len() }
	}
	d, err := NewLZMA(r, head, declared)
	if err != nil {
		return nil, rest(), err
	}
	p := make([]byte, step)
	for int64(len(out)) < most && err == nil {
		var n int
		n, err = d.Read(p[:min(int64(step), most-int64(len(out)))])
		out = append(out, p[:n]...)
	}
	return out, rest(), err
}

// TestLZMARun decodes with many and with few bytes at hand, into large and small
// pieces, with dictionaries that the content goes round many times.
func TestLZMARun(t *testing.T) {
	for i := range 12 {
		cfg := lzma.WriterConfig{
			Properties: &lzma.Properties{LC: i % 5, LP: i % 3, PB: i % 5}, DictCap: 4096 << (i % 5 * 2), EOSMarker: i%2 == 0,
		}
		if cfg.Properties.LC+cfg.Properties.LP > 4 {
			cfg.Properties.LP = 0
		}
		b, want := lzmaMade(t, int64(i), 200_000+i, cfg)
		b = append(b, 1, 2, 3)
		for _, c := range []struct{ size, step int }{{0, 1 << 16}, {16, 999}, {40, 1 << 16}, {100, 1}, {4096, 7}, {1 << 15, 273}, {1 << 20, 1 << 20}} {
			out, _, err := lzmaRead(b[13:], [5]byte(b), 1<<30, int64(len(want)), c.size, c.step)
			if err != io.EOF || !bytes.Equal(out, want) {
				t.Errorf("%d, %d at hand, %d asked: %d of %d bytes, %v", i, c.size, c.step, len(out), len(want), err)
			}
		}
		// The end marker, where there is one, ends it as well as the size.
		if i%2 == 0 {
			out, left, err := lzmaRead(b[13:], [5]byte(b), 1<<30, -1, 4096, 1<<16)
			if err != io.EOF || !bytes.Equal(out, want) || left != 3 {
				t.Errorf("%d: up to the marker: %d bytes, %d left, %v", i, len(out), left, err)
			}
		}
	}
}

// TestLZMARunCut ends the input at every byte, and damages it at every byte: few and
// many bytes at hand give the same.
func TestLZMARunCut(t *testing.T) {
	b, want := lzmaMade(t, 7, 3000, lzma.WriterConfig{Properties: &lzma.Properties{LC: 3, PB: 2}, DictCap: 4096})
	for i := range b[13:] {
		for _, bad := range [][]byte{b[13 : 13+i], append(append(bytes.Clone(b[13:13+i]), b[13+i]^0x55), b[14+i:]...)} {
			out, left, err := lzmaRead(bad, [5]byte(b), 1<<16, int64(len(want)), 0, 1<<16)
			out2, left2, err2 := lzmaRead(bad, [5]byte(b), 1<<16, int64(len(want)), 1<<16, 1<<16)
			if !bytes.Equal(out, out2) || !errors.Is(err2, err) || left != left2 {
				t.Fatalf("byte %d: %d bytes, %d left, %v; %d bytes, %d left, %v", i, len(out), left, err, len(out2), left2, err2)
			}
		}
	}
}

// FuzzLZMARun sets the loop for many bytes at hand beside the one for few.
func FuzzLZMARun(f *testing.F) {
	for i := range 4 {
		b, _ := lzmaMade(f, int64(i), 2000, lzma.WriterConfig{Properties: &lzma.Properties{LC: i, LP: i % 2, PB: i}, DictCap: 4096, EOSMarker: i > 1})
		f.Add(b, uint16(100*i))
	}
	f.Fuzz(func(t *testing.T, b []byte, step uint16) {
		if len(b) < 13 || b[0] >= 225 {
			return
		}
		head := [5]byte(b)
		head[3], head[4] = 0, 0
		size := int64(binary.LittleEndian.Uint64(b[5:]))
		if size > 1<<20 {
			size = -1
		}
		size = max(size, -1)
		out, left, err := lzmaRead(b[13:], head, 1<<18, size, 0, 1<<16)
		out2, left2, err2 := lzmaRead(b[13:], head, 1<<18, size, 1<<16, 1+int(step))
		if !bytes.Equal(out, out2) || err != err2 && (err != nil && err2 != nil) || err == err2 && left != left2 && err != nil {
			t.Fatalf("%d bytes, %d left, %v; %d bytes, %d left, %v", len(out), left, err, len(out2), left2, err2)
		}
	})
}
