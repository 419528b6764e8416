package eval

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

// plant is a file that holds what the texts and hex patterns of rules look for.
func plant(rules []*check.Rule) []byte {
	var b bytes.Buffer
	b.WriteString("MZ")
	for _, r := range rules {
		for _, p := range r.Patterns {
			switch {
			case p.Text != nil && p.Has("wide") != nil && p.Has("ascii") == nil:
				b.Write(widen([]byte(p.Text.Text)))
			case p.Text != nil:
				b.WriteString(p.Text.Text)
			case p.Hex != nil:
				plantHex(&b, p.Hex.Parts)
			}
			b.WriteString("\n ")
		}
	}
	return b.Bytes()
}

func plantHex(b *bytes.Buffer, parts []*syntax.Hex) {
	for _, h := range parts {
		switch h.Kind {
		case syntax.HexByte:
			b.WriteByte(h.Value)
		case syntax.HexJump:
			b.WriteString(strings.Repeat("-", int(h.Min)))
		case syntax.HexAlternatives:
			plantHex(b, h.Parts[0].Parts)
		}
	}
}

// TestPlanted holds real rules, over files that are made to match them, against
// the installed yara. Rules of modules that are not computed here are left out.
func TestPlanted(t *testing.T) {
	yara, err := exec.LookPath("yara")
	if err != nil {
		t.Skip("yara is not installed")
	}
	var paths []string
	filepath.WalkDir(data(t, "yara/signature-base"), func(path string, _ fs.DirEntry, _ error) error {
		if filepath.Ext(path) == ".yar" {
			paths = append(paths, path)
		}
		return nil
	})
	step := 40
	if os.Getenv("SHOWCAUSE_LONG") != "" {
		step = 1
	}
	externals := map[string]module.Value{}
	args := []string{"-w"}
	for _, name := range []string{"filename", "filepath", "extension", "filetype", "owner", "filemd5"} {
		externals[name] = module.TextValue("x")
		args = append(args, "-d", name+"=x")
	}
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	rules, held := 0, 0
	for i := 0; i < len(paths); i += step {
		text, err := os.ReadFile(paths[i])
		if err != nil || len(text) > 200_000 {
			continue
		}
		var set source.Sources
		src, err := set.Add(paths[i], string(text))
		if err != nil {
			t.Fatal(err)
		}
		res := check.Check(&set, []check.Input{{Source: src}}, check.Options{Dialect: source.YARA, Externals: externals})
		bin := plant(res.Rules)
		if len(bin) > 100_000 {
			continue
		}
		if err := os.WriteFile(target, bin, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(yara, append(args, paths[i], target)...).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %s", paths[i], out)
			continue
		}
		got := Run(res, &input{data: bin, res: res, cache: map[string][]Match{}}, Options{Externals: externals})
		want := map[string]bool{}
		for line := range strings.Lines(string(out)) {
			name, _, _ := strings.Cut(line, " ")
			want[name] = true
		}
		var names []string
		for _, r := range res.Rules {
			if len(r.Modules) > 0 || r.Flag("private") {
				continue
			}
			rules++
			if want[r.Name.Name] {
				held++
			}
			if got.Holds[r] != want[r.Name.Name] {
				names = append(names, r.Name.Name)
			}
		}
		sort.Strings(names)
		if len(names) > 0 {
			t.Errorf("%s: yara answers otherwise: %s", filepath.Base(paths[i]), strings.Join(names, " "))
		}
	}
	t.Logf("%d rules, of which %d hold", rules, held)
}
