package mesh

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestStream(t *testing.T) {
	a, b := start(t, nil), start(t, nil)
	b.Handle("/echo/1", 8, func(_ context.Context, s *Stream) {
		if s.Peer() != a.Self() {
			t.Error("wrong peer")
		}
		for {
			f, err := s.ReadFrame(1 << 20)
			if err != nil {
				return
			}
			if err := s.WriteFrame(f); err != nil {
				return
			}
		}
	})
	link2(t, a, b)
	s, err := a.Open(within(t), b.Self(), "/echo/1")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range [][]byte{{}, []byte("x"), bytes.Repeat([]byte("y"), 1<<20)} {
		if err := s.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
		if got, err := s.ReadFrame(1 << 20); err != nil || !bytes.Equal(got, f) {
			t.Fatalf("echo of %d bytes: %d, %v", len(f), len(got), err)
		}
	}
	if err := s.WriteFrames([]byte("one"), []byte("two")); err != nil {
		t.Fatal(err)
	}
	if err := s.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"one", "two"} {
		if got, err := s.ReadFrame(3); err != nil || string(got) != want {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if _, err := s.ReadFrame(3); err != io.EOF {
		t.Errorf("after the last frame: %v, want EOF", err)
	}
	// Each frame counts once a side and direction: 0, 1, 1 MiB, 3 and 3 bytes.
	const all = 1<<20 + 7
	for _, m := range []*node{a, b} {
		if got := m.Traffic()["/echo/1"]; got != (Traffic{In: all, Out: all}) {
			t.Errorf("counted %+v, want %d each way", got, all)
		}
	}
	if _, err := a.Open(within(t), start(t, nil).Self(), "/echo/1"); err == nil {
		t.Error("opened a stream to nowhere")
	}
}

func TestOversizeFrameOverStream(t *testing.T) {
	a, b := start(t, nil), start(t, nil)
	errs := make(chan error, 1)
	b.Handle("/small/1", 1, func(_ context.Context, s *Stream) {
		_, err := s.ReadFrame(10)
		errs <- err
	})
	link2(t, a, b)
	s, err := a.Open(within(t), b.Self(), "/small/1")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Reset()
	if err := s.WriteFrame(make([]byte, 11)); err != nil {
		t.Fatal(err)
	}
	if err := <-errs; !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v, want ErrTooLarge", err)
	}
}

// lines counts what is logged.
type lines struct{ n atomic.Int64 }

func (l *lines) Write(p []byte) (int, error) {
	l.n.Add(int64(strings.Count(string(p), "\n")))
	return len(p), nil
}

