package clamsig

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/showcause/showcause/rule"
)

// dataDir finds the real databases, which are no part of the repository.
func dataDir(t testing.TB) string {
	dir := os.Getenv("SHOWCAUSE_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "data")
	}
	dir = filepath.Join(dir, "clamav")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no real databases: set SHOWCAUSE_DATA")
	}
	return dir
}

// null takes everything and keeps nothing.
type null struct{ skips []Skip }

func (*null) Rule(*rule.Rule) error         { return nil }
func (*null) Digest(*rule.DigestRule) error { return nil }
func (n *null) Skip(s Skip)                 { n.skips = append(n.skips, s) }

var knownLine = regexp.MustCompile(`Known viruses: (\d+)`)

// clamscanKnown asks clamscan how many signatures it knows of a database; -1 without it.
func clamscanKnown(t testing.TB, path string, args ...string) int {
	bin, err := exec.LookPath("clamscan")
	if err != nil {
		return -1
	}
	out, _ := exec.Command(bin, append(args, "-d", path, os.DevNull)...).CombinedOutput()
	m := knownLine.FindSubmatch(out)
	if m == nil {
		t.Fatalf("clamscan says nothing of what it knows:\n%s", out)
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n
}

func TestRealDatabases(t *testing.T) {
	dir := dataDir(t)
	for _, tt := range []struct {
		path            string
		known, malforms int
	}{
		{"official", 268704, 0},
		{"rfxn", 11235, 0},
		{"ditekshen", 175, 0},
		{"mandiant", 24, 0},
		{"bytecode.cvd", 47, 0},
	} {
		path := filepath.Join(dir, tt.path)
		var sink null
		stats, err := Load(path, Options{Strict: true}, &sink)
		if err != nil {
			t.Errorf("%s: %v", tt.path, err)
			continue
		}
		t.Logf("%s: loaded %d, skipped %d %v", tt.path, stats.Loaded(), stats.Skipped(), stats.ByReason())
		if stats.Known() != tt.known {
			t.Errorf("%s: known %d, clamscan says %d", tt.path, stats.Known(), tt.known)
		}
		if n := clamscanKnown(t, path); n >= 0 && n != stats.Known() {
			t.Errorf("%s: known %d, clamscan here says %d", tt.path, stats.Known(), n)
		}
		if len(sink.skips) != stats.Skipped() {
			t.Errorf("%s: %d skips, %d counted", tt.path, len(sink.skips), stats.Skipped())
		}
		for _, s := range sink.skips {
			t.Errorf("%s:%d %s is left out: %s", s.File, s.Line, s.Name, s.Detail)
		}
	}
}

func BenchmarkLoadOfficial(b *testing.B) {
	dir := filepath.Join(dataDir(b), "official")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(dir, Options{}, &null{}); err != nil {
			b.Fatal(err)
		}
	}
}
