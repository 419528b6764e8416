package clamd

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var full = flag.Bool("full", false, "tests that take minutes, or many descriptors")

// served tells whether another client gets an answer.
func served(t *testing.T, d *door) {
	t.Helper()
	began := time.Now()
	if got := ask(d, "nINSTREAM\n"+stream("X5O!")); got != "stream: Eicar FOUND\n" {
		t.Errorf("another client: %q", got)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("another client waited for %v", took)
	}
}

// Where all places are taken by clients that say nothing, others are served: of those that
// have most, the one that was silent for longest goes.
func TestSilentClientsMakeRoom(t *testing.T) {
	b := &fake{}
	d := open(t, b, Options{MaxConnections: 20})
	var silent []net.Conn
	for i := range 60 {
		c, err := d.dial(i%3 == 0)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		switch i % 4 {
		case 1:
			io.WriteString(c, "zIN")
		case 2:
			io.WriteString(c, "zINSTREAM\x00\x00\x00\x00\x05ab")
		case 3:
			io.WriteString(c, "zIDSESSION\x00zPING\x00")
		}
		silent = append(silent, c)
	}
	for range 5 {
		served(t, d)
	}
	// Who was let go is told so.
	silent[0].SetReadDeadline(time.Now().Add(10 * time.Second))
	if got, _ := io.ReadAll(silent[0]); string(got) != "COMMAND READ TIMED OUT\n" {
		t.Errorf("the first: %q", got)
	}
	d.mu.Lock()
	n := len(d.conns)
	d.mu.Unlock()
	if n > 22 { // each of the two listeners may have taken one that waits for room
		t.Errorf("%d connections", n)
	}
	for _, c := range silent {
		c.Close()
	}
	if !settle(func() bool { return b.open.Load() == 0 }) {
		t.Errorf("%d streams are left", b.open.Load())
	}
}

// A client that is answered is not let go for others.
func TestBusyClientsStay(t *testing.T) {
	hold := make(chan struct{})
	b := &fake{wait: func(context.Context) error { <-hold; return nil }}
	d := open(t, b, Options{MaxConnections: 3})
	var wg sync.WaitGroup
	for range 4 { // one has room made for it, which there is none
		wg.Go(func() {
			if got := ask(d, "nINSTREAM\n"+stream("X5O!")); got != "stream: Eicar FOUND\n" {
				t.Errorf("%q", got)
			}
		})
	}
	settle(func() bool { return b.running.Load() == 4 })
	late := make(chan string)
	go func() { late <- ask(d, "nPING\n") }()
	select {
	case got := <-late:
		t.Errorf("there was no room: %q", got)
		go func() { late <- "PONG\n" }()
	case <-time.After(200 * time.Millisecond):
	}
	close(hold)
	wg.Wait()
	if got := <-late; got != "PONG\n" {
		t.Errorf("%q", got)
	}
}

// Bytes one by one, pauses, ends in the middle, lies: no answer is wrong, nothing is left.
func TestGarbage(t *testing.T) {
	b := &fake{}
	d := open(t, b, Options{CommandTimeout: 300 * time.Millisecond, ReadTimeout: 300 * time.Millisecond, StreamMaxLength: 1 << 20})
	before, goroutines := descriptors(), runtime.NumGoroutine()
	r := rand.New(rand.NewPCG(1, 2))
	words := []string{
		"zPING\x00", "nPING\n", "PING", "zINSTREAM\x00", "nINSTREAM\r\n", "zIDSESSION\x00", "zEND\x00", "zFILDES\x00", "nFILDES\n", "x", "\x00\x00\x00\x00", "\xff\xff\xff\xff",
		"\x00\x00\x00\x05abcde", "zSCAN /", "zSCAN /etc/hostname\x00", "\n", "\x00", "zSTATS\x00", "nSHOWCAUSE-INSTREAM record\n", strings.Repeat("A", 5000), "zSHOWCAUSE-FILDES\x00y", "zSHOWCAUSE-STATUS\x00",
	}
	var wg sync.WaitGroup
	for range 400 {
		var say []string
		for range 1 + r.IntN(8) {
			say = append(say, words[r.IntN(len(words))])
		}
		slow, pass, tcp, shut := r.IntN(4) == 0, r.IntN(3) == 0, r.IntN(4) == 0, r.IntN(2) == 0
		wg.Go(func() {
			c, err := d.dial(tcp)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(20 * time.Second))
			for _, s := range say {
				if u, ok := c.(*net.UnixConn); ok && pass {
					u.WriteMsgUnix([]byte(s), syscall.UnixRights(0, 1)[:syscall.CmsgSpace(4)], nil)
				}
				if slow {
					for i := range min(len(s), 20) {
						io.WriteString(c, s[i:i+1])
					}
					continue
				}
				if _, err := io.WriteString(c, s); err != nil {
					break
				}
			}
			if h, ok := c.(interface{ CloseWrite() error }); ok && shut {
				h.CloseWrite()
			}
			got, _ := io.ReadAll(c)
			if strings.Contains(string(got), "FOUND") {
				t.Errorf("%q: %q", say, got)
			}
		})
	}
	wg.Wait()
	served(t, d)
	if !settle(func() bool {
		return b.open.Load() == 0 && descriptors() <= before && runtime.NumGoroutine() <= goroutines+2
	}) {
		t.Errorf("%d streams, %d descriptors more, %d goroutines more", b.open.Load(), descriptors()-before, runtime.NumGoroutine()-goroutines)
	}
}

