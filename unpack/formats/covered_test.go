package formats

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// jar is a zip with a stored and a deflated member of contents of its own, the
// second of which begins with word.
func jar(word string) []byte {
	rng := rand.New(rand.NewPCG(1, uint64(len(word))))
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i, method := range []uint16{zip.Store, zip.Deflate} {
		f, _ := w.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("%s/%d", word, i), Method: method})
		fmt.Fprintf(f, "%s %d %s", word, i, strings.Repeat("and so on ", 10+rng.IntN(50)))
	}
	w.Close()
	return b.Bytes()
}

// zipOf is a zip with stored members.
func zipOf(members ...[]byte) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i, m := range members {
		f, _ := w.CreateHeader(&zip.FileHeader{Name: fmt.Sprint(i), Method: zip.Store})
		f.Write(m)
	}
	w.Close()
	return b.Bytes()
}

func tarOf(members ...[]byte) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i, m := range members {
		w.WriteHeader(&tar.Header{Name: fmt.Sprintf("m%d", i), Mode: 0o644, Size: int64(len(m))})
		w.Write(m)
	}
	w.Close()
	return b.Bytes()
}

func cpioOf(members ...[]byte) []byte {
	var b []byte
	for i, m := range append(members, nil) {
		name := fmt.Sprintf("m%d", i)
		if i == len(members) {
			name = "TRAILER!!!"
		}
		b = fmt.Appendf(b, "070707%06o%06o%06o%06o%06o%06o%06o%011o%06o%011o%s\x00%s", 1, 1, 0o100644, 0, 0, 1, 0, 0, len(name)+1, len(m), name, m)
	}
	return b
}

func arOf(members ...[]byte) []byte {
	b := []byte("!<arch>\n")
	for i, m := range members {
		b = fmt.Appendf(b, "%-16s%-12d%-6d%-6d%-8o%-10d`\n%s", fmt.Sprintf("m%d/", i), 0, 0, 0, 0o644, len(m), m)
		if len(b)%2 == 1 {
			b = append(b, '\n')
		}
	}
	return b
}

// seen is what all formats find in a layer and in what is in it.
type seen struct {
	ops   []string // "tar.file zip.deflate" for each layer that holds no other
	words map[string]int
	codes []string
}

func walkAll(src showcause.Source) seen {
	s := seen{words: map[string]int{}}
	b := unpack.NewBudget(showcause.Limits{}, src.Size(), nil)
	all := All()
	var layer func(showcause.Layer) bool
	layer = func(l showcause.Layer) bool {
		p := unpacktest.Probe(l.Source)
		p.Trail = l.Trail
		leaf := true
		out := unpack.NewOut(b, l.Trail, func(c showcause.Layer) { leaf = layer(c) && false }, func(g showcause.Gap) { s.codes = append(s.codes, string(g.Code)) })
		for _, f := range all {
			if f.Match(p) {
				f.Walk(l.Source, out)
			}
		}
		if leaf {
			var ops []string
			for _, step := range l.Trail {
				ops = append(ops, step.Op)
			}
			s.ops = append(s.ops, strings.Join(ops, " "))
			word, _, _ := strings.Cut(string(p.Head[:min(len(p.Head), 20)]), " and")
			s.words[word]++
		}
		return leaf
	}
	layer(showcause.Layer{Source: src})
	slices.Sort(s.codes)
	s.codes = slices.Compact(s.codes)
	return s
}

