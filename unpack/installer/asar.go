package installer

import (
	"encoding/json"
	"io"
	"path"
	"strconv"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

const (
	asarStart = `{"files":`
	opAsar    = "asar.file"
)

// Asar is the format of Electron's archives (github.com/electron/asar, README.md, "Format"):
//
//	4 u32, bytes of the header u32, bytes of what follows u32, bytes of the directory u32, the directory, files
//
// The directory is JSON: {"files": {name: {"files": ...} or {"size": n, "offset": "n"}}}, where offsets are counted from
// the end of the header. Links have no bytes, and files that are "unpacked" stand beside the archive.
func Asar() unpack.Format {
	return unpack.Format{
		Name: "asar",
		Match: func(p *unpack.Probe) bool {
			return len(p.Head) >= 25 && le.Uint32(p.Head) == 4 && string(p.Head[16:25]) == asarStart
		},
		Walk: walkAsar,
	}
}

// asar is an archive that is read.
type asar struct {
	l    showcause.Source
	out  *unpack.Out
	base int64
	json *json.Decoder
	end  int64 // of the last file
	bad  bool
}

const asarDepth = 200

func walkAsar(l showcause.Source, out *unpack.Out) {
	h, _ := bound.ReadAt(l, 0, 16, 16)
	if len(h) < 16 {
		return
	}
	a := &asar{l: l, out: out, base: 8 + int64(le.Uint32(h[4:]))}
	n := min(int64(le.Uint32(h[12:])), l.Size()-16)
	a.end = max(a.base, 16+n)
	a.json = json.NewDecoder(io.NewSectionReader(l, 16, n))
	if !out.Work(n / 8) {
		return
	}
	a.entry("", 0)
	if a.bad {
		out.Gap(showcause.Corrupt, 16+a.json.InputOffset(), -1)
		return
	}
	out.Tail(l, a.end, "asar.rest")
}

// token reads one, nil where there is none.
func (a *asar) token() json.Token {
	t, err := a.json.Token()
	if err != nil || !a.out.Work(4) {
		a.bad = true
		return nil
	}
	return t
}

// entry reads the value of a name.
func (a *asar) entry(name string, depth int) {
	if a.token() != json.Delim('{') || depth > asarDepth {
		a.bad = true
		return
	}
	size, off, beside := int64(-1), int64(-1), false
	for a.json.More() && !a.bad {
		key, _ := a.token().(string)
		switch key {
		case "files":
			a.folder(name, depth)
		case "size":
			if v, ok := a.token().(float64); ok && v >= 0 && v < 1<<53 {
				size = int64(v)
			}
		case "offset":
			if v, ok := a.token().(string); ok {
				if n, err := strconv.ParseInt(v, 10, 53); err == nil && n >= 0 {
					off = n
				}
			}
		case "unpacked":
			beside, _ = a.token().(bool)
		default:
			a.skip()
		}
	}
	a.token()
	switch {
	case a.bad || size <= 0:
	case beside || off < 0:
		if !beside {
			a.bad = true
		}
	default:
		a.end = max(a.end, a.base+off+size)
		a.bad = !a.out.Section(a.l, opAsar, name, a.base+off, size)
	}
}

// folder reads what is in one.
func (a *asar) folder(name string, depth int) {
	if a.token() != json.Delim('{') {
		a.bad = true
		return
	}
	for a.json.More() && !a.bad {
		key, ok := a.token().(string)
		if !ok {
			a.bad = true
			return
		}
		a.entry(path.Join(name, key), depth+1)
	}
	a.token()
}

// skip passes a value.
func (a *asar) skip() {
	for depth := 0; !a.bad; {
		switch a.token() {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth <= 0 {
			return
		}
	}
}
