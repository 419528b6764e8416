package serve

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
)

// LogOptions say where the log goes, and how. The zero value is text on standard error.
type LogOptions struct {
	File     string // appended to; opened again on SIGHUP
	Format   string // "text", "json", "journald", "clamd"; default text, or clamd for a file
	Time     bool   // with clamd: each line has the time
	Clean    bool   // what nothing was found in is logged too
	Extended bool   // with clamd: what is found has its SHA-256 and size
	Syslog   bool   // besides
	Facility string // of Syslog, as syslog(3) has it; default LOG_DAEMON
	Verbose  bool
	MaxBytes int64 // of File, above which it is put aside and begun anew; 0 is no limit
}

// Formats of the log.
const (
	FormatText     = "text"
	FormatJSON     = "json"
	FormatJournald = "journald"
	FormatClamd    = "clamd"
)

// Addresses of the logs of a system.
const (
	journalSocket = "/run/systemd/journal/socket"
	syslogSocket  = "/dev/log"
)

// logFile is a file that can be opened again.
type logFile struct {
	path   string
	max    int64
	stderr io.Writer

	mu    sync.Mutex // guards what follows
	f     *os.File
	n     int64
	again int64 // n at which it is tried again to put it aside
}

// openLog opens the file. One that cannot be opened is tried again by reopen; until then all
// goes to stderr.
func openLog(path string, limit int64, stderr io.Writer) *logFile {
	l := &logFile{path: path, max: limit, stderr: stderr}
	_ = l.reopen() // settled says so, once this process is the user that it stays
	return l
}

// settled tries again to open a file that could not be opened.
func (l *logFile) settled() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f != nil {
		return nil
	}
	return l.open()
}

func (l *logFile) reopen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open()
}

// open opens the file of the path; on an error the one that is open stays. l.mu is held.
func (l *logFile) open() error {
	f, err := openAppend(l.path)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	if l.f != nil {
		l.f.Close()
	}
	l.f, l.n, l.again = f, st.Size(), 0
	return nil
}

// openAppend opens a file to append to. A link is followed where none but root, or the user
// that asks, can have put it: root would write wherever the service's user says.
func openAppend(name string) (*os.File, error) {
	const flags = os.O_APPEND | os.O_CREATE | os.O_WRONLY
	f, err := os.OpenFile(name, flags|unix.O_NOFOLLOW, 0o640)
	if !errors.Is(err, unix.ELOOP) {
		return f, err
	}
	dir := filepath.Dir(name)
	st, serr := os.Stat(dir)
	if serr != nil {
		return nil, serr
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if owner := uint32(os.Geteuid()); !ok || sys.Uid != 0 && sys.Uid != owner || st.Mode()&0o022 != 0 {
		return nil, fmt.Errorf("%s is a link, and others may write to %s", name, dir)
	}
	return os.OpenFile(name, flags, 0o640)
}

// Write appends. A file that has grown above the limit is put aside before, as clamd does
// it; where that cannot be, it grows on, since a log that stops says nothing.
func (l *logFile) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return l.stderr.Write(b)
	}
	if l.max > 0 && l.n > l.max && l.n >= l.again {
		if err := l.aside(time.Now()); err != nil {
			l.again = l.n + l.max
			fmt.Fprintf(l.stderr, "log: it is not put aside, and grows on: %v\n", err)
		}
	}
	n, err := l.f.Write(b)
	l.n += int64(n)
	return n, err
}

// aside renames the file to clamd's NAME-20261121_234501.log and begins a new one. l.mu is held.
func (l *logFile) aside(now time.Time) error {
	base := strings.TrimSuffix(l.path, ".log") + now.Format("-20060102_150405")
	name := base + ".log"
	for i := 1; i < 100; i++ { // several in a second
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			break
		}
		name = fmt.Sprintf("%s-%d.log", base, i)
	}
	if err := os.Rename(l.path, name); err != nil {
		return err
	}
	return l.open()
}

