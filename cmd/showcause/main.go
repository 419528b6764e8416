// Command showcause scans files for malware and for software that an order
// forbids, and says for each answer what it rests on.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes, as clamscan's.
const (
	exitNothing = 0 // everything was read and nothing was found
	exitFound   = 1
	exitError   = 2 // an error, or something was not read
)

// exitCode ends the program with a code that is not a failure to be printed.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit %d", int(e)) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main, for tests.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "showcause",
		Short:         "Anti-virus that shows its evidence",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(suggestFlag)
	root.AddCommand(scanCommand(), rulesCommand(), versionCommand())
	err := root.ExecuteContext(ctx)
	var code exitCode
	switch {
	case err == nil:
		return exitNothing
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintf(stderr, "showcause: %v\n", err)
	return exitError
}
