package servecmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/serve/queue"
	"github.com/showcause/showcause/serve/records"
	"github.com/showcause/showcause/serve/watch"
	"github.com/showcause/showcause/worker"
)

// watching are the flags of "watch".
type watching struct {
	o              watch.Options
	db             []string
	denyIncomplete bool
	onTimeout      string
	logFormat      string
	readers        int
	store          string
	quarantine     bool
	log            *slog.Logger
	keeper         *records.Keeper // nil: no records
	taker          *taker          // nil: nothing is taken
}

// watch is the command "watch".
func (h Host) watch() *cobra.Command {
	var s watching
	c := &cobra.Command{
		Use:   "watch [flags] FOLDER...",
		Short: "Scan files when they are written, started or opened",
		Long: `Scan files on the file systems of these folders when they were written and closed,
or are started. With --block whoever opens or starts a file waits for the answer, and is
refused (EPERM) if something is found.

This takes root, and a kernel with fanotify. SIGHUP reloads the rules; SIGTERM ends it,
and lets all that wait through. A second small process ends this one if it stalls.`,
		Example: `  showcause watch /home
  showcause watch --block --exclude /home/build /home`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			s.o.Paths = args
			return h.runWatch(c, &s)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.BoolVar(&s.o.Block, "block", false, "opening and starting a file waits for the answer")
	f.StringArrayVarP(&s.db, "db", "d", nil, "rules: a compiled database, or ClamAV database files or folders (repeatable; default: the built-in rules)")
	f.DurationVar(&s.o.Timeout, "timeout", 5*time.Second, "with --block: how long anybody waits; the scan goes on behind it")
	f.StringVar(&s.onTimeout, "on-timeout", "allow", "what is answered then, and where a scan fails: allow, deny")
	f.BoolVar(&s.denyIncomplete, "deny-incomplete", false, "refuse files that were not read whole (encrypted, too large ...)")
	f.DurationVar(&s.o.ScanTime, "max-scantime", 5*time.Minute, "time for one file")
	f.StringArrayVar(&s.o.ExcludePaths, "exclude", nil, "file or folder that is let through (repeatable)")
	f.UintSliceVar(new([]uint), "exclude-uid", nil, "users whose processes are let through")
	f.StringArrayVar(&s.o.Programs, "exclude-program", nil, "path of a program whose processes are let through (repeatable)")
	f.BoolVar(&s.o.IgnoreMarks, "ignore-marks", false, "have the kernel not ask again about what nothing was found in, until it is written to; writing through a map is seen late")
	f.IntVar(&s.readers, "readers", 0, "processes that read files (default one a processor)")
	f.StringVar(&s.store, "store", "", "folder of the records of what is found; off for none (default $SHOWCAUSE_STORE, or /var/lib/showcause)")
	f.BoolVar(&s.quarantine, "quarantine", false, "take what is found into quarantine, where the stages of its rules say so; showcause quarantine restore gives it back")
	f.DurationVar(&s.o.Stall, "stall", 10*time.Second, "after which the guard ends this process if it does not answer")
	f.StringVar(&s.logFormat, "log-format", "text", "text, json")
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

func (h Host) runWatch(c *cobra.Command, s *watching) error {
	switch s.onTimeout {
	case "allow":
	case "deny":
		s.o.DenyOnTimeout = true
	default:
		return fmt.Errorf("flag --on-timeout: %q is not one of allow, deny", s.onTimeout)
	}
	switch s.logFormat {
	case "text":
		s.o.Log = slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
	case "json":
		s.o.Log = slog.New(slog.NewJSONHandler(c.ErrOrStderr(), nil))
	default:
		return fmt.Errorf("flag --log-format: %q is not one of text, json", s.logFormat)
	}
	uids, _ := c.Flags().GetUintSlice("exclude-uid")
	for _, u := range uids {
		s.o.ExcludeUIDs = append(s.o.ExcludeUIDs, uint32(u))
	}
	if s.o.Timeout <= 0 || s.o.ScanTime <= 0 || s.o.Stall < 100*time.Millisecond {
		return errors.New("flags --timeout, --max-scantime: more than 0; --stall: at least 100ms")
	}
	if err := watch.Able(s.o.Block); err != nil {
		return err
	}
	ctx := c.Context()
	db, err := h.rules(ctx, s.db, rules.Options{}, c.ErrOrStderr())
	if err != nil {
		return err
	}
	s.log = s.o.Log
	var q *queue.Queue
	s.o.Scan = func(ctx context.Context, f *os.File, name, client string) (watch.Verdict, error) {
		return verdictOf(ctx, q, s, f, name, client)
	}
	s.o.Rules = func() any { return q.Rules() }
	w, err := watch.New(s.o) // the guard is started before the lock
	if err != nil {
		db.Close()
		return err
	}
	if err := jail.Daemon(); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	if err := s.record(h); err != nil {
		return err
	}
	defer s.done()
	qo := queue.Options{
		Rules: db, Scratch: h.Scratch, MaxWaiting: 1 << 16, CacheMemory: -1,
		Pool: worker.Options{Names: true, Workers: s.readers, Scratch: h.Scratch},
	}
	if s.keeper != nil {
		qo.Record, qo.Pool.Digests = s.keeper.Record, true
	}
	if q, err = queue.New(qo); err != nil {
		return err
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go h.keep(ctx, q, s, hup)
	err = w.Run(ctx, func() { s.o.Log.Info("ready", "version", h.Version, "rules", q.Rules().DB.Len(), "block", s.o.Block) })
	dctx, done := context.WithTimeout(context.Background(), 10*time.Second)
	defer done()
	return errors.Join(err, q.Drain(dctx))
}

// verdictOf has a file scanned.
func verdictOf(ctx context.Context, q *queue.Queue, s *watching, f *os.File, name, client string) (v watch.Verdict, err error) {
	j := queue.Job{Door: "watch", Client: client, File: f, Name: name, Options: queue.ScanOptions{Act: s.o.Block || s.quarantine}}
	a, err := q.Scan(ctx, j)
	if err != nil {
		return v, err
	}
	said := (&queue.Policy{}).Say(&a)
	v.Rules = a.Database
	switch {
	case len(said.Names) > 0:
		v.Deny, v.Said = said.Act, said.Names[0]+" FOUND"
		s.found(&j, &a, said.Names[0], said.Act)
	case said.Failed != "":
		v.Deny, v.Said = s.denyIncomplete, said.Failed
	}
	return v, nil
}

// keep reloads the rules when asked to, and starts readers again that gave up.
func (h Host) keep(ctx context.Context, q *queue.Queue, s *watching, hup <-chan os.Signal) {
	revive := time.NewTicker(time.Second)
	defer revive.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-revive.C:
			if err := q.Revive(); err != nil {
				s.o.Log.Error("no reader can be started", "error", err)
			}
		case <-hup:
			db, err := h.rules(ctx, s.db, rules.Options{}, os.Stderr)
			if err == nil {
				if err = q.Reload(db); err != nil {
					db.Close()
				}
			}
			if err != nil {
				s.o.Log.Error("rules are not reloaded; the old ones stay", "error", err)
				continue
			}
			s.o.Log.Info("rules are reloaded", "rules", q.Rules().DB.Len())
		}
	}
}
