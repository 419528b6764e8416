package wire

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/showcause/showcause/yara/module"
)

// Bounds of external variables in bytes: those of all files, those of one file
// (a path of PATH_MAX bytes, and its parts), and those of all files of a message.
const (
	MaxExternals    = 48 << 10
	MaxJobExternals = 8 << 10
	MaxJobsExternal = 32 << 10

	maxNesting   = 8 // of arrays and structures in each other
	leastValue   = 1 + 4
	leastElement = 1 + leastValue // with a name
)

// EncodeExternals writes the values of external variables of YARA rules, in most
// bytes at most:
//
//	number u16, then for each, by name: name, value
//	name   length u8, bytes
//	value  kind u8; int, bool, float: 8 bytes; text: length u32, bytes
//	       array: number u32, values; structure: number u32, then for each, by name: name, value
//
// What has no end (functions, modules' own structures and maps) does not travel.
func EncodeExternals(all map[string]module.Value, most int) (string, error) {
	if len(all) == 0 {
		return "", nil
	}
	w := &values{b: le.AppendUint16(nil, uint16(min(len(all), math.MaxUint16))), most: most}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := w.named(name, all[name], 0); err != nil {
			return "", fmt.Errorf("external variable %.40q: %w", name, err)
		}
	}
	return string(w.b), nil
}

// values writes values.
type values struct {
	b    []byte
	most int
}

func (w *values) named(name string, v module.Value, depth int) error {
	if len(name) > math.MaxUint8 {
		return fmt.Errorf("name of %d bytes", len(name))
	}
	w.b = append(append(w.b, uint8(len(name))), name...)
	return w.value(v, depth)
}

func (w *values) value(v module.Value, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("more than %d levels", maxNesting)
	}
	w.b = append(w.b, uint8(v.Kind))
	items, _ := v.Ref.(module.Items)
	tree, isTree := v.Ref.(module.Tree)
	switch {
	case v.Kind == module.Int, v.Kind == module.Bool:
		w.b = le.AppendUint64(w.b, uint64(v.Int))
	case v.Kind == module.Float:
		w.b = le.AppendUint64(w.b, math.Float64bits(v.Float))
	case v.Kind == module.String && len(v.Text) <= w.most:
		w.b = append(le.AppendUint32(w.b, uint32(len(v.Text))), v.Text...)
	case v.Kind == module.String: // too long, which is said below
		w.b = append(w.b, v.Text[:w.most+1]...)
	case v.Kind == module.Array && items != nil && items.Len() <= w.most:
		w.b = le.AppendUint32(w.b, uint32(items.Len()))
		for i := range items.Len() {
			if err := w.value(items.At(int64(i)), depth+1); err != nil {
				return err
			}
		}
	case v.Kind == module.Struct && isTree:
		w.b = le.AppendUint32(w.b, uint32(len(tree)))
		for _, name := range slices.Sorted(maps.Keys(tree)) {
			if err := w.named(name, tree[name], depth+1); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("%s cannot be given to a reader", v.Kind)
	}
	if len(w.b) > w.most {
		return fmt.Errorf("more than %d bytes, with those before it", w.most)
	}
	return nil
}

// DecodeExternals reads them.
func DecodeExternals(s string) (map[string]module.Value, error) {
	if s == "" {
		return nil, nil
	}
	c := &cursor{b: []byte(s)}
	n := int(c.u16())
	out := c.tree(n, 0)
	if n == 0 || c.short || len(c.b) > 0 || len(out) != n {
		return nil, errMessage
	}
	return out, nil
}

// tree takes n values with their names. What does not fit makes the cursor short.
func (c *cursor) tree(n, depth int) module.Tree {
	out := module.Tree{}
	for range n {
		name := string(c.take(int(c.u8())))
		v := c.value(depth)
		if c.short {
			return nil
		}
		out[name] = v
	}
	if len(out) != n { // a name twice
		c.short, c.b = true, nil
	}
	return out
}

// value takes a value.
func (c *cursor) value(depth int) module.Value {
	v := module.Value{Kind: module.Kind(c.u8())}
	switch {
	case depth > maxNesting:
		c.short, c.b = true, nil
	case v.Kind == module.Int, v.Kind == module.Bool:
		v.Int = c.i64()
	case v.Kind == module.Float:
		v.Float = math.Float64frombits(uint64(c.i64()))
	case v.Kind == module.String:
		v.Text = string(c.take(c.count(1)))
	case v.Kind == module.Array:
		list := make(module.List, c.count(leastValue))
		for i := range list {
			list[i] = c.value(depth + 1)
		}
		v.Ref = list
	case v.Kind == module.Struct:
		v.Ref = c.tree(c.count(leastElement), depth+1)
	default:
		c.short, c.b = true, nil
	}
	return v
}
