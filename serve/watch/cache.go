package watch

import (
	"sync"

	"golang.org/x/sys/unix"
)

// inode names a file while it is there.
type inode struct{ dev, ino uint64 }

// state is a file's content as far as the kernel tells of it.
type state struct {
	inode
	size         int64
	mtime, ctime unix.Timespec
}

func stateOf(st *unix.Stat_t) state {
	return state{inode{uint64(st.Dev), st.Ino}, st.Size, st.Mtim, st.Ctim}
}

// unwritten tells whether nobody has the file open for writing, or mapped so. A lease
// for reading is given then alone (fcntl(2), F_SETLEASE); what gives no leases is taken as
// written to.
func unwritten(fd int) bool {
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_RDLCK); err != nil {
		return false
	}
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_UNLCK)
	return err == nil
}

// cache remembers what was said of files that nobody has written to since. The order of
// the group's events is what it rests on: that a file was closed after writing is read
// before that it was opened afterwards.
type cache struct {
	most int

	mu  sync.Mutex
	all map[inode]said
}

type said struct {
	state state
	rules any // that it was said with
	allow bool
}

func (c *cache) get(s *state, rules any) (allow, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x, ok := c.all[s.inode]
	if !ok || x.state != *s || x.rules != rules {
		return false, false
	}
	return x.allow, true
}

func (c *cache) put(s *state, rules any, allow bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = map[inode]said{}
	}
	for i := range c.all { // any of them
		if len(c.all) < c.most {
			break
		}
		delete(c.all, i)
	}
	c.all[s.inode] = said{*s, rules, allow}
}

func (c *cache) drop(i inode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, i)
}
