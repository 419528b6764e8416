package icap

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// Bounds of what is held in memory of a request.
const (
	maxLine    = 8 << 10   // bytes of a line
	maxHead    = 64 << 10  // of request line and header
	maxHeaders = 256 << 10 // of the HTTP headers in it
	maxTrailer = 8 << 10
)

// refusal is a request that is answered with an error.
type refusal struct {
	code int
	why  string
}

func (r *refusal) Error() string { return strconv.Itoa(r.code) + " " + r.why }

func bad(format string, args ...any) error { return &refusal{400, fmt.Sprintf(format, args...)} }

// field is a line of a header.
type field struct{ name, value string }

// request is the head of an ICAP request, and the HTTP headers in it.
type request struct {
	method  string
	service string // path of the URI, without its query
	fields  []field
	preview int64  // bytes; -1 where there is none
	allow   bool   // 204 outside of a preview
	last    bool   // Connection: close
	client  string // X-Client-IP, if it is an address
	parts   []part
	reqHdr  []byte
	resHdr  []byte
	body    string // name of the body's part: req-body, res-body, opt-body; "" is none
}

// part is an entry of Encapsulated.
type part struct {
	name string
	at   int
}

// readLine reads a line that ends in CR LF, without these. left is what may still be read.
func readLine(br *bufio.Reader, left *int) (string, error) {
	line, err := br.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", bad("line too long")
	}
	if err != nil {
		return "", err
	}
	if *left -= len(line); *left < 0 {
		return "", bad("header too long")
	}
	if len(line) < 2 || line[len(line)-2] != '\r' {
		return "", bad("line does not end in CR LF")
	}
	line = line[:len(line)-2]
	if bytes.IndexByte(line, 0) >= 0 || bytes.IndexByte(line, '\r') >= 0 {
		return "", bad("control character in a line")
	}
	return string(line), nil
}

// isToken tells a token of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c > '~' || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// readRequest reads all up to the body. The error is a *refusal, or of the connection.
func readRequest(br *bufio.Reader) (*request, error) {
	left := maxHead
	line, err := readLine(br, &left)
	if err != nil {
		return nil, err
	}
	r := &request{preview: -1}
	if err := r.start(line); err != nil {
		return nil, err
	}
	for {
		line, err := readLine(br, &left)
		if err != nil {
			return nil, err
		}
		if line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) {
			return nil, bad("header field without a name")
		}
		r.fields = append(r.fields, field{name, strings.Trim(value, " \t")})
	}
	if err := r.header(); err != nil {
		return nil, err
	}
	return r, r.headers(br)
}

// start takes the request line apart.
func (r *request) start(line string) error {
	words := strings.Split(line, " ")
	if len(words) != 3 || !isToken(words[0]) {
		return bad("request line is not METHOD URI ICAP/1.0")
	}
	if words[2] != "ICAP/1.0" {
		if strings.HasPrefix(words[2], "ICAP/") {
			return &refusal{505, "ICAP version not supported"}
		}
		return bad("request line is not METHOD URI ICAP/1.0")
	}
	r.method = words[0]
	switch r.method {
	case "OPTIONS", "REQMOD", "RESPMOD":
	default:
		return &refusal{405, "method not allowed"}
	}
	uri := words[1]
	if scheme, rest, ok := strings.Cut(uri, "://"); ok {
		if !strings.EqualFold(scheme, "icap") && !strings.EqualFold(scheme, "icaps") {
			return bad("URI is none of icap")
		}
		i := strings.IndexByte(rest, '/')
		if i < 0 {
			i = len(rest)
		}
		uri = rest[i:]
	} else if !strings.HasPrefix(uri, "/") && uri != "*" {
		return bad("URI is none of icap")
	}
	r.service, _, _ = strings.Cut(uri, "?")
	return nil
}

// header takes the fields that count.
func (r *request) header() error {
	once := map[string]bool{}
	for _, f := range r.fields {
		name := strings.ToLower(f.name)
		switch name {
		case "encapsulated", "preview":
			if once[name] {
				return bad("%s twice", f.name)
			}
			once[name] = true
		}
		switch name {
		case "encapsulated":
			if err := r.encapsulated(f.value); err != nil {
				return err
			}
		case "preview":
			n, err := strconv.ParseUint(f.value, 10, 31)
			if err != nil {
				return bad("Preview is no number")
			}
			r.preview = int64(n)
		case "allow":
			r.allow = r.allow || hasWord(f.value, "204")
		case "connection":
			r.last = r.last || hasWord(f.value, "close")
		case "x-client-ip":
			if ip := net.ParseIP(f.value); ip != nil {
				r.client = ip.String()
			}
		}
	}
	if len(r.parts) == 0 && r.method != "OPTIONS" {
		return bad("Encapsulated is missing")
	}
	return nil
}

