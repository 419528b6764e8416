package icap

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/showcause/showcause/serve/accept"
	"github.com/showcause/showcause/serve/accept/accepttest"
	"github.com/showcause/showcause/serve/queue"
)

const (
	getHdr = "GET http://user:pw@example.org/a/b.zip?secret=1 HTTP/1.1\r\nHost: example.org\r\n\r\n"
	okHdr  = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nX-Odd:\tkept  as it is \r\n\r\n"
)

// chunked is a body in chunks of a size, its last line included.
func chunked(body string, size int, end string) string {
	var b strings.Builder
	for len(body) > 0 {
		n := min(size, len(body))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	return b.String() + end
}

// respmod is a request about an answer. fields end in CR LF each.
func respmod(fields, hdr, body string) string {
	return fmt.Sprintf("RESPMOD icap://h:1344/avscan ICAP/1.0\r\nHost: h\r\n%sEncapsulated: req-hdr=0, res-hdr=%d, res-body=%d\r\n\r\n%s%s%s", fields, len(getHdr), len(getHdr)+len(hdr), getHdr, hdr, body)
}

var varying = regexp.MustCompile(`(Date: |ISTag: )[^\r]*`)

// say sends all of it, and returns what comes back until the end.
func say(t *testing.T, address, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	_ = c.(*net.TCPConn).CloseWrite()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("%v after %q", err, b)
	}
	return varying.ReplaceAllString(string(b), "${1}-")
}

