package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/showcause/showcause/bench/made"
)

// yaraExternals are what signature-base's rules ask for from outside.
var yaraExternals = []string{"filename", "filepath", "extension", "filetype", "owner", "filemd5"}

// yaraSet is one set of rules, compiled by both.
type yaraSet struct {
	name         string
	sources      []string // namespace:path
	theirs, ours string   // compiled
}

// slowRules are what slows YARA down, each a condition or strings of its own
// over one large file.
var slowRules = []struct{ name, text string }{
	{"loop over every byte", `for any i in (0..filesize-1) : (uint32(i) == 0x1badcafe)`},
	{"regexp, atoms of one byte", `$ = /(bc1|[13])[a-zA-HJ-NP-Z0-9]{25,39}/ fullword`},
	{"regexp, atom 00", `$ = /[A-Za-z0-9+\/]{64,512}\x00/`},
	{"the same, filesize < 1MB", `filesize < 1MB and $ = /[A-Za-z0-9+\/]{64,512}\x00/`},
	{"the same, MZ", `uint16(0) == 0x5a4d and $ = /[A-Za-z0-9+\/]{64,512}\x00/`},
	{"xor(1-255)", `$ = "This program cannot be run" xor(1-255)`},
	{"00 00 00 counted", `#a > 10000000 = { 00 00 00 }`},
	{"md5 of the file", `hash.md5(0, filesize) == "d41d8cd98f00b204e9800998ecf8427e"`},
	{"sha256 of the file", `hash.sha256(0, filesize) == "d41d8cd98f00b204e9800998ecf8427e"`},
	{"entropy of the file", `math.entropy(0, filesize) > 7.99999`},
	{"text", `$ = "no such text in any file"`},
	{"text nocase wide", `$ = "no such text in any file" nocase wide`},
	{"base64", `$ = "no such text in any file" base64`},
	{"regexp with .*", `$ = /no such.*text/`},
	{"URL", `$ = /https?:\/\/[a-z0-9.\/]{40,80}\.exe/`},
	{"IP address", `$ = /[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}:[0-9]{5}/`},
	{"hex with wildcards", `$ = { E8 ?? ?? ?? ?? 5B 81 EB ?? ?? 40 00 }`},
}

// rule makes a rule of such a line: "guard and $ = pattern" or a condition.
func slowRule(text string) string {
	const modules = "import \"hash\" import \"math\" "
	for _, at := range []string{"$ = ", "#a > 10000000 = "} {
		guard, pattern, ok := strings.Cut(text, at)
		switch {
		case !ok:
		case at == "$ = ":
			return modules + "rule slow { strings: $a = " + pattern + " condition: " + guard + "$a }"
		default:
			return modules + "rule slow { strings: $a = " + pattern + " condition: #a > 10000000 }"
		}
	}
	return modules + "rule slow { condition: " + text + " }"
}

