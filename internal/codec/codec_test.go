package codec

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"encoding/binary"
	"io"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ulikunitz/xz/lzma"
)

// payload is about 200 bytes that compress.
var payload = []byte(strings.Repeat("padding that deflates well, ", 7) + "and an end")

func TestLZMADecoder(t *testing.T) {
	rnd := rand.New(rand.NewSource(2))
	for i := range 40 {
		p := make([]byte, rnd.Intn(60_000))
		for j := range p {
			p[j] = byte(rnd.ExpFloat64() * float64(1+i))
			if j > 5000 && rnd.Intn(50) == 0 {
				p[j] = p[j-5000+rnd.Intn(4000)]
			}
		}
		var b bytes.Buffer
		cfg := lzma.WriterConfig{
			Properties: &lzma.Properties{LC: i % 5, LP: i % 3, PB: i % 5}, DictCap: 4096 << (i % 4), EOSMarker: i%2 == 0,
			SizeInHeader: i%2 == 1, Size: int64(len(p)),
		}
		if cfg.Properties.LC+cfg.Properties.LP > 4 {
			cfg.Properties.LP = 0
		}
		w, err := cfg.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(p)
		w.Close()
		r := bytes.NewReader(append(b.Bytes()[13:], 1, 2, 3))
		d, err := NewLZMA(r, [5]byte(b.Bytes()), int64(binary.LittleEndian.Uint64(b.Bytes()[5:])))
		if err != nil {
			t.Fatal(err)
		}
		d.Marked = true
		out, err := io.ReadAll(d)
		if err != nil || !bytes.Equal(out, p) || r.Len() != 3 {
			t.Errorf("%d: %d of %d bytes, %d left, %v", i, len(out), len(p), r.Len(), err)
		}
	}
}

// TestLZMADictionary asks for 4 GiB and must get none of it.
func TestLZMADictionary(t *testing.T) {
	var d *LZMA
	for _, r := range []io.ByteReader{bytes.NewReader(make([]byte, 100)), bufio.NewReader(bytes.NewReader(make([]byte, 100)))} {
		var err error
		if d, err = NewLZMA(r, [5]byte{0x5d, 0xff, 0xff, 0xff, 0xff}, -1); err != nil {
			t.Fatal(err)
		}
		if n, _ := io.Copy(io.Discard, d); n == 0 || len(d.win) > 1<<20 {
			t.Errorf("%d bytes of window for %d of output", len(d.win), n)
		}
	}
	d.n, d.wrap, d.win, d.pos = 1<<30, true, make([]byte, 100), 50
	if err := d.reach(100); err != ErrDictionary {
		t.Errorf("a match from before the window: %v", err)
	}
}

func FuzzLZMADecoder(f *testing.F) {
	var b bytes.Buffer
	w, _ := lzma.NewWriter(&b)
	w.Write(payload)
	w.Close()
	f.Add(b.Bytes())
	f.Add(append([]byte{0x5d, 0, 0, 1, 0}, make([]byte, 40)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 13 || b[0] >= 225 || b[0]%9+b[0]/9%5 > 4 {
			return
		}
		head := [5]byte(b)
		head[3], head[4] = 0, 0 // a dictionary of up to 64 KiB for the oracle
		if head[1] == 0 && head[2] < 0x10 {
			head[2] = 0x10
		}
		const most = 1 << 20
		size := int64(binary.LittleEndian.Uint64(b[5:]))
		if size < 0 || size > most {
			size = -1
		}
		full := append(head[:], b[5:]...)
		binary.LittleEndian.PutUint64(full[5:], uint64(size))
		var want []byte
		r, wantErr := lzma.NewReader(bytes.NewReader(full))
		if wantErr == nil {
			want, wantErr = io.ReadAll(io.LimitReader(r, most))
		}
		var got []byte
		d, err := NewLZMA(bytes.NewReader(b[13:]), head, size)
		if err == nil {
			got, err = io.ReadAll(io.LimitReader(d, most))
		}
		// Ours reads on where the oracle asks for an end marker or wants none.
		if wantErr == nil && (err != nil || !bytes.Equal(got, want)) {
			t.Fatalf("%d bytes and %v, oracle %d bytes", len(got), err, len(want))
		}
		if n := min(len(got), len(want)); !bytes.Equal(got[:n], want[:n]) {
			t.Fatalf("differs from the oracle")
		}
	})
}

// TestExplodeHand decodes a stream made by hand: two trees, "aba" in literals,
// a match of 4 bytes from 3 back.
func TestExplodeHand(t *testing.T) {
	// 64 codes of 6 bits each, both trees: four runs of 16 codes.
	b := []byte{3, 0xf5, 0xf5, 0xf5, 0xf5, 3, 0xf5, 0xf5, 0xf5, 0xf5}
	var bits, n uint
	put := func(v, w uint) {
		bits |= v << n
		for n += w; n >= 8; n -= 8 {
			b = append(b, byte(bits))
			bits >>= 8
		}
	}
	code := func(v uint) { // six bits, the first one sent is the highest, all inverted
		for i := 5; i >= 0; i-- {
			put(v>>i&1^1, 1)
		}
	}
	for _, c := range "aba" {
		put(1, 1)
		put(uint(c), 8)
	}
	put(0, 1)
	put(2, 6) // low bits of distance less one
	code(0)
	code(2) // length 4
	put(0, 16)
	out, err := io.ReadAll(NewExplode(bytes.NewReader(b), false, false, 7))
	if err != nil || string(out) != "abaabaa" {
		t.Errorf("%q, %v", out, err)
	}
}

// TestBunzipLevel has bzip2 pack more than the declared size tells of, so that
// the first, low level fails.
func TestBunzipLevel(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "big.bz2"))
	if err != nil {
		t.Fatal(err)
	}
	want, _ := io.ReadAll(bzip2.NewReader(bytes.NewReader(data)))
	for _, size := range []int64{0, 10, int64(len(want)), 1 << 40, -1} {
		src := bytes.NewReader(data)
		work := int64(0)
		r, err := NewBunzip(src, bufio.NewReader(src), size, func(n int64) bool { work += n; return true })
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("declared %d: %d of %d bytes, %v", size, len(got), len(want), err)
		}
		if work < 100_000 {
			t.Errorf("declared %d: %d steps for a table", size, work)
		}
	}
}

func FuzzExplode(f *testing.F) {
	f.Add([]byte{3, 0xf5, 0xf5, 0xf5, 0xf5, 3, 0xf5, 0xf5, 0xf5, 0xf5, 1, 2, 3, 4, 5, 6, 7, 8}, true, false)
	f.Fuzz(func(t *testing.T, b []byte, big, three bool) {
		n, _ := io.Copy(io.Discard, NewExplode(bytes.NewReader(b), big, three, 1<<16))
		if n > 1<<16 {
			t.Errorf("%d bytes", n)
		}
	})
}
