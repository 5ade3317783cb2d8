package store

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// childEnv makes the test binary a child process; its value is the folder.
const childEnv = "MUTUALS_STORE_CHILD"

// child writes batches of operations for ever and prints "ack N" after each.
func child() {
	s, err := Open(os.Getenv(childEnv), testKey, Options{})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	g, inc := groupID("kill"), opID("inc", 0)
	var seq uint64
	s.View(func(tx *Tx) error {
		h, _, err := tx.HeadOf(g, inc, 1)
		seq = h.Seq
		return err
	})
	fmt.Println("ready", seq)
	for {
		from := seq
		err := s.Update(context.Background(), func(tx *Tx) error {
			seq = from
			for range 50 {
				seq++
				if err := putMessage(tx, seq); err != nil {
					return err
				}
			}
			return tx.PutHead(g, inc, 1, Head{Seq: seq, ID: opID("op", seq)})
		})
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println("ack", seq)
	}
}

func putMessage(tx *Tx, seq uint64) error {
	g, inc, id := groupID("kill"), opID("inc", 0), opID("op", seq)
	text := fmt.Appendf(nil, "message %d %s", seq, strings.Repeat("x", 300))
	return all(
		tx.PutOp(g, inc, 1, seq, id, text),
		tx.PutEntry(g, 1000+seq, id, Byline{}, text),
		tx.Change(Change{Type: "message.created", Group: g, Object: id, Data: text}),
	)
}

// TestKill kills a writer at odd moments: every acknowledged operation is
// there with all its rows, and none has only some of them (SPEC.md U3).
func TestKill(t *testing.T) {
	dir := t.TempDir()
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		acked := runAndKill(t, childEnv, dir, 3+7*round)
		s, err := Open(dir, testKey, Options{})
		if err != nil {
			t.Fatal(err)
		}
		checkMessages(t, s, acked)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// runAndKill kills the child after a number of acks and returns the last one
// it gave.
func runAndKill(t *testing.T, env, dir string, acks int) (last uint64) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), env+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(3*time.Minute, func() { cmd.Process.Kill() })
	defer stuck.Stop()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "error") {
			t.Error(lines.Text())
		}
		if n, _ := fmt.Sscanf(lines.Text(), "ack %d", &last); n == 1 {
			if acks--; acks == 0 {
				cmd.Process.Kill() // and read on what it had still acknowledged
			}
		}
	}
	cmd.Wait()
	if acks > 0 {
		t.Fatalf("child ended by itself after %d", last)
	}
	return last
}

func checkMessages(t *testing.T, s *Store, acked uint64) {
	t.Helper()
	g, inc := groupID("kill"), opID("inc", 0)
	view(t, s, func(tx *Tx) error {
		h, _, err := tx.HeadOf(g, inc, 1)
		if err != nil {
			return err
		}
		if h.Seq < acked || s.LastChange() != h.Seq {
			t.Errorf("head %d, change %d, acknowledged %d", h.Seq, s.LastChange(), acked)
		}
		next := uint64(1)
		err = tx.EachOp(g, inc, 1, 1, 1<<60, func(op StoredOp) error {
			if op.Seq != next || op.ID != opID("op", next) {
				t.Fatalf("operation %d where %d should be", op.Seq, next)
			}
			e, ok, err := tx.Entry(g, op.ID)
			if err != nil || !ok || string(e.Data) != string(op.Frame) {
				t.Fatalf("entry %d: %v %v", next, ok, err)
			}
			next++
			return nil
		})
		if next != h.Seq+1 {
			t.Errorf("%d operations below a head of %d", next-1, h.Seq)
		}
		return err
	})
	var after uint64
	for after < s.LastChange() {
		got, err := s.Changes(after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range got {
			if after++; c.N != after || c.Object != opID("op", after) {
				t.Fatalf("change %d names another object", after)
			}
		}
	}
}
