package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/showcause/showcause/bench/made"
)

// inSuite runs variants in turn, once to warm in the whole run.
func (b *bench) inSuite(ctx context.Context, vs []*variant, runs int, paths []string) (map[*variant]figures, error) {
	if !b.quick {
		if _, err := inTurn(ctx, b.say, vs, 1, paths); err != nil {
			return nil, err
		}
	}
	return inTurn(ctx, b.say, vs, runs, paths)
}

// scanTables measures each rule set over each corpus, all rivals in turn.
func (b *bench) scanTables(ctx context.Context, t *table) error {
	t.head = []string{
		"rules", "files", "what", "threads", "start, s", "wall, s (min / median / max)", "CPU, s", "peak MB", "MB/s", "MB a CPU second", "files/s", "found",
		"rival ÷ showcause: wall", "wall without the start", "CPU without the start", "CPU a byte ÷ first of the series",
	}
	one := filepath.Join(b.tmp, "one")
	if err := made.Write(one, []byte("a")); err != nil {
		return err
	}
	threads := []int{1}
	if t.def.cores && b.cores > 1 {
		threads = append(threads, b.cores)
	}
	first := map[string]float64{} // CPU seconds a byte, by kind of rules, variant and corpus
	for _, r := range t.def.rules {
		for _, n := range threads {
			if err := b.scanRules(ctx, t, r, n, one, first); err != nil {
				return err
			}
		}
		b.remarkRules(t, r)
	}
	return nil
}

// remarkRules says what the compiling of a made set took.
func (b *bench) remarkRules(t *table, r made.RuleSet) {
	key := r
	if t.def.way == yaraScans {
		key.Kind += " yara"
	}
	if m := b.compiledSets[key]; m != nil {
		size := int64(0)
		if st, err := os.Stat(m.compiled); err == nil {
			size = st.Size()
		}
		t.remark("%s: compiled in %.1f s, peak %.0f MB, to %.1f MB.", r, m.figure.wall.median, m.figure.peak.median/1e6, float64(size)/1e6)
	}
}

func (b *bench) scanRules(ctx context.Context, t *table, r made.RuleSet, threads int, one string, first map[string]float64) error {
	vs, end, err := b.suiteVariants(ctx, t.def, r, threads)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		t.remark("%s: not run: %v.", r, err)
		return nil
	}
	defer end()
	starts, err := b.inSuite(ctx, vs, max(b.runs, 2), []string{one}) // two say how much they differ
	if err != nil {
		return err
	}
	b.alikeRules(t, r, vs, starts)
	if t.def.flat && t.def.way == scanning && !slices.Contains(t.remarks, flatRemark) {
		t.remark("%s", flatRemark)
	}
	for _, c := range t.def.corpora {
		s, err := b.corpusOf(c)
		if err != nil {
			t.remark("%s: not run: %v.", c, err)
			continue
		}
		b.say("%s, %s: %d files, %.1f MB, %d threads", r, c, s.files, float64(s.bytes)/1e6, threads)
		got, err := b.inSuite(ctx, vs, b.runs, s.paths)
		if err != nil {
			return err
		}
		for _, v := range vs {
			b.scanRow(t, r, s, v, vs[0], got, starts, first)
		}
		b.alikeFound(t, r, s, vs, got)
	}
	return nil
}

// flatRemark says what is not equal where unpacking is off.
const flatRemark = "Unpacking off is `--max-recursion=1` for all; with it showcause reads what is directly in a file, and ClamAV the file alone."

