package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"
)

// Silence after which a stream is taken for dead: three heartbeats of 15 s.
// maxLine bounds one line of it: an event holds at most one message. Between
// two tries to connect again lie retryMin, then twice as much, to retryMax;
// after retries in a row the stream ends with the error.
const (
	silence  = 45 * time.Second
	maxLine  = 1 << 20
	retryMin = 100 * time.Millisecond
	retryMax = 2 * time.Second
	retries  = 6
)

// Events follows what happens after the event of that id; "" follows from now.
// A connection that breaks is taken up again where it broke. It yields an error
// once, as its last: ErrResync when the node cannot go on from there, a
// *Problem when it refuses, ctx's error, or one wrapping ErrNotRunning.
func (c *Client) Events(ctx context.Context, after string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		s := stream{c: c, last: after}
		wait, failed, ever := retryMin, 0, false
		for {
			got, err := s.follow(ctx, func(e Event) bool { return yield(e, nil) })
			if errors.Is(err, errStopped) {
				return
			}
			if ctx.Err() != nil {
				yield(Event{}, ctx.Err())
				return
			}
			if got {
				wait, failed, ever = retryMin, 0, true
			}
			var p *Problem
			if failed++; !ever || errors.Is(err, ErrResync) || errors.As(err, &p) && !p.Retryable || failed > retries {
				yield(Event{}, err)
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
			wait = min(2*wait, retryMax)
		}
	}
}

// errStopped means that the reader wants no more.
var errStopped = errors.New("stopped")

// stream is one reader's place in the events.
type stream struct {
	c    *Client
	last string // id of the newest event seen
}

// follow reads one connection until it breaks; got tells whether the node
// answered at all.
func (s *stream) follow(ctx context.Context, each func(Event) bool) (got bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := s.c.request(ctx, Call{Method: http.MethodGet, Path: "/events"})
	if err != nil {
		return false, err
	}
	req.Header.Set("Accept", "text/event-stream")
	if s.last != "" {
		req.Header.Set("Last-Event-ID", s.last)
	}
	// The watchdog ends a connection on which not even heartbeats come.
	watchdog := time.AfterFunc(silence, cancel)
	defer watchdog.Stop()
	res, err := s.c.http.Do(req)
	if err != nil {
		return false, s.c.unreached(ctx, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(res.Body, maxLine))
		return true, parseProblem(res.StatusCode, body)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	var f frame
	for lines.Scan() {
		watchdog.Reset(silence)
		whole, err := f.line(lines.Bytes())
		if err != nil {
			return true, err
		}
		if !whole {
			continue
		}
		if f.id != "" {
			s.last = f.id
		}
		if e, ok, err := f.event(); err != nil {
			return true, err
		} else if ok {
			if e.Type == EventResync {
				return true, ErrResync
			}
			if !each(e) {
				return true, errStopped
			}
		}
		f = frame{}
	}
	if err := lines.Err(); err != nil {
		return true, fmt.Errorf("following events: %w", err)
	}
	return true, fmt.Errorf("following events: %w", io.ErrUnexpectedEOF)
}

// frame is one server-sent event as it grows line by line (the WHATWG rules,
// with LF alone, which is all the daemon writes).
type frame struct {
	id   string
	kind string
	data []byte
}

// line takes one line; whole means that the frame has ended.
func (f *frame) line(b []byte) (whole bool, err error) {
	if len(b) == 0 {
		return true, nil
	}
	name, value, _ := bytes.Cut(b, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "id":
		f.id = string(value)
	case "event":
		f.kind = string(value)
	case "data":
		if len(f.data) > 0 {
			f.data = append(f.data, '\n')
		}
		if len(f.data)+len(value) > maxLine {
			return false, fmt.Errorf("following events: an event over %d bytes", maxLine)
		}
		f.data = append(f.data, value...)
	}
	return false, nil
}

// event returns what the frame carries; one without data only moves the id.
func (f *frame) event() (Event, bool, error) {
	if f.kind == EventResync {
		return Event{Type: EventResync}, true, nil
	}
	if len(f.data) == 0 {
		return Event{}, false, nil
	}
	var e Event
	if err := json.Unmarshal(f.data, &e); err != nil {
		return Event{}, false, fmt.Errorf("following events: %w", err)
	}
	return e, true, nil
}
