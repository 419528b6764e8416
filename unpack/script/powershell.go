package script

import (
	"bytes"
	"strings"
)

// How base64 is used, by what stands in front of it.
type usage uint8

const (
	notCalled usage = iota
	byCall          // of a function that decodes it
	byCommand       // it is an argument of PowerShell, in UTF-16LE
)

// decoders are what functions that decode base64 end in.
var decoders = []string{
	"frombase64string", "frombase64", "atob", "base64_decode", "b64decode", "base64decode", "decodebase64", "decode64", ".decode", "decodestring", "from_base64",
	"a2b_base64", "urlsafe_b64decode", "base64::decode", "decode_base64",
}

// decoderEnds are the letters that these end in.
var decoderEnds = classOf("bbeeggBBEEGG44")

// called tells how what follows b is used.
func called(b []byte) usage {
	word := bytes.TrimRight(b, " \t\r\n\"'`^(\\@[,")
	if n := len(word); n > 0 && decoderEnds[word[n-1]] {
		for _, name := range decoders {
			if endsFold(word, name) {
				return byCall
			}
		}
	}
	if len(word) == len(b) {
		return notCalled // an argument stands by itself
	}
	if isEncodedCommand(word) {
		return byCommand
	}
	return notCalled
}

// isEncodedCommand tells whether b ends in an option of PowerShell whose argument is base64:
// -EncodedCommand, -EncodedArguments, -ec, or a beginning of these, with any dash that it takes. What
// the command line takes out may stand in it.
func isEncodedCommand(b []byte) bool {
	word := make([]byte, 0, 24)
	i := len(b)
	for i > 0 && len(word) < len("encodedarguments")+1 {
		c := b[i-1]
		if c == '^' || c == '`' || c == '"' || c == '\'' {
			i--
			continue
		}
		if !letter(c) {
			break
		}
		word = append(word, lower(c))
		i--
	}
	if len(word) == 0 || i == 0 {
		return false
	}
	for l, r := 0, len(word)-1; l < r; l, r = l+1, r-1 {
		word[l], word[r] = word[r], word[l]
	}
	name := string(word)
	if name != "ec" && name != "ea" && !strings.HasPrefix("encodedcommand", name) && !strings.HasPrefix("encodedarguments", name) {
		return false
	}
	switch b[i-1] {
	case '-', '/', 0x96, 0x97: // dashes, those of Windows-1252 too
		return true
	case 0x93, 0x94, 0x95: // U+2013 to U+2015
		return i >= 3 && b[i-2] == 0x80 && b[i-3] == 0xe2
	}
	return false
}

// piped tells whether what ends at off is given to a program that decodes it.
func (f *finder) piped(off int64) bool {
	b := f.at(off, 48)
	i := bytes.IndexByte(b, '|')
	if i < 0 || i > 8 {
		return false
	}
	return containsFold(b[i:], "base64") || containsFold(b[i:], "b64decode")
}

func endsFold(b []byte, s string) bool {
	return len(b) >= len(s) && hasFold(b[len(b)-len(s):], s)
}

func containsFold(b []byte, s string) bool {
	return bytes.Contains(bytes.ToLower(b), []byte(s))
}
