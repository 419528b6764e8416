//go:build !airgap

package ledger

import (
	"context"
	"io"
	"net/netip"
	"strings"
	"testing"
)

func TestDistance(t *testing.T) {
	for a, want := range map[string]distance{
		"127.0.0.1": here, "127.9.9.9": here, "::1": here, "::ffff:127.0.0.1": here, "0.0.0.0": here, "::": here, "169.254.169.254": here,
		"fe80::1": here, "224.0.0.1": here, "ff02::1": here,
		"::127.0.0.1": here, "::ffff:0:127.0.0.1": here, "64:ff9b::127.0.0.1": here, "64:ff9b::169.254.169.254": here, "64:ff9b::0.0.0.0": here,
		"2002:7f00:1::": here, "2002:a9fe:a9fe::1": here, "2001:0:1234:5678:0:0:80ff:fffe": here, "2001:db8::5efe:127.0.0.1": here, "2001:db8::200:5efe:127.0.0.1": here,
		"10.0.0.1": site, "172.16.0.1": site, "192.168.1.1": site, "100.100.100.200": site, "198.18.0.1": site, "255.255.255.255": site, "0.1.2.3": site,
		"fd00:ec2::254": site, "fec0::1": site, "::10.0.0.1": site, "64:ff9b::10.0.0.1": site, "64:ff9b:1::1": site, "2002:a00:1::": site, "fd00::5efe:8.8.8.8": site,
		"8.8.8.8": far, "2a00::1": far, "64:ff9b::8.8.8.8": far, "2002:808:808::": far, "172.32.0.1": far, "2001:0:1234:5678:0:0:f7f7:f7f7": far,
	} {
		if got := distanceOf(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s: %d, want %d", a, got, want)
		}
	}
	for h, want := range map[string]distance{"localhost": here, "x.localhost": here, "notlocalhost": far, "::7f00:1": here, "a.test": far} {
		if got := (target{host: h}).distance(); got != want {
			t.Errorf("%s: %d, want %d", h, got, want)
		}
	}
}

// A redirect leads to nothing nearer than who sent it, whatever the form of the
// address, whether the URL has it or a name server gave it.
func TestRedirectNearer(t *testing.T) {
	from, err := parseTarget("https://a.test/")
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{
		"[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::]", "0.0.0.0", "[::ffff:0.0.0.0]", "169.254.169.254", "[64:ff9b::a9fe:a9fe]", "x.localhost",
	} {
		if _, err := redirect(from, "https://"+to+"/"); err == nil || !strings.Contains(err.Error(), "to this one") {
			t.Errorf("%s: %v", to, err)
		}
	}
	name := target{scheme: "https", host: "b.test"}
	for _, c := range []struct {
		t       target
		addr    string
		least   distance
		proxied bool
		want    int
	}{
		{name, "8.8.8.8", far, false, 1},
		{name, "10.0.0.1", far, false, 0},
		{name, "10.0.0.1", site, false, 1},
		{name, "10.0.0.1", here, false, 1},
		{name, "127.0.0.1", far, false, 0},
		{name, "127.0.0.1", here, false, 0},
		{name, "::127.0.0.1", site, false, 0},
		{name, "64:ff9b::10.0.0.1", far, false, 0},
		{name, "64:ff9b::8.8.8.8", far, false, 1},
		{target{host: "localhost"}, "127.0.0.1", here, false, 1},
		{name, "127.0.0.1", far, true, 1}, // the proxy's own
		{target{host: "10.0.0.1"}, "127.0.0.1", far, true, 0},
		{target{host: "64:ff9b::a00:1"}, "127.0.0.1", far, true, 0},
		{target{host: "10.0.0.1"}, "127.0.0.1", site, true, 1},
	} {
		if got := reachable(c.t, []netip.Addr{netip.MustParseAddr(c.addr)}, c.least, c.proxied); len(got) != c.want {
			t.Errorf("%s at %s from %d: %v", c.t.host, c.addr, c.least, got)
		}
	}

	// Unspecified addresses are no machine's, also where nobody redirected.
	c, dir := client(t, Options{})
	for _, u := range []string{"https://0.0.0.0/", "https://[::]/", "https://[::ffff:0.0.0.0]/"} {
		if _, err := c.Do(context.Background(), Request{URL: u, Purpose: UpdateRules}, io.Discard); err == nil || !strings.Contains(err.Error(), "may be asked") {
			t.Errorf("%s: %v", u, err)
		}
	}
	if s := mustRead(t, dir); s.Lines != 1 {
		t.Errorf("%d lines", s.Lines)
	}
}
