package heuristic

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// patch puts values of so many bytes at a place, one after the other.
type patch struct {
	name      string
	at, width int
	values    []uint64
}

const (
	someFields = 0x98 // of the optional header of a PE file that pe writes
	someRows   = someFields + 0xe0
)

// pe writes a program with three sections.
func pe() []byte {
	b := make([]byte, 0x400+3*0x200)
	le := binary.LittleEndian
	for i := 0x400; i < len(b); i++ {
		b[i] = byte(i * 7)
	}
	copy(b, "MZ")
	b[0x3c] = 0x80
	copy(b[0x80:], "PE\x00\x00\x4c\x01\x03")
	le.PutUint16(b[0x94:], 0xe0)
	le.PutUint16(b[0x96:], 0x102)
	for at, v := range map[int]uint32{0: 0x10b, 16: 0x1000, 32: 0x1000, 36: 0x200, 48: 4, 56: 0x4000, 60: 0x400, 68: 3, 92: 16} {
		le.PutUint32(b[someFields+at:], v)
	}
	for i := range 3 {
		row := b[someRows+40*i:]
		copy(row, fmt.Sprintf(".sec%d", i))
		for k, v := range []uint32{0x200, 0x1000 * uint32(i+1), 0x200, 0x400 + 0x200*uint32(i)} {
			le.PutUint32(row[8+4*k:], v)
		}
		le.PutUint32(row[36:], 0x60000020)
	}
	return b
}

func pePatches() (out []patch) {
	out = []patch{
		{"sections", 0x86, 2, []uint64{0, 1, 2, 4, 5, 96, 97, 65535}},
		{"optional size", 0x94, 2, []uint64{0, 1, 0x5f, 0x60, 0x6f, 0x70, 0xdf, 0xe1, 0xf0, 0x200, 0xffff}},
		{"magic", someFields, 2, []uint64{0xb, 0x10a, 0x107, 0x20b}},
		{"entry", someFields + 16, 4, []uint64{0, 1, 0x200, 0xfff, 0x11ff, 0x1200, 0x1fff, 0x2000, 0x31ff, 0x3200, 0x80000000, 0xffffffff}},
		{"alignment", someFields + 32, 4, []uint64{0, 1, 0x200, 0xfff, 0x1001, 0x2000, 0x10000}},
		{"file alignment", someFields + 36, 4, []uint64{0, 1, 0x1ff, 0x201, 0x400, 0x600, 0x1000}},
		{"headers", someFields + 60, 4, []uint64{0, 1, 0x200, 0x1000, 0x1001, 0x2000}},
		{"subsystem", someFields + 68, 2, []uint64{0, 1, 2, 9, 16}},
		{"place", 0x3c, 4, []uint64{0, 2, 0x40, 0x81, 0x400, 0x9f0, 0xa00, 0x10000, 0x80000000}},
		{"signature", 0x80, 4, []uint64{0, 0x14550, 0x454e}},
		{"machine", 0x84, 2, []uint64{0, 0x8664, 0xffff}},
	}
	for i := range 3 {
		row := someRows + 40*i
		out = append(out, patch{fmt.Sprint("size ", i), row + 8, 4, []uint64{0, 1, 0xfff, 0x1000, 0x1001, 0x2000, 0x7fffffff, 0x80000000}},
			patch{fmt.Sprint("address ", i), row + 12, 4, []uint64{0, 1, 0x1001, 0x2000, 0x3000, 0x7fffffff, 0x80000000}},
			patch{fmt.Sprint("raw size ", i), row + 16, 4, []uint64{0, 1, 0x1ff, 0x201, 0x800, 0x7fffffff, 0x80000000, 0xffffffff}},
			patch{fmt.Sprint("raw ", i), row + 20, 4, []uint64{0, 0x200, 0x5ff, 0x9ff, 0xa00, 0x1000, 0x7fffffff, 0xffffffff}})
	}
	return out
}

// elf writes a program of 32 or 64 bits.
func elf(wide bool, order binary.AppendByteOrder) []byte {
	b := []byte("\x7fELF\x01\x01\x01")
	if wide {
		b[4] = 2
	}
	if order == binary.AppendByteOrder(binary.BigEndian) {
		b[5] = 2
	}
	b = append(b, make([]byte, 9)...)
	word := func(v uint64) {
		if wide {
			b = order.AppendUint64(b, v)
		} else {
			b = order.AppendUint32(b, uint32(v))
		}
	}
	head, row, section := uint64(52), 32, 40
	if wide {
		head, row, section = 64, 56, 64
	}
	b = order.AppendUint16(order.AppendUint16(b, 2), 62)
	b = order.AppendUint32(b, 1)
	word(0x400200)
	word(head)
	word(0x600)
	b = order.AppendUint32(b, 0)
	for _, v := range []int{int(head), row, 2, section, 3, 0} {
		b = order.AppendUint16(b, uint16(v))
	}
	for i := range uint64(2) {
		b = order.AppendUint32(b, 1)
		if wide {
			b = order.AppendUint32(b, 5)
		}
		word(0x400 * i)
		word(0x400000 + 0x1000*i)
		word(0x400000 + 0x1000*i)
		word(0x400)
		word(0x400)
		if !wide {
			b = order.AppendUint32(b, 5)
		}
		word(0x1000)
	}
	return append(b, bytes.Repeat([]byte{0}, 0x800-len(b))...)
}

