package worker

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// hangingFiles serves a file system with two files: "read", which never answers
// when it is read, and "stat", which never says what it is. It is a process of
// its own, so that its end is the end of all waits. The messages are those of
// fuse(4), linux/fuse.h.
func hangingFiles(dir string) {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == nil {
		err = unix.Mount("hang", dir, "fuse.hang", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd))
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	n := binary.NativeEndian
	b := make([]byte, 1<<20)
	attr := func(node uint64) []byte {
		mode := uint32(unix.S_IFREG | 0o644)
		if node == 1 {
			mode = unix.S_IFDIR | 0o755
		}
		a := make([]byte, 88)
		n.PutUint64(a, node)
		n.PutUint64(a[8:], 100) // size
		n.PutUint32(a[60:], mode)
		n.PutUint32(a[64:], 1)
		n.PutUint32(a[80:], 4096)
		return a
	}
	names := []string{"read", "stat"}
	for {
		m, err := unix.Read(fd, b)
		if err == unix.EINTR || err == unix.ENOENT {
			continue
		}
		if err != nil || m < 40 {
			os.Exit(0)
		}
		op, unique, node := n.Uint32(b[4:]), n.Uint64(b[8:]), n.Uint64(b[16:])
		var out []byte
		code := int32(0)
		switch op {
		case 26: // INIT
			out = make([]byte, 64)
			n.PutUint32(out, 7)
			n.PutUint32(out[4:], 31)
			n.PutUint32(out[8:], 1<<16)
			n.PutUint32(out[20:], 1<<16)
			n.PutUint32(out[24:], 1)
		case 1: // LOOKUP
			name, _, _ := bytes.Cut(b[40:m], []byte{0})
			code = -int32(unix.ENOENT)
			for i, s := range names {
				if s == string(name) {
					code, out = 0, make([]byte, 40)
					n.PutUint64(out, uint64(i+2))
					out = append(out, attr(uint64(i+2))...)
				}
			}
		case 3: // GETATTR
			if node == 3 {
				continue
			}
			out = append(make([]byte, 16), attr(node)...)
		case 14, 27: // OPEN, OPENDIR
			out = make([]byte, 16)
			n.PutUint32(out[8:], 1) // not by the page cache
		case 15: // READ
			continue
		case 2, 36: // FORGET, INTERRUPT
			continue
		case 18, 25, 29: // RELEASE, FLUSH, RELEASEDIR
		default:
			code = -int32(unix.ENOSYS)
		}
		h := make([]byte, 16, 16+len(out))
		n.PutUint32(h, uint32(16+len(out)))
		n.PutUint32(h[4:], uint32(code))
		n.PutUint64(h[8:], unique)
		_, _ = unix.Write(fd, append(h, out...))
	}
}
