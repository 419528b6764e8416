package ledger

import (
	"fmt"
	"time"
)

// The bounds of what a connection costs beside its payload. docs/ledger.md
// gives the reasons.
const (
	packetHead  = 100  // bytes: IPv6 (40) and TCP with all options (60)
	linkHead    = 18   // bytes: Ethernet with a VLAN tag
	leastMSS    = 536  // bytes: the least payload of a full segment (RFC 9293)
	extraOut    = 20   // packets: SYN and FIN with their repetitions, acknowledgements
	lateOut     = 8    // packets after the kernel said its counts: FIN with its repetitions, last acknowledgements
	tlsOverhead = 6144 // bytes: two ClientHellos, key exchange, Finished, close_notify
	mostRepeats = 16   // times that a byte is sent again (tcp_retries2 is 15)
	slackIn     = 64 << 10
	slackLink   = 4096 // bytes: address resolution and router solicitation of an interface
)

// Unbounded is a limit that there is not.
const Unbounded = -1

// Tally adds up what a ledger says was sent, and the least and most that a
// counter of IP bytes beside it can say. Pass Add to Read, then call Done.
type Tally struct {
	From  uint64    // entries before this one are left out
	Since time.Time // and those before this time, if it is set

	Sends, Queries int
	Open           int   // without a close: what they took is not known
	Plain          int64 // bytes of plaintext handed over
	WireOut        int64 // payload bytes of connections
	WireIn         int64
	Repeated       int64 // payload bytes sent again
	Packets        int64 // at most, out
	LeastOut       int64
	MostOut        int64
	LeastIn        int64
	MostIn         int64    // Unbounded: an answer was cut short, or its end is not known
	Problems       []string // entries whose numbers do not fit each other

	opened map[uint64]*Entry
}

// Add takes an entry.
func (t *Tally) Add(e *Entry) error {
	if t.opened == nil {
		t.opened = map[uint64]*Entry{}
	}
	switch e.Kind {
	case KindSend, KindQuery:
		if e.Seq < t.From || e.Time.Before(t.Since) {
			return nil
		}
		t.opened[e.Seq] = e
		if e.Kind == KindSend {
			t.Sends++
		} else {
			t.Queries++
		}
	case KindClose:
		if open := t.opened[e.Close.Of]; open != nil {
			delete(t.opened, e.Close.Of)
			t.close(open, e.Close)
		}
	}
	return nil
}

// close adds a connection.
func (t *Tally) close(open *Entry, c *Close) {
	problem := func(format string, a ...any) {
		t.Problems = append(t.Problems, fmt.Sprintf("seq %d: ", open.Seq)+fmt.Sprintf(format, a...))
	}
	if !c.agrees() {
		problem("the kernel counted %d bytes out and %d in (%d unread), we %d and %d", c.TCPOut, c.TCPIn, c.Unread, c.WireOut, c.WireIn)
	}
	extra, plain := int64(0), int64(0)
	if s := open.Send; s != nil {
		plain = s.BytesOut
		if s.Scheme == "https" {
			extra = tlsOverhead + c.Sent/64 // a record of TLS adds less to 16 KiB
		}
	} else {
		plain = open.Query.BytesOut
	}
	if c.Sent > plain || c.Sent < plain && c.Error == "" {
		problem("%d bytes of plaintext handed over, %d written down", c.Sent, plain)
	}
	if c.WireOut < c.Sent && c.Error == "" || c.WireOut > c.Sent+extra {
		problem("%d bytes went out for %d of plaintext, at most %d more are explained", c.WireOut, c.Sent, extra)
	}
	repeated := max(c.Repeated, 0)
	if repeated > mostRepeats*c.WireOut {
		problem("%d bytes were sent again, of %d", repeated, c.WireOut)
	}
	t.Plain += c.Sent
	t.WireOut += c.WireOut
	t.WireIn += c.WireIn
	t.Repeated += repeated
	in := c.WireIn + max(c.Unread, 0)

	packets := segments(c.WireOut) + segments(repeated) + segments(in) + extraOut
	if c.Segments >= 0 {
		packets = min(packets, c.Segments+lateOut)
	}
	t.Packets += packets
	switch {
	case c.TCPOut >= 0:
		t.LeastOut += min(c.WireOut, c.TCPOut)
	case open.Query != nil:
		t.LeastOut += c.WireOut
	}
	t.MostOut += c.WireOut + repeated + packets*packetHead
	t.LeastIn += c.WireIn
	if c.Error != "" && c.WireOut > 0 {
		t.MostIn = Unbounded
	}
	if t.MostIn != Unbounded {
		t.MostIn += in + (segments(in)+packets)*packetHead + slackIn
	}
}

// segments is the most segments that n bytes take.
func segments(n int64) int64 { return (n + leastMSS - 1) / leastMSS }

// Done ends the tally: what is open is counted with the most that it can be.
func (t *Tally) Done() {
	t.Open = len(t.opened)
	for _, e := range t.opened {
		plain := int64(tlsOverhead)
		if e.Send != nil {
			plain += e.Send.BytesOut
		} else {
			plain += e.Query.BytesOut
		}
		t.Packets += segments(plain) + extraOut
		t.MostOut += plain + (segments(plain)+extraOut)*packetHead
		t.MostIn = Unbounded
	}
	t.opened = nil
}

// Compare holds the kernel's counters against the ledger's bounds and says
// what does not fit. A counter below 0 is not known. link tells that the
// counters are an interface's, so that they hold link-layer headers.
func (t *Tally) Compare(out, in int64, link bool) (wrong []string) {
	mostOut, mostIn := t.MostOut, t.MostIn
	if link {
		mostOut += t.Packets*linkHead + slackLink
		if mostIn != Unbounded {
			mostIn += (segments(t.WireIn)+t.Packets)*linkHead + slackLink
		}
	}
	check := func(what string, n, least, most int64) {
		switch {
		case n < 0:
		case most != Unbounded && n > most:
			wrong = append(wrong, fmt.Sprintf("%s: the kernel counted %d bytes, the ledger explains %d at most: %d in excess", what, n, most, n-most))
		case n < least:
			wrong = append(wrong, fmt.Sprintf("%s: the kernel counted %d bytes, the ledger says %d at least: these are not the counters of what wrote it", what, n, least))
		}
	}
	check("out", out, t.LeastOut, mostOut)
	check("in", in, t.LeastIn, mostIn)
	return wrong
}

// agrees compares our count of a connection that ended in order with the
// kernel's. The sign that ends a stream counts one in the kernel's.
func (c *Close) agrees() bool {
	if c.TCPOut >= 0 && (c.TCPOut > c.WireOut || c.TCPOut < c.WireOut && c.Error == "") {
		return false
	}
	if c.TCPIn >= 0 {
		n := c.TCPIn - c.Unread - c.WireIn
		return n == 0 || n == 1 || c.Error != ""
	}
	return true
}
