package clamd

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/showcause/showcause/internal/clamdtalk"
	"github.com/showcause/showcause/serve/clamdconf"
)

func TestSwitchedOff(t *testing.T) {
	f, err := clamdconf.Parse("c", strings.NewReader("EnableReloadCommand no\nEnableShutdownCommand no\nEnableStatsCommand no\nEnableVersionCommand no\nAllowAllMatchScan no\n"))
	if err != nil {
		t.Fatal(err)
	}
	o, err := FromConf(f)
	if err != nil {
		t.Fatal(err)
	}
	b := &fake{}
	d := open(t, b, o)
	for send, want := range map[string]string{
		"nRELOAD\n":          "COMMAND UNAVAILABLE\n",
		"zSHUTDOWN\x00":      "COMMAND UNAVAILABLE\x00",
		"zQUIT\x00":          "COMMAND UNAVAILABLE\x00",
		"nSTATS\n":           "COMMAND UNAVAILABLE\n",
		"VERSION\n":          "COMMAND UNAVAILABLE\n",
		"nVERSIONCOMMANDS\n": "COMMAND UNAVAILABLE\n",
		"nPING\n":            "PONG\n",
		"nALLMATCHSCAN /x\n": "/x: ALLMATCHSCAN command disabled by clamd configuration. ERROR\n",
	} {
		if got := ask(d, send); got != want {
			t.Errorf("%q: %q, want %q", send, got, want)
		}
	}
	if b.reloads.Load()+b.ends.Load() != 0 {
		t.Error("what is switched off was done")
	}
}

// What clients take VERSION apart with.
func TestVersion(t *testing.T) {
	at := time.Date(2026, 11, 5, 9, 0, 1, 0, time.UTC)
	d := open(t, &fake{rules: RulesVersion(27700, at)}, Options{})
	got := ask(d, "zVERSION\x00")
	if got != "ClamAV 1.4.6/27700/Thu Nov  5 09:00:01 2026\x00" {
		t.Errorf("%q", got)
	}
	got = strings.TrimRight(got, "\x00")
	var a, b, c, db int
	if n, _ := fmt.Sscanf(got, "ClamAV %d.%d.%d/%d/", &a, &b, &c, &db); n != 4 || db != 27700 {
		t.Errorf("as c-icap reads it: %d, %d", n, db)
	}
	m := regexp.MustCompile(`^ClamAV ([0-9.]+)/([0-9]+)/(.+)$`).FindStringSubmatch(got)
	if m == nil {
		t.Fatal("as exporters read it: no match")
	}
	if when, err := time.Parse("Mon Jan _2 15:04:05 2006", m[3]); err != nil || !when.Equal(at) {
		t.Errorf("date: %v, %v", when, err)
	}
}

