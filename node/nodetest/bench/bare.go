package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"mutuals/node/mesh/meshtest"
)

// beBare is the other side of bareProcess: a bare host that does what lines on
// in say, and tells on out.
func beBare(in io.Reader, out io.Writer) error {
	host, err := meshtest.NewBare()
	if err != nil {
		return err
	}
	defer host.Close()
	var mu sync.Mutex
	tell := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(out, format+"\n", args...)
	}
	tell("addr %s", host.Addr())
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		verb, arg, _ := strings.Cut(lines.Text(), " ")
		switch verb {
		case "dial":
			err = host.Connect(context.Background(), arg)
		case "join":
			err = host.Gossip("bench", func(frame []byte) { tell("got %d", binary.BigEndian.Uint64(frame)) })
		case "listeners":
			tell("listeners %d", host.Listeners())
		case "send": // FIRST COUNT
			var first, n uint64
			if _, err = fmt.Sscan(arg, &first, &n); err != nil {
				break
			}
			for k := range n {
				frame := make([]byte, frameLength)
				binary.BigEndian.PutUint64(frame, first+k)
				if err = host.Publish(frame); err != nil {
					break
				}
			}
		}
		if err != nil {
			return err
		}
	}
	return lines.Err()
}

// bareProcess is a bare host in its own process.
type bareProcess struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	addr string

	mu        sync.Mutex
	seen      map[uint64]time.Time
	listeners int
	more      chan struct{}
	done      chan struct{}
}

func startBare() (*bareProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &bareProcess{cmd: exec.Command(self, "-bare"), seen: map[uint64]time.Time{}, more: make(chan struct{}), done: make(chan struct{})}
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a bare host: %w", err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		return nil, fmt.Errorf("a bare host said nothing: %w", p.cmd.Wait())
	}
	p.addr = strings.TrimPrefix(lines.Text(), "addr ")
	go func() {
		defer close(p.done)
		for lines.Scan() {
			at := time.Now()
			verb, arg, _ := strings.Cut(lines.Text(), " ")
			n, _ := strconv.ParseUint(arg, 10, 64)
			p.mu.Lock()
			if verb == "got" {
				p.seen[n] = at
			} else {
				p.listeners = int(n)
			}
			close(p.more)
			p.more = make(chan struct{})
			p.mu.Unlock()
		}
	}()
	return p, nil
}

func (p *bareProcess) say(format string, args ...any) error {
	_, err := fmt.Fprintf(p.in, format+"\n", args...)
	return err
}

// until waits for what done finds under the lock.
func (p *bareProcess) until(ctx context.Context, done func() bool) error {
	for {
		p.mu.Lock()
		ok, more := done(), p.more
		p.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// wait returns when frame n came.
func (p *bareProcess) wait(ctx context.Context, n uint64) (at time.Time, err error) {
	err = p.until(ctx, func() bool { t, ok := p.seen[n]; at = t; return ok })
	if err != nil {
		err = fmt.Errorf("a bare frame never came: %w", err)
	}
	return at, err
}

func (p *bareProcess) close() {
	_ = p.in.Close()
	<-p.done
	_ = p.cmd.Wait()
}

// bareField starts n bare processes that gossip, each linked to all.
func bareField(ctx context.Context, n int) (field []*bareProcess, err error) {
	defer func() {
		if err != nil {
			closeField(field)
			field = nil
		}
	}()
	for range n {
		p, err := startBare()
		if err != nil {
			return field, err
		}
		field = append(field, p)
		if err := p.say("join"); err != nil {
			return field, err
		}
		for _, other := range field[:len(field)-1] {
			if err := p.say("dial %s", other.addr); err != nil {
				return field, err
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for _, p := range field {
		for full := false; !full; {
			if err := p.say("listeners"); err != nil {
				return field, err
			}
			if err := pause(ctx, 20*time.Millisecond); err != nil {
				return field, fmt.Errorf("bare hosts never met: %w", err)
			}
			p.mu.Lock()
			full = p.listeners == n-1
			p.mu.Unlock()
		}
	}
	return field, nil
}

func closeField(field []*bareProcess) {
	for _, p := range field {
		p.close()
	}
}