// What an archive holds as it is, is read there, and not a second time as a
// part of the archive; what stands elsewhere in the layer is.
func TestCovered(t *testing.T) {
	a, b, c := jar("a"), jar("bb"), jar("ccc")
	cat := func(p ...[]byte) []byte { return bytes.Join(p, nil) }
	four := []string{"a 0", "a 1", "bb 0", "bb 1"}
	two := func(op string) []string {
		return []string{op + " zip.stored", op + " zip.deflate", op + " zip.stored", op + " zip.deflate"}
	}
	// A tar whose second member says to be as long as it and what is appended.
	long := tarOf(a, []byte("short"))
	long = cat(long[:len(long)-2048], tarOf(make([]byte, 512+len(b)))[:512], []byte("short"), make([]byte, 507), b)
	for name, s := range map[string]struct {
		data  []byte
		words []string // each once
		ops   []string // nil for any
		codes string
	}{
		"tar":                    {tarOf(a, b), four, two("tar.file"), ""},
		"cpio":                   {cpioOf(a, b), four, two("cpio.file"), ""},
		"ar":                     {arOf(a, b), four, two("ar.file"), ""},
		"tar in cpio in ar":      {arOf(cpioOf(tarOf(a, b))), four, two("ar.file cpio.file tar.file"), ""},
		"jar in jar in tar":      {tarOf(zipOf(a, b)), four, two("tar.file zip.stored"), ""},
		"jar in jar":             {zipOf(a, b), four, two("zip.stored"), ""},
		"tar and a zip":          {cat(tarOf(a), b), four, []string{"tar.file zip.stored", "tar.file zip.deflate", "zip.stored", "zip.deflate"}, "corrupt"},
		"tar, a zip and another": {cat(tarOf(a), b, c), append([]string{"ccc 0", "ccc 1"}, four...), nil, "ambiguous.zip.directory corrupt"},
		"member to the end":      {long, four, two("tar.file"), ""},
	} {
		for _, src := range []showcause.Source{showcause.Bytes(s.data), io.NewSectionReader(bytes.NewReader(s.data), 0, int64(len(s.data)))} {
			got := walkAll(src)
			for _, w := range s.words {
				if got.words[w] != 1 {
					t.Errorf("%s: %q is read %d times", name, w, got.words[w])
				}
			}
			if s.ops != nil && !slices.Equal(got.ops, s.ops) {
				t.Errorf("%s: %q, want %q", name, got.ops, s.ops)
			}
			if codes := strings.Join(got.codes, " "); codes != s.codes {
				t.Errorf("%s: gaps %q, want %q", name, codes, s.codes)
			}
		}
	}
}

// A zip whose parts lie in several members of a tar, or of which the end alone
// lies in one: unzip reads it, and none of the members has it whole.
func TestZipAcrossMembers(t *testing.T) {
	z := jar("hidden")
	dir := bytes.Index(z, []byte("PK\x01\x02"))
	end := bytes.Index(z, []byte("PK\x05\x06"))
	for name, cut := range map[string][]int{"directory apart": {dir}, "end apart": {end}, "all apart": {dir, end}} {
		var parts [][]byte
		from := 0
		for _, c := range append(cut, len(z)) {
			parts = append(parts, bytes.Clone(z[from:c]))
			from = c
		}
		data := tarOf(parts...)
		// Give the directory its places in the tar.
		shift := func(at int, v int) {
			for i := range 4 {
				data[at+i] = byte(v >> (8 * i))
			}
		}
		first := bytes.Index(data, []byte("PK\x03\x04"))
		d := bytes.Index(data, []byte("PK\x01\x02"))
		for i, at := 0, d; i < 2; i++ {
			head := bytes.Index(data[first+i*4:], []byte("PK\x03\x04")) + first + i*4
			if i == 1 {
				head = first + bytes.LastIndex(z[:dir], []byte("PK\x03\x04"))
			}
			shift(at+42, head)
			at += 4 + bytes.Index(data[at+4:], []byte("PK"))
		}
		shift(bytes.Index(data, []byte("PK\x05\x06"))+16, d)
		r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil || len(r.File) != 2 {
			t.Fatalf("%s: archive/zip does not read it: %v", name, err)
		}
		got := walkAll(showcause.Bytes(data))
		if !slices.Contains(got.ops, "zip.deflate") || got.words["hidden 1"] == 0 {
			t.Errorf("%s: %q, %v", name, got.ops, got.words)
		}
	}
}
