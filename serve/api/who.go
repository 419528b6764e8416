package api

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"regexp"
	"sync"
	"time"
)

// Tokens are a file of names and tokens, which is read again when it changes.
type Tokens struct {
	path string
	file watched
	list []token // guarded by file.mu
}

type token struct {
	name  string
	admin bool
	sum   [sha256.Size]byte
}

// minToken is the shortest token, in bytes.
const minToken = 16

var tokenName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

// ReadTokens reads a file of lines "NAME TOKEN" or "NAME TOKEN admin"; those that begin with # are none.
// Only the service's user, and its group, may read it.
func ReadTokens(path string) (*Tokens, error) {
	t := &Tokens{path: path}
	if err := t.file.look([]string{path}, t.read); err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	return t, nil
}

func (t *Tokens) read() error {
	f, err := os.Open(t.path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if st.Mode().Perm()&0o007 != 0 {
		return fmt.Errorf("%s: others can read or write it (chmod o= %s)", t.path, t.path)
	}
	if st.Size() > 1<<20 {
		return fmt.Errorf("%s: more than 1 MiB", t.path)
	}
	b, err := os.ReadFile(t.path)
	if err != nil {
		return err
	}
	list, err := parseTokens(b)
	if err != nil {
		return fmt.Errorf("%s: %w", t.path, err)
	}
	t.list = list
	return nil
}

func parseTokens(b []byte) (list []token, err error) {
	seen := map[string]bool{}
	in := bufio.NewScanner(bytes.NewReader(b))
	for line := 1; in.Scan(); line++ {
		f := bytes.Fields(in.Bytes())
		if len(f) == 0 || f[0][0] == '#' {
			continue
		}
		switch {
		case len(f) != 2 && (len(f) != 3 || string(f[2]) != "admin"):
			return nil, fmt.Errorf("line %d: want a name and a token, and nothing or the word admin behind them", line)
		case !tokenName.Match(f[0]):
			return nil, fmt.Errorf("line %d: a name has letters, digits and . _ @ -, 64 at most", line)
		case len(f[1]) < minToken:
			return nil, fmt.Errorf("line %d: the token has less than %d bytes", line, minToken)
		case seen[string(f[0])]:
			return nil, fmt.Errorf("line %d: the name is there twice", line)
		}
		seen[string(f[0])] = true
		list = append(list, token{string(f[0]), len(f) == 3, sha256.Sum256(f[1])})
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errors.New("no token in it")
	}
	return list, nil
}

// Name returns whose a token is, and whether it is for what others asked too. How long that
// takes does not tell how much of it is right.
func (t *Tokens) Name(s string) (name string, admin, ok bool) {
	_ = t.file.look([]string{t.path}, t.read) // what cannot be read changes nothing
	sum := sha256.Sum256([]byte(s))
	t.file.mu.Lock()
	defer t.file.mu.Unlock()
	for i := range t.list {
		if subtle.ConstantTimeCompare(sum[:], t.list[i].sum[:]) == 1 {
			name, admin, ok = t.list[i].name, t.list[i].admin, true
		}
	}
	return name, admin, ok
}

// Certificates are the service's own, and those of who may sign its clients'. The files
// are read again when they change.
type Certificates struct {
	cert, key, clients string
	file               watched
	current            *tls.Config // guarded by file.mu
	leaf               *x509.Certificate
}

// ReadCertificates reads PEM files: a chain, its key, and certificates that clients'
// must be signed by, which may be "" for none.
func ReadCertificates(cert, key, clients string) (*Certificates, error) {
	c := &Certificates{cert: cert, key: key, clients: clients}
	if err := c.file.look(c.paths(), c.read); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return c, nil
}

func (c *Certificates) paths() []string {
	if c.clients == "" {
		return []string{c.cert, c.key}
	}
	return []string{c.cert, c.key, c.clients}
}

func (c *Certificates) mutual() bool { return c.clients != "" }

func (c *Certificates) read() error {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return err
	}
	t := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
	if c.clients != "" {
		b, err := os.ReadFile(c.clients)
		if err != nil {
			return err
		}
		t.ClientCAs, t.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		if !t.ClientCAs.AppendCertsFromPEM(b) {
			return fmt.Errorf("%s: no certificate in it", c.clients)
		}
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return err
	}
	c.current, c.leaf = t, leaf
	return nil
}

// config is one that has each handshake done with the files as they are.
func (c *Certificates) config() *tls.Config {
	get := func() *tls.Config {
		_ = c.file.look(c.paths(), c.read) // half of a change: the old ones serve on
		c.file.mu.Lock()
		defer c.file.mu.Unlock()
		return c.current
	}
	t := get().Clone()
	t.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return get(), nil }
	return t
}

// names tells whether the certificate is of a host.
func (c *Certificates) names(host string) bool {
	c.file.mu.Lock()
	defer c.file.mu.Unlock()
	return c.leaf.VerifyHostname(host) == nil
}

// watched are files that are looked at once a second, when somebody asks.
type watched struct {
	mu    sync.Mutex
	next  time.Time
	state string
}

// look reads files that have changed, with mu held.
func (w *watched) look(paths []string, read func() error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if now.Before(w.next) {
		return nil
	}
	w.next = now.Add(time.Second)
	state := ""
	for _, p := range paths {
		st, err := os.Stat(p)
		if err != nil {
			return err
		}
		state += fmt.Sprintln(st.Size(), st.ModTime().UnixNano(), st.Mode())
	}
	if state == w.state {
		return nil
	}
	err := read()
	if err == nil {
		w.state = state
	}
	return err
}