func elfPatches(wide bool) []patch {
	at, word := []int{24, 28, 32, 42, 44, 46, 48}, 4
	if wide {
		at, word = []int{24, 32, 40, 54, 56, 58, 60}, 8
	}
	return []patch{
		{"entry", at[0], word, []uint64{0, 1, 0x400000, 0x4003ff, 0x400400, 0x401000, 0x4013ff, 0x401400}},
		{"programs at", at[1], word, []uint64{0, 1, 0x700, 0x7ff, 0x800, 0x10000, 0xffffffff}},
		{"sections at", at[2], word, []uint64{0, 1, 0x700, 0x740, 0x7ff, 0x800, 0xffffffff}},
		{"program size", at[3], 2, []uint64{0, 1, 32, 56, 57}},
		{"programs", at[4], 2, []uint64{0, 1, 3, 10, 128, 129, 65535}},
		{"section size", at[5], 2, []uint64{0, 1, 40, 64, 65}},
		{"sections", at[6], 2, []uint64{0, 1, 4, 8, 13, 20, 2048, 2049, 65535}},
		{"class", 4, 1, []uint64{0, 3}},
		{"order", 5, 1, []uint64{0, 3}},
	}
}

// programs are whole ones, each with one thing changed, or cut.
func programs() (names []string, out [][]byte) {
	add := func(name string, base []byte, patches []patch) {
		names, out = append(names, name), append(out, base)
		for _, p := range patches {
			for _, v := range p.values {
				b := bytes.Clone(base)
				big := b[0] != 'M' && b[5] == 2
				for i := range p.width {
					k := i
					if big {
						k = p.width - 1 - i
					}
					b[p.at+k] = byte(v >> (8 * i))
				}
				names, out = append(names, fmt.Sprintf("%s: %s %#x", name, p.name, v)), append(out, b)
			}
		}
		for n := 0x20; n < len(base); n += 1 + n/6 {
			names, out = append(names, fmt.Sprintf("%s: %#x bytes", name, n)), append(out, base[:n])
		}
		for _, n := range []int{60, 63, 64} {
			names, out = append(names, fmt.Sprintf("%s: %#x bytes", name, n)), append(out, base[:n])
		}
	}
	add("PE", pe(), pePatches())
	for _, wide := range []bool{false, true} {
		add(fmt.Sprint("ELF, little, ", wide), elf(wide, binary.LittleEndian), elfPatches(wide))
		add(fmt.Sprint("ELF, big, ", wide), elf(wide, binary.BigEndian), elfPatches(wide))
	}
	return names, out
}

// TestBrokenAgainstClamscan has clamscan say which programs are broken.
func TestBrokenAgainstClamscan(t *testing.T) {
	clamscan, err := exec.LookPath("clamscan")
	if err != nil {
		t.Skip("clamscan is not installed")
	}
	dir, db := t.TempDir(), filepath.Join(t.TempDir(), "x.hdb")
	if err := os.WriteFile(db, []byte(strings.Repeat("a", 32)+":5:x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	names, all := programs()
	for i, b := range all {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d", i)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	said, _ := exec.Command(clamscan, "--no-summary", "-d", db, "--alert-broken", "-r", dir).Output()
	broken := map[bool]int{}
	for i, b := range all {
		theirs := bytes.Contains(said, fmt.Appendf(nil, "%05d: %s FOUND", i, Broken))
		n, m := run(t, Broken, string(b))
		if n > 0 != theirs {
			t.Errorf("%s: broken %v, to clamscan %v", names[i], n > 0, theirs)
		}
		if n > 0 && (m[0].Offset < 0 || m[0].Length < 1 || m[0].Offset+m[0].Length > int64(len(b))) {
			t.Errorf("%s: %+v", names[i], m)
		}
		broken[theirs]++
	}
	t.Logf("%d programs, %v", len(all), broken)
	if broken[true] < 100 || broken[false] < 100 || bytes.Count(said, []byte("\n")) < len(all) {
		t.Errorf("broken: %v", broken)
	}
}

func FuzzBroken(f *testing.F) {
	_, all := programs()
	for i := 0; i < len(all); i += 7 {
		f.Add(all[i])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, m := run(t, Broken, string(b)); n > 0 && (m[0].Offset < 0 || m[0].Length < 0 || m[0].Offset+m[0].Length > int64(len(b))) {
			t.Fatalf("%+v of %d bytes", m, len(b))
		}
	})
}
