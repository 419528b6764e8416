package zip

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"fmt"
	"io"
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

// sealPKWARE encrypts a member.
func sealPKWARE(e zipTestEntry, password string) zipTestEntry {
	return sealed(e, zipTestCipher(password, e.data, e.local.crc))
}

func sealed(e zipTestEntry, data []byte) zipTestEntry {
	e.data = data
	e.local.packed, e.central.packed = uint64(len(data)), uint64(len(data))
	e.local.flags |= 1
	e.central.flags |= 1
	return e
}

// sealAES encrypts a member as WinZip does, with or without its CRC.
func sealAES(e zipTestEntry, password string, s crypt.ZipAES, maker byte) zipTestEntry {
	salt := zipTestRandom(9, s.Salt())
	keys := s.Keys([]byte(password), salt)
	c, _ := crypt.CTR(showcause.Bytes(e.data), keys[:s.Key()])
	body, _ := io.ReadAll(io.NewSectionReader(c, 0, c.Size()))
	mac := hmac.New(sha1.New, keys[s.Key():])
	mac.Write(body)
	data := append(append(salt, s.Verifier([]byte(password), salt)...), body...)
	extra := []byte{1, 0x99, 7, 0, maker, 0, 'A', 'E', byte(s), byte(e.local.method), byte(e.local.method >> 8)}
	e.local.method, e.central.method = zipAES, zipAES
	e.local.extra, e.central.extra = extra, extra
	if maker == zipAE2 {
		e.local.crc, e.central.crc = 0, 0
	}
	return sealed(e, append(data, mac.Sum(nil)[:10]...))
}

func TestUnseal(t *testing.T) {
	P := zipTestPayload
	long := append(zipTestRandom(5, 300_000), P...)
	for name, e := range map[string]zipTestEntry{
		"deflate": zipTestDeflated("a", P), "stored": zipTestStored("a", P), "stored long": zipTestStored("a", long), "deflate long": zipTestDeflated("a", long),
	} {
		word := "zip." + zipMethodWord(e.local.method) + zipOpened
		forms := map[string]zipTestEntry{"pkware": sealPKWARE(e, "infected")}
		wrong := map[string]zipTestEntry{"pkware": sealPKWARE(e, "not in the list")}
		for s := crypt.ZipAES(1); s <= 3; s++ {
			for maker := byte(1); maker <= 2; maker++ {
				forms[fmt.Sprint("aes", s, maker)] = sealAES(e, "infected", s, maker)
				wrong[fmt.Sprint("aes", s, maker)] = sealAES(e, "not in the list", s, maker)
			}
		}
		// The CRC behind the data: the time is in the header then.
		d := e
		d.local.flags, d.local.size = zipFlagDescriptor, 0
		d.central.flags = zipFlagDescriptor
		d = sealed(d, zipTestCipher("infected", e.data, 0))
		d.local.packed = 0
		d.tail = zipTestDescriptor(e.local.crc, len(d.data), len(P))
		if strings.HasSuffix(name, "long") {
			d.tail = zipTestDescriptor(e.local.crc, len(d.data), len(long))
		}
		forms["descriptor"] = d
		for form, f := range forms {
			l := zipTestScan(t, showcause.Bytes(zipTestBuild(f, zipTestDeflated("b", []byte("behind")))), showcause.Limits{})
			if !l.found || l.codes() != "" || len(l.children) != 2 || !strings.Contains(l.children[0], word) {
				t.Errorf("%s %s: found %v, gaps %q, children %q", name, form, l.found, l.codes(), l.children)
			}
		}
		for form, f := range wrong {
			l := zipTestScan(t, showcause.Bytes(zipTestBuild(f, zipTestDeflated("b", []byte("behind")))), showcause.Limits{})
			if l.found || l.codes() != "encrypted" || len(l.children) != 1 {
				t.Errorf("%s %s: wrong password: found %v, gaps %q, children %q", name, form, l.found, l.codes(), l.children)
			}
		}
	}
}

