package update

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// On tells whether a source is on: by who runs this, else as it ships.
func (f *Folder) On(s *Source) bool {
	if st := f.state.Sources[s.Name]; st != nil && st.On != nil {
		return *st.On
	}
	return s.Default
}

// Turn turns a source on, its licence having been shown, or off.
func (f *Folder) Turn(s *Source, on bool, now time.Time) error {
	st := f.state.of(s.Name)
	st.On = &on
	if on {
		st.Shown = now
	}
	return f.save()
}

// FirstUse tells whether the licence of a source was never shown, and notes that
// it is now.
func (f *Folder) FirstUse(s *Source, now time.Time) bool {
	st := f.state.of(s.Name)
	if !st.Shown.IsZero() {
		return false
	}
	st.Shown = now
	return f.save() == nil
}

// Status says in lines how old a source is.
func (f *Folder) Status(s *Source, now time.Time) (lines []string) {
	st := f.state.of(s.Name)
	line := s.Name + ": "
	switch {
	case st.Checked.IsZero():
		line += "never fetched"
	default:
		line += "asked " + age(now, st.Checked) + " ago"
		if !st.Changed.IsZero() {
			line += ", new " + age(now, st.Changed) + " ago"
		}
	}
	lines = append(lines, line)
	if s.Kind == "clamav" {
		for _, name := range s.Databases {
			for _, kind := range []string{"cld", "cvd"} {
				if l := f.made(name+"."+kind, kind, now); l != "" {
					lines = append(lines, "  "+l)
				}
			}
		}
	} else if len(st.Files) > 0 {
		lines = append(lines, fmt.Sprintf("  %d files", len(st.Files)))
	}
	if st.Trouble != "" {
		lines = append(lines, "  last time: "+strings.ReplaceAll(st.Trouble, "\n", "; "))
	}
	if l := st.stale(now); l != "" {
		lines = append(lines, "  "+l)
	}
	for host, until := range f.state.Cool {
		for _, u := range s.all() {
			if strings.Contains(u, "://"+host) && now.Before(until) {
				lines = append(lines, fmt.Sprintf("  %s is not to be asked before %s", host, until.UTC().Format(time.RFC3339)))
				break
			}
		}
	}
	return lines
}

// made says how old a database is, by its header.
func (f *Folder) made(file, kind string, now time.Time) string {
	in, err := f.read(file)
	if err != nil {
		return ""
	}
	defer in.Close()
	c, err := open(in, file, kind)
	if err != nil {
		return fmt.Sprintf("%s: %v", file, err)
	}
	line := fmt.Sprintf("%s: version %d of %s, %d signatures", file, c.Header.Version, c.Header.Time, c.Header.Signatures)
	if c.Header.Seconds > 0 {
		line += ", " + age(now, time.Unix(c.Header.Seconds, 0)) + " old"
	}
	return line
}

// age is a time between two moments in words.
func age(now, then time.Time) string {
	switch d := now.Sub(then); {
	case d < time.Minute:
		return "less than a minute"
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}

// stale says that what was signed last holds no more; "": it does, or nothing was signed.
func (st *SourceState) stale(now time.Time) string {
	var t struct {
		Signed struct{ Expires time.Time }
	}
	if st.Signed.Timestamp == nil || json.Unmarshal(st.Signed.Timestamp, &t) != nil || !now.After(t.Signed.Expires) {
		return ""
	}
	return fmt.Sprintf("STALE: what its publisher signed last held until %s, %s ago: nobody asked since, or what is new is held back",
		t.Signed.Expires.UTC().Format(time.RFC3339), age(now, t.Signed.Expires))
}

// Stale says of which signed sources a folder of rules holds what is good no more, a line each.
func Stale(path string, now time.Time) (lines []string) {
	f, err := ViewFolder(path)
	if err != nil {
		return nil // it is another user's
	}
	for _, name := range slices.Sorted(maps.Keys(f.state.Sources)) {
		if l := f.state.Sources[name].stale(now); l != "" && len(f.state.Sources[name].Files) > 0 {
			lines = append(lines, name+": "+l)
		}
	}
	return lines
}
