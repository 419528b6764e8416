// Command portable is Showcause where the kernel has no jail for it: macOS and
// Windows. It scans, unpacks, checks YARA rules and verifies records, in the process
// that opened the files; each report says so. It has no network, no store and no service.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause/internal/release"
)

// exitCode ends the program with a code that is not a failure to be printed.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit %d", int(e)) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main, for tests.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use: "showcause", Short: "Anti-virus that shows its evidence: without the jail of Linux", SilenceErrors: true, SilenceUsage: true,
		Long: `Showcause for systems where no jail is built for it yet. Files are read by this
process itself: whoever makes it fail may act as its user. Do not scan what you
distrust as a user who may do much. Commands that need the jail, the store of records
or a network are in the program for Linux alone.`,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(scanCommand(), unpackCommand(), yaraCommand(), evidenceCommand(), release.VerifySelf(exitCode(1)), versionCommand())
	err := root.ExecuteContext(ctx)
	var code exitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintf(stderr, "showcause: %v\n", err)
	return 2
}
