package settings

import (
	"errors"
	"testing"
)

// TestParse: what clamscan 1.4.6 took and what it refused.
func TestParse(t *testing.T) {
	known := func(n string) bool { return n != "CL_TYPE_FOO" }
	for _, c := range []struct {
		kind, line string
		want       error
	}{
		{"ftm", "0:0:51515151:Odd:CL_TYPE_ANY:CL_TYPE_ZIP", nil},
		{"ftm", "0:4:78:Odd:CL_TYPE_ANY:CL_TYPE_PDF:1:300", nil},
		{"ftm", "0:0:51515151:Odd:CL_TYPE_ANY:CL_TYPE_FOO", ErrForm},
		{"ftm", "0:0:5151515:Odd:CL_TYPE_ANY:CL_TYPE_PDF", ErrForm},
		{"ftm", "0:x:51515151:Odd:CL_TYPE_ANY:CL_TYPE_PDF", ErrForm},
		{"ftm", "2:0:51515151:Odd:CL_TYPE_ANY:CL_TYPE_PDF", ErrForm},
		{"ftm", "0:0:51515151:Odd:CL_TYPE_ANY", ErrForm},
		{"ftm", "1:0:5151??51:Odd:CL_TYPE_ANY:CL_TYPE_PDF", ErrOthers},
		{"pwdb", "P;Engine:81-255;0;geheim", nil},
		{"pwdb", "P;Engine:81-255;1;67656865696d", nil},
		{"pwdb", "P;Engine:81-255;2;geheim", ErrForm},
		{"pwdb", "P;Engine:81-255;1;6x", ErrForm},
		{"pwdb", "P;Engine:81-255;0", ErrForm},
		{"cfg", "PE:0xffff:1:255", ErrOthers},
		{"cfg", "XX:0x0:1:255", ErrOthers},
		{"cfg", "PE:zz:1:255", ErrForm},
		{"cfg", "PE:0:1:255", ErrForm},
	} {
		s, err := Parse(c.kind, c.line, known)
		if !errors.Is(err, c.want) {
			t.Errorf("%s %q: %v, want %v", c.kind, c.line, err, c.want)
		}
		if err == nil && c.kind == "pwdb" && string(s.Password) != "geheim" {
			t.Errorf("%q: %q", c.line, s.Password)
		}
	}
	s, err := Parse("ftm", "0:4:78:Odd:CL_TYPE_ANY:CL_TYPE_PDF", known)
	if err != nil || !s.Magic.In([]byte("QQQQx")) || s.Magic.In([]byte("QQQQ")) || s.Magic.In(nil) {
		t.Errorf("%+v, %v", s, err)
	}
}

// FuzzParse: no line makes it panic.
func FuzzParse(f *testing.F) {
	f.Add("0:4:78:Odd:CL_TYPE_ANY:CL_TYPE_PDF:1:300", []byte("QQQQx"))
	f.Add("P;Engine:81-255;1;67656865696d", []byte{})
	f.Fuzz(func(t *testing.T, line string, head []byte) {
		for _, kind := range []string{"ftm", "pwdb", "cfg"} {
			if s, err := Parse(kind, line, func(string) bool { return true }); err == nil && s.Magic != nil {
				s.Magic.In(head)
			}
		}
	})
}
