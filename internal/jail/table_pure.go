//go:build linux && (amd64 || arm64) && !cgo

package jail

// cgo says that C may be linked; here it is not.
const cgo = false
