package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Listen is a socket that a door listens on.
type Listen struct {
	Door    string      `json:"door"`
	Network string      `json:"network"` // "unix", "tcp"
	Address string      `json:"address"` // path, or host:port
	Mode    fs.FileMode `json:"-"`       // of a path; default 0666, as clamd has it
	Group   string      `json:"-"`       // of a path; default this process's
	Keep    bool        `json:"-"`       // a path that is there already is an error, though nobody listens
	From    string      `json:"-"`       // where this setting comes from
}

// opened is a socket that is open.
type opened struct {
	Listen
	l     net.Listener
	given bool // by the service manager: its path is not ours to remove
}

// sharedDoor is what systemd calls a socket that its unit does not name.
const sharedDoor = "unknown"

// open opens sockets, or takes those that are open already.
func open(want []Listen, from *predecessor) (out []opened, err error) {
	defer func() {
		if err != nil {
			for _, o := range out {
				o.l.Close()
			}
			out = nil
		}
	}()
	if out, err = activated(want); err != nil {
		return out, err
	}
	given := out
	for _, w := range want {
		if slices.ContainsFunc(given, func(o opened) bool { return o.Door == w.Door }) {
			continue // the service manager says where
		}
		o := opened{Listen: w}
		if f := from.take(w); f != nil {
			o.l, err = listener(f)
		} else {
			o.l, err = w.open()
		}
		if err != nil {
			return out, fmt.Errorf("door %s: %s: %w", w.Door, w.Address, err)
		}
		out = append(out, o)
	}
	return out, nil
}

// listener takes an open socket, and closes f.
func listener(f *os.File) (net.Listener, error) {
	defer f.Close()
	l, err := net.FileListener(f)
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // the next process has it
	}
	return l, err
}

// errListens is a path at which another process listens.
var errListens = errors.New("another process listens there")

// open opens the socket.
func (w *Listen) open() (net.Listener, error) {
	if w.Network != "unix" {
		// Connections take keep-alive from the socket they come to: four system calls less for each.
		c := net.ListenConfig{KeepAlive: -1, Control: keepAlive}
		return c.Listen(context.Background(), w.Network, w.Address)
	}
	if st, err := os.Lstat(w.Address); err == nil {
		switch c, err := net.Dial("unix", w.Address); {
		case err == nil:
			c.Close()
			return nil, errListens
		case w.Keep:
			return nil, unix.EADDRINUSE
		case st.Mode()&fs.ModeSocket == 0:
			return nil, errors.New("something that is no socket is there")
		}
		if err := os.Remove(w.Address); err != nil {
			return nil, err
		}
	}
	old := unix.Umask(0o177) // nobody asks before the mode is right
	l, err := net.Listen("unix", w.Address)
	unix.Umask(old)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	mode := w.Mode
	if mode == 0 {
		mode = 0o666
	}
	if w.Group != "" {
		var gid int
		if gid, err = groupID(w.Group); err == nil {
			err = os.Lchown(w.Address, -1, gid)
		}
	}
	if err == nil {
		err = os.Chmod(w.Address, mode)
	}
	if err != nil {
		l.Close()
		os.Remove(w.Address)
		return nil, err
	}
	return l, nil
}

// keepAlive has a peer asked that has been silent for 15 seconds, every 15 seconds, nine times.
func keepAlive(_, _ string, c syscall.RawConn) (err error) {
	cerr := c.Control(func(fd uintptr) {
		for _, o := range []struct{ level, name, value int }{
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15},
			{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15},
			{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9},
		} {
			if err == nil {
				err = unix.SetsockoptInt(int(fd), o.level, o.name, o.value)
			}
		}
	})
	return errors.Join(cerr, err)
}

func groupID(name string) (int, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		if n, nerr := strconv.Atoi(name); nerr == nil {
			return n, nil
		}
		return 0, err
	}
	return strconv.Atoi(g.Gid)
}

// firstGiven is the first descriptor that the service manager passes (sd_listen_fds(3)).
const firstGiven = 3

// activated returns the sockets that the service manager opened. A socket's name
// (FileDescriptorName=) is that of its door; one without goes to the first that is wanted.
func activated(want []Listen) (out []opened, err error) {
	pid, _ := strconv.Atoi(os.Getenv("LISTEN_PID"))
	n, _ := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	for _, v := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		os.Unsetenv(v)
	}
	if pid != os.Getpid() || n < 1 {
		return nil, nil
	}
	first := "clamd"
	if len(want) > 0 {
		first = want[0].Door
	}
	for i := range n {
		fd := firstGiven + i
		unix.CloseOnExec(fd)
		o := opened{given: true, Listen: Listen{Door: first, From: "socket activation"}}
		if i < len(names) && names[i] != "" && names[i] != sharedDoor && !strings.HasSuffix(names[i], ".socket") {
			o.Door = names[i]
		}
		if o.l, err = listener(os.NewFile(uintptr(fd), "socket")); err != nil {
			return out, fmt.Errorf("socket %d of the service manager: %w", i, err)
		}
		o.Network, o.Address = o.l.Addr().Network(), o.l.Addr().String()
		out = append(out, o)
	}
	return out, nil
}
