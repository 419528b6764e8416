package made

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrAbsent says that this system has no such files.
var ErrAbsent = errors.New("no such files on this system")

// Corpus is files to scan: from the system, or made from seeds, the same each time.
type Corpus struct {
	Name, What string
	share      int // its size for 1,000 bytes of the programs'
	fill       func(o Size, dir string, size int64) error
}

// Size is how much is made.
type Size struct {
	Programs int64    // bytes of the corpus of programs; the others are in proportion
	Roots    []string // where programs are looked for first
}

// Corpora are the corpora that there are.
func Corpora() []Corpus {
	return []Corpus{
		{"programs", "programs and libraries of this system", 1000, func(o Size, dir string, n int64) error {
			return copyFiles(dir, append(slices.Clone(o.Roots), "/usr/lib"), n, isProgram)
		}},
		{"texts", "texts and source of this system", 150, func(o Size, dir string, n int64) error {
			return copyFiles(dir, []string{"/usr/include", "/usr/share/doc", "/usr/lib/python3", "/usr/share", "/etc"}, n, isText)
		}},
		{"documents", "office documents, PDF and mail, made", 60, makeFiles(documents())},
		{"pdf", "PDF, made: with tables of cross-references, and with objects and cross-references in streams, pictures, a script and an attachment", 60, makeFiles(pdfs())},
		{"ooxml", "Office Open XML, made: texts with pictures, and tables", 60, makeFiles(ooxml())},
		{"archives", "zip and tar.gz, made", 60, makeFiles(kinds()[2:4])},
		{"large", "one file, texts and noise in turn", 1000, func(_ Size, dir string, n int64) error {
			return writeParts(filepath.Join(dir, "large"), n, newMaker(103, 0, vocabulary()).blob)
		}},
		{"tiny", "many small texts, median 4 KB", 0, func(o Size, dir string, _ int64) error {
			return SmallTree(dir, o.tiny())
		}},
		{"zeros", "one file of zeros", 250, func(_ Size, dir string, n int64) error {
			return writeParts(filepath.Join(dir, "zeros"), n, func(n int) []byte { return make([]byte, n) })
		}},
		{"random", "one file of noise", 250, func(_ Size, dir string, n int64) error {
			r := rand.NewChaCha8([32]byte{1})
			return writeParts(filepath.Join(dir, "random"), n, func(n int) []byte {
				b := make([]byte, n)
				_, _ = r.Read(b)
				return b
			})
		}},
	}
}

// tiny is how many small files there are.
func (o Size) tiny() int { return int(min(max(o.Programs/50_000, 50), SmallFiles)) }

// Fill makes a corpus in a folder, with the planted files and the EICAR test file
// in it, which sets that are somebody else's find.
func (c Corpus) Fill(o Size, dir string) error {
	if err := c.fill(o, dir, o.Programs*int64(c.share)/1000); err != nil {
		return fmt.Errorf("corpus %s: %w", c.Name, err)
	}
	for i := range PlantedFiles {
		if err := Write(filepath.Join(dir, "planted", strconv.Itoa(i)), Planted(i)); err != nil {
			return err
		}
	}
	return Write(filepath.Join(dir, "planted", "eicar.com"), eicarFile())
}

// isProgram: ELF, as they begin.
func isProgram(head []byte) bool { return bytes.HasPrefix(head, []byte("\x7fELF")) }

// isText: no zero byte, and no byte order mark, at the beginning.
func isText(head []byte) bool {
	return len(head) > 0 && bytes.IndexByte(head, 0) < 0 && !bytes.HasPrefix(head, []byte("\x1f\x8b")) && head[0] < 0x80
}

// copyFiles copies files that look right, up to size bytes, none twice and none
// over a quarter of the size.
func copyFiles(dir string, roots []string, size int64, right func(head []byte) bool) error {
	left, n := size, 0
	seen := map[string]bool{}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if left <= 0 {
				return fs.SkipAll
			}
			if err != nil || !e.Type().IsRegular() || seen[path] {
				return nil
			}
			i, err := e.Info()
			if err != nil || i.Size() == 0 || i.Size() > left || i.Size() > max(size/4, 1<<16) {
				return nil
			}
			text, err := os.ReadFile(path)
			if err != nil || !right(text[:min(len(text), 512)]) {
				return nil
			}
			seen[path] = true
			left -= int64(len(text))
			n++
			return Write(filepath.Join(dir, fmt.Sprintf("%03d", n/100), fmt.Sprintf("%05d", n)), text)
		})
		if err != nil {
			return err
		}
	}
	if n == 0 {
		return ErrAbsent
	}
	return nil
}

