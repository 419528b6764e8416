package exe

import (
	"bytes"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/unpack"
)

// TestEmbeddedInOthers holds that a PE file is found behind data, text and
// HTML as behind another PE file, and is not looked for in what other formats read.
func TestEmbeddedInOthers(t *testing.T) {
	a := plainPE().build()
	for _, c := range []struct {
		head string
		want int
	}{
		{"\x8f\x93\x00\x01" + string(fill(300, 1)), 1},
		{"some words of text\n", 1},
		{"#!/bin/sh\nexit\n", 1},
		{"<html><body>words</body></html>\n", 1},
		{"w\xc3\xb6rds of text\n", 1},
		{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + string(fill(600, 2)), 1},
		{"GIF89a" + string(fill(300, 3)), 0},
		{"\x1f\x8b\x08\x00" + string(fill(300, 4)), 0},
	} {
		src := showcause.Bytes(append([]byte(c.head), a...))
		head := src[:min(len(src), unpack.HeadSize)]
		f := Embedded(nil)
		p := &unpack.Probe{Type: filetype.Detect(head, src), Head: head, Source: src}
		n := 0
		if f.Match(p) {
			kids, _ := walk(f, src, showcause.Limits{})
			for _, k := range kids {
				if bytes.Equal(k, a) {
					n++
				}
			}
		}
		if n != c.want {
			t.Errorf("behind %.10q (%s): %d PE files, want %d", c.head, p.Type, n, c.want)
		}
	}
}
