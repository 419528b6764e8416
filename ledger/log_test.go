package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// child is the variable that turns the test binary into one of children.
const child = "LEDGER_TEST_CHILD"

func TestMain(m *testing.M) {
	if name := os.Getenv(child); name != "" {
		f, ok := children[name]
		if !ok {
			panic("no such child")
		}
		f(os.Args[1:])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// children are what the test binary does in a process of its own.
var children = map[string]func([]string){
	// append DIR N writes N entries.
	"append": func(a []string) {
		l, err := Open(a[0])
		exit(err)
		n, err := strconv.Atoi(a[1])
		exit(err)
		for range n {
			_, err := l.append(context.Background(), &Entry{Kind: KindSend, Send: someSend("/")})
			exit(err)
		}
	},
	// limited DIR BYTES appends until the file may not grow beyond BYTES, and says how often it went well.
	"limited": func(a []string) {
		l, err := Open(a[0])
		exit(err)
		n, err := strconv.ParseUint(a[1], 10, 64)
		exit(err)
		exit(unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: n, Max: n}))
		for i := 0; ; i++ {
			if _, err := l.append(context.Background(), &Entry{Kind: KindSend, Send: someSend("/")}); err != nil {
				fmt.Printf("%d %v\n", i, err)
				return
			}
		}
	},
	// fetch DIR URL: see fetchChild.
	"fetch": fetchChild,
	// net DIR URL [steal]: see netChild.
	"net": netChild,
	"open": func(a []string) {
		l, err := Open(a[0])
		exit(err)
		exit(l.Close())
	},
}

// exit ends a child that fails.
func exit(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func run(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command("/proc/self/exe", args...)
	c.Env = append(os.Environ(), child+"="+name)
	return c
}

func someSend(path string) *Send {
	plain := "GET " + path + " HTTP/1.1\r\nHost: example.test\r\n\r\n"
	return &Send{
		Purpose: UpdateRules, Method: "GET", Scheme: "http", Host: "example.test", Port: 80, Address: "192.0.2.1:80",
		BytesOut: int64(len(plain)), SHA256: digest([]byte(plain)), Plain: plain,
	}
}

// tempLog makes a ledger with n sends, every second one closed, and closes it.
func tempLog(t testing.TB, n int) (dir, file string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "ledger")
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, n)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, filepath.Join(dir, FileName)
}

