package server

import (
	_ "embed"
	"net/http"
)

// pageHTML is what `/` shows until there is a web UI: it holds no script, no
// style and nothing of the node.
//
//go:embed page.html
var pageHTML []byte

func page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(pageHTML)
}
