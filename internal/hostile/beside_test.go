package hostile

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

// beside is the table of verdicts beside clamscan's.
type beside struct {
	rule    string
	version string
	lines   []string
	holding int    // inputs that hold the marker
	silent  [2]int // how many of them are OK to clamscan
	worst   cost
}

// add asks clamscan about the input at path, twice: as it is, and with its
// alerts about limits and encryption on.
func (b *beside) add(t *testing.T, in *Input, r *showcause.Report, c cost, path string) {
	t.Helper()
	exe, err := exec.LookPath("clamscan")
	if err != nil {
		return
	}
	if b.rule == "" {
		b.rule = filepath.Join(t.TempDir(), "marker.ndb")
		if err := os.WriteFile(b.rule, []byte(ruleText), 0o600); err != nil {
			t.Fatal(err)
		}
		out, _ := exec.Command(exe, "--version").Output()
		b.version, _, _ = strings.Cut(strings.TrimSpace(string(out)), "/")
	}
	b.worst.CPU, b.worst.Peak = max(b.worst.CPU, c.CPU), max(b.worst.Peak, c.Peak)
	if in.Want != Incomplete {
		b.holding++
	}
	peer := [2]string{}
	for i, flags := range [][]string{nil, {"--alert-exceeds-max=yes", "--alert-encrypted=yes"}} {
		out, used := metered(t, append(append([]string{exe, "-d", b.rule, "--no-summary"}, flags...), path)...)
		peer[i] = theirs(out, path, used)
		if peer[i] == "OK" && in.Want != Incomplete {
			b.silent[i]++
		}
	}
	t.Logf("    clamscan: %s; with alerts: %s", peer[0], peer[1])
	ours := r.Verdict.String()
	if c := codes(r); c != "" {
		ours += ": " + strings.ReplaceAll(c, " ", ", ")
	}
	name := strings.NewReplacer("|", "\\|", "<", "&lt;").Replace(in.Name)
	b.lines = append(b.lines, fmt.Sprintf("| %d | %s | %s | %s | %s |", in.Row, name, ours, peer[0], peer[1]))
}

// theirs is clamscan's answer in a word or two.
func theirs(out, path string, used cost) string {
	line, _, _ := strings.Cut(strings.TrimSpace(out), "\n")
	word := strings.TrimPrefix(line, path+": ")
	switch {
	case used.Exit < 0:
		return "ended after 60 s"
	case word == "Hostile.Marker.UNOFFICIAL FOUND":
		return "found"
	case strings.HasSuffix(word, " FOUND"):
		return strings.TrimSuffix(word, " FOUND")
	}
	return word
}

const intro = `# Hostile inputs

A scanner's worst answer is "nothing found" over bytes that it did not read. These inputs are made to get that answer: bombs, files
that two readers read differently, damaged files, loops. Most of them hold one marker text, and one rule looks for it; the rest are bombs, and files
with something in them that is not opened. Showcause finds the marker, or says what it did not read and why; it never says "nothing found".

The last two columns are clamscan with the same rule: as it is, and with ` + "`--alert-exceeds-max=yes --alert-encrypted=yes`" + `. "OK" is clamscan's word
for nothing found. The package ` + "`internal/hostile`" + ` makes every input in code. To make this table again:

    go test ./internal/hostile -count 1 -timeout 60m -run TestCost -v -args -full -doc "$PWD/docs/hostile-inputs.md"

` + "`make soak`" + ` runs everything of this at full size.

`

// write writes the table.
func (b *beside) write(t *testing.T) {
	if *doc == "" || len(b.lines) == 0 {
		return
	}
	var out strings.Builder
	out.WriteString(intro)
	fmt.Fprintf(&out, "%d inputs, of which %d hold the marker. Of these, %s says OK to %d, and to %d with the alerts. No input cost Showcause more than\n%d MB of memory.\n\n",
		len(b.lines), b.holding, b.version, b.silent[0], b.silent[1], b.worst.Peak>>20)
	out.WriteString("| row | input | Showcause | clamscan | clamscan with alerts |\n|---|---|---|---|---|\n")
	out.WriteString(strings.Join(b.lines, "\n") + "\n")
	if err := os.WriteFile(*doc, []byte(out.String()), 0o644); err != nil {
		t.Error(err)
	}
}