func fill(t testing.TB, l *Log, n int) {
	t.Helper()
	for i := range n {
		seq, err := l.append(t.Context(), &Entry{Kind: KindSend, Send: someSend("/" + strconv.Itoa(i))})
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			if _, err := l.append(t.Context(), &Entry{Kind: KindClose, Close: &Close{Of: seq, Status: 200, Sent: 50, WireOut: 50, TCPOut: 50}}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func mustRead(t testing.TB, dir string) Summary {
	t.Helper()
	s, err := Read(dir, nil)
	if err != nil {
		b, _ := os.ReadFile(filepath.Join(dir, FileName))
		t.Fatalf("%v\n...%s", err, b[max(0, len(b)-2000):])
	}
	return s
}

func TestAppend(t *testing.T) {
	dir, file := tempLog(t, 3)
	s := mustRead(t, dir)
	if s.Lines != 6 || s.Sends != 3 || s.Open != 1 || s.Seq != 5 || s.Torn != nil {
		t.Errorf("summary: %+v", s)
	}
	st, err := os.Stat(file)
	if err != nil || st.Mode().Perm() != 0o600 || st.Size() != s.Bytes {
		t.Errorf("mode %v, size %d, counted %d, %v", st.Mode(), st.Size(), s.Bytes, err)
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("folder: mode %v, %v", st.Mode(), err)
	}
	// Going on is the same chain.
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if seq, head := l.Head(); seq != s.Seq || head != s.Head {
		t.Errorf("head %d %s, want %d %s", seq, head, s.Seq, s.Head)
	}
	fill(t, l, 1)
	if s := mustRead(t, dir); s.Seq != 7 {
		t.Errorf("seq %d after two more", s.Seq)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("%d files in the folder", len(files))
	}
}

// A long ledger is proved from its end, wherever the window cuts.
func TestLong(t *testing.T) {
	dir, file := tempLog(t, 4)
	head, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// Lines of a ledger that goes on for more than the window, made without waiting for the disk.
	c := chain{open: map[uint64]bool{}}
	if err := c.read(bytes.NewReader(head)); err != nil {
		t.Fatal(err)
	}
	b := bytes.Clone(head)
	for len(b) < window+100_000 {
		e := &Entry{Seq: c.sum.Seq + 1, Prev: c.sum.Head, Time: c.sum.Last, Kind: KindSend, Send: someSend("/")}
		line, err := e.encode()
		if err != nil {
			t.Fatal(err)
		}
		line = append(line, '\n')
		if err := c.take(line); err != nil {
			t.Fatal(err)
		}
		b = append(b, line...)
	}
	for cut := range 700 { // more than a line
		if cut%47 != 0 {
			continue
		}
		l := &Log{now: time.Now, chain: chain{anchored: true}}
		n := len(b) - cut
		if i := bytes.LastIndexByte(b[:n], '\n'); i+1 != n {
			n = i + 1
		}
		pad := append(bytes.Clone(b[:n]), fmt.Sprintf("torn %d%s", cut, strings.Repeat("x", cut))...)
		if err := os.WriteFile(file, pad, 0o600); err != nil {
			t.Fatal(err)
		}
		if l.file, err = os.OpenFile(file, os.O_RDWR|os.O_APPEND, 0); err != nil {
			t.Fatal(err)
		}
		if err := l.locked(t.Context(), l.begin); err != nil {
			t.Fatalf("cut %d: %v", cut, err)
		}
		l.Close()
		if cut%(47*4) == 0 {
			if s := mustRead(t, dir); len(s.Torn) != 1 || s.Torn[0].At != int64(n) {
				t.Fatalf("cut %d: %+v", cut, s.Torn)
			}
		}
	}
	// A line in the window that does not belong is seen.
	at := len(b) - window/2
	at += bytes.IndexByte(b[at:], '\n') + 1
	end := at + bytes.IndexByte(b[at:], '\n') + 1
	if err := os.WriteFile(file, append(bytes.Clone(b[:at]), b[end:]...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); !errors.Is(err, ErrBroken) {
		t.Errorf("a line is missing: %v", err)
	}
}

// A tail of any length is kept with its digest, also when the writer of the
// torn entry dies at any byte.
func TestTorn(t *testing.T) {
	dir, file := tempLog(t, 1)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(good, []byte("\n"))
	last := lines[len(lines)-2]
	before := good[:len(good)-len(last)]
	put := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reopen := func() ([]byte, error) {
		l, err := Open(dir)
		if err != nil {
			return nil, err
		}
		l.Close()
		return os.ReadFile(file)
	}
	for n := 1; n < len(last); n++ {
		torn := append(bytes.Clone(before), last[:n]...)
		put(torn)
		var fault *Fault
		if _, err := Read(dir, nil); !errors.As(err, &fault) || !fault.Tail || fault.Offset != int64(len(before)) {
			t.Fatalf("%d bytes of the last line: %v", n, err)
		}
		after, err := reopen()
		if err != nil {
			t.Fatalf("%d bytes of the last line: %v", n, err)
		}
		if !bytes.HasPrefix(after, torn) {
			t.Fatalf("%d bytes of the last line: the tail is gone", n)
		}
		s := mustRead(t, dir)
		if whole := n == len(last)-1; whole != (len(s.Torn) == 0) {
			t.Fatalf("%d of %d bytes of the last line: torn %+v", n, len(last), s.Torn)
		}
		if n%97 != 0 && n != len(last)-1 && n != 1 {
			continue
		}
		// And again, at every byte of what was added.
		for m := len(torn) + 1; m < len(after); m++ {
			put(after[:m])
			twice, err := reopen()
			if err != nil {
				t.Fatalf("%d bytes, then %d: %v", n, m-len(torn), err)
			}
			if !bytes.HasPrefix(twice, after[:m]) {
				t.Fatalf("%d bytes, then %d: the tail is gone", n, m-len(torn))
			}
			mustRead(t, dir)
		}
	}
	// What is torn stays as it was.
	put(append(bytes.Clone(before), "half a li"...))
	after, err := reopen()
	if err != nil {
		t.Fatal(err)
	}
	for i := len(before); i < len(before)+9; i++ {
		b := bytes.Clone(after)
		b[i] ^= 1
		put(b)
		if _, err := Read(dir, nil); err == nil {
			t.Errorf("torn byte %d changed, and nobody noticed", i)
		}
	}
	put(append(bytes.Clone(before), after[len(before)+10:]...))
	if _, err := Read(dir, nil); err == nil {
		t.Error("the torn bytes are gone, and nobody noticed")
	}
	// More than a writer can leave is not kept: somebody else wrote there.
	put(append(bytes.Clone(before), bytes.Repeat([]byte("x"), maxTorn+2)...))
	if _, err := Open(dir); !errors.Is(err, ErrBroken) {
		t.Errorf("a tail of %d bytes: %v", maxTorn+2, err)
	}
	// A whole line of ours that does not follow is no tail.
	put(append(bytes.Clone(good), last...))
	if _, err := Open(dir); !errors.Is(err, ErrBroken) {
		t.Errorf("a line twice: %v", err)
	}
	put(nil)
	if _, err := Open(dir); !errors.Is(err, ErrBroken) {
		t.Errorf("an empty ledger: %v", err)
	}
}

// Every byte of a ledger counts: no single change goes unseen.
func TestTamper(t *testing.T) {
	dir, file := tempLog(t, 2)
	// With a torn entry in it.
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"seq":5,"pr`)
	f.Close()
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, 1)
	if _, err := l.append(t.Context(), &Entry{Kind: KindQuery, Query: &Query{
		Purpose: Witness, Host: "a.test", Network: "udp", Address: "[::1]:53", BytesOut: 3, Packet: []byte("\xff\x00z"), SHA256: digest([]byte("\xff\x00z")),
	}}); err != nil {
		t.Fatal(err)
	}
	l.Close()
	mustRead(t, dir)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, b []byte) {
		t.Helper()
		_, err := Check(bytes.NewReader(b), nil)
		var f *Fault
		if !errors.As(err, &f) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range b {
		for _, x := range []byte{1, 4, 32, 128} {
			c := bytes.Clone(b)
			c[i] ^= x
			check(fmt.Sprintf("byte %d ^ %#x", i, x), c)
		}
		check(fmt.Sprintf("byte %d removed", i), append(bytes.Clone(b[:i]), b[i+1:]...))
		check(fmt.Sprintf("byte %d twice", i), append(bytes.Clone(b[:i+1]), b[i:]...))
	}
	lines := bytes.SplitAfter(b, []byte("\n"))
	lines = lines[:len(lines)-1]
	for i := range lines {
		var without, swapped, twice [][]byte
		without = append(append(without, lines[:i]...), lines[i+1:]...)
		twice = append(append(twice, lines[:i+1]...), lines[i:]...)
		if i+1 < len(lines) { // the end of a ledger can be cut off: see Summary.Head
			check(fmt.Sprintf("line %d removed", i), bytes.Join(without, nil))
			swapped = append(append(append(swapped, lines[:i]...), lines[i+1], lines[i]), lines[i+2:]...)
			check(fmt.Sprintf("line %d swapped", i), bytes.Join(swapped, nil))
		}
		check(fmt.Sprintf("line %d twice", i), bytes.Join(twice, nil))
	}
}

// Entries that are in one spelling and chained, and yet make no sense.
func TestSense(t *testing.T) {
	zero := &Entry{Prev: zeroHash, Kind: KindStart, Start: &Start{Format}}
	first, err := zero.encode()
	if err != nil {
		t.Fatal(err)
	}
	send := func(change func(*Send)) *Entry {
		s := someSend("/")
		change(s)
		return &Entry{Kind: KindSend, Send: s}
	}
	for _, c := range []struct {
		e    *Entry
		want string
	}{
		{send(func(s *Send) {}), ""},
		{send(func(s *Send) { s.Purpose = "telemetry" }), "purpose"},
		{send(func(s *Send) { s.Method = "POST" }), "method"},
		{send(func(s *Send) { s.Scheme = "ftp" }), "scheme"},
		{send(func(s *Send) { s.Plain += "x" }), "length"},
		{send(func(s *Send) { s.Plain = "X" + s.Plain[1:] }), "digest"},
		{send(func(s *Send) { s.Plain = "" }), "length"},
		{send(func(s *Send) { s.BytesOut = 0; s.Plain = "" }), "range"},
		{send(func(s *Send) { s.BytesOut = 5000; s.Plain = "" }), ""},
		{send(func(s *Send) { s.BytesOut = 5000 }), "length"},
		{send(func(s *Send) { s.Tunnel = 4000 }), "range"},
		{send(func(s *Send) { s.SHA256 = "x" }), "range"},
		{send(func(s *Send) { s.Address = "example.test:80" }), "address"},
		{send(func(s *Send) { s.Address = "192.0.2.1:080" }), "address"},
		{send(func(s *Send) { s.After = 7 }), "later"},
		{&Entry{Kind: KindClose, Close: &Close{Of: 0}}, "not open"},
		{&Entry{Kind: KindClose, Close: &Close{Of: 1}}, "not open"},
		{&Entry{Kind: KindClose, Close: &Close{WireOut: -1}}, "negative"},
		{&Entry{Kind: KindClose, Close: &Close{TCPOut: -2}}, "kernel"},
		{&Entry{Kind: KindClose, Close: &Close{Status: 1000}}, "status"},
		{&Entry{Kind: KindStart, Start: &Start{Format}}, "second start"},
		{&Entry{Kind: KindStart, Start: &Start{"showcause-ledger/2"}}, "format"},
		{&Entry{Kind: KindTorn, Torn: &Torn{At: 1, Bytes: 1, SHA256: zeroHash}}, "not there"},
		{&Entry{Kind: KindTorn, Torn: &Torn{At: -1, Bytes: 1, SHA256: zeroHash}}, "range"},
		{&Entry{Kind: KindQuery, Query: &Query{Purpose: Witness, Network: "udp", Address: "192.0.2.1:53", BytesOut: 1, Packet: []byte("x"), SHA256: zeroHash}}, "digest"},
		{&Entry{Kind: KindQuery, Query: &Query{Purpose: Witness, Network: "udp", Address: "192.0.2.1:53", BytesOut: 2, Packet: []byte("x"), SHA256: digest([]byte("x"))}}, "length"},
		{&Entry{Kind: KindQuery, Query: &Query{Purpose: Witness, Network: "ip", Address: "192.0.2.1:53", BytesOut: 1, Packet: []byte("x"), SHA256: digest([]byte("x"))}}, "network"},
		{&Entry{Kind: KindQuery, Query: &Query{Purpose: "", Network: "udp", Address: "192.0.2.1:53", BytesOut: 1, Packet: []byte("x"), SHA256: digest([]byte("x"))}}, "purpose"},
	} {
		c.e.Seq, c.e.Prev = 1, digest(first)
		line, err := c.e.encode()
		if err != nil {
			t.Errorf("want %q: %v", c.want, err)
			continue
		}
		_, err = Check(strings.NewReader(string(first)+"\n"+string(line)+"\n"), nil)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("want %q: %v\n%s", c.want, err, line)
		}
	}
	for _, e := range []*Entry{{}, {Kind: "x"}, {Kind: KindSend}, {Kind: KindSend, Close: &Close{}}, send(func(s *Send) { s.Host = strings.Repeat("a", maxLine) })} {
		if line, err := e.encode(); err == nil {
			t.Errorf("encoded: %s", line)
		}
	}
	if _, err := Check(strings.NewReader(""), nil); err == nil {
		t.Error("an empty ledger is good")
	}
}

// The log itself never writes what its check would refuse.
func TestAppendRefuses(t *testing.T) {
	dir, _ := tempLog(t, 1)
	was := mustRead(t, dir)
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := someSend("/")
	s.Host = "\xff"
	for _, e := range []*Entry{{Kind: KindSend, Send: s}, {Kind: KindSend, Send: &Send{}}, {Kind: "x"}} {
		if _, err := l.append(t.Context(), e); err == nil {
			t.Errorf("appended %+v", e)
		}
	}
	if s := mustRead(t, dir); s.Head != was.Head {
		t.Error("something was written")
	}
}

// A clock that goes back is written down as it is.
func TestClock(t *testing.T) {
	dir, _ := tempLog(t, 0)
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := time.Date(2025, 11, 21, 8, 0, 0, 123456789, time.FixedZone("x", 3600))
	times := []time.Time{at, at.Add(-time.Hour), at.Add(time.Hour), time.Unix(0, 0), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}
	i := 0
	l.now = func() time.Time { i++; return times[i-1] }
	fill(t, l, 2) // three lines
	var got []time.Time
	s, err := Read(dir, func(e *Entry) error { got = append(got, e.Time); return nil })
	if err != nil || s.Backward != 2 {
		t.Errorf("%d lines go back, %v", s.Backward, err)
	}
	if want := time.Date(2025, 11, 21, 7, 0, 0, 123456000, time.UTC); !got[1].Equal(want) {
		t.Errorf("time %v, want %v", got[1], want)
	}
	l.now = func() time.Time { return time.Date(12025, 1, 1, 0, 0, 0, 0, time.UTC) }
	if _, err := l.append(t.Context(), &Entry{Kind: KindSend, Send: someSend("/")}); err == nil {
		t.Error("a year of five digits was written")
	}
	mustRead(t, dir)
}

// Writers in several processes and threads make one chain.
func TestWriters(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "ledger") // they race to make it, too
	var cmds []*exec.Cmd
	for range 3 {
		c := run(t, "append", dir, "60")
		c.Stdout = os.Stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		cmds = append(cmds, c)
	}
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { fill(t, l, 20) })
	}
	wg.Wait()
	for _, c := range cmds {
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
	if s := mustRead(t, dir); s.Sends != 3*60+4*20 || s.Torn != nil {
		t.Errorf("summary: %+v", s)
	}
}

