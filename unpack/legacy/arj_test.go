package legacy

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// arjVolumes is a set of archives of one file, cut into parts of n bytes.
func arjVolumes(method byte, name string, b []byte, n int, pack func([]byte) []byte) (out [][]byte) {
	for pos := 0; pos < len(b); pos += n {
		part := b[pos:min(pos+n, len(b))]
		flags := byte(0)
		if pos > 0 {
			flags |= 8
		}
		if pos+n < len(b) {
			flags |= 4
		}
		one := arjOf(method, flags, name, pack(part), part)
		if flags&8 != 0 { // with the place in the file
			at := bytes.Index(one[2:], arjMagic) + 2
			size := int(le.Uint16(one[at+2:]))
			h := bytes.Clone(one[at+4 : at+4+size])
			h[0] = 34
			h = slices.Insert(h, 30, le.AppendUint32(nil, uint32(pos))...)
			head := append([]byte("\x60\xea"), byte(len(h)), 0)
			head = le.AppendUint32(append(head, h...), crc32.ChecksumIEEE(h))
			one = slices.Concat(one[:at], head, one[at+4+size+4:])
		}
		out = append(out, one)
	}
	return out
}

func arjSets(b []byte, n int) map[string][][]byte {
	return map[string][][]byte{
		"stored": arjVolumes(0, "n", b, n, func(b []byte) []byte { return b }),
		"lzh":    arjVolumes(1, "n", b, n, func(b []byte) []byte { return lzh(b, 14, 17, 5) }),
		"fast":   arjVolumes(4, "n", b, n, fast),
	}
}

// The parts of a file in volumes that stand in one layer are one child.
func TestARJVolumes(t *testing.T) {
	b := unpacktest.Mixed(5000)
	whole := func(name string, data []byte, files int) {
		t.Helper()
		r := unpacktest.Walk(t, ARJ(), data, showcause.Limits{})
		if len(r.Gaps) > 0 || len(r.Children) != files {
			t.Errorf("%s: %s", name, r)
		}
		for _, c := range r.Children {
			if !bytes.Equal(c.Data, b) {
				t.Errorf("%s: %q is not what was put in", name, c.Name)
			}
		}
	}
	for name, set := range arjSets(b, 1300) {
		whole(name, slices.Concat(set...), 1)
		whole(name+" turned", slices.Concat(set[1], set[2], set[3], set[0]), 1)
		whole(name+", two", slices.Concat(slices.Concat(set...), slices.Concat(set...)), 2)
		whole(name+" in a program", append([]byte("MZ and so on"), slices.Concat(set...)...), 1)
		for i := range set {
			left := slices.Delete(slices.Clone(set), i, i+1)
			r := unpacktest.Walk(t, ARJ(), slices.Concat(left...), showcause.Limits{})
			n := 0
			for _, c := range r.Children {
				n += len(c.Data)
			}
			if !r.Has(arjVolume) || n != len(b)-min(1300, len(b)-1300*i) {
				t.Errorf("%s without volume %d: %s", name, i, r)
			}
		}
	}
}

// What arj writes with -v is read.
func TestARJVolumesTool(t *testing.T) {
	if _, err := exec.LookPath("arj"); err != nil {
		t.Skip("arj is not installed")
	}
	dir := t.TempDir()
	want := map[string][]byte{}
	args := []string{"a", "-y", "-v50k", "x.arj"}
	for i, n := range []int{100, 150_000, 700, 80_000} {
		name := fmt.Sprint("f", i)
		want[name] = unpacktest.Mixed(n)
		os.WriteFile(filepath.Join(dir, name), want[name], 0o600)
		args = append(args, name)
	}
	cmd := exec.Command("arj", append(args, "-m0")...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	volumes, _ := filepath.Glob(filepath.Join(dir, "x.a*")) // x.a01, x.a02, ... x.arj
	var all []byte
	for _, p := range volumes {
		b, _ := os.ReadFile(p)
		all = append(all, b...)
	}
	r := unpacktest.Walk(t, ARJ(), all, showcause.Limits{})
	if len(volumes) < 3 || len(r.Gaps) > 0 || len(r.Children) != len(want) {
		t.Errorf("%d volumes: %s", len(volumes), r)
	}
	for _, c := range r.Children {
		if !bytes.Equal(c.Data, want[c.Name]) {
			t.Errorf("%q is not what was put in", c.Name)
		}
	}
}

func TestARJVolumesConform(t *testing.T) {
	samples := map[string][]byte{}
	for name, set := range arjSets(unpacktest.Mixed(500), 200) {
		samples[name] = slices.Concat(set...)
	}
	unpacktest.Conform(t, ARJ(), samples)
}

func FuzzARJ(f *testing.F) {
	var seeds [][]byte
	for _, b := range made(unpacktest.Mixed(500))["arj"] {
		seeds = append(seeds, b)
	}
	for _, set := range arjSets(unpacktest.Mixed(500), 200) {
		seeds = append(seeds, slices.Concat(set...))
	}
	unpacktest.Fuzz(f, ARJ(), seeds...)
}
