// Package servecmd are the commands about the service: serve, top, which looks at one that
// runs, and the part of status that does.
package servecmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence/draft"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/serve"
	"github.com/showcause/showcause/serve/clamd"
	"github.com/showcause/showcause/serve/queue"
	"github.com/showcause/showcause/worker"
)

// Host is what the commands need of the program that they are part of.
type Host struct {
	Version string
	// OpenRules opens rules as --db of scan names them, compiled as o says; none is the built-in
	// ones. What is compiled already has what it has.
	OpenRules func(ctx context.Context, paths []string, o rules.Options, stderr io.Writer, quiet bool) (*ruledb.DB, error)
	Scratch   func() (*os.File, error)
	// StoreDir returns the folder of records for what --store says, "" for none, and whether
	// the user named it.
	StoreDir  func(flag string) (dir string, named bool, err error)
	FlagError func(*cobra.Command, error) error
}

// Serve is the command "serve".
func (h Host) Serve() *cobra.Command {
	var s settings
	var show bool
	c := &cobra.Command{
		Use:   "serve [flags]",
		Short: "Answer scan requests: in clamd's place, on its sockets, with its clamd.conf",
		Long: `Answer scan requests of others over sockets, until SIGTERM. With --config it takes
clamd's place: the same clamd.conf, the same sockets, the same protocol. Flags go before
what clamd.conf says, and that before the defaults; --print-config shows what counts,
and where it comes from.

Signals: SIGTERM stops, once all that was begun is answered; SIGHUP opens the log
again and reloads the rules; SIGUSR2 starts the program anew, which may be a newer
one, and hands it the sockets.`,
		Example: `  showcause serve --config /etc/clamav/clamd.conf
  showcause serve --socket /run/showcause/clamd.sock --db /var/lib/clamav
  showcause serve --config /etc/clamav/clamd.conf --print-config`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := s.resolve(c.Flags()); err != nil {
				return err
			}
			if err := s.records(h); err != nil {
				return err
			}
			if show {
				return s.print(c.OutOrStdout())
			}
			return h.run(c, &s)
		},
	}
	s.flags(c.Flags())
	c.Flags().BoolVar(&show, "print-config", false, "show each setting with where it comes from, and what has no place here, and end")
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

// Commands are all of them.
func (h Host) Commands() []*cobra.Command {
	return []*cobra.Command{h.Serve(), h.top(), h.watch()}
}

func (h Host) run(c *cobra.Command, s *settings) error {
	if len(s.listen) == 0 && os.Getenv("LISTEN_FDS") == "" {
		return errors.New("serve: no door: --socket, --tcp, --api, --icap or --milter, or LocalSocket or TCPSocket in clamd.conf (--config), or socket activation")
	}
	if s.tempDir != "" {
		os.Setenv("TMPDIR", s.tempDir)
	}
	if err := s.store.prepare(s.user); err != nil {
		return err
	}
	giveCache(s.user)
	o := h.options(s, c.ErrOrStderr())
	ended := s.soaks(&o.Soak, c.ErrOrStderr())
	err := serve.Run(c.Context(), o)
	if err == nil {
		ended()
	}
	return err
}

// options are what the settings come to.
func (h Host) options(s *settings, stderr io.Writer) serve.Options {
	return serve.Options{
		Version: h.Version, Listen: s.listen, SelfCheck: s.selfCheck, Soak: s.soak, Policy: s.policy, User: s.user, Supplementary: true, PidFile: s.pidFile,
		Log: s.log, Notes: s.notes, Control: s.control, ControlDefault: !s.given.Changed("control"), Metrics: s.metrics, Hosts: s.api.hosts, Drain: s.drain, Stderr: stderr,
		Doors: map[string]func(*serve.Daemon) (serve.Door, error){
			"clamd":    func(d *serve.Daemon) (serve.Door, error) { return h.clamdDoor(s, d), nil },
			apiName:    func(d *serve.Daemon) (serve.Door, error) { return h.apiDoor(s, d) },
			icapName:   func(d *serve.Daemon) (serve.Door, error) { return h.icapDoor(s, d) },
			milterName: func(d *serve.Daemon) (serve.Door, error) { return h.milterServer(s, d) },
		},
		Records: s.store.open, Event: s.event,
		Rules: func(ctx context.Context) (queue.Database, error) {
			return young(s.oldest, time.Now)(h.rules(ctx, s.db, s.chosen, stderr))
		},
		State: func() string { return stateOf(s.db) },
		Queue: queue.Options{
			Scratch: h.Scratch, MaxWaiting: s.queue, MaxMemory: s.memory, MaxSpool: s.spool, CacheMemory: s.cache,
			Pool: worker.Options{
				Limits: s.limits, Names: true, Workers: s.readers, Scratch: h.Scratch, Memory: s.readerMemory, Recycle: s.recycle, Timeout: s.timeout(),
			},
		},
	}
}

