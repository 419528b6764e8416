package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if os.Getenv(storeVariable) == "" {
		os.Setenv(storeVariable, storeOff) // no test writes into the store of the host
	}
	testscript.Main(m, map[string]func(){"showcause": main, "unlocked": unlocked})
}

// unlocked runs a command as if on a kernel without seccomp(2).
func unlocked() {
	runtime.LockOSThread()
	const enosys = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_SECCOMP, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: enosys},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	if err == nil {
		err = unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0)
	}
	path := ""
	if err == nil {
		path, err = exec.LookPath(os.Args[1])
	}
	if err == nil {
		err = unix.Exec(path, os.Args[1:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, "unlocked:", err)
	os.Exit(3)
}

// TestScripts runs the command as its user would. Each file of testdata is a story.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, "cache"))
			e.Setenv("TMPDIR", e.WorkDir)
			e.Setenv(storeVariable, storeOff)
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Getuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"make":  makeFile,
			"serve": serveFiles,
			"equal": equalButTime,
		},
	})
}

// eicar is put together here so that no file of the project is the test virus.
func eicar() []byte {
	return []byte(`X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-` + `STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`)
}

// makeFile writes a file of the kind named: make KIND FILE [MEMBER].
func makeFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: make KIND FILE [MEMBER...]")
	}
	kind, out := args[0], ts.MkAbs(args[1])
	var in []byte
	if len(args) > 2 && kind != "name" && kind != "zeros" {
		in = []byte(ts.ReadFile(args[2]))
	}
	var b bytes.Buffer
	switch kind {
	case "eicar":
		b.Write(eicar())
	case "zip":
		z := zip.NewWriter(&b)
		w, err := z.Create(args[2])
		ts.Check(err)
		w.Write(in)
		ts.Check(z.Close())
	case "climb": // members whose names lead out of the folder, are forged lines, or are equal
		z := zip.NewWriter(&b)
		for i, name := range []string{"../../climbed", "/climbed", "a\n  forged\x1b[2J", "same", "same", "CON.txt"} {
			w, err := z.Create(name)
			ts.Check(err)
			fmt.Fprintf(w, "member %d\n", i)
		}
		ts.Check(z.Close())
	case "locked": // a member that says that it is encrypted, and is not readable without a password
		z := zip.NewWriter(&b)
		w, err := z.CreateRaw(&zip.FileHeader{Name: args[2], Flags: 1, Method: zip.Deflate, CRC32: 1, CompressedSize64: uint64(len(in)), UncompressedSize64: uint64(len(in))})
		ts.Check(err)
		for i, c := range in {
			w.Write([]byte{c ^ byte(0xa5+7*i)})
		}
		ts.Check(z.Close())
	case "sealed": // under a password, the third argument
		b.Write(sealedZip(ts, args[2], in, args[3]))
	case "sealedmail": // a mail whose text tells the password
		fmt.Fprintf(&b, "From: a@example.org\r\nTo: b@example.org\r\nSubject: test\r\nMIME-Version: 1.0\r\n"+
			"Content-Type: multipart/mixed; boundary=cut\r\n\r\n--cut\r\nContent-Type: text/plain\r\n\r\nsee file, the password is: %s.\r\n"+
			"--cut\r\nContent-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n%s\r\n--cut--\r\n",
			args[3], base64.StdEncoding.EncodeToString(sealedZip(ts, args[2], in, args[3])))
	case "gzip":
		z := gzip.NewWriter(&b)
		z.Write(in)
		ts.Check(z.Close())
	case "tar":
		w := tar.NewWriter(&b)
		ts.Check(w.WriteHeader(&tar.Header{Name: args[2], Size: int64(len(in)), Mode: 0o644}))
		w.Write(in)
		ts.Check(w.Close())
	case "mail":
		fmt.Fprintf(&b, "From: a@example.org\r\nTo: b@example.org\r\nSubject: test\r\nMIME-Version: 1.0\r\n"+
			"Content-Type: multipart/mixed; boundary=cut\r\n\r\n--cut\r\nContent-Type: text/plain\r\n\r\nsee file\r\n"+
			"--cut\r\nContent-Type: application/octet-stream; name=%q\r\nContent-Transfer-Encoding: base64\r\n\r\n%s\r\n--cut--\r\n",
			args[2], base64.StdEncoding.EncodeToString(in))
	case "ace":
		b.WriteString("\x12\x34\x31\x00\x00\x00\x90**ACE**\x14\x14\x02\x00" + strings.Repeat("\x00", 40))
	case "zeros":
		n, err := strconv.ParseInt(args[2], 10, 64)
		ts.Check(err)
		f, err := os.Create(out)
		ts.Check(err)
		ts.Check(f.Truncate(n))
		ts.Check(f.Close())
		return
	case "fifo":
		ts.Check(syscall.Mkfifo(out, 0o600))
		return
	case "socket":
		fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		ts.Check(err)
		defer syscall.Close(fd)
		// A path that is too long for a socket address is reached through the folder.
		dir, err := os.Open(filepath.Dir(out))
		ts.Check(err)
		defer dir.Close()
		ts.Check(syscall.Bind(fd, &syscall.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(out))}))
		return
	case "name": // a copy of a file under a name that would do harm on a terminal
		out = filepath.Join(filepath.Dir(out), "evil\x1b[31m\u202egnp.\nexe: OK")
		b.WriteString(ts.ReadFile(args[2]))
	default:
		ts.Fatalf("unknown kind %s", kind)
	}
	ts.Check(os.WriteFile(out, b.Bytes(), 0o644))
}

// equalButTime compares two files of output but for what a clock says.
func equalButTime(ts *testscript.TestScript, neg bool, args []string) {
	strip := func(s string) string {
		var keep []string
		for _, line := range strings.Split(s, "\n") {
			if !strings.Contains(line, `"seconds"`) && !strings.Contains(line, " MB/s)") && !strings.HasPrefix(line, "without the jail") {
				keep = append(keep, line)
			}
		}
		return strings.Join(keep, "\n")
	}
	a, b := strip(ts.ReadFile(args[0])), strip(ts.ReadFile(args[1]))
	if (a == b) == neg {
		ts.Fatalf("equal %v: %v\n%s\n---\n%s", args, a == b, a, b)
	}
}
