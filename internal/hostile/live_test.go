package hostile

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// safe tells whether a line of output is harmless wherever it is shown.
func safe(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029') {
			return false
		}
	}
	return true
}

// TestNames holds that no name, of a file or in one, puts a control character
// or a line of its own into any output.
func TestNames(t *testing.T) {
	exe, db := command(t)
	dir := t.TempDir()
	for i, in := range names() {
		save(t, filepath.Join(dir, fmt.Sprintf("%02d", i)), in.Make())
	}
	count := len(names())
	for _, name := range []string{"m\x1b[2J", "m\r\nstream: OK", "m\u202egnp.exe", "m\xff\xfe", strings.Repeat("\x01", 200), "m\u2028x", "m: Hostile FOUND\nother", "\"};{\"", "\x9b31m", "-rf"} {
		save(t, filepath.Join(dir, name), names()[0].Make())
		count++
	}
	for _, format := range [][]string{{"text"}, {"text", "--explain", "--verbose"}, {"json"}, {"json", "--explain"}, {"sarif"}, {"clamscan", "--allmatch"}} {
		out, errs, exit := run(t, exe, append([]string{"scan", dir, "--no-summary", "--db", db, "--format"}, format...)...)
		if exit != 1 || !safe(strings.ReplaceAll(out, "\n\n", "\n")) || !safe(errs) {
			t.Errorf("%v: exit %d, safe %v %v", format, exit, safe(out), safe(errs))
		}
		switch lines := strings.Split(strings.TrimSpace(out), "\n"); format[0] {
		case "json":
			if rs := results(t, out); len(rs) != count {
				t.Errorf("%v: %d results, want %d", format, len(rs), count)
			}
		case "clamscan":
			if len(lines) != count {
				t.Errorf("%v: %d lines, want %d", format, len(lines), count)
			}
			for _, l := range lines {
				if !strings.HasSuffix(l, ": Hostile.Marker.UNOFFICIAL FOUND") {
					t.Errorf("%v: %q", format, l)
				}
			}
		}
	}
}

// TestSpecial holds that nothing in a folder makes the command wait.
func TestSpecial(t *testing.T) {
	exe, db := command(t)
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	must(os.Symlink("/dev/zero", filepath.Join(dir, "device")))
	must(os.Symlink("..", filepath.Join(dir, "up")))
	must(os.Symlink("self", filepath.Join(dir, "self")))
	must(os.WriteFile(filepath.Join(dir, "m"), []byte(Marker), 0o600))
	must(os.Mkdir(filepath.Join(dir, "closed"), 0))
	out, _, exit := run(t, exe, "scan", "--db", db, dir)
	if exit != 1 || !strings.Contains(out, "1 FIFO") || !strings.Contains(out, "3 symlinks") {
		t.Errorf("exit %d: %s", exit, out)
	}
	if os.Getuid() != 0 && !strings.Contains(out, "closed: permission denied") {
		t.Errorf("the closed folder is not said: %s", out)
	}
	for _, path := range []string{"fifo", "device", "self"} {
		if out, _, exit := run(t, exe, "scan", "--db", db, filepath.Join(dir, path)); exit != 2 {
			t.Errorf("%s: exit %d: %s", path, exit, out)
		}
	}
	for _, path := range []string{"/proc/kcore", "/proc/kmsg", "/dev/zero", "/dev/tty", "/proc/self/mem", "/sys/kernel/debug", "/proc/self/pagemap", "/proc/sysrq-trigger", "/proc"} {
		if _, err := os.Lstat(path); err != nil {
			continue
		}
		out, _, exit := run(t, exe, "scan", "--db", db, "--no-summary", path)
		t.Logf("%s: exit %d: %.200s", path, exit, out)
	}
}

