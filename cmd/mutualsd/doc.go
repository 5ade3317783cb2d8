// Command mutualsd is the daemon: one running node, its HTTP API and, in its
// home folder, everything it remembers. It runs in the foreground and ends on
// Ctrl-C or SIGTERM; mutuals up runs it in the background.
//
// It owns settings (flag over environment over config.toml over default), the
// log, signals and exit codes. It refuses to do anything else: package node is
// the node, package node/server its HTTP face.
//
// Begin with main.go; settings.go is the table of flags.
//
// A worked trace: MUTUALS_API=127.0.0.1:0 mutualsd --home /tmp/a. settings.go
// reads /tmp/a/config.toml, in which `lisen = […]` would end it with exit code
// 2 and the nearest name; serve.go opens the node, which locks the home (a
// second daemon is refused and told the first one's process id, exit code 8),
// and runs the server, which writes api.json when it is ready. SIGTERM makes
// the server answer what it has begun, then the node close its store.
package main
