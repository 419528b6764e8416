package main

import (
	"debug/elf"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var full = flag.Bool("full", false, "docs/sceptic.sh over as many files as for a sceptic")

// sceptic runs the script with a command and gives its lines.
func sceptic(t *testing.T, command, files, more string) (string, error) {
	t.Helper()
	c := exec.Command("sh", "../../docs/sceptic.sh", command)
	c.Env = append(os.Environ(), "FILES="+files, "MORE="+more)
	out, err := c.Output()
	return string(out), err
}

// built is the command as it is released.
func built(t *testing.T) string {
	bin := filepath.Join(t.TempDir(), "showcause")
	c := exec.Command("go", "build", "-trimpath", "-o", bin, ".")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// TestSceptic runs the script that lets an outsider see the jail from outside,
// and holds that it can fail.
func TestSceptic(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("no /proc")
	}
	bin := built(t)
	files, more := "600", "2000"
	if *full {
		files, more = "5000", "10000"
	}
	out, err := sceptic(t, bin, files, more)
	t.Log("\n" + out)
	if err != nil || strings.Contains(out, "FAIL") {
		t.Errorf("%v", err)
	}
	if !strings.Contains(out, "PASS") {
		t.Skip("nothing could be checked: strace, tcpdump or root are missing; see above")
	}

	// A program that hides a call that it makes, and one that does not lock what reads.
	for _, test := range []struct{ name, script, fails, more string }{
		{"hidden", `case $1 in status) "$real" "$@" | sed 's/"name":"pread64"/"name":"preadX"/' ;; *) exec "$real" "$@" ;; esac`, "strace", "50"},
		{"unlocked", `case $1 in scan) shift; exec "$real" scan --jail=off "$@" ;; *) exec "$real" "$@" ;; esac`, "strace|proc", "2000"},
		// Over at once: nothing could be seen, which is no failure.
		{"quick", `case $1 in scan) echo "0 nothing found" ;; *) exec "$real" "$@" ;; esac`, "", "50"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "showcause")
			if err := os.WriteFile(path, []byte("#!/bin/sh\nreal='"+bin+"'\n"+test.script+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			out, err := sceptic(t, path, "50", test.more)
			t.Log("\n" + out)
			if test.fails == "" {
				if !regexp.MustCompile(`(?m)^NOT RUN  readers while they read: .*(over after|no /proc/PID/task)`).MatchString(out) {
					t.Error("want NOT RUN")
				}
				return
			}
			for _, tool := range strings.Split(test.fails, "|") {
				line := regexp.MustCompile(`(?m)^.*\((` + tool + `|/` + tool + `)\).*$`).FindString(out)
				if strings.HasPrefix(line, "NOT RUN") {
					t.Logf("not shown: %s", line)
				} else if !strings.HasPrefix(line, "FAIL") || err == nil {
					t.Errorf("%s: passes, want FAIL: %s", tool, line)
				}
			}
		})
	}
}

// TestNoLibrary holds that the command as it is released carries no C library
// and needs none: no name is looked up by one.
func TestNoLibrary(t *testing.T) {
	f, err := elf.Open(built(t))
	if err != nil {
		t.Skipf("not an ELF system: %v", err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("has a %v", p.Type)
		}
	}
	names, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range names {
		if strings.HasSuffix(s.Name, "getaddrinfo") || strings.HasPrefix(s.Name, "x_cgo_") {
			t.Errorf("has %s", s.Name)
		}
	}
}
