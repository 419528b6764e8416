package formats

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// tarMember is a member of a layer: a file, a directory ("d/"), a hard link
// ("name=>target") or a symbolic one ("name->target").
type tarMember struct{ name, text string }

func layerOf(members ...tarMember) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Mode: 0o644, Size: int64(len(m.text)), Typeflag: tar.TypeReg}
		if name, to, ok := strings.Cut(m.name, "=>"); ok {
			h.Name, h.Linkname, h.Typeflag = name, to, tar.TypeLink
		} else if name, to, ok := strings.Cut(m.name, "->"); ok {
			h.Name, h.Linkname, h.Typeflag = name, to, tar.TypeSymlink
		} else if strings.HasSuffix(m.name, "/") {
			h.Typeflag = tar.TypeDir
		}
		w.WriteHeader(h)
		io.WriteString(w, m.text)
	}
	w.Close()
	return b.Bytes()
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func zstandard(b []byte) []byte {
	w, _ := zstd.NewWriter(nil)
	return w.EncodeAll(b, nil)
}

// store is the blobs of a layout that is made.
type store map[string]string

type ref struct {
	MediaType string   `json:"mediaType"`
	Digest    string   `json:"digest"`
	Size      int      `json:"size"`
	URLs      []string `json:"urls,omitempty"`
}

func (s store) put(kind string, b []byte) ref {
	sum := fmt.Sprintf("%x", sha256.Sum256(b))
	s["blobs/sha256/"+sum] = string(b)
	return ref{MediaType: kind, Digest: "sha256:" + sum, Size: len(b)}
}

func asJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

const layerType = "application/vnd.oci.image.layer.v1.tar"

// image adds the manifest of an image with these layers.
func (s store) image(layers ...ref) ref {
	config := s.put("application/vnd.oci.image.config.v1+json", asJSON(map[string]any{"os": "linux", "layers": len(layers)}))
	return s.put("application/vnd.oci.image.manifest.v1+json", asJSON(map[string]any{"schemaVersion": 2, "config": config, "layers": layers}))
}

// layout is the tar of it.
func (s store) layout(prefix string, manifests ...ref) []byte {
	s["oci-layout"] = `{"imageLayoutVersion":"1.0.0"}`
	s["index.json"] = string(asJSON(map[string]any{"schemaVersion": 2, "manifests": manifests}))
	var m []tarMember
	for _, name := range slices.Sorted(maps.Keys(s)) {
		m = append(m, tarMember{prefix + name, s[name]})
	}
	return layerOf(m...)
}

// named returns what is found, "op name" by content, the files of layers alone.
func named(t *testing.T, data []byte, formats []unpack.Format) (files map[string]string, codes []string) {
	t.Helper()
	files = map[string]string{}
	b := unpack.NewBudget(showcause.Limits{}, int64(len(data)), nil)
	var layer func(showcause.Layer)
	layer = func(l showcause.Layer) {
		p := unpacktest.Probe(l.Source)
		if n := len(l.Trail); n > 0 && strings.HasPrefix(l.Trail[n-1].Op, "oci.") && l.Trail[n-1].Op != "oci.layer" {
			text := string(p.Head)
			if files[text] != "" {
				t.Errorf("%q is there twice", text)
			}
			files[text] = strings.TrimPrefix(l.Trail[n-1].Op, "oci.") + " " + l.Trail[n-1].Name
		}
		out := unpack.NewOut(b, l.Trail, layer, func(g showcause.Gap) { codes = append(codes, string(g.Code)) })
		for _, f := range formats {
			if f.Match(p) {
				f.Walk(l.Source, out)
			}
		}
	}
	layer(showcause.Layer{Source: showcause.Bytes(data)})
	slices.Sort(codes)
	return files, slices.Compact(codes)
}