// Words for what goes wrong behind the door.
func TestErrorsOfTheBackend(t *testing.T) {
	for _, x := range []struct {
		b    *fake
		want string
	}{
		{&fake{wait: func(context.Context) error { return ErrBusy }}, "stream: Too many requests, try again later ERROR\n"},
		{&fake{wait: func(context.Context) error { return ErrTimeout }}, "stream: Time limit reached ERROR\n"},
		{&fake{wait: func(context.Context) error { return fmt.Errorf("a: %w", ErrStopping) }}, "stream: Service is stopping ERROR\n"},
		{&fake{wait: func(context.Context) error { return io.ErrUnexpectedEOF }}, "stream: Can't read file ERROR\n"},
		{&fake{receive: ErrBusy}, "Too many requests, try again later ERROR\n"},
		{&fake{write: ErrNoSpace}, "Error writing to temporary file ERROR\n"},
	} {
		d := open(t, x.b, Options{})
		if got := ask(d, "nINSTREAM\n"+stream("hello")); got != x.want {
			t.Errorf("%q, want %q", got, x.want)
		}
		if !settle(func() bool { return x.b.open.Load() == 0 }) {
			t.Errorf("%s: a stream was not closed", x.want)
		}
	}
	d := open(t, &fake{}, Options{})
	for content, want := range map[string]string{"gap": "stream: Not read whole: encrypted ERROR\n", "bad": "stream: Na\\nme: OK\\x00 FOUND\n"} {
		if got := ask(d, "nINSTREAM\n"+stream(content)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// What could not be read keeps a folder from being OK.
func TestFolderWithGapIsNotOK(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "a"), []byte("clean"), 0o600)
	os.WriteFile(filepath.Join(dir, "b"), []byte("gap"), 0o600)
	d := open(t, &fake{}, Options{})
	for _, cmd := range []string{"SCAN", "CONTSCAN", "MULTISCAN", "ALLMATCHSCAN"} {
		want := dir + "/b: Not read whole: encrypted ERROR\n"
		if got := ask(d, "n"+cmd+" "+dir+"\n"); got != want {
			t.Errorf("%s: %q", cmd, got)
		}
	}
}

func TestWalk(t *testing.T) {
	dir := t.TempDir()
	mk := func(name string) {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		os.WriteFile(filepath.Join(dir, name), []byte(clamdtalk.EICAR), 0o600)
	}
	mk("in/a")
	mk("away/b")
	mk("skip/c")
	os.Symlink("../away", filepath.Join(dir, "in/folder"))
	os.Symlink("../away/b", filepath.Join(dir, "in/file"))
	os.Symlink("..", filepath.Join(dir, "away/up"))
	os.Symlink("none", filepath.Join(dir, "in/dangling"))
	scan := func(path string, o Options) string {
		got := ask(open(t, &fake{}, o), "nCONTSCAN "+dir+path+"\n")
		lines := strings.Split(strings.TrimSuffix(strings.ReplaceAll(got, dir, ""), "\n"), "\n")
		slices.Sort(lines)
		return strings.Join(lines, "|")
	}
	for _, x := range []struct {
		path string
		o    Options
		want string
	}{
		{"/in", Options{}, "/in/a: Eicar FOUND"},
		{"/in", Options{FollowFiles: true}, "/in/a: Eicar FOUND|/in/file: Eicar FOUND"},
		{"/in", Options{FollowDirs: true}, "/in/a: Eicar FOUND|/in/folder/b: Eicar FOUND|/in/folder/up/skip/c: Eicar FOUND"},
		{"/in/file", Options{}, "/in/file: Symbolic link not followed ERROR"},
		{"/in/file", Options{FollowFiles: true}, "/in/file: Eicar FOUND"},
		{"/in/folder", Options{FollowDirs: true}, "/in/folder/b: Eicar FOUND|/in/folder/up/in/a: Eicar FOUND|/in/folder/up/skip/c: Eicar FOUND"},
		{"/in/dangling", Options{FollowFiles: true}, "/in/dangling: Symbolic link not followed ERROR"},
		{"", Options{Exclude: []*regexp.Regexp{regexp.MustCompile("/skip$"), regexp.MustCompile("/a$")}}, "/away/b: Eicar FOUND|/in/a: Excluded|/skip: Excluded"},
		{"", Options{MaxDirectory: -1}, "/away/b: Eicar FOUND|/in/a: Eicar FOUND|/skip/c: Eicar FOUND"},
	} {
		if got := scan(x.path, x.o); got != x.want {
			t.Errorf("%s %+v:\n%s, want\n%s", x.path, x.o, got, x.want)
		}
	}
}

// Another file system is left out where that is wanted.
func TestOneFilesystem(t *testing.T) {
	var here, proc syscall.Stat_t
	if syscall.Stat("/", &here) != nil || syscall.Stat("/proc", &proc) != nil || here.Dev == proc.Dev {
		t.Skip("/proc is no file system of its own")
	}
	b := &fake{}
	d := open(t, b, Options{OneFilesystem: true, Exclude: []*regexp.Regexp{regexp.MustCompile("^/[^/]*$")}, MaxDirectory: 1})
	_ = d
	w := walk{c: &conn{s: d.Server}, dev: uint64(here.Dev), verb: multiscan}
	f, err := os.Open("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !w.foreign(int(f.Fd()), "/proc") {
		t.Error("/proc counts as the root's file system")
	}
	root, err := os.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if w.foreign(int(root.Fd()), "/") {
		t.Error("/ does not")
	}
}

// A client that goes away ends the scan of a folder.
func TestGoneClient(t *testing.T) {
	dir := t.TempDir()
	for i := range 200 {
		os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte("clean"), 0o600)
	}
	step := make(chan struct{})
	b := &fake{wait: func(ctx context.Context) error { step <- struct{}{}; return nil }}
	d := open(t, b, Options{})
	c, err := d.dial(false)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "nCONTSCAN %s\n", dir)
	<-step
	c.(*net.UnixConn).CloseWrite()
	<-step // it can still be waiting for the answer
	c.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-step:
			case <-time.After(300 * time.Millisecond):
				return
			}
		}
	}()
	<-done
	if n := b.scans.Load(); n > 10 {
		t.Errorf("%d files were scanned for nobody", n)
	}
}

