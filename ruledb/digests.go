package ruledb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
	"strconv"

	"github.com/showcause/showcause/rule"
)

// A digest table is pages of rules, ascending by digest and then by size. A page begins
// with their number, u16, and their digests; what else is known of each follows as
// digestMeta, and no rule is in two pages. The index has a row a page.

// indexRow is one page of a digest table. 16 bytes.
type indexRow struct {
	Key   uint64 // the first digest's first 8 bytes, as a big-endian number
	First uint32 // rules in the pages before
	N     uint32 // rules in this one
}

// digestTable is one kind of exact-digest rules.
type digestTable struct {
	part  uint32
	first uint32 // index of the first rule
	n     uint32 // rules
	sizes sizeSet
	index []indexRow
	pages pages
}

func (t *digestTable) scope() rule.Scope { return rule.Scope(t.part >> 4) }
func (t *digestTable) sum() rule.Sum     { return rule.Sum(t.part >> 1 & 7) }
func (t *digestTable) allow() bool       { return t.part&1 != 0 }

// digestMeta is what is known of a rule for exact bytes besides its digest. It is
// stored as uvarints, in this order.
type digestMeta struct {
	size   uint64 // stored as one more, so that any size is 0
	stem   uint64 // where its name's stem begins in stems
	number uint64 // 1 + the number in the name, 0 for none
	line   uint64
	file   uint64 // index of the file << 2 | digestFlags
	text   uint64 // 1 + offset in texts of {length u32, text}; 0: the text follows from the rest
}

const (
	digestUnofficial = 1 << iota // the reported name ends in ".UNOFFICIAL", which its stem does not
	digestRest                   // text leads to what comes after the text that follows from the rest
	digestFlags      = iota      // bits of them
)

func (m *digestMeta) append(to []byte) []byte {
	for _, v := range [...]uint64{m.size + 1, m.stem, m.number, m.line, m.file, m.text} {
		to = binary.AppendUvarint(to, v)
	}
	return to
}

// nameFlags are flags of a ruleRow.
func (m *digestMeta) nameFlags() uint32 {
	if m.file&digestUnofficial != 0 {
		return flagUnofficial
	}
	return 0
}

// readMeta returns the digestMeta that b begins with and its length, 0 if there is none.
func readMeta(b []byte) (m digestMeta, n int) {
	for _, v := range [...]*uint64{&m.size, &m.stem, &m.number, &m.line, &m.file, &m.text} {
		x, k := binary.Uvarint(b[n:])
		if k <= 0 {
			return m, 0
		}
		*v, n = x, n+k
	}
	m.size--
	return m, n
}

// digestPage is a page as it was proven.
type digestPage struct {
	first  uint32 // rules of the table before it
	digest []byte // digests, one after another
	width  int    // of one, bytes
	metas  []byte
}

func (p *digestPage) len() int        { return len(p.digest) / p.width }
func (p *digestPage) at(i int) []byte { return p.digest[i*p.width : (i+1)*p.width] }

func (t *digestTable) corrupt() error { return fmt.Errorf("digest table %#x: %w", t.part, ErrCorrupt) }

// page reads page i, in buf.
func (t *digestTable) page(i int, buf []byte) (p digestPage, err error) {
	b, err := t.pages.page(i, buf)
	if err != nil {
		return p, err
	}
	row := &t.index[i]
	p = digestPage{first: row.First, width: sumSize(t.sum())}
	if n := int(row.N); len(b) >= 2+n*p.width && int(binary.LittleEndian.Uint16(b)) == n {
		p.digest, p.metas = b[2:2+n*p.width], b[2+n*p.width:]
		return p, nil
	}
	return p, t.corrupt()
}

// each calls f for the rules of a page, and stops where f says so.
func (p *digestPage) each(f func(i int, m *digestMeta) bool) bool {
	for i, at := 0, 0; i < p.len(); i++ {
		m, n := readMeta(p.metas[at:])
		if n == 0 {
			return false
		}
		if !f(i, &m) {
			return true
		}
		at += n
	}
	return true
}

