package yaracmd

import (
	"fmt"
	"os"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/yara/author"
	"github.com/showcause/showcause/yara/fields"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// dump prints what the modules that the rules import say of a file, as yara -D does.
func (y *run) dump(f *os.File) {
	st, err := f.Stat()
	if err != nil {
		return
	}
	d := source.YARA
	if y.o.Dialect == source.YARAX.String() {
		d = source.YARAX
	}
	in := author.Bytes(showcause.Source(sizedFile{f, st.Size()}), fields.Host{Files: y.files})
	for _, name := range y.imports {
		t := module.Load(name, d)
		if t == nil {
			continue
		}
		fmt.Fprintln(y.out, name)
		y.dumpFields(t, in.Module(name, d), 1)
		fmt.Fprintln(y.out)
	}
}

// sizedFile is a file as a Source.
type sizedFile struct {
	*os.File
	size int64
}

// Size is the number of bytes.
func (f sizedFile) Size() int64 { return f.size }

func (y *run) dumpFields(t *module.Type, v module.Value, depth int) {
	fields, _ := v.Ref.(module.Fields)
	for _, f := range t.Fields {
		if f.Type.Kind == module.Func {
			continue
		}
		var x module.Value
		switch {
		case f.Const != nil:
			x = *f.Const
		case fields != nil:
			x = fields.Field(f.Name)
		}
		y.dumpValue(f.Name, f.Type, x, depth)
	}
}

func (y *run) dumpValue(name string, t *module.Type, v module.Value, depth int) {
	indent := strings.Repeat("\t", depth)
	switch t.Kind {
	case module.Struct:
		fmt.Fprintf(y.out, "%s%s\n", indent, name)
		y.dumpFields(t, v, depth+1)
	case module.Array:
		fmt.Fprintf(y.out, "%s%s\n", indent, name)
		if items, ok := v.Ref.(module.Items); ok {
			for i := range items.Len() {
				y.dumpValue(fmt.Sprintf("[%d]", i), t.Elem, items.At(int64(i)), depth+1)
			}
		}
	case module.Map:
		fmt.Fprintf(y.out, "%s%s\n", indent, name)
		if pairs, ok := v.Ref.(module.Pairs); ok {
			for i := range pairs.Len() {
				key, x := pairs.Pair(i)
				label := fmt.Sprintf("[%d]", key.Int)
				if key.Kind == module.String {
					label = fmt.Sprintf("[%q]", key.Text)
				}
				y.dumpValue(label, t.Elem, x, depth+1)
			}
		}
	case module.Func:
	default:
		fmt.Fprintf(y.out, "%s%s = %s\n", indent, name, dumped(v))
	}
}

// dumped is a value as yara -D prints it.
func dumped(v module.Value) string {
	switch v.Kind {
	case module.Bool, module.Int:
		return fmt.Sprint(v.Int)
	case module.Float:
		return fmt.Sprintf("%f", v.Float)
	case module.String:
		var b strings.Builder
		b.WriteByte('"')
		for _, c := range []byte(v.Text) {
			if c >= ' ' && c <= '~' {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		}
		b.WriteByte('"')
		return b.String()
	}
	return "YR_UNDEFINED"
}
