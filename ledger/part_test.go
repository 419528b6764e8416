//go:build !airgap

package ledger

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
)

// A part of a file: asked for in one header more, and taken only if it is that part.
func TestPart(t *testing.T) {
	const whole = "0123456789"
	part := func(span, body string) string {
		return "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes " + span + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
	}
	for name, c := range map[string]struct {
		answer   string
		from, to int64
		header   string
		status   int
		want     string
		whole    int64
		err      string
	}{
		"rest":          {part("4-9/10", "456789"), 4, 0, "Range: bytes=4-\r\n", 206, "456789", 10, ""},
		"head":          {part("0-2/*", "012"), 0, 3, "Range: bytes=0-2\r\n", 206, "012", -1, ""},
		"all instead":   {ok(whole), 4, 0, "Range: bytes=4-\r\n", 200, "again " + whole, 0, ""},
		"nothing more":  {"HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n", 10, 0, "Range: bytes=10-\r\n", 416, "", 0, ""},
		"another part":  {part("3-9/10", "3456789"), 4, 0, "Range: bytes=4-\r\n", 206, "", 0, "another part"},
		"no range":      {part("x", "456789"), 4, 0, "Range: bytes=4-\r\n", 206, "", 0, "another part"},
		"beyond":        {part("4-9/9", "456789"), 4, 0, "Range: bytes=4-\r\n", 206, "", 0, "another part"},
		"not asked for": {part("0-9/10", whole), 0, 0, "", 206, "", 0, "another part"},
		"cut":           {"HTTP/1.1 206 P\r\nContent-Range: bytes 4-9/10\r\nContent-Length: 6\r\n\r\n45", 4, 0, "Range: bytes=4-\r\n", 206, "45", 10, "unexpected EOF"},
	} {
		r := serve(t, false, func(string) string { return c.answer })
		cl, dir := client(t, Options{})
		var got bytes.Buffer
		resp, err := cl.Do(t.Context(), Request{
			URL: "http://127.0.0.1:" + r.port() + "/f", Purpose: UpdateRules, From: c.from, To: c.to,
			Restart: func() error { got.WriteString("again "); return nil },
		}, &got)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || resp.Status != c.status || got.String() != c.want || resp.Whole != c.whole {
			t.Errorf("%s: %+v %q %v", name, resp, got.String(), err)
		}
		p := pairs(t, dir)
		if len(p) != 1 || c.header != "" && !strings.Contains(p[0].Plain, c.header) || strings.Contains(p[0].Plain, "Range") != (c.header != "") {
			t.Errorf("%s: %+v", name, p)
		}
		if got := r.requests(); len(got) != 1 || got[0] != p[0].Plain {
			t.Errorf("%s: sent %q, in the ledger %q", name, got, p[0].Plain)
		}
	}
}

// Questions for texts are in the ledger too.
func TestTXT(t *testing.T) {
	addr, got := nameserver(t, false)
	c, dir := client(t, Options{NameServer: addr})
	all, err := c.TXT(t.Context(), "rules.example.test", UpdateMetadata)
	if err != nil || len(all) != 1 || all[0] != "1:two:3" {
		t.Errorf("%q %v", all, err)
	}
	if _, err := c.TXT(t.Context(), "other.example.test", UpdateMetadata); err == nil || !strings.Contains(err.Error(), "no such host") {
		t.Errorf("%v", err)
	}
	for _, name := range []string{"", "a b", "x..y"} {
		if _, err := c.TXT(t.Context(), name, UpdateMetadata); err == nil {
			t.Errorf("%q is asked for", name)
		}
	}
	if _, err := c.TXT(t.Context(), "a.example", "leisure"); err == nil {
		t.Error("for an unknown purpose")
	}
	n := 0
	if _, err := Read(dir, func(e *Entry) error {
		if e.Query != nil {
			if n++; !bytes.Contains(bytes.Join(got(), nil), e.Query.Packet) {
				t.Errorf("packet %x did not come", e.Query.Packet)
			}
		}
		return nil
	}); err != nil || n != len(got()) || n < 2 {
		t.Errorf("%d questions in the ledger, %d came: %v", n, len(got()), err)
	}
}
