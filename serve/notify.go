package serve

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// beat is what is said for the watchdog.
const beat = "WATCHDOG=1"

// notify tells the service manager how it goes (sd_notify(3)): by a datagram, without
// connecting, which the lock does not allow. Nobody may be listening. The kernel keeps ten
// that are not read yet: but for a beat, which another follows, a second is waited for room.
func notify(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	for range 50 {
		if err := datagram(path, []byte(state)); !errors.Is(err, unix.EAGAIN) || state == beat {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// datagram sends one to a path; one that begins with @ is abstract.
func datagram(path string, b []byte) error {
	if strings.HasPrefix(path, "@") {
		path = "\x00" + path[1:]
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, b, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, &unix.SockaddrUnix{Name: path})
}

// reloading is said when rules are changed under way.
func reloading() {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) == nil {
		notify(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000))
	}
}

// watchdog returns how often the service manager wants to hear of this process, 0 if
// it does not.
func watchdog() time.Duration {
	if pid := os.Getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || usec <= 0 {
		return 0
	}
	return time.Duration(usec) * time.Microsecond / 2
}
