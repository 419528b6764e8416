package cvd

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// diffOf is a signed .cdiff file.
func diffOf(t testing.TB, version int, script string) []byte {
	var z bytes.Buffer
	g := gzip.NewWriter(&z)
	g.Write([]byte(script))
	g.Close()
	b := append(fmt.Appendf(nil, "ClamAV-Diff:%d:%d:", version, len(script)), z.Bytes()...)
	return append(append(b, ':'), signPSS(t, b)...)
}

// What sigtool 1.4.6 makes of scripts is what is wanted here, but where it is said.
var scripts = []struct {
	script string
	want   map[string]string
	err    string
}{
	{"OPEN a.ndb\nADD a4\nDEL 2 a2\nXCHG 1 a a0 y\nCLOSE\n", map[string]string{"a.ndb": "a0 y\na3\na4\n", "b.ndb": "b1\n"}, ""},
	{"OPEN c.ndb\nADD c\nCLOSE\n", map[string]string{"a.ndb": "a1\na2 x\na3\n", "b.ndb": "b1\n", "c.ndb": "c\n"}, ""},
	{"MOVE a.ndb b.ndb 1 a1 2 a2\n", map[string]string{"a.ndb": "a3\n", "b.ndb": "b1\na1\na2 x\n"}, ""},
	{"UNLINK b.ndb\n", map[string]string{"a.ndb": "a1\na2 x\na3\n"}, ""},
	{"OPEN a.ndb\nDEL 2 a2\nDEL 1 a1\nCLOSE\n", map[string]string{"a.ndb": "a3\n", "b.ndb": "b1\n"}, ""},
	{"OPEN a.ndb\nXCHG 2 a2 b2\nXCHG 1 a1 b1\nCLOSE\n", map[string]string{"a.ndb": "b1\nb2\na3\n", "b.ndb": "b1\n"}, ""},
	{"# x\nOPEN a.ndb\nADD  z\nCLOSE\n", map[string]string{"a.ndb": "a1\na2 x\na3\n z\n", "b.ndb": "b1\n"}, ""},
	{"OPEN a.ndb\nDEL 2 zz\nCLOSE\n", nil, "does not begin"},
	{"OPEN a.ndb\nDEL 9 a\nCLOSE\n", nil, "no line 9"},
	{"OPEN ../a.ndb\nADD x\nCLOSE\n", nil, "not the name of a member"},
	{"OPEN /a.ndb\n", nil, "not the name of a member"},
	{"ADD x\n", nil, "where a file is open"},
	{"OPEN a.ndb\nOPEN b.ndb\n", nil, "where a file is open"},
	{"OPEN a.ndb\nFROB b.ndb\n", nil, "where a file is open"},
	{"FROB b.ndb\n", nil, "no command"},
	{"UNLINK z.ndb\n", nil, "no member"},
	{"MOVE a.ndb b.ndb 1 a1 9 a2\n", nil, "no line 9"},
	{"MOVE a.ndb b.ndb 1 zz 2 a2\n", nil, "does not begin"},
	{"MOVE a.ndb b.ndb 1\n", nil, "are expected"},
	{"MOVE a.ndb z.ndb 1 a1 2 a2\n", nil, "no such member"},
	{"OPEN z.ndb\nDEL 1 a\nCLOSE\n", nil, "no member"},
	{"OPEN a.ndb\nDEL x\nCLOSE\n", nil, "expected"},
	{"OPEN a.ndb\nXCHG 1 a\nCLOSE\n", nil, "without a new line"},
}

// Scripts that we refuse and sigtool does not: it leaves out a file that is not
// closed, drops one of two changes of one line, and moves a single line with all after it.
var stricter = []struct{ script, err string }{
	{"OPEN a.ndb\nADD z\n", "not closed"},
	{"OPEN a.ndb\nDEL 1 a\nXCHG 1 a b\nCLOSE\n", "changed twice"},
}

func start() Set { return Set{"a.ndb": []byte("a1\na2 x\na3\n"), "b.ndb": []byte("b1\n")} }

func TestRun(t *testing.T) {
	tool, _ := exec.LookPath("sigtool")
	for _, c := range scripts {
		s := start()
		err := Run(strings.NewReader(c.script), s)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: %v", c.script, err)
			}
			continue
		}
		got := map[string]string{}
		for n, b := range s {
			got[n] = string(b)
		}
		if err != nil || !maps.Equal(got, c.want) {
			t.Errorf("%q: %q %v", c.script, got, err)
		}
		if tool == "" {
			continue
		}
		if peer := sigtoolRuns(t, c.script, start()); !maps.Equal(peer, c.want) {
			t.Errorf("%q: sigtool has %q", c.script, peer)
		}
	}
	for _, c := range stricter {
		if err := Run(strings.NewReader(c.script), start()); err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: %v", c.script, err)
		}
	}
	if err := Run(strings.NewReader("MOVE a.ndb b.ndb 2 a2 2 a2\n"), start()); err != nil {
		t.Errorf("one line moved: %v", err)
	}
}

// sigtoolRuns has sigtool run a script over a database.
func sigtoolRuns(t *testing.T, script string, s Set) map[string]string {
	dir := t.TempDir()
	for n, b := range s {
		if err := os.WriteFile(filepath.Join(dir, n), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "s.script"), []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("sigtool", "--run-cdiff=s.script")
	c.Dir = dir
	c.Run() // its exit status is 1 even so
	out := map[string]string{}
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		if f.Name() != "s.script" && !strings.HasPrefix(f.Name(), "_tmp") {
			b, _ := os.ReadFile(filepath.Join(dir, f.Name()))
			out[f.Name()] = string(b)
		}
	}
	return out
}

