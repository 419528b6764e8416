package formats

import (
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// Mail of any form is read by one of two formats, and by no other.
func TestMailReads(t *testing.T) {
	for _, f := range All() {
		for _, ty := range []filetype.Type{filetype.Mail, filetype.MHTML} {
			if got := Reads(f.Name, ty); got != (f.Name == "mime" || f.Name == "mbox") {
				t.Errorf("%s reads %s: %v", f.Name, ty, got)
			}
		}
	}
	for _, s := range []string{"From here on it is dark\n", "From \x00\x01", ">From time to time\n", "Date: x\x00\n", "for: x; y\n", "Hi. This is the qmail-send\n", "X-EVS\n\n", "To: \n", "a\nFrom: b\nMIME-Version: 1.0\n"} {
		p := unpacktest.Probe(showcause.Bytes(s))
		read := false
		for _, f := range All() {
			read = read || Reads(f.Name, p.Type) && f.Match(p)
		}
		if !read || p.Type != filetype.Mail {
			t.Errorf("%q, %s, is not read", s, p.Type)
		}
	}
}

// Every format is listed once, is whole, and leaves ordinary bytes alone.
func TestAll(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range All() {
		if f.Name == "" || f.Match == nil || f.Walk == nil || seen[f.Name] {
			t.Errorf("format %q is not whole, or listed twice", f.Name)
		}
		seen[f.Name] = true
		for _, s := range []string{"", "\x00", "plain text of no kind\n"} {
			if f.Match(unpacktest.Probe(showcause.Bytes(s))) {
				t.Errorf("%s matches %q", f.Name, s)
			}
		}
	}
}
