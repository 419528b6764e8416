package main

import (
	"github.com/spf13/pflag"

	"github.com/showcause/showcause/internal/inventorycmd"
)

// inventoryHost is what the command inventory needs of this program.
func inventoryHost() inventorycmd.Host {
	return inventorycmd.Host{
		Version: version(), Scratch: scratch,
		Size: func(v *int64) pflag.Value { return (*byteSize)(v) },
		Exit: func(code int) error { return exitCode(code) },
	}
}
