// Package answer writes what a scan found and what it did not read: for a
// person, as JSON, as SARIF, and as clamscan does.
package answer

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/ruledb"
)

// Options are what is shown.
type Options struct {
	Version string // what this program calls itself

	Quiet, Verbose, Explain, NoSummary bool
	Infected, AllMatch                 bool   // clamscan's
	HeuristicsFirst                    bool   // of a file's names, clamscan's --heuristic-scan-precedence
	Jail                               string // Sealed or JailOff
}

// Result is what is said of one file, or of what is no content of its own.
type Result struct {
	Path   string
	Skip   string // why it is not content of its own: "symlink", "device"; no part of the verdict
	Err    error  // why it could not be read
	Report showcause.Report
	Alerts []string // findings by policy: clamscan's --alert flags
	// Why says of each finding why its condition holds, in lines; empty where that is
	// not told.
	Why []string
}

// Unread returns the codes of what was not read, each once.
func (r *Result) Unread() (out []showcause.Code) {
	for _, g := range r.Report.Gaps {
		if g.Code.Unread() && !slices.Contains(out, g.Code) {
			out = append(out, g.Code)
		}
	}
	return out
}

// Verdict is the verdict over the report, an error to read it, and alerts.
func (r *Result) Verdict() showcause.Verdict {
	switch {
	case r.Err != nil:
		return showcause.Error
	case len(r.Alerts) > 0:
		return showcause.Found
	}
	return r.Report.Verdict
}

// read is about how many bytes of the file itself were read: less from the
// first place on that was not.
func (r *Result) read() int64 {
	n := r.Report.Size
	for i := range r.Report.Gaps {
		g := &r.Report.Gaps[i]
		if len(g.Trail) > 0 {
			continue
		}
		switch head, _, _ := strings.Cut(string(g.Code), "."); {
		case g.Code == showcause.LimitSize && g.Length > 0, g.Code == showcause.LimitTime, g.Code == showcause.LimitMemory,
			g.Code == showcause.Unreadable, head == string(showcause.Crash) && g.Code != showcause.Crash:
			n = min(n, g.Offset)
		}
	}
	return n
}

// Totals is what the summary says.
type Totals struct {
	Files, Bytes, Findings int64 // bytes that were read
	Verdicts               [4]int64
	Accepted               int64 // of the incomplete
	Skipped                map[string]int64
	Elapsed                time.Duration
	Interrupted            bool
	Incidents              []string // readers that misbehaved outside a file: what they had said may be false
	DB                     *ruledb.DB
	Jail                   Jail
}

// Add counts a result.
func (t *Totals) Add(r *Result) {
	if r.Skip != "" {
		t.Skipped[r.Skip]++
		return
	}
	t.Files++
	t.Bytes += r.read()
	t.Verdicts[r.Verdict()]++
	t.Findings += int64(len(r.Alerts))
	for i := range r.Report.Findings {
		if r.Report.Findings[i].Alarms() {
			t.Findings++
		}
	}
}

// Jail says how files were read.
type Jail struct {
	Mode  string       `json:"mode"` // Sealed, JailOff or JailIdle
	Walls []jail.Given `json:"walls,omitempty"`
}

// How files were read.
const (
	Sealed   = "sealed" // by processes in the jail
	JailOff  = "off"    // by the process that opened them
	JailIdle = "idle"   // none was read
)

// Lacks names the walls that are not given.
func (j *Jail) Lacks() (out []string) {
	for _, w := range j.Walls {
		if !w.On && !w.Needless {
			out = append(out, w.Wall)
		}
	}
	return out
}

// Printer writes results in their order, and then the totals.
type Printer interface {
	Result(*Result) error
	Finish(*Totals) error
}

// New returns the printer of a format: text, json, sarif, clamscan. The rules
// of the findings are those of db.
func New(format string, w io.Writer, o Options, db *ruledb.DB) (Printer, error) {
	switch format {
	case "text":
		return &textPrinter{w: w, o: o, db: db, gaps: map[showcause.Code]*gapGroup{}}, nil
	case "json":
		return &jsonPrinter{e: NewEncoder(w), o: o, db: db}, nil
	case "sarif":
		return newSarif(w, o, db), nil
	case "clamscan":
		return &clamscanPrinter{w: w, o: o, db: db}, nil
	}
	return nil, fmt.Errorf("%q is not one of text, json, sarif, clamscan", format)
}

// number writes an integer with commas.
func Number(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// size writes a number of bytes for a person.
func Size(n int64) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d B", n)
	case n < 10_000_000:
		return fmt.Sprintf("%d kB", n/1000)
	case n < 10_000_000_000:
		return fmt.Sprintf("%d MB", n/1_000_000)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// printRule prints a rule for a person, each line after indent.
func PrintRule(w io.Writer, indent string, r ruledb.Info) {
	fmt.Fprintf(w, "%srule     %s\n", indent, showcause.Escape(r.Name))
	if r.YARA != nil {
		fmt.Fprintf(w, "%sspace    %s\n", indent, showcause.Escape(r.YARA.Namespace))
	}
	fmt.Fprintf(w, "%sfrom     %s, line %d\n", indent, showcause.Escape(r.File), r.Line)
	for i, line := range strings.Split(strings.ReplaceAll(r.Text, "\r\n", "\n"), "\n") {
		head := "text     "
		if r.Kind == ruledb.Heuristic { // matches are of lines
			head = fmt.Sprintf("line %-3d ", i)
		} else if i > 0 {
			head = "         "
		}
		line = strings.ReplaceAll(line, "\t", "    ")
		fmt.Fprintf(w, "%s\n", strings.TrimRight(indent+head+showcause.Escape(line), " "))
	}
	fmt.Fprintf(w, "%ssha256   %s\n", indent, r.Digest)
	for i, p := range r.Patterns {
		fmt.Fprintf(w, "%spattern  %s: %s\n", indent, patternName(r, i), p)
	}
}

// patternName is what a rule calls its pattern: a number, or in YARA's a name.
func patternName(r ruledb.Info, i int) string {
	if r.YARA != nil && i < len(r.YARA.Names) {
		if name := r.YARA.Names[i]; name != "$" {
			return name
		}
		return fmt.Sprintf("$ (number %d)", i)
	}
	return strconv.Itoa(i)
}
