package lzfse

const lzvnEnd = 6

// LZVN appends to out what a block of LZVN holds (Apple, lzfse: LZVN's
// opcodes), until out is of most bytes at most. An opcode says how many bytes follow as they
// are, L, how long a match behind them is, M, and how far back, D:
//
//	LLMMMDDD D8       M+3; D below 1536; LLMMM110: the distance before; LLMMM111 D16, little-endian
//	101LLMMM M2D6 D8  M+3, in all 5 bits
//	1110LLLL          L; 0: the next byte and 16
//	1111MMMM          M at the distance before; 0: the next byte and 16
//	6                 the end; 14 and 22 say nothing
func LZVN(out, b []byte, most int) ([]byte, error) { return lzvn(out, len(out), b, most) }

// lzvn is LZVN whose matches may begin at start of out.
func lzvn(out []byte, start int, b []byte, most int) ([]byte, error) {
	distance := 0
	for len(b) > 0 {
		op := int(b[0])
		var literal, match, size int
		switch {
		case op == lzvnEnd:
			return out, nil
		case op == 14 || op == 22:
			b = b[1:]
			continue
		case op >= 0xe0:
			n := op & 15
			size = 1
			if n == 0 {
				if len(b) < 2 {
					return out, ErrData
				}
				n, size = int(b[1])+16, 2
			}
			if op < 0xf0 {
				literal = n
			} else {
				match = n
			}
		case op>>4 == 7 || op>>4 == 13 || op < 0x40 && op&7 == 6:
			return out, ErrData // not defined
		case op>>5 == 5:
			if size = 3; len(b) < size {
				return out, ErrData
			}
			v := int(le.Uint16(b[1:]))
			literal, match, distance = op>>3&3, (op&7<<2|v&3)+3, v>>2
		default:
			literal, match, size = op>>6, op>>3&7+3, 1
			switch op & 7 {
			case 6:
			case 7:
				if size = 3; len(b) < size {
					return out, ErrData
				}
				distance = int(le.Uint16(b[1:]))
			default:
				if size = 2; len(b) < size {
					return out, ErrData
				}
				distance = op&7<<8 | int(b[1])
			}
		}
		b = b[size:]
		if literal > len(b) || len(out)+literal+match > most {
			return out, ErrData
		}
		out = append(out, b[:literal]...)
		b = b[literal:]
		if match > 0 && (distance == 0 || distance > len(out)-start) {
			return out, ErrData
		}
		out = repeat(out, distance, match)
	}
	return out, ErrData // without an end
}
