//go:build linux && (amd64 || arm64)

package jail

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// role plays the broker or the egress process and tries things.
func role(args []string) map[string]string {
	said := map[string]string{}
	note := func(what string, err error) {
		var errno syscall.Errno
		switch {
		case err == nil:
			said[what] = "ok"
		case errors.As(err, &errno):
			said[what] = unix.ErrnoName(errno)
		default:
			said[what] = err.Error()
		}
	}
	socket := func(what string, family, kind, proto int) {
		fd, err := unix.Socket(family, kind, proto)
		if err == nil {
			unix.Close(fd)
		}
		note(what, err)
	}
	open := func(what, path string) {
		f, err := os.Open(path)
		if err == nil {
			f.Close()
		}
		note(what, err)
	}
	switch args[0] {
	case "chroot":
		dir, err := os.MkdirTemp("", "jail")
		if err == nil && args[1] == "null" {
			err = errors.Join(os.Mkdir(dir+"/dev", 0o755), unix.Mknod(dir+"/dev/null", unix.S_IFCHR|0o666, 1<<8|3))
		}
		note("chroot", errors.Join(err, unix.Chroot(dir), unix.Chdir("/")))
		note("available", Available())
		said["sealed"] = strconv.FormatBool(Status{Walls: Probe().Walls}.Sealed())
		return said // there is no filter: what follows would reach the tester
	case "probe":
		for range 20 {
			note("available", Available())
		}
		note("lock", Broker())
	case "broker":
		note("lock", Broker())
	case "daemon":
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			note("listen", err)
			break
		}
		out, err := net.Dial("tcp", l.Addr().String()) // of one that asks, in place of another process
		note("ask", err)
		note("lock", Daemon())
		in, err := l.Accept()
		note("accept", err)
		if err == nil {
			_, err = in.Write([]byte("x"))
			note("answer", err)
			in.Close()
			out.Close()
		}
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		note("datagrams", err)
		if err == nil {
			note("connect", unix.Connect(fd, &unix.SockaddrUnix{Name: "/run/nobody"}))
			note("bind", unix.Bind(fd, &unix.SockaddrUnix{Name: "@showcause-test"}))
			unix.Close(fd)
		}
		if pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0); err == nil {
			note("listen", unix.Listen(pair[0], 1))
		}
	case "egress":
		dir := args[1]
		port, _ := strconv.Atoi(args[2])
		status, err := Egress(EgressConfig{Write: []string{dir + "/state"}, Read: []string{dir + "/one"}, Ports: []uint16{uint16(port)}})
		note("lock", err)
		for _, g := range status.Walls {
			said["wall "+g.Wall] = "off"
			if g.On {
				said["wall "+g.Wall] = "on"
			}
		}
		c, err := net.DialTimeout("tcp", "127.0.0.1:"+args[2], 5*time.Second)
		note("connect", err)
		if err == nil {
			c.Close()
		}
		_, err = net.DialTimeout("tcp", "127.0.0.1:"+args[3], 5*time.Second)
		note("connect elsewhere", err)
		note("write state", os.WriteFile(dir+"/state/new", []byte("x"), 0o600))
		note("append state", func() error {
			f, err := os.OpenFile(dir+"/state/log", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			if err != nil {
				return err
			}
			return errors.Join(f.Sync(), f.Close())
		}())
		note("rename state", os.Rename(dir+"/state/new", dir+"/state/old"))
		note("remove state", os.Remove(dir+"/state/old"))
		note("write beside", os.WriteFile(dir+"/beside", []byte("x"), 0o600))
		open("read one", dir+"/one")
		open("read secret", dir+"/secret")
		open("read passwd", "/etc/passwd")
		_, err = (&net.Resolver{PreferGo: true}).LookupHost(context.Background(), "localhost")
		note("resolve", err)
	}
	socket("tcp", unix.AF_INET, unix.SOCK_STREAM, 0)
	socket("udp6", unix.AF_INET6, unix.SOCK_DGRAM, 0)
	socket("mptcp", unix.AF_INET, unix.SOCK_STREAM, 262)
	socket("raw", unix.AF_INET, unix.SOCK_RAW, 1)
	socket("netlink", unix.AF_NETLINK, unix.SOCK_DGRAM, 0)
	socket("packet", unix.AF_PACKET, unix.SOCK_DGRAM, 0)
	socket("unix", unix.AF_UNIX, unix.SOCK_STREAM, 0)
	_, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
	note("pair", err)
	_, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, 0, 0)
	note("io_uring", errno)
	_, _, errno = unix.Syscall(unix.SYS_BPF, 0, 0, 0)
	note("bpf", errno)
	note("ptrace", unix.PtraceAttach(unix.Getppid()))
	note("exec", exec.Command("/bin/true").Run())
	return said
}

