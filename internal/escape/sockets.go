//go:build linux && (amd64 || arm64)

package escape

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// socketAttempts make new sockets: 1, 2, and what needs a new socket to be shown.
func socketAttempts() []Attempt {
	families := []struct {
		name        string
		af, typ, pr uintptr
		needs       string
	}{
		{"inet", unix.AF_INET, unix.SOCK_DGRAM, 0, ""},
		{"inet6", unix.AF_INET6, unix.SOCK_DGRAM, 0, ""},
		{"unix", unix.AF_UNIX, unix.SOCK_STREAM, 0, ""},
		{"netlink", unix.AF_NETLINK, unix.SOCK_RAW, 0, ""},
		{"packet", unix.AF_PACKET, unix.SOCK_RAW, 0x0300, "CAP_NET_RAW"},
		{"vsock", unix.AF_VSOCK, unix.SOCK_STREAM, 0, ""},
		{"alg", unix.AF_ALG, unix.SOCK_SEQPACKET, 0, ""},
		{"xdp", unix.AF_XDP, unix.SOCK_RAW, 0, "CAP_NET_RAW"},
		{"bluetooth", unix.AF_BLUETOOTH, unix.SOCK_SEQPACKET, 0, ""},
		{"kcm", unix.AF_KCM, unix.SOCK_DGRAM, 0, ""},
		{"rds", unix.AF_RDS, unix.SOCK_SEQPACKET, 0, ""},
		{"tipc", unix.AF_TIPC, unix.SOCK_RDM, 0, ""},
	}
	var all []Attempt
	for _, f := range families {
		all = append(all, plain(1, "socket-"+f.name, "a socket of family "+f.name, unix.SYS_SOCKET, fixed(f.af, f.typ, f.pr),
			unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT, unix.ESOCKTNOSUPPORT).need(f.needs))
	}
	return append(
		all,
		Attempt{Number: 1, Name: "socket-raw", What: "a raw ICMP socket", Needs: "CAP_NET_RAW", try: func(g *ground) error {
			return g.call(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)
		}},
		Attempt{Number: 2, Name: "socketpair", What: "a pair of sockets", try: func(g *ground) error {
			return g.call(unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_STREAM, 0, g.mem(8))
		}},
	)
}

// addr4 is a sockaddr_in of 127.0.0.1.
func (g *ground) addr4(port int) uintptr {
	b := binary.NativeEndian.AppendUint16(nil, unix.AF_INET)
	b = binary.BigEndian.AppendUint16(b, uint16(port))
	return g.bytes(append(b, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0))
}

// abstract is a sockaddr_un of an abstract name, and its length.
func (g *ground) abstract(name string) (uintptr, uintptr) {
	b := binary.NativeEndian.AppendUint16(nil, unix.AF_UNIX)
	b = append(append(b, 0), name...)
	return g.bytes(b), uintptr(len(b))
}

