//go:build race

package nodetest_test

// raced tells that the race detector watches: it takes 8 128 goroutines at most, and
// a hundred nodes have some twenty thousand.
const raced = true