// Each conversation is sent at once (so that what follows is pipelined), and its answers
// are told by these words, in this order.
func TestTalks(t *testing.T) {
	clean, found := "nothing in here", "x"+marker+"y"
	long := strings.Repeat("0123456789", 5000)
	for name, c := range map[string]struct {
		send string
		want []string
		not  string
	}{
		"options":              {"OPTIONS icap://h/avscan ICAP/1.0\r\nHost: h\r\n\r\n", []string{"ICAP/1.0 200 OK", "ISTag: -", "Methods: RESPMOD, REQMOD\r\n", "Max-Connections: 7\r\n", "Options-TTL: 3600", "Allow: 204", "Preview: 1024", "Transfer-Preview: *", "Encapsulated: null-body=0"}, "Connection:"},
		"options of one":       {"OPTIONS icap://h/reqmod?x=1 ICAP/1.0\r\nEncapsulated: null-body=0\r\n\r\n", []string{"Methods: REQMOD\r\n"}, ""},
		"204":                  {respmod("Allow: 204\r\n", okHdr, chunked(clean, 7, "0\r\n\r\n")), []string{"ICAP/1.0 204 No"}, "nothing in here"},
		"same":                 {respmod("", okHdr, chunked(clean, 7, "0\r\n\r\n")), []string{"ICAP/1.0 200 OK", fmt.Sprintf("Encapsulated: res-hdr=0, res-body=%d\r\n\r\n%sf\r\n%s\r\n0\r\n\r\n", len(okHdr), okHdr, clean)}, "GET"},
		"same, long":           {respmod("", okHdr, chunked(long, 999, "0\r\n\r\n")), []string{"ICAP/1.0 200 OK", okHdr + "4000\r\n0123456789"}, ""},
		"found":                {respmod("Allow: 204\r\n", okHdr, chunked(found, 5, "0\r\n\r\n")), []string{"ICAP/1.0 200 OK", "X-Infection-Found: Type=0; Resolution=2; Threat=Test.Marker;\r\n", "X-Virus-ID: Test.Marker\r\n", "X-Violations-Found: 1\r\n http://example.org/a/b.zip\r\n Test.Marker\r\n 0\r\n 2\r\n", "Encapsulated: res-hdr=0, res-body=", "HTTP/1.1 403 Forbidden\r\n", "Found in it: <code>Test.Marker", "\r\n0\r\n\r\n"}, "secret"},
		"incomplete":           {respmod("Allow: 204\r\n", okHdr, chunked("fail: x", 5, "0\r\n\r\n")), []string{"ICAP/1.0 200 OK", "Type=2; Resolution=2; Threat=Not read whole: encrypted;\r\n", "403 Forbidden", "could not be checked"}, "X-Virus-ID"},
		"unknown coding":       {respmod("Allow: 204\r\n", "HTTP/1.1 200 OK\r\ncontent-encoding: gzip,\r\n dcb\r\n\r\n", chunked(clean, 5, "0\r\n\r\n")), []string{"Not read whole: unsupported.format.content-encoding"}, "204"},
		"busy":                 {respmod("Allow: 204\r\n", okHdr, chunked("busy: x", 99, "0\r\n\r\n")), []string{"ICAP/1.0 503 Service Overloaded", "Connection: close"}, ""},
		"no space":             {respmod("Allow: 204\r\n", okHdr, chunked("full: x", 99, "0\r\n\r\n")), []string{"ICAP/1.0 503 "}, ""},
		"failed":               {respmod("Allow: 204\r\n", okHdr, chunked("odd: x", 99, "0\r\n\r\n")), []string{"ICAP/1.0 500 "}, ""},
		"ieof":                 {respmod("Preview: 20\r\n", okHdr, chunked(clean, 9, "0; ieof\r\n\r\n")), []string{"ICAP/1.0 204 "}, "100"},
		"ieof found":           {respmod("Preview: 99\r\n", okHdr, chunked(found, 9, "0; ieof\r\n\r\n")), []string{"ICAP/1.0 200 OK", "Threat=Test.Marker;"}, "100"},
		"preview":              {respmod("Preview: 4\r\nAllow: 204\r\n", okHdr, chunked(marker[:4], 9, "0\r\n\r\n")+chunked(marker[4:], 9, "0\r\n\r\n")), []string{"ICAP/1.0 100 Continue\r\n\r\n", "ICAP/1.0 200 OK", "Test.Marker"}, ""},
		"preview, no 204":      {respmod("Preview: 4\r\n", okHdr, chunked("noth", 9, "0\r\n\r\n")+chunked("ing", 9, "0\r\n\r\n")), []string{"ICAP/1.0 100 Continue\r\n\r\n", "ICAP/1.0 200 OK", okHdr + "7\r\nnothing\r\n0\r\n\r\n"}, "204"},
		"preview of none":      {respmod("Preview: 0\r\nAllow: 204\r\n", okHdr, "0\r\n\r\n"+chunked(clean, 9, "0\r\n\r\n")), []string{"ICAP/1.0 100 Continue\r\n\r\n", "ICAP/1.0 204 "}, ""},
		"preview too long":     {respmod("Preview: 4\r\n", okHdr, chunked(clean, 9, "0\r\n\r\n")), []string{"ICAP/1.0 400 "}, ""},
		"no headers":           {"RESPMOD icap://h/srv_clamav ICAP/1.0\r\nEncapsulated: res-body=0\r\n\r\n" + chunked(clean, 99, "0\r\n\r\n"), []string{"Encapsulated: res-body=0\r\n\r\nf\r\n" + clean}, ""},
		"no body":              {"REQMOD icap://h/reqmod ICAP/1.0\r\nEncapsulated: req-hdr=0, null-body=" + fmt.Sprint(len(getHdr)) + "\r\n\r\n" + getHdr, []string{"ICAP/1.0 200 OK", fmt.Sprintf("Encapsulated: req-hdr=0, null-body=%d\r\n\r\n%s", len(getHdr), getHdr)}, ""},
		"request's body":       {"REQMOD icap://h/reqmod ICAP/1.0\r\nEncapsulated: req-hdr=0, req-body=" + fmt.Sprint(len(getHdr)) + "\r\n\r\n" + getHdr + chunked(clean, 99, "0\r\n\r\n"), []string{"Encapsulated: req-hdr=0, req-body=", getHdr + "f\r\n" + clean}, ""},
		"pipelined":            {respmod("Allow: 204\r\n", okHdr, chunked(clean, 7, "0\r\nTrailer: x\r\n\r\n")) + "\r\nOPTIONS icap://h/x ICAP/1.0\r\n\r\n" + respmod("Connection: Close\r\n", okHdr, chunked(found, 5, "0\r\n\r\n")) + "OPTIONS icap://h/x ICAP/1.0\r\n\r\n", []string{"ICAP/1.0 204 ", "ICAP/1.0 200 OK", "Methods: ", "Connection: close\r\n", "Threat=Test.Marker;"}, "\r\n\r\nICAP/1.0 500"},
		"version":              {"OPTIONS icap://h/x ICAP/2.0\r\n\r\n", []string{"ICAP/1.0 505 "}, ""},
		"http":                 {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", []string{"ICAP/1.0 400 "}, ""},
		"method":               {"LOGMOD icap://h/x ICAP/1.0\r\n\r\n", []string{"ICAP/1.0 405 "}, ""},
		"method of service":    {"REQMOD icap://h/respmod ICAP/1.0\r\nEncapsulated: null-body=0\r\n\r\n", []string{"ICAP/1.0 405 "}, ""},
		"no service":           {"OPTIONS icap://h ICAP/1.0\r\n\r\n", []string{"ICAP/1.0 404 "}, ""},
		"bare LF":              {"OPTIONS icap://h/x ICAP/1.0\n\n", []string{"ICAP/1.0 400 "}, ""},
		"not encapsulated":     {"RESPMOD icap://h/x ICAP/1.0\r\n\r\n", []string{"ICAP/1.0 400 "}, ""},
		"encapsulated: order":  {"RESPMOD icap://h/x ICAP/1.0\r\nEncapsulated: res-hdr=0, req-hdr=9, null-body=20\r\n\r\n", []string{"ICAP/1.0 400 "}, ""},
		"encapsulated: back":   {"RESPMOD icap://h/x ICAP/1.0\r\nEncapsulated: req-hdr=0, res-hdr=0, null-body=20\r\n\r\n", []string{"ICAP/1.0 400 "}, ""},
		"encapsulated: huge":   {"RESPMOD icap://h/x ICAP/1.0\r\nEncapsulated: res-hdr=0, null-body=2000000000\r\n\r\n", []string{"ICAP/1.0 400 "}, ""},
		"encapsulated: method": {"REQMOD icap://h/x ICAP/1.0\r\nEncapsulated: res-hdr=0, null-body=20\r\n\r\n", []string{"ICAP/1.0 400 "}, ""},
		"encapsulated: twice":  {"REQMOD icap://h/x ICAP/1.0\r\nEncapsulated: null-body=0\r\nEncapsulated: null-body=0\r\n\r\n", []string{"ICAP/1.0 400 "}, ""},
		"encapsulated: lies":   {"REQMOD icap://h/x ICAP/1.0\r\nEncapsulated: req-hdr=0, null-body=20\r\n\r\n" + getHdr, []string{"ICAP/1.0 400 "}, ""},
		"chunk lies":           {respmod("", okHdr, "3\r\nabcdef\r\n0\r\n\r\n"), []string{"ICAP/1.0 400 "}, ""},
		"chunk no number":      {respmod("", okHdr, "-1\r\nabcdef\r\n0\r\n\r\n"), []string{"ICAP/1.0 400 "}, ""},
		"chunk overflows":      {respmod("", okHdr, "ffffffffffffffffff\r\nabcdef\r\n0\r\n\r\n"), []string{"ICAP/1.0 400 "}, ""},
		"line too long":        {"OPTIONS icap://h/" + strings.Repeat("a", 9000) + " ICAP/1.0\r\n\r\n", []string{"ICAP/1.0 400 "}, ""},
		"100,000 fields":       {"OPTIONS icap://h/x ICAP/1.0\r\n" + strings.Repeat("X: y\r\n", 100000) + "\r\n", []string{"ICAP/1.0 400 "}, ""},
		"truncated":            {respmod("", okHdr, "30\r\nabcdef"), nil, "ICAP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &accepttest.Fake{}
			s := New(b, Options{Version: "1 test", Connections: accept.Options{Max: 7}})
			got := say(t, accepttest.Serve(t, s), c.send)
			rest := got
			for _, w := range c.want {
				_, after, ok := strings.Cut(rest, w)
				if !ok {
					t.Fatalf("%q is not (there) in %q", w, got)
				}
				rest = after
			}
			if c.not != "" && strings.Contains(got, c.not) {
				t.Errorf("%q is in %q", c.not, got)
			}
			if n := b.Open.Load(); n != 0 {
				t.Errorf("%d streams are open", n)
			}
		})
	}
}