// scanRow is one variant over one corpus.
func (b *bench) scanRow(t *table, r made.RuleSet, s *set, v, ours *variant, got, starts map[*variant]figures, first map[string]float64) {
	files := fmt.Sprintf("%s: %s, %.1f MB", s.name, made.Thousands(s.files), float64(s.bytes)/1e6)
	f, ok := got[v]
	if !ok {
		t.add(r.String(), files, v.name, strconv.Itoa(v.threads), "not run: "+v.reason())
		return
	}
	start := starts[v]
	net, clear := less(f.wall, start.wall)
	cpu, clearCPU := less(f.cpu, start.cpu)
	rate, perFile, perCPU, cost := "in the noise of the start", "", "", ""
	if clear {
		rate, perFile = fmt.Sprintf("%.1f", float64(s.bytes)/1e6/net), fmt.Sprintf("%.0f", float64(s.files)/net)
	}
	if clearCPU {
		perCPU = fmt.Sprintf("%.1f", float64(s.bytes)/1e6/cpu)
		key := fmt.Sprintf("%s %s %s %d", r.Kind, v.name, s.name, v.threads)
		if base, seen := first[key]; seen {
			cost = fmt.Sprintf("%.2f", cpu/float64(s.bytes)/base)
		} else {
			first[key] = cpu / float64(s.bytes)
		}
	}
	wall, without, withoutCPU := "", "", ""
	if o, there := got[ours]; there && v.peer {
		wall = ratio(f.wall, o.wall)
		if d, sure := less(o.wall, starts[ours].wall); sure && clear {
			without = fmt.Sprintf("%.2f", net/d)
		}
		if d, sure := less(o.cpu, starts[ours].cpu); sure && clearCPU {
			withoutCPU = fmt.Sprintf("%.2f", cpu/d)
		}
	}
	t.rows = append(t.rows, row{figure: f, cells: []string{
		r.String(), files, v.name, strconv.Itoa(v.threads), fmt.Sprintf("%.3f", start.wall.median), f.wall.short(),
		fmt.Sprintf("%.3f", f.cpu.median), fmt.Sprintf("%.0f", f.peak.median/1e6), rate, perCPU, perFile, said(f.found), wall, without, withoutCPU, cost,
	}})
}

// reason says why a variant was not run, or did not end well.
func (v *variant) reason() string {
	if v.why == "" && v.failure != "" {
		return v.failure
	}
	return strings.TrimPrefix(v.notRun(), "not run: ")
}

// alikeRules says where the programs have loaded different numbers of rules.
func (b *bench) alikeRules(t *table, r made.RuleSet, vs []*variant, starts map[*variant]figures) {
	if r.Kind == builtIn || t.def.way == yaraScans {
		return
	}
	ours, ok := starts[vs[0]]
	for _, v := range vs[1:] {
		if f, there := starts[v]; ok && there && f.rules >= 0 && f.rules != ours.rules {
			t.remark("%s: showcause has %s rules, %s %s.", r, made.Thousands(ours.rules), v.name, made.Thousands(f.rules))
		}
	}
}

// alikeFound says where the programs found different numbers of files: there
// the work was not the same. A made set finds the planted files at least.
func (b *bench) alikeFound(t *table, r made.RuleSet, s *set, vs []*variant, got map[*variant]figures) {
	ours, ok := got[vs[0]]
	want := made.PlantedFiles
	if r.N < want {
		want = 1 // the EICAR test file
	}
	if ok && ours.found < want {
		t.remark("WRONG: %s, %s: showcause found %d of %d planted files.", r, s.name, ours.found, want)
	}
	for _, v := range vs[1:] {
		f, there := got[v]
		if ok && there && f.found >= 0 && f.found != ours.found {
			t.remark("%s, %s: the work was not the same: showcause found %d, %s %d.", r, s.name, ours.found, v.name, f.found)
		}
	}
	for _, v := range vs {
		if f, there := got[v]; there && f.errors > 0 {
			t.remark("%s, %s: %s did not read %d files whole, or not at all.", r, s.name, v.name, f.errors)
		}
	}
}

// filterTable measures package literal by the number of literals.
func (b *bench) filterTable(ctx context.Context, t *table, speed bandwidth) error {
	t.head = []string{"literals", "files", "compile, s", "tables, MB", "GB/s (min / median / max)", "GB a CPU second", "÷ memory read", "÷ memory copy", "hits", "planted: there, reported"}
	for _, r := range t.def.rules {
		for _, c := range t.def.corpora {
			s, err := b.corpusOf(c)
			if err != nil {
				t.remark("%s: not run: %v.", c, err)
				continue
			}
			b.say("%s, %s", r, c)
			var f filtered
			inner, cancel := context.WithTimeout(ctx, b.each)
			_, err = probeInto(inner, &f, nil, "literal", r.Kind, strconv.Itoa(r.N), strconv.Itoa(b.runs), s.paths[0])
			cancel()
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				t.add(r.String(), c, "not run: "+strings.ReplaceAll(tail(err.Error()), "\n", " "))
				continue
			}
			for _, rates := range [][]float64{f.Rates, f.CPURates} {
				for i := range rates {
					rates[i] /= 1e9
				}
			}
			rate, cpu := spreadOf(f.Rates), spreadOf(f.CPURates).median
			t.add(r.String(), fmt.Sprintf("%s, %.0f MB", c, float64(f.Bytes)/1e6), fmt.Sprintf("%.2f", f.Compile.Seconds()), fmt.Sprintf("%.1f", float64(f.Blob)/1e6),
				rate.short(), fmt.Sprintf("%.2f", cpu), fmt.Sprintf("%.2f", cpu*1e9/speed.Read), fmt.Sprintf("%.2f", cpu*1e9/speed.Copy), made.Thousands(f.Hits), fmt.Sprintf("%d, %d", f.Planted, f.Reported))
			if f.Planted != f.Reported {
				t.remark("WRONG: %s: %d planted literals are there, %d were reported.", r, f.Planted, f.Reported)
			}
		}
	}
	return nil
}

