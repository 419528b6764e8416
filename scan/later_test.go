package scan_test

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig"
	"github.com/showcause/showcause/internal/imagehash"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/scan"
)

// clamscanNames runs clamscan 1.4 over a folder with a database, and returns the names by
// file; it skips the test where clamscan is not there. Without options it remembers nothing of other files.
func clamscanNames(t *testing.T, db, dir string, options ...string) map[string][]string {
	t.Helper()
	bin, err := exec.LookPath("clamscan")
	if err != nil {
		t.Skip("clamscan is not installed")
	}
	if v, _ := exec.Command(bin, "--version").Output(); !strings.HasPrefix(string(v), "ClamAV 1.4.") {
		t.Skipf("clamscan is %q", v)
	}
	if len(options) == 0 {
		options = []string{"--disable-cache"}
	}
	out, err := exec.Command(bin, append(options, "-z", "-i", "-r", "--no-summary", "--stdout", "-d", db, dir)...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) {
		t.Fatalf("clamscan: %v: %s", err, out)
	}
	names := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		path, name, ok := strings.Cut(strings.TrimSuffix(line, " FOUND\n"), ": ")
		if ok {
			names[filepath.Base(path)] = append(names[filepath.Base(path)], strings.TrimSuffix(name, ".UNOFFICIAL"))
		}
	}
	for f := range names {
		sort.Strings(names[f])
		names[f] = slices.Compact(names[f])
	}
	return names
}

// laterPieces are what expressions are put together from.
var laterPieces = []string{
	"ab", "abc", "b", "c", "[ab]", "[^c]", ".", `\d`, `\w`, "(a|bc)", "(?:ab)+", "a?", "b*", "c+?", "(a)\\1", "(?=b)", "(?!c)", "(?<=a)", "(?<!b)",
	"(?>a+)", "a++", "^", "$", `\b`, "(?<n>ab)\\k<n>", "(?i)AB", `\x61`, `\x3B`, "1{1,2}", "(?(1)b|c)", `\R`, `\Ka`,
}

// laterSignature makes a signature with subsignatures that are decided later; kind 0 has an
// expression, 1 a comparison.
func laterSignature(r *rand.Rand, name string) string {
	trigger := []string{"0", "0&1", "0|1", "0>1", "1=0", "(0|1)>2"}[r.IntN(6)]
	body := "616263;313233"
	re := func(id string) string {
		s := ""
		for range 1 + r.IntN(4) {
			s += laterPieces[r.IntN(len(laterPieces))]
		}
		flags := ""
		for _, f := range "reismxAEU" {
			if r.IntN(6) == 0 {
				flags += string(f)
			}
		}
		// Behind an empty match clamscan goes on for ever.
		if r.IntN(3) == 0 && !strings.ContainsAny(s, "?*^$=!<|") && strings.ContainsAny(s, "ab1d.") {
			flags += "g"
			s = "a" + s
		}
		off := ""
		switch r.IntN(4) {
		case 0:
			off = fmt.Sprintf("%d:", r.IntN(12))
		case 1:
			off = fmt.Sprintf("%d,%d:", r.IntN(12), r.IntN(30))
		case 2:
			if r.IntN(2) == 0 {
				off = fmt.Sprintf("EOF-%d,%d:", r.IntN(40), r.IntN(30))
			}
		}
		return off + id + "/" + s + "/" + flags
	}
	compare := func() string {
		form := []string{"ib1", "il2", "ib4", "il8", "hb2", "he3", "hbe2", "hl4", "hle4", "hl3", "db2", "dbe3", "ab4", "al4", "abe3", "db5", "hb8", "e2"}[r.IntN(18)]
		value := []string{"0", "1", "12", "0x31", "12849", "100", "0xab", "0", "33", "010"}
		tests := string("><="[r.IntN(3)]) + value[r.IntN(len(value))]
		if r.IntN(3) == 0 {
			tests += "," + string("><="[r.IntN(3)]) + value[r.IntN(len(value))]
		}
		return fmt.Sprintf("%d(%s%d#%s#%s)", r.IntN(2), []string{">>", "<<"}[r.IntN(2)], r.IntN(8), form, tests)
	}
	expr, subs := "", ""
	switch r.IntN(4) {
	case 0:
		expr, subs = []string{"2", "0&2", "2&2>1", "0|2", "2=0", "(0|1|2)>3,2", "(0|1|2)>3"}[r.IntN(7)], re(trigger)
	case 1:
		expr, subs = []string{"2&3", "3", "2=0&3", "(2|3)>1"}[r.IntN(4)], re(trigger)+";"+re([]string{"2", "2=0", "0&2"}[r.IntN(3)])
	case 2:
		expr, subs = []string{"2", "0&2", "2=0"}[r.IntN(3)], compare()
	default:
		expr, subs = []string{"2&3", "3", "2=0&3"}[r.IntN(3)], compare()+";"+re([]string{"2", "2=0", "0&2"}[r.IntN(3)])
	}
	return fmt.Sprintf("%s;Engine:81-255,Target:0;%s;%s;%s", name, expr, body, subs)
}

