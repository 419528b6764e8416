package office

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

const (
	maxFormula = 16 << 10 // bytes of its text
	maxArgs    = 255
)

// cellName is the name of a cell, counted from 0.
func cellName(row, col int) string {
	name := ""
	for c := col & 0x3fff; ; c = c/26 - 1 {
		name = string(rune('A'+c%26)) + name
		if c < 26 {
			break
		}
	}
	return name + strconv.Itoa(row+1)
}

// formula is the text of the formula of n bytes that b begins with ([MS-XLS] 2.2.2). What
// cannot be told is left out, and a formula that breaks ends with "...".
func (w *workbook) formula(b []byte, n int) string {
	e := expression{w: w, b: b[:min(n, len(b))], whole: n <= len(b)}
	for len(e.b) > 0 && w.out.Work(4) {
		if !e.token() {
			e.whole = false
			break
		}
		if k := len(e.stack); k > 0 && len(e.stack[k-1]) > maxFormula {
			e.stack[k-1] = e.stack[k-1][:maxFormula]
			e.whole = false
			break
		}
	}
	s := strings.Join(e.stack, " ")
	if !e.whole {
		s += "..."
	}
	return s
}

// expression is a formula while it is rebuilt.
type expression struct {
	w     *workbook
	b     []byte
	stack []string
	whole bool
}

func (e *expression) push(s string) bool {
	if e.w.copied += int64(len(s)); e.w.copied > maxCopied {
		e.w.short = true
		return false
	}
	e.stack = append(e.stack, s)
	return true
}

// pop takes the last n operands, in order; those that lack are empty.
func (e *expression) pop(n int) []string {
	k := max(len(e.stack)-n, 0)
	out := append(make([]string, n-(len(e.stack)-k)), e.stack[k:]...)
	e.stack = e.stack[:k]
	return out
}

// take takes n bytes, nil if there are fewer.
func (e *expression) take(n int) []byte {
	if n > len(e.b) {
		return nil
	}
	b := e.b[:n:n]
	e.b = e.b[n:]
	return b
}

// size picks that of the version: BIFF2, BIFF3 and 4, BIFF5, BIFF8.
func (e *expression) size(of [4]int) int {
	switch v := e.w.version; {
	case v <= 2:
		return of[0]
	case v <= 4:
		return of[1]
	case v == 5:
		return of[2]
	}
	return of[3]
}

// number takes a number of one byte up to a version, of two bytes behind it, -1 where there is none.
func (e *expression) number(last int) int {
	if e.w.version <= last {
		if b := e.take(1); b != nil {
			return int(b[0])
		}
	} else if b := e.take(2); b != nil {
		return int(le.Uint16(b))
	}
	return -1
}

// token takes one token, false where it breaks.
func (e *expression) token() bool {
	t := e.b[0]
	e.b = e.b[1:]
	binary := [...]string{"+", "-", "*", "/", "^", "&", "<", "<=", "=", ">=", ">", "<>", " ", ",", ":"}
	if t >= 0x40 { // references, values and arrays are told apart by two bits
		t = t&0x1f | 0x20
	}
	switch {
	case t == 1 || t == 2: // of another cell
		return e.take(e.size([4]int{3, 4, 4, 4})) != nil && e.push("(shared)")
	case t >= 3 && t <= 0x11:
		v := e.pop(2)
		return e.push(v[0] + binary[t-3] + v[1])
	case t == 0x12 || t == 0x13:
		return e.push(string("+-"[t-0x12]) + e.pop(1)[0])
	case t == 0x14:
		return e.push(e.pop(1)[0] + "%")
	case t == 0x15:
		return e.push("(" + e.pop(1)[0] + ")")
	case t == 0x16:
		return e.push("")
	case t < 0x20:
		return e.constant(t)
	case t == 0x21 || t == 0x22:
		return e.call(t == 0x22, 0)
	case t == 0x38 && e.w.version < 5: // a command
		return e.call(true, 0x8000)
	}
	return e.operand(t)
}

