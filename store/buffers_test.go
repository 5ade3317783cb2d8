package store

import (
	"bytes"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4/y"
	"github.com/dgraph-io/ristretto/v2/z"
)

// Whatever Badger puts aside for the next tables goes at once. By itself Badger lets
// one go every two seconds.
func TestBuffersGo(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "store"), Options{})
	kept, ok := keptBuffers(s.db)
	if !ok {
		t.Fatal("this Badger keeps its buffers in another way")
	}
	end := time.After(10 * time.Second)
	for n := range 3 * cap(kept) {
		select {
		case kept <- z.NewAllocator(1<<10, "test"):
		case <-end:
			t.Fatalf("%d buffers were put aside, and stay there", n)
		}
	}
}

// A buffer that blocks were packed into is held no longer.
func TestBuffersForgotten(t *testing.T) {
	gone := make(chan struct{})
	packed := bytes.Repeat([]byte("words and words, "), 100)
	func() {
		buffer := make([]byte, 1<<20)
		runtime.AddCleanup(&buffer[0], func(gone chan struct{}) { close(gone) }, gone)
		for range runtime.GOMAXPROCS(0) {
			if _, err := y.ZSTDCompress(buffer, packed, zstdLevel); err != nil {
				t.Fatal(err)
			}
		}
	}()
	forgetBuffers()
	runtime.GC()
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("something holds on to it")
	}
}
