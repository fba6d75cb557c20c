package node

import (
	"testing"
	"time"
)

func TestNextPause(t *testing.T) {
	for _, test := range []struct{ last, ran, want time.Duration }{
		{shortestPause, 0, 2 * shortestPause},
		{8 * time.Second, time.Second, longestPause},
		{longestPause, settled - 1, longestPause},
		{longestPause, settled, shortestPause},
	} {
		if got := nextPause(test.last, test.ran); got != test.want {
			t.Errorf("after %s and a run of %s: got %s, want %s", test.last, test.ran, got, test.want)
		}
	}
}
