package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

// daemon is one mutualsd in its own process and home.
type daemon struct {
	program, home string
	cmd           *exec.Cmd
	client        *api.Client
	account       wire.AccountID
	startTook     time.Duration // from spawning to an answer of the API
	logs          *os.File
}

// newDaemon starts one in an empty home; name makes it an identity.
func (b *bench) newDaemon(ctx context.Context, name string) (*daemon, error) {
	b.homes++
	d := &daemon{program: b.program, home: filepath.Join(b.dir, fmt.Sprintf("home%d", b.homes))}
	b.started = append(b.started, d)
	if err := d.start(ctx); err != nil {
		return nil, err
	}
	id, err := d.client.CreateIdentity(ctx, api.IdentityCreate{Name: name})
	if err != nil {
		return nil, fmt.Errorf("making an identity: %w", err)
	}
	d.account = id.Account
	return d, nil
}

const startTime = 30 * time.Second

// start runs the daemon until its API answers.
func (d *daemon) start(ctx context.Context) error {
	if err := os.MkdirAll(d.home, 0o700); err != nil {
		return err
	}
	var err error
	if d.logs, err = os.OpenFile(d.home+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	d.cmd = exec.Command(d.program, "--home", d.home, "--api", "127.0.0.1:0", "--mdns", "off",
		"--listen", "/ip4/127.0.0.1/tcp/0", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1", "--log-level", "warn")
	d.cmd.Stderr = d.logs
	began := time.Now()
	if err := d.cmd.Start(); err != nil {
		return fmt.Errorf("starting mutualsd: %w", err)
	}
	home, err := api.FindHome(d.home)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		e, err := home.ReadEndpoint()
		if err == nil && e.PID == d.cmd.Process.Pid {
			if d.client, err = api.Connect(ctx, e, api.English); err == nil {
				if _, err = d.client.Status(ctx); err == nil {
					d.startTook = time.Since(began)
					return nil
				}
			}
		}
		if pause(ctx, 500*time.Microsecond) != nil {
			log, _ := os.ReadFile(d.home + ".log")
			return fmt.Errorf("mutualsd did not come up: %w: %s", err, log)
		}
	}
}

// stop ends the daemon as a person would, and waits.
func (d *daemon) stop() error {
	if d.cmd == nil {
		return nil
	}
	d.client.Close()
	err := d.cmd.Process.Signal(syscall.SIGTERM)
	err = errors.Join(err, d.cmd.Wait(), d.logs.Close())
	d.cmd = nil
	if err != nil {
		return fmt.Errorf("stopping mutualsd: %w", err)
	}
	return nil
}

// kill ends the daemon at once, whatever it does.
func (d *daemon) kill() {
	if d.cmd == nil {
		return
	}
	d.client.Close()
	_ = d.cmd.Process.Kill()
	_ = d.cmd.Wait()
	_ = d.logs.Close()
	d.cmd = nil
}

// memory reads the resident memory of a process, whole and anonymous, in bytes.
func memory(pid int) (rss, anon float64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		kb, _ := strconv.ParseFloat(f[1], 64)
		switch f[0] {
		case "VmRSS:":
			rss = kb * 1024
		case "RssAnon:":
			anon = kb * 1024
		}
	}
	return rss, anon, nil
}

// processor reads the processor time a process has used.
func processor(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0, errors.New("reading the processor time of a process: too few fields")
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	// The kernel tells hundredths of a second (proc(5), USER_HZ).
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2)
}

// wakes counts how often the threads of a process have waited for something.
func wakes(pid int) (sum float64, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return 0, err
	}
	for _, name := range tasks {
		b, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // that thread ended
		}
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(b)) {
			if text, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
				n, _ := strconv.ParseFloat(strings.TrimSpace(text), 64)
				sum += n
			}
		}
	}
	return sum, nil
}

// disk is what a folder takes on the disk, in bytes: blocks, since Badger's
// files are longer than what is written of them.
func disk(dir string) (float64, error) {
	var sum int64
	err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		if s, ok := info.Sys().(*syscall.Stat_t); ok && !info.IsDir() {
			sum += s.Blocks * 512
		}
		return nil
	})
	return float64(sum), err
}

// pause waits, or returns ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
