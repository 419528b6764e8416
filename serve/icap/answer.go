package icap

import (
	"fmt"
	"html"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/showcause/showcause/serve/accept"
	"github.com/showcause/showcause/serve/queue"
)

// reasons are the words of status codes.
var reasons = map[int]string{
	200: "OK", 204: "No Modifications Needed", 400: "Bad Request", 404: "ICAP Service Not Found", 405: "Method Not Allowed For Service",
	408: "Request Timeout", 500: "Server Error", 503: "Service Overloaded", 505: "ICAP Version Not Supported",
}

// head writes the head of an answer. fields end in CR LF each.
func (t *talk) head(code int, last bool, fields string) {
	const date = "Mon, 02 Jan 2006 15:04:05 GMT"
	fmt.Fprintf(t.bw, "ICAP/1.0 %d %s\r\nServer: Showcause\r\nISTag: \"%s\"\r\nDate: %s\r\n", code, reasons[code], t.s.tag(), time.Now().UTC().Format(date))
	if last {
		_, _ = t.bw.WriteString("Connection: close\r\n")
	}
	_, _ = t.bw.WriteString(fields + "\r\n") // an error stays in bw for Flush
}

// options tells what there is.
func (t *talk) options(r *request, last bool) {
	methods := "RESPMOD, REQMOD"
	switch strings.Trim(r.service, "/") {
	case "reqmod":
		methods = "REQMOD"
	case "respmod":
		methods = "RESPMOD"
	}
	t.head(200, last, "Methods: "+methods+"\r\nService: Showcause "+accept.Word(t.s.o.Version, "")+
		"\r\nMax-Connections: "+strconv.Itoa(t.s.Max())+
		"\r\nOptions-TTL: "+strconv.Itoa(int(t.s.o.OptionsTTL/time.Second))+
		"\r\nAllow: 204\r\nPreview: "+strconv.Itoa(t.s.o.Preview)+
		"\r\nTransfer-Preview: *\r\nX-Include: X-Client-IP\r\nEncapsulated: null-body=0\r\n")
}

// same answers that nothing is to be changed: by 204 where the client can do with that,
// else by what it sent. stream is its body, nil if there is none.
func (t *talk) same(r *request, stream accept.Stream, last, preview bool) error {
	if r.allow || preview {
		t.head(204, last, "Encapsulated: null-body=0\r\n")
		return nil
	}
	name, hdr := "res", r.resHdr
	if r.method == "REQMOD" {
		name, hdr = "req", r.reqHdr
	}
	list := ""
	if len(hdr) > 0 {
		list = name + "-hdr=0, "
	}
	if stream == nil {
		t.head(200, last, fmt.Sprintf("Encapsulated: %snull-body=%d\r\n", list, len(hdr)))
		_, err := t.bw.Write(hdr)
		return err
	}
	f, err := stream.File()
	if err != nil {
		return &refusal{500, "body is not to be read"}
	}
	defer f.Close()
	t.head(200, last, fmt.Sprintf("Encapsulated: %s%s-body=%d\r\n", list, name, len(hdr)))
	_, _ = t.bw.Write(hdr)
	body, left := section(f, stream.Size()), stream.Size()
	var buf [16 << 10]byte
	for {
		n, err := io.ReadFull(body, buf[:])
		if n > 0 {
			fmt.Fprintf(t.bw, "%x\r\n", n)
			_, _ = t.bw.Write(buf[:n])
			if _, err := t.bw.WriteString("\r\n"); err != nil {
				return err
			}
			left -= int64(n)
		}
		if err != nil {
			break
		}
	}
	if left > 0 { // without its last chunk it is not taken for whole
		return io.ErrUnexpectedEOF
	}
	_, err = t.bw.WriteString("0\r\n\r\n")
	return err
}

// blocked answers with a page. The fields are those of draft-stecher-icap-subid-00: type 0 is
// a threat, type 2 something about a container; resolution 2 is that it does not pass.
func (t *talk) blocked(r *request, said *queue.Said, target string, last bool) {
	kind, what := "0", said.Failed
	if len(said.Names) > 0 {
		what = said.Names[0]
	} else {
		kind = "2"
	}
	word := accept.Word(what, ";")
	body := page(t.s.o.Page, what, target, len(said.Names) > 0, t.s.o.Version)
	hdr := "HTTP/1.1 403 Forbidden\r\nServer: Showcause\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: " + strconv.Itoa(len(body)) +
		"\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nContent-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\nConnection: close\r\n\r\n"
	if target == "" {
		target = "-"
	}
	fields := "X-Infection-Found: Type=" + kind + "; Resolution=2; Threat=" + word + ";\r\n"
	if kind == "0" {
		fields += "X-Virus-ID: " + word + "\r\n"
	}
	fields += "X-Violations-Found: 1\r\n " + target + "\r\n " + word + "\r\n 0\r\n 2\r\n"
	t.head(200, last, fields+fmt.Sprintf("Encapsulated: res-hdr=0, res-body=%d\r\n", len(hdr)))
	fmt.Fprintf(t.bw, "%s%x\r\n%s\r\n0\r\n\r\n", hdr, len(body), body)
}

// defaultPage is shown for what does not pass.
const defaultPage = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Blocked</title>
<style>body{font:16px/1.5 sans-serif;max-width:40em;margin:4em auto;padding:0 1em}code{word-break:break-all}</style></head>
<body><h1>This was not let through</h1>
<p>{{what}}: <code>{{name}}</code></p>
<p>Address: <code>{{url}}</code></p>
<p>Whoever looks after this network can say more. Showcause {{version}}</p>
</body></html>
`

// page fills a page in. Each word is escaped for text and quoted attributes.
func page(text, name, target string, found bool, version string) string {
	what := "It could not be checked"
	if found {
		what = "Found in it"
	}
	return strings.NewReplacer("{{name}}", html.EscapeString(name), "{{url}}", html.EscapeString(target), "{{what}}", what, "{{version}}", html.EscapeString(version)).Replace(text)
}
