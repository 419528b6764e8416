package codec

import (
	"bufio"
	"errors"
	"io"
)

var errBER = errors.New("ber: unexpected element")

// berReader reads BER (X.690 section 8) in order.
type berReader struct{ in *bufio.Reader }

// tag reads the identifier and length of an element; the length is -1 where an
// end mark follows instead.
func (r *berReader) tag() (id byte, n int64, err error) {
	if id, err = r.in.ReadByte(); err != nil {
		return 0, 0, err
	}
	c, err := r.in.ReadByte()
	if err != nil || c < 0x80 {
		return id, int64(c), err
	}
	if c == 0x80 {
		return id, -1, nil
	}
	if c > 0x87 {
		return 0, 0, errBER
	}
	for range c & 0x7f {
		b, err := r.in.ReadByte()
		if err != nil {
			return 0, 0, err
		}
		n = n<<8 | int64(b)
	}
	return id, n, nil
}

// enter reads the beginning of an element with the given identifier.
func (r *berReader) enter(want byte) (int64, error) {
	id, n, err := r.tag()
	if err == nil && id != want {
		err = errBER
	}
	return n, err
}

// skip passes over one element, at most depth levels deep. end says that it
// was an end mark.
func (r *berReader) skip(depth int) (end bool, err error) {
	id, n, err := r.tag()
	if err != nil {
		return false, err
	}
	if n >= 0 {
		_, err = io.CopyN(io.Discard, r.in, n)
		return id == 0 && n == 0, err
	}
	for depth > 0 {
		if end, err := r.skip(depth - 1); end || err != nil {
			return false, err
		}
	}
	return false, errBER
}

// SignedContent returns the content of a CMS SignedData (RFC 5652 section 5.1)
// in BER, read from r in order; nil for a signature without content.
func SignedContent(r io.Reader) (io.Reader, error) {
	return (&berReader{in: bufio.NewReader(r)}).signedContent()
}

// signedContent reads to the content of a SignedData (RFC 5652 section 5.1);
// it is nil for a signature without content.
func (r *berReader) signedContent() (io.Reader, error) {
	for _, id := range [...]byte{0x30, 0x06, 0xa0, 0x30} {
		n, err := r.enter(id)
		if err == nil && id == 0x06 {
			_, err = io.CopyN(io.Discard, r.in, max(n, 0))
		}
		if err != nil {
			return nil, err
		}
	}
	for range 2 { // version, digestAlgorithms
		if _, err := r.skip(8); err != nil {
			return nil, err
		}
	}
	all, err := r.enter(0x30) // encapContentInfo
	if err != nil {
		return nil, err
	}
	n, err := r.enter(0x06)
	if err != nil {
		return nil, err
	}
	if _, err = io.CopyN(io.Discard, r.in, max(n, 0)); err != nil {
		return nil, err
	}
	if all >= 0 && all <= n+2 {
		return nil, nil
	}
	id, _, err := r.tag()
	if err != nil {
		return nil, err
	}
	if id == 0 {
		return nil, nil
	}
	if id != 0xa0 {
		return nil, errBER
	}
	id, n, err = r.tag()
	switch {
	case err != nil:
		return nil, err
	case id == 0x04 && n >= 0:
		return &octets{ber: r, left: n, last: true}, nil
	case id == 0x24:
		return &octets{ber: r, outer: n}, nil
	}
	return nil, errBER
}

// octets reads an OCTET STRING, in one piece or in several.
type octets struct {
	ber   *berReader
	left  int64 // of the piece
	outer int64 // of all pieces with their headers, -1 if an end mark follows
	last  bool
}

// Read implements io.Reader.
func (o *octets) Read(p []byte) (int, error) {
	for o.left == 0 {
		if o.last || o.outer == 0 {
			return 0, io.EOF
		}
		id, n, err := o.ber.tag()
		if err != nil {
			return 0, short(err)
		}
		if id == 0 && n == 0 {
			return 0, io.EOF
		}
		if id != 0x04 || n < 0 {
			return 0, errBER
		}
		o.left = n
		if o.outer > 0 {
			o.outer = max(o.outer-n-berHeader(n), 0)
		}
	}
	n, err := o.ber.in.Read(p[:min(int64(len(p)), o.left)])
	o.left -= int64(n)
	if o.left > 0 {
		err = short(err)
	} else if err == io.EOF {
		err = nil
	}
	return n, err
}

// berHeader is the length of the shortest header of an element of n bytes.
func berHeader(n int64) int64 {
	h := int64(2)
	if n >= 0x80 {
		for ; n > 0; n >>= 8 {
			h++
		}
	}
	return h
}

func short(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
