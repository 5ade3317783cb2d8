//go:build !unix

package main

import (
	"os"
	"syscall"
)

// detached starts a process like any other where sessions do not exist.
func detached() *syscall.SysProcAttr { return nil }

// alive tells whether a process runs.
func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	p.Release()
	return true
}

// kill ends a process at once.
func kill(pid int) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return p.Kill()
}

// interrupt ends a process where it cannot be asked to.
func interrupt(p *os.Process) error { return p.Kill() }