// Two versions of a file made at random: sigtool says what is between them
// (--compare), and both make the new one of the old.
func TestRunSigtool(t *testing.T) {
	if _, err := exec.LookPath("sigtool"); err != nil {
		t.Skip("sigtool is not installed")
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 40 {
		var old, fresh strings.Builder
		for n := range 5 + r.IntN(60) {
			line := fmt.Sprintf("Sig.Number-%d:%d:*:%x\n", n, r.IntN(3), r.Uint64())
			old.WriteString(line)
			switch r.IntN(6) {
			case 0: // gone
			case 1:
				fmt.Fprintf(&fresh, "Sig.Other-%d:0:*:%x\n", n, r.Uint64())
			case 2:
				fmt.Fprintf(&fresh, "%sSig.More-%d:0:*:%x\n", line, n, r.Uint64())
			default:
				fresh.WriteString(line)
			}
		}
		dir := t.TempDir()
		for name, text := range map[string]string{"o": old.String(), "x.ndb": fresh.String()} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		c := exec.Command("sigtool", "--compare", "o", "x.ndb")
		c.Dir = dir
		script, _ := c.CombinedOutput()
		s := Set{"x.ndb": []byte(old.String())}
		if err := Run(bytes.NewReader(script), s); err != nil || string(s["x.ndb"]) != fresh.String() {
			t.Errorf("%d: %v\n%s\n got %s\nwant %s", i, err, script, s["x.ndb"], fresh.String())
		}
		if peer := sigtoolRuns(t, string(script), Set{"x.ndb": []byte(old.String())}); peer["x.ndb"] != fresh.String() {
			t.Errorf("%d: sigtool made %s", i, peer["x.ndb"])
		}
	}
}

func TestDiff(t *testing.T) {
	script := "OPEN a.ndb\nADD new\nCLOSE\n"
	b := diffOf(t, 8, script)
	d, err := OpenDiff(b, testTrust(), nil)
	if err != nil || d.Version != 8 || d.Proof == "" {
		t.Fatalf("%+v %v", d, err)
	}
	s := start()
	if err := d.Apply(s); err != nil || !strings.HasSuffix(string(s["a.ndb"]), "a3\nnew\n") {
		t.Errorf("%v %q", err, s["a.ndb"])
	}
	if _, err := OpenDiff(b, Official(), nil); !errors.Is(err, ErrSignature) {
		t.Errorf("by another key: %v", err)
	}
	for i := range b {
		c := bytes.Clone(b)
		c[i] ^= 0x11
		if _, err := OpenDiff(c, testTrust(), nil); err == nil {
			t.Errorf("byte %d changed: taken", i)
		}
		if _, err := OpenDiff(b[:i], testTrust(), nil); err == nil {
			t.Errorf("cut at %d: taken", i)
		}
	}
	long := diffOf(t, 8, script)
	long = bytes.Replace(long, fmt.Appendf(nil, ":%d:", len(script)), []byte(":3:"), 1)
	if d, err = OpenDiff(long, Trust{Unsigned: true}, nil); err != nil {
		t.Fatal(err)
	}
	if err := d.Apply(start()); err == nil {
		t.Error("more than was announced: taken")
	}
}

// An update as freshclam makes it: a .cvd, a chain of scripts, a .cld that is proven.
func TestChain(t *testing.T) {
	f, err := prove("cvd", made(t, 7, sample), testTrust(), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := f.Unpack()
	if err != nil {
		t.Fatal(err)
	}
	for v := 8; v < 11; v++ {
		next := maps.Clone(s)
		next["t.ndb"] = append(bytes.Clone(s["t.ndb"]), fmt.Sprintf("N%d:0:*:414243\n", v)...)
		delete(next, "t.info")
		info := infoOf(t, v, next)
		script := fmt.Sprintf("OPEN t.ndb\nADD N%d:0:*:414243\nCLOSE\nUNLINK t.info\nOPEN t.info\n", v)
		for line := range strings.Lines(string(info)) {
			script += "ADD " + line
		}
		d, err := OpenDiff(diffOf(t, v, script+"CLOSE\n"), testTrust(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Apply(s); err != nil {
			t.Fatal(err)
		}
		var cld bytes.Buffer
		if err := WriteCLD(&cld, s); err != nil {
			t.Fatal(err)
		}
		if f, err := prove("cld", cld.Bytes(), testTrust(), nil); err != nil || f.Header.Version != v {
			t.Errorf("%d: %v", v, err)
		}
	}
}

func FuzzRun(f *testing.F) {
	for _, c := range scripts {
		f.Add([]byte(c.script))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		one, two := start(), start()
		err1, err2 := Run(bytes.NewReader(b), one), Run(bytes.NewReader(b), two)
		if (err1 == nil) != (err2 == nil) || err1 == nil && fmt.Sprint(one) != fmt.Sprint(two) {
			t.Errorf("%v, then %v", err1, err2)
		}
		for n := range one {
			if !plainName(n) {
				t.Errorf("member %q", n)
			}
		}
	})
}
