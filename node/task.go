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
// restart is begun again by whoever asked for it.
type tasks struct {
	now  func() time.Time
	rand io.Reader
	hub  *hub

	mu   sync.Mutex
	list []*task
}

// task is one of them; its owner changes it through set.
type task struct {
	of     *tasks
	cancel context.CancelFunc
	t      api.Task
}

func (ts *tasks) begin(kind, stage string, cancel context.CancelFunc) *task {
	var id [10]byte
	io.ReadFull(ts.rand, id[:])
	t := &task{of: ts, cancel: cancel, t: api.Task{
		ID: hex.EncodeToString(id[:]), Kind: kind, State: api.TaskRunning, Stage: stage, At: ts.now().UTC(),
	}}
	ts.mu.Lock()
	ts.list = append(ts.list, t)
	if len(ts.list) > maxTasks {
		for i, old := range ts.list {
			if old.t.Over() {
				ts.list = slices.Delete(ts.list, i, i+1)
				break
			}
		}
	}
	ts.mu.Unlock()
	t.set(func(*api.Task) {})
	return t
}

// set changes a task and tells whoever watches. A task that is over stays as
// it is.
func (t *task) set(change func(*api.Task)) api.Task {
	t.of.mu.Lock()
	if !t.t.Over() {
		change(&t.t)
	}
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

// CancelTask stops a task that runs; one that is over stays as it is.
func (n *Node) CancelTask(_ context.Context, id string) (api.Task, error) {
	t, err := n.tasks.find(id)
	if err != nil {
		return api.Task{}, err
	}
	var stop context.CancelFunc
	now := t.set(func(a *api.Task) { a.State, stop = api.TaskCancelled, t.cancel })
	if stop != nil {
		stop()
	}
	return now, nil
}

// update changes a task by its id, if it is still remembered.
func (ts *tasks) update(id string, change func(*api.Task)) {
	if t, err := ts.find(id); err == nil {
		t.set(change)
	}
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
