package pdf

import (
	"crypto/md5"
	"crypto/rc4"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// arc4Doc is the encryption of a file that the empty password opens (RC4, 40 bits), and
// what enciphers a stream of an object.
func arc4Doc(extra string) (encrypt string, seal func(num int, s string) string) {
	filler := "(\xbfN^Nu\x8aAd\x00NV\xff\xfa\x01\x08..\x00\xb6\xd0h>\x80/\x0c\xa9\xfedSiz"
	owner := strings.Repeat("o", 32)
	sum := md5.Sum([]byte(filler + owner + "\xfc\xff\xff\xff0123456789abcdef"))
	key := sum[:5]
	arc4 := func(key []byte, s string) string {
		c, _ := rc4.NewCipher(key)
		b := []byte(s)
		c.XORKeyStream(b, b)
		return string(b)
	}
	encrypt = fmt.Sprintf("<< /Filter /Standard /V 1 /R 2 /P -4 /O <%x> /U <%x> %s >>", owner, arc4(key, filler), extra)
	return encrypt, func(num int, s string) string {
		k := md5.Sum(append(slices.Clone(key), byte(num), byte(num>>8), byte(num>>16), 0, 0))
		return arc4(k[:10], s)
	}
}

const arc4ID = "/ID [<30313233343536373839616263646566> <00>] "

// silent are files that hide the marker where one reader finds it. It is found, or a gap
// says that something is unread.
func silent() map[string][]byte {
	js := "<< /S /JavaScript /JS <" + hexed(marker) + " >>"
	pack := func(dict, list, rest string) []byte {
		return newDoc().obj(1, "<< >>").obj(2, body(fmt.Sprintf("/Type /ObjStm /N 9 /Filter /FlateDecode "+dict, len(list)), deflated(list+rest))).end("")
	}
	redo := func(n int, first string, others string) []byte { // objects of one number, of which a table leads to the first
		d := newDoc().obj(1, "<< >>").obj(2, "<< /Filter 3 0 R >>\nstream\n"+hexed(text)+"\nendstream").obj(3, first)
		at := d.at[3]
		for range n {
			d.obj(3, others)
		}
		d.at[3] = at
		return d.end("")
	}
	enc, seal := arc4Doc("")
	encMeta, sealMeta := arc4Doc("/EncryptMetadata false")
	unsealed := body("/Filter /ASCIIHexDecode", hexed(text))
	two := "first\nendstream\nendobj\n"
	inner := newDoc().obj(9, "<< >>").end("")
	return map[string][]byte{
		"an open string in an object stream":               pack("/First %d", "7 0 8 8 ", "(       "+js),
		"values too deep in an object stream":              pack("/First %d", "7 0 ", strings.Repeat("[", 200)+js),
		"values too many in an object stream":              pack("/First %d", "7 0 ", "["+strings.Repeat("null ", maxValues)+js+"]"),
		"an object stream said to begin behind":            pack("/First 99999 /First %d", "7 0 ", js),
		"behind a deep one":                                pack("/First %d", "7 0 ", strings.Repeat("[", 200)+strings.Repeat("]", 200)+js),
		"an object of 16 MiB":                              one("<< " + strings.Repeat(" ", maxObject) + js[2:]),
		"five filters":                                     one(body("/Filter /Fl /Filter /Fl /Filter /A85 /Filter /RL /Filter /LZW /Filter /ASCIIHexDecode", hexed(text))),
		"three parameters":                                 one(body("/Filter [/AHx /Fl] /DecodeParms << /Predictor 1 >> /DecodeParms << /Predictor 1 /Columns 2 >> /DecodeParms [null << /Predictor 12 /Columns 7 >>]", hexed(deflated(pngRows(text, 7))))),
		"a filter of which there are many":                 redo(20, "/ASCIIHexDecode", "/RunLengthDecode"),
		"a filter that was taken away":                     redo(20, "/ASCIIHexDecode", "null"),
		"a filter behind references":                       newDoc().obj(1, "<< >>").obj(2, body("/Filter 3 0 R", hexed(text))).obj(3, "4 0 R").obj(4, "5 0 R").obj(5, "6 0 R").obj(6, "7 0 R").obj(7, "/ASCIIHexDecode").end(""),
		"a predictor that there is not":                    one(body("/Filter /FlateDecode /DecodeParms << /Predictor 5 /Columns 3 >>", deflated(text))),
		"a predictor too high":                             one(body("/Filter /FlateDecode /DecodeParms << /Predictor 99 /Columns 3 >>", deflated(text))),
		"two lengths":                                      one(fmt.Sprintf("<< /Length 6 /Length %d /Filter /ASCIIHexDecode >>\nstream\n616200\nendstream\n%s\nendstream", len("616200\nendstream\n"+hexed(text)), hexed(text))),
		"two lengths by reference":                         newDoc().obj(1, "<< >>").obj(2, "<< /Length 3 0 R /Filter /AHx >>\nstream\n"+two+hexed(text)+"\nendstream").obj(3, fmt.Sprint(len(two+hexed(text)))).obj(3, "5").end(""),
		"encryption that does not count":                   append(newDoc().obj(1, "<< >>").obj(2, unsealed).obj(3, enc).end(arc4ID+"/Encrypt 3 0 R "), one(unsealed)...),
		"metadata that are encrypted":                      newDoc().obj(1, "<< >>").obj(2, body("/Type /Metadata", sealMeta(2, text))).obj(3, encMeta).end(arc4ID + "/Encrypt 3 0 R "),
		"an encrypted file, an object far from its number": []byte(strings.Replace(string(newDoc().obj(1, "<< >>").obj(2, body("", seal(2, text))).obj(3, enc).end(arc4ID+"/Encrypt 3 0 R ")), "2 0 obj", "2 0"+strings.Repeat(" ", 90)+"obj", 1)),
		"a file in an encrypted file":                      newDoc().obj(1, "<< >>").obj(2, body("", string(inner)+"\n9 0 obj\n"+body("", seal(9, text))+"\nendobj\n")).obj(3, enc).end(arc4ID + "/Encrypt 3 0 R "),
		"no space before the word":                         []byte(strings.Replace(string(one("<< /JS <"+hexed(marker)+" >>")), "2 0 obj", "2 %\n0obj", 1)),
	}
}

// What may not be: nothing found, and nothing said to be unread.
func TestSilent(t *testing.T) {
	for name, b := range silent() {
		if r := unpacktest.Walk(t, Format(), b, showcause.Limits{}); !r.Contains(marker) && !r.Unread() {
			t.Errorf("%s: neither found nor a gap:\n%s", name, r)
		}
	}
}
