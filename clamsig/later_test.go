package clamsig

import "testing"

// TestLater holds what is read of subsignatures that are decided after others.
func TestLater(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{`N;Target:0;0&1;4142;0/a;b\/;c/i`, `rule N.UNOFFICIAL target=0 (0>0&1>0) [4142] [if 0>0 "a;b/;c"i]`},
		{"N;Target:0;0&1;4142;7,2:0>1/a:b/gresmxAEU", `rule N.UNOFFICIAL target=0 (0>0&1>0) [4142] [@1.0+7,2 if 0>1 g r e A "a:b"]`},
		{`N;Target:1;0&1&2;4142;0/x\x3By/;EP+3:(0|1)/\x00[^a]z?/r`, `rule N.UNOFFICIAL target=1 (0>0&1>0&2>0) [4142] [if 0>0 "x;y"] [@3.0+3,0 if (0>0|1>0) r]`},
		{"N;Target:0;0&1;4142;0(>>4#ib2#>5,<0x19)", "rule N.UNOFFICIAL target=0 (0>0&1>0) [4142] [if 0>0 from 0+4 form 0 little false exact false width 2 [{0 5} {2 25}]]"},
		{"N;Target:0;0&1;4142;0(<<010#hle4#=0xBEEF)", "rule N.UNOFFICIAL target=0 (0>0&1>0) [4142] [if 0>0 from 0-8 form 1 little true exact true width 4 [{1 48879}]]"},
		{"N;Target:0;0&1;4142;0(0#e4#=1)", "rule N.UNOFFICIAL target=0 (0>0&1>0) [4142] [if 0>0 from 0+0 form 4 little false exact true width 4 [{1 1}]]"},
		{"N;Target:0;0&1;1(>>4#db2#=9);4142", "rule N.UNOFFICIAL target=0 (0>0&1>0) [if 1>0 from 1+4 form 2 little false exact false width 2 [{1 9}]] [4142]"},

		{"N;Target:0;0;fuzzy_img#0011223344556677#0", "rule N.UNOFFICIAL target=0 0>0 [image 0011223344556677 within 0]"},
		{"N;Target:5;0&1;4142;fuzzy_img#AF2ad01ed42993c7#12", "rule N.UNOFFICIAL target=5 (0>0&1>0) [4142] [image af2ad01ed42993c7 within 12]"},

		{"N;Target:0;0;fuzzy_img#0011223344556677#64", `skip x.ldb:1 N.UNOFFICIAL malformed: subsignature 0: fuzzy image hash "0011223344556677#64"`},
		{"N;Target:0;0&1;4142;0/a(b/", "skip x.ldb:1 N.UNOFFICIAL malformed: subsignature 1: regular expression: opening parenthesis without a closing one"},
		{"N;Target:0;0&1;4142;0//", `skip x.ldb:1 N.UNOFFICIAL malformed: subsignature 1: regular expression "0//"`},
		{"N;Target:0;0&1;4142;0/ab/w", `skip x.ldb:1 N.UNOFFICIAL malformed: subsignature 1: flags "w" of a regular expression`},
		{"N;Target:0;0&1;4142;1/ab/", "skip x.ldb:1 N.UNOFFICIAL malformed: subsignature 1: regular expression triggered by subsignature 1"},
		{"N;Target:0;0&1;4142;0(>>4#dl2#>5)", `skip x.ldb:1 N.UNOFFICIAL malformed: subsignature 1: byte comparison "0(>>4#dl2#>5)"`},
		{"N;Target:0;0&1&2;4142;0/ab/;1(>>4#ib2#>5)", "skip x.ldb:1 N.UNOFFICIAL byte-compare: counts from subsignature 1, which is none over bytes"},
		{"N;Target:0;0&1;4142;9(>>4#ib2#>5)", "skip x.ldb:1 N.UNOFFICIAL byte-compare: subsignature 1: counts from subsignature 9"},
	} {
		got, _ := load(t, "x.ldb", tt.line+"\n", Options{})
		if len(got) != 1 || got[0] != tt.want {
			t.Errorf("%s:\n got %q\nwant %q", tt.line, got, tt.want)
		}
	}
}
