package rar

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

// spread cuts the data of files so that no volume has more than size bytes of them.
func spread(size int, before, behind uint16, files []entry) (out [][]entry) {
	room := 0
	for _, f := range files {
		for first := true; ; first = false {
			if room == 0 {
				out, room = append(out, nil), size
			}
			p, n := f, min(len(f.data), room)
			p.data = f.data[:n]
			if !first {
				p.flags |= before
			}
			more := n < len(f.data)
			if more {
				p.flags |= behind
				p.crc = func(uint32) uint32 { return crc32.ChecksumIEEE(p.data) } // of what is packed
			}
			k := len(out) - 1
			out[k] = append(out[k], p)
			room -= n
			if f.data = f.data[n:]; !more {
				break
			}
		}
	}
	return out
}

// volumes5 writes a set of version 5.
func volumes5(flags uint64, size int, files ...entry) (out [][]byte) {
	all := spread(size, 8, 16, files)
	for i, part := range all {
		b := make5(0, part...)
		b = b[len(magic5)+len(block5Of(1, 0, nil, vint(nil, 0), nil)):]
		b = b[:len(b)-len(block5Of(5, 0, nil, []byte{0}, nil))]
		head := vint(nil, flags|1)
		if i > 0 {
			head = vint(vint(nil, flags|3), uint64(i))
		}
		last := []byte{1}
		if i == len(all)-1 {
			last[0] = 0
		}
		out = append(out, slices.Concat(magic5, block5Of(1, 0, nil, head, nil), b, block5Of(5, 0, nil, last, nil)))
	}
	return out
}

// volumes4 writes one of version 4. Where told is false, the volumes do not say their number.
func volumes4(flags uint16, size int, told bool, files ...entry) (out [][]byte) {
	all := spread(size, 1, 2, files)
	for i, part := range all {
		b := make4(0, part...)
		b = b[len(magic4)+13 : len(b)-7]
		f := flags | 0x11
		if i == 0 {
			f |= 0x100
		}
		end := uint16(0x4000)
		if i < len(all)-1 {
			end |= 1
		}
		last := block4Of(0x7b, end, nil)
		if told {
			last = block4Of(0x7b, end|8, le.AppendUint16(nil, uint16(i)))
		}
		out = append(out, slices.Concat(magic4, block4Of(0x73, f, make([]byte, 6)), b, last))
	}
	return out
}

// sets are volume sets of both versions, and what is in each.
func sets(size int, sizes ...int) (out map[string][][]byte, want map[string][]byte) {
	want = map[string][]byte{}
	var all []byte
	var plain, packed5, solid5, packed4, solid4, sealed5 []entry
	var old5, old4 [4]int
	for i, n := range sizes {
		b := unpacktest.Mixed(n)
		name := fmt.Sprintf("f%d", i)
		want[name] = b
		from := len(all)
		all = append(all, b...)
		plain = append(plain, entry{name: name, data: b, whole: b})
		p5 := entry{name: name, data: lz5(b, 0, &[4]int{}, nil), whole: b, method: 3}
		packed5 = append(packed5, p5)
		sealed5 = append(sealed5, seal5(p5, "infected", 3))
		solid5 = append(solid5, entry{name: name, data: lz5(all, from, &old5, nil), whole: b, method: 3, solid: i > 0})
		packed4 = append(packed4, entry{name: name, data: lz3(b, 0, &[4]int{}), whole: b, method: 3})
		solid4 = append(solid4, entry{name: name, data: lz3(all, from, &old4), whole: b, method: 3, solid: i > 0})
	}
	out = map[string][][]byte{
		"stored5": volumes5(0, size, plain...), "packed5": volumes5(0, size, packed5...), "solid5": volumes5(4, size, solid5...), "sealed5": volumes5(0, size, sealed5...),
		"stored4": volumes4(0, size, true, plain...), "packed4": volumes4(0, size, true, packed4...), "solid4": volumes4(8, size, true, solid4...), "untold4": volumes4(8, size, false, solid4...),
	}
	var heads [][]byte
	for _, v := range out["packed5"] {
		heads = append(heads, sealHeaders5(v, "infected", true))
	}
	out["headers5"] = heads
	return out, want
}

// holds complains of a result that is not what was put in.
func holds(t *testing.T, name string, r unpacktest.Result, want map[string][]byte) {
	t.Helper()
	if len(r.Gaps) > 0 || len(r.Children) != len(want) {
		t.Errorf("%s: %s", name, r)
	}
	for _, c := range r.Children {
		if !bytes.Equal(c.Data, want[c.Name]) {
			t.Errorf("%s: %q is not what was put in", name, c.Name)
		}
	}
}

