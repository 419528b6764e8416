//go:build !airgap

package ledger

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// maxURL is the longest URL that is asked for, so that every plaintext fits
// into the ledger whole.
const maxURL = 2048

// target is a URL of the few forms that are asked for.
type target struct {
	scheme string // http, https
	host   string // lower case; an IPv6 address without brackets
	port   uint16
	path   string // as sent, escaped
}

// parseTarget takes a URL apart and refuses what could say more about who asks
// than which file is asked for.
func parseTarget(raw string) (target, error) {
	var t target
	if len(raw) > maxURL {
		return t, fmt.Errorf("longer than %d bytes", maxURL)
	}
	for _, c := range []byte(raw) {
		if c <= ' ' || c > '~' || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			return t, errors.New("a character that no URL holds; escape it")
		}
	}
	u, err := url.Parse(raw)
	if err != nil {
		return t, errors.New("not a URL")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return t, fmt.Errorf("scheme is neither https nor http")
	case u.Opaque != "" || u.Host == "":
		return t, errors.New("no host")
	case u.User != nil:
		return t, errors.New("a user name or password is not sent")
	case u.RawQuery != "" || u.ForceQuery:
		return t, errors.New("a query string is not sent")
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return t, errors.New("a fragment has no meaning here")
	}
	t.scheme, t.host, t.path = u.Scheme, strings.ToLower(u.Hostname()), u.EscapedPath()
	if t.path == "" {
		t.path = "/"
	}
	if err := checkHost(t.host); err != nil {
		return t, err
	}
	if strings.HasSuffix(u.Host, ":") {
		return t, errors.New("a colon without a port")
	}
	t.port = 443
	if t.scheme == "http" {
		t.port = 80
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return t, errors.New("no such port")
		}
		t.port = uint16(n)
	}
	return t, nil
}

// checkHost allows addresses and host names (RFC 1123).
func checkHost(h string) error {
	if a, err := netip.ParseAddr(h); err == nil {
		if a.Zone() != "" {
			return errors.New("an address with a zone")
		}
		return nil
	}
	if len(h) == 0 || len(h) > 253 {
		return errors.New("host name is empty or too long")
	}
	for label := range strings.SplitSeq(h, ".") {
		if len(label) == 0 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return errors.New("not a host name")
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return errors.New("not a host name; write an international one in its xn-- form")
			}
		}
	}
	return nil
}

// local tells whether the host is this machine by its name alone.
func (t target) local() bool {
	if t.host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(t.host)
	return err == nil && a.Unmap().IsLoopback()
}

// hostPort is the host with its port; the port is left out where the scheme
// says it and always is not set.
func (t target) hostPort(always bool) string {
	h := t.host
	if strings.Contains(h, ":") {
		h = "[" + h + "]"
	}
	if !always && (t.scheme == "http" && t.port == 80 || t.scheme == "https" && t.port == 443) {
		return h
	}
	return h + ":" + strconv.Itoa(int(t.port))
}

// url is the target as a URL.
func (t target) url() string { return t.scheme + "://" + t.hostPort(false) + t.path }

// plaintext is all that is sent for the target: first what opens a tunnel
// through a proxy, if one is needed, then the request. This is the closed list
// of headers. part is the value of Range, empty for the whole file.
func (t target) plaintext(method, agent, part string, proxied bool) (tunnel, request string) {
	at := t.path
	if proxied && t.scheme == "https" {
		tunnel = "CONNECT " + t.hostPort(true) + " HTTP/1.1\r\n" +
			"Host: " + t.hostPort(true) + "\r\n" +
			"User-Agent: " + agent + "\r\n\r\n"
	} else if proxied {
		at = t.url()
	}
	request = method + " " + at + " HTTP/1.1\r\n" +
		"Host: " + t.hostPort(false) + "\r\n" +
		"User-Agent: " + agent + "\r\n" +
		"Accept-Encoding: identity\r\n"
	if part != "" {
		request += "Range: " + part + "\r\n"
	}
	request += "Connection: close\r\n\r\n"
	return tunnel, request
}

// rangeOf is the value of the header Range (RFC 9110, 14.2) for a request; empty
// for the whole file.
func rangeOf(r Request) string {
	switch {
	case r.To > 0:
		return fmt.Sprintf("bytes=%d-%d", r.From, r.To-1)
	case r.From > 0:
		return fmt.Sprintf("bytes=%d-", r.From)
	}
	return ""
}

// partAt reads Content-Range (RFC 9110, 14.4): where an answer's content begins,
// and how long the whole is, -1 if that is not said.
func partAt(s string) (from, whole int64, ok bool) {
	span, total, ok1 := strings.Cut(strings.TrimPrefix(s, "bytes "), "/")
	first, last, ok2 := strings.Cut(span, "-")
	from, err1 := strconv.ParseInt(first, 10, 64)
	to, err2 := strconv.ParseInt(last, 10, 64)
	whole = -1
	if total != "*" {
		var err error
		if whole, err = strconv.ParseInt(total, 10, 64); err != nil || whole <= to {
			return 0, 0, false
		}
	}
	return from, whole, ok1 && ok2 && err1 == nil && err2 == nil && from >= 0 && to >= from && strings.HasPrefix(s, "bytes ")
}
