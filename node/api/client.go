package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Prefix begins every path of the API.
const Prefix = "/api/v1"

// maxAnswer bounds an answer that is read whole; the largest is a page of 200
// messages of 16 KiB, escaped. dialTimeout is how long a daemon on this
// machine may take to accept; keptConns how many connections are kept for the next
// requests, as many as a program has under way that imports a history: one that
// is made anew costs more than a request.
const (
	maxAnswer   = 64 << 20
	dialTimeout = 5 * time.Second
	keptConns   = 64
)

// Client speaks to one node. It is safe for concurrent use. Its methods return
// a *Problem when the node refused, and an error wrapping ErrNotRunning when
// it could not be reached.
type Client struct {
	endpoint Endpoint
	lang     Lang
	http     *http.Client
}

// Dial returns a client of the node that runs on this home; the error wraps
// ErrNotRunning when none does. The unix socket is preferred; where it cannot
// be reached (another machine's mount, a system without), TCP is used.
// Problems are told in l.
func Dial(ctx context.Context, h Home, l Lang) (*Client, error) {
	e, err := h.ReadEndpoint()
	if err != nil {
		return nil, err
	}
	return Connect(ctx, e, l)
}

// Connect returns a client of the node at e, once it was seen to accept.
func Connect(ctx context.Context, e Endpoint, l Lang) (*Client, error) {
	u, err := url.Parse(e.URL)
	if err != nil || u.Host == "" && e.Socket == "" {
		return nil, fmt.Errorf("api.json names no address: %q", e.URL)
	}
	var d net.Dialer
	try := func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		return d.DialContext(ctx, network, addr)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var unix error
		if e.Socket != "" {
			c, err := try(ctx, "unix", e.Socket)
			if err == nil {
				return c, nil
			}
			unix = err
		}
		if u.Host == "" {
			return nil, unix
		}
		c, err := try(ctx, "tcp", u.Host)
		if err != nil {
			return nil, errors.Join(unix, err)
		}
		return c, nil
	}
	c, err := dial(ctx, "", "")
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	c.Close()
	return &Client{endpoint: e, lang: l, http: &http.Client{
		Transport:     &http.Transport{DialContext: dial, MaxIdleConnsPerHost: keptConns, IdleConnTimeout: time.Minute, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Close lets idle connections go.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Endpoint returns where the client connects to.
func (c *Client) Endpoint() Endpoint { return c.endpoint }

// Call is one request. Path is below Prefix ("/status"); In is sent as JSON if
// not nil, but a []byte as it is; Out, if not nil, takes the answer, a *[]byte
// as it came. Key is an Idempotency-Key: with
// one, a POST may be sent again after a broken connection.
type Call struct {
	Method string
	Path   string
	Query  url.Values
	In     any
	Out    any
	Key    string
}

// Do makes one call.
func (c *Client) Do(ctx context.Context, call Call) error {
	req, err := c.request(ctx, call)
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return c.unreached(ctx, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("reading the answer to %s %s: %w", call.Method, call.Path, err)
	}
	if len(body) > maxAnswer {
		return fmt.Errorf("the answer to %s %s is over %d bytes", call.Method, call.Path, maxAnswer)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return parseProblem(res.StatusCode, body)
	}
	switch out := call.Out.(type) {
	case nil:
	case *json.RawMessage:
		*out = body
	case *[]byte:
		*out = body
	default:
		if err := json.Unmarshal(body, out); err != nil {
			return fmt.Errorf("reading the answer to %s %s: %w", call.Method, call.Path, err)
		}
	}
	return nil
}

func (c *Client) request(ctx context.Context, call Call) (*http.Request, error) {
	var body io.Reader
	kind := "application/json"
	switch in := call.In.(type) {
	case nil:
	case []byte:
		body, kind = bytes.NewReader(in), "application/octet-stream"
	default:
		b, err := json.Marshal(call.In)
		if err != nil {
			return nil, fmt.Errorf("writing %s %s: %w", call.Method, call.Path, err)
		}
		body = bytes.NewReader(b)
	}
	// Over the socket the host name is never looked up; it satisfies the Host
	// check. The real one is in the dialler.
	base := "http://localhost"
	if c.endpoint.URL != "" {
		base = strings.TrimSuffix(c.endpoint.URL, "/")
	}
	target := base + Prefix + call.Path
	if len(call.Query) > 0 {
		target += "?" + call.Query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, call.Method, target, body)
	if err != nil {
		return nil, fmt.Errorf("writing %s %s: %w", call.Method, call.Path, err)
	}
	if call.In != nil {
		req.Header.Set("Content-Type", kind)
	}
	req.Header.Set("Authorization", "Bearer "+c.endpoint.Token)
	req.Header.Set("Accept", "application/json, application/problem+json, application/octet-stream;q=0.5")
	if c.lang != "" {
		req.Header.Set("Accept-Language", string(c.lang))
	}
	if call.Key != "" {
		req.Header.Set("Idempotency-Key", call.Key)
	}
	return req, nil
}

// unreached tells a daemon that is not there from a caller who gave up.
func (c *Client) unreached(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	return fmt.Errorf("speaking to the daemon: %w", err)
}
