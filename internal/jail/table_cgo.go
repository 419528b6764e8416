//go:build linux && (amd64 || arm64) && cgo

package jail

// cgo says that C may be linked, with a C library that makes calls of its own.
const cgo = true
