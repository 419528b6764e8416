// Package plist reads property lists of macOS, in XML and in the binary form, as
// far as an inventory asks: dictionaries, lists, texts, numbers, truth, data.
//
//	binary   "bplist00", objects, table of their offsets, trailer of 32 bytes: 6 bytes of an offset u8, 7 bytes of a
//	         reference u8, 8 objects u64, 16 top object u64, 24 the table u64 (big-endian)
//	object   u8: kind in the upper four bits (0 null and truth, 1 integer, 4 data, 5 ASCII, 6 UTF-16, a list, d dictionary)
//	         and its length in the lower, 15: an integer follows
//
// Source: Apple, CFBinaryPList.c, and the DTD of property lists 1.0.
package plist

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"strconv"
	"strings"
	"unicode/utf16"
)

// MaxSize is how many bytes of a property list are read.
const MaxSize = 8 << 20

const (
	maxDepth = 32
	maxNodes = 200_000
)

// Parse reads a property list: map[string]any, []any, string, int64, bool, []byte, nil.
// ok is false if it is none or is damaged.
func Parse(b []byte) (v any, ok bool) {
	if len(b) > MaxSize {
		return nil, false
	}
	if bytes.HasPrefix(b, []byte("bplist0")) {
		return parseBinary(b)
	}
	return parseXML(b)
}

// Dict is Parse of a list whose top is a dictionary.
func Dict(b []byte) (map[string]any, bool) {
	v, _ := Parse(b)
	d, ok := v.(map[string]any)
	return d, ok
}

// Text is the text of a key, "" if there is none.
func Text(d map[string]any, key string) string {
	s, _ := d[key].(string)
	return s
}

type binaryList struct {
	b           []byte
	table       uint64
	offset, ref int
	count       uint64
	nodes       int
	bad         bool
}

func parseBinary(b []byte) (any, bool) {
	if len(b) < 40 {
		return nil, false
	}
	t := b[len(b)-32:]
	p := &binaryList{b: b[:len(b)-32], offset: int(t[6]), ref: int(t[7]), count: binary.BigEndian.Uint64(t[8:]), table: binary.BigEndian.Uint64(t[24:])}
	if p.offset < 1 || p.offset > 8 || p.ref < 1 || p.ref > 8 || p.count > uint64(len(b)) || p.table > uint64(len(p.b)) || p.count*uint64(p.offset) > uint64(len(p.b))-p.table {
		return nil, false
	}
	v := p.object(binary.BigEndian.Uint64(t[16:]), 0)
	return v, !p.bad
}

// uint reads a big-endian number of n bytes.
func (p *binaryList) uint(at uint64, n int) uint64 {
	if at > uint64(len(p.b)) || uint64(n) > uint64(len(p.b))-at {
		p.bad = true
		return 0
	}
	var v uint64
	for _, c := range p.b[at : at+uint64(n)] {
		v = v<<8 | uint64(c)
	}
	return v
}

func (p *binaryList) object(i uint64, depth int) any {
	if p.nodes++; i >= p.count || depth > maxDepth || p.nodes > maxNodes {
		p.bad = true
	}
	if p.bad {
		return nil
	}
	at := p.uint(p.table+i*uint64(p.offset), p.offset)
	head := byte(p.uint(at, 1))
	at++
	n := uint64(head & 15)
	kind := head >> 4
	if n == 15 && kind >= 4 {
		size := byte(p.uint(at, 1))
		if size>>4 != 1 || size&15 > 3 {
			p.bad = true
			return nil
		}
		n = p.uint(at+1, 1<<(size&15))
		at += 1 + 1<<(size&15)
	}
	switch kind {
	case 0:
		return map[byte]any{8: false, 9: true}[head]
	case 1:
		if n > 3 {
			return nil // more than 64 bits
		}
		return int64(p.uint(at, 1<<n))
	case 4, 5:
		s := p.take(at, n)
		if kind == 5 {
			return string(s)
		}
		return s
	case 6:
		return p.wide(at, n)
	case 0xa, 0xc:
		return p.list(at, n, depth)
	case 0xd:
		return p.dict(at, n, depth)
	}
	return nil // dates, reals and identifiers
}

func (p *binaryList) take(at, n uint64) []byte {
	if at > uint64(len(p.b)) || n > uint64(len(p.b))-at {
		p.bad = true
		return nil
	}
	return p.b[at : at+n]
}

func (p *binaryList) wide(at, n uint64) string {
	if n > uint64(len(p.b)) {
		p.bad = true
		return ""
	}
	s := p.take(at, 2*n)
	u := make([]uint16, len(s)/2)
	for i := range u {
		u[i] = binary.BigEndian.Uint16(s[2*i:])
	}
	return string(utf16.Decode(u))
}

func (p *binaryList) list(at, n uint64, depth int) any {
	out := []any{}
	for i := uint64(0); i < n && !p.bad; i++ {
		out = append(out, p.object(p.uint(at+i*uint64(p.ref), p.ref), depth+1))
	}
	return out
}

func (p *binaryList) dict(at, n uint64, depth int) any {
	out := map[string]any{}
	if n > uint64(len(p.b)) {
		p.bad = true
	}
	for i := uint64(0); i < n && !p.bad; i++ {
		k, _ := p.object(p.uint(at+i*uint64(p.ref), p.ref), depth+1).(string)
		out[k] = p.object(p.uint(at+(n+i)*uint64(p.ref), p.ref), depth+1)
	}
	return out
}

// xmlList reads the XML form.
type xmlList struct {
	d     *xml.Decoder
	nodes int
	bad   bool
}

func parseXML(b []byte) (any, bool) {
	d := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))))
	p := &xmlList{d: d}
	for {
		t, err := d.Token()
		if err != nil {
			return nil, false
		}
		s, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		if s.Name.Local != "plist" {
			return nil, false
		}
		e, ok := p.next()
		if !ok {
			return nil, false
		}
		v := p.value(e, 0)
		return v, !p.bad
	}
}

// next is the next element in the one that is open, false at its end.
func (p *xmlList) next() (xml.StartElement, bool) {
	for {
		t, err := p.d.Token()
		if err != nil {
			p.bad = true
			return xml.StartElement{}, false
		}
		switch t := t.(type) {
		case xml.StartElement:
			return t, true
		case xml.EndElement:
			return xml.StartElement{}, false
		}
	}
}

func (p *xmlList) text(e xml.StartElement) string {
	var s string
	if err := p.d.DecodeElement(&s, &e); err != nil {
		p.bad = true
	}
	return s
}

func (p *xmlList) value(e xml.StartElement, depth int) any {
	if p.nodes++; depth > maxDepth || p.nodes > maxNodes {
		p.bad = true
	}
	if p.bad {
		return nil
	}
	switch e.Name.Local {
	case "dict":
		out := map[string]any{}
		for !p.bad {
			k, ok := p.next()
			if !ok {
				break
			}
			name := p.text(k)
			v, ok := p.next()
			if k.Name.Local != "key" || !ok {
				p.bad = true
				break
			}
			out[name] = p.value(v, depth+1)
		}
		return out
	case "array":
		out := []any{}
		for !p.bad {
			v, ok := p.next()
			if !ok {
				break
			}
			out = append(out, p.value(v, depth+1))
		}
		return out
	case "string":
		return p.text(e)
	case "integer":
		n, _ := strconv.ParseInt(strings.TrimSpace(p.text(e)), 0, 64)
		return n
	case "true", "false":
		p.text(e)
		return e.Name.Local == "true"
	case "data":
		b, _ := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(p.text(e)), ""))
		return b
	}
	p.text(e)
	return nil
}