// Descriptors that are passed and not wanted, many at a time, are closed.
func TestPassedDescriptorsAreClosed(t *testing.T) {
	b := &fake{}
	d := open(t, b, Options{})
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	served(t, d)
	before := descriptors()
	for i := range 300 {
		c, err := d.dial(false)
		if err != nil {
			t.Fatal(err)
		}
		u := c.(*net.UnixConn)
		fds := make([]int, 1+i%3)
		for i := range fds {
			fds[i] = int(null.Fd())
		}
		rights := syscall.UnixRights(fds...)
		for _, s := range []string{"zIDSESSION\x00", "zFILDES\x00", "x", "zINSTREAM\x00"}[:1+i%4] {
			u.WriteMsgUnix([]byte(s), rights, nil)
		}
		u.CloseWrite()
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		io.ReadAll(c)
		c.Close()
	}
	if !settle(func() bool { return descriptors() <= before }) {
		t.Errorf("%d descriptors are left", descriptors()-before)
	}
}

// A client that sends and does not read is cut off, and holds nobody up.
func TestClientThatDoesNotRead(t *testing.T) {
	b := &fake{}
	d := open(t, b, Options{SendTimeout: 200 * time.Millisecond})
	for _, tcp := range []bool{false, true} {
		c, err := d.dial(tcp)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetWriteDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(c, "zIDSESSION\x00")
		for err == nil {
			_, err = io.WriteString(c, strings.Repeat("zVERSIONCOMMANDS\x00", 1000))
		}
		if os.IsTimeout(err) {
			t.Errorf("tcp %v: it was never cut off", tcp)
		}
		served(t, d)
	}
}

// Over TCP the error of a stream that is too long arrives though the client sends on.
func TestTooLongOverTCP(t *testing.T) {
	d := open(t, &fake{}, Options{StreamMaxLength: 1 << 20})
	for range 20 {
		c, err := d.dial(true)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(c, "nINSTREAM\n")
		chunk := append(binary.BigEndian.AppendUint32(nil, 600000), make([]byte, 600000)...)
		for range 8 {
			if _, err := c.Write(chunk); err != nil {
				break
			}
		}
		if got, err := io.ReadAll(c); string(got) != "INSTREAM size limit exceeded. ERROR\n" {
			t.Errorf("%q, %v", got, err)
		}
		c.Close()
	}
}

// Many connections that say nothing cost little, and others are served.
func TestManyConnections(t *testing.T) {
	n := 1000
	if *full {
		n = 10000
	}
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); l.Cur < uint64(2*n+200) {
		t.Skipf("%d descriptors are allowed", l.Cur)
	}
	b := &fake{}
	d := open(t, b, Options{MaxConnections: n + 100})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var all []net.Conn
	defer func() {
		for _, c := range all {
			c.Close()
		}
	}()
	for i := range n {
		c, err := d.dial(false)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
		if i%2 == 0 {
			io.WriteString(c, "zIDSESSION\x00")
		}
	}
	if !settle(func() bool { d.mu.Lock(); defer d.mu.Unlock(); return len(d.conns) == n }) {
		t.Fatal("not all were taken")
	}
	served(t, d)
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if per := int64(after.HeapAlloc+after.StackInuse-before.HeapAlloc-before.StackInuse) / int64(n); per > 12<<10 {
		t.Errorf("%d bytes for each connection", per)
	} else {
		t.Logf("%d bytes for each connection, client's side too", per)
	}
}

func BenchmarkInstream(b *testing.B) {
	mail := stream(strings.Repeat("a mail of four thousand bytes. ", 132))
	for _, tcp := range []bool{false, true} {
		b.Run(fmt.Sprintf("tcp=%v", tcp), func(b *testing.B) {
			d := open(b, &fake{}, Options{})
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				buf := make([]byte, 100)
				for p.Next() {
					c, err := d.dial(tcp)
					if err != nil {
						b.Error(err)
						return
					}
					io.WriteString(c, "zINSTREAM\x00"+mail)
					n, _ := c.Read(buf)
					if string(buf[:n]) != "stream: OK\x00" {
						b.Errorf("%q", buf[:n])
					}
					c.Close()
				}
			})
		})
	}
}
