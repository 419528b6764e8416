package main

import "github.com/showcause/showcause/internal/directcmd"

// directiveHost is what the commands over cases need of this program.
func directiveHost() directcmd.Host {
	return directcmd.Host{Version: version(), StoreFlag: storeFlag, StoreDir: storeDir, Scratch: scratch, Refused: exitCode(exitFound)}
}
