package scan_test

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/scan"
)

// importing makes a PE file of one section at 0x200 (0x1000 in memory) that
// imports a function and an ordinal of K.dll n times over.
func importing(n int) []byte {
	le := binary.LittleEndian
	b := make([]byte, 0x800+4*n)
	copy(b, "MZ")
	le.PutUint32(b[60:], 0x40)
	copy(b[0x40:], "PE\x00\x00\x4c\x01\x01\x00")
	le.PutUint16(b[0x54:], 224)
	le.PutUint16(b[0x56:], 0x102)
	o := b[0x58:]
	le.PutUint16(o, 0x10b)
	for at, v := range map[int]uint32{16: 0x1000, 32: 0x1000, 36: 0x200, 56: 0x8000, 60: 0x200, 92: 16, 104: 0x1000, 108: 60} {
		le.PutUint32(o[at:], v)
	}
	le.PutUint16(o[68:], 3)
	t := o[224:]
	copy(t, ".idata")
	for i, v := range []uint32{0x600 + uint32(4*n), 0x1000, 0x600 + uint32(4*n), 0x200} {
		le.PutUint32(t[8+4*i:], v)
	}
	s := b[0x200:]
	le.PutUint32(s[12:], 0x1080)
	le.PutUint32(s[16:], 0x1100)
	copy(s[0x80:], "K.dll")
	copy(s[0x92:], "Start")
	le.PutUint32(s[0x100:], 0x1090)
	for i := range n {
		le.PutUint32(s[0x104+4*i:], 1<<31|5)
	}
	return b
}

func TestImportHash(t *testing.T) {
	file := importing(1)
	text := []byte("k.start,k.ord5")
	for _, c := range []struct {
		line string
		want bool
	}{
		{fmt.Sprintf("%x:14:Test.Imports", md5.Sum(text)), true},
		{fmt.Sprintf("%x:*:Test.Imports", md5.Sum(text)), true},
		{fmt.Sprintf("%x:14:Test.Imports", sha1.Sum(text)), true},
		{fmt.Sprintf("%x:*:Test.Imports:73", sha256.Sum256(text)), true},
		{fmt.Sprintf("%x:15:Test.Imports", md5.Sum(text)), false},
		{fmt.Sprintf("%x:*:Test.Imports", md5.Sum(text[1:])), false},
	} {
		r := scan.New(compile(t, map[string]string{"x.imp": c.line + "\n"}), scan.Options{}).Scan(showcause.Bytes(zipOf("text", string(file))))
		if got := r.Verdict == showcause.Found; got != c.want || !got && r.Verdict != showcause.NothingFound {
			t.Errorf("%s: %v %+v", c.line, r.Verdict, r.Gaps)
		}
		if c.want && (len(r.Findings) != 1 || r.Findings[0].Rule != "Test.Imports.UNOFFICIAL" || len(r.Findings[0].Trail) != 1 ||
			r.Findings[0].Matches[0] != (showcause.Match{Offset: 0, Length: int64(len(file))})) {
			t.Errorf("%s: %+v", c.line, r.Findings)
		}
		if _, err := exec.LookPath("clamscan"); err != nil {
			t.Log("not compared: clamscan is not installed")
			continue
		}
		dir := t.TempDir()
		db, exe := filepath.Join(dir, "x.imp"), filepath.Join(dir, "x.exe")
		for p, b := range map[string]string{db: c.line + "\n", exe: string(file)} {
			if err := os.WriteFile(p, []byte(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out, _ := exec.Command("clamscan", "--no-summary", "-d", db, exe).CombinedOutput()
		if got := strings.Contains(string(out), "Test.Imports.UNOFFICIAL FOUND"); got != c.want {
			t.Errorf("%s: clamscan %s", c.line, out)
		}
	}
}

// Imports that are too many to read are a gap, if there are rules for them.
func TestImportHashBounded(t *testing.T) {
	file := importing(1 << 18)
	none := fmt.Sprintf("%x:*:Test.Imports\n", md5.Sum(nil))
	r := scan.New(compile(t, map[string]string{"x.imp": none}), scan.Options{}).Scan(showcause.Bytes(file))
	if r.Verdict != showcause.Incomplete || len(r.Gaps) != 1 || r.Gaps[0].Code != showcause.LimitWork {
		t.Errorf("%v %+v", r.Verdict, r.Gaps)
	}
	if r := scan.New(markerDB(t), scan.Options{}).Scan(showcause.Bytes(file)); r.Verdict != showcause.NothingFound {
		t.Errorf("without rules for imports: %v %+v", r.Verdict, r.Gaps)
	}
}
