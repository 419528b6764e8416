package main

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
	"time"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/internal/extract"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/worker/once"
)

// unpackRole is the first argument of the process that derives the layers.
const unpackRole = "unpacker"

// unpackOptions are the flags of unpack.
type unpackOptions struct {
	out               string
	tree, json, names bool
	quiet             bool
	jail              string
	limits            struct{ fileSize, scanSize, ratio, objects, work, memory byteSize }
	depth             int
	time              milliseconds
}

func unpackCommand() *cobra.Command {
	var o unpackOptions
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

Exit code: 0 everything was read; 2 an error, or something was not read.`,
		Example: `  showcause unpack invoice.zip
  showcause unpack disk.qcow2 -o out
  showcause unpack --json image.tar | jq -r 'select(.kind == "layer") | .sha256'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("unpack: name at least one file, or - for standard input")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args) },
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVarP(&o.out, "output", "o", "", "write the layers below this folder, which is made, or is empty; of several files, each below a folder with its name in it")
	f.BoolVar(&o.tree, "tree", false, "print the tree of layers (the default)")
	f.BoolVar(&o.json, "json", false, "print a JSON object a line: each layer, each gap, and each file at its end")
	f.BoolVar(&o.names, "names", false, "print only the names of what is inside, a line each")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print only errors, and which files were not read whole")
	f.Var(&o.limits.fileSize, "max-filesize", "bytes of one layer that are read (default 4G inside, no bound outside)")
	f.Var(&o.limits.scanSize, "max-scansize", "bytes that are unpacked from one file, and so written (default 4G)")
	f.Var(&o.limits.objects, "max-files", "layers inside one file (default 100000)")
	f.IntVar(&o.depth, "max-recursion", 0, "archives in archives (default 32)")
	f.Var(&o.limits.ratio, "max-ratio", "unpacked bytes for each byte of the file, past 256M (default 250)")
	f.Var(&o.limits.work, "max-work", "steps of parsing for one file (default 4000000000)")
	f.Var(&o.limits.memory, "max-memory", "bytes of memory of the process that reads a file, at least 64M (default 1G)")
	f.Var(&o.time, "max-scantime", "milliseconds for one file, on the clock (default 10 minutes and a second for each MiB)")
	f.StringVar(&o.jail, "jail", "on", "on: files are read by processes that the kernel has locked in; off: by this process")
	return c
}

func (o *unpackOptions) policy() showcause.Limits {
	return showcause.Limits{
		FileSize: int64(o.limits.fileSize), ScanSize: int64(o.limits.scanSize), Objects: int64(o.limits.objects),
		Depth: o.depth, Ratio: int64(o.limits.ratio), Work: int64(o.limits.work),
	}
}

// maxUnpackDepth is the most that --max-recursion may ask for: each step is a part of a stack.
const maxUnpackDepth = 1000

// check refuses flags that say nothing that can be done, and returns the form of output.
func (o *unpackOptions) check() (form string, err error) {
	form = "tree"
	n := 0
	for word, on := range map[string]bool{"tree": o.tree, "json": o.json, "names": o.names} {
		if on {
			form, n = word, n+1
		}
	}
	switch {
	case n > 1:
		return "", errors.New("flags --tree, --json, --names: one of them")
	case o.jail != "on" && o.jail != answer.JailOff:
		return "", fmt.Errorf("flag --jail: %q is not one of on, off", o.jail)
	case o.limits.memory != 0 && o.limits.memory < leastMemory:
		return "", fmt.Errorf("flag --max-memory: want at least 64M, have %d bytes", o.limits.memory)
	case o.depth < 0 || o.depth > maxUnpackDepth:
		return "", fmt.Errorf("flag --max-recursion: want 1 to %d, have %d", maxUnpackDepth, o.depth)
	}
	return form, nil
}

func (o *unpackOptions) run(c *cobra.Command, args []string) error {
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
	p, err := extract.NewPrinter(form, out, o.quiet)
	if err != nil {
		return err
	}
	whole := true
	names := map[string]int{}
	for _, arg := range args {
		if c.Context().Err() != nil {
			break
		}
		u := &unpacking{unpackOptions: o, printer: p}
		u.result.Path, u.result.NoJail = arg, o.jail == answer.JailOff
		if o.out != "" {
			u.result.Folder = o.folder(arg, len(args) > 1, names)
		}
		u.result.Err = u.file(c.Context(), c.InOrStdin(), arg)
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
		return exitCode(exitError)
	}
	if !whole {
		return exitCode(exitError)
	}
	return nil
}

// folder is where the layers of an input go: of several, each has its own.
func (o *unpackOptions) folder(arg string, several bool, names map[string]int) string {
	if !several {
		return o.out
	}
	name := extract.SafeName(inputName(arg))
	key := strings.ToLower(name)
	if names[key]++; names[key] > 1 {
		name = fmt.Sprintf("%s~%d", name, names[key])
	}
	return path.Join(o.out, name)
}

func inputName(arg string) string {
	if arg == "-" {
		return "stdin"
	}
	return path.Base(arg)
}

// unpacking is one input on its way: the extract.Sink.
type unpacking struct {
	*unpackOptions
	printer extract.Printer
	folder  *extract.Folder // nil if nothing is to be written
	result  extract.Result
	lost    error // why nothing can be printed
}

