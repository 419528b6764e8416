package hostile

import "hash/crc32"

// header is what one of a member's two headers says.
type header struct {
	flags, method uint16
	crc           uint32
	packed, size  uint32
	name          string
	extra         []byte
}

// member is one member of a zip file: what each header says, and the data.
type member struct {
	local, central header
	data           []byte
	unlisted       bool  // no record in the directory
	headless       bool  // no local header: the record points to the header of the member before
	at             int64 // set when written
}

// pack returns an honest deflated member.
func pack(name string, content []byte) member { return squeeze(content).member(name) }

func (s squeezed) member(name string) member {
	h := header{method: 8, crc: s.crc, packed: uint32(len(s.data)), size: uint32(s.size), name: name}
	return member{local: h, central: h, data: s.data}
}

// stored returns an honest stored member.
func stored(name string, content []byte) member {
	n := uint32(len(content))
	h := header{crc: crc32.ChecksumIEEE(content), packed: n, size: n, name: name}
	return member{local: h, central: h, data: content}
}

// both changes both headers.
func (m member) both(f func(*header)) member {
	f(&m.local)
	f(&m.central)
	return m
}

func (m member) inLocal(f func(*header)) member   { f(&m.local); return m }
func (m member) inCentral(f func(*header)) member { f(&m.central); return m }

func (h *header) appendLocal(b []byte) []byte {
	b = append(b, "PK\x03\x04\x14\x00"...)
	b = h.appendCommon(b)
	b = append(b, h.name...)
	return append(b, h.extra...)
}

func (h *header) appendCommon(b []byte) []byte {
	b = le.AppendUint16(b, h.flags)
	b = le.AppendUint16(b, h.method)
	b = append(b, 0, 0, 0x21, 0x50)
	b = le.AppendUint32(b, h.crc)
	b = le.AppendUint32(b, h.packed)
	b = le.AppendUint32(b, h.size)
	b = le.AppendUint16(b, uint16(len(h.name)))
	return le.AppendUint16(b, uint16(len(h.extra)))
}

func (h *header) appendCentral(b []byte, at int64) []byte {
	b = append(b, "PK\x01\x02\x14\x00\x14\x00"...)
	b = h.appendCommon(b)
	b = append(b, make([]byte, 10)...) // comment, disk, attributes
	b = le.AppendUint32(b, uint32(at))
	b = append(b, h.name...)
	return append(b, h.extra...)
}

// zipEnd returns an end of central directory record.
func zipEnd(count int, size, at int64, comment string) []byte {
	b := append([]byte("PK\x05\x06"), 0, 0, 0, 0)
	n := uint16(min(count, 0xffff))
	b = le.AppendUint16(b, n)
	b = le.AppendUint16(b, n)
	b = le.AppendUint32(b, uint32(size))
	b = le.AppendUint32(b, uint32(at))
	b = le.AppendUint16(b, uint16(len(comment)))
	return append(b, comment...)
}

// zipEnd64 returns the Zip64 end record and its locator, to stand at "here".
func zipEnd64(count int, size, at, here int64) []byte {
	b := append([]byte("PK\x06\x06"), 44, 0, 0, 0, 0, 0, 0, 0, 45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	for _, v := range []int64{int64(count), int64(count), size, at} {
		b = le.AppendUint64(b, uint64(v))
	}
	b = append(b, "PK\x06\x07\x00\x00\x00\x00"...)
	b = le.AppendUint64(b, uint64(here))
	return append(b, 1, 0, 0, 0)
}

// body writes members and their directory, and tells where it stands.
func body(ms []member) (b []byte, dir int64, count int) {
	for i := range ms {
		m := &ms[i]
		if m.headless {
			m.at = ms[i-1].at
			continue
		}
		m.at = int64(len(b))
		b = m.local.appendLocal(b)
		b = append(b, m.data...)
	}
	dir = int64(len(b))
	for i := range ms {
		if !ms[i].unlisted {
			b = ms[i].central.appendCentral(b, ms[i].at)
			count++
		}
	}
	return b, dir, count
}

// zipOf writes a zip file.
func zipOf(ms ...member) []byte {
	b, dir, count := body(ms)
	size := int64(len(b)) - dir
	if count > 0xffff {
		b = append(b, zipEnd64(count, size, dir, int64(len(b)))...)
	}
	return append(b, zipEnd(count, size, dir, "")...)
}