// databaseTable measures what a database costs besides scanning.
func (b *bench) databaseTable(ctx context.Context, t *table) error {
	t.head = []string{
		"rules", "what", "loaded", "compile, s", "compile peak, MB", "on disk, MB", "open, ms (min / median / max)", "private memory, MB", "after a scan, MB",
		"reload, ms", "answers before, ms", "longest meanwhile, ms", "memory meanwhile ÷ before",
	}
	var counted []int
	var costs [][]float64
	for _, r := range t.def.rules {
		m, err := b.rules(ctx, r, false)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			t.remark("%s: not run: %v.", r, err)
			continue
		}
		b.say("%s: open and reload", r)
		cost, err := b.oursOpened(ctx, t, r, m)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			t.add(r.String(), "showcause", "not run: "+strings.ReplaceAll(tail(err.Error()), "\n", " "))
			continue
		}
		if !slices.Contains(t.def.rivals, "clamd") {
			continue
		}
		theirs, err := b.clamdOpened(ctx, t, r, m)
		if err != nil {
			return err
		}
		if r.Kind == made.Hashes {
			counted, costs = append(counted, r.N), append(costs, append(cost, theirs...))
		}
	}
	if n := len(counted); n > 1 {
		more := float64(counted[n-1]-counted[0]) / 1e6
		text := fmt.Sprintf("Each added million of digests, from %s to %s:", made.Thousands(counted[0]), made.Thousands(counted[n-1]))
		for i, what := range []string{"%.2f s to compile", "%.1f MB on disk", "%.2f ms to open", "%.2f MB of private memory", "clamd: %.2f s to start", "%.1f MB of private memory"} {
			if i < len(costs[0]) && i < len(costs[n-1]) {
				text += " " + fmt.Sprintf(what, (costs[n-1][i]-costs[0][i])/more) + ";"
			}
		}
		t.remark("%s.", strings.TrimSuffix(text, ";"))
	}
	return nil
}

const milli = float64(time.Millisecond)

// oursOpened returns seconds to compile, MB on disk, ms to open, MB private.
func (b *bench) oursOpened(ctx context.Context, t *table, r made.RuleSet, m *rulesMade) ([]float64, error) {
	var open, private, served []float64
	var o opened
	for range max(b.runs, 3) {
		if _, err := probeInto(ctx, &o, nil, "open", m.compiled); err != nil {
			return nil, err
		}
		open = append(open, float64(o.Open)/milli)
		private = append(private, float64(o.After)/1e6)
		served = append(served, float64(o.Served)/1e6)
	}
	var x reloaded
	if _, err := probeInto(ctx, &x, nil, "reload", m.compiled); err != nil {
		return nil, err
	}
	st, err := os.Stat(m.compiled)
	if err != nil {
		return nil, err
	}
	disk := float64(st.Size()) / 1e6
	t.add(append([]string{
		r.String(), "showcause", made.Thousands(o.Rules), fmt.Sprintf("%.2f", m.figure.wall.median), fmt.Sprintf("%.0f", m.figure.peak.median/1e6), fmt.Sprintf("%.1f", disk),
		spreadOf(open).String(), fmt.Sprintf("%.1f", spreadOf(private).median), fmt.Sprintf("%.1f", spreadOf(served).median),
	}, x.cells()...)...)
	return []float64{m.figure.wall.median, disk, spreadOf(open).median, spreadOf(private).median}, nil
}

