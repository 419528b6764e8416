// Package watch is the door that files come through by themselves: the kernel tells of
// each that is opened, started, or closed after it was written (fanotify(7)), and waits
// for an answer where it was asked to.
//
// A process that opens a file waits for this one. So this one never waits for itself:
//
//	loop      one goroutine reads events. It opens nothing, writes no log, and answers at
//	          once for this program's own processes
//	program   the kernel asks nothing about this program's file: readers start
//	          without an answer
//	answers   each event has a time after which it is answered by the settings
//	guard     a process that kills this one if the loop no longer turns; the kernel
//	          closes the group then, and lets through all that wait
package watch
