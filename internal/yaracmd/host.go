// Package yaracmd are the commands about YARA rules: yara's own, and those for the
// author of rules.
package yaracmd

import (
	"context"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
)

// Host is what the commands need of the program that they are part of.
type Host struct {
	Version string // what --version says
	// Scratch opens a temporary file that is gone when it is closed.
	Scratch func() (*os.File, error)
	// Source is the content of an open regular file, until ctx is done.
	Source func(ctx context.Context, f *os.File) (showcause.Source, error)
	// FlagError makes an error about flags useful.
	FlagError func(c *cobra.Command, err error) error
	// Exit is the error that ends the program with a code and without a message.
	Exit func(code int) error
	// Terminal says whether what is written goes to a terminal.
	Terminal func(w io.Writer) bool
}

// Rules are the commands below "rules".
func (h Host) Rules() []*cobra.Command {
	return []*cobra.Command{h.check(), h.format(), h.deps(), h.explain(), h.test(), h.slow()}
}
