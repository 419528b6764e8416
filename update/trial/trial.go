// Package trial tries rules before they are trusted: a process that is started for it, and may
// be lost, compiles and opens them as a scan would, and has readers in the jail scan a
// corpus of known answers and files of this host's own packages, with them and with the rules that serve.
package trial

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/update"
	"github.com/showcause/showcause/worker"
)

// Role is the argument that makes the program the process of a trial.
const Role = "trial"

// Job is what is tried.
type Job struct {
	Dir      string `json:"dir"`
	Old      string `json:"old,omitempty"` // the rules that serve; empty: none, and nothing is compared
	Unsigned bool   `json:"unsigned,omitempty"`
	Certs    string `json:"certs,omitempty"`
	Sample   int    `json:"sample"` // files of packages
	Seed     int64  `json:"seed"`   // which: another seed, other files
	Root     string `json:"root"`   // of the host; "": "/"
}

// Answer is what came of it. Code is empty where all is well.
type Answer struct {
	Code    string        `json:"code,omitempty"` // trial.rules, .loader, .corpus, .hits, .crash, .slow, .unread
	Why     string        `json:"why,omitempty"`
	Rules   int           `json:"rules"`
	Files   int           `json:"files"` // of packages that were scanned
	Hits    []string      `json:"hits,omitempty"`
	Crashes int           `json:"crashes,omitempty"`
	Work    int64         `json:"work"` // steps, of the same files
	OldWork int64         `json:"old_work,omitempty"`
	Time    time.Duration `json:"time"`
	OldTime time.Duration `json:"old_time,omitempty"`
}

// Limits of what is no slower: so many times the work or the time of the rules that serve,
// where it is more than what a machine that does other things may take.
const (
	slower     = 4
	littleWork = 1 << 20
	littleTime = 5 * time.Second
)

// Loader compiles rules, and is part of the program.
type Loader func(j Job, dir string) (*ruledb.DB, error)

// Serve is the process: it answers each job, a line of JSON each, until in ends.
func Serve(in io.Reader, out io.Writer, load Loader, pool worker.Options) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var j Job
		if err := json.Unmarshal(lines.Bytes(), &j); err != nil {
			return fmt.Errorf("trial: %w", err)
		}
		b, err := json.Marshal(try(j, load, pool))
		if err != nil {
			return fmt.Errorf("trial: %w", err)
		}
		if _, err := out.Write(append(b, '\n')); err != nil {
			return fmt.Errorf("trial: %w", err)
		}
	}
	return lines.Err()
}

// Main is the program of that process; it returns its exit code.
func Main(load Loader, pool worker.Options) int {
	if err := Serve(os.Stdin, os.Stdout, load, pool); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	return 0
}

// try does one.
func try(j Job, load Loader, pool worker.Options) (a Answer) {
	refuse := func(code, format string, args ...any) Answer {
		a.Code, a.Why = "trial."+code, fmt.Sprintf(format, args...)
		return a
	}
	db, err := load(j, j.Dir)
	if err != nil {
		return refuse("rules", "%v", err)
	}
	defer db.Close()
	a.Rules = db.Len()
	files := append(known(), sample(j.Root, j.Sample, j.Seed)...)
	a.Files = len(files) - len(known())
	fresh, err := scanAll(db, files, pool)
	if err != nil {
		return refuse("loader", "%v", err)
	}
	a.Work, a.Time, a.Crashes = fresh.work, fresh.time, fresh.crashes
	var old *results
	if j.Old != "" {
		odb, err := load(j, j.Old)
		if err == nil {
			defer odb.Close()
			old, err = scanAll(odb, files, pool)
		}
		if err != nil {
			old = nil // what serves is broken: nothing to compare with
		} else {
			a.OldWork, a.OldTime = old.work, old.time
		}
	}
	for _, f := range files {
		was := map[string]bool{}
		if old != nil {
			for _, n := range old.found[f.name] {
				was[n] = true
			}
		}
		now := fresh.found[f.name]
		if f.known && len(f.want) > 0 {
			if old != nil && len(old.found[f.name]) > 0 && len(now) == 0 {
				return refuse("corpus", "%s was found by %s and is not any more", f.name, strings.Join(old.found[f.name], ", "))
			}
			continue
		}
		for _, n := range now {
			if !was[n] {
				a.Hits = append(a.Hits, n+": "+f.name)
			}
		}
	}
	switch {
	case fresh.crashes > 0:
		return refuse("crash", "readers died %d times: %s", fresh.crashes, strings.Join(fresh.gaps, "; "))
	case len(a.Hits) > 0:
		return refuse("hits", "%d hits on files that are good: %s", len(a.Hits), strings.Join(a.Hits[:min(len(a.Hits), 5)], "; "))
	case old != nil && fresh.work > slower*old.work+littleWork:
		return refuse("slow", "the same %d files take %d steps in place of %d", len(files), fresh.work, old.work)
	case old != nil && fresh.time > slower*old.time+littleTime:
		return refuse("slow", "the same %d files take more than %d times as long", len(files), slower)
	case fresh.unread > 0 && (old == nil || fresh.unread > old.unread):
		return refuse("unread", "%d files are not read to their end: %s", fresh.unread, strings.Join(fresh.gaps, "; "))
	}
	return a
}

