package milter

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/showcause/showcause/serve/accept"
	"github.com/showcause/showcause/serve/accept/accepttest"
	"github.com/showcause/showcause/serve/queue"
)

// pack is a packet.
func pack(cmd byte, data string) string {
	var b [5]byte
	binary.BigEndian.PutUint32(b[:], uint32(1+len(data)))
	b[4] = cmd
	return string(b[:]) + data
}

// hello are options: what a server can.
func hello(version, actions, steps uint32) string {
	return pack('O', options{version, actions, steps}.String())
}

const postfix = 0x1fffff // the steps that Postfix can leave out

// mailOf is a mail as a server of version 6 sends it, with nothing to be said before its end.
func mailOf(fields [][2]string, body string) string {
	var s strings.Builder
	s.WriteString(pack('D', "Mi\x00Q1\x00") + pack('M', "<a@example.org>\x00SIZE=1\x00") + pack('R', "<b@example.org>\x00") + pack('T', ""))
	for _, f := range fields {
		s.WriteString(pack('L', f[0]+"\x00"+f[1]+"\x00"))
	}
	s.WriteString(pack('N', ""))
	for len(body) > 0 {
		n := min(len(body), 65535)
		s.WriteString(pack('B', body[:n]))
		body = body[n:]
	}
	return s.String() + pack('E', "")
}

const client = "host.example.org\x004\x00\x19192.0.2.1\x00"

// talked sends all of it, and returns the packets that come back, shown as text.
func talked(t *testing.T, address, text string) []string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	go func() {
		_, _ = io.WriteString(c, text)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	return heard(t, c)
}

func heard(t testing.TB, r io.Reader) (out []string) {
	p := packets{r: bufio.NewReader(r)}
	for {
		cmd, data, err := p.next()
		if err != nil {
			return out
		}
		if cmd == 'O' {
			o, err := parseOptions(data)
			if err != nil {
				t.Error(err)
			}
			out = append(out, fmt.Sprintf("O %d %x %x", o.version, o.actions, o.steps))
			continue
		}
		out = append(out, strings.TrimSuffix(string(cmd)+" "+strings.ReplaceAll(string(data), "\x00", "|"), " "))
	}
}

// hidden is marker in base64.
var hidden = base64.StdEncoding.EncodeToString([]byte(marker))

var subject = [][2]string{{"Subject", " x"}}