// Replies of a session come when they are ready, each with its number.
func TestSessionOutOfOrder(t *testing.T) {
	first := make(chan struct{})
	b := &fake{}
	b.wait = func(ctx context.Context) error {
		if b.scans.Load() == 1 {
			<-first
		}
		return nil
	}
	d := open(t, b, Options{})
	c, err := d.dial(false)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "nIDSESSION\nzINSTREAM\x00"+stream("X5O!"))
	settle(func() bool { return b.scans.Load() == 1 })
	io.WriteString(c, "nINSTREAM\n"+stream("clean")+"zPING\x00")
	got := make([]byte, len("2: stream: OK\n3: PONG\x00"))
	if _, err := io.ReadFull(c, got); err != nil || !strings.Contains(string(got), "2: stream: OK\n") {
		t.Fatalf("%q, %v", got, err)
	}
	close(first)
	io.WriteString(c, "nEND\n")
	rest, _ := io.ReadAll(c)
	if string(rest) != "1: stream: Eicar FOUND\x00" {
		t.Errorf("%q", rest)
	}
}

// A session that asks for much gets no more done at a time than others leave it.
func TestSessionIsBounded(t *testing.T) {
	hold := make(chan struct{})
	b := &fake{wait: func(context.Context) error { <-hold; return nil }}
	d := open(t, b, Options{})
	c, err := d.dial(false)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go io.WriteString(c, "zIDSESSION\x00"+strings.Repeat("zINSTREAM\x00"+stream("clean"), 300)+"zEND\x00")
	settle(func() bool { return b.running.Load() == inSession })
	time.Sleep(50 * time.Millisecond)
	close(hold)
	all, _ := io.ReadAll(c)
	if n := strings.Count(string(all), ": stream: OK\x00"); n != 300 {
		t.Errorf("%d replies", n)
	}
	if n := b.most.Load(); n > inSession {
		t.Errorf("%d at the same time", n)
	}
	seen := map[string]bool{}
	for _, r := range strings.Split(string(all), "\x00") {
		id, _, _ := strings.Cut(r, ":")
		if seen[id] {
			t.Errorf("two replies to %s", id)
		}
		seen[id] = true
	}
}

func TestMultiscanIsParallel(t *testing.T) {
	dir := t.TempDir()
	for i := range 40 {
		os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte("clean"), 0o600)
	}
	var b *fake
	b = &fake{wait: func(context.Context) error {
		settle(func() bool { return b.most.Load() == 4 })
		return nil
	}}
	d := open(t, b, Options{Parallel: 4})
	if got := ask(d, "nMULTISCAN "+dir+"\n"); got != dir+": OK\n" {
		t.Errorf("%q", got)
	}
	if n := b.most.Load(); n != 4 {
		t.Errorf("%d at the same time", n)
	}
	for _, r := range b.requests {
		if !strings.HasSuffix(r.Client, "/folder") || !strings.HasPrefix(r.Client, "uid=") {
			t.Fatalf("client %q", r.Client)
		}
	}
}

