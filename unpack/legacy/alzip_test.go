package legacy

import (
	"bytes"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/flate"
	"github.com/ulikunitz/xz/lzma"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/crypt"
	"github.com/showcause/showcause/unpack/unpacktest"
)

func deflated(b []byte) []byte {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, 9)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// bits are those of a DEFLATE stream, in order.
func bits(b []byte) (out []byte) {
	for i := range 8 * len(b) {
		out = append(out, b[i/8]>>(i%8)&1)
	}
	return out
}

// obfuscated is a deflated stream of one dynamic block with the lengths of the
// code length code in ALZip's order.
func obfuscated(t testing.TB, b []byte) []byte {
	in := bits(deflated(b))
	if in[1] != 0 || in[2] != 1 {
		t.Fatal("not a dynamic block")
	}
	number := func(at, n int) (v int) {
		for i := range n {
			v |= int(in[at+i]) << i
		}
		return v
	}
	usual := []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
	var lens [19]int
	n := number(13, 4) + 4
	for i := range n {
		lens[usual[i]] = number(17+3*i, 3)
	}
	out := append(bytes.Clone(in[:13]), 1, 1, 1, 1)
	for _, i := range alzOrder(int64(len(b))) {
		out = append(out, byte(lens[i]&1), byte(lens[i]>>1&1), byte(lens[i]>>2))
	}
	out = append(out, in[17+3*n:]...)
	packed := make([]byte, (len(out)+7)/8)
	for i, bit := range out {
		packed[i/8] |= bit << (i % 8)
	}
	return packed
}

// alzFileOf is a file of an archive; a password encrypts it.
func alzFileOf(name string, method byte, packed, content []byte, password string) []byte {
	flags := byte(0x40)
	head := []byte(nil)
	if password != "" {
		flags |= 1
		packed = pkware(password, append(append(make([]byte, 11), byte(crc32.ChecksumIEEE(content)>>24)), packed...))
		head, packed = packed[:crypt.PKWAREHeader], packed[crypt.PKWAREHeader:]
	}
	b := append(bytes.Clone(alzFile), byte(len(name)), 0, 0x20, 0, 0, 0x21, 0x53, flags, 0, method, 0)
	b = le.AppendUint32(b, crc32.ChecksumIEEE(content))
	b = le.AppendUint32(b, uint32(len(packed)))
	b = le.AppendUint32(b, uint32(len(content)))
	return append(append(append(b, name...), head...), packed...)
}

// pkware enciphers: a byte that deciphers to the one wanted is looked for.
func pkware(password string, plain []byte) []byte {
	k := [3]uint32{0x12345678, 0x23456789, 0x34567890}
	step := func(c byte) {
		k[0] = crc32.IEEETable[byte(k[0])^c] ^ k[0]>>8
		k[1] = (k[1]+k[0]&0xff)*134775813 + 1
		k[2] = crc32.IEEETable[byte(k[2])^byte(k[1]>>24)] ^ k[2]>>8
	}
	for i := range password {
		step(password[i])
	}
	out := make([]byte, len(plain))
	for i, c := range plain {
		v := uint16(k[2]) | 2
		out[i] = c ^ byte(v*(v^1)>>8)
		step(c)
	}
	return out
}

func alzOf(files ...[]byte) []byte {
	b := append(bytes.Clone(alzMagic), 10, 0, 0, 0)
	b = append(b, bytes.Join(files, nil)...)
	return append(b, "CLZ\x01\x00\x00\x00\x00\x00\x00\x00\x00CLZ\x02"...)
}

// bzip2Of is what the tool makes of b, nil where it is not installed.
func bzip2Of(b []byte) []byte {
	c := exec.Command("bzip2", "-c")
	c.Stdin = bytes.NewReader(b)
	out, _ := c.Output()
	return out
}

func alzSample(t testing.TB) (b []byte, want map[string][]byte) {
	text := []byte(strings.Repeat("a line of text that compresses, and another one; ", 60))
	mixed := unpacktest.Mixed(9001)
	want = map[string][]byte{"stored": mixed, "deflate": text, "odd": mixed, "oddtext": text[:2001]}
	var more []byte
	if z := bzip2Of(mixed); z != nil {
		more = alzFileOf("bzip2", 1, z, mixed, "")
		want["bzip2"] = mixed
	}
	return alzOf(
		more, alzFileOf("stored", 0, mixed, mixed, ""), alzFileOf("deflate", 2, deflated(text), text, ""),
		alzFileOf("odd", 3, obfuscated(t, mixed), mixed, ""), alzFileOf("oddtext", 3, obfuscated(t, text[:2001]), text[:2001], ""),
	), want
}