func zipTestDescriptor(crc uint32, packed, size int) []byte {
	b := []byte(zipSigSplit)
	for _, v := range []int{int(crc), packed, size} {
		b = append(b, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
	}
	return b
}

// What is damaged under a right password is read as far as it goes, and is a gap.
func TestUnsealDamaged(t *testing.T) {
	e := sealAES(zipTestDeflated("a", append(bytes.Clone(zipTestPayload), zipTestRandom(5, 90_000)...)), "infected", 3, 2)
	e.data[len(e.data)-30] ^= 1
	l := zipTestScan(t, showcause.Bytes(zipTestBuild(e)), showcause.Limits{})
	if !l.found || !l.has(showcause.Corrupt) {
		t.Errorf("found %v, gaps %q, children %q", l.found, l.codes(), l.children)
	}
	for name, mend := range map[string]func(e *zipTestEntry){
		"short":       func(e *zipTestEntry) { *e = sealed(*e, e.data[:20]) },
		"no salt":     func(e *zipTestEntry) { *e = sealed(*e, e.data[:3]) },
		"strength 9":  func(e *zipTestEntry) { e.local.extra[8] = 9 },
		"past end":    func(e *zipTestEntry) { e.local.packed, e.central.packed = 1<<30, 1<<30 },
		"no extra":    func(e *zipTestEntry) { e.local.extra, e.central.extra = nil, nil },
		"odd verdict": func(e *zipTestEntry) { e.data[16] ^= 1 },
	} {
		f := sealAES(zipTestDeflated("a", zipTestPayload), "infected", 3, 2)
		mend(&f)
		if l := zipTestScan(t, showcause.Bytes(zipTestBuild(f)), showcause.Limits{}); l.found || !l.unread() {
			t.Errorf("%s: found %v, gaps %q, children %q", name, l.found, l.codes(), l.children)
		}
	}
}

// A flood of members that no password opens does not spend the limit of work.
func TestUnsealFlood(t *testing.T) {
	var all []zipTestEntry
	for i := range 400 {
		e := sealAES(zipTestDeflated("a", zipTestPayload), "no such password", 3, 2)
		e.data[0] = byte(i)
		e.data[1] = byte(i >> 8)
		all = append(all, e)
	}
	all = append(all, zipTestDeflated("b", zipTestPayload))
	l := zipTestScan(t, showcause.Bytes(zipTestBuild(all...)), showcause.Limits{Work: 200_000_000})
	if !l.found || l.codes() != "encrypted" || l.spent.Work > 150_000_000 {
		t.Errorf("found %v, gaps %q, work %d", l.found, l.codes(), l.spent.Work)
	}
}

func TestUnsealTools(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "a"), zipTestPayload, 0o600)
	os.WriteFile(filepath.Join(dir, "b"), unpacktest.Mixed(200_000), 0o600)
	os.WriteFile(filepath.Join(dir, "c"), nil, 0o600)
	for i, args := range []string{
		"zip -q -e -P infected OUT a b c", "zip -q -0 -e -P infected OUT a b c", "zip -q -e -fd -P infected OUT a b c", "zip -q -e -Z bzip2 -P infected OUT a b c",
		"7z a -tzip -mem=AES256 -pinfected OUT a b c", "7z a -tzip -mem=AES192 -pinfected OUT a b c", "7z a -tzip -mem=AES128 -mx0 -pinfected OUT a b c",
		"7z a -tzip -mem=ZipCrypto -pinfected OUT a b c", "7z a -tzip -mm=LZMA -mem=AES256 -pinfected OUT a b c", "7z a -tzip -mm=Deflate64 -mem=ZipCrypto -pinfected OUT a b c",
		"7z a -tzip -mm=xz -mem=AES256 -pinfected OUT a b c",
	} {
		out := filepath.Join(dir, fmt.Sprintf("%d.zip", i))
		a := strings.Fields(strings.ReplaceAll(args, "OUT", out))
		if _, err := exec.LookPath(a[0]); err != nil {
			t.Skipf("%s is not installed", a[0])
		}
		cmd := exec.Command(a[0], a[1:]...)
		cmd.Dir = dir
		if msg, err := cmd.CombinedOutput(); err != nil {
			t.Logf("%s: %v %s", args, err, msg)
			continue
		}
		b, _ := os.ReadFile(out)
		r := unpacktest.Walk(t, Format(), b, showcause.Limits{})
		if len(r.Gaps) > 0 || len(r.Children) != 3 || !r.Contains(zipTestMarker) && !strings.Contains(args, "xz") || r.Children[1].Size != 200_000 && !strings.Contains(args, "xz") {
			t.Errorf("%s: %s", args, r)
		}
		for _, c := range r.Children {
			if c.Size > 0 && !strings.HasSuffix(c.Op, zipOpened) {
				t.Errorf("%s: %s %q", args, c.Op, c.Name)
			}
		}
	}
}

func TestUnsealGiven(t *testing.T) {
	z := zipTestBuild(sealPKWARE(zipTestDeflated("a", zipTestPayload), "of the user"))
	for _, c := range []struct {
		given, heard string
		usual        bool
		want         int
	}{{"", "", true, 0}, {"of the user", "", true, 1}, {"of the user", "", false, 1}, {"x", "of the user", false, 1}} {
		b := unpack.NewBudget(showcause.Limits{}, int64(len(z)), nil)
		b.Passwords, b.NoUsual = [][]byte{[]byte(c.given)}, !c.usual
		n, gaps := 0, 0
		out := unpack.NewOut(b, nil, func(showcause.Layer) { n++ }, func(showcause.Gap) { gaps++ })
		out.Hear([]byte(c.heard))
		Format().Walk(showcause.Bytes(z), out)
		if n != c.want || gaps != 1-c.want {
			t.Errorf("%+v: %d children, %d gaps", c, n, gaps)
		}
	}
}

func unsealSamples() map[string][]byte {
	P := zipTestPayload
	return map[string][]byte{
		"pkware": zipTestBuild(sealPKWARE(zipTestDeflated("a", P), "infected"), sealPKWARE(zipTestStored("b", P), "infected")),
		"aes":    zipTestBuild(sealAES(zipTestDeflated("a", P), "infected", 1, 2), sealAES(zipTestStored("b", P), "infected", 3, 1)),
	}
}

func TestUnsealConform(t *testing.T) { unpacktest.Conform(t, headOnly(), unsealSamples()) }