// dgram sends token as one UDP datagram to the broker's listener.
func (g *ground) dgram() error {
	fd, err := g.sys(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	return g.call(unix.SYS_SENDTO, fd, g.str(Token), uintptr(len(Token)), 0, g.addr4(g.UDP), 16)
}

// descriptorAttempts misuse the descriptors that a reader has: 3, 4, 32 and more.
func descriptorAttempts() []Attempt {
	var all []Attempt
	for fd := uintptr(0); fd <= 5; fd++ {
		// connect asks for an address that is not there: a socket says so, anything else that it is no socket.
		all = append(
			all,
			Attempt{
				Number: 3, Name: fmt.Sprintf("connect-fd%d", fd), What: fmt.Sprintf("connect on descriptor %d", fd),
				through: []unix.Errno{unix.ENOTSOCK, unix.ECONNREFUSED, unix.EISCONN, unix.EINVAL},
				try: func(g *ground) error {
					p, n := g.abstract("showcause-nobody-listens-here")
					return g.call(unix.SYS_CONNECT, fd, p, n)
				},
			},
			Attempt{
				Number: 4, Name: fmt.Sprintf("sendto-fd%d", fd), What: fmt.Sprintf("sendto on descriptor %d", fd),
				through: []unix.Errno{unix.ENOTSOCK}, try: func(g *ground) error {
					return g.call(unix.SYS_SENDTO, fd, g.str(Token), uintptr(len(Token)), 0, 0, 0)
				},
			},
			Attempt{
				Number: 4, Name: fmt.Sprintf("sendmsg-fd%d", fd), What: fmt.Sprintf("sendmsg on descriptor %d", fd),
				through: []unix.Errno{unix.ENOTSOCK}, try: func(g *ground) error {
					return g.call(unix.SYS_SENDMSG, fd, g.msg(Token, nil), 0)
				},
			},
			Attempt{
				Number: 4, Name: fmt.Sprintf("sendmmsg-fd%d", fd), What: fmt.Sprintf("sendmmsg on descriptor %d", fd),
				through: []unix.Errno{unix.ENOTSOCK}, try: func(g *ground) error {
					// struct mmsghdr is a msghdr (56 bytes) and a length.
					m := g.mem(64)
					copy(g.at(m, 56), g.at(g.msg(Token, nil), 56))
					return g.call(unix.SYS_SENDMMSG, fd, m, 1, 0)
				},
			},
		)
	}
	all = append(all, controlAttempts()...)
	return append(all, ioctlAttempts()...)
}

// controlAttempts are the other things that one can do to the control socket, and descriptors sent back over it.
func controlAttempts() []Attempt {
	return []Attempt{
		{Number: 51, Name: "send-descriptor", What: "a scanned file's descriptor sent out over the control socket", Give: PassedFile, try: func(g *ground) error {
			return g.call(unix.SYS_SENDMSG, 3, g.msg(Token, unix.UnixRights(g.passed)), 0)
		}},
		{Number: 51, Name: "recvmsg-other", What: "recvmsg on a socket other than the control socket", before: func(g *ground) error {
			p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			if _, err := unix.Write(p[1], []byte(Token)); err != nil {
				return err
			}
			return g.own("other", p[0], nil)
		}, try: func(g *ground) error {
			buf := g.mem(64)
			iov := g.words(buf, 64)
			if err := g.call(unix.SYS_RECVMSG, g.fd("other"), g.words(0, 0, iov, 1, 0, 0, 0), 0); err != nil {
				return err
			}
			return g.holds(buf)
		}},
		{Number: 51, Name: "recvfrom-fd3", What: "recvfrom on the control socket", through: []unix.Errno{unix.EAGAIN}, try: func(g *ground) error {
			return g.call(unix.SYS_RECVFROM, 3, g.mem(64), 64, unix.MSG_DONTWAIT, 0, 0)
		}},
		{Number: 51, Name: "recvmmsg-fd3", What: "recvmmsg on the control socket", through: []unix.Errno{unix.EAGAIN}, try: func(g *ground) error {
			m := g.mem(64)
			copy(g.at(m, 56), g.at(g.words(0, 0, g.words(g.mem(64), 64), 1, 0, 0, 0), 56))
			return g.call(unix.SYS_RECVMMSG, 3, m, 1, unix.MSG_DONTWAIT, 0)
		}},
		plain(51, "shutdown-fd3", "shutdown of the control socket", unix.SYS_SHUTDOWN, fixed(3, unix.SHUT_RDWR)),
		{Number: 51, Name: "getsockopt-fd3", What: "who is at the other end (SO_PEERCRED)", try: func(g *ground) error {
			return g.call(unix.SYS_GETSOCKOPT, 3, unix.SOL_SOCKET, unix.SO_PEERCRED, g.mem(16), g.ints(12))
		}},
		{Number: 51, Name: "setsockopt-fd3", What: "setsockopt on the control socket", try: func(g *ground) error {
			return g.call(unix.SYS_SETSOCKOPT, 3, unix.SOL_SOCKET, unix.SO_PASSCRED, g.ints(1), 4)
		}},
		{Number: 51, Name: "getsockname-fd3", What: "getsockname of the control socket", try: func(g *ground) error {
			return g.call(unix.SYS_GETSOCKNAME, 3, g.mem(112), g.ints(110))
		}},
		{Number: 51, Name: "bind-fd3", What: "the control socket bound to a name that others may reach", try: func(g *ground) error {
			p, n := g.abstract(fmt.Sprintf("showcause-bound-%d", g.Parent))
			return g.call(unix.SYS_BIND, 3, p, n)
		}},
		plain(51, "listen-fd3", "listen on the control socket", unix.SYS_LISTEN, fixed(3, 1), unix.EINVAL),
		plain(51, "accept4-fd3", "accept on the control socket", unix.SYS_ACCEPT4, fixed(3, 0, 0, unix.SOCK_NONBLOCK), unix.EINVAL),
		{
			Number: 52, Name: "read-leaked", What: "reading a file that was left open when the reader was started", Give: LeakedFile,
			denied: []unix.Errno{unix.EBADF}, try: func(g *ground) error {
				buf := g.mem(64)
				if err := g.call(unix.SYS_PREAD64, 6, buf, 64, 0); err != nil {
					return err
				}
				return g.holds(buf)
			},
		},
		{
			Number: 52, Name: "send-leaked", What: "sending over a socket that was left open when the reader was started", Give: LeakedUDP,
			denied: []unix.Errno{unix.EBADF}, try: func(g *ground) error {
				return g.call(unix.SYS_SENDTO, 6, g.str(Token), uintptr(len(Token)), 0, 0, 0)
			},
		},
		{
			Number: 52, Name: "write-leaked", What: "write(2) to a socket that was left open when the reader was started", Give: LeakedUDP,
			denied: []unix.Errno{unix.EBADF}, try: func(g *ground) error {
				return g.call(unix.SYS_WRITE, 6, g.str(Token), uintptr(len(Token)))
			},
		},
	}
}

// ioctlAttempts are 32 and what else ioctl can do.
func ioctlAttempts() []Attempt {
	pty := func(g *ground) error {
		// A terminal of our own: the first one opened after setsid controls the session.
		_, _ = unix.Setsid() // a reader has its own session already, and then this is refused
		m, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
		if err != nil {
			return skipf("/dev/ptmx: %v", err)
		}
		if err := unix.IoctlSetPointerInt(m, unix.TIOCSPTLCK, 0); err != nil {
			return skipf("pty: %v", err)
		}
		n, err := unix.IoctlGetInt(m, unix.TIOCGPTN)
		if err != nil {
			return skipf("pty: %v", err)
		}
		s, err := unix.Open(fmt.Sprintf("/dev/pts/%d", n), unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return skipf("pty: %v", err)
		}
		if err := g.own("ptmx", m, nil); err != nil {
			return err
		}
		return g.own("tty", s, nil)
	}
	all := []Attempt{
		{
			Number: 32, Name: "tiocsti", What: "a character typed into the controlling terminal", before: pty,
			Needs: "a terminal of its own, and dev.tty.legacy_tiocsti = 1 or CAP_SYS_ADMIN", through: []unix.Errno{unix.EIO}, try: func(g *ground) error {
				return g.call(unix.SYS_IOCTL, g.fd("tty"), unix.TIOCSTI, g.str("\n"))
			},
		},
		{
			Number: 32, Name: "tioclinux", What: "TIOCLINUX: a selection pasted on a console", before: pty, through: []unix.Errno{unix.ENOTTY, unix.EINVAL},
			try: func(g *ground) error {
				return g.call(unix.SYS_IOCTL, g.fd("tty"), 0x541c, g.str("\x02"))
			},
		},
		{Number: 56, Name: "ioctl-siocgifconf", What: "the addresses of this machine, asked on the control socket", try: func(g *ground) error {
			return g.call(unix.SYS_IOCTL, 3, unix.SIOCGIFCONF, g.words(0, 0))
		}},
		{Number: 56, Name: "ioctl-siocspgrp", What: "signals of the control socket sent to another process", try: func(g *ground) error {
			return g.call(unix.SYS_IOCTL, 3, unix.SIOCSPGRP, g.ints(uint32(unix.Getpid())))
		}},
		{
			Number: 56, Name: "ioctl-ficlone", What: "blocks of a scanned file shared into the scratch file", Give: PassedFile,
			through: []unix.Errno{unix.EOPNOTSUPP, unix.EXDEV, unix.EINVAL, unix.ENOTTY}, try: func(g *ground) error {
				return g.call(unix.SYS_IOCTL, 5, unix.FICLONE, uintptr(g.passed))
			},
		},
		{
			Number: 56, Name: "ioctl-getflags", What: "the attributes of a scanned file", Give: PassedFile,
			through: []unix.Errno{unix.ENOTTY, unix.EOPNOTSUPP}, try: func(g *ground) error {
				return g.call(unix.SYS_IOCTL, uintptr(g.passed), unix.FS_IOC_GETFLAGS, g.mem(8))
			},
		},
		{
			Number: 56, Name: "ioctl-nsgetparent", What: "NS_GET_USERNS on a descriptor", through: []unix.Errno{unix.ENOTTY},
			try: func(g *ground) error { return g.call(unix.SYS_IOCTL, 3, 0xb701) },
		},
	}
	for fd := uintptr(0); fd <= 5; fd++ {
		all = append(all, Attempt{
			Number: 32, Name: fmt.Sprintf("tiocsti-fd%d", fd), What: fmt.Sprintf("TIOCSTI on descriptor %d", fd),
			through: []unix.Errno{unix.ENOTTY, unix.EINVAL}, try: func(g *ground) error {
				return g.call(unix.SYS_IOCTL, fd, unix.TIOCSTI, g.str("\n"))
			},
		})
	}
	return append(all, Attempt{Number: 56, Name: "ioctl-fionread", What: "FIONREAD on the control socket", try: func(g *ground) error {
		return g.call(unix.SYS_IOCTL, 3, unix.TIOCINQ, g.mem(8))
	}})
}
