// Package placed writes documents, mails and scripts with a marker in one place each: a
// stream, a macro, an attachment, a comment, under each filter and encoding that readers
// undo. It is the test of what is read of documents, beside clamscan.
package placed

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"io"
	"strings"
	"unicode/utf16"
)

// Marker stands in each file once. It is in small letters, so that what normalises text
// leaves it as it is.
const Marker = "placedq7w3zkx9vtmarker5h2"

// body is a text that the marker begins.
const body = Marker + " begins what stands in this place, and these words follow it.\n"

// Place is a file with the marker in one place.
type Place struct {
	Name string // what it is in, "pdf/filter/FlateDecode"
	Data []byte
}

// All returns them all, ordered by kind. Their names differ.
func All() []Place {
	var l list
	for _, part := range []func(*list){
		pdfFilters, pdfStructure, pdfValues, pdfSealed, openXML, openDocument, flatXML,
		compound, macros, workbooks, oldBooks, drawings, slides, messages, rich, richObjects, winmail, note, flash,
		mailEncodings, mailStructures, mailFields, cards, pages, scripts, wrapped, pictures,
	} {
		part(&l)
	}
	return l
}

type list []Place

func (l *list) add(name string, data []byte) { *l = append(*l, Place{name, data}) }

func (l *list) text(name, data string) { l.add(name, []byte(data)) }

var le = binary.LittleEndian

// must panics on an error of a writer to memory, which cannot be.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func deflated(s string) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 9)
	must(err)
	_, err = io.WriteString(w, s)
	must(err)
	must(w.Close())
	return b.Bytes()
}

func zlibbed(s string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, err := io.WriteString(w, s)
	must(err)
	must(w.Close())
	return b.String()
}

func base(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// lines is base64 in lines, as mail has it.
func lines(s string) string { return broken(base(s), 76, "\r\n") }

func broken(s string, n int, with string) string {
	var b strings.Builder
	for len(s) > n {
		b.WriteString(s[:n] + with)
		s = s[n:]
	}
	return b.String() + s + with
}

func digits(s string) string { return hex.EncodeToString([]byte(s)) }

// wide is UTF-16LE.
func wide(s string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = le.AppendUint16(b, u)
	}
	return string(b)
}

func big(s string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.BigEndian.AppendUint16(b, u)
	}
	return string(b)
}

func u16(n int) string { return string(le.AppendUint16(nil, uint16(n))) }

func u32(n int) string { return string(le.AppendUint32(nil, uint32(n))) }

// member is a file of a zip.
type member struct {
	name, data string
	stored     bool
}

// zipOf writes a zip with sizes in its local headers, as Office does.
func zipOf(members ...member) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.name, Method: zip.Deflate, CRC32: crc32.ChecksumIEEE([]byte(m.data)), UncompressedSize64: uint64(len(m.data))}
		packed := deflated(m.data)
		if m.stored {
			h.Method, packed = zip.Store, []byte(m.data)
		}
		h.CompressedSize64 = uint64(len(packed))
		w, err := z.CreateRaw(h)
		must(err)
		_, err = w.Write(packed)
		must(err)
	}
	must(z.Close())
	return b.Bytes()
}
