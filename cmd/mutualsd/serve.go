package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"syscall"

	"mutuals/node"
	"mutuals/node/api"
	"mutuals/node/server"
)

// serve runs a node and its API until ctx is done, a client asks it to stop,
// or something breaks.
func serve(ctx context.Context, s settings, h api.Home, log *slog.Logger) error {
	n, err := node.Open(ctx, node.Config{
		Home: h.Data, Listen: s.listen, Bootstrap: s.bootstrap, DHT: s.dht, Lobby: s.lobby == "on", NoMDNS: s.mdns == "off", Relaying: s.asked, Version: version, Log: log,
		Harbor: s.harbor, HarborQuota: uint64(s.harborQuota), Serve: s.serving, Ballast: true,
	})
	if err != nil {
		return err
	}
	var beside sync.WaitGroup
	defer beside.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer endInTime(ctx, endTime, log, exit)()
	beside.Go(func() { giveBack(ctx, n, log) })
	go func() {
		select {
		case <-n.Stopping():
			stop()
		case <-ctx.Done():
		}
	}()
	err = listen(ctx, n, s, h, log)
	// The node closes last: what requests under way have begun is on disk.
	return errors.Join(err, n.Close())
}

// listen serves the API. The default port may be another node's: then any
// other is as good, since api.json says which.
func listen(ctx context.Context, n *node.Node, s settings, h api.Home, log *slog.Logger) error {
	run := func(addr string) error {
		srv, err := server.New(n, server.Config{Home: h, Addr: addr, Version: version, Log: log})
		if err != nil {
			return err
		}
		return srv.Run(ctx, func(e api.Endpoint) { log.Info("ready", "api", e.URL, "pid", e.PID) })
	}
	err := run(s.api)
	if !s.apiGiven && taken(err) {
		log.Info("the default port is taken", "addr", s.api)
		err = run(net.JoinHostPort("127.0.0.1", "0"))
	}
	return err
}

// taken tells whether an address could not be had because somebody listens
// there.
func taken(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
