package icap

import (
	"bytes"
	"net/url"
	"strings"
)

// message is what is asked of an HTTP header that is otherwise left as it is.
type message struct{ hdr []byte }

// start is the first line.
func (m message) start() string {
	line, _, _ := bytes.Cut(m.hdr, []byte("\r\n"))
	return string(line)
}

// get joins the values of all fields of a name by commas. A folded line belongs to the
// one before it.
func (m message) get(name string) string {
	var values []string
	_, rest, _ := bytes.Cut(m.hdr, []byte("\n"))
	in := false
	for len(rest) > 0 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		line = bytes.TrimRight(line, "\r \t")
		if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
			if in {
				values[len(values)-1] += " " + string(bytes.Trim(line, " \t"))
			}
			continue
		}
		k, v, ok := bytes.Cut(line, []byte(":"))
		if in = ok && strings.EqualFold(string(bytes.TrimRight(k, " \t")), name); in {
			values = append(values, string(bytes.Trim(v, " \t")))
		}
	}
	return strings.Join(values, ", ")
}

// target is the URL of a request: without what is secret in many of them, its user and its
// query.
func (m message) target() string {
	words := strings.SplitN(m.start(), " ", 3)
	if len(words) < 2 {
		return ""
	}
	raw := words[1]
	if strings.HasPrefix(raw, "/") {
		if h := m.get("Host"); h != "" {
			raw = "http://" + h + raw
		}
	}
	raw, _, _ = strings.Cut(raw, "?")
	if u, err := url.Parse(raw); err == nil && u.User != nil {
		u.User = nil
		raw = u.String()
	}
	return printable(raw)
}

// printable shows what is no printable ASCII as %XX, and at most 512 bytes.
func printable(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range min(len(s), 512) {
		if c := s[i]; c > ' ' && c <= '~' {
			b.WriteByte(c)
		} else {
			b.WriteString("%" + string(hex[c>>4]) + string(hex[c&15]))
		}
	}
	return b.String()
}

// foreign tells of a body in a coding that has no mark of its own, so that the readers
// cannot tell it: what is in it would pass unread. gzip, zstd and xz have one.
func (m message) foreign() bool {
	for c := range strings.SplitSeq(m.get("Content-Encoding"), ",") {
		switch strings.ToLower(strings.Trim(c, " \t")) {
		case "", "identity", "gzip", "x-gzip", "zstd", "xz", "bzip2":
		default:
			return true
		}
	}
	return false
}

// preface is what a body of parts needs before it to be read as one: the header that
// names what parts it. It is the start of a mail.
func (m message) preface() string {
	t := m.get("Content-Type")
	if len(t) > 1000 || len(t) < 10 || !strings.EqualFold(t[:10], "multipart/") {
		return ""
	}
	return "MIME-Version: 1.0\r\nContent-Type: " + t + "\r\n\r\n"
}
