//go:build !airgap

package ledger

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// names remembers the addresses of hosts for the life of a client.
type names struct {
	mu sync.Mutex
	of map[string][]netip.Addr
}

// resolve returns the addresses of a host: itself, from the hosts file, or by
// questions to the name servers of resolv.conf, each of which is in the ledger
// before it is sent. Names are absolute: the search list is not tried.
func (c *Client) resolve(ctx context.Context, host string, p Purpose) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	if host == "localhost" { // RFC 6761: asks no server
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	c.names.mu.Lock()
	defer c.names.mu.Unlock()
	if a := c.names.of[host]; a != nil {
		return a, nil
	}
	q := &asker{client: c, host: host, purpose: p}
	addrs, err := q.resolver().LookupNetIP(ctx, "ip", host+".")
	if err := q.why(ctx, err); err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, a := range addrs {
		out = append(out, a.Unmap().WithZone(""))
	}
	if c.names.of == nil {
		c.names.of = map[string][]netip.Addr{}
	}
	c.names.of[host] = out
	return out, nil
}

// TXT asks the name servers for the texts of a name. Each question is in the
// ledger before it is sent.
func (c *Client) TXT(ctx context.Context, name string, p Purpose) ([]string, error) {
	if !p.Known() {
		return nil, fmt.Errorf("request: unknown purpose %q", p)
	}
	if err := checkHost(name); err != nil {
		return nil, fmt.Errorf("name: %w", err)
	}
	q := &asker{client: c, host: name, purpose: p}
	all, err := q.resolver().LookupTXT(ctx, name+".")
	if err := q.why(ctx, err); err != nil {
		return nil, err
	}
	return all, nil
}

func (q *asker) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, StrictErrors: true, Dial: q.dial}
}

// why says why there is no answer: an error of the ledger comes first.
func (q *asker) why(ctx context.Context, err error) error {
	if lerr := q.failed(); lerr != nil || err == nil {
		return lerr
	}
	var d *net.DNSError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("resolve: %w", ctx.Err())
	case errors.As(err, &d) && d.IsNotFound:
		return errors.New("resolve: no such host")
	case errors.As(err, &d) && d.IsTimeout:
		return errors.New("resolve: no name server answered")
	}
	return fmt.Errorf("resolve: %w", err)
}

// asker gives the resolver connections whose every packet is in the ledger.
type asker struct {
	client  *Client
	host    string
	purpose Purpose

	mu  sync.Mutex
	err error // of the ledger
}

func (q *asker) fail(err error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.err = err
	}
	return err
}

func (q *asker) failed() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err
}

// dial implements net.Resolver.Dial.
func (q *asker) dial(ctx context.Context, network, server string) (net.Conn, error) {
	if q.client.o.NameServer != "" {
		server = q.client.o.NameServer
	}
	a, err := netip.ParseAddrPort(server)
	if err != nil {
		return nil, fmt.Errorf("name server: %w", err)
	}
	c := &question{ctx: ctx, asker: q, network: strings.TrimRight(network, "46"), server: a}
	if c.network == "udp" {
		return packets{c}, nil
	}
	return c, nil
}

// question is a connection to a name server over which packets go that were
// written down. It opens itself with the first of them.
type question struct {
	ctx     context.Context
	asker   *asker
	network string
	server  netip.AddrPort

	conn     *counted
	stop     func() bool
	deadline time.Time
	open     bool
	of       uint64
	sent     int64
	base     [2]int64 // bytes out and in before this packet
	code     int      // RCODE of what was read last (RFC 1035, 4.1.1)
	err      error
}

// Write writes a packet down and sends it.
func (q *question) Write(p []byte) (int, error) {
	if err := q.close(); err != nil {
		return 0, err
	}
	seq, err := q.asker.client.log.append(q.ctx, &Entry{Kind: KindQuery, Query: &Query{
		Purpose: q.asker.purpose, Host: q.asker.host, Network: q.network, Address: q.server.String(),
		BytesOut: int64(len(p)), SHA256: digest(p), Packet: p,
	}})
	if err != nil {
		return 0, q.asker.fail(err)
	}
	q.open, q.of, q.sent, q.code = true, seq, 0, 0
	if q.conn == nil {
		raw, err := q.asker.client.dial.DialContext(q.ctx, q.network, q.server.String())
		if err != nil {
			q.err = fmt.Errorf("connect: %w", err)
			return 0, err
		}
		raw.SetDeadline(q.deadline)
		q.conn = &counted{Conn: raw, ctx: q.ctx}
		q.stop = q.conn.hurry()
	}
	q.base = [2]int64{q.conn.out.Load(), q.conn.in.Load()}
	n, err := q.conn.Write(p)
	q.sent = int64(n)
	if err != nil {
		q.err = fmt.Errorf("send: %w", err)
	}
	return n, err
}

func (q *question) Read(p []byte) (int, error) {
	if q.conn == nil {
		return 0, net.ErrClosed
	}
	at := 3 // where the code is in a packet
	if q.network == "tcp" {
		at += 2 - int(q.conn.in.Load()-q.base[1]) // behind the length; packets come in pieces
	}
	n, err := q.conn.Read(p)
	if at >= 0 && at < n {
		q.code = int(p[at] & 0xf)
	}
	if err != nil {
		q.err = fmt.Errorf("answer: %w", err)
	}
	return n, err
}

// close closes the open entry.
func (q *question) close() error {
	if !q.open {
		return nil
	}
	q.open = false
	k := noCount
	done := &Close{Of: q.of, Sent: q.sent, Status: q.code}
	if q.conn != nil {
		done.WireOut, done.WireIn = q.conn.out.Load()-q.base[0], q.conn.in.Load()-q.base[1]
		done.BytesIn = done.WireIn
		if q.network == "tcp" && q.base == [2]int64{} {
			k = q.conn.kernel()
		}
	}
	done.TCPOut, done.TCPIn, done.Unread, done.Repeated, done.Segments = k.out, k.in, k.unread, k.repeated, k.segments
	if q.err != nil {
		done.Error = reason(q.err)
	}
	if _, err := q.asker.client.log.append(context.WithoutCancel(q.ctx), &Entry{Kind: KindClose, Close: done}); err != nil {
		return q.asker.fail(err)
	}
	return nil
}

// Close implements net.Conn.
func (q *question) Close() error {
	err := q.close()
	if q.conn != nil {
		q.stop()
		return errors.Join(err, q.conn.Conn.Close())
	}
	return err
}

// SetDeadline implements net.Conn, also for the connection to come.
func (q *question) SetDeadline(t time.Time) error {
	q.deadline = t
	if q.conn != nil {
		return q.conn.SetDeadline(t)
	}
	return nil
}

func (q *question) SetReadDeadline(t time.Time) error  { return q.SetDeadline(t) }
func (q *question) SetWriteDeadline(t time.Time) error { return q.SetDeadline(t) }
func (q *question) LocalAddr() net.Addr                { return nil }
func (q *question) RemoteAddr() net.Addr               { return net.TCPAddrFromAddrPort(q.server) }

// packets is a question over UDP. The resolver tells by the methods of
// net.PacketConn that it need not put lengths before its packets; it does not
// call them.
type packets struct{ *question }

func (packets) ReadFrom([]byte) (int, net.Addr, error) { return 0, nil, errors.ErrUnsupported }
func (packets) WriteTo([]byte, net.Addr) (int, error)  { return 0, errors.ErrUnsupported }
