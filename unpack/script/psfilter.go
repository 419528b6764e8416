package script

import (
	"bufio"
	"encoding/ascii85"
	"io"
	"regexp"
	"strings"

	"github.com/klauspost/compress/zlib"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/lzw"
)

// unfiltered is said of data under a filter that is not undone, which codes the dots of a picture as a rule: what comes
// out of the ones in front of it is a child.
const unfiltered = showcause.Unsupported + ".method.ps.filter"

// maxFilters is how many filters of one call are undone.
const maxFilters = 8

// lateLZW tells codes that grow as those of GIF do, not one code early.
var lateLZW = regexp.MustCompile(`/EarlyChange\s+0`)

// letters undoes the encoding of the bytes in [from, to).
func (p *postScript) letters(from, to int64, encoding string) io.Reader {
	if encoding == "ASCIIHexDecode" {
		return p.open(stretch{from: from, to: to, coding: coding{kind: hexDigits}})
	}
	return ascii85.NewDecoder(bound.Reader(p.src, from, to-from))
}

// filtered undoes the filters that a text names, in order, as far as they are known. It is nil where one cannot begin.
func filtered(r io.Reader, filters string) (out io.Reader, known bool) {
	early := !lateLZW.MatchString(filters)
	for range maxFilters {
		at, next := len(filters), ""
		for _, f := range []string{"FlateDecode", "RunLengthDecode", "LZWDecode", "CCITTFaxDecode", "DCTDecode", "ASCII85Decode", "ASCIIHexDecode"} {
			if i := strings.Index(filters, "/"+f); i >= 0 && i < at {
				at, next = i, f
			}
		}
		switch next {
		case "":
			return r, true
		case "FlateDecode":
			z, err := zlib.NewReader(r)
			if err != nil {
				return nil, true
			}
			r = z
		case "RunLengthDecode":
			r = &runLengths{in: r}
		case "LZWDecode":
			r = lzw.New(bufio.NewReader(r), early)
		default: // a picture in a format of its own; dots; letters once more, which no program writes
			return r, next == "DCTDecode"
		}
		filters = filters[at+1:]
	}
	return r, false
}

// inPDF are filters as PDF has them in pictures of a page (ISO 32000-1, 8.9.7, table 94).
var inPDF = regexp.MustCompile(`/(A85|AHx|LZW|Fl|RL|CCF|DCT)\b`)

// streams gives what stands in streams and pictures in the notation of PDF, with a reader of which Ghostscript begins its
// programs (ps2write): <</Filter ...>>stream, and BI /F ... ID.
func (p *postScript) streams() {
	for _, s := range []struct{ begins, end, key string }{{">>stream", "endstream", "/Filter"}, {"\nID", "\nEI", "/F"}} {
		for at, ok := int64(0), true; ok; {
			if at, ok = p.find(at, s.begins); ok {
				at, ok = p.stream(at, at+int64(len(s.begins)), s.end, s.key)
			}
		}
	}
}

// stream gives what stands from at on, behind a line's end, if the words in front of head say that it is filtered. It returns
// where to look on, and whether to go on.
func (p *postScript) stream(head, at int64, end, key string) (int64, bool) {
	if !p.out.Work(16) {
		return 0, false
	}
	from := max(head-maxCall, 0)
	words := string(p.at(from, head-from))
	words = words[max(strings.LastIndex(words, "<<"), strings.LastIndex(words, "BI\n"), 0):]
	i := strings.Index(words, key)
	b := p.at(at, 2)
	if i < 0 || len(b) < 2 || !space(b[0]) {
		return at, true
	}
	if at++; b[0] == '\r' && b[1] == '\n' {
		at++
	}
	filters := inPDF.ReplaceAllStringFunc(words[i:], func(s string) string {
		return "/" + map[string]string{"A85": "ASCII85", "AHx": "ASCIIHex", "LZW": "LZW", "Fl": "Flate", "RL": "RunLength", "CCF": "CCITTFax", "DCT": "DCT"}[s[1:]] + "Decode"
	})
	to, ok := p.find(at, end)
	if !ok {
		to = p.size
	}
	r, stop := io.Reader(bound.Reader(p.src, at, to-at)), to
	filters = strings.TrimLeft(filters[len(key):], " \r\n[")
	switch encoding, mark := firstEncoding(filters); {
	case encoding != "":
		if k, ok := p.find(at, mark); ok && k < to {
			to = k
		}
		filters = filters[1+len(encoding):]
		r = p.letters(at, to, encoding)
	case !strings.Contains(filters, "Decode"):
		return stop, true // as it stands there
	}
	if r, known := filtered(r, filters); !p.give(r, known, at, to) {
		return 0, false
	}
	return stop, true
}

// firstEncoding is the encoding in letters that a list of filters begins with, and what ends it; "" for none.
func firstEncoding(filters string) (name, mark string) {
	switch {
	case strings.HasPrefix(filters, "/ASCII85Decode"):
		return "ASCII85Decode", "~>"
	case strings.HasPrefix(filters, "/ASCIIHexDecode"):
		return "ASCIIHexDecode", ">"
	}
	return "", ""
}
