package view

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/showcause/showcause"
)

const bound = 40 << 20

// golden calls f with the unquoted fields of each line of a file of testdata.
func golden(t testing.TB, name string, f func(line int, fields []string)) {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	sc := bufio.NewScanner(file)
	for n := 1; sc.Scan(); n++ {
		if strings.HasPrefix(sc.Text(), "#") {
			continue
		}
		fields := strings.Split(sc.Text(), "\t")
		for i, s := range fields {
			if s == "-" {
				continue
			}
			if fields[i], err = strconv.Unquote(s); err != nil {
				t.Fatalf("%s:%d: %v", name, n, err)
			}
		}
		f(n, fields)
	}
}

// views returns the views of HTML by operation.
func views(b []byte) map[string][]byte {
	m := map[string][]byte{}
	vs, _ := HTML(showcause.Bytes(b), bound)
	for _, v := range vs {
		m[v.Op] = v.Bytes
	}
	return m
}

func TestHTMLGolden(t *testing.T) {
	n := 0
	golden(t, "html.txt", func(line int, f []string) {
		n++
		got := views([]byte(f[0]))
		for i, op := range []string{OpNoComment, OpNoTags, OpJavaScript} {
			b, ok := got[op]
			if want := f[i+1]; string(b) != want && (ok || want != "-") {
				t.Errorf("line %d, %s of %q:\n got %q\nwant %q", line, op, f[0], b, want)
			}
		}
		if _, ok := got[OpJavaScript]; ok != (f[3] != "-") {
			t.Errorf("line %d: javascript view of %q: %v", line, f[0], ok)
		}
	})
	if n < 200 {
		t.Fatalf("%d cases", n)
	}
}

func TestTextGolden(t *testing.T) {
	golden(t, "text.txt", func(line int, f []string) {
		v, whole := textOf(showcause.Bytes(f[0]), bound)
		if string(v.Bytes) != f[1] || !whole || v.Op != OpText {
			t.Errorf("line %d: %q gives %q, want %q", line, f[0], v.Bytes, f[1])
		}
	})
}

func TestUTF16(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"a\x00B\x00", "aB"},
		{"\x00a\x00B", "aB"},
		{"\xff\xfea\x00", "\xdfa"},
		{"\xfe\xff\x00a", "\xdfa"},
		{"a\x00b", "a"},
		{"\x41\x01\xac\x20\x3d\xd8\x00\xde\xff\xd7\xff\xffx\x00", "Q\xac\xbd\xe0o\xefx"},
	} {
		if v, whole := UTF16(showcause.Bytes(c.in), bound); string(v.Bytes) != c.want || !whole {
			t.Errorf("UTF16(%q) = %q, %v, want %q", c.in, v.Bytes, whole, c.want)
		}
		for _, r := range []io.Reader{strings.NewReader(c.in), iotest.OneByteReader(strings.NewReader(c.in)), iotest.DataErrReader(strings.NewReader(c.in))} {
			if b, err := io.ReadAll(Narrow(r, order([]byte(c.in)))); string(b) != c.want || err != nil {
				t.Errorf("Narrow(%q) = %q, %v, want %q", c.in, b, err, c.want)
			}
		}
	}
}

// textOf reads the text view of at most max bytes.
func textOf(src showcause.Source, max int64) (v View, whole bool) {
	b, err := io.ReadAll(Text(io.NewSectionReader(src, 0, min(src.Size(), bound))))
	return View{Op: OpText, Bytes: b}, err == nil && src.Size() <= max
}

// broken is a source that fails at an offset.
type broken struct {
	showcause.Bytes
	at int64
}

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) <= b.at {
		return b.Bytes.ReadAt(p, off)
	}
	n := copy(p, b.Bytes[off:max(off, b.at)])
	return n, errors.New("disk error")
}

