package scan_test

import (
	"slices"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/scan"
)

// TestDecodedOnce holds that a page which says its character set of itself is decoded once, though
// what comes of it says so too.
func TestDecodedOnce(t *testing.T) {
	for _, page := range []string{
		"<html><meta charset=utf-7>1 + 1 is written 1 +- 1, and +AOk-</html>",
		"<?xml version='1.0' encoding='utf-7'?><svg>+AOk- and +ADw-</svg>",
		"<html><meta charset=iso-2022-jp>a\x1b(Bb</html>",
	} {
		var ops [][]string
		scan.Walk(showcause.Bytes(page), scan.Options{}, scan.Visitor{
			Layer: func(l showcause.Layer, _ filetype.Type) (int64, error) {
				var way []string
				for _, s := range l.Trail {
					way = append(way, s.Op)
				}
				ops = append(ops, way)
				return l.Source.Size(), nil
			},
			Gap: func(g showcause.Gap) { t.Errorf("%q: %v", page, g) },
		})
		if len(ops) != 2 || slices.ContainsFunc(ops, func(way []string) bool { return len(way) > 1 }) {
			t.Errorf("%q: %q", page, ops)
		}
	}
}
