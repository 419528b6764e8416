//go:build !airgap

package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause/internal/servecmd"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
)

// serveCommands are the commands about the service.
func serveCommands() []*cobra.Command {
	return servecmd.Host{Version: version(), OpenRules: openFor, Scratch: scratch, StoreDir: storeDir, FlagError: suggestFlag}.Commands()
}

// openFor is openDB for the service, which chooses among ClamAV's signatures as clamd.conf says.
func openFor(ctx context.Context, paths []string, o rules.Options, stderr io.Writer, quiet bool) (*ruledb.DB, error) {
	o.Externals = usualExternals()
	return openRules(ctx, paths, o, stderr, quiet)
}
