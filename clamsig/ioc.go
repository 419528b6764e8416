package clamsig

import (
	"encoding/hex"
	"encoding/xml"
	"io"
	"strings"

	"github.com/showcause/showcause/rule"
)

// maxIndicator is how many bytes of the text of an element are looked at.
const maxIndicator = 256

// ioc reads the digests of an OpenIOC file. As clamscan does it, every Content within an
// Indicator counts whose text is as long as a digest, whatever is asked of it; what follows where
// the XML breaks off does not.
func (f *file) ioc(r io.Reader) error {
	counted := &readError{Reader: r}
	d := xml.NewDecoder(counted)
	d.Strict = false
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // digests are ASCII
	indicators := 0
	var text []byte
	content := false
	for {
		token, err := d.RawToken()
		if err != nil {
			break
		}
		switch t := token.(type) {
		case xml.StartElement:
			switch t.Name.Local {
			case "Indicator":
				indicators++
			case "Content":
				content, text = indicators > 0, text[:0]
			}
		case xml.CharData:
			if content && len(text) < maxIndicator {
				text = append(text, t[:min(len(t), maxIndicator)]...)
			}
		case xml.EndElement:
			switch {
			case t.Name.Local == "Indicator" && indicators > 0:
				indicators--
			case t.Name.Local == "Content" && content:
				content = false
				f.line, _ = d.InputPos()
				f.indicator(strings.TrimSpace(string(text)))
			}
		}
	}
	line, _ := d.InputPos()
	f.stats.Lines = line
	return counted.err
}

// indicator takes the text of one Content.
func (f *file) indicator(text string) {
	sum, ok := map[int]rule.Sum{32: rule.MD5, 40: rule.SHA1, 64: rule.SHA256}[len(text)]
	digest, err := hex.DecodeString(text)
	if !ok || err != nil {
		return
	}
	base := f.name[strings.LastIndexByte(f.name, '/')+1:]
	name := base + "." + text
	f.l.digest = rule.DigestRule{
		Origin: f.origin(name, "<Indicator><Content>"+text+"</Content></Indicator>"), Sum: sum, Size: -1, Digest: string(digest),
	}
	if err := f.l.sink.Digest(&f.l.digest); err != nil {
		f.skip(name, outside(Pattern, "%v", err))
		return
	}
	f.stats.Loaded++
}

// readError keeps what is wrong with reading, which XML does not tell from its own errors.
type readError struct {
	io.Reader
	err error
}

func (r *readError) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}
