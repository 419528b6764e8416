//go:build !airgap

package ledger

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestNetDev(t *testing.T) {
	const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    1000      10    0    0    0     0          0         0     1000      10    0    0    0     0       0          0
  eth0: 5000 10 0 0 0 0 0 0 700 8 0 0 0 0 0 0
  eth1:50 10 0 0 0 0 0 0 7 8 0 0 0 0 0 0
`
	for _, c := range []struct {
		names   []string
		out, in int64
		err     bool
	}{
		{nil, 707, 5050, false},
		{[]string{"eth0"}, 700, 5000, false},
		{[]string{"lo", "eth1"}, 1007, 1050, false},
		{[]string{"eth2"}, 0, 0, true},
	} {
		out, in, err := netDev(strings.NewReader(text), c.names)
		if out != c.out || in != c.in || (err != nil) != c.err {
			t.Errorf("%v: %d %d %v", c.names, out, in, err)
		}
	}
	if _, _, err := netDev(strings.NewReader(text+"x\n"), nil); err == nil {
		t.Error("a line without numbers")
	}
	if _, _, err := NetworkOf(os.Getpid(), nil); err == nil || !strings.Contains(err.Error(), "whole machine") {
		t.Errorf("own namespace: %v", err)
	}
}

// tally reads a ledger into a tally.
func tally(t testing.TB, dir string) *Tally {
	t.Helper()
	var y Tally
	if _, err := Read(dir, y.Add); err != nil {
		t.Fatal(err)
	}
	y.Done()
	return &y
}

func TestTally(t *testing.T) {
	plain := int64(len(someSend("/").Plain))
	full := func() *Close {
		return &Close{Status: 200, Sent: plain, BytesIn: 1000, WireOut: plain, WireIn: 1000, TCPOut: plain, TCPIn: 1001, Segments: 6}
	}
	for name, c := range map[string]struct {
		https bool
		c     func(*Close)
		want  string
	}{
		"good":              {false, func(c *Close) {}, ""},
		"good, TLS":         {true, func(c *Close) { c.WireOut += 1800; c.TCPOut += 1800 }, ""},
		"more out":          {false, func(c *Close) { c.WireOut += 10; c.TCPOut += 10 }, "bytes went out"},
		"more out, TLS":     {true, func(c *Close) { c.WireOut += 7000; c.TCPOut += 7000 }, "are explained"},
		"kernel more out":   {false, func(c *Close) { c.TCPOut++ }, "kernel counted"},
		"kernel less out":   {false, func(c *Close) { c.TCPOut-- }, "kernel counted"},
		"less out, aborted": {false, func(c *Close) { c.TCPOut--; c.Error = "x" }, ""},
		"kernel more in":    {false, func(c *Close) { c.TCPIn += 2 }, "kernel counted"},
		"unread":            {false, func(c *Close) { c.TCPIn += 20; c.Unread = 20 }, ""},
		"not known":         {false, func(c *Close) { c.TCPIn, c.TCPOut, c.Unread, c.Repeated, c.Segments = -1, -1, -1, -1, -1 }, ""},
		"half sent":         {false, func(c *Close) { c.Sent--; c.WireOut--; c.TCPOut-- }, "handed over"},
		"half sent, error":  {false, func(c *Close) { c.Sent--; c.WireOut--; c.TCPOut--; c.Error = "x" }, ""},
		"sent too much":     {false, func(c *Close) { c.Sent++; c.WireOut++; c.TCPOut++ }, "handed over"},
		"repeated":          {false, func(c *Close) { c.Repeated = 17 * c.WireOut }, "sent again"},
	} {
		var y Tally
		s := someSend("/")
		if c.https {
			s.Scheme = "https"
		}
		y.Add(&Entry{Seq: 5, Kind: KindSend, Send: s})
		d := full()
		d.Of = 5
		c.c(d)
		y.Add(&Entry{Seq: 6, Kind: KindClose, Close: d})
		y.Done()
		if got := strings.Join(y.Problems, "; "); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
	// Limits: of what was left out nothing is counted.
	var y Tally
	y.From = 7
	y.Add(&Entry{Seq: 5, Kind: KindSend, Send: someSend("/")})
	y.Add(&Entry{Seq: 6, Kind: KindClose, Close: &Close{Of: 5, WireOut: 1000}})
	y.Add(&Entry{Seq: 7, Kind: KindSend, Send: someSend("/")})
	d := full()
	d.Of = 7
	y.Add(&Entry{Seq: 8, Kind: KindClose, Close: d})
	y.Done()
	if y.Sends != 1 || y.LeastOut != plain || y.LeastIn != 1000 || y.Problems != nil {
		t.Errorf("%+v", y)
	}
	for _, c := range []struct {
		out, in int64
		n       int
	}{
		{-1, -1, 0}, {plain, 1000, 0}, {plain - 1, 1000, 1}, {plain, 999, 1}, {y.MostOut, y.MostIn, 0}, {y.MostOut + 1, y.MostIn + 1, 2}, {0, 0, 2},
	} {
		if w := y.Compare(c.out, c.in, false); len(w) != c.n {
			t.Errorf("%+v: %q", c, w)
		}
	}
	if w := y.Compare(y.MostOut+1, y.MostIn+1, true); len(w) != 0 {
		t.Errorf("headers of the link: %q", w)
	}
	// 6 segments of a small request cannot hide much.
	if y.MostOut-plain > 26*packetHead {
		t.Errorf("%d bytes over the payload", y.MostOut-plain)
	}
	y = Tally{}
	y.Add(&Entry{Seq: 7, Kind: KindSend, Send: someSend("/")})
	y.Done()
	if y.Open != 1 || y.MostIn != Unbounded || y.MostOut < plain {
		t.Errorf("%+v", y)
	}
}

// The ledger of real connections fits itself.
func TestTallyOfReal(t *testing.T) {
	for _, secure := range []bool{false, true} {
		r := serve(t, secure, func(string) string { return ok(strings.Repeat("x", 300_000)) })
		c, dir := client(t, Options{Roots: r.pool})
		for i := range 20 {
			scheme := "http"
			if secure {
				scheme = "https"
			}
			if _, err := c.Do(t.Context(), Request{URL: scheme + "://" + r.Addr().String() + "/", Purpose: UpdateRules, Head: i%3 == 0, Max: int64(i%4) * 100_000}, io.Discard); err != nil && i%4 != 1 && i%4 != 2 {
				t.Fatal(err)
			}
		}
		if y := tally(t, dir); y.Problems != nil || y.Sends != 20 || y.LeastOut != y.WireOut {
			t.Errorf("%+v", y)
		}
	}
}

// netChild waits for its interface, fetches, tells and waits to be read.
func netChild(a []string) {
	in := bufio.NewReader(os.Stdin)
	in.ReadString('\n')
	l, err := Open(a[0])
	exit(err)
	c, err := NewClient(l, Options{InsecureHTTP: true})
	exit(err)
	for i := range 10 {
		_, err := c.Do(context.Background(), Request{URL: fmt.Sprintf("%s/%d", a[1], i), Purpose: UpdateRules}, io.Discard)
		exit(err)
	}
	if len(a) > 2 { // says something that is not in the ledger
		raw, err := c.dial.Dial("tcp", strings.TrimPrefix(a[1], "http://"))
		exit(err)
		_, err = io.WriteString(raw, strings.Repeat("stolen ", 10_000)+"\r\n\r\n")
		exit(err)
		io.Copy(io.Discard, raw)
	}
	fmt.Println("done")
	in.ReadString('\n')
}

// The kernel's counters of a network of its own agree with the ledger, and do
// not where something was sent past it.
func TestReconcile(t *testing.T) {
	ip, err := exec.LookPath("ip")
	if err != nil || os.Getuid() != 0 {
		t.Skip("needs root and ip (iproute2)")
	}
	for _, steal := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "ledger")
		link := fmt.Sprintf("sc%x", time.Now().UnixNano()&0xffffff)
		sub := os.Getpid() & 0xff
		ours, theirs := fmt.Sprintf("198.18.%d.1", sub), fmt.Sprintf("198.18.%d.2", sub)
		l := newListener(t, ours, func() error {
			return commands(ip+" link add "+link+"a type veth peer name "+link+"b", ip+" addr add "+ours+"/30 dev "+link+"a", ip+" link set "+link+"a up")
		})
		t.Cleanup(func() { exec.Command(ip, "link", "del", link+"a").Run() })
		args := []string{dir, "http://" + l.Addr().String()}
		if steal {
			args = append(args, "steal")
		}
		c := run(t, "net", args...)
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		stdin, _ := c.StdinPipe()
		stdout, _ := c.StdoutPipe()
		if err := c.Start(); err != nil {
			t.Skip("network namespace: ", err)
		}
		in := fmt.Sprintf("nsenter -t %d -n ", c.Process.Pid)
		if err := commands(fmt.Sprintf("%s link set %sb netns %d", ip, link, c.Process.Pid), in+ip+" addr add "+theirs+"/30 dev "+link+"b", in+ip+" link set "+link+"b up"); err != nil {
			t.Fatal(err)
		}
		io.WriteString(stdin, "\n")
		if s, _ := bufio.NewReader(stdout).ReadString('\n'); s != "done\n" {
			t.Fatalf("child: %s", s)
		}
		out, back, err := NetworkOf(c.Process.Pid, nil)
		if err != nil {
			t.Fatal(err)
		}
		y := tally(t, dir)
		wrong := y.Compare(out, back, true)
		t.Logf("ledger: payload %d out, %d in, at most %d and %d; kernel: %d and %d; %q", y.WireOut, y.WireIn, y.MostOut, y.MostIn, out, back, wrong)
		if steal != (len(wrong) == 1 && strings.HasPrefix(wrong[0], "out: ")) || !steal && wrong != nil || y.Problems != nil {
			t.Errorf("stolen %v: %q, %q", steal, wrong, y.Problems)
		}
		io.WriteString(stdin, "\n")
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
}

func newListener(t *testing.T, ip string, up func() error) *recorder {
	t.Helper()
	if err := up(); err != nil {
		t.Skip("interface: ", err)
	}
	return serveAt(t, ip+":0", false, func(string) string { return ok(strings.Repeat("x", 20_000)) })
}

func commands(lines ...string) error {
	for _, l := range lines {
		f := strings.Fields(l)
		if out, err := exec.Command(f[0], f[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", l, err, out)
		}
	}
	return nil
}
