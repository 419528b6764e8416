//go:build !linux || (!amd64 && !arm64)

package jail

import "syscall"

const supported = false

func signalName(s syscall.Signal) string { return s.String() }
func errnoName(e syscall.Errno) string   { return e.Error() }

// Table is empty: there is no jail on this system.
func Table() []Line { return nil }

// A Starter starts readers. Here it does not.
type Starter struct{}

// NewStarter returns a Starter.
func NewStarter() *Starter { return &Starter{} }

// Start returns ErrUnsupported.
func (*Starter) Start(Command) (*Process, error) { return nil, ErrUnsupported }

// Close does nothing.
func (*Starter) Close() error { return nil }

// Lock returns ErrUnsupported.
func Lock(Config) (Status, error) { return Status{}, ErrUnsupported }

// Broker returns ErrUnsupported.
func Broker() error { return ErrUnsupported }

// Daemon returns ErrUnsupported.
func Daemon() error { return ErrUnsupported }

// Hide returns ErrUnsupported.
func Hide() error { return ErrUnsupported }

// EgressPaths is empty.
func EgressPaths() []string { return nil }

// Egress returns ErrUnsupported.
func Egress(EgressConfig) (Status, error) { return Status{}, ErrUnsupported }

// Probe offers nothing.
func Probe() Offer { return Offer{} }

// Available returns why no reader can be locked here.
func Available() error { return ErrUnsupported }