func TestTalks(t *testing.T) {
	agree := "O 6 31 1c0380"
	opt := hello(6, 0x1ff, postfix)
	status := func(s string) []string {
		return []string{"h X-Virus-Scanned| showcause 1 at mx|", "h X-Virus-Status| " + s + "|", "a"}
	}
	for name, c := range map[string]struct {
		send string
		o    Options
		want []string
	}{
		"clean":              {opt + pack('C', client) + pack('H', "x\x00") + mailOf(subject, "hello\r\n") + pack('Q', ""), Options{}, append([]string{agree, "c", "c", "c", "c", "c"}, status("Clean")...)},
		"found":              {opt + mailOf(subject, "x"+marker), Options{RejectMsg: "100% bad: %v"}, []string{agree, "c", "c", "c", "y 550 5.7.1 100_ bad: Test.Marker|"}},
		"found: defer":       {opt + mailOf(subject, marker), Options{OnInfected: Defer}, []string{agree, "c", "c", "c", "y 451 4.7.1 Refused: Test.Marker|"}},
		"found: discard":     {opt + mailOf(subject, marker), Options{OnInfected: Blackhole}, []string{agree, "c", "c", "c", "d"}},
		"found: accept":      {opt + mailOf(subject, marker), Options{OnInfected: Accept}, append([]string{agree, "c", "c", "c"}, status("Infected (Test.Marker)")...)},
		"found: quarantine":  {opt + mailOf(subject, marker), Options{OnInfected: Quarantine}, []string{agree, "c", "c", "c", "h X-Virus-Scanned| showcause 1 at mx|", "h X-Virus-Status| Infected (Test.Marker)|", "q Refused: Test.Marker|", "a"}},
		"no quarantine":      {hello(6, 0x11, postfix) + mailOf(subject, marker), Options{OnInfected: Quarantine}, []string{"O 6 11 1c0380", "c", "c", "c", "y 451 4.7.1 Refused: Test.Marker|"}},
		"incomplete":         {opt + mailOf([][2]string{{"fail", ""}}, ""), Options{}, []string{agree, "c", "c", "c", "y 451 4.7.1 Not read whole: encrypted|"}},
		"incomplete: accept": {opt + mailOf([][2]string{{"fail", ""}}, ""), Options{OnIncomplete: Accept}, append([]string{agree, "c", "c", "c"}, status("Not scanned (Not read whole: encrypted)")...)},
		"too long":           {opt + mailOf(subject, strings.Repeat("x", 200)), Options{MaxLength: 100}, []string{agree, "c", "c", "c", "y 451 4.7.1 Not read whole: limit.size|"}},
		"busy":               {opt + mailOf([][2]string{{"busy", ""}}, ""), Options{}, []string{agree, "c", "c", "c", "y 451 4.7.1 Not scanned, try again later: too many requests wait|"}},
		"odd":                {opt + mailOf([][2]string{{"odd", ""}}, ""), Options{OnFail: Reject}, []string{agree, "c", "c", "c", "y 550 5.7.1 Not scanned, try again later|"}},
		"no space":           {opt + mailOf([][2]string{{"full", ""}}, "more"), Options{}, []string{agree, "c", "c", "c", "y 451 4.7.1 Not scanned, try again later: no space for what is received|"}},
		"two mails":          {opt + pack('C', client) + mailOf(subject, marker) + mailOf(subject, "x") + pack('A', "") + mailOf(subject, marker), Options{Header: NoHeaders}, []string{agree, "c", "c", "c", "c", "y 550 5.7.1 Refused: Test.Marker|", "c", "c", "c", "a", "c", "c", "c", "y 550 5.7.1 Refused: Test.Marker|"}},
		"aborted":            {opt + pack('M', "<>\x00") + pack('L', "a\x00b\x00") + pack('B', marker) + pack('A', "") + mailOf(nil, "x"), Options{Header: NoHeaders}, []string{agree, "c", "c", "c", "c", "a"}},
		"replaced":           {opt + mailOf([][2]string{{"x-virus-status", " Clean"}, {"X-Virus-Status", " Clean"}, {"X-Virus-Scanned", " me"}}, "x"), Options{}, append([]string{agree, "c", "c", "c", "m |||\x01X-Virus-Scanned||", "m |||\x02X-Virus-Status||", "m |||\x01X-Virus-Status||"}, status("Clean")...)},
		"added":              {opt + mailOf([][2]string{{"x-virus-status", " Clean"}}, "x"), Options{Header: AddHeaders}, append([]string{agree, "c", "c", "c"}, status("Clean")...)},
		"no header":          {hello(6, 0, postfix) + mailOf(subject, "x"), Options{}, []string{"O 6 0 1c0380", "c", "c", "c", "a"}},
		"version 2":          {hello(2, 0x3f, 0x7f) + pack('C', client) + mailOf(subject, "x"), Options{}, []string{"O 2 31 0", "c", "c", "c", "c", "c", "c", "c", "h X-Virus-Scanned|showcause 1 at mx|", "h X-Virus-Status|Clean|", "a"}},
		"version 9":          {hello(9, 0, 0), Options{}, []string{"O 6 0 0"}},
		"version 1":          {hello(1, 0, 0), Options{}, nil},
		"options twice":      {opt + opt + mailOf(subject, "x"), Options{}, []string{agree}},
		"no options":         {mailOf(subject, "x"), Options{}, nil},
		"last piece at end":  {opt + pack('M', "<>\x00") + pack('E', marker), Options{}, []string{agree, "c", "y 550 5.7.1 Refused: Test.Marker|"}},
		"unknown":            {opt + pack('z', ""), Options{}, []string{agree}},
		"new connection":     {opt + pack('C', client) + pack('K', "") + pack('C', client) + mailOf(nil, "x"), Options{Header: NoHeaders}, []string{agree, "c", "c", "c", "c", "c", "a"}},
		"local":              {opt + pack('C', client), Options{Local: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, []string{agree, "a"}},
		"not local":          {opt + pack('C', client), Options{Local: []netip.Prefix{netip.MustParsePrefix("192.0.3.0/24")}}, []string{agree, "c"}},
		"from":               {opt + pack('M', "<a@example.org>\x00"), Options{Allow: []Allowed{{false, regexp.MustCompile("^a@")}}}, []string{agree, "a"}},
		"to all":             {opt + mailOf(subject, marker), Options{Allow: []Allowed{{true, regexp.MustCompile("^b@")}}}, []string{agree, "c", "c", "c", "a"}},
		"to some":            {opt + pack('M', "<>\x00") + pack('R', "<c@x>\x00") + mailOf(subject, marker)[len(pack('D', "Mi\x00Q1\x00")+pack('M', "<a@example.org>\x00SIZE=1\x00")):], Options{Allow: []Allowed{{true, regexp.MustCompile("^b@")}}}, []string{agree, "c", "c", "c", "c", "y 550 5.7.1 Refused: Test.Marker|"}},
		"authenticated":      {opt + pack('D', "M{auth_authen}\x00joe\x00") + pack('M', "<>\x00"), Options{SkipAuthenticated: regexp.MustCompile("^joe$")}, []string{agree, "a"}},
		"macros odd":         {opt + pack('D', "Mi") + mailOf(subject, "x"), Options{}, []string{agree}},
		"length zero":        {opt + "\x00\x00\x00\x00\x00", Options{}, []string{agree}},
		"length lies":        {opt + "\xff\xff\xff\xffB", Options{}, []string{agree}},
		"truncated":          {opt + pack('M', "<>\x00") + "\x00\x01\x00\x00Babc", Options{}, []string{agree, "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := fake()
			c.o.Version, c.o.Hostname = "1", "mx"
			s := New(b, c.o)
			if got := talked(t, accepttest.Serve(t, s), c.send); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
			_ = s.Shutdown(context.Background())
			if n := b.Open.Load(); n != 0 {
				t.Errorf("%d streams are open", n)
			}
		})
	}
}

// What is scanned is the mail as it stood, below one field.
func TestMail(t *testing.T) {
	fields := [][2]string{{"Subject", " a\n\tfolded\n line"}, {"X", "none"}, {"Empty", ""}, {"Y", "\tb\r\n c"}}
	for steps, want := range map[uint32]string{
		postfix:              "Subject: a\r\n\tfolded\r\n line\r\nX:none\r\nEmpty:\r\nY:\tb\r\n c\r\n\r\nbody\r\n.x",
		postfix &^ leadSpace: "Subject:  a\r\n\tfolded\r\n line\r\nX: none\r\nEmpty: \r\nY: \tb\r\n c\r\n\r\nbody\r\n.x",
	} {
		b := fake()
		s := New(b, Options{})
		talked(t, accepttest.Serve(t, s), hello(6, 0, steps)+pack('C', client)+mailOf(fields, "body\r\n.x"))
		r := b.Last.Load()
		if got := r.Stream.(fmt.Stringer).String(); got != received+want {
			t.Errorf("%q", got)
		}
		if r.Name != "mail Q1" || r.Client != "127.0.0.1 for 192.0.2.1" {
			t.Errorf("%q %q", r.Name, r.Client)
		}
	}
}

// A server that waits hears that it goes on; one that is gone is not waited for.
func TestProgress(t *testing.T) {
	b := fake()
	b.Busy = make(chan struct{})
	s := New(b, Options{Progress: time.Millisecond, Header: NoHeaders})
	c, err := net.Dial("tcp", accepttest.Serve(t, s))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, hello(6, 0, postfix)+mailOf(subject, "x"))
	p := packets{r: bufio.NewReader(c)}
	seen := 0
	for {
		cmd, _, err := p.next()
		if err != nil {
			t.Fatal(err)
		}
		if cmd == sayProgress {
			if seen++; seen == 3 {
				close(b.Busy)
			}
		}
		if cmd == sayAccept {
			break
		}
	}
	if seen < 3 {
		t.Error(seen)
	}
}

