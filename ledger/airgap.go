package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// AirGapFile, when there is a file of this name, forbids all requests.
const AirGapFile = "/etc/showcause/airgap"

// AirGapVariable is the environment variable that forbids all requests, unless
// it is empty or 0.
const AirGapVariable = "SHOWCAUSE_AIRGAP"

// ErrAirGap is wrapped by every refusal of the air gap.
var ErrAirGap = errors.New("air gap: this machine sends nothing")

// AirGap returns an error that says why nothing may be sent from here, or nil.
func AirGap() error { return airGap(os.Getenv, os.Lstat) }

func airGap(env func(string) string, stat func(string) (fs.FileInfo, error)) error {
	if v := env(AirGapVariable); v != "" && v != "0" {
		return fmt.Errorf("%w: environment variable %s is set", ErrAirGap, AirGapVariable)
	}
	switch _, err := stat(AirGapFile); {
	case err == nil:
		return fmt.Errorf("%w: there is a file %s", ErrAirGap, AirGapFile)
	case !errors.Is(err, fs.ErrNotExist):
		// It cannot be told whether there is one: no is the safe answer.
		return fmt.Errorf("%w: %w", ErrAirGap, err)
	}
	return nil
}