// The volumes of a set that stand one behind the other are read as one archive.
func TestVolumes(t *testing.T) {
	all, want := sets(30_000, 1, 100, 5000, 70_000, 20, 100_001, 7)
	for name, set := range all {
		if len(set) < 4 {
			t.Fatalf("%s: %d volumes", name, len(set))
		}
		joined := slices.Concat(set...)
		holds(t, name, unpacktest.Walk(t, Format(), joined, showcause.Limits{}), want)
		holds(t, name+" in a program", unpacktest.Walk(t, Format(), append(append([]byte("MZ"), make([]byte, 600)...), joined...), showcause.Limits{}), want)
		apart := slices.Clone(set)
		for i, v := range apart {
			apart[i] = append(bytes.Clone(v), make([]byte, 100)...)
		}
		holds(t, name+" with zeros between", unpacktest.Walk(t, Format(), slices.Concat(apart...), showcause.Limits{}), want)
		if name == "untold4" {
			continue
		}
		// As `cat x.r*` does: the first comes last.
		turned := slices.Concat(slices.Concat(set[1:]...), set[0])
		holds(t, name+" turned", unpacktest.Walk(t, Format(), turned, showcause.Limits{}), want)
		// A limit for one file does not cost those behind it.
		r := unpacktest.Walk(t, Format(), joined, showcause.Limits{FileSize: 1000})
		if n := len(r.Children); n != len(want) || !bytes.Equal(r.Children[n-1].Data, want["f6"]) {
			t.Errorf("%s: with a limit: %s", name, r)
		}
		for i := range set { // one is missing
			r := unpacktest.Walk(t, Format(), slices.Concat(slices.Delete(slices.Clone(set), i, i+1)...), showcause.Limits{})
			if !r.Has(gapVolume) {
				t.Errorf("%s without volume %d: %s", name, i, r)
			}
			for _, c := range r.Children {
				// What comes of the last bits, where more should follow, is not sure.
				if !bytes.HasPrefix(want[c.Name], c.Data[:max(len(c.Data)-300, 0)]) || !r.Unread() {
					t.Errorf("%s without volume %d: %q is not what was put in", name, i, c.Name)
				}
			}
		}
	}
	// Two sets, one behind the other.
	two := slices.Concat(slices.Concat(all["solid5"]...), slices.Concat(all["solid4"]...), slices.Concat(all["stored5"]...), slices.Concat(all["packed5"]...))
	if r := unpacktest.Walk(t, Format(), two, showcause.Limits{}); len(r.Gaps) > 0 || len(r.Children) != 4*len(want) {
		t.Errorf("sets: %s", r)
	}
}

// unar and 7z read the same sets, from their files.
func TestVolumesTools(t *testing.T) {
	all, want := sets(30_000, 1, 5000, 70_000, 20, 100_001)
	for name, set := range all {
		dir := t.TempDir()
		for i, v := range set {
			os.WriteFile(filepath.Join(dir, fmt.Sprintf("a.part%d.rar", i+1)), v, 0o600)
		}
		first := filepath.Join(dir, "a.part1.rar")
		for _, c := range []*exec.Cmd{
			exec.Command("unar", "-q", "-f", "-D", "-p", "infected", "-o", filepath.Join(dir, "unar"), first),
			exec.Command("7z", "x", "-y", "-pinfected", "-o"+filepath.Join(dir, "7z"), first),
		} {
			tool := filepath.Base(c.Path)
			if c.Err != nil || tool == "7z" && (name == "solid4" || name == "packed4" || name == "untold4" || name == "packed5" || name == "solid5" || name == "sealed5" || name == "headers5") {
				t.Logf("%s %s: %v", tool, name, c.Err) // 7-Zip of Debian has no codecs of RAR
				continue
			}
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%s %s: %v %s", tool, name, err, out)
			}
			for f, w := range want {
				if got, _ := os.ReadFile(filepath.Join(dir, tool, f)); !bytes.Equal(got, w) {
					t.Errorf("%s: %s: %s differs", name, f, tool)
				}
			}
		}
	}
}

func TestVolumesConform(t *testing.T) {
	all, _ := sets(150, 10, 300)
	samples := map[string][]byte{}
	for _, name := range []string{"stored5", "solid5", "solid4"} {
		samples[name] = slices.Concat(all[name]...)
	}
	unpacktest.Conform(t, Format(), samples)
}

// What stands behind the block that ends an archive, and the data of blocks that are no
// files, are not passed over.
func TestEnds(t *testing.T) {
	b := []byte("content of a file, so and so")
	f, g := entry{name: "a", data: []byte("nothing"), whole: []byte("nothing")}, entry{name: "b", data: b, whole: b}
	more5, more4 := make5(0, g)[len(magic5)+len(block5Of(1, 0, nil, vint(nil, 0), nil)):], make4(0, g)[20:]
	five := func(kind, flags uint64, body []byte) []byte {
		return slices.Concat(magic5, block5Of(1, 0, nil, []byte{0}, nil), block5Of(kind, flags|2, nil, body, b), block5Of(5, 0, nil, []byte{0}, nil))
	}
	four := func(kind byte, body int) []byte {
		return slices.Concat(magic4, block4Of(0x73, 0, make([]byte, 6)), block4Of(kind, 0x8000, append(le.AppendUint32(nil, uint32(len(b))), make([]byte, body)...)), b, block4Of(0x7b, 0x4000, nil))
	}
	for name, s := range map[string]struct {
		data []byte
		code showcause.Code
	}{
		"behind the end 5":  {append(make5(0, f), more5...), "ambiguous.rar.end"},
		"behind the end 4":  {append(make4(0, f), more4...), "ambiguous.rar.end"},
		"main 5":            {append(slices.Concat(magic5, block5Of(1, 2, nil, []byte{0}, b)), more5...), ""},
		"end 5":             {slices.Concat(magic5, block5Of(1, 0, nil, []byte{0}, nil), block5Of(5, 2, nil, []byte{0}, b)), ""},
		"unknown 5":         {five(9, 0, nil), "unsupported.method.rar"},
		"unknown, to skip":  {five(9, 4, nil), ""},
		"authenticity 4":    {four(0x76, 0), ""},
		"old service 4":     {four(0x77, 3), ""},
		"end 4":             {slices.Concat(magic4, block4Of(0x73, 0, make([]byte, 6)), block4Of(0x7b, 0x8000, le.AppendUint32(nil, uint32(len(b)))), b), ""},
		"end of a volume 4": {slices.Concat(slices.Concat(volumes4(0, 1000, true, f)...), make4(0, g)), ""},
	} {
		r := unpacktest.Walk(t, Format(), s.data, showcause.Limits{})
		if !r.Contains(string(b)) || (s.code == "") != (len(r.Gaps) == 0) || s.code != "" && !r.Has(s.code) {
			t.Errorf("%s: %s", name, r)
		}
	}
}
