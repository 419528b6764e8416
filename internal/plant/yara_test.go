package plant

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

// yaraSets are the folders of rules that are run beside YARA, below the data
// folder's yara, and what their rules ask for from outside.
var yaraSets = []struct {
	name      string
	externals []string
}{
	{"mandiant", nil},
	{"reversinglabs", nil},
	{"signature-base", []string{"filename", "filepath", "extension", "filetype", "owner", "filemd5"}},
}

// newer are rules that Debian's YARA 4.2.3 cannot judge as later versions do,
// by what they use.
var newer = []string{"pe.is_signed", "pe.delayed_import", "rich_signature.version_data", "string.", "math.to_string"}

// TestYARA runs our command and Debian's over files planted from the rules' own
// strings and over files of this system, and compares rules, strings, offsets
// and bytes.
func TestYARA(t *testing.T) {
	peer, err := exec.LookPath("yara")
	if err != nil || testing.Short() {
		t.Skip("needs yara, and time")
	}
	root := os.Getenv("SHOWCAUSE_DATA")
	if root == "" {
		root = "../../../shared/data"
	}
	root = filepath.Join(root, "yara")
	if _, err := os.Stat(root); err != nil {
		t.Skipf("no YARA rules: %v", err)
	}
	ours := filepath.Join(t.TempDir(), "showcause")
	if out, err := exec.Command("go", "build", "-o", ours, "github.com/showcause/showcause/cmd/showcause").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, set := range yaraSets {
		t.Run(set.name, func(t *testing.T) {
			files := yaraFiles(t, filepath.Join(root, set.name))
			dir := t.TempDir()
			skip := plantYARA(t, files, dir)
			list := filepath.Join(t.TempDir(), "list")
			var text strings.Builder
			n := 0
			for _, folder := range append([]string{dir}, systemFolders...) {
				found := regular(t, folder)
				if folder == dir {
					found = all(t, dir)
				}
				for _, f := range found {
					text.WriteString(f + "\n")
					n++
				}
			}
			if err := os.WriteFile(list, []byte(text.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			args := []string{"-w", "-s", "-L", "-p", "2"}
			for _, e := range set.externals {
				args = append(args, "-d", e+"=")
			}
			for i, f := range files {
				args = append(args, fmt.Sprintf("n%d:%s", i, f))
			}
			args = append(args, "--scan-list", list)
			a, b := yaraSays(t, peer, args, skip), yaraSays(t, ours, append([]string{"yara"}, args...), skip)
			hits, differ := 0, 0
			for _, k := range slices.Sorted(keys(a, b)) {
				hits += len(a[k])
				if slices.Equal(a[k], b[k]) {
					continue
				}
				if differ++; differ <= 25 {
					t.Errorf("%s: %s", k, firstDifference(a[k], b[k]))
				}
			}
			t.Logf("%d rule files, %d files: %d rules on files with %d lines of strings; %d differ", len(files), n, len(a), hits, differ)
			if len(a) == 0 {
				t.Error("nothing matched")
			}
		})
	}
}

func keys(maps ...map[string][]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		seen := map[string]bool{}
		for _, m := range maps {
			for k := range m {
				if !seen[k] && !yield(k) {
					return
				}
				seen[k] = true
			}
		}
	}
}

func firstDifference(peer, ours []string) string {
	switch {
	case peer == nil:
		return fmt.Sprintf("ours alone, %d strings", len(ours))
	case ours == nil:
		return fmt.Sprintf("yara alone, %d strings", len(peer))
	}
	for i := range min(len(peer), len(ours)) {
		if peer[i] != ours[i] {
			return fmt.Sprintf("yara %q, ours %q", peer[i], ours[i])
		}
	}
	return fmt.Sprintf("yara %d strings, ours %d", len(peer), len(ours))
}

// yaraFiles are the rule files below a folder.
func yaraFiles(t *testing.T, dir string) (out []string) {
	for _, f := range all(t, dir) {
		if ext := filepath.Ext(f); ext == ".yar" || ext == ".yara" {
			out = append(out, f)
		}
	}
	if len(out) == 0 {
		t.Skipf("no rules in %s", dir)
	}
	return out
}

func all(t *testing.T, dir string) (out []string) {
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	sort.Strings(out)
	return out
}

// plantYARA writes a file for each rule, or for some, and returns the names of
// rules that the peer is too old for.
func plantYARA(t *testing.T, files []string, dir string) (skip map[string]bool) {
	skip = map[string]bool{}
	rules := 0
	for i, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var set source.Sources
		src, err := set.Add(f, string(text))
		if err != nil {
			t.Fatal(err)
		}
		tree, _ := syntax.Parse(src, source.YARA)
		for _, r := range tree.Rules {
			body := src.Slice(source.Span{Start: r.CondAt.Start, End: r.Close})
			if slices.ContainsFunc(newer, func(w string) bool { return strings.Contains(body, w) }) {
				skip[r.Name.Name] = true
			}
			rules++
			if !*full && rules%10 != 0 {
				continue
			}
			name := filepath.Join(dir, fmt.Sprintf("%d-%s", i, r.Name.Name))
			if err := os.WriteFile(name, YARA(r, 1), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d rules, %d of them newer than the peer", rules, len(skip))
	return skip
}

// yaraSays runs a command with yara's output: for each rule and file, the
// lines of its strings.
func yaraSays(t *testing.T, program string, args []string, skip map[string]bool) map[string][]string {
	cmd := exec.Command(program, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%.2000s", program, err, &stderr)
	}
	said := map[string][]string{}
	key := ""
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "0x") {
			if key != "" {
				said[key] = append(said[key], line)
			}
			continue
		}
		key = line
		if name, _, _ := strings.Cut(line, " "); skip[name] {
			key = ""
			continue
		}
		said[key] = []string{}
	}
	return said
}
