package archive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// marker is the string that hostile samples hide.
const marker = "SHOWCAUSE-ACCEPTANCE-MARKER-7f3a91c2d4"

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// hdr is a header block; set changes it before the checksum is written.
func hdr(name string, kind byte, size int, set ...func(h []byte)) []byte {
	h := make([]byte, tarBlock)
	copy(h, name)
	copy(h[100:], "0000644\x000000000\x000000000\x00")
	copy(h[124:], fmt.Sprintf("%011o\x00%011o\x00", size, 0))
	h[156] = kind
	copy(h[257:], "ustar\x0000")
	for _, f := range set {
		f(h)
	}
	sum := 8 * int(' ')
	copy(h[148:156], "\x00\x00\x00\x00\x00\x00\x00\x00")
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return h
}

// body is content padded to whole blocks.
func body(s string) []byte {
	return append([]byte(s), make([]byte, padded(int64(len(s)))-int64(len(s)))...)
}

// file is a header and its content.
func file(name, content string, set ...func(h []byte)) []byte {
	return cat(hdr(name, '0', len(content), set...), body(content))
}

// pax is an extended header.
func pax(kind byte, records ...string) []byte {
	var s strings.Builder
	for _, r := range records {
		n := len(r) + 3
		for len(fmt.Sprint(n))+len(r)+2 != n {
			n++
		}
		fmt.Fprintf(&s, "%d %s\n", n, r)
	}
	return cat(hdr("pax", kind, s.Len()), body(s.String()))
}

var tarEnd = make([]byte, 2*tarBlock)

func v7(h []byte)  { clear(h[257:]) }
func gnu(h []byte) { copy(h[257:], "ustar  \x00") }

// octal puts numbers of 12 bytes.
func octal(h []byte, at int, v ...int) {
	for i, n := range v {
		copy(h[at+12*i:], fmt.Sprintf("%011o\x00", n))
	}
}

// listing is "name=content" of each child, and the codes of gaps.
func listing(r unpacktest.Result) string {
	var s []string
	for _, c := range r.Children {
		d := string(c.Data)
		if len(d) > 60 {
			d = fmt.Sprintf("%d bytes", len(d))
		}
		s = append(s, c.Name+"="+d)
	}
	for _, g := range r.Gaps {
		s = append(s, string(g.Code))
	}
	return strings.Join(s, " ")
}

