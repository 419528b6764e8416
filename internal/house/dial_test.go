package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// doors are the ways to a network, by import path: all of a package, or the
// names in it that match.
var doors = map[string]*regexp.Regexp{
	"net/http":              nil,
	"net/http/httptest":     nil,
	"net/rpc":               nil,
	"net/smtp":              nil,
	"crypto/tls":            nil,
	"net":                   regexp.MustCompile(`^(Dial|Listen|Lookup|Resolver|DefaultResolver|FileConn|FilePacketConn|FileListener)`),
	"syscall":               sockets,
	"golang.org/x/sys/unix": sockets,
}

// sockets are the system calls, by wrapper and by number.
var sockets = regexp.MustCompile(`^(Socket|Connect|Sendto|Sendmsg|SendmsgN|SendmsgBuffers|Bind|Listen|Accept|Accept4|SYS_(SOCKET|SOCKETCALL|CONNECT|SENDTO|SENDMSG|SENDMMSG|BIND|LISTEN|ACCEPT|ACCEPT4|IO_URING_\w+))$`)

// A pass is a use of a door that is allowed, and why. file is a pattern of path.Match.
type pass struct{ file, door, why string }

// passes name what is allowed. ledger is the only package that dials.
var passes = []pass{
	{"ledger/*.go", "*", "the one door out"},
	{"internal/jail/*.go", "golang.org/x/sys/unix.*", "names system calls in its tables, to allow or refuse them"},
	{"internal/jail/*_test.go", "*", "tries what the roles may and may not"},
	{"internal/escape/*.go", "*", "tries, inside the jail, what the jail must stop"},
	{"internal/escape/stage/*.go", "*", "listens on this machine for what must not arrive"},
	{"worker/*.go", "golang.org/x/sys/unix.Send*", "passes descriptors to readers over a socket pair"},
	{"worker/*_test.go", "*", "tries what the broker must refuse"},
	{"cmd/showcause/*_test.go", "*", "the server that fetching is tried on, and a socket among the files to scan"},
	{"serve/clamd/*_test.go", "net.*", "opens doors and knocks on them"},
	{"internal/clamdtalk/*.go", "net.*", "holds conversations with a clamd on local sockets, in tests"},
	{"serve/listen.go", "net.*", "opens the sockets that the service is asked at, and asks whether anybody listens at a path of this machine"},
	{"serve/notify.go", "golang.org/x/sys/unix.*", "tells the service manager and the log of this machine how it goes"},
	{"serve/*.go", "net.Listener", "what it takes from the service manager, or opens"},
	{"serve/metrics.go", "net/http", "answers Prometheus; it asks nobody"},
	{"serve/metrics_test.go", "*", "answers Prometheus; it asks nobody"},
	{"serve/daemon_test.go", "*", "the service manager, and clients on this machine"},
	{"serve/listen_test.go", "net.*", "a client on this machine"},
	{"serve/clamd/server.go", "net.Listener", "what it is handed"},
	{"serve/accept/accept.go", "net.Listener", "what it is handed"},
	{"serve/accept/accepttest/*.go", "net.*", "opens the doors of tests on this machine"},
	{"serve/milter/*_test.go", "net.*", "mail servers and clients on this machine"},
	{"serve/icap/*_test.go", "*", "web servers, proxies and clients of ICAP on this machine"},
	{"internal/servecmd/top.go", "net.*", "asks the service on this machine by its control socket"},
	{"serve/api/*_test.go", "*", "clients on this machine"},
	{"serve/api/*.go", "net/http", "answers; it asks nobody"},
	{"serve/api/*.go", "crypto/tls", "answers with TLS; it asks nobody"},
	{"serve/api/server.go", "net.Listener", "what it is handed"},
	{"internal/recipes/*_test.go", "*", "mail, FTP and file servers of others on this machine, and a mail server that takes all"},
	{"bench/clamd.go", "net.*", "asks the peer's daemon on a local socket"},
	{"bench/doors/*.go", "net.*", "asks the services that it started, on this machine"},
}

// TestOnlyLedgerDials holds that the ledger is the only door out: nothing else
// names what makes a connection.
func TestOnlyLedgerDials(t *testing.T) {
	root := filepath.Clean("../..")
	used := map[pass]bool{}
	files := 0
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		if e.IsDir() {
			if rel == "tools" || rel == "dist" || rel != "." && (strings.HasPrefix(e.Name(), ".") || e.Name() == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") || rel == filepath.Join("internal", "house", "dial_test.go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		files++
		for _, d := range opened(t, rel, text) {
			allowed := false
			for _, x := range passes {
				file, _ := path.Match(x.file, filepath.ToSlash(rel))
				if file && (x.door == "*" || strings.HasPrefix(d, strings.TrimSuffix(x.door, "*")) && strings.HasSuffix(x.door, "*") || d == x.door) {
					allowed = true
					used[x] = true
				}
			}
			if !allowed {
				t.Errorf("%s: uses %s: only ledger opens connections; an exception is named in internal/house with its reason", rel, d)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range passes {
		if !used[x] {
			t.Errorf("nobody uses the exception of %s for %s; take it away", x.file, x.door)
		}
	}
	if files < 100 {
		t.Errorf("%d files were looked at", files)
	}
}

// opened lists the doors that a file names.
func opened(t *testing.T, rel string, text []byte) (out []string) {
	file, err := parser.ParseFile(token.NewFileSet(), rel, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	local := map[string]string{} // name in the file to import path
	for _, i := range file.Imports {
		imp := strings.Trim(i.Path.Value, `"`)
		names, door := doors[imp]
		if !door {
			continue
		}
		name := path.Base(imp)
		if i.Name != nil {
			name = i.Name.Name
		}
		if names == nil || name == "." {
			out = append(out, imp)
			continue
		}
		local[name] = imp
	}
	ast.Inspect(file, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := s.X.(*ast.Ident); ok {
			if imp := local[x.Name]; imp != "" && doors[imp].MatchString(s.Sel.Name) {
				out = append(out, imp+"."+s.Sel.Name)
			}
		}
		return true
	})
	return out
}

// The test sees what it looks for.
func TestDoorsAreSeen(t *testing.T) {
	for text, want := range map[string]string{
		`import "net/http"`:                                         "net/http",
		`import h "net/http"; var _ = h.Get`:                        "net/http",
		`import _ "net/http"`:                                       "net/http",
		`import "net"; var _ = net.Dial`:                            "net.Dial",
		`import "net"; var _ = net.DialTimeout`:                     "net.DialTimeout",
		`import n "net"; var _ n.Dialer`:                            "net.Dialer",
		`import . "net"`:                                            "net",
		`import "net"; var _ = &net.Resolver{}`:                     "net.Resolver",
		`import "net"; var _ net.IP`:                                "",
		`import "golang.org/x/sys/unix"; var _ = unix.Connect`:      "golang.org/x/sys/unix.Connect",
		`import "golang.org/x/sys/unix"; var _ = unix.SYS_SENDMMSG`: "golang.org/x/sys/unix.SYS_SENDMMSG",
		`import "golang.org/x/sys/unix"; var _ = unix.Socketpair; var _ = unix.SocketLevel`:           "",
		`import "syscall"; var _ = syscall.Socket`:                                                    "syscall.Socket",
		`import "golang.org/x/sys/unix"; func f(Connect func()) { Connect() }; var _ = unix.O_RDONLY`: "",
	} {
		if got := strings.Join(opened(t, "x.go", []byte("package x\n"+text)), ","); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
