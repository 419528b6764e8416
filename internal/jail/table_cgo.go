//go:build cgo

package jail

// cgo says that C may be linked, with a C library that makes calls of its own.
const cgo = true
