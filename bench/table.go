package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// report is all that was measured. The first set is the start.
type report struct {
	bench   *bench
	machine []string
	sets    []*set
	results map[*set]map[*variant]figures
}

// describe says what ran where: no name and no path of the machine.
func (b *bench) describe(ctx context.Context) []string {
	first := func(path, prefix string) string {
		text, _ := os.ReadFile(path)
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(rest), ":"))
			}
		}
		return "unknown"
	}
	output := func(args ...string) string {
		if args[0] == "" {
			return "not installed"
		}
		out, err := exec.CommandContext(ctx, args[0], args[1:]...).Output()
		if err != nil {
			return "unknown"
		}
		return strings.TrimSpace(string(out))
	}
	load := strings.Fields(first("/proc/loadavg", "") + " unknown")[0]
	return []string{
		"Processor: " + first("/proc/cpuinfo", "model name") + fmt.Sprintf(", %d in use by the system", runtime.NumCPU()),
		"Memory: " + first("/proc/meminfo", "MemTotal"),
		"Kernel: " + runtime.GOOS + "/" + runtime.GOARCH + " " + first("/proc/sys/kernel/osrelease", ""),
		"Go: " + runtime.Version(),
		"Showcause: " + output("git", "describe", "--always", "--dirty"),
		"ClamAV: " + output(b.clamscan, "--version"),
		"Load average of the last minute before the first run: " + load + " (near 0 is a quiet machine)",
		"Date: " + b.date,
	}
}

func (r *report) markdown() string {
	var w strings.Builder
	p := func(format string, a ...any) { fmt.Fprintf(&w, format+"\n", a...) }
	b := r.bench
	p("# Side by side with ClamAV\n")
	p("One run of a program on one machine; the ratios are the claim, the seconds are not. Anyone can run it:\n")
	p("    %s\n", b.command)
	for _, line := range r.machine {
		p("- %s", line)
	}
	p("- Database: the same ClamAV folder for both%s", r.ruleCounts())
	p("\n## How\n")
	p("Each figure is a whole process, %d times each, in turn (A B C A B C); files are in the page cache. Times are min / median / max in seconds, "+
		"CPU is user and system time, peak is the largest resident set (medians). MB are 10^6 bytes of files as they lie on disk.\n", b.runs)
	p("- Both get `%s`, and ClamAV no limit of time, so that both read the same files whole. Smaller limits of ClamAV inside a file (HTML 40 MB, embedded PE 40 MB, regular expressions 100 MB) are left as they are.", strings.Join(limitFlags(), " "))
	p("- clamscan has one thread. showcause with 1 thread has one processor (`GOMAXPROCS=1 --jobs 1`), with %d all (`--jobs %d`); clamd has `MaxThreads`, and clamdscan `--fdpass`, with more than one thread `--multiscan`.", b.cores, b.cores)
	p("- clamd is started anew for every run, because it remembers clean files; its time is clamdscan's, its CPU time both programs', its memory the server's. VmHWM and rusage are the sources.")
	p("- A peak counts the pages of mapped files too: showcause maps its database, ClamAV builds its in private memory.%s", r.floor())
	p("- ClamAV stops in a file at the first finding and showcause goes on; showcause lists what it did not read as incomplete, here under errors.")
	p("\n## Start: a file of one byte\n")
	p("| what | threads | wall | CPU | peak MB |\n|---|---|---|---|---|")
	for _, v := range b.starts {
		if f, ok := r.start()[v]; ok {
			p("| %s | %d | %s | %.3f | %.1f |", v.name, v.threads, f.wall, f.cpu.median, f.peak.median/1e6)
		} else {
			p("| %s | %d | %s | | |", v.name, v.threads, v.notRun())
		}
	}
	for _, s := range r.sets[1:] {
		r.scanTable(p, s)
	}
	r.ratios(p)
	r.reading(p)
	p("\nInner loops: `go test -run '^$' -bench . ./literal ./pattern ./rule ./clamsig`.")
	return w.String()
}

func (r *report) start() map[*variant]figures { return r.results[r.sets[0]] }

func (v *variant) notRun() string {
	if v.why != "" {
		return "not run: " + v.why
	}
	return "not run: it did not end well"
}

// ruleCounts says how many rules each says that it has.
func (r *report) ruleCounts() string {
	text, seen := "", map[string]bool{}
	for _, v := range r.bench.scan {
		if f, ok := r.start()[v]; ok && f.rules >= 0 && !seen[v.name] {
			seen[v.name] = true
			text += fmt.Sprintf("; %s: %d", v.name, f.rules)
		}
	}
	return text
}