// besideYARA compiles and runs the same YARA rules with both programs, one core each.
func (b *bench) besideYARA(ctx context.Context) (string, error) {
	yara, yarac := program("yara"), program("yarac")
	if yara == "" || yarac == "" {
		return "", fmt.Errorf("%w: yara is not installed", errAbsent)
	}
	data, err := dataFolder(ctx)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s, %s. `%s`\n\n", b.date, strings.Join(b.describe(ctx)[:4], "; "), b.command)
	fmt.Fprintf(&out, "| rules | what | showcause, s (min / median / max) | yara, s | yara ÷ showcause (wall; CPU) | matches | peak memory |\n|---|---|---|---|---|---|---|\n")
	row := func(rules, what string, ours, theirs *variant, paths []string) error {
		b.say("%s: %s", rules, what)
		vs := []*variant{ours, theirs}
		if _, err := inTurn(ctx, b.say, vs, 1, paths); err != nil { // warm
			return err
		}
		f, err := inTurn(ctx, b.say, vs, b.runs, paths)
		if err != nil {
			return err
		}
		o, t := f[ours], f[theirs]
		if len(f) != 2 {
			fmt.Fprintf(&out, "| %s | %s | not run: one of the two failed | | | | |\n", rules, what)
			return nil
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %.2f; %.2f | %d, %d | %.0f MB, %.0f MB |\n", rules, what, o.wall, t.wall,
			t.wall.median/o.wall.median, t.cpu.median/o.cpu.median, o.found, t.found, o.peak.median/1e6, t.peak.median/1e6)
		return nil
	}
	tiny := filepath.Join(b.tmp, "tiny")
	if err := made.Write(tiny, []byte("a")); err != nil {
		return "", err
	}
	for _, name := range []string{"signature-base", "reversinglabs", "mandiant"} {
		s, err := b.yaraSet(filepath.Join(data, "yara", name), name)
		if err != nil {
			return "", err
		}
		var define []string
		for _, e := range yaraExternals {
			define = append(define, "-d", e+"=")
		}
		oursCompile := b.yaraVariant("showcause rules compile", func([]string) []string {
			return append(append([]string{b.showcause, "rules", "compile", "-o", s.ours}, define...), s.sources...)
		})
		theirsCompile := b.yaraVariant("yarac", func([]string) []string {
			return append(append([]string{yarac, "-w"}, define...), append(s.sources, s.theirs)...)
		})
		if err := row(name, "compile", oursCompile, theirsCompile, nil); err != nil {
			return "", err
		}
		if _, err := os.Stat(s.ours); err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		ours := b.yaraVariant("showcause yara", func(paths []string) []string {
			return append([]string{b.showcause, "yara", "-p", "1", "-w", "-r", "-C", s.ours}, paths...)
		})
		theirs := b.yaraVariant("yara", func(paths []string) []string {
			return append([]string{yara, "-p", "1", "-w", "-r", "-C", s.theirs}, paths...)
		})
		if err := row(name, "one byte", ours, theirs, []string{tiny}); err != nil {
			return "", err
		}
		for _, path := range b.files {
			n, size := weigh(path)
			if err := row(name, fmt.Sprintf("%s: %d files, %.0f MB", path, n, float64(size)/1e6), ours, theirs, []string{path}); err != nil {
				return "", err
			}
		}
	}
	large := filepath.Join(b.tmp, "large")
	if err := made.Write(large, made.Blob(102, 0, 64<<20)); err != nil {
		return "", err
	}
	for i, r := range slowRules {
		file := filepath.Join(b.tmp, "slow"+strconv.Itoa(i)+".yar")
		if err := made.Write(file, []byte(slowRule(r.text))); err != nil {
			return "", err
		}
		ours := b.yaraVariant("showcause yara", func(p []string) []string {
			return append([]string{b.showcause, "yara", "-p", "1", "-w", file}, p...)
		})
		theirs := b.yaraVariant("yara", func(p []string) []string { return append([]string{yara, "-p", "1", "-w", file}, p...) })
		if err := row(r.name, "one file of 64 MB", ours, theirs, []string{large}); err != nil {
			return "", err
		}
	}
	return out.String(), nil
}

// yaraVariant runs a command and counts the lines that it writes.
func (b *bench) yaraVariant(name string, args func(paths []string) []string) *variant {
	env := []string{"XDG_CACHE_HOME=" + filepath.Join(b.tmp, "cache"), "TMPDIR=" + b.tmp, "GOMAXPROCS=1"}
	return &variant{name: name, threads: 1, run: func(ctx context.Context, paths []string) (sample, error) {
		a := args(paths)
		s, out, errs, err := launched(ctx, env, a...)
		s.found = strings.Count(out, "\n")
		// yara ends with 1 where it could not read a file of a folder.
		if err == nil && s.Exit != 0 && s.found == 0 {
			err = fmt.Errorf("%s: exit %d: %s", name, s.Exit, tail(errs))
		}
		return s, err
	}}
}

// yaraSet finds the rule files of a folder; each is a namespace of its own.
func (b *bench) yaraSet(dir, name string) (*yaraSet, error) {
	s := &yaraSet{name: name, ours: filepath.Join(b.tmp, name+".scdb"), theirs: filepath.Join(b.tmp, name+".yac")}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if ext := filepath.Ext(path); err == nil && (ext == ".yar" || ext == ".yara") {
			s.sources = append(s.sources, fmt.Sprintf("n%d:%s", len(s.sources), path))
		}
		return err
	})
	if err != nil || len(s.sources) == 0 {
		return nil, fmt.Errorf("%w: no YARA rules in %s", errAbsent, dir)
	}
	return s, nil
}

// weigh counts the regular files below a path, and their bytes.
func weigh(path string) (n int, size int64) {
	_ = filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil
		}
		if st, err := e.Info(); err == nil {
			n++
			size += st.Size()
		}
		return nil
	})
	return n, size
}
