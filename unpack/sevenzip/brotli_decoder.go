//go:build !airgap

package sevenzip

import (
	"io"

	"github.com/andybalholm/brotli"
)

// brotliDecoder decodes Brotli. The library has a server of HTTP in the same package, so
// that a build without a network does without it.
type brotliDecoder = brotli.Reader

func newBrotli(r io.Reader) *brotliDecoder { return brotli.NewReader(r) }
