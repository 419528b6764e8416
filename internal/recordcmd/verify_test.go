package recordcmd

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/pflag"

	"github.com/showcause/showcause/evidence"
)

// endless is a stream that ends a command and then gives nothing.
type endless struct{ end context.CancelFunc }

func (e endless) Read([]byte) (int, error) {
	e.end()
	select {}
}

// Whoever ends the command need not wait for the record that is being verified.
func TestVerifyEnds(t *testing.T) {
	k, err := evidence.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	pub := filepath.Join(t.TempDir(), "key.pub")
	if err := os.WriteFile(pub, k.Public().PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	defer end()
	c := Host{StoreFlag: func(*pflag.FlagSet, *string) {}}.Evidence()
	c.SetArgs([]string{"verify", "--key", pub, "-"})
	c.SetIn(endless{end})
	c.SetOut(io.Discard)
	c.SetErr(io.Discard)
	if err := c.ExecuteContext(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("verify ended with %v", err)
	}
}
