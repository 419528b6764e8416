package serve

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/serve/queue"
)

// DoorStatus is what came to a door since the start, and how it stands. A door may have
// several sockets.
type DoorStatus struct {
	Door        string   `json:"door"`
	Sockets     []Listen `json:"sockets"`
	Open        int      `json:"open"`        // connections now
	Connections int64    `json:"connections"` // that were taken
	Found       int64    `json:"found"`
	Incomplete  int64    `json:"incomplete"`
	Clean       int64    `json:"nothing_found"`
	Refused     int64    `json:"refused"` // not answered: busy, too late, not readable
	Bytes       int64    `json:"bytes"`   // of what was answered
}

// Answers is the number of requests that were answered.
func (s *DoorStatus) Answers() int64 { return s.Found + s.Incomplete + s.Clean }

// counted is a Door that tells how many connections it has, and has had.
type counted interface {
	Connections() (open int, ever int64)
}

// tally counts what a door answered.
type tally struct {
	found, incomplete, clean, refused, bytes atomic.Int64
}

// count counts a job's end.
func (d *Daemon) count(j *queue.Job, a *queue.Answer, err error) {
	t := d.tallies[j.Door]
	if t == nil {
		return
	}
	if err != nil {
		t.refused.Add(1)
		return
	}
	switch a.Report.Verdict {
	case showcause.Found:
		t.found.Add(1)
	case showcause.NothingFound:
		t.clean.Add(1)
	default:
		t.incomplete.Add(1)
	}
	t.bytes.Add(a.Report.Size)
}

// doorStatus says how the doors stand, in the order of their sockets.
func (d *Daemon) doorStatus() (out []DoorStatus) {
	for _, o := range d.sockets {
		i := slices.IndexFunc(out, func(s DoorStatus) bool { return s.Door == o.Door })
		if i >= 0 {
			out[i].Sockets = append(out[i].Sockets, o.Listen)
			continue
		}
		s := DoorStatus{Door: o.Door, Sockets: []Listen{o.Listen}}
		if c, ok := d.doors[o.Door].(counted); ok {
			s.Open, s.Connections = c.Connections()
		}
		if t := d.tallies[o.Door]; t != nil {
			s.Found, s.Incomplete, s.Clean, s.Refused, s.Bytes = t.found.Load(), t.incomplete.Load(), t.clean.Load(), t.refused.Load(), t.bytes.Load()
		}
		out = append(out, s)
	}
	return out
}

// Released is when ClamAV's rules among those that are scanned with were made, as their
// version says it ("27700/Fri Nov 20 09:00:00 2026"); the zero time if none are.
func Released(version string) time.Time {
	_, date, _ := strings.Cut(version, "/")
	t, err := time.ParseInLocation(time.ANSIC, date, time.Local)
	if err != nil {
		return time.Time{}
	}
	return t
}
