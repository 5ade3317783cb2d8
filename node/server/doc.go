// Package server is the HTTP face of a node: it decodes a request, calls one
// method of the node, encodes the answer. It owns who may call at all (guard),
// how errors look (problem), how events flow (events), where the daemon
// listens, and api.json; it is the only room that knows huma.
//
// It refuses, in this order, each line tested: a Host that is not this machine,
// a browser's request from another site, a caller without the token, a body
// that is not JSON, one that is too large, too many requests. It never repeats
// message text, passcodes or words in an error, and knows nothing of groups,
// keys or peers: rules live in package node and below.
//
// Begin with [New] and [Server.Run]. A verb is a file: messages.go holds the
// routes of messages and nothing else.
//
// A worked trace: POST /api/v1/groups/bafy…/messages with {"text": "hello"}
// and an Idempotency-Key comes by TCP. The guard passes it, remember finds no
// answer stored under that key and records, huma decodes and validates the
// body, send (messages.go) calls node.Send, which returns once the message is
// on disk; 201 and the message are stored under the key, then written. A second
// try with the same key gets the same bytes; with another body it gets
// idempotency_conflict.
//
// The token: over the unix socket the file's permission is the credential, over
// TCP the token of api.json, which is new at each start.
package server
