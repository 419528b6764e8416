package servecmd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/serve"
	"github.com/showcause/showcause/serve/queue"
	"github.com/showcause/showcause/serve/records"
)

// DefaultControl is the path of the control socket that the unit of systemd has.
const DefaultControl = "/run/showcause/control.sock"

// session asks a service that runs.
type session struct {
	conn net.Conn
	in   *bufio.Reader
}

func dial(ctx context.Context, path string) (*session, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("service: %w (serve --control opens the socket)", err)
	}
	return &session{c, bufio.NewReader(c)}, nil
}

func (s *session) ask(op string) (st serve.Status, err error) {
	_ = s.conn.SetDeadline(time.Now().Add(time.Minute))
	b, err := json.Marshal(serve.Asked{Op: op})
	if err != nil {
		return st, err
	}
	if _, err := s.conn.Write(append(b, '\n')); err != nil {
		return st, err
	}
	line, err := s.in.ReadBytes('\n')
	if err != nil {
		return st, err
	}
	if err := json.Unmarshal(line, &st); err != nil {
		return st, err
	}
	if st.Error != "" {
		return st, errors.New(showcause.Escape(st.Error))
	}
	return st, nil
}

// Ask asks the service whose control socket has a path how it stands.
func Ask(ctx context.Context, path string) (*serve.Status, error) {
	s, err := dial(ctx, path)
	if err != nil {
		return nil, err
	}
	defer s.conn.Close()
	st, err := s.ask("status")
	return &st, err
}

// Show writes it for people.
func Show(w io.Writer, s *serve.Status) error { return show(w, s, nil, 0) }

// top is the command "top".
func (h Host) top() *cobra.Command {
	var path, format string
	var once, asJSON bool
	var every time.Duration
	c := &cobra.Command{
		Use:   "top [flags]",
		Short: "Look at a service that runs, live: doors, queue, readers, rules, throughput",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if every <= 0 {
				return errors.New("flag --every: more than 0")
			}
			if asJSON {
				format = "json"
			}
			s, err := dial(c.Context(), path)
			if err != nil {
				return err
			}
			defer s.conn.Close()
			var last *serve.Status
			at := time.Time{}
			for {
				st, err := s.ask("status")
				if err != nil {
					return err
				}
				now := time.Now()
				switch format {
				case "json":
					err = json.NewEncoder(c.OutOrStdout()).Encode(st)
				case "text":
					if !once {
						_, _ = io.WriteString(c.OutOrStdout(), "\x1b[H\x1b[J")
					}
					err = show(c.OutOrStdout(), &st, last, now.Sub(at))
				default:
					err = fmt.Errorf("flag --format: %q is not one of text, json", format)
				}
				if err != nil || once {
					return err
				}
				last, at = &st, now
				select {
				case <-c.Context().Done():
					return nil
				case <-time.After(every):
				}
			}
		},
	}
	c.Flags().StringVar(&path, "control", DefaultControl, "the service's control socket")
	c.Flags().BoolVarP(&once, "once", "1", false, "once, and end")
	c.Flags().DurationVar(&every, "every", time.Second, "time between two looks")
	c.Flags().StringVar(&format, "format", "text", "output: text, json (a line each)")
	c.Flags().BoolVar(&asJSON, "json", false, "as --format json")
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

// show writes how things stand; with a last look, what came to pass since.
func show(w io.Writer, s, last *serve.Status, since time.Duration) error {
	q := &s.Queue
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s, process %d, since %s\n", showcause.Escape(s.Version), s.Pid, s.Since.Format(time.DateTime))
	fmt.Fprintf(t, "rules\t%s\n", rulesLine(&s.Rules, s.Now))
	jail := "NOT SEALED"
	if s.Sealed {
		jail = "sealed"
		missing := 0
		for i := range s.Jail {
			if !s.Jail[i].On && !s.Jail[i].Needless {
				missing++
			}
		}
		if missing > 0 {
			jail = fmt.Sprintf("sealed by system calls, BUT %d of %d walls are not there:", missing, len(s.Jail))
		}
	}
	fmt.Fprintf(t, "readers\t%d at most, %s\n", s.Readers, jail)
	for _, g := range s.Jail {
		if !g.On && !g.Needless {
			fmt.Fprintf(t, "\tnot there: %s: %s\n", showcause.Escape(g.Wall), showcause.Escape(g.Why))
		}
	}
	fmt.Fprintf(t, "queue\t%d with readers, %d waiting, of %d clients; %s received and held\n", q.Reading, q.Waiting, q.Clients, sized(q.Memory+q.Disk))
	fmt.Fprintf(t, "answers\t%d: %d found, %d incomplete, %d nothing found; %d from the cache (%d kept)\n", q.Requests, q.Found, q.Incomplete, q.Clean, q.Cached, q.Kept)
	fmt.Fprintf(t, "refused\t%d busy, %d late, %d failed\n", q.Busy, q.Late, q.Failed)
	fmt.Fprintf(t, "records\t%s\n", recordsLine(s.Records))
	fmt.Fprintf(t, "times\thalf below %v, 99 of 100 below %v\n", quantile(q, 0.5), quantile(q, 0.99))
	fmt.Fprintf(t, "%s\t%s\n", "rate", rate(s, last, since))
	if err := t.Flush(); err != nil {
		return err
	}
	return showDoors(w, s, last, since)
}

