package node

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"slices"
	"sync"
	"time"

	"mutuals/node/api"
)

// maxTasks is how many tasks are remembered; the oldest that are over go
// first. A person looks at the last few, a script at its own.
const maxTasks = 256

// tasks are works that outlive the request that began them. They live in
// memory: what a task achieved is in the store, and a task cut off by a
// restart is begun again by whoever asked for it. Those that wait for people
// are kept (waiting.go): nobody is asked twice.
type tasks struct {
	now  func() time.Time
	rand io.Reader
	hub  *hub
	keep func(*task) // writes one that waits for people

	mu   sync.Mutex
	list []*task
}

// task is one of them; its owner changes it through set.
type task struct {
	of     *tasks
	cancel context.CancelFunc
	t      api.Task
	waits  *waiting // nil: for nobody
}

func (ts *tasks) begin(kind, stage string, cancel context.CancelFunc) *task {
	var id [10]byte
	io.ReadFull(ts.rand, id[:])
	t := &task{of: ts, cancel: cancel, t: api.Task{
		ID: hex.EncodeToString(id[:]), Kind: kind, State: api.TaskRunning, Stage: stage, At: ts.now().UTC(),
	}}
	ts.take(t)
	t.tell()
	return t
}

// take remembers a task.
func (ts *tasks) take(t *task) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.list = append(ts.list, t)
	if len(ts.list) > maxTasks {
		for i, old := range ts.list {
			if old.t.Over() {
				ts.list = slices.Delete(ts.list, i, i+1)
				break
			}
		}
	}
}

// set changes a task and tells whoever watches. A task that is over stays as
// it is.
func (t *task) set(change func(*api.Task)) api.Task {
	t.of.mu.Lock()
	kept := t.waits != nil && !t.t.Over()
	if !t.t.Over() {
		change(&t.t)
	}
	t.of.mu.Unlock()
	if kept {
		t.of.keep(t)
	}
	return t.tell()
}

// tell tells whoever watches how a task stands.
func (t *task) tell() api.Task {
	t.of.mu.Lock()
	now := t.copy()
	t.of.mu.Unlock()
	object, err := json.Marshal(now)
	if err != nil {
		panic("internal error: encoding a task: " + err.Error())
	}
	t.of.hub.tell(api.Event{Type: api.EventTaskProgress, At: t.of.now().UTC(), Object: object})
	return now
}

// fail ends a task with what went wrong.
func (t *task) fail(p *api.Problem) {
	t.set(func(a *api.Task) { a.State, a.Problem = api.TaskFailed, p })
}

func (t *task) tried(way string, err error) {
	t.set(func(a *api.Task) {
		try := api.Attempt{Way: way}
		if err != nil {
			try.Error = err.Error()
		}
		a.Tried = append(a.Tried, try)
	})
}

func (t *task) over() bool {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	return t.t.Over()
}

// onStop sets what ends the work of a task; stop does it.
func (t *task) onStop(cancel context.CancelFunc) {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	t.cancel = cancel
}

func (t *task) stop() {
	t.of.mu.Lock()
	cancel := t.cancel
	t.of.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

func (t *task) copy() api.Task {
	c := t.t
	c.Tried = slices.Clone(c.Tried)
	return c
}

// Tasks returns what runs and what ended lately, newest first.
func (n *Node) Tasks(context.Context) ([]api.Task, error) {
	n.tasks.mu.Lock()
	defer n.tasks.mu.Unlock()
	out := make([]api.Task, 0, len(n.tasks.list))
	for _, t := range slices.Backward(n.tasks.list) {
		out = append(out, t.copy())
	}
	return out, nil
}

// Task returns one task; problem not_found if there is none of that id.
func (n *Node) Task(_ context.Context, id string) (api.Task, error) {
	t, err := n.tasks.find(id)
	if err != nil {
		return api.Task{}, err
	}
	n.tasks.mu.Lock()
	defer n.tasks.mu.Unlock()
	return t.copy(), nil
}

// CancelTask stops a task that runs, and takes back what one that waits asked
// of others; one that is over stays as it is.
func (n *Node) CancelTask(ctx context.Context, id string) (api.Task, error) {
	t, err := n.tasks.find(id)
	if err != nil {
		return api.Task{}, err
	}
	first := false
	now := t.set(func(a *api.Task) { a.State, first = api.TaskCancelled, true })
	t.stop()
	if first {
		n.undo(ctx, t)
	}
	return now, nil
}

func (ts *tasks) find(id string) (*task, error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, t := range ts.list {
		if t.t.ID == id {
			return t, nil
		}
	}
	return nil, api.NewProblem(api.NotFound).Explain("no task %q", id)
}