func TestWhole(t *testing.T) {
	doc := bytes.Repeat([]byte("<p>Hello  World</p>\n"), 20000)
	for name, f := range map[string]func(showcause.Source, int64) bool{
		"utf16": func(s showcause.Source, max int64) bool { _, ok := UTF16(s, max); return ok },
		"html":  func(s showcause.Source, max int64) bool { _, ok := HTML(s, max); return ok },
	} {
		size := int64(len(doc))
		if !f(showcause.Bytes(doc), size) {
			t.Errorf("%s: cut at its own size", name)
		}
		for _, n := range []int64{size - 1, 1, 0, -1} {
			if f(showcause.Bytes(doc), n) {
				t.Errorf("%s: %d of %d bytes are said to be all", name, n, size)
			}
		}
		if f(broken{doc, size - 1}, size) || f(broken{doc, 100}, size) {
			t.Errorf("%s: a failed read is not said", name)
		}
	}
	// Output can be longer than the input, and is bounded too.
	grow := bytes.Repeat([]byte("&ohm;"), 1000)
	if vs, whole := HTML(showcause.Bytes(grow), 5000); whole || len(vs[0].Bytes) > 5000 {
		t.Errorf("output of %d bytes, whole %v", len(vs[0].Bytes), whole)
	}
	if v, whole := textOf(broken{doc, 100}, 1<<20); whole || len(v.Bytes) == 0 {
		t.Errorf("text before the failure: %d bytes, whole %v", len(v.Bytes), whole)
	}
}

// TestCuts cuts each golden input at every offset.
func TestCuts(t *testing.T) {
	golden(t, "html.txt", func(line int, f []string) {
		for i := range f[0] {
			views([]byte(f[0][:i]))
			views([]byte(f[0][i:]))
		}
	})
}

// TestAgain makes the same views twice, from sources that give their bytes differently.
func TestAgain(t *testing.T) {
	r := rand.New(rand.NewSource(3))
	for range 50 {
		b := randomDocument(r, 4000)
		one, two := views(b), views(append(b[:len(b):len(b)], 0, 0))
		for op := range one {
			if !bytes.Equal(one[op], two[op]) {
				t.Errorf("%s of %q differs when NUL bytes follow", op, b)
			}
		}
	}
}

// TestLinear gives inputs that a careless reader takes quadratic time for;
// each is done in a moment or the test run's own limit ends it.
func TestLinear(t *testing.T) {
	const n = 100_000
	for _, s := range []string{
		"<", "&", "<a href=\"", "<a href=\"x", "\xe9", "<script>", "<script>\"a\"+", "<script>function(", "<script>unescape(", "<style></",
		"<p a=b ", "<!", "&#1", "(", "<script>(", "<script>/*", "<a href=\"data:,", "data:", " ", "\x00", "<script>{", "<script>var ", "<script>'", "<script>eval(\"",
	} {
		in := []byte("<script>" + strings.Repeat(strings.TrimPrefix(s, "<script>"), n/len(s)) + "</script>" + strings.Repeat(s, n/len(s)))
		vs, _ := HTML(showcause.Bytes(in), bound)
		for _, v := range vs {
			if len(v.Bytes) > 8*len(in) {
				t.Errorf("%s of repeated %q: %d bytes of %d", v.Op, s, len(v.Bytes), len(in))
			}
		}
	}
	deep := "<script>" + strings.Repeat("function f(a){x;", n/16) + "</script>"
	views([]byte(deep))
}

