// Package made makes files to scan and rules to scan them with, from numbers that
// are the same each time and from what the system has. Every corpus holds a few
// planted files which every rule set that is made here finds.
package made

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"debug/pe"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maker makes files of one kind from random numbers that are the same each time.
type maker struct {
	*rand.Rand
	words   []string
	members int64 // bytes put into archives so far
}

// newMaker numbers its random numbers by the kind and the file.
func newMaker(kind, file int, words []string) *maker {
	return &maker{Rand: rand.New(rand.NewPCG(uint64(kind), uint64(file))), words: words}
}

// kind is a part of the corpus.
type kind struct {
	folder, ext string
	share       int // of 100 bytes, unpacked
	file        func(*maker) []byte
}

// Groups are the folders of the corpus, each a set of its own: a mean over all
// would hide that the cost of a byte depends on what it is part of.
func Groups() []string { return []string{"texts", "archives", "programs"} }

func kinds() []kind {
	return []kind{
		{"texts", ".txt", 15, func(m *maker) []byte { return m.text(m.size(2<<10, 40<<10)) }},
		{"texts", ".html", 15, func(m *maker) []byte { return m.html(m.size(4<<10, 80<<10)) }},
		{"archives", ".zip", 20, func(m *maker) []byte { return zipOf(m.choose()) }},
		{"archives", ".tar.gz", 20, func(m *maker) []byte { return tarOf(m.choose()) }},
		{"archives", ".eml", 15, func(m *maker) []byte { return m.mail(m.choose()) }},
		{"programs", ".exe", 15, func(m *maker) []byte { return m.pe(m.size(64<<10, 4<<20)) }},
	}
}

// Generate writes about total bytes under dir, counted unpacked, the same files each time, and the
// EICAR test file plain and in every container: four files that both must find
// when their rules know it.
func Generate(dir string, total int64) error {
	words := vocabulary()
	for k, kind := range kinds() {
		for i, written := 0, int64(0); written < total*int64(kind.share)/100; i++ {
			m := newMaker(k, i, words)
			data := kind.file(m)
			written += max(int64(len(data)), m.members)
			// A hundred files a folder, as people keep them.
			if err := Write(filepath.Join(dir, kind.folder, fmt.Sprintf("%03d/%05d%s", i/100, i, kind.ext)), data); err != nil {
				return err
			}
		}
	}
	eicar := []member{{"eicar.com", eicarFile()}}
	m := newMaker(99, 99, words)
	for name, data := range map[string][]byte{"texts/e.com": eicar[0].data, "archives/e.zip": zipOf(eicar), "archives/e.tar.gz": tarOf(eicar), "archives/e.eml": m.mail(eicar)} {
		if err := Write(filepath.Join(dir, name), data); err != nil {
			return err
		}
	}
	return nil
}

// eicarFile is the EICAR test file, put together here so that no file of the
// project is it.
func eicarFile() []byte {
	return []byte(`X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-` + `STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`)
}

// Write writes a file, and makes the folders that it is in.
func Write(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

// vocabulary is a few thousand words that are nobody's language.
func vocabulary() []string {
	r := rand.New(rand.NewPCG(7, 7))
	syllables := strings.Fields("an be co da el fi go ha in jo ke lu ma no or pe qui ra so ta un vi wo xa yo zu tion ing ment str")
	words := make([]string, 4000)
	for i := range words {
		for range 1 + r.IntN(4) {
			words[i] += syllables[r.IntN(len(syllables))]
		}
	}
	return words
}

// size takes a size between lo and hi bytes, small ones more often.
func (m *maker) size(lo, hi int) int {
	n := hi - lo
	return lo + m.IntN(m.IntN(n)+1)
}

func (m *maker) word() string {
	i := m.IntN(len(m.words))
	return m.words[m.IntN(i+1)] // common words first
}

func (m *maker) text(n int) []byte {
	b := make([]byte, 0, n+32)
	for column := 0; len(b) < n; column++ {
		b = append(b, m.word()...)
		switch {
		case column%97 == 96:
			b = append(b, ".\n\n"...)
		case column%12 == 11:
			b = append(b, '\n')
		default:
			b = append(b, ' ')
		}
	}
	return b
}

func (m *maker) html(n int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<!DOCTYPE html>\n<html><head><title>%s</title>\n<script>\nvar %s = \"%s\";\nfunction f(x) { return x.length; }\n</script></head><body>\n", m.word(), m.word(), m.word())
	for b.Len() < n {
		fmt.Fprintf(&b, "<h2 class=\"%s\">%s &amp; %s</h2>\n<p><a href=\"https://www.example.org/%s?%s=%d\">%s</a>\n%s</p>\n",
			m.word(), m.word(), m.word(), m.word(), m.word(), m.IntN(1000), m.word(), m.text(m.size(100, 1500)))
	}
	b.WriteString("</body></html>\n")
	return b.Bytes()
}

// member is a file in an archive.
type member struct {
	name string
	data []byte
}

func (m *maker) choose() []member {
	var out []member
	for i := range 2 + m.IntN(10) {
		switch m.IntN(8) {
		case 0:
			out = append(out, member{fmt.Sprintf("%d.exe", i), m.pe(m.size(64<<10, 1<<20))})
		case 1, 2:
			out = append(out, member{fmt.Sprintf("%d.html", i), m.html(m.size(4<<10, 200<<10))})
		default:
			out = append(out, member{fmt.Sprintf("%d.txt", i), m.text(m.size(16<<10, 1<<20))})
		}
	}
	for _, o := range out {
		m.members += int64(len(o.data))
	}
	return out
}

