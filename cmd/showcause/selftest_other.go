//go:build !linux || (!amd64 && !arm64)

package main

import "github.com/spf13/cobra"

// selftestCommands has none where there is no jail.
func selftestCommands() []*cobra.Command { return nil }
