package osdb

import (
	"path"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/rpmdb"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/look"
)

// rpm reads the database of rpm in each of its forms, and headers of packages.
func rpm() look.Reader {
	names := []string{"rpmdb.sqlite", "packages.db", "packages", "rpmdb.sqlite-wal"}
	return look.Reader{
		Name: "rpm", Method: "records of rpm, headers of .rpm packages",
		Match: func(f *look.File) bool {
			base := path.Base(f.Lower) // "_dbpath" is as each system has it, so that the name of the file alone tells where it can
			in := strings.Contains(f.Lower, "/rpm/") || strings.Contains(f.Lower, "/sysimage/") || strings.Contains(f.Lower, "rpmdb/")
			return in && slices.Contains(names, base) || strings.HasPrefix(base, "rpmdb.sqlite") && slices.Contains(names, base) || f.Magic("\xed\xab\xee\xdb", "RpmP")
		},
		Read: readRPM,
	}
}

func readRPM(f *look.File, o *look.Out) {
	if strings.HasSuffix(f.Lower, "-wal") {
		if n := f.Source.Size(); n > 0 {
			o.Unread(showcause.Unsupported+".rpm.log", 0, n, "changes that are not in the database yet")
		}
		return
	}
	db := rpmdb.Parse(f.Source, o.Work)
	if db.Form == "" {
		if f.Source.Size() > 0 {
			o.Unread(showcause.Unsupported+".rpm", 0, -1, "no form of a database of rpm that is known")
		}
		return
	}
	class := product.Installed
	if db.Form == "package" {
		class = product.Installer
	}
	for _, p := range db.List {
		if p.Name == "gpg-pubkey" {
			o.Add(product.Observation{
				Platform: product.RPM, Evidence: product.Evidence{Offset: p.Offset, Length: p.Length, Record: "gpg-pubkey " + p.Version},
				Facts: look.Facts("title", p.Summary, "version", p.EVR(), "publisher", p.Packager),
			})
			continue
		}
		maker := p.Vendor
		if maker == "" {
			maker = p.Packager
		}
		o.Add(product.Observation{
			Platform: product.RPM, Class: class, Evidence: product.Evidence{Offset: p.Offset, Length: p.Length, Record: "Name: " + p.Name},
			Facts: look.Facts("package", p.Name, "version", p.EVR(), "publisher", maker, "title", p.Summary),
		})
	}
	o.Short(db.Short)
}