// loads tells whether a signature is read.
func loads(line string) bool {
	s, err := clamsig.LoadReader("t.ldb", strings.NewReader(line+"\n"), clamsig.Options{Strict: true}, nothing{})
	return err == nil && s.Loaded() == 1
}

type nothing struct{}

func (nothing) Rule(*rule.Rule) error         { return nil }
func (nothing) Digest(*rule.DigestRule) error { return nil }
func (nothing) Skip(clamsig.Skip)             {}

// laterData makes a small binary file, which has no views, of what the signatures speak of.
func laterData(r *rand.Rand) []byte {
	b := []byte("\x8f\x93\x00\x01")
	for range 3 + r.IntN(18) {
		b = append(b, []string{"abc", "123", "ab", "c", "a", "b", "\n", "12", "0x1", "1", " ", ";", "\x00", "\r\n", "abab", "aabc", "33", "FF", "-1", "\x01\x02"}[r.IntN(20)]...)
	}
	return append(b, "\x00\x01\x00\x02"...)
}

// TestLaterPeer holds signatures with expressions and comparisons against clamscan: the same
// names for every file.
func TestLaterPeer(t *testing.T) {
	rounds := 4
	if testing.Short() {
		rounds = 1
	}
	pairs, found := 0, 0
	for round := range rounds {
		r := rand.New(rand.NewPCG(uint64(round), 12))
		dir := t.TempDir()
		files := map[string][]byte{}
		for i := range 60 {
			name := fmt.Sprint("f", i)
			files[name] = laterData(r)
			if err := os.WriteFile(filepath.Join(dir, name), files[name], 0o644); err != nil {
				t.Fatal(err)
			}
		}
		var lines []string
		byName := map[string]string{}
		for i := range 250 {
			l := laterSignature(r, fmt.Sprint("N", i))
			for !loads(l) { // a reference to no group
				l = laterSignature(r, fmt.Sprint("N", i))
			}
			lines = append(lines, l)
			byName[fmt.Sprint("N", i)] = l
		}
		set := map[string]string{"t.ldb": strings.Join(lines, "\n") + "\n"}
		path := filepath.Join(t.TempDir(), "t.ldb")
		if err := os.WriteFile(path, []byte(set["t.ldb"]), 0o644); err != nil {
			t.Fatal(err)
		}
		db := compile(t, set)
		if db.Rules() != len(lines) {
			t.Fatalf("%d of %d rules: %+v", db.Rules(), len(lines), db.Meta())
		}
		s := scan.New(db, scan.Options{Digests: true})
		peers := clamscanNames(t, path, dir)
		for f, data := range files {
			rep := s.Scan(showcause.Bytes(data))
			var ours []string
			for _, x := range rep.Findings {
				ours = append(ours, strings.TrimSuffix(x.Rule, ".UNOFFICIAL"))
			}
			sort.Strings(ours)
			ours = slices.Compact(ours)
			pairs += len(lines)
			found += len(ours)
			for n, l := range byName {
				if strings.Contains(l, fmt.Sprintf("EOF-%d", len(data)+1)) {
					continue // to clamscan a place of -1 is any
				}
				if o, p := slices.Contains(ours, n), slices.Contains(peers[f], n); o != p {
					t.Errorf("%q on %q: ours %v, clamscan %v", l, data, o, p)
				}
			}
			if len(rep.Gaps) > 0 {
				t.Errorf("%q: gaps %v", data, rep.Gaps)
			}
		}
	}
	t.Logf("%d pairs of signature and file, %d found", pairs, found)
	if found < 500 {
		t.Errorf("only %d found", found)
	}
}

