package recipes

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/showcause/showcause/internal/clamdtalk"
)

// ftp puts a file on a server, and returns what that said in the end.
func ftp(t *testing.T, address, user, password, name, content string) string {
	t.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	c := textproto.NewConn(nc)
	ask := func(want int, format string, args ...any) string {
		if format != "" {
			if err := c.PrintfLine(format, args...); err != nil {
				t.Fatal(err)
			}
		}
		_, text, err := c.ReadResponse(want)
		if err != nil {
			t.Fatalf("%s: %v", fmt.Sprintf(format, args...), err)
		}
		return text
	}
	ask(220, "")
	ask(331, "USER %s", user)
	ask(230, "PASS %s", password)
	ask(200, "TYPE I")
	text := ask(229, "EPSV") // Entering Extended Passive Mode (|||port|)
	_, text, _ = strings.Cut(text, "(|||")
	text, _, _ = strings.Cut(text, "|")
	data, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", text))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprintf(nc, "STOR %s\r\n", name)
	if _, _, err := c.ReadResponse(150); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(data, content)
	data.Close()
	code, text, _ := c.ReadResponse(0)
	return fmt.Sprintf("%d %s", code, text)
}

// ProFTPD's module asks before an upload takes its place.
func TestProFTPD(t *testing.T) {
	begin(t)
	program := needs(t, "proftpd", "proftpd-core")
	if found, _ := filepath.Glob("/usr/lib/proftpd/mod_clamav.so"); len(found) == 0 {
		t.Skip("mod_clamav (package proftpd-mod-clamav) is not installed")
	}
	asRoot(t)
	s := serve(t)
	dir, address := folder(t, ""), free(t)
	home := dir + "/home"
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	own(t, home, "nobody")
	hash, err := exec.Command("openssl", "passwd", "-6", "secret").Output()
	if err != nil {
		t.Skip("openssl is not installed")
	}
	passwd := write(t, dir, "passwd", "joe:"+strings.TrimSpace(string(hash))+":65534:65534::"+home+":/bin/sh\n")
	if err := os.Chmod(passwd, 0o600); err != nil {
		t.Fatal(err)
	}
	conf := write(t, dir, "proftpd.conf", fmt.Sprintf(`ServerType standalone
DefaultAddress 127.0.0.1
SocketBindTight on
Port %[2]s
UseIPv6 off
ModulePath /usr/lib/proftpd
User nobody
Group nogroup
UseReverseDNS off
PidFile %[1]s/pid
ScoreboardFile %[1]s/scoreboard
DelayTable %[1]s/delay
SystemLog %[1]s/log
TransferLog none
WtmpLog off
AuthOrder mod_auth_file.c
AuthUserFile %[1]s/passwd
RequireValidShell off
AllowOverwrite on
%[3]s
`, dir, port(address), s.block(t, "ProFTPD", 0)))
	logs(t, dir+"/log")
	start(t, nil, listens(address), program, "-n", "-c", conf)
	if got := ftp(t, address, "joe", "secret", "clean", "nothing\n"); !strings.HasPrefix(got, "226") {
		t.Errorf("clean: %s", got)
	}
	if b, err := os.ReadFile(home + "/clean"); err != nil || string(b) != "nothing\n" {
		t.Errorf("clean: %q %v", b, err)
	}
	if got := ftp(t, address, "joe", "secret", "eicar", clamdtalk.EICAR); !strings.HasPrefix(got, "5") || !strings.Contains(got, hit) {
		t.Errorf("infected: %s", got)
	}
	if got := ftp(t, address, "joe", "secret", "locked", locked(t)); !strings.HasPrefix(got, "5") {
		t.Errorf("encrypted: %s", got)
	}
	for _, name := range []string{"eicar", "locked"} {
		if _, err := os.Stat(home + "/" + name); err == nil {
			t.Errorf("%s is there", name)
		}
	}
}

