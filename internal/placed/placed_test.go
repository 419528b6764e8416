package placed

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/scan"
)

// signatures match the marker anywhere, and at the start of a layer: the second tells that
// what stands there was taken out.
var signatures = "Placed.Anywhere:0:*:" + digits(Marker) + "\nPlaced.Start:0:0:" + digits(Marker) + "\n"

// ours scans all places and returns the names that each gets.
func ours(t *testing.T, db string, places []Place) []string {
	t.Helper()
	data, err := rules.Compile([]string{db}, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := ruledb.New(data)
	if err != nil {
		t.Fatal(err)
	}
	s := scan.New(compiled, scan.Options{})
	out := make([]string, len(places))
	for i, p := range places {
		r := s.Scan(showcause.Bytes(p.Data))
		var names []string
		for _, f := range r.Findings {
			names = append(names, strings.TrimSuffix(f.Rule, ".UNOFFICIAL"))
		}
		slices.Sort(names)
		out[i] = strings.Join(slices.Compact(names), " ")
	}
	return out
}

// theirs scans all with clamscan.
func theirs(t *testing.T, clamscan, db, dir string, places []Place) []string {
	t.Helper()
	for i, p := range places {
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), p.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := exec.Command(clamscan, "-r", "-z", "-i", "--no-summary", "--disable-cache", "-d", db, dir).Output()
	if err != nil && !bytes.Contains(b, []byte("FOUND")) {
		t.Fatal(err)
	}
	names := make([][]string, len(places))
	for line := range strings.Lines(string(b)) {
		p, name, ok := strings.Cut(strings.TrimSuffix(strings.TrimSpace(line), " FOUND"), ": ")
		i, err := strconv.Atoi(filepath.Base(p))
		if ok && err == nil {
			names[i] = append(names[i], strings.TrimSuffix(name, ".UNOFFICIAL"))
		}
	}
	out := make([]string, len(places))
	for i, n := range names {
		sort.Strings(n)
		out[i] = strings.Join(slices.Compact(n), " ")
	}
	return out
}

// TestPlaced holds what is found in each place against clamscan: what it finds is found here, by
// the same names. docs/clamav-differences.md has the counts.
func TestPlaced(t *testing.T) {
	places := All()
	seen := map[string]bool{}
	for _, p := range places {
		if seen[p.Name] || len(p.Data) == 0 {
			t.Errorf("%s: twice, or empty", p.Name)
		}
		seen[p.Name] = true
	}
	dir := t.TempDir()
	db := filepath.Join(dir, "placed.ndb")
	if err := os.WriteFile(db, []byte(signatures), 0o600); err != nil {
		t.Fatal(err)
	}
	got := ours(t, db, places)
	kinds := map[string][4]int{} // both, ours alone, clamscan alone, nobody
	count := func(p Place, k int) {
		kind, _, _ := strings.Cut(p.Name, "/")
		n := kinds[kind]
		n[k]++
		kinds[kind] = n
	}
	path, err := exec.LookPath("clamscan")
	version, _ := exec.Command("clamscan", "--version").Output()
	if err != nil || !strings.HasPrefix(string(version), "ClamAV 1.4.") {
		t.Logf("clamscan 1.4 is not installed: not compared")
	} else {
		files := filepath.Join(dir, "files")
		if err := os.Mkdir(files, 0o700); err != nil {
			t.Fatal(err)
		}
		for i, n := range theirs(t, path, db, files, places) {
			p := places[i]
			for _, name := range strings.Fields(n) {
				if strings.HasPrefix(name, "Placed.") && !slices.Contains(strings.Fields(got[i]), name) && p.Name+" "+name != epilogue {
					t.Errorf("%s: clamscan finds %s, here %q", p.Name, name, got[i])
				}
			}
			switch {
			case n == "" && got[i] == "":
				count(p, 3)
			case n == "":
				count(p, 1)
			case got[i] == "":
				count(p, 2)
			default:
				count(p, 0)
			}
		}
	}
	for i, p := range places {
		if got[i] == "" && lost[p.Name] == "" {
			t.Errorf("%s: not found", p.Name)
		}
		if got[i] != "" && lost[p.Name] != "" {
			t.Errorf("%s: is found, and said to be lost", p.Name)
		}
	}
	total := [4]int{}
	for k, n := range kinds {
		t.Logf("%-10s both %d, ours alone %d, clamscan alone %d, nobody %d", k, n[0], n[1], n[2], n[3])
		for i := range total {
			total[i] += n[i]
		}
	}
	t.Logf("%d places: both %d, ours alone %d, clamscan alone %d, nobody %d", len(places), total[0], total[1], total[2], total[3])
	if len(places) < 300 {
		t.Errorf("%d places", len(places))
	}
}

// epilogue is what clamscan finds at the start of a layer that is none here: a text behind the last
// boundary of a mail, which is searched as a part of the mail.
const epilogue = "mail/structure/base64 behind the parts Placed.Start"

// lost are the places that are found by neither, and why.
var lost = map[string]string{
	"ooxml/document/references":     "references to characters are undone in HTML, not in other markup",
	"excel/Workbook/link":           "text in UTF-16 within other bytes is not a text of its own",
	"excel/Book/link":               "text in UTF-16 within other bytes is not a text of its own",
	"onenote/text":                  "text in UTF-16 within other bytes is not a text of its own",
	"powerpoint/text, UTF-16":       "text in UTF-16 within other bytes is not a text of its own",
	"excel/Workbook/sum of strings": "formulas are rebuilt, not reckoned",
	"excel/Book/sum of strings":     "formulas are rebuilt, not reckoned",
	"mail/field/subject, base64":    "encoded words of headers are undone for names alone",
	"mail/field/subject, quoted":    "encoded words of headers are undone for names alone",
	"mail/field/name, encoded":      "names are no layers",
	"picture/PNG/dots":              "what is coded as a picture's dots is not decoded",
	"script/PowerShell, joined":     "strings that are added together letter by letter are not joined",
	"script/batch with carets":      "carets are not taken out",
}
