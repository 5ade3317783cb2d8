// Package mapped lets go of pages of files that this process has mapped: its own
// program, and tables of a database.
//
// They are counted as memory of the process for as long as they are mapped,
// though most were touched once: the program's while it started, a table's when
// somebody read an old message. Once let go of they are cache of the system like
// pages of any file that was read, the first to go when somebody needs the room;
// what is touched again is there again, from that cache without a look at the
// disk. The kernel does the same when memory is short.
//
// It refuses to touch what this process changed, and knows nothing of whose
// files they are. Where the system is not Linux it does nothing.
//
// Begin with [Drop].
package mapped
