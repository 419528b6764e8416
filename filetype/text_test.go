package filetype

import (
	"strings"
	"testing"
)

// Tags that browsers act on make a text worth reading as HTML, in any letter
// case and place.
func TestLooksHTML(t *testing.T) {
	for s, want := range map[string]bool{
		"<html>": true, "<BODY\n>": true, "<script>": true, "<iframe src=x>": true, "<Embed/src=x>": true, "<object>": true, "<svg>": true,
		"<form action=x>": true, "<meta\tcharset=x>": true, "<a href=x>": true, "<a/href=x>": true, "<body": false, "<forms>": false,
		"": false, "<": false, "<<": false, "a < b": false, "if (a <b && c>d)": false, "vector<int>": false, "#include <stdio.h>": false, "<foo>": false,
	} {
		if got := LooksHTML([]byte(s)); got != want {
			t.Errorf("%q: %v", s, got)
		}
		if got := LooksHTML([]byte(strings.Repeat("text < text ", 5000) + s + " ")); s != "<body" && got != want {
			t.Errorf("late %q: %v", s, got)
		}
	}
}