// A thousand streams of one peer: few are served, the rest is refused, one
// line is logged, and another peer is served as before.
func TestThousandStreams(t *testing.T) {
	var log lines
	a, c := start(t, nil), start(t, nil)
	b := start(t, func(cfg *Config) { cfg.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	var most, now atomic.Int64
	b.Handle("/slow/1", 16, func(_ context.Context, s *Stream) {
		for n := now.Add(1); ; {
			if old := most.Load(); n <= old || most.CompareAndSwap(old, n) {
				break
			}
		}
		defer now.Add(-1)
		for { // for as long as the peer likes
			f, err := s.ReadFrame(100)
			if err != nil || s.WriteFrame(f) != nil {
				return
			}
		}
	})
	link2(t, a, b)
	link2(t, c, b)
	var wg sync.WaitGroup
	open := make(chan *Stream, 1000)
	for range 20 {
		wg.Go(func() {
			for range 50 {
				if s, err := a.Open(within(t), b.Self(), "/slow/1"); err == nil {
					if s.WriteFrame([]byte("x")) == nil {
						open <- s
					}
				}
			}
		})
	}
	wg.Wait()
	close(open)
	// Each of them is served or refused before another peer comes: a stream
	// whose protocol has not been agreed on counts against everybody.
	var held []*Stream
	for s := range open {
		if _, err := s.ReadFrame(100); err == nil {
			held = append(held, s)
		}
	}
	if len(held) == 0 {
		t.Error("none was served")
	}
	s, err := c.Open(within(t), b.Self(), "/slow/1")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.WriteFrame([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if f, err := s.ReadFrame(100); err != nil || string(f) != "hello" {
		t.Errorf("another peer got %q, %v", f, err)
	}
	for _, s := range held {
		s.Reset()
	}
	if n := most.Load(); n > 17 {
		t.Errorf("%d streams served at once, want at most 17", n)
	}
	if log.n.Load() != 1 {
		t.Errorf("%d lines logged, want 1", log.n.Load())
	}
	t.Logf("served at once %d, refused %d", most.Load(), b.Stats().StreamsRefused)
}

// Two people who share many groups hold a stream or two open for each: a
// protected peer is served more of them than a passer-by.
func TestMemberStreams(t *testing.T) {
	a, b := start(t, nil), start(t, nil)
	b.Handle("/echo/1", 256, func(_ context.Context, s *Stream) {
		for {
			f, err := s.ReadFrame(100)
			if err != nil || s.WriteFrame(f) != nil {
				return
			}
		}
	})
	link2(t, a, b)
	served := func(want int) int {
		var open []*Stream
		defer func() {
			for _, s := range open {
				s.Reset()
			}
		}()
		for range want {
			s, err := a.Open(within(t), b.Self(), "/echo/1")
			if err != nil {
				break
			}
			open = append(open, s)
			if s.WriteFrame([]byte("x")) != nil {
				break
			}
			if _, err := s.ReadFrame(100); err != nil {
				break
			}
		}
		return len(open)
	}
	if n := served(2 * maxPeerStreams); n > maxPeerStreams+1 {
		t.Errorf("a passer-by was served %d streams, want at most %d", n, maxPeerStreams)
	}
	b.Protect(a.Self(), true)
	if n := served(60); n != 60 {
		t.Errorf("a member was served %d streams, want 60", n)
	}
}

func TestCloseEndsHandlers(t *testing.T) {
	a, b := start(t, nil), start(t, nil)
	in, out := make(chan struct{}), make(chan struct{})
	b.Handle("/hang/1", 1, func(ctx context.Context, s *Stream) {
		defer close(out)
		close(in)
		_, _ = s.ReadFrame(1) // nothing ever comes
		<-ctx.Done()
	})
	link2(t, a, b)
	s, err := a.Open(within(t), b.Self(), "/hang/1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.s.Write([]byte{5}); err != nil { // a length and then silence
		t.Fatal(err)
	}
	<-in
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-out:
	default:
		t.Error("Close returned while a handler was running")
	}
}

func TestReadFrame(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     string
		err      error
	}{
		{"empty frame", "\x00rest", "", nil},
		{"frame", "\x03abcd", "abc", nil},
		{"two byte length", "\x80\x01" + strings.Repeat("z", 128), strings.Repeat("z", 128), nil},
		{"end", "", "", io.EOF},
		{"end in length", "\x80", "", io.ErrUnexpectedEOF},
		{"end in frame", "\x03ab", "", io.ErrUnexpectedEOF},
		{"too large", "\x81\x01", "", ErrTooLarge},
		{"huge", "\xff\xff\xff\xff\x0f", "", ErrTooLarge},
		{"endless length", "\xff\xff\xff\xff\xff\xff", "", ErrTooLarge},
		{"padded length", "\x81\x00a", "", errors.New("padded")},
	} {
		got, err := ReadFrame(bufio.NewReader(strings.NewReader(tc.in)), 128)
		if string(got) != tc.want || (err == nil) != (tc.err == nil) {
			t.Errorf("%s: %q, %v", tc.name, got, err)
		}
		if tc.err != nil && tc.err.Error() != "padded" && !errors.Is(err, tc.err) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.err)
		}
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("\x03abcd"))
	f.Add([]byte("\x80\x80\x80\x80\x80"))
	f.Fuzz(func(t *testing.T, b []byte) {
		const most = 64
		r := bytes.NewReader(b)
		frame, err := ReadFrame(bufio.NewReader(r), most)
		if err != nil {
			return
		}
		if len(frame) > most {
			t.Fatalf("%d bytes past the bound", len(frame))
		}
		if again := AppendFrame(nil, frame); !bytes.HasPrefix(b, again) {
			t.Fatalf("%x read from %x, written %x", frame, b, again)
		}
	})
}

func TestDefaultDeadline(t *testing.T) {
	a, b := start(t, nil), start(t, nil)
	b.Handle("/mute/1", 1, func(ctx context.Context, s *Stream) { <-ctx.Done() })
	link2(t, a, b)
	s, err := a.Open(within(t), b.Self(), "/mute/1")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Reset()
	if err := s.SetDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ReadFrame(1); err == nil {
		t.Error("read from a mute peer")
	}
}
