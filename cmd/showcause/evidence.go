package main

import (
	"github.com/spf13/cobra"

	"github.com/showcause/showcause/internal/recordcmd"
)

// evidenceCommand holds the commands about records, and more from elsewhere.
func evidenceCommand(more ...*cobra.Command) *cobra.Command {
	return recordcmd.Host{
		Version: version(), StoreFlag: storeFlag, StoreDir: storeDir, Refused: exitCode(exitFound),
	}.Evidence(more...)
}
