//go:build airgap

package updatecmd

import (
	"context"
	"errors"

	"github.com/showcause/showcause/update"
)

// send says why nothing is fetched by this build.
func (h Host) send(context.Context, *options, *update.Folder, []update.Source) (update.Courier, func() string, error) {
	return nil, nil, errors.New("update: air gap: this build holds no code that talks to a network; bring the files on a medium, and name its folder with --from")
}