// three layers, the lowest first, and what is to be said of what is in them.
func threeLayers() (layers [][]byte, want map[string]string) {
	layers = [][]byte{
		layerOf(tarMember{"etc/", ""}, tarMember{"etc/passwd", "old passwd"}, tarMember{"etc/kept", "kept"}, tarMember{"etc/gone", "gone"},
			tarMember{"opt/a/deep/file", "under a removed dir"}, tarMember{"var/cache/one", "in an opaque dir"}, tarMember{"bin/tool", "a tool of two names"},
			tarMember{"bin/alias=>bin/tool", ""}, tarMember{"bin/both", "a file whose names are gone"}, tarMember{"bin/both2=>bin/both", ""},
			tarMember{"lib/x", "a file that becomes a dir"}, tarMember{"srv/y/in", "in a dir that becomes a link"}, tarMember{"home/z/in", "in a dir that stays"}),
		layerOf(tarMember{"./etc/passwd", "new passwd"}, tarMember{"etc/.wh.gone", ""}, tarMember{"opt/.wh.a", "words in a whiteout"}, tarMember{"var/cache/.wh..wh..opq", ""},
			tarMember{"var/cache/two", "beside the opaque mark"}, tarMember{"bin/.wh.tool", ""}, tarMember{"bin/.wh.both", ""}, tarMember{"bin/.wh.both2", ""},
			tarMember{"lib/x/", ""}, tarMember{"lib/x/in", "in the new dir"}, tarMember{"srv/y->/tmp", ""}, tarMember{"home/z/", ""}),
		layerOf(tarMember{"/etc/again", "again"}, tarMember{"etc/.wh.again", ""}, tarMember{"opt/a/new", "new under it"}),
	}
	want = map[string]string{
		"old passwd": "hidden etc/passwd", "kept": "file etc/kept", "gone": "hidden etc/gone", "under a removed dir": "hidden opt/a/deep/file",
		"in an opaque dir": "hidden var/cache/one", "a tool of two names": "file bin/tool", "a file whose names are gone": "hidden bin/both",
		"a file that becomes a dir": "hidden lib/x", "in a dir that becomes a link": "hidden srv/y/in", "in a dir that stays": "file home/z/in",
		"new passwd": "file ./etc/passwd", "words in a whiteout": "hidden opt/.wh.a", "beside the opaque mark": "file var/cache/two", "in the new dir": "file lib/x/in",
		"again": "file /etc/again", "new under it": "file opt/a/new",
	}
	return layers, want
}

func TestImageTree(t *testing.T) {
	layers, want := threeLayers()
	plain := func(b []byte) []byte { return b }
	for name, pack := range map[string]func([]byte) []byte{"plain": plain, "gzip": gzipped, "zstd": zstandard} {
		s := store{}
		var refs []ref
		for _, l := range layers {
			refs = append(refs, s.put(layerType+"+"+name, pack(l)))
		}
		for _, prefix := range []string{"", "./", "a/folder/"} {
			files, codes := named(t, s.layout(prefix, s.image(refs...)), All())
			if !maps.Equal(files, want) || len(codes) > 0 {
				t.Errorf("%s in %q: gaps %q\n%v, want\n%v", name, prefix, codes, files, want)
			}
		}
	}
}