// What is under way when the door closes is answered; who waits is let go without a word.
func TestClose(t *testing.T) {
	hold := make(chan struct{})
	b := &fake{wait: func(context.Context) error { <-hold; return nil }}
	d := open(t, b, Options{})
	var wg sync.WaitGroup
	for _, x := range [][2]string{
		{"nINSTREAM\n" + stream("X5O!"), "stream: Eicar FOUND\n"},
		{"nIDSESSION\nnINSTREAM\n" + stream("X5O!"), "1: stream: Eicar FOUND\n"},
		{"", ""},
		{"nIDSESSION\n", ""},
	} {
		wg.Go(func() {
			if got := ask(d, x[0]); got != x[1] {
				t.Errorf("%q: %q", x[0], got)
			}
		})
	}
	half, err := d.dial(false)
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	io.WriteString(half, "nINSTREAM\n\x00\x00\x00\x04X5")
	settle(func() bool { return b.running.Load() == 2 && b.open.Load() == 3 })
	closed := make(chan error)
	go func() { closed <- d.Close(context.Background()) }()
	time.Sleep(20 * time.Millisecond)
	io.WriteString(half, "O!\x00\x00\x00\x00")
	settle(func() bool { return b.running.Load() == 3 })
	close(hold)
	wg.Wait()
	if got, _ := io.ReadAll(half); string(got) != "stream: Eicar FOUND\n" {
		t.Errorf("a stream that was begun: %q", got)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if got := ask(d, "nPING\n"); strings.Contains(got, "PONG") {
		t.Errorf("behind the end: %q", got)
	}
}

// Whoever does not end in time is cut off.
func TestCloseGivesUp(t *testing.T) {
	b := &fake{wait: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
	d := open(t, b, Options{})
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		os.WriteFile(filepath.Join(dir, name), []byte("clean"), 0o600)
	}
	var wg sync.WaitGroup
	for send, want := range map[string]string{
		"nINSTREAM\n" + stream("X5O!"):  "stream: Service is stopping ERROR\n",
		"nINSTREAM\n\x00\x00\x00\x04X5": "Service is stopping ERROR\n",
		"nIDSESSION\nnINSTREAM\n\x00":   "1: Service is stopping ERROR\n",
	} {
		wg.Go(func() {
			if got := ask(d, send); got != want {
				t.Errorf("%q: %q, want %q", send, got, want)
			}
		})
	}
	wg.Go(func() { // what was not looked at is not OK
		got := ask(d, "nCONTSCAN "+dir+"\n")
		if !strings.HasSuffix(got, dir+": Service is stopping ERROR\n") || strings.Contains(got, "OK") {
			t.Errorf("a folder: %q", got)
		}
	})
	settle(func() bool { return b.running.Load() == 2 && b.open.Load() == 3 })
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := d.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	wg.Wait()
}

// What a client had sent before the door closes is taken, though nobody had looked at it yet.
func TestCloseTakesWhatCame(t *testing.T) {
	d := open(t, &fake{}, Options{})
	c, err := d.dial(false)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	settle(func() bool { n, _ := d.Connections(); return n == 1 })
	d.mu.Lock()
	for conn := range d.conns { // as Close leaves it
		conn.last.Store(true)
		io.WriteString(c, "nINSTREAM\n\x00\x00\x00\x04X5")
		conn.nc.SetReadDeadline(time.Unix(1, 0))
	}
	d.mu.Unlock()
	io.WriteString(c, "O!\x00\x00\x00\x00")
	if got, err := io.ReadAll(c); string(got) != "stream: Eicar FOUND\n" {
		t.Errorf("%q %v", got, err)
	}
}

func TestOurCommands(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a b")
	os.WriteFile(path, []byte("X5O!"), 0o600)
	b := &fake{}
	d := open(t, b, Options{})
	get := func(send string) (m map[string]any) {
		t.Helper()
		got := ask(d, send)
		if strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "\n") {
			t.Errorf("%q: %q is not one line", send, got)
		}
		if err := json.Unmarshal([]byte(got), &m); err != nil {
			t.Errorf("%q: %q: %v", send, got, err)
		}
		return m
	}
	if m := get("nSHOWCAUSE-SCAN record -- " + path + "\n"); m["verdict"] != "found" || m["name"] != path || m["record"].(map[string]any)["record"] != true {
		t.Errorf("%v", m)
	}
	if m := get("nSHOWCAUSE-INSTREAM\n" + stream("X5O!")); m["verdict"] != "found" || m["name"] != "stream" || m["record"] != nil {
		t.Errorf("%v", m)
	}
	if m := get("nSHOWCAUSE-INSTREAM fresh max-depth=3 max-files=4 max-file-size=5 max-scan-size=6 max-ratio=7 max-work=8 timeout=9 password=a%20b password=c\n" + stream("gap")); m["error"] != "Not read whole: encrypted" {
		t.Errorf("%v", m)
	}
	o := b.last().Options
	if l := o.Limits; l.Depth != 3 || l.Objects != 4 || l.FileSize != 5 || l.ScanSize != 6 || l.Ratio != 7 || l.Work != 8 || o.Timeout != 9*time.Millisecond ||
		!o.NoCache || fmt.Sprintf("%s", o.Passwords) != "[a b c]" {
		t.Errorf("%+v", o)
	}
	if m := get("nSHOWCAUSE-STATUS\n"); m["version"] != "test" || m["connections"] == 0.0 {
		t.Errorf("%v", m)
	}
	if m := get("nSHOWCAUSE-SCAN -- " + dir + "\n"); m["verdict"] != "error" || m["error"] != "Not a regular file" {
		t.Errorf("%v", m)
	}
	for send, want := range map[string]string{
		"SCAN\n":                       "a path stands behind -- where one is scanned, and nowhere else",
		"INSTREAM -- /x\n":             "a path stands behind -- where one is scanned, and nowhere else",
		"SCAN max-depth=x -- /x\n":     `option max-depth: "x" is not a number above 0`,
		"SCAN max-depth=-1 -- /x\n":    `option max-depth: "-1" is not a number above 0`,
		"SCAN record=yes -- /x\n":      "option record takes no value",
		"SCAN nosuch -- /x\n":          "unknown option nosuch",
		"SCAN password=%zz -- /x\n":    "option password: not percent-encoded, or more than 100 of them",
		"SCAN record  fresh -- /x\n":   "unknown option ",
		"FILDES\nx":                    "",
		"SCAN max-nosuch=5 -- /x\n":    "unknown option max-nosuch=5",
		"INSTREAM timeout=0\n" + "abc": `option timeout: "0" is not a number above 0`,
	} {
		if want == "" {
			if got := ask(d, "nSHOWCAUSE-"+send); got != "No file descriptor received. ERROR\n" {
				t.Errorf("%q: %q", send, got)
			}
			continue
		}
		if m := get("nSHOWCAUSE-" + send); m["error"] != want {
			t.Errorf("%q: %v", send, m)
		}
	}
	if got := ask(d, "SHOWCAUSE-STATUS\n"); got != "UNKNOWN COMMAND\n" {
		t.Errorf("old: %q", got)
	}
	if got := ask(d, "nIDSESSION\nnSHOWCAUSE-STATUS\nnSHOWCAUSE-INSTREAM\n"+stream("x")+"nEND\n"); !strings.HasPrefix(got, `1: {"version"`) || !strings.Contains(got, "\n2: {\"name\":\"stream\"") {
		t.Errorf("session: %q", got)
	}
	// With a descriptor.
	talk := clamdtalk.Talk{Steps: []clamdtalk.Step{{Send: "nSHOWCAUSE-FILDES record\nx", Files: []string{path}}}}
	c, err := d.dial(false)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := talk.With(c, dir); err != nil || !strings.HasPrefix(r.Bytes, `{"name":"fd[N]","verdict":"found"`) {
		t.Errorf("%v, %v", r, err)
	}
}

