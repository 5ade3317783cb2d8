package groups_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"mutuals/groups"
	"mutuals/groups/groupstest"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
)

const runVectors = "testdata/vectors/runs.json"

// runVector is one message of gossip, and what reading it gives: ids, and
// whether the signatures hold, or the reason why it is refused.
type runVector struct {
	Name      string   `json:"name"`
	Group     string   `json:"group"`
	Key       string   `json:"key"` // operating key of the author
	Frame     string   `json:"frame"`
	IDs       []string `json:"ids,omitempty"`
	Authentic bool     `json:"authentic"`
	Reason    string   `json:"reason"`
}

func (v *runVector) read(t *testing.T) {
	t.Helper()
	frame, err := hex.DecodeString(v.Frame)
	if err != nil {
		t.Fatal(err)
	}
	ops, r := groups.DecodeGossip(frame)
	v.IDs, v.Authentic, v.Reason = nil, false, groups.ReasonNone.String()
	if r != nil {
		v.Reason = r.Reason.String()
		return
	}
	for _, o := range ops {
		v.IDs = append(v.IDs, o.ID.String())
	}
	group, err := hex.DecodeString(v.Group)
	if err != nil {
		t.Fatal(err)
	}
	key, err := hex.DecodeString(v.Key)
	if err != nil {
		t.Fatal(err)
	}
	v.Authentic = groups.AuthenticateRun(wire.GroupID(group), wire.DeviceID(key), ops)
}

// rawRun is a run that may be wrong.
type rawRun struct {
	_      struct{} `cbor:",toarray"`
	Frames [][]byte
}

// inRun is an operation as it lies in a run.
func inRun(o *groups.Op, signed bool) []byte {
	if signed {
		return o.Frame()
	}
	return slices.Concat(o.Core, o.Cipher)
}

// runStory is what a burst looks like, and what it must not.
func runStory(t *testing.T) (list []runVector) {
	w, _, bob := pair(t, groups.DefaultPolicy())
	var said []*groups.Op
	for i := range byte(groups.SignedEvery + 3) {
		said = append(said, say(t, w, bob, i))
	}
	id := bob.Log.Group()
	group := hex.EncodeToString(id[:])
	add := func(name string, frame []byte) {
		v := runVector{Name: name, Group: group, Key: hex.EncodeToString(bob.Keys.Op[32:]), Frame: hex.EncodeToString(frame)}
		v.read(t)
		list = append(list, v)
	}
	run := func(ops []*groups.Op, spoil func([][]byte) [][]byte) []byte {
		var r rawRun
		for i, o := range ops {
			r.Frames = append(r.Frames, inRun(o, i == len(ops)-1 || o.Seq%groups.SignedEvery == 0))
		}
		if spoil != nil {
			r.Frames = spoil(r.Frames)
		}
		return wire.Marshal(r)
	}
	add("one operation", said[0].Frame())
	add("two operations", run(said[:2], nil))
	add("past a signature that is kept", run(said, nil))
	bad := bytes.Clone(run(said[:2], nil))
	bad[len(bad)-len(said[1].Cipher)-1] ^= 1
	add("last signature forged", bad)
	add("kept signature forged", run(said, func(f [][]byte) [][]byte {
		at := groups.SignedEvery - 1
		f[at] = bytes.Clone(f[at])
		f[at][len(said[at].Core)] ^= 1
		return f
	}))
	add("kept signature left out", run(said, func(f [][]byte) [][]byte {
		f[groups.SignedEvery-1] = inRun(said[groups.SignedEvery-1], false)
		return f
	}))
	add("inner signature put in", run(said[:3], func(f [][]byte) [][]byte { f[0] = said[0].Frame(); return f }))
	add("last signature left out", run(said[:2], func(f [][]byte) [][]byte { f[1] = inRun(said[1], false); return f }))
	add("last signature of zeros", run(said[:2], func(f [][]byte) [][]byte {
		f[1] = slices.Concat(said[1].Core, make([]byte, 64), said[1].Cipher)
		return f
	}))
	add("no ciphertext", run(said[:2], func(f [][]byte) [][]byte { f[0] = said[0].Core; return f }))
	add("a gap", run([]*groups.Op{said[0], said[2]}, nil))
	add("backwards", run([]*groups.Op{said[1], said[0]}, nil))
	add("the same twice", run([]*groups.Op{said[0], said[0]}, nil))
	add("a run of one", run(said[:1], nil))
	add("a run of none", wire.Marshal(rawRun{Frames: [][]byte{}}))
	add("bytes behind", append(run(said[:2], nil), 0))
	control := bob.Log.Ops()[1]
	add("control operations", wire.Marshal(rawRun{Frames: [][]byte{control.Frame(), control.Frame()}}))
	many := make([][]byte, groups.MaxRunOps+1)
	for i := range many {
		many[i] = inRun(said[0], false)
	}
	add("too many", wire.Marshal(rawRun{Frames: many}))
	return list
}