// results are what a scan of the files said.
type results struct {
	found   map[string][]string // rules by file
	gaps    []string
	crashes int
	unread  int // files with limits of work or time
	work    int64
	time    time.Duration
}

// scanAll has readers scan the files, one after the other so that times compare.
func scanAll(db *ruledb.DB, files []file, o worker.Options) (*results, error) {
	o.DB, o.Names, o.Workers = db, true, 1
	ask := func(f *os.File) (showcause.Report, error) { return inProcess(db, f) }
	if jail.Available() == nil { // else this process, which may be lost, reads the files itself
		p, err := worker.NewPool(o)
		if err != nil {
			return nil, err
		}
		defer p.Close()
		in := ask
		ask = func(f *os.File) (showcause.Report, error) {
			rep, err := p.Scan(context.Background(), f)
			if _, ready := p.Status(); err != nil && !ready {
				// No reader came so far as to lock itself: a unit may forbid what the jail is made of. If the
				// rules were to blame, this process dies of them, and that is told too.
				return in(f)
			}
			return rep, err
		}
	}
	r := &results{found: map[string][]string{}}
	for _, f := range files {
		in, err := f.open()
		if err != nil {
			continue // it has gone since the package was installed
		}
		start := time.Now()
		rep, err := ask(in)
		r.time += time.Since(start)
		in.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		r.add(f.name, &rep)
	}
	return r, nil
}

// opened is an open file as a layer.
type opened struct {
	*os.File
	size int64
}

func (o opened) Size() int64 { return o.size }

func inProcess(db *ruledb.DB, f *os.File) (showcause.Report, error) {
	st, err := f.Stat()
	if err != nil {
		return showcause.Report{}, err
	}
	return scan.New(db, scan.Options{}).Scan(opened{f, st.Size()}), nil
}

func (r *results) add(name string, rep *showcause.Report) {
	r.work += rep.Spent.Work
	for i := range rep.Findings {
		if rep.Findings[i].Alarms() {
			r.found[name] = append(r.found[name], rep.Findings[i].Rule)
		}
	}
	for _, g := range rep.Gaps {
		code := string(g.Code)
		switch {
		case strings.HasPrefix(code, string(showcause.Crash)):
			r.crashes++
		case strings.HasPrefix(code, "limit.work"), strings.HasPrefix(code, "limit.time"):
			r.unread++
		default:
			continue
		}
		if len(r.gaps) < 5 {
			r.gaps = append(r.gaps, code+" in "+name)
		}
	}
}

// Process is a process for trials, started while the program may still start one.
type Process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	Max time.Duration // of one trial; 0: 30 minutes
}

// Start starts it: this program with these arguments (none: Role).
func Start(args ...string) (*Process, error) {
	if len(args) == 0 {
		args = []string{Role}
	}
	c := exec.Command("/proc/self/exe")
	c.Args = append([]string{"showcause"}, args...)
	c.Stderr = io.Discard
	in, err := c.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("trial: %w", err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("trial: %w", err)
	}
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("trial: %w", err)
	}
	return &Process{cmd: c, in: in, out: bufio.NewReader(out)}, nil
}

// Try has a job done. A process that dies of it, or does not end, is an answer too, and gone.
func (p *Process) Try(j Job) Answer {
	b, err := json.Marshal(j)
	if err != nil {
		return Answer{Code: "trial.loader", Why: err.Error()}
	}
	most := p.Max
	if most == 0 {
		most = 30 * time.Minute
	}
	late := time.AfterFunc(most, func() { p.cmd.Process.Kill() })
	defer late.Stop()
	var a Answer
	if _, err = p.in.Write(append(b, '\n')); err == nil {
		var line []byte
		if line, err = p.out.ReadBytes('\n'); err == nil {
			err = json.Unmarshal(line, &a)
		}
	}
	if err != nil {
		return Answer{Code: "trial.loader", Why: "the process that opened the rules died of them, or took longer than " + most.String() + ": " + err.Error()}
	}
	return a
}

// Err is the answer as an update takes it.
func (a *Answer) Err() error {
	if a.Code == "" {
		return nil
	}
	return &update.Held{Code: a.Code, Why: a.Why}
}

// Close ends the process.
func (p *Process) Close() error {
	p.in.Close()
	err := p.cmd.Wait()
	var e *exec.ExitError
	if errors.As(err, &e) {
		return nil // it was told of where it mattered
	}
	return err
}
