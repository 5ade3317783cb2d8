package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"mutuals/node/api"
)

const (
	typeSSE    = "text/event-stream"
	typeNDJSON = "application/x-ndjson"
)

// eventsRequest asks for a stream, or with Wait for the next events alone.
type eventsRequest struct {
	LastEventID string `header:"Last-Event-ID" maxLength:"128" doc:"go on after this event; from now unless given"`
	After       string `query:"after" maxLength:"128" doc:"the same, for callers that cannot set headers"`
	Wait        string `query:"wait" maxLength:"16" doc:"answer once, when there are events or after this time, as 30s"`
}

func (r *eventsRequest) after() string {
	if r.LastEventID != "" {
		return r.LastEventID
	}
	return r.After
}

func (s *Server) eventVerbs() {
	schemas := s.api.OpenAPI().Components.Schemas
	event := schemas.Schema(eventType, true, "Event")
	batch := schemas.Schema(batchType, true, "EventBatch")
	huma.Register(s.api, huma.Operation{
		Method: "GET", Path: "/events", OperationID: "events",
		Summary:     "What happens, as it happens",
		Description: "Server-sent events; with Accept: " + typeNDJSON + " one JSON object a line, blank lines as heartbeat; with wait one answer. An event resync says that events cannot go on from there: take a snapshot.",
		Responses: map[string]*huma.Response{
			"200": {Description: "events", Content: map[string]*huma.MediaType{
				typeSSE: {Schema: event}, typeNDJSON: {Schema: event}, "application/json": {Schema: batch},
			}},
		},
	}, func(ctx context.Context, in *eventsRequest) (*huma.StreamResponse, error) {
		if p := s.identity(ctx); p != nil {
			return nil, p
		}
		if in.Wait != "" {
			wait, err := time.ParseDuration(in.Wait)
			if err != nil || wait < 0 || wait > maxWait {
				return nil, api.NewProblem(api.BadRequest).Explain("wait is a time up to %v, as 30s", maxWait)
			}
			return &huma.StreamResponse{Body: func(c huma.Context) { s.wait(c, in, wait) }}, nil
		}
		return &huma.StreamResponse{Body: func(c huma.Context) { s.follow(c, in) }}, nil
	})

	handle(s, verb{method: "GET", path: "/snapshot", id: "snapshot", doc: "All that events change, and the event to go on from"},
		func(ctx context.Context, _ *none) (*body[api.Snapshot], error) {
			snap, err := s.node.Snapshot(ctx)
			snap.State.Status = s.glance(ctx)
			return reply(snap, err)
		})
}

// wait answers once: as soon as there are events, or with none after d.
func (s *Server) wait(c huma.Context, in *eventsRequest, d time.Duration) {
	r, w := humago.Unwrap(c)
	ctx, cancel := s.streaming(r.Context())
	defer cancel()
	ctx, expire := context.WithTimeout(ctx, d)
	defer expire()
	deadline(w, d+eventWrite)
	last := in.after()
	if last == "" {
		last = s.node.LastEventID(ctx)
	}
	events, err := s.node.NextEvents(ctx, last, eventBatch)
	switch {
	case errors.Is(err, api.ErrResync):
		events = []api.Event{s.resync(ctx)}
	case ctx.Err() != nil:
		events = nil
	case err != nil:
		s.fail(w, r, err)
		return
	}
	for _, e := range events {
		if e.ID != "" {
			last = e.ID
		}
	}
	if strings.Contains(r.Header.Get("Accept"), typeNDJSON) {
		w.Header().Set("Content-Type", typeNDJSON)
		for _, e := range events {
			_ = writeJSON(w, e)
		}
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = writeJSON(w, api.EventBatch{Items: events, EventID: last})
}

// fail answers a stream that could not begin.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p, known := problemOf(err)
	if !known {
		s.log.Error("a call failed", "verb", "events", "err", err)
	}
	writeProblem(w, r, p)
}

