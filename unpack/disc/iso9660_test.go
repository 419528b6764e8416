package disc

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// image builds images sector by sector.
type image struct{ b []byte }

func (m *image) sector(n int) []byte {
	for len(m.b) < (n+1)*sector {
		m.b = append(m.b, make([]byte, sector)...)
	}
	return m.b[n*sector : (n+1)*sector]
}

func both32(v uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, v), v)
}

// rec is a directory record.
func rec(name string, at, size uint32, flags byte, susp string) []byte {
	b := make([]byte, 33)
	copy(b[2:], both32(at))
	copy(b[10:], both32(size))
	b[25], b[28], b[31], b[32] = flags, 1, 1, byte(len(name))
	b = append(b, name...)
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	b = append(b, susp...)
	b[0] = byte(len(b))
	return b
}

func (m *image) descriptor(n int, kind byte, root uint32) []byte {
	d := m.sector(n)
	d[0], d[6] = kind, 1
	copy(d[1:], isoMagic)
	if kind == 1 || kind == 2 {
		binary.LittleEndian.PutUint16(d[128:], sector)
		binary.BigEndian.PutUint16(d[130:], sector)
		copy(d[156:], rec("\x00", root, sector, 2, ""))
	}
	return d
}

func (m *image) dir(n int, recs ...[]byte) {
	self := rec("\x00", uint32(n), sector, 2, "")
	clear(m.sector(n))
	copy(m.sector(n), bytes.Join(append([][]byte{self, rec("\x01", uint32(n), sector, 2, "")}, recs...), nil))
}

func (m *image) put(n int, s string) { copy(m.sector(n), s) }

// ucs is a name of Joliet.
func ucs(s string) string {
	var b strings.Builder
	for _, c := range s {
		b.WriteByte(0)
		b.WriteRune(c)
	}
	return b.String()
}

// simple has a file in the root and one in a folder, and with joliet a second tree.
func simple(joliet bool) *image {
	m := &image{}
	m.descriptor(16, 1, 20)
	end := 17
	if joliet {
		copy(m.descriptor(17, 2, 22)[88:], "%/E")
		end = 18
		m.dir(22, rec(ucs("A long name.txt"), 24, 17, 0, ""), rec(ucs("folder"), 23, sector, 2, ""))
		m.dir(23, rec(ucs("second"), 25, 18, 0, ""))
	}
	m.descriptor(end, 255, 0)
	m.dir(20, rec("ALONGNAM.TXT;1", 24, 17, 0, ""), rec("FOLDER", 21, sector, 2, ""))
	m.dir(21, rec("SECOND.;1", 25, 18, 0, "NM\x0b\x01\x00second"))
	m.put(24, "first, and so on\n")
	m.put(25, "second, and so on\n")
	return m
}

func samples() map[string][]byte {
	return map[string][]byte{"plain": simple(false).b, "joliet": simple(true).b}
}

func TestConforms(t *testing.T) {
	s := samples()
	unpacktest.ConformWhole(t, ISO9660(), s, func(b []byte) bool {
		return len(b) >= 25*sector+18 // the zeros behind the last file are cut off
	})
}

func FuzzISO9660(f *testing.F) {
	s := samples()
	unpacktest.Fuzz(f, ISO9660(), s["plain"], s["joliet"])
}

