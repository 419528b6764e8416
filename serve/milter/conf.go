package milter

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var actionWords = map[string]Action{"accept": Accept, "reject": Reject, "defer": Defer, "blackhole": Blackhole, "quarantine": Quarantine}

// String returns the word that settings have for it.
func (a Action) String() string {
	return [...]string{"", "Accept", "Reject", "Defer", "Blackhole", "Quarantine"}[min(a, Quarantine)]
}

// ParseAction reads the word.
func ParseAction(word string) (Action, error) {
	a := actionWords[strings.ToLower(word)]
	if a == Unset {
		return a, fmt.Errorf("%q is not one of Accept, Reject, Defer, Blackhole, Quarantine", word)
	}
	return a, nil
}

// Conf is what a clamav-milter.conf says.
type Conf struct {
	Options
	Network, Address string // of MilterSocket; "" where there is none
	Mode             fs.FileMode
	Group            string
	Keep             bool     // a path that is there already is an error
	Notes            []string // options that have no place here, with their lines and why
}

// elsewhere are options that have no place here, and why.
var elsewhere = map[string]string{
	"ClamdSocket": "the service scans itself", "User": "--user, or User in clamd.conf", "AllowSupplementaryGroups": "they are always the user's",
	"Foreground": "the service manager knows what runs", "Chroot": "the readers have a root of their own, which is empty",
	"PidFile": "--pid-file, or clamd.conf", "TemporaryDirectory": "--temp-dir, or clamd.conf", "VirusAction": "no program is started by what strangers send; follow the log",
	"LogFile": "--log-file, or clamd.conf", "LogFileUnlock": "a log that others write to is no log", "LogFileMaxSize": "clamd.conf", "LogTime": "clamd.conf", "LogSyslog": "clamd.conf",
	"LogFacility": "clamd.conf", "LogVerbose": "--log-verbose, or clamd.conf", "LogRotate": "clamd.conf", "LogInfected": "each is logged, with sender and recipients", "LogClean": "--log-clean, or clamd.conf",
	"SupportMultipleRecipients": "only a program that VirusAction starts would see a difference",
}

// Read reads a clamav-milter.conf.
func Read(path string) (*Conf, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return Parse(path, f)
}

// Parse reads one of a name.
func Parse(name string, r io.Reader) (*Conf, error) {
	c := &Conf{}
	in := bufio.NewScanner(io.LimitReader(r, 1<<20))
	for n := 1; in.Scan(); n++ {
		line := strings.TrimSpace(in.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		option, value, _ := strings.Cut(line, " ")
		if i := strings.IndexByte(option, '\t'); i >= 0 {
			option, value = line[:i], line[i:]
		}
		value = strings.TrimSpace(value)
		if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
			value = value[1 : len(value)-1]
		}
		if why, ok := elsewhere[option]; ok {
			c.Notes = append(c.Notes, fmt.Sprintf("%s:%d: %s: %s", name, n, option, why))
			continue
		}
		if err := c.set(option, value); err != nil {
			return nil, fmt.Errorf("%s:%d: option %s: %w", name, n, option, err)
		}
	}
	return c, in.Err()
}

func (c *Conf) set(option, value string) (err error) {
	if value == "" && option != "Example" {
		return fmt.Errorf("no value")
	}
	switch option {
	case "Example":
		return fmt.Errorf("this is the example; edit it, and take this line away")
	case "MilterSocket":
		c.Network, c.Address, err = parseSocket(value)
	case "MilterSocketMode":
		var n uint64
		if n, err = strconv.ParseUint(value, 8, 32); err == nil && (n == 0 || n > 0o777) {
			err = fmt.Errorf("%q is not octal, 1 to 777", value)
		}
		c.Mode = fs.FileMode(n)
	case "MilterSocketGroup":
		c.Group = value
	case "FixStaleSocket":
		var yes bool
		yes, err = parseYes(value)
		c.Keep = !yes
	case "ReadTimeout":
		var n uint64
		if n, err = strconv.ParseUint(value, 10, 31); n == 0 {
			n = math.MaxInt32
		}
		c.Connections.Read = time.Duration(n) * time.Second
	case "MaxFileSize":
		c.MaxLength, err = parseSize(value)
	case "OnClean":
		c.OnClean, err = ParseAction(value)
	case "OnInfected":
		c.OnInfected, err = ParseAction(value)
	case "OnFail":
		c.OnFail, err = ParseAction(value)
	case "RejectMsg":
		c.RejectMsg = value
	case "ReportHostname":
		c.Hostname = value
	case "AddHeader":
		c.Header, err = parseHeader(value)
	case "LocalNet":
		var p netip.Prefix
		if p, err = parseNet(value); err == nil {
			c.Local = append(c.Local, p)
		}
	case "Whitelist":
		err = c.allow(value)
	case "SkipAuthenticated":
		c.SkipAuthenticated, err = c.users(value)
	default:
		return fmt.Errorf("unknown")
	}
	return err
}

