package sevenzip

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/crypt"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// What 7z encrypts opens by a usual password, in all its methods.
func TestUnlockTools(t *testing.T) {
	if _, err := exec.LookPath("7z"); err != nil {
		t.Skip("7z is not installed")
	}
	dir := t.TempDir()
	want := map[string][]byte{"a": []byte("hello"), "b": unpacktest.Mixed(2_500_001), "d": unpacktest.Mixed(70_000)}
	for n, b := range want {
		os.WriteFile(filepath.Join(dir, n), b, 0o600)
	}
	os.WriteFile(filepath.Join(dir, "c"), nil, 0o600)
	for i, args := range []string{
		"-pinfected", "-pinfected -mhe=on", "-pinfected -ms=off", "-pinfected -mx0", "-pinfected -mx0 -mhe=on", "-pinfected -m0=bzip2 -mhe=on",
		"-pinfected -m0=ppmd", "-pinfected -m0=lzma", "-pinfected -m0=deflate", "-pinfected -m0=deflate64", "-pinfected -mf=bcj2 -m0=lzma2", "-pother", "-pother -mhe=on", "-pother -mx0",
	} {
		out := filepath.Join(dir, fmt.Sprintf("%d.7z", i))
		cmd := exec.Command("7z", append(strings.Fields("a "+args), out, "a", "b", "c", "d")...)
		cmd.Dir = dir
		if msg, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v %s", args, err, msg)
		}
		b, _ := os.ReadFile(out)
		r := unpacktest.Walk(t, Format(), b, showcause.Limits{})
		if strings.Contains(args, "other") {
			if len(r.Children) > 0 || !r.Has(showcause.Encrypted) || r.Has(showcause.Corrupt) {
				t.Errorf("%s: %s", args, r)
			}
			continue
		}
		if len(r.Gaps) > 0 || len(r.Children) != len(want) {
			t.Errorf("%s: %s", args, r)
			continue
		}
		for _, c := range r.Children {
			if w := want[c.Name]; c.Size != int64(len(w)) || !bytes.HasPrefix(w, c.Data) || !strings.HasSuffix(c.Op, opened) {
				t.Errorf("%s: %s %q is not what was put in", args, c.Op, c.Name)
			}
		}
	}
}

// Properties that lie are gaps.
func TestCipher(t *testing.T) {
	for _, c := range []struct {
		props string
		ok    bool
	}{{"", false}, {"\x13", true}, {"\x53", false}, {"\x53\x0f", false}, {"\x53\x07" + "12345678", true}, {"\xd3\xff" + strings.Repeat("x", 32), true}, {"\x59\x00x", false}, {"\x7f\x00x", true}} {
		if _, _, _, ok := cipherProps([]byte(c.props)); ok != c.ok {
			t.Errorf("%q: %v", c.props, ok)
		}
	}
}

// sealedCopy is copyOf behind the cipher.
func sealedCopy(password string, power int, files ...[]byte) []byte {
	all := bytes.Join(files, nil)
	all = append(all, make([]byte, -len(all)&15)...)
	iv := []byte("0123456789abcdef")
	c, _ := aes.NewCipher(crypt.SevenZip([]byte(password), []byte("salt"), power))
	cipher.NewCBCEncrypter(c, iv).CryptBlocks(all, all)
	coder := append([]byte{0x24, 6, 0xf1, 7, 1, 22, byte(power) | 0xc0, 0x3f}, "salt"...)
	return archiveOf(all, append(coder, iv...), files...)
}

// gapsWithout are the gaps where no passwords are tried but those given.
func gapsWithout(data []byte, given ...string) (gaps []showcause.Gap) {
	b := unpack.NewBudget(showcause.Limits{}, int64(len(data)), nil)
	b.NoUsual = true
	for _, g := range given {
		b.Passwords = append(b.Passwords, []byte(g))
	}
	Format().Walk(showcause.Bytes(data), unpack.NewOut(b, nil, func(showcause.Layer) {}, func(g showcause.Gap) { gaps = append(gaps, g) }))
	return gaps
}

func TestUnlock(t *testing.T) {
	b := sealedCopy("x\xff", 5, []byte("one"), []byte("two and so on"))
	if g := gapsWithout(b, "y", "x\xff"); len(g) > 0 {
		t.Errorf("with the password: %v", g)
	}
	if g := gapsWithout(b, "y"); len(g) != 2 || g[0].Code != showcause.Encrypted || g[1].Code != showcause.Encrypted {
		t.Errorf("without: %v", g)
	}
	// More iterations than 7-Zip takes, or than there is work for.
	for _, power := range []byte{25, 24} {
		far := bytes.Replace(b, []byte{5 | 0xc0, 0x3f}, []byte{power | 0xc0, 0x3f}, 1)
		far = wrap(far[signature:signature+16], far[signature+16:])
		if g := gapsWithout(far, "x\xff", "a long password that costs more than half of the limit"); len(g) != 2 || g[0].Code != showcause.Encrypted {
			t.Errorf("power %d: %v", power, g)
		}
	}
}