// find appends the rules for size bytes with a digest to out. It reads one page, but
// where rules with one digest fill more.
func (t *digestTable) find(size uint64, digest []byte, out []uint32) ([]uint32, error) {
	key := binary.BigEndian.Uint64(digest)
	buf := make([]byte, pageSize)
	// Rules with the digest may begin in the page before the first that begins with it.
	for i := max(t.seek(key)-1, 0); i < len(t.index) && t.index[i].Key <= key; i++ {
		p, err := t.page(i, buf)
		if err != nil {
			return out, err
		}
		lo, hit := sort.Find(p.len(), func(i int) int { return bytes.Compare(digest, p.at(i)) })
		if !hit {
			continue
		}
		if !p.each(func(i int, m *digestMeta) bool {
			if i < lo {
				return true
			}
			if !bytes.Equal(p.at(i), digest) {
				return false
			}
			if m.size == size || m.size == anySize {
				out = append(out, t.first+p.first+uint32(i))
			}
			return true
		}) {
			return out, t.corrupt()
		}
	}
	return out, nil
}

// seek returns the first page that begins with key or more. Digests are spread evenly,
// so that it is near to where it would be if they were quite; and if they are not, the
// steps to it double.
func (t *digestTable) seek(key uint64) int {
	lo, hi := 0, len(t.index) // page lo-1 is before, hi is not
	before := func(i int) bool { return t.index[i].Key < key }
	guess, step := int(float64(key)/(1<<64)*float64(hi)), 1
	if guess = min(guess, hi-1); guess < 0 {
		return 0
	}
	if before(guess) {
		for lo = guess + 1; lo+step < hi; step *= 2 {
			if !before(lo + step) {
				hi = lo + step
				break
			}
			lo += step + 1
		}
	} else {
		for hi = guess; hi-step > lo; step *= 2 {
			if before(hi - step) {
				lo = hi - step + 1
				break
			}
			hi -= step
		}
	}
	return lo + sort.Search(hi-lo, func(i int) bool { return !before(lo + i) })
}

// rule returns the digest of rule i of the table and what else is known of it.
func (t *digestTable) rule(i uint32) (digest []byte, m digestMeta, err error) {
	at := sort.Search(len(t.index), func(k int) bool { return t.index[k].First > i }) - 1
	p, err := t.page(at, make([]byte, pageSize))
	if err != nil {
		return nil, m, err
	}
	if !p.each(func(k int, have *digestMeta) bool {
		m = *have
		return uint32(k) < i-p.first
	}) {
		return nil, m, t.corrupt()
	}
	return p.at(int(i - p.first)), m, nil
}

// loadDigests takes the digest tables out of the sections.
func (db *DB) loadDigests(l *loader) error {
	first := len(db.rules)
	var parts []uint32
	for part := range l.secs[secDigestIndex] {
		parts = append(parts, part)
	}
	slices.Sort(parts)
	for _, part := range parts {
		t := digestTable{part: part, first: uint32(first), index: load[indexRow](l, secDigestIndex, part)}
		rows, lows := load[sizeRow](l, secSizes, part), load[uint16](l, secSizeLows, part)
		if l.err != nil {
			return l.err
		}
		ok := false
		if t.sizes, ok = loadSizeSet(rows, lows); !ok {
			return t.corrupt()
		}
		if t.pages = l.pages(secDigests, part); t.scope() > rule.PEImports || t.sum() > rule.SHA256 || !t.prove() {
			return t.corrupt()
		}
		first += int(t.n)
		db.digests = append(db.digests, t)
	}
	return nil
}

// prove proves that the index has a row for each page, which ascend, and counts the rules.
func (t *digestTable) prove() bool {
	if len(t.index) != len(t.pages.sums) || len(t.index) == 0 || t.pages.size%pageSize != 0 {
		return false
	}
	for i := range t.index {
		r := &t.index[i]
		if r.N == 0 || r.N > pageSize || r.First != t.n || i > 0 && t.index[i-1].Key > r.Key || t.n > maxRules {
			return false
		}
		t.n += r.N
	}
	return t.n <= maxRules
}

// Has tells whether there are rules for exact bytes of a scope.
func (db *DB) Has(s rule.Scope) bool {
	return slices.ContainsFunc(db.digests, func(t digestTable) bool { return t.scope() == s })
}

// Sums tells which digests of that scope may match something of size bytes.
func (db *DB) Sums(s rule.Scope, size int64) (md5, sha1, sha256 bool) {
	for i := range db.digests {
		t := &db.digests[i]
		if t.scope() != s || !t.sizes.has(uint64(size)) {
			continue
		}
		switch t.sum() {
		case rule.MD5:
			md5 = true
		case rule.SHA1:
			sha1 = true
		case rule.SHA256:
			sha256 = true
		}
	}
	return
}

