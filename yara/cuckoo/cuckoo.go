// Package cuckoo reads reports of the Cuckoo sandbox for YARA's module of that name.
//
// Sources: documentation of the module; the report of Cuckoo 1 and 2 as it describes
// network and behavior.
package cuckoo

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Report is a report. The zero Report has nothing.
type Report struct {
	network  object
	behavior object
}

type object map[string]json.RawMessage

// Parse reads a report in JSON. What is not one has nothing.
func Parse(b []byte) *Report {
	r := &Report{}
	var top, behavior object
	if json.Unmarshal(b, &top) != nil {
		return r
	}
	top.get("network", &r.network)
	top.get("behavior", &behavior)
	behavior.get("summary", &r.behavior)
	return r
}

// Valid says whether b is JSON of the kind that a report is: an object, or an array,
// which yara takes too.
func Valid(b []byte) bool {
	b = bytes.TrimLeft(b, " \t\r\n")
	return len(b) > 0 && (b[0] == '{' || b[0] == '[') && json.Valid(b)
}

// get reads a value, false if there is none of that kind.
func (o object) get(name string, to any) bool {
	raw, ok := o[name]
	return ok && json.Unmarshal(raw, to) == nil
}

// list are the values of an array; what is not of kind T is left out.
func list[T any](o object, name string) (out []T) {
	var all []json.RawMessage
	o.get(name, &all)
	for _, raw := range all {
		var v T
		if string(raw) != "null" && json.Unmarshal(raw, &v) == nil {
			out = append(out, v)
		}
	}
	return out
}

// text is the text of that name.
func (o object) text(name string) (s string, ok bool) {
	var p *string
	if !o.get(name, &p) || p == nil {
		return "", false
	}
	return *p, true
}

// Domains are the names that were looked up. Newer reports have them as domains,
// older as hosts of dns.
func (r *Report) Domains() []string {
	return append(texts(r.network, "domains", "domain"), texts(r.network, "dns", "hostname")...)
}

// texts are the texts of one name in the objects of an array.
func texts(o object, array, name string) (out []string) {
	for _, e := range list[object](o, array) {
		if s, ok := e.text(name); ok {
			out = append(out, s)
		}
	}
	return out
}

// Requests are the addresses that were asked for by HTTP, by GET, POST or either.
func (r *Report) Requests(get, post bool) (out []string) {
	for _, e := range list[object](r.network, "http") {
		method, _ := e.text("method")
		uri, ok := e.text("uri")
		if ok && (get && strings.EqualFold(method, "get") || post && strings.EqualFold(method, "post")) {
			out = append(out, uri)
		}
	}
	return out
}

// UserAgents are the names that programs gave themselves in HTTP.
func (r *Report) UserAgents() []string { return texts(r.network, "http", "user-agent") }

// Connections are the addresses that were connected to by "tcp" or "udp" at a port.
func (r *Report) Connections(protocol string, port int64) (out []string) {
	for _, e := range list[object](r.network, protocol) {
		var at *int64
		dst, ok := e.text("dst")
		if ok && e.get("dport", &at) && at != nil && *at == port {
			out = append(out, dst)
		}
	}
	return out
}

// Hosts are the addresses that were talked to.
func (r *Report) Hosts() []string { return list[string](r.network, "hosts") }

// Keys are the keys of the registry that were used.
func (r *Report) Keys() []string { return list[string](r.behavior, "keys") }

// Files are the files that were used.
func (r *Report) Files() []string { return list[string](r.behavior, "files") }

// Mutexes are the locks that were used.
func (r *Report) Mutexes() []string { return list[string](r.behavior, "mutexes") }