// Somebody who does not know of the lock writes in between.
func TestIntruder(t *testing.T) {
	dir, file := tempLog(t, 1)
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(b, []byte("\n"))
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.Write(lines[1])
	if _, err := l.append(t.Context(), &Entry{Kind: KindSend, Send: someSend("/")}); !errors.Is(err, ErrBroken) {
		t.Errorf("a line of elsewhere: %v", err)
	}
	if err := f.Truncate(int64(len(b))); err != nil {
		t.Fatal(err)
	}
	fill(t, l, 1)
	if err := f.Truncate(10); err != nil {
		t.Fatal(err)
	}
	if _, err := l.append(t.Context(), &Entry{Kind: KindSend, Send: someSend("/")}); !errors.Is(err, ErrBroken) {
		t.Errorf("cut: %v", err)
	}
}

func TestDeleted(t *testing.T) {
	dir, file := tempLog(t, 1)
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := l.append(t.Context(), &Entry{Kind: KindSend, Send: someSend("/")}); !errors.Is(err, ErrBroken) {
		t.Errorf("deleted: %v", err)
	}
}

// A disk that is full: the entry is refused, and when there is room again what
// was torn is kept.
func TestFull(t *testing.T) {
	dir, file := tempLog(t, 2)
	st, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	for extra := int64(0); extra < 1500; extra += 97 {
		out, err := run(t, "limited", dir, fmt.Sprint(st.Size()+extra)).Output()
		if err != nil || !strings.Contains(string(out), "nothing is sent") {
			t.Fatalf("%d bytes more: %v %s", extra, err, out)
		}
		l, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		fill(t, l, 1)
		l.Close()
		mustRead(t, dir)
		if st, err = os.Stat(file); err != nil {
			t.Fatal(err)
		}
	}
	if s := mustRead(t, dir); len(s.Torn) < 5 {
		t.Errorf("%d tails kept", len(s.Torn))
	}
}

