package osdb

import (
	"bytes"
	"encoding/json"
	"path"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/look"
)

// snap reads what a snap says of itself: meta/snap.yaml (snapcraft.io, "Snap format").
func snap() look.Reader {
	return look.Reader{
		Name: "snap", Method: "descriptions of snaps",
		Match: func(f *look.File) bool { return strings.HasSuffix(f.Lower, "/meta/snap.yaml") },
		Read: func(f *look.File, o *look.Out) {
			b, ok := f.Bytes(o, 1<<20)
			if !ok {
				return
			}
			var m struct {
				Name    string `yaml:"name"`
				Version string `yaml:"version"`
				Title   string `yaml:"title"`
				Summary string `yaml:"summary"`
			}
			if err := yaml.Unmarshal(b, &m); err != nil || m.Name == "" {
				o.Unread(showcause.Corrupt, 0, int64(len(b)), "no description of a snap")
				return
			}
			if m.Title == "" {
				m.Title = m.Summary
			}
			o.Add(product.Observation{
				Platform: product.Snap, Evidence: product.Evidence{Record: "name: " + m.Name},
				Facts: look.Facts("package", m.Name, "version", m.Version, "title", m.Title),
			})
		},
	}
}

// snapState reads the list of snaps that snapd keeps.
func snapState() look.Reader {
	return look.Reader{
		Name: "snapd", Method: "records of snapd",
		Match: func(f *look.File) bool { return strings.HasSuffix(f.Lower, "/var/lib/snapd/state.json") },
		Read: func(f *look.File, o *look.Out) {
			b, ok := f.Bytes(o, 64<<20)
			if !ok {
				return
			}
			var m struct {
				Data struct {
					Snaps map[string]struct {
						Active  bool            `json:"active"`
						Current json.RawMessage `json:"current"`
					} `json:"snaps"`
				} `json:"data"`
			}
			if json.Unmarshal(b, &m) != nil {
				o.Unread(showcause.Corrupt, 0, int64(len(b)), "")
				return
			}
			for name, s := range m.Data.Snaps {
				state := "active"
				if !s.Active {
					state = "not active"
				}
				name, _, _ := strings.Cut(name, "_")
				o.Add(product.Observation{
					Platform: product.Snap, Evidence: product.Evidence{Record: "data.snaps." + name},
					Facts: look.Facts("package", name, "status", state, "version", "revision "+strings.Trim(string(s.Current), `"`)),
				})
			}
		},
	}
}

// flatpak reads the description of an application that is deployed (flatpak-metadata(5)).
func flatpak() look.Reader {
	return look.Reader{
		Name: "flatpak", Method: "applications of flatpak",
		Match: func(f *look.File) bool {
			return path.Base(f.Lower) == "metadata" && strings.Contains(f.Lower, "/flatpak/") && f.Magic("[Application]", "[Runtime]")
		},
		Read: func(f *look.File, o *look.Out) {
			b, ok := f.Bytes(o, 1<<20)
			if !ok {
				return
			}
			stanzas(b, "=", func(s stanza) bool {
				o.Add(product.Observation{
					Platform: product.Flatpak, Evidence: product.Evidence{Offset: s.off, Length: s.n, Record: "name=" + s.fields["name"]},
					Facts: look.Facts("package", s.fields["name"], "title", s.fields["command"]),
				})
				return false
			})
		},
	}
}

// brew reads what Homebrew notes of what it installed: the path has name and version.
func brew() look.Reader {
	return look.Reader{
		Name: "homebrew", Method: "receipts of Homebrew",
		Match: func(f *look.File) bool { return path.Base(f.Lower) == "install_receipt.json" },
		Read: func(f *look.File, o *look.Out) {
			parts := strings.Split(f.Path, "/")
			for i, p := range parts {
				if (p == "Cellar" || p == "Caskroom") && i+2 < len(parts) {
					o.Add(product.Observation{
						Platform: product.Brew, Evidence: product.Evidence{Record: p + "/" + parts[i+1]},
						Facts: look.Facts("package", parts[i+1], "version", parts[i+2]),
					})
					return
				}
			}
		},
	}
}

// system reads what a Linux system says that it is (os-release(5)).
func system() look.Reader {
	return look.Reader{
		Name: "os-release", Method: "os-release",
		Match: func(f *look.File) bool {
			return strings.HasSuffix(f.Lower, "/usr/lib/os-release") || strings.HasSuffix(f.Lower, "/etc/os-release")
		},
		Read: func(f *look.File, o *look.Out) {
			b, ok := f.Bytes(o, 1<<20)
			if !ok {
				return
			}
			stanzas(bytes.ReplaceAll(b, []byte("\n\n"), []byte("\n")), "=", func(s stanza) bool {
				text := func(k string) string { return strings.Trim(s.fields[k], `"'`) }
				o.Add(product.Observation{
					Platform: product.Linux, Evidence: product.Evidence{Record: "ID=" + text("ID")},
					Facts: look.Facts("system", text("ID"), "version", text("VERSION_ID")),
				})
				return false
			})
		},
	}
}
