package engine

import (
	"math"
	"strings"
)

// What json_get_type returns.
const (
	jsonNull = iota
	jsonBool
	jsonFloat
	jsonInteger
	jsonMap
	jsonList
	jsonText
)

const notOfType = 1<<32 - 2

func jsonActive(m *run, _ []uint64) uint64 {
	if m.ctx.Metadata != nil {
		return 1
	}
	return 0
}

// json gives the value of the number: 0 is the metadata itself.
func (m *run) json(id uint64) (v any, ok bool) {
	if m.ctx.Metadata == nil {
		return nil, false
	}
	if len(m.jsons) == 0 {
		m.jsons = []any{m.ctx.Metadata}
	}
	if id >= uint64(len(m.jsons)) {
		return nil, false
	}
	return m.jsons[id], true
}

// give makes a number of a value.
func (m *run) give(v any) uint64 {
	if !m.Allocate(32) {
		return no
	}
	m.jsons = append(m.jsons, v)
	return uint64(len(m.jsons) - 1)
}

// json_get_object(name, len, object): 0 if there is none.
func jsonObject(m *run, a []uint64) uint64 {
	name := m.Resolve(a[0], a[1], false)
	v, ok := m.json(a[2])
	if name == nil || !ok || int32(a[1]) < 0 {
		return no
	}
	key, _, _ := strings.Cut(string(name), "\x00")
	fields, _ := v.(map[string]any)
	if v, ok = fields[key]; !ok {
		return 0
	}
	return m.give(v)
}

// json_get_type(object).
func jsonType(m *run, a []uint64) uint64 {
	v, ok := m.json(a[0])
	if !ok {
		return no
	}
	switch v := v.(type) {
	case bool:
		return jsonBool
	case float64:
		if v == math.Trunc(v) {
			return jsonInteger
		}
		return jsonFloat
	case map[string]any:
		return jsonMap
	case []any:
		return jsonList
	case string:
		return jsonText
	}
	return jsonNull
}

func (m *run) list(id uint64) (l []any, answer uint64) {
	v, ok := m.json(id)
	if !ok {
		return nil, no
	}
	if l, ok = v.([]any); !ok {
		return nil, notOfType
	}
	return l, 0
}

// json_get_array_length(array).
func jsonArrayLength(m *run, a []uint64) uint64 {
	l, answer := m.list(a[0])
	if answer != 0 {
		return answer
	}
	return uint64(len(l))
}

// json_get_array_idx(index, array): 0 if there is none.
func jsonArrayIndex(m *run, a []uint64) uint64 {
	l, answer := m.list(a[1])
	if answer != 0 || a[0] >= uint64(len(l)) {
		return answer
	}
	return m.give(l[a[0]])
}

func (m *run) jsonText(id uint64) (s string, answer uint64) {
	v, ok := m.json(id)
	if !ok {
		return "", no
	}
	if s, ok = v.(string); !ok {
		return "", notOfType
	}
	s, _, _ = strings.Cut(s, "\x00")
	return s, 0
}

// json_get_string_length(string).
func jsonStringLength(m *run, a []uint64) uint64 {
	s, answer := m.jsonText(a[0])
	if answer != 0 {
		return answer
	}
	return uint64(len(s))
}

// json_get_string(to, len, string): what fits, and a NUL; how much that is.
func jsonString(m *run, a []uint64) uint64 {
	to := m.Resolve(a[0], a[1], true)
	s, answer := m.jsonText(a[2])
	if answer != 0 || len(to) == 0 {
		return max(answer, 0)
	}
	n := copy(to[:len(to)-1], s)
	to[n] = 0
	return uint64(n + 1)
}

// json_get_boolean(value): whether it is one that counts as true.
func jsonBoolean(m *run, a []uint64) uint64 {
	v, ok := m.json(a[0])
	if !ok {
		return no
	}
	switch v := v.(type) {
	case bool:
		if v {
			return 1
		}
	case float64:
		if v != 0 {
			return 1
		}
	case string:
		if v != "" {
			return 1
		}
	}
	return 0
}

// json_get_int(value).
func jsonInt(m *run, a []uint64) uint64 {
	v, ok := m.json(a[0])
	if !ok {
		return no
	}
	switch v := v.(type) {
	case bool:
		return jsonBoolean(m, a)
	case float64:
		return uint64(uint32(int32(math.Max(math.MinInt32, math.Min(math.MaxInt32, v)))))
	}
	return 0
}
