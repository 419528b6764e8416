package sevenzip

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// golden returns the archives of testdata.
func golden(t testing.TB) map[string][]byte {
	out := map[string][]byte{}
	names, _ := filepath.Glob("testdata/*.7z")
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(n), ".7z")] = b
	}
	if len(out) < 15 {
		t.Fatalf("%d archives", len(out))
	}
	return out
}

func TestGolden(t *testing.T) {
	text, _ := os.ReadFile("testdata/text")
	code, _ := os.ReadFile("testdata/code")
	for name, b := range golden(t) {
		r := unpacktest.Walk(t, Format(), b, showcause.Limits{})
		if strings.HasPrefix(name, "aes") {
			if len(r.Children) != 2 || r.Children[0].Op != "7z.lzma"+opened {
				t.Errorf("%s: %s", name, r)
			}
			// Without the passwords that are usual, each file is a gap, or the directory.
			want := map[string]int{"aes": 2, "aes-header": 1}[name]
			if g := gapsWithout(b); len(g) != want || g[0].Code != showcause.Encrypted {
				t.Errorf("%s: without passwords: %v", name, g)
			}
		}
		got := map[string][]byte{}
		for _, c := range r.Children {
			got[c.Name] = c.Data
		}
		if len(r.Gaps) > 0 || len(r.Children) != 2 || !bytes.Equal(got["text"], text) || !bytes.Equal(got["code"], code) {
			t.Errorf("%s: %s", name, r)
		}
	}
}

func TestConforms(t *testing.T) {
	all := golden(t)
	// What is not needed here: the suite is about the directory and the streams.
	for _, n := range []string{"aes", "ppmd", "deflate", "deflate64", "delta", "ia64", "bcj", "bzip2", "lzma", "lzma2"} {
		delete(all, n)
	}
	all["two"] = append(copyOf([]byte("one and so on")), copyOf([]byte("two and so on"))...)
	all["sealed"] = sealedCopy("infected", 3, []byte("one and so on"), []byte("two and so on"))
	one := len(all["two"]) / 2
	unpacktest.ConformWhole(t, Format(), all, func(b []byte) bool {
		return len(b) >= one && len(b) < one+signature && bytes.HasPrefix(all["two"], b) // too little for another
	})
}

// PPMd has a model of megabytes, so that each walk of it costs.
func TestPPMdConforms(t *testing.T) {
	b := golden(t)["ppmd"]
	want := unpacktest.Walk(t, Format(), b, showcause.Limits{})
	for n := 0; n < len(b); n += 41 {
		if r := unpacktest.Walk(t, Format(), b[:n], showcause.Limits{}); !r.Unread() && n >= len(magic) {
			t.Errorf("cut to %d of %d bytes: no gap: %s", n, len(b), r)
		}
	}
	for i := 32; i < len(b); i += 13 {
		bad := bytes.Clone(b)
		bad[i] ^= 0x10
		if r := unpacktest.Walk(t, Format(), bad, showcause.Limits{}); r.String() == want.String() {
			t.Errorf("byte %d changed: not seen", i)
		}
	}
}

func FuzzSevenZip(f *testing.F) {
	var seeds [][]byte
	for name, b := range golden(f) {
		if name != "ppmd" {
			seeds = append(seeds, b)
		}
	}
	seeds = append(seeds, sealedCopy("infected", 3, []byte("one"), []byte("two and so on")))
	seeds = append(seeds, copyOf([]byte("one"), []byte("two and so on")))
	unpacktest.Fuzz(f, Format(), seeds...)
}

// The directory of a small archive by hand.

func number(b []byte, v uint64) []byte {
	return binary.LittleEndian.AppendUint64(append(b, 0xff), v)
}

// wrap puts the first header before packed and the directory behind it.
func wrap(packed, directory []byte) []byte {
	h := make([]byte, signature)
	copy(h, magic)
	h[7] = 4
	binary.LittleEndian.PutUint64(h[12:], uint64(len(packed)))
	binary.LittleEndian.PutUint64(h[20:], uint64(len(directory)))
	binary.LittleEndian.PutUint32(h[28:], crc32.ChecksumIEEE(directory))
	binary.LittleEndian.PutUint32(h[8:], crc32.ChecksumIEEE(h[12:]))
	return bytes.Join([][]byte{h, packed, directory}, nil)
}

// copyOf is an archive of one folder that is copied, cut into files a, b, c.
func copyOf(files ...[]byte) []byte {
	return archiveOf(bytes.Join(files, nil), []byte{1, 0}, files...)
}

// archiveOf is an archive of one folder with one coder, whose packed bytes are given.
func archiveOf(packed, coder []byte, files ...[]byte) []byte {
	all := bytes.Join(files, nil)
	d := []byte{idHeader, idMainStreams, idPackInfo}
	d = number(d, 0)
	d = append(d, 1, idSize)
	d = number(d, uint64(len(packed)))
	d = append(d, idEnd, idUnpackInfo, idFolder, 1, 0, 1)
	d = append(append(d, coder...), idCodersUnpackSize)
	d = number(d, uint64(len(all)))
	d = append(d, idEnd, idSubStreams, idNumUnpackStream, byte(len(files)), idSize)
	for _, f := range files[:len(files)-1] {
		d = number(d, uint64(len(f)))
	}
	d = append(d, idCRC, 1)
	for _, f := range files {
		d = binary.LittleEndian.AppendUint32(d, crc32.ChecksumIEEE(f))
	}
	d = append(d, idEnd, idEnd, idFiles, byte(len(files)), idNames, byte(4*len(files)+1), 0)
	for i := range files {
		d = append(d, byte('a'+i), 0, 0, 0)
	}
	return wrap(packed, append(d, idEnd, idEnd))
}

