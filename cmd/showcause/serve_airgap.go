//go:build airgap

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/spf13/cobra"
)

// serveCommands say why there is no service here: its doors are sockets.
func serveCommands() []*cobra.Command {
	return []*cobra.Command{{
		Use:                "serve",
		Short:              "Not in this build: it holds no code that talks to a network",
		Args:               cobra.ArbitraryArgs,
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		RunE: func(*cobra.Command, []string) error {
			return errors.New("serve: air gap: this build holds no code that talks to a network")
		},
	}}
}

// controlSocket is none.
const controlSocket = ""

func askService(context.Context, string) (json.RawMessage, func(io.Writer) error, error) {
	return nil, nil, errors.New("service: air gap: this build holds no code that talks to a network")
}
