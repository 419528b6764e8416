//go:build linux && (amd64 || arm64)

package stage

import (
	"bytes"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause/internal/escape"
)

// meanwhile is the broker's part in a workload: it stops the reader and lets it go on, or ends it by SIGTERM.
func (sc *scene) meanwhile(p process) {
	if sc.attempt.Name != escape.Workload && sc.attempt.Name != escape.WorkloadSignal || !sc.await() {
		return
	}
	// None of these can fail but for a reader that is gone, which its exit tells.
	if sc.attempt.Name == escape.WorkloadSignal {
		_ = unix.Kill(p.pid(), unix.SIGTERM)
		return
	}
	time.Sleep(20 * time.Millisecond)
	_ = unix.Kill(p.pid(), unix.SIGSTOP)
	time.Sleep(20 * time.Millisecond)
	_ = unix.Kill(p.pid(), unix.SIGCONT)
}

// await waits until the reader sleeps; false if it is gone.
func (sc *scene) await() bool {
	var seen []byte
	buf := make([]byte, 512)
	for {
		n, err := sc.ours[ourLog].Read(buf)
		seen = append(seen, buf[:n]...)
		if bytes.Contains(seen, []byte(escape.Sleeping)) {
			return true
		}
		if err != nil || len(seen) > 64<<10 {
			return false
		}
	}
}

// work runs a workload without the lines named. The text says what broke; it is
// empty if the work was done.
func (s *Stage) work(name string, without ...string) (broke string) {
	r := s.run(escape.Attempt{Name: name, Give: escape.PassedFile}, without, false)
	switch {
	case name == escape.Workload && r.Outcome == escape.LetThrough && r.How == escape.Worked:
		return ""
	case name == escape.WorkloadSignal && r.Outcome == escape.Unclear && (strings.HasPrefix(r.How, "exit 2") || r.How == "SIGTERM"):
		return ""
	}
	return r.String()
}
