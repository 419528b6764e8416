package extract

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/showcause/showcause"
)

// stuck is a source whose first read waits until it is released.
type stuck struct{ reading, release chan struct{} }

func (s stuck) Size() int64 { return 100 }

func (s stuck) ReadAt([]byte, int64) (int, error) {
	close(s.reading)
	<-s.release
	return 0, io.ErrUnexpectedEOF
}

// Without the jail, a signal ends a reading that does not come back, and nothing of it is taken
// in from then on.
func TestHereEnds(t *testing.T) {
	s := stuck{make(chan struct{}), make(chan struct{})}
	defer close(s.release)
	u := &unpacking{options: &options{limits: showcause.Limits{}.WithDefaults()}}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-s.reading
		cancel()
	}()
	if err := u.here(ctx, s, NewReceiver(u.limits, s.Size(), u.wanted(), u)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