func TestOdd(t *testing.T) {
	edit := func(joliet bool, f func(m *image)) []byte {
		m := simple(joliet)
		f(m)
		return m.b
	}
	for name, s := range map[string]struct {
		data  []byte
		names string
		gaps  string
	}{
		"plain":      {simple(false).b, "ALONGNAM.TXT FOLDER/second", ""},
		"two trees":  {simple(true).b, "A long name.txt folder/second", ""},
		"in a loop":  {edit(false, func(m *image) { m.dir(21, rec("UP", 20, sector, 2, ""), rec("A;1", 25, 18, 0, "")) }), "ALONGNAM.TXT FOLDER/A", "corrupt"},
		"itself":     {edit(false, func(m *image) { m.dir(21, rec("UP", 21, sector, 2, "")) }), "ALONGNAM.TXT #1 iso9660.rest", "corrupt"},
		"trees":      {edit(true, func(m *image) { m.dir(23) }), "A long name.txt FOLDER/second", "ambiguous.iso9660.tree"},
		"byte order": {edit(false, func(m *image) { m.sector(20)[68+9] = 25 }), "ALONGNAM.TXT ALONGNAM.TXT FOLDER/second", "ambiguous.iso9660.endian"},
		"extents": {edit(false, func(m *image) {
			m.dir(21, rec("X;1", 25, 3, 0x80, ""), rec("X;1", 24, 5, 0, ""))
		}), "ALONGNAM.TXT FOLDER/X", ""},
		"beyond the end":   {edit(false, func(m *image) { m.dir(21, rec("X;1", 25, 1<<20, 0, "")) }), "ALONGNAM.TXT FOLDER/X", "corrupt"},
		"directory beyond": {edit(false, func(m *image) { m.dir(21, rec("X", 1<<20, sector, 2, "")) }), "ALONGNAM.TXT #1 iso9660.rest", "corrupt"},
		"interleaved":      {edit(false, func(m *image) { m.sector(21)[68+26] = 1 }), "ALONGNAM.TXT", "unsupported.method.iso9660-interleave"},
		"zisofs": {edit(false, func(m *image) {
			m.dir(21, rec("Z;1", 25, 18, 0, "ZF\x10\x01pz\x04\x0f\x12\x00\x00\x00\x00\x00\x00\x12"))
			m.put(25, string(zisofs))
		}), "ALONGNAM.TXT", "unsupported.method.zisofs"},
		"udf":           {edit(false, func(m *image) { m.put(18, "\x00BEA01\x01"); m.put(19, "\x00NSR02\x01") }), "ALONGNAM.TXT FOLDER/second", ""},
		"no descriptor": {edit(false, func(m *image) { m.sector(16)[0] = 9 }), "#0 iso9660.rest", "corrupt"},
		"in no file":    {edit(false, func(m *image) { m.put(27, "hidden") }), "ALONGNAM.TXT FOLDER/second #2 iso9660.rest", ""},
		"an earlier session": {edit(false, func(m *image) {
			m.descriptor(30, 1, 32)
			m.descriptor(31, 255, 0)
			m.dir(32, rec("OLD;1", 33, 5, 0, ""))
			m.put(33, "older")
		}), "ALONGNAM.TXT FOLDER/second OLD", "ambiguous.iso9660.tree"},
		"paths of their own": {edit(false, func(m *image) { m.paths(); m.dir(20) }), "second #1 iso9660.rest", ""},
		"a name in two places": {edit(false, func(m *image) {
			m.dir(21, rec("X;1", 25, 18, 0, "NM\x0a\x01\x01firstCE\x1c\x01"+string(both32(28))+string(both32(4))+string(both32(12))))
			m.put(28, "\x00\x00\x00\x00NM\x0a\x01\x00 part\x00\x00")
		}), "ALONGNAM.TXT FOLDER/first part", ""},
		"boot": {edit(false, func(m *image) {
			copy(m.descriptor(17, 0, 0)[7:], isoElTorito)
			m.sector(17)[71] = 19
			m.sector(19)[0] = 1
			copy(m.sector(19)[32:], "\x88\x00\x00\x00\x00\x00\x01\x00\x19\x00")
			m.descriptor(18, 255, 0)
		}), "#0 iso9660.boot ALONGNAM.TXT FOLDER/second", ""},
	} {
		if !ISO9660().Match(unpacktest.Probe(showcause.Bytes(s.data))) {
			t.Errorf("%s: no match", name)
		}
		r := unpacktest.Walk(t, ISO9660(), s.data, showcause.Limits{})
		var names, gaps []string
		for _, c := range r.Children {
			names = append(names, strings.ReplaceAll(c.Trail[0].String(), "\\x00", ""))
		}
		for _, g := range r.Gaps {
			gaps = append(gaps, string(g.Code))
		}
		if got := strings.Join(names, " "); got != s.names || strings.Join(gaps, " ") != s.gaps {
			t.Errorf("%s: %q, gaps %q; want %q, %q", name, got, gaps, s.names, s.gaps)
		}
	}
}

// A chain of a thousand directories ends with a gap, and the stack holds.
func TestDeep(t *testing.T) {
	m := simple(false)
	for n := 30; n < 1030; n++ {
		m.dir(n, rec("D", uint32(n+1), sector, 2, ""))
	}
	m.dir(1030)
	m.dir(21, rec("D", 30, sector, 2, ""))
	if r := unpacktest.Walk(t, ISO9660(), m.b, showcause.Limits{}); !r.Has(showcause.LimitDepth) {
		t.Errorf("%s", r)
	}
}

// paths writes a table of paths that has the folder.
func (m *image) paths() {
	d := m.sector(16)
	copy(d[132:], both32(20))
	binary.LittleEndian.PutUint32(d[140:], 19)
	copy(m.sector(19), "\x01\x00\x14\x00\x00\x00\x01\x00\x00\x00\x02\x00\x15\x00\x00\x00\x01\x00D2")
}

// What genisoimage and xorriso write is read.
func TestTools(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "in")
	want := map[string]string{}
	for i, name := range []string{"one", "a folder/A longer name, with a comma.txt", "a/b/c/d/e/f/g/h/i/j/deep", "a/b/c/big", strings.Repeat("x", 180)} {
		p := filepath.Join(in, name)
		os.MkdirAll(filepath.Dir(p), 0o700)
		b := unpacktest.Mixed(1 + 3000*i)
		want[string(b)] = name
		os.WriteFile(p, b, 0o600)
	}
	for _, args := range []string{
		"genisoimage -quiet -R -o", "genisoimage -quiet -J -joliet-long -D -o", "genisoimage -quiet -R -J -joliet-long -o", "genisoimage -quiet -D -o",
		"xorriso -as mkisofs -quiet -R -J -joliet-long -o", "xorriso -as mkisofs -quiet -o",
	} {
		p := filepath.Join(dir, "x.iso")
		os.Remove(p)
		a := append(strings.Fields(args), p, in)
		if out, err := exec.Command(a[0], a[1:]...).CombinedOutput(); err != nil {
			t.Logf("%s: %v %s", args, err, out)
			continue
		}
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		r := unpacktest.Walk(t, ISO9660(), b, showcause.Limits{})
		n := 0
		for _, c := range r.Children {
			name, ok := want[string(c.Data)]
			if ok {
				n++
			} else if c.Op == "iso9660.file" {
				t.Errorf("%s: %q is not what was put in", args, c.Name)
			}
			if ok && strings.Contains(args, "-R -J") && !strings.HasSuffix(c.Name, filepath.Base(name)) {
				t.Errorf("%s: %q is called %q", args, name, c.Name)
			}
		}
		if n != len(want) || r.Unread() {
			t.Errorf("%s: %d files of %d; %s", args, n, len(want), r)
		}
	}
}
