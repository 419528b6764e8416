package main

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/pflag"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/extract"
)

// unpackHost is what the command unpack needs of this program.
func unpackHost() extract.Host {
	return extract.Host{
		Open: openNamed, Spool: spoolInput, Scratch: scratch,
		Source: func(ctx context.Context, f *os.File) (showcause.Source, error) { return newSource(ctx, f) },
		Size:   func(v *int64) pflag.Value { return (*byteSize)(v) },
		Time:   func(v *int64) pflag.Value { return (*milliseconds)(v) },
		Exit:   func(code int) error { return exitCode(code) },
		Passwords: func(f *pflag.FlagSet) func() ([][]byte, bool, error) {
			var p passwords
			p.flags(f)
			return func() ([][]byte, bool, error) {
				list, err := p.list()
				return list, bool(p.usual), err
			}
		},
	}
}

// openNamed opens a regular file that the user named.
func openNamed(ctx context.Context, path string) (*os.File, error) {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("a folder, not a file")}
	}
	var got item
	w := walker{visit: func(i item) bool { got = i; return true }}
	w.named(ctx, path)
	if got.err == nil && got.file == nil {
		got.err = errors.New("not a regular file")
	}
	return got.file, got.err
}
