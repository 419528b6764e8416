package ruledb

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/showcause/showcause/rule"
)

const (
	maxName  = math.MaxUint16 // bytes of the name of a rule for exact bytes
	maxRules = math.MaxInt32
	// So many stems, and texts of so many bytes, are stored once. The rest of a set with
	// more is stored as it comes: what is known of all would take more memory than they.
	mostStems, mostTexts, longText = 1 << 20, 1 << 16, 64
)

// blob is bytes in chunks: it grows without being copied.
type blob struct {
	chunks [][]byte
	size   int
}

const leastChunk, mostChunk = 256, 64 << 10

// append appends p, which is not cut.
func (b *blob) append(p []byte) {
	last := len(b.chunks) - 1
	if last < 0 || cap(b.chunks[last])-len(b.chunks[last]) < len(p) {
		n := leastChunk
		if last >= 0 {
			n = min(2*cap(b.chunks[last]), mostChunk)
		}
		b.chunks = append(b.chunks, make([]byte, 0, max(n, len(p))))
		last++
	}
	b.chunks[last] = append(b.chunks[last], p...)
	b.size += len(p)
}

// staged is the rules of a digest table, until Finish: each is its digest and its
// digestMeta. They are apart by the digest's first byte.
type staged struct {
	n       int
	buckets [256]blob
}

// Digest adds a rule for exact bytes.
func (b *Builder) Digest(d *rule.DigestRule) error {
	if want := sumSize(d.Sum); len(d.Digest) != want {
		return fmt.Errorf("digest of %d bytes, want %d", len(d.Digest), want)
	}
	name, flags := splitName(d.Name)
	if len(name) > maxName {
		return fmt.Errorf("name of %d bytes: too long", len(name))
	}
	m := digestMeta{size: anySize, line: uint64(d.Line), file: uint64(b.file(d.Staged())) << digestFlags}
	if d.Size >= 0 {
		m.size = uint64(d.Size)
	}
	if flags&flagUnofficial != 0 {
		m.file |= digestUnofficial
	}
	m.stem, m.number = b.stem(name)
	b.scratch = appendDigestText(b.scratch[:0], d.Scope, m.size, []byte(d.Digest), name)
	if n := len(b.scratch); len(d.Text) < n || d.Text[:n] != string(b.scratch) {
		m.text = uint64(b.text(d.Text))
	} else if len(d.Text) > n {
		m.text, m.file = uint64(b.text(d.Text[n:])), m.file|digestRest
	}
	part := digestPart(d.Scope, d.Sum, d.Allow)
	if b.digests == nil {
		b.digests = map[uint32]*staged{}
	}
	s := b.digests[part]
	if s == nil {
		s = &staged{}
		b.digests[part] = s
	}
	s.n++
	b.scratch = m.append(append(b.scratch[:0], d.Digest...))
	s.buckets[d.Digest[0]].append(b.scratch)
	return b.err
}

// stem stores a name but for its number, and returns where.
func (b *Builder) stem(name string) (at, number uint64) {
	stem, cut, number := splitStem(name)
	b.scratch = appendStem(b.scratch[:0], stem, cut)
	if at, ok := b.stemAt[string(b.scratch)]; ok {
		return uint64(at), number
	}
	have := b.stems.size
	if !b.fits(have, len(b.scratch)) {
		return 0, 0
	}
	b.stems.append(b.scratch)
	if b.stemAt == nil {
		b.stemAt = map[string]uint32{}
	}
	if len(b.stemAt) < mostStems {
		b.stemAt[string(b.scratch)] = uint32(have)
	}
	return uint64(have), number
}

// splitStem cuts the longest number out of a name ("Win.Trojan.Agent-1234567-0"),
// which stood at cut; number is 1 more than it, 0 if there is none.
func splitStem(name string) (stem string, cut int, number uint64) {
	const most = 18 // digits: they fit in 63 bits
	n := 0
	for i := 0; i < len(name); {
		if name[i] < '0' || name[i] > '9' {
			i++
			continue
		}
		end := i
		for end < len(name) && name[end] >= '0' && name[end] <= '9' {
			end++
		}
		if k := end - i; k > n && k <= most && (name[i] != '0' || k == 1) {
			cut, n = i, k
		}
		i = end
	}
	if n == 0 {
		return name, 0, 0
	}
	number, _ = strconv.ParseUint(name[cut:cut+n], 10, 64) // digits that fit
	return name[:cut] + name[cut+n:], cut, number + 1
}

// appendStem appends a stem as it is stored: uvarints of where the number goes and of
// the length, and the bytes.
func appendStem(to []byte, stem string, cut int) []byte {
	to = binary.AppendUvarint(to, uint64(cut))
	to = binary.AppendUvarint(to, uint64(len(stem)))
	return append(to, stem...)
}

// text stores a text that a digestMeta leads to. A short one is stored once.
func (b *Builder) text(s string) uint32 {
	if at, ok := b.textAt[s]; ok {
		return at
	}
	at, _ := b.textPiece(string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s)
	if b.textAt == nil {
		b.textAt = map[string]uint32{}
	}
	if len(s) <= longText && len(b.textAt) < mostTexts {
		b.textAt[strings.Clone(s)] = at + 1
	}
	return at + 1
}

