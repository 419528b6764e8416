package heuristic

import (
	"encoding/hex"
	"regexp"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

// Names are names of PDF that are written with escapes.
const Names = "Heuristics.PDF.ObfuscatedNameObject"

// maxNames is how much of a PDF file is looked through for names, bytes.
const maxNames = 64 << 20

// plainNames are those that no writer has reason to escape: clamscan 1.4.6 was seen to ask for these
// and no others of 60.
func plainNames() []string {
	return strings.Fields("ASCIIHexDecode ASCII85Decode A85 AHx EmbeddedFile FlateDecode Fl Image LZWDecode LZW RunLengthDecode RL CCITTFaxDecode CCF DCTDecode " +
		"DCT JBIG2Decode JPXDecode Crypt Standard Sig V R Linearized Filter JavaScript Length S Type OpenAction Launch Page Contents")
}

// namesCheck reads the rule about names. Its matches are the names, as they stand.
func namesCheck(options) (runner, error) {
	// A name has no white space and no delimiter (ISO 32000-1, 7.3.5); streams are passed over.
	tokens := regexp.MustCompile("(?s-i)endstream|stream|/[^\x00\t\n\f\r ()<>\\[\\]{}/%#]*#[0-9A-Fa-f]{2}[^\x00\t\n\f\r ()<>\\[\\]{}/%]*")
	escape := regexp.MustCompile("#[0-9A-Fa-f]{2}")
	plain := plainNames()
	return func(l *Layer) ([]showcause.Match, map[int]int, bool) {
		var f found
		if !l.is([]string{"pdf"}) {
			return nil, nil, true
		}
		n := min(l.Source.Size(), maxNames)
		b, err := bound.ReadAt(l.Source, 0, n, maxNames)
		whole := err == nil && int64(len(b)) == l.Source.Size() && l.Work(n/4)
		inside := false
		for _, at := range tokens.FindAllIndex(b, -1) {
			switch t := string(b[at[0]:at[1]]); {
			case t == "stream" || t == "endstream":
				inside = t == "stream"
			case !inside && slices.Contains(plain, escape.ReplaceAllStringFunc(t[1:], func(s string) string {
				c, _ := hex.DecodeString(s[1:])
				return string(c)
			})):
				f.add(0, [2]int64{int64(at[0]), int64(at[1] - at[0])})
			}
		}
		return f.matches, f.counts, whole
	}, nil
}