// The commands of ours say by what setting something is OK, how many rules there are, and the
// digest of a file that is as its reader saw it.
func TestOurAnswers(t *testing.T) {
	dir := t.TempDir()
	d := open(t, &fake{}, Options{})
	for text, want := range map[string]string{
		"waived": `,"verdict":"incomplete","waived":["encrypted"],"sha256":"` + fmt.Sprintf("%x", sha256.Sum256([]byte("waived"))) + `","size":6,`,
		"grown":  `,"verdict":"nothing-found","size":4,`,
	} {
		path := filepath.Join(dir, text)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := ask(d, "nSHOWCAUSE-SCAN -- "+path+"\n"); !strings.Contains(got, want) || strings.Contains(got, `"records":["ab"]`) != (text == "waived") {
			t.Errorf("%s: %q", text, got)
		}
		if got := ask(d, "nSCAN "+path+"\n"); got != path+": OK\n" {
			t.Errorf("%s: %q", text, got)
		}
	}
	if got := ask(d, "nSHOWCAUSE-STATUS\n"); !strings.Contains(got, `"rules_count":7,"rules_digest":"cd",`) {
		t.Errorf("%q", got)
	}
}

// What a client asked for that is gone is given up; one that only has nothing more to say
// has its answer.
func TestGone(t *testing.T) {
	given := make(chan struct{}, 2)
	free := make(chan struct{})
	b := &fake{wait: func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			given <- struct{}{}
			return ctx.Err()
		case <-free:
			return nil
		}
	}}
	d := open(t, b, Options{})
	for _, send := range []string{"nINSTREAM\n", "nIDSESSION\nnINSTREAM\n"} {
		c, err := net.Dial("unix", d.socket)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, send+stream("X5O!")); err != nil {
			t.Fatal(err)
		}
		if !settle(func() bool { return b.running.Load() == 1 }) {
			t.Fatal("nothing is scanned")
		}
		c.Close()
		select {
		case <-given:
		case <-time.After(time.Minute):
			t.Fatalf("%q: nobody notices", send)
		}
		if !settle(func() bool { return b.running.Load() == 0 }) {
			t.Fatal("it goes on")
		}
	}
	c, err := net.Dial("unix", d.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "nINSTREAM\n"+stream("X5O!")); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * heeding)
	close(free)
	if got, err := io.ReadAll(c); err != nil || string(got) != "stream: Eicar FOUND\n" {
		t.Errorf("%q %v", got, err)
	}
}