// file unpacks one file.
func (u *unpacking) file(ctx context.Context, stdin io.Reader, arg string) (err error) {
	f, err := u.open(ctx, stdin, arg)
	if err != nil {
		return err
	}
	defer f.Close()
	src, err := newSource(ctx, f)
	if err != nil {
		return err
	}
	if u.result.Folder != "" {
		if u.folder, err = extract.NewFolder(nil, u.result.Folder, inputName(arg)); err != nil {
			return err
		}
		defer func() {
			u.result.Files, u.result.Bytes = u.folder.Files, u.folder.Bytes
			if cerr := u.folder.Close(); err == nil {
				err = cerr
			}
		}()
	}
	r := extract.NewReceiver(u.policy(), src.Size(), u.folder != nil, u)
	if u.jail == answer.JailOff {
		err = u.here(ctx, src, r)
	} else {
		err = u.away(ctx, f, src, r)
	}
	switch {
	case ctx.Err() != nil:
		return errInterrupted
	case errors.Is(err, once.ErrDied):
		err = u.Gap(showcause.Gap{Code: showcause.Crash, Offset: 0, Length: -1})
	case errors.Is(err, context.DeadlineExceeded):
		err = u.Gap(showcause.Gap{Code: showcause.LimitTime, Offset: 0, Length: -1})
	case err == nil:
		var ok bool
		if u.result.Report.Spent, ok = r.Spent(); !ok {
			return errors.New("reader: it ended before all was said")
		}
	}
	if c, ok := src.(interface{ Changed() bool }); ok && err == nil && c.Changed() {
		err = u.Gap(showcause.Gap{Code: showcause.Changed, Offset: 0, Length: -1})
	}
	return err
}

// open opens a file without waiting, whatever it is.
func (u *unpacking) open(ctx context.Context, stdin io.Reader, arg string) (*os.File, error) {
	if arg == "-" {
		u.result.Path = "stdin"
		return spoolInput(ctx, stdin, int64(u.limits.fileSize))
	}
	st, err := os.Stat(arg)
	if err == nil && st.IsDir() {
		err = errors.New("a folder, not a file")
	}
	if err != nil {
		return nil, bare(err)
	}
	var got item
	w := walker{visit: func(i item) bool { got = i; return true }}
	w.named(ctx, arg)
	if got.err == nil && got.file == nil {
		got.err = errors.New("not a regular file")
	}
	return got.file, bare(got.err)
}

// bare is an error without the path, which is printed already.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// here unpacks in this process.
func (u *unpacking) here(ctx context.Context, src showcause.Source, r *extract.Receiver) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	spill := func() (unpack.File, error) {
		f, err := scratch()
		return stoppable{f, ctx}, err
	}
	src = ending{src, ctx}
	return extract.Send(src, scan.Options{Limits: u.policy(), Spill: spill}, u.folder != nil, func(b []byte) error {
		err := r.Part(b)
		if err != nil {
			cancel() // nothing that is read from here on is of use
		}
		return err
	})
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

// unpackRequest is what the process that derives the layers is asked.
type unpackRequest struct {
	Limits  showcause.Limits `json:"limits"`
	Content bool             `json:"content"`
}

// away has the file unpacked by a process in the jail.
func (u *unpacking) away(ctx context.Context, f *os.File, src showcause.Source, r *extract.Receiver) error {
	if g, ok := src.(growing); ok { // a file that has no size of its own: the process gets what was read
		t, err := spoolInput(ctx, strings.NewReader(string(g)), 0)
		if err != nil {
			return err
		}
		defer t.Close()
		f = t
	}
	request, err := json.Marshal(unpackRequest{u.policy(), u.folder != nil})
	if err != nil {
		return fmt.Errorf("reader: request: %w", err)
	}
	timeout := 10*time.Minute + time.Duration(src.Size()>>20)*time.Second
	if u.time > 0 {
		timeout = time.Duration(u.time) * time.Millisecond
	}
	_, _, err = once.Run(ctx, request, f, once.Options{
		Args: []string{"showcause", unpackRole}, Scratch: scratch, Memory: int64(u.limits.memory), Timeout: timeout, Part: r.Part,
	})
	return err
}

// unpackMain is the process that derives the layers.
func unpackMain() int {
	_ = jail.Hide()
	err := once.Read(func(j once.Job) []byte {
		var q unpackRequest
		if json.Unmarshal(j.Request, &q) == nil {
			_ = extract.Send(j.Source, scan.Options{Limits: q.Limits, Spill: j.Spill}, q.Content, j.Send)
		}
		return nil
	}, once.Reading{})
	if err != nil {
		fmt.Fprintf(os.Stderr, "showcause unpacker: %v\n", err)
		return exitError
	}
	return 0
}

// Begin implements extract.Sink.
func (u *unpacking) Begin(l *extract.Layer) error {
	if u.folder == nil {
		return nil
	}
	return u.folder.Begin(l)
}

// Data implements extract.Sink.
func (u *unpacking) Data(b []byte) error { return u.folder.Data(b) }

// End implements extract.Sink.
func (u *unpacking) End(l *extract.Layer) error {
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

// Gap implements extract.Sink.
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
