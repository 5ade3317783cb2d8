package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

// postRounds is in how many parts the posts and their limit take turns.
const postRounds = 5

// measurePosts is L2: POST until 201, which means synced to disk, on a node
// that is alone in its group. It is timed on a connection, so that the node is
// measured and no client; and by the Go client besides, as programs in Go meet it.
func (b *bench) measurePosts(ctx context.Context) error {
	d, err := b.newDaemon(ctx, "Alone")
	if err != nil {
		return err
	}
	g, _, err := group(ctx, "Posts", []*daemon{d})
	if err != nil {
		return err
	}
	line, err := dialPoster(ctx, d.client.Endpoint(), g)
	if err != nil {
		return err
	}
	defer line.Close()
	byClient := func(text string) (time.Duration, error) {
		began := time.Now()
		_, err := d.client.Send(ctx, g, api.MessageCreate{Text: text})
		return time.Since(began), err
	}
	var words texts
	var onLine, byGo []time.Duration
	var limit []float64
	for range postRounds { // in turn, for the disk is not the same from one second to the next
		for _, way := range []struct {
			post func(string) (time.Duration, error)
			took *[]time.Duration
		}{{line.post, &onLine}, {byClient, &byGo}} {
			for range b.scale.Posts / postRounds {
				took, err := way.post(words.next())
				if err != nil {
					return fmt.Errorf("sending: %w", err)
				}
				*way.took = append(*way.took, took)
			}
		}
		raw, err := b.benchmarks(ctx, "./store", "^BenchmarkRawSyncedRow$", fmt.Sprintf("%dx", b.scale.Posts), "-count", "1")
		if err != nil {
			return err
		}
		limit = append(limit, raw["BenchmarkRawSyncedRow p50-ms"]...)
	}
	limitIs := "one transaction of one row of 600 bytes by Badger alone, which syncs it (medians of runs)"
	b.report.add(figure{
		ID: "L2", What: "POST → 201, synced to disk; from the first byte written to the last byte read", Unit: "ms",
		Of: millis(onLine), Limit: limit, LimitIs: limitIs,
		Goal: "≤ 1.5× (quality.md)", Pass: ratio(millis(onLine), limit) <= 1.5,
	})
	b.report.add(figure{
		ID: "L2 client", What: "the same by the Go client of node/api, from its call to its return", Unit: "ms",
		Of: millis(byGo), Limit: limit, LimitIs: limitIs,
	})
	return d.stop()
}

// poster says things over one connection and does nothing else: a client that reads
// and writes in goroutines of its own, and decodes the answer, takes a fourth as long
// as the node.
type poster struct {
	net.Conn
	in     *bufio.Reader
	path   string
	header http.Header
}

// dialPoster connects to where a node's API is.
func dialPoster(ctx context.Context, e api.Endpoint, g wire.GroupID) (*poster, error) {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "unix", e.Socket)
	if err != nil {
		return nil, fmt.Errorf("connecting to a node: %w", err)
	}
	header := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + e.Token}}
	return &poster{c, bufio.NewReader(c), api.Prefix + "/groups/" + g.String() + "/messages", header}, nil
}

// post says something and returns how long it was from the first byte written until
// the last byte of the answer was read.
func (p *poster) post(text string) (time.Duration, error) {
	body, err := json.Marshal(api.MessageCreate{Text: text})
	if err != nil {
		return 0, err
	}
	req := &http.Request{
		Method: http.MethodPost, URL: &url.URL{Scheme: "http", Host: "localhost", Path: p.path}, Host: "localhost",
		Header: p.header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
	var out bytes.Buffer
	if err := req.Write(&out); err != nil {
		return 0, err
	}
	began := time.Now()
	if _, err := p.Write(out.Bytes()); err != nil {
		return 0, err
	}
	res, err := http.ReadResponse(p.in, req)
	if err != nil {
		return 0, err
	}
	answer, err := io.ReadAll(res.Body)
	took := time.Since(began)
	if err == nil && res.StatusCode != http.StatusCreated {
		err = fmt.Errorf("%s: %s", res.Status, answer)
	}
	return took, err
}
