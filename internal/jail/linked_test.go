//go:build cgo && linux

package jail

// C is linked, as it is into the program when a compiler is installed.
import _ "runtime/cgo"