// TestDeep holds that a folder deeper than any path can name is said.
func TestDeep(t *testing.T) {
	exe, db := command(t)
	dir := t.TempDir()
	fd, err := syscall.Open(dir, syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	const name = "a-folder-with-a-name-of-some-length"
	const depth = 400 // 14,400 bytes of path; PATH_MAX is 4,096
	for range depth {
		if err := syscall.Mkdirat(fd, name, 0o700); err != nil {
			t.Fatal(err)
		}
		next, err := syscall.Openat(fd, name, syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
		syscall.Close(fd)
		if err != nil {
			t.Fatal(err)
		}
		fd = next
	}
	f, err := syscall.Openat(fd, "m", syscall.O_CREAT|syscall.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	syscall.Write(f, []byte(Marker))
	syscall.Close(f)
	syscall.Close(fd)
	out, _, exit := run(t, exe, "scan", "--db", db, dir)
	if exit != 1 && !(exit == 2 && strings.Contains(out, "ERROR")) {
		t.Errorf("exit %d: %.500s", exit, out)
	}
	t.Logf("exit %d, %d bytes of output", exit, len(out))
}

// TestSparse scans a file of the largest size that the file system takes.
func TestSparse(t *testing.T) {
	exe, db := command(t)
	for _, start := range []string{"", "text that goes on\n", "<html><body>", "PK\x03\x04", "From: a\nTo: b\n\n", "MZ", "\x1f\x8b\x08\x00", "BZh91AY&SY", "07070100000000000000000000000000000000000000000000000000000000000000000000", "!<arch>\n"} {
		path := filepath.Join(t.TempDir(), "sparse")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString(start)
		size := int64(1<<63 - 1)
		for f.Truncate(size) != nil {
			size = size/2 + 1
			if size < 1<<30 {
				t.Skip("no large files here")
			}
		}
		f.Close()
		began := time.Now()
		out, c := metered(t, exe, "scan", "--db", db, "--format", "json", "--no-summary", path)
		if c.Exit != 2 {
			t.Errorf("%.20q: exit %d after %v: %.300s", start, c.Exit, time.Since(began), out)
			continue
		}
		if c.Peak > maxPeak {
			t.Errorf("%.20q: %d MB", start, c.Peak>>20)
		}
		r := results(t, out)[0]
		t.Logf("%.20q, %d GiB: %s %s, %.2f s, %d MB", start, size>>30, r.Verdict, codes(r.report()), c.CPU.Seconds(), c.Peak>>20)
	}
}

// TestRaces changes a file while it is read: no crash, and what changed is said.
func TestRaces(t *testing.T) {
	exe, db := command(t)
	const size = 300 << 20
	check := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	for _, c := range []struct {
		name    string
		changed bool
		step    func(path string, i int64)
	}{
		{"grown", true, func(path string, i int64) { check(os.Truncate(path, size+i)) }},
		{"truncated", true, func(path string, i int64) { check(os.Truncate(path, max(size-i<<19, 4096))) }},
		{"truncated and back", true, func(path string, _ int64) {
			check(os.Truncate(path, 100))
			check(os.Truncate(path, size))
		}},
		{"written, its time put back", true, func(path string, i int64) {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			check(err)
			_, err = f.WriteAt([]byte{byte(i)}, 100)
			check(err)
			check(f.Close())
			check(os.Chtimes(path, time.Unix(1e9, 0), time.Unix(1e9, 0)))
		}},
		{"replaced", false, func(path string, i int64) {
			check(os.WriteFile(path+".new", []byte(fmt.Sprint(i)), 0o600))
			check(os.Rename(path+".new", path))
		}},
		{"replaced by a FIFO", false, func(path string, _ int64) {
			os.Remove(path)
			check(syscall.Mkfifo(path, 0o600))
		}},
	} {
		path := filepath.Join(t.TempDir(), "racing")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		check(f.Truncate(size))
		f.Close()
		check(os.Chtimes(path, time.Unix(1e9, 0), time.Unix(1e9, 0)))
		stop, done := make(chan bool), make(chan bool)
		go func() {
			defer close(done)
			for i := int64(1); ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
					c.step(path, i)
				}
			}
		}()
		out, _, exit := run(t, exe, "scan", "--db", db, "--format", "json", "--no-summary", path)
		close(stop)
		<-done
		r := results(t, out)[0]
		if c.changed && (exit != 2 || !has(r.report(), "changed")) {
			t.Errorf("%s: %s %s, want incomplete, changed", c.name, r.Verdict, codes(r.report()))
		}
		if has(r.report(), "crash") {
			t.Errorf("%s: crash", c.name)
		}
		t.Logf("%s: %s %s %s", c.name, r.Verdict, codes(r.report()), r.Error)
	}
}

// TestSwap swaps a file for links and devices while a folder is scanned.
func TestSwap(t *testing.T) {
	exe, db := command(t)
	dir := t.TempDir()
	for i := range 300 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%03d", i)), noise(5000, uint64(i)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stop, done := make(chan bool), make(chan bool)
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			path := filepath.Join(dir, fmt.Sprintf("f%03d", i%300))
			os.Remove(path)
			switch i % 4 {
			case 0:
				os.Symlink("/dev/zero", path)
			case 1:
				syscall.Mkfifo(path, 0o600)
			case 2:
				os.Mkdir(path, 0o700)
			case 3:
				os.WriteFile(path, []byte("x"), 0o600)
			}
		}
	}()
	for range 5 {
		run(t, exe, "scan", "--db", db, dir)
	}
	close(stop)
	<-done
}

// TestInterrupt holds that a scan of a file without end can be ended by its user.
func TestInterrupt(t *testing.T) {
	exe, db := command(t)
	path := filepath.Join(t.TempDir(), "huge")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(200 << 30); err != nil {
		t.Skip(err)
	}
	f.Close()
	cmd := exec.Command(exe, "scan", "--db", db, path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	cmd.Process.Signal(os.Interrupt)
	ended := make(chan bool)
	go func() { cmd.Wait(); close(ended) }()
	select {
	case <-ended:
		if code := cmd.ProcessState.ExitCode(); code != 2 {
			t.Errorf("exit %d, want 2", code)
		}
	case <-time.After(10 * time.Second):
		cmd.Process.Kill()
		<-ended
		t.Error("does not end when interrupted")
	}
}
