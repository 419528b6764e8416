package clamsig

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const macroGroups = 32

// groupMember is a member of a macro group: the body of an .ndb line with the offset "$group".
type groupMember struct {
	target int64
	group  int64
	body   string
}

// delayed is a logical signature with a macro, which waits until all members of groups are read.
type delayed struct {
	f    *file
	at   int // of its line
	line string
}

// errDelayed is returned for such a line.
var errDelayed = &refusal{detail: "waits for macro groups"}

// delay keeps a line until finish.
func (f *file) delay(line string) *refusal {
	f.l.delayed = append(f.l.delayed, delayed{f, f.line, strings.Clone(line)})
	return errDelayed
}

// finish reads the lines that waited.
func (l *loader) finish() error {
	waited := l.delayed
	l.delayed, l.finished = nil, true
	for _, d := range waited {
		d.f.line = d.at
		name, unfit := d.f.ldb(d.line)
		err := d.f.count(name, unfit)
		l.stats.Files[d.f.place] = d.f.stats
		if err != nil {
			return err
		}
	}
	return nil
}

// macros reads a signature that is well-formed but for its macros.
func (f *file) macros(name, line string, t []string, target int64) (string, *refusal) {
	if !f.l.finished {
		return name, f.delay(line)
	}
	all, r := f.l.expand(slices.Clone(t), target)
	if r != nil {
		return name, r
	}
	name, r = f.ldb(strings.Join(all, ";"))
	if r != nil && r.reason == Malformed { // it was not, as it stood
		r = unsupported(Macro, "%s", r.detail)
	}
	return name, r
}

// groupOf reads "$group", the offset of a member.
func groupOf(s string) (int64, *refusal) {
	if s[0] != '$' {
		return 0, malformed("offset %q", clip(s))
	}
	group, _, ok := leading(s[1:])
	if !ok || group >= macroGroups {
		return 0, malformed("macro group in offset %q", clip(s))
	}
	return group, nil
}

// macro is "${min-max}group$": some member of the group begins so many bytes behind where the
// subsignature before it does.
type macro struct{ min, max, group int64 }

func macroOf(s string) (m macro, r *refusal) {
	bad := malformed("macro %q", clip(s))
	if !strings.HasPrefix(s, "${") || !strings.HasSuffix(s, "$") {
		return m, bad
	}
	var ok bool
	if m.min, s, ok = leading(s[2:]); !ok || !strings.HasPrefix(s, "-") {
		return m, bad
	}
	if m.max, s, ok = leading(s[1:]); !ok || !strings.HasPrefix(s, "}") {
		return m, bad
	}
	if m.group, _, ok = leading(s[1:]); !ok || m.group >= macroGroups {
		return m, bad
	}
	return m, nil
}

// expand writes a signature without macros, as ClamAV's documentation explains them: of
// "0&1;616161;${6-7}12$" the second subsignature is one for each of the group's members,
// "0&(1|2);616161;616161{3-4}626262;616161{3-4}636363".
func (l *loader) expand(t []string, target int64) ([]string, *refusal) {
	for i, s := range t[3:] {
		if !strings.HasPrefix(s, "${") {
			continue
		}
		m, r := macroOf(s)
		if r != nil {
			r.detail = fmt.Sprintf("subsignature %d: %s", i, r.detail)
			return nil, r
		}
		if i == 0 {
			return nil, unsupported(Macro, "subsignature 0: a macro with nothing before it")
		}
		more, leaf := 0, strconv.Itoa(i)
		for _, k := range l.members {
			if k.group != m.group || k.target != target {
				continue
			}
			text, err := m.after(t[3+i-1], k.body)
			if err != nil {
				return nil, unsupported(Macro, "subsignature %d: %v", i, err)
			}
			if more++; more == 1 {
				t[3+i] = text
				continue
			}
			if t = append(t, text); len(t) > 3+maxSubs {
				return nil, unsupported(Macro, "subsignature %d: %d members, for which there is no room", i, more)
			}
			leaf += "|" + strconv.Itoa(len(t)-4)
		}
		if more == 0 {
			return nil, unsupported(Macro, "subsignature %d: macro group %d has no member", i, m.group)
		}
		var ok bool
		if t[2], ok = inPlace(t[2], i, leaf); !ok && more > 1 {
			return nil, unsupported(Macro, "subsignature %d: a macro whose matches are counted", i)
		}
	}
	return t, nil
}

// inPlace puts a group in place of a subsignature in an expression. It is not ok where matches of
// the subsignature are counted.
func inPlace(expr string, sub int, group string) (string, bool) {
	var b strings.Builder
	ok := true
	for i := 0; i < len(expr); {
		n := len(expr[i:]) - len(strings.TrimLeft(expr[i:], "0123456789"))
		if n == 0 {
			b.WriteByte(expr[i])
			i++
			continue
		}
		word, next := expr[i:i+n], expr[i+n:]
		counts := i > 0 && strings.IndexByte("<>=,", expr[i-1]) >= 0
		if v, _ := number(word); !counts && v == int64(sub) {
			ok = ok && (next == "" || !isCmp(next[0]))
			word = "(" + group + ")"
			if !strings.Contains(group, "|") {
				word = group
			}
		}
		b.WriteString(word)
		i += n
	}
	return b.String(), ok
}

// after writes a member behind a subsignature.
func (m macro) after(before, body string) (string, error) {
	f := strings.Split(before, ":")
	at := 0 // of the body
	if len(f) == 2 || len(f) == 4 {
		at = 1
	}
	if strings.ContainsAny(before, "/#$") || len(f) > 4 || strings.ContainsAny(f[at], "*{}[]()") || len(f[at])%2 != 0 {
		return "", errors.New("a macro behind what has no length")
	}
	n := int64(len(f[at]) / 2)
	if m.min < n || m.max < m.min {
		return "", errors.New("a macro that begins within what is before it")
	}
	f[at] += fmt.Sprintf("{%d-%d}%s", m.min-n, m.max-n, body)
	return strings.Join(f, ":"), nil
}
