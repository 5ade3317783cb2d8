package server

import (
	"bytes"
	"fmt"

	"github.com/prometheus/common/expfmt"
)

// measured is the answer to a scrape.
type measured struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

// measure writes what the node measures in the text form of Prometheus.
func (s *Server) measure() (*measured, error) {
	families, err := s.node.Metrics().Gather()
	if err != nil {
		return nil, fmt.Errorf("gathering metrics: %w", err)
	}
	var b bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			return nil, fmt.Errorf("writing metrics: %w", err)
		}
	}
	return &measured{ContentType: string(expfmt.NewFormat(expfmt.TypeTextPlain)), Body: b.Bytes()}, nil
}
