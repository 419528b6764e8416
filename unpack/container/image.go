// Package container reads images of containers: what the running container sees,
// and what lower layers still carry.
package container

import (
	"archive/tar"
	"encoding/json"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

const (
	codeRemote = showcause.Unsupported + ".format.oci-remote" // a layer is elsewhere by design
	codeAbsent = showcause.Ambiguous + ".oci.absent"          // an index names more platforms than are there
	codeTree   = showcause.Ambiguous + ".oci.tree"            // what hides what is not known to its end

	maxMembers = 1 << 17 // of the archive
	maxJSON    = 4 << 20 // bytes of a manifest (OCI Distribution Specification: "at least 4 megabytes")
	maxRefs    = 4096    // descriptors that are followed
	maxNesting = 8       // of indexes
	maxParents = 512     // of an image in Docker's first form
)

// Image reads images of containers in a tar: an OCI layout (OCI Image Format
// Specification 1.1, "Image Layout"), and what "docker save" writes (Docker Image
// Specification 1.2 and 1.0).
//
//	oci-layout, index.json      manifests: descriptors {mediaType, digest, size}
//	blobs/sha256/HEX            an index: manifests; a manifest: config, layers; a layer: a tar, as it is or packed
//	manifest.json               [{Config, Layers: paths of tars}]
//	repositories                {name: {tag: ID}}; ID/json says its parent, ID/layer.tar is the layer
//
// It gives no children: the members of the tar are, and those of its layers, as
// in any tar. It says what they are: a layer is "oci.layer", a file in it "oci.file"
// if the running container of some image sees it, and "oci.hidden" if a layer
// above removes or replaces it. All of them are read. Blobs that manifests name
// and that are not there are gaps. Of two files with one name in one layer,
// both count as seen.
func Image() unpack.Format {
	return unpack.Format{
		Name:  "oci",
		Match: func(p *unpack.Probe) bool { t := p.Type.String(); return t == "tar" || t == "tar-old" },
		Walk: func(src showcause.Source, out *unpack.Out) {
			w := &walker{src: src, out: out, members: map[string]member{}, blobs: map[int64]*blob{}}
			w.walk()
		},
	}
}

// member is a file in the tar, or a link to one.
type member struct {
	off, size int64
	link      string // a name in the tar, of a link
}

type walker struct {
	src     showcause.Source
	out     *unpack.Out
	members map[string]member
	blobs   map[int64]*blob // by their place
	images  [][]*blob       // layers of each image, the lowest first
	refs    int
	names   nameBudget
	roots   []string // names of files that may begin an image, in order
}

func (w *walker) walk() {
	if !w.list() {
		return
	}
	for _, name := range w.roots {
		dir := path.Dir(name)
		switch path.Base(name) {
		case "index.json":
			w.layout(dir)
		case "manifest.json":
			w.saved(dir)
		case "repositories":
			w.first(dir)
		}
	}
	for _, layers := range w.images {
		if !w.stack(layers) {
			break
		}
	}
	for _, layers := range w.images {
		for _, b := range layers {
			w.out.Mark(b.off, b.size, "oci.layer", b.rename)
		}
	}
	if w.names.short {
		w.out.Gap(codeTree, 0, -1)
	}
}

// list reads the headers of the tar. It tells whether there may be an image.
func (w *walker) list() bool {
	in := bound.Reader(w.src, 0, -1)
	r := tar.NewReader(in)
	for range maxMembers {
		h, err := r.Next()
		if err != nil || !w.out.Work(64) {
			break // the reader of tars says what is wrong
		}
		off, err := in.Seek(0, io.SeekCurrent)
		if err != nil {
			break
		}
		name := clean(h.Name)
		switch h.Typeflag {
		case tar.TypeReg:
			w.members[name] = member{off: off, size: h.Size}
		case tar.TypeSymlink:
			w.members[name] = member{link: clean(path.Join(path.Dir(name), h.Linkname))}
		case tar.TypeLink:
			w.members[name] = member{link: clean(h.Linkname)}
		default:
			continue
		}
		switch path.Base(name) {
		case "index.json", "manifest.json", "repositories":
			if len(w.roots) < maxRefs {
				w.roots = append(w.roots, name)
			}
		}
	}
	return len(w.roots) > 0
}

// clean is a name in one form, from the root on, which is "".
func clean(name string) string {
	return strings.TrimPrefix(path.Clean("/"+name[:min(len(name), unpack.MaxName)]), "/")
}

// find returns the file of that name.
func (w *walker) find(name string) (member, bool) {
	for range 8 {
		m, ok := w.members[clean(name)]
		if !ok || m.link == "" {
			return m, ok
		}
		name = m.link
	}
	return member{}, false
}

// read fills v from a file of JSON. It tells whether there is one.
func (w *walker) read(m member, v any) bool {
	if m.size > maxJSON || !w.out.Work(m.size) {
		return false
	}
	b, err := bound.ReadAt(w.src, m.off, m.size, maxJSON)
	return err == nil && json.Unmarshal(b, v) == nil
}

// descriptor is a reference to a blob (OCI Image Format Specification 1.1, "Content Descriptors").
type descriptor struct {
	MediaType string   `json:"mediaType"`
	Digest    string   `json:"digest"`
	Size      int64    `json:"size"`
	URLs      []string `json:"urls"`
}

// document is an index or a manifest, by what is in it.
type document struct {
	Version   int          `json:"schemaVersion"`
	Manifests []descriptor `json:"manifests"`
	Config    *descriptor  `json:"config"`
	Layers    []descriptor `json:"layers"`
}

// layout reads an OCI layout.
func (w *walker) layout(dir string) {
	_, sure := w.find(path.Join(dir, "oci-layout"))
	m, _ := w.find(path.Join(dir, "index.json"))
	var d document
	if !w.read(m, &d) || d.Version != 2 {
		if sure {
			w.corrupt(m)
		}
		return
	}
	if !sure && (len(d.Manifests) == 0 || !strings.Contains(d.Manifests[0].Digest, ":")) {
		return // an index of something else
	}
	there, absent := w.index(dir, d, 0)
	switch {
	case absent == 0:
	case there > 0:
		w.out.Gap(codeAbsent, m.off, m.size)
	default:
		w.corrupt(m)
	}
}

// index follows an index. It returns how many of its manifests are there, and how many are not.
func (w *walker) index(dir string, d document, level int) (there, absent int) {
	for _, ref := range d.Manifests {
		if w.refs++; w.refs > maxRefs || level > maxNesting {
			w.out.Gap(codeTree, 0, -1)
			return there, absent
		}
		m, ok := w.blob(dir, ref)
		if !ok {
			absent++
			continue
		}
		there++
		var in document
		if !w.read(m, &in) {
			w.corrupt(m)
			continue
		}
		if len(in.Manifests) > 0 {
			t, a := w.index(dir, in, level+1)
			there, absent = there+t, absent+a
		}
		w.manifest(dir, m, in)
	}
	return there, absent
}

// blob finds what a descriptor refers to.
func (w *walker) blob(dir string, d descriptor) (member, bool) {
	alg, sum, ok := strings.Cut(d.Digest, ":")
	if !ok || strings.ContainsAny(d.Digest, "/\\") {
		return member{}, false
	}
	return w.find(path.Join(dir, "blobs", alg, sum))
}

// manifest takes the layers of one image.
func (w *walker) manifest(dir string, at member, d document) {
	if d.Config != nil {
		if _, ok := w.blob(dir, *d.Config); !ok {
			w.corrupt(at)
		}
	}
	var layers []*blob
	for _, l := range d.Layers {
		if w.refs++; w.refs > maxRefs {
			w.out.Gap(codeTree, 0, -1)
			break
		}
		m, ok := w.blob(dir, l)
		switch {
		case !ok && (len(l.URLs) > 0 || strings.Contains(l.MediaType, "nondistributable") || strings.Contains(l.MediaType, "foreign")):
			w.out.Gap(codeRemote, at.off, at.size)
			continue
		case !ok:
			w.corrupt(at)
			continue
		case strings.HasSuffix(l.MediaType, "+encrypted"):
			w.out.Gap(showcause.Encrypted, m.off, m.size)
			continue
		case l.MediaType != "" && !strings.Contains(l.MediaType, "tar"):
			continue // an artefact that is no layer of files
		}
		layers = append(layers, w.layer(m))
	}
	w.add(layers)
}

// saved reads the list that "docker save" writes.
func (w *walker) saved(dir string) {
	m, _ := w.find(path.Join(dir, "manifest.json"))
	var list []struct {
		Config string
		Layers []string
	}
	if !w.read(m, &list) {
		return // another manifest
	}
	for _, i := range list {
		var layers []*blob
		missing := false
		for _, name := range i.Layers {
			if w.refs++; w.refs > maxRefs {
				w.out.Gap(codeTree, 0, -1)
				return
			}
			if l, ok := w.find(path.Join(dir, name)); ok {
				layers = append(layers, w.layer(l))
			} else {
				missing = true
			}
		}
		if len(layers) == 0 && i.Config == "" {
			continue
		}
		if missing {
			w.corrupt(m)
		}
		w.add(layers)
	}
}

// first reads images as Docker saved them before 1.10: each layer names its parent.
func (w *walker) first(dir string) {
	if _, ok := w.find(path.Join(dir, "manifest.json")); ok {
		return // which says the same
	}
	m, _ := w.find(path.Join(dir, "repositories"))
	var names map[string]map[string]string
	if !w.read(m, &names) {
		return
	}
	ids := map[string]bool{}
	for _, tags := range names {
		for _, id := range tags {
			ids[id] = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		w.parents(dir, m, id)
	}
}

// parents takes the image whose topmost layer is id.
func (w *walker) parents(dir string, at member, id string) {
	var layers []*blob
	for n := 0; id != ""; n++ {
		if w.refs++; w.refs > maxRefs || n > maxParents {
			w.out.Gap(codeTree, 0, -1)
			break
		}
		var about struct{ Parent string }
		m, ok := w.find(path.Join(dir, id, "json"))
		l, there := w.find(path.Join(dir, id, "layer.tar"))
		if !ok || !there || !w.read(m, &about) {
			w.corrupt(at)
		}
		if there {
			layers = append([]*blob{w.layer(l)}, layers...)
		}
		id = about.Parent
	}
	w.add(layers)
}

func (w *walker) corrupt(m member) { w.out.Gap(showcause.Corrupt, m.off, m.size) }

// layer returns the layer that stands at m, one for each place.
func (w *walker) layer(m member) *blob {
	b := w.blobs[m.off]
	if b == nil {
		b = &blob{off: m.off, size: m.size, hidden: map[string]int{}}
		w.blobs[m.off] = b
	}
	return b
}

// add adds an image, unless there is one of the same layers: docker writes
// manifest.json and index.json for one.
func (w *walker) add(layers []*blob) {
	for _, other := range w.images {
		if slices.Equal(layers, other) {
			return
		}
	}
	if len(layers) > 0 {
		w.images = append(w.images, layers)
	}
}
