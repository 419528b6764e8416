// Package apps reads what applications, their extensions and services say of
// themselves in files beside their programs: one file for each kind.
package apps

import (
	"encoding/json"
	"path"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/plist"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/look"
)

// Readers are the readers of this package.
func Readers() []look.Reader {
	return []look.Reader{bundle(), launchd(), systemd(), chrome(), firefox(), vscode(), winget()}
}

// bundle reads Info.plist of applications and components of macOS.
func bundle() look.Reader {
	return look.Reader{
		Name: "bundle", Method: "Info.plist of macOS bundles",
		Match: func(f *look.File) bool { return strings.HasSuffix(f.Lower, "/contents/info.plist") },
		Read: func(f *look.File, o *look.Out) {
			d, ok := dict(f, o)
			if !ok {
				return
			}
			id, title := plist.Text(d, "CFBundleIdentifier"), plist.Text(d, "CFBundleDisplayName")
			if title == "" {
				title = plist.Text(d, "CFBundleName")
			}
			version := plist.Text(d, "CFBundleShortVersionString")
			if version == "" {
				version = plist.Text(d, "CFBundleVersion")
			}
			o.Add(product.Observation{
				Platform: product.MacOS, Evidence: product.Evidence{Record: "CFBundleIdentifier: " + id},
				Facts: look.Facts("bundle-id", id, "title", title, "version", version, "path", strings.TrimSuffix(path.Dir(f.Path), "/Contents")),
			})
		},
	}
}

func dict(f *look.File, o *look.Out) (map[string]any, bool) {
	b, ok := f.Bytes(o, plist.MaxSize)
	if !ok {
		return nil, false
	}
	d, ok := plist.Dict(b)
	if !ok {
		o.Unread(showcause.Corrupt, 0, int64(len(b)), "no property list")
	}
	return d, ok
}

// launchd reads what macOS starts (launchd.plist(5)).
func launchd() look.Reader {
	return look.Reader{
		Name: "launchd", Method: "launch daemons and agents of macOS",
		Match: func(f *look.File) bool {
			dir := path.Base(path.Dir(f.Lower))
			return (dir == "launchdaemons" || dir == "launchagents") && strings.HasSuffix(f.Lower, ".plist")
		},
		Read: func(f *look.File, o *look.Out) {
			d, ok := dict(f, o)
			if !ok {
				return
			}
			program := plist.Text(d, "Program")
			if list, _ := d["ProgramArguments"].([]any); program == "" && len(list) > 0 {
				program, _ = list[0].(string)
			}
			label := plist.Text(d, "Label")
			o.Add(product.Observation{
				Platform: product.MacOS, Evidence: product.Evidence{Record: "Label: " + label},
				Facts: look.Facts("service", label, "path", program),
			})
		},
	}
}

// systemd reads units and the scripts in init.d (systemd.unit(5)).
func systemd() look.Reader {
	return look.Reader{
		Name: "systemd", Method: "units of systemd, scripts in init.d",
		Match: func(f *look.File) bool {
			return strings.HasSuffix(f.Lower, ".service") && strings.Contains(f.Lower, "/systemd/") || path.Base(path.Dir(f.Lower)) == "init.d"
		},
		Read: func(f *look.File, o *look.Out) {
			b, ok := f.Bytes(o, 1<<20)
			if !ok {
				return
			}
			program := ""
			for line := range strings.Lines(string(b)) {
				if v, ok := strings.CutPrefix(strings.TrimSpace(line), "ExecStart="); ok && program == "" {
					if w := strings.Fields(strings.TrimLeft(v, "-@:+!| ")); len(w) > 0 {
						program = strings.Trim(w[0], `"'`)
					}
				}
			}
			name := strings.TrimSuffix(f.Base(), ".service")
			o.Add(product.Observation{
				Platform: product.Linux, Evidence: product.Evidence{Record: "unit " + name},
				Facts: look.Facts("service", name, "path", program),
			})
		},
	}
}

