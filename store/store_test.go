package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"testing"

	"go.uber.org/goleak"

	W "mutuals/identity/wire"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		child()
		return
	}
	if dir := os.Getenv(migrateEnv); dir != "" {
		migrateSlowly(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

var testKey = [32]byte{1, 2, 3}

func openTest(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, testKey, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func update(t testing.TB, s *Store, fn func(*Tx) error) {
	t.Helper()
	if err := s.Update(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func view(t testing.TB, s *Store, fn func(*Tx) error) {
	t.Helper()
	if err := s.View(fn); err != nil {
		t.Fatal(err)
	}
}

// opID makes an id from a chain's name and a number.
func opID(name string, n uint64) W.OpID {
	return sha256.Sum256(binary.BigEndian.AppendUint64([]byte(name), n))
}

func groupID(name string) W.GroupID { return W.GroupID(opID(name, 0)) }

// all runs steps until one fails.
func all(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
