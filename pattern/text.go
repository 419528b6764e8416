package pattern

import (
	"fmt"
	"strings"
)

// String returns the program for people: "41 42 ?? {4-10} (61|62) *". Bytes
// within "i(" and ")" compare without case; variants are parted by " or ".
func (p Program) String() string {
	if p.Check(nil) != nil {
		return "(corrupt program)"
	}
	var b strings.Builder
	if p.plain() {
		writeBytes(&b, p[1:], nil, p[0]&flagFold != 0)
		return b.String()
	}
	if p[0]&flagForms != 0 {
		for i := range list(p[1:]).count() {
			if i > 0 {
				b.WriteString(" or ")
			}
			writeForm(&b, formOf(list(p[1:]).item(i)))
		}
		return b.String()
	}
	vars := p.variants()
	for i := range vars.count() {
		if i > 0 {
			b.WriteString(" or ")
		}
		writeSequence(&b, vars.item(i))
	}
	return b.String()
}

func writeSequence(b *strings.Builder, seq list) {
	for i := range seq.count() {
		if i > 0 {
			b.WriteByte(' ')
		}
		el := seq.item(i)
		switch el[0] & headKind {
		case headBytes, headMasked:
			val, mask, fold := value(el)
			writeBytes(b, val, mask, fold)
		case headGap:
			writeGap(b, el)
		case headAlt:
			alts := list(el[1:])
			for j := range alts.count() {
				b.WriteByte("(|"[min(j, 1)])
				writeSequence(b, alts.item(j))
			}
			b.WriteByte(')')
		case headNot:
			alts := list(el[1:])
			b.WriteByte('!')
			for j := range alts.count() {
				b.WriteByte("(|"[min(j, 1)])
				val, mask, fold := value(alts.item(j))
				writeBytes(b, val, mask, fold)
			}
			b.WriteByte(')')
		case headAssert:
			if el[0]&headMod != 0 {
				b.WriteByte('!')
			}
			b.WriteString([...]string{"(B)", "(B)", "(L)", "(L)", "(W)", "(W)", "(f)", "(f)", "(fw)", "(fw)"}[el[1]])
		case headNear:
			fmt.Fprintf(b, "[%d-%d:", int8(el[3]), int8(el[4]))
			writeBytes(b, el[1:2], el[2:3], el[0]&headMod != 0)
			b.WriteByte(']')
		}
	}
}

func writeGap(b *strings.Builder, el []byte) {
	switch lo, hi := gap(el); {
	case lo == 0 && hi < 0:
		b.WriteByte('*')
	case hi < 0:
		fmt.Fprintf(b, "{%d-}", lo)
	case lo == hi:
		fmt.Fprintf(b, "{%d}", lo)
	case lo == 0:
		fmt.Fprintf(b, "{-%d}", hi)
	default:
		fmt.Fprintf(b, "{%d-%d}", lo, hi)
	}
}

func writeBytes(b *strings.Builder, val, mask []byte, fold bool) {
	if fold {
		b.WriteString("i(")
	}
	for i, c := range val {
		if i > 0 {
			b.WriteByte(' ')
		}
		m := byte(0xff)
		if mask != nil {
			m = mask[i]
		}
		switch m {
		case 0xff:
			fmt.Fprintf(b, "%02x", c)
		case 0xf0:
			fmt.Fprintf(b, "%x?", c>>4)
		case 0x0f:
			fmt.Fprintf(b, "?%x", c)
		case 0:
			b.WriteString("??")
		default:
			fmt.Fprintf(b, "%02x&%02x", c, m)
		}
	}
	if fold {
		b.WriteByte(')')
	}
}
