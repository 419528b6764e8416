// Package richtext reads what Office writes outside of compound files: RTF, the objects
// of OLE 1 that stand in it and in streams, TNEF, OneNote.
package richtext

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"
)

var le = binary.LittleEndian

const magic = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" // of compound files

// wide is UTF-16LE as UTF-8, without the zeros at its end.
func wide(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = le.Uint16(b[2*i:])
	}
	return strings.TrimRight(string(utf16.Decode(units)), "\x00")
}