func parseYes(word string) (bool, error) {
	switch strings.ToLower(word) {
	case "yes", "true", "1":
		return true, nil
	case "no", "false", "0":
		return false, nil
	}
	return false, fmt.Errorf("%q is not yes or no", word)
}

func parseSize(text string) (int64, error) {
	digits, shift := text, 0
	if i := strings.IndexByte("KM", strings.ToUpper(text)[len(text)-1]); i >= 0 {
		digits, shift = text[:len(text)-1], 10*(i+1)
	}
	n, err := strconv.ParseInt(digits, 10, 40)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is no size", text)
	}
	return n << shift, nil
}

func parseHeader(word string) (Headers, error) {
	switch strings.ToLower(word) {
	case "replace":
		return ReplaceHeaders, nil
	case "add", "yes", "true", "1":
		return AddHeaders, nil
	case "no", "false", "0":
		return NoHeaders, nil
	}
	return 0, fmt.Errorf("%q is not one of Replace, Add, No", word)
}

// parseSocket reads where libmilter listens: unix:/path, inet:port@host, inet6:port@host, or /path.
func parseSocket(text string) (network, address string, err error) {
	kind, rest, ok := strings.Cut(text, ":")
	if !ok {
		kind, rest = "unix", text
	}
	switch kind {
	case "unix", "local":
		if !strings.HasPrefix(rest, "/") {
			return "", "", fmt.Errorf("%q is no path from the root", rest)
		}
		return "unix", rest, nil
	case "inet", "inet6":
		port, host, _ := strings.Cut(rest, "@")
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return "", "", fmt.Errorf("%q is no port", port)
		}
		return "tcp", net.JoinHostPort(strings.Trim(host, "[]"), port), nil
	}
	return "", "", fmt.Errorf("%q is not unix:/path or inet:port@host", text)
}

// parseNet reads a network: local, an address, or one with a mask.
func parseNet(text string) (netip.Prefix, error) {
	if strings.EqualFold(text, "local") {
		return netip.MustParsePrefix("127.0.0.0/8"), nil
	}
	host, mask, ok := strings.Cut(text, "/")
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is no address or network (names are not looked up)", text)
	}
	bits := a.BitLen()
	if ok {
		if m := net.ParseIP(mask).To4(); m != nil && a.Is4() {
			ones, size := net.IPMask(m).Size()
			if size == 0 {
				return netip.Prefix{}, fmt.Errorf("%q is no mask", mask)
			}
			bits = ones
		} else if bits, err = strconv.Atoi(mask); err != nil {
			return netip.Prefix{}, fmt.Errorf("%q is no mask", mask)
		}
	}
	return a.Prefix(bits)
}

// allow reads a list of senders and recipients whose mail is not scanned: a POSIX
// expression a line, behind From: or To:, which is what one without means.
func (c *Conf) allow(path string) error {
	lines, err := lines(path)
	if err != nil {
		return err
	}
	for _, l := range lines {
		to := true
		if rest, ok := strings.CutPrefix(l, "From:"); ok {
			to, l = false, rest
		} else {
			l = strings.TrimPrefix(l, "To:")
		}
		re, err := regexp.Compile("(?i)" + l)
		if err != nil {
			return err
		}
		c.Allow = append(c.Allow, Allowed{to, re})
	}
	return nil
}

// users reads an expression for names of users, or file:/path of one that has a name a line.
func (c *Conf) users(text string) (*regexp.Regexp, error) {
	path, ok := strings.CutPrefix(text, "file:")
	if !ok {
		return regexp.Compile(text)
	}
	names, err := lines(path)
	if err != nil {
		return nil, err
	}
	for i := range names {
		names[i] = regexp.QuoteMeta(names[i])
	}
	if len(names) == 0 {
		return nil, nil
	}
	return regexp.Compile("^(?i:" + strings.Join(names, "|") + ")$")
}

// lines are those of a file that are neither empty nor a remark.
func lines(path string) (out []string, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for l := range strings.SplitSeq(string(b), "\n") {
		if l = strings.TrimSpace(l); l != "" && !strings.ContainsRune("#!:", rune(l[0])) {
			out = append(out, l)
		}
	}
	return out, nil
}
