//go:build !airgap

package main

import (
	"context"
	"encoding/json"
	"io"

	"github.com/showcause/showcause/internal/servecmd"
)

// controlSocket is where a service is asked how it stands.
const controlSocket = servecmd.DefaultControl

// askService asks one that runs, and returns what it said, and what writes that for people.
func askService(ctx context.Context, path string) (json.RawMessage, func(io.Writer) error, error) {
	s, err := servecmd.Ask(ctx, path)
	if err != nil {
		return nil, nil, err
	}
	b, err := json.Marshal(s)
	return b, func(w io.Writer) error { return servecmd.Show(w, s) }, err
}
