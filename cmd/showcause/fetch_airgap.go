//go:build airgap

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// egressCommands: none, in a build without a way out.
func egressCommands() []*cobra.Command { return nil }

// fetchCommand says why there is no such command here.
func fetchCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "fetch",
		Short: "Not in this build: it holds no code that talks to a network",
		Long: `Not in this build (tag airgap): it holds no code that talks to a network. Bring
rule files on a medium; rules compile and scan --db take them from there.`,
		Args:               cobra.ArbitraryArgs,
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true}, // whatever is asked, the answer is the same
		RunE: func(*cobra.Command, []string) error {
			return errors.New("rules fetch: air gap: this build holds no code that talks to a network; bring rule files on a medium")
		},
	}
}