// The same on a file system that is full.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("tmpfs: ", err)
	}
	t.Cleanup(func() { unix.Unmount(disk, unix.MNT_DETACH) })
	dir := filepath.Join(disk, "ledger")
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i := 0; ; i++ {
		_, err := l.append(t.Context(), &Entry{Kind: KindSend, Send: someSend("/")})
		if err == nil {
			continue
		}
		if !errors.Is(err, syscall.ENOSPC) && !strings.Contains(err.Error(), "bytes were written") || i == 0 {
			t.Fatalf("entry %d: %v", i, err)
		}
		break
	}
	if _, err := l.append(t.Context(), &Entry{Kind: KindSend, Send: someSend("/")}); err == nil {
		t.Error("appended on a full disk")
	}
	if err := unix.Mount("", disk, "", unix.MS_REMOUNT, "size=128k"); err != nil {
		t.Fatal(err)
	}
	fill(t, l, 1)
	mustRead(t, dir)
	if err := unix.Mount("", disk, "", unix.MS_REMOUNT|unix.MS_RDONLY, "size=128k"); err == nil {
		t.Error("remounted read-only under an open log")
	}
	l.Close()
	if err := unix.Mount("", disk, "", unix.MS_REMOUNT|unix.MS_RDONLY, "size=128k"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); !errors.Is(err, syscall.EROFS) {
		t.Errorf("read-only: %v", err)
	}
}

