package wire

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// MaxModules is what the files for YARA's modules take together, bytes.
const MaxModules = 16 << 20

// EncodeModules writes files by the names of the modules that read them:
//
//	number u16, then for each, by name: length u8, name, length u32, bytes
func EncodeModules(files map[string][]byte) ([]byte, error) {
	size := 2
	for name, b := range files {
		if len(name) > math.MaxUint8 {
			return nil, fmt.Errorf("module %.40q: name of %d bytes", name, len(name))
		}
		if size += 1 + len(name) + 4 + min(len(b), MaxModules); size > MaxModules || len(b) > MaxModules {
			return nil, fmt.Errorf("files for modules: more than %d bytes", MaxModules)
		}
	}
	out := le.AppendUint16(make([]byte, 0, size), uint16(len(files)))
	for _, name := range slices.Sorted(maps.Keys(files)) {
		out = append(append(out, uint8(len(name))), name...)
		out = append(le.AppendUint32(out, uint32(len(files[name]))), files[name]...)
	}
	return out, nil
}

// DecodeModules reads them. The files are parts of b.
func DecodeModules(b []byte) (map[string][]byte, error) {
	if len(b) > MaxModules {
		return nil, errMessage
	}
	c := &cursor{b: b}
	n := int(c.u16())
	out := map[string][]byte{}
	for range n {
		name := string(c.take(int(c.u8())))
		file := c.take(c.count(1))
		if c.short {
			return nil, errMessage
		}
		out[name] = file
	}
	if c.short || len(c.b) > 0 || len(out) != n {
		return nil, errMessage
	}
	return out, nil
}
