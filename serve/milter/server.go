package milter

import (
	"bufio"
	"context"
	"log/slog"
	"net/netip"
	"os"
	"regexp"
	"time"

	"github.com/showcause/showcause/serve/accept"
)

// Action is what becomes of a mail.
type Action uint8

// The actions, by the words that clamav-milter.conf has for them.
const (
	Unset Action = iota
	Accept
	Reject     // 550: its sender hears
	Defer      // 451: its sender comes again
	Blackhole  // taken and thrown away
	Quarantine // held by the server, for whoever runs it
)

// Headers says what is done with header fields about the scan.
type Headers uint8

// The ways. Fields that were there before are anybody's word.
const (
	ReplaceHeaders Headers = iota // those that are there are taken out
	AddHeaders
	NoHeaders
)

// Options are how the door behaves. The zero value of a field means its default.
type Options struct {
	OnClean      Action // default Accept
	OnInfected   Action // default Reject
	OnFail       Action // where there is no verdict: busy, no space; default Defer
	OnIncomplete Action // where nothing was found, and not all was read, and the policy says error; default what OnFail is
	RejectMsg    string // to the sender; %v is the name of what was found
	Header       Headers
	Hostname     string // for the header; default this host's
	Version      string // of this program
	MaxLength    int64  // bytes of a mail; what is longer was not read whole; default no bound but the queue's

	Local             []netip.Prefix // clients whose mail is not scanned
	Allow             []Allowed
	SkipAuthenticated *regexp.Regexp // of users whose mail is not scanned

	Progress    time.Duration  // how often a server that waits hears that it goes on; default 20 s
	Connections accept.Options // their bounds; Door, Log and Handle are set here
	Log         *slog.Logger
}

// Allowed is mail that is not scanned: from a sender, or where all recipients are such.
type Allowed struct {
	To      bool
	Address *regexp.Regexp
}

// Server answers mail servers.
type Server struct {
	*accept.Server
	o Options
	b accept.Scanner
}

// New returns a Server.
func New(b accept.Scanner, o Options) *Server {
	def := func(a *Action, to Action) {
		if *a == Unset {
			*a = to
		}
	}
	def(&o.OnClean, Accept)
	def(&o.OnInfected, Reject)
	def(&o.OnFail, Defer)
	def(&o.OnIncomplete, o.OnFail)
	if o.RejectMsg == "" {
		o.RejectMsg = "Refused: %v"
	}
	if o.Hostname == "" {
		o.Hostname, _ = os.Hostname()
	}
	if o.Progress <= 0 {
		o.Progress = 20 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{o: o, b: b}
	c := o.Connections
	c.Door, c.Log, c.Handle = "milter", o.Log, s.handle
	if c.Idle <= 0 {
		c.Idle = 2 * time.Hour // a connection lasts as long as that of the server's client does
	}
	if c.Read <= 0 {
		c.Read = 10 * time.Minute // while that client types its mail
	}
	if c.Whole <= 0 {
		c.Whole = time.Hour
	}
	s.Server = accept.New(c)
	return s
}

func (s *Server) handle(ctx context.Context, c *accept.Conn) {
	t := &session{s: s, c: c, packets: packets{r: bufio.NewReaderSize(c, 16<<10), w: bufio.NewWriterSize(c, 4<<10)}}
	defer t.forget()
	for {
		if t.mail == nil {
			if c.Idle(); c.Last() {
				return
			}
		} else {
			c.Begin()
		}
		cmd, data, err := t.next()
		if err == nil {
			err = t.on(ctx, cmd, data)
		}
		if err == nil {
			err = t.w.Flush()
		}
		if err != nil {
			if !isEnd(err) {
				s.o.Log.Debug("conversation ended", "door", "milter", "client", c.Client, "error", err)
			}
			return
		}
	}
}
