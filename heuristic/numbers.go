package heuristic

import (
	"encoding/binary"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

// Numbers that belong to persons.
const (
	Cards    = "Heuristics.Structured.CreditCardNumber"
	Security = "Heuristics.Structured.SSN"
)

func digit(c byte) bool { return c >= '0' && c <= '9' }

// issuers are the numbers that cards begin with and how long they are, ascending (ISO/IEC 7812;
// those that clamscan 1.4.6 takes). credit tells credit cards from others.
func issuers() []issuer {
	return []issuer{
		{100000, 199999, 13, 15, false},
		{222100, 272099, 16, 16, true},
		{300000, 305999, 14, 16, true},
		{309500, 309599, 14, 16, true},
		{340000, 349999, 15, 15, true},
		{352800, 358999, 16, 16, true},
		{360000, 369999, 14, 16, true},
		{370000, 379999, 15, 15, true},
		{380000, 399999, 16, 16, true},
		{400000, 499999, 16, 16, true},
		{500000, 509999, 16, 16, false},
		{510000, 559999, 16, 16, true},
		{601100, 601199, 16, 16, true},
		{622126, 622926, 16, 16, true},
		{624000, 626999, 16, 16, true},
		{628200, 628899, 16, 16, true},
		{644000, 659999, 16, 16, true},
	}
}

type issuer struct {
	from, to    int
	least, most int // digits
	credit      bool
}

const (
	cardReach = 27 // bytes of a card's number with what stands between its digits
	cardPads  = 8  // spaces and hyphens between them
	cardStep  = 16 // what is passed over behind the start of one, bytes
)

// card returns the length of the card's number that b begins with, 0 if there is none.
func card(b []byte, only bool, all []issuer) int {
	if len(b) < 13 || b[0] > '6' {
		return 0
	}
	reach, pads := min(len(b), cardReach), cardPads
	var room [cardReach]byte // so that none is made for each number
	digits := room[:0]
	at := 0
	take := func(most int) bool {
		for ; at < reach && len(digits) < most; at++ {
			switch c := b[at]; {
			case digit(c):
				digits = append(digits, c-'0')
			case c != ' ' && c != '-', pads == 0:
				return false
			default:
				pads--
			}
		}
		return true
	}
	if !take(6) || len(digits) < 6 {
		return 0
	}
	head := 0
	for _, d := range digits {
		head = head*10 + int(d)
	}
	for _, i := range all {
		if head < i.from || head > i.to || only && !i.credit {
			continue
		}
		take(i.most)
		if len(digits) < i.least || at < reach && digit(b[at]) || !luhn(digits) {
			return 0
		}
		for n := at; n > 0; n-- {
			if digit(b[n-1]) {
				return n
			}
		}
	}
	return 0
}

// luhn tells whether the last digit is the one that the others make (ISO/IEC 7812-1, annex B).
func luhn(digits []byte) bool {
	sum := 0
	for i := range digits {
		d := int(digits[len(digits)-1-i])
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

const (
	hyphenReach   = len("078-05-1120")
	strippedReach = len("078051120")
)

// security returns the length of the number of US social security that b begins with, 0 if
// there is none: three digits that were given to an area, two, four, none of them all zeros.
// Hyphens stand between them, or nothing.
func security(b []byte, hyphens bool) int {
	n := strippedReach
	if hyphens {
		n = hyphenReach
	}
	if len(b) < n || len(b) > n && digit(b[n]) {
		return 0
	}
	parts := [3]int{}
	b = b[:n]
	var ok [3]bool
	if hyphens {
		if b[3] != '-' || b[6] != '-' {
			return 0
		}
		parts[0], ok[0] = scan(b[:3], true)
		parts[1], ok[1] = scan(b[4:6], true)
		parts[2], ok[2] = scan(b[7:], false)
	} else {
		for i, p := range [][]byte{b[:3], b[3:5], b[5:]} {
			parts[i], ok[i] = scan(p, true)
			ok[i] = ok[i] && digit(p[0])
		}
	}
	if ok != [3]bool{true, true, true} || parts[0] < 1 || parts[0] > 772 || parts[0] == 666 || parts[1] < 1 || parts[2] < 1 {
		return 0
	}
	return n
}

// scan reads a number as C's scanf does: spaces and a plus may stand before it, and what stands
// behind it counts for nothing, unless it has to be whole.
func scan(b []byte, whole bool) (n int, ok bool) {
	for len(b) > 0 && (b[0] == ' ' || b[0] >= '\t' && b[0] <= '\r') {
		b = b[1:]
	}
	if len(b) > 0 && b[0] == '+' {
		b = b[1:]
	}
	for len(b) > 0 && digit(b[0]) {
		n, ok, b = n*10+int(b[0]-'0'), true, b[1:]
	}
	return n, ok && (!whole || len(b) == 0)
}

// numberWindow is how much of a text is looked through at a time, bytes.
const numberWindow = 1 << 20

// numbers looks through a text for what read finds at a digit that follows none, and passes
// over what it says.
func (l *Layer) numbers(read func(b []byte) (length, step int)) (places [][2]int64, whole bool) {
	if l.Kind.ClamAV() != "CL_TYPE_TEXT_ASCII" {
		return nil, true
	}
	size := l.Source.Size()
	const margin = 64
	last, next := byte(0), int64(0)
	for from := int64(0); from < size; from += numberWindow {
		if !l.Work(min(size-from, numberWindow) / 4) {
			return places, false
		}
		b, err := bound.ReadAt(l.Source, from, min(size-from, numberWindow+margin), numberWindow+margin)
		if err != nil && err != io.EOF || len(b) == 0 {
			return places, false
		}
		window := b[:min(len(b), numberWindow)]
		for i := 0; ; {
			for i += plain(window[i:]); i < len(window) && !digit(window[i]); {
				i++
			}
			if i == len(window) {
				break
			}
			if (i > 0 || !digit(last)) && from+int64(i) >= next {
				if n, step := read(b[i:]); n > 0 {
					places = append(places, [2]int64{from + int64(i), int64(n)})
					next = from + int64(i+step)
				}
			}
			for i < len(window) && digit(window[i]) {
				i++
			}
		}
		last = window[len(window)-1]
	}
	return places, true
}

// plain returns how many bytes at the start of b, eight at a time, have no digit among them.
func plain(b []byte) (n int) {
	const ones = 0x0101010101010101
	for ; n+8 <= len(b); n += 8 {
		// A digit exclusive-or '0' is less than 10: then the top bit of its byte comes out set.
		if x := binary.LittleEndian.Uint64(b[n:]) ^ '0'*ones; (x-10*ones)&^x&(0x80*ones) != 0 {
			break
		}
	}
	return n
}

func cardsCheck(o options) (runner, error) {
	least, err := o.number("count")
	if err != nil {
		return nil, err
	}
	only, all := o.flag("credit-only"), issuers()
	return func(l *Layer) ([]showcause.Match, map[int]int, bool) {
		places, whole := l.numbers(func(b []byte) (int, int) { return card(b, only, all), cardStep })
		return enough(places, least, whole)
	}, nil
}

func securityCheck(o options) (runner, error) {
	least, err := o.number("count")
	if err != nil {
		return nil, err
	}
	hyphens, stripped := o.flag("hyphens"), o.flag("stripped")
	return func(l *Layer) ([]showcause.Match, map[int]int, bool) {
		var places [][2]int64
		whole := true
		for _, form := range []struct{ on, hyphens bool }{{stripped, false}, {hyphens, true}} {
			if !form.on {
				continue
			}
			some, all := l.numbers(func(b []byte) (int, int) {
				n := security(b, form.hyphens)
				return n, n + 1
			})
			places, whole = append(places, some...), whole && all
		}
		return enough(places, least, whole)
	}, nil
}

// enough takes places, if there are so many.
func enough(places [][2]int64, least int, whole bool) ([]showcause.Match, map[int]int, bool) {
	var f found
	if len(places) >= least {
		f.add(0, places...)
	}
	return f.matches, f.counts, whole
}
