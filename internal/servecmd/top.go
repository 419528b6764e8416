package servecmd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/serve"
	"github.com/showcause/showcause/serve/queue"
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

// top is the command "top".
func (h Host) top() *cobra.Command {
	var path, format string
	var once bool
	var every time.Duration
	c := &cobra.Command{
		Use:   "top [flags]",
		Short: "Look at a service that runs: doors, queue, readers, rules, throughput",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
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
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

// show writes how things stand; with a last look, what came to pass since.
func show(w io.Writer, s, last *serve.Status, since time.Duration) error {
	q := &s.Queue
	jail := "NOT SEALED"
	if s.Sealed {
		jail = "sealed"
	}
	fmt.Fprintf(w, "showcause %s, process %d, since %s\n", showcause.Escape(s.Version), s.Pid, s.Since.Format(time.DateTime))
	for _, d := range s.Doors {
		fmt.Fprintf(w, "door     %s %s %s\n", showcause.Escape(d.Door), d.Network, showcause.Escape(d.Address))
	}
	fmt.Fprintf(w, "rules    %d", s.Rules.Count)
	if s.Rules.Version != "" {
		fmt.Fprintf(w, ", %s", showcause.Escape(s.Rules.Version))
	}
	if s.Rules.Failed != "" {
		fmt.Fprintf(w, "; the last reload failed: %s", showcause.Escape(s.Rules.Failed))
	}
	fmt.Fprintf(w, "\nreaders  %d, %s; %d requests are read, %d wait, of %d clients\n", s.Readers, jail, q.Reading, q.Waiting, q.Clients)
	fmt.Fprintf(w, "answers  %d: %d found, %d incomplete, %d nothing found; %d from the cache (%d kept)\n", q.Requests, q.Found, q.Incomplete, q.Clean, q.Cached, q.Kept)
	fmt.Fprintf(w, "refused  %d busy, %d late, %d failed\n", q.Busy, q.Late, q.Failed)
	fmt.Fprintf(w, "times    half below %v, 99 of 100 below %v\n", quantile(q, 0.5), quantile(q, 0.99))
	if last != nil && since > 0 {
		l := &last.Queue
		_, err := fmt.Fprintf(w, "now      %.0f answers/s, %.1f MB/s\n", float64(q.Requests-l.Requests)/since.Seconds(), float64(q.Bytes-l.Bytes)/1e6/since.Seconds())
		return err
	}
	return nil
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