func play(t *testing.T, b build, uid int, args ...string) map[string]string {
	t.Helper()
	c := exec.Command(b.path)
	c.Env = []string{roleVariable + "=" + strings.Join(args, " ")}
	c.Stderr = os.Stderr
	if uid != os.Geteuid() {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	out, err := c.Output()
	said := map[string]string{}
	if jerr := json.Unmarshal(out, &said); jerr != nil {
		t.Fatalf("%v: %v %s", args, err, out)
	}
	return said
}

func compare(t *testing.T, said, want map[string]string) {
	t.Helper()
	for what, w := range want {
		if said[what] != w {
			t.Errorf("%s: %s, want %s", what, said[what], w)
		}
	}
}

func TestBroker(t *testing.T) {
	each(t, func(t *testing.T, b build, uid int) {
		compare(t, play(t, b, uid, "broker"), map[string]string{
			"lock": "ok", "tcp": "EACCES", "udp6": "EACCES", "mptcp": "EACCES", "raw": "EACCES", "netlink": "EACCES", "packet": "EACCES",
			"unix": "ok", "pair": "ok", "io_uring": "EPERM", "bpf": "EPERM", "ptrace": "EPERM", "exec": "ok",
		})
	})
}

func TestDaemon(t *testing.T) {
	each(t, func(t *testing.T, b build, uid int) {
		compare(t, play(t, b, uid, "daemon"), map[string]string{
			"lock": "ok", "ask": "ok", "accept": "ok", "answer": "ok", "datagrams": "ok", "connect": "EPERM", "bind": "EPERM", "listen": "EPERM",
			"tcp": "EACCES", "udp6": "EACCES", "mptcp": "EACCES", "raw": "EACCES", "netlink": "EACCES", "packet": "EACCES",
			"unix": "EACCES", "pair": "ok", "io_uring": "EPERM", "bpf": "EPERM", "ptrace": "EPERM", "exec": "ok",
		})
	})
}

func TestEgress(t *testing.T) {
	each(t, func(t *testing.T, b build, uid int) {
		dir, err := reachable()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(dir, "state"), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"one", "secret"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if uid != os.Geteuid() {
			for _, name := range []string{"state", "."} {
				if err := os.Chown(filepath.Join(dir, name), uid, uid); err != nil {
					t.Fatal(err)
				}
			}
		}
		var ports []string
		for range 2 {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			_, port, _ := net.SplitHostPort(l.Addr().String())
			ports = append(ports, port)
		}
		said := play(t, b, uid, "egress", dir, ports[0], ports[1])
		want := map[string]string{
			"lock": "ok", "wall seccomp": "on", "wall no_new_privs": "on", "wall capabilities": "on", "wall dumpable": "on", "wall net_ns": "off",
			"connect": "ok", "write state": "ok", "append state": "ok", "rename state": "ok", "remove state": "ok", "read one": "ok", "resolve": "ok",
			"tcp": "ok", "udp6": "ok", "mptcp": "EACCES", "raw": "EACCES", "netlink": "EACCES", "packet": "EACCES", "unix": "EACCES", "pair": "EPERM",
			"io_uring": "EPERM", "bpf": "EPERM", "ptrace": "EPERM",
		}
		abi, _ := landlockABI()
		if !b.cgo || abi >= 8 {
			for _, what := range []string{"write beside", "read secret", "read passwd"} {
				want[what] = "EACCES"
			}
			if abi >= 4 {
				want["connect elsewhere"] = "EACCES"
			}
		} else if uid == 0 {
			want["wall capabilities"] = "off" // of threads, as Landlock
		}
		compare(t, said, want)
		if said["exec"] == "ok" {
			t.Error("a program was started")
		}
	})
}
