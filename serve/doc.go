// Package serve is the service: doors at which others ask for scans, one queue
// behind them, and what a service needs besides. Doors are packages of their own
// (serve/clamd); this one opens their sockets, gives rights up, locks itself, changes
// rules and programs under way, and stops when nothing is left to answer.
//
// The order at start, in which nothing comes later than it can:
//
//	sockets    from the service manager, from the process that this one takes the place
//	           of, or opened here: what is asked from now on waits
//	log, pid   files that perhaps only root may write
//	user       rights are given up for good
//	lock       no socket of a network, no connection, no further door (jail.Daemon)
//	rules      opened, or compiled
//	readers    started in the jail, one file scanned
//	ready      said to the service manager, and to the process before this one
package serve