func TestTar(t *testing.T) {
	base256 := func(h []byte) { copy(h[124:136], "\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03") }
	sparse := func(h []byte) {
		gnu(h)
		octal(h, 386, 0, 3, 600, 2, 1000, 0)
		octal(h, 483, 1000)
	}
	long := strings.Repeat("d/", 300) + "f"
	holes := "abc" + strings.Repeat("\x00", 597) + "de" + strings.Repeat("\x00", 398)
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"ustar", cat(file("a", "one"), file("b", "two"), tarEnd), "a=one b=two"},
		{"no end", file("a", "one"), "a=one"},
		{"v7", cat(file("a", "one", v7), tarEnd), "a=one"},
		{"prefix", cat(file("a", "one", func(h []byte) { copy(h[345:], "dir") }), tarEnd), "dir/a=one"},
		{"star", cat(file("a", "one", func(h []byte) { copy(h[345:], "dir"); copy(h[476:], "00000000000"); copy(h[508:], "tar\x00") }), tarEnd), "dir/a=one"},
		{"spaces in numbers", cat(file("a", "one", func(h []byte) { copy(h[124:136], "         3 \x00") }), tarEnd), "a=one"},
		{"base 256", cat(file("a", "one", gnu, base256), tarEnd), "a=one"},
		{"negative size", cat(file("a", "", func(h []byte) { h[124] = 0xff }), file("b", "two"), tarEnd), "b=two corrupt"},
		{"gnu long name", cat(hdr("././@LongLink", 'L', len(long)+1, gnu), body(long+"\x00"), file("short", "one", gnu), file("b", "two"), tarEnd), long + "=one b=two"},
		{"type of old names, or of a file", cat(hdr("n", 'N', 3, gnu), body("one"), file("b", "two"), tarEnd), "n=one one=two"},
		{"a long name that is none", cat(hdr("././@LongLink", 'L', 6, gnu), body("x\x1f\x8b\x08\x00y"), file("short", "one", gnu), tarEnd), "././@LongLink=x\x1f\x8b\x08\x00y x\x1f\x8b\x08=one"},
		{"gnu long link", cat(hdr("././@LongLink", 'K', len(long)+1, gnu), body(long+"\x00"), hdr("l", '2', 0), file("b", "two"), tarEnd), "b=two"},
		{"pax", cat(pax('x', "path=\xd0\xb6", "mtime=1.5"), file("a", "one"), file("b", "two"), tarEnd), "\xd0\xb6=one b=two"},
		{"pax global", cat(pax('g', "comment=x"), file("a", "one"), tarEnd), "a=one"},
		{"pax size", cat(pax('x', "size=3"), hdr("a", '0', 0), body("one"), file("b", "two"), tarEnd), "a=one b=two"},
		{"pax size and another", cat(pax('x', "size=3"), hdr("a", '0', 600), body("one"), file("b", "two"), tarEnd), "a=600 bytes... "},
		{"pax malformed", cat(hdr("pax", 'x', 9), body("99 a=b\nxx"), file("a", "one"), tarEnd), "a=one corrupt"},
		{"pax and no member", pax('x', "path=a"), "corrupt"},
		{"bad checksum", cat(file("a", "one")[:148], []byte("000000\x00 "), file("a", "one")[156:], file("b", "two"), tarEnd), "a=one b=two ambiguous.tar.checksum"},
		{"no name", cat(file("", "one", v7), tarEnd), "=one"},
		{"no size in the first header", cat(file("a", "", v7, func(h []byte) { copy(h[124:], "size") }), file("b", "two", v7), tarEnd), "b=two corrupt"},
		{"zeros in front", cat(tarEnd, file("a", "one", v7), tarEnd), "a=one ambiguous.tar.concatenated"},
		{"one zero block in front", cat(tarEnd[:tarBlock], file("a", "one"), tarEnd), "a=one ambiguous.tar.concatenated"},
		{"junk in front", cat(bytes.Repeat([]byte("x"), tarBlock), file("", "one", v7), tarEnd), "=one corrupt"},
		{"junk in front, no mode", cat(bytes.Repeat([]byte("x"), 5*tarBlock), file("a", "one", v7, func(h []byte) { copy(h[100:], "#!?") }), tarEnd), "a=one corrupt"},
		{"tab in the checksum", cat(summed(file("a", "one", v7), "\t%06o\x00"), tarEnd), "a=one"},
		{"form feed in the checksum", cat(summed(file("a", "one", v7), "\f%06o\n"), tarEnd), "a=one"},
		{"0o in the checksum", cat(summed(file("a", "one", v7), "0o%o"), tarEnd), "a=one"},
		{"signed number in the checksum", cat(summed(file("a", "one", v7), "+%o"), tarEnd), "a=one"},
		{"signed checksum", cat(signed(file("\xff\xfe", "one")), tarEnd), "\xff\xfe=one"},
		{"concatenated", cat(file("a", "one"), tarEnd, make([]byte, 8192), file("b", "two"), tarEnd), "a=one b=two ambiguous.tar.concatenated"},
		{"junk behind", cat(file("a", "one"), tarEnd, []byte("junk")), "a=one corrupt"},
		{"junk between", cat(file("a", "one"), bytes.Repeat([]byte("junk"), 256), file("b", "two"), tarEnd), "a=one b=two corrupt"},
		{"truncated", file("a", strings.Repeat("x", 50))[:540], "a=" + strings.Repeat("x", 28) + " corrupt"},
		{"only a header", hdr("a", '0', 5), "corrupt"},
		{"huge size", cat(hdr("a", '0', 1<<32), body("one"), file("b", "two")), ""},
		{"no content", cat(hdr("d/", '5', 0), hdr("l", '2', 0), hdr("h", '1', 0), hdr("e", '0', 0), file("b", "two"), tarEnd), "b=two"},
		{"hard link with content", cat(hdr("h", '1', 3), body("one"), file("b", "two"), tarEnd), "h=one b=two"},
		{"hard link of some size", cat(hdr("h", '1', 5000), file("b", "two"), tarEnd), "b=two"},
		{"directory of some size", cat(hdr("d", '5', 3), file("b", "two"), file("c", "three"), tarEnd), ""},
		{"unknown kind", cat(hdr("q", 'q', 3), body("one"), tarEnd), "q=one"},
		{"volume", cat(hdr("label", 'V', 0, gnu), hdr("a", 'M', 3, gnu), body("one"), tarEnd), "a=one unsupported.format.tar-volume"},
		{"gnu sparse", cat(hdr("s", 'S', 5, sparse), body("abcde"), file("b", "two"), tarEnd), "s=1000 bytes b=two"},
		{"gnu sparse, bad map", cat(hdr("s", 'S', 6, sparse), body("abcdef"), file("b", "two"), tarEnd), "s=abcdef b=two corrupt"},
		{"pax sparse 0.0", cat(pax('x', "GNU.sparse.size=1000", "GNU.sparse.numblocks=2", "GNU.sparse.offset=0", "GNU.sparse.numbytes=3", "GNU.sparse.offset=600",
			"GNU.sparse.numbytes=2"), file("s", "abcde"), tarEnd), "s=1000 bytes"},
		{"pax sparse 0.1", cat(pax('x', "GNU.sparse.size=1000", "GNU.sparse.numblocks=2", "GNU.sparse.name=n", "GNU.sparse.map=0,3,600,2"), file("s", "abcde"), tarEnd), "n=1000 bytes"},
		{"pax sparse 1.0", cat(pax('x', "GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=1000", "GNU.sparse.name=n"),
			hdr("s", '0', 517), body("2\n0\n3\n600\n2\n"), body("abcde"), file("b", "two"), tarEnd), "n=1000 bytes b=two"},
		{"pax sparse 1.0, no map", cat(pax('x', "GNU.sparse.major=1", "GNU.sparse.realsize=1000", "GNU.sparse.name=n"), file("s", "abcde"), tarEnd), "n=abcde corrupt"},
		{"names", cat(file("../../etc/x", "1"), file("a\x1b[0m\r\n", "2"), tarEnd), "../../etc/x=1 a\x1b[0m\r\n=2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !Tar().Match(unpacktest.Probe(showcause.Bytes(c.data))) {
				t.Error("no match")
			}
			r := unpacktest.Walk(t, Tar(), c.data, showcause.Limits{})
			got := listing(r)
			switch {
			case c.name == "pax size and another":
				// Both sizes, and what each leads to.
				if !strings.Contains(got, "a=one") || !strings.Contains(got, "b=two") || !r.Has(tarAmbiguousSize) || r.Unread() {
					t.Errorf("got %s", r)
				}
			case c.name == "directory of some size":
				if !strings.Contains(got, "b=two") || !strings.Contains(got, "c=three") || !r.Has(tarAmbiguousSize) {
					t.Errorf("got %s", r)
				}
			case c.name == "huge size":
				if !r.Unread() || !r.Contains("two") {
					t.Errorf("got %s", r)
				}
			case got != c.want:
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			for _, ch := range r.Children {
				if ch.Op == "tar.sparse" && string(ch.Data) != holes {
					t.Errorf("sparse file %q", ch.Data)
				}
			}
		})
	}
}

