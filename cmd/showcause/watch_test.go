//go:build !airgap

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause/evidence"
)

// watched is a file system of the test's own that "showcause watch" watches.
func watched(t *testing.T, args ...string) (s *service, folder string) {
	t.Helper()
	return watchedWith(t, func(*service) {}, args...)
}

// watchedWith is watched, with a folder that was made ready.
func watchedWith(t *testing.T, ready func(*service), args ...string) (s *service, folder string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("fanotify and mounts take root")
	}
	dir := t.TempDir()
	folder = filepath.Join(dir, "watched")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("watch-test", folder, "tmpfs", 0, ""); err != nil {
		t.Skipf("tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(folder, unix.MNT_DETACH) })
	s = &service{t: t, dir: dir, log: filepath.Join(dir, "log")}
	s.write("db/test.ndb", fmt.Sprintf("Test.Marker:0:*:%x\n", "watch-test marker 9e22"))
	if err := os.Mkdir(filepath.Join(dir, "store"), 0o700); err != nil {
		t.Fatal(err)
	}
	ready(s)
	f, err := os.Create(s.log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := exec.Command("showcause", append(append([]string{"watch", "--db", filepath.Join(dir, "db")}, args...), folder)...)
	c.Env, c.Stdout, c.Stderr = s.env(), f, f
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	s.cmd = c
	t.Cleanup(s.end)
	s.until("ready", func() bool {
		text := s.logged()
		if strings.Contains(text, "fanotify: ") {
			t.Skip(text)
		}
		return strings.Contains(text, "msg=ready")
	})
	return s, folder
}

// deeds are the words of the deeds in the store.
func (s *service) deeds() (out []string) {
	names, _ := filepath.Glob(filepath.Join(s.dir, "store/records/*/*.scf"))
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			s.t.Fatal(err)
		}
		r, err := evidence.Parse(b)
		if err != nil {
			s.t.Fatal(err)
		}
		if a := r.Statement().Action; a != nil {
			out = append(out, a.Deed)
		}
	}
	slices.Sort(out)
	return out
}

// A finding in a watched folder is refused and taken into quarantine, each with a record;
// what its rule's stage does not allow to be taken stays.
func TestWatchQuarantine(t *testing.T) {
	for _, stage := range []string{"act", "report"} {
		t.Run(stage, func(t *testing.T) {
			s, folder := watched(t, "--block", "--quarantine")
			if err := os.WriteFile(filepath.Join(s.dir, "store/stages"), []byte(stage+" *\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			bad, clean := filepath.Join(folder, "bad"), filepath.Join(folder, "clean")
			for path, text := range map[string]string{bad: "x watch-test marker 9e22", clean: "nothing"} {
				if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if out, err := exec.Command("cat", bad).CombinedOutput(); err == nil {
				t.Errorf("bad is read: %s", out)
			}
			if out, err := exec.Command("cat", clean).CombinedOutput(); err != nil || string(out) != "nothing" {
				t.Errorf("%v %s", err, out)
			}
			if stage == "act" {
				s.told("msg=\"taken into quarantine\"")
				if _, err := os.Lstat(bad); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("it is still there: %v", err)
				}
			} else {
				s.told("not taken into quarantine")
				if _, err := os.Lstat(bad); err != nil {
					t.Errorf("it is gone: %v", err)
				}
			}
			if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			_ = s.cmd.Wait()
			want := []string{"block"}
			if stage == "act" {
				want = append(want, "take")
			}
			if got := s.deeds(); !slices.Equal(got, want) {
				t.Errorf("deeds %q, want %q\n%s", got, want, s.logged())
			}
			if out, err := s.run("log", "verify"); err != nil {
				t.Errorf("%v %s", err, out)
			}
			if stage == "act" {
				list, err := s.run("quarantine", "list")
				if err != nil || !strings.Contains(list, bad) {
					t.Errorf("%v %s", err, list)
				}
			}
		})
	}
}

// Who may not watch is told what it takes, and nothing else happens.
func TestWatchDenied(t *testing.T) {
	exe, err := exec.LookPath("showcause")
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe, "watch", "--block", "/")
	c.Env = []string{"PATH=" + os.Getenv("PATH"), storeVariable + "=" + storeOff}
	if os.Geteuid() == 0 {
		in, err := os.MkdirTemp("/tmp", "denied")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(in)
		if err := os.Chmod(in, 0o755); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(exe)
		if err != nil {
			t.Fatal(err)
		}
		c.Path = filepath.Join(in, "showcause") // the folder of the test's is root's alone
		if err := os.WriteFile(c.Path, b, 0o755); err != nil {
			t.Fatal(err)
		}
		c.Dir = "/"
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitError || !strings.Contains(string(out), "CAP_SYS_ADMIN") || !strings.Contains(string(out), "showcause scan") {
		t.Errorf("%v %s", err, out)
	}
}
