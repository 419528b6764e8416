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

	"github.com/showcause/showcause/internal/casecmd"
	"github.com/showcause/showcause/internal/extract"
	"github.com/showcause/showcause/internal/ledgercmd"
	"github.com/showcause/showcause/internal/ordercmd"
	"github.com/showcause/showcause/internal/reasons"
	made "github.com/showcause/showcause/internal/release"
	"github.com/showcause/showcause/product/survey"
	"github.com/showcause/showcause/serve/event"
	"github.com/showcause/showcause/serve/watch"
	"github.com/showcause/showcause/update/trial"
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
	if len(os.Args) == 2 && os.Args[1] == "worker" {
		os.Exit(readMain())
	}
	if len(os.Args) == 2 && os.Args[1] == trial.Role {
		os.Exit(trialMain())
	}
	if len(os.Args) == 2 && os.Args[1] == casecmd.Role {
		os.Exit(casecmd.Read())
	}
	if len(os.Args) == 2 && os.Args[1] == extract.Role {
		os.Exit(extract.Read())
	}
	if len(os.Args) == 2 && os.Args[1] == survey.Role {
		os.Exit(survey.Read())
	}
	if len(os.Args) == 2 && os.Args[1] == reasons.Role {
		os.Exit(reasons.Read())
	}
	if len(os.Args) == 3 && os.Args[1] == event.Role {
		os.Exit(event.Main(os.Args[2:]))
	}
	if len(os.Args) == 3 && os.Args[1] == watch.Role {
		os.Exit(watch.Guard(os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// checked remembers that a write failed, so that no command ends well whose
// output is lost.
type checked struct {
	w   io.Writer
	err error
}

func (c *checked) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if err != nil && c.err == nil {
		c.err = err
	}
	return n, err
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
	out := &checked{w: stdout}
	root.SetOut(out)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(suggestFlag)
	root.AddCommand(scanCommand(), unpackHost().Command(), inventoryHost().Command(), rulesCommand(), statusCommand(), versionCommand(), made.VerifySelf(exitCode(exitFound)))
	root.AddCommand(selftestCommands()...)
	root.AddCommand(ledgercmd.Host{Refused: exitCode(exitFound), FlagError: suggestFlag}.Command(), yaraHost().YARA())
	root.AddCommand(egressCommands()...)
	root.AddCommand(updateHost().Command(), publishHost().Command())
	stores := storeHost()
	root.AddCommand(stores.Log(), stores.Quarantine())
	root.AddCommand(recordCommands()...)
	root.AddCommand(serveCommands()...)
	orders := directiveHost()
	root.AddCommand(ordercmd.Host{Refused: exitCode(exitFound)}.Order(orders.Orders()...))
	root.AddCommand(orders.Commands()...)
	root.Version = versionText()
	root.SetVersionTemplate("{{.Version}}\n")
	err := root.ExecuteContext(ctx)
	if err == nil && out.err != nil {
		err = fmt.Errorf("output: %w", out.err)
	}
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
