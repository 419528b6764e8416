//go:build linux && (amd64 || arm64)

package jail

import (
	"slices"
	"strings"
	"testing"
	"unsafe"
)

func ptr(b []byte) unsafe.Pointer { return unsafe.Pointer(&b[0]) }

// TestWorks runs each kind of work under the filter.
func TestWorks(t *testing.T) {
	each(t, func(t *testing.T, b build, uid int) {
		for _, work := range []string{"nothing", "gc", "goroutines", "timers", "panic", "big", "stack", "threads", "preempt", "recv", "scratch", "idle", "local time", "rules"} {
			o := b.run(t, uid, spec{Work: work, Memory: 4 << 30})
			if o.Error != "" || o.Exit != "exit 0" || !strings.HasPrefix(o.Out, "ok") || !o.Sealed {
				t.Errorf("%s: %s %s: %q\n%s", work, o.Error, o.Exit, o.Out, o.Log)
			}
		}
	})
}

func on(s Status) (out []string) {
	for _, g := range s.Walls {
		if g.On {
			out = append(out, g.Wall)
		}
	}
	return out
}

func why(s Status, wall string) string {
	i := slices.IndexFunc(s.Walls, func(g Given) bool { return g.Wall == wall })
	if i < 0 {
		return "no such wall"
	}
	return s.Walls[i].Why
}

// TestForms takes rights away from the broker and looks at what is left.
func TestForms(t *testing.T) {
	each(t, func(t *testing.T, b build, uid int) {
		for _, deny := range []string{"", "userns", "allns", "netns", "cgroupns", "mountns", "mount", "pivot", "setuid", "anysetuid", "landlock", "close_range", "leak"} {
			s := spec{Work: "nothing"}
			if deny != "" {
				s.Deny = []string{deny}
			}
			o := b.run(t, uid, s)
			if o.Error != "" || o.Exit != "exit 0" || o.Out != "ok" || !o.Sealed {
				t.Errorf("%s: %s %s: %q\n%s", deny, o.Error, o.Exit, o.Out, o.Log)
			}
			if testing.Verbose() {
				t.Logf("%s: on %v", deny, on(o.Status))
				for _, g := range o.Status.Walls {
					if g.Why != "" {
						t.Logf("%s: %s: %s", deny, g.Wall, g.Why)
					}
				}
			}
		}
	})
}
