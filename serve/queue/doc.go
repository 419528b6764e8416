// Package queue is the one queue behind all front doors: what they receive, who
// may have how much read at a time, and what is said of it.
//
// A job goes through these stations, each of which may refuse it:
//
//	Receive   bytes from a client: in memory if they are few, else in an unlinked file
//	Scan      cache, by the digest of what was received
//	          admission: so many jobs wait in all and for a client, or ErrBusy
//	          turn: clients take turns, however many jobs each of them has
//	          readers: worker.Pool, in the jail
//
// The rules are changed under way: new jobs go to readers with the new ones, while
// those that were begun end with the old.
package queue
