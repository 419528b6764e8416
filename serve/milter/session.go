package milter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/serve/accept"
	"github.com/showcause/showcause/serve/queue"
)

// session is a connection of a mail server: one client's, mail after mail.
type session struct {
	packets
	s       *Server
	c       *accept.Conn
	agreed  *options
	address netip.Addr // of the server's client
	auth    string     // who it proved to be
	id      string     // the server's name for the mail
	mail    *mail      // nil where none is begun
}

// mail is one that comes in.
type mail struct {
	from    string
	to      []string // the first few
	others  bool     // a recipient is none of those whose mail is not scanned
	skip    bool     // it is not scanned
	stream  accept.Stream
	failed  error // why it is not all in stream
	long    bool  // longer than the limit
	scanned int   // fields X-Virus-Scanned that it has
	status  int   // X-Virus-Status
}

// Bounds of what is kept of a mail besides its Spool.
const (
	maxNames = 20  // recipients, for the log
	maxName  = 320 // bytes of an address
)

var errQuit = errors.New("quit")

func isEnd(err error) bool { return errors.Is(err, errQuit) || errors.Is(err, io.EOF) }

// forget gives back what a mail holds.
func (t *session) forget() {
	if t.mail != nil && t.mail.stream != nil {
		t.mail.stream.Close()
	}
	t.mail, t.id = nil, ""
}

// on answers a packet.
func (t *session) on(ctx context.Context, cmd byte, data []byte) error {
	if t.agreed == nil && cmd != cmdOptions && cmd != cmdQuit {
		return fmt.Errorf("command %q before options", cmd)
	}
	switch cmd {
	case cmdOptions:
		return t.options(data)
	case cmdMacro:
		return t.macros(data)
	case cmdConnect:
		return t.connect(data)
	case cmdMail:
		return t.from(data)
	case cmdRcpt:
		return t.rcpt(data)
	case cmdHelo, cmdData, cmdUnknown:
		t.say(sayContinue)
	case cmdHeader:
		return t.header(ctx, data)
	case cmdEOH:
		t.begin(ctx)
		t.write([]byte("\r\n"))
		t.answer(noReplyEOH)
	case cmdBody:
		t.begin(ctx)
		t.write(data)
		t.answer(noReplyBody)
	case cmdEnd:
		t.begin(ctx)
		t.write(data)
		return t.end(ctx)
	case cmdAbort:
		t.forget()
	case cmdNewConn:
		t.forget()
		t.address, t.auth = netip.Addr{}, ""
	case cmdQuit:
		return errQuit
	default:
		return fmt.Errorf("unknown command %q", cmd)
	}
	return nil
}

// answer goes on, unless it was agreed that nothing is said.
func (t *session) answer(silent uint32) {
	if t.agreed.steps&silent == 0 {
		t.say(sayContinue)
	}
}

// options agrees on what both sides can.
func (t *session) options(data []byte) error {
	theirs, err := parseOptions(data)
	if err != nil {
		return err
	}
	if theirs.version < 2 || t.agreed != nil {
		return fmt.Errorf("options of version %d, or a second time", theirs.version)
	}
	ours := options{version: min(theirs.version, 6), actions: theirs.actions & (canAddHeader | canChgHeader | canQuarantine)}
	ours.steps = theirs.steps & (noUnknown | noData | noReplyHdr | noReplyEOH | noReplyBody | leadSpace)
	if ours.version < 6 {
		ours.steps &= oldSteps
	}
	t.agreed = &ours
	t.say(cmdOptions, ours.String())
	return nil
}

// macros keeps those that count: who the client proved to be, and the mail's name.
func (t *session) macros(data []byte) error {
	if len(data) == 0 {
		return errors.New("macros for no command")
	}
	list, err := words(data[1:])
	if err != nil {
		return err
	}
	for i := 0; i+1 < len(list); i += 2 {
		switch list[i] {
		case "{auth_authen}":
			t.auth = list[i+1][:min(len(list[i+1]), maxName)]
		case "i":
			t.id = accept.Word(list[i+1], "")
		}
	}
	return nil
}

func (t *session) connect(data []byte) error {
	_, text, err := parseConnect(data)
	if err != nil {
		return err
	}
	t.address, _ = netip.ParseAddr(text)
	t.address = t.address.Unmap().WithZone("")
	for _, p := range t.s.o.Local {
		if p.Contains(t.address) || text == "" && p.Addr().IsLoopback() {
			t.say(sayAccept)
			return nil
		}
	}
	t.say(sayContinue)
	return nil
}

// address is the first word of a packet, without the angles.
func address(data []byte) (string, error) {
	list, err := words(data)
	if err != nil {
		return "", err
	}
	if len(list) == 0 {
		return "", errors.New("no address")
	}
	return strings.TrimSuffix(strings.TrimPrefix(list[0], "<"), ">"), nil
}

