package installer

import (
	"bytes"
	"fmt"
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

func TestNSIS(t *testing.T) {
	files := map[string]string{"a.txt": strings.Repeat("the first of them ", 300), "b.bin": string(bytes.Repeat([]byte{0, 1, 2, 3, 5, 8, 13}, 5000))}
	for _, method := range []string{"off", "zlib", "/SOLID zlib", "lzma", "/SOLID lzma", "bzip2", "/SOLID bzip2"} {
		b := made(t, method, files)
		r := unpacktest.Walk(t, NSIS(), b, showcause.Limits{})
		if strings.Contains(method, "bzip2") {
			if !r.Has(nsisPacker) {
				t.Errorf("%s: not said: %s", method, r)
			}
			continue
		}
		for name, text := range files {
			n := 0
			for _, c := range r.Children {
				if string(c.Data) == text {
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

// sample is the least that is an installer: a file stored as it is.
func sample() []byte {
	b := make([]byte, 512)
	copy(b, "MZ")
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
