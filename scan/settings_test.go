package scan_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/scan/texts"
)

// TestSettings holds what databases set beside signatures against clamscan: passwords (.pwdb), switches
// of readers (.cfg).
func TestSettings(t *testing.T) {
	if _, err := exec.LookPath("zip"); err != nil {
		t.Skip("zip is not installed")
	}
	from, dir := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(from, "m.txt"), []byte(marker+" in a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, word := range map[string]string{"one.zip": "geheim", "two.zip": "Wort 2", "three.zip": "no one knows"} {
		cmd := exec.Command("zip", "-q", "-P", word, filepath.Join(dir, name), "m.txt")
		if cmd.Dir = from; cmd.Run() != nil {
			t.Fatal("zip")
		}
	}
	files := map[string]string{
		"m.ndb":  "Marker:0:*:" + hexOf(marker) + "\n",
		"a.pwdb": "# known\nA;Engine:81-255;0;geheim\nB;Engine:81-255,Container:CL_TYPE_ZIP;1;576f72742032\n",
		"c.cfg":  "PE:0x0:1:255\n",
	}
	db := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(db, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	compiled := compile(t, files)
	if words := texts.Of(compiled).Passwords; len(words) != 2 || string(words[1]) != "Wort 2" {
		t.Errorf("passwords %q", words)
	}
	againstClamscan(t, compiled, db, dir, map[string]int{"one.zip": 1, "two.zip": 1, "three.zip": 0})
}

// againstClamscan compares the names that the files in a folder get, of which there are so many.
func againstClamscan(t *testing.T, compiled *ruledb.DB, db, dir string, want map[string]int) {
	t.Helper()
	s := scan.New(compiled, scan.Options{})
	got := map[string][]string{}
	for _, path := range filesIn(t, dir) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range s.Scan(showcause.Bytes(b)).Findings {
			if f.Allowed != "" {
				continue
			}
			got[filepath.Base(path)] = append(got[filepath.Base(path)], strings.TrimSuffix(f.Rule, ".UNOFFICIAL"))
		}
		slices.Sort(got[filepath.Base(path)])
		got[filepath.Base(path)] = slices.Compact(got[filepath.Base(path)])
	}
	for name, n := range want {
		if len(got[name]) != n {
			t.Errorf("%s: %v, want %d", name, got[name], n)
		}
	}
	peers := clamscanNames(t, db, dir)
	for name := range want {
		if !slices.Equal(got[name], peers[name]) {
			t.Errorf("%s: %v, clamscan %v", name, got[name], peers[name])
		}
	}
}

// TestMagic: bytes that a database says to be of a type have a text read as that, besides.
func TestMagic(t *testing.T) {
	files := map[string]string{
		"m.ndb": "Sender:4:*:" + hexOf("QQQQ: 1") + "\nMarker:0:*:" + hexOf(marker) + "\n",
		"b.ftm": "0:0:51515151:Odd:CL_TYPE_ANY:CL_TYPE_MAIL\n",
	}
	dir, db := t.TempDir(), t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(db, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"yes": "QQQQ: 1\nContent-Transfer-Encoding: quoted-printable\nContent-Type: text/plain\n\n" + strings.ReplaceAll(marker, "r", "=72") + "\n",
		"no":  "xQQQQ: 1\nContent-Transfer-Encoding: quoted-printable\n\nhello, and more text\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	againstClamscan(t, compile(t, files), db, dir, map[string]int{"yes": 2, "no": 0})
}