// floor is the least peak that could have been measured.
func (r *report) floor() string {
	floor := 0.0
	for _, f := range r.start() {
		floor = max(floor, f.floor)
	}
	return fmt.Sprintf(" The measuring itself cannot see a peak below %.1f MB.", floor/1e6)
}

func (r *report) scanTable(p func(string, ...any), s *set) {
	p("\n## %s: %d files, %.1f MB\n", s.name, s.files, float64(s.bytes)/1e6)
	p("| what | threads | wall | CPU | peak MB | MB/s | MB/s without the start | files | found | errors |\n|---|---|---|---|---|---|---|---|---|---|")
	for _, v := range r.bench.scan {
		f, ok := r.results[s][v]
		if !ok {
			p("| %s | %d | %s | | | | | | | |", v.name, v.threads, v.notRun())
			continue
		}
		without := "in the noise"
		if d, ok := less(f.wall, r.start()[v].wall); ok {
			without = fmt.Sprintf("%.1f", float64(s.bytes)/1e6/d)
		}
		p("| %s | %d | %s | %.3f | %.1f | %.1f | %s | %s | %s | %s |", v.name, v.threads, f.wall, f.cpu.median, f.peak.median/1e6,
			float64(s.bytes)/1e6/f.wall.median, without, said(f.files), said(f.found), said(f.errors))
	}
}

// said is a number that a scanner printed, or that it did not.
func said(n int) string {
	if n < 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// compare calls f for showcause and each peer with as many threads.
func (r *report) compare(s *set, f func(ours, peer *variant, a, b figures)) {
	for _, ours := range r.bench.scan {
		for _, peer := range r.bench.scan {
			a, ok := r.results[s][ours]
			b, ok2 := r.results[s][peer]
			if ok && ok2 && !ours.peer && peer.peer && ours.threads == peer.threads {
				f(ours, peer, a, b)
			}
		}
	}
}

// ratios divides our medians by the peer's.
func (r *report) ratios(p func(string, ...any)) {
	p("\n## Ratios of the medians, showcause ÷ peer\n\nBelow 1 showcause needs less.\n")
	p("| files | peer | threads | wall | wall without the start | CPU | peak memory |\n|---|---|---|---|---|---|---|")
	for i, s := range r.sets {
		r.compare(s, func(ours, peer *variant, a, b figures) {
			without := ""
			if i > 0 {
				without = "in the noise"
				d, ok := less(a.wall, r.start()[ours].wall)
				e, ok2 := less(b.wall, r.start()[peer].wall)
				if ok && ok2 {
					without = fmt.Sprintf("%.3f", d/e)
				}
			}
			p("| %s | %s | %d | %s | %s | %s | %s |", s.name, peer.name, peer.threads, ratio(a.wall, b.wall), without, ratio(a.cpu, b.cpu), ratio(a.peak, b.peak))
		})
	}
}

func ratio(a, b spread) string {
	if b.median == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f", a.median/b.median)
}

// reading says what the tables bear, and what they do not.
func (r *report) reading(p func(string, ...any)) {
	faster, smaller, compared, noisy, rows := 0, 0, 0, 0, 0
	var differ []string
	for _, s := range r.sets[1:] {
		for _, f := range r.results[s] {
			rows++
			if f.wall.noisy() {
				noisy++
			}
		}
		counts := ""
		r.compare(s, func(ours, peer *variant, a, b figures) {
			compared++
			if a.wall.median < b.wall.median {
				faster++
			}
			if a.peak.median < b.peak.median {
				smaller++
			}
			if a.found != b.found && counts == "" {
				counts = fmt.Sprintf("%s (showcause %d, %s %d)", s.name, a.found, peer.name, b.found)
				differ = append(differ, counts)
			}
		})
	}
	p("\n## Reading\n")
	p("- In %d comparisons showcause took less wall time %d times and less memory %d times.", compared, faster, smaller)
	if len(differ) > 0 {
		p("- The number of files found differs, so there the work was not the same: %s.", strings.Join(differ, "; "))
	} else if compared > 0 {
		p("- Both found the same number of files in every set.")
	}
	if noisy > 0 {
		p("- In %d of %d rows the slowest run took over half as long again as the fastest: those medians say little.", noisy, rows)
	}
	p("- clamdscan asks a server that runs already; what that costs is the row of clamd's start. showcause has no server yet, and no row against RELOAD.")
	p("- A scanner that has a fixed cost for each layer of a kind (a PE file with tens of thousands of rules for PE) loses most on many small ones: the sets differ in that, and the generated ones are not anybody's files.")
	p("- The two do not unpack the same formats, nor run the same checks beside the signatures (bytecode, phishing, certificates are ClamAV's). A file under errors was not read whole: its bytes make showcause look faster than it is. Equal counts are not equal findings.")
	p("- Other files, databases and machines give other ratios.")
}
