package clamsig

import (
	"slices"
	"strconv"
	"strings"

	"github.com/showcause/showcause/rule"
)

// target description: what an .ldb signature asks of the layer.
type targetDescription struct {
	target int64
	guard  rule.Guard
	icons  [2]string // groups of icons
	icon   bool      // it asks for one
	unfit  *refusal  // asks for what is not done here
}

const (
	newKeysLevel     = 51 // level that a signature with any key but Engine and Target has to ask for
	maxIntermediates = 16
	maxKeys          = 10
)

// description reads "Key:value,Key:value...".
func description(s string, level int64) (d targetDescription, r *refusal) {
	var engine *rule.Range
	var newKeys, seen bool
	for i := 0; ; i++ {
		item, rest, more := strings.Cut(s, ",")
		key, value, ok := strings.Cut(item, ":")
		if !ok {
			return d, malformed("attribute %q", clip(item))
		}
		if i == maxKeys {
			return d, outside(Attribute, "more than %d attributes", maxKeys)
		}
		newKeys = newKeys || key != "Engine" && key != "Target"
		switch key {
		case "Engine":
			if i > 0 {
				return d, malformed("Engine is not the first attribute")
			}
			engine, r = rangeOf(item, value)
		case "Target":
			if d.target, seen = number(value); !seen {
				r = malformed("attribute %q", clip(item))
			}
		case "FileSize":
			d.guard.Size, r = rangeOf(item, value)
		case "EntryPoint":
			d.guard.Entry, r = rangeOf(item, value)
		case "NumberOfSections":
			d.guard.Sections, r = rangeOf(item, value)
		case "Container":
			d.guard.Container = value
			r = fileTypes(value)
		case "Intermediates":
			d.guard.Intermediates = strings.Split(value, ">")
			r = fileTypes(d.guard.Intermediates...)
		case "HandlerType":
			r = fileTypes(value)
		case "IconGroup1", "IconGroup2":
			d.icon = true
			d.icons[key[len(key)-1]-'1'] = value
		default:
			r = outside(Attribute, "%q", clip(key))
		}
		if r != nil {
			return d, r
		}
		if s = rest; !more {
			break
		}
	}
	if newKeys && (engine == nil || engine.Min < newKeysLevel) {
		return d, malformed("attributes that ask for an Engine of %d or more", newKeysLevel)
	}
	if engine != nil && (engine.Min > uint64(level) || engine.Max < uint64(level)) {
		return d, outside(FunctionalityLevel, "levels %d to %d", engine.Min, engine.Max)
	}
	return d, d.check(seen)
}

// check compares the attributes with the target.
func (d *targetDescription) check(seen bool) *refusal {
	t := rule.Target(min(d.target, targets))
	switch {
	case !seen:
		return malformed("no target")
	case d.target >= targets:
		return outside(Target, "target %d", d.target)
	case d.icon && t != rule.PE:
		return malformed("icon group for target %d", t)
	case (d.guard.Entry != nil || d.guard.Sections != nil) && t != rule.PE && t != rule.ELF && t != rule.MachO:
		return malformed("entry point or sections for target %d", t)
	}
	return nil
}

// rangeOf reads "x-y".
func rangeOf(item, s string) (*rule.Range, *refusal) {
	a, b, ok := strings.Cut(s, "-")
	low, okA := number(a)
	high, okB := number(b)
	if !ok || !okA || !okB {
		return nil, malformed("attribute %q", clip(item))
	}
	return &rule.Range{Min: uint64(low), Max: uint64(high)}, nil
}

// fileTypes refuses names that ClamAV 1.4.6 does not know.
func fileTypes(names ...string) *refusal {
	if len(names) > maxIntermediates {
		return outside(Attribute, "more than %d file types", maxIntermediates)
	}
	for _, n := range names {
		rest, ok := strings.CutPrefix(n, "CL_TYPE_")
		if _, found := slices.BinarySearch(fileTypeNames[:], rest); !ok || !found {
			return outside(Attribute, "file type %q", clip(n))
		}
	}
	return nil
}

func itoa(n int) string { return strconv.Itoa(n) }

// fileTypeNames are the names that follow CL_TYPE_ in ClamAV 1.4.6, sorted.
var fileTypeNames = [...]string{
	"7Z", "7ZSFX", "ALZ", "ANY", "APM", "ARJ", "ARJSFX", "AUTOIT", "BINARY_DATA", "BINHEX", "BZ", "CABSFX",
	"CPIO_CRC", "CPIO_NEWC", "CPIO_ODC", "CPIO_OLD", "CRYPTFF", "DMG", "EGG", "EGGSFX", "ELF", "GIF", "GPT",
	"GRAPHICS", "GZ", "HTML", "HTML_UTF16", "HWP3", "HWPOLE2", "IGNORED", "INTERNAL", "ISHIELD_MSI", "ISO9660",
	"JAVA", "JPEG", "LHA_LZH", "LNK", "MACHO", "MACHO_UNIBIN", "MAIL", "MBR", "MHTML", "MSCAB", "MSCHM", "MSEXE",
	"MSOLE2", "MSSZDD", "NULSFT", "OLD_TAR", "ONENOTE", "OOXML_HWP", "OOXML_PPT", "OOXML_WORD", "OOXML_XL",
	"PART_ANY", "PART_HFSPLUS", "PDF", "PNG", "POSIX_TAR", "PS", "PYTHON_COMPILED", "RAR", "RARSFX", "RIFF",
	"RTF", "SCRENC", "SCRIPT", "SFX", "SIS", "SWF", "TEXT_ASCII", "TEXT_UTF16BE", "TEXT_UTF16LE", "TEXT_UTF8",
	"TIFF", "TNEF", "UDF", "UUENCODED", "XAR", "XDP", "XML_HWP", "XML_WORD", "XML_XL", "XZ", "ZIP", "ZIPSFX",
}
