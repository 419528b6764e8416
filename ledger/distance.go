//go:build !airgap

package ledger

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
)

// distance is how near an address is. A server must not lead us to what is
// nearer than it is itself and may trust whoever is that near.
type distance int

const (
	here distance = iota // this machine and its links; multicast
	site                 // an organisation's own addresses
	far
)

// distance tells what the host says by itself; a name is far.
func (t target) distance() distance {
	if t.host == "localhost" || strings.HasSuffix(t.host, ".localhost") { // RFC 6761, section 6.3
		return here
	}
	if a, err := netip.ParseAddr(t.host); err == nil {
		return distanceOf(a)
	}
	return far
}

// near are the blocks that netip has no method for (RFC 6890 and its registry).
var near = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // shared with the provider; clouds have their metadata there
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b:1::/48"), // translated as the site likes (RFC 8215)
	netip.MustParsePrefix("fec0::/10"),
}

// distanceOf classes an address. Where an IPv4 address is inside, which a
// translator or a tunnel would go to, the nearer of the two counts.
func distanceOf(a netip.Addr) distance {
	a = a.Unmap().WithZone("")
	d := far
	switch {
	case a.IsLoopback(), a.IsUnspecified(), a.IsLinkLocalUnicast(), a.IsMulticast():
		return here
	case a.IsPrivate(), slices.ContainsFunc(near, func(p netip.Prefix) bool { return p.Contains(a) }):
		d = site
	}
	if v4, ok := inside(a); ok {
		d = min(d, distanceOf(v4))
	}
	return d
}

// The forms of IPv6 addresses that hold one of IPv4, and where: bytes from 0.
var holders = []struct {
	prefix netip.Prefix
	at     int
	flip   bool
}{
	{netip.MustParsePrefix("::/96"), 12, false},           // IPv4-compatible (RFC 4291, 2.5.5.1)
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12, false}, // IPv4-translated (RFC 2765)
	{netip.MustParsePrefix("64:ff9b::/96"), 12, false},    // NAT64 (RFC 6052)
	{netip.MustParsePrefix("2002::/16"), 2, false},        // 6to4 (RFC 3056)
	{netip.MustParsePrefix("2001::/32"), 12, true},        // Teredo (RFC 4380, 4)
}

// inside returns the IPv4 address that an IPv6 address holds.
func inside(a netip.Addr) (v4 netip.Addr, ok bool) {
	if !a.Is6() {
		return v4, false
	}
	b := a.As16()
	if n := binary.BigEndian.Uint32(b[8:]); n&^(1<<25) == 0x5efe { // ISATAP (RFC 5214, 6.1)
		return netip.AddrFrom4([4]byte(b[12:])), true
	}
	for _, h := range holders {
		if h.prefix.Contains(a) {
			v := [4]byte(b[h.at:])
			if h.flip {
				for i := range v {
					v[i] ^= 0xff
				}
			}
			return netip.AddrFrom4(v), true
		}
	}
	return v4, false
}
