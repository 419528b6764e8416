//go:build linux && (amd64 || arm64)

package jail

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Available returns why no reader can be locked here, nil if one can. It is
// cheap: what Probe finds out by starting processes is left out.
func Available() error {
	g := seccompGiven()
	if g.On {
		return nil
	}
	var u unix.Utsname
	_ = unix.Uname(&u)
	return fmt.Errorf("%s (Linux %s, %s)", g.refusal(), unix.ByteSliceToString(u.Release[:]), runtime.GOARCH)
}

// refusal says what keeps readers from being locked.
func (g Given) refusal() string {
	if g.code == codeProc || g.code == codeNull {
		return g.Why
	}
	return g.Wall + ": " + g.Why
}
