package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// probeInterval is how often a forwarder whose upstream refuses connections looks whether it is back.
const probeInterval = 200 * time.Millisecond

// A Forwarder passes connections on from a source address of its own.
//
// When the upstream refuses a connection the forwarder stops listening until the upstream is back, so that whoever
// connects to the forwarder is refused as well: a refused connection proves that nothing was sent, and a proxy must be
// able to see that.
type Forwarder struct {
	address string // where it listens
	target  string // where it connects to
	dialer  net.Dialer

	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu          sync.Mutex
	listener    net.Listener // nil while the upstream refuses connections
	connections map[net.Conn]struct{}
}

// New starts a forwarder that listens on a free port of 127.0.0.1 and connects to target, host and port, from source.
func New(target string, source netip.Addr) (*Forwarder, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	f := &Forwarder{
		address:     listener.Addr().String(),
		target:      target,
		dialer:      net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))},
		connections: map[net.Conn]struct{}{},
	}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	if probe, err := f.dialer.DialContext(f.ctx, "tcp", target); err == nil {
		probe.Close()
		f.listener = listener
	} else {
		listener.Close() // until the upstream is there
	}
	f.done.Add(1)
	go f.run()
	return f, nil
}

// Usable says whether connections can be made from an address: on some systems only 127.0.0.1 is there.
func Usable(source netip.Addr) bool {
	listener, err := net.Listen("tcp", netip.AddrPortFrom(source, 0).String())
	if err != nil {
		return false
	}
	listener.Close()
	return true
}

// Address is where the forwarder listens, host and port.
func (f *Forwarder) Address() string { return f.address }

// Close ends the forwarder and its connections.
func (f *Forwarder) Close() {
	f.cancel()
	f.stopListening()
	f.mu.Lock()
	for connection := range f.connections {
		connection.Close()
	}
	f.mu.Unlock()
	f.done.Wait()
}

// run accepts connections as long as the upstream does.
func (f *Forwarder) run() {
	defer f.done.Done()
	for f.ctx.Err() == nil {
		f.mu.Lock()
		listener := f.listener
		f.mu.Unlock()
		if listener == nil {
			if !f.awaitUpstream() {
				return
			}
			continue
		}
		incoming, err := listener.Accept()
		if err != nil {
			f.stopListening()
			continue
		}
		f.done.Add(1)
		go f.pass(incoming.(*net.TCPConn))
	}
}

// awaitUpstream waits until the upstream accepts connections, and listens again. It is false when the forwarder ends.
func (f *Forwarder) awaitUpstream() bool {
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	for {
		select {
		case <-f.ctx.Done():
			return false
		case <-ticker.C:
		}
		probe, err := f.dialer.DialContext(f.ctx, "tcp", f.target)
		if err != nil {
			continue
		}
		probe.Close()
		listener, err := net.Listen("tcp", f.address)
		if err != nil {
			continue
		}
		f.mu.Lock()
		f.listener = listener
		f.mu.Unlock()
		if f.ctx.Err() != nil {
			f.stopListening()
			return false
		}
		return true
	}
}

func (f *Forwarder) stopListening() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listener != nil {
		f.listener.Close()
		f.listener = nil
	}
}

// pass connects to the upstream and passes bytes both ways until both sides have ended. An end without a proper close
// is passed on as one.
func (f *Forwarder) pass(incoming *net.TCPConn) {
	defer f.done.Done()
	defer f.forget(incoming)
	f.remember(incoming)

	connection, err := f.dialer.DialContext(f.ctx, "tcp", f.target)
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) {
			f.stopListening()
		}
		_ = incoming.SetLinger(0)
		return
	}
	outgoing := connection.(*net.TCPConn)
	defer f.forget(outgoing)
	f.remember(outgoing)

	var both sync.WaitGroup
	both.Add(2)
	go func() { defer both.Done(); stream(outgoing, incoming) }()
	go func() { defer both.Done(); stream(incoming, outgoing) }()
	both.Wait()
}

// stream passes bytes on in one direction, and then the end.
func stream(to, from *net.TCPConn) {
	if _, err := io.Copy(to, from); err != nil {
		// A reset on one side becomes a reset on the other.
		_ = to.SetLinger(0)
		_ = from.SetLinger(0)
		to.Close()
		from.Close()
		return
	}
	_ = to.CloseWrite()
}

func (f *Forwarder) remember(c net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.connections[c] = struct{}{}
	if f.ctx.Err() != nil {
		c.Close()
	}
}

func (f *Forwarder) forget(c net.Conn) {
	f.mu.Lock()
	delete(f.connections, c)
	f.mu.Unlock()
	c.Close()
}