// Docker's forms, the newer with links between layers.
func TestSavedImages(t *testing.T) {
	layers, want := threeLayers()
	saved := layerOf(tarMember{"1/layer.tar", string(layers[0])}, tarMember{"2/layer.tar", string(layers[1])}, tarMember{"3.tar", string(layers[2])}, tarMember{"3/layer.tar->../3.tar", ""},
		tarMember{"c.json", "{}"}, tarMember{"manifest.json", `[{"Config":"c.json","RepoTags":["a:b"],"Layers":["1/layer.tar","2/layer.tar","3/layer.tar"]}]`})
	first := layerOf(tarMember{"1/layer.tar", string(layers[0])}, tarMember{"1/json", `{"id":"1"}`}, tarMember{"2/layer.tar", string(layers[1])}, tarMember{"2/json", `{"id":"2","parent":"1"}`},
		tarMember{"3/layer.tar", string(layers[2])}, tarMember{"3/json", `{"id":"3","parent":"2"}`}, tarMember{"repositories", `{"a":{"b":"3"}}`})
	for name, data := range map[string][]byte{"saved": saved, "saved, packed": gzipped(saved), "first form": first, "both": func() []byte {
		s := store{}
		var refs []ref
		var paths []string
		for _, l := range layers {
			r := s.put(layerType, l)
			refs, paths = append(refs, r), append(paths, "blobs/sha256/"+strings.TrimPrefix(r.Digest, "sha256:"))
		}
		s["manifest.json"] = string(asJSON([]any{map[string]any{"Config": "c.json", "Layers": paths}}))
		return s.layout("", s.image(refs...))
	}()} {
		files, codes := named(t, data, All())
		if !maps.Equal(files, want) || len(codes) > 0 {
			t.Errorf("%s: gaps %q\n%v, want\n%v", name, codes, files, want)
		}
	}
}

// Images that share layers: what one of them sees is there.
func TestImagePlatforms(t *testing.T) {
	s := store{}
	base := s.put(layerType, layerOf(tarMember{"a", "a of the base"}, tarMember{"b", "b of the base"}))
	one := s.put(layerType, layerOf(tarMember{".wh.a", ""}, tarMember{".wh.b", ""}))
	two := s.put(layerType, layerOf(tarMember{".wh.a", ""}))
	inner := s.put("application/vnd.oci.image.index.v1+json", asJSON(map[string]any{"schemaVersion": 2, "manifests": []ref{s.image(base, one), s.image(base, two)}}))
	files, codes := named(t, s.layout("", inner), All())
	if want := (map[string]string{"a of the base": "hidden a", "b of the base": "file b"}); !maps.Equal(files, want) || len(codes) > 0 {
		t.Errorf("gaps %q, %v, want %v", codes, files, want)
	}
}