func TestRunVectors(t *testing.T) {
	if *update {
		if _, err := os.Stat(runVectors); err != nil {
			b, err := json.MarshalIndent(runStory(t), "", " ")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(runVectors, append(b, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	b, err := os.ReadFile(runVectors)
	if err != nil {
		t.Fatal(err)
	}
	var list []runVector
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	for _, v := range list {
		got := v
		got.read(t)
		if !slices.Equal(got.IDs, v.IDs) || got.Authentic != v.Authentic || got.Reason != v.Reason {
			t.Errorf("%s: %v %v %s, want %v %v %s", v.Name, got.IDs, got.Authentic, got.Reason, v.IDs, v.Authentic, v.Reason)
		}
	}
}

// FuzzDecodeGossip: no message of gossip panics or is read out of bounds; what
// is read is passed on as the same bytes.
func FuzzDecodeGossip(f *testing.F) {
	var list []runVector
	b, err := os.ReadFile(runVectors)
	if err == nil {
		err = json.Unmarshal(b, &list)
	}
	if err != nil {
		f.Fatal(err)
	}
	for _, v := range list {
		frame, err := hex.DecodeString(v.Frame)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ops, r := groups.DecodeGossip(b)
		if r != nil || ops[0].Update {
			return
		}
		if len(ops) > groups.MaxRunOps || !bytes.Equal(groups.EncodeGossip(ops), b) {
			t.Fatal("two encodings of one message of gossip, or too much in one")
		}
		groups.AuthenticateRun(wire.GroupID{1}, wire.DeviceID{1}, ops)
	})
}

// What an author writes at once comes out whole and in order, in as few
// messages as the bounds allow, each of them authentic by itself (R9, R17).
func TestRuns(t *testing.T) {
	w, ann, bob := pair(t, groups.DefaultPolicy())
	var said []*groups.Op
	for i := range 2*groups.MaxRunOps + 1 {
		said = append(said, say(t, w, bob, byte(i)))
	}
	control := write(t, w, ann, groups.KindAck, groups.AckBody{})
	sent := slices.Concat(said[:3], []*groups.Op{control}, said[3:])
	var sizes []int
	var got []*groups.Op
	for _, run := range groups.SplitRuns(sent) {
		sizes = append(sizes, len(run))
		frame := groups.EncodeGossip(run)
		if len(frame) > groups.MaxRunBytes+8*groups.MaxRunOps {
			t.Errorf("a run of %d bytes", len(frame))
		}
		ops, r := groups.DecodeGossip(frame)
		if r != nil {
			t.Fatal(r)
		}
		author := bob
		if ops[0].Chain == groups.Control {
			author = ann
		}
		if !groups.AuthenticateRun(bob.Log.Group(), wire.DeviceID(author.Keys.Op[32:]), ops) {
			t.Fatal("an honest run is not authentic")
		}
		if !bytes.Equal(groups.EncodeGossip(ops), frame) {
			t.Error("a run is passed on as something else")
		}
		got = append(got, ops...)
	}
	if want := []int{3, 1, groups.MaxRunOps, groups.MaxRunOps - 2}; !slices.Equal(sizes, want) {
		t.Errorf("runs of %v, want %v", sizes, want)
	}
	for i, o := range got {
		if o.ID != sent[i].ID || !o.Whole() {
			t.Fatalf("operation %d comes out as %v, want %v", i, o, sent[i])
		}
	}
	// What another key signed is not authentic, whatever hangs on it.
	ops, _ := groups.DecodeGossip(groups.EncodeGossip(said[:2]))
	if groups.AuthenticateRun(bob.Log.Group(), wire.DeviceID(ann.Keys.Op[32:]), ops) {
		t.Error("a run is authentic under another's key")
	}
	// Heavy messages are parted by weight.
	heavy := []*groups.Op{sayLong(t, w, bob), sayLong(t, w, bob), sayLong(t, w, bob), sayLong(t, w, bob), sayLong(t, w, bob)}
	for _, run := range groups.SplitRuns(heavy) {
		if n := len(groups.EncodeGossip(run)); n > groups.MaxRunBytes+8*groups.MaxRunOps {
			t.Errorf("a run of %d bytes", n)
		}
	}
}

// sayLong says what fills the largest box.
func sayLong(t *testing.T, w *groupstest.World, p *groupstest.Person) *groups.Op {
	t.Helper()
	size, err := seal.SealedLen(groups.MaxText)
	if err != nil {
		t.Fatal(err)
	}
	o, err := p.Log.ComposeContent(p.Inc, p.Keys.Op, w.NowMs, [32]byte{}, [16]byte{}, size,
		func([]byte, uint64) ([]byte, error) { return make([]byte, size), nil })
	if err != nil {
		t.Fatal(err)
	}
	take(t, w, p.Log, o, groups.Accept, groups.ReasonNone)
	return o
}
