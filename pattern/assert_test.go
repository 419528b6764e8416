package pattern

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

// assertion is one way ClamAV writes an assertion, around the bytes QZXJKV.
type assertion struct {
	body   string // ClamAV's, without modifiers
	before *Elem
	after  *Elem
	mod    string
}

func assertions() []assertion {
	at := func(t Test, neg bool) *Elem { return &Elem{Kind: Assert, Test: t, Negate: neg} }
	const core = "515a584a4b56"
	return []assertion{
		{"(B)" + core, at(WordStart, false), nil, ""},
		{core + "(B)", nil, at(WordEnd, false), ""},
		{"(L)" + core, at(LineStart, false), nil, ""},
		{core + "(L)", nil, at(LineEnd, false), ""},
		{"(W)" + core, at(AlnumStart, false), nil, ""},
		{core + "(W)", nil, at(AlnumEnd, false), ""},
		{"!(B)" + core, at(WordStart, true), nil, ""},
		{core + "!(B)", nil, at(WordEnd, true), ""},
		{"!(L)" + core, at(LineStart, true), nil, ""},
		{core + "!(L)", nil, at(LineEnd, true), ""},
		{"!(W)" + core, at(AlnumStart, true), nil, ""},
		{core + "!(W)", nil, at(AlnumEnd, true), ""},
		{core, at(FullStart, false), at(FullEnd, false), "f"},
		{core, at(FullStartWide, false), at(FullEndWide, false), "fw"},
	}
}

func (a assertion) pattern() Pattern {
	core := "QZXJKV"
	if a.mod == "fw" {
		core = "Q\x00Z\x00X\x00J\x00K\x00V\x00"
	}
	var els []Elem
	if a.before != nil {
		els = append(els, *a.before)
	}
	els = append(els, lit(core))
	if a.after != nil {
		els = append(els, *a.after)
	}
	return one(els...)
}

