package mesh

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"golang.org/x/time/rate"
)

// written is a stream on which all has been written that comes.
type written struct {
	network.Stream
	r io.Reader
}

func (w written) Read(p []byte) (int, error) { return w.r.Read(p) }

// Packets are read no faster than their pace, empty ones too, and what is in them
// as fast as it comes.
func TestInboundPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const packets, burst = 100, 20
		empty, full := make([]byte, packets), bytes.Repeat(AppendFrame(nil, make([]byte, 1000)), packets)
		for what, b := range map[string][]byte{"empty": empty, "full": full} {
			in := newInbound(written{r: bytes.NewReader(b)}, func() {})
			limit := rate.NewLimiter(10, burst)
			in.pace = func() error { return limit.Wait(t.Context()) }
			began := time.Now()
			got, err := io.ReadAll(in)
			if err != nil || !bytes.Equal(got, b) {
				t.Errorf("%s: %d of %d bytes: %v", what, len(got), len(b), err)
			}
			// One more is waited for, which does not come.
			if took := time.Since(began).Round(time.Millisecond); took != (packets+1-burst)*100*time.Millisecond {
				t.Errorf("%s: read in %v", what, took)
			}
		}
	})
}
