package updatecmd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/showcause/showcause/update"
)

// conf is what a freshclam.conf asks for.
type conf struct {
	dir      string
	mirrors  []string // empty: those of the source
	private  bool     // the mirrors are the site's own: the domain name system is not asked
	dns      string
	noDNS    bool
	whole    bool
	noTry    bool
	tries    int
	proxy    string
	extra    []string // databases
	except   []string
	custom   []string // URLs of files
	notes    []string // what is not done, and why
	proxyTCP string
}

// option is one of freshclam's: what it does, or why nothing.
type option struct {
	set func(c *conf, v string) error
	why string
}

// freshclamOptions are those of freshclam.conf(5), ClamAV 1.5.
func freshclamOptions() map[string]option {
	list := func(to func(*conf) *[]string) option {
		return option{set: func(c *conf, v string) error { *to(c) = append(*to(c), v); return nil }}
	}
	yes := func(to func(*conf) *bool, when bool) option {
		return option{set: func(c *conf, v string) error {
			b, err := truth(v)
			*to(c) = b == when
			return err
		}}
	}
	ignored := func(why string) option { return option{why: why} }
	const (
		log    = "output goes to standard output and standard error"
		runs   = "when it runs is for a timer to say (dist/systemd)"
		starts = "this process can start no other once it has one with a network"
		id     = "no name of this installation is sent"
	)
	all := map[string]option{
		"DatabaseDirectory": {set: func(c *conf, v string) error { c.dir = v; return nil }},
		"DatabaseMirror":    {set: func(c *conf, v string) error { return c.mirror(v, false) }},
		"PrivateMirror":     {set: func(c *conf, v string) error { return c.mirror(v, true) }},
		"DNSDatabaseInfo": {set: func(c *conf, v string) error {
			c.dns, c.noDNS = v, strings.EqualFold(v, "no")
			return nil
		}},
		"ScriptedUpdates": yes(func(c *conf) *bool { return &c.whole }, false),
		"TestDatabases":   yes(func(c *conf) *bool { return &c.noTry }, false),
		"MaxAttempts": {set: func(c *conf, v string) (err error) {
			c.tries, err = strconv.Atoi(v)
			return err
		}},
		"Bytecode": {set: func(c *conf, v string) error {
			b, err := truth(v)
			if !b {
				c.except = append(c.except, "bytecode")
			}
			return err
		}},
		"ExtraDatabase":     list(func(c *conf) *[]string { return &c.extra }),
		"ExcludeDatabase":   list(func(c *conf) *[]string { return &c.except }),
		"DatabaseCustomURL": list(func(c *conf) *[]string { return &c.custom }),
		"HTTPProxyServer":   {set: func(c *conf, v string) error { c.proxy = v; return nil }},
		"HTTPProxyPort":     {set: func(c *conf, v string) error { c.proxyTCP = v; return nil }},

		"HTTPProxyUsername": ignored("no credential is sent"), "HTTPProxyPassword": ignored("no credential is sent"),
		"HTTPUserAgent": ignored(id), "NotifyClamd": ignored("showcause serve looks for new rules by itself (SelfCheck)"),
		"LocalIPAddress": ignored("the system chooses the address"), "ConnectTimeout": ignored("each wait is 60 s at most"),
		"ReceiveTimeout": ignored("each wait is 60 s at most, a file 30 min"), "CompressLocalDatabase": ignored("a patched database is not compressed"),
		"CVDCertsDirectory": ignored("name it with --certs"), "FIPSCryptoHashLimits": ignored("ask for it with --require-sign"),
		"DatabaseOwner": ignored("files belong to who runs the update"), "AllowSupplementaryGroups": ignored("groups are not changed"),
		"DatabaseIncludes": ignored("no such option any more"), "SafeBrowsing": ignored("the service is no more"),
	}
	for _, n := range []string{"UpdateLogFile", "LogFileMaxSize", "LogTime", "LogVerbose", "LogSyslog", "LogFacility", "LogRotate", "Debug"} {
		all[n] = ignored(log)
	}
	for _, n := range []string{"Checks", "Foreground", "PidFile"} {
		all[n] = ignored(runs)
	}
	for _, n := range []string{"OnUpdateExecute", "OnErrorExecute", "OnOutdatedExecute"} {
		all[n] = ignored(starts)
	}
	return all
}

func truth(v string) (bool, error) {
	switch strings.ToLower(v) {
	case "yes", "true", "1":
		return true, nil
	case "no", "false", "0":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither yes nor no", v)
}

// mirror notes a mirror, by its URL or by its name alone.
func (c *conf) mirror(v string, private bool) error {
	if private && !c.private { // it takes the place of the public ones
		c.mirrors, c.private = nil, true
	} else if !private && c.private {
		return nil
	}
	if !strings.Contains(v, "://") {
		v = "https://" + v
	}
	if u, err := url.Parse(v); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%q is no mirror", v)
	}
	c.mirrors = append(c.mirrors, strings.TrimRight(v, "/"))
	return nil
}

// readConf reads a freshclam.conf.
func readConf(r io.Reader) (*conf, error) {
	c := &conf{}
	known := freshclamOptions()
	names := map[string]string{}
	for n := range known {
		names[strings.ToLower(n)] = n
	}
	s := bufio.NewScanner(io.LimitReader(r, 1<<20))
	for n := 1; s.Scan(); n++ {
		line := strings.TrimSpace(s.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, v, _ := strings.Cut(line, " ")
		v = strings.Trim(strings.TrimSpace(v), `"`)
		if strings.EqualFold(name, "Example") {
			return nil, fmt.Errorf("line %d: take the word Example away once the file is yours", n)
		}
		o, ok := known[names[strings.ToLower(name)]]
		switch {
		case !ok:
			return nil, fmt.Errorf("line %d: no option %q of freshclam", n, name)
		case v == "":
			return nil, fmt.Errorf("line %d: %s without a value", n, name)
		case o.set == nil:
			c.notes = append(c.notes, fmt.Sprintf("line %d: %s: %s", n, name, o.why))
			continue
		}
		if err := o.set(c, v); err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", n, name, err)
		}
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	if c.proxy != "" {
		if !strings.Contains(c.proxy, "://") {
			c.proxy = "http://" + c.proxy
		}
		if c.proxyTCP != "" {
			c.proxy += ":" + c.proxyTCP
		}
	}
	return c, nil
}

// apply changes the sources as the file asks for.
func (c *conf) apply(all []update.Source) ([]update.Source, error) {
	for i := range all {
		s := &all[i]
		if s.Kind != "clamav" || s.Name != "clamav" {
			continue
		}
		if len(c.mirrors) > 0 {
			s.Mirrors = c.mirrors
		}
		if c.dns != "" {
			s.DNS = c.dns
		}
		if c.private || c.noDNS {
			s.DNS = ""
		}
		s.Whole = c.whole
		s.Databases = slices.DeleteFunc(slices.Concat(s.Databases, c.extra), func(d string) bool { return slices.Contains(c.except, d) })
		if len(s.Databases) == 0 {
			return nil, errors.New("every database is excluded")
		}
	}
	if len(c.custom) > 0 {
		kind := "files"
		if slices.ContainsFunc(c.custom, func(u string) bool { return strings.HasPrefix(u, "file://") }) {
			return nil, errors.New("DatabaseCustomURL file://...: name the folder as a source of your own (--sources)")
		}
		all = append(all, update.Source{
			Name: "custom", Kind: kind, About: "DatabaseCustomURL of freshclam.conf", Default: true, URLs: c.custom,
			Licence: "not told", Terms: "You named it yourself: look at its publisher's terms.",
		})
	}
	return all, nil
}
