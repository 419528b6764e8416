//go:build !cgo

package jail

// cgo says that C may be linked; here it is not.
const cgo = false