func (x reloaded) cells() []string {
	ms := func(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d)/milli) }
	return []string{ms(x.Took), ms(x.Usual), ms(x.Longest), fmt.Sprintf("%.2f", float64(x.Highest)/float64(x.Before))}
}

// clamdOpened returns seconds to start and MB private.
func (b *bench) clamdOpened(ctx context.Context, t *table, r made.RuleSet, m *rulesMade) ([]float64, error) {
	if why := absent(b.clamd); why != "" {
		t.add(r.String(), "clamd", "not run: "+why)
		return nil, nil
	}
	d, err := b.startServer(ctx, m.source, 1, "DisableCache yes")
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		t.add(r.String(), "clamd", "not run: "+tail(err.Error()))
		return nil, nil
	}
	defer d.stop()
	one := filepath.Join(b.tmp, "one")
	if err := made.Write(one, []byte("a")); err != nil {
		return nil, err
	}
	private, err := statusBytes(d.pid, "RssAnon")
	if err != nil {
		return nil, err
	}
	ask := func() error {
		reply, err := d.ask("SCAN " + one)
		if err == nil && !strings.HasSuffix(reply, "OK") {
			err = fmt.Errorf("clamd: %s", reply)
		}
		return err
	}
	inner, cancel := context.WithTimeout(ctx, b.each)
	defer cancel()
	x, err := exchange(ask, func() error { _, err := d.reload(inner); return err }, func() (int64, error) { return statusBytes(d.pid, "RssAnon") })
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	start := fmt.Sprintf("%.0f", float64(d.load)/milli)
	cells := []string{r.String(), "clamd", "", "", "", "", start, fmt.Sprintf("%.1f", float64(private)/1e6), ""}
	if err != nil {
		t.remark("%s: clamd's reload: %v.", r, err)
	} else {
		cells = append(cells, x.cells()...)
	}
	t.add(cells...)
	return []float64{d.load.Seconds(), float64(private) / 1e6}, nil
}

// suiteText is all tables as Markdown.
func (b *bench) suiteText(machine []string, speed bandwidth, tables []*table, left []string) string {
	var w strings.Builder
	p := func(format string, a ...any) { fmt.Fprintf(&w, format+"\n", a...) }
	p("# Measured\n\n    %s\n", b.command)
	for _, m := range machine {
		p("- %s", m)
	}
	p("- Memory, one core: read %.1f GB/s, copy %.1f GB/s", speed.Read/1e9, speed.Copy/1e9)
	p("- YARA: %s; YARA-X: %s", versionOf("yara"), versionOf("yr"))
	p("- %d runs of each, in turn (A B C A B C), files in the page cache; a run ends after %v", b.runs, b.each)
	if len(left) > 0 {
		p("- Left out: %s", strings.Join(left, "; "))
	}
	p("\nA ratio over 1 says that the rival needs more. MB are 10^6 bytes as they lie on disk; MB/s, MB a CPU second and files/s are without the start, a scan of one byte; an empty cell was within its noise. docs/performance.md says how the figures come about.")
	for _, t := range tables {
		p("\n## %s\n\n%s", t.def.name, t.def.shows)
		if t.def.aim != "" {
			p("Aim: %s.", t.def.aim)
		}
		p("Load %s; %.0f s.\n", t.load, t.took.Seconds())
		if len(t.rows) > 0 {
			p("| %s |\n|%s", strings.Join(t.head, " | "), strings.Repeat("---|", len(t.head)))
		}
		for _, r := range t.rows {
			cells := append(slices.Clone(r.cells), make([]string, max(0, len(t.head)-len(r.cells)))...)
			for i := range cells {
				cells[i] = strings.ReplaceAll(b.unnamed(cells[i]), "|", "\\|")
			}
			p("| %s |", strings.Join(cells, " | "))
		}
		if len(t.remarks) > 0 {
			p("")
		}
		for _, r := range t.remarks {
			p("- %s", b.unnamed(r))
		}
	}
	return w.String()
}

// unnamed takes this machine's places out of a text.
func (b *bench) unnamed(s string) string {
	for place, word := range map[string]string{b.tmp: "TMP", b.db: "DB"} {
		if place != "" {
			s = strings.ReplaceAll(s, place, word)
		}
	}
	return s
}

// versionOf is what a program says of itself.
func versionOf(name string) string {
	bin := program(name)
	if bin == "" {
		return "not installed"
	}
	out, err := exec.Command(bin, "--version").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
