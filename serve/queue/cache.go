package queue

import (
	"container/list"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/worker/wire"
)

// cacheKey is what an answer depends on, besides the rules and the service's policy,
// each of which has a cache of its own: SHA-256 of the content, and of what the job
// wants otherwise.
type cacheKey struct{ content, options showcause.SHA256 }

func keyOf(content showcause.SHA256, j *Job) cacheKey {
	k := cacheKey{content: content}
	if !j.Options.plain() || len(j.Options.Externals) > 0 {
		values, err := wire.EncodeExternals(j.Options.Externals, wire.MaxJobExternals)
		if err != nil {
			values = "too long" // which is what the pool says
		}
		k.options = sha256.Sum256(fmt.Appendf(nil, "%s\x00%q", optionsKey(&j.Options), values))
	}
	return k
}

// optionsKey names what readers need to be told for a job.
func optionsKey(o *ScanOptions) string {
	return fmt.Sprintf("%+v %q", o.Limits, o.Passwords)
}

// cache keeps answers, and forgets those that were not asked for longest.
type cache struct {
	mu    sync.Mutex // guards what follows
	room  int64      // bytes that are left
	kept  map[cacheKey]*list.Element
	order list.List // of *kept, the latest first
}

type kept struct {
	key    cacheKey
	report *showcause.Report
	weight int64
}

// entryWeight is what an entry takes besides its report, bytes, about.
const entryWeight = 300

func newCache(room int64) *cache {
	return &cache{room: max(room, 0), kept: map[cacheKey]*list.Element{}}
}

func (c *cache) get(k cacheKey) (*showcause.Report, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.kept[k]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*kept).report, true
}

func (c *cache) put(k cacheKey, r *showcause.Report) {
	w := wire.Weigh(r) + entryWeight
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.kept[k]; ok {
		return
	}
	for c.room < w && c.order.Len() > 0 {
		e := c.order.Back()
		old := c.order.Remove(e).(*kept)
		delete(c.kept, old.key)
		c.room += old.weight
	}
	if c.room < w {
		return
	}
	c.room -= w
	c.kept[k] = c.order.PushFront(&kept{k, r, w})
}

func (c *cache) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.kept)
}

// lasting tells whether a report would be the same another time: one that says how
// this machine was when it was made is not.
func lasting(r *showcause.Report) bool {
	for i := range r.Gaps {
		switch c := r.Gaps[i].Code; {
		case c == showcause.LimitTime, c == showcause.LimitSpill, c == showcause.Changed,
			within(c, showcause.LimitMemory), within(c, showcause.Unreadable), within(c, showcause.Crash):
			return false
		}
	}
	return true
}

// within tells whether a code is another or narrows it.
func within(c, of showcause.Code) bool {
	return c == of || strings.HasPrefix(string(c), string(of)+".")
}
