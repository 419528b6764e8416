//go:build !airgap

// Package brotli is the decoder of Brotli, for builds that may have it. The library has a
// server of HTTP in the same package, so that a build without a network does without it.
package brotli

import (
	"io"

	"github.com/andybalholm/brotli"
)

// Reader decodes Brotli.
type Reader = brotli.Reader

// NewReader returns a decoder of r.
func NewReader(r io.Reader) *Reader { return brotli.NewReader(r) }

// Excess tells that a stream ended, and that something is behind it. The library has no
// name for that error; its others are of a type of their own.
func Excess(err error) bool {
	return err != nil && err.Error() == "brotli: excessive input"
}