// Samba's module virusfilter asks when a file is opened.
func TestSamba(t *testing.T) {
	begin(t)
	program, client := needs(t, "smbd", "samba"), needs(t, "smbclient", "smbclient")
	passwd := needs(t, "smbpasswd", "samba-common-bin")
	if found, _ := filepath.Glob("/usr/lib/*/samba/vfs/virusfilter.so"); len(found) == 0 {
		t.Skip("vfs_virusfilter (package samba-vfs-modules) is not installed")
	}
	asRoot(t)
	s := serve(t)
	dir, address := folder(t, ""), free(t)
	for _, sub := range []string{"share", "private", "state", "cache", "lock", "run", "log", "ncalrpc"} {
		if err := os.Mkdir(dir+"/"+sub, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, "share/clean", "nothing\n")
	write(t, dir, "share/eicar", clamdtalk.EICAR)
	write(t, dir, "share/locked", locked(t))
	conf := write(t, dir, "smb.conf", fmt.Sprintf(`[global]
server role = standalone server
smb ports = %[2]s
interfaces = 127.0.0.1
bind interfaces only = yes
disable netbios = yes
private dir = %[1]s/private
state directory = %[1]s/state
cache directory = %[1]s/cache
lock directory = %[1]s/lock
pid directory = %[1]s/run
ncalrpc dir = %[1]s/ncalrpc
log file = %[1]s/log/%%m
max log size = 0
load printers = no
disable spoolss = yes
[files]
path = %[1]s/share
read only = no
%[3]s
`, dir, port(address), s.block(t, "Samba", 0)))
	c := exec.Command(passwd, "-c", conf, "-a", "-s", "root")
	c.Stdin = strings.NewReader("secret\nsecret\n")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("smbpasswd: %v %s", err, out)
	}
	start(t, nil, listens(address), program, "-F", "--no-process-group", "--debug-stdout", "-s", conf)
	get := func(name string) string {
		out, _ := exec.Command(client, "-s", conf, "-p", port(address), "-U", "root%secret", "//127.0.0.1/files", "-c", "get "+name+" "+dir+"/got-"+name).CombinedOutput()
		return string(out)
	}
	if out := get("clean"); strings.Contains(out, "NT_STATUS") {
		t.Errorf("clean: %s", out)
	}
	if b, err := os.ReadFile(dir + "/got-clean"); err != nil || string(b) != "nothing\n" {
		t.Errorf("clean: %q %v", b, err)
	}
	for _, name := range []string{"eicar", "locked"} {
		if out := get(name); !strings.Contains(out, "NT_STATUS_ACCESS_DENIED") {
			t.Errorf("%s: %s", name, out)
		}
		if b, err := os.ReadFile(dir + "/got-" + name); err == nil && len(b) > 0 {
			t.Errorf("%s came", name)
		}
	}
}

// clamonacc asks of what is opened in a folder, and has the kernel refuse it.
func TestClamonacc(t *testing.T) {
	begin(t)
	program := needs(t, "clamonacc", "clamav-daemon")
	asRoot(t)
	s := serve(t)
	dir := folder(t, "")
	watched := dir + "/watched"
	if err := os.Mkdir(watched, 0o755); err != nil {
		t.Fatal(err)
	}
	clean, bad := write(t, watched, "clean", "nothing\n"), write(t, watched, "eicar", clamdtalk.EICAR)
	unread := write(t, watched, "locked", locked(t))
	conf := write(t, dir, "clamd.conf", strings.ReplaceAll(s.block(t, "clamonacc", 0), "/home", watched))
	out := start(t, nil, func() bool { return true }, program, "-c", conf, "--foreground", "--fdpass", "--log="+dir+"/log")
	logs(t, dir+"/log")
	blocked := func() bool {
		c := exec.Command("cat", bad) // not this process: it is excluded with root in some settings
		return c.Run() != nil
	}
	for end := time.Now().Add(15 * time.Second); !blocked(); time.Sleep(100 * time.Millisecond) {
		b, _ := os.ReadFile(dir + "/log")
		if all := out.String() + string(b); strings.Contains(all, "Operation not permitted") || strings.Contains(all, "not implemented") {
			t.Skipf("clamonacc cannot run here: %s", bufio.NewScanner(strings.NewReader(all)).Text())
		}
		if time.Now().After(end) {
			t.Fatal("EICAR can be opened")
		}
	}
	if exec.Command("cat", unread).Run() == nil {
		t.Error("what could not be scanned can be opened")
	}
	if b, err := exec.Command("cat", clean).Output(); err != nil || string(b) != "nothing\n" {
		t.Errorf("clean: %q %v", b, err)
	}
}
