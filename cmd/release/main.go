// Command release builds a release of Showcause from a commit, bit for bit the
// same wherever it runs, and compares one with what it builds itself.
//
//	release -o DIR [-version v1.2.3] [-key FILE] [-log DIR -log-key FILE [-witnesses FILE]]
//	release -compare DIR
//
// It builds from a clone of the one commit, so that nothing of the checkout that it is
// started in but that commit matters, with the Go version that go.mod names,
// and nothing of the environment but where modules come from and are kept.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
)

// target is a program to build.
type target struct{ os, arch, pkg string }

// targets are the programs of a release. Where the jail does not exist, the
// program has the commands that need none (cmd/portable).
func targets() []target {
	return []target{
		{"linux", "amd64", "./cmd/showcause"},
		{"linux", "arm64", "./cmd/showcause"},
		{"darwin", "amd64", "./cmd/portable"},
		{"darwin", "arm64", "./cmd/portable"},
		{"windows", "amd64", "./cmd/portable"},
	}
}

func (t target) file() string {
	name := "showcause-" + t.os + "-" + t.arch
	if t.os == "windows" {
		name += ".exe"
	}
	return name
}

// options are the flags.
type options struct {
	source, out, version, revision string
	key, log, logKey, witnesses    string
	compare, only                  string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, errDiffers):
		os.Exit(1)
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintf(os.Stderr, "release: %v\n", err)
		os.Exit(2)
	}
}

var errDiffers = errors.New("it differs")

// run is main, for tests.
func run(ctx context.Context, args []string, w io.Writer) error {
	var o options
	f := flag.NewFlagSet("release", flag.ContinueOnError)
	f.StringVar(&o.source, "source", ".", "the clone to build from")
	f.StringVar(&o.out, "o", "", "folder that the release is written to; it must not be there or be empty")
	f.StringVar(&o.version, "version", "", "version, v1.2.3 (default: none, the commit's)")
	f.StringVar(&o.revision, "revision", "HEAD", "commit to build")
	f.StringVar(&o.key, "key", "", "private key that signs the release, PEM (PKCS #8, Ed25519)")
	f.StringVar(&o.log, "log", "", "folder of the log that the release is entered in")
	f.StringVar(&o.logKey, "log-key", "", "private key of the log, PEM")
	f.StringVar(&o.witnesses, "witnesses", "", "policy that names the log's witnesses")
	f.StringVar(&o.compare, "compare", "", "build the release in this folder again, and compare")
	f.StringVar(&o.only, "only", "", "these targets alone: linux/amd64,... (for a look; a release has all)")
	if err := f.Parse(args); err != nil {
		return err
	}
	b, err := newBuilder(ctx, &o, w)
	if err != nil {
		return err
	}
	defer b.close()
	switch {
	case f.NArg() > 0 || (o.out == "") == (o.compare == ""):
		return errors.New("one of -o DIR and -compare DIR is needed")
	case o.compare != "":
		return b.compare(ctx, o.compare)
	}
	if old, err := os.ReadDir(o.out); err == nil && len(old) > 0 {
		return fmt.Errorf("%s is not empty", o.out)
	}
	return b.release(ctx, o.out)
}

// chosen are the targets that were asked for.
func (o *options) chosen() ([]target, error) {
	if o.only == "" {
		return targets(), nil
	}
	var out []target
	for _, name := range strings.Split(o.only, ",") {
		found := false
		for _, t := range targets() {
			if t.os+"/"+t.arch == name {
				out, found = append(out, t), true
			}
		}
		if !found {
			return nil, fmt.Errorf("-only: no target %q", name)
		}
	}
	return out, nil
}

// write writes a file of the release.
func write(dir, name string, content []byte) error {
	return os.WriteFile(filepath.Join(dir, name), content, 0o644)
}
