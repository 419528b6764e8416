package doubles

import (
	"testing"

	"github.com/showcause/showcause/yara/module"
)

func TestFields(t *testing.T) {
	if Fields("pe", nil, nil) != nil {
		t.Error("a module of another package")
	}
	f := Fields("tests", []byte("data"), nil)
	if got := f.Field("module_data").Text; got != "data" {
		t.Errorf("module_data is %q", got)
	}
	if got := Fields("tests", nil, nil).Field("module_data").Kind; got != module.Undefined {
		t.Errorf("module_data without data: %s", got)
	}
	one, _ := f.Field("constants").Ref.(module.Fields)
	if one == nil || one.Field("one").Int != 1 {
		t.Error("tests.constants.one is not 1")
	}
	p := Fields("test_proto2", nil, nil)
	if got := p.Field("int32_one"); got.Kind != module.Int || got.Int != 1 {
		t.Errorf("int32_one is %v", got)
	}
	// What is read of no file is not defined.
	if got := p.Field("int32_undef"); got.Kind != module.Undefined {
		t.Errorf("int32_undef is %v", got)
	}
}

func TestMatch(t *testing.T) {
	call := func(work func(int64) bool, re, flags, text string) module.Value {
		f := Fields("tests", nil, work).Field("match").Ref.(module.Function)
		return f([]module.Value{{Kind: module.Regexp, Text: re, Flags: flags}, module.TextValue(text)})
	}
	for _, c := range []struct {
		re, flags, text string
		want            int64
	}{
		{"foo", "", "foobar", 3}, {"foo", "", "xfoo", -1}, {"FOO", "i", "foo", 3}, {"a.b", "s", "a\nb", 3}, {"a.b", "", "a\nb", -1},
	} {
		if got := call(nil, c.re, c.flags, c.text); got.Kind != module.Int || got.Int != c.want {
			t.Errorf("match(/%s/%s, %q) is %v, want %d", c.re, c.flags, c.text, got, c.want)
		}
	}
	if got := call(func(int64) bool { return false }, "foo", "", "foo"); got.Kind != module.Undefined {
		t.Errorf("without steps: %v", got)
	}
	if got := call(nil, "(", "", "x"); got.Kind != module.Undefined {
		t.Errorf("of no expression: %v", got)
	}
}
