package rulescmd

import (
	"archive/zip"
	"bytes"
	"strings"
	"testing"
)

// TestFields: lines that are no more than their fields are said in words, and those that find
// something are tried on what they are about.
func TestFields(t *testing.T) {
	for _, c := range []struct{ kind, line, want string }{
		{"cdb", "A:CL_TYPE_ZIP:*:[.]exe$:*:3-9:1:*:*:*", "A: signature of a member of a container\n  the container is of type: CL_TYPE_ZIP\n  its name matches: [.]exe$\n  its bytes, unpacked: 3-9\n  encrypted (1) or not (0): 1\n"},
		{"", "A:*:*:one:*:*:*:*:*:*", "A: signature of a member of a container\n  its name matches: one\n"},
		{"crb", "C;0;aa;;bb;010001;1;0;0;0;x", "C: certificate\n  trusted (1) or revoked (0): 0\n  SHA-1 of its subject: aa\n  its key (RSA): bb\n  may sign programs: 1\n  may sign times: 0\n  may sign certificates: 0\n  comment: x\n"},
		{"ftm", "0:0:5151:Odd:CL_TYPE_ANY:CL_TYPE_MAIL", "Odd: file type\n  kind (0: by bytes at a place): 0\n  at byte: 0\n  stand the bytes: 5151\n  of what is: CL_TYPE_ANY\n  is read as: CL_TYPE_MAIL\n"},
	} {
		s, err := parse(c.line, c.kind)
		if err != nil {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		var b strings.Builder
		if err := describe(&b, s); err != nil || b.String() != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.line, err, b.String(), c.want)
		}
	}
	if _, err := parse("A:b", "pwdb:"); err == nil {
		t.Error("no kind")
	}
	var z bytes.Buffer
	w := zip.NewWriter(&z)
	f, err := w.Create("a.exe")
	if err != nil {
		t.Fatal(err)
	}
	f.Write([]byte("hello"))
	w.Close()
	for line, want := range map[string]bool{"A:CL_TYPE_ZIP:*:[.]exe$:*:*:*:*:*:*": true, "A:CL_TYPE_RAR:*:[.]exe$:*:*:*:*:*:*": false} {
		var b strings.Builder
		if got, err := try(&b, line, "cdb", z.Bytes()); err != nil || got != want || want && !strings.Contains(b.String(), "in the file itself, at 0") {
			t.Errorf("%s: %v, %v: %s", line, got, err, b.String())
		}
	}
	var b strings.Builder
	if _, err := try(&b, "P;Engine:81-255;0;word", "pwdb", z.Bytes()); err == nil || !strings.Contains(err.Error(), "nothing by itself") {
		t.Errorf("a password is tried: %v", err)
	}
}
