// Package winreg reads what hives of the Windows registry say of software: the
// keys of uninstallers, services and drivers, what vendors keep, the packages of MSI and of
// the store, extensions that policies install, what Amcache remembers. Which hive it is is told by what is in it,
// not by its name.
package winreg

import (
	"path"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/hive"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/product/look"
)

// Readers are the readers of this package.
func Readers() []look.Reader {
	return []look.Reader{{
		Name: "registry", Method: "hives of the Windows registry",
		Match: func(f *look.File) bool { return f.Magic("regf") || kept(f.Lower) },
		Read:  read,
	}}
}

// kept tells whether Windows keeps a hive of software at a path: one that does not begin as a hive is a damaged one.
func kept(lower string) bool {
	switch path.Base(lower) {
	case "software", "system":
		return strings.HasSuffix(path.Dir(lower), "/windows/system32/config")
	case "ntuser.dat":
		return strings.HasSuffix(path.Dir(path.Dir(lower)), "/users")
	case "amcache.hve":
		return true
	}
	return false
}

type reader struct {
	h *hive.Hive
	o *look.Out
}

func read(f *look.File, o *look.Out) {
	r := reader{h: hive.Open(f.Source, o.Work), o: o}
	root, ok := r.h.Root()
	if !ok {
		o.Short(true)
		return
	}
	// Each of these is there in one kind of hive only; a hive that has them all is read as all.
	if k, ok := root.Find(`Microsoft\Windows\CurrentVersion`); ok {
		r.software(root, k)
	}
	root.Each(func(k hive.Key) bool {
		if n := look.Lower(k.Name); strings.HasPrefix(n, "controlset") {
			r.services(k, `HKLM\SYSTEM\`+k.Name)
		}
		return true
	})
	if k, ok := root.Sub("Software"); ok {
		r.user(k)
	}
	if k, ok := root.Find(`Root\InventoryApplication`); ok {
		r.remembered(k)
	}
	if r.h.Dirty {
		o.Unread(showcause.Unsupported+".hive.log", 0, -1, "a log beside it has later changes")
	}
	o.Short(r.h.Short())
}

// add gives an observation that rests on a key.
func (r *reader) add(k hive.Key, name string, class product.Class, platform string, facts ...string) {
	r.o.Add(product.Observation{
		Platform: platform, Class: class, Evidence: product.Evidence{Offset: k.Offset, Length: 80, Record: name},
		Facts: look.Facts(facts...),
	})
}

func (r *reader) software(root, current hive.Key) {
	const at = `HKLM\SOFTWARE`
	r.uninstall(current, at+`\Microsoft\Windows\CurrentVersion\Uninstall`)
	r.vendors(root, at)
	if k, ok := root.Sub("WOW6432Node"); ok {
		r.vendors(k, at+`\WOW6432Node`)
		if k, ok := k.Find(`Microsoft\Windows\CurrentVersion`); ok {
			r.uninstall(k, at+`\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall`)
		}
	}
	if k, ok := current.Find(`Installer\UserData`); ok {
		r.installed(k, at+`\Microsoft\Windows\CurrentVersion\Installer\UserData`)
	}
	if k, ok := current.Find(`Appx\AppxAllUserStore\Applications`); ok {
		k.Each(func(a hive.Key) bool {
			r.add(a, at+`\Microsoft\Windows\CurrentVersion\Appx\AppxAllUserStore\Applications\`+a.Name, product.Installed, product.Windows, "package", a.Name)
			return true
		})
	}
	for _, browser := range []string{`Google\Chrome`, `Microsoft\Edge`, `Chromium`} {
		r.browser(root, browser, at)
	}
}

// uninstall reads what the list of programs shows.
func (r *reader) uninstall(k hive.Key, at string) {
	k, ok := k.Sub("Uninstall")
	if !ok {
		return
	}
	k.Each(func(p hive.Key) bool {
		code := ""
		if strings.HasPrefix(p.Name, "{") {
			code = p.Name
		}
		v := texts(p)
		platform := product.Windows
		if v["wingetpackageidentifier"] != "" {
			r.add(p, at+`\`+p.Name, product.Installed, product.Winget, "package", v["wingetpackageidentifier"], "title", v["displayname"], "publisher", v["publisher"], "version", v["displayversion"])
		}
		r.add(p, at+`\`+p.Name, product.Installed, platform, "registry", at+`\`+p.Name, "title", v["displayname"], "publisher", v["publisher"],
			"version", v["displayversion"], "code", code, "path", slashes(v["installlocation"]))
		return true
	})
}

// installed reads what MSI keeps of products.
func (r *reader) installed(k hive.Key, at string) {
	k.Each(func(user hive.Key) bool {
		products, ok := user.Sub("Products")
		if !ok {
			return true
		}
		products.Each(func(p hive.Key) bool {
			if props, ok := p.Sub("InstallProperties"); ok {
				v := texts(props)
				name := at + `\` + user.Name + `\Products\` + p.Name
				r.add(props, name, product.Installed, product.MSI, "registry", name, "title", v["displayname"], "publisher", v["publisher"],
					"version", v["displayversion"], "code", unpackCode(p.Name))
			}
			return true
		})
		return true
	})
}

// unpackCode is a product code as it is written elsewhere: keys have its parts with their letters turned round.
func unpackCode(s string) string {
	if len(s) != 32 {
		return ""
	}
	turn := func(s string) string {
		b := []byte(s)
		for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
			b[i], b[j] = b[j], b[i]
		}
		return string(b)
	}
	pairs := func(s string) (out string) {
		for i := 0; i+2 <= len(s); i += 2 {
			out += turn(s[i : i+2])
		}
		return out
	}
	return "{" + turn(s[:8]) + "-" + turn(s[8:12]) + "-" + turn(s[12:16]) + "-" + pairs(s[16:20]) + "-" + pairs(s[20:]) + "}"
}

// vendors gives the keys that vendors have, and those in them: traces, which stay when the software is gone.
func (r *reader) vendors(k hive.Key, at string) {
	k.Each(func(v hive.Key) bool {
		switch look.Lower(v.Name) {
		case "classes", "microsoft", "wow6432node", "policies", "clients", "registeredapplications":
			return true
		}
		r.add(v, at+`\`+v.Name, product.Installed, product.Windows, "registry", at+`\`+v.Name)
		v.Each(func(p hive.Key) bool {
			r.add(p, at+`\`+v.Name+`\`+p.Name, product.Installed, product.Windows, "registry", at+`\`+v.Name+`\`+p.Name)
			return true
		})
		return true
	})
}

// browser reads extensions that are installed for all, and hosts of native messages.
func (r *reader) browser(root hive.Key, browser, at string) {
	for _, sub := range []string{"", `WOW6432Node\`} {
		if k, ok := root.Find(sub + browser + `\Extensions`); ok {
			k.Each(func(e hive.Key) bool {
				r.add(e, at+`\`+sub+browser+`\Extensions\`+e.Name, product.Remnant, product.Chrome, "extension", e.Name)
				return true
			})
		}
		if k, ok := root.Find(sub + browser + `\NativeMessagingHosts`); ok {
			k.Each(func(e hive.Key) bool {
				name := at + `\` + sub + browser + `\NativeMessagingHosts\` + e.Name
				r.add(e, name, product.Installed, product.Windows, "registry", name)
				return true
			})
		}
	}
}

// services reads services and drivers.
func (r *reader) services(set hive.Key, at string) {
	list, ok := set.Sub("Services")
	if !ok {
		return
	}
	list.Each(func(s hive.Key) bool {
		v := texts(s)
		kind, title := product.Service, v["displayname"]
		if t, ok := s.Lookup("Type"); ok {
			if n, _ := t.Number(); n&3 != 0 && n&0x30 == 0 {
				kind = product.Driver
			}
		}
		if strings.HasPrefix(title, "@") { // a text in a file
			title = ""
		}
		image := slashes(v["imagepath"])
		file := ""
		if kind == product.Driver && image != "" {
			file = path.Base(image)
		}
		r.add(s, at+`\Services\`+s.Name, product.Installed, product.Windows, string(kind), s.Name, "path", image, "file", file)
		if title != "" {
			r.add(s, at+`\Services\`+s.Name, product.Remnant, product.Windows, "title", title)
		}
		return true
	})
}

// user reads the hive of a user.
func (r *reader) user(k hive.Key) {
	const at = `HKCU\Software`
	r.vendors(k, at)
	if c, ok := k.Find(`Microsoft\Windows\CurrentVersion`); ok {
		r.uninstall(c, at+`\Microsoft\Windows\CurrentVersion\Uninstall`)
	}
}

// remembered reads the programs that Amcache has seen: they may be gone.
func (r *reader) remembered(k hive.Key) {
	k.Each(func(a hive.Key) bool {
		v := texts(a)
		r.add(a, `Amcache\InventoryApplication\`+a.Name, product.Remnant, product.Windows, "title", v["name"], "publisher", v["publisher"],
			"version", v["version"], "path", slashes(v["rootdirpath"]))
		return true
	})
}

// texts are the texts of a key, by their names in small letters.
func texts(k hive.Key) map[string]string {
	out := map[string]string{}
	for _, v := range k.Values() {
		if s := v.Text(); s != "" {
			out[look.Lower(v.Name)] = s
		}
	}
	return out
}

// slashes is a path without the letter of its drive, the folder of Windows by its usual name, and
// without arguments.
func slashes(s string) string {
	s = strings.Trim(strings.ReplaceAll(s, `\`, "/"), ` "`)
	if s == "" {
		return ""
	}
	if i := strings.Index(s, `"`); i > 0 {
		s = s[:i]
	}
	s = strings.TrimPrefix(s, "/??/")
	l := look.Lower(s)
	for _, prefix := range []string{"/systemroot/", "%systemroot%/", "%windir%/", "system32/"} {
		if strings.HasPrefix(l, prefix) {
			rest := s[len(prefix):]
			if prefix == "system32/" {
				rest = s
			}
			return path.Clean("/Windows/" + rest)
		}
	}
	if len(s) > 1 && s[1] == ':' {
		s = s[2:]
	}
	if i := strings.Index(look.Lower(s), ".exe "); i > 0 {
		s = s[:i+4]
	}
	return path.Clean("/" + s)
}
