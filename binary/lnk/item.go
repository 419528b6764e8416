package lnk

// Kinds of shell items by their class. Those of volumes, files and networks are the
// first of 16.
const (
	itemCPL     = 0x00
	itemRoot    = 0x1f
	itemVolume  = 0x20
	itemFile    = 0x30
	itemNetwork = 0x40
)

// Item is a shell item: a step on the way to the target. Texts and identifiers are
// there as far as the class of the item has them.
type Item struct {
	Class byte
	Kind  byte   // Class, without what varies in classes of volumes, files, networks
	Data  string // what follows the class

	CPLPath    Text // of a control panel file
	RootID     Text // GUID of a root folder
	VolumeName Text
	VolumeID   Text // GUID
	FileName   Text // of a file or folder
	Network    Text // of a network location
}

// targets reads the list of item IDs at at and returns what follows it.
func (f *File) targets(at int64) (int64, bool) {
	size, ok := f.number(at, 2)
	at += 2
	end := at + int64(size)
	if !ok || !f.p.Has(at, int64(size)) {
		return 0, false
	}
	for at+2 <= end {
		n, ok := f.number(at, 2)
		switch {
		case !ok || n == 1 || at+int64(n) > end:
			return 0, false
		case n == 0:
			return end, true
		case n == 2: // an item without even a class
			f.Targets = append(f.Targets, Item{})
		default:
			b := f.p.Bytes(at+2, int64(n)-2)
			if b == nil {
				return 0, false
			}
			f.Targets = append(f.Targets, item(b[0], string(b[1:])))
		}
		at += int64(n)
	}
	return 0, false // the list has no end
}

// item reads a shell item of a class.
func item(class byte, data string) Item {
	i := Item{Class: class, Kind: class, Data: data}
	if k := class & 0xf0; k == itemVolume || k == itemFile || k == itemNetwork {
		i.Kind = k
	}
	id := func(at int) Text {
		if at+16 > len(data) {
			return Text{}
		}
		return Text{guid([]byte(data[at : at+16])), true}
	}
	text := func(at int, wide bool) Text {
		if at >= len(data) {
			return Text{}
		}
		if wide {
			return Text{wideText([]byte(data[at:])), true}
		}
		return Text{lossy(until(data[at:])), true}
	}
	const named, wide = 1, 4
	switch i.Kind {
	case itemCPL:
		i.CPLPath = text(21, true)
	case itemRoot:
		i.RootID = id(1)
	case itemVolume:
		if class&named != 0 {
			i.VolumeName = text(0, false)
		} else {
			i.VolumeID = id(1)
		}
	case itemFile:
		i.FileName = text(11, class&wide != 0)
	case itemNetwork:
		i.Network = text(2, false)
	}
	return i
}

// until is a text before its first zero.
func until(s string) string {
	for k := range len(s) {
		if s[k] == 0 {
			return s[:k]
		}
	}
	return s
}
