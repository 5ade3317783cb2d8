package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"mutuals/node/api"
)

// Times the command line waits for a daemon on this machine. A store of a
// million messages opens in well under a second, so half a minute means that
// something is wrong; 20 ms between looks is not felt by a person.
const (
	startTime = 30 * time.Second
	stopTime  = 30 * time.Second
	lookEvery = 20 * time.Millisecond
)

// maxLog is when the log of daemons started in the background is begun anew.
const maxLog = 8 << 20

func (c *cli) home() (api.Home, error) { return api.FindHome(c.homeDir) }

// connect returns a client of the node, which it starts if none runs.
func (c *cli) connect(ctx context.Context) (*api.Client, error) {
	if c.client != nil {
		return c.client, nil
	}
	h, err := c.home()
	if err != nil {
		return nil, err
	}
	c.client, err = api.Dial(ctx, h, c.lang)
	if errors.Is(err, api.ErrNotRunning) && !c.noStart {
		c.client, err = c.start(ctx, h, nil)
	}
	return c.client, err
}

// start runs mutualsd in the background and waits until it answers.
func (c *cli) start(ctx context.Context, h api.Home, args []string) (*api.Client, error) {
	daemon, err := findDaemon()
	if err != nil {
		return nil, err
	}
	log, err := openLog(h)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("opening the daemon's log: %w", err)
	}
	if c.homeDir != "" {
		args = append([]string{"--home", c.homeDir}, args...)
	}
	cmd := exec.Command(daemon, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = detached()
	if err := cmd.Start(); err != nil {
		return nil, &failure{api.ExitNotRunning, "see mutuals help up", fmt.Errorf("starting mutualsd: %w", err)}
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		client, err := api.Dial(ctx, h, c.lang)
		if err == nil {
			return client, nil
		}
		if !errors.Is(err, api.ErrNotRunning) && ctx.Err() == nil {
			return nil, err
		}
		select {
		case <-look.C:
		case err := <-ended:
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.ExitCode() == int(api.ExitConflict) {
				// Another daemon holds this home: somebody else started it a
				// moment ago. It will answer.
				ended = nil
				continue
			}
			why, hint := lastWords(log, from, err)
			return nil, &failure{api.ExitNotRunning, hint, fmt.Errorf("mutualsd did not start: %s", why)}
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, &failure{api.ExitNotRunning, "see its log: " + log.Name(), fmt.Errorf("mutualsd did not answer within %v", startTime)}
			}
			return nil, ctx.Err()
		}
	}
}

// findDaemon looks for mutualsd beside this program, then in PATH.
func findDaemon() (string, error) {
	name := "mutualsd"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	if self, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(self); err == nil {
			self = real
		}
		beside := filepath.Join(filepath.Dir(self), name)
		if info, err := os.Stat(beside); err == nil && !info.IsDir() {
			return beside, nil
		}
	}
	found, err := exec.LookPath(name)
	if err != nil {
		return "", &failure{api.ExitNotRunning, "put mutualsd beside mutuals (make build makes both)", errors.New("mutualsd was not found")}
	}
	return found, nil
}

func openLog(h api.Home) (*os.File, error) {
	if err := os.MkdirAll(h.State, 0o700); err != nil {
		return nil, fmt.Errorf("opening the daemon's log: %w", err)
	}
	name := filepath.Join(h.State, "mutualsd.log")
	if info, err := os.Stat(name); err == nil && info.Size() > maxLog {
		if err := os.Rename(name, name+".old"); err != nil {
			return nil, fmt.Errorf("opening the daemon's log: %w", err)
		}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("opening the daemon's log: %w", err)
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the daemon's log: %w", err)
	}
	return f, nil
}

// lastWords is why a daemon says, after an offset of its log, that it ended, and what
// it says to do.
func lastWords(log *os.File, from int64, err error) (why, hint string) {
	hint = "run mutualsd in the foreground to see more"
	b, readErr := io.ReadAll(io.NewSectionReader(log, from, maxInput))
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	for len(lines) > 1 && strings.HasPrefix(lines[len(lines)-1], "hint: ") {
		hint = strings.TrimPrefix(lines[len(lines)-1], "hint: ")
		lines = lines[:len(lines)-1]
	}
	last := strings.TrimPrefix(lines[len(lines)-1], "mutualsd: error: ")
	if readErr != nil || last == "" {
		return fmt.Sprint(err), hint
	}
	return last, hint
}

// stopped waits until the process has ended, and with it its hold on the home.
func stopped(ctx context.Context, pid int) error {
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for alive(pid) {
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
