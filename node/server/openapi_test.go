package server

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"
)

// The document lies beside the shapes, so that who reads them finds it.
const golden = "../api/openapi.json"

func TestTheOpenAPIDocumentIsTheOneInTheRepository(t *testing.T) {
	got, err := newTestServer(t, &fake{}).spec()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the daemon serves: look at the difference, then run go test ./node/server -run OpenAPI -update", golden)
	}
	var doc struct {
		OpenAPI string
		Paths   map[string]any
	}
	if err := json.Unmarshal(got, &doc); err != nil || doc.OpenAPI != "3.1.0" || len(doc.Paths) < 25 {
		t.Errorf("openapi %q with %d paths, err %v", doc.OpenAPI, len(doc.Paths), err)
	}
}

var update = flag.Bool("update", false, "write the golden OpenAPI document")
