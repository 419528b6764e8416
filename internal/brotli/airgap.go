//go:build airgap

// Package brotli stands for the decoder of Brotli that this build has not.
package brotli

import (
	"errors"
	"io"
)

// Reader reads nothing.
type Reader struct{}

var errNotBuilt = errors.New("brotli: not in this build")

// NewReader returns a reader that fails.
func NewReader(io.Reader) *Reader { return nil }

// Read fails.
func (*Reader) Read([]byte) (int, error) { return 0, errNotBuilt }

// Excess is never so.
func Excess(error) bool { return false }