// TestLaterOffsets holds where expressions match against what sigtool says.
func TestLaterOffsets(t *testing.T) {
	bin, err := exec.LookPath("sigtool")
	if err != nil {
		t.Skip("sigtool is not installed")
	}
	r := rand.New(rand.NewPCG(7, 12))
	dir := t.TempDir()
	db, file := filepath.Join(dir, "t.ldb"), filepath.Join(dir, "f")
	compared := 0
	for i := 0; compared < 80 && i < 4000; i++ {
		line, data := laterSignature(r, "N"), laterData(r)
		if !strings.Contains(line, "/") || strings.Contains(line, "(>>") || strings.Contains(line, "(<<") || strings.Contains(line, "EOF") || !loads(line) {
			continue
		}
		s := scan.New(compile(t, map[string]string{"t.ldb": line + "\n"}), scan.Options{})
		rep := s.Scan(showcause.Bytes(data))
		if len(rep.Findings) == 0 {
			continue
		}
		if err := errors.Join(os.WriteFile(db, []byte(line+"\n"), 0o644), os.WriteFile(file, data, 0o644)); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(bin, "--test-sigs="+db, file).Output()
		if err != nil {
			t.Fatal(err)
		}
		for sub, text := range strings.Split(string(out), " * SUBSIG ID ")[1:] {
			var ours, theirs []string
			for _, m := range rep.Findings[0].Matches {
				if m.Pattern == sub {
					ours = append(ours, fmt.Sprint(m.Offset))
				}
			}
			_, list, _ := strings.Cut(text, " at offset")
			list, _, _ = strings.Cut(strings.TrimLeft(list, "s: "), ")")
			theirs = strings.Fields(list)
			slices.Reverse(theirs)
			if sub >= 2 && (len(ours) == 0 || !strings.Contains(text, "OFFSET: ANY")) { // it asks for no trigger and no offset
				continue
			}
			if compared++; !slices.Equal(ours, theirs) {
				t.Errorf("%q on %q, subsignature %d: %v, sigtool %v", line, data, sub, ours, theirs)
			}
		}
	}
	if compared < 80 {
		t.Errorf("only %d compared", compared)
	}
}

// TestFuzzyImage holds that an image is found by what it looks like, as clamscan does, and,
// which clamscan does not, at a distance.
func TestFuzzyImage(t *testing.T) {
	m := image.NewGray(image.Rect(0, 0, 90, 70))
	for i := range m.Pix {
		m.Pix[i] = uint8(i * i / 700)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	hash, err := imagehash.Hash(b.Bytes(), func(int64) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	near := hash
	near[3] ^= 0x11
	line := func(name string, target int, hash [8]byte, more string) string {
		return fmt.Sprintf("%s;Engine:150-255,Target:%d;0;fuzzy_img#%x%s\n", name, target, hash, more)
	}
	lines := line("Same", 0, hash, "") + line("Graphics", 5, hash, "#0") + line("Program", 1, hash, "") + line("Near", 0, near, "")
	names := func(db *ruledb.DB, data []byte) string {
		rep := scan.New(db, scan.Options{}).Scan(showcause.Bytes(data))
		var out []string
		for _, f := range rep.Findings {
			out = append(out, strings.TrimSuffix(f.Rule, ".UNOFFICIAL"))
		}
		for _, g := range rep.Gaps {
			out = append(out, string(g.Code))
		}
		sort.Strings(out)
		return strings.Join(out, " ")
	}
	far := line("Far", 0, near, "#2") + line("Farther", 0, near, "#1")
	db := compile(t, map[string]string{"t.ldb": lines + far})
	if got := names(db, b.Bytes()); got != "Far Graphics Same" {
		t.Errorf("found %s", got)
	}
	if got := names(db, zipOf(b.String())); got != "Far Graphics Same" {
		t.Errorf("in an archive: %s", got)
	}
	if got := names(db, append([]byte("II*\x00\x08\x00\x00\x00"), make([]byte, 200)...)); got != "unsupported.method.image" {
		t.Errorf("of an image that is not hashed: %s", got)
	}
	dir := t.TempDir()
	path := filepath.Join(t.TempDir(), "t.ldb")
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "f"), b.Bytes(), 0o644), os.WriteFile(path, []byte(lines), 0o644)); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(clamscanNames(t, path, dir)["f"], " "); got != "Graphics Same" {
		t.Errorf("clamscan: %s", got)
	}
}
