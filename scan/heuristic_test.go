package scan_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/heuristic"
	"github.com/showcause/showcause/internal/placed"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/scan"
)

// sample is a file for the heuristics.
type sample struct {
	name string
	data []byte
}

// heuristicDB compiles heuristics alone, with the phishing data in dir.
func heuristicDB(tb testing.TB, dir string, o heuristic.Options) *ruledb.DB {
	tb.Helper()
	data, err := rules.Compile([]string{dir}, rules.Options{Heuristics: o})
	if err != nil {
		tb.Fatal(err)
	}
	db, err := ruledb.New(data)
	if err != nil {
		tb.Fatal(err)
	}
	return db
}

// heuristicsAgainstClamscan compares the names that samples get with those of clamscan, and
// returns how many have each name, "" for none. why gives the class of a difference, "" where
// there is to be none.
func heuristicsAgainstClamscan(t *testing.T, samples []sample, o heuristic.Options, flags []string, why func(name string, ours, theirs []string) string) map[string]int {
	t.Helper()
	clamscan, err := exec.LookPath("clamscan")
	if err != nil {
		t.Skip("clamscan is not installed")
	}
	dir, db := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(db, "x.hdb"), []byte(strings.Repeat("a", 32)+":5:x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, s := range samples {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d", i)), s.data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, _ := exec.Command(clamscan, append([]string{"-z", "--no-summary", "-r", "-d", db}, append(flags, dir)...)...).Output() // 1: found
	theirs, seen := map[string][]string{}, 0
	for line := range strings.SplitSeq(strings.TrimSpace(string(out)), "\n") {
		path, name, _ := strings.Cut(line, ": ")
		if name, found := strings.CutSuffix(name, " FOUND"); found && !slices.Contains(theirs[filepath.Base(path)], name) {
			theirs[filepath.Base(path)] = append(theirs[filepath.Base(path)], name)
		}
		seen++
	}
	if seen < len(samples) {
		t.Fatalf("clamscan says %d lines of %d files", seen, len(samples))
	}
	s := scan.New(heuristicDB(t, db, o), scan.Options{})
	counts, classes := map[string]int{}, map[string]int{}
	for i, sample := range samples {
		var ours []string
		report := s.Scan(showcause.Bytes(sample.data))
		for _, f := range report.Findings {
			ours = append(ours, f.Rule)
		}
		slices.Sort(ours)
		ours = slices.Compact(ours)
		want := theirs[fmt.Sprintf("%05d", i)]
		slices.Sort(want)
		for _, name := range want {
			counts[name]++
		}
		if len(want) == 0 {
			counts[""]++
		}
		if slices.Equal(ours, want) {
			continue
		}
		class := ""
		if why != nil {
			class = why(sample.name, ours, want)
		}
		if class == "" {
			t.Errorf("%s: %q, to clamscan %q", sample.name, ours, want)
		}
		classes[class]++
	}
	t.Logf("%d files, to clamscan %v; differences %v", len(samples), counts, classes)
	return counts
}

// TestMacrosAgainstClamscan holds documents with macros and documents without against clamscan.
func TestMacrosAgainstClamscan(t *testing.T) {
	var samples []sample
	for _, p := range placed.All() {
		samples = append(samples, sample{p.Name, p.Data})
	}
	counts := heuristicsAgainstClamscan(t, samples, heuristic.Options{Macros: true}, []string{"--alert-macros"}, func(name string, ours, theirs []string) string {
		switch {
		case slices.Equal(theirs, []string{"Heuristics.PDF.ObfuscatedNameObject"}):
			return "names in a PDF file written otherwise are no finding by themselves"
		case strings.HasPrefix(name, "xml/") && len(theirs) == 0 && slices.Equal(ours, []string{heuristic.MacrosVBA}):
			return "a compound file in XML, which clamscan does not take out"
		}
		return ""
	})
	if counts[heuristic.MacrosVBA] < 40 {
		t.Errorf("%d files with macros", counts[heuristic.MacrosVBA])
	}
}

// made has a tool write a file, and returns it, nil if the tool is not there.
func made(t *testing.T, name string, tool ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(tool[0]); err != nil {
		return nil
	}
	dir := t.TempDir()
	for i, text := range []string{"some words that are packed\n", strings.Repeat("many more words ", 500)} {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.txt", i)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "in.pdf"), []byte(plainPDF), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tool[0], tool[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil && tool[0] != "qpdf" { // it warns
		t.Fatalf("%q: %v\n%s", tool, err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const plainPDF = "%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n" +
	"3 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>\nendobj\n4 0 obj\n<</Length 9>>\nstream\n0 0 m 9 9\nendstream\nendobj\ntrailer\n<</Root 1 0 R/Size 5>>\n"

// TestEncryptedAgainstClamscan holds archives and documents of the formats' own tools, with
// passwords and without, against clamscan.
func TestEncryptedAgainstClamscan(t *testing.T) {
	var samples []sample
	add := func(name, file string, tool ...string) {
		if b := made(t, file, tool...); b != nil {
			samples = append(samples, sample{name, b})
		}
	}
	passwords := []string{"", "infected", "a longer one: 4711", "x"}
	for _, pw := range passwords {
		zip, seven := []string{"-q"}, []string{}
		if pw != "" {
			zip, seven = append(zip, "-P", pw), append(seven, "-p"+pw)
		}
		for _, level := range []string{"-0", "-6"} {
			add("zip "+level+" "+pw, "a.zip", slices.Concat([]string{"zip", level}, zip, []string{"a.zip", "0.txt", "1.txt"})...)
		}
		add("zip, one file "+pw, "a.zip", slices.Concat([]string{"zip"}, zip, []string{"a.zip", "1.txt"})...)
		for _, m := range []string{"-mx0", "-mx5", "-m0=bzip2", "-m0=ppmd"} {
			add("7z "+m+" "+pw, "a.7z", slices.Concat([]string{"7z", "a", m}, seven, []string{"a.7z", "0.txt", "1.txt"})...)
			add("7z, header "+m+" "+pw, "a.7z", slices.Concat([]string{"7z", "a", m, "-mhe=on"}, seven, []string{"a.7z", "0.txt", "1.txt"})...)
		}
		for _, m := range []string{"ZipCrypto", "AES128", "AES256"} {
			add("zip of 7z, "+m+" "+pw, "a.zip", slices.Concat([]string{"7z", "a", "-tzip", "-mem=" + m}, seven, []string{"a.zip", "0.txt", "1.txt"})...)
		}
		for _, bits := range []string{"40", "128", "256"} {
			for _, owner := range []string{"owner", ""} {
				args := []string{"qpdf", "--allow-weak-crypto", "--encrypt", pw, owner, bits}
				if bits == "256" && owner == "" && pw != "" {
					args = append(args, "--allow-insecure")
				}
				add("PDF "+bits+" "+pw+" "+owner, "out.pdf", append(args, "--", "in.pdf", "out.pdf")...)
			}
		}
	}
	add("PDF", "in.pdf", "true")
	add("text", "1.txt", "true")
	n := len(samples)
	for i := range n { // within others
		b := samples[i].data
		samples = append(samples, sample{"gzip of " + samples[i].name, gzipped(t, b)})
	}
	o := heuristic.Options{EncryptedArchives: true, EncryptedDocuments: true}
	counts := heuristicsAgainstClamscan(t, samples, o, []string{"--alert-encrypted"}, nil)
	for _, name := range []string{heuristic.LockedZip, heuristic.Locked7z, heuristic.LockedPDF, ""} {
		if counts[name] < 20 {
			t.Errorf("%d files that are %q", counts[name], name)
		}
	}
}

func gzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
