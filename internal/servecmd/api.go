package servecmd

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/spf13/pflag"

	"github.com/showcause/showcause/serve"
	"github.com/showcause/showcause/serve/api"
)

// apiName is the name of the door for HTTP.
const apiName = "api"

// apiSettings are those of the door for HTTP.
type apiSettings struct {
	tokens, cert, key, clients string
	hosts                      []string
	maxBody                    int64
}

func (a *apiSettings) flags(f *pflag.FlagSet) {
	f.StringArray("api", nil, "host:port, or path of a socket, for scan requests over HTTP (repeatable); another address than this machine's needs TLS, and tokens or certificates of clients")
	f.StringVar(&a.tokens, "api-tokens", "", "file of lines NAME TOKEN, or NAME TOKEN admin: who may ask over HTTP")
	f.StringVar(&a.cert, "api-cert", "", "PEM file of the service's certificates for HTTP")
	f.StringVar(&a.key, "api-key", "", "PEM file of their key")
	f.StringVar(&a.clients, "api-client-ca", "", "PEM file of certificates that those of clients must be signed by")
	f.StringSliceVar(&a.hosts, "api-host", nil, "names of the service besides those in its certificate")
	f.String("api-max-body", "", "bytes of one request over HTTP (default 1G)")
}

// apiDoor works out where the door for HTTP is, and refuses what others than this
// machine could reach without saying who they are.
func (s *settings) apiDoor() (err error) {
	a := &s.api
	for _, x := range [...]struct{ flag, value string }{
		{"api-tokens", a.tokens}, {"api-cert", a.cert}, {"api-key", a.key}, {"api-client-ca", a.clients}, {"api-host", strings.Join(a.hosts, ",")},
	} {
		s.row(x.flag, x.value, s.from(source{flag: x.flag}))
	}
	if a.maxBody, err = s.bytes(source{flag: "api-max-body"}, 1<<30); err != nil {
		return err
	}
	if (a.cert == "") != (a.key == "") || a.clients != "" && a.cert == "" {
		return errors.New("flags --api-cert and --api-key go together, and --api-client-ca with them")
	}
	addresses, _ := s.given.GetStringArray("api")
	for _, to := range addresses {
		l := serve.Listen{Door: apiName, Network: "tcp", Address: to, From: "--api"}
		if strings.HasPrefix(to, "/") {
			l.Network, l.Mode = "unix", 0o660
		} else if _, _, err := net.SplitHostPort(to); err != nil {
			return fmt.Errorf("flag --api: %w", err)
		}
		s.row("api", to, "--api")
		s.listen = append(s.listen, l)
	}
	if len(addresses) == 0 {
		return nil
	}
	o, err := s.apiOptions()
	if err != nil {
		return err
	}
	for _, l := range s.listen {
		if l.Door != apiName {
			continue
		}
		if err := o.Check(l.Network, l.Address); err != nil {
			return fmt.Errorf("flag --api: %w", err)
		}
	}
	return nil
}

// apiOptions reads the files that the settings name.
func (s *settings) apiOptions() (o api.Options, err error) {
	if s.api.tokens != "" {
		if o.Tokens, err = api.ReadTokens(s.api.tokens); err != nil {
			return o, err
		}
	}
	if s.api.cert != "" {
		if o.TLS, err = api.ReadCertificates(s.api.cert, s.api.key, s.api.clients); err != nil {
			return o, err
		}
	}
	o.Hosts, o.MaxBody, o.Timeout = s.api.hosts, s.api.maxBody, s.scanTime
	return o, nil
}

func (h Host) apiDoor(s *settings, d *serve.Daemon) (serve.Door, error) {
	o, err := s.apiOptions() // as the user that the service is now: it reads them again when they change
	if err != nil {
		return nil, err
	}
	if k := d.Records(); k != nil {
		o.Record, o.Records, o.Made, o.Recording = recordFor(k), recordsFor(k), k.For, recordingOf(k)
	}
	o.Queue, o.Policy, o.Log, o.Version, o.Metrics = d.Queue(), d.Policy(), d.Log(), h.Version, d.Metrics
	return api.New(o), nil
}