func TestALZ(t *testing.T) {
	b, want := alzSample(t)
	for name, data := range map[string][]byte{"as it is": b, "behind a program": append(append([]byte("MZ"), make([]byte, 700)...), b...), "twice": append(bytes.Clone(b), b...)} {
		r := unpacktest.Walk(t, ALZ(), data, showcause.Limits{})
		n := len(want)
		if name == "twice" {
			n *= 2
		}
		if len(r.Gaps) > 0 || len(r.Children) != n {
			t.Errorf("%s: %s", name, r)
		}
		for _, c := range r.Children {
			if !bytes.Equal(c.Data, want[c.Name]) {
				t.Errorf("%s: %s %q is not what was put in", name, c.Op, c.Name)
			}
		}
	}
}

func TestALZUnar(t *testing.T) {
	if _, err := exec.LookPath("unar"); err != nil {
		t.Skip("unar is not installed")
	}
	b, want := alzSample(t)
	dir := t.TempDir()
	p := filepath.Join(dir, "a.alz")
	os.WriteFile(p, b, 0o600)
	if out, err := exec.Command("unar", "-q", "-D", "-o", dir, p).CombinedOutput(); err != nil {
		t.Errorf("%v %s", err, out)
	}
	for f, w := range want {
		if got, _ := os.ReadFile(filepath.Join(dir, f)); !bytes.Equal(got, w) {
			t.Errorf("%s: unar differs", f)
		}
	}
}

func TestALZOdd(t *testing.T) {
	b := []byte(strings.Repeat("marker and so on ", 20))
	one := alzFileOf("a", 2, deflated(b), b, "")
	long := alzFileOf("a", 2, deflated(append(b, b...)), b, "")
	bad := bytes.Clone(one)
	bad[len(bad)-5] ^= 8
	for name, s := range map[string]struct {
		data  []byte
		files int
		gaps  string
	}{
		"usual password":   {alzOf(alzFileOf("a", 2, deflated(b), b, "infected"), one), 2, ""},
		"other password":   {alzOf(alzFileOf("a", 2, deflated(b), b, "no such"), one), 1, "encrypted"},
		"unknown method":   {alzOf(alzFileOf("a", 9, b, b, ""), one), 1, "unsupported.method.alz"},
		"longer than said": {alzOf(long), 1, "corrupt"},
		"damaged":          {alzOf(bad), 1, "corrupt"},
		"a volume":         {append(append([]byte("ALZ\x01\x0a\x00\x00\x00"), one...), "CLZ\x03"...), 1, "unsupported.format.alz-volume"},
		"noise between":    {alzOf(one, []byte("noise"), one), 2, "corrupt"},
		"no end":           {append([]byte("ALZ\x01\x0a\x00\x00\x00"), one...), 1, "corrupt"},
		"nothing":          {[]byte("ALZ\x01"), 0, "corrupt"},
	} {
		r := unpacktest.Walk(t, ALZ(), s.data, showcause.Limits{})
		var gaps []string
		for _, g := range r.Gaps {
			gaps = append(gaps, string(g.Code))
		}
		if len(r.Children) != s.files || strings.Join(gaps, " ") != s.gaps {
			t.Errorf("%s: gaps %q, want %q; %s", name, gaps, s.gaps, r)
		}
	}
}

// The archives of EGG.

func eggField(mark uint32, data []byte) []byte {
	b := append(le.AppendUint32(nil, mark), 0)
	return append(le.AppendUint16(b, uint16(len(data))), data...)
}

func eggMark(m uint32) []byte { return le.AppendUint32(nil, m) }

func eggBlockOf(method byte, packed, content []byte) []byte {
	b := append(eggMark(eggBlock), method, 0)
	for _, v := range []uint32{uint32(len(content)), uint32(len(packed)), crc32.ChecksumIEEE(content), eggEnd} {
		b = le.AppendUint32(b, v)
	}
	return append(b, packed...)
}

func eggFileOf(name string, size int, fields []byte, blocks ...[]byte) []byte {
	b := append(eggMark(eggFile), 0, 0, 0, 0)
	b = le.AppendUint64(b, uint64(size))
	b = append(append(b, eggField(eggName, []byte(name))...), eggField(eggWindows, make([]byte, 9))...)
	b = append(append(b, fields...), eggMark(eggEnd)...)
	return append(b, bytes.Join(blocks, nil)...)
}

func eggOf(fields []byte, files ...[]byte) []byte {
	b := append([]byte("EGGA\x00\x01\x78\x56\x34\x12\x00\x00\x00\x00"), fields...)
	b = append(b, eggMark(eggEnd)...)
	return append(append(b, bytes.Join(files, nil)...), eggMark(eggEnd)...)
}

func lzmaOf(t testing.TB, b []byte) []byte {
	var out bytes.Buffer
	w, err := lzma.WriterConfig{SizeInHeader: true, Size: int64(len(b)), DictCap: 1 << 16}.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(b)
	w.Close()
	z := out.Bytes()
	return bytes.Join([][]byte{{0, 0, 0, 0}, z[:5], z[13:]}, nil)
}

