//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// detached starts a process in a session of its own: Ctrl-C and a closed
// terminal are not for it.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// alive tells whether a process runs. One that has ended and that nobody has
// waited for still has its number; where the system tells, it is not alive,
// unless some of its threads are still ending, and with them its sockets.
func alive(pid int) bool {
	if err := syscall.Kill(pid, 0); err != nil {
		return !errors.Is(err, syscall.ESRCH)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !errors.Is(err, syscall.ESRCH)
	}
	// "pid (name) state …"; the name may hold anything, so look from its end.
	_, state, ok := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	if !ok || len(state) == 0 || state[0] != 'Z' {
		return true
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	return err == nil && len(threads) > 1
}

// kill ends a process at once.
func kill(pid int) error { return syscall.Kill(pid, syscall.SIGKILL) }

// interrupt asks a process to end as Ctrl-C does.
func interrupt(p *os.Process) error { return p.Signal(syscall.SIGINT) }
