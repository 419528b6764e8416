package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Kind is what a line records.
type Kind string

// The closed list.
const (
	KindStart Kind = "start"
	KindSend  Kind = "send"
	KindQuery Kind = "query"
	KindClose Kind = "close"
	KindTorn  Kind = "torn"
)

// Format names the form of the lines, in the start entry.
const Format = "showcause-ledger/1"

// Sizes in bytes.
const (
	// MaxPlain is the longest plaintext that is kept whole.
	MaxPlain = 4096
	maxLine  = 16 << 10
	// maxTorn bounds what one torn entry stands for.
	maxTorn = 64 << 10
)

// timeForm is the one spelling of a time.
const timeForm = "2006-01-02T15:04:05.000000Z"

// zeroHash is prev in the first line.
var zeroHash = strings.Repeat("0", 2*sha256.Size)

// Entry is one line. Exactly the field that Kind names is set.
type Entry struct {
	Seq  uint64
	Prev string // SHA-256, hexadecimal
	Time time.Time
	Kind Kind

	Start *Start
	Send  *Send
	Query *Query
	Close *Close
	Torn  *Torn

	Sum string // SHA-256, hexadecimal
}

// Start opens a log.
type Start struct {
	Format string `json:"format"`
}

// Send is one TCP connection and all that is sent over it, TLS aside.
type Send struct {
	Purpose  Purpose `json:"purpose"`
	Method   string  `json:"method"`    // GET or HEAD
	Scheme   string  `json:"scheme"`    // http or https
	Host     string  `json:"host"`      // as in the URL, lower case
	Port     uint16  `json:"port"`      // of the host
	Proxy    string  `json:"proxy"`     // host:port of the proxy between, or empty
	Address  string  `json:"address"`   // ip:port that is connected to, the proxy's if there is one
	SNI      string  `json:"sni"`       // the name that TLS sends in the clear, or empty
	After    uint64  `json:"after"`     // the send whose answer redirected to this one, 0: none
	BytesOut int64   `json:"bytes_out"` // length of the plaintext
	SHA256   string  `json:"sha256"`    // of the plaintext
	Tunnel   int64   `json:"tunnel"`    // the first bytes of the plaintext that only the proxy reads
	Plain    string  `json:"plain"`     // the plaintext if it has MaxPlain bytes or less, else empty
}

// Query is one question to a name server.
type Query struct {
	Purpose  Purpose `json:"purpose"`
	Host     string  `json:"host"`      // the name asked for
	Network  string  `json:"network"`   // udp or tcp
	Address  string  `json:"address"`   // ip:port of the name server
	BytesOut int64   `json:"bytes_out"` // length of the packet
	SHA256   string  `json:"sha256"`    // of the packet
	Packet   []byte  `json:"packet"`    // as sent; base64
}

// Close says what came of a Send or Query. The kernel's counts are -1 where it
// gives none: no TCP, another system, no connection.
type Close struct {
	Of       uint64 `json:"of"`       // its seq
	Status   int    `json:"status"`   // of HTTP, 0: no answer; of a query the RCODE
	Sent     int64  `json:"sent"`     // bytes of plaintext handed over, bytes_out at most
	BytesIn  int64  `json:"bytes_in"` // bytes of plaintext that came back
	WireOut  int64  `json:"wire_out"` // payload bytes of the connection, counted by us at the socket: TLS included
	WireIn   int64  `json:"wire_in"`
	TCPOut   int64  `json:"tcp_out"`  // the kernel's count of payload bytes sent, repetitions left out (TCP_INFO)
	TCPIn    int64  `json:"tcp_in"`   // the kernel's count of payload bytes received
	Unread   int64  `json:"unread"`   // of these, bytes that we did not read
	Repeated int64  `json:"repeated"` // the kernel's count of payload bytes sent again
	Segments int64  `json:"segments"` // the kernel's count of segments sent
	Error    string `json:"error"`    // empty: none
}

