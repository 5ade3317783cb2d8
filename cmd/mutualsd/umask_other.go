//go:build !unix

package main

// keepPrivate has nothing to do where folders keep others out.
func keepPrivate() {}
