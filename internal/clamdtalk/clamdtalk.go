// Package clamdtalk holds conversations with clamd: what a client sends, byte by
// byte, and what clamd 1.4.6 answered, as recorded in testdata. Tests hold
// Showcause's door against the same list, and the record against a clamd that is
// installed. To record anew: go test ./internal/clamdtalk -run Recorded -record.
package clamdtalk

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Talk is one conversation over one connection. Scan in what is sent stands for the
// folder that Tree made.
type Talk struct {
	Name  string
	TCP   bool
	Steps []Step
	// Wait is how long the client waits for more before it gives up; default 400 ms.
	Wait time.Duration
	// Unordered says that replies may come in any order.
	Unordered bool
	// Last says that the server ends by it.
	Last bool
	// Ours is what Showcause answers where that is not what clamd does, and Why.
	Ours *Reply
	Why  string
}

// Step is one thing that the client does. A pause of 50 ms is before each but the first.
type Step struct {
	Send  string
	Files []string // opened and passed along with Send
	Shut  bool     // nothing more is sent: shutdown(SHUT_WR)
	Pause time.Duration
}

// Reply is what came back.
type Reply struct {
	Bytes  string
	Closed bool // by the server, within the time that the client waited
}

// String shows a reply on one line.
func (r Reply) String() string {
	return strconv.Quote(r.Bytes) + map[bool]string{true: " closed", false: " open"}[r.Closed]
}

// Scan is the folder of what is scanned, in what is sent and in what is recorded.
const Scan = "/scan"

// pause is between two steps; wait is the time of silence after which a client gives up.
const (
	pause = 50 * time.Millisecond
	wait  = 400 * time.Millisecond
)

// With holds the conversation over a connection, which it closes. tree is the folder that
// stands for Scan.
func (t *Talk) With(c net.Conn, tree string) (Reply, error) {
	defer c.Close()
	answer := make(chan Reply, 1)
	sent := make(chan struct{})
	go func() { answer <- receive(c, t.Wait, sent) }()
	for i, s := range t.Steps {
		if i > 0 {
			time.Sleep(max(s.Pause, pause))
		}
		if err := s.do(c, tree); err != nil {
			break // the server is gone; what it said before counts
		}
	}
	close(sent)
	r := <-answer
	r.Bytes = Normalise(r.Bytes, tree)
	if t.Unordered {
		r.Bytes = ordered(r.Bytes)
	}
	return r, nil
}

// Patient returns the conversation with a client that waits for what is to come, however
// slow the machine is: where want is closed by the server, for half a minute.
func (t Talk) Patient(want Reply) Talk {
	if want.Closed {
		t.Wait = 30 * time.Second
	}
	return t
}

func (s *Step) do(c net.Conn, tree string) error {
	b := []byte(strings.ReplaceAll(s.Send, Scan, tree))
	if len(s.Files) > 0 {
		u, ok := c.(*net.UnixConn)
		if !ok {
			return errors.New("descriptors pass over Unix sockets only")
		}
		var fds []int
		for _, name := range s.Files {
			f, err := os.OpenFile(strings.ReplaceAll(name, Scan, tree), os.O_RDONLY|syscall.O_NONBLOCK, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			fds = append(fds, int(f.Fd()))
		}
		_, _, err := u.WriteMsgUnix(b, syscall.UnixRights(fds...), nil)
		return err
	}
	if len(b) > 0 {
		c.SetWriteDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Write(b); err != nil {
			return err
		}
	}
	if h, ok := c.(interface{ CloseWrite() error }); ok && s.Shut {
		return h.CloseWrite()
	}
	return nil
}

// receive reads until the server closes, or until nothing came for some time after all
// was sent.
func receive(c net.Conn, silence time.Duration, sent <-chan struct{}) Reply {
	if silence == 0 {
		silence = wait
	}
	var all []byte
	b := make([]byte, 4096)
	quiet := time.Duration(0)
	const tick = 20 * time.Millisecond
	for {
		c.SetReadDeadline(time.Now().Add(tick))
		n, err := c.Read(b)
		all = append(all, b[:n]...)
		switch {
		case n > 0:
			quiet = 0
		case errors.Is(err, os.ErrDeadlineExceeded):
			select {
			case <-sent:
				quiet += tick
			default:
			}
		default: // io.EOF, or a reset because the server left bytes unread
			return Reply{string(all), errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)}
		}
		if quiet >= silence {
			return Reply{string(all), false}
		}
	}
}

var (
	fdNumber = regexp.MustCompile(`fd\[\d+\]`)
	statLine = regexp.MustCompile(`POOLS: \d+\n\nSTATE: VALID PRIMARY\nTHREADS: live \d+  idle \d+ max \d+ idle-timeout \d+\nQUEUE: \d+ items[^\n]*\n(\t[A-Z]+ \d+\.\d+ [^\n]*\n)*\n` +
		`MEMSTATS: heap (N/A|[\d.]+M) mmap (N/A|[\d.]+M) used (N/A|[\d.]+M) free (N/A|[\d.]+M) releasable (N/A|[\d.]+M) pools \d+ pools_used [\d.]+M pools_total [\d.]+M\nEND`)
)

// Normalise makes a reply comparable: the folder of the tree is Scan, descriptors have no
// numbers, and a reply of STATS in clamd's form has no figures.
func Normalise(s, tree string) string {
	s = strings.ReplaceAll(s, tree, Scan)
	s = fdNumber.ReplaceAllString(s, "fd[N]")
	return statLine.ReplaceAllString(s, "<STATS>")
}

// ordered sorts replies, each with its end.
func ordered(s string) string {
	var parts []string
	for s != "" {
		i := strings.IndexAny(s, "\x00\n") + 1
		if i == 0 {
			i = len(s)
		}
		parts = append(parts, s[:i])
		s = s[i:]
	}
	slices.Sort(parts)
	return strings.Join(parts, "")
}

//go:embed testdata/clamd-1.4.6.txt
var recorded string

// Recorded returns what clamd 1.4.6 answered, by the conversation's name.
func Recorded() (map[string]Reply, error) {
	unordered := map[string]bool{}
	for _, t := range Talks() {
		unordered[t.Name] = t.Unordered
	}
	out := map[string]Reply{}
	for line := range strings.Lines(recorded) {
		f := strings.SplitN(strings.TrimSpace(line), "\t", 3)
		if strings.HasPrefix(line, "#") || len(f) < 3 {
			continue
		}
		b, err := strconv.Unquote(f[2])
		if err != nil || f[1] != "closed" && f[1] != "open" {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		if unordered[f[0]] {
			b = ordered(b)
		}
		out[f[0]] = Reply{b, f[1] == "closed"}
	}
	return out, nil
}

// Write writes replies as Recorded reads them, in the order of Talks.
func Write(w io.Writer, replies map[string]Reply) {
	fmt.Fprintf(w, "# What clamd 1.4.6 answered to each conversation of talks.go: its name, how the connection ended, the bytes.\n"+
		"# Written by: go test ./internal/clamdtalk -run Recorded -record\n")
	for _, t := range Talks() {
		if r, ok := replies[t.Name]; ok {
			fmt.Fprintf(w, "%s\t%s\t%q\n", t.Name, map[bool]string{true: "closed", false: "open"}[r.Closed], r.Bytes)
		}
	}
}
