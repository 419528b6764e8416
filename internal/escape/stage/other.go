//go:build !linux || (!amd64 && !arm64)

// Package stage plays the broker for attempts to get out of the jail, which
// exists on Linux alone.
package stage
