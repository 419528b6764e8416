package mailcode

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

var errNoLZFu = errors.New("lzfu: neither compressed nor as it is")

// CompressedRTF reads RTF as Outlook keeps it, compressed or not ([MS-OXRTFCP] 2.1.3.1): r
// begins with the 16 bytes of its head. It fails where these are not of it.
func CompressedRTF(r io.Reader) (io.Reader, error) {
	var head [16]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	switch string(head[8:12]) {
	case "LZFu":
		return newLZFu(r), nil
	case "MELA": // as it is
		return io.LimitReader(r, int64(binary.LittleEndian.Uint32(head[4:]))), nil
	}
	return nil, errNoLZFu
}

// lzfuStart is what the window holds at first ([MS-OXRTFCP] 2.1.2.1).
const lzfuStart = `{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0` +
	"\r\n" + `\par \pard\plain\f0\fs20\b\i\u\tab\tx`

// lzfu decompresses RTF ([MS-OXRTFCP] 2.1.3.1): literals and copies out of a window of
// 4,096 bytes. A copy from where the next byte goes is the end.
type lzfu struct {
	in     io.ByteReader
	window [4096]byte
	at     int
	ready  []byte
	err    error
}

func newLZFu(r io.Reader) *lzfu {
	z := &lzfu{in: bufio.NewReaderSize(r, 512)}
	z.at = copy(z.window[:], lzfuStart)
	return z
}

var errLZFu = errors.New("lzfu: it ends without a mark")

// Read implements io.Reader.
func (z *lzfu) Read(p []byte) (int, error) {
	for len(z.ready) == 0 {
		if z.err != nil {
			return 0, z.err
		}
		z.err = z.step()
	}
	n := copy(p, z.ready)
	z.ready = z.ready[n:]
	return n, nil
}

// step decodes eight literals or copies.
func (z *lzfu) step() error {
	z.ready = z.ready[:0]
	flags, err := z.in.ReadByte()
	if err != nil {
		return errLZFu
	}
	for bit := range 8 {
		a, err := z.in.ReadByte()
		if err != nil {
			return errLZFu
		}
		if flags>>bit&1 == 0 {
			z.put(a)
			continue
		}
		b, err := z.in.ReadByte()
		if err != nil {
			return errLZFu
		}
		from := int(a)<<4 | int(b)>>4
		if from == z.at {
			return io.EOF
		}
		for range int(b&15) + 2 {
			z.put(z.window[from])
			from = (from + 1) & 4095
		}
	}
	return nil
}

func (z *lzfu) put(c byte) {
	z.ready = append(z.ready, c)
	z.window[z.at] = c
	z.at = (z.at + 1) & 4095
}
