// Package event runs the command of clamd's VirusEvent. The service is locked and can
// start nothing but readers, so that a small process does it, which is started before the
// lock and is told what was found, over a socket: a name and a rule, no content.
package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Role is the argument with which this program is the process that runs the command.
const Role = "virus-event"

const (
	socketFD  = 3
	atOnce    = 4           // commands that run at a time
	patience  = time.Minute // for each; then it is killed, with what it started and is in its group
	maxText   = 8 << 10     // bytes of a name that are told
	maxPacket = 64 << 10    // of a message
)

// found is what is told.
type found struct {
	Name []byte `json:"name"`
	Rule string `json:"rule"`
}

// Main runs args[0] for each message, until nobody can send one any more.
func Main(args []string) int {
	if len(args) != 1 {
		return 2
	}
	ignored := make(chan os.Signal, 1) // whoever stops the service stops it; what was found before is told of
	signal.Notify(ignored, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR2)
	go func() {
		for range ignored {
		}
	}()
	var running sync.WaitGroup
	defer running.Wait()
	free := make(chan struct{}, atOnce)
	b := make([]byte, maxPacket)
	for {
		free <- struct{}{}
		n, err := unix.Read(socketFD, b)
		switch {
		case err == unix.EINTR:
			<-free
			continue
		case n == 0 || err != nil:
			return 0
		}
		var f found
		if json.Unmarshal(b[:n], &f) != nil {
			<-free
			continue
		}
		running.Go(func() {
			defer func() { <-free }()
			if err := run(args[0], &f); err != nil {
				fmt.Fprintln(os.Stderr, "showcause: VirusEvent:", err)
			}
		})
	}
}

// run runs the command as clamd does: by /bin/sh, with the rule in place of %v, and both in
// the environment. %f has not been filled in since CVE-2024-20328.
func run(command string, f *found) error {
	c := exec.Command("/bin/sh", "-c", fill(command, f.Rule))
	c.Env = []string{"CLAM_VIRUSEVENT_FILENAME=" + string(f.Name), "CLAM_VIRUSEVENT_VIRUSNAME=" + f.Rule}
	if p := os.Getenv("PATH"); p != "" {
		c.Env = append(c.Env, "PATH="+p)
	}
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		return err
	}
	late := time.AfterFunc(patience, func() { _ = unix.Kill(-c.Process.Pid, unix.SIGKILL) })
	defer late.Stop()
	return c.Wait()
}

// fill fills a rule in. Names of rules are their authors': what a shell could take for more
// than a word becomes an underscore.
func fill(command, rule string) string {
	word := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-/:@+,", r) {
			return r
		}
		return '_'
	}, rule)
	return strings.NewReplacer("%v", word, "%f", "see-CLAM_VIRUSEVENT_FILENAME").Replace(command)
}

// Teller tells the process that runs the command. It is safe for concurrent use.
type Teller struct {
	f    *os.File
	raw  syscall.RawConn
	log  *slog.Logger
	lost atomic.Int64
}

// Start starts that process, which lives as long as anybody has the Teller's file.
func Start(command string, args []string, log *slog.Logger) (*Teller, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("virus event: %w", err)
	}
	end := os.NewFile(uintptr(fds[1]), "virus event")
	defer end.Close()
	if args == nil {
		args = []string{"showcause", Role}
	}
	c := exec.Command("/proc/self/exe", append(args[1:len(args):len(args)], command)...)
	c.Args[0] = args[0]
	c.Stderr = os.Stderr
	c.ExtraFiles = []*os.File{end}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	c.Env = append(os.Environ(), "GOMAXPROCS=1")
	if err := c.Start(); err != nil {
		unix.Close(fds[0])
		return nil, fmt.Errorf("virus event: %w", err)
	}
	go func() { _ = c.Wait() }()
	return Take(os.NewFile(uintptr(fds[0]), "virus event"), log)
}

// Take makes a Teller of the file of another, which a process before this one had.
func Take(f *os.File, log *slog.Logger) (*Teller, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("virus event: %w", err)
	}
	return &Teller{f: f, raw: raw, log: log}, nil
}

// File is the Teller's, for another process.
func (t *Teller) File() *os.File { return t.f }

// Close ends the process once nobody else can tell it anything, and its commands have ended.
func (t *Teller) Close() error { return t.f.Close() }

// Tell has the command run. It waits for nothing: where too many wait, one is lost, which
// is logged.
func (t *Teller) Tell(name, rule string) {
	name = strings.ReplaceAll(name, "\x00", "")
	b, err := json.Marshal(found{[]byte(name[:min(len(name), maxText)]), strings.ReplaceAll(rule[:min(len(rule), maxText)], "\x00", "")})
	if err == nil {
		cerr := t.raw.Control(func(fd uintptr) {
			if err = unix.SetNonblock(int(fd), true); err == nil { // handing it to another process has it wait
				_, err = unix.Write(int(fd), b)
			}
		})
		err = errors.Join(err, cerr)
	}
	if err != nil {
		t.log.Error("VirusEvent is not run", "lost", t.lost.Add(1), "error", err)
	}
}