// summed writes the checksum in another format.
func summed(f []byte, format string) []byte {
	sum := 8 * int(' ')
	for i, c := range f[:tarBlock] {
		if i < 148 || i >= 156 {
			sum += int(c)
		}
	}
	clear(f[148:156])
	copy(f[148:156], fmt.Sprintf(format, sum))
	return f
}

// The forms of a checksum, of which a field may have two.
func TestTarSums(t *testing.T) {
	for f, want := range map[string]string{
		"+BA\x00": "[64]", "+//": "[4095]", "0o17": "[15]", "1_7": "[15]", "\t17 ": "[15]", "\x0017": "[15]", "+17": "[15 3451]",
		"BA": "[]", "+B!": "[-1]", "x17": "[]",
	} {
		if got := fmt.Sprint(tarSums([]byte(f))); got != want {
			t.Errorf("%q is %s, want %s", f, got, want)
		}
	}
}

// signed writes the checksum over signed bytes, as some old writers did.
func signed(f []byte) []byte {
	sum := 8 * int(' ')
	for i, c := range f[:tarBlock] {
		if i < 148 || i >= 156 {
			sum += int(int8(c))
		}
	}
	copy(f[148:], fmt.Sprintf("%06o\x00 ", sum))
	return f
}

// Sizes that contradict each other hide nothing, whichever a reader takes.
func TestTarBothSizes(t *testing.T) {
	inner := cat(file("hidden", marker), tarEnd)
	pad := strings.Repeat("p", 600)
	for name, data := range map[string][]byte{
		"pax skips":   cat(pax('x', fmt.Sprintf("size=%d", len(inner))), hdr("a", '0', 512), inner, file("b", "two"), tarEnd),
		"ustar skips": cat(pax('x', "size=512"), hdr("a", '0', 512+len(inner)), body(pad[:512]), inner, file("b", "two"), tarEnd),
	} {
		r := unpacktest.Walk(t, Tar(), data, showcause.Limits{})
		found := false
		for _, c := range r.Children {
			found = found || c.Name == "hidden" && string(c.Data) == marker || bytes.HasPrefix(c.Data, inner[:600])
		}
		if !found || !r.Has(tarAmbiguousSize) {
			t.Errorf("%s: %s", name, r)
		}
	}
}