// recordsLine says how the records of what is found stand.
func recordsLine(r *records.Status) string {
	if r == nil {
		return "none are kept"
	}
	out := fmt.Sprintf("%d durable, %d waiting", r.Made, r.Waiting)
	if r.Missed > 0 {
		out += fmt.Sprintf(", %d MISSED", r.Missed)
	}
	if r.Failed != "" {
		out += "; THE STORE IS NOT WRITTEN TO: " + showcause.Escape(r.Failed)
	}
	if r.Unsealed != "" {
		out += "; THE LAST COULD NOT BE MADE: " + showcause.Escape(r.Unsealed)
	}
	return out
}

// rulesLine says what is scanned with, and how old it is.
func rulesLine(r *serve.RulesStatus, now time.Time) string {
	out := fmt.Sprint(r.Count)
	if r.Version != "" {
		out += ", " + showcause.Escape(r.Version)
	}
	if !r.Released.IsZero() {
		out += ", " + age(now.Sub(r.Released)) + " old"
	}
	out += ", loaded " + age(now.Sub(r.Loaded)) + " ago"
	if r.Failed != "" {
		out += "; THE LAST RELOAD FAILED: " + showcause.Escape(r.Failed)
	}
	return out
}

// age is a time in its largest unit.
func age(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", max(d, 0)/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

// sized is a number of bytes for people.
func sized(n int64) string {
	for _, u := range [...]struct {
		shift int
		name  string
	}{{30, "GiB"}, {20, "MiB"}, {10, "KiB"}} {
		if n >= 1<<u.shift {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(int64(1)<<u.shift), u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

// rate is what passes in a second, since the last look or since the start.
func rate(s, last *serve.Status, since time.Duration) string {
	when := "since the last look"
	if last == nil {
		last, since, when = &serve.Status{}, s.Now.Sub(s.Since), "since the start"
	}
	if since <= 0 {
		return "none yet"
	}
	q, l := &s.Queue, &last.Queue
	return fmt.Sprintf("%.1f answers/s, %.2f MB/s %s", float64(q.Requests-l.Requests)/since.Seconds(), float64(q.Bytes-l.Bytes)/1e6/since.Seconds(), when)
}

func showDoors(w io.Writer, s, last *serve.Status, since time.Duration) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "\nDOOR\tOPEN\tTAKEN\tANSWERS\tFOUND\tINCOMPLETE\tREFUSED\t/S\tADDRESSES\n")
	for i := range s.Doors {
		d := &s.Doors[i]
		var at []string
		for _, l := range d.Sockets {
			at = append(at, showcause.Escape(l.Address))
		}
		now := "-"
		if last != nil && since > 0 && i < len(last.Doors) && last.Doors[i].Door == d.Door {
			now = fmt.Sprintf("%.1f", float64(d.Answers()-last.Doors[i].Answers())/since.Seconds())
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n", showcause.Escape(d.Door), d.Open, d.Connections, d.Answers(), d.Found, d.Incomplete, d.Refused, now, strings.Join(at, " "))
	}
	return t.Flush()
}

// quantile is the bound of the class that a share of the answers is below.
func quantile(q *queue.Stats, share float64) time.Duration {
	total := int64(0)
	for _, n := range q.Times {
		total += n
	}
	sum := int64(0)
	for i, n := range q.Times {
		if sum += n; i < len(queue.Bounds) && float64(sum) >= share*float64(total) {
			return queue.Bounds[i]
		}
	}
	return queue.Bounds[len(queue.Bounds)-1]
}
