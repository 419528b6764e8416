package rar

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// archives are of both versions with files of some sizes, stored, compressed and solid.
func archives(sizes ...int) (out map[string][]byte, want map[string][]byte) {
	want = map[string][]byte{}
	var all []byte
	var plain, packed5, solid5, packed4, solid4 []entry
	var old5, old4 [4]int
	for i, n := range sizes {
		b := unpacktest.Mixed(n)
		name := fmt.Sprintf("f%d", i)
		want[name] = b
		from := len(all)
		all = append(all, b...)
		plain = append(plain, entry{name: name, data: b, whole: b})
		packed5 = append(packed5, entry{name: name, data: lz5(b, 0, &[4]int{}, nil), whole: b, method: 3})
		solid5 = append(solid5, entry{name: name, data: lz5(all, from, &old5, nil), whole: b, method: 3, solid: i > 0})
		packed4 = append(packed4, entry{name: name, data: lz3(b, 0, &[4]int{}), whole: b, method: 3})
		solid4 = append(solid4, entry{name: name, data: lz3(all, from, &old4), whole: b, method: 3, solid: i > 0})
	}
	return map[string][]byte{
		"stored5": make5(0, plain...), "packed5": make5(0, packed5...), "solid5": make5(4, solid5...),
		"stored4": make4(0, plain...), "packed4": make4(0, packed4...), "solid4": make4(8, solid4...),
	}, want
}

func TestRead(t *testing.T) {
	all, want := archives(1, 100, 5000, 70_000, 300_001, 20)
	for name, b := range all {
		r := unpacktest.Walk(t, Format(), b, showcause.Limits{})
		if len(r.Gaps) > 0 || len(r.Children) != len(want) {
			t.Errorf("%s: %s", name, r)
		}
		for _, c := range r.Children {
			if !bytes.Equal(c.Data, want[c.Name]) {
				t.Errorf("%s: %q is not what was put in", name, c.Name)
			}
		}
		// A limit for one file does not cost those behind it in a solid archive.
		r = unpacktest.Walk(t, Format(), b, showcause.Limits{FileSize: 1000})
		if n := len(r.Children); n != len(want) || !bytes.Equal(r.Children[n-1].Data, want["f5"]) {
			t.Errorf("%s: with a limit: %s", name, r)
		}
	}
}

// unar reads what the encoders write, and agrees.
func TestUnar(t *testing.T) {
	if _, err := exec.LookPath("unar"); err != nil {
		t.Skip("unar is not installed")
	}
	all, want := archives(1, 5000, 70_000, 300_001)
	for name, b := range all {
		dir := t.TempDir()
		p := filepath.Join(dir, "a.rar")
		os.WriteFile(p, b, 0o600)
		if out, err := exec.Command("unar", "-q", "-D", "-o", dir, p).CombinedOutput(); err != nil {
			t.Errorf("%s: %v %s", name, err, out)
		}
		for f, w := range want {
			if got, _ := os.ReadFile(filepath.Join(dir, f)); !bytes.Equal(got, w) {
				t.Errorf("%s: %s: unar differs", name, f)
			}
		}
	}
}

// TestFolder reads each file of the folder SHOWCAUSE_RAR_DIR with unar too.
func TestFolder(t *testing.T) {
	from := os.Getenv("SHOWCAUSE_RAR_DIR")
	if from == "" {
		t.Skip("SHOWCAUSE_RAR_DIR is not set")
	}
	files, _ := filepath.Glob(filepath.Join(from, "*.rar"))
	for _, p := range files {
		b, err := os.ReadFile(p)
		if err != nil || len(b) > 16<<20 {
			continue
		}
		r := unpacktest.Walk(t, Format(), b, showcause.Limits{})
		have := map[[32]byte]bool{}
		for _, c := range r.Children {
			have[c.Digest] = true
		}
		dir := t.TempDir()
		exec.Command("unar", "-q", "-f", "-p", "x", "-o", dir, p).Run()
		filepath.WalkDir(dir, func(q string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				got, _ := os.ReadFile(q)
				if len(got) > 0 && !have[sha256.Sum256(got)] && !r.Unread() {
					t.Errorf("%s: %s is not there and no gap says so", p, q)
				}
			}
			return nil
		})
	}
}

