//go:build !linux

package mapped

// Drop does nothing: this system takes such pages back by itself, and offers no
// way to do so sooner.
func Drop(func(path string) bool) error { return nil }

// DropProgram does nothing.
func DropProgram() error { return nil }