// Lookup returns the rules for exact bytes that match the digest of size bytes. An
// error says that the database is damaged where such a rule may have been: what was
// found elsewhere stands.
func (db *DB) Lookup(s rule.Scope, sum rule.Sum, size int64, digest []byte) (found, allowed []uint32, err error) {
	for i := range db.digests {
		t := &db.digests[i]
		if t.scope() != s || t.sum() != sum || !t.sizes.has(uint64(size)) || len(digest) != sumSize(sum) {
			continue
		}
		to := &found
		if t.allow() {
			to = &allowed
		}
		var bad error
		if *to, bad = t.find(uint64(size), digest, *to); bad != nil {
			err = bad
		}
	}
	return found, allowed, err
}

// digestOf returns where a rule for exact bytes stands.
func (db *DB) digestOf(i uint32) (*digestTable, uint32) {
	n := sort.Search(len(db.digests), func(k int) bool { return db.digests[k].first > i }) - 1
	return &db.digests[n], i - db.digests[n].first
}

// digestName returns the name of a rule for exact bytes, without ".UNOFFICIAL".
func (db *DB) digestName(m *digestMeta) (string, error) {
	size := uint64(db.stems.size)
	if m.stem >= size {
		return "", fmt.Errorf("stem at %d: %w", m.stem, ErrCorrupt)
	}
	head, err := db.stems.read(m.stem, min(2*binary.MaxVarintLen32, size-m.stem))
	if err != nil {
		return "", err
	}
	cut, k := binary.Uvarint(head)
	n, k2 := binary.Uvarint(head[max(k, 0):])
	if k <= 0 || k2 <= 0 || cut > n || n > maxName {
		return "", fmt.Errorf("stem at %d: %w", m.stem, ErrCorrupt)
	}
	stem, err := db.stems.read(m.stem+uint64(k+k2), n)
	if err != nil {
		return "", err
	}
	if m.number == 0 {
		return string(stem), nil
	}
	return string(stem[:cut]) + strconv.FormatUint(m.number-1, 10) + string(stem[cut:]), nil
}

// digestText returns the text of rule at of a table, whose name is known.
func (db *DB) digestText(t *digestTable, digest []byte, m *digestMeta, name string) (string, error) {
	own := ""
	if m.text != 0 {
		head, err := db.texts.read(m.text-1, 4)
		if err != nil {
			return "", err
		}
		text, err := db.texts.read(m.text+3, uint64(binary.LittleEndian.Uint32(head)))
		if err != nil {
			return "", err
		}
		if own = string(text); m.file&digestRest == 0 {
			return own, nil
		}
	}
	return string(appendDigestText(nil, t.scope(), m.size, digest, name)) + own, nil
}

// findDigests appends the rules for exact bytes with a name, which is without
// ".UNOFFICIAL", to out, until there are most. It stops at pages that are damaged.
func (db *DB) findDigests(name string, out []uint32, most int) []uint32 {
	if len(db.digests) == 0 {
		return out
	}
	stems := db.stemsOf(name)
	_, _, number := splitStem(name)
	buf := make([]byte, pageSize)
	for k := range db.digests {
		t := &db.digests[k]
		for i := range t.index {
			p, err := t.page(i, buf)
			if err != nil {
				continue
			}
			p.each(func(i int, m *digestMeta) bool {
				if m.number == number && slices.Contains(stems, m.stem) && len(out) < most {
					out = append(out, t.first+p.first+uint32(i))
				}
				return len(out) < most
			})
		}
	}
	return out
}

// stemsOf returns where the stems of a name stand; a large set has a stem more than once.
func (db *DB) stemsOf(name string) (out []uint64) {
	stem, cut, _ := splitStem(name)
	want := appendStem(nil, stem, cut)
	all, err := db.stems.all()
	if err != nil {
		return nil
	}
	for at := 0; at < len(all); {
		_, k := binary.Uvarint(all[at:])
		n, k2 := binary.Uvarint(all[at+max(k, 0):])
		if k <= 0 || k2 <= 0 || n > uint64(len(all)-at-k-k2) {
			return out
		}
		next := at + k + k2 + int(n)
		if bytes.Equal(all[at:next], want) {
			out = append(out, uint64(at))
		}
		at = next
	}
	return out
}