// constant takes a token of a value, or one that is none.
func (e *expression) constant(t byte) bool {
	switch t {
	case 0x17:
		n := e.take(1)
		if n == nil {
			return false
		}
		s, rest := e.w.chars(e.b, int(n[0]))
		e.b = rest
		return e.push(`"` + strings.ReplaceAll(s, `"`, `""`) + `"`)
	case 0x18:
		return e.take(5) != nil
	case 0x1a, 0x1b: // another sheet, before Excel 5, and its end
		n := e.size([4]int{7, 10, 0, 0})
		if t == 0x1b {
			n = e.size([4]int{3, 4, 0, 0})
		}
		return n > 0 && e.take(n) != nil
	case 0x19:
		return e.attribute()
	case 0x1c:
		b := e.take(1)
		return b != nil && e.push("#ERR"+strconv.Itoa(int(b[0])))
	case 0x1d:
		b := e.take(1)
		return b != nil && e.push(strings.ToUpper(strconv.FormatBool(b[0] != 0)))
	case 0x1e:
		b := e.take(2)
		return b != nil && e.push(strconv.Itoa(int(le.Uint16(b))))
	case 0x1f:
		b := e.take(8)
		return b != nil && e.push(strconv.FormatFloat(math.Float64frombits(le.Uint64(b)), 'g', -1, 64))
	}
	return false
}

// attribute takes what only helps to compute, and the sum of one.
func (e *expression) attribute() bool {
	b := e.take(1)
	if b == nil {
		return false
	}
	n := e.number(2)
	if n < 0 {
		return false
	}
	if b[0]&4 != 0 && e.take(e.size([4]int{1, 2, 2, 2})*(n+1)) == nil {
		return false
	}
	if b[0]&0x10 != 0 {
		return e.push("SUM(" + e.pop(1)[0] + ")")
	}
	return true
}

// call takes a function, to whose number others are added. One of a fixed number of operands has that of the table, or one.
func (e *expression) call(counted bool, add uint16) bool {
	args := -1
	if counted {
		n := e.take(1)
		if n == nil {
			return false
		}
		args = int(n[0] & 0x7f)
	}
	number := e.number(3)
	if number < 0 {
		return false
	}
	id := uint16(number) | add
	name, fixed := e.w.function(id)
	if args < 0 {
		args = fixed
	}
	v := e.pop(min(args, maxArgs))
	if id == 255 && len(v) > 0 { // a function of the user's: its name is the first
		name, v = v[0], v[1:]
	}
	return e.push(name + "(" + strings.Join(v, ",") + ")")
}

// operand takes a reference.
func (e *expression) operand(t byte) bool {
	cell := func(b []byte) string {
		if !e.w.wide {
			return cellName(int(le.Uint16(b)&0x3fff), int(b[2]))
		}
		return cellName(int(le.Uint16(b)), int(le.Uint16(b[2:])&0xff))
	}
	area := func(b []byte) string {
		if !e.w.wide {
			return cellName(int(le.Uint16(b)&0x3fff), int(b[4])) + ":" + cellName(int(le.Uint16(b[2:])&0x3fff), int(b[5]))
		}
		return cellName(int(le.Uint16(b)), int(le.Uint16(b[4:])&0xff)) + ":" + cellName(int(le.Uint16(b[2:])), int(le.Uint16(b[6:])&0xff))
	}
	three, six := [4]int{3, 3, 3, 4}, [4]int{6, 6, 6, 8}
	memory, again := [4]int{4, 6, 6, 6}, [4]int{1, 2, 2, 2}
	sizes := [0x40][4]int{
		0x20: {6, 7, 7, 7}, 0x23: {7, 10, 14, 4}, 0x24: three, 0x25: six, 0x26: memory, 0x27: memory, 0x28: memory, 0x29: again, 0x2a: three, 0x2b: six, 0x2c: three, 0x2d: six,
		0x2e: again, 0x2f: again, 0x39: {0, 0, 24, 6}, 0x3a: {0, 0, 17, 6}, 0x3b: {0, 0, 20, 10}, 0x3c: {0, 0, 17, 6}, 0x3d: {0, 0, 20, 10},
	}
	size := e.size(sizes[t])
	b := e.take(size)
	if size == 0 || b == nil {
		return false
	}
	other := e.size([4]int{0, 0, 14, 2})
	switch t {
	case 0x20:
		return e.push("{array}")
	case 0x23:
		if i := int(le.Uint16(b)) - 1; i >= 0 && i < len(e.w.names) {
			return e.push(e.w.names[i])
		}
		return e.push(fmt.Sprintf("name%d", le.Uint16(b)))
	case 0x24, 0x2c:
		return e.push(cell(b))
	case 0x25, 0x2d:
		return e.push(area(b))
	case 0x26, 0x27, 0x28, 0x29, 0x2e, 0x2f:
		return true
	case 0x2a, 0x2b, 0x3c, 0x3d:
		return e.push("#REF!")
	case 0x39:
		return e.push(fmt.Sprintf("external%d", le.Uint16(b[2:])))
	case 0x3a:
		return e.push(fmt.Sprintf("#%d!%s", le.Uint16(b), cell(b[other:])))
	}
	return e.push(fmt.Sprintf("#%d!%s", le.Uint16(b), area(b[other:])))
}