// What is missing or cannot be read is said; what is only named alike is no image.
func TestImageReferences(t *testing.T) {
	text := layerOf(tarMember{"a", "text"})
	for name, c := range map[string]struct {
		make  func(s store) []byte
		codes string
	}{
		"a layer is missing": {func(s store) []byte {
			r := s.put(layerType, text)
			gone := s.put(layerType, layerOf(tarMember{"b", "other"}))
			delete(s, "blobs/sha256/"+gone.Digest[7:])
			return s.layout("", s.image(r, gone))
		}, "corrupt"},
		"a layer is elsewhere": {func(s store) []byte {
			r := s.put(layerType, text)
			gone := ref{MediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", Digest: "sha256:00", URLs: []string{"https://example.org/"}}
			return s.layout("", s.image(r, gone))
		}, "unsupported.format.oci-remote"},
		"a layer is encrypted": {func(s store) []byte {
			return s.layout("", s.image(s.put(layerType, text), s.put(layerType+"+gzip+encrypted", []byte("secret bytes"))))
		}, "encrypted"},
		"a layer is no tar": {func(s store) []byte {
			return s.layout("", s.image(s.put(layerType, text), s.put(layerType, bytes.Repeat([]byte("no tar "), 200))))
		}, "ambiguous.oci.tree corrupt"},
		"a platform is missing": {func(s store) []byte {
			return s.layout("", s.image(s.put(layerType, text)), ref{Digest: "sha256:1234"})
		}, "ambiguous.oci.absent"},
		"all platforms are missing": {func(s store) []byte { return s.layout("", ref{Digest: "sha256:1234"}) }, "corrupt"},
		"an index that is none": {func(s store) []byte {
			b := s.layout("", s.image(s.put(layerType, text)))
			return bytes.Replace(b, []byte(`{"manifests"`), []byte(`["manifests"`), 1)
		}, "corrupt"},
		"attested": {func(s store) []byte {
			return s.layout("", s.image(s.put(layerType, text), s.put("application/vnd.in-toto+json", []byte("{}"))))
		}, ""},
		"of the web": {func(store) []byte {
			return layerOf(tarMember{"index.json", `{"schemaVersion":2,"manifests":[]}`}, tarMember{"manifest.json", `{"name":"a page"}`}, tarMember{"repositories", "text"})
		}, ""},
		"an empty list": {func(store) []byte {
			return layerOf(tarMember{"manifest.json", `[]`}, tarMember{"x/manifest.json", `[{"name":"x"}]`})
		}, ""},
		"a path out of it": {func(store) []byte {
			return layerOf(tarMember{"manifest.json", `[{"Config":"c","Layers":["../../etc/passwd"]}]`})
		}, "corrupt"},
		"a chain of parents without end": {func(store) []byte {
			return layerOf(tarMember{"1/layer.tar", string(text)}, tarMember{"1/json", `{"parent":"1"}`}, tarMember{"repositories", `{"a":{"b":"1"}}`})
		}, "ambiguous.oci.tree"},
		"links in a ring": {func(store) []byte {
			return layerOf(tarMember{"a->b", ""}, tarMember{"b->a", ""}, tarMember{"manifest.json", `[{"Config":"c","Layers":["a"]}]`})
		}, "corrupt"},
	} {
		_, codes := named(t, c.make(store{}), All())
		if got := strings.Join(codes, " "); got != c.codes {
			t.Errorf("%s: gaps %q, want %q", name, got, c.codes)
		}
	}
}

// Every layer of a layout that is cut anywhere is read as it is without names:
// the names change nothing but words.
func TestImageCut(t *testing.T) {
	layers, _ := threeLayers()
	s := store{}
	data := s.layout("", s.image(s.put(layerType, layers[0]), s.put(layerType+"+gzip", gzipped(layers[1]))))
	plain := slices.DeleteFunc(All(), func(f unpack.Format) bool { return f.Name == "oci" })
	contents := func(data []byte, formats []unpack.Format) (out []string) {
		b := unpack.NewBudget(showcause.Limits{}, int64(len(data)), nil)
		var layer func(showcause.Layer)
		layer = func(l showcause.Layer) {
			p := unpacktest.Probe(l.Source)
			out = append(out, fmt.Sprintf("%d %x %d", len(l.Trail), sha256.Sum256(p.Head), l.Source.Size()))
			o := unpack.NewOut(b, l.Trail, layer, func(showcause.Gap) {})
			for _, f := range formats {
				if f.Match(p) {
					f.Walk(l.Source, o)
				}
			}
		}
		layer(showcause.Layer{Source: showcause.Bytes(data)})
		return out
	}
	for n := 0; n <= len(data); n += 97 {
		if with, without := contents(data[:n], All()), contents(data[:n], plain); !slices.Equal(with, without) {
			t.Fatalf("cut to %d bytes: %d layers with names, %d without", n, len(with), len(without))
		}
	}
}

func FuzzImage(f *testing.F) {
	layers, _ := threeLayers()
	s := store{}
	f.Add(s.layout("", s.image(s.put(layerType, layers[0]), s.put(layerType+"+gzip", gzipped(layers[1])))))
	f.Add(layerOf(tarMember{"1/layer.tar", string(layers[2])}, tarMember{"1/json", `{"id":"1"}`}, tarMember{"repositories", `{"a":{"b":"1"}}`}))
	f.Add(layerOf(tarMember{"1.tar", string(layers[2])}, tarMember{"manifest.json", `[{"Config":"c","Layers":["1.tar"]}]`}))
	f.Fuzz(func(t *testing.T, data []byte) {
		l := showcause.Limits{FileSize: 1 << 20, ScanSize: 2 << 20, Objects: 200, Work: 1 << 22}
		spendWithin(t, data, l)
	})
}

// spendWithin walks a layer and what is in it, twice, and expects the same.
func spendWithin(t *testing.T, data []byte, l showcause.Limits) {
	walk := func() (out []string) {
		b := unpack.NewBudget(l, int64(len(data)), nil)
		gap := func(g showcause.Gap) { out = append(out, fmt.Sprint("gap ", g.Code, g.Offset, g.Length, g.Trail)) }
		var layer func(showcause.Layer)
		layer = func(sl showcause.Layer) {
			out = append(out, fmt.Sprint(sl.Trail, sl.Source.Size()))
			p := unpacktest.Probe(sl.Source)
			o := unpack.NewOut(b, sl.Trail, layer, gap)
			for _, f := range All()[:2] {
				if f.Match(p) {
					f.Walk(sl.Source, o)
				}
			}
		}
		layer(showcause.Layer{Source: showcause.Bytes(data)})
		return out
	}
	if a, b := walk(), walk(); !slices.Equal(a, b) {
		t.Errorf("two walks differ:\n%q\nthen\n%q", a, b)
	}
}

// What skopeo writes is read, and umoci unpacks what is said to be seen.
func TestImageTools(t *testing.T) {
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		t.Skip("skopeo is not installed")
	}
	layers, want := threeLayers()
	dir := t.TempDir()
	s := store{}
	m := s.image(s.put(layerType+"+gzip", gzipped(layers[0])), s.put(layerType+"+gzip", gzipped(layers[1])), s.put(layerType+"+gzip", gzipped(layers[2])))
	s.layout("", m)
	// A whole configuration, which tools insist on.
	var ids []string
	for _, l := range layers {
		ids = append(ids, fmt.Sprintf("sha256:%x", sha256.Sum256(l)))
	}
	config := s.put("application/vnd.oci.image.config.v1+json", asJSON(map[string]any{"architecture": "amd64", "os": "linux", "rootfs": map[string]any{"type": "layers", "diff_ids": ids}}))
	var manifest map[string]any
	json.Unmarshal([]byte(s["blobs/sha256/"+m.Digest[7:]]), &manifest)
	manifest["config"], manifest["mediaType"] = config, m.MediaType
	m = s.put(m.MediaType, asJSON(manifest))
	s.layout("", m)
	for name, text := range s {
		p := filepath.Join(dir, "layout", name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, to := range []string{"oci-archive:" + dir + "/oci.tar", "docker-archive:" + dir + "/docker.tar:name:tag"} {
		c := exec.Command(skopeo, "copy", "--insecure-policy", "--tmpdir", dir, "oci:"+dir+"/layout", to)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", to, err, out)
		}
	}
	for _, name := range []string{"oci.tar", "docker.tar"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files, codes := named(t, data, All())
		if !maps.Equal(files, want) || len(codes) > 0 {
			t.Errorf("%s: gaps %q\n%v, want\n%v", name, codes, files, want)
		}
	}
	umoci, err := exec.LookPath("umoci")
	if err != nil {
		t.Skip("umoci is not installed")
	}
	for _, arg := range [][]string{
		{skopeo, "copy", "--insecure-policy", "--tmpdir", dir, "oci:" + dir + "/layout", "oci:" + dir + "/named:tag"},
		{umoci, "unpack", "--rootless", "--image", dir + "/named:tag", dir + "/bundle"},
	} {
		if out, err := exec.Command(arg[0], arg[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", arg, err, out)
		}
	}
	seen := map[string]bool{}
	err = filepath.WalkDir(dir+"/bundle/rootfs", func(p string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			b, _ := os.ReadFile(p)
			seen[string(b)] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for text, is := range want {
		if strings.HasPrefix(is, "file ") != seen[text] {
			t.Errorf("%q is %s, and umoci unpacks it: %v", text, is, seen[text])
		}
	}
}
