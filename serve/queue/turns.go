package queue

import (
	"context"
	"sync"
	"time"
)

// turns hands places with the readers to jobs: clients that wait take turns, each
// with the job that it has waited with longest.
type turns struct {
	most       int // places of one client while another waits
	maxWaiting int
	maxClient  int

	least    int           // places that there are at least
	patience time.Duration // places are fewer while jobs are with the readers for longer

	mu       sync.Mutex // guards what follows
	free     int        // less than 0 where some were withheld that jobs still have
	places   int
	withheld int                // of places: not handed out while jobs take long
	cut      time.Time          // when some were withheld last
	clients  map[string]*client // that wait, or have places
	ring     []*client          // that wait, in order
	waiting  int
}

// of returns a line with the bounds of t, and so many places; few of them at first.
func (t *turns) of(places, least int) turns {
	return turns{
		most: t.most, maxWaiting: t.maxWaiting, maxClient: t.maxClient, clients: map[string]*client{},
		places: places, least: least, free: least, withheld: places - least, patience: 100 * time.Millisecond,
	}
}

// share is how many places one client may have while another waits.
func (t *turns) share() int {
	if t.places == 0 {
		return t.most
	}
	return min(t.most, max((t.places-t.withheld)/2, 1))
}

// pace says how long a job was with the readers: the longer, the fewer are handed to them
// at a time, so that who comes next does not stand behind all of them. It comes before done.
func (t *turns) pace(took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch now := time.Now(); {
	case took < t.patience/2 && t.withheld > 0:
		t.withheld--
		t.free++
		t.hand()
	case took > t.patience && now.Sub(t.cut) > t.patience:
		t.cut = now
		n := min((t.places-t.withheld)/2, t.places-t.withheld-t.least)
		t.withheld += n
		t.free -= n
	}
}

type client struct {
	name   string
	has    int // places
	queue  []*waiter
	inRing bool
}

type waiter struct {
	ready chan struct{} // gets one token
	given bool          // guarded by turns.mu
	left  bool
}

// take waits for a place.
func (t *turns) take(ctx context.Context, name string) error {
	t.mu.Lock()
	c := t.clients[name]
	if t.free > 0 && t.waiting == 0 && (c == nil || c.has < t.share() || t.alone(c)) {
		t.hold(name, c)
		t.mu.Unlock()
		return nil
	}
	if t.waiting >= t.maxWaiting || c != nil && len(c.queue) >= t.maxClient {
		t.mu.Unlock()
		return ErrBusy
	}
	if c == nil {
		c = &client{name: name}
		t.clients[name] = c
	}
	w := &waiter{ready: make(chan struct{}, 1)}
	c.queue = append(c.queue, w)
	t.waiting++
	t.enlist(c)
	t.hand()
	t.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.given {
		t.giveBack(c)
		return ctx.Err()
	}
	w.left = true
	t.waiting--
	for i, x := range c.queue {
		if x == w {
			c.queue = append(c.queue[:i], c.queue[i+1:]...)
			break
		}
	}
	t.forget(c)
	return ctx.Err()
}

// alone tells whether nobody but c has a place.
func (t *turns) alone(c *client) bool { return len(t.clients) == 1 && t.clients[c.name] == c }

func (t *turns) hold(name string, c *client) {
	if c == nil {
		c = &client{name: name}
		t.clients[name] = c
	}
	c.has++
	t.free--
}

func (t *turns) enlist(c *client) {
	if !c.inRing {
		c.inRing = true
		t.ring = append(t.ring, c)
	}
}

// done gives a place back.
func (t *turns) done(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.giveBack(t.clients[name])
}

func (t *turns) giveBack(c *client) {
	c.has--
	t.free++
	t.hand()
	t.forget(c)
}

// hand gives free places to who waits: first to clients that have few, then, since
// nobody else wants them, to any.
func (t *turns) hand() {
	for t.free > 0 && t.waiting > 0 {
		if !t.next(func(c *client) bool { return c.has < t.share() }) && !t.next(func(c *client) bool { return len(t.clients) == 1 }) {
			return
		}
	}
}

// next gives a place to the first in the ring that may have one.
func (t *turns) next(may func(*client) bool) bool {
	for range len(t.ring) {
		c := t.ring[0]
		t.ring = t.ring[1:]
		if len(c.queue) == 0 {
			c.inRing = false
			continue
		}
		t.ring = append(t.ring, c)
		if !may(c) {
			continue
		}
		w := c.queue[0]
		c.queue[0] = nil
		c.queue = c.queue[1:]
		t.waiting--
		t.hold(c.name, c)
		w.given = true
		w.ready <- struct{}{}
		return true
	}
	return false
}

// forget drops a client that has nothing here.
func (t *turns) forget(c *client) {
	if c.has > 0 || len(c.queue) > 0 {
		return
	}
	delete(t.clients, c.name)
	if c.inRing {
		for i, x := range t.ring {
			if x == c {
				t.ring = append(t.ring[:i], t.ring[i+1:]...)
				break
			}
		}
		c.inRing = false
	}
	if len(t.clients) == 1 {
		t.hand()
	}
}

// counts returns how many wait, how many are being read, and of how many clients.
func (t *turns) counts() (waiting, reading, clients int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.clients {
		reading += c.has
	}
	return t.waiting, reading, len(t.clients)
}
