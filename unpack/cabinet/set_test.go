package cabinet

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// span writes a set of cabinets: each has at most room bytes of the folder's data, which is
// cut within blocks too. first and last stand whole in the first cabinet and the last.
func span(room int, f cabFolder, first, last cabFolder) (out [][]byte) {
	type piece struct {
		block    cabBlock
		from, to int // of the content that the block has
	}
	var discs [][]piece
	left, at := 0, 0
	for _, b := range f.blocks {
		from, to := at, at+b.n
		at = to
		for {
			if left == 0 {
				discs, left = append(discs, nil), room
			}
			n := min(left, len(b.data))
			k := len(discs) - 1
			if n == len(b.data) {
				discs[k] = append(discs[k], piece{b, from, to})
				left -= n
				break
			}
			discs[k] = append(discs[k], piece{cabBlock{b.data[:n], 0}, from, to})
			b.data = b.data[n:]
			left = 0
		}
	}
	start, end := func(i int) int { return discs[i][0].from }, func(i int) int { return discs[i][len(discs[i])-1].to }
	for i := range discs {
		g := cabFolder{method: f.method}
		for _, p := range discs[i] {
			g.blocks = append(g.blocks, p.block)
		}
		final := i == len(discs)-1
		for _, e := range f.files {
			if e.off >= end(i) || e.off+e.size <= start(i) {
				continue
			}
			before, behind := false, false
			for j := range discs {
				here := e.off < end(j) && e.off+e.size > start(j)
				before = before || here && j < i
				behind = behind || here && j > i
			}
			switch {
			case before && behind:
				e.folder = 0xffff
			case before:
				e.folder = 0xfffd
			case behind:
				e.folder = 0xfffe
			}
			g.files = append(g.files, e)
		}
		s := cabSet{id: 77, index: uint16(i)}
		if i > 0 {
			s.flags |= 1
			s.names += fmt.Sprintf("c%d.cab\x00disc %d\x00", i-1, i-1)
		}
		if !final {
			s.flags |= 2
			s.names += fmt.Sprintf("c%d.cab\x00disc %d\x00", i+1, i+1)
		}
		folders := []cabFolder{g}
		if i == 0 && first.files != nil {
			folders = []cabFolder{first, g}
		}
		if final && last.files != nil {
			folders = append(folders, last)
		}
		out = append(out, makeCabOf(s, [3]int{0, i % 3, i % 2 * 4}, folders...))
	}
	return out
}

// cabSets are sets of each method, with what they hold.
func cabSets(n, room int) (map[string][][]byte, map[string][]byte) {
	b := program(n)
	folder := func(method uint16, blocks []cabBlock) cabFolder {
		f := folderOf(method, blocks, n, 10, n/2, n/8)
		for i := range f.files {
			f.files[i].name = fmt.Sprint("f", i)
		}
		return f
	}
	one := func(name string) cabFolder {
		return cabFolder{1, mszip(b[:100]), []cabEntry{{name, 0, 100, 0}}}
	}
	out := map[string][][]byte{
		"stored":  span(room, folder(0, stored(b)), one("a"), one("z")),
		"mszip":   span(room, folder(1, mszip(b)), one("a"), one("z")),
		"quantum": span(room, folder(2|17<<8, quantumOf(b, 17)), one("a"), one("z")),
		"lzx":     span(room, folder(3|16<<8, lzx(b, 16, 50_001, 0, n)), one("a"), one("z")),
	}
	want := map[string][]byte{"a": b[:100], "z": b[:100]}
	for _, e := range folder(0, nil).files {
		want[e.name] = b[e.off : e.off+e.size]
	}
	return out, want
}

// The cabinets of a set that stand one behind the other are read as one.
func TestCabSets(t *testing.T) {
	sets, want := cabSets(200_001, 23_456)
	for name, set := range sets {
		if len(set) < 3 {
			t.Fatalf("%s: %d cabinets", name, len(set))
		}
		check(t, slices.Concat(set...), want)
		check(t, slices.Concat(slices.Concat(set[2:]...), set[1], make([]byte, 50), set[0]), want)
		check(t, append([]byte("MZ"), slices.Concat(set...)...), want)
		for i := range set { // one is missing
			r := unpacktest.Walk(t, Cab(), slices.Concat(slices.Delete(slices.Clone(set), i, i+1)...), showcause.Limits{})
			if !r.Has(cabVolume) {
				t.Errorf("%s without %d: %s", name, i, r)
			}
			for _, c := range r.Children {
				if w, ok := want[c.Name]; ok && !bytes.HasPrefix(w, c.Data[:max(0, len(c.Data)-32<<10)]) {
					t.Errorf("%s without %d: %q is not what was put in", name, i, c.Name)
				}
			}
		}
	}
	other := func(b []byte) []byte { b = bytes.Clone(b); b[32]++; return b }
	set := sets["mszip"]
	if r := unpacktest.Walk(t, Cab(), slices.Concat(set[0], other(set[1])), showcause.Limits{}); !r.Has(cabVolume) {
		t.Errorf("of two sets: %s", r)
	}
}

// 7z and cabextract read the same sets, from their files. cabextract joins no folder that goes over
// two ends of cabinets with other files at each; 7z does not join a block of Quantum.
func TestCabSetsTools(t *testing.T) {
	for _, tool := range []struct {
		name string
		args []string
		room int
		skip string
	}{
		{"7z", []string{"x", "-y", "-o."}, 70_000, "quantum"},
		{"cabextract", []string{"-q"}, 100_000, ""},
	} {
		path, err := exec.LookPath(tool.name)
		if err != nil {
			t.Log(err)
			continue
		}
		sets, want := cabSets(200_001, tool.room)
		for name, set := range sets {
			if name == tool.skip {
				continue
			}
			dir := t.TempDir()
			for i, b := range set {
				os.WriteFile(filepath.Join(dir, fmt.Sprintf("c%d.cab", i)), b, 0o600)
			}
			cmd := exec.Command(path, append(slices.Clone(tool.args), "c0.cab")...)
			if cmd.Dir = dir; len(set) < 2 || tool.name == "cabextract" && len(set) > 2 {
				continue
			}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s, %s: %v %s", tool.name, name, err, out)
			}
			for f, w := range want {
				if b, err := os.ReadFile(filepath.Join(dir, f)); err != nil || !bytes.Equal(b, w) {
					t.Errorf("%s, %s: %s differs: %v", name, f, tool.name, err)
				}
			}
		}
	}
}

func TestCabSetsConform(t *testing.T) {
	sets, _ := cabSets(900, 250)
	for name, set := range sets {
		unpacktest.Conform(t, Cab(), map[string][]byte{name: slices.Concat(set...)})
	}
}
