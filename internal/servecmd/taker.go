package servecmd

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/quarantine"
	"github.com/showcause/showcause/serve/queue"
	"github.com/showcause/showcause/serve/records"
)

// record opens the store, and the quarantine in it.
func (s *watching) record(h Host) error {
	at, err := storingAt(h, s.store, "")
	if err != nil {
		return err
	}
	if s.quarantine {
		if at.dir == "" {
			return errors.New("flag --quarantine: nothing is taken without a record in the store: it does not go with --store=off")
		}
		at.named = true
	}
	if s.keeper, err = at.open(s.log); err != nil {
		return fmt.Errorf("records: %w", err)
	}
	if s.quarantine {
		if s.taker, err = startTaker(s.keeper, s.log); err != nil {
			return errors.Join(err, s.keeper.Close(context.Background()))
		}
	}
	return nil
}

// done ends what record began.
func (s *watching) done() {
	if s.taker != nil {
		s.taker.close()
	}
	if s.keeper != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = s.keeper.Close(ctx) // which logs what is lost
	}
}

// found is what is done about a finding, besides the answer.
func (s *watching) found(j *queue.Job, a *queue.Answer, rule string, act bool) {
	if len(a.Records) == 0 || !act {
		return // it is logged
	}
	if s.o.Block && len(a.Report.Findings) > 0 {
		digest := ""
		for i := range a.Report.Findings {
			if c := a.Report.Findings[i].Chain; len(c) > 0 {
				digest = hex.EncodeToString(c[0].Digest[:])
				break
			}
		}
		_ = s.keeper.Deed(a.Records[0], digest, a.Report.Size, j.Name, "block", map[string]string{"door": "watch", "client": j.Client})
	}
	if s.taker == nil {
		return
	}
	if a.Unrecorded != "" {
		s.log.Error("not taken into quarantine: its record is not durable", "path", j.Name, "rule", rule, "reason", a.Unrecorded)
		return
	}
	s.taker.take(a.Records[0], j.Name)
}

// taker takes what was found into quarantine, one file after the other.
type taker struct {
	k     *records.Keeper
	q     *quarantine.Quarantine
	log   *slog.Logger
	jobs  chan wantedTake
	ended sync.WaitGroup
}

type wantedTake struct{ record, path string }

// maxTakes is how many files wait to be taken.
const maxTakes = 1000

func startTaker(k *records.Keeper, log *slog.Logger) (*taker, error) {
	q, err := quarantine.Open(k.Store(), quarantine.Options{Engine: k.Engine()})
	if err != nil {
		return nil, err
	}
	for _, n := range q.Notes() {
		log.Warn(n)
	}
	t := &taker{k: k, q: q, log: log, jobs: make(chan wantedTake, maxTakes)}
	t.ended.Go(func() {
		for w := range t.jobs {
			t.do(w)
		}
	})
	return t, nil
}

// take has a file taken, soon. It waits for nothing.
func (t *taker) take(record, path string) {
	select {
	case t.jobs <- wantedTake{record, path}:
	default:
		t.log.Error("not taken into quarantine: too many files wait", "path", path, "record", record)
	}
}

func (t *taker) do(w wantedTake) {
	fields := []any{"path", showcause.Escape(w.path), "record", w.record}
	sealed, err := t.k.Store().Verify(w.record)
	if err != nil {
		t.log.Error("not taken into quarantine", append(fields, "error", err)...)
		return
	}
	out, err := t.q.Take(context.Background(), []quarantine.Request{{Finding: sealed, Why: "watch --quarantine"}}, true)
	if err != nil {
		t.log.Error("not taken into quarantine", append(fields, "error", err)...)
		return
	}
	for _, x := range out {
		fields := append(fields, "result", string(x.Result), "reason", string(x.Code), "text", x.Text)
		switch x.Result {
		case quarantine.Done:
			t.log.Info("taken into quarantine", append(fields, "item", x.Item)...)
		case quarantine.Held:
			t.log.Warn("not taken into quarantine: a safeguard holds it", fields...)
		default:
			t.log.Warn("not taken into quarantine", fields...)
		}
	}
}

// close takes what waits, and ends. Nothing is asked for any more.
func (t *taker) close() {
	close(t.jobs)
	t.ended.Wait()
	t.q.Close()
}