// A hundred thousand fields are a mail like any other.
func TestManyFields(t *testing.T) {
	s := New(fake(), Options{Header: NoHeaders})
	var fields [][2]string
	for range 100000 {
		fields = append(fields, [2]string{"X", "y"})
	}
	if got := talked(t, accepttest.Serve(t, s), hello(6, 0, postfix)+mailOf(fields, marker)); got[len(got)-1] != "y 550 5.7.1 Refused: Test.Marker|" {
		t.Errorf("%q", got)
	}
}

// Whoever says nothing, or little, is dropped; who comes beyond the number has room made.
func TestSlow(t *testing.T) {
	s := New(fake(), Options{Connections: accept.Options{Max: 2, Read: 100 * time.Millisecond, Idle: 100 * time.Millisecond, Whole: time.Second}})
	address := accepttest.Serve(t, s)
	for _, text := range []string{"", "\x00\x00", hello(6, 0, 0), hello(6, 0, 0) + pack('M', "<>\x00")} {
		func() {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(20 * time.Second))
			_, _ = io.WriteString(c, text)
			if _, err := io.ReadAll(c); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}()
	}
	s = New(fake(), Options{Connections: accept.Options{Max: 2}})
	address = accepttest.Serve(t, s)
	for range 5 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if got := talked(t, address, hello(6, 0, 0)+pack('Q', "")); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func TestConf(t *testing.T) {
	dir := t.TempDir()
	list := filepath.Join(dir, "list")
	if err := os.WriteFile(list, []byte("# x\nFrom:boss@\nTo:abuse@\nany@\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Parse("m.conf", strings.NewReader(`
# a comment
MilterSocket inet:7357@127.0.0.1
MilterSocketMode 660
MilterSocketGroup mail
FixStaleSocket no
ReadTimeout 30
MaxFileSize 25M
OnClean Accept
OnInfected	Quarantine
OnFail Defer
RejectMsg "%v was found"
AddHeader Replace
ReportHostname mx.example.org
LocalNet local
LocalNet 192.0.2.0/24
LocalNet 10.0.0.0/255.0.0.0
LocalNet 2001:db8::1
SkipAuthenticated ^joe
ClamdSocket unix:/run/clamd
VirusAction /bin/x
Whitelist `+list))
	if err != nil {
		t.Fatal(err)
	}
	if c.Network != "tcp" || c.Address != "127.0.0.1:7357" || c.Mode != 0o660 || c.Group != "mail" || !c.Keep || c.Connections.Read != 30*time.Second || c.MaxLength != 25<<20 ||
		c.OnInfected != Quarantine || c.OnFail != Defer || c.RejectMsg != "%v was found" || c.Hostname != "mx.example.org" || len(c.Local) != 4 || c.Local[2].Bits() != 8 || c.Local[3].Bits() != 128 ||
		!c.SkipAuthenticated.MatchString("joe") || len(c.Notes) != 2 || len(c.Allow) != 3 || c.Allow[0].To || !c.Allow[1].To || !c.Allow[2].To {
		t.Errorf("%+v", c)
	}
	for text, want := range map[string]string{
		"Nonsense yes": "m.conf:1: option Nonsense: unknown", "\nOnClean Burn": "m.conf:2: ", "Example": "example", "MilterSocket here": "path", "LocalNet example.org": "not looked up",
		"MilterSocketMode 999": "999", "FixStaleSocket maybe": "yes or no", "MaxFileSize much": "size", "OnClean": "no value", "MilterSocket inet:x": "port", "SkipAuthenticated (": "missing", "LocalNet 10.0.0.0/99": "",
	} {
		if _, err := Parse("m.conf", strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if n, a, err := parseSocket("/run/x"); err != nil || n != "unix" || a != "/run/x" {
		t.Error(n, a, err)
	}
}

// The readers see what is in a mail, whatever its first field is.
func TestReaders(t *testing.T) {
	s := New(accepttest.Readers(t, "milter", queue.Policy{}), Options{Header: NoHeaders})
	address := accepttest.Serve(t, s)
	part := "--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n%s\r\n--b--\r\n"
	for body, want := range map[string]string{hidden: "y 550 5.7.1 Refused: Test.Marker.UNOFFICIAL|", "bm90aGluZw==": "a"} {
		got := talked(t, address, hello(6, 0x1ff, postfix)+mailOf([][2]string{{"Oddly", " x"}, {"Content-Type", " multipart/mixed;\n boundary=b"}}, fmt.Sprintf(part, body)))
		if got[len(got)-1] != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A store that takes no record, and a mail for which there is no room: what is found is refused
// all the same, what is not scanned is not taken, and what has no record is counted.
func TestFull(t *testing.T) {
	long := strings.Repeat("x", 300)
	for name, c := range map[string]struct {
		policy queue.Policy
		o      Options
		room   int64
		body   string
		want   string
		failed bool // a record is missing, or waits
	}{
		"found":         {queue.Policy{}, Options{}, 0, marker, "y 550 5.7.1 Refused: Test.Marker.UNOFFICIAL|", true},
		"clean":         {queue.Policy{}, Options{}, 0, "x", "a", false},
		"unread":        {queue.Policy{}, Options{MaxLength: 100}, 0, long, "y 451 4.7.1 Not read whole: limit.size|", false},
		"unread, taken": {queue.Policy{}, Options{MaxLength: 100, OnIncomplete: Accept}, 0, long, "a", true},
		"waived":        {queue.Policy{Incomplete: queue.IncompleteOK}, Options{MaxLength: 100}, 0, long, "a", true},
		"no room":       {queue.Policy{}, Options{}, 1, "x", "y 451 4.7.1 Not scanned, try again later: no space for what is received|", false},
		"no room, ok":   {queue.Policy{Incomplete: queue.IncompleteOK}, Options{}, 1, "x", "y 451 4.7.1 Not scanned, try again later: no space for what is received|", false},
	} {
		t.Run(name, func(t *testing.T) {
			k, use := accepttest.Full(t, c.policy)
			b := accepttest.Readers(t, "milter", c.policy, use, func(o *queue.Options) { o.MaxMemory = c.room })
			acted := func(_ *queue.Job, a *queue.Answer) {
				if len(a.Records) == 0 || k.Deed(a.Records[0], a.SHA256, a.Report.Size, "x", "reject", nil) != nil {
					t.Errorf("%+v", a)
				}
			}
			if b.Acted = acted; c.o.OnIncomplete == Accept {
				b.Passed = acted
			}
			got := talked(t, accepttest.Serve(t, New(b, c.o)), hello(6, 0x1ff, postfix)+mailOf(subject, c.body))
			if len(got) == 0 || got[len(got)-1] != c.want {
				t.Errorf("%q", got)
			}
			_ = k.Close(t.Context())
			if st := k.Status(); st.Made != 0 || (st.Missed > 0) != c.failed || (st.Failed != "") != c.failed {
				t.Errorf("%+v", st)
			}
		})
	}
}
