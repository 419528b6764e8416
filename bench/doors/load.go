package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// rulesMarked is how many rules the mails have marks of.
const rulesMarked = 64

// mailSize is the size of a mail, bytes.
const mailSize = 4096

func mark(rule int) string {
	return fmt.Sprintf("showcause-doors-mark-%03d-%08x", rule, rule*2654435761)
}

// mail makes mail n, which no other is like, and what must be answered.
func mail(n uint64) (b []byte, rule int) {
	rule = -1
	var m bytes.Buffer
	fmt.Fprintf(&m, "Received: from mx%d.example by mail.example; Sat, 21 Nov 2026 10:00:00 +0000\r\nFrom: a%[1]d@example.org\r\nTo: b@example.org\r\n"+
		"Subject: mail %[1]d\r\nMessage-ID: <%[1]d@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n", n)
	if n%4 == 0 {
		rule = int(n / 4 % rulesMarked)
		fmt.Fprintf(&m, "%s\r\n", mark(rule))
	}
	r := rand.New(rand.NewPCG(n, 1))
	for m.Len() < mailSize {
		for range 10 {
			m.WriteString(words[r.IntN(len(words))])
			m.WriteByte(' ')
		}
		m.WriteString("\r\n")
	}
	return m.Bytes()[:mailSize], rule
}

var words = strings.Fields("the quick brown fox jumps over a lazy dog while many letters wait for answers that nobody has written yet because meetings run late and coffee is cold " +
	"please find attached our invoice report agenda minutes of last week with kind regards from everyone at office department team project schedule")

// sent numbers the mails, so that none is sent twice.
var sent atomic.Uint64

// ask sends one mail and checks the answer.
func (s *server) ask(network string) error {
	b, rule := mail(sent.Add(1))
	c, err := s.dial(network, 10*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	msg := append([]byte("zINSTREAM\x00"), binary.BigEndian.AppendUint32(nil, uint32(len(b)))...)
	msg = append(append(msg, b...), 0, 0, 0, 0)
	if _, err := c.Write(msg); err != nil {
		return err
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		return err
	}
	text := strings.TrimSuffix(string(answer), "\x00")
	want := "stream: OK"
	if rule >= 0 {
		want = fmt.Sprintf("stream: Doors.Mark.%03d.UNOFFICIAL FOUND", rule)
	}
	if text != want {
		return wrong{text, want}
	}
	return nil
}

type wrong struct{ got, want string }

func (w wrong) Error() string { return fmt.Sprintf("answer %q, want %q", w.got, w.want) }

// told counts the errors, of which a few are printed.
var told atomic.Uint64

// result is what one measurement saw.
type result struct {
	took        time.Duration
	latencies   []time.Duration
	late        []time.Duration // how much later than due a request was begun: it is in the latency
	wrong, lost int
	cpu         time.Duration
	memory      float64 // MB
}

func (r *result) rate() float64 { return float64(len(r.latencies)) / r.took.Seconds() }

func (r *result) note(latency time.Duration, err error) {
	switch err.(type) {
	case nil:
		r.latencies = append(r.latencies, latency)
		return
	case wrong:
		r.wrong++
	default:
		r.lost++
	}
	if told.Add(1) <= 20 {
		fmt.Fprintln(os.Stderr, "doors:", err)
	}
}

// drive has clients ask, each as soon as it is answered.
func (s *server) drive(ctx context.Context, network string, clients int, during time.Duration) (all result) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	before, started := s.cpu(), time.Now()
	for range clients {
		wg.Go(func() {
			var r result
			for time.Since(started) < during && ctx.Err() == nil {
				at := time.Now()
				err := s.ask(network)
				if r.note(time.Since(at), err); err != nil {
					time.Sleep(10 * time.Millisecond)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all.latencies, all.wrong, all.lost = append(all.latencies, r.latencies...), all.wrong+r.wrong, all.lost+r.lost
		})
	}
	time.Sleep(during / 2)
	memory := s.memory()
	wg.Wait()
	all.took, all.cpu, all.memory = time.Since(started), s.cpu()-before, memory
	return all
}

// pace sends so many a second, whether or not those before are answered. The time for an
// answer counts from when the request was due.
func (s *server) pace(ctx context.Context, network string, rate float64, during time.Duration) (all result) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	before, started := s.cpu(), time.Now()
	for i := 0; ; i++ {
		due := started.Add(time.Duration(float64(i) / max(rate, 0.1) * float64(time.Second)))
		if due.Sub(started) > during || ctx.Err() != nil {
			break
		}
		time.Sleep(time.Until(due))
		wg.Go(func() {
			late := time.Since(due)
			err := s.ask(network)
			mu.Lock()
			defer mu.Unlock()
			all.note(time.Since(due), err)
			all.late = append(all.late, late)
		})
	}
	memory := s.memory()
	wg.Wait()
	all.took, all.cpu, all.memory = time.Since(started), s.cpu()-before, memory
	return all
}

// dial connects, and waits as a blocking connect would while the server's queue of connections is full:
// for a Unix socket that does not block, the kernel says EAGAIN instead.
func (s *server) dial(network string, patience time.Duration) (net.Conn, error) {
	for until := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		c, err := net.DialTimeout(network, s.address(network), time.Until(until))
		if !errors.Is(err, syscall.EAGAIN) || !time.Now().Before(until) {
			return c, err
		}
	}
}

// hold opens connections that send a beginning and then nothing.
func (s *server) hold(network string, n int, beginning string) (out []net.Conn, err error) {
	for range n {
		c, err := s.dial(network, 5*time.Second)
		if err != nil {
			return out, err
		}
		c.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.WriteString(c, beginning); err != nil {
			c.Close()
			return out, err
		}
		out = append(out, c)
	}
	return out, nil
}

func closeAll(cs []net.Conn) {
	for _, c := range cs {
		c.Close()
	}
}

func (r *result) print(name string, clients int) {
	slices.Sort(r.latencies)
	at := func(part float64) float64 { return quantile(r.latencies, part) }
	if len(r.late) > 0 {
		slices.Sort(r.late)
		name += fmt.Sprintf(" (begun late by: %.1f, %.1f, %.1f ms)", quantile(r.late, .5), quantile(r.late, .99), quantile(r.late, 1))
	}
	each := "-"
	if clients > 0 {
		each = fmt.Sprint(clients)
	}
	fmt.Printf("| %s | %s | %.0f | %.1f, %.1f, %.1f | %.2f | %.0f | %d, %d |\n", name, each, r.rate(), at(.5), at(.99), at(1),
		r.cpu.Seconds()*1000/float64(max(len(r.latencies), 1)), r.memory, r.wrong, r.lost)
}

// quantile is the value at a part of a sorted list, ms; -1 if there is none.
func quantile(sorted []time.Duration, part float64) float64 {
	if len(sorted) == 0 {
		return -1
	}
	return sorted[min(int(part*float64(len(sorted))), len(sorted)-1)].Seconds() * 1000
}
