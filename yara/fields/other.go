package fields

import "github.com/showcause/showcause/yara/source"

// other is the rest of the table of modules.
func (l *Layer) other(name string, d source.Dialect) getter {
	switch name {
	case "elf":
		return l.elf(d)
	case "macho":
		return l.macho(d)
	case "dex":
		return l.dex(d)
	case "magic":
		return l.magic()
	case "cuckoo":
		return l.cuckoo(d)
	}
	if !x(d) {
		return nil // the others are of YARA-X
	}
	switch name {
	case "lnk":
		return l.lnk(d)
	case "zip":
		return l.zip(d)
	case "olecf":
		return l.olecf(d)
	case "vba":
		return l.vba(d)
	case "crx":
		return l.crx(d)
	case "msi":
		return l.msi(d)
	}
	return nil
}
