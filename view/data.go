package view

import (
	"bytes"
	"encoding/base64"
)

// uris gathers the content of data: URIs.
type uris struct {
	all   [][]byte
	room  int64 // bytes that may yet be made
	cut   bool
	head  []byte // media type
	body  []byte
	comma bool
}

// maxURIs bounds how many data: URIs of a document become views.
const maxURIs = 1000

// beginData leaves a value that begins with "data:". The colon is not in the view.
func (h *document) beginData() {
	h.doc.b = bytes.TrimSuffix(h.doc.b, []byte{':'})
	if h.value.quote != 0 {
		h.put('"')
	}
	h.value.b = h.value.b[:0]
	h.data.head, h.data.body, h.data.comma = h.data.head[:0], nil, false
	h.state = inData
}

func (h *document) dataByte(c byte) {
	d, q := &h.data, h.value.quote
	if q != 0 && c == q || q == 0 && (space(c) || c == '>') {
		h.endData()
		h.openAttr()
		h.after = false
		h.state, h.gap = inTag, false
		return
	}
	switch {
	case !d.comma && c == ',':
		d.comma = true
	case !d.comma:
		if len(d.head) < maxName {
			d.head = append(d.head, lower(c))
		}
	case d.room > 0:
		d.room--
		d.body = append(d.body, c)
	default:
		d.cut = true
	}
}

// endData decodes a data: URI (RFC 2397): percent-escapes, then base64 if it says so.
func (h *document) endData() {
	d := &h.data
	if len(d.body) == 0 {
		return
	}
	if len(d.all) >= maxURIs {
		d.cut = true
		return
	}
	b := unpercent(d.body)
	if bytes.HasSuffix(d.head, []byte(";base64")) {
		b = unbase64(b)
	}
	d.all = append(d.all, b)
	d.body = nil
}

// unpercent decodes %hh in place; anything else stays as it is.
func unpercent(b []byte) []byte {
	o := b[:0]
	for i := 0; i < len(b); i++ {
		if b[i] == '%' && i+2 < len(b) {
			hi, lo := unhex(b[i+1]), unhex(b[i+2])
			if hi >= 0 && lo >= 0 {
				o = append(o, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		o = append(o, b[i])
	}
	return o
}

// unhex returns the value of a hexadecimal digit, or -1.
func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// unbase64 decodes both alphabets, passes over any other byte, and keeps what
// an end within a group gives.
func unbase64(b []byte) []byte {
	clean := b[:0]
	for _, c := range b {
		switch {
		case c == '-':
			clean = append(clean, '+')
		case c == '_':
			clean = append(clean, '/')
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '+', c == '/':
			clean = append(clean, c)
		}
	}
	if len(clean)%4 == 1 {
		clean = clean[:len(clean)-1]
	}
	o := make([]byte, base64.RawStdEncoding.DecodedLen(len(clean)))
	n, _ := base64.RawStdEncoding.Decode(o, clean)
	return o[:n]
}
