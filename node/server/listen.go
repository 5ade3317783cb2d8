package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"mutuals/node/api"
)

// Run listens, writes api.json, calls ready (if not nil) with what it says,
// and serves until ctx is done; then it takes api.json away, ends streams and
// waits for the requests under way. It may be called once.
func (s *Server) Run(ctx context.Context, ready func(api.Endpoint)) error {
	defer s.stop()
	tcp, err := net.Listen("tcp", s.cfg.Addr)
	if err != nil {
		return fmt.Errorf("the API: %w", err)
	}
	defer tcp.Close()
	url := "http://" + tcp.Addr().String()
	s.url.Store(&url)
	sock, err := s.listenSocket()
	if err != nil {
		return fmt.Errorf("the API: %w", err)
	}
	defer sock.remove()

	e := api.Endpoint{URL: url, Socket: sock.path, Token: s.token, PID: os.Getpid()}
	if _, err := s.cfg.Home.WriteEndpoint(e); err != nil {
		return fmt.Errorf("the API: %w", err)
	}
	defer func() {
		if err := s.cfg.Home.RemoveEndpoint(e.PID); err != nil {
			s.log.Warn("the API", "err", err)
		}
	}()

	servers := []*http.Server{s.http(false), s.http(true)}
	failed := make(chan error, len(servers))
	var serving sync.WaitGroup
	for i, l := range []net.Listener{tcp, sock.Listener} {
		if l == nil {
			continue
		}
		serving.Go(func() {
			if err := servers[i].Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	if ready != nil {
		ready(e)
	}
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
		err = fmt.Errorf("the API: %w", err)
	}
	s.stop()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	for _, srv := range servers {
		if srv.Shutdown(end) != nil {
			srv.Close() // whoever is still there had its time
		}
	}
	serving.Wait()
	return err
}

func (s *Server) http(trust bool) *http.Server {
	return &http.Server{
		Handler:           s.Handler(trust),
		ReadHeaderTimeout: readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		// Above the guard's bound, so that the guard answers with a problem.
		MaxHeaderBytes: 4 * maxHeader,
	}
}

// socket is the unix listener; with no path there is none.
type socket struct {
	net.Listener
	path string
	temp string // folder made for it
}

// listenSocket binds api.sock in the home, or in a short temporary folder when
// the home's path is too long for a socket. Where neither works the API is on
// TCP alone.
func (s *Server) listenSocket() (socket, error) {
	dir := filepath.Dir(s.cfg.Home.EndpointFiles()[0])
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return socket{}, fmt.Errorf("making the folder of the socket: %w", err)
	}
	var sock socket
	sock.path = filepath.Join(dir, "api.sock")
	if len(sock.path) > maxSocketPath {
		temp, err := os.MkdirTemp("", "mutuals-") // 0700
		if err != nil {
			return socket{}, fmt.Errorf("making a short folder for the socket: %w", err)
		}
		sock.temp, sock.path = temp, filepath.Join(temp, "api.sock")
	}
	// The home is ours alone (its lock is held), so a socket that lies here
	// was left by a daemon that died.
	if info, err := os.Lstat(sock.path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		_ = os.Remove(sock.path)
	}
	l, err := net.Listen("unix", sock.path)
	if err == nil {
		// The folder is 0700 already; a home that somebody made wider is
		// covered from here on.
		if err = os.Chmod(sock.path, 0o600); err != nil {
			l.Close()
		}
	}
	if err != nil {
		s.log.Warn("no unix socket: the API is on TCP alone", "err", err)
		sock.remove()
		return socket{}, nil
	}
	sock.Listener = l
	return sock, nil
}

func (k socket) remove() {
	if k.Listener != nil {
		k.Close()
	}
	if k.path != "" {
		_ = os.Remove(k.path)
	}
	if k.temp != "" {
		_ = os.Remove(k.temp)
	}
}