// newLog returns the log, and what opens its file again.
func newLog(o LogOptions, stderr io.Writer) (*slog.Logger, *logFile, error) {
	level := slog.LevelInfo
	if o.Verbose {
		level = slog.LevelDebug
	}
	out, format := stderr, o.Format
	var file *logFile
	if o.File != "" {
		file = openLog(o.File, o.MaxBytes, stderr)
		out = file
		if format == "" {
			format = FormatClamd
		}
	}
	var h slog.Handler
	switch format {
	case "", FormatText:
		h = slog.NewTextHandler(out, &slog.HandlerOptions{Level: level})
	case FormatJSON:
		h = slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level})
	case FormatJournald:
		h = &lines{level: level, write: func(r *record) { _ = datagram(journalSocket, r.journal()) }}
		if file != nil { // clamd.conf names it: those who read it go on doing so
			h = both{h, clamdLines(file, level, &o)}
		}
	case FormatClamd:
		h = clamdLines(out, level, &o)
	default:
		return nil, nil, fmt.Errorf("log format %q is not one of text, json, journald, clamd", format)
	}
	if o.Syslog {
		facility, err := facilityOf(o.Facility)
		if err != nil {
			return nil, nil, err
		}
		h = both{h, &lines{level: level, write: func(r *record) {
			for _, line := range r.said(&o) {
				_ = datagram(syslogSocket, r.syslog(facility, line))
			}
		}}}
	}
	return slog.New(h), file, nil
}

// clamdLines is a handler for clamd's form.
func clamdLines(out io.Writer, level slog.Level, o *LogOptions) slog.Handler {
	var mu sync.Mutex
	return &lines{level: level, write: func(r *record) {
		b := r.clamd(o)
		mu.Lock()
		defer mu.Unlock()
		_, _ = out.Write(b) // there is nobody to tell
	}}
}

// both hands records to two handlers.
type both struct{ a, b slog.Handler }

func (h both) Enabled(ctx context.Context, l slog.Level) bool {
	return h.a.Enabled(ctx, l) || h.b.Enabled(ctx, l)
}

func (h both) Handle(ctx context.Context, r slog.Record) error {
	_ = h.b.Handle(ctx, r.Clone())
	return h.a.Handle(ctx, r)
}

func (h both) WithAttrs(a []slog.Attr) slog.Handler { return both{h.a.WithAttrs(a), h.b.WithAttrs(a)} }

func (h both) WithGroup(n string) slog.Handler { return both{h.a.WithGroup(n), h.b.WithGroup(n)} }

// lines is a handler for logs that are not slog's own.
type lines struct {
	level slog.Level
	attrs []slog.Attr
	write func(*record)
}

// record is a line with its fields, in order.
type record struct {
	time  time.Time
	level slog.Level
	text  string
	attrs []slog.Attr
}

func (h *lines) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *lines) Handle(_ context.Context, r slog.Record) error {
	out := record{time: r.Time, level: r.Level, text: r.Message, attrs: h.attrs[:len(h.attrs):len(h.attrs)]}
	r.Attrs(func(a slog.Attr) bool {
		out.attrs = append(out.attrs, a)
		return true
	})
	h.write(&out)
	return nil
}

func (h *lines) WithAttrs(a []slog.Attr) slog.Handler {
	return &lines{h.level, append(h.attrs[:len(h.attrs):len(h.attrs)], a...), h.write}
}

func (h *lines) WithGroup(string) slog.Handler { return h }

// clamd is a line as clamd writes it, so that what reads clamd's log reads this one.
func (r *record) clamd(o *LogOptions) []byte {
	var b []byte
	for _, line := range r.said(o) {
		if o.Time {
			b = append(r.time.AppendFormat(b, time.ANSIC), " -> "...)
		}
		switch {
		case r.level >= slog.LevelError:
			b = append(b, "ERROR: "...)
		case r.level >= slog.LevelWarn:
			b = append(b, "WARNING: "...)
		}
		b = append(append(b, line...), '\n')
	}
	return b
}

// said are the lines of a record in clamd's form. What clamd has of a file is a line that
// ends as clamd's does, since logwatch, fail2ban and many a grep look at the end of
// lines; what there is to say besides is one of its own behind it.
func (r *record) said(o *LogOptions) []string {
	verdict, more := r.verdict(o.Extended)
	switch {
	case verdict == "":
		return []string{r.line()}
	case !more && !o.Verbose:
		return []string{verdict}
	}
	about := *r
	about.text = "about " + strings.TrimSuffix(r.text, " FOUND")
	return []string{verdict, about.line()}
}