var (
	htmlParts = []string{
		"<p>", "</p>", " ", "  ", "\n", "\t", "a", "B", "Foo", "&amp;", "&lt;", "&#65;", "&#x41;", "&#233", "&eacute;", "&euro;", "&foo;", "&amp", "&", "<", ">",
		"\"", "'", "=", "<a href=\"", "<a href=x>", "<img src='U'>", "<b c=\"D  e\">", "<!--", "-->", "<!doctype html>", "<br/>", "/", ";", "\r\n", "\x00", "\x01", "\xe9",
		"\xe2\x80\x99", "<style>", "</style>", "A b=\"c\" ", "<p q=r s>", "<P ALIGN=\"CENTER\">", "<a href=\" u v w \">", "Hello World", "<![CDATA[", "]]>", "<?php ?>", "\v",
	}
	jsParts = []string{
		"var ", "x", "y", "Z", " ", "\n", ";", ",", "=", "+", "\"s\"", "'t'", "\"a\\x41\"", "(", ")", "{", "}", "[", "]", ".", "function f(", "function(", "if(", "else ",
		"return ", "1", "0x1F", "2.50", "//c\n", "/*d*/", "a", "b", "?", ":", "<", ">", "for(var i=0;", "\"\\u00e9\\n\"", "\\s", "foo._ bar", "unescape(\"%41%u0042\")",
	}
)

func randomDocument(r *rand.Rand, n int) []byte {
	var b []byte
	for k := 1 + r.Intn(n); k > 0; k-- {
		b = append(b, htmlParts[r.Intn(len(htmlParts))]...)
	}
	return b
}

func randomScript(r *rand.Rand, n int) []byte {
	b := []byte("<html><script>")
	for k := 1 + r.Intn(n); k > 0; k-- {
		b = append(b, jsParts[r.Intn(len(jsParts))]...)
	}
	return append(b, "\n;</script>z"...)
}

// sigtool returns the files that sigtool makes of an input.
func sigtool(t *testing.T, option string, in []byte) map[string][]byte {
	t.Helper()
	bin, err := exec.LookPath("sigtool")
	if err != nil {
		t.Skip("sigtool is not installed")
	}
	dir := t.TempDir()
	file := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(file, in, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, option+file)
	cmd.Dir = dir
	_ = cmd.Run() // it crashes on its way out when there is a script
	got := map[string][]byte{}
	for _, name := range []string{"nocomment.html", "notags.html", "javascript", "normalised_text"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			got[name] = b
		}
	}
	return got
}

// same compares the views of a document with sigtool's.
func same(t *testing.T, name string, in []byte) {
	t.Helper()
	want, got := sigtool(t, "--html-normalise=", in), views(in)
	for op, file := range map[string]string{OpNoComment: "nocomment.html", OpNoTags: "notags.html", OpJavaScript: "javascript"} {
		g, w := got[op], want[file]
		if bytes.Equal(g, w) {
			continue
		}
		i := 0
		for i < len(g) && i < len(w) && g[i] == w[i] {
			i++
		}
		lo := max(0, i-40)
		t.Errorf("%s: %s differs at %d of %d and %d\n got %q\nwant %q", name, op, i, len(g), len(w), g[lo:min(len(g), i+40)], w[lo:min(len(w), i+40)])
		if len(in) < 400 {
			t.Logf("input %q", in)
		}
	}
}

func TestAgainstSigtool(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for i := range 60 {
		same(t, "document "+strconv.Itoa(i), randomDocument(r, 14))
		same(t, "script "+strconv.Itoa(i), randomScript(r, 20))
	}
	for i := range 6 {
		b := randomDocument(r, 20000)
		got, _ := textOf(showcause.Bytes(b), bound)
		if want := sigtool(t, "--ascii-normalise=", b)["normalised_text"]; !bytes.Equal(got.Bytes, want) {
			t.Errorf("text %d: %d bytes, want %d", i, len(got.Bytes), len(want))
		}
	}
	// Pieces: white space that falls on their borders.
	for n := line - 12; n < line+3; n++ {
		for _, pre := range []string{"", "\n", "\n\n\n", "\r\r", "abc\n", "<p a=\"", "a b "} {
			same(t, "border", []byte(pre+strings.Repeat("x", n)+"   yz\">"))
		}
	}
}

