package records

import (
	"context"
	"time"

	"github.com/showcause/showcause/evidence"
)

// run writes what waits, until the Keeper is closed.
func (k *Keeper) run() {
	defer close(k.ended)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		wait, closing := k.due()
		if wait > 0 && !closing {
			timer.Reset(wait)
			select {
			case <-k.wake:
			case <-timer.C:
			}
			continue
		}
		err := k.flush()
		if closing {
			k.mu.Lock()
			left := len(k.pending)
			k.mu.Unlock()
			if err != nil || left == 0 {
				return
			}
			continue
		}
		if err != nil {
			k.rest()
		}
	}
}

// due says how long nothing is to be written.
func (k *Keeper) due() (wait time.Duration, closing bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case len(k.pending) == 0:
		return time.Hour, k.closing
	case k.urgent || k.count >= k.o.Batch:
		return 0, k.closing
	}
	return time.Until(k.since.Add(k.o.Delay)), k.closing
}

// rest waits after a failure.
func (k *Keeper) rest() {
	end := time.Now().Add(pause)
	for left := pause; left > 0; left = time.Until(end) {
		select {
		case <-k.wake:
			k.mu.Lock()
			closing := k.closing
			k.mu.Unlock()
			if closing {
				return
			}
		case <-time.After(left):
		}
	}
}

// flush writes all that waits. What cannot be written waits on.
func (k *Keeper) flush() error {
	k.mu.Lock()
	batches := k.pending
	k.writing, k.pending, k.urgent = batches, nil, false
	k.count = 0
	k.mu.Unlock()
	if len(batches) == 0 {
		return nil
	}
	var all []*evidence.Record
	for _, b := range batches {
		all = append(all, b.records...)
	}
	err := k.o.write(all)
	k.mu.Lock()
	was := k.stats.Failed
	k.writing = nil
	if err != nil {
		k.stats.Failed = err.Error()
		k.pending = append(batches, k.pending...)
		k.count += len(all)
	} else {
		k.stats.Failed = ""
		k.stats.Made += int64(len(all))
		for _, b := range batches {
			k.bytes -= b.bytes
			b.records = nil
			close(b.done)
		}
		if len(k.pending) > 0 {
			k.since = time.Now()
		}
	}
	k.mu.Unlock()
	switch {
	case err != nil && was != err.Error():
		k.o.Log.Error("records cannot be written: they wait in memory", "store", k.o.Store, "error", err)
	case err == nil && was != "":
		k.o.Log.Info("records are written again", "store", k.o.Store)
	}
	return err
}

// Close writes what waits, and gives the store back. What cannot be written, or is not
// when ctx is done, is lost, which is logged.
func (k *Keeper) Close(ctx context.Context) error {
	k.mu.Lock()
	first := !k.closing
	k.closing = true
	k.nudge()
	k.mu.Unlock()
	if !first {
		return nil
	}
	select {
	case <-k.ended:
	case <-ctx.Done():
		k.lost()
		return ctx.Err() // the store stays open: it is being written to
	}
	k.lost()
	return k.store.Close()
}

// lost says what was not written.
func (k *Keeper) lost() {
	k.mu.Lock()
	n, why := k.count, k.stats.Failed
	for _, b := range k.writing { // by then it may be durable, or be so with the next start
		n += len(b.records)
	}
	k.stats.Missed += int64(n)
	k.mu.Unlock()
	if n > 0 {
		k.o.Log.Error("records are lost", "records", n, "error", why)
	}
}
