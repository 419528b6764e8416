// Command doors measures showcause serve beside clamd: the same rules, the same
// mails, one machine, one after the other. Every answer is checked: each mail has
// the mark of one of 64 rules or of none, and what is answered must be that rule's
// name. It prints Markdown.
//
//	go run ./bench/doors                       # about three minutes
//	go run ./bench/doors -soak 30m             # and a soak with a reload every 30 seconds
//	go run ./bench/doors -db FOLDER -clients 8 -for 20s
//
// ClamAV's database is found in $SHOWCAUSE_DATA (clamav/official) or named with -db;
// without one there are the 64 rules alone. Without clamd there is nothing beside.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

type options struct {
	db        string
	showcause string
	clients   int
	each      time.Duration
	soak      time.Duration
	idle      int
	busy      int
	flood     int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "doors:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var o options
	flag.StringVar(&o.db, "db", filepath.Join(os.Getenv("SHOWCAUSE_DATA"), "clamav", "official"), "folder of a ClamAV database")
	flag.StringVar(&o.showcause, "showcause", "", "showcause program (default: built from this source)")
	flag.IntVar(&o.clients, "clients", 8, "clients that ask as fast as they are answered")
	flag.DurationVar(&o.each, "for", 10*time.Second, "time of each measurement")
	flag.DurationVar(&o.soak, "soak", 0, "and a soak of this time, with reloads")
	flag.IntVar(&o.idle, "idle", 1000, "connections that say nothing, beside the busy ones")
	flag.IntVar(&o.busy, "busy", 200, "clients that ask beside them")
	flag.IntVar(&o.flood, "flood", 10000, "connections at once that send a part of a request; 0 for none")
	flag.Parse()
	if flag.NArg() > 0 || o.clients < 1 || o.busy < 1 {
		return errors.New("usage: doors [flags]")
	}
	if err := manyFiles(); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "showcause-doors")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	rules := filepath.Join(tmp, "rules")
	if err := gather(rules, o.db); err != nil {
		return err
	}
	if o.showcause == "" {
		o.showcause = filepath.Join(tmp, "showcause")
		c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", o.showcause, "./cmd/showcause")
		c.Env, c.Stderr = append(os.Environ(), "CGO_ENABLED=0"), os.Stderr
		if err := c.Run(); err != nil {
			return fmt.Errorf("build: %w", err)
		}
	}
	fmt.Printf("%s, %s, %d processors, load %s. `%s`\n\n", time.Now().Format(time.DateOnly), kernel(), runtime.NumCPU(), load(), commandLine())
	fmt.Println("| | clients | requests/s | p50, p99, worst, ms | CPU for one, ms | memory, MB | wrong, lost |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, start := range []func(context.Context, string, string, *options) (*server, error){startClamd, startShowcause} {
		s, err := start(ctx, tmp, rules, &o)
		if errors.Is(err, exec.ErrNotFound) {
			fmt.Fprintln(os.Stderr, "doors: not run:", err)
			continue
		}
		if err != nil {
			return err
		}
		err = s.measure(ctx, &o)
		s.stop()
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return ctx.Err()
}

// measure prints a server's rows.
func (s *server) measure(ctx context.Context, o *options) error {
	for _, network := range []string{"unix", "tcp"} {
		s.drive(ctx, network, o.clients, time.Second) // warm
		r := s.drive(ctx, network, o.clients, o.each)
		r.print(fmt.Sprintf("%s, %s, as fast as it answers", s.name, network), o.clients)
		half := s.pace(ctx, network, r.rate()/2, o.each)
		half.print(fmt.Sprintf("%s, %s, at half of that", s.name, network), 0)
	}
	s.beside(ctx, "unix", o.busy, o.idle, "zIDSESSION\x00", "idle connections", o)
	if o.flood > 0 && s.ours {
		s.beside(ctx, "tcp", o.clients, o.flood, "zINSTREAM\x00\x00\x00\x10\x00half", "connections with half a request", o)
	}
	if o.soak > 0 && s.ours {
		return s.soak(ctx, o)
	}
	return ctx.Err()
}

// beside prints a row for clients that ask while held connections have said something and wait.
func (s *server) beside(ctx context.Context, network string, clients, held int, said, what string, o *options) {
	conns, err := s.hold("unix", held, said)
	if err != nil {
		fmt.Fprintf(os.Stderr, "doors: %s: %d of %d %s: %v\n", s.name, len(conns), held, what, err)
	}
	defer closeAll(conns)
	r := s.drive(ctx, network, clients, o.each)
	r.print(fmt.Sprintf("%s, beside %d %s", s.name, len(conns), what), clients)
}

// soak asks for a long time, over both networks at once, while the rules are loaded
// anew every 30 seconds, and prints what the memory did.
func (s *server) soak(ctx context.Context, o *options) error {
	ctx, cancel := context.WithTimeout(ctx, o.soak)
	defer cancel()
	over := make(chan result, 2)
	for _, network := range []string{"unix", "tcp"} {
		go func() { over <- s.drive(ctx, network, max(o.clients/2, 1), o.soak) }()
	}
	fmt.Fprintln(os.Stderr, "doors: soak: minutes, MB, descriptors, reloads")
	started, reloads := time.Now(), 0
	tick := time.NewTicker(30 * time.Second)
	defer tick.Stop()
	var first, last, most float64
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			if err := s.reload(); err != nil {
				return err
			}
			reloads++
			last = s.memory()
			if most = max(most, last); reloads == 2 {
				first = last
			}
			fmt.Fprintf(os.Stderr, "%.1f %.1f %d %d\n", time.Since(started).Minutes(), last, s.descriptors(), reloads)
		}
	}
	for range 2 {
		r := <-over
		r.print(fmt.Sprintf("%s, soak of %v, %d reloads (memory after the second %.0f, at the end %.0f, most %.0f MB)", s.name, o.soak, reloads, first, last, most), max(o.clients/2, 1))
	}
	return nil
}

func commandLine() string {
	return strings.Join(append([]string{"go run ./bench/doors"}, os.Args[1:]...), " ")
}