// Links that point at each other are nothing to follow.
func TestTarLinkLoop(t *testing.T) {
	link := func(name, to string) []byte { return hdr(name, '1', 0, func(h []byte) { copy(h[157:], to) }) }
	r := unpacktest.Walk(t, Tar(), cat(link("a", "b"), link("b", "a"), file("c", marker), tarEnd), showcause.Limits{})
	if len(r.Children) != 1 || len(r.Gaps) > 0 {
		t.Errorf("%s", r)
	}
}

// Eight GiB of holes end at a limit, and what follows is said to be unread.
func TestTarSparseBomb(t *testing.T) {
	big := cat(hdr("s", 'S', 3, gnu, func(h []byte) {
		octal(h, 386, 8<<30-4, 3)
		octal(h, 483, 8<<30-1)
	}), body("abc"), file("b", marker), tarEnd)
	r := unpacktest.Walk(t, Tar(), big, showcause.Limits{ScanSize: 32 << 20})
	if !r.Has(showcause.LimitSize) || r.Expanded > 32<<20 {
		t.Errorf("%s", r)
	}
	// With a limit on a file only, the next member is found.
	r = unpacktest.Walk(t, Tar(), big, showcause.Limits{FileSize: 1 << 20})
	if !r.Has(showcause.LimitSize) || !r.Contains(marker) {
		t.Errorf("%s", r)
	}
}

func TestTarNoMatch(t *testing.T) {
	for name, data := range map[string][]byte{
		"zeros": make([]byte, 2048), "text": bytes.Repeat([]byte("ustar and text "), 100), "short": []byte("ustar"),
	} {
		if Tar().Match(unpacktest.Probe(showcause.Bytes(data))) {
			t.Errorf("%s matches", name)
		}
	}
}

// goTar is an archive that archive/tar writes.
func goTar(t testing.TB, format tar.Format, names ...string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i, name := range names {
		check(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(100 * i), Format: format}))
		w.Write(unpacktest.Mixed(100 * i))
	}
	check(t, w.Close())
	return b.Bytes()
}

func tarSamples(t testing.TB) map[string][]byte {
	long := strings.Repeat("long/", 50) + "name"
	return map[string][]byte{
		"ustar":  goTar(t, tar.FormatUSTAR, "a", "b", "c"),
		"pax":    goTar(t, tar.FormatPAX, "\u0436", long, "c"),
		"gnu":    goTar(t, tar.FormatGNU, "a", long, "c"),
		"sparse": cat(pax('x', "GNU.sparse.size=1000", "GNU.sparse.numblocks=2", "GNU.sparse.name=n", "GNU.sparse.map=0,3,600,2"), file("s", "abcde"), tarEnd),
	}
}

// wholeTar tells by the standard library whether an archive ends with a member.
func wholeTar(cut []byte) bool {
	r := tar.NewReader(bytes.NewReader(cut))
	for {
		_, err := r.Next()
		if err == io.EOF {
			return true
		}
		if err != nil {
			return false
		}
		if _, err = io.Copy(io.Discard, r); err != nil {
			return false
		}
	}
}

func TestTarConform(t *testing.T) { unpacktest.ConformWhole(t, Tar(), tarSamples(t), wholeTar) }