// makeFiles fills a folder with files of some kinds, equal shares of each.
func makeFiles(kinds []kind) func(Size, string, int64) error {
	return func(_ Size, dir string, size int64) error {
		words := vocabulary()
		for k, kind := range kinds {
			for i, written := 0, int64(0); written < size/int64(len(kinds)); i++ {
				data := kind.file(newMaker(200+k, i, words))
				written += int64(len(data))
				if err := Write(filepath.Join(dir, fmt.Sprintf("%03d/%05d%s", i/100, i, kind.ext)), data); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// writeParts writes a file of n bytes, a megabyte at a time.
func writeParts(path string, n int64, part func(n int) []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	for ; n > 0 && err == nil; n -= 1 << 20 {
		_, err = f.Write(part(int(min(n, 1<<20))))
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// Many small files.
const (
	SmallFiles = 20_000
	SmallSize  = 4 << 10 // median, bytes
)

// SmallTree writes n texts. Sizes are as people's files have them: half of them
// below the median, a few far above.
func SmallTree(dir string, n int) error {
	words := vocabulary()
	for i := range n {
		m := newMaker(100, i, words)
		size := int(SmallSize * pow2(m.NormFloat64()*1.4))
		if err := Write(filepath.Join(dir, fmt.Sprintf("%03d/%05d.txt", i/500, i)), m.text(min(max(size, 64), 1<<20))); err != nil {
			return err
		}
	}
	return nil
}

// documents are kinds of what an office sends.
func documents() []kind {
	return []kind{
		{"documents", ".docx", 1, (*maker).docx},
		{"documents", ".rtf", 1, (*maker).rtf},
		{"documents", ".pdf", 1, (*maker).pdf},
		{"documents", ".html", 1, func(m *maker) []byte { return m.html(m.size(4<<10, 80<<10)) }},
		{"documents", ".eml", 1, func(m *maker) []byte { return m.mail([]member{{"a.docx", m.docx()}, {"b.pdf", m.pdf()}}) }},
	}
}

func pdfs() []kind {
	return []kind{{"pdf", ".pdf", 1, (*maker).pdf}, {"pdf", "-packed.pdf", 1, (*maker).packedPDF}}
}

func ooxml() []kind {
	return []kind{{"ooxml", ".docx", 1, (*maker).docx}, {"ooxml", ".xlsx", 1, (*maker).xlsx}}
}

const xmlHead = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"

// docx is a text document in an Open Packaging container (ECMA-376), the least
// that word processors take, and a picture of noise.
func (m *maker) docx() []byte {
	var body strings.Builder
	for range 5 + m.IntN(100) {
		fmt.Fprintf(&body, "<w:p><w:r><w:t>%s</w:t></w:r></w:p>", m.text(m.size(40, 800)))
	}
	const head = xmlHead
	return zipOf([]member{
		{"[Content_Types].xml", []byte(head + `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>`)},
		{"_rels/.rels", []byte(head + `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>`)},
		{"word/document.xml", []byte(head + `<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>` + body.String() + `</w:body></w:document>`)},
		{"word/media/image1.bin", randomBytes(m.Rand, m.size(1<<10, 200<<10))},
	})
}

// xlsx is a workbook of one sheet of numbers and shared texts (ECMA-376).
func (m *maker) xlsx() []byte {
	var texts, rows strings.Builder
	count := 50 + m.IntN(500)
	for range count {
		fmt.Fprintf(&texts, "<si><t>%s</t></si>", m.text(m.size(8, 60)))
	}
	for r := range 100 + m.IntN(2000) {
		fmt.Fprintf(&rows, `<row r="%d">`, r+1)
		for c := range 12 {
			if cell := fmt.Sprintf("%c%d", 'A'+c, r+1); c%4 == 0 {
				fmt.Fprintf(&rows, `<c r="%s" t="s"><v>%d</v></c>`, cell, m.IntN(count))
			} else {
				fmt.Fprintf(&rows, `<c r="%s"><v>%.4f</v></c>`, cell, m.Float64()*1e5)
			}
		}
		rows.WriteString("</row>")
	}
	const (
		kinds   = "application/vnd.openxmlformats-officedocument.spreadsheetml."
		main    = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
		relates = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
		packs   = "http://schemas.openxmlformats.org/package/2006/"
	)
	return zipOf([]member{
		{"[Content_Types].xml", []byte(xmlHead + `<Types xmlns="` + packs + `content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="` + kinds + `sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="` + kinds + `worksheet+xml"/><Override PartName="/xl/sharedStrings.xml" ContentType="` + kinds + `sharedStrings+xml"/></Types>`)},
		{"_rels/.rels", []byte(xmlHead + `<Relationships xmlns="` + packs + `relationships"><Relationship Id="r1" Type="` + relates + `/officeDocument" Target="xl/workbook.xml"/></Relationships>`)},
		{"xl/workbook.xml", []byte(xmlHead + `<workbook xmlns="` + main + `" xmlns:r="` + relates + `"><sheets><sheet name="1" sheetId="1" r:id="r1"/></sheets></workbook>`)},
		{"xl/_rels/workbook.xml.rels", []byte(xmlHead + `<Relationships xmlns="` + packs + `relationships"><Relationship Id="r1" Type="` + relates + `/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="r2" Type="` + relates + `/sharedStrings" Target="sharedStrings.xml"/></Relationships>`)},
		{"xl/sharedStrings.xml", []byte(xmlHead + `<sst xmlns="` + main + `">` + texts.String() + `</sst>`)},
		{"xl/worksheets/sheet1.xml", []byte(xmlHead + `<worksheet xmlns="` + main + `"><sheetData>` + rows.String() + `</sheetData></worksheet>`)},
	})
}

// rtf is text with a picture in hex.
func (m *maker) rtf() []byte {
	var b bytes.Buffer
	b.WriteString("{\\rtf1\\ansi\\deff0{\\fonttbl{\\f0 Times;}}\n")
	for range 5 + m.IntN(60) {
		fmt.Fprintf(&b, "\\pard\\fs%d %s\\par\n", 18+m.IntN(10), m.text(m.size(40, 800)))
	}
	fmt.Fprintf(&b, "{\\pict\\wmetafile8 %x}\n}\n", randomBytes(m.Rand, m.size(1<<10, 60<<10)))
	return b.Bytes()
}

// pdf is pages of text, their streams deflated, with a table of cross-references
// (ISO 32000-1, 7.5).
func (m *maker) pdf() []byte {
	var b bytes.Buffer
	var at []int
	object := func(text string) {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", len(at), text)
	}
	b.WriteString("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
	pages := 1 + m.IntN(12)
	var kids strings.Builder
	for i := range pages {
		fmt.Fprintf(&kids, "%d 0 R ", 4+2*i)
	}
	object("<< /Type /Catalog /Pages 2 0 R >>")
	object(fmt.Sprintf("<< /Type /Pages /Count %d /Kids [ %s] >>", pages, kids.String()))
	object("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
	for i := range pages {
		object(fmt.Sprintf("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> /Contents %d 0 R >>", 5+2*i))
		z := deflated(fmt.Appendf(nil, "BT /F1 10 Tf 50 800 Td (%s) Tj ET", m.text(m.size(500, 6000))))
		object(fmt.Sprintf("<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream", len(z), z))
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(at)+1)
	for _, a := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", a)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(at)+1, start)
	return b.Bytes()
}

// deflated is what PDF calls FlateDecode.
func deflated(b []byte) []byte {
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	_, err := w.Write(b)
	must(err)
	must(w.Close())
	return z.Bytes()
}

// jpeg is a square picture of noise.
func (m *maker) jpeg(side int) []byte {
	var b bytes.Buffer
	must(jpeg.Encode(&b, &image.Gray{Pix: randomBytes(m.Rand, side*side), Stride: side, Rect: image.Rect(0, 0, side, side)}, nil))
	return b.Bytes()
}

// packedPDF is as writers make PDF since version 1.5: objects in a stream, cross-references in another
// (ISO 32000-1, 7.5.7 and 7.5.8), pictures of noise, a script, and an attached table.
func (m *maker) packedPDF() []byte {
	var b, packed, index bytes.Buffer
	pages := 1 + m.IntN(12)
	const fixed = 6 // catalog, pages, font, file, action, object stream
	where := make([][5]byte, fixed+3*pages+2)
	inside := 0
	pack := func(num int, text string) {
		where[num] = [5]byte{2, 0, 0, fixed, byte(inside)}
		fmt.Fprintf(&index, "%d %d ", num, packed.Len())
		packed.WriteString(text + "\n")
		inside++
	}
	stream := func(num int, dict string, data []byte) {
		at := b.Len()
		where[num] = [5]byte{1, byte(at >> 16), byte(at >> 8), byte(at), 0}
		fmt.Fprintf(&b, "%d 0 obj\n<<%s/Length %d>>\nstream\n%s\nendstream\nendobj\n", num, dict, len(data), data)
	}
	b.WriteString("%PDF-1.5\n%\xe2\xe3\xcf\xd3\n")
	var kids strings.Builder
	for i := range pages {
		n := fixed + 1 + 3*i
		fmt.Fprintf(&kids, "%d 0 R ", n)
		pack(n, fmt.Sprintf("<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 R>>/XObject<</I %d 0 R>>>>/Contents %d 0 R>>", n+2, n+1))
		stream(n+1, "/Filter/FlateDecode", deflated(fmt.Appendf(nil, "BT /F1 10 Tf 50 800 Td (%s) Tj ET q 99 0 0 99 50 50 cm /I Do Q", m.text(m.size(500, 6000)))))
		side := m.size(32, 200)
		stream(n+2, fmt.Sprintf("/Type/XObject/Subtype/Image/Width %d/Height %[1]d/BitsPerComponent 8/ColorSpace/DeviceGray/Filter/DCTDecode", side), m.jpeg(side))
	}
	pack(1, "<</Type/Catalog/Pages 2 0 R/OpenAction 5 0 R/Names<</EmbeddedFiles<</Names[(a.csv)<</Type/Filespec/F(a.csv)/EF<</F 4 0 R>>>>]>>>>>>")
	pack(2, fmt.Sprintf("<</Type/Pages/Count %d/Kids[%s]>>", pages, kids.String()))
	pack(3, "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>")
	stream(4, "/Type/EmbeddedFile/Filter/FlateDecode", deflated(m.text(m.size(200, 4000))))
	pack(5, fmt.Sprintf("<</S/JavaScript/JS(var n = %d; app.alert\\(n\\);)>>", m.IntN(1000)))
	stream(fixed, fmt.Sprintf("/Type/ObjStm/N %d/First %d/Filter/FlateDecode", inside, index.Len()), deflated(append(index.Bytes(), packed.Bytes()...)))
	start, last := b.Len(), len(where)-1
	where[last] = [5]byte{1, byte(start >> 16), byte(start >> 8), byte(start), 0}
	var table bytes.Buffer
	for _, w := range where {
		table.Write(w[:])
	}
	stream(last, fmt.Sprintf("/Type/XRef/Size %d/W[1 3 1]/Root 1 0 R/Filter/FlateDecode", len(where)), deflated(table.Bytes()))
	fmt.Fprintf(&b, "startxref\n%d\n%%%%EOF\n", start)
	return b.Bytes()
}

// pow2 is a rough 2 to the power of x, by halves and doubles.
func pow2(x float64) float64 {
	r := 1.0
	for ; x >= 1; x-- {
		r *= 2
	}
	for ; x < 0; x++ {
		r /= 2
	}
	return r * (1 + x)
}

// Blob is such bytes, made from two numbers.
func Blob(kind, file, n int) []byte { return newMaker(kind, file, vocabulary()).blob(n) }

// blob is n bytes that are partly text and partly noise, as programs and images are.
func (m *maker) blob(n int) []byte {
	b := make([]byte, 0, n)
	for len(b) < n {
		if m.IntN(2) == 0 {
			b = append(b, m.text(1<<16)...)
			continue
		}
		var noise [1 << 16]byte
		r := rand.NewChaCha8([32]byte{byte(len(b)), byte(len(b) >> 16), byte(len(b) >> 24)})
		_, _ = r.Read(noise[:])
		b = append(b, noise[:]...)
	}
	return b[:n]
}