// timeout is the wall clock that one file may take; nil is the pool's own.
func (s *settings) timeout() func(int64) time.Duration {
	if s.scanTime <= 0 {
		return nil
	}
	d := s.scanTime
	return func(int64) time.Duration { return d }
}

// rules opens what is scanned with.
func (h Host) rules(ctx context.Context, paths []string, o rules.Options, stderr io.Writer) (queue.Database, error) {
	db, err := h.OpenRules(ctx, paths, o, stderr, false)
	if err != nil {
		return queue.Database{}, err
	}
	if db.Len() == 0 {
		db.Close()
		return queue.Database{}, fmt.Errorf("rules: none in %s", showcause.Escape(strings.Join(paths, ", ")))
	}
	sum, err := digestOf(db)
	if err != nil {
		db.Close()
		return queue.Database{}, fmt.Errorf("rules: %w", err)
	}
	return queue.Database{DB: db, Version: versionOf(db.Meta()), Digest: sum, Close: func() { _ = db.Close() }}, nil
}

// young refuses ClamAV's rules that are older than they may be (FailIfCvdOlderThan).
// Rules that do not say of when they are have no age.
func young(oldest time.Duration, now func() time.Time) func(queue.Database, error) (queue.Database, error) {
	return func(db queue.Database, err error) (queue.Database, error) {
		made := serve.Released(db.Version)
		if err != nil || oldest <= 0 || made.IsZero() || now().Sub(made) <= oldest {
			return db, err
		}
		if db.Close != nil {
			db.Close()
		}
		return queue.Database{}, fmt.Errorf("rules: of %s, which is longer ago than FailIfCvdOlderThan has it", made.Format(time.DateOnly))
	}
}

// digestOf is the SHA-256 that records name a database by.
func digestOf(db *ruledb.DB) (string, error) {
	sealed, rest, err := db.Share()
	if err != nil {
		return "", err
	}
	defer sealed.Close()
	defer rest.Close()
	return draft.Digest(rest)
}

// versionOf is what clamd says of its database behind its own version: number and date of
// the daily rules, or "" where no container of ClamAV's says them.
func versionOf(m ruledb.Meta) string {
	for _, s := range m.Sources {
		number, date, ok := strings.Cut(s.Version, ", ")
		if !ok || !strings.HasPrefix(filepath.Base(s.File), "daily.") {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 32)
		t, terr := time.Parse("02 Jan 2006 15-04 -0700", date)
		if err == nil && terr == nil {
			return clamd.RulesVersion(n, t.Local())
		}
	}
	return ""
}

// stateOf changes when the files of rules do.
func stateOf(paths []string) string {
	var b strings.Builder
	add := func(name string, st fs.FileInfo, err error) {
		if err != nil {
			fmt.Fprintf(&b, "%q %v\n", name, err)
			return
		}
		fmt.Fprintf(&b, "%q %d %d %v\n", name, st.Size(), st.ModTime().UnixNano(), st.Mode())
	}
	for _, p := range paths {
		st, err := os.Stat(p)
		add(p, st, err)
		if err != nil || !st.IsDir() {
			continue
		}
		list, err := os.ReadDir(p)
		if err != nil {
			add(p, nil, err)
		}
		for _, e := range list {
			st, err := os.Stat(filepath.Join(p, e.Name()))
			add(e.Name(), st, err)
		}
	}
	return b.String()
}

// clamdDoor is clamd's protocol.
func (h Host) clamdDoor(s *settings, d *serve.Daemon) serve.Door {
	o := s.clamd
	o.Log = d.Log()
	return door{clamd.New(&clamd.Behind{
		Queue: d.Queue(), Policy: d.Policy(), Limits: s.limits, Timeout: s.scanTime, Readers: d.Queue().Readers(), Version: h.Version,
		OnReload:   func() { go func() { _ = d.Reload(context.Background()) }() },
		OnShutdown: d.End,
	}, o)}
}

// door is clamd's as the service wants one.
type door struct{ *clamd.Server }

// Shutdown implements serve.Door.
func (d door) Shutdown(ctx context.Context) error { return d.Close(ctx) }