// must holds that writing to memory does not fail.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func zipOf(ms []member) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range ms {
		w, err := z.Create(m.name)
		must(err)
		_, err = w.Write(m.data)
		must(err)
	}
	must(z.Close())
	return b.Bytes()
}

func tarOf(ms []member) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, m := range ms {
		must(w.WriteHeader(&tar.Header{Name: m.name, Size: int64(len(m.data)), Mode: 0o644}))
		_, err := w.Write(m.data)
		must(err)
	}
	must(w.Close())
	must(z.Close())
	return b.Bytes()
}

// mail is a message with a text, the members attached, and all of them in a zip.
func (m *maker) mail(ms []member) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: a@example.org\r\nTo: b@example.org\r\nSubject: %s %s\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: multipart/mixed; boundary=\"cut-here\"\r\n\r\n--cut-here\r\nContent-Type: text/plain\r\n\r\n", m.word(), m.word())
	b.Write(bytes.ReplaceAll(m.text(m.size(200, 4000)), []byte("\n"), []byte("\r\n")))
	for _, a := range append(slices.Clip(ms[:min(len(ms), 2)]), member{"all.zip", zipOf(ms)}) {
		fmt.Fprintf(&b, "\r\n--cut-here\r\nContent-Type: application/octet-stream; name=%q\r\nContent-Disposition: attachment; filename=%q\r\nContent-Transfer-Encoding: base64\r\n\r\n", a.name, a.name)
		for line := base64.StdEncoding.EncodeToString(a.data); line != ""; {
			n := min(76, len(line))
			b.WriteString(line[:n] + "\r\n")
			line = line[n:]
		}
	}
	b.WriteString("--cut-here--\r\n")
	return b.Bytes()
}

// pe is a 32-bit PE file by its headers (Microsoft PE Format), with sections of
// bytes as frequent as in code, of words and of zeros. It does not run.
func (m *maker) pe(n int) []byte {
	const align = 512
	code, data := (n*6/10+align)&^(align-1), (n*4/10+align)&^(align-1)
	var b bytes.Buffer
	dos := make([]byte, 128)
	copy(dos, "MZ\x90\x00\x03")
	binary.LittleEndian.PutUint32(dos[60:], uint32(len(dos)))
	b.Write(dos)
	b.WriteString("PE\x00\x00")
	opt := pe.OptionalHeader32{
		Magic: 0x10b, SizeOfCode: uint32(code), SizeOfInitializedData: uint32(data), AddressOfEntryPoint: 0x1000,
		BaseOfCode: 0x1000, ImageBase: 0x400000, SectionAlignment: 0x1000, FileAlignment: align, MajorOperatingSystemVersion: 5,
		MajorSubsystemVersion: 5, SizeOfImage: uint32(code+data+0x3000) &^ 0xfff, SizeOfHeaders: align, Subsystem: 3, NumberOfRvaAndSizes: 16,
	}
	head := pe.FileHeader{Machine: pe.IMAGE_FILE_MACHINE_I386, NumberOfSections: 2, TimeDateStamp: 1 << 30, SizeOfOptionalHeader: uint16(binary.Size(opt)), Characteristics: 0x102}
	text := pe.SectionHeader32{Name: [8]byte{'.', 't', 'e', 'x', 't'}, VirtualSize: uint32(code), VirtualAddress: 0x1000, SizeOfRawData: uint32(code), PointerToRawData: align, Characteristics: 0x60000020}
	rest := pe.SectionHeader32{Name: [8]byte{'.', 'd', 'a', 't', 'a'}, VirtualSize: uint32(data), VirtualAddress: uint32(0x1000+code+0xfff) &^ 0xfff, SizeOfRawData: uint32(data), PointerToRawData: uint32(align + code), Characteristics: 0xc0000040}
	for _, part := range []any{head, opt, text, rest} {
		must(binary.Write(&b, binary.LittleEndian, part))
	}
	b.Write(make([]byte, align-b.Len()))
	m.code(&b, code)
	words := m.text(data / 2)[:data/2]
	b.Write(words)
	b.Write(make([]byte, data-len(words)))
	return b.Bytes()
}

// code writes n bytes that look like 32-bit x86: common opcodes, register bytes,
// small numbers, and here and there anything.
func (m *maker) code(b *bytes.Buffer, n int) {
	common := []byte{0x8b, 0x89, 0x55, 0xec, 0x83, 0xc4, 0xe8, 0x00, 0xff, 0x45, 0x74, 0x75, 0x0f, 0x84, 0x50, 0xc3, 0x33, 0xc0, 0x85, 0x6a, 0x01, 0x24, 0x8d, 0x4d, 0x5d, 0xeb, 0x04, 0x08, 0x10, 0x5e, 0x56, 0x57}
	for n > 0 {
		r := m.Uint64()
		for range min(n, 8) {
			c := common[r&31]
			if r&0xe0 == 0xe0 {
				c = byte(m.Uint32())
			}
			b.WriteByte(c)
			r >>= 8
			n--
		}
	}
}
