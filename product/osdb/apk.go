package osdb

import (
	"bytes"
	"path"
	"strings"

	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/look"
)

// apk reads the database of Alpine (apk-tools, "Apk spec", installed database).
func apk() look.Reader {
	return look.Reader{
		Name: "apk", Method: "records of apk",
		Match: func(f *look.File) bool {
			return strings.HasSuffix(f.Lower, "/apk/db/installed") || path.Base(f.Lower) == "installed" && f.Magic("C:Q1")
		},
		Read: func(f *look.File, o *look.Out) {
			b, ok := f.Bytes(o, maxDatabase)
			if !ok {
				return
			}
			stanzas(b, ":", func(s stanza) bool {
				for _, name := range s.names(o, "P") {
					o.Add(product.Observation{
						Platform: product.APK, Evidence: product.Evidence{Offset: s.off, Length: s.n, Record: "P:" + name},
						Facts: look.Facts("package", name, "version", s.fields["V"], "publisher", s.fields["m"], "title", s.fields["T"]),
					})
				}
				return o.Work(1)
			})
		},
	}
}

// apkPackage reads what a package of Alpine says of itself.
func apkPackage() look.Reader {
	return look.Reader{
		Name: "pkginfo", Method: "descriptions in .apk packages of Alpine",
		Match: func(f *look.File) bool { return path.Base(f.Lower) == ".pkginfo" },
		Read: func(f *look.File, o *look.Out) {
			b, ok := f.Bytes(o, 1<<20)
			if !ok {
				return
			}
			stanzas(bytes.ReplaceAll(b, []byte("\n\n"), []byte("\n")), " = ", func(s stanza) bool {
				o.Add(product.Observation{
					Platform: product.APK, Class: product.Installer, Evidence: product.Evidence{Record: "pkgname = " + s.fields["pkgname"]},
					Facts: look.Facts("package", s.fields["pkgname"], "version", s.fields["pkgver"], "publisher", s.fields["packager"], "title", s.fields["pkgdesc"]),
				})
				return false
			})
		},
	}
}
