package bound

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"

	"github.com/showcause/showcause"
)

func TestProbe(t *testing.T) {
	data := bytes.Repeat([]byte("abcdefgh"), 8192)
	copy(data[pageSize-3:], "12345\x00xyz")
	for name, src := range map[string]showcause.Source{"bytes": showcause.Bytes(data), "file": io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data)))} {
		p := NewProbe(src, nil)
		if got := p.Bytes(pageSize-3, 5); string(got) != "12345" {
			t.Errorf("%s: Bytes over two pages: %q", name, got)
		}
		if got := p.Bytes(5, int64(len(data))-5); !bytes.Equal(got, data[5:]) {
			t.Errorf("%s: Bytes of all pages", name)
		}
		if p.Bytes(int64(len(data))-1, 2) != nil || p.Bytes(-1, 2) != nil || p.Bytes(0, -1) != nil || p.Bytes(1<<62, 1<<62) != nil {
			t.Errorf("%s: Bytes outside", name)
		}
		if got, ended := p.Text(pageSize-3, 100); got != "12345" || !ended {
			t.Errorf("%s: Text = %q, %v", name, got, ended)
		}
		if got, ended := p.Text(0, 5); got != "abcde" || ended {
			t.Errorf("%s: Text = %q, %v", name, got, ended)
		}
		if got, ended := p.Text(pageSize+3, 1<<40); len(got) != len(data)-pageSize-3 || ended {
			t.Errorf("%s: Text to the end: %d, %v", name, len(got), ended)
		}
		if n, ok := p.Uint(binary.BigEndian, 0, 4); n != 0x61626364 || !ok {
			t.Errorf("%s: Uint = %#x, %v", name, n, ok)
		}
		if p.Short() || p.Err() != nil {
			t.Errorf("%s: short %v, %v", name, p.Short(), p.Err())
		}
	}
	if p := NewProbe(liar{}, nil); p.Bytes(0, 10) != nil || p.Err() == nil {
		t.Error("what cannot be read is there")
	}
	left := int64(100)
	p := NewProbe(showcause.Bytes(data), func(n int64) bool { left -= n; return left >= 0 })
	for i := range 1000 {
		if p.Bytes(0, 1) == nil {
			if i < 90 || !p.Short() {
				t.Errorf("%d reads, short %v", i, p.Short())
			}
			return
		}
	}
	t.Error("no end of the budget")
}
