package fields

import (
	"math"

	"github.com/showcause/showcause/binary/lnk"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// lnk has the fields of module lnk.
func (l *Layer) lnk(d source.Dialect) getter {
	f := lnk.Parse(l.src, l.charge)
	m := lnkModule{f}
	return l.telling(f.Short, func(name string) (module.Value, bool) {
		if name == "is_lnk" {
			return flag(d, f.OK), true
		}
		v, ok := m.field(name)
		if !f.OK {
			v = module.Value{}
		}
		return v, ok
	})
}

type lnkModule struct{ f *lnk.File }

// unixTime is a FILETIME in seconds since 1970, undefined before it.
func unixTime(t uint64) module.Value {
	const epoch = 11644473600
	return numberIf(int64(t/10_000_000)-epoch, t/10_000_000 >= epoch)
}

func maybeText(t lnk.Text) module.Value { return textIf(t.Value, t.Have) }

// enumeration is a number that is a value of an enumeration of 31 bits.
func enumeration(n uint32, have bool) module.Value {
	return numberIf(int64(n), have && n <= math.MaxInt32)
}

func (m lnkModule) field(name string) (module.Value, bool) {
	f := m.f
	switch name {
	case "creation_time":
		return unixTime(f.Created), true
	case "access_time":
		return unixTime(f.Accessed), true
	case "write_time":
		return unixTime(f.Written), true
	case "file_size":
		return number(f.Size), true
	case "file_attributes":
		return number(f.Attributes), true
	case "icon_index":
		return number(f.Icon), true
	case "show_command":
		return enumeration(f.Show, true), true
	case "drive_type":
		return enumeration(f.DriveType, f.HasVolume), true
	case "drive_serial_number":
		return numberIf(int64(f.Serial), f.HasVolume), true
	case "overlay_size":
		return number(f.OverlaySize), true
	case "overlay_offset":
		return numberIf(f.OverlayOffset, f.OverlaySize > 0), true
	case "tracker_data":
		return m.tracker(), true
	case "target_id_list":
		return array(int64(len(f.Targets)), func(i int64, field string) module.Value { return shellItem(&f.Targets[i], field) }), true
	}
	texts := map[string]lnk.Text{
		"name": f.Name, "icon_location": f.IconLocation, "volume_label": f.Label, "local_base_path": f.BasePath,
		"common_path_suffix": f.PathSuffix, "relative_path": f.RelativePath, "working_dir": f.WorkingDir, "cmd_line_args": f.Arguments,
	}
	t, ok := texts[name]
	return maybeText(t), ok
}

func (m lnkModule) tracker() module.Value {
	t := m.f.Tracker
	if t == nil {
		return nothing()
	}
	return structure(module.Tree{
		"version": number(t.Version), "machine_id": module.TextValue(t.Machine),
		"droid_volume_id": module.TextValue(t.Volume), "droid_file_id": module.TextValue(t.File),
		"droid_birth_volume_id": module.TextValue(t.BirthVolume), "droid_birth_file_id": module.TextValue(t.BirthFile),
	})
}

func shellItem(i *lnk.Item, field string) module.Value {
	switch field {
	case "item_type":
		return number(i.Kind)
	case "data":
		return module.TextValue(i.Data)
	case "cpl_file_path":
		return maybeText(i.CPLPath)
	case "root_folder_id":
		return maybeText(i.RootID)
	case "volume_name":
		return maybeText(i.VolumeName)
	case "volume_id":
		return maybeText(i.VolumeID)
	case "file_entry_name":
		return maybeText(i.FileName)
	case "network_location":
		return maybeText(i.Network)
	}
	return module.Value{}
}
