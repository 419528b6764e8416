package extract

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/explain"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/worker/once"
)

// Host is what the command needs of the program that it is a part of.
type Host struct {
	// Open opens a regular file, and waits for none, whatever it is.
	Open func(ctx context.Context, path string) (*os.File, error)
	// Spool copies a stream, of max bytes at most if that is not 0, to a file without a name.
	Spool func(ctx context.Context, r io.Reader, max int64) (*os.File, error)
	// Scratch opens a temporary file that is gone when it is closed.
	Scratch func() (*os.File, error)
	// Source is the content of an open regular file, until ctx is done.
	Source func(ctx context.Context, f *os.File) (showcause.Source, error)
	// Size and Time are the values of flags: bytes, and milliseconds.
	Size, Time func(*int64) pflag.Value
	// Passwords adds the flags about what is tried on encrypted archives. What it returns
	// gives the passwords, and tells whether the usual ones are tried too.
	Passwords func(*pflag.FlagSet) func() (list [][]byte, usual bool, err error)
	// Exit is the error that ends the program with a code and without a message.
	Exit func(code int) error
}

// Role is the first argument of the process that derives the layers.
const Role = "unpacker"

// exitUnread is the exit code after an error, and where something was not read.
const exitUnread = 2

// leastMemory is what a process that reads needs to do anything, bytes.
const leastMemory = 64 << 20

// options are the flags of unpack.
type options struct {
	Host
	out               string
	tree, json, names bool
	explain           bool
	quiet             bool
	jail              string
	limits            showcause.Limits
	passwords         [][]byte
	noUsual           bool
	memory, time      int64
}