func (t *session) from(data []byte) error {
	a, err := address(data)
	if err != nil {
		return err
	}
	id := t.id
	t.forget()
	t.id, t.mail = id, &mail{from: a[:min(len(a), maxName)]}
	skip := t.auth != "" && t.s.o.SkipAuthenticated != nil && t.s.o.SkipAuthenticated.MatchString(t.auth)
	for _, x := range t.s.o.Allow {
		skip = skip || !x.To && x.Address.MatchString(a)
	}
	if skip {
		t.forget()
		t.say(sayAccept)
		return nil
	}
	t.say(sayContinue)
	return nil
}

func (t *session) rcpt(data []byte) error {
	a, err := address(data)
	if err != nil {
		return err
	}
	if t.mail == nil {
		t.mail = &mail{}
	}
	m := t.mail
	if len(m.to) < maxNames {
		m.to = append(m.to, a[:min(len(a), maxName)])
	}
	allowed := false
	for _, x := range t.s.o.Allow {
		allowed = allowed || x.To && x.Address.MatchString(a)
	}
	m.others = m.others || !allowed
	t.say(sayContinue)
	return nil
}

// received stands before each mail: always the same, so that the same mail has the same
// digest.
const received = "Received: by showcause (milter)\r\n"

// begin makes room for a mail.
func (t *session) begin(ctx context.Context) {
	if t.mail == nil {
		t.mail = &mail{others: true}
	}
	m := t.mail
	if m.stream != nil || m.failed != nil || m.skip {
		return
	}
	if m.skip = len(m.to) > 0 && !m.others; m.skip {
		return
	}
	if m.stream, m.failed = t.s.b.Receive(ctx, t.client(), 0); m.failed == nil {
		t.write([]byte(received))
	}
}

// client names who asks: the server, and its client, so that clients take turns.
func (t *session) client() string {
	if !t.address.IsValid() {
		return t.c.Client
	}
	return t.c.Client + " for " + accept.Host(net.IP(t.address.AsSlice()))
}

// write adds to the mail. An error is told at its end, where the server listens.
func (t *session) write(p []byte) {
	m := t.mail
	if m.stream == nil || m.failed != nil || m.long || len(p) == 0 {
		return
	}
	if most := t.s.o.MaxLength; most > 0 && m.stream.Size()-int64(len(received))+int64(len(p)) > most {
		m.long = true
		return
	}
	_, m.failed = m.stream.Write(p)
}

// header adds a field. A server that does not send the space behind the colon took one away.
func (t *session) header(ctx context.Context, data []byte) error {
	name, rest, ok := bytes.Cut(data, []byte{0})
	if !ok || len(rest) == 0 || rest[len(rest)-1] != 0 {
		return errors.New("header field without its end")
	}
	value := rest[:len(rest)-1]
	t.begin(ctx)
	switch {
	case strings.EqualFold(string(name), fieldScanned):
		t.mail.scanned++
	case strings.EqualFold(string(name), fieldStatus):
		t.mail.status++
	}
	line := make([]byte, 0, len(data)+8)
	line = append(append(line, name...), ':')
	if t.agreed.steps&leadSpace == 0 {
		line = append(line, ' ')
	}
	for i, c := range value { // folded lines come with the ends of a local file
		if c == '\n' && (i == 0 || value[i-1] != '\r') {
			line = append(line, '\r')
		}
		line = append(line, c)
	}
	t.write(append(line, '\r', '\n'))
	t.answer(noReplyHdr)
	return nil
}

// end has a mail scanned, and answers.
func (t *session) end(ctx context.Context) error {
	defer t.forget()
	t.c.Busy()
	m := t.mail
	if m.skip {
		t.say(sayAccept)
		return nil
	}
	var said queue.Said
	err := m.failed
	if err == nil {
		said, err = t.scan(ctx)
	}
	return t.decide(said, err)
}

// scan has a mail scanned; the server hears now and then that it goes on.
func (t *session) scan(ctx context.Context) (queue.Said, error) {
	r := accept.Request{Client: t.client(), Name: "mail", Stream: t.mail.stream}
	if t.id != "" {
		r.Name = "mail " + t.id
	}
	if t.mail.long {
		r.Gaps = []showcause.Gap{{Code: showcause.LimitSize, Offset: r.Stream.Size(), Length: 1}}
	}
	type outcome struct {
		said queue.Said
		err  error
	}
	done := make(chan outcome, 1)
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		said, err := t.s.b.Scan(ctx, r)
		done <- outcome{said, err}
	}()
	tick := time.NewTicker(t.s.o.Progress)
	defer tick.Stop()
	defer cancel()
	gone := false
	for {
		select {
		case o := <-done:
			return o.said, o.err
		case <-tick.C:
			if gone {
				continue
			}
			if t.say(sayProgress); t.w.Flush() != nil {
				gone = true // nobody waits; the Spool is the scan's until it returns
				cancel()
			}
		}
	}
}