func chromeID(s string) bool {
	return len(s) == 32 && strings.Trim(s, "abcdefghijklmnop") == ""
}

// chrome reads manifests of extensions in profiles of Chrome, Edge and their kin: Extensions/ID/VERSION.
func chrome() look.Reader {
	return look.Reader{
		Name: "chrome", Method: "extensions of Chrome and Edge",
		Match: func(f *look.File) bool {
			return path.Base(f.Lower) == "manifest.json" && chromeID(f.Part("extensions"))
		},
		Read: func(f *look.File, o *look.Out) {
			b, ok := f.Bytes(o, 4<<20)
			if !ok {
				return
			}
			var m struct{ Name, Version, Author any }
			if json.Unmarshal([]byte(strings.TrimPrefix(string(b), "\xef\xbb\xbf")), &m) != nil {
				o.Unread(showcause.Corrupt, 0, int64(len(b)), "no manifest")
				return
			}
			name, _ := m.Name.(string)
			version, _ := m.Version.(string)
			author, _ := m.Author.(string)
			if strings.HasPrefix(name, "__MSG_") {
				name = ""
			}
			id := f.Part("extensions")
			o.Add(product.Observation{
				Platform: product.Chrome, Evidence: product.Evidence{Record: "Extensions/" + id},
				Facts: look.Facts("extension", id, "title", name, "version", version, "publisher", author),
			})
		},
	}
}

// firefox reads the list of extensions in a profile of Firefox.
func firefox() look.Reader {
	return look.Reader{
		Name: "firefox", Method: "extensions of Firefox",
		Match: func(f *look.File) bool { return path.Base(f.Lower) == "extensions.json" },
		Read: func(f *look.File, o *look.Out) {
			b, ok := f.Bytes(o, 64<<20)
			if !ok {
				return
			}
			var m struct {
				Addons []struct {
					ID            string
					Version       string
					Active        bool
					DefaultLocale struct{ Name, Creator string }
				}
			}
			if json.Unmarshal(b, &m) != nil {
				if strings.Contains(string(b), `"addons"`) {
					o.Unread(showcause.Corrupt, 0, int64(len(b)), "no list of extensions")
				}
				return
			}
			for _, a := range m.Addons {
				state := "active"
				if !a.Active {
					state = "not active"
				}
				o.Add(product.Observation{
					Platform: product.Firefox, Evidence: product.Evidence{Record: "addons: " + a.ID},
					Facts: look.Facts("extension", a.ID, "title", a.DefaultLocale.Name, "version", a.Version, "publisher", a.DefaultLocale.Creator, "status", state),
				})
			}
		},
	}
}

// vscode reads extensions of Visual Studio Code and its kin.
func vscode() look.Reader {
	return look.Reader{
		Name: "vscode", Method: "extensions of VS Code",
		Match: func(f *look.File) bool {
			dir := path.Dir(f.Lower)
			return path.Base(f.Lower) == "package.json" && path.Base(path.Dir(dir)) == "extensions" &&
				(strings.Contains(dir, "/.vscode") || strings.Contains(dir, "/.cursor") || strings.Contains(dir, "/.vscodium") || strings.Contains(dir, "/vs code/") || strings.Contains(dir, "/code/"))
		},
		Read: func(f *look.File, o *look.Out) {
			b, ok := f.Bytes(o, 4<<20)
			if !ok {
				return
			}
			var m struct{ Publisher, Name, DisplayName, Version string }
			if json.Unmarshal(b, &m) != nil || m.Name == "" {
				o.Unread(showcause.Corrupt, 0, int64(len(b)), "no description of an extension")
				return
			}
			if strings.HasPrefix(m.DisplayName, "%") {
				m.DisplayName = ""
			}
			o.Add(product.Observation{
				Platform: product.VSCode, Evidence: product.Evidence{Record: "publisher.name: " + m.Publisher + "." + m.Name},
				Facts: look.Facts("extension", m.Publisher+"."+m.Name, "title", m.DisplayName, "version", m.Version, "publisher", m.Publisher),
			})
		},
	}
}