// follow writes events until the reader goes, the daemon stops or a write does
// not get through in time.
func (s *Server) follow(c huma.Context, in *eventsRequest) {
	r, w := humago.Unwrap(c)
	ctx, cancel := s.streaming(r.Context())
	defer cancel()

	out := sink{w: w, lines: strings.Contains(r.Header.Get("Accept"), typeNDJSON)}
	from := in.after()
	if from == "" {
		from = s.node.LastEventID(ctx)
	}
	// Watch before the first flush: whoever acts when it sees the stream open
	// sees what its act causes.
	passing := s.node.Watch(ctx)
	if out.begin(from) != nil {
		return
	}

	// The reader asks the node ahead of the writer by one batch; it ends with
	// ctx, and follow waits for it.
	batches := make(chan []api.Event)
	ended := make(chan error, 1)
	go func() {
		defer close(batches)
		ended <- s.read(ctx, from, batches)
	}()
	defer func() {
		cancel()
		for range batches {
		}
	}()

	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		var err error
		select {
		case events, more := <-batches:
			if !more {
				if err := <-ended; ctx.Err() == nil {
					s.log.Error("events broke off", "err", err)
				}
				return
			}
			err = out.write(events...)
		case e, more := <-passing:
			if !more {
				passing = nil
				continue
			}
			err = out.write(e)
		case <-beat.C:
			err = out.beat()
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// read hands on the durable events after an id, batch by batch. A reader that
// cannot go on, or is too far behind, gets a resync and goes on from now.
func (s *Server) read(ctx context.Context, after string, batches chan<- []api.Event) error {
	for {
		var events []api.Event
		err := api.ErrResync
		if lag(after, s.node.LastEventID(ctx)) <= maxLag {
			events, err = s.node.NextEvents(ctx, after, eventBatch)
		}
		if errors.Is(err, api.ErrResync) {
			events, err = []api.Event{s.resync(ctx)}, nil
		}
		if err != nil {
			return err
		}
		for _, e := range events {
			if e.ID != "" {
				after = e.ID
			}
		}
		select {
		case batches <- events:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// resync tells a reader to take a snapshot. It carries the newest id, so a
// browser that connects again does not name the old one.
func (s *Server) resync(ctx context.Context) api.Event {
	return api.Event{ID: s.node.LastEventID(ctx), Type: api.EventResync, At: time.Now().UTC(), Object: json.RawMessage("{}")}
}

// lag returns how many events lie between two ids of one store epoch; 0 if
// they cannot be compared, which NextEvents will say.
func lag(from, to string) uint64 {
	fromEpoch, a, ok1 := cutID(from)
	toEpoch, b, ok2 := cutID(to)
	if !ok1 || !ok2 || fromEpoch != toEpoch || a >= b {
		return 0
	}
	return b - a
}

// cutID takes an event id, `<store epoch>-<change number>`, apart.
func cutID(id string) (epoch string, n uint64, ok bool) {
	i := strings.LastIndexByte(id, '-')
	if i < 0 {
		return "", 0, false
	}
	n, err := strconv.ParseUint(id[i+1:], 10, 64)
	return id[:i], n, err == nil
}

// sink writes events as server-sent events or as lines of JSON. Each write must
// get through within eventWrite.
type sink struct {
	w     http.ResponseWriter
	lines bool
	buf   bytes.Buffer
}

// begin sends headers at once. A frame with an id and nothing else tells an SSE
// reader where it stands, so that it can resume before the first event.
func (s *sink) begin(id string) error {
	if s.lines {
		s.w.Header().Set("Content-Type", typeNDJSON)
	} else {
		s.w.Header().Set("Content-Type", typeSSE)
		fmt.Fprintf(&s.buf, "retry: 2000\nid: %s\n\n", oneLine(id))
	}
	return s.flush()
}

func (s *sink) write(events ...api.Event) error {
	for _, e := range events {
		if s.lines {
			if err := writeEvent(&s.buf, e); err != nil {
				return err
			}
			continue
		}
		if e.ID != "" {
			fmt.Fprintf(&s.buf, "id: %s\n", oneLine(e.ID))
		}
		fmt.Fprintf(&s.buf, "event: %s\ndata: ", oneLine(e.Type))
		// writeJSON ends the line; JSON holds no other line break.
		if err := writeEvent(&s.buf, e); err != nil {
			return err
		}
		s.buf.WriteByte('\n')
	}
	return s.flush()
}

func (s *sink) beat() error {
	if s.lines {
		s.buf.WriteByte('\n')
	} else {
		s.buf.WriteString(": beat\n\n")
	}
	return s.flush()
}

func (s *sink) flush() error {
	deadline(s.w, eventWrite)
	if _, err := s.buf.WriteTo(s.w); err != nil {
		return err
	}
	return http.NewResponseController(s.w).Flush()
}

// oneLine keeps an id that a caller made up from adding fields to a frame.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
}

// writeEvent is writeJSON of an event, whose object is compact JSON already: an
// encoder would read and write it once more.
func writeEvent(b *bytes.Buffer, e api.Event) error {
	object := e.Object
	if len(object) == 0 {
		object = json.RawMessage("null")
	}
	e.Object = json.RawMessage("0")
	if err := writeJSON(b, e); err != nil {
		return err
	}
	b.Truncate(b.Len() - len("0}\n")) // it stands last
	b.Write(object)
	b.WriteString("}\n")
	return nil
}

// writeJSON writes v and a line feed.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
