package survey

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/disk"
)

// Containers' file systems lie in storage as layers, each a folder that is a root of its own:
//
//	overlay2/ID/diff, overlay/ID/diff   of Docker and of Podman; beside diff: link, a short name of the layer; lower, the
//	                                    short names of those below it, "l/NAME" with ":" between, the lowest last
//	snapshots/N/fs                      of containerd; what is below which stands in a database that is not read
//
// Layers over the same lowest one are taken together: what is in one of them and what is in another may be one system.
// Nothing is hidden by that: a file that a layer above removes is there, in the layer below.

var snapshots = regexp.MustCompile(`/io\.containerd\.snapshotter\.v1\.[a-z]+/snapshots$`)

// maxLayers is how many layers of a storage are told apart; others are a tree each.
const maxLayers = 20_000

// storage notes the layers in a folder, if it is one of storage.
func (w *walker) storage(d *disk.Dir, name string, names []string) {
	base := path.Base(name)
	overlay := base == "overlay2" || base == "overlay" && strings.Contains(name, "/containers/storage/")
	switch {
	case len(names) > maxLayers || w.layer != "":
		return
	case overlay && slices.Contains(names, "l"):
		w.overlays(d, name, names)
	case slices.Contains(names, "oci-layout") && slices.Contains(names, "blobs"):
		w.gap(cmp.Or(name, "/"), showcause.Unsupported+".image-folder", "an image of a container as a folder (OCI layout): its layers were read as archives, one by one, and not as the system that they make; give it as one file: tar -C FOLDER -cf image.tar .")
	case snapshots.MatchString(name):
		for _, n := range names {
			w.note(name+"/"+n+"/fs", name+"/"+n)
		}
	}
}

func (w *walker) note(folder, root string) {
	if w.layers == nil {
		w.layers = map[string]string{}
	}
	w.layers[folder] = root
}

// overlays notes the layers of a storage of Docker or Podman, each with the lowest that it stands on.
func (w *walker) overlays(d *disk.Dir, name string, names []string) {
	const most = 64 << 10
	ids, lowest := map[string]string{}, map[string]string{} // short names to ids; ids to short names of their lowest
	for _, id := range names {
		s, err := d.Sub(id, false)
		if err != nil {
			continue
		}
		if b, err := s.ReadFile("link", 256); err == nil {
			ids[strings.TrimSpace(string(b))] = id
		}
		if b, err := s.ReadFile("lower", most); err == nil {
			all := strings.Split(strings.TrimSpace(string(b)), ":")
			lowest[id] = path.Base(all[len(all)-1])
		}
		s.Close()
	}
	for _, id := range names {
		base := id
		if b, ok := ids[lowest[id]]; ok {
			base = b
		}
		w.note(name+"/"+id+"/diff", name+"/"+base)
	}
}

// within is a path as it is in the layer that the walk is in, and that layer's tree; the path itself and "" outside of one.
func (w *walker) within(full string) (in, root string) {
	if w.layer == "" {
		return full, ""
	}
	return strings.TrimPrefix(full, w.layer), w.layers[w.layer]
}
