package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/showcause/showcause/internal/release"
)

// builder builds from a clone of one commit.
type builder struct {
	o       *options
	w       io.Writer
	scratch string
	tree    string // the clone
	commit  string
	version string // as the programs call themselves
	golang  string // go1.26.8
	env     []string
}

// fixed is the environment that bytes depend on.
func fixed(golang string) map[string]string {
	return map[string]string{
		"CGO_ENABLED": "0", "GOAMD64": "v1", "GOARM64": "v8.0", "GOENV": "off", "GOEXPERIMENT": "", "GOFIPS140": "off",
		"GOFLAGS": "", "GOTOOLCHAIN": golang, "GOWORK": "off", "LC_ALL": "C",
	}
}

// flags are those of go build. The binary names no folder, and carries no build ID; its commit it takes from the clone.
func flags() []string {
	return []string{"-trimpath", "-buildvcs=true", "-mod=readonly", "-ldflags=-s -w -buildid="}
}

func newBuilder(ctx context.Context, o *options, w io.Writer) (b *builder, err error) {
	b = &builder{o: o, w: w}
	if b.scratch, err = os.MkdirTemp("", "showcause-release-"); err != nil {
		return nil, err
	}
	if err = b.prepare(ctx); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *builder) close() { os.RemoveAll(b.scratch) }