// appendDigestText appends the text of a rule as ClamAV writes it (documentation, "File
// hash signatures"). Rules whose text is another keep theirs.
func appendDigestText(to []byte, s rule.Scope, size uint64, digest []byte, name string) []byte {
	if s != rule.PESection {
		to = append(hex.AppendEncode(to, digest), ':')
	}
	if size == anySize {
		to = append(to, '*')
	} else {
		to = strconv.AppendUint(to, size, 10)
	}
	to = append(to, ':')
	if s == rule.PESection {
		to = append(hex.AppendEncode(to, digest), ':')
	}
	return append(to, name...)
}

// digestPart is the part number of a digest table.
func digestPart(s rule.Scope, sum rule.Sum, allow bool) uint32 {
	p := uint32(s)<<4 | uint32(sum)<<1
	if allow {
		p |= 1
	}
	return p
}

func sumSize(s rule.Sum) int {
	switch s {
	case rule.MD5:
		return 16
	case rule.SHA1:
		return 20
	}
	return 32
}

// digestTables lays out the digest tables.
func (b *Builder) digestTables() []section {
	var out []section
	for _, part := range slices.Sorted(maps.Keys(b.digests)) {
		sizes, index, pages := b.digests[part].table(sumSize(rule.Sum(part >> 1 & 7)))
		delete(b.digests, part)
		out = append(out, section{kind: secSizes, part: part, data: raw(sizes.rows)}, section{kind: secSizeLows, part: part, data: raw(sizes.lows)},
			section{kind: secDigestIndex, part: part, data: raw(index)}, section{kind: secDigests, part: part, blob: pages})
	}
	return append(out, section{kind: secStems, blob: b.stems})
}

// table lays out a table of digests of width bytes, and forgets what was staged. Some
// buckets at a time are sorted side by side.
func (s *staged) table(width int) (sizeSet, []indexRow, blob) {
	batch := 2 * runtime.GOMAXPROCS(0)
	var w pageWriter
	sizes := make([]uint64, 0, s.n)
	for at := 0; at < len(s.buckets); at += batch {
		some := s.buckets[at:min(at+batch, len(s.buckets))]
		sorted := make([][]stagedRule, len(some))
		flat := make([][]byte, len(some))
		var wait sync.WaitGroup
		for i := range some {
			if some[i].size > 0 {
				wait.Go(func() {
					flat[i], sorted[i] = sortStaged(&some[i], width)
					some[i] = blob{}
				})
			}
		}
		wait.Wait()
		for i := range some {
			for _, r := range sorted[i] {
				sizes = append(sizes, r.size)
				w.add(flat[i][r.at:r.end], width)
			}
		}
	}
	w.flush()
	return newSizeSet(sizes), w.index, w.out
}

// stagedRule is where a rule stands in its bucket.
type stagedRule struct {
	key, size uint64
	at, end   int
}

// sortStaged returns the bytes of a bucket and its rules: by digest, by size, and then
// as they were added.
func sortStaged(b *blob, width int) (flat []byte, rules []stagedRule) {
	flat = slices.Concat(b.chunks...)
	rules = make([]stagedRule, 0, len(flat)/(width+8))
	for at := 0; at < len(flat); {
		m, n := readMeta(flat[at+width:])
		end := at + width + n
		rules = append(rules, stagedRule{binary.BigEndian.Uint64(flat[at:]), m.size, at, end})
		at = end
	}
	slices.SortFunc(rules, func(x, y stagedRule) int {
		if x.key != y.key {
			return cmp.Compare(x.key, y.key)
		}
		return cmp.Or(bytes.Compare(flat[x.at:x.at+width], flat[y.at:y.at+width]), cmp.Compare(x.size, y.size), cmp.Compare(x.at, y.at))
	})
	return flat, rules
}

// pageWriter fills the pages of a digest table.
type pageWriter struct {
	out            blob
	index          []indexRow
	first, n       uint32
	digests, metas []byte
}

// add adds a rule: its digest and its digestMeta.
func (w *pageWriter) add(r []byte, width int) {
	if 2+len(w.digests)+len(w.metas)+len(r) > pageSize {
		w.flush()
	}
	w.digests, w.metas = append(w.digests, r[:width]...), append(w.metas, r[width:]...)
	w.n++
}

// flush ends a page, which zeros fill up.
func (w *pageWriter) flush() {
	if w.n == 0 {
		return
	}
	page := make([]byte, 0, pageSize)
	page = binary.LittleEndian.AppendUint16(page, uint16(w.n))
	page = append(append(page, w.digests...), w.metas...)
	w.out.append(page[:pageSize])
	w.index = append(w.index, indexRow{binary.BigEndian.Uint64(w.digests), w.first, w.n})
	w.first, w.n, w.digests, w.metas = w.first+w.n, 0, w.digests[:0], w.metas[:0]
}
