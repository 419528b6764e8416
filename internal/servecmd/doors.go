package servecmd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/showcause/showcause/serve"
	"github.com/showcause/showcause/serve/accept"
	"github.com/showcause/showcause/serve/icap"
	"github.com/showcause/showcause/serve/milter"
)

// Names of the doors for web proxies and mail servers.
const (
	icapName   = "icap"
	milterName = "milter"
)

// proxySettings are those of the doors for web proxies and mail servers.
type proxySettings struct {
	icap   icap.Options
	milter milter.Options
}

func (p *proxySettings) flags(f *pflag.FlagSet) {
	f.StringArray("icap", nil, "host:port, or path of a socket, for web proxies: ICAP (repeatable)")
	f.StringSlice("icap-service", nil, "paths that are services of ICAP (default any)")
	f.String("icap-page", "", "HTML file for what is blocked, with {{name}}, {{url}}, {{what}}, {{version}}")
	f.String("icap-max-length", "", "bytes of one body over ICAP; what is longer is not read whole (default no bound)")
	f.StringArray("milter", nil, "host:port, or path of a socket, for mail servers: milter (repeatable; MilterSocket)")
	f.String("milter-config", "", "clamav-milter.conf: its options count where no flag says otherwise")
	f.String("milter-on-infected", "", "what becomes of mail in which something was found: Reject, Defer, Blackhole, Quarantine, Accept (OnInfected; default Reject)")
	f.String("milter-on-fail", "", "of mail that could not be scanned (OnFail; default Defer)")
	f.String("milter-on-incomplete", "", "of mail in which nothing was found, and not all was read, where --incomplete is error (default what --milter-on-fail is)")
}

// listenAt adds a socket of a door.
func (s *settings) listenAt(l serve.Listen) error {
	l.Network = "tcp"
	if strings.HasPrefix(l.Address, "/") {
		if l.Network = "unix"; l.Mode == 0 {
			l.Mode = 0o660
		}
	} else if _, _, err := net.SplitHostPort(l.Address); err != nil {
		return fmt.Errorf("%s: %w", l.From, err)
	}
	s.row(l.Door, l.Address, l.From)
	s.listen = append(s.listen, l)
	return nil
}

// proxyDoors works out the doors for web proxies and mail servers.
func (s *settings) proxyDoors() (err error) {
	o := &s.proxy.icap
	addresses, _ := s.given.GetStringArray("icap")
	for _, a := range addresses {
		if err := s.listenAt(serve.Listen{Door: icapName, Address: a, From: "--icap"}); err != nil {
			return err
		}
	}
	o.Services, _ = s.given.GetStringSlice("icap-service")
	s.row("icap-service", strings.Join(o.Services, ","), s.from(source{flag: "icap-service"}))
	if o.MaxLength, err = s.bytes(source{flag: "icap-max-length"}, 0); err != nil {
		return err
	}
	if path := s.text(source{flag: "icap-page"}, ""); path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("flag --icap-page: %w", err)
		}
		if o.Page = string(b); len(b) == 0 || len(b) > 1<<20 {
			return errors.New("flag --icap-page: empty, or more than 1 MiB")
		}
	}
	o.Settings = fmt.Sprintf("%+v %+v", s.policy, s.limits)
	return s.milterDoor()
}

func (s *settings) milterDoor() error {
	conf := &milter.Conf{}
	path := s.text(source{flag: "milter-config"}, "")
	if path != "" {
		var err error
		if conf, err = milter.Read(path); err != nil {
			return err
		}
		s.notes = append(s.notes, conf.Notes...)
	}
	addresses, _ := s.given.GetStringArray("milter")
	for _, a := range addresses {
		if err := s.listenAt(serve.Listen{Door: milterName, Address: a, From: "--milter", Mode: conf.Mode, Group: conf.Group}); err != nil {
			return err
		}
	}
	if len(addresses) == 0 && conf.Address != "" {
		if err := s.listenAt(serve.Listen{Door: milterName, Address: conf.Address, From: path, Mode: conf.Mode, Group: conf.Group, Keep: conf.Keep}); err != nil {
			return err
		}
	}
	o := &conf.Options
	for _, x := range [...]struct {
		flag string
		to   *milter.Action
		def  milter.Action
	}{{"milter-on-infected", &o.OnInfected, milter.Reject}, {"milter-on-fail", &o.OnFail, milter.Defer}, {"milter-on-incomplete", &o.OnIncomplete, milter.Unset}} {
		from := ""
		if *x.to != milter.Unset {
			from = path
		}
		if s.given.Changed(x.flag) {
			word, _ := s.given.GetString(x.flag)
			a, err := milter.ParseAction(word)
			if err != nil {
				return fmt.Errorf("flag --%s: %w", x.flag, err)
			}
			*x.to, from = a, "--"+x.flag
		}
		if *x.to == milter.Unset {
			if *x.to = x.def; x.def == milter.Unset {
				*x.to = o.OnFail
			}
		}
		s.row(x.flag, x.to.String(), from)
	}
	s.proxy.milter = *o
	return nil
}

// behind is what doors ask that have no settings of their own for it.
// deed is what the door does about a finding; "" is nothing.
func (h Host) behind(door, deed string, s *settings, d *serve.Daemon) *accept.Behind {
	return &accept.Behind{Door: door, Queue: d.Queue(), Policy: d.Policy(), Timeout: s.scanTime, Acted: acted(d.Records(), deed)}
}

func (h Host) icapDoor(s *settings, d *serve.Daemon) (serve.Door, error) {
	o := s.proxy.icap
	o.Version, o.Log = strings.TrimPrefix(h.Version, "showcause "), d.Log()
	return icap.New(h.behind(icapName, "block", s, d), o), nil
}

func (h Host) milterServer(s *settings, d *serve.Daemon) (serve.Door, error) {
	o := s.proxy.milter
	o.Version, o.Log = strings.TrimPrefix(h.Version, "showcause "), d.Log()
	if o.OnInfected == milter.Accept || o.OnFail == milter.Accept || o.OnIncomplete == milter.Accept {
		d.Log().Warn("mail that is infected, or not scanned, is taken: a setting says so", "on_infected", o.OnInfected.String(), "on_fail", o.OnFail.String(), "on_incomplete", o.OnIncomplete.String())
	}
	deed := o.OnInfected.String()
	if o.OnInfected == milter.Accept {
		deed = ""
	}
	b := h.behind(milterName, strings.ToLower(deed), s, d)
	if o.OnIncomplete == milter.Accept {
		b.Passed = acted(d.Records(), "accept")
	}
	return milter.New(b, o), nil
}
