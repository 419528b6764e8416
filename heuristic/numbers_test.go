package heuristic

import (
	"bytes"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
)

// run runs the rule of a text on a text, and returns the first line's count, 0 where it does
// not hold.
func run(tb testing.TB, rule, text string) (n uint32, matches []showcause.Match) {
	tb.Helper()
	s, err := New([]string{rule})
	if err != nil {
		tb.Fatal(err)
	}
	src := showcause.Bytes(text)
	l := Layer{Layer: showcause.Layer{Source: src}, Kind: filetype.Detect(src, src), Work: func(int64) bool { return true }}
	hits, whole := s.Run(&l)
	if !whole {
		tb.Errorf("not whole: %q", text)
	}
	if len(hits) == 0 {
		return 0, nil
	}
	return hits[0].Counts[0], hits[0].Matches
}

func TestNumbers(t *testing.T) {
	for _, tt := range []struct {
		rule, text string
		want       uint32
	}{
		{Cards + ";count=1", "4111111111111111", 1},
		{Cards + ";count=1", "4111111111111112", 0},
		{Cards + ";count=1", "x4111-1111 1111-1111x", 1},
		{Cards + ";count=1", "41111111111111111", 0},
		{Cards + ";count=3", "4111111111111111, 340000000000009\n6011000000000004", 3},
		{Cards + ";count=4", "4111111111111111, 340000000000009\n6011000000000004", 0},
		{Cards + ";count=1", "5000000000000009", 1},
		{Cards + ";count=1;credit-only", "5000000000000009", 0},
		{Security + ";count=1;hyphens", "is 078-05-1120.", 1},
		{Security + ";count=1;hyphens", "078-05-11201", 0},
		{Security + ";count=1;hyphens", "666-05-1120 773-05-1120 000-05-1120 078-00-1120 078-05-0000", 0},
		{Security + ";count=1;stripped", "078051120", 1},
		{Security + ";count=1;stripped", "078-05-1120", 0},
		{Security + ";count=2;hyphens;stripped", "078051120 078-05-1120", 2},
		{Cards + ";count=1", "\x00\x01\x02 4111111111111111", 0}, // no text
	} {
		if got, _ := run(t, tt.rule, tt.text); got != tt.want {
			t.Errorf("%s: %q: %d, want %d", tt.rule, tt.text, got, tt.want)
		}
	}
	if _, m := run(t, Cards+";count=1", "no. 4111 1111 1111 1111 ok"); len(m) != 1 || m[0] != (showcause.Match{Offset: 4, Length: 19}) {
		t.Errorf("match %+v", m)
	}
	// Across the window that is read at a time.
	for _, at := range []int{numberWindow - 17, numberWindow - 16, numberWindow - 1, numberWindow, numberWindow + 1} {
		if n, m := run(t, Cards+";count=1", strings.Repeat("x\n", at)[:at]+"4111111111111111 "); n != 1 || m[0].Offset != int64(at) {
			t.Errorf("at %d: %d %v", at, n, m)
		}
	}
}

// number writes a card's number of a valid sum, nearly always.
func number(r *rand.Rand) string {
	head := []string{"4", "51", "4", "55", "34", "37", "6011", "300", "36", "38", "3528", "5018", "1", "2221", "622126", "644", "7", "2720", "655"}[r.Intn(19)]
	n := []int{16, 16, 16, 16, 15, 14, 13, 17}[r.Intn(8)]
	if head == "34" || head == "37" {
		n = 15
	}
	for len(head) < n-1 {
		head += string(rune('0' + r.Intn(10)))
	}
	for d := byte('0'); d <= '9'; d++ {
		digits := []byte(head + string(rune(d)))
		for i := range digits {
			digits[i] -= '0'
		}
		if luhn(digits) {
			head += string(rune(d))
			break
		}
	}
	if r.Intn(5) == 0 {
		head = head[:len(head)-1] + string(rune('0'+r.Intn(10)))
	}
	sep := []string{"", "", " ", "-", "  ", "/"}[r.Intn(6)]
	var parts []string
	for len(head) > 4 {
		parts, head = append(parts, head[:4]), head[4:]
	}
	return strings.Join(append(parts, head), sep)
}

func socialSecurity(r *rand.Rand) string {
	area, group, serial := []int{1, 78, 665, 667, 772, 0, 666, 773, 987}[r.Intn(r.Intn(9)+1)], r.Intn(14), r.Intn(14)
	return fmt.Sprintf([]string{"%03d-%02d-%04d", "%03d%02d%04d", "%03d%02d%04d", "%03d-%02d-%04d", "%03d-%2d-%4d", "%03d-+%d-%dabc", "%03d-%02d-%05d"}[r.Intn(7)], area, group, serial)
}