// What is odd is said, and what can be read is read.
func TestOdd(t *testing.T) {
	one, two := []byte("marker and so on"), []byte("and another one")
	whole := copyOf(one, two)
	change := func(find, with string) []byte {
		b := bytes.Replace(whole, []byte(find), []byte(with), 1)
		if bytes.Equal(b, whole) {
			t.Fatalf("%q is not there", find)
		}
		dir := b[signature+len(one)+len(two):]
		return wrap(b[signature:signature+len(one)+len(two)], dir)
	}
	crc := bytes.Clone(whole)
	crc[8] ^= 1
	shifted := bytes.Clone(whole)
	shifted[signature] ^= 1
	for name, s := range map[string]struct {
		data  []byte
		files int
		gaps  string
	}{
		"whole":                   {whole, 2, ""},
		"checksum of a file":      {shifted, 2, "corrupt"},
		"checksum of the header":  {crc, 2, "corrupt"},
		"empty":                   {wrap(nil, nil), 0, ""},
		"no directory":            {append(bytes.Clone(magic), make([]byte, 26)...), 0, "corrupt"},
		"cut short":               {whole[:20], 0, "corrupt"},
		"unknown coder":           {change("\x01\x00\x01\x01\x00\x0c", "\x01\x00\x01\x01\x77\x0c"), 0, "unsupported.method.7z unsupported.method.7z"},
		"a billion files":         {change("\x05\x02\x11", "\x05\xf0\xff\xff\xff\x3f\x11"), 2, "corrupt"},
		"more content than files": {change("\x0d\x02\x09", "\x0d\x00\x09"), 1, "corrupt"},
		"in a program":            {append(append([]byte("MZ"), make([]byte, 1000)...), whole...), 2, ""},
		"two":                     {append(bytes.Clone(whole), whole...), 4, ""},
		"junk behind":             {append(bytes.Clone(whole), "junk 7z\xbc\xaf\x27\x1c"...), 3, ""},
	} {
		if !Format().Match(unpacktest.Probe(showcause.Bytes(s.data))) {
			t.Errorf("%s: no match", name)
		}
		r := unpacktest.Walk(t, Format(), s.data, showcause.Limits{})
		var gaps []string
		for _, g := range r.Gaps {
			gaps = append(gaps, string(g.Code))
		}
		if len(r.Children) != s.files || strings.Join(gaps, " ") != s.gaps {
			t.Errorf("%s: gaps %q, want %q; %s", name, gaps, s.gaps, r)
		}
	}
}

// The decoders that live while files are read do not add up.
func TestMemory(t *testing.T) {
	b := golden(t)["ppmd"]
	r := unpacktest.Walk(t, Format(), b, showcause.Limits{})
	if len(r.Children) != 2 {
		t.Fatal(r)
	}
	big := bytes.Replace(b, []byte{6, 16, 0, 0, 0}, []byte{6, 0, 0, 0, 0x10}, 1)
	if r = unpacktest.Walk(t, Format(), big, showcause.Limits{}); bytes.Equal(big, b) {
		t.Log("the coder's properties stand in the compressed directory")
	} else if !r.Has(showcause.LimitMemory) {
		t.Error(r)
	}
}

// What 7z writes is read, with many settings.
func TestTool(t *testing.T) {
	if _, err := exec.LookPath("7z"); err != nil {
		t.Skip("7z is not installed")
	}
	dir := t.TempDir()
	want := map[string][]byte{}
	args := []string{}
	for i, n := range []int{1, 1000, 70_000, 600_000} {
		name := fmt.Sprint("f", i)
		want[name] = unpacktest.Mixed(n)
		os.WriteFile(filepath.Join(dir, name), want[name], 0o600)
		args = append(args, name)
	}
	for _, m := range []string{
		"-m0=Copy", "-m0=LZMA", "-m0=LZMA:lc=0:lp=2:pb=0", "-m0=LZMA2", "-m0=LZMA2:c=64k", "-m0=PPMd:mem=1m:o=16", "-m0=PPMd:mem=2k:o=2", "-m0=Deflate", "-m0=Deflate64", "-m0=BZip2",
		"-m0=BCJ -m1=LZMA2", "-m0=BCJ2 -m1=LZMA -m2=LZMA -m3=LZMA -mb0:1 -mb0s1:2 -mb0s2:3", "-m0=ARM -m1=LZMA", "-m0=ARMT -m1=LZMA2", "-m0=ARM64 -m1=LZMA2", "-m0=PPC -m1=BZip2", "-m0=SPARC -m1=Deflate",
		"-m0=IA64 -m1=PPMd:mem=1m", "-m0=Delta:4 -m1=LZMA", "-m0=RISCV -m1=LZMA", "-m0=Swap2 -m1=LZMA2", "-m0=Swap4 -m1=PPMd", "-m0=Swap4 -m1=Copy", "-ms=off", "-mhc=off", "-ms=off -mhc=off -m0=Copy", "-mx=9 -m0=LZMA2:d=32m",
	} {
		os.Remove(filepath.Join(dir, "a.7z"))
		cmd := exec.Command("7z", append(append([]string{"a", "-bd", "-y", "a.7z"}, strings.Fields(m)...), args...)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Logf("7z %s: %v %s", m, err, out)
			continue
		}
		b, _ := os.ReadFile(filepath.Join(dir, "a.7z"))
		r := unpacktest.Walk(t, Format(), b, showcause.Limits{})
		if len(r.Gaps) > 0 || len(r.Children) != len(want) {
			t.Errorf("%s: %s", m, r)
		}
		for _, c := range r.Children {
			if !bytes.Equal(c.Data, want[c.Name]) {
				t.Errorf("%s: %q is not what was put in", m, c.Name)
			}
		}
	}
}
