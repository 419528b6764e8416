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
	case "lnk":
		return l.lnk(d)
	}
	return nil
}
