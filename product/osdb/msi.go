package osdb

import (
	"encoding/binary"
	"path"
	"strings"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/cfb"
	"github.com/showcause/showcause/binary/plist"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/look"
)

// msi reads the table Property of Windows installers: two columns of indexes into the table of
// texts, !_StringPool {length u16, references u16} and !_StringData; names of streams are packed, two
// letters in one (Wine, dlls/msi, as a description of the format).
func msi() look.Reader {
	return look.Reader{
		Name: "msi", Method: "properties of .msi installers",
		Match: func(f *look.File) bool {
			return f.Magic("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") && (strings.HasSuffix(f.Lower, ".msi") || strings.Contains(f.Lower, "/windows/installer/"))
		},
		Read: readMSI,
	}
}

func readMSI(f *look.File, o *look.Out) {
	db := cfb.Open(f.Source, o.Work)
	if !db.OK {
		o.Short(true)
		return
	}
	streams := map[string][]byte{}
	for _, i := range db.Children(0) {
		name := unpackName(db.Entries[i].Name)
		switch name {
		case "!_StringPool", "!_StringData", "!Property":
			b, ok := db.Read(i, 64<<20)
			if !ok {
				o.Unread(showcause.Corrupt, 0, -1, name)
				return
			}
			streams[name] = b
		}
	}
	pool, table := streams["!_StringPool"], streams["!Property"]
	if len(pool) < 4 || len(table) == 0 {
		return // something else of Microsoft's
	}
	texts := poolTexts(pool, streams["!_StringData"])
	width := 2
	if pool[3]&0x80 != 0 {
		width = 3
	}
	at := func(i int) string {
		v := int(table[i*width]) | int(table[i*width+1])<<8
		if width == 3 {
			v |= int(table[i*width+2]) << 16
		}
		if v < len(texts) {
			return texts[v]
		}
		return ""
	}
	rows := len(table) / width / 2
	p := map[string]string{}
	for i := range rows {
		p[at(i)] = at(rows + i)
	}
	o.Add(product.Observation{
		Platform: product.MSI, Class: product.Installer, Evidence: product.Evidence{Record: "Property: ProductCode"},
		Facts: look.Facts("title", p["ProductName"], "version", p["ProductVersion"], "publisher", p["Manufacturer"], "code", p["ProductCode"]),
	})
}

// poolTexts are the texts of the pool, from 1 on.
func poolTexts(pool, data []byte) []string {
	out := []string{""}
	for i := 4; i+4 <= len(pool); i += 4 {
		n, refs := int(binary.LittleEndian.Uint16(pool[i:])), binary.LittleEndian.Uint16(pool[i+2:])
		if n == 0 && refs != 0 && i+8 <= len(pool) { // a long text: its length is in the next entry
			n = int(refs)<<16 | int(binary.LittleEndian.Uint16(pool[i+4:]))
			i += 4
		}
		if n > len(data) {
			break
		}
		out = append(out, string(data[:n]))
		data = data[n:]
	}
	return out
}

// unpackName is the name of a stream as the installer knows it, "!" first for a table.
func unpackName(s string) string {
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._"
	var out []rune
	for _, c := range utf16.Encode([]rune(s)) {
		switch {
		case c == 0x4840:
			out = append(out, '!')
		case c >= 0x3800 && c < 0x4800:
			out = append(out, rune(letters[(c-0x3800)&0x3f]), rune(letters[(c-0x3800)>>6]))
		case c >= 0x4800 && c < 0x4840:
			out = append(out, rune(letters[c-0x4800]))
		default:
			out = append(out, rune(c))
		}
	}
	return string(out)
}

// receipt reads the receipts of packages of macOS.
func receipt() look.Reader {
	return look.Reader{
		Name: "receipt", Method: "receipts of macOS packages",
		Match: func(f *look.File) bool {
			return strings.HasSuffix(path.Dir(f.Lower), "/var/db/receipts") && strings.HasSuffix(f.Lower, ".plist")
		},
		Read: func(f *look.File, o *look.Out) {
			b, ok := f.Bytes(o, plist.MaxSize)
			if !ok {
				return
			}
			d, ok := plist.Dict(b)
			if !ok {
				o.Unread(showcause.Corrupt, 0, int64(len(b)), "")
				return
			}
			id := plist.Text(d, "PackageIdentifier")
			o.Add(product.Observation{
				Platform: product.MacOS, Class: product.Remnant, Evidence: product.Evidence{Record: "PackageIdentifier: " + id},
				Facts: look.Facts("package", id, "version", plist.Text(d, "PackageVersion")),
			})
		},
	}
}