// What the kernel makes up while it is read is not scanned, whoever opened it.
func TestProcesses(t *testing.T) {
	b := &fake{}
	d := open(t, b, Options{})
	for send, want := range map[string]string{
		"nFILDES\nx":           "fd[N]: Not a regular file ERROR\n",
		"nSHOWCAUSE-FILDES\nx": `{"name":"fd[N]","verdict":"error","error":"Not a regular file"`,
	} {
		c, err := d.dial(false)
		if err != nil {
			t.Fatal(err)
		}
		talk := clamdtalk.Talk{Steps: []clamdtalk.Step{{Send: send, Files: []string{"/proc/self/status"}}}}
		if r, err := talk.With(c, t.TempDir()); err != nil || !strings.HasPrefix(r.Bytes, want) {
			t.Errorf("%q: %v, %v", send, r, err)
		}
	}
	for send, want := range map[string]string{
		"nSCAN /proc/self/status\n":              "/proc/self/status: Not supported file type ERROR\n",
		"nSHOWCAUSE-SCAN -- /proc/self/status\n": `{"name":"/proc/self/status","verdict":"error","error":"Not a regular file"`,
	} {
		if got := ask(d, send); !strings.HasPrefix(got, want) {
			t.Errorf("%q: %q", send, got)
		}
	}
	if n := b.scans.Load(); n != 0 {
		t.Errorf("%d are scanned", n)
	}
}

// Over TCP it is known who asks, as clamd's log has it.
func TestFrom(t *testing.T) {
	b := &fake{}
	d := open(t, b, Options{})
	for _, tcp := range []bool{true, false} {
		c, err := d.dial(tcp)
		if err != nil {
			t.Fatal(err)
		}
		want := ""
		if a, ok := c.LocalAddr().(*net.TCPAddr); ok {
			want = fmt.Sprintf("127.0.0.1@%d", a.Port)
		}
		if _, err := io.WriteString(c, "nINSTREAM\n"+stream("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(c); err != nil {
			t.Fatal(err)
		}
		c.Close()
		if got := b.last().From; got != want || tcp != (want != "") {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A path that is left out is left out in other spellings too.
func TestExcludeSpelled(t *testing.T) {
	s := Server{o: Options{Exclude: []*regexp.Regexp{regexp.MustCompile("^/srv/skip/"), regexp.MustCompile("^/x//y$")}}}
	for path, want := range map[string]bool{"/srv/skip/a": true, "/srv//skip/a": true, "/srv/./skip/a": true, "/srv/in/../skip/a": true, "/x//y": true, "/x/y": false, "/srv/skipped/a": false} {
		if got := s.excluded(path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}
