package legacy

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/flate"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// bitWriter writes bits, the most significant first.
type bitWriter struct {
	out []byte
	n   uint
}

func (w *bitWriter) put(v, n int) {
	for n--; n >= 0; n-- {
		if w.n%8 == 0 {
			w.out = append(w.out, 0)
		}
		w.out[len(w.out)-1] |= byte(v>>n&1) << (7 - w.n%8)
		w.n++
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

// tokens finds matches of up to most bytes within reach, by the last place of three bytes.
func tokens(b []byte, reach, most int) (out []token) {
	last := map[[3]byte]int{}
	for at := 0; at < len(b); {
		t := token{lit: b[at]}
		if at+3 <= len(b) {
			k := [3]byte(b[at:])
			if p, ok := last[k]; ok && at-p <= reach {
				n := 3
				for n < most && at+n < len(b) && b[p+n] == b[at+n] {
					n++
				}
				t = token{n: n, dist: at - p}
			}
			last[k] = at
		}
		out = append(out, t)
		at += max(t.n, 1)
	}
	return out
}

// lzh encodes with prefix codes that are flat, in blocks of 1000 tokens.
func lzh(b []byte, window uint, np int, pbits int) []byte {
	w := &bitWriter{}
	small := func(n, bits, gap int) {
		w.put(n, bits)
		for i := range n {
			_, l := flat(n, i)
			w.put(l, 3)
			if i+1 == gap {
				w.put(0, 2)
			}
		}
	}
	all := tokens(b, 1<<window-256, 256)
	for i, t := range all {
		if i%1000 == 0 {
			w.put(min(1000, len(all)-i), 16)
			small(19, 5, 3)
			w.put(510, 9)
			for s := range 510 {
				_, l := flat(510, s)
				w.put(flat(19, l+2))
			}
			small(np, pbits, -1)
		}
		if t.n == 0 {
			w.put(flat(510, int(t.lit)))
			continue
		}
		w.put(flat(510, t.n+253))
		v, d := t.dist-1, 0
		for v>>d != 0 {
			d++
		}
		w.put(flat(np, d))
		if d > 1 {
			w.put(v-1<<(d-1), d-1)
		}
	}
	return w.out
}

// lh1 encodes with the tree that the decoder keeps.
func lh1(b []byte) []byte {
	w := &bitWriter{}
	a := newAdaptive(bytes.NewReader(nil))
	char := func(c int) {
		var path []int
		for at := int(a.parent[c+lh1Nodes]); at != lh1Root; at = int(a.parent[at]) {
			path = append(path, at-int(a.son[a.parent[at]]))
		}
		for i := len(path) - 1; i >= 0; i-- {
			w.put(path[i], 1)
		}
		a.update(c)
	}
	lens := []int{}
	for l, n := range []int{3: 1, 4: 3, 5: 8, 6: 12, 7: 24, 8: 16} {
		for range n {
			lens = append(lens, l)
		}
	}
	for _, t := range tokens(b, 4096-64, 60) {
		if t.n == 0 {
			char(int(t.lit))
			continue
		}
		char(t.n + 253)
		v := t.dist - 1
		code := 0
		for i := range v >> 6 {
			code += 1 << (8 - lens[i])
		}
		w.put(code>>(8-lens[v>>6]), lens[v>>6])
		w.put(v&63, 6)
	}
	return w.out
}

// lzss encodes with a byte of flags; places count from start.
func lzss(b []byte, start int) (out []byte) {
	at := 0
	all := tokens(b, 4000, 18)
	for i := 0; i < len(all); i += 8 {
		flag := len(out)
		out = append(out, 0)
		for k, t := range all[i:min(i+8, len(all))] {
			if t.n == 0 {
				out[flag] |= 1 << k
				out = append(out, t.lit)
				at++
				continue
			}
			place := (start + at - t.dist) & 0xfff
			out = append(out, byte(place), byte(place>>4&0xf0|(t.n-3)))
			at += t.n
		}
	}
	return out
}

func lzsOf(b []byte) []byte {
	w := &bitWriter{}
	at := 0
	for _, t := range tokens(b, 2000, 17) {
		if t.n == 0 {
			w.put(1, 1)
			w.put(int(t.lit), 8)
			at++
			continue
		}
		w.put(0, 1)
		w.put((at-t.dist-17)&0x7ff, 11)
		w.put(t.n-2, 4)
		at += t.n
	}
	return w.out
}

// fast encodes ARJ's method 4.
func fast(b []byte) []byte {
	w := &bitWriter{}
	number := func(v, width, stop int) {
		for power := 1 << width; width < stop && v >= power; power <<= 1 {
			w.put(1, 1)
			v -= power
			width++
		}
		if width < stop {
			w.put(0, 1)
		}
		w.put(v, width)
	}
	for _, t := range tokens(b, 10_000, 250) {
		if t.n == 0 {
			number(0, 0, 7)
			w.put(int(t.lit), 8)
			continue
		}
		number(t.n-2, 0, 7)
		number(t.dist-1, 9, 13)
	}
	return w.out
}

// lhaOf is a member with a header of level 0, 1 or 2.
func lhaOf(level byte, method, name string, data, whole []byte) []byte {
	h := append([]byte{0, 0}, "-"+method+"-"...)
	h = le.AppendUint32(h, uint32(len(data)))
	h = append(le.AppendUint32(h, uint32(len(whole))), 0, 0, 0x21, 0x53, 0x20, level)
	sum := uint16(crc16(0, whole))
	if level == 2 {
		h = append(le.AppendUint16(h, sum), 'U')
		h = le.AppendUint16(h, uint16(len(name)+3))
		h = append(append(append(h, 1), name...), 0, 0)
		le.PutUint16(h, uint16(len(h)))
		return append(h, data...)
	}
	h = append(append(h, byte(len(name))), name...)
	h = le.AppendUint16(h, sum)
	if level == 1 {
		h = append(h, 'U', 7, 0)
		le.PutUint32(h[7:], uint32(len(data)+7))
	}
	h[0] = byte(len(h) - 2)
	for _, c := range h[2:] {
		h[1] += c
	}
	if level == 1 {
		h = append(h, 2, 'd', 'i', 'r', 0xff, 0, 0)
	}
	return append(h, data...)
}

func edit(b []byte, off int, c byte) []byte { b[off] = c; return b }

// lhaOS9 makes a member of level 2 one of OS-9/68000, whose size of the header
// does not count itself.
func lhaOS9(b []byte) []byte {
	le.PutUint16(b, le.Uint16(b)-2)
	b[23] = 'K'
	return b
}

// arjOf is an archive of one file.
func arjOf(method, flags byte, name string, data, whole []byte) []byte {
	head := func(method, flags, kind byte, name string, data, whole []byte) []byte {
		h := []byte{30, 11, 1, 2, flags, method, kind, 0, 0, 0, 0x21, 0x53}
		h = le.AppendUint32(h, uint32(len(data)))
		h = le.AppendUint32(h, uint32(len(whole)))
		h = append(le.AppendUint32(h, crc32.ChecksumIEEE(whole)), 0, 0, 0xff, 0, 0, 0)
		h = append(h, name+"\x00\x00"...)
		out := append([]byte("\x60\xea"), byte(len(h)), 0)
		out = le.AppendUint32(append(out, h...), crc32.ChecksumIEEE(h))
		return append(out, 0, 0)
	}
	out := append(head(0, 0, 2, "a.arj", nil, nil), head(method, flags, 0, name, data, whole)...)
	return append(append(out, data...), 0x60, 0xea, 0, 0)
}

func szddOf(b []byte) []byte {
	out := append([]byte("SZDD\x88\xf0\x27\x33A_"), le.AppendUint32(nil, uint32(len(b)))...)
	return append(out, lzss(b, 4096-16)...)
}

func kwajOf(method byte, b []byte) []byte {
	out := append([]byte("KWAJ\x88\xf0\x27\xd1"), method, 0, 26, 0, 0x19, 0)
	out = append(le.AppendUint32(out, uint32(len(b))), "name\x00ab\x00"...)
	switch method {
	case 0:
		return append(out, b...)
	case 1:
		for _, c := range b {
			out = append(out, ^c)
		}
	case 2:
		return append(out, lzss(b, 4096-18)...)
	case 4:
		for off := 0; off < len(b); off += 32 << 10 {
			var z bytes.Buffer
			z.WriteString("CK")
			w, _ := flate.NewWriterDict(&z, 6, b[max(off-32<<10, 0):off])
			w.Write(b[off:min(len(b), off+32<<10)])
			w.Close()
			out = append(le.AppendUint16(out, uint16(z.Len())), z.Bytes()...)
		}
	}
	return out
}

// made are files of every kind with the content b, by format.
func made(b []byte) map[string]map[string][]byte {
	end := func(m ...[]byte) []byte { return append(bytes.Join(m, nil), 0) }
	return map[string]map[string][]byte{
		"lha": {
			"lh0": end(lhaOf(0, "lh0", "n", b, b)), "lh1": end(lhaOf(0, "lh1", "n", lh1(b), b)),
			"lh4": end(lhaOf(1, "lh4", "n", lzh(b, 12, 14, 4), b)), "lh5": end(lhaOf(2, "lh5", "n", lzh(b, 13, 14, 4), b)),
			"lh6": end(lhaOf(1, "lh6", "n", lzh(b, 15, 16, 5), b)), "lh7": end(lhaOf(2, "lh7", "n", lzh(b, 16, 17, 5), b)),
			"lhx": end(lhaOf(2, "lhx", "n", lzh(b, 19, 20, 5), b)), "OS-9": end(lhaOS9(lhaOf(2, "lh5", "n", lzh(b, 13, 14, 4), b))),
			"lz5": lhaOf(0, "lz5", "n", lzss(b, 4096-18), b), "lzs": lhaOf(0, "lzs", "n", lzsOf(b), b),
		},
		"arj":  {"0": arjOf(0, 0, "n", b, b), "1": arjOf(1, 0, "n", lzh(b, 14, 17, 5), b), "4": arjOf(4, 0, "n", fast(b), b)},
		"szdd": {"A": szddOf(b)},
		"kwaj": {"0": kwajOf(0, b), "1": kwajOf(1, b), "2": kwajOf(2, b), "4": kwajOf(4, b)},
	}
}

func all() map[string]unpack.Format {
	return map[string]unpack.Format{"lha": LHA(), "arj": ARJ(), "szdd": SZDD(), "kwaj": KWAJ()}
}

func TestRead(t *testing.T) {
	for _, n := range []int{1, 50, 3000, 100_001} {
		b := unpacktest.Mixed(n)
		for format, kinds := range made(b) {
			for kind, data := range kinds {
				r := unpacktest.Walk(t, all()[format], data, showcause.Limits{})
				if len(r.Gaps) > 0 || len(r.Children) != 1 || !bytes.Equal(r.Children[0].Data, b) {
					t.Errorf("%s %s, %d bytes: %s", format, kind, n, r)
				}
			}
		}
	}
}

func TestGolden(t *testing.T) {
	text, _ := os.ReadFile("testdata/text")
	files, _ := filepath.Glob("testdata/*.*")
	for _, p := range files {
		b, _ := os.ReadFile(p)
		f := map[string]unpack.Format{".lzh": LHA(), ".arj": ARJ(), ".szdd": SZDD()}[filepath.Ext(p)]
		if !f.Match(unpacktest.Probe(showcause.Bytes(b))) {
			t.Errorf("%s: no match", p)
		}
		r := unpacktest.Walk(t, f, b, showcause.Limits{})
		if strings.Contains(p, "crypt") {
			if len(r.Children) > 0 || !r.Has(showcause.Encrypted) {
				t.Errorf("%s: %s", p, r)
			}
		} else if len(r.Gaps) > 0 || len(r.Children) != 1 || !bytes.Equal(r.Children[0].Data, text) {
			t.Errorf("%s: %s", p, r)
		}
	}
	if len(files) < 9 {
		t.Errorf("%d files", len(files))
	}
}

func TestConforms(t *testing.T) {
	b := unpacktest.Mixed(600)
	m := made(b)
	two := append(lhaOf(0, "lh5", "n", lzh(b, 13, 14, 4), b), lhaOf(1, "lh0", "m", []byte("and so on"), []byte("and so on"))...)
	unpacktest.Conform(t, LHA(), map[string][]byte{"lh1": m["lha"]["lh1"], "lh7": m["lha"]["lh7"], "two": append(two, 0)})
	unpacktest.Conform(t, ARJ(), m["arj"])
	unpacktest.Conform(t, SZDD(), m["szdd"])
	unpacktest.Conform(t, KWAJ(), m["kwaj"])
}

func fuzz(f *testing.F, name string) {
	var seeds [][]byte
	for _, b := range made(unpacktest.Mixed(500))[name] {
		seeds = append(seeds, b)
	}
	unpacktest.Fuzz(f, all()[name], seeds...)
}

func FuzzLHA(f *testing.F)  { fuzz(f, "lha") }
func FuzzSZDD(f *testing.F) { fuzz(f, "szdd") }
func FuzzKWAJ(f *testing.F) { fuzz(f, "kwaj") }

func TestOdd(t *testing.T) {
	b := []byte("marker and so on")
	bad := bytes.Clone(lhaOf(0, "lh0", "n", b, b))
	bad[len(bad)-1] ^= 1
	program := append([]byte("MZ"), make([]byte, 1000)...)
	for name, s := range map[string]struct {
		format unpack.Format
		data   []byte
		files  int
		gaps   string
	}{
		"no end":              {LHA(), lhaOf(0, "lh0", "n", b, b), 1, "corrupt"},
		"checksum":            {LHA(), append(bad, 0), 1, "corrupt"},
		"junk between":        {LHA(), append(append(append(lhaOf(0, "lh0", "n", b, b), "junk"...), lhaOf(0, "lh0", "n", b, b)...), 0), 2, "corrupt"},
		"OS-9, two":           {LHA(), append(append(lhaOS9(lhaOf(2, "lh0", "n", b, b)), lhaOS9(lhaOf(2, "lh0", "m", b, b))...), 0), 2, ""},
		"OS-9, right sizes":   {LHA(), append(edit(lhaOf(2, "lh0", "n", b, b), 23, 'K'), 0), 1, ""},
		"unknown method":      {LHA(), append(lhaOf(0, "lh3", "n", b, b), 0), 0, "unsupported.method.lha"},
		"lha in a program":    {LHA(), append(append(program, lhaOf(1, "lh0", "n", b, b)...), 0), 1, ""},
		"arj in a program":    {ARJ(), append(program, arjOf(0, 0, "n", b, b)...), 1, ""},
		"arj, other method":   {ARJ(), arjOf(7, 0, "n", b, b), 0, "unsupported.method.arj"},
		"arj, encrypted":      {ARJ(), arjOf(0, 1, "n", b, b), 0, "encrypted"},
		"arj, next volume":    {ARJ(), arjOf(0, 4, "n", b, b), 1, "unsupported.format.arj-volume"},
		"arj, last volume":    {ARJ(), arjOf(0, 8, "n", b, b), 1, "unsupported.format.arj-volume"},
		"szdd, other size":    {SZDD(), append(szddOf(b), 0xff, 'x', 'y'), 2, "corrupt"},
		"szdd, not the magic": {SZDD(), []byte("SZDDabcdefghijkl"), 0, "corrupt"},
		"kwaj, prefix codes":  {KWAJ(), kwajOf(3, b), 0, "unsupported.method.kwaj"},
	} {
		if !s.format.Match(unpacktest.Probe(showcause.Bytes(s.data))) {
			t.Errorf("%s: no match", name)
		}
		r := unpacktest.Walk(t, s.format, s.data, showcause.Limits{})
		var gaps []string
		for _, g := range r.Gaps {
			gaps = append(gaps, string(g.Code))
		}
		if len(r.Children) != s.files || strings.Join(gaps, " ") != s.gaps {
			t.Errorf("%s: gaps %q, want %q; %s", name, gaps, s.gaps, r)
		}
	}
}

// What jlha, arj and mscompress write is read.
func TestTools(t *testing.T) {
	dir := t.TempDir()
	want := unpacktest.Mixed(200_000)
	os.WriteFile(filepath.Join(dir, "f"), want, 0o600)
	for i, args := range []string{"jlha a a0.lzh f", "jlha ao6 a1.lzh f", "jlha ao7 a2.lzh f", "arj a -m0 -y a3.arj f", "arj a -m1 -y a4.arj f", "arj a -m4 -y a5.arj f", "mscompress f"} {
		a := strings.Fields(args)
		cmd := exec.Command(a[0], a[1:]...)
		cmd.Dir = dir
		if err := cmd.Run(); err != nil {
			t.Logf("%s: %v", args, err)
			continue
		}
		p := map[string]string{"jlha": fmt.Sprintf("a%d.lzh", i), "arj": fmt.Sprintf("a%d.arj", i), "mscompress": "f_"}[a[0]]
		f := map[string]unpack.Format{"jlha": LHA(), "arj": ARJ(), "mscompress": SZDD()}[a[0]]
		b, _ := os.ReadFile(filepath.Join(dir, p))
		r := unpacktest.Walk(t, f, b, showcause.Limits{})
		if len(r.Gaps) > 0 || len(r.Children) != 1 || !bytes.Equal(r.Children[0].Data, want) {
			t.Errorf("%s: %s", args, r)
		}
	}
}
