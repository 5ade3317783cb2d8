package mesh

import (
	"context"
	"slices"
	"strings"
	"sync"

	ds "github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
)

// listing is where the directory keeps who is listed under which key: in memory,
// bounded in all, by key and by peer, whoever asks. Names are
// /providers/KEY/PEER.
type listing struct {
	mu    sync.Mutex
	keys  map[string]map[string]entry // by /providers/KEY and PEER
	peers map[string]int              // how many records each peer has
	count int
	turn  uint64
}

type entry struct {
	value []byte
	at    uint64 // the number of its writing
}

func newListing() *listing {
	return &listing{keys: map[string]map[string]entry{}, peers: map[string]int{}}
}

func split(k ds.Key) (key, peer string) {
	s := k.String()
	i := strings.LastIndexByte(s, '/')
	return s[:i], s[i+1:]
}

// Put notes a record. One more than a peer or a key may have is dropped; when
// the listing is full the oldest record of whoever has most goes.
func (l *listing) Put(_ context.Context, k ds.Key, value []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	key, peer := split(k)
	if _, again := l.keys[key][peer]; !again {
		if l.peers[peer] >= maxRecordsOfPeer || len(l.keys[key]) >= maxRecordsOfKey {
			return nil
		}
		if l.count >= maxRecords {
			l.makeRoom()
		}
		if l.keys[key] == nil {
			l.keys[key] = map[string]entry{}
		}
		l.peers[peer]++
		l.count++
	}
	l.turn++
	l.keys[key][peer] = entry{slices.Clone(value), l.turn}
	return nil
}

// makeRoom drops the oldest record of the peer with the most.
func (l *listing) makeRoom() {
	most := 0
	for _, n := range l.peers {
		most = max(most, n)
	}
	var key, peer string
	oldest := ^uint64(0)
	for k, of := range l.keys {
		for p, e := range of {
			if l.peers[p] == most && e.at < oldest {
				key, peer, oldest = k, p, e.at
			}
		}
	}
	l.drop(key, peer)
}

func (l *listing) drop(key, peer string) {
	if _, has := l.keys[key][peer]; !has {
		return
	}
	delete(l.keys[key], peer)
	if len(l.keys[key]) == 0 {
		delete(l.keys, key)
	}
	if l.peers[peer]--; l.peers[peer] == 0 {
		delete(l.peers, peer)
	}
	l.count--
}

// Delete drops a record.
func (l *listing) Delete(_ context.Context, k ds.Key) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(split(k))
	return nil
}

// Get returns a record.
func (l *listing) Get(_ context.Context, k ds.Key) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key, peer := split(k)
	e, has := l.keys[key][peer]
	if !has {
		return nil, ds.ErrNotFound
	}
	return e.value, nil
}

// Has tells whether a record is there.
func (l *listing) Has(ctx context.Context, k ds.Key) (bool, error) {
	_, err := l.Get(ctx, k)
	return err == nil, nil
}

// GetSize tells how long a record is.
func (l *listing) GetSize(ctx context.Context, k ds.Key) (int, error) {
	b, err := l.Get(ctx, k)
	return len(b), err
}

// Query lists the records of one key, or all.
func (l *listing) Query(_ context.Context, q query.Query) (query.Results, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []query.Entry
	add := func(key string) {
		for p, e := range l.keys[key] {
			out = append(out, query.Entry{Key: key + "/" + p, Value: e.value})
		}
	}
	if prefix := strings.TrimSuffix(q.Prefix, "/"); l.keys[prefix] != nil {
		add(prefix)
	} else if strings.Count(prefix, "/") < 2 {
		for key := range l.keys {
			add(key)
		}
	}
	return query.ResultsWithEntries(q, out), nil
}

// Batch writes as it is told: nothing here can fail half way.
func (l *listing) Batch(context.Context) (ds.Batch, error) { return &batch{l}, nil }

// Sync has nothing to write anywhere.
func (l *listing) Sync(context.Context, ds.Key) error { return nil }

// Close forgets nothing that would outlive it.
func (l *listing) Close() error { return nil }

type batch struct{ *listing }

func (b *batch) Commit(context.Context) error { return nil }

// noCache stands where the table would keep sets of providers that know no
// bound; the listing is in memory anyway.
type noCache struct{}

func (noCache) Add(any, any) bool              { return false }
func (noCache) Get(any) (any, bool)            { return nil, false }
func (noCache) Contains(any) bool              { return false }
func (noCache) Peek(any) (any, bool)           { return nil, false }
func (noCache) Remove(any) bool                { return false }
func (noCache) RemoveOldest() (any, any, bool) { return nil, nil, false }
func (noCache) GetOldest() (any, any, bool)    { return nil, nil, false }
func (noCache) Keys() []any                    { return nil }
func (noCache) Len() int                       { return 0 }
func (noCache) Purge()                         {}
func (noCache) Resize(int) int                 { return 0 }