func found(t *testing.T, p Pattern, data string) bool {
	t.Helper()
	prog, atoms, err := Compile(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, any := search(&Matcher{}, prog, atoms, []byte(data), NewInput(showcause.Bytes(data)))
	return any
}

// taken returns the bytes which, standing beside the core, let the pattern match.
func taken(t *testing.T, a assertion) string {
	var out []byte
	for c := range 256 {
		data := string(rune(1)) + string([]byte{byte(c)}) + "QZXJKV" + "\x01\x01"
		if a.after != nil {
			data = "\x01\x01QZXJKV" + string([]byte{byte(c)}) + "\x01"
		}
		if found(t, a.pattern(), data) {
			out = append(out, byte(c))
		}
	}
	return string(out)
}

// The table holds what clamscan 1.4.6 answered for each byte value, and at
// the edge of the file.
func TestAssertionsAsMeasured(t *testing.T) {
	for i, c := range []struct {
		want string // the bytes that it takes, or, after "^", that it does not
		edge bool
	}{
		{" -./<@_", true},
		{"\n\r \"'-/=>_", true},
		{"\n", true},
		{"\n", true},
		{"^0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", true},
		{"^0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", true},
		{"^\n\r \"'-./<=>@_", false},
		{"^\n\r \"'-/=>_", false},
		{"^\n", false},
		{"^\n", false},
		{"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", false},
		{"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", false},
	} {
		a := assertions()[i]
		got := taken(t, a)
		if want, not := strings.CutPrefix(c.want, "^"); not {
			if len(got)+len(want) != 256 || strings.ContainsAny(got, want) {
				t.Errorf("%s takes %q, want all but %q", a.body, got, want)
			}
		} else if got != want {
			t.Errorf("%s takes %q, want %q", a.body, got, want)
		}
		if found(t, a.pattern(), "QZXJKV") != c.edge {
			t.Errorf("%s at the edge: want %v", a.body, c.edge)
		}
	}
	for _, c := range []struct {
		i    int
		data string
		want bool
	}{
		{3, "QZXJKV\r\n", true},
		{3, "QZXJKV\r", false},
		{3, "QZXJKV\rx", false},
		{9, "QZXJKV\r\n", false},
		{9, "QZXJKV\r", true},
		{2, "\r\nQZXJKV", true},
		{2, "\rQZXJKV", false},
		{12, ".QZXJKV.", true},
		{12, "aQZXJKV", false},
		{12, "a\x00QZXJKV", true},
		{12, "QZXJKVa\x00", false},
		{13, "Q\x00Z\x00X\x00J\x00K\x00V\x00", true},
		{13, "A\x00Q\x00Z\x00X\x00J\x00K\x00V\x00", false},
		{13, "A\x01Q\x00Z\x00X\x00J\x00K\x00V\x00", true},
		{13, "AQ\x00Z\x00X\x00J\x00K\x00V\x00", true},
		{13, "Q\x00Z\x00X\x00J\x00K\x00V\x00A\x00", false},
		{13, "Q\x00Z\x00X\x00J\x00K\x00V\x00A\x01", true},
		{13, "Q\x00Z\x00X\x00J\x00K\x00V\x00A", false},
		{13, "Q\x00Z\x00X\x00J\x00K\x00V\x00\x00", true},
	} {
		if a := assertions()[c.i]; found(t, a.pattern(), c.data) != c.want {
			t.Errorf("%s::%s in %q: want %v", a.body, a.mod, c.data, c.want)
		}
	}
}

// The same questions put to the clamscan that is installed.
func TestAssertionsAgreeWithClamscan(t *testing.T) {
	clamscan, err := exec.LookPath("clamscan")
	if err != nil {
		t.Skip("clamscan is not installed")
	}
	dir := t.TempDir()
	var db strings.Builder
	for i, a := range assertions() {
		fmt.Fprintf(&db, "A%d;Engine:81-255,Target:0;0;%s::%s\n", i, a.body, a.mod)
	}
	write := func(name, data string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// An empty modifier is written without its colons.
	write("a.ldb", strings.ReplaceAll(db.String(), "::\n", "\n"))
	files := map[string]string{}
	for c := range 256 {
		b := string([]byte{byte(c)})
		for k, data := range []string{
			// \x80\xfe\x00 keeps clamscan from taking the file for text and normalising it.
			"\x80\xfe\x00\x80" + b + "QZXJKV" + b + "\x80\xfe\x00\x80\x80",
			"\x80\xfe\x00\x80\x80" + b + "\x00Q\x00Z\x00X\x00J\x00K\x00V\x00" + b + "\x00\x80\xfe\x00\x80",
			"\x80\xfe\x00\x80\x80" + b + "\x00Q\x00Z\x00X\x00J\x00K\x00V\x00" + b,
			"\x80\xfe\x00\x80\x80\x80\x80\x80QZXJKV" + b,
		} {
			name := fmt.Sprintf("f%d_%d", c, k)
			files[name] = data
			write(name, data)
		}
	}
	out, err := exec.Command(clamscan, "-z", "--no-summary", "-d", filepath.Join(dir, "a.ldb"), "--exclude=ldb$", dir).CombinedOutput()
	var code *exec.ExitError
	if err != nil && (!asExit(err, &code) || code.ExitCode() != 1) {
		t.Fatalf("clamscan: %v\n%s", err, out)
	}
	if n := strings.Count(string(out), " FOUND"); n < 500 {
		t.Fatalf("clamscan found only %d\n%s", n, out)
	}
	for name, data := range files {
		for i, a := range assertions() {
			theirs := strings.Contains(string(out), fmt.Sprintf("/%s: A%d.UNOFFICIAL FOUND", name, i))
			if ours := found(t, a.pattern(), data); ours != theirs {
				t.Errorf("%s::%s in %q: we say %v, clamscan %v", a.body, a.mod, data, ours, theirs)
			}
		}
	}
}

func asExit(err error, to **exec.ExitError) bool {
	e, ok := err.(*exec.ExitError)
	*to = e
	return ok
}