func TestConforms(t *testing.T) {
	all, _ := archives(10, 700, 90)
	delete(all, "packed4")
	delete(all, "packed5")
	unpacktest.Conform(t, Format(), all)
}

func FuzzRAR(f *testing.F) {
	all, _ := archives(10, 2000, 90)
	var seeds [][]byte
	for _, b := range all {
		seeds = append(seeds, b)
	}
	sealed, _ := sealedArchives("infected", 10, 2000)
	for _, b := range sealed {
		seeds = append(seeds, b)
	}
	volumes, _ := sets(300, 10, 700, 90)
	for _, set := range volumes {
		seeds = append(seeds, slices.Concat(set...))
	}
	unpacktest.Fuzz(f, Format(), seeds...)
}

func TestOdd(t *testing.T) {
	b := []byte(strings.Repeat("marker and so on ", 20))
	stored := entry{name: "a", data: b, whole: b}
	packed5 := entry{name: "b", data: lz5(b, 0, &[4]int{}, nil), whole: b, method: 1}
	packed4 := entry{name: "b", data: lz3(b, 0, &[4]int{}), whole: b, method: 1}
	with := func(e entry, f func(*entry)) entry { f(&e); return e }
	crypt := with(packed5, func(e *entry) { e.extra = []byte{2, 1, 0} })
	bad := make5(0, stored)
	bad[len(bad)-20] ^= 1
	for name, s := range map[string]struct {
		data  []byte
		files int
		gaps  string
	}{
		"5":                      {make5(0, stored, packed5), 2, ""},
		"4":                      {make4(0, stored, packed4), 2, ""},
		"encrypted 5":            {make5(0, stored, crypt), 1, "encrypted"},
		"encrypted 4":            {make4(0, stored, with(packed4, func(e *entry) { e.flags = 4 })), 1, "encrypted"},
		"headers encrypted 4":    {make4(0x80, stored), 0, "encrypted"},
		"headers encrypted 5":    {append(bytes.Clone(magic5), block5Of(4, 0, nil, []byte{0, 0, 15}, nil)...), 0, "encrypted"},
		"volume before 5":        {make5(1, with(packed5, func(e *entry) { e.flags = 8 }), stored), 1, "unsupported.format.rar-volume"},
		"volume behind 4":        {make4(1, with(packed4, func(e *entry) { e.flags = 2; e.data = e.data[:len(e.data)-20] })), 1, "unsupported.format.rar-volume"},
		"volume before 4, solid": {make4(9, with(packed4, func(e *entry) { e.flags = 1 }), with(packed4, func(e *entry) { e.solid = true })), 0, "unsupported.format.rar-volume unsupported.format.rar-volume"},
		"encrypted, then solid":  {make5(4, crypt, with(packed5, func(e *entry) { e.solid = true })), 0, "encrypted encrypted"},
		"bad checksum":           {bad, 1, "corrupt"},
		"size of stored":         {make4(0, with(stored, func(e *entry) { e.whole = b[:5] })), 1, "corrupt corrupt"},
		"compressed is longer":   {make5(0, with(packed5, func(e *entry) { e.whole = append(b[:len(b):len(b)], 1) })), 1, "corrupt"},
		"other method":           {make5(0, with(packed5, func(e *entry) { e.method = 7 })), 0, "unsupported.method.rar"},
		"old method":             {bytes.Replace(make4(0, packed4), []byte("\x00\x00\x21\x53\x1d"), []byte("\x00\x00\x21\x53\x14"), 1), 0, "corrupt unsupported.method.rar"},
		"version 1":              {[]byte("RE~^" + strings.Repeat("\x00", 30)), 0, "unsupported.method.rar"},
		"noise":                  {append([]byte("Rar!\x1a\x07\x01\x00"), unpacktest.Mixed(500)...), 0, "corrupt corrupt"},
		"in a program":           {append(append([]byte("MZ"), make([]byte, 1000)...), make5(0, stored)...), 1, ""},
		"two":                    {append(make4(0, stored), make5(0, packed5)...), 2, ""},
		"a link":                 {make5(0, entry{name: "l", whole: b, extra: []byte{4, 5, 1, 0, 0}}), 0, ""},
	} {
		if !Format().Match(unpacktest.Probe(showcause.Bytes(s.data))) {
			t.Errorf("%s: no match", name)
		}
		r := unpacktest.Walk(t, Format(), s.data, showcause.Limits{})
		var gaps []string
		for _, g := range r.Gaps {
			gaps = append(gaps, string(g.Code))
		}
		if len(r.Children) != s.files || strings.Join(gaps, " ") != s.gaps {
			t.Errorf("%s: gaps %q, want %q; %s", name, gaps, s.gaps, r)
		}
	}
}

