package ruledb

import (
	"crypto/sha256"
	"fmt"
	"io"
)

// pageSize is the length in bytes of the pages that cold sections are proven by.
// It is a page of memory, so that to look something up is to fetch one.
const pageSize = 4096

// pageSum is what proves a page: the first 16 bytes of its SHA-256. The sums are
// proven at open, so that the bytes of a cold section may change under a database that
// is open, by whoever can write to its file, and are still refused.
type pageSum [16]byte

func sumPage(page []byte) pageSum {
	sum := sha256.Sum256(page)
	return pageSum(sum[:16])
}

// sumPages returns the sums of a section's pages.
func sumPages(data []byte) []pageSum {
	out := make([]pageSum, 0, pageCount(len(data)))
	for at := 0; at < len(data); at += pageSize {
		out = append(out, sumPage(data[at:min(at+pageSize, len(data))]))
	}
	return out
}

func pageCount(n int) int { return (n + pageSize - 1) / pageSize }

// pages is a section that Open does not read. What is read of it is copied, and
// proven at each reading.
type pages struct {
	name string
	from io.ReaderAt // the database
	at   int64       // where in it the section begins
	size int
	sums []pageSum
}

// page returns page i of the section, in buf, which has room for one.
func (p *pages) page(i int, buf []byte) ([]byte, error) {
	if i < 0 || i >= len(p.sums) {
		return nil, fmt.Errorf("page %d of %s: %w", i, p.name, ErrCorrupt)
	}
	buf = buf[:min(pageSize, p.size-i*pageSize)]
	if n, err := p.from.ReadAt(buf, p.at+int64(i)*pageSize); n < len(buf) {
		return nil, fmt.Errorf("page %d of %s: %v: %w", i, p.name, err, ErrCorrupt)
	}
	if sumPage(buf) != p.sums[i] {
		return nil, fmt.Errorf("checksum of page %d of %s: %w", i, p.name, ErrCorrupt)
	}
	return buf, nil
}

// read returns n bytes of the section, in memory of their own.
func (p *pages) read(off, n uint64) ([]byte, error) {
	if off > uint64(p.size) || n > uint64(p.size)-off {
		return nil, fmt.Errorf("%d bytes at %d of %s: %w", n, off, p.name, ErrCorrupt)
	}
	out := make([]byte, 0, n)
	var buf [pageSize]byte
	for uint64(len(out)) < n {
		at := off + uint64(len(out))
		page, err := p.page(int(at/pageSize), buf[:])
		if err != nil {
			return nil, err
		}
		page = page[at%pageSize:]
		out = append(out, page[:min(uint64(len(page)), n-uint64(len(out)))]...)
	}
	return out, nil
}

// all returns the whole section.
func (p *pages) all() ([]byte, error) { return p.read(0, uint64(p.size)) }