// TestFilesAgainstSigtool compares every file of a folder, HTML or not: of the
// one that SHOWCAUSE_VIEW_DIR names, or the pages of the Go tree.
func TestFilesAgainstSigtool(t *testing.T) {
	glob := filepath.Join(os.Getenv("SHOWCAUSE_VIEW_DIR"), "*")
	if root, err := exec.Command("go", "env", "GOROOT").Output(); os.Getenv("SHOWCAUSE_VIEW_DIR") == "" && err == nil {
		glob = filepath.Join(strings.TrimSpace(string(root)), "doc", "*.html")
	}
	files, err := filepath.Glob(glob)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("no files: %s", glob)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		same(t, f, b)
		v, _ := textOf(showcause.Bytes(b), bound)
		// sigtool begins a new run of white space every 128 KiB; clamscan does not.
		if want := sigtool(t, "--ascii-normalise=", b)["normalised_text"]; len(b) < 128<<10 && !bytes.Equal(v.Bytes, want) {
			t.Errorf("%s: text differs", f)
		}
	}
	t.Logf("%d files", len(files))
}

func FuzzText(f *testing.F) {
	golden(f, "text.txt", func(_ int, s []string) { f.Add([]byte(s[0]), int64(100)) })
	f.Fuzz(func(t *testing.T, b []byte, max int64) {
		if max < 0 {
			max = 0
		}
		v, whole := textOf(showcause.Bytes(b), max)
		if len(v.Bytes) > len(b) || whole != (max >= int64(len(b))) {
			t.Fatalf("%d bytes of %d, whole %v at %d", len(v.Bytes), len(b), whole, max)
		}
		again, _ := textOf(showcause.Bytes(v.Bytes), bound)
		if !bytes.Equal(again.Bytes, v.Bytes) {
			t.Fatalf("%q is not its own normal form", v.Bytes)
		}
		if u, _ := UTF16(showcause.Bytes(b), max); len(u.Bytes) > len(b)/2 {
			t.Fatalf("UTF-16: %d bytes of %d", len(u.Bytes), len(b))
		}
	})
}

func FuzzHTML(f *testing.F) {
	golden(f, "html.txt", func(_ int, s []string) { f.Add([]byte(s[0])) })
	f.Fuzz(func(t *testing.T, b []byte) {
		const max = 1 << 12
		vs, whole := HTML(showcause.Bytes(b), max)
		if len(vs) < 2 || vs[0].Op != OpNoComment || vs[1].Op != OpNoTags {
			t.Fatalf("views %v", vs)
		}
		for _, v := range vs {
			if len(v.Bytes) > max {
				t.Fatalf("%s: %d bytes", v.Op, len(v.Bytes))
			}
		}
		if whole && len(b) > max {
			t.Fatalf("whole %v for %d bytes", whole, len(b))
		}
	})
}

// Eight bytes at once give what one byte after the other gives.
func TestTextWords(t *testing.T) {
	rnd := rand.New(rand.NewSource(7))
	alphabets := []string{"abc XYZ", "a b", "aZ[`{@ \t\n\x00\x7f\x80\xff", " ", "Hello, world. "}
	for i := range 20000 {
		from := alphabets[i%len(alphabets)]
		in := make([]byte, rnd.Intn(64))
		for j := range in {
			in[j] = from[rnd.Intn(len(from))]
		}
		if i%7 == 0 && len(in) > 0 {
			in[rnd.Intn(len(in))] = byte(rnd.Uint32())
		}
		var want []byte
		gap := false
		for _, c := range in {
			switch {
			case space(c) && !gap:
				want, gap = append(want, ' '), true
			case c > ' ' && c < 0x80:
				want, gap = append(want, bytes.ToLower([]byte{c})...), false
			}
		}
		got, err := io.ReadAll(Text(iotest.OneByteReader(bytes.NewReader(in))))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%q by bytes: %q, want %q", in, got, want)
		}
		if got, err = io.ReadAll(Text(bytes.NewReader(in))); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%q: %q, want %q", in, got, want)
		}
	}
}