func eggSamples(t testing.TB) (map[string][]byte, map[string][]byte) {
	text := []byte(strings.Repeat("a line of text that compresses, and another one; ", 30))
	mixed := unpacktest.Mixed(2001)
	want := map[string][]byte{"stored": mixed, "deflate": text, "lzma": mixed, "two": append(bytes.Clone(text), mixed...)}
	plain := eggOf(nil,
		eggFileOf("stored", len(mixed), nil, eggBlockOf(0, mixed, mixed)),
		eggFileOf("deflate", len(text), nil, eggBlockOf(1, deflated(text), text)),
		eggFileOf("lzma", len(mixed), nil, eggBlockOf(4, lzmaOf(t, mixed), mixed)),
		eggFileOf("two", len(text)+len(mixed), nil, eggBlockOf(1, deflated(text), text), eggBlockOf(0, mixed, mixed)),
		eggFileOf("folder", 0, nil))
	all := bytes.Join([][]byte{mixed, text, mixed, text, mixed}, nil)
	solid := eggOf(eggField(eggSolid, nil),
		eggFileOf("stored", len(mixed), nil), eggFileOf("deflate", len(text), nil), eggFileOf("lzma", len(mixed), nil), eggFileOf("two", len(text)+len(mixed), nil),
		eggBlockOf(4, lzmaOf(t, all[:5000]), all[:5000]), eggBlockOf(1, deflated(all[5000:]), all[5000:]))
	return map[string][]byte{"plain": plain, "solid": solid}, want
}

func TestEGG(t *testing.T) {
	all, want := eggSamples(t)
	all["behind a program"] = append(append([]byte("MZ"), make([]byte, 700)...), all["plain"]...)
	for name, data := range all {
		r := unpacktest.Walk(t, EGG(), data, showcause.Limits{})
		if len(r.Gaps) > 0 || len(r.Children) != len(want) {
			t.Errorf("%s: %s", name, r)
		}
		for _, c := range r.Children {
			if !bytes.Equal(c.Data, want[c.Name]) {
				t.Errorf("%s: %s %q is not what was put in", name, c.Op, c.Name)
			}
		}
	}
}

func TestEGGOdd(t *testing.T) {
	b := []byte(strings.Repeat("marker and so on ", 20))
	one := eggFileOf("a", len(b), nil, eggBlockOf(1, deflated(b), b))
	split := append(le.AppendUint32(nil, 0), 1, 0, 0, 0)
	for name, s := range map[string]struct {
		data  []byte
		files int
		gaps  string
	}{
		"azo":        {eggOf(nil, eggFileOf("a", len(b), nil, eggBlockOf(3, b, b)), one), 1, "unsupported.method.egg"},
		"azo behind": {eggOf(nil, eggFileOf("a", 2*len(b), nil, eggBlockOf(0, b, b), eggBlockOf(3, b, b)), one), 2, "unsupported.method.egg"},
		"encrypted":  {eggOf(nil, eggFileOf("a", len(b), eggField(eggSealed, make([]byte, 29)), eggBlockOf(0, b, b)), one), 1, "encrypted"},
		"all of it":  {eggOf(eggField(eggSealed, make([]byte, 29)), one), 0, "encrypted"},
		"a volume":   {eggOf(eggField(eggSplit, split), one), 1, "unsupported.format.egg-volume"},
		"size":       {eggOf(nil, eggFileOf("a", 5, nil, eggBlockOf(0, b, b))), 1, "corrupt"},
		"no blocks":  {eggOf(nil, eggFileOf("a", 5, nil)), 0, "corrupt"},
		"odd record": {eggOf(nil, one, []byte("noise and so on"), one), 2, "corrupt"},
		"no end":     {eggOf(nil, one)[:14+4+len(one)], 1, "corrupt"},
		"two":        {append(eggOf(nil, one), eggOf(nil, one)...), 2, ""},
		"nothing":    {[]byte("EGGA"), 0, "corrupt"},
	} {
		r := unpacktest.Walk(t, EGG(), s.data, showcause.Limits{})
		var gaps []string
		for _, g := range r.Gaps {
			gaps = append(gaps, string(g.Code))
		}
		if len(r.Children) != s.files || strings.Join(gaps, " ") != s.gaps {
			t.Errorf("%s: gaps %q, want %q; %s", name, gaps, s.gaps, r)
		}
	}
}

func TestALZipConforms(t *testing.T) {
	b, _ := alzSample(t)
	unpacktest.Conform(t, ALZ(), map[string][]byte{"alz": b})
	all, _ := eggSamples(t)
	unpacktest.Conform(t, EGG(), all)
}

func FuzzALZ(f *testing.F) {
	b, _ := alzSample(f)
	unpacktest.Fuzz(f, ALZ(), b, alzOf(alzFileOf("a", 0, []byte("hello"), []byte("hello"), "infected")))
}

func FuzzEGG(f *testing.F) {
	all, _ := eggSamples(f)
	unpacktest.Fuzz(f, EGG(), all["plain"], all["solid"])
}
