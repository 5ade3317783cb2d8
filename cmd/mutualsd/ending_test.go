package main

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// A daemon that hangs while it closes is ended; one that closes is not.
func TestEndInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var after time.Duration
		force := func(int) { after = time.Since(began) }
		ctx, stop := context.WithCancel(t.Context())
		closed := endInTime(ctx, endTime, slog.New(slog.DiscardHandler), force)
		time.Sleep(time.Hour)
		if after != 0 {
			t.Errorf("ended after %v, though nobody asked", after)
		}
		began = time.Now()
		stop()
		time.Sleep(time.Minute)
		if after != endTime {
			t.Errorf("a hanging one was ended after %v, want %v", after, endTime)
		}
		closed()

		after = 0
		ctx, stop = context.WithCancel(t.Context())
		closed = endInTime(ctx, endTime, slog.New(slog.DiscardHandler), force)
		stop()
		closed()
		time.Sleep(time.Minute)
		if after != 0 {
			t.Errorf("one that closed in time was ended after %v", after)
		}
	})
}