// What others could get at, or we cannot, is refused.
func TestRefused(t *testing.T) {
	refuse := func(what string, change func(dir, file string) error, want string) {
		t.Helper()
		dir, file := tempLog(t, 1)
		if err := change(dir, file); err != nil {
			t.Fatal(err)
		}
		l, err := Open(dir)
		if err == nil {
			l.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refuse("file for the group", func(_, f string) error { return os.Chmod(f, 0o640) }, "has mode 0640")
	refuse("file for all to write", func(_, f string) error { return os.Chmod(f, 0o602) }, "has mode 0602")
	refuse("folder for all", func(d, _ string) error { return os.Chmod(d, 0o777) }, "has mode 0777")
	refuse("second name", func(d, f string) error { return os.Link(f, filepath.Join(d, "x")) }, "has 2 names")
	refuse("link", func(d, f string) error { os.Rename(f, f+"x"); return os.Symlink(f+"x", f) }, "too many")
	refuse("dangling link", func(d, f string) error { os.Remove(f); return os.Symlink(f+"x", f) }, "too many")
	refuse("folder in its place", func(_, f string) error { os.Remove(f); return os.Mkdir(f, 0o700) }, "is a directory")
	refuse("pipe", func(_, f string) error { os.Remove(f); return syscall.Mkfifo(f, 0o600) }, "regular file")
	refuse("linked folder", func(d, _ string) error { os.Rename(d, d+"x"); return os.Symlink(d+"x", d) }, "not a directory")
	refuse("huge hole", func(_, f string) error { return os.Truncate(f, 1<<40) }, "ledger is broken")
	link := func(d, _ string) error { os.Rename(d, d+"x"); return os.Symlink(d+"x", d) }
	dir, file := tempLog(t, 1)
	if err := link(dir, file); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir + "/"); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("linked folder with a slash: %v", err)
	}
	if os.Getuid() == 0 {
		refuse("file of another", func(_, f string) error { return os.Chown(f, 65534, 0) }, "belongs to user 65534")
		refuse("folder of another", func(d, _ string) error { return os.Chown(d, 65534, 0) }, "belongs to user 65534")
	}
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := FromFile(f); err == nil {
		t.Error("a file that is not for appending was taken")
	}
}

