package main

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// corpusKind is files to scan: from the system, or made from seeds, the same each time.
type corpusKind struct {
	name, what string
	share      int // its size for 1,000 bytes of the programs'
	fill       func(b *bench, dir string, size int64) error
}

func corporaKinds() []corpusKind {
	return []corpusKind{
		{"programs", "programs and libraries of this system", 1000, func(b *bench, dir string, n int64) error {
			return b.copyFiles(dir, append(b.files, "/usr/lib"), n, isProgram)
		}},
		{"texts", "texts and source of this system", 150, func(b *bench, dir string, n int64) error {
			return b.copyFiles(dir, []string{"/usr/include", "/usr/share/doc", "/usr/lib/python3", "/usr/share", "/etc"}, n, isText)
		}},
		{"documents", "office documents, PDF and mail, made", 60, makeFiles(documents())},
		{"archives", "zip and tar.gz, made", 60, makeFiles(kinds()[2:4])},
		{"large", "one file, texts and noise in turn", 1000, func(_ *bench, dir string, n int64) error {
			return writeParts(filepath.Join(dir, "large"), n, newMaker(103, 0, vocabulary()).blob)
		}},
		{"tiny", "many small texts, median 4 KB", 0, func(b *bench, dir string, _ int64) error {
			return smallTree(dir, b.tiny())
		}},
		{"zeros", "one file of zeros", 250, func(_ *bench, dir string, n int64) error {
			return writeParts(filepath.Join(dir, "zeros"), n, func(n int) []byte { return make([]byte, n) })
		}},
		{"random", "one file of noise", 250, func(_ *bench, dir string, n int64) error {
			r := rand.NewChaCha8([32]byte{1})
			return writeParts(filepath.Join(dir, "random"), n, func(n int) []byte {
				b := make([]byte, n)
				_, _ = r.Read(b)
				return b
			})
		}},
	}
}

func corporaNames() (out []string) {
	for _, k := range corporaKinds() {
		out = append(out, k.name)
	}
	return out
}

// tiny is how many small files there are.
func (b *bench) tiny() int { return int(min(max(b.corpus*20, 50), smallFiles)) }

// corpusOf makes a corpus when it is first asked for, with the planted files in
// it, and reads it, so that it is in memory.
func (b *bench) corpusOf(name string) (*set, error) {
	if s := b.corpora[name]; s != nil {
		return s, nil
	}
	for _, k := range corporaKinds() {
		if k.name != name {
			continue
		}
		b.say("corpus %s: %s", k.name, k.what)
		dir := filepath.Join(b.tmp, "corpora", name)
		if err := k.fill(b, dir, b.corpus*1e3*int64(k.share)); err != nil {
			return nil, fmt.Errorf("corpus %s: %w", name, err)
		}
		for i := range plantedFiles {
			if err := write(filepath.Join(dir, "planted", strconv.Itoa(i)), planted(i)); err != nil {
				return nil, err
			}
		}
		s := &set{name: name, paths: []string{dir}}
		if err := s.read(); err != nil {
			return nil, err
		}
		b.corpora[name] = s
		return s, nil
	}
	return nil, fmt.Errorf("corpus %q: not known", name)
}

// isProgram: ELF, as they begin.
func isProgram(head []byte) bool { return bytes.HasPrefix(head, []byte("\x7fELF")) }

// isText: no zero byte, and no byte order mark, at the beginning.
func isText(head []byte) bool {
	return len(head) > 0 && bytes.IndexByte(head, 0) < 0 && !bytes.HasPrefix(head, []byte("\x1f\x8b")) && head[0] < 0x80
}

// copyFiles copies files that look right, up to size bytes, none twice and none
// over a quarter of the size.
func (b *bench) copyFiles(dir string, roots []string, size int64, right func(head []byte) bool) error {
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
			return write(filepath.Join(dir, fmt.Sprintf("%03d", n/100), fmt.Sprintf("%05d", n)), text)
		})
		if err != nil {
			return err
		}
	}
	if n == 0 {
		return fmt.Errorf("%w: no such files on this system", errAbsent)
	}
	return nil
}

// makeFiles fills a folder with files of some kinds, equal shares of each.
func makeFiles(kinds []kind) func(*bench, string, int64) error {
	return func(_ *bench, dir string, size int64) error {
		words := vocabulary()
		for k, kind := range kinds {
			for i, written := 0, int64(0); written < size/int64(len(kinds)); i++ {
				data := kind.file(newMaker(200+k, i, words))
				written += int64(len(data))
				if err := write(filepath.Join(dir, fmt.Sprintf("%03d/%05d%s", i/100, i, kind.ext)), data); err != nil {
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

// smallTree writes n texts. Sizes are as people's files have them: half of them
// below the median, a few far above.
func smallTree(dir string, n int) error {
	words := vocabulary()
	for i := range n {
		m := newMaker(100, i, words)
		size := int(smallSize * pow2(m.NormFloat64()*1.4))
		if err := write(filepath.Join(dir, fmt.Sprintf("%03d/%05d.txt", i/500, i)), m.text(min(max(size, 64), 1<<20))); err != nil {
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

// docx is a text document in an Open Packaging container (ECMA-376), the least
// that word processors take, and a picture of noise.
func (m *maker) docx() []byte {
	var body strings.Builder
	for range 5 + m.IntN(100) {
		fmt.Fprintf(&body, "<w:p><w:r><w:t>%s</w:t></w:r></w:p>", m.text(m.size(40, 800)))
	}
	const head = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"
	return zipOf([]member{
		{"[Content_Types].xml", []byte(head + `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>`)},
		{"_rels/.rels", []byte(head + `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>`)},
		{"word/document.xml", []byte(head + `<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>` + body.String() + `</w:body></w:document>`)},
		{"word/media/image1.bin", randomBytes(m.Rand, m.size(1<<10, 200<<10))},
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
		var z bytes.Buffer
		w := zlib.NewWriter(&z)
		_, err := fmt.Fprintf(w, "BT /F1 10 Tf 50 800 Td (%s) Tj ET", m.text(m.size(500, 6000)))
		must(err)
		must(w.Close())
		object(fmt.Sprintf("<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream", z.Len(), z.Bytes()))
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(at)+1)
	for _, a := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", a)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(at)+1, start)
	return b.Bytes()
}
