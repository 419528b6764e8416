package engine

import (
	"bytes"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

// maxPDF is how much of a PDF file is looked through for objects, bytes, and
// maxPDFObjects how many are told of.
const (
	maxPDF        = 16 << 20
	maxPDFObjects = 1 << 16
)

// ReadPDF finds the indirect objects of a PDF file: wherever "obj" follows two
// numbers.
func ReadPDF(src showcause.Source) PDFFile {
	b, _ := bound.ReadAt(src, 0, min(src.Size(), maxPDF), maxPDF)
	f := PDFFile{Size: uint32(src.Size())}
	if i := bytes.Index(b[:min(len(b), 1024)], []byte("%PDF-")); i > 0 {
		f.Start, f.Size = uint32(i), f.Size-uint32(i)
		b = b[i:]
	}
	word := []byte("obj")
	for at := 0; len(f.Objects) < maxPDFObjects; {
		i := bytes.Index(b[at:], word)
		if i < 0 {
			break
		}
		at += i + len(word)
		generation, rest := lastNumber(b[max(at-40, 0) : at-len(word)])
		number, _ := lastNumber(rest)
		if generation < 0 || number < 0 {
			continue // endobj, or nothing
		}
		f.Objects = append(f.Objects, PDFObject{ID: uint32(number)<<8 | uint32(generation)&0xff, Start: uint32(at)})
	}
	return f
}

// lastNumber reads the number that b ends with but for blanks, and gives what stands
// before it: -1 if there is none.
func lastNumber(b []byte) (n int, rest []byte) {
	end := len(bytes.TrimRight(b, " \t\r\n\f\x00"))
	from := end
	for from > 0 && digit(b[from-1]) <= 9 {
		from--
	}
	if from == end || end == len(b) || end-from > 9 {
		return -1, nil
	}
	for _, c := range b[from:end] {
		n = n*10 + digit(c)
	}
	return n, b[:from]
}