// prepare clones the commit, and makes the environment.
func (b *builder) prepare(ctx context.Context) error {
	source, err := filepath.Abs(b.o.source)
	if err != nil {
		return err
	}
	revision, version := b.o.revision, b.o.version
	if b.o.compare != "" {
		r, err := release.Open(b.o.compare)
		if err != nil {
			return err
		}
		revision, version = r.Revision, r.Version
		if !strings.HasPrefix(version, "v") || strings.Count(version, "-") > 1 { // the commit's own
			version = ""
		}
	}
	git := func(args ...string) (string, error) {
		// The clone may be another user's: nothing in it is run.
		return command(ctx, source, append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"), "git", append([]string{"-c", "safe.directory=*", "-c", "protocol.file.allow=always"}, args...)...)
	}
	commit, err := git("rev-parse", "--verify", "--end-of-options", revision+"^{commit}")
	if err != nil {
		return err
	}
	b.commit = commit
	root, err := git("rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	b.tree = filepath.Join(b.scratch, "showcause")
	steps := [][]string{
		{"init", "-q", b.tree},
		{"-C", b.tree, "fetch", "-q", "--no-tags", "--depth", "1", "file://" + root, commit},
		{"-C", b.tree, "-c", "core.autocrlf=false", "-c", "advice.detachedHead=false", "checkout", "-q", commit},
	}
	if version != "" {
		if !regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?$`).MatchString(version) {
			return fmt.Errorf("version %q is not v1.2.3", version)
		}
		steps = append(steps, []string{"-C", b.tree, "tag", version, commit})
	}
	for _, s := range steps {
		if _, err := git(s...); err != nil {
			return err
		}
	}
	return b.environment(ctx)
}

// environment keeps of the present one where modules come from and are kept, and the rest is fixed.
func (b *builder) environment(ctx context.Context) error {
	mod, err := os.ReadFile(filepath.Join(b.tree, "go.mod"))
	if err != nil {
		return err
	}
	m := regexp.MustCompile(`(?m)^toolchain (go\S+)$`).FindSubmatch(mod)
	if m == nil {
		return errors.New("go.mod names no toolchain")
	}
	b.golang = string(m[1])
	kept := []string{"GOPROXY", "GOSUMDB", "GONOSUMDB", "GONOPROXY", "GOPRIVATE", "GOMODCACHE", "GOCACHE", "GOPATH", "GOINSECURE"}
	out, err := command(ctx, b.tree, os.Environ(), "go", append([]string{"env", "-json"}, kept...)...)
	if err != nil {
		return err
	}
	env := map[string]string{}
	if err := json.Unmarshal([]byte(out), &env); err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	for _, e := range os.Environ() {
		name, v, _ := strings.Cut(e, "=")
		switch {
		case slices.Contains([]string{"PATH", "HOME", "TMPDIR", "USER"}, name), strings.HasSuffix(strings.ToLower(name), "_proxy"), strings.HasPrefix(name, "SSL_CERT"):
			env[name] = v
		}
	}
	maps.Copy(env, fixed(b.golang))
	env["GIT_CONFIG_NOSYSTEM"], env["GIT_CONFIG_GLOBAL"] = "1", os.DevNull
	for _, n := range slices.Sorted(maps.Keys(env)) {
		b.env = append(b.env, n+"="+env[n])
	}
	return nil
}

// command runs a program and returns what it says, without the last line end.
func command(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, name, args...)
	var stderr bytes.Buffer
	c.Dir, c.Env, c.Stderr = dir, env, &stderr
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}

// programs builds the targets into a folder, and returns their digests.
func (b *builder) programs(ctx context.Context, ts []target, dir string) (map[string]string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	sums := map[string]string{}
	for _, t := range ts {
		to := filepath.Join(dir, t.file())
		env := append(slices.Clone(b.env), "GOOS="+t.os, "GOARCH="+t.arch)
		if _, err := command(ctx, b.tree, env, "go", append(append([]string{"build"}, flags()...), "-o", to, t.pkg)...); err != nil {
			return nil, err
		}
		sum, err := digestOf(to)
		if err != nil {
			return nil, err
		}
		sums[t.file()] = sum
		fmt.Fprintf(b.w, "%s  %s\n", sum, t.file())
	}
	return sums, nil
}

func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// release makes all of it.
func (b *builder) release(ctx context.Context, dir string) error {
	ts, err := b.o.chosen()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	sums, err := b.files(ctx, ts, dir)
	if err != nil {
		return err
	}
	list := release.WriteSums(sums)
	if err := write(dir, release.Sums, list); err != nil {
		return err
	}
	if err := b.sign(dir, list); err != nil {
		return err
	}
	return b.enter(dir, list)
}

// files makes what is in the list, which depends on the commit and the version alone.
func (b *builder) files(ctx context.Context, ts []target, dir string) (map[string]string, error) {
	sums, err := b.programs(ctx, ts, dir)
	if err != nil {
		return nil, err
	}
	bom, err := b.sbom(ts, dir)
	if err != nil {
		return nil, err
	}
	if err := write(dir, release.SBOM, bom); err != nil {
		return nil, err
	}
	if sums[release.SBOM], err = digestOf(filepath.Join(dir, release.SBOM)); err != nil {
		return nil, err
	}
	statement, err := b.provenance(sums)
	if err != nil {
		return nil, err
	}
	if err := write(dir, release.Provenance, statement); err != nil {
		return nil, err
	}
	sums[release.Provenance], err = digestOf(filepath.Join(dir, release.Provenance))
	return sums, err
}

// compare builds a release again, and says of each file whether it is the same:
// as the list has it, and as it lies there, if it does.
func (b *builder) compare(ctx context.Context, dir string) error {
	r, err := release.Open(dir)
	if err != nil {
		return err
	}
	want := r.Digests()
	var ts []target
	for _, t := range targets() {
		if want[t.file()] != "" {
			ts = append(ts, t)
		}
	}
	out := filepath.Join(b.scratch, "built")
	if err := os.Mkdir(out, 0o755); err != nil {
		return err
	}
	w := b.w
	b.w = io.Discard
	got, err := b.files(ctx, ts, out)
	if err != nil {
		return err
	}
	return differences(w, dir, want, got)
}

// differences says what is the same.
func differences(w io.Writer, dir string, want, got map[string]string) error {
	bad := false
	for _, name := range slices.Sorted(maps.Keys(want)) {
		word := "same"
		switch there, err := digestOf(filepath.Join(dir, name)); {
		case got[name] == "":
			word, bad = "NOT BUILT here", true
		case got[name] != want[name]:
			word, bad = "DIFFERS: built here "+got[name], true
		case err == nil && there != want[name]:
			word, bad = "the file in the folder is NOT the one in the list", true
		case err != nil:
			word = "same as in the list (the file itself is not there)"
		}
		fmt.Fprintf(w, "%s  %s: %s\n", want[name], name, word)
	}
	if bad {
		return errDiffers
	}
	return nil
}
