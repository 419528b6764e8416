package clamdtalk

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// EICAR is the test file that every scanner finds.
const EICAR = `X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`

// Database are the rules that the conversations were recorded with, by file name.
func Database() map[string]string {
	return map[string]string{
		"test.hdb": "44d88612fea8a8f36de82e1278abb02f:68:Win.Test.EICAR_HDB-1\n",
		"test.ldb": "Test.Sub;Engine:51-255,Target:0;0;4141414142424242\nTest.Sub2;Engine:51-255,Target:0;0;42424242\n",
	}
}

// Tree makes the folder that is scanned:
//
//	e.txt  d/a           EICAR
//	d/b                  what two rules hit
//	d/x/c                clean
//	lone/a  lone/x/c     EICAR, clean
//	empty                no byte
//	link  dirlink        symbolic links to e.txt and d
//	pipe                 a named pipe
//	name\nwith           a line end in the name; EICAR
//	deep/1/2/.../20/e    EICAR, deeper than MaxDirectoryRecursion
//	deep15/ deep16/      EICAR in as many folders below
//	forge/               a name that is a reply, if a line end ends one; EICAR
//	out/                 excluded by ExcludePath; EICAR in it
//	some/1 ... some/20   clean, and EICAR in 7 and 13
func Tree(dir string) error {
	write := func(name, text string) error {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, []byte(text), 0o644)
	}
	files := [][2]string{
		{"e.txt", EICAR},
		{"d/a", EICAR},
		{"d/b", "AAAABBBB hello"},
		{"d/x/c", "clean"},
		{"lone/a", EICAR},
		{"lone/x/c", "clean"},
		{"empty", ""},
		{"name\nwith", EICAR},
		{"out/e", EICAR},
		{"blank end ", "clean"},
		{"hole/..dots", "clean"},
	}
	for name, n := range map[string]int{"deep": 20, "deep15": 15, "deep16": 16} {
		for i := range n {
			name += fmt.Sprintf("/%d", i+1)
		}
		files = append(files, [2]string{name + "/e", EICAR})
	}
	files = append(files, [2]string{"forge/e: OK\nnext", EICAR})
	for i := range 20 {
		text := "clean"
		if i == 7 || i == 13 {
			text = EICAR
		}
		files = append(files, [2]string{fmt.Sprintf("some/%d", i), text})
	}
	for _, f := range files {
		if err := write(f[0], f[1]); err != nil {
			return err
		}
	}
	if err := os.Symlink("e.txt", filepath.Join(dir, "link")); err != nil {
		return err
	}
	if err := os.Symlink("d", filepath.Join(dir, "dirlink")); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(dir, "bare"), 0o755); err != nil {
		return err
	}
	return syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644)
}

// Peer is a clamd that runs.
type Peer struct {
	cmd    *exec.Cmd
	Tree   string // what it was told to scan
	socket string
	tcp    string
	log    *os.File
}

// Config is what the conversations were recorded with, and what Showcause reads too.
func Config(dir, tree string, port int) string {
	user := ""
	if os.Geteuid() == 0 {
		user = "User root\n" // or it could not read what the test wrote
	}
	return fmt.Sprintf("LocalSocket %s/socket\nTCPSocket %d\nTCPAddr 127.0.0.1\nDatabaseDirectory %[1]s/db\nTemporaryDirectory %[1]s\nForeground yes\n"+
		"StreamMaxLength 1M\nReadTimeout 2\nCommandReadTimeout 2\nIdleTimeout 5\nExcludePath ^%[3]s/out\n%[4]s", dir, port, tree, user)
}

// Start starts a clamd with a database and a tree of its own below dir.
func Start(ctx context.Context, clamd, dir string) (*Peer, error) {
	return StartAs(dir, func(conf string) *exec.Cmd { return exec.CommandContext(ctx, clamd, "--config-file="+conf) })
}

// StartAs starts in clamd's place what command makes of the path of its clamd.conf.
func StartAs(dir string, command func(conf string) *exec.Cmd) (*Peer, error) {
	p := &Peer{Tree: filepath.Join(dir, "tree"), socket: filepath.Join(dir, "socket")}
	if err := Tree(p.Tree); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "db"), 0o755); err != nil {
		return nil, err
	}
	for name, text := range Database() {
		if err := os.WriteFile(filepath.Join(dir, "db", name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p.tcp = l.Addr().String()
	l.Close()
	conf := filepath.Join(dir, "clamd.conf")
	if err := os.WriteFile(conf, []byte(Config(dir, p.Tree, l.Addr().(*net.TCPAddr).Port)), 0o644); err != nil {
		return nil, err
	}
	if p.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		return nil, err
	}
	p.cmd = command(conf)
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Dir = p.log, p.log, p.Tree
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	for range 600 {
		if c, err := p.Dial(false); err == nil {
			c.Close()
			return p, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.Stop()
	text, _ := os.ReadFile(p.log.Name())
	return nil, fmt.Errorf("clamd does not answer: %s", strings.TrimSpace(string(text)))
}

// Dial connects to it.
func (p *Peer) Dial(tcp bool) (net.Conn, error) {
	if tcp {
		return net.Dial("tcp", p.tcp)
	}
	return net.Dial("unix", p.socket)
}

// Socket is the path of its Unix socket.
func (p *Peer) Socket() string { return p.socket }

// Stop ends it.
func (p *Peer) Stop() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
	p.log.Close()
}