// An archive agrees with what archive/tar reads from it.
func TestTarAgrees(t *testing.T) {
	for name, data := range tarSamples(t) {
		var want []string
		for r := tar.NewReader(bytes.NewReader(data)); ; {
			h, err := r.Next()
			if err != nil {
				break
			}
			if b, _ := io.ReadAll(r); len(b) > 0 {
				want = append(want, fmt.Sprintf("%s %x", h.Name, sha256.Sum256(b)))
			}
		}
		r := unpacktest.Walk(t, Tar(), data, showcause.Limits{})
		var got []string
		for _, c := range r.Children {
			got = append(got, fmt.Sprintf("%s %x", c.Name, c.Digest))
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") || len(r.Gaps) > 0 {
			t.Errorf("%s: got %s\nwant %s\n%s", name, got, want, r)
		}
	}
}

// Archives of a folder by tar itself.
func TestToolTar(t *testing.T) {
	dir := t.TempDir()
	check(t, os.MkdirAll(filepath.Join(dir, "in", strings.Repeat("deep", 30), strings.Repeat("er", 60)), 0o755))
	put := func(name string, b []byte) { check(t, os.WriteFile(filepath.Join(dir, "in", name), b, 0o644)) }
	put("small", []byte("small"))
	put("empty", nil)
	put("large", unpacktest.Mixed(100_000))
	put(strings.Repeat("deep", 30)+"/"+strings.Repeat("er", 60)+"/"+strings.Repeat("n", 110), []byte("deep"))
	check(t, os.Link(filepath.Join(dir, "in", "small"), filepath.Join(dir, "in", "hard")))
	check(t, os.Symlink("small", filepath.Join(dir, "in", "sym")))
	holes, err := os.Create(filepath.Join(dir, "in", "holes"))
	check(t, err)
	for i := range 40 {
		holes.WriteAt([]byte("data"), int64(i)*65536)
	}
	check(t, holes.Truncate(4<<20))
	check(t, holes.Close())
	for _, arg := range []string{
		"--format=gnu", "--format=oldgnu", "--format=pax", "--format=posix -S --sparse-version=0.0",
		"--format=posix -S --sparse-version=0.1", "--format=posix -S --sparse-version=1.0", "--format=gnu -S", "--format=ustar --exclude=deep*", "--format=v7 --exclude=deep*",
		"--format=gnu --label=x -b 1",
	} {
		t.Run(arg, func(t *testing.T) {
			data := unpacktest.Tool(t, nil, "tar", append(strings.Fields("-C "+dir+" -cf - "+arg), "in")...)
			r := unpacktest.Walk(t, Tar(), data, showcause.Limits{})
			if len(r.Gaps) > 0 {
				t.Errorf("gaps in an ordinary file: %s", r)
			}
			want := map[string]bool{}
			check(t, filepath.Walk(filepath.Join(dir, "in"), func(path string, info os.FileInfo, err error) error {
				if err == nil && info.Mode().IsRegular() && info.Size() > 0 {
					b, _ := os.ReadFile(path)
					want[string(fmt.Appendf(nil, "%x", sha256.Sum256(b)))] = true
				}
				return err
			}))
			if strings.Contains(arg, "deep*") {
				delete(want, fmt.Sprintf("%x", sha256.Sum256([]byte("deep"))))
			}
			for _, c := range r.Children {
				delete(want, fmt.Sprintf("%x", c.Digest))
				if !strings.HasPrefix(c.Name, "in/") {
					t.Errorf("name %q", c.Name)
				}
			}
			if len(want) > 0 {
				t.Errorf("missing %v:\n%s", want, r)
			}
		})
	}
}

func FuzzTar(f *testing.F) {
	var seeds [][]byte
	for _, s := range tarSamples(f) {
		seeds = append(seeds, s)
	}
	seeds = append(seeds, cat(hdr("s", 'S', 5, gnu, func(h []byte) {
		octal(h, 386, 0, 3, 600, 2, 1000, 0)
		octal(h, 483, 1000)
	}), body("abcde"), tarEnd), cat(pax('x', "size=3"), hdr("a", '0', 600), body("one"), file("b", "two"), tarEnd))
	unpacktest.Fuzz(f, Tar(), seeds...)
}
