package zip

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

var full = flag.Bool("full", false, "PPMd with every setting, which takes minutes")

// PPMd of any order and memory is read as 7z writes it, what restarts the model
// and what cuts it too.
func TestPPMdTool(t *testing.T) {
	if _, err := exec.LookPath("7z"); err != nil {
		t.Skip("7z is not installed")
	}
	dir := t.TempDir()
	want := map[string][]byte{}
	for i, n := range []int{1, 1000, 70_000, 300_000} {
		name := fmt.Sprint("f", i)
		want[name] = unpacktest.Mixed(n)
	}
	args := []string{}
	for name, b := range want {
		os.WriteFile(filepath.Join(dir, name), b, 0o600)
		args = append(args, name)
	}
	settings := []string{"-mx=5", "-mo=6 -mmem=1m -psecret -mem=AES256"}
	if *full {
		settings = append(settings, "-mx=1", "-mx=7", "-mx=1 -mo=2 -mmem=20", "-mx=9 -mo=2 -mmem=20", "-mx=9 -mo=16 -mmem=20", "-mx=9 -mo=9 -mmem=20",
			"-mx=1 -mo=16 -mmem=20", "-mx=1 -mo=5 -mmem=21", "-mx=9 -mo=8 -mmem=22", "-mx=9 -mo=4 -mmem=3m", "-mo=12 -mmem=2m -psecret")
		want["f4"] = unpacktest.Mixed(1_500_000)
		if b, err := os.ReadFile("/bin/bash"); err == nil {
			want["program"] = b
		}
		for _, name := range []string{"f4", "program"} {
			os.WriteFile(filepath.Join(dir, name), want[name], 0o600)
			args = append(args, name)
		}
	}
	for _, m := range settings {
		os.Remove(filepath.Join(dir, "a.zip"))
		cmd := exec.Command("7z", append(append([]string{"a", "-bd", "-y", "-tzip", "-mm=PPMd", "a.zip"}, strings.Fields(m)...), args...)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("7z %s: %v %s", m, err, out)
			continue
		}
		b, _ := os.ReadFile(filepath.Join(dir, "a.zip"))
		r := unpacktest.Walk(t, Format(), b, showcause.Limits{})
		if strings.Contains(m, "secret") != bytes.Contains([]byte(r.String()), []byte(".decrypted")) {
			t.Errorf("%s: %s", m, r)
		}
		if len(r.Gaps) > 0 || len(r.Children) != len(want) {
			t.Errorf("%s: %s", m, r)
		}
		for _, c := range r.Children {
			if !bytes.Equal(c.Data, want[c.Name][:min(len(want[c.Name]), unpacktest.KeepSize)]) || c.Size != int64(len(want[c.Name])) {
				t.Errorf("%s: %q is not what was put in", m, c.Name)
			}
		}
	}
}

// ppmdSample is a member that 7z 26.02 wrote: order 5, 1 MiB, -mx=9.
const ppmdSample = "504b03043f0000006200000021004861c3f56200000002040000040000007465787404106bfb719c4c24927ab568ea5aa8edffbcd348e9234fa4045b80a892c26e7dbe42b05be368adfc238b5ab94332fed2ffa6406cebf2d9e4ccbac6508edaba4904d3675c9d5a41e34c9a1cbd332616dded6d2c7184efd5480719a6feedc0bd98aa00504b01023f033f0000006200000021004861c3f56200000002040000040000000000000000002080a4810000000074657874504b0506000000000100010032000000840000000000"

func ppmdText() []byte {
	var b []byte
	for i := range 24 {
		b = fmt.Appendf(b, "line %d of a text that is short, and so on\n", i*i%97)
	}
	return b
}

func TestPPMd(t *testing.T) {
	b, _ := hex.DecodeString(ppmdSample)
	r := unpacktest.Walk(t, Format(), b, showcause.Limits{})
	if len(r.Gaps) > 0 || len(r.Children) != 1 || !bytes.Equal(r.Children[0].Data, ppmdText()) || r.Children[0].Op != "zip.ppmd" {
		t.Fatal(r)
	}
	head := zipLocalLen + len("text")
	for name, c := range map[string]struct {
		at   int
		with byte
		code showcause.Code
	}{
		"an order of 1":     {head, 0, showcause.Corrupt},
		"128 MiB":           {head + 1, 7, showcause.LimitMemory},
		"frozen":            {head + 1, 0x20, "unsupported.method.ppmd"},
		"no such restoring": {head + 1, 0x30, showcause.Corrupt},
		"other data":        {head + 30, 0x55, showcause.Corrupt},
	} {
		bad := bytes.Clone(b)
		bad[c.at] = c.with
		if c.code == showcause.LimitMemory {
			bad[head] |= 0xf0
		}
		if r := unpacktest.Walk(t, Format(), bad, showcause.Limits{}); !r.Has(c.code) {
			t.Errorf("%s: %s", name, r)
		}
	}
	small := bytes.Clone(b)
	for _, at := range []int{22, len(b) - 22 - 50 + 24} {
		small[at], small[at+1] = 100, 0 // a size that is too small
	}
	if r := unpacktest.Walk(t, Format(), small, showcause.Limits{}); !r.Unread() {
		t.Errorf("a size that is too small: %s", r)
	}
}

// What is cut or changed is told of, wherever that is.
func TestPPMdDamaged(t *testing.T) {
	b, _ := hex.DecodeString(ppmdSample)
	head := zipLocalLen + len("text")
	for n := head; n < len(b); n++ {
		if r := unpacktest.Walk(t, Format(), b[:n], showcause.Limits{}); !r.Unread() {
			t.Errorf("cut to %d of %d bytes: %s", n, len(b), r)
		}
	}
	for i := head; i < 132; i++ {
		bad := bytes.Clone(b)
		bad[i] ^= 1 << (i % 8)
		r := unpacktest.Walk(t, Format(), bad, showcause.Limits{})
		same := len(r.Children) == 1 && bytes.Equal(r.Children[0].Data, ppmdText())
		if !r.Unread() && !same {
			t.Errorf("byte %d changed: %s", i, r)
		}
	}
}

func FuzzPPMd(f *testing.F) {
	b, _ := hex.DecodeString(ppmdSample)
	unpacktest.Fuzz(f, Format(), b)
}
