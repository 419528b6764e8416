package wire

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/showcause/showcause/yara/module"
)

// Bounds of external variables in a message: those of all files, and those of
// one, of which a message has as many as a reader holds.
const (
	MaxExternals    = 48 << 10
	MaxJobExternals = 2000
)

// EncodeExternals writes the values of external variables of YARA rules:
//
//	number u16, then for each, by name: name, kind u8, value
//	name   length u8, bytes
//	value  int, bool, float: 8 bytes; text: length u32, bytes
//
// Structures, arrays and maps do not travel.
func EncodeExternals(all map[string]module.Value, most int) (string, error) {
	if len(all) == 0 {
		return "", nil
	}
	b := le.AppendUint16(nil, uint16(min(len(all), math.MaxUint16)))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		v := all[name]
		if len(name) > math.MaxUint8 {
			return "", fmt.Errorf("external variable %.40q: name of %d bytes", name, len(name))
		}
		b = append(append(b, uint8(len(name))), name...)
		b = append(b, uint8(v.Kind))
		switch v.Kind {
		case module.Int, module.Bool:
			b = le.AppendUint64(b, uint64(v.Int))
		case module.Float:
			b = le.AppendUint64(b, math.Float64bits(v.Float))
		case module.String:
			b = append(le.AppendUint32(b, uint32(len(v.Text))), v.Text...)
		default:
			return "", fmt.Errorf("external variable %s: %s cannot be given to a reader", name, v.Kind)
		}
		if len(b) > most {
			return "", fmt.Errorf("external variables: more than %d bytes", most)
		}
	}
	return string(b), nil
}

// decodeExternals reads them.
func DecodeExternals(s string) (map[string]module.Value, error) {
	if s == "" {
		return nil, nil
	}
	c := &cursor{b: []byte(s)}
	n := int(c.u16())
	if n == 0 {
		return nil, errMessage
	}
	out := map[string]module.Value{}
	for range n {
		name := string(c.take(int(c.u8())))
		v := module.Value{Kind: module.Kind(c.u8())}
		switch v.Kind {
		case module.Int, module.Bool:
			v.Int = c.i64()
		case module.Float:
			v.Float = math.Float64frombits(uint64(c.i64()))
		case module.String:
			v.Text = string(c.take(c.count(1)))
		default:
			return nil, errMessage
		}
		if c.short {
			return nil, errMessage
		}
		out[name] = v
	}
	if len(c.b) > 0 || len(out) != n {
		return nil, errMessage
	}
	return out, nil
}