// Command is the command "unpack".
func (h Host) Command() *cobra.Command {
	o := options{Host: h}
	c := &cobra.Command{
		Use:   "unpack [flags] FILE...",
		Short: "Show or take out everything that is inside files; - is standard input",
		Long: `Show or take out everything that is inside files: archives in archives, parts of mails,
partitions of disk images and the files on them. - is standard input.

Each layer is a line: size, type, SHA-256, and its name, set in by its depth. What
was not read stands where it was met, with the reason.

With -o, every layer is also written below a folder, which must be new or empty.
What is in a file stands beside it in a folder with its name and ".unpacked".
Names are made safe and numbered where they are equal: nothing is written outside of the
folder, nothing is replaced, and there are no links.

With --explain, what a person asks of a document: the source of macros and scripts, what it
opens or runs, links, what it takes from elsewhere, embedded files, and what is odd.

Exit code: 0 everything was read; 2 an error, or something was not read.`,
		Example: `  showcause unpack invoice.zip
  showcause unpack --explain invoice.docm
  showcause unpack disk.qcow2 -o out
  showcause unpack --json image.tar | jq -r 'select(.kind == "layer") | .sha256'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("unpack: name at least one file, or - for standard input")
			}
			return nil
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVarP(&o.out, "output", "o", "", "write the layers below this folder, which is made, or is empty; of several files, each below a folder with its name in it")
	f.BoolVar(&o.tree, "tree", false, "print the tree of layers (the default)")
	f.BoolVar(&o.json, "json", false, "print a JSON object a line: each layer, each gap, and each file at its end")
	f.BoolVar(&o.names, "names", false, "print only the names of what is inside, a line each")
	f.BoolVar(&o.explain, "explain", false, "print what a person asks of a document: macros, scripts, actions, links, embedded files, oddities; with --json, a line for each as well")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print only errors, and which files were not read whole")
	f.Var(h.Size(&o.limits.FileSize), "max-filesize", "bytes of one layer that are read (default 4G inside, no bound outside)")
	f.Var(h.Size(&o.limits.ScanSize), "max-scansize", "bytes that are unpacked from one file, and so written (default 4G)")
	f.Var(h.Size(&o.limits.Objects), "max-files", "layers inside one file (default 100000)")
	f.IntVar(&o.limits.Depth, "max-recursion", 0, "archives in archives (default 32)")
	f.Var(h.Size(&o.limits.Ratio), "max-ratio", "unpacked bytes for each byte of the file, past 256M (default 250)")
	f.Var(h.Size(&o.limits.Work), "max-work", "steps of parsing for one file (default 4000000000)")
	f.Var(h.Size(&o.memory), "max-memory", "bytes of memory of the process that reads a file, at least 64M (default 1G)")
	f.Var(h.Time(&o.time), "max-scantime", "milliseconds for one file, on the clock (default 10 minutes and a second for each MiB)")
	passwords := h.Passwords(f)
	c.RunE = func(c *cobra.Command, args []string) error {
		list, usual, err := passwords()
		if err != nil {
			return err
		}
		o.passwords, o.noUsual = list, !usual
		return o.run(c, args)
	}
	f.StringVar(&o.jail, "jail", "on", "on: files are read by processes that the kernel has locked in; off: by this process")
	return c
}

// maxDepth is the most that --max-recursion may ask for: each step is a part of a stack.
const maxDepth = 1000

// check refuses flags that say nothing that can be done, and returns the form of output.
func (o *options) check() (form string, err error) {
	form = "tree"
	n := 0
	for word, on := range map[string]bool{"tree": o.tree, "json": o.json, "names": o.names} {
		if on {
			form, n = word, n+1
		}
	}
	if o.explain && n == 0 {
		form = "explain"
	}
	switch {
	case n > 1:
		return "", errors.New("flags --tree, --json, --names: one of them")
	case o.explain && (o.tree || o.names):
		return "", errors.New("flag --explain: alone, or with --json")
	case o.jail != "on" && o.jail != answer.JailOff:
		return "", fmt.Errorf("flag --jail: %q is not one of on, off", o.jail)
	case o.memory != 0 && o.memory < leastMemory:
		return "", fmt.Errorf("flag --max-memory: want at least 64M, have %d bytes", o.memory)
	case o.limits.Depth < 0 || o.limits.Depth > maxDepth:
		return "", fmt.Errorf("flag --max-recursion: want 1 to %d, have %d", maxDepth, o.limits.Depth)
	}
	return form, nil
}

func (o *options) run(c *cobra.Command, args []string) error {
	form, err := o.check()
	if err != nil {
		return err
	}
	if o.jail == answer.JailOff {
		fmt.Fprintln(c.ErrOrStderr(), "showcause: without the jail: this process reads the files itself")
	} else {
		if err := jail.Available(); err != nil {
			return fmt.Errorf("jail: the kernel cannot lock the process that reads files: %w; --jail=off reads without", err)
		}
		if err := jail.Broker(); err != nil {
			return fmt.Errorf("jail: %w", err)
		}
	}
	out := bufio.NewWriterSize(c.OutOrStdout(), 64<<10)
	p, err := NewPrinter(form, out, o.quiet)
	if err != nil {
		return err
	}
	whole := true
	names := map[string]int{}
	for _, arg := range args {
		if c.Context().Err() != nil {
			break
		}
		u := &unpacking{options: o, printer: p}
		u.result.Path, u.result.NoJail = arg, o.jail == answer.JailOff
		if o.out != "" {
			u.result.Folder = o.folder(arg, len(args) > 1, names)
		}
		u.result.Err = u.file(c.Context(), c.InOrStdin(), arg)
		if u.died != nil {
			fmt.Fprintf(c.ErrOrStderr(), "showcause: %s: %v\n", showcause.Step{Name: arg}, u.died)
		}
		whole = whole && u.result.Verdict() == showcause.NothingFound
		if u.lost != nil {
			return fmt.Errorf("output: %w", u.lost)
		}
		err := p.Input(&u.result)
		if err == nil {
			err = out.Flush()
		}
		if err != nil {
			return fmt.Errorf("output: %w", err)
		}
		if form == "names" && u.result.Err != nil { // its lines are names, and nothing else
			fmt.Fprintf(c.ErrOrStderr(), "showcause: %s: %s\n", showcause.Step{Name: arg}, showcause.Escape(u.result.Err.Error()))
		}
	}
	if c.Context().Err() != nil {
		fmt.Fprintln(c.ErrOrStderr(), "showcause: interrupted: the rest was not read")
		return o.Exit(exitUnread)
	}
	if !whole {
		return o.Exit(exitUnread)
	}
	return nil
}

// folder is where the layers of an input go: of several, each has its own.
func (o *options) folder(arg string, several bool, taken map[string]int) string {
	if !several {
		return o.out
	}
	name := cleanName(inputName(arg))
	key := strings.ToLower(name)
	if taken[key]++; taken[key] > 1 {
		name = fmt.Sprintf("%s~%d", name, taken[key])
	}
	return path.Join(o.out, name)
}

func inputName(arg string) string {
	if arg == "-" {
		return "stdin"
	}
	return path.Base(arg)
}

// unpacking is one input on its way: the Sink.
type unpacking struct {
	*options
	printer Printer
	folder  *Folder // nil if nothing is to be written
	result  Result
	lost    error // why nothing can be printed
	died    error // how the process ended that read it
}

// file unpacks one file.
func (u *unpacking) file(ctx context.Context, stdin io.Reader, arg string) (err error) {
	f, err := u.open(ctx, stdin, arg)
	if err != nil {
		return err
	}
	defer f.Close()
	src, err := u.Source(ctx, f)
	if err != nil {
		return err
	}
	if u.result.Folder != "" {
		if u.folder, err = NewFolder(nil, u.result.Folder, inputName(arg)); err != nil {
			return err
		}
		defer func() {
			u.result.Files, u.result.Bytes = u.folder.Files, u.folder.Bytes
			if cerr := u.folder.Close(); err == nil {
				err = cerr
			}
		}()
	}
	r := NewReceiver(u.limits, src.Size(), u.wanted(), u)
	if u.jail == answer.JailOff {
		err = u.here(ctx, src, r)
	} else {
		err = u.away(ctx, f, src, r)
	}
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted")
	case errors.Is(err, once.ErrDied):
		u.died = err
		err = u.Gap(showcause.Gap{Code: showcause.Crash, Offset: 0, Length: -1})
	case errors.Is(err, context.DeadlineExceeded):
		err = u.Gap(showcause.Gap{Code: showcause.LimitTime, Offset: 0, Length: -1})
	case err == nil:
		var ok bool
		if u.result.Report.Spent, ok = r.Spent(); !ok {
			return errors.New("reader: it ended before all was said")
		}
	}
	if g, ok := unpack.NamedVolume(arg, u.result.Report.Type, u.result.Report.Size); ok && err == nil {
		err = u.Gap(g)
	}
	if c, ok := src.(interface{ Changed() bool }); ok && err == nil && c.Changed() {
		err = u.Gap(showcause.Gap{Code: showcause.Changed, Offset: 0, Length: -1})
	}
	return err
}

// wanted is what the process that derives the layers is to send.
func (u *unpacking) wanted() Wanted { return Wanted{Content: u.folder != nil, Facts: u.explain} }

// open opens a file without waiting, whatever it is.
func (u *unpacking) open(ctx context.Context, stdin io.Reader, arg string) (*os.File, error) {
	if arg == "-" {
		u.result.Path = "stdin"
		return u.Spool(ctx, stdin, u.limits.FileSize)
	}
	f, err := u.Open(ctx, arg)
	return f, bare(err)
}

// bare is an error without the path, which is printed already.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// here unpacks in this process. It does not wait for a reading that a signal ends and that is
// in the midst of something for which nothing is read.
func (u *unpacking) here(ctx context.Context, src showcause.Source, r *Receiver) error {
	reading, cancel := context.WithCancel(ctx)
	spill := func() (unpack.File, error) {
		f, err := u.Scratch()
		return ended{f, reading}, err
	}
	var part sync.Mutex // held while what was read is taken in: not once here has returned
	done := make(chan error, 1)
	go func() {
		defer cancel()
		done <- Send(ending{src, reading}, scan.Options{Limits: u.limits, Passwords: u.passwords, NoUsual: u.noUsual, Spill: spill}, u.wanted(), func(b []byte) error {
			part.Lock()
			defer part.Unlock()
			if err := reading.Err(); err != nil {
				return err
			}
			err := r.Part(b)
			if err != nil {
				cancel() // nothing that is read from here on is of use
			}
			return err
		})
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		part.Lock()
		defer part.Unlock()
		return ctx.Err()
	}
}

// ended is a file that reads and writes no more once a context is done.
type ended struct {
	*os.File
	ctx context.Context
}

func (e ended) ReadAt(p []byte, off int64) (int, error) {
	if err := e.ctx.Err(); err != nil {
		return 0, err
	}
	return e.File.ReadAt(p, off)
}

func (e ended) WriteAt(p []byte, off int64) (int, error) {
	if err := e.ctx.Err(); err != nil {
		return 0, err
	}
	return e.File.WriteAt(p, off)
}

// ending is a Source that ends with a context.
type ending struct {
	showcause.Source
	ctx context.Context
}

func (e ending) ReadAt(p []byte, off int64) (int, error) {
	if err := e.ctx.Err(); err != nil {
		return 0, err
	}
	return e.Source.ReadAt(p, off)
}

// request is what the process that derives the layers is asked.
type request struct {
	Limits    showcause.Limits `json:"limits"`
	Wanted    Wanted           `json:"wanted"`
	Passwords [][]byte         `json:"passwords"`
	NoUsual   bool             `json:"no_usual"`
}

// away has the file unpacked by a process in the jail.
func (u *unpacking) away(ctx context.Context, f *os.File, src showcause.Source, r *Receiver) error {
	if st, err := f.Stat(); err == nil && st.Size() != src.Size() { // it has no size of its own: the process gets what was read
		t, err := u.Spool(ctx, bound.Reader(src, 0, -1), 0)
		if err != nil {
			return err
		}
		defer t.Close()
		f = t
	}
	asked, err := json.Marshal(request{u.limits, u.wanted(), u.passwords, u.noUsual})
	if err != nil {
		return fmt.Errorf("reader: request: %w", err)
	}
	timeout := 10*time.Minute + time.Duration(src.Size()>>20)*time.Second
	if u.time > 0 {
		timeout = time.Duration(u.time) * time.Millisecond
	}
	_, _, err = once.Run(ctx, asked, f, once.Options{
		Args: []string{"showcause", Role}, Scratch: u.Scratch, Memory: u.memory, Timeout: timeout, Part: r.Part,
	})
	return err
}

// Read is the process that derives the layers. It returns the exit code.
func Read() int {
	_ = jail.Hide()
	err := once.Read(func(j once.Job) []byte {
		var q request
		if json.Unmarshal(j.Request, &q) == nil {
			o := scan.Options{Limits: q.Limits, Passwords: q.Passwords, NoUsual: q.NoUsual, Spill: j.Spill}
			_ = Send(j.Source, o, q.Wanted, j.Send)
		}
		return nil
	}, once.Reading{})
	if err != nil {
		fmt.Fprintf(os.Stderr, "showcause unpacker: %v\n", err)
		return exitUnread
	}
	return 0
}

// Begin implements Sink.
func (u *unpacking) Begin(l *Layer) error {
	if u.folder == nil {
		return nil
	}
	return u.folder.Begin(l)
}

// Data implements Sink.
func (u *unpacking) Data(b []byte) error { return u.folder.Data(b) }

// End implements Sink.
func (u *unpacking) End(l *Layer) error {
	file := ""
	if u.folder != nil {
		if err := u.folder.End(l); err != nil {
			return err
		}
		file = u.folder.Path()
	}
	if len(l.Trail) > 0 {
		u.result.Layers++
	} else {
		u.result.Report.Type, u.result.Report.Size = l.Type, l.Size
	}
	return u.print(u.printer.Layer(u.result.Path, l, file))
}

// Fact implements Sink.
func (u *unpacking) Fact(f explain.Fact) error {
	return u.print(u.printer.Fact(u.result.Path, f))
}

// Gap implements Sink.
func (u *unpacking) Gap(g showcause.Gap) error {
	if u.result.Codes == nil {
		u.result.Codes = map[showcause.Code]int64{}
	}
	u.result.Codes[g.Code]++
	return u.print(u.printer.Gap(u.result.Path, g))
}

func (u *unpacking) print(err error) error {
	if err != nil {
		u.lost = err
	}
	return err
}
