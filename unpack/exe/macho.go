package exe

import "encoding/binary"

// The bounds on Mach-O commands are ClamAV's.
const (
	machoCommands = 1024
	machoSections = 255 // in one segment
	machoTotal    = 4096
)

// parseMachO reads the load commands (Apple, "OS X ABI Mach-O File Format
// Reference"), nil where ClamAV gives up. It works an entry point out for
// PowerPC alone: of a newer file, EP is 0.
func parseMachO(f file) *Info {
	h := f.read(0, 28)
	if h == nil {
		return nil
	}
	m := macho{f: f, order: binary.LittleEndian, info: &Info{Kind: MachO, Bits: 32}}
	switch binary.BigEndian.Uint32(h) {
	case 0xfeedface:
		m.order = binary.BigEndian
	case 0xfeedfacf:
		m.order, m.wide = binary.BigEndian, true
	case 0xcefaedfe:
	case 0xcffaedfe:
		m.wide = true
	default:
		return nil
	}
	m.at = 28
	if m.wide {
		m.at, m.info.Bits = 32, 64
	}
	m.cpu = m.order.Uint32(h[4:])
	n := m.order.Uint32(h[16:])
	if n == 0 || n > machoCommands {
		return nil
	}
	for range n {
		if !m.command() {
			return nil
		}
	}
	if m.entry != 0 && !m.rawEntry() {
		return nil
	}
	m.info.Overlay = -1
	if m.end > 0 {
		m.info.Overlay = f.overlay(m.end)
	}
	return m.info
}

type macho struct {
	f     file
	order binary.ByteOrder
	wide  bool
	cpu   uint32
	at    int64 // of the next command
	entry uint32
	end   int64 // of the last segment in the file
	info  *Info
}

// next reads n bytes and passes them.
func (m *macho) next(n int64) []byte {
	b := m.f.read(m.at, n)
	m.at += n
	return b
}

// command reads one load command. ClamAV passes a segment by what it holds, and
// other commands by the size they declare.
func (m *macho) command() bool {
	c := m.next(8)
	if c == nil {
		return false
	}
	cmd, size := m.order.Uint32(c), int64(m.order.Uint32(c[4:]))
	switch {
	case m.wide && cmd == 0x19 || !m.wide && cmd == 0x01:
		return m.segment()
	case (m.cpu == 7 || m.cpu == 18 || m.cpu == 18|1<<24) && (cmd == 4 || cmd == 5):
		return m.thread()
	}
	m.at += max(size-8, 0)
	return true
}

func (m *macho) segment() bool {
	n := int64(48)
	if m.wide {
		n = 64
	}
	b := m.next(n)
	if b == nil {
		return false
	}
	if m.wide {
		m.end = max(m.end, clampSum(m.order.Uint64(b[32:]), m.order.Uint64(b[40:])))
	} else {
		m.end = max(m.end, clampSum(uint64(m.order.Uint32(b[24:])), uint64(m.order.Uint32(b[28:]))))
	}
	count := m.order.Uint32(b[n-8:])
	exec, write := m.order.Uint32(b[n-12:])&4 != 0, m.order.Uint32(b[n-12:])&2 != 0
	if count > machoSections || len(m.info.Sections)+int(count) > machoTotal {
		return false
	}
	for range count {
		if !m.section(exec, write) {
			return false
		}
	}
	return true
}

// section reads one section. Addresses and sizes are 32 bits to ClamAV in
// files of either width, and a size is rounded up to the alignment.
func (m *macho) section(exec, write bool) bool {
	n := int64(68)
	if m.wide {
		n = 80
	}
	b := m.next(n)
	if b == nil {
		return false
	}
	var addr, size uint64
	rest := b[40:]
	if m.wide {
		addr, size, rest = m.order.Uint64(b[32:]), m.order.Uint64(b[40:]), b[48:]
	} else {
		addr, size = uint64(m.order.Uint32(b[32:])), uint64(m.order.Uint32(b[36:]))
	}
	align := m.order.Uint32(rest[4:])
	if align > 31 {
		return false
	}
	m.info.Sections = append(m.info.Sections, Section{
		Name: cstring(b[:16]), Offset: int64(m.order.Uint32(rest)), Size: int64(up(uint32(size), 1<<align)),
		Virtual: addr, VirtualSize: size, Exec: exec, Write: write,
	})
	return true
}

// thread reads the state that a program starts with.
func (m *macho) thread() bool {
	m.at += 8 // flavour and count
	switch m.cpu {
	case 7:
		return m.next(64) != nil
	case 18:
		b := m.next(160)
		if b == nil {
			return false
		}
		m.entry = m.order.Uint32(b)
	default:
		b := m.next(312)
		if b == nil {
			return false
		}
		m.entry = uint32(m.order.Uint64(b))
	}
	return true
}

// rawEntry turns the entry's address into a file offset.
func (m *macho) rawEntry() bool {
	if len(m.info.Sections) == 0 {
		m.info.Entry = int64(m.entry)
		return true
	}
	for i := range m.info.Sections {
		s := &m.info.Sections[i]
		if a := uint32(s.Virtual); a <= m.entry && a+uint32(s.VirtualSize) > m.entry {
			m.info.Entry = int64(m.entry - a + uint32(s.Offset))
			return true
		}
	}
	return false
}
