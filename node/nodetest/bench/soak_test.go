package main

import "testing"

// A soak passes when memory only swings, and fails when it grows, is above the
// goal, or was not looked at often enough to tell.
func TestGrown(t *testing.T) {
	for _, c := range []struct {
		name string
		anon []float64
		ok   bool
	}{
		{"swings", []float64{150, 200, 90, 94, 97, 91, 93, 95, 92}, true},
		{"fills caches first", []float64{40, 60, 80, 90, 90, 91, 90, 92, 91}, true},
		{"grows", []float64{80, 82, 84, 86, 88, 90, 92, 94, 96}, false},
		{"too much", []float64{130, 130, 130, 130, 130, 130, 130, 130, 130}, false},
		{"too short", []float64{90, 90, 90, 90, 90}, false},
	} {
		if err := grown(c.anon); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestFit(t *testing.T) {
	if each, none, off := fit([]float64{1, 2, 3}, []float64{5, 7, 9}); each != 2 || none != 3 || off != 0 {
		t.Errorf("5, 7, 9 are %v and %v each, %v off", none, each, off)
	}
}
