package serve

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/serve/queue"
	"github.com/showcause/showcause/serve/records"
)

// Names of the doors that this package has itself.
const (
	controlDoor = "control"
	metricsDoor = "metrics"
)

// Asked is a line that the control socket is asked with, JSON.
type Asked struct {
	Op string `json:"op"` // "status", "reload", "stop", "metrics"
}

// Status is its answer, a line of JSON.
type Status struct {
	Error   string          `json:"error,omitempty"`
	Version string          `json:"version"`
	Pid     int             `json:"pid"`
	Since   time.Time       `json:"since"`
	Now     time.Time       `json:"now"`
	Doors   []DoorStatus    `json:"doors"`
	Rules   RulesStatus     `json:"rules"`
	Queue   queue.Stats     `json:"queue"`
	Jail    []jail.Given    `json:"jail,omitempty"`
	Sealed  bool            `json:"sealed"`
	Readers int             `json:"readers"` // at most
	Metrics string          `json:"metrics,omitempty"`
	Records *records.Status `json:"records,omitempty"` // none: no evidence is kept
}

// RulesStatus says what is scanned with.
type RulesStatus struct {
	Count    int       `json:"count"`
	Version  string    `json:"version,omitempty"`
	Digest   string    `json:"digest,omitempty"`
	Released time.Time `json:"released,omitzero"` // when ClamAV's among them were made
	Loaded   time.Time `json:"loaded"`
	Failed   string    `json:"failed,omitempty"` // why the last reload did not change them
}

// control is the door of status and top. Its socket is its owner's and root's alone.
type control struct {
	d     *Daemon
	ctx   context.Context // until Shutdown
	end   context.CancelFunc
	conns sync.WaitGroup
	open  atomic.Int64 // connections now
	ever  atomic.Int64
}

// Connections is the number of them, and of those that there ever were.
func (c *control) Connections() (open int, ever int64) { return int(c.open.Load()), c.ever.Load() }

func newControl(d *Daemon) *control {
	c := &control{d: d}
	c.ctx, c.end = context.WithCancel(context.Background())
	return c
}

// controlTime is how long a client may be silent, and controlLine what it may say at once.
const (
	controlTime = 30 * time.Second
	controlLine = 1 << 10
)

// Serve implements Door.
func (c *control) Serve(_ context.Context, l net.Listener) error {
	free := make(chan struct{}, 16)
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		free <- struct{}{}
		c.ever.Add(1)
		c.open.Add(1)
		c.conns.Go(func() {
			defer func() { <-free }()
			defer c.open.Add(-1)
			defer conn.Close()
			stop := context.AfterFunc(c.ctx, func() { conn.SetReadDeadline(time.Now()) })
			defer stop()
			c.talk(conn)
		})
	}
}

func (c *control) talk(conn net.Conn) {
	in := bufio.NewScanner(conn)
	in.Buffer(make([]byte, controlLine), controlLine)
	out := json.NewEncoder(conn)
	for {
		conn.SetDeadline(time.Now().Add(controlTime))
		if c.ctx.Err() != nil || !in.Scan() {
			return
		}
		var ask Asked
		s := Status{}
		if err := json.Unmarshal(in.Bytes(), &ask); err != nil {
			s.Error = "not a request"
		} else {
			s = c.d.answer(c.ctx, ask.Op)
		}
		conn.SetDeadline(time.Now().Add(controlTime))
		if out.Encode(s) != nil {
			return
		}
	}
}

// Shutdown implements Door.
func (c *control) Shutdown(context.Context) error {
	c.end()
	c.conns.Wait()
	return nil
}

func (d *Daemon) answer(ctx context.Context, op string) Status {
	failed := ""
	switch op {
	case "status":
	case "metrics":
		s := d.status()
		s.Metrics = d.Metrics()
		return s
	case "reload":
		if err := d.Reload(ctx); err != nil {
			failed = err.Error()
		}
	case "stop":
		d.End()
	default:
		failed = "no such request"
	}
	s := d.status()
	s.Error = failed
	return s
}