// function is the name of a function and how many operands it has if they are not
// counted ([MS-XLS] 2.5.198.17, and 2.5.198.4 for commands).
func (w *workbook) function(id uint16) (name string, args int) {
	if w.functions == nil {
		w.functions, w.commands = functions(), commands()
	}
	if id&0x8000 != 0 {
		if s, ok := w.commands[id&0x7fff]; ok {
			return s, 1
		}
		return fmt.Sprintf("COMMAND%d", id&0x7fff), 1
	}
	if s, ok := w.functions[id]; ok {
		name, n, _ := strings.Cut(s, "/")
		args, err := strconv.Atoi(n)
		if err != nil {
			args = 1
		}
		return name, args
	}
	return fmt.Sprintf("FUNCTION%d", id), 1
}

func commands() map[uint16]string {
	return map[uint16]string{1: "OPEN", 4: "SAVE", 5: "SAVE.AS", 6: "FILE.DELETE", 17: "RUN", 96: "FORMULA", 97: "FORMULA.FILL", 118: "ALERT", 148: "ON.TIME"}
}

// functions are those that macros use, and how many operands they have if not one.
func functions() map[uint16]string {
	return map[uint16]string{
		0: "COUNT", 1: "IF", 2: "ISNA", 3: "ISERROR", 4: "SUM", 5: "AVERAGE", 6: "MIN", 7: "MAX", 8: "ROW", 9: "COLUMN", 10: "NA/0", 24: "ABS", 25: "INT", 26: "SIGN", 27: "ROUND/2",
		28: "LOOKUP", 29: "INDEX", 30: "REPT/2", 31: "MID/3", 32: "LEN", 33: "VALUE", 34: "TRUE/0", 35: "FALSE/0", 36: "AND", 37: "OR", 38: "NOT", 39: "MOD/2", 48: "TEXT/2",
		53: "GOTO", 54: "HALT", 55: "RETURN", 63: "RAND/0", 64: "MATCH", 65: "DATE/3", 66: "TIME/3", 67: "DAY", 68: "MONTH", 69: "YEAR", 70: "WEEKDAY", 71: "HOUR", 72: "MINUTE",
		73: "SECOND", 74: "NOW/0", 75: "AREAS", 76: "ROWS", 77: "COLUMNS", 78: "OFFSET", 79: "ABSREF/2", 80: "RELREF/2", 81: "ARGUMENT", 82: "SEARCH", 84: "ERROR", 86: "TYPE",
		87: "ECHO", 88: "SET.NAME", 89: "CALLER/0", 90: "DEREF", 94: "ACTIVE.CELL/0", 95: "SELECTION/0", 96: "RESULT", 100: "CHOOSE", 101: "HLOOKUP", 102: "VLOOKUP", 104: "INPUT",
		105: "ISREF", 106: "GET.FORMULA", 107: "GET.NAME", 108: "SET.VALUE/2", 110: "EXEC", 111: "CHAR", 112: "LOWER", 113: "UPPER", 114: "PROPER", 115: "LEFT", 116: "RIGHT",
		117: "EXACT/2", 118: "TRIM", 119: "REPLACE/4", 120: "SUBSTITUTE", 121: "CODE", 123: "DIRECTORY", 124: "FIND", 125: "CELL", 126: "ISERR", 127: "ISTEXT", 128: "ISNUMBER",
		129: "ISBLANK", 130: "T", 131: "N", 132: "FOPEN", 133: "FCLOSE", 134: "FSIZE", 135: "FREADLN", 136: "FREAD/2", 137: "FWRITELN/2", 138: "FWRITE/2", 139: "FPOS",
		146: "REFTEXT", 147: "TEXTREF", 148: "INDIRECT", 149: "REGISTER", 150: "CALL", 162: "CLEAN", 166: "FILES", 169: "COUNTA", 185: "GET.CELL", 186: "GET.WORKSPACE",
		187: "GET.WINDOW", 188: "GET.DOCUMENT", 197: "TRUNC", 219: "ADDRESS", 221: "TODAY/0", 255: "USER", 267: "UNREGISTER", 268: "GET.WORKBOOK", 336: "CONCATENATE",
	}
}
