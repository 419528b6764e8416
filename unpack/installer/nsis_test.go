package installer

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// made is an installer of two files, as makensis writes it.
func made(t *testing.T, method string, files map[string]string) []byte {
	tool, err := exec.LookPath("makensis")
	if err != nil {
		t.Skip("makensis is not installed")
	}
	dir := t.TempDir()
	script := "SetCompressor " + method + "\nOutFile out.exe\nInstallDir $TEMP\nSection\nSetOutPath $INSTDIR\n"
	if method == "off" {
		script = strings.Replace(script, "SetCompressor off", "SetCompress off", 1)
	}
	for name, text := range files {
		os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)
		script += "File " + name + "\n"
	}
	os.WriteFile(filepath.Join(dir, "a.nsi"), []byte(script+"SectionEnd\n"), 0o600)
	c := exec.Command(tool, "-V1", "a.nsi")
	c.Dir = dir
	if msg, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v %s", method, err, msg)
	}
	b, err := os.ReadFile(filepath.Join(dir, "out.exe"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// noise is what bzip2 needs several blocks for, with runs of all short lengths.
func noise() string {
	r := rand.New(rand.NewPCG(5, 6))
	var b []byte
	for len(b) < 1_200_000 {
		c := byte(r.IntN(256))
		for range 1 + r.IntN(7)*r.IntN(2) {
			b = append(b, c)
		}
	}
	return string(b)
}

func TestNSIS(t *testing.T) {
	files := map[string]string{"a.txt": strings.Repeat("the first of them ", 300), "b.bin": string(bytes.Repeat([]byte{0, 1, 2, 3, 5, 8, 13}, 5000)), "c.bin": noise(), "zeros": string(make([]byte, 2_000_000))}
	for _, method := range []string{"off", "zlib", "/SOLID zlib", "lzma", "/SOLID lzma", "bzip2", "/SOLID bzip2"} {
		b := made(t, method, files)
		r := unpacktest.Walk(t, NSIS(), b, showcause.Limits{})
		for name, text := range files {
			n := 0
			for _, c := range r.Children {
				if c.Digest == sha256.Sum256([]byte(text)) {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%s: %s is there %d times: %s", method, name, n, r)
			}
		}
		if r.Unread() {
			t.Errorf("%s: %s", method, r)
		}
	}
}

// LZMA may be behind a filter for instructions of x86.
func TestFilter(t *testing.T) {
	tool, err := exec.LookPath("xz")
	if err != nil {
		t.Skip("xz is not installed")
	}
	program := append([]byte("MZ"), bytes.Repeat([]byte("\x90\x90\xe8\x10\x20\x00\x00\x8b\xec\xe8\x00\xff\xff\xff\xc3\x55"), 2000)...)
	blocks := append(le.AppendUint32(nil, 20), bytes.Repeat([]byte{'s'}, 20)...)
	blocks = append(le.AppendUint32(blocks, uint32(len(program))), program...)
	c := exec.Command(tool, "--format=raw", "--x86", "--lzma1=lc=3,lp=0,pb=2,dict=8MiB", "-c")
	c.Stdin = bytes.NewReader(blocks)
	packed, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	packed = append([]byte{1, 0x5d, 0, 0, 0x80, 0}, packed...)
	h := make([]byte, headerSize)
	copy(h[4:], magic)
	le.PutUint32(h[20:], 20)
	le.PutUint32(h[24:], uint32(headerSize+len(packed)+4))
	b := append(append(append(sample()[:512], h...), packed...), 0, 0, 0, 0)
	if r := unpacktest.Walk(t, NSIS(), b, showcause.Limits{}); !r.Contains(string(program)) || r.Unread() {
		t.Errorf("%s", r)
	}
}

// A stream of bzip2 that breaks is damage, wherever it does.
func TestBzip2(t *testing.T) {
	b := made(t, "bzip2", map[string]string{"a.txt": strings.Repeat("the first of them ", 300)})
	for cut := len(b) - 17; cut > len(b)-200; cut -= 13 {
		if r := unpacktest.Walk(t, NSIS(), b[:cut], showcause.Limits{}); !r.Has(showcause.Corrupt) {
			t.Errorf("cut at %d: %s", cut, r)
		}
	}
}

// sample is the least that is an installer: a file stored as it is.
func sample() []byte {
	b := make([]byte, 512)
	copy(b, "MZ")
	b[60] = 128
	copy(b[128:], "PE\x00\x00\x4c\x01")
	body := fmt.Sprintf("%c\x00\x00\x00%s", 20, strings.Repeat("s", 20)) + fmt.Sprintf("%c\x00\x00\x00%s", 30, "a file with some words in it..")
	h := make([]byte, headerSize)
	copy(h[4:], magic)
	le.PutUint32(h[20:], 20)
	le.PutUint32(h[24:], uint32(headerSize+len(body)+4))
	return append(append(append(b, h...), body...), 0, 0, 0, 0)
}

func TestStored(t *testing.T) {
	if r := unpacktest.Walk(t, NSIS(), sample(), showcause.Limits{}); !r.Contains("a file with some words in it..") || r.Unread() {
		t.Errorf("%s", r)
	}
}

func FuzzNSIS(f *testing.F) {
	seeds := [][]byte{sample()}
	if b, err := os.ReadFile("/usr/share/clamav-testfiles/clam-nsis.exe"); err == nil {
		seeds = append(seeds, b[0xb400-512:])
	}
	unpacktest.Fuzz(f, NSIS(), seeds...)
}

func FuzzBzip2(f *testing.F) {
	f.Add([]byte("1\x00\x00\x01\x02\x00\x40\x06"))
	f.Add([]byte("1\x00\x00\x00\xff\xff\xff\xff\x17"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := io.Copy(io.Discard, io.LimitReader(newBzip2(bufio.NewReader(bytes.NewReader(b))), 4<<20))
		if n > 4<<20 || n == 0 && err == nil && len(b) > 0 && b[0] != 0x17 {
			t.Fatal(n, err)
		}
	})
}

func TestConform(t *testing.T) {
	unpacktest.Conform(t, NSIS(), map[string][]byte{"stored": sample()})
}
