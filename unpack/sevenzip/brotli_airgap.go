//go:build airgap

package sevenzip

import (
	"errors"
	"io"
)

// brotliDecoder stands for the decoder that this build has not.
type brotliDecoder struct{}

var errNoBrotli = errors.New("brotli: not in this build")

func newBrotli(io.Reader) *brotliDecoder { return nil }

// Read fails.
func (*brotliDecoder) Read([]byte) (int, error) { return 0, errNoBrotli }
