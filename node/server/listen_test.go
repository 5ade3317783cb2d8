package server

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"mutuals/node/api"
)

// start runs a server in its own home and returns it with its end.
func start(t *testing.T, s *Server) (api.Endpoint, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	up := make(chan api.Endpoint, 1)
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, func(e api.Endpoint) { up <- e }) }()
	select {
	case e := <-up:
		return e, func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("run: %v", err)
			}
		}
	case err := <-done:
		t.Fatal(err)
		panic("unreached")
	}
}

func TestTwoListenersAndTheFileThatNamesThem(t *testing.T) {
	s := newTestServer(t, &fake{})
	e, stop := start(t, s)
	file := s.cfg.Home.EndpointFiles()[0]
	for _, f := range []string{file, e.Socket} {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", filepath.Base(f), info.Mode())
		}
	}
	read, err := s.cfg.Home.ReadEndpoint()
	if err != nil || read != e || e.PID != os.Getpid() || !strings.HasPrefix(e.URL, "http://127.0.0.1:") {
		t.Errorf("api.json says %+v, %v", read, err)
	}
	// By socket without the token; by TCP with it, and not without.
	for name, c := range map[string]struct {
		e  api.Endpoint
		ok bool
	}{
		"socket":            {api.Endpoint{Socket: e.Socket}, true},
		"tcp":               {api.Endpoint{URL: e.URL, Token: e.Token}, true},
		"tcp, no token":     {api.Endpoint{URL: e.URL}, false},
		"tcp, socket gone":  {api.Endpoint{URL: e.URL, Token: e.Token, Socket: e.Socket + "x"}, true},
		"old token, socket": {api.Endpoint{URL: e.URL, Token: "old", Socket: e.Socket}, true},
	} {
		client, err := api.Connect(t.Context(), c.e, api.English)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		st, err := client.Status(t.Context())
		client.Close()
		if c.ok && (err != nil || st.UI != e.URL+"/" || st.Version != "test") {
			t.Errorf("%s: %v %+v", name, err, st)
		}
		if !c.ok && (api.CodeOf(err) != api.Unauthorized) {
			t.Errorf("%s: %v", name, err)
		}
	}
	stop()
	for _, f := range []string{file, e.Socket} {
		if _, err := os.Stat(f); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left behind: %v", filepath.Base(f), err)
		}
	}
}

func TestAHomeTooDeepForASocketGetsAShortOne(t *testing.T) {
	home, err := api.FindHome(filepath.Join(t.TempDir(), strings.Repeat("d", 60), strings.Repeat("e", 60)))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", os.TempDir())
	s, err := New(&fake{}, Config{Home: home, Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	e, stop := start(t, s)
	if e.Socket == "" || len(e.Socket) > maxSocketPath {
		t.Errorf("socket %q", e.Socket)
	}
	info, err := os.Stat(filepath.Dir(e.Socket))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", info, err)
	}
	c, err := api.Dial(t.Context(), home, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Status(t.Context()); err != nil {
		t.Error(err)
	}
	c.Close()
	stop()
	if _, err := os.Stat(filepath.Dir(e.Socket)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is left behind: %v", err)
	}
}

func TestOnlyLoopbackIsListenedOn(t *testing.T) {
	for addr, ok := range map[string]bool{
		"": true, "127.0.0.1:0": true, "[::1]:0": true, "localhost:7711": true,
		"0.0.0.0:7711": false, ":7711": false, "192.168.1.2:7711": false, "example.org:80": false, "127.0.0.1": false,
	} {
		_, err := New(&fake{}, Config{Home: testHome(t), Addr: addr})
		if ok != (err == nil) {
			t.Errorf("%q: %v", addr, err)
		}
	}
}

func TestStoppingEndsStreamsAndLetsRequestsEnd(t *testing.T) {
	f := &fake{slow: make(chan struct{})}
	s := newTestServer(t, f)
	e, stop := start(t, s)
	c, err := api.Connect(t.Context(), e, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	req, err := http.NewRequestWithContext(t.Context(), "GET", e.URL+"/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+e.Token)
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != 200 {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answered := make(chan error, 1)
	go func() {
		_, err := c.Doctor(t.Context())
		answered <- err
	}()
	f.entered()
	ended := make(chan struct{})
	go func() { stop(); close(ended) }()
	<-s.stopping.Done()
	close(f.slow)
	if err := <-answered; err != nil {
		t.Errorf("the request under way: %v", err)
	}
	<-ended
}
