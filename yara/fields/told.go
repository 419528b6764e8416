package fields

import (
	"github.com/showcause/showcause/binary/magic"
	"github.com/showcause/showcause/yara/cuckoo"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// magic has the functions of module magic. Package magic says how far they say what
// file(1) says.
func (l *Layer) magic() getter {
	var text, media string
	describe := func() {
		if text == "" {
			l.begins("\x00") // or it cannot be read
			text, media = magic.Describe(l.src, l.charge)
		}
	}
	return gets(func(name string) (module.Value, bool) {
		switch name {
		case "type":
			return function(func([]module.Value) module.Value { describe(); return module.TextValue(text) }), true
		case "mime_type":
			return function(func([]module.Value) module.Value { describe(); return module.TextValue(media) }), true
		}
		return module.Value{}, false
	})
}

// cuckoo has the functions of module cuckoo, of the report that the host has. Without
// one nothing was done.
func (l *Layer) cuckoo(d source.Dialect) getter {
	r := cuckoo.Parse(l.h.Files["cuckoo"])
	ask := func(texts func(a []module.Value) []string) module.Value {
		return function(func(a []module.Value) module.Value {
			w, ok := l.want(a[0], d)
			if !ok {
				return module.Value{}
			}
			defer l.exhausted(&w)
			for _, s := range texts(a) {
				if w.in(s, x(d)) { // a match of nothing is none in YARA 4
					return module.IntValue(1)
				}
			}
			return module.IntValue(0)
		})
	}
	all := func(texts func() []string) module.Value {
		return ask(func([]module.Value) []string { return texts() })
	}
	requests := func(get, post bool) module.Value {
		return all(func() []string { return r.Requests(get, post) })
	}
	connections := func(protocol string) module.Value {
		return ask(func(a []module.Value) []string { return r.Connections(protocol, a[1].Int) })
	}
	parts := module.Tree{
		"network": structure(module.Tree{
			"dns_lookup": all(r.Domains), "http_get": requests(true, false), "http_post": requests(false, true),
			"http_request": requests(true, true), "http_user_agent": all(r.UserAgents), "host": all(r.Hosts),
			"tcp": connections("tcp"), "udp": connections("udp"),
		}),
		"registry":   structure(module.Tree{"key_access": all(r.Keys)}),
		"filesystem": structure(module.Tree{"file_access": all(r.Files)}),
		"sync":       structure(module.Tree{"mutex": all(r.Mutexes)}),
	}
	return gets(func(name string) (module.Value, bool) {
		v, ok := parts[name]
		return v, ok
	})
}