// hasWord tells whether a list with commas has a word.
func hasWord(list, word string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.Trim(w, " \t"), word) {
			return true
		}
	}
	return false
}

// encapsulated reads the list of parts (RFC 3507, section 4.4.1): headers, and then a
// body or null-body, in the order in which the method has them.
func (r *request) encapsulated(list string) error {
	order := map[string][]string{
		"OPTIONS": {"opt-body"}, "REQMOD": {"req-hdr", "req-body"}, "RESPMOD": {"req-hdr", "res-hdr", "res-body"},
	}[r.method]
	for i, e := range strings.Split(list, ",") {
		name, offset, ok := strings.Cut(strings.Trim(e, " \t"), "=")
		at, err := strconv.ParseUint(offset, 10, 31)
		if !ok || err != nil {
			return bad("Encapsulated is no list of parts")
		}
		name = strings.ToLower(name)
		switch {
		case r.body != "" || len(r.parts) > 0 && r.parts[len(r.parts)-1].name == "null-body":
			return bad("Encapsulated has a part behind the body")
		case i == 0 && at != 0:
			return bad("Encapsulated does not begin at 0")
		case i > 0 && int(at) <= r.parts[i-1].at:
			return bad("Encapsulated is not in order")
		case at > maxHeaders:
			return bad("encapsulated headers too long")
		}
		if name != "null-body" {
			for len(order) > 0 && order[0] != name {
				order = order[1:]
			}
			if len(order) == 0 {
				return bad("Encapsulated has a part that is not of %s", r.method)
			}
			order = order[1:]
		}
		if strings.HasSuffix(name, "-body") && name != "null-body" {
			r.body = name
		}
		r.parts = append(r.parts, part{name, int(at)})
	}
	if last := r.parts[len(r.parts)-1].name; !strings.HasSuffix(last, "-body") {
		return bad("Encapsulated has no body and no null-body")
	}
	return nil
}

// headers reads the HTTP headers.
func (r *request) headers(br *bufio.Reader) error {
	for i := 0; i+1 < len(r.parts); i++ {
		var b bytes.Buffer
		if _, err := io.CopyN(&b, br, int64(r.parts[i+1].at-r.parts[i].at)); err != nil {
			return err
		}
		if end := bytes.Index(b.Bytes(), []byte("\r\n\r\n")); end != b.Len()-4 || bytes.IndexByte(b.Bytes(), 0) >= 0 {
			return bad("%s is no HTTP header of the length that Encapsulated says", r.parts[i].name)
		}
		if r.parts[i].name == "req-hdr" {
			r.reqHdr = b.Bytes()
		} else {
			r.resHdr = b.Bytes()
		}
	}
	return nil
}

// chunks reads a body (RFC 9112, section 7.1). At its end Read returns io.EOF, and ieof
// tells whether a preview was all.
type chunks struct {
	br   *bufio.Reader
	left int64 // of this chunk
	in   bool  // one was begun
	end  bool
	ieof bool
}

// more begins the part of a body that is behind its preview.
func (c *chunks) more() { *c = chunks{br: c.br} }

func (c *chunks) Read(p []byte) (int, error) {
	for c.left == 0 {
		if c.end {
			return 0, io.EOF
		}
		if err := c.next(); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
	n, err := c.br.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// next reads the line before a chunk.
func (c *chunks) next() error {
	left := maxTrailer
	if c.in {
		if line, err := readLine(c.br, &left); err != nil || line != "" {
			return orBad(err, "chunk is not as long as it says")
		}
	}
	line, err := readLine(c.br, &left)
	if err != nil {
		return err
	}
	size, ext, _ := strings.Cut(line, ";")
	n, err := strconv.ParseUint(strings.TrimRight(size, " \t"), 16, 62)
	if err != nil {
		return bad("chunk has no size")
	}
	if c.left, c.in = int64(n), true; n > 0 {
		return nil
	}
	for e := range strings.SplitSeq(ext, ";") {
		c.ieof = c.ieof || strings.EqualFold(strings.Trim(e, " \t"), "ieof")
	}
	for left = maxTrailer; ; {
		line, err := readLine(c.br, &left)
		if err != nil {
			return err
		}
		if line == "" {
			c.end = true
			return nil
		}
	}
}

func orBad(err error, why string) error {
	if err != nil {
		return err
	}
	return bad("%s", why)
}