// What was said of a whole body is said of any that comes in pieces, too.
func TestPieces(t *testing.T) {
	text := respmod("Preview: 4\r\n", okHdr, chunked("noth", 9, "0\r\n\r\n")+chunked("ing"+marker, 9, "0\r\n\r\n")) + "OPTIONS icap://h/x ICAP/1.0\r\n\r\n"
	address := accepttest.Serve(t, New(&accepttest.Fake{}, Options{}))
	want := say(t, address, text)
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() {
		for i := range len(text) {
			_, _ = io.WriteString(c, text[i:i+1])
		}
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	got, _ := io.ReadAll(c)
	if varying.ReplaceAllString(string(got), "${1}-") != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Policies: what is not read whole passes where a setting says so.
func TestPolicy(t *testing.T) {
	send := respmod("Allow: 204\r\n", okHdr, chunked("fail: x", 99, "0\r\n\r\n"))
	for p, want := range map[queue.Incomplete]string{queue.IncompleteError: "Type=2; Resolution=2; Threat=Not read", queue.IncompleteFound: "Type=0; Resolution=2; Threat=Heuristics.Encrypted;", queue.IncompleteOK: "ICAP/1.0 204"} {
		if got := say(t, accepttest.Serve(t, New(&accepttest.Fake{Policy: queue.Policy{Incomplete: p}}, Options{})), send); !strings.Contains(got, want) {
			t.Errorf("%v: %q", p, got)
		}
	}
	send = respmod("Allow: 204\r\n", okHdr, chunked(strings.Repeat("x", 300), 99, "0\r\n\r\n"))
	for p, want := range map[queue.Incomplete]string{queue.IncompleteError: "Threat=Not read whole: limit.size;", queue.IncompleteOK: "ICAP/1.0 204"} {
		if got := say(t, accepttest.Serve(t, New(&accepttest.Fake{Policy: queue.Policy{Incomplete: p}}, Options{MaxLength: 100})), send); !strings.Contains(got, want) || !strings.Contains(got, "Connection: close") {
			t.Errorf("%v: %q", p, got)
		}
	}
}

// What a rule finds that may only say so goes through; so does what one finds that is only tried.
func TestStages(t *testing.T) {
	for stage, want := range map[string]string{"act": "Threat=Test.Marker", "": "Threat=Test.Marker", "report": "ICAP/1.0 204", "shadow": "ICAP/1.0 204"} {
		send := respmod("Allow: 204\r\n", okHdr, chunked(stage+": "+accepttest.Marker, 99, "0\r\n\r\n"))
		if got := say(t, accepttest.Serve(t, New(&accepttest.Fake{}, Options{})), send); !strings.Contains(got, want) {
			t.Errorf("%q: %q", stage, got)
		}
	}
}

// A client that stops in a request hears 408; one that says nothing is dropped.
func TestSlow(t *testing.T) {
	s := New(&accepttest.Fake{}, Options{Connections: accept.Options{Read: 100 * time.Millisecond, Idle: 100 * time.Millisecond, Whole: 300 * time.Millisecond}})
	address := accepttest.Serve(t, s)
	for text, want := range map[string]string{"": "", "OPTIONS ": "ICAP/1.0 408 ", respmod("", okHdr, "30\r\nabc"): "ICAP/1.0 408 "} {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, text)
		got, _ := io.ReadAll(c)
		if c.Close(); !strings.HasPrefix(string(got), want) || want == "" && len(got) > 0 {
			t.Errorf("%q: %q", text, got)
		}
	}
	c, err := net.Dial("tcp", address) // a byte now and then is not enough
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() {
		for range 2000 {
			if _, err := io.WriteString(c, "O"); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	line, _ := bufio.NewReader(c).ReadString('\n')
	if !strings.HasPrefix(line, "ICAP/1.0 408 ") {
		t.Errorf("%q", line)
	}
}

// ISTag changes with the rules and with what is answered.
func TestTag(t *testing.T) {
	a, b := New(&accepttest.Fake{}, Options{}), New(&accepttest.Fake{}, Options{Settings: "found"})
	if x := a.tag(); len(x) > 32 || x == b.tag() {
		t.Errorf("%q %q", x, b.tag())
	}
}

func TestPage(t *testing.T) {
	got := page(`<p title="{{name}}">{{url}}{{what}}{{version}}`, `"><script>{{url}}`, "'<b>&", true, "1")
	if want := `<p title="&#34;&gt;&lt;script&gt;{{url}}">&#39;&lt;b&gt;&amp;Found in it1`; got != want {
		t.Errorf("%q", got)
	}
}

// A store that takes no record, and a body for which there is no room: what is found is blocked
// all the same, what is not scanned does not pass, and what has no record is counted.
func TestFull(t *testing.T) {
	for name, c := range map[string]struct {
		policy queue.Policy
		room   int64
		body   string
		want   string
		failed bool // a record is missing, or waits
	}{
		"found":       {queue.Policy{}, 0, "x" + marker, "X-Infection-Found: Type=0; Resolution=2; Threat=Test.Marker.UNOFFICIAL;", true},
		"clean":       {queue.Policy{}, 0, "x", "ICAP/1.0 204 ", false},
		"unread":      {queue.Policy{}, 0, strings.Repeat("x", 300), "Threat=Not read whole: limit.size;", false},
		"waived":      {queue.Policy{Incomplete: queue.IncompleteOK}, 0, strings.Repeat("x", 300), "ICAP/1.0 204 ", true},
		"no room":     {queue.Policy{}, 1, "xx", "ICAP/1.0 503 ", false},
		"no room, ok": {queue.Policy{Incomplete: queue.IncompleteOK}, 1, "xx", "ICAP/1.0 503 ", false},
	} {
		t.Run(name, func(t *testing.T) {
			k, use := accepttest.Full(t, c.policy)
			b := accepttest.Readers(t, "icap", c.policy, use, func(o *queue.Options) { o.MaxMemory = c.room })
			b.Acted = func(_ *queue.Job, a *queue.Answer) {
				if len(a.Records) == 0 || k.Deed(a.Records[0], a.SHA256, a.Report.Size, "x", "block", nil) != nil {
					t.Errorf("%+v", a)
				}
			}
			got := say(t, accepttest.Serve(t, New(b, Options{MaxLength: 200})), respmod("Allow: 204\r\n", okHdr, chunked(c.body, 99, "0\r\n\r\n")))
			if !strings.Contains(got, c.want) || c.want[0] == 'X' && strings.Contains(got, marker) {
				t.Errorf("%q", got)
			}
			_ = k.Close(t.Context())
			if st := k.Status(); st.Made != 0 || (st.Missed > 0) != c.failed || (st.Failed != "") != c.failed {
				t.Errorf("%+v", st)
			}
		})
	}
}

// A body that cannot be read to its end is not given back as if it were whole.
func TestShort(t *testing.T) {
	got := say(t, accepttest.Serve(t, New(&accepttest.Fake{}, Options{})), respmod("", okHdr, chunked("short:"+strings.Repeat("x", 100), 50, "0\r\n\r\n")))
	if strings.HasSuffix(got, "0\r\n\r\n") {
		t.Errorf("%q", got)
	}
}