// verdict is what clamd's log has of a file: "/path: Name FOUND", and of a stream
// "instream(local): Name FOUND", over TCP "instream(192.0.2.1@4711): Name FOUND"; extended, "Name(SHA-256:size) FOUND". It is "" for other
// lines. more tells whether there is something to say for which clamd has no place.
func (r *record) verdict(extended bool) (verdict string, more bool) {
	fields := map[string]string{}
	for _, a := range r.attrs {
		fields[a.Key] = a.Value.String()
		switch a.Key {
		case "door", "client", "from", "size", "sha256":
		default:
			more = true
		}
	}
	name, found := strings.CutSuffix(r.text, " FOUND")
	answered := found || !more && (strings.HasSuffix(r.text, " OK") || strings.HasSuffix(r.text, " ERROR"))
	if fields["door"] == "" || !answered {
		return "", more // an OK with a reason why it is one stays beside that
	}
	if rest, ok := strings.CutPrefix(name, "stream: "); ok {
		client := fields["client"]
		switch {
		case fields["from"] != "":
			client = fields["from"]
		case client == "unix" || strings.HasPrefix(client, "uid="):
			client = "local"
		}
		name = "instream(" + client + "): " + rest
	}
	if name = showcause.Escape(name); !found {
		return name, more
	}
	if extended && fields["sha256"] != "" {
		name += "(" + fields["sha256"] + ":" + fields["size"] + ")"
	}
	return name + " FOUND", more
}

// line is the text, and the fields behind it.
func (r *record) line() string {
	var b strings.Builder
	b.WriteString(showcause.Escape(r.text))
	for _, a := range r.attrs {
		fmt.Fprintf(&b, " %s=%s", a.Key, quoted(a.Value.String()))
	}
	return b.String()
}

func quoted(s string) string {
	if s == "" || strings.ContainsAny(s, " \"=") {
		return fmt.Sprintf("%q", s)
	}
	return showcause.Escape(s)
}

// priority is that of syslog(3).
func (r *record) priority() int {
	switch {
	case r.level >= slog.LevelError:
		return 3
	case r.level >= slog.LevelWarn:
		return 4
	case r.level >= slog.LevelInfo:
		return 6
	}
	return 7
}

// facilities are those of syslog(3), in the order of their numbers; "" has no name there.
var facilities = [...]string{
	"LOG_KERN", "LOG_USER", "LOG_MAIL", "LOG_DAEMON", "LOG_AUTH", "LOG_SYSLOG", "LOG_LPR", "LOG_NEWS", "LOG_UUCP", "LOG_CRON", "LOG_AUTHPRIV", "LOG_FTP",
	"", "", "", "", "LOG_LOCAL0", "LOG_LOCAL1", "LOG_LOCAL2", "LOG_LOCAL3", "LOG_LOCAL4", "LOG_LOCAL5", "LOG_LOCAL6", "LOG_LOCAL7",
}

func facilityOf(name string) (int, error) {
	if name == "" {
		name = "LOG_DAEMON"
	}
	i := slices.Index(facilities[:], name)
	if i < 0 {
		return 0, fmt.Errorf("log: facility %q is not one of syslog(3)", name)
	}
	return i, nil
}

// syslog is a datagram of RFC 3164.
func (r *record) syslog(facility int, line string) []byte {
	return fmt.Appendf(nil, "<%d>%s showcause[%d]: %s", facility<<3|r.priority(), r.time.Format(time.Stamp), os.Getpid(), line)
}

// journal is a datagram of systemd's native protocol: NAME=value, or NAME, the
// length and the value where it has several lines.
func (r *record) journal() []byte {
	var b bytes.Buffer
	field := func(name, value string) {
		if !strings.Contains(value, "\n") {
			fmt.Fprintf(&b, "%s=%s\n", name, value)
			return
		}
		b.WriteString(name + "\n")
		b.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(value))))
		b.WriteString(value + "\n")
	}
	field("MESSAGE", r.line())
	field("PRIORITY", fmt.Sprint(r.priority()))
	field("SYSLOG_IDENTIFIER", "showcause")
	for _, a := range r.attrs {
		field("SHOWCAUSE_"+strings.ToUpper(strings.Map(func(c rune) rune {
			if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
				return c
			}
			return '_'
		}, a.Key)), a.Value.String())
	}
	return b.Bytes()
}
