package servecmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/serve"
	"github.com/showcause/showcause/serve/api"
	"github.com/showcause/showcause/serve/queue"
	"github.com/showcause/showcause/serve/records"
)

// storing is where records go.
type storing struct {
	dir    string            // "" for none
	named  bool              // the user said so: without it there is no service
	words  map[string]string // how the service answers, for the policy of records
	policy queue.Policy      // the same
}

// records works out where records go.
func (s *settings) records(h Host) (err error) {
	flag, _ := s.given.GetString("store")
	if s.store, err = storingAt(h, flag, s.user); err != nil {
		return err
	}
	s.store.words, s.store.policy = policyWords(&s.policy), s.policy
	from := ""
	switch {
	case s.given.Changed("store"):
		from = "--store"
	case s.store.named:
		from = "$SHOWCAUSE_STORE"
	}
	s.row("store", s.store.dir, from)
	return nil
}

// policyWords are the options of a record's policy that say how the service answers what
// is not read whole.
func policyWords(p *queue.Policy) map[string]string {
	words := map[string]string{"incomplete": p.Incomplete.String()}
	if len(p.Accept) > 0 {
		words["accept"] = strings.Join(p.Accept, ",")
	}
	return words
}

// virusEvent is what is run for a finding.
func (s *settings) virusEvent() error {
	s.event = s.file.Text("VirusEvent")
	s.row("virus-event", s.event, s.from(source{option: "VirusEvent"}))
	return nil
}

// storingAt is where records of a process go that becomes a user, or stays who it is.
func storingAt(h Host, flag, becomes string) (s storing, err error) {
	s.dir, s.named, err = h.StoreDir(flag)
	if err != nil {
		if s.named || flag != "" {
			return s, err
		}
		return storing{}, nil // a user without a home has none by default
	}
	if becomes == "" || s.named {
		return s, nil
	}
	// Root's store is root's alone. Once the user is become, this is what is found again.
	dir := store.SystemDir + "-" + becomes
	if _, err := os.Stat(dir); err == nil || os.Geteuid() == 0 {
		s.dir = dir
	}
	return s, nil
}

// prepare makes the folder for a user that is about to be become.
func (s *storing) prepare(name string) error {
	if s.dir == "" || name == "" || os.Geteuid() != 0 {
		return nil
	}
	err := os.Mkdir(s.dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		if !s.named { // systemd makes StateDirectory, and gives what is in it to root at each start
			_ = serve.GiveAll(s.dir, name) // whose it is shows when it is opened
		}
		return nil
	}
	if err == nil {
		err = serve.Give(s.dir, name)
	}
	if err != nil && s.named {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// giveCache gives the folder that systemd has made for what is kept to a user.
func giveCache(name string) {
	if dir := os.Getenv("CACHE_DIRECTORY"); filepath.IsAbs(dir) && name != "" && os.Geteuid() == 0 {
		_ = serve.GiveAll(dir, name) // without, nothing is kept
	}
}

// open opens the store. Where none can be opened and none was asked for, none is kept,
// which is said.
func (s *storing) open(log *slog.Logger) (*records.Keeper, error) {
	if s.dir == "" {
		log.Warn("no record of what is found is kept", "store", "off")
		return nil, nil
	}
	k, err := records.Open(records.Options{Store: s.dir, Words: s.words, Policy: s.policy, Log: log})
	if err != nil && !s.named {
		log.Error("no record of what is found is kept: --store names another folder", "error", showcause.Escape(err.Error()))
		return nil, nil
	}
	return k, err
}

// acted records what a door did because of a finding.
func acted(k *records.Keeper, deed string) func(*queue.Job, *queue.Answer) {
	if k == nil || deed == "" {
		return nil
	}
	return func(j *queue.Job, a *queue.Answer) {
		record := "" // none: k says so, as it does of an error
		if len(a.Records) > 0 {
			record = a.Records[0]
		}
		_ = k.Deed(record, a.SHA256, a.Report.Size, j.Name, deed, map[string]string{"door": j.Door})
	}
}

func recordFor(k *records.Keeper) func(context.Context, string) ([]byte, error) {
	return func(_ context.Context, name string) ([]byte, error) {
		b, err := k.Read(name)
		if errors.Is(err, fs.ErrNotExist) {
			err = api.ErrNoRecord
		}
		return b, err
	}
}

func recordsFor(k *records.Keeper) func(string) []api.RecordAnswer {
	return func(client string) (out []api.RecordAnswer) {
		for _, r := range k.Of(client) {
			out = append(out, api.RecordAnswer(r))
		}
		return out
	}
}

func recordingOf(k *records.Keeper) func() string {
	return func() string {
		if s := k.Status(); !s.OK() {
			return "failing"
		}
		return "ok"
	}
}
