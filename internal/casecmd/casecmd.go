// Package casecmd are the commands over one finding: to derive it again, to show
// what was said of it, to contest it and to decide, and the page of them all.
package casecmd

import (
	"context"
	"io"
	"os"

	"github.com/spf13/pflag"

	"github.com/showcause/showcause/ruledb"
)

// Host is what the commands need of the program that they are part of.
type Host struct {
	Version string // what it calls itself
	// StoreFlag adds the flag --store, and StoreDir says which folder it means;
	// "" if there is to be none.
	StoreFlag func(f *pflag.FlagSet, to *string)
	StoreDir  func(flag string) (dir string, named bool, err error)
	// PasswordFlags adds --password and --password-file. What it returns gives the
	// passwords.
	PasswordFlags func(f *pflag.FlagSet) func() ([][]byte, error)
	// OpenDB opens rules as scan does.
	OpenDB func(ctx context.Context, paths []string, stderr io.Writer, quiet bool) (*ruledb.DB, error)
	// Scratch opens an unlinked file.
	Scratch func() (*os.File, error)
	// Exit is the error that ends the program with a code and without a message.
	Exit func(code int) error
}