// A folder that may not be written to, for a user to whom modes apply.
func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		os.Chmod(d, 0o755)
	}
	for _, where := range []string{dir, filepath.Join(dir, "ledger")} {
		os.Mkdir(where, 0o500)
		if err := os.Chmod(where, 0o500); err != nil {
			t.Fatal(err)
		}
		c := run(t, "open", where)
		if os.Getuid() == 0 {
			os.Chmod(where, 0o555)
			if err := os.Chown(where, 65534, 65534); err != nil {
				t.Fatal(err)
			}
			c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		out, err := c.Output()
		if err == nil || !strings.Contains(string(out), "permission denied") {
			t.Errorf("%s: %v: %s", where, err, out)
		}
		os.Chmod(where, 0o755)
	}
}

func TestLockWait(t *testing.T) {
	dir, file := tempLog(t, 1)
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.append(ctx, &Entry{Kind: KindSend, Send: someSend("/")}); !errors.Is(err, context.Canceled) {
		t.Errorf("locked by another: %v", err)
	}
	f.Close()
	fill(t, l, 1)
}

func TestAirGap(t *testing.T) {
	none := func(string) (fs.FileInfo, error) { return nil, fs.ErrNotExist }
	env := func(v string) func(string) string {
		return func(k string) string {
			if k == AirGapVariable {
				return v
			}
			return ""
		}
	}
	for _, c := range []struct {
		env  string
		stat error
		on   bool
	}{
		{"", fs.ErrNotExist, false},
		{"0", fs.ErrNotExist, false},
		{"1", fs.ErrNotExist, true},
		{"no", fs.ErrNotExist, true}, // anything else is on: the safe side
		{"", nil, true},
		{"", fs.ErrPermission, true},
		{"0", nil, true},
	} {
		stat := none
		if c.stat != fs.ErrNotExist {
			stat = func(p string) (fs.FileInfo, error) { return nil, c.stat }
		}
		err := airGap(env(c.env), stat)
		if errors.Is(err, ErrAirGap) != c.on || (err == nil) == c.on {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestDefaultDir(t *testing.T) {
	dir, err := DefaultDir()
	if os.Getuid() == 0 {
		if dir != SystemDir || err != nil {
			t.Errorf("%s %v", dir, err)
		}
		return
	}
	t.Setenv("XDG_STATE_HOME", "/x/y")
	if dir, err := DefaultDir(); dir != "/x/y/showcause/ledger" || err != nil {
		t.Errorf("%s %v", dir, err)
	}
	t.Setenv("XDG_STATE_HOME", "y")
	t.Setenv("HOME", "/h")
	if dir, err := DefaultDir(); dir != "/h/.local/state/showcause/ledger" || err != nil {
		t.Errorf("%s %v", dir, err)
	}
}
