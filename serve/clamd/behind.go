package clamd

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/serve/clamdconf"
	"github.com/showcause/showcause/serve/queue"
)

// Behind is a Backend that is a queue, and the policy by which its answers are told.
type Behind struct {
	Queue   *queue.Queue
	Policy  queue.Policy
	Limits  showcause.Limits // of the service, so that requests can only have lower ones
	Timeout time.Duration    // of one request; 0 is none
	Readers int
	Version string
	// OnReload and OnShutdown are called in a goroutine of the connection and must return at once.
	OnReload, OnShutdown func()
	// Asked, if set, is told of each request that was answered or refused.
	Asked func(r *Request, a *queue.Answer, s *queue.Said, err error)
}

// Receive implements Backend.
func (b *Behind) Receive(ctx context.Context, client string) (Stream, error) {
	s, err := b.Queue.Receive(ctx, client, 0)
	if err != nil {
		return nil, translate(err)
	}
	return s, nil
}

// Scan implements Backend.
func (b *Behind) Scan(ctx context.Context, r Request) (Answer, error) {
	j := queue.Job{
		Door: "clamd", Client: r.Client, From: r.From, File: r.File, Name: r.Name,
		Options: queue.ScanOptions{Limits: b.lower(r.Options.Limits), Passwords: r.Options.Passwords, Record: r.Options.Record, NoCache: r.Options.NoCache},
	}
	if s, ok := r.Stream.(*queue.Spool); ok {
		j.Content = s
		if r.Cut {
			j.Gaps = []showcause.Gap{{Code: showcause.LimitSize, Offset: s.Size(), Length: -1}}
		}
	}
	timeout := b.Timeout
	if t := r.Options.Timeout; t > 0 && (timeout == 0 || t < timeout) {
		timeout = t
	}
	if timeout > 0 {
		j.Deadline = time.Now().Add(timeout)
	}
	a, err := b.Queue.Scan(ctx, j)
	if err != nil {
		if b.Asked != nil {
			b.Asked(&r, nil, nil, err)
		}
		return Answer{}, translate(err)
	}
	said := b.Policy.Say(&a)
	if b.Asked != nil {
		b.Asked(&r, &a, &said, nil)
	}
	out := Answer{
		Names: said.Names, Failed: said.Failed, Report: &a.Report, SHA256: a.SHA256, Cached: a.Cached, Waived: said.Waived,
		Record: a.Record, Records: a.Records, Unrecorded: a.Unrecorded,
	}
	if a.Database != nil {
		out.Rules = a.Database.Digest
	}
	return out, nil
}

// lower takes of a request's limits those that are below the service's.
func (b *Behind) lower(l showcause.Limits) showcause.Limits {
	if l == (showcause.Limits{}) {
		return l
	}
	s := b.Limits.WithDefaults()
	if b.Limits.FileSize <= 0 {
		s.FileSize = math.MaxInt64 // an input has no bound by default, what is in it has
	}
	low := func(v *int64, most int64) {
		if *v >= most {
			*v = 0
		}
	}
	low(&l.FileSize, s.FileSize)
	low(&l.ScanSize, s.ScanSize)
	low(&l.Objects, s.Objects)
	low(&l.Ratio, s.Ratio)
	low(&l.Work, s.Work)
	if l.Depth >= s.Depth {
		l.Depth = 0
	}
	return l
}

func translate(err error) error {
	for _, p := range [...][2]error{{queue.ErrBusy, ErrBusy}, {queue.ErrStopping, ErrStopping}, {queue.ErrDeadline, ErrTimeout}, {queue.ErrNoSpace, ErrNoSpace}} {
		if errors.Is(err, p[0]) {
			return p[1]
		}
	}
	return err
}

// Reload implements Backend.
func (b *Behind) Reload() {
	if b.OnReload != nil {
		b.OnReload()
	}
}

// Shutdown implements Backend.
func (b *Behind) Shutdown() {
	if b.OnShutdown != nil {
		b.OnShutdown()
	}
}

// Status implements Backend.
func (b *Behind) Status() Status {
	st := b.Queue.Stats()
	rules := b.Queue.Rules()
	return Status{Rules: rules.Version, RulesCount: rules.DB.Len(), RulesDigest: rules.Digest, Readers: b.Readers, Reading: st.Reading, Waiting: st.Waiting, Version: b.Version}
}

// FromConf returns the options that a clamd.conf has for the door.
func FromConf(f *clamdconf.File) (Options, error) {
	o := Options{
		StreamMaxLength: f.Size("StreamMaxLength"),
		CommandTimeout:  time.Duration(f.Number("CommandReadTimeout")) * time.Second,
		ReadTimeout:     time.Duration(f.Number("ReadTimeout")) * time.Second,
		SendTimeout:     max(time.Duration(f.Number("SendBufTimeout"))*time.Millisecond, 5*time.Second),
		Parallel:        f.Number("MaxThreads"),
		MaxDirectory:    f.Number("MaxDirectoryRecursion"),
		FollowDirs:      f.Bool("FollowDirectorySymlinks"),
		FollowFiles:     f.Bool("FollowFileSymlinks"),
		OneFilesystem:   !f.Bool("CrossFilesystems"),
		NoAllMatch:      !f.Bool("AllowAllMatchScan"),
		NoReload:        !f.Bool("EnableReloadCommand"),
		NoShutdown:      !f.Bool("EnableShutdownCommand"),
		NoStats:         !f.Bool("EnableStatsCommand"),
		NoVersion:       !f.Bool("EnableVersionCommand"),
	}
	const year = 365 * 24 * time.Hour
	if o.CommandTimeout == 0 { // clamd: no bound
		o.CommandTimeout = year
	}
	if o.ReadTimeout == 0 {
		o.ReadTimeout = year
	}
	if o.MaxDirectory == 0 {
		o.MaxDirectory = -1
	}
	for _, x := range f.Texts("ExcludePath") {
		re, err := regexp.Compile(x)
		if err != nil {
			return o, fmt.Errorf("%s: option ExcludePath: %w", f.Place("ExcludePath"), err)
		}
		o.Exclude = append(o.Exclude, re)
	}
	return o, nil
}
