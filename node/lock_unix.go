//go:build unix

package node

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// HomeInUse says that another daemon runs on the same home.
type HomeInUse struct{ PID int }

func (e *HomeInUse) Error() string {
	return fmt.Sprintf("another mutualsd (pid %d) runs on this home: stop it with \"mutuals down\" or choose another --home", e.PID)
}

// lockHome holds the home for this process until the file is closed. The
// kernel lets go of it when the process dies, so a stale file is harmless.
func lockHome(h home) (*os.File, error) {
	f, err := os.OpenFile(h.path("mutualsd.pid"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the home: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		b, _ := os.ReadFile(f.Name())
		f.Close()
		pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
		return nil, &HomeInUse{PID: pid}
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteString(strconv.Itoa(os.Getpid()) + "\n")
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking the home: %w", err)
	}
	return f, nil
}