// Torn keeps what a writer that died left after the last whole line.
type Torn struct {
	At     int64  `json:"at"` // offset in the file
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// head is what all lines begin with.
type head struct {
	Seq  uint64 `json:"seq"`
	Prev string `json:"prev"`
	Time string `json:"time"`
	Kind Kind   `json:"kind"`
}

// body returns the kind's fields, nil if there are none.
func (e *Entry) body() any {
	switch {
	case e.Kind == KindStart && e.Start != nil:
		return e.Start
	case e.Kind == KindSend && e.Send != nil:
		return e.Send
	case e.Kind == KindQuery && e.Query != nil:
		return e.Query
	case e.Kind == KindClose && e.Close != nil:
		return e.Close
	case e.Kind == KindTorn && e.Torn != nil:
		return e.Torn
	}
	return nil
}

// set puts an empty body of the kind in.
func (e *Entry) set() bool {
	switch e.Kind {
	case KindStart:
		e.Start = new(Start)
	case KindSend:
		e.Send = new(Send)
	case KindQuery:
		e.Query = new(Query)
	case KindClose:
		e.Close = new(Close)
	case KindTorn:
		e.Torn = new(Torn)
	default:
		return false
	}
	return true
}

// encode returns the line without its line end, and sets Sum.
func (e *Entry) encode() ([]byte, error) {
	body := e.body()
	if body == nil {
		return nil, fmt.Errorf("ledger entry: kind %q without its fields", e.Kind)
	}
	line, err := object(head{e.Seq, e.Prev, e.Time.UTC().Format(timeForm), e.Kind})
	if err != nil {
		return nil, err
	}
	rest, err := object(body)
	if err != nil {
		return nil, err
	}
	line = append(line[:len(line)-1], ',')
	line = append(line, rest[1:len(rest)-1]...)
	e.Sum = digest(line)
	line = append(line, `,"sum":"`+e.Sum+`"}`...)
	if len(line) >= maxLine {
		return nil, fmt.Errorf("ledger entry: %d bytes, less than %d are allowed", len(line), maxLine)
	}
	return line, nil
}

// object is JSON without the escapes that are meant for web pages.
func object(v any) ([]byte, error) {
	var b bytes.Buffer
	w := json.NewEncoder(&b)
	w.SetEscapeHTML(false)
	if err := w.Encode(v); err != nil {
		return nil, fmt.Errorf("ledger entry: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// digest is SHA-256 as it stands in a line.
func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// parse reads a line, its line end cut off. Only what encode writes is a line.
func parse(line []byte) (*Entry, error) {
	if len(line) >= maxLine {
		return nil, fmt.Errorf("longer than %d bytes", maxLine)
	}
	var h head
	if err := json.Unmarshal(line, &h); err != nil {
		return nil, fmt.Errorf("not a JSON object of the ledger")
	}
	e := &Entry{Seq: h.Seq, Prev: h.Prev, Kind: h.Kind}
	if !e.set() {
		return nil, fmt.Errorf("unknown kind")
	}
	t, err := time.Parse(timeForm, h.Time)
	if err != nil {
		return nil, fmt.Errorf("time is not of the form %s", timeForm)
	}
	e.Time = t
	if err := json.Unmarshal(line, e.body()); err != nil {
		return nil, fmt.Errorf("a field of kind %s has the wrong type", e.Kind)
	}
	again, err := e.encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, line) {
		at := len(again) - len(`"sum":"`) - 2*sha256.Size - len(`"}`)
		if at <= len(line) && bytes.Equal(again[:at], line[:at]) {
			return nil, fmt.Errorf("sum does not match the line")
		}
		return nil, fmt.Errorf("not in the ledger's one spelling")
	}
	if err := e.sense(); err != nil {
		return nil, err
	}
	return e, nil
}

// sense checks what can be checked within one line.
func (e *Entry) sense() error {
	if !isDigest(e.Prev) {
		return fmt.Errorf("prev is not a digest")
	}
	switch e.Kind {
	case KindStart:
		if e.Start.Format != Format {
			return fmt.Errorf("format is not %s", Format)
		}
	case KindSend:
		return e.Send.sense()
	case KindQuery:
		return e.Query.sense()
	case KindClose:
		return e.Close.sense()
	case KindTorn:
		t := e.Torn
		if t.At < 0 || t.Bytes < 0 || t.Bytes > maxTorn || !isDigest(t.SHA256) {
			return fmt.Errorf("torn: a number is out of range")
		}
	}
	return nil
}

func (s *Send) sense() error {
	switch {
	case !s.Purpose.Known():
		return fmt.Errorf("unknown purpose")
	case s.Method != "GET" && s.Method != "HEAD", s.Scheme != "http" && s.Scheme != "https":
		return fmt.Errorf("unknown method or scheme")
	case s.BytesOut < 1 || s.Tunnel < 0 || s.Tunnel > s.BytesOut || !isDigest(s.SHA256):
		return fmt.Errorf("a number of the plaintext is out of range")
	case s.BytesOut <= MaxPlain && int64(len(s.Plain)) != s.BytesOut, s.BytesOut > MaxPlain && s.Plain != "":
		return fmt.Errorf("bytes_out is not the length of the plaintext")
	case s.Plain != "" && digest([]byte(s.Plain)) != s.SHA256:
		return fmt.Errorf("digest of the plaintext does not match")
	}
	return address(s.Address)
}

func (q *Query) sense() error {
	switch {
	case !q.Purpose.Known():
		return fmt.Errorf("unknown purpose")
	case q.Network != "udp" && q.Network != "tcp":
		return fmt.Errorf("unknown network")
	case q.BytesOut != int64(len(q.Packet)) || q.BytesOut < 1 || q.BytesOut > MaxPlain:
		return fmt.Errorf("bytes_out is not the length of the packet")
	case digest(q.Packet) != q.SHA256:
		return fmt.Errorf("digest of the packet does not match")
	}
	return address(q.Address)
}

func (c *Close) sense() error {
	for _, n := range []int64{c.Sent, c.BytesIn, c.WireOut, c.WireIn} {
		if n < 0 {
			return fmt.Errorf("a count is negative")
		}
	}
	for _, n := range []int64{c.TCPOut, c.TCPIn, c.Unread, c.Repeated, c.Segments} {
		if n < -1 {
			return fmt.Errorf("a count of the kernel is out of range")
		}
	}
	if c.Status < 0 || c.Status > 999 {
		return fmt.Errorf("status is out of range")
	}
	return nil
}

func address(s string) error {
	a, err := netip.ParseAddrPort(s)
	if err != nil || a.String() != s {
		return fmt.Errorf("address is not ip:port")
	}
	return nil
}

func isDigest(s string) bool {
	if len(s) != 2*sha256.Size {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// plainText makes any text fit for a line: printable ASCII, n bytes at most.
func plainText(s string, n int) string {
	b := make([]byte, 0, min(len(s), n))
	for _, c := range []byte(s) {
		if len(b) == n {
			break
		}
		if c < ' ' || c > '~' {
			c = '?'
		}
		b = append(b, c)
	}
	return string(b)
}

// MarshalJSON implements json.Marshaler: the line as it stands in the file.
func (e *Entry) MarshalJSON() ([]byte, error) { return e.encode() }
