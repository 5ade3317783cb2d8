package store

import (
	"path/filepath"
	"testing"
	"time"

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
