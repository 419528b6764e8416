package scan

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
)

// TestWalk holds that each layer is visited once, in order, with all of its
// bytes, and that gaps are told where they are met.
func TestWalk(t *testing.T) {
	pack := func(members ...string) string {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		for i := 0; i < len(members); i += 2 {
			f, _ := w.Create(members[i])
			io.WriteString(f, members[i+1])
		}
		w.Close()
		return b.String()
	}
	inner := pack("deep", "some text\n")
	broken := strings.Replace(pack("bad", strings.Repeat("a text that is cut ", 9)), "PK\x03\x04", "PK\x03\x04\xff", 1)
	page := `<html><img src="data:text/plain;base64,aGVsbG8gd29ybGQK"></html>`
	src := showcause.Bytes(pack("a.zip", inner, "b", "", "page", page, "broken", broken))
	var got []string
	sums := map[string]string{}
	gaps := 0
	r := Walk(src, Options{}, Visitor{
		Layer: func(l showcause.Layer, k filetype.Type) (int64, error) {
			b := make([]byte, l.Source.Size())
			l.Source.ReadAt(b, 0)
			got = append(got, fmt.Sprintf("%s|%s|%d", l.Trail, k, len(b)))
			sums[l.Trail.String()] = fmt.Sprintf("%x", sha256.Sum256(b))
			return int64(len(b)), nil
		},
		Gap: func(showcause.Gap) { gaps++ },
	})
	for trail, text := range map[string]string{"a.zip": inner, "a.zip / deep": "some text\n", "b": "", "page": page, "page / #0 view.html.data": "hello world\n"} {
		if want := fmt.Sprintf("%x", sha256.Sum256([]byte(text))); sums[trail] != want {
			t.Errorf("%s: %s, want %s", trail, sums[trail], want)
		}
	}
	if at := slices.IndexFunc(got, func(s string) bool { return strings.HasPrefix(s, "a.zip / deep|") }); at != 2 {
		t.Errorf("%q", got)
	}
	if gaps == 0 || gaps != len(r.Gaps) || r.Verdict != showcause.Incomplete || len(r.Findings) != 0 || r.Type != "zip" {
		t.Errorf("%d gaps told, %+v", gaps, r)
	}
	if int(r.Spent.Objects) < len(got) {
		t.Errorf("%d layers visited, %+v", len(got), r.Spent)
	}
}

// What the visitor cannot read is a gap.
func TestWalkUnread(t *testing.T) {
	for _, c := range []struct {
		err  error
		code showcause.Code
	}{{io.EOF, showcause.Changed}, {io.ErrClosedPipe, showcause.Unreadable}} {
		r := Walk(showcause.Bytes("some text\n"), Options{}, Visitor{Layer: func(showcause.Layer, filetype.Type) (int64, error) { return 4, c.err }})
		want := showcause.Gap{Code: c.code, Offset: 4, Length: 6}
		if len(r.Gaps) != 1 || fmt.Sprint(r.Gaps[0]) != fmt.Sprint(want) || r.Verdict != showcause.Incomplete {
			t.Errorf("%+v", r)
		}
	}
}
