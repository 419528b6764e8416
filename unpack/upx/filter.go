package upx

import "encoding/binary"

// unfilter undoes a filter, in place, and tells whether it is known. Filters make
// the targets of calls absolute, so that they repeat.
func unfilter(b []byte, id, cto uint8) bool {
	switch {
	case id == 0:
	case id >= 0x11 && id <= 0x19:
		naive(b, id)
	case id >= 0x24 && id <= 0x26, id == 0x36, id == 0x46, id == 0x49:
		marked(b, id, cto)
	case id == 0x50, id == 0x51, id == 0x52:
		arm(b, id)
	case id >= 0x80 && id <= 0x87:
		recent(b, id, cto)
	case id >= 0x90 && id <= 0x93:
		for i, d := 0, int(id-0x90)+1; i+d < len(b); i++ {
			b[i+d] += b[i]
		}
	case id == 0xd0:
		powerPC(b, cto)
	default:
		return false
	}
	return true
}

var (
	le = binary.LittleEndian
	be = binary.BigEndian
)

// opcodes are which of CALL (E8) and JMP (E9) a filter of one of three is for.
func opcodes(n uint8) (call, jump bool) { return n != 1, n != 0 }

// naive undoes 0x11 to 0x19: all calls, jumps or both; the result in either order of bytes.
func naive(b []byte, id uint8) {
	call, jump := opcodes((id - 0x11) % 3)
	in, out := binary.ByteOrder(le), binary.ByteOrder(le)
	switch (id - 0x11) / 3 {
	case 1:
		in = be
	case 2:
		out = be
	}
	for i := 0; i+5 < len(b); i++ {
		if call && b[i] == 0xe8 || jump && b[i] == 0xe9 {
			out.PutUint32(b[i+1:], in.Uint32(b[i+1:])-uint32(i+1))
			i += 4
		}
	}
}

// conditional tells a conditional jump of 32 bits by its two bytes.
func conditional(prefix, op byte) bool { return prefix == 0x0f && op&0xf0 == 0x80 }

// marked undoes the filters that mark what they changed by the byte cto behind the opcode;
// 0x49 is for conditional jumps too.
func marked(b []byte, id, cto uint8) {
	call, jump := true, true
	if id < 0x30 {
		call, jump = opcodes(id - 0x24)
	}
	last := 0
	for i := 0; i+5 < len(b); i++ {
		is := call && b[i] == 0xe8 || jump && b[i] == 0xe9 || id == 0x49 && i > 0 && i != last && conditional(b[i-1], b[i])
		if !is || b[i+1] != cto {
			continue
		}
		le.PutUint32(b[i+1:], be.Uint32(b[i+1:])-uint32(i+1)-uint32(cto)<<24)
		i += 4
		last = i + 1
	}
}

// arm undoes 0x50 (BL of ARM), 0x51 (the same, most significant byte first) and 0x52 (B and BL
// of ARM64): words from the start.
func arm(b []byte, id uint8) {
	order, mask := binary.ByteOrder(le), uint32(1<<24-1)
	is := func(v uint32) bool { return v>>24&0x0f == 0x0b }
	switch id {
	case 0x51:
		order = be
	case 0x52:
		mask, is = 1<<26-1, func(v uint32) bool { return v>>24&0x7c == 0x14 }
	}
	for i := 0; i+4 < len(b); i += 4 {
		if v := order.Uint32(b[i:]); is(v) {
			order.PutUint32(b[i:], v&^mask|(v-uint32(i/4))&mask)
		}
	}
}

// powerPC undoes 0xd0: branches (opcode 18) whose upper four bits of the target are the parameter.
func powerPC(b []byte, cto uint8) {
	for i := 0; i+4 <= len(b); i += 4 {
		v := be.Uint32(b[i:])
		if v>>26 == 18 && uint8(v>>22&15) == cto {
			be.PutUint32(b[i:], v&0xfc000003|(v&0x003ffffc-uint32(i))&0x03fffffc)
		}
	}
}

// recently is how many targets the filters 0x80 to 0x87 remember.
const recently = 32

// targets are the targets seen last, the newest at hand; a ring.
type targets struct {
	ring       [recently]uint32
	hand, tail int
}

func back(n int) int { return (n + recently - 1) % recently }

func (t *targets) add(v uint32) {
	t.hand = back(t.hand)
	t.ring[t.hand] = v
}

// use returns the target n places behind the newest, and makes it the newest.
func (t *targets) use(n uint32) uint32 {
	at := (t.hand + int(n%recently)) % recently
	v := t.ring[at]
	t.hand = back(t.hand)
	if old := t.ring[t.hand]; old != 0 {
		t.ring[at] = old
	} else { // what is in use stays in one piece
		t.tail = back(t.tail)
		old = t.ring[t.tail]
		t.ring[t.tail] = 0
		t.ring[at] = old
	}
	t.ring[t.hand] = v
	return v
}

// recent undoes 0x80 to 0x87: calls, and jumps with conditional ones, each left, marked, or marked and
// told by how recent the target is. A conditional jump has its two bytes exchanged.
func recent(b []byte, id, cto uint8) {
	const left, numbered = 0, 2
	how := 1 + int(id&15)
	calls, jumps := how%3, how/3%3
	var t targets
	last := 0
	for i := 0; i+5 < len(b); i++ {
		mode, swapped := jumps, false
		switch {
		case b[i] == 0xe8:
			mode = calls
		case b[i] == 0xe9:
		case i > 0 && i != last && conditional(b[i], b[i-1]):
			swapped = true
		default:
			continue
		}
		if b[i+1] != cto || mode == left {
			continue
		}
		v := be.Uint32(b[i+1:]) - uint32(cto)<<24
		if mode == numbered {
			if v&1 == 1 {
				v >>= 1
				t.add(v)
			} else {
				v = t.use(v >> 1)
			}
		}
		le.PutUint32(b[i+1:], v-uint32(i+1))
		if swapped {
			b[i-1], b[i] = b[i], b[i-1]
		}
		i += 4
		last = i + 1
	}
}
