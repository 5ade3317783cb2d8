//go:build unix

package main

import "syscall"

// keepPrivate makes every file of this process its owner's alone, also those
// of libraries that ask for less.
func keepPrivate() { syscall.Umask(0o077) }
