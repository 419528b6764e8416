//go:build !airgap

package main

import (
	"github.com/spf13/cobra"

	"github.com/showcause/showcause/internal/servecmd"
)

// serveCommands are the commands about the service.
func serveCommands() []*cobra.Command {
	return servecmd.Host{Version: version(), OpenRules: openDB, Scratch: scratch, StoreDir: storeDir, FlagError: suggestFlag}.Commands()
}
