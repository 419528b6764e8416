package cuckoo

import (
	"fmt"
	"reflect"
	"testing"
)

const report = `{"info": {"id": 1}, "network": {
  "domains": [{"ip": "1.2.3.4", "domain": "new.example"}, {"ip": 5}, 7, null],
  "dns": [{"hostname": "old.example"}],
  "http": [{"method": "GET", "uri": "http://a/", "user-agent": "one"}, {"method": "post", "uri": "http://b/"}, {"method": "PUT", "uri": "http://c/", "user-agent": "two"}, {"uri": "http://d/"}],
  "tcp": [{"dst": "10.0.0.1", "dport": 443}, {"dst": "10.0.0.2", "dport": 80}, {"dst": "10.0.0.3"}, {"dst": "10.0.0.4", "dport": "443"}],
  "udp": [{"dst": "10.0.0.9", "dport": 53}],
  "hosts": ["10.0.0.1", 5, "10.0.0.9"]},
 "behavior": {"summary": {"keys": ["HKLM\\x"], "files": ["C:\\a", "C:\\b"], "mutexes": ["m"]}}}`

func TestParse(t *testing.T) {
	r := Parse([]byte(report))
	for what, c := range map[string]struct{ got, want []string }{
		"domains":  {r.Domains(), []string{"new.example", "old.example"}},
		"get":      {r.Requests(true, false), []string{"http://a/"}},
		"post":     {r.Requests(false, true), []string{"http://b/"}},
		"requests": {r.Requests(true, true), []string{"http://a/", "http://b/"}},
		"agents":   {r.UserAgents(), []string{"one", "two"}},
		"tcp":      {r.Connections("tcp", 443), []string{"10.0.0.1"}},
		"udp":      {r.Connections("udp", 53), []string{"10.0.0.9"}},
		"other":    {r.Connections("udp", 54), nil},
		"hosts":    {r.Hosts(), []string{"10.0.0.1", "10.0.0.9"}},
		"keys":     {r.Keys(), []string{"HKLM\\x"}},
		"files":    {r.Files(), []string{"C:\\a", "C:\\b"}},
		"mutexes":  {r.Mutexes(), []string{"m"}},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s: %q, want %q", what, c.got, c.want)
		}
	}
}

// all is everything that a report says.
func all(b []byte) string {
	r := Parse(b)
	return fmt.Sprint(r.Domains(), r.Requests(true, true), r.UserAgents(), r.Connections("tcp", 443), r.Hosts(), r.Keys(), r.Files(), r.Mutexes())
}

func TestNone(t *testing.T) {
	want := all(nil)
	for _, s := range []string{"", "[]", "null", "5", `{"network": []}`, `{"network": null, "behavior": {"summary": 5}}`, `{"network": {"hosts": {}, "tcp": [[]]}}`, report[:len(report)-1]} {
		if got := all([]byte(s)); got != want {
			t.Errorf("%.40q: %s", s, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(report))
	f.Fuzz(func(t *testing.T, b []byte) {
		if one, two := all(b), all(b); one != two {
			t.Error("two answers")
		}
	})
}
