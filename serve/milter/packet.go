package milter

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxPacket is above what any server sends: bodies come in pieces of 64 KiB, and a header
// field is bounded by the server.
const maxPacket = 1<<20 + 64<<10

// Commands of the server.
const (
	cmdAbort   = 'A'
	cmdBody    = 'B'
	cmdConnect = 'C'
	cmdMacro   = 'D'
	cmdEnd     = 'E'
	cmdHelo    = 'H'
	cmdNewConn = 'K'
	cmdHeader  = 'L'
	cmdMail    = 'M'
	cmdEOH     = 'N'
	cmdOptions = 'O'
	cmdQuit    = 'Q'
	cmdRcpt    = 'R'
	cmdData    = 'T'
	cmdUnknown = 'U'
)

// Answers to it.
const (
	sayAccept     = 'a'
	sayContinue   = 'c'
	sayDiscard    = 'd'
	sayAddHeader  = 'h'
	sayChgHeader  = 'm'
	sayProgress   = 'p'
	sayQuarantine = 'q'
	sayReply      = 'y'
)

// What we may do to a mail, of what the server lets us.
const (
	canAddHeader  = 0x01
	canChgHeader  = 0x10
	canQuarantine = 0x20
)

// What the server is to leave out, of what it can.
const (
	noUnknown   = 0x100
	noData      = 0x200
	noReplyHdr  = 0x80
	noReplyEOH  = 0x40000
	noReplyBody = 0x80000
	leadSpace   = 0x100000 // header values come, and go, with the space behind the colon
	oldSteps    = 0x7f     // those of version 2
)

// packets reads and writes packets.
type packets struct {
	r   *bufio.Reader
	w   *bufio.Writer
	buf bytes.Buffer
}

var errPacket = errors.New("packet of no length that there is")

// next reads a packet. data is good until the next call. No memory is taken on the word of
// the length.
func (p *packets) next() (cmd byte, data []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > maxPacket {
		return 0, nil, errPacket
	}
	if p.buf.Reset(); p.buf.Cap() > 256<<10 {
		p.buf = bytes.Buffer{}
	}
	if _, err := io.CopyN(&p.buf, p.r, int64(n-1)); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	return head[4], p.buf.Bytes(), nil
}

// say writes a packet; errors stay in w for Flush.
func (p *packets) say(what byte, data ...string) {
	n := 1
	for _, d := range data {
		n += len(d)
	}
	var head [5]byte
	binary.BigEndian.PutUint32(head[:], uint32(n))
	head[4] = what
	_, _ = p.w.Write(head[:])
	for _, d := range data {
		_, _ = p.w.WriteString(d)
	}
}

// words are strings that each end in a zero byte.
func words(data []byte) ([]string, error) {
	if len(data) == 0 {
		return nil, nil
	}
	if data[len(data)-1] != 0 {
		return nil, errors.New("string without its end")
	}
	if n := bytes.Count(data, []byte{0}); n > 4096 {
		return nil, fmt.Errorf("%d strings in a packet", n)
	}
	var out []string
	for len(data) > 0 {
		w, rest, _ := bytes.Cut(data, []byte{0})
		out, data = append(out, string(w)), rest
	}
	return out, nil
}

// options are what both sides say at the start.
type options struct{ version, actions, steps uint32 }

func (o options) String() string {
	var b [12]byte
	binary.BigEndian.PutUint32(b[:], o.version)
	binary.BigEndian.PutUint32(b[4:], o.actions)
	binary.BigEndian.PutUint32(b[8:], o.steps)
	return string(b[:])
}

func parseOptions(data []byte) (o options, err error) {
	if len(data) < 12 { // later versions may say more
		return o, errors.New("options too short")
	}
	return options{binary.BigEndian.Uint32(data), binary.BigEndian.Uint32(data[4:]), binary.BigEndian.Uint32(data[8:])}, nil
}

// parseConnect returns what the server knows of its client: name and address, "" if it is
// none of a network.
func parseConnect(data []byte) (name, address string, err error) {
	host, rest, ok := bytes.Cut(data, []byte{0})
	if !ok || len(rest) == 0 {
		return "", "", errors.New("client without a name or family")
	}
	name = string(host)
	switch rest[0] {
	case '4', '6':
		if len(rest) < 4 || rest[len(rest)-1] != 0 {
			return "", "", errors.New("client without an address")
		}
		a := rest[3 : len(rest)-1]
		if len(a) > 5 && bytes.EqualFold(a[:5], []byte("IPv6:")) {
			a = a[5:]
		}
		return name, string(a), nil
	case 'L', 'U':
		return name, "", nil
	}
	return "", "", errors.New("client of no family that there is")
}
