package main

import (
	"context"
	"log/slog"
	"os"
	"time"
)

// endTime is how long a daemon that was told to stop may take. Requests have
// five seconds, last words one; past this something hangs, and what is on disk
// is whole without it: what was written outlives it, and an unclean stop is checked at
// the next start.
const endTime = 9 * time.Second

// endInTime ends the process by force if closed is not called within limit
// after ctx is done.
func endInTime(ctx context.Context, limit time.Duration, log *slog.Logger, exit func(int)) (closed func()) {
	watch, closed := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		select {
		case <-watch.Done():
		case <-timer.C:
			log.Error("stopping took too long; ended by force", "after", limit)
			exit(1)
		}
	})
	return closed
}

// exit ends the process.
func exit(code int) { os.Exit(code) }