// TestNumbersAgainstClamscan has clamscan look for numbers in generated texts.
func TestNumbersAgainstClamscan(t *testing.T) {
	clamscan, err := exec.LookPath("clamscan")
	if err != nil {
		t.Skip("clamscan is not installed")
	}
	for round, set := range []struct {
		flags []string
		o     Options
	}{
		{nil, Options{Structured: true}},
		{[]string{"--structured-cc-count=1", "--structured-cc-mode=1", "--structured-ssn-count=1", "--structured-ssn-format=1"}, Options{Structured: true, CardCount: 1, CreditOnly: true, SSNCount: 1, SSNStripped: true}},
		{[]string{"--structured-cc-count=2", "--structured-ssn-count=2", "--structured-ssn-format=2"}, Options{Structured: true, CardCount: 2, SSNCount: 2, SSNBoth: true}},
	} {
		texts, err := set.o.Texts(nil)
		if err != nil {
			t.Fatal(err)
		}
		dir, db := t.TempDir(), filepath.Join(t.TempDir(), "x.hdb")
		if err := os.WriteFile(db, []byte(strings.Repeat("a", 32)+":5:x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewSource(int64(round)))
		want := map[string][]string{}
		for i := range 150 {
			var b strings.Builder
			kind := r.Intn(3)
			for range 1 + r.Intn(14) {
				b.WriteString([]string{"", "no. ", "x", "Aa\n", ",", "12 "}[r.Intn(6)])
				if kind == 0 || kind == 2 && r.Intn(2) == 0 {
					b.WriteString(number(r))
				} else {
					b.WriteString(socialSecurity(r))
				}
				b.WriteString([]string{"\n", " ", ".", "x", ","}[r.Intn(5)])
			}
			name := fmt.Sprintf("%d.txt", i)
			if err := os.WriteFile(filepath.Join(dir, name), []byte(b.String()+"and more words of a text\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, rule := range texts {
				if n, _ := run(t, rule, b.String()+"and more words of a text\n"); n > 0 {
					want[name] = append(want[name], Name(rule))
				}
			}
		}
		out, _ := exec.Command(clamscan, append([]string{"--no-summary", "-z", "-r", "-d", db, "--detect-structured"}, append(set.flags, dir)...)...).Output()
		said, found := map[string][]string{}, map[string]int{}
		for line := range strings.SplitSeq(strings.TrimSpace(string(out)), "\n") {
			path, name, _ := strings.Cut(line, ": ")
			if name == "OK" {
				said[filepath.Base(path)] = nil
				found[""]++
			} else {
				name = strings.TrimSuffix(name, " FOUND")
				said[filepath.Base(path)] = append(said[filepath.Base(path)], name)
				found[name]++
			}
		}
		for path, names := range said {
			slices.Sort(names)
			if !slices.Equal(names, want[path]) {
				b, _ := os.ReadFile(filepath.Join(dir, path))
				t.Errorf("%q: %q, to clamscan %q", b, want[path], names)
			}
		}
		t.Logf("%d texts: %v", len(said), found)
		if len(said) != 150 || found[Cards] < 20 || found[Security] < 20 || found[""] < 20 {
			t.Errorf("%d texts: %v", len(said), found)
		}
	}
}

func FuzzNumbers(f *testing.F) {
	f.Add([]byte("4111-1111 1111-1111 078-05-1120 078051120"), uint8(7))
	all := issuers()
	f.Fuzz(func(t *testing.T, b []byte, at uint8) {
		if b = b[min(int(at), len(b)):]; len(b) == 0 || !digit(b[0]) {
			return
		}
		for _, n := range []int{card(b, false, all), card(b, true, all), security(b, true), security(b, false)} {
			if n < 0 || n > len(b) || n > cardReach {
				t.Fatalf("%q: %d bytes", b, n)
			}
		}
	})
}

// TestPlain holds that eight bytes at a time pass over no digit, whatever stands around it.
func TestPlain(t *testing.T) {
	for c := range 256 {
		for at := range 8 {
			b := bytes.Repeat([]byte{byte(c)}, 8)
			for d := byte('0'); d <= '9'; d++ {
				if b[at] = d; plain(b) != 0 {
					t.Fatalf("%q has a digit", b)
				}
			}
			if b[at] = byte(c); digit(byte(c)) != (plain(b) == 0) && plain(b) == 8 {
				t.Fatalf("%q", b)
			}
		}
	}
	if n := plain([]byte("no digit is here, not one: 1")); n != 24 {
		t.Errorf("passed over %d", n)
	}
}
