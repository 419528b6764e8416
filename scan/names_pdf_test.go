package scan_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/showcause/showcause/heuristic"
)

// TestNamesAgainstClamscan holds PDF files with names that are written with escapes, or not, in
// dictionaries, arrays and streams, against clamscan.
func TestNamesAgainstClamscan(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	names := strings.Fields("ASCIIHexDecode ASCII85Decode A85 AHx EmbeddedFile FlateDecode Fl Image LZWDecode LZW RunLengthDecode RL CCITTFaxDecode CCF DCTDecode DCT JBIG2Decode " +
		"JPXDecode Crypt Standard Sig V R Linearized Filter JavaScript JS Length S Type OpenAction Launch Page Contents Pages Catalog AA URI GoToR Action Names EmbeddedFiles " +
		"Encrypt ObjStm XRef Root Kids Count Font XObject Subtype AcroForm XFA RichMedia SubmitForm DecodeParms Author Title Producer Annots Colors Foo F Params")
	escaped := func(s string) string {
		var b strings.Builder
		for i := range len(s) {
			switch r.IntN(6) {
			case 0:
				fmt.Fprintf(&b, "#%02x", s[i])
			case 1:
				fmt.Fprintf(&b, "#%02X", s[i])
			default:
				b.WriteByte(s[i])
			}
		}
		return b.String()
	}
	var samples []sample
	for i := range 400 {
		name := "/" + escaped(names[r.IntN(len(names))])
		dict, stream := "", "0 0 m"
		switch r.IntN(5) {
		case 0:
			dict = name + " (x)"
		case 1:
			dict = "/Sub << " + name + " /Y >>"
		case 2:
			dict = "/List [ /A " + name + " ]"
		case 3:
			dict = "/X" + name
		case 4:
			stream = "/Y " + name + " Do"
		}
		b := fmt.Sprintf("%%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R %s >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [] /Count 0 >>\nendobj\n"+
			"3 0 obj\n<< /Length %d >>\nstream\n%s\nendstream\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%%%EOF\n", dict, len(stream), stream)
		samples = append(samples, sample{fmt.Sprintf("%d %s", i, dict), []byte(b)})
	}
	counts := heuristicsAgainstClamscan(t, samples, heuristic.Options{Names: true}, nil, nil)
	if counts[heuristic.Names] < 80 || counts[""] < 80 {
		t.Errorf("%v", counts)
	}
}
