package clamd

import (
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"time"
)

// allCommands is the list behind COMMANDS: of VERSIONCOMMANDS.
var allCommands = func() string {
	var b strings.Builder
	for _, c := range commands {
		b.WriteString(" " + c.name)
	}
	for _, c := range ours {
		b.WriteString(" " + c.name)
	}
	return b.String()
}()

// version is the reply to VERSION. Clients take it apart as "ClamAV %d.%d.%d/%d/" and the
// date with strptime, so no other name and no further word can be in it.
func (c *conn) version() string {
	v := "ClamAV " + c.s.o.Engine
	if r := c.s.b.Status().Rules; r != "" {
		v += "/" + r
	}
	return v
}

// RulesVersion is what VERSION says of rules: a version of ClamAV's database and its time.
func RulesVersion(version uint64, t time.Time) string {
	return strconv.FormatUint(version, 10) + "/" + t.Format("Mon Jan _2 15:04:05 2006")
}

// stats is the reply to STATS, in clamd's form: what it calls threads are readers here. The
// names of files that others have scanned are not in it.
func (c *conn) stats() string {
	st := c.s.b.Status()
	var b strings.Builder
	n := func(parts ...any) {
		for _, p := range parts {
			switch p := p.(type) {
			case string:
				b.WriteString(p)
			case int:
				b.WriteString(strconv.Itoa(p))
			}
		}
	}
	n("POOLS: 1\n\nSTATE: VALID PRIMARY\nTHREADS: live ", st.Readers, "  idle ", max(st.Readers-st.Reading, 0), " max ", st.Readers,
		" idle-timeout 30\nQUEUE: ", st.Waiting, " items\n")
	c.s.mu.Lock()
	tasks := make([]task, 0, len(c.s.tasks))
	for t := range c.s.tasks {
		tasks = append(tasks, *t)
	}
	c.s.mu.Unlock()
	slices.SortFunc(tasks, func(a, b task) int { return a.since.Compare(b.since) })
	for _, t := range tasks[:min(len(tasks), 1000)] {
		n("\t", t.name, " ", seconds(t.since), " \n")
	}
	m := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(m)
	mb := func(i int) string { return strconv.FormatFloat(float64(m[i].Value.Uint64())/(1<<20), 'f', 3, 64) + "M" }
	n("\nMEMSTATS: heap ", mb(1), " mmap 0.000M used ", mb(0), " free ", mb(2), " releasable ", mb(3), " pools 1 pools_used ", mb(0), " pools_total ", mb(1), "\nEND")
	return b.String()
}
