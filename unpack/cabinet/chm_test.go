package cabinet

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

func encint(v int) (out []byte) {
	for shift := 28; shift > 0; shift -= 7 {
		if v>>shift > 0 {
			out = append(out, byte(v>>shift)|0x80)
		}
	}
	return append(out, byte(v&0x7f))
}

// makeCHM writes a help file with the content of section 1 cut into files, and
// one file that is stored.
func makeCHM(content []byte, stored string, files ...cabEntry) []byte {
	var lzxData []byte
	for _, b := range lzx(content, 16, 20_000, 0, 0) {
		lzxData = append(lzxData, b.data...)
	}
	control := append(le.AppendUint32(nil, 6), "LZXC"...)
	for _, v := range []uint32{2, 8, 2, 1, 0} { // version, reset and window in 32 KiB
		control = le.AppendUint32(control, v)
	}
	table := append(le.AppendUint32(nil, 2), make([]byte, 12)...)
	table = le.AppendUint64(table, uint64(len(content)))
	table = append(table, make([]byte, 16)...)
	var section0, entries []byte
	add := func(name string, section, off, n int) {
		entries = append(append(entries, encint(len(name))...), name...)
		entries = append(append(append(entries, encint(section)...), encint(off)...), encint(n)...)
	}
	put := func(name string, b []byte) {
		add(name, 0, len(section0), len(b))
		section0 = append(section0, b...)
	}
	put("/stored", []byte(stored))
	put(chmSpace+"ControlData", control)
	put(chmSpace+"Transform/{7FC28940-9D31-11D0-9B27-00A0C91E9C7C}/InstanceData/ResetTable", table)
	put(chmSpace+"Content", lzxData)
	for _, f := range files {
		add("/"+f.name, 1, f.off, f.size)
	}
	const piece = 4096
	dir := append([]byte("ITSP\x01\x00\x00\x00\x54\x00\x00\x00\x0a\x00\x00\x00"), le.AppendUint32(nil, piece)...)
	dir = append(dir, make([]byte, 0x54-len(dir))...)
	le.PutUint32(dir[0x2c:], 1)
	p := append([]byte("PMGL"), make([]byte, 16)...)
	p = append(p, entries...)
	le.PutUint32(p[4:], uint32(piece-len(p)))
	dir = append(append(dir, p...), make([]byte, piece-len(p))...)
	h := append([]byte("ITSF\x03\x00\x00\x00\x60\x00\x00\x00"), make([]byte, 0x54)...)
	le.PutUint64(h[0x48:], 0x60)
	le.PutUint64(h[0x50:], uint64(len(dir)))
	le.PutUint64(h[0x58:], uint64(0x60+len(dir)))
	return bytes.Join([][]byte{h, dir, section0}, nil)
}

func chmSamples() map[string][]byte {
	b := append(bytes.Repeat([]byte("and so on "), 3500), program(500)...)
	return map[string][]byte{"chm": makeCHM(b, "what is stored", cabEntry{"a", 0, 34_000, 0}, cabEntry{"b", 34_000, 1500, 0})}
}

func TestCHM(t *testing.T) {
	b := program(150_000)
	data := makeCHM(b, "stored text", cabEntry{"b.html", 70_000, 80_000, 0}, cabEntry{"a.html", 0, 60_000, 0})
	r := unpacktest.Walk(t, CHM(), data, showcause.Limits{})
	got := map[string][]byte{}
	for _, c := range r.Children {
		got[c.Name+c.Op[3:]] = c.Data
	}
	if len(r.Gaps) > 0 || !bytes.Equal(got["a.html.lzx"], b[:60_000]) || !bytes.Equal(got["b.html.lzx"], b[70_000:]) ||
		!bytes.Equal(got[".rest"], b[60_000:70_000]) || string(got["stored.stored"]) != "stored text" {
		t.Errorf("%s", r)
	}
	for name, s := range map[string]struct{ from, to, gap string }{
		"window":   {"\x02\x00\x00\x00\x08\x00\x00\x00\x02\x00\x00\x00", "\x02\x00\x00\x00\x08\x00\x00\x00\x03\x00\x00\x00", "unsupported.method.chm"},
		"no table": {"/ResetTable", "/ResetTabla", "corrupt"},
		"a number": {"\x07/a.html\x01", "\x7f/a.html\x01", "corrupt"},
		"no piece": {"ITSP", "ITSQ", "corrupt"},
	} {
		bad := bytes.Replace(data, []byte(s.from), []byte(s.to), 1)
		if r := unpacktest.Walk(t, CHM(), bad, showcause.Limits{}); bytes.Equal(bad, data) || !r.Has(showcause.Code(s.gap)) {
			t.Errorf("%s: %s", name, r)
		}
	}
}

func TestCHMConforms(t *testing.T) { unpacktest.Conform(t, CHM(), chmSamples()) }

func FuzzCHM(f *testing.F) { unpacktest.Fuzz(f, CHM(), chmSamples()["chm"]) }

// 7z reads clam.chm, and agrees.
func TestClamCHM(t *testing.T) {
	p := "/usr/share/clamav-testfiles/clam.chm"
	b, err := os.ReadFile(p)
	if err != nil {
		t.Skip("package clamav-testfiles is not installed")
	}
	r := unpacktest.Walk(t, CHM(), b, showcause.Limits{})
	if exe, _ := os.ReadFile("/usr/share/clamav-testfiles/clam.exe"); len(r.Gaps) > 0 || !r.Contains(string(exe)) {
		t.Errorf("%s", r)
	}
	dir := t.TempDir()
	if err := exec.Command("7z", "x", "-y", "-o"+dir, p).Run(); err != nil {
		t.Skipf("7z: %v", err)
	}
	for _, c := range r.Children {
		if c.Name == "" || strings.HasPrefix(c.Name, "::") {
			continue
		}
		if got, err := os.ReadFile(filepath.Join(dir, c.Name)); err != nil || !bytes.Equal(got, c.Data) {
			t.Errorf("%q: 7z differs: %v", c.Name, err)
		}
	}
}

// What stands behind all that a CHM file names is a child; zeros are not.
func TestCHMBehind(t *testing.T) {
	for name, b := range chmSamples() {
		alone := unpacktest.Walk(t, CHM(), append(bytes.Clone(b), make([]byte, 600)...), showcause.Limits{})
		got := unpacktest.Walk(t, CHM(), append(bytes.Clone(b), "\x1f\x8b\x08 and so on"...), showcause.Limits{})
		n := len(alone.Children)
		if len(got.Gaps) != len(alone.Gaps) || len(got.Children) != n+1 || got.Children[n].Op != "chm.rest" || string(got.Children[n].Data) != "\x1f\x8b\x08 and so on" {
			t.Errorf("%s: %s; alone %s", name, got, alone)
		}
	}
}