// Filters of version 5, on what they are made for.
func TestFilters(t *testing.T) {
	n := 5000
	b := unpacktest.Mixed(n)
	number := func(w *bitWriter, v int) {
		w.put(3, 2)
		for i := range 4 {
			w.put(v>>(8*i)&255, 8)
		}
	}
	for kind, apply := range map[int]func([]byte) []byte{
		0: func(b []byte) []byte { return delta(b, 3) },
		1: func(b []byte) []byte { return e8(b, 100, false, true) },
		2: func(b []byte) []byte { return e8(b, 100, true, true) },
		3: func(b []byte) []byte { return arm(b, 100) },
	} {
		for i := 150; i < n; i += 90 {
			b[i] = []byte{0, 0xe8, 0xe9, 0xeb}[kind]
		}
		want := bytes.Clone(b)
		copy(want[100:4100], apply(bytes.Clone(b[100:4100])))
		data := lz5(b, 0, &[4]int{}, func(w *bitWriter) {
			number(w, 100)
			number(w, 4000)
			w.put(kind, 3)
			if kind == 0 {
				w.put(2, 5)
			}
		})
		r := unpacktest.Walk(t, Format(), make5(0, entry{name: "x", data: data, whole: want, method: 3}), showcause.Limits{})
		if len(r.Gaps) > 0 || len(r.Children) != 1 || !bytes.Equal(r.Children[0].Data, want) {
			t.Errorf("filter %d: %s", kind, r)
		}
	}
	d := []byte{1, 2, 3, 250, 7, 9, 100}
	if got := delta([]byte{255, 255, 3, 247, 6, 254, 161}, 2); crc32.ChecksumIEEE(got) == crc32.ChecksumIEEE(d) {
		t.Error("delta gives its input")
	}
}

// What stands behind an archive's end is a child; zeros are not.
func TestBehind(t *testing.T) {
	f := entry{name: "a", data: []byte("content of a file"), whole: []byte("content of a file")}
	for name, b := range map[string][]byte{"version 4": make4(0, f), "version 5": make5(0, f)} {
		alone := unpacktest.Walk(t, Format(), append(bytes.Clone(b), make([]byte, 600)...), showcause.Limits{})
		got := unpacktest.Walk(t, Format(), append(bytes.Clone(b), "\x1f\x8b\x08 and so on"...), showcause.Limits{})
		n := len(alone.Children)
		if n != 1 || len(alone.Gaps)+len(got.Gaps) > 0 || len(got.Children) != 2 || got.Children[1].Op != "rar.rest" || string(got.Children[1].Data) != "\x1f\x8b\x08 and so on" {
			t.Errorf("%s: %s; alone %s", name, got, alone)
		}
	}
}

// A program that knows the signature, as code that sets it does, holds no archive; one
// with an archive whose first header is longer than is looked at does.
func TestSignatureInCode(t *testing.T) {
	program := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 200)...)
	code := append(bytes.Clone(program), "\x48\xb9Rar!\x1a\x07\x01\x00\x48\x89\x08\x48\x8d\x05\x8d\x44\x26\xfe\xe8\x08\x23\x78\xff"...)
	code = append(code, bytes.Repeat([]byte{0x90, 0x48, 0x8b}, 2000)...)
	if got := unpacktest.Walk(t, Format(), code, showcause.Limits{}); len(got.Children)+len(got.Gaps) > 0 {
		t.Errorf("%s", got)
	}
	for kind, want := range map[byte]bool{1: true, 4: true, 2: false, 0x44: false} {
		if got := plausible([]byte("Rar!\x1a\x07\x01\x00\x00\x00\x00\x00\x8d\x05" + string(rune(kind)) + "\x00\x00")); got != want {
			t.Errorf("a first header of type %d: %v", kind, got)
		}
	}
}
