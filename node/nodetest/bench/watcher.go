package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"mutuals/node/api"
)

// watcher follows the events of one daemon and notes when each text came.
type watcher struct {
	mu     sync.Mutex
	seen   map[string]time.Time
	need   int           // how many texts whoever waits needs at least
	more   chan struct{} // closed when as many came, or the stream ended
	err    error
	cancel context.CancelFunc
	done   chan struct{}
}

// maxEvent bounds a line of the stream.
const maxEvent = 1 << 20

// watch begins to follow; it returns once the stream stands.
func (d *daemon) watch(ctx context.Context) (*watcher, error) {
	snap, err := d.client.Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("taking a snapshot: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	events, err := d.events(ctx, snap.EventID)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("following events: %w", err)
	}
	w := &watcher{seen: map[string]time.Time{}, more: make(chan struct{}), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		defer events.Close()
		w.follow(events)
	}()
	return w, nil
}

// events opens the stream of events after one.
func (d *daemon) events(ctx context.Context, after string) (io.ReadCloser, error) {
	socket := d.client.Endpoint().Socket
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+api.Prefix+"/events", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Last-Event-ID", after)
	stream := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "unix", socket)
	}}}
	res, err := stream.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, fmt.Errorf("refused: %s", res.Status)
	}
	return res.Body, nil
}

// follow reads the stream to its end. It decodes nothing: see textOf.
func (w *watcher) follow(events io.Reader) {
	lines := bufio.NewScanner(events)
	lines.Buffer(make([]byte, 0, 64<<10), maxEvent)
	for lines.Scan() {
		line := lines.Bytes()
		if bytes.HasSuffix(line, []byte(": "+api.EventResync)) {
			break // it was too far behind
		}
		text, ok := textOf(line)
		if !ok {
			continue
		}
		at := time.Now()
		w.mu.Lock()
		w.seen[text] = at
		if len(w.seen) >= w.need {
			w.wake()
		}
		w.mu.Unlock()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err = lines.Err(); w.err == nil {
		w.err = io.ErrUnexpectedEOF
	}
	w.wake()
}

// wake wakes whoever waits. The lock is held.
func (w *watcher) wake() {
	close(w.more)
	w.more = make(chan struct{})
}

func (w *watcher) stop() {
	w.cancel()
	<-w.done
}

// wait returns when the text was seen.
func (w *watcher) wait(ctx context.Context, text string) (at time.Time, err error) {
	err = w.until(ctx, 0, func() (ok bool) { at, ok = w.seen[text]; return ok })
	if err != nil {
		err = fmt.Errorf("a message never came: %w", err)
	}
	return at, err
}

// waitCount returns when n texts were seen.
func (w *watcher) waitCount(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, burstTime)
	defer cancel()
	got := 0
	err := w.until(ctx, n, func() bool { got = len(w.seen); return got >= n })
	if err != nil {
		err = fmt.Errorf("%d of %d messages came: %w", got, n, err)
	}
	return err
}

// until waits for what done finds under the lock, which needs some texts at least.
func (w *watcher) until(ctx context.Context, need int, done func() bool) error {
	for {
		w.mu.Lock()
		w.need = need
		ok, more, err := done(), w.more, w.err
		w.mu.Unlock()
		switch {
		case ok:
			return nil
		case err != nil:
			return fmt.Errorf("following events: %w", err)
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
