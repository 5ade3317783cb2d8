package server

import "time"

const (
	// maxHeader bounds the request line and headers: the longest honest ones
	// carry a token, a cursor and an event id.
	maxHeader = 16 << 10
	// maxBody bounds a JSON body: 64 Ki letters of pasted text, each escaped
	// to six bytes, and room for a name.
	maxBody = 512 << 10
	// maxKey bounds an Idempotency-Key; a UUID has 36 letters.
	maxKey = 255

	// readTimeout is how long a whole request may take to arrive, callTimeout
	// how long the node may take to answer it, writeTimeout both and the
	// answer's way back. Streams set their own.
	readTimeout  = 10 * time.Second
	callTimeout  = 60 * time.Second
	writeTimeout = readTimeout + callTimeout + 10*time.Second
	// idleTimeout is how long a connection may wait for its next request.
	idleTimeout = 2 * time.Minute
	// stopTimeout is how long requests may take to end when the daemon stops.
	stopTimeout = 5 * time.Second

	// callRate and callBurst bound what one token may ask: a script sending
	// flat out stays below, a loop gone wild does not starve the node. The
	// protocol lets a device burst 10 000 messages.
	callRate  = 5000
	callBurst = 12000

	// heartbeat keeps a silent stream alive through proxies and tells a dead
	// one; eventWrite is how long a reader may take to accept what is written.
	heartbeat  = 15 * time.Second
	eventWrite = 10 * time.Second
	// maxLag is how many events a reader may be behind before it is told to
	// take a snapshot, which is then cheaper. eventBatch is how many are read
	// at a time.
	maxLag     = 4096
	eventBatch = 256
	// maxWait bounds ?wait: below what proxies cut.
	maxWait = 60 * time.Second

	// maxSocketPath is what every system accepts as a unix socket's path (104
	// on macOS, 108 on Linux, with a final zero).
	maxSocketPath = 100
)
